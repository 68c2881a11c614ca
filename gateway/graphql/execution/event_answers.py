"""Which followers of a thread get the same answer to an event: the key under which the first one leaves it.

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
    """Make the key of a follower's answers; those who share an event have one reach already.

    The arguments of a subscription's field choose its events, and the answer to one does not depend on them: each
    follower has a cursor of its own to resume after. So their variables are no part of the key.
    """
    if operation.inner_variables is None:
        operation.inner_variables = _inner_variables(operation)
    inner = {name: variables[name] for name in operation.inner_variables if name in variables}
    return operation, repr(inner), who.scopes


def _inner_variables(operation: Operation) -> tuple[str, ...]:
    """List the variables that are used elsewhere than in the arguments of the operation's own fields."""
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
