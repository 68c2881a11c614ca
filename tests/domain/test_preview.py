from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.domain.message import plain_text
from gateway.domain.preview import preview_of
from gateway.domain.wire import dump
from tests.make import EVERY_PART, text_part

FAMILY, FLAG, THUMB = "👨‍👩‍👧", "🇩🇪", "👍🏽"


def preview(*texts: str, length: int = 10) -> str:
    parts = [text_part(each) for each in texts]
    shown = preview_of(dump(parts), None, length)
    assert preview_of(dump(parts), plain_text(parts), length) == shown
    return shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("short", "short"),
        ("0123456789", "0123456789"),
        ("0123456789a", "0123456789…"),
        (" a\n\n b\t c ", "a b c"),
        ("012345678 and", "012345678…"),
        ("", ""),
        (f"0123456{FAMILY} x", "0123456…"),
        (f"012345678{FLAG}", "012345678…"),
        (f"{FLAG * 6}", f"{FLAG * 5}…"),
        (f"012345678{THUMB}", "012345678…"),
        ("012345678e\u0301", "012345678…"),
        ("e" + "\u0301" * 20, "e" + "\u0301" * 9 + "…"),
        (" " * 30_000 + "late", "…"),
    ],
)
def test_a_preview_is_one_line_cut_between_characters(text: str, expected: str) -> None:
    assert preview(text) == expected


def test_a_preview_is_of_the_first_text_part() -> None:
    assert preview("one", "two") == "one"


def test_a_message_without_a_text_has_an_empty_preview() -> None:
    content = dump([each for each in EVERY_PART if each["type"] != "text"])

    assert preview_of(content, None, 10) == ""


@given(
    st.lists(
        st.text() | st.sampled_from([" ", "\n\t", '"', "\\", "\x01", "\x85", "é", "語", "😀", FAMILY, "word " * 9])
    ),
    st.integers(10, 40),
)
@example([" " * 30_000, "late"], 10)
@example(["x", " " * 300, "late"], 10)
def test_the_beginning_of_a_plain_text_is_enough_for_its_preview(texts: list[str], length: int) -> None:
    preview("".join(texts) * 5, length=length)


@pytest.mark.parametrize("character", ['"', "\\", "\x01", "é", "語", "😀"])
@pytest.mark.parametrize("before", range(13))
def test_a_long_plain_text_is_cut_between_characters_of_json(character: str, before: int) -> None:
    text = "a" * before + character * 500

    assert preview(text) == f"{text[:10]}…"
