"""Files to entries: JSON Lines, and exports of one thread a file; each entry knows where it stands.

Source: rest-contract §10, `assistants-thread-export/v1`.
Must not be here: what an object means (`domain.archive`).
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from gateway.domain import bounds, check
from gateway.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

STDIN: Final = "-"
SCHEMA: Final = "assistants-thread-export/v1"
MAX_LINE: Final = bounds.LINE.number
MAX_FILE: Final = bounds.FILE.number
_FAMILY: Final = SCHEMA.partition("/")[0]
_BOM: Final = b"\xef\xbb\xbf"  # what some editors and shells put before UTF-8


class Entry(NamedTuple):
    """One object, or what could not be read as one (`fault`); `raw` is what stood there, `size` how far it reached."""

    source: str
    place: str
    raw: bytes
    size: int
    value: Any = None
    fault: str | None = None


def read_source(source: str) -> Iterator[Entry]:
    """Read a file, a folder of exports, or standard input.

    Errors: OSError where it cannot be opened; what is wrong inside comes as an entry with its fault.
    """
    path = Path(source)
    if source != STDIN and path.is_dir():
        yield from _folder(source, path)
    elif path.suffix == ".json":
        yield from _export(path, among_others=False)
    else:
        with nullcontext(sys.stdin.buffer) if source == STDIN else path.open("rb") as stream:
            yield from _lines(source, stream)


def size_of(source: str) -> int | None:
    """Say how many bytes a source has, where that can be known."""
    path = Path(source)
    if source == STDIN:
        return None
    if path.is_dir():
        return sum(file.stat().st_size for file in _files(path))
    return path.stat().st_size


def _files(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.json"), *folder.glob("threads/*.json")])


def _folder(source: str, folder: Path) -> Iterator[Entry]:
    """Read a folder of exports; what stands beside them (its manifest, its assistants) is passed over."""
    files = _files(folder)
    if not files:
        fault = "Neither it nor a folder 'threads' in it holds .json files. Name files of JSON Lines one by one."
        yield Entry(source, "the folder", b"", 0, fault=fault)
    for file in files:
        yield from _export(file, among_others=file.parent == folder)


def _lines(source: str, stream: IO[bytes]) -> Iterator[Entry]:
    number = 0
    while line := stream.readline(MAX_LINE + 1):
        number += 1
        place = f"line {number}"
        if len(line) > MAX_LINE and not line.endswith(b"\n"):
            size = len(line)
            while rest := stream.readline(MAX_LINE):
                size += len(rest)
                if rest.endswith(b"\n"):
                    break
            fault = f"The line is longer than {MAX_LINE} bytes and is not kept among the rejects either."
            yield Entry(source, place, b"", size, fault=fault)
        elif raw := line.removeprefix(_BOM).strip():
            yield _decoded(source, place, raw, len(line))


def _decoded(source: str, place: str, raw: bytes, size: int) -> Entry:
    try:
        return Entry(source, place, raw, size, orjson.loads(raw))
    except orjson.JSONDecodeError as error:
        line = f"line {error.lineno}, " if error.lineno > 1 else ""
        return Entry(source, place, raw, size, fault=f"This is not JSON: {error.msg} at {line}column {error.colno}.")


def _export(file: Path, *, among_others: bool) -> Iterator[Entry]:
    """Read one file of an export; `among_others`, files of another kind are passed over.

    A file that is refused whole leaves nothing in the file of rejects, which has room for lines only.
    """
    source, size = str(file), file.stat().st_size
    if size > MAX_FILE:
        yield Entry(source, "the file", b"", size, fault=f"It is larger than {MAX_FILE} bytes.")
        return
    whole = _decoded(source, "the file", file.read_bytes().removeprefix(_BOM), size)
    if whole.fault:
        yield Entry(source, "the file", b"", size, fault=f"{whole.fault} A file of JSON Lines must not end in .json.")
        return
    export = whole.value if isinstance(whole.value, dict) else {}
    schema = export.get("export_schema")
    if schema != SCHEMA:
        if not among_others or str(schema).startswith(_FAMILY):
            yield Entry(source, "the file", b"", size, fault=f"Expected 'export_schema' to be '{SCHEMA}'.")
        return
    try:
        check.fields(export, "", required=("thread", "messages"), optional=tuple(export))
        messages = check.an_array(export["messages"], "messages")
    except InvalidRequest as error:
        yield Entry(source, "the file", b"", size, fault=error.message)
        return
    if export["thread"] is None:  # so the exporter notes a thread that it did not find
        yield Entry(source, "thread", b"", size, fault="It is null: the thread was not exported.")
    else:
        yield _member(source, "thread", export["thread"], size)
    for index, message in enumerate(messages):
        yield _member(source, f"messages[{index}]", message, 0)


def _member(source: str, place: str, value: object, size: int) -> Entry:
    try:
        raw = orjson.dumps(value)
    except orjson.JSONEncodeError:
        raw = b""  # nested too deep to be written again; whoever takes the value in refuses it for that
    return Entry(source, place, raw, size, value)
