"""The size of a document's selections: totals with each fragment measured once, and merged fields.

Must not be here: what is too large (`limits`), what a field costs (`cost`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from graphql import FieldNode, FragmentDefinitionNode, FragmentSpreadNode, InlineFragmentNode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from graphql import DocumentNode, SelectionSetNode

    Fragments = Mapping[str, FragmentDefinitionNode]

MAX_NESTING: Final = 100  # nested selection sets, including fragments; five per field are plenty


class TooNested(Exception):
    """Selection sets are nested so deeply that measuring them could overflow the stack."""


class NotMeasurable(Exception):
    """A fragment spreads itself, or two have the same name; GraphQL forbids both."""


def fragments_of(document: DocumentNode) -> Fragments:
    """Find the fragments of a document by name.

    Errors: NotMeasurable.
    """
    found = [each for each in document.definitions if isinstance(each, FragmentDefinitionNode)]
    by_name = {each.name.value: each for each in found}
    if len(by_name) != len(found):
        raise NotMeasurable
    return by_name


class Totals(NamedTuple):
    """The totals of a selection set; fragments count at every spread."""

    depth: int = 0  # levels of nested fields
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    reads_schema: bool = False


_NOTHING: Final = Totals()


class Measure:
    """The totals of selection sets of one document; the time is linear in the document."""

    def __init__(self, fragments: Fragments) -> None:
        self._fragments = fragments
        self._known: dict[str, Totals | None] = {}  # None while it is being measured

    def totals(self, selection_set: SelectionSetNode | None, nesting: int = 1) -> Totals:
        """Measure a selection set; a fragment that is not defined counts for nothing.

        Errors: TooNested; NotMeasurable.
        """
        if selection_set is None:
            return _NOTHING
        if nesting > MAX_NESTING:
            raise TooNested
        depth = fields = aliases = directives = 0
        reads_schema = False
        for selection in selection_set.selections:
            if isinstance(selection, FragmentSpreadNode):
                inner = self._of_fragment(selection.name.value, nesting + 1)
            elif isinstance(selection, InlineFragmentNode):
                inner = self.totals(selection.selection_set, nesting + 1)
            elif isinstance(selection, FieldNode):
                inner = self.totals(selection.selection_set, nesting + 1)
                inner = inner._replace(depth=inner.depth + 1, fields=inner.fields + 1)
                aliases += selection.alias is not None
                reads_schema |= selection.name.value == "__schema"
            depth = max(depth, inner.depth)
            fields += inner.fields
            aliases += inner.aliases
            directives += inner.directives + len(selection.directives or ())
            reads_schema |= inner.reads_schema
        return Totals(depth, fields, aliases, directives, reads_schema)

    def _of_fragment(self, name: str, nesting: int) -> Totals:
        fragment = self._fragments.get(name)
        if fragment is None:
            return _NOTHING
        if name not in self._known:
            self._known[name] = None
            self._known[name] = self.totals(fragment.selection_set, nesting)
        known = self._known[name]
        if known is None:
            raise NotMeasurable
        return known


def merge(
    selection_sets: Iterable[SelectionSetNode], fragments: Fragments
) -> tuple[list[tuple[str | None, FieldNode]], int]:
    """Collect the fields of selection sets of the same object, and count the fragments that they spread.

    Each field is paired with the type condition of its nearest fragment, if any; each fragment is visited once.
    """
    fields: list[tuple[str | None, FieldNode]] = []
    spread: set[str] = set()
    pending: list[tuple[str | None, SelectionSetNode]] = [(None, each) for each in selection_sets]
    while pending:
        on_type, selection_set = pending.pop()
        for selection in selection_set.selections:
            if isinstance(selection, FieldNode):
                fields.append((on_type, selection))
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                pending.append((condition.name.value if condition else on_type, selection.selection_set))
            elif isinstance(selection, FragmentSpreadNode):
                name = selection.name.value
                if name in fragments and name not in spread:
                    spread.add(name)
                    pending.append((fragments[name].type_condition.name.value, fragments[name].selection_set))
    return fields, len(spread)


def response_key(field: FieldNode) -> str:
    """Return the response key of a field."""
    return (field.alias or field.name).value


def count_pairs(selection_set: SelectionSetNode, fragments: Fragments, at_most: int) -> int:
    """Count the pairs that validation compares to check that fields merge, up to a limit.

    Source: GraphQL, "Field Selection Merging": all pairs of fields with the same response key, for each object of the
    response; validation also compares all pairs of fragments that are spread in the same object.
    """
    pairs = 0
    pending: list[list[SelectionSetNode]] = [[selection_set]]
    while pending and pairs <= at_most:
        fields, spread = merge(pending.pop(), fragments)
        pairs += spread * (spread - 1) // 2
        by_key: dict[str, list[FieldNode]] = {}
        for _, field in fields:
            by_key.setdefault(response_key(field), []).append(field)
        for same in by_key.values():
            pairs += len(same) * (len(same) - 1) // 2
            inner = [field.selection_set for field in same if field.selection_set]
            if inner:
                pending.append(inner)
    return pairs
