"""Parsing of the page parameters of a query string and of GraphQL arguments, to a PageRequest.

Must not be here: paging itself; whether a cursor exists is for the store to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.domain import validate
from gateway.domain.page import DEFAULT_LIMIT, MAX_LIMIT, Order, PageRequest
from gateway.errors import InvalidRequest, excerpt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ORDERS: Final = tuple(order.value for order in Order)
_LIST_KEYS: Final = ("limit", "order", "after", "before", "run_id")


def query_parameters(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Read the page parameters of a query string; unknown keys are ignored.

    Errors: InvalidRequest where one is given twice.
    """
    found: dict[str, str] = {}
    for key, value in pairs:
        if key not in _LIST_KEYS:
            continue
        if key in found:
            validate.refuse(f"Duplicate parameter: '{key}'. Expected it at most once.", key, "duplicate_parameter")
        found[key] = value
    return found


def from_query(query: dict[str, str], as_cursor: Callable[[str], str | None]) -> PageRequest:
    """Parse REST's `limit`, `order`, `after` and `before`; `as_cursor` checks a cursor's form.

    `before` alone asks for the page next to the cursor, so that paging back meets every item.
    """
    after, before = cursors(as_cursor, query.get("after"), query.get("before"))
    return PageRequest(
        limit=_limit(_number(query["limit"]), "limit") if "limit" in query else DEFAULT_LIMIT,
        order=Order(validate.one_of(query.get("order", Order.DESC.value), "order", ORDERS)),
        after=after,
        before=before,
        from_end=before is not None and after is None,
    )


def from_arguments(
    as_cursor: Callable[[str], str | None],
    *,
    order: Order,
    limit: int | None,
    first: int | None,
    last: int | None,
    after: str | None,
    before: str | None,
) -> PageRequest:
    """Parse GraphQL's page arguments: at most one of `limit` (as in REST), `first` and `last` (Relay).

    Relay's may be 0: such a page has no items, only page info.
    Source: Relay Cursor Connections, "Pagination algorithm": "If first is less than 0: Throw an error".
    """
    sizes = {name: size for name, size in (("limit", limit), ("first", first), ("last", last)) if size is not None}
    if len(sizes) > 1:
        names = " and ".join(f"'{name}'" for name in sizes)
        validate.refuse(
            f"Invalid arguments: {names} were given. Expected at most one of them.", list(sizes)[1], "invalid_value"
        )
    name, size = next(iter(sizes.items()), ("limit", DEFAULT_LIMIT))
    asked = _limit(size, name, at_least=1 if name == "limit" else 0)
    after, before = cursors(as_cursor, after, before)
    return PageRequest(
        limit=asked,
        order=order,
        after=after,
        before=before,
        from_end=name == "last" or (name == "limit" and before is not None and after is None),
    )


def cursors(
    as_cursor: Callable[[str], str | None], after: str | None, before: str | None
) -> tuple[str | None, str | None]:
    """Check the form of the cursors of a page, which `as_cursor` converts."""
    return _cursor(after, "after", as_cursor), _cursor(before, "before", as_cursor)


def unknown_cursor(param: str, cursor: str) -> InvalidRequest:
    """Create the error for a cursor that is not an object of this list."""
    message = f"Invalid '{param}': '{excerpt(cursor)}'. Expected the ID of an object in this list."
    return InvalidRequest(message, param=param, code="invalid_value")


def unknown_event_cursor(cursor: str) -> InvalidRequest:
    """Create the error for a cursor that is not of an event of this list, in this history of the database."""
    message = f"Invalid 'after': '{excerpt(cursor)}'. Expected the cursor of an event of this list."
    return InvalidRequest(message, param="after", code="invalid_value")


def unknown_place(param: str, cursor: str) -> InvalidRequest:
    """Create the error for a cursor after which no follower of this thread can begin."""
    expected = "Expected '0', the cursor of an event of this thread, or the ID of a message of it."
    return InvalidRequest(f"Invalid '{param}': '{excerpt(cursor)}'. {expected}", param=param, code="invalid_value")


def _cursor(value: str | None, param: str, as_cursor: Callable[[str], str | None]) -> str | None:
    if value is None:
        return None
    cursor = as_cursor(value)
    if cursor is None:
        raise unknown_cursor(param, value)
    return cursor


def _number(text: str) -> int | str:
    # int() alone also accepts "1_0", " 5 " and digits of other scripts; the length bounds its cost.
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 30 else text  # noqa: PLR2004


def _limit(value: int | str, param: str, at_least: int = 1) -> int:
    return validate.an_integer(value, param, at_least=at_least, at_most=MAX_LIMIT)
