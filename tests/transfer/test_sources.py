from __future__ import annotations

import gzip
import io
import sys
from itertools import count
from typing import TYPE_CHECKING

import orjson
import pytest

from gateway.domain import bounds
from gateway.transfer import decompress, json_splitter, sources
from gateway.transfer.sources import PROGRESS, Entry, read_source, size_of
from tests.exports import a_message, a_text, a_thread, an_export

if TYPE_CHECKING:
    from pathlib import Path

BOM = b"\xef\xbb\xbf"


def read(path: Path) -> list[Entry]:
    return [entry for entry in read_source(str(path), count(), is_bounded=True) if entry.value is not PROGRESS]


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
        pytest.param(b'{"a"', "Invalid JSON: ", id="cut off"),
        pytest.param(b'{"a":1}{"a":2}', "Invalid JSON: unexpected content after document at column 8.", id="two"),
        pytest.param(b'{"a":"\xff"}', "Invalid JSON: str is not valid UTF-8", id="not UTF-8"),
        pytest.param(b'{"a":NaN}', "Invalid JSON: ", id="no number"),
        pytest.param(b"id;role;text", "Invalid JSON: ", id="other format"),
    ],
)
def test_a_line_that_is_not_json_is_a_fault_and_the_next_is_read(tmp_path: Path, line: bytes, fault: str) -> None:
    bad, good = lines(tmp_path, line + b"\n{}\n")

    assert bad.fault is not None
    assert bad.fault.startswith(fault)
    assert (bad.raw, good.place, good.value) == (line, "line 2", {})


@pytest.mark.parametrize("end", [b"\n", b""])
@pytest.mark.parametrize(("length", "is_taken"), [(20, True), (21, False), (39, False), (40, False), (41, False)])
def test_the_limit_of_a_line_is_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int, end: bytes, *, is_taken: bool
) -> None:
    monkeypatch.setattr(sources, "MAX_LINE", 20)
    line = b'"' + b"x" * (length - 2) + b'"' + end

    [entry] = lines(tmp_path, line)

    assert (entry.fault is None, entry.size) == (is_taken, len(line))


def test_a_line_after_one_that_is_too_long_has_its_own_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_LINE", 20)

    first, second = lines(tmp_path, b"x" * 100 + b'\n{"a":1}\n')

    assert first.fault == "The line is longer than 20 bytes, so it is skipped and not written to the rejects file."
    assert (second.place, second.value) == ("line 2", {"a": 1})


def test_sizes_add_up_to_the_file(tmp_path: Path) -> None:
    content = b'{"a":1}\r\n{"a":2}\nno\n' + BOM + b'{"a":3}'

    assert sum(entry.size for entry in lines(tmp_path, content)) == len(content)


def test_a_dash_reads_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"a":1}\n')))

    [entry] = read_source("-", count(), is_bounded=True)

    assert (entry.origin.source, entry.place, entry.value, size_of("-")) == ("-", "line 1", {"a": 1}, None)


def test_a_missing_file_is_an_entry_with_its_fault_and_has_no_size(tmp_path: Path) -> None:
    missing = tmp_path / "missing.jsonl"

    [entry] = read(missing)

    assert entry.fault == "It cannot be read: No such file or directory."
    assert size_of(str(missing)) is None


def test_an_export_gives_its_thread_and_its_messages(tmp_path: Path) -> None:
    file = tmp_path / "thread_a.json"
    file.write_bytes(BOM + an_export(a_thread(), a_message("msg_1"), a_message("msg_2")))

    assert sorted((entry.place, entry.value["id"]) for entry in read(file)) == [
        ("messages[0]", "msg_1"),
        ("messages[1]", "msg_2"),
        ("thread", "thread_a"),
    ]


A = orjson.dumps(a_message("msg_1"))
B = orjson.dumps(a_message("msg_2"))
PAGE = b'{"object":"list","data":[%s,%s],"first_id":"msg_1","last_id":"msg_2","has_more":false}' % (A, B)
PRETTY = orjson.dumps(orjson.loads(PAGE), option=orjson.OPT_INDENT_2)
FORMS = [
    pytest.param("all.json", PAGE, id="a page"),
    pytest.param("all.json", PRETTY, id="a page over many lines"),
    pytest.param("all.jsonl", PRETTY, id="the same, named as lines"),
    pytest.param("ALL.JSON", b"[%s,%s]" % (A, B), id="an array"),
    pytest.param("all.jsonl", b"[%s,%s]" % (A, B), id="an array on a line"),
    pytest.param("all.json", b"[\n%s,\n%s,\n]\n" % (A, B), id="an array with an item a line, and a comma too many"),
    pytest.param("all.jsonl", b"%s,\n%s,\n" % (A, B), id="lines that end with commas"),
    pytest.param("all.json", b"%s\n%s\n" % (A, B), id="lines, named as JSON"),
    pytest.param("all.json", b"%s\r\n\r\n%s\r\n" % (A, B), id="the same with other line ends"),
    pytest.param("all.ndjson", PAGE.replace(B, b"").replace(b",]", b"]") + b"\n" + B, id="a page and a line"),
    pytest.param("all.json", b"[[%s],[%s]]" % (A, B), id="an array of arrays"),
    pytest.param("all.json", b'[{"data":[%s],"has_more":true},{"data":[%s],"has_more":false}]' % (A, B), id="pages"),
    pytest.param("all.json", b'{"thread":null,"messages":[%s,%s]}' % (A, B), id="an export of its own making"),
    pytest.param(
        "all.json",
        b"\n".join(orjson.dumps(orjson.loads(each), option=orjson.OPT_INDENT_2) for each in (A, B)),
        id="objects over many lines, one behind the other",
    ),
    pytest.param("all.jsonl.gz", gzip.compress(A + b"\n" + B), id="packed lines"),
    pytest.param("all.json", gzip.compress(PRETTY), id="a packed page"),
    pytest.param("all.jsonl", (A + b"\n" + B).decode().encode("utf-16"), id="UTF-16"),
    pytest.param("all.json", PRETTY.decode().encode("utf-16"), id="a page in UTF-16"),
    pytest.param("all.jsonl", (A + b"\n" + B).decode().encode("utf-16-le"), id="UTF-16 without a mark"),
    pytest.param("all.json", PRETTY.decode().encode("utf-16-be"), id="a page in UTF-16 without a mark, of Macs"),
]


@pytest.mark.parametrize(("name", "content"), FORMS)
def test_messages_are_found_in_every_stored_form(tmp_path: Path, name: str, content: bytes) -> None:
    file = tmp_path / name
    file.write_bytes(content)

    assert [entry.value["id"] for entry in read(file)] == ["msg_1", "msg_2"]
    assert [entry.fault for entry in read(file)] == [None, None]


@pytest.mark.parametrize("chunk", [1, 7, 64, 4_096])
@pytest.mark.parametrize("text", ["x" * 300, 'a "quote", a \\ and {"thread_id": []} ' * 9, "\\" * 301])
def test_json_values_are_split_at_their_ends_however_the_stream_arrives(
    text: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_splitter, "_CHUNK", chunk)
    values = [a_message("msg_1", content=[a_text(text)]), {}, [], text, a_message("msg_2")]
    splitter = json_splitter.JsonSplitter(io.BytesIO(orjson.dumps(values)))

    splitter.next_byte()
    splitter.enter()
    found = []
    while not splitter.leave(b"]"):
        found.append(orjson.loads(splitter.value(None)))

    assert found == values


@pytest.mark.parametrize(
    "long", [b'"' + b"x" * 500 + b'"', b"[" + b"[]," * 200 + b"1]", b'{"a":"' + b'\\"' * 300 + b'"}']
)
def test_a_value_that_is_too_long_is_passed_over_and_the_next_is_read(
    long: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_splitter, "_CHUNK", 50)
    splitter = json_splitter.JsonSplitter(io.BytesIO(b"[" + long + b", 7]"))
    splitter.next_byte()
    splitter.enter()

    with pytest.raises(json_splitter.TooLargeError):
        splitter.value(400)

    assert (splitter.leave(b"]"), splitter.value(400), splitter.leave(b"]")) == (False, b"7", True)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        pytest.param(b'[\n{"a":', "Invalid or truncated JSON", id="cut off"),
        pytest.param(b"[\n{]\n", "Invalid or truncated JSON", id="brackets that do not match"),
        pytest.param(b"\xff", "Invalid or truncated JSON", id="not UTF-8"),
        pytest.param(PRETTY[:-30], "Invalid or truncated JSON", id="a page that is cut off"),
        pytest.param(
            an_export(a_thread(), export_schema="assistants-thread-export/v2"),
            "Expected 'export_schema' to be 'assistants-thread-export/v1'.",
            id="version",
        ),
        pytest.param(
            b'{"export_schema":"assistants-thread-export/v1","thread":null}',
            "Expected a thread, but got null: the export did not contain it.",
            id="thread that was not found",
        ),
        pytest.param(b"PK\x03\x04rest", "This is a ZIP archive. Extract it", id="ZIP"),
        pytest.param(b"x" * 257 + b"ustar\x00", "This is a TAR archive.", id="TAR"),
        pytest.param(gzip.compress(gzip.compress(A)), "This file is compressed with gzip twice.", id="packed twice"),
        pytest.param(gzip.compress(A * 99)[:-50], "The gzip data is truncated", id="packed and cut off"),
        pytest.param("[é".encode("utf-16")[:-1], "The UTF-16 text is truncated", id="UTF-16 that is cut off"),
        pytest.param("[".encode("utf-32"), "This text is encoded as UTF-32.", id="UTF-32"),
    ],
)
def test_a_file_that_cannot_be_imported_is_reported_in_one_sentence(tmp_path: Path, content: bytes, fault: str) -> None:
    file = tmp_path / "thread_a.json"
    file.write_bytes(content)

    [found] = [entry for entry in read(file) if entry.fault]

    assert found.fault is not None
    assert found.fault.startswith(fault)


def test_reading_stops_at_the_limit_of_the_compression_ratio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decompress, "_ALWAYS", 1_000_000)
    file = tmp_path / "bomb.jsonl.gz"
    file.write_bytes(gzip.compress(b"\n" * 3_000_000))

    [found] = read(file)

    assert (
        found.fault == "It expands to more than 200 times its size. Decompress it before the import, if you trust it."
    )


def test_a_line_of_too_many_values_is_refused_before_parsing(tmp_path: Path) -> None:
    bomb = b'{"object":"thread.message","thread_id":"thread_a","content":[' + b"[]," * 200_000 + b"1]}\n"

    [refused] = lines(tmp_path, bomb)
    [taken] = read_source(str(tmp_path / "file.jsonl"), count(), is_bounded=False)

    assert (refused.code, refused.thread_ids, refused.value) == ("too_many_values", ("thread_a",), None)
    assert taken.fault is None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder as the exporter does."""
    (tmp_path / "threads").mkdir()
    (tmp_path / "manifest.json").write_bytes(b'{"export_schema": "assistants-export-manifest/v1"}')
    (tmp_path / "assistants.json").write_bytes(b'[{"id": "asst_1", "object": "assistant"}]')
    (tmp_path / "threads" / "thread_b.json").write_bytes(an_export(a_thread("thread_b")))
    (tmp_path / "threads" / "thread_a.json").write_bytes(an_export(a_thread("thread_a"), a_message()))
    return tmp_path


def test_only_files_with_objects_of_the_api_are_imported_from_a_folder(folder: Path) -> None:
    found = [entry for entry in read(folder) if not entry.is_foreign]

    assert sorted(entry.value["id"] for entry in found) == ["asst_1", "msg_a", "thread_a", "thread_b"]


def test_a_folder_of_only_threads_is_imported(folder: Path) -> None:
    assert sorted(entry.value["id"] for entry in read(folder / "threads")) == ["msg_a", "thread_a", "thread_b"]


@pytest.mark.parametrize("content", [b"{}", b"[]", b'[{"title": "t", "mapping": {}}]'])
def test_objects_of_other_types_are_skipped(folder: Path, content: bytes) -> None:
    (folder / "threads" / "thread_c.json").write_bytes(content)

    assert [entry.fault for entry in read(folder) if not entry.is_foreign] == [None] * 4


@pytest.mark.parametrize("where", ["", "threads"])
def test_an_export_of_an_unknown_version_is_an_error(folder: Path, where: str) -> None:
    (folder / where / "thread_c.json").write_bytes(an_export(a_thread(), export_schema="assistants-thread-export/v2"))

    assert [entry.origin.source for entry in read(folder) if entry.fault] == [str(folder / where / "thread_c.json")]


def test_folders_within_folders_are_read_and_hidden_files_are_not(tmp_path: Path) -> None:
    within = tmp_path / "a" / "b"
    within.mkdir(parents=True)
    (within / "more.JSONL").write_bytes(A)
    (within / "._more.jsonl").write_bytes(b"\x00\x05\x16\x07")
    (within / "readme.txt").write_bytes(b"no")

    assert [entry.value["id"] for entry in read(tmp_path)] == ["msg_1"]


def test_a_folder_without_an_importable_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "threads.txt").write_bytes(b"{}\n")

    [entry] = read(tmp_path)

    assert (entry.origin.source, entry.place) == (str(tmp_path), "the folder")
    assert entry.fault is not None


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b'{"thread_id":"thread_a","content":[' + b"[]," * 99 + b"1]}", id="an object"),
        pytest.param(b'[{"id":"thread_a","thread_id":"thread_a","x":[' + b"[]," * 99 + b"1]}]", id="an item"),
    ],
)
def test_an_object_of_too_many_values_is_refused_with_the_thread_that_it_names(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "LINE_VALUES", bounds.LINE_VALUES._replace(number=50))
    file = tmp_path / "values.json"
    file.write_bytes(b"\n" + content)

    [refused] = [entry for entry in read(file) if entry.fault]

    assert refused.fault == "It has more than 50 values, so it is skipped and not written to the rejects file."
    assert (refused.code, refused.thread_ids) == ("too_many_values", ("thread_a",))
