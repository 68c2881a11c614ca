"""What pages of all lists have in common, except their statements.

Must not be here: the comparison of keys, which is done in SQL.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from gateway.domain.page import EdgeFlags, Order, Page, PageEnds, PageRequest, Rows
from gateway.domain.parse_page import unknown_cursor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from gateway.core import Store
    from gateway.store.runs import RunReads

    # Says whether anything is at a cursor or past it, towards higher (True) or lower keys.
    AnyFrom = Callable[[RunReads, str, bool], Awaitable[bool]]

P = TypeVar("P", bound=Page[Any] | Rows)


async def refuse_unknown_cursors(page: PageRequest, has_place: Callable[[str], Awaitable[bool]]) -> None:
    """Refuse cursors that name nothing in the list.

    Only an empty page needs this check: an unknown cursor gives no rows.
    Errors: InvalidRequest.
    """
    for param, cursor in page.cursors():
        if not await has_place(cursor):
            raise unknown_cursor(param, cursor)


async def page_ends(store: Store, page: PageRequest, found: Page[Any] | Rows, any_from: AnyFrom) -> PageEnds:
    """Say whether the list continues before and after a page, and query the store for its cursors."""

    async def exists(cursor: str, *, up: bool) -> bool:
        async with store.read() as reads:
            return await any_from(reads, cursor, up)

    up, known = page.order is Order.ASC, ends_of(page, found, EdgeFlags())
    after = not known.has_previous and page.after is not None and await exists(page.after, up=not up)
    before = not known.has_next and page.before is not None and await exists(page.before, up=up)
    return ends_of(page, found, EdgeFlags(after, before))


def ends_of(page: PageRequest, found: Page[Any] | Rows, edges: EdgeFlags) -> PageEnds:
    """Say whether the list continues before and after a page.

    In the direction of paging, the extra row shows it; at a cursor it is whether anything is at the cursor or past it,
    since nothing is between the page and the cursor.
    Source: Relay Cursor Connections, "HasPreviousPage" and "HasNextPage", in their exact form.
    """
    more_before, more_after = (found.has_more, False) if page.from_end else (False, found.has_more)
    return PageEnds(has_next=more_after or edges.before, has_previous=more_before or edges.after)


async def all_pages(
    store: Store, page: PageRequest, read: Callable[[RunReads, PageRequest], Awaitable[P]]
) -> AsyncIterator[P]:
    """Yield a page and all pages after it; no connection is held between them."""
    has_more = True
    while has_more:
        async with store.read() as reads:
            found = await read(reads, page)
        yield found
        has_more = found.has_more
        if found.items:  # otherwise all were deleted meanwhile
            page = replace(page, after=found.items[-1].id)
