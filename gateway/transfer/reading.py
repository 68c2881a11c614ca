"""Files to entries: JSON Lines, and exports of one thread a file; each entry knows where it stands.

Source: rest-contract §10, `assistants-thread-export/v1`.
Must not be here: what an object means (`domain.archive`).
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import orjson

from gateway.domain import check
from gateway.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

STDIN: Final = "-"
SCHEMA: Final = "assistants-thread-export/v1"
MAX_LINE: Final = 64 * 1024 * 1024
MAX_FILE: Final = 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
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
        for file in sorted([*path.glob("*.json"), *path.glob("threads/*.json")]):
            yield from _export(file, among_others=True)
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
        return sum(file.stat().st_size for file in (*path.glob("*.json"), *path.glob("threads/*.json")))
    return path.stat().st_size


def _lines(source: str, stream: IO[bytes]) -> Iterator[Entry]:
    number = 0
    while line := stream.readline(MAX_LINE):
        number += 1
        place = f"line {number}"
        if len(line) == MAX_LINE and not line.endswith(b"\n"):
            size = len(line)
            while rest := stream.readline(MAX_LINE):
                size += len(rest)
                if rest.endswith(b"\n"):
                    break
            yield Entry(source, place, b"", size, fault=f"The line is longer than {MAX_LINE} bytes.")
        elif line.strip():
            yield _decoded(source, place, line.rstrip(b"\r\n"), len(line))


def _decoded(source: str, place: str, raw: bytes, size: int) -> Entry:
    try:
        return Entry(source, place, raw, size, orjson.loads(raw))
    except orjson.JSONDecodeError as error:
        return Entry(source, place, raw, size, fault=f"This is not JSON: {error}.")


def _export(file: Path, *, among_others: bool) -> Iterator[Entry]:
    """Read one file of an export; in a folder, files of another kind (its manifest, its assistants) are passed over."""
    source, size = str(file), file.stat().st_size
    if size > MAX_FILE:
        yield Entry(source, "the file", b"", size, fault=f"It is larger than {MAX_FILE} bytes.")
        return
    whole = _decoded(source, "the file", file.read_bytes(), size)
    if whole.fault:
        yield whole
        return
    is_export = isinstance(whole.value, dict) and whole.value.get("export_schema") == SCHEMA
    if not is_export:
        if not among_others:
            yield Entry(source, "the file", whole.raw, size, fault=f"Expected 'export_schema' to be '{SCHEMA}'.")
        return
    try:
        check.fields(whole.value, "", required=("thread", "messages"), optional=tuple(whole.value))
        messages = check.an_array(whole.value["messages"], "messages")
    except InvalidRequest as error:
        yield Entry(source, "the file", whole.raw, size, fault=error.message)
        return
    yield _member(source, "thread", whole.value["thread"], size)
    for index, message in enumerate(messages):
        yield _member(source, f"messages[{index}]", message, 0)


def _member(source: str, place: str, value: object, size: int) -> Entry:
    return Entry(source, place, orjson.dumps(value), size, value)
