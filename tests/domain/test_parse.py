from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import parse
from gateway.domain.ids import MessageId, ThreadId
from gateway.domain.message import Message, Role, Status
from gateway.domain.unset import UNSET
from gateway.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
)
KEYS = st.sampled_from(
    [
        *("role", "content", "attachments", "metadata", "messages", "tool_resources", "type", "text", "image_url"),
        *("image_file", "url", "detail", "file_id", "tools", "code_interpreter", "file_search", "file_ids"),
        *("vector_store_ids", "vector_stores", "run_id", "assistant_id"),
    ]
)
WORDS = st.sampled_from(["user", "assistant", "text", "image_url", "image_file", "auto", "https://example.org/a.png"])
JSON = st.recursive(
    SCALARS | WORDS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.dictionaries(st.text(max_size=70), inner, max_size=4)
    ),
    max_leaves=8,
)


def _either(right: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Give mostly what is right, and now and then anything."""
    return st.integers(0, 15).flatmap(lambda n: right if n else JSON)


METADATA = _either(st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=17))
FILE_IDS = _either(st.lists(st.text(max_size=3), max_size=3))
TOOLS = [{"type": "file_search"}, {"type": "code_interpreter"}]
PARTS = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": _either(st.text())}),
    st.fixed_dictionaries(
        {
            "type": st.just("image_url"),
            "image_url": st.fixed_dictionaries(
                {"url": _either(WORDS | st.text().map("http://".__add__))},
                optional={"detail": _either(st.just("low"))},
            ),
        }
    ),
    st.fixed_dictionaries(
        {"type": st.just("image_file"), "image_file": _either(st.fixed_dictionaries({"file_id": WORDS}))}
    ),
)
MESSAGES = st.fixed_dictionaries(
    {"role": _either(st.just("user")), "content": _either(st.lists(_either(PARTS), max_size=3) | st.text())},
    optional={
        "metadata": METADATA,
        "attachments": _either(
            st.lists(
                st.fixed_dictionaries(
                    {
                        "file_id": WORDS,
                        "tools": _either(st.just([{"type": "file_search"}, {"type": "code_interpreter"}])),
                    }
                ),
                max_size=2,
            )
        ),
    },
)
RESOURCES = _either(
    st.fixed_dictionaries(
        {},
        optional={
            "code_interpreter": _either(st.fixed_dictionaries({}, optional={"file_ids": FILE_IDS})),
            "file_search": _either(
                st.fixed_dictionaries({}, optional={"vector_store_ids": FILE_IDS, "vector_stores": JSON})
            ),
        },
    )
)
THREADS = st.fixed_dictionaries(
    {},
    optional={"messages": _either(st.lists(MESSAGES, max_size=2)), "tool_resources": RESOURCES, "metadata": METADATA},
)
PATCHES = st.fixed_dictionaries({}, optional={"tool_resources": RESOURCES, "metadata": METADATA})
PARSERS = [parse.new_message, parse.new_thread, parse.message_patch, parse.thread_patch]


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.__name__)
@given(body=_either(THREADS | PATCHES | MESSAGES))
def test_any_body_is_parsed_or_refused_as_invalid(parser: Callable[[object], object], body: object) -> None:
    with suppress(InvalidRequest):
        parser(body)


@given(body=MESSAGES)
def test_whatever_is_parsed_as_a_message_can_be_stored_and_read(body: object) -> None:
    try:
        new = parse.new_message(body)
    except InvalidRequest:
        return

    message = _kept(new.content, new.attachments, new.metadata)
    assert len(message.content) == len(new.content) >= 1
    assert len(message.attachments) == len(new.attachments)
    assert message.metadata == new.metadata


def _kept(content: list[dict[str, Any]], attachments: list[dict[str, Any]], metadata: dict[str, str]) -> Message:
    return Message(
        MessageId("msg_a"),
        ThreadId("thread_a"),
        0,
        Role.USER.value,
        Status.COMPLETED.value,
        orjson.dumps(content),
        orjson.dumps(attachments).decode(),
        orjson.dumps(metadata).decode(),
    )


@given(body=THREADS)
def test_whatever_is_parsed_as_a_thread_can_be_stored(body: object) -> None:
    try:
        new = parse.new_thread(body)
    except InvalidRequest:
        return

    assert orjson.loads(orjson.dumps(new.tool_resources)) == new.tool_resources
    assert set(new.tool_resources) <= {"code_interpreter", "file_search"}


@pytest.mark.parametrize("field", ["run_id", "assistant_id"])
def test_only_a_worker_may_name_a_run_or_an_assistant(field: str) -> None:
    body = {"role": "user", "content": "hi", field: "x_1"}

    assert getattr(parse.new_message(body, from_worker=True), field) == "x_1"
    with pytest.raises(InvalidRequest, match=f"Unknown parameter: '{field}'"):
        parse.new_message(body)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param("", id="empty"),
        pytest.param("x" * 129, id="129 characters"),
        pytest.param("a b", id="a blank"),
        pytest.param("a\n", id="a line end"),
        pytest.param("é", id="beyond ASCII"),
        pytest.param("a\0", id="NUL"),
        pytest.param(5, id="a number"),
    ],
)
@pytest.mark.parametrize("field", ["run_id", "assistant_id"])
def test_the_id_of_a_run_or_assistant_is_short_and_printable(field: str, sent: object) -> None:
    message = {"role": "user", "content": "hi", field: sent}

    with pytest.raises(InvalidRequest) as refused:
        parse.new_thread({"messages": [{"role": "user", "content": "hi"}, message]}, from_worker=True)

    assert refused.value.param == f"messages[1].{field}"


def test_the_id_of_a_run_may_have_128_characters() -> None:
    assert parse.reference("x" * 128, "run_id") == "x" * 128


@pytest.mark.parametrize("body", [{}, {"metadata": None, "tool_resources": None}], ids=["absent", "null"])
def test_a_patch_keeps_fields_that_it_does_not_set(body: object) -> None:
    patch = parse.thread_patch(body)

    assert (patch.metadata, patch.tool_resources) == (UNSET, UNSET)


def test_a_patch_may_remove_more_keys_than_an_object_may_have() -> None:
    keys = dict.fromkeys(map(str, range(100)))

    assert parse.message_patch({"metadata": keys}).metadata == keys
