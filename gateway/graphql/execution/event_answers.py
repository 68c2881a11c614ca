"""The followers of a thread that get the same answer to an event: the key under which the first one caches it.

Must not be here: which events they share (`core.follow`), how an event is answered (`runner`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql import FieldNode, Node, VariableDefinitionNode, VariableNode

from gateway.graphql.documents.measure import fragments_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from gateway.domain.principal import Principal
    from gateway.graphql.documents.cache import Operation


def answer_key(operation: Operation, variables: Mapping[str, Any], who: Principal) -> Hashable:
    """Make the key of a follower's answers; followers that share an event have the same reach.

    The arguments of a subscription's field choose its events, and an answer does not depend on them: each follower has
    its own cursor. So their variables are not part of the key.
    """
    if operation.inner_variables is None:
        operation.inner_variables = _inner_variables(operation)
    inner = {name: variables[name] for name in operation.inner_variables if name in variables}
    return operation, repr(inner), who.scopes


def _inner_variables(operation: Operation) -> tuple[str, ...]:
    """List the variables that are not only used in the arguments of the root fields."""
    found: dict[str, None] = {}
    pending: list[Any] = [operation.node.directives, *fragments_of(operation.document).values()]
    for selection in operation.node.selection_set.selections:
        pending += [selection.directives, selection.selection_set] if isinstance(selection, FieldNode) else [selection]
    while pending:
        node = pending.pop()
        if isinstance(node, VariableNode):
            found[node.name.value] = None
        elif isinstance(node, Node) and not isinstance(node, VariableDefinitionNode):
            pending += [getattr(node, key) for key in node.keys]
        elif isinstance(node, tuple):
            pending += node
    return tuple(sorted(found))
