from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import ids, parse_page
from gateway.domain.page import Order, PageRequest
from gateway.errors import InvalidRequest

A, B = "msg_a", "msg_b"
NOTHING: dict[str, Any] = dict.fromkeys(("limit", "first", "last", "after", "before"))
NUMBERS = st.none() | st.integers(-1, 102) | st.integers(-(2**31), 2**31 - 1)
NAMES = st.sampled_from(["limit", "order", "after", "before", "run_id", "x"])
VALUES = st.sampled_from(["5", "0", "asc", "desc", A, B])
CURSORS = st.none() | st.text(max_size=9) | st.sampled_from([A, B, "msg_", "thread_a"])


def _from_arguments(order: Order = Order.DESC, **given: Any) -> PageRequest:
    return parse_page.from_arguments(ids.as_message_id, order=order, **(NOTHING | given))


@pytest.mark.parametrize(
    ("given", "page"),
    [
        pytest.param({}, PageRequest(20), id="nothing"),
        pytest.param({"first": 5}, PageRequest(5), id="first"),
        pytest.param({"last": 5}, PageRequest(5, from_end=True), id="last"),
        pytest.param({"limit": 5}, PageRequest(5), id="limit"),
        pytest.param({"limit": 5, "after": A}, PageRequest(5, after=A), id="limit after"),
        pytest.param({"limit": 5, "before": A}, PageRequest(5, before=A, from_end=True), id="limit before: next to it"),
        pytest.param({"before": A}, PageRequest(20, before=A, from_end=True), id="before alone: next to it"),
        pytest.param({"limit": 5, "after": A, "before": B}, PageRequest(5, after=A, before=B), id="limit between"),
        pytest.param({"first": 5, "before": A}, PageRequest(5, before=A), id="first before: from the start"),
        pytest.param({"last": 5, "after": A}, PageRequest(5, after=A, from_end=True), id="last after: from the end"),
        pytest.param({"first": 0, "order": Order.ASC}, PageRequest(0, Order.ASC), id="least"),
        pytest.param({"last": 0}, PageRequest(0, from_end=True), id="least from the end"),
        pytest.param({"first": 100}, PageRequest(100), id="most"),
    ],
)
def test_arguments_of_graphql_are_one_page_request(given: dict[str, Any], page: PageRequest) -> None:
    assert _from_arguments(**given) == page


@pytest.mark.parametrize(
    ("given", "param"),
    [
        pytest.param({"first": 1, "last": 1}, "last", id="first and last"),
        pytest.param({"limit": 1, "first": 1}, "first", id="limit and first"),
        pytest.param({"limit": 1, "first": 1, "last": 1}, "first", id="all three"),
        pytest.param({"limit": 0}, "limit", id="limit 0"),
        pytest.param({"first": -1}, "first", id="first -1"),
        pytest.param({"last": -1}, "last", id="last -1"),
        pytest.param({"limit": 101}, "limit", id="limit 101"),
        pytest.param({"after": ""}, "after", id="after nothing"),
        pytest.param({"before": "thread_a"}, "before", id="before an id of another kind"),
    ],
)
def test_the_argument_that_is_wrong_is_named(given: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        _from_arguments(**given)

    assert refused.value.param == param


@given(limit=NUMBERS, first=NUMBERS, last=NUMBERS, after=CURSORS, before=CURSORS)
def test_any_arguments_are_a_page_within_bounds_or_refused(**given: Any) -> None:
    try:
        page = _from_arguments(**given)
    except InvalidRequest:
        return

    assert 0 <= page.limit <= 100
    assert (page.after, page.before) == (given["after"], given["before"])


@given(pairs=st.lists(st.tuples(NAMES, st.text() | VALUES), max_size=6))
def test_any_query_string_is_a_page_within_bounds_or_refused(pairs: list[tuple[str, str]]) -> None:
    try:
        query = parse_page.query_parameters(pairs)
        page = parse_page.from_query(query, ids.as_message_id)
    except InvalidRequest:
        return

    assert 1 <= page.limit <= 100
    assert dict(page.cursors()).items() <= query.items()


@given(limit=st.integers(1, 100))
def test_every_limit_within_bounds_is_read_from_a_query_string(limit: int) -> None:
    assert parse_page.from_query({"limit": str(limit)}, ids.as_message_id).limit == limit
