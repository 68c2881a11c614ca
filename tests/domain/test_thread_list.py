from __future__ import annotations

import pytest

from gateway.domain.page import PageRequest
from gateway.domain.thread_list import MetadataMatch, OrderBy, Selection, checked, from_query, new_filter, parse_time
from gateway.errors import InvalidRequest


def test_a_filter_has_four_conditions() -> None:
    assert len(new_filter([MetadataMatch("k", ("v",))] * 4).metadata) == 4


def test_a_filter_with_five_conditions_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="maximum length 4"):
        new_filter([MetadataMatch("k", ("v",))] * 5)


def test_a_condition_has_ten_values() -> None:
    assert checked(MetadataMatch("k", ("v",) * 10), "key", "values").values == ("v",) * 10


def test_a_condition_with_eleven_values_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="maximum length 10"):
        checked(MetadataMatch("k", ("v",) * 11), "key", "values")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", 1_000),
        ("1970-01-01T00:00:01.250Z", 1_250),
        ("1970-01-01T00:00:01.2509999999Z", 1_250),
        ("1970-01-01t00:00:01z", 1_000),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:04:16.229Z", 256_229),  # a thousandth less where floats are multiplied
        ("9999-12-31T23:59:59-23:59", 253_402_387_139_000),
    ],
)
def test_a_time_is_read_in_milliseconds(text: str, expected: int) -> None:
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "1970-01-01T00:00:00",
        "1970-01-01T00:00Z",
        "1970-01-01T00:00:00+0100",
        "19700101T000000Z",
        "1970-W01-4T00:00:00Z",
        "1970-01-01T00:00:00Z\n",
        "1970-01-01T00:00:00+24:00",
        "1970-02-30T00:00:00Z",
        "now",
        "",
        "5",
    ],
)
def test_a_text_that_is_no_time_with_an_offset_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_time(text)


@pytest.mark.parametrize("seconds", ["0", "5"])
def test_bounds_of_times_are_exclusive(seconds: str) -> None:
    _, selected = from_query([("created_after", seconds), ("active_before", seconds)])
    values = selected.only.values if selected.only else {}

    assert values["created_least"] == int(seconds) + 1
    assert values["active_most"] == 1_000 * int(seconds) - 1


def test_a_list_by_activity_of_all_threads_has_bounds_of_both_sides() -> None:
    _, values = Selection(OrderBy.ACTIVITY).located(PageRequest(limit=20))

    assert {"active_least", "active_most"} <= set(values)  # without them PostgreSQL reads thirty times as long
