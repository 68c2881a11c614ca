"""graphql-core's executor, stopped once it has passed what one execution may take.

Must not be here: quick ways past it (`executor`).
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
    """One execution; `meter` is put in its place by whoever begins it."""

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
        self.meter.count(1)
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
        """Look whether all of a list may be answered before the first item is, and walk it by the clock."""
        walked: Iterable[Any] = items
        if isinstance(items, list | tuple):
            if is_composite_type(get_nullable_type(item_type)):
                self.meter.expect(items)
            walked = self.meter.walk(items)
        return super().complete_iterable_value(item_type, field_details_list, info, path, walked, position_context)

    def complete_leaf_value(self, return_type: GraphQLLeafType, result: Any) -> Any:  # type: ignore[override]
        """Count a long text."""
        completed = super().complete_leaf_value(return_type, result)
        if type(completed) is str and len(completed) > LONG:
            self.meter.write(completed)
        return completed
