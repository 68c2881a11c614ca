from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import orjson
import pytest

from gateway.transfer import reading
from gateway.transfer.reading import Entry, read_source, size_of
from tests.exports import a_message, a_thread, an_export

if TYPE_CHECKING:
    from pathlib import Path

BOM = b"\xef\xbb\xbf"


def read(path: Path) -> list[Entry]:
    return list(read_source(str(path)))


def lines(tmp_path: Path, content: bytes) -> list[Entry]:
    """Read a file of JSON Lines."""
    file = tmp_path / "file.jsonl"
    file.write_bytes(content)
    return read(file)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        pytest.param(b"", [], id="nothing"),
        pytest.param(b"\n\r\n  \n\t\n", [], id="blank lines"),
        pytest.param(b'{"a":1}\n{"a":2}\n', [("line 1", {"a": 1}), ("line 2", {"a": 2})], id="two lines"),
        pytest.param(b'{"a":1}\n\n{"a":2}\n', [("line 1", {"a": 1}), ("line 3", {"a": 2})], id="blank line between"),
        pytest.param(b'{"a":1}\r\n{"a":2}\r\n', [("line 1", {"a": 1}), ("line 2", {"a": 2})], id="CRLF"),
        pytest.param(b'{"a":1}\n{"a":2}', [("line 1", {"a": 1}), ("line 2", {"a": 2})], id="no newline at the end"),
        pytest.param(BOM + b'{"a":1}\n', [("line 1", {"a": 1})], id="byte order mark"),
        pytest.param(BOM + b"\n", [], id="nothing but a byte order mark"),
        pytest.param(
            b'{"a":1}\n' + BOM + b'{"a":2}\n', [("line 1", {"a": 1}), ("line 2", {"a": 2})], id="files joined"
        ),
        pytest.param('{"a":"é\u2028"}\n'.encode(), [("line 1", {"a": "é\u2028"})], id="a line end only to JavaScript"),
    ],
)
def test_each_line_is_an_object_with_its_number(
    tmp_path: Path, content: bytes, found: list[tuple[str, object]]
) -> None:
    assert [(entry.place, entry.value) for entry in lines(tmp_path, content)] == found


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        pytest.param(b"{", "This is not JSON: unexpected end of data at column 2.", id="cut off"),
        pytest.param(b'{"a":1}{"a":2}', "This is not JSON: unexpected content after document at column 8.", id="two"),
        pytest.param(b'{"a":"\xff"}', "This is not JSON: str is not valid UTF-8", id="not UTF-8"),
        pytest.param(b'{"a":NaN}', "This is not JSON: ", id="no number"),
        pytest.param(b"id;role;text", "This is not JSON: ", id="other format"),
    ],
)
def test_a_line_that_is_not_json_is_a_fault_and_the_next_is_read(tmp_path: Path, line: bytes, fault: str) -> None:
    bad, good = lines(tmp_path, line + b"\n{}\n")

    assert bad.fault is not None
    assert bad.fault.startswith(fault)
    assert (bad.raw, good.place, good.value) == (line, "line 2", {})


@pytest.mark.parametrize("end", [b"\n", b""])
@pytest.mark.parametrize(("length", "is_taken"), [(20, True), (21, False), (39, False), (40, False), (41, False)])
def test_a_line_may_be_so_long_and_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int, end: bytes, *, is_taken: bool
) -> None:
    monkeypatch.setattr(reading, "MAX_LINE", 20)
    line = b'"' + b"x" * (length - 2) + b'"' + end

    [entry] = lines(tmp_path, line)

    assert (entry.fault is None, entry.size) == (is_taken, len(line))


def test_a_line_behind_one_that_is_too_long_has_its_own_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_LINE", 20)

    first, second = lines(tmp_path, b"x" * 100 + b'\n{"a":1}\n')

    assert first.fault == "The line is longer than 20 bytes and is not kept among the rejects either."
    assert (second.place, second.value) == ("line 2", {"a": 1})


def test_sizes_add_up_to_the_file(tmp_path: Path) -> None:
    content = b'{"a":1}\r\n{"a":2}\nno\n' + BOM + b'{"a":3}'

    assert sum(entry.size for entry in lines(tmp_path, content)) == len(content)


def test_standard_input_is_read_where_a_dash_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"a":1}\n')))

    [entry] = read_source("-")

    assert (entry.source, entry.place, entry.value, size_of("-")) == ("-", "line 1", {"a": 1}, None)


@pytest.mark.parametrize("call", [lambda path: list(read_source(path)), size_of])
def test_a_file_that_is_missing_is_an_error(tmp_path: Path, call: object) -> None:
    assert callable(call)

    with pytest.raises(FileNotFoundError):
        call(str(tmp_path / "missing.jsonl"))


def test_an_export_gives_its_thread_and_its_messages(tmp_path: Path) -> None:
    file = tmp_path / "thread_a.json"
    file.write_bytes(BOM + an_export(a_thread(), a_message("msg_1"), a_message("msg_2")))

    assert [(entry.place, entry.value) for entry in read(file)] == [
        ("thread", a_thread()),
        ("messages[0]", a_message("msg_1")),
        ("messages[1]", a_message("msg_2")),
    ]


def test_what_an_export_gives_can_stand_on_a_line(tmp_path: Path) -> None:
    file = tmp_path / "thread_a.json"
    file.write_bytes(an_export(a_thread()))

    assert [entry.raw for entry in read(file)] == [orjson.dumps(a_thread())]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        pytest.param(b"{", "This is not JSON: ", id="cut off"),
        pytest.param(
            b'{}\n{"a":\n1}', "This is not JSON: unexpected content after document at line 2", id="JSON Lines"
        ),
        pytest.param(b"\xff", "This is not JSON: ", id="not UTF-8"),
        pytest.param(b"[]", "Expected 'export_schema' to be 'assistants-thread-export/v1'.", id="array"),
        pytest.param(b"{}", "Expected 'export_schema' to be 'assistants-thread-export/v1'.", id="no schema"),
        pytest.param(
            an_export(a_thread(), export_schema="assistants-thread-export/v2"),
            "Expected 'export_schema' to be 'assistants-thread-export/v1'.",
            id="version",
        ),
        pytest.param(
            orjson.dumps({"export_schema": reading.SCHEMA, "messages": []}),
            "Missing required parameter: 'thread'.",
            id="no thread",
        ),
        pytest.param(
            orjson.dumps({"export_schema": reading.SCHEMA, "thread": None, "messages": None}),
            "Invalid type for 'messages': expected an array",
            id="no messages",
        ),
        pytest.param(an_export(None), "It is null: the thread was not exported.", id="thread that was not found"),
    ],
)
def test_an_export_that_cannot_be_taken_is_a_fault_that_leaves_no_line(
    tmp_path: Path, content: bytes, fault: str
) -> None:
    file = tmp_path / "thread_a.json"
    file.write_bytes(content)

    [entry] = read(file)

    assert entry.fault is not None
    assert entry.fault.startswith(fault)
    assert (entry.source, entry.raw) == (str(file), b"")


def test_a_file_of_json_lines_that_ends_in_json_is_told_how_to_be_named(tmp_path: Path) -> None:
    file = tmp_path / "threads.json"
    file.write_bytes(b"{}\n{}\n")

    [entry] = read(file)

    assert entry.fault is not None
    assert entry.fault.endswith("A file of JSON Lines must not end in .json.")


def test_an_export_may_be_so_large_and_no_larger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "thread_a.json"
    file.write_bytes(an_export(a_thread()))
    monkeypatch.setattr(reading, "MAX_FILE", file.stat().st_size - 1)

    [entry] = read(file)

    assert entry.fault == f"It is larger than {reading.MAX_FILE} bytes."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Lay out a folder as the exporter does."""
    (tmp_path / "threads").mkdir()
    (tmp_path / "manifest.json").write_bytes(b'{"export_schema": "assistants-export-manifest/v1"}')
    (tmp_path / "assistants.json").write_bytes(b'[{"id": "asst_1", "object": "assistant"}]')
    (tmp_path / "threads" / "thread_b.json").write_bytes(an_export(a_thread("thread_b")))
    (tmp_path / "threads" / "thread_a.json").write_bytes(an_export(a_thread("thread_a"), a_message()))
    return tmp_path


def test_of_a_folder_only_the_threads_are_taken(folder: Path) -> None:
    assert [entry.value["id"] for entry in read(folder)] == ["thread_a", "msg_a", "thread_b"]


def test_a_folder_of_nothing_but_threads_is_taken_too(folder: Path) -> None:
    assert [entry.value["id"] for entry in read(folder / "threads")] == ["thread_a", "msg_a", "thread_b"]


def test_sizes_add_up_to_the_threads_of_a_folder(folder: Path) -> None:
    others = sum((folder / name).stat().st_size for name in ("manifest.json", "assistants.json"))

    assert sum(entry.size for entry in read(folder)) == (size_of(str(folder)) or 0) - others


@pytest.mark.parametrize("content", [b'{"export_schema": "assistants-thread-export/v2"}', b"{}", b"[]", b"{"])
def test_among_the_threads_what_is_no_export_is_a_fault(folder: Path, content: bytes) -> None:
    (folder / "threads" / "thread_c.json").write_bytes(content)

    assert [entry.source for entry in read(folder) if entry.fault] == [str(folder / "threads" / "thread_c.json")]


def test_beside_the_threads_an_export_of_another_version_is_a_fault(folder: Path) -> None:
    (folder / "thread_c.json").write_bytes(an_export(a_thread(), export_schema="assistants-thread-export/v2"))

    assert [entry.source for entry in read(folder) if entry.fault] == [str(folder / "thread_c.json")]


def test_a_folder_without_any_export_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "threads.jsonl").write_bytes(b"{}\n")

    [entry] = read(tmp_path)

    assert (entry.source, entry.place) == (str(tmp_path), "the folder")
    assert entry.fault is not None
