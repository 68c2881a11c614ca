"""Parsing of the arguments of a list, to a PageRequest.

Must not be here: what the arguments are for clients (`types`), their rules (`domain.parse_page`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from gateway.domain import page, parse_page
from gateway.graphql.schema.inputs import or_null

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.graphql.schema.scalars import SortOrder


def page_request(
    as_cursor: Callable[[str], str | None],
    order: SortOrder,
    *,
    limit: Any,
    first: Any,
    last: Any,
    after: Any,
    before: Any,
) -> page.PageRequest:
    """Parse the arguments of a list; omitted ones are the same as null."""
    after, before = or_null(after), or_null(before)
    asked = _without_cursors(order, limit, first, last, after is not None, before is not None)
    if after is None and before is None:
        return asked
    after, before = parse_page.cursors(as_cursor, after, before)
    return page.PageRequest(asked.limit, asked.order, after, before, asked.from_end)


@lru_cache(1_024)  # clients use few combinations; errors are not cached
def _without_cursors(order: SortOrder, *given: Any) -> page.PageRequest:
    limit, first, last = map(or_null, given[:3])
    after, before = ("" if is_given else None for is_given in given[3:])
    asked = page.Order(order.value)
    return parse_page.from_arguments(str, order=asked, limit=limit, first=first, last=last, after=after, before=before)
