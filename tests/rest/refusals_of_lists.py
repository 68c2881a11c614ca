"""The refusals of what is asked of a list: its size, order, cursors and filter."""

from __future__ import annotations

from typing import Final

from tests.rest.refused import NO_MESSAGE, wrong_cursor, wrong_query

_ABOVE: Final = "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got {} instead."
_BELOW: Final = "Invalid 'limit': integer below minimum value. Expected a value >= 1, but got {} instead."
_NO_NUMBER: Final = "Invalid type for 'limit': expected an integer, but got a string instead."
_ORDER: Final = "Invalid value: '{}'. Supported values are: 'asc' and 'desc'."
_TWICE: Final = "Duplicate parameter: '{}'. Expected it at most once."
_RUN: Final = "Invalid 'run_id': '{}'. Expected 1 to 128 printable ASCII characters."

LISTS: Final = [
    *[
        wrong_query(f"limit {sent}", f"limit={sent}", _ABOVE.format(sent), "limit", "integer_above_max_value")
        for sent in ("101", "1000", "9" * 30)
    ],
    *[
        wrong_query(f"limit {sent}", f"limit={sent}", _BELOW.format(sent), "limit", "integer_below_min_value")
        for sent in ("0", "-1")
    ],
    *[
        wrong_query(f"limit {name}", f"limit={sent}", _NO_NUMBER, "limit", "invalid_type")
        for name, sent in (
            ("in words", "ten"),
            ("decimal", "1.5"),
            ("empty", ""),
            ("as Python writes it", "1_0"),
            ("with a blank", "%201"),
            ("with a plus", "%2B5"),
            ("in Arabic digits", "%D9%A3"),
            ("of 5,000 digits", "9" * 5_000),
        )
    ],
    *[
        wrong_query(f"order {sent!r}", f"order={sent}", _ORDER.format(sent), "order", "invalid_value")
        for sent in ("newest", "ASC", "")
    ],
    *[
        wrong_cursor(f"{param} {name}", param, sent)
        for param in ("after", "before")
        for name, sent in (
            ("unknown", NO_MESSAGE),
            ("of another thread", "{foreign}"),
            ("of a thread", "{thread}"),
            ("no id", "undefined"),
            ("empty", ""),
        )
    ],
    *[
        wrong_query(f"{key} twice", f"{key}={one}&{key}={two}", _TWICE.format(key), key, "duplicate_parameter")
        for key, one, two in (
            ("limit", "1", "1"),
            ("order", "asc", "desc"),
            ("after", "{message}", "{message}"),
            ("before", "{message}", "{message}"),
            ("run_id", "run_1", "run_2"),
        )
    ],
    wrong_query("run id empty", "run_id=", _RUN.format(""), "run_id", "invalid_value"),
    wrong_query("run id not printable", "run_id=a%00b", _RUN.format("a\0b"), "run_id", "invalid_value"),
]
