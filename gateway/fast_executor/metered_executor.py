"""graphql-core's executor, stopped when an execution exceeds its limits (`meter`).

Must not be here: fast paths (`executor`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql import Executor, get_nullable_type, is_composite_type

from gateway.fast_executor.meter import LONG, Meter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graphql import GraphQLLeafType, GraphQLObjectType, GraphQLResolveInfo
    from graphql.execution.collect_fields import FieldDetails
    from graphql.pyutils import Path


class MeteredExecutor(Executor[Any]):
    """One execution; the caller sets its `meter`."""

    meter: Meter = Meter()

    def complete_object_value(
        self,
        return_type: GraphQLObjectType,
        field_details_list: list[FieldDetails],
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        """Count an object."""
        self.meter.add_objects(1)
        return super().complete_object_value(return_type, field_details_list, info, path, result, position_context)

    def complete_iterable_value(
        self,
        item_type: Any,
        field_details_list: list[FieldDetails],
        info: GraphQLResolveInfo[Any],
        path: Path,
        items: Any,
        position_context: Any,
    ) -> Any:
        """Check the size of a list before its first item is completed, and the clock while iterating."""
        iterated: Iterable[Any] = items
        if isinstance(items, list | tuple):
            if is_composite_type(get_nullable_type(item_type)):
                self.meter.check_objects(items)
            iterated = self.meter.iterate(items)
        return super().complete_iterable_value(item_type, field_details_list, info, path, iterated, position_context)

    def complete_leaf_value(self, return_type: GraphQLLeafType, result: Any) -> Any:  # type: ignore[override]
        """Count a long text."""
        completed = super().complete_leaf_value(return_type, result)
        if type(completed) is str and len(completed) > LONG:
            self.meter.add_text(completed)
        return completed
