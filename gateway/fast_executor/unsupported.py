"""Why an operation is not compiled; graphql-core executes it then."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from graphql import (
    DirectiveNode,
    FieldNode,
    FragmentDefinitionNode,
    InlineFragmentNode,
    VariableNode,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graphql import DocumentNode, OperationDefinitionNode, SelectionSetNode

MAX_SELECTION_SETS: Final = 400
MAX_CONDITIONS: Final = 4  # variables of @skip and @include; each doubles the memory of a plan
_CONDITIONS: Final = ("skip", "include")


class Reason(Enum):
    """Operations that have no plan."""

    DIRECTIVE = "it has a directive other than @skip and @include"
    CONDITIONS = "too many variables control @skip and @include"
    FRAGMENT_VARIABLES = "fragments have variables of their own"
    SIZE = "it has too many selection sets"
    NO_ROOT = "the schema has no such operation type"


class Unsupported(Exception):
    """The operation is executed by graphql-core."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


def conditions_of(document: DocumentNode, operation: OperationDefinitionNode) -> tuple[str, ...]:
    """List the variables of an operation that control @skip and @include.

    Errors: Unsupported.
    """
    fragments = [each for each in document.definitions if isinstance(each, FragmentDefinitionNode)]
    if any(each.variable_definitions for each in fragments):
        raise Unsupported(Reason.FRAGMENT_VARIABLES)
    own = [directive for each in (operation, *fragments) for directive in each.directives or ()]
    found: dict[str, None] = {}
    for directive in (*own, *_directives([each.selection_set for each in (operation, *fragments)])):
        if directive.name.value not in _CONDITIONS:
            raise Unsupported(Reason.DIRECTIVE)
        values = [argument.value for argument in directive.arguments or ()]
        found.update(dict.fromkeys(each.name.value for each in values if isinstance(each, VariableNode)))
    if len(found) > MAX_CONDITIONS:
        raise Unsupported(Reason.CONDITIONS)
    return tuple(found)


def _directives(pending: list[SelectionSetNode]) -> Iterable[DirectiveNode]:
    seen = 0
    while pending:
        seen += 1
        if seen > MAX_SELECTION_SETS:
            raise Unsupported(Reason.SIZE)
        for selection in pending.pop().selections:
            yield from selection.directives or ()
            # Spread fragments are visited by themselves.
            if isinstance(selection, FieldNode | InlineFragmentNode) and selection.selection_set:
                pending.append(selection.selection_set)
