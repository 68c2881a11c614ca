"""Why an operation is not compiled; the normal way answers it then."""

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
MAX_CONDITIONS: Final = 4  # variables that say what is left out; each doubles what is kept for the operation
_CONDITIONS: Final = ("skip", "include")


class Reason(Enum):
    """What a plan does not do."""

    DIRECTIVE = "a directive other than @skip and @include may change how it is executed"
    CONDITIONS = "too many variables say what is left out"
    FRAGMENT_VARIABLES = "fragments have variables of their own"
    SIZE = "it is too large to be kept"
    NO_ROOT = "the schema has no such operations"


class Unsupported(Exception):
    """The operation is left to the normal way."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


def conditions_of(document: DocumentNode, operation: OperationDefinitionNode) -> tuple[str, ...]:
    """Name the variables that say what of an operation is left out.

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
            # What a spread stands for is looked at as a fragment.
            if isinstance(selection, FieldNode | InlineFragmentNode) and selection.selection_set:
                pending.append(selection.selection_set)
