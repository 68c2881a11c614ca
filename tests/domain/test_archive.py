from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import archive, wire
from gateway.domain.message import Message
from gateway.domain.thread import Thread
from gateway.errors import InvalidRequest
from tests.exports import a_message, a_text, a_thread

CITATION = {
    "type": "file_citation",
    "text": "【4:0†a.pdf】",
    "start_index": 3,
    "end_index": 15,
    "file_citation": {"file_id": "file-abc"},
}
QUOTED = {**CITATION, "file_citation": {"file_id": "file-abc", "quote": "it says"}}
PATH = {
    "type": "file_path",
    "text": "sandbox:/mnt/data/a.csv",
    "start_index": 0,
    "end_index": 23,
    "file_path": {"file_id": "file-abc"},
}
WEB = {
    "type": "url_citation",
    "text": "[1]",
    "start_index": 4,
    "end_index": 7,
    "url_citation": {"url": "https://example.com/a", "title": "A"},
}
NOWHERE = {"type": "file_citation", "text": "[1]", "file_citation": {"file_id": "file-abc"}}
URL = {"url": "https://example.org/a.png", "detail": "auto"}


def again(value: dict[str, Any]) -> Any:
    """Read an object and serialize it as an export does."""
    found = archive.read(value)
    assert isinstance(found, Thread | Message)
    return orjson.loads(wire.dump(wire.thread(found) if isinstance(found, Thread) else wire.message(found)))


def test_a_thread_is_returned_unchanged() -> None:
    thread = a_thread(
        "thread_AbcDEF012",
        created_at=1,
        metadata={"user": "é", "empty": ""},
        tool_resources={"code_interpreter": {"file_ids": ["file-1"]}, "file_search": {"vector_store_ids": ["vs_1"]}},
    )

    assert again(thread) == thread


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(a_text("hello"), id="text"),
        pytest.param(a_text(""), id="empty text"),
        pytest.param(a_text("nul \x00, line\u2028, 🙂"), id="odd characters"),
        pytest.param(a_text("x", CITATION), id="citation"),
        pytest.param(a_text("x", QUOTED), id="citation with its quote"),
        pytest.param(a_text("x", PATH), id="file path"),
        pytest.param(a_text("x", PATH, CITATION, PATH), id="several annotations"),
        pytest.param(a_text("x", WEB), id="citation of the web"),
        pytest.param(
            a_text("x", {**WEB, "url_citation": {"url": "https://a"}}), id="citation of the web without title"
        ),
        pytest.param(a_text("x", NOWHERE), id="citation without a place"),
        pytest.param(a_text("x", {**NOWHERE, "start_index": None, "end_index": None}), id="citation with nulls"),
        pytest.param(
            a_text("x", {**WEB, "start_index": None, "url_citation": {"url": "https://a", "title": None}}),
            id="citation of the web with nulls",
        ),
        pytest.param({"type": "image_file", "image_file": {"file_id": "file-1", "detail": None}}, id="no detail"),
        pytest.param({"type": "image_url", "image_url": {**URL, "detail": None}}, id="no detail of an address"),
        pytest.param({"type": "image_file", "image_file": {"file_id": "file-1"}}, id="image file"),
        pytest.param({"type": "image_file", "image_file": {"file_id": "file-1", "detail": "low"}}, id="image file low"),
        pytest.param({"type": "image_url", "image_url": URL}, id="image address"),
        pytest.param({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}, id="image data"),
        pytest.param({"type": "refusal", "refusal": "I cannot help with that."}, id="refusal"),
        pytest.param({**a_text("x"), "later": {"made": ["up"]}}, id="a key that nobody knows yet"),
    ],
)
def test_a_part_is_returned_unchanged(part: dict[str, Any]) -> None:
    assert again(a_message(content=[part, part]))["content"] == [part, part]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("assistant_id", "asst_1", id="assistant"),
        pytest.param("run_id", "run_1", id="run"),
        pytest.param("role", "assistant", id="role"),
        pytest.param("metadata", {str(key): "v" for key in range(17)}, id="more metadata than may be made today"),
        pytest.param("metadata", {"long": "x" * 600}, id="longer metadata than may be made today"),
        pytest.param("content", [], id="no content"),
        pytest.param("attachments", [{"file_id": "file-1", "tools": []}], id="attachment without tools"),
        pytest.param("attachments", [{"file_id": None, "tools": None}], id="attachment of nulls"),
        pytest.param("attachments", [{"file_id": "file-1"}], id="attachment that says nothing of tools"),
        pytest.param(
            "attachments",
            [{"data_source": {"type": "uri_asset", "uri": "azureml://a"}, "tools": [{"type": "file_search"}]}],
            id="attachment from another source",
        ),
        pytest.param(
            "attachments",
            [{"file_id": "file-1", "tools": [{"type": "file_search"}, {"type": "code_interpreter"}]}] * 2,
            id="the same attachment twice",
        ),
    ],
)
def test_a_field_of_a_message_is_returned_unchanged(field: str, value: object) -> None:
    assert again(a_message(**{field: value}))[field] == value


def test_a_message_without_a_status_was_complete_when_it_was_made() -> None:
    message = again(a_message(created_at=7))

    assert (message["status"], message["completed_at"]) == ("completed", 7)


def test_a_message_without_a_status_keeps_the_time_of_its_completion() -> None:
    assert again(a_message(created_at=7, completed_at=9))["completed_at"] == 9


def test_an_incomplete_message_stays_incomplete() -> None:
    facts = {
        "status": "incomplete",
        "incomplete_details": {"reason": "max_tokens"},
        "incomplete_at": 9,
        "completed_at": None,
    }

    assert facts.items() <= again(a_message(**facts)).items()


@pytest.mark.parametrize("field", ["attachments", "metadata", "assistant_id", "run_id"])
@pytest.mark.parametrize("form", ["null", "absent"])
def test_a_field_of_a_message_may_be_missing(field: str, form: str) -> None:
    message = a_message(**{field: None})
    if form == "absent":
        del message[field]

    assert again(message)[field] == a_message()[field]


@pytest.mark.parametrize("field", ["metadata", "tool_resources"])
def test_a_field_of_a_thread_that_is_null_is_empty(field: str) -> None:
    assert again(a_thread(**{field: None}))[field] == {}


@pytest.mark.parametrize("nothing", [None, [], {}, ""])
def test_an_empty_unknown_field_is_dropped(nothing: object) -> None:
    assert again(a_message(file_ids=nothing)).keys() == again(a_message()).keys()


@pytest.mark.parametrize("something", [0, False, ["file-1"], {"a": None}, "x", [None]])
@pytest.mark.parametrize("make", [a_message, a_thread])
def test_an_unknown_field_with_a_value_is_refused(make: Any, something: object) -> None:
    with pytest.raises(InvalidRequest, match=r"Unknown parameter: 'feeling'\."):
        archive.read(make(feeling=something))


@pytest.mark.parametrize(
    ("fields", "attachments"),
    [
        ({}, [{"file_id": "file-1", "tools": []}, {"file_id": "file-2", "tools": []}]),
        ({"attachments": None}, [{"file_id": "file-1", "tools": []}, {"file_id": "file-2", "tools": []}]),
        (
            {"attachments": [{"file_id": "file-2", "tools": [{"type": "file_search"}]}]},
            [{"file_id": "file-2", "tools": [{"type": "file_search"}]}, {"file_id": "file-1", "tools": []}],
        ),
    ],
    ids=["alone", "beside null", "beside attachments"],
)
def test_files_of_version_1_become_attachments_without_tools(fields: dict[str, Any], attachments: list[Any]) -> None:
    assert again(a_message(file_ids=["file-1", "file-2"], **fields))["attachments"] == attachments


@pytest.mark.parametrize("file_ids", ["file-1", [1], {"a": 1}])
def test_invalid_file_ids_of_version_1_are_refused(file_ids: object) -> None:
    with pytest.raises(InvalidRequest, match="Invalid type for 'file_ids"):
        archive.read(a_message(file_ids=file_ids))


def held_to_bounds(**fields: Any) -> Message:
    found = archive.read(a_message(**fields))
    assert isinstance(found, Message)
    archive.check_bounds(found)
    return found


MANY = [
    pytest.param("content", [a_text("")] * 5_000, [a_text("")], "maximum length 5000", id="parts"),
    pytest.param("content", [a_text("x" * 1_280_000)] * 2, [a_text("x")], "maximum length 2560000", id="text"),
    pytest.param("content", [a_text("x", *[NOWHERE] * 2_000)], None, "maximum length 2000", id="annotations"),
    pytest.param(
        "attachments", [{"file_id": "f"}] * 5_000, [{"file_id": "f"}], "maximum length 5000", id="attachments"
    ),
    pytest.param("attachments", [{"tools": [{"type": "file_search"}] * 20}], None, "maximum length 20,", id="tools"),
]


@pytest.mark.parametrize(("field", "most", "one", "reason"), MANY)
def test_an_imported_message_may_have_ten_times_the_limits_of_a_new_one(
    field: str, most: Any, one: Any, reason: str
) -> None:
    held_to_bounds(**{field: most})
    if one is None:
        [inner] = most
        holder = inner.get("text", inner)
        key = "annotations" if "annotations" in holder else "tools"
        holder[key] = [*holder[key], holder[key][0]]
    else:
        most = most + one

    with pytest.raises(InvalidRequest, match=reason) as refused:
        held_to_bounds(**{field: most})

    assert refused.value.code in archive.LIMIT_CODES
    assert archive.read(a_message(**{field: most}))  # accepted without limits


@pytest.mark.parametrize("owner", ["a\u202eb", "\x85", "x" * 255])
def test_an_exported_owner_of_older_rules_is_imported(owner: str) -> None:
    assert again(a_thread(owner=owner))["owner"] == owner


@pytest.mark.parametrize("owner", ["", "a\nb", "x" * 256])
def test_an_invalid_owner_is_refused(owner: str) -> None:
    with pytest.raises(InvalidRequest, match="Invalid 'owner'"):
        archive.read(a_thread(owner=owner))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(None, "Invalid type: expected an object, but got null", id="null"),
        pytest.param([a_thread()], "Invalid type: expected an object, but got an array", id="array"),
        pytest.param({}, "Missing required parameter: 'object'", id="no object"),
        pytest.param(
            {"object": "list", "data": []},
            "Supported values are: 'thread', 'thread.message', 'thread.run', ",
            id="list",
        ),
        pytest.param({"object": "thread.deleted", "id": "thread_a"}, "Invalid value: 'thread.deleted'", id="deleted"),
        pytest.param(a_thread("msg_a"), "Invalid 'id': 'msg_a'. Expected 'thread_'", id="id of a message"),
        pytest.param(a_thread("thread_" + "a" * 121), "Expected 'thread_' and up to 120", id="long id"),
        pytest.param(a_thread("thread_a\n"), "Expected 'thread_' and up to 120", id="id with a line end"),
        pytest.param(a_thread(created_at=1_700_000_000_000), "Expected a value <= 253402300799", id="milliseconds"),
        pytest.param(a_thread(created_at=-1), "Expected a value >= 0", id="before 1970"),
        pytest.param(a_thread(created_at=1.5), "expected an integer, but got a decimal number", id="fraction"),
        pytest.param(a_thread(created_at="2024-01-01"), "expected an integer, but got a string", id="date"),
        pytest.param(a_thread(created_at=True), "expected an integer, but got a boolean", id="boolean time"),
        pytest.param(a_thread(created_at=None), "expected an integer, but got null", id="no time"),
        pytest.param(a_thread(metadata={"n": 1}), "Invalid type for 'metadata.n'", id="metadata that is a number"),
        pytest.param(a_thread(metadata=[]), "expected a metadata object", id="metadata that is an array"),
        pytest.param(a_thread(tool_resources="x"), "Invalid type for 'tool_resources'", id="tool resources"),
        pytest.param(a_message("thread_a"), "Invalid 'id': 'thread_a'. Expected 'msg_'", id="id of a thread"),
        pytest.param(a_message(thread_id="x"), "Invalid 'thread_id': 'x'", id="thread id"),
        pytest.param(a_message(thread_id=None), "Invalid type for 'thread_id'", id="no thread id"),
        pytest.param(a_message(created_at=1_700_000_000_000), "Invalid 'created_at'", id="milliseconds of a message"),
        pytest.param(a_message(role="system"), "Invalid value: 'system'", id="role"),
        pytest.param(a_message(status="deleted"), "Invalid value: 'deleted'", id="status"),
        pytest.param(a_message(incomplete_details={"reason": "tired"}), "Invalid value: 'tired'", id="reason"),
        pytest.param(a_message(incomplete_details={}), "'incomplete_details.reason'", id="no reason"),
        pytest.param(a_message(completed_at=1_700_000_000_000), "Invalid 'completed_at'", id="completed at"),
        pytest.param(a_message(incomplete_at="x"), "Invalid type for 'incomplete_at'", id="incomplete at"),
        pytest.param(a_message(run_id=""), "Invalid 'run_id'. Expected 1 to 512 characters", id="empty run"),
        pytest.param(a_message(assistant_id="a\x00b"), "Invalid 'assistant_id'", id="assistant with NUL"),
        pytest.param(a_message(run_id=1), "Invalid type for 'run_id'", id="run that is a number"),
        pytest.param(a_message(content="hi"), "Invalid type for 'content': expected an array", id="content of a call"),
        pytest.param(a_message(content=["hi"]), "Invalid type for 'content[0]'", id="part that is a text"),
        pytest.param(a_message(content=[a_text("x"), {"type": "audio"}]), "Invalid value: 'audio'", id="kind of part"),
        pytest.param(a_message(content=[{"type": "text"}]), "'content[0].text'", id="part without what it is"),
        pytest.param(a_message(content=[{"type": "text", "text": "x"}]), "'content[0].text'", id="text of a call"),
        pytest.param(
            a_message(content=[{"type": "text", "text": {"value": "x"}}]),
            "'content[0].text.annotations'",
            id="bare text",
        ),
        pytest.param(
            a_message(content=[a_text("x", {**CITATION, "type": "footnote"})]),
            "Invalid value: 'footnote'",
            id="kind of annotation",
        ),
        pytest.param(
            a_message(content=[a_text("x", {**CITATION, "end_index": 2**31})]),
            "Invalid 'content[0].text.annotations[0].end_index'",
            id="index",
        ),
        pytest.param(
            a_message(content=[a_text("x", {**CITATION, "file_citation": {"file_id": "f", "quote": 1}})]),
            "'content[0].text.annotations[0].file_citation.quote'",
            id="quote",
        ),
        pytest.param(
            a_message(content=[{"type": "image_url", "image_url": {"url": "https://a", "detail": "huge"}}]),
            "Invalid value: 'huge'",
            id="detail",
        ),
        pytest.param(
            a_message(content=[{"type": "image_file", "image_file": {}}]),
            "'content[0].image_file.file_id'",
            id="no file",
        ),
        pytest.param(
            a_message(content=[{"type": "refusal", "refusal": None}]), "'content[0].refusal'", id="no refusal"
        ),
        pytest.param(a_message(attachments=[{"data_source": 1}]), "'attachments[0].data_source'", id="source"),
        pytest.param(
            a_message(content=[a_text("x", {**WEB, "url_citation": {"title": "A"}})]),
            "'content[0].text.annotations[0].url_citation.url'",
            id="no address",
        ),
        pytest.param(
            a_message(attachments=[{"file_id": "f", "tools": [{"type": "hammer"}]}]),
            "Invalid value: 'hammer'",
            id="tool",
        ),
    ],
)
def test_an_invalid_object_is_refused_with_its_reason(value: object, reason: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        archive.read(value)

    assert reason in refused.value.message


@pytest.mark.parametrize("field", ["id", "created_at", "thread_id", "role", "content"])
def test_a_message_without_a_field_that_it_needs_is_refused(field: str) -> None:
    message = a_message()
    del message[field]

    with pytest.raises(InvalidRequest, match=f"Missing required parameter: '{field}'"):
        archive.read(message)


@pytest.mark.parametrize("depth", [300, 1000])
def test_json_that_could_not_be_serialized_again_is_refused(depth: int) -> None:
    deep = orjson.loads("[" * depth + "]" * depth)

    with pytest.raises(InvalidRequest, match="expected at most 128 levels"):
        archive.read(a_message(content=[{**a_text("x"), "deep": deep}]))


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
keys = (
    st.sampled_from([*a_message(), *a_thread(), "type", "text", "value", "annotations", "tools", "file_id"]) | st.text()
)
json = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=20)
messages = st.fixed_dictionaries({}, optional={key: st.just(value) | json for key, value in a_message().items()})
threads = st.fixed_dictionaries({}, optional={key: st.just(value) | json for key, value in a_thread().items()})


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="as it comes from the API"),
        pytest.param({"status": "completed", "completed_at": 9}, id="as we export it"),
        pytest.param({"status": "completed", "completed_at": None}, id="completed, nobody knows when"),
        pytest.param({"completed_at": 9}, id="with a time only"),
        pytest.param({"metadata": {"k": "v"}, "run_id": "run_1", "assistant_id": "asst_1"}, id="of a run"),
        pytest.param({"metadata": None, "attachments": None}, id="nulls"),
        pytest.param({"content": [a_text("x", CITATION, QUOTED), a_text("y")]}, id="citations"),
        pytest.param({"content": []}, id="no content"),
    ],
)
def test_the_fast_parser_returns_the_result_of_the_full_parser(fields: dict[str, Any]) -> None:
    value = a_message(**fields)

    assert archive.read_fast(value) == archive.read_strictly(value)


def _altered(value: Any, where: int, other: object) -> Any:
    """Put something else in one place of a value."""
    places = iter(range(where, -1, -1))

    def walk(inner: Any) -> Any:
        if next(places, None) == 0:
            return other
        if isinstance(inner, dict):
            return {key: walk(each) for key, each in inner.items()}
        return [walk(each) for each in inner] if isinstance(inner, list) else inner

    return walk(value)


messages_nearly_plain = st.builds(
    _altered,
    st.just(a_message(status="completed", content=[a_text("x", QUOTED)], metadata={"k": "v"}, run_id="run_1")),
    st.integers(0, 40),
    scalars | st.just([]) | st.just({}),
)


@given(json | messages | messages_nearly_plain)
def test_the_fast_parser_returns_the_result_of_the_full_parser_or_none(value: object) -> None:
    found = archive.read_fast(value)

    assert found is None or found == archive.read_strictly(value)


@given(json | messages | threads | st.builds(dict.__or__, messages, st.dictionaries(keys, json)))
def test_any_json_value_is_read_or_refused(value: object) -> None:
    try:
        found = archive.read(value)
    except InvalidRequest:
        return

    assert isinstance(found, Thread | Message)


@given(messages | threads)
def test_an_exported_object_is_imported_unchanged(value: object) -> None:
    try:
        found = archive.read(value)
    except InvalidRequest:
        return

    assert isinstance(found, Thread | Message)
    laid_out = wire.thread(found) if isinstance(found, Thread) else wire.message(found)
    assert archive.read(orjson.loads(wire.dump(laid_out))) == found
