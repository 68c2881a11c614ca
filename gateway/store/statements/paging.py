"""Parts of statements that page through rows by a key, after and before cursors.

Must not be here: which rows those are (`threads`, `messages`), where a page ends by its bytes (`page_bytes`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, tuple_

from gateway.domain.page import Order

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Column, ColumnElement, ScalarSelect, Select

    from gateway.domain.page import PageRequest


def is_ascending(page: PageRequest) -> bool:
    """Say whether the rows of a page are selected with ascending keys; a page from the end reverses its order."""
    return (page.order is Order.ASC) != page.from_end


def cursor_bounds(page: PageRequest) -> list[tuple[str, bool]]:
    """Return the cursors that bound a page, and for each whether the rows of the page have higher keys."""
    up = page.order is Order.ASC
    bounds = ((page.after, up), (page.before, not up))
    return [(cursor, side) for cursor, side in bounds if cursor is not None]


def past_cursor(
    key: tuple[ColumnElement[Any], ...], place: ScalarSelect[Any], *, up: bool, inclusive: bool = False
) -> ColumnElement[bool]:
    """Compare keys with the place of a cursor; an unknown cursor has no place, so no row matches."""
    own = key[0] if len(key) == 1 else tuple_(*key)
    if inclusive:
        return own >= place if up else own <= place
    return own > place if up else own < place


def any_row(statement: Select[Any], key: tuple[Column[Any], ...], *, up: bool) -> Select[Any]:
    """Select whether a statement has any row, searching in the order of a key."""
    # Not EXISTS: PostgreSQL would expect to find a row soon, and scan other threads and projects for it.
    nearest = ordered(statement, key, up=up).limit(1)
    return select(nearest.scalar_subquery().is_not(None))


def paged(
    statement: Select[Any],
    key: tuple[ColumnElement[Any], ...],
    page: PageRequest,
    place_of: Callable[[str], ScalarSelect[Any]],
) -> Select[Any]:
    """Select the rows of a page, and one row more; `place_of` finds the place of a cursor."""
    bounds = [past_cursor(key, place_of(cursor), up=up) for cursor, up in cursor_bounds(page)]
    return limited(statement.where(*bounds), key, page)


def limited(statement: Select[Any], key: tuple[ColumnElement[Any], ...], page: PageRequest) -> Select[Any]:
    """Order the rows of a page, and limit them to its length and one row more."""
    return ordered(statement, key, up=is_ascending(page)).limit(page.limit + 1)


def ordered(statement: Select[Any], key: tuple[ColumnElement[Any], ...], *, up: bool) -> Select[Any]:
    """Order rows by a key."""
    return statement.order_by(*(column.asc() if up else column.desc() for column in key))
