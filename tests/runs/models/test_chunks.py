"""The stream of a model: whatever odd things an endpoint sends, and wherever the network cuts it."""

from __future__ import annotations

import codecs
import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.runs.models.chunks import LONGEST_EVENT, MOST_CALLS, MOST_CHARACTERS, ChunkReader
from gateway.runs.models.interface import (
    FailureCode,
    Finished,
    FinishReason,
    ModelFailed,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from tests.runs.fake_model import DONE, calls, chunk, event, says, usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.runs.fake_model import Script

TEXT: list[dict[str, Any]] = [
    {"content": "Grüße \U0001f642"},
    {"content": None},
    {"content": ' "quoted"\n\u2028'},
    {"refusal": " no"},
]


def bytes_of(script: Script) -> bytes:
    return b"".join(piece for piece in script.pieces if isinstance(piece, bytes))


def read(*pieces: bytes, most_tokens: int | None = None) -> tuple[str, list[tuple[str, str, str]], Finished]:
    """Read a stream: the text, each call with its id, name and arguments, and the end."""
    reader, text = ChunkReader(most_tokens), ""
    made: dict[int, tuple[str, str, str]] = {}
    for piece in pieces:
        for each in reader.feed(piece):
            if isinstance(each, TextDelta):
                assert each.text
                text += each.text
            elif each.index not in made:
                assert each.id
                assert each.index == len(made)
                made[each.index] = (each.id, each.name or "", each.arguments)
            else:
                assert (each.id, each.name) == (None, None)
                call_id, name, arguments = made[each.index]
                made[each.index] = (call_id, name, arguments + each.arguments)
    return text, list(made.values()), reader.finish()


def failure(*pieces: bytes) -> ModelFailed:
    with pytest.raises(ModelFailed) as failed:
        read(*pieces)
    return failed.value


def call(index: int | None, **function: Any) -> bytes:
    call_id = function.pop("call_id", None)
    place = {} if index is None else {"index": index}
    return chunk({"tool_calls": [{**place, "id": call_id, "function": function}]})


def cut(stream: bytes, places: Iterable[int]) -> Sequence[bytes]:
    ends = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[begin:end] for begin, end in pairwise(ends)]


def test_a_text_is_read_with_its_end_and_usage() -> None:
    text, made, finished = read(bytes_of(says("Hello", ", ", "world")))

    assert (text, made) == ("Hello, world", [])
    assert finished == Finished(FinishReason.STOP, Usage(11, 7))


def test_calls_are_read_with_their_arguments() -> None:
    _, made, finished = read(bytes_of(calls(("weather", '{"city":"Paris"}'), ("time", "{}"))))

    assert made == [("call_0", "weather", '{"city":"Paris"}'), ("call_1", "time", "{}")]
    assert finished.reason is FinishReason.TOOL_CALLS


@given(st.lists(st.integers(0, 10_000), max_size=12), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_a_stream_reads_the_same_wherever_it_is_cut(places: list[int], line_end: bytes) -> None:
    whole = b": comment\n\n" + b"".join(chunk(delta) for delta in TEXT) + bytes_of(calls(("f", '{"a":"ü"}')))
    stream = whole.replace(b"\n", line_end)

    assert read(*cut(stream, places)) == read(whole)
    assert read(whole)[0] == 'Grüße \U0001f642 "quoted"\n\u2028 no'


def test_what_comes_together_is_one_delta() -> None:
    reader = ChunkReader()

    made = reader.feed(
        chunk({"content": "a"})
        + chunk({"content": "b"})
        + call(0, call_id="c", name="f", arguments="")
        + chunk({"content": "d"})
    )

    assert made == [TextDelta("ab"), ToolCallDelta(0, "c", "f"), TextDelta("d")]


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(b": ping\n\n: OPENROUTER PROCESSING\n\n", id="comments"),
        pytest.param(event({"choices": [], "prompt_filter_results": []}), id="no choices"),
        pytest.param(event({"choices": None}), id="null choices"),
        pytest.param(event({"choices": [None]}), id="a null choice"),
        pytest.param(event({"choices": [{"delta": None, "finish_reason": None}]}), id="a null delta"),
        pytest.param(chunk({"content": None, "tool_calls": None, "refusal": None}), id="null content"),
        pytest.param(chunk({"content": [{"type": "thinking"}], "reasoning_content": "Hm"}), id="content of parts"),
        pytest.param(event({"usage": None}), id="null usage"),
        pytest.param(b"event: message\nid: 1\nretry: 5\nunknown\n\n\n\n", id="other fields"),
        pytest.param(b"data:" + chunk({"content": ""})[6:], id="no space"),
        pytest.param(b"data: {\ndata: }\n\n", id="data in two lines"),
    ],
)
def test_odd_events_change_nothing(odd: bytes) -> None:
    plain = [chunk({"content": "a"}), chunk({"content": "b"}), chunk({}, "stop")]

    assert read(odd, plain[0], odd, plain[1], odd, plain[2], odd, DONE)[0] == "ab"


@pytest.mark.parametrize(
    ("reason", "wanted"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("max_tokens", FinishReason.LENGTH),
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("tool_calls", FinishReason.STOP),  # there was none
        ("eos", FinishReason.STOP),
    ],
)
def test_each_reason_to_finish_is_known(reason: str, wanted: FinishReason) -> None:
    assert read(bytes_of(says("a", reason=reason)))[2].reason is wanted


def test_the_reason_stop_after_calls_means_calls() -> None:
    assert read(call(0, call_id="c", name="f", arguments="{}"), chunk({}, "stop"))[2].reason is FinishReason.TOOL_CALLS


def test_a_stream_without_usage_or_done_is_whole_once_its_reason_has_come() -> None:
    assert read(chunk({"content": "a"}), chunk({}, "stop")) == ("a", [], Finished(FinishReason.STOP))


def test_a_stream_without_a_reason_is_whole_once_it_is_done() -> None:
    assert read(chunk({"content": "a"}), DONE)[2].reason is FinishReason.STOP


def test_a_stream_that_ends_early_is_a_failure() -> None:
    assert failure(chunk({"content": "a"})).code is FailureCode.SERVER_ERROR
    assert failure().message == "The model's answer ended before it was finished."


def test_details_of_the_usage_are_read_and_nonsense_is_not() -> None:
    details = {"prompt_tokens_details": {"cached_tokens": 3}, "completion_tokens_details": {"reasoning_tokens": 4}}

    counted = event({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": "many", **details}})

    assert read(counted, DONE)[2].usage == Usage(5, 0, 3, 4)


def test_the_last_usage_counts_where_each_chunk_has_one() -> None:
    assert read(usage(1, 1), usage(1, 2), DONE)[2].usage == Usage(1, 2)


def test_calls_of_one_index_differ_by_their_ids() -> None:
    made = read(call(0, call_id="a", name="f", arguments="{}"), call(0, call_id="b", name="g", arguments="{}"), DONE)[1]

    assert made == [("a", "f", "{}"), ("b", "g", "{}")]


@pytest.mark.parametrize("given", ["call_same", "call_" + "x" * 200])
def test_each_call_has_a_short_id_of_its_own_whatever_the_endpoint_gives(given: str) -> None:
    made = [{"index": n, "id": given, "function": {"name": "f", "arguments": "{}"}} for n in range(2)]

    _, named, _ = read(chunk({"tool_calls": made}), chunk({}, "tool_calls"), DONE)

    ids = [call_id for call_id, *_ in named]
    assert len(set(ids)) == 2
    assert max(map(len, ids)) <= 128


def test_the_name_of_a_function_may_come_later() -> None:
    first, later = {"index": 0, "id": "call_a"}, {"index": 0, "function": {"name": "f"}}
    arguments = {"index": 0, "function": {"name": "f", "arguments": "{}"}}
    reader = ChunkReader()

    made = reader.feed(b"".join(chunk({"tool_calls": [each]}) for each in (first, later, arguments)))

    assert made == [ToolCallDelta(0, "call_a"), ToolCallDelta(0, name="f"), ToolCallDelta(0, arguments="{}")]


def test_a_function_without_a_name_is_a_failure() -> None:
    with pytest.raises(ModelFailed, match="without its name"):
        read(chunk({"tool_calls": [{"index": 0, "id": "call_a", "function": {"arguments": "{}"}}]}), DONE)


def test_broken_arguments_are_handed_on_as_they_are() -> None:
    broken = [{"index": 0, "id": "call_a", "function": {"name": "f", "arguments": '{"city": '}}]

    assert read(chunk({"tool_calls": broken}), chunk({}, "tool_calls"))[1] == [("call_a", "f", '{"city": ')]


def test_a_text_in_parts_is_read() -> None:
    parts = [
        {"type": "text", "text": "Hi "},
        {"type": "thinking", "thinking": []},
        None,
        {"type": "text", "text": "you"},
    ]

    assert read(chunk({"content": parts}), chunk({}, "stop"))[0] == "Hi you"


def test_a_mark_of_the_byte_order_is_passed_over() -> None:
    assert read(codecs.BOM_UTF8 + chunk({"content": "Hi"}), chunk({}, "stop"))[0] == "Hi"


def test_calls_without_index_and_id_get_them() -> None:
    both = {
        "tool_calls": [
            {"function": {"name": "f", "arguments": {"a": 1}}},
            {"function": {"name": "g", "arguments": None}},
        ]
    }

    made = read(chunk(both), DONE)[1]

    assert [(name, arguments) for _, name, arguments in made] == [("f", '{"a":1}'), ("g", "")]
    assert len({call_id for call_id, _, _ in made}) == 2


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        ({"message": "secret", "type": "server_error"}, FailureCode.SERVER_ERROR, "The model's endpoint failed."),
        ({"message": "secret", "code": 500}, FailureCode.SERVER_ERROR, "The model's endpoint failed."),
        ("secret", FailureCode.SERVER_ERROR, "The model's endpoint failed."),
        (
            {"code": "rate_limit_exceeded"},
            FailureCode.RATE_LIMIT_EXCEEDED,
            "The model's endpoint limits the rate of its calls.",
        ),
        ({"code": 429}, FailureCode.RATE_LIMIT_EXCEEDED, "The model's endpoint limits the rate of its calls."),
        ({"message": "Too long.", "code": "context_length_exceeded"}, FailureCode.INVALID_PROMPT, "Too long."),
    ],
)
def test_an_error_in_the_middle_is_a_failure(error: object, code: FailureCode, message: str) -> None:
    failed = failure(chunk({"content": "a"}), event({"error": error}))

    assert (failed.code, failed.message) == (code, message)


def test_an_error_event_needs_no_nesting() -> None:
    assert failure(b'event: error\ndata: {"message": "Too long.", "code": "invalid_prompt"}\n\n').message == "Too long."


@pytest.mark.parametrize(
    "nonsense",
    [
        b"data: {\n\n",
        b"data: []\n\n",
        b"data: null\n\n",
        b"data: " + b"[" * 200_000 + b"\n\n",
        b"data: " + b"x" * LONGEST_EVENT + b"y",
        b"<html>\n" + b"data: <\n\n",
    ],
)
def test_nonsense_is_a_failure(nonsense: bytes) -> None:
    assert failure(nonsense).code is FailureCode.SERVER_ERROR


def test_half_a_character_is_replaced() -> None:
    half = json.dumps("a\ud83d b").encode()
    stream = b'data: {"choices":[{"delta":{"content":' + half + b"}}]}\n\n"

    assert read(stream, DONE)[0] == "a\ufffd b"
    assert read(b'data: {"choices":[{"delta":{"content":"a\xff b"}}]}\n\n', DONE)[0] == "a\ufffd b"


def test_an_answer_ends_where_a_message_would_be_too_long() -> None:
    text, _, finished = read(
        chunk({"content": "a" * (MOST_CHARACTERS - 1)}), chunk({"content": "bcd"}), chunk({"content": "e"})
    )

    assert (len(text), text[-1]) == (MOST_CHARACTERS, "b")
    assert finished.reason is FinishReason.LENGTH


def test_a_limit_of_tokens_holds_where_the_endpoint_ignores_it() -> None:
    text, _, finished = read(*(chunk({"content": letter}) for letter in "abcdef"), DONE, most_tokens=3)

    assert (text, finished.reason) == ("abc", FinishReason.LENGTH)


def test_the_number_of_calls_is_bounded() -> None:
    assert failure(*(call(n, call_id=f"c{n}", name="f", arguments="") for n in range(MOST_CALLS + 1)))
