"""The selection of an operation for one combination of @skip and @include: collected fields and their readers.

Must not be here: fields with resolvers (`steps`), execution (`executor`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from graphql.execution.collect_fields import FieldDetails, collect_fields

from gateway.fast_executor.codegen import Readers

if TYPE_CHECKING:
    from graphql import Executor, GraphQLObjectType

    from gateway.fast_executor.compiling import Generated
    from gateway.fast_executor.hints import Columns, FieldHints
    from gateway.fast_executor.readers import Read

FieldDetailsList = list[FieldDetails]


class Selection:
    """The fields that an operation selects; the same lists are returned each time, so their identity is a key."""

    def __init__(self, executor: Executor[Any], hints: FieldHints) -> None:
        self.hints = hints
        self._executor = executor
        root_type = executor.schema.get_root_type(executor.operation.operation)
        self.root_type = cast("GraphQLObjectType", root_type)  # `compile_operation` has checked it
        self._root_fields: dict[str, FieldDetailsList] | None = None
        self._readers = Readers(executor.schema, hints, self.collect)
        # By the identity of a list of details, which graphql-core's cache and `_root_fields` keep alive.
        self._cache: dict[tuple[int, int, bool], tuple[Generated, Columns | None] | None] = {}

    def root_fields(self) -> dict[str, FieldDetailsList]:
        """Collect the fields of the operation, once.

        Errors: GraphQLError for a condition without a boolean value.
        """
        if self._root_fields is None:
            own = self._executor
            self._root_fields = collect_fields(
                own.schema, own.fragments, own.variable_values, self.root_type, own.operation
            ).grouped_field_set
        return self._root_fields

    def collect(self, kind: GraphQLObjectType, details: FieldDetailsList) -> dict[str, FieldDetailsList]:
        """Collect the selected fields of an object."""
        return self._executor.collect_subfields(kind, details).grouped_field_set

    def reader(self, kind: Any, details: FieldDetailsList, *, prefetched: bool = False) -> Read | None:
        """Find the reader of a type with its selected fields; None if any of them needs a resolver."""
        found = self._reader(kind, details, prefetched=prefetched)
        return None if found is None else found[0].read

    def columns(self, kind: Any, details: FieldDetailsList) -> Columns | None:
        """Find the columns that this reader uses; None if they are unknown."""
        found = self._reader(kind, details)
        return None if found is None else found[1]

    def _reader(
        self, kind: Any, details: FieldDetailsList, *, prefetched: bool = False
    ) -> tuple[Generated, Columns | None] | None:
        key = (id(kind), id(details), prefetched)
        if key not in self._cache:
            self._cache[key] = self._readers.build(kind, details, prefetched=prefetched)
        return self._cache[key]
