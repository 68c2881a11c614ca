from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gateway.domain import ids
from gateway.errors import InvalidRequest, NotFound, excerpt

if TYPE_CHECKING:
    from collections.abc import Callable

PARSERS = [pytest.param("thread", ids.thread_id, id="thread"), pytest.param("msg", ids.message_id, id="message")]
TAKERS = [
    pytest.param("thread_", ids.as_thread_id, id="thread"),
    pytest.param("msg_", ids.as_message_id, id="message"),
]


@pytest.mark.parametrize(
    ("make", "take"),
    [
        pytest.param(ids.new_thread_id, ids.as_thread_id, id="thread"),
        pytest.param(ids.new_message_id, ids.as_message_id, id="message"),
    ],
)
def test_made_ids_are_ids_and_differ(make: Callable[[], str], take: Callable[[str], str | None]) -> None:
    made = {make() for _ in range(1_000)}

    assert len(made) == 1_000
    assert {take(each) for each in made} == made


@pytest.mark.parametrize(("prefix", "take"), TAKERS)
@pytest.mark.parametrize(
    "rest",
    [
        pytest.param("a", id="one character"),
        pytest.param("a" * 120, id="120 characters"),
        pytest.param("0-9_az-AZ", id="dashes and underlines"),
    ],
)
def test_an_imported_id_may_be_longer_or_shorter_than_a_generated_one(
    prefix: str, take: Callable[[str], str | None], rest: str
) -> None:
    assert take(prefix + rest) == prefix + rest


@pytest.mark.parametrize(("prefix", "take"), TAKERS)
@pytest.mark.parametrize(
    "rest",
    [
        pytest.param("", id="nothing"),
        pytest.param("a" * 121, id="121 characters"),
        pytest.param("a\n", id="a line end"),
        pytest.param("a\0", id="NUL"),
        pytest.param("é", id="a letter beyond ASCII"),
        pytest.param("٣", id="a digit beyond ASCII"),
        pytest.param("a/b", id="a slash"),
        pytest.param("a b", id="a blank"),
    ],
)
def test_text_of_another_form_is_no_id(prefix: str, take: Callable[[str], str | None], rest: str) -> None:
    assert take(prefix + rest) is None


def test_a_thread_id_is_not_a_message_id() -> None:
    assert ids.as_message_id(ids.new_thread_id()) is None
    assert ids.as_thread_id(ids.new_message_id()) is None


@pytest.mark.parametrize(("prefix", "parse"), PARSERS)
@given(text=st.text())
@example(text="0" * 200)
def test_any_text_without_the_prefix_is_refused(prefix: str, parse: Callable[[str], str], text: str) -> None:
    assume(not text.startswith(prefix))

    with pytest.raises(InvalidRequest) as refused:
        parse(text)

    assert f"'{excerpt(text)}'. Expected an ID that begins with '{prefix}'." in refused.value.message


@pytest.mark.parametrize(("prefix", "parse"), PARSERS)
@given(text=st.text(max_size=150))
def test_any_text_with_the_prefix_is_an_id_or_not_found(prefix: str, parse: Callable[[str], str], text: str) -> None:
    taken = ids.as_thread_id(prefix + text) or ids.as_message_id(prefix + text)

    if taken is None:
        with pytest.raises(NotFound):
            parse(prefix + text)
    else:
        assert parse(prefix + text) == taken
