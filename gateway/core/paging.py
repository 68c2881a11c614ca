"""What pages of threads and pages of messages have in common beyond their statement.

Must not be here: the comparison of keys, which is SQL's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from gateway.domain.page import EdgeFlags, Order, Page, PageEnds, PageRequest, Rows
from gateway.domain.parse_page import unknown_cursor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class AnyFrom(Protocol):
    """Ask whether anything lies at a cursor or beyond it, towards higher (`up`) or lower keys."""

    def __call__(self, cursor: str, *, up: bool) -> Awaitable[bool]:
        """Ask the store."""


async def refuse_unknown_cursors(page: PageRequest, has_place: Callable[[str], Awaitable[bool]]) -> None:
    """Refuse cursors that name nothing in the list.

    Only an empty page needs this: a cursor without a place leaves no rows.
    Errors: InvalidRequest.
    """
    for param, cursor in page.cursors():
        if not await has_place(cursor):
            raise unknown_cursor(param, cursor)


async def page_ends(page: PageRequest, found: Page[Any] | Rows[Any], any_from: AnyFrom) -> PageEnds:
    """Say whether the whole list goes on beyond a page, on each side, and ask the store about its cursors."""
    up, sure = page.order is Order.ASC, ends_of(page, found, EdgeFlags())
    after = not sure.has_previous and page.after is not None and await any_from(page.after, up=not up)
    before = not sure.has_next and page.before is not None and await any_from(page.before, up=up)
    return ends_of(page, found, EdgeFlags(after, before))


def ends_of(page: PageRequest, found: Page[Any] | Rows[Any], beyond: EdgeFlags) -> PageEnds:
    """Say whether the whole list goes on beyond a page, on each side.

    On the side that one walks to, the row too many has told; a cursor is asked whether anything lies at it or
    beyond, since between the page and the cursor there is nothing else.
    Source: Relay Cursor Connections, "HasPreviousPage" and "HasNextPage", in their exact form.
    """
    more_behind, more_ahead = (found.has_more, False) if page.from_end else (False, found.has_more)
    return PageEnds(has_next=more_ahead or beyond.before, has_previous=more_behind or beyond.after)
