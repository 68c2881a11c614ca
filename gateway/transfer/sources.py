"""Reading files as entries: JSON Lines, pages, arrays and exports of one thread; each entry knows its place.

Source: rest-contract §2.5 (list), §10, `assistants-thread-export/v1`.
Must not be here: what an object means (`domain.archive`), how a file is decompressed (`decompress`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from gateway.domain import archive, bounds
from gateway.domain.read_json import NOT_JSON, read_json
from gateway.errors import InvalidRequest
from gateway.transfer.decompress import DAMAGED, GZIP, STDIN, UnreadableError, damage_message, open_text
from gateway.transfer.json_splitter import InvalidJsonError, JsonSplitter, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA: Final = "assistants-thread-export/v1"
PROGRESS: Final = object()  # the value of an entry that only reports progress
MAX_LINE: Final = bounds.LINE.number
_FAMILY: Final = SCHEMA.partition("/")[0].encode()
_BOM: Final = b"\xef\xbb\xbf"  # written before UTF-8 by some editors and shells
_MANY_VALUES: Final = 2 * bounds.LINE_VALUES.number  # a shorter line cannot exceed the limit
_PEEKED: Final = 64 * 1024
_SUFFIXES: Final = (".json", ".jsonl", ".ndjson")
_PACKED: Final = (".zip", ".tar", ".tgz", ".7z", *(f"{of}{by}" for of in _SUFFIXES for by in (".bz2", ".xz", ".zst")))
_LISTS: Final = {b'"data"': "data", b'"messages"': "messages"}  # members that may be longer than any line
_RUNS: Final = b'"runs"'  # of an export, each with its steps
_IGNORED: Final = frozenset({b'"files"', b'"errors"', b'"steps"'})  # members of an export, which may be long too
_PRETTY: Final = frozenset({b"{", b"[", b"[{", b"{}", b"[]"})  # first lines of JSON over several lines
_ANY_OF_OURS: Final = re.compile(rb'"thread(?:\.message|\.order|_[A-Za-z0-9_-]+)?"|"object"\s*:\s*"assistant"')
_NAMED_THREAD: Final = re.compile(rb'"(?:thread_)?id"\s*:\s*"(thread_[A-Za-z0-9_-]{1,120})"')


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """One list: its source, the number of its file among all, and whether it is a page of the API."""

    source: str
    file: int
    is_page: bool = False


class Entry(NamedTuple):
    """One object, or a fault.

    `raw` is its text, or None where serializing the value gives the same; `size` is its number of bytes in the file. A
    foreign entry is no fault: it is of another type and is skipped.
    """

    origin: Origin
    place: str
    raw: bytes | None
    size: int
    value: Any = None
    fault: str | None = None
    code: str | None = None
    thread_ids: tuple[str, ...] = ()
    is_foreign: bool = False


def read_source(source: str, files: Iterator[int], *, is_bounded: bool) -> Iterator[Entry]:
    """Read a file, a folder of files, or standard input; `files` numbers the files of all sources.

    Faults of a file or its content are entries too.
    """
    path = Path(source)
    if source != STDIN and path.is_dir():
        found = _files(path)
        if not found:
            fault = "No .json or .jsonl files found in the folder or its subfolders."
            yield Entry(Origin(source, next(files)), "the folder", b"", 0, fault=fault)
        for file in found:
            is_alone = file.parent.name == "threads" or path.name == "threads"
            yield from _file(Origin(str(file), next(files)), is_among_others=not is_alone, is_bounded=is_bounded)
        for file in _files(path, _PACKED) if found else ():  # they may contain more objects, but are not unpacked
            yield Entry(Origin(str(file), next(files)), "the file", None, 0, is_foreign=True)
    else:
        yield from _file(Origin(source, next(files)), is_among_others=False, is_bounded=is_bounded)


def size_of(source: str) -> int | None:
    """Return the size of a source in bytes; None if it is not known."""
    path = Path(source)
    if source == STDIN:
        return None
    try:
        if path.is_dir():
            return sum(file.stat().st_size for file in _files(path))
        if not path.is_file():  # a named pipe, which cannot be read twice
            return path.stat().st_size
        with path.open("rb") as file:
            return None if file.read(len(GZIP)) == GZIP else path.stat().st_size
    except OSError:  # reading it reports the error
        return None


def _threads_named_in(raw: bytes) -> tuple[str, ...]:
    """Find the threads that a line names, if it is not JSON or is not parsed.

    There are several if two lines were joined: a writer was killed within a line, and later appended to it.
    """
    return tuple(dict.fromkeys(found[1].decode() for found in _NAMED_THREAD.finditer(raw)))


def _files(folder: Path, suffixes: tuple[str, ...] = _SUFFIXES) -> list[Path]:
    """List the files of a folder and its subfolders that may be ours; hidden ones are not."""
    return sorted(file for file in folder.rglob("*") if _is_named(file, suffixes) and file.is_file())


def _is_named(file: Path, suffixes: tuple[str, ...]) -> bool:
    return not file.name.startswith(".") and file.name.lower().removesuffix(".gz").endswith(suffixes)


def _file(origin: Origin, *, is_among_others: bool, is_bounded: bool) -> Iterator[Entry]:
    try:
        with open_text(origin.source) as stream:
            reader = _Reader(origin, stream, is_among_others=is_among_others, is_bounded=is_bounded)
            yield from reader.documents() if reader.is_spread() else reader.lines()
    except UnreadableError as error:
        yield Entry(origin, "the file", b"", 0, fault=str(error))
    except DAMAGED as error:
        yield Entry(origin, "the file", b"", 0, fault=damage_message(error))
    except OSError as error:
        yield Entry(origin, "the file", b"", 0, fault=f"It cannot be read: {error.strerror or error}.")


class _Reader:
    """One file, read line by line, or value by value if its JSON is spread over lines."""

    def __init__(self, origin: Origin, stream: IO[bytes], *, is_among_others: bool, is_bounded: bool) -> None:
        self._origin = origin
        self._stream: Any = stream
        self._is_among_others = is_among_others
        self._is_bounded = is_bounded
        self._at_most = MAX_LINE if is_bounded else None
        self._values = bounds.LINE_VALUES.number if is_bounded else None
        self._splitter = JsonSplitter(stream)

    def is_spread(self) -> bool:
        """Say whether the file contains JSON values over several lines."""
        head = self._stream.peek(_PEEKED).removeprefix(_BOM).lstrip()
        line, ends, rest = head.partition(b"\n")
        if line.strip() in _PRETTY:
            return True
        if not Path(self._origin.source).name.lower().removesuffix(".gz").endswith(".json"):
            return False
        try:
            is_whole = isinstance(orjson.loads(line.rstrip(b", \r\t")), dict)
        except orjson.JSONDecodeError:
            return True
        return not (ends and is_whole and rest.strip())

    def lines(self) -> Iterator[Entry]:
        """Read JSON Lines; a line may also be a page, an array or an export."""
        number = 0
        longest = -1 if self._at_most is None else self._at_most + 1
        is_first = self._is_among_others
        while raw := self._stream.readline(longest):
            number, size = number + 1, len(raw)
            place = f"line {number}"
            if self._at_most is not None and size > self._at_most and not raw.endswith(b"\n"):
                yield self._too_long(place, raw)
            elif raw := raw.removeprefix(_BOM).strip():  # so that a long line is held only once
                if is_first and not _ANY_OF_OURS.search(raw):
                    yield Entry(self._origin, "the file", b"", 0, is_foreign=True)
                    return
                is_first = False
                entry = self._decoded(self._origin, place, raw, size)
                if type(entry.value) is dict and "thread_id" in entry.value:  # as nearly all do
                    yield entry
                else:
                    yield from self._expanded(entry)

    def _too_long(self, place: str, line: bytes) -> Entry:
        size, thread_ids = len(line), _threads_named_in(line)
        while rest := self._stream.readline(MAX_LINE):
            size += len(rest)
            if rest.endswith(b"\n"):
                break
        fault = f"The line is longer than {MAX_LINE} bytes, so it is skipped and not written to the rejects file."
        return Entry(self._origin, place, b"", size, fault=fault, code=bounds.LINE.code, thread_ids=thread_ids)

    def documents(self) -> Iterator[Entry]:
        """Read JSON values of any length: of arrays, pages and exports at most one item is held."""
        splitter = self._splitter
        before = 0
        try:
            for number in count(1):
                first = splitter.next_byte()
                if not first:
                    return
                name = "" if number == 1 else f"value {number}"
                if first == b"[":
                    yield from self._items(self._origin, name)
                elif first == b"{":
                    yield from self._object(name)
                else:
                    splitter.refuse()
                yield Entry(self._origin, name, b"", splitter.passed - before, value=PROGRESS)
                before = splitter.passed
        except InvalidJsonError:
            fault = "Invalid or truncated JSON: nothing after the last complete object is imported."
            yield Entry(self._origin, "the file", b"", 0, fault=fault)

    def _items(self, origin: Origin, name: str) -> Iterator[Entry]:
        """Read the items of an array; it is skipped completely if its first item is of another type."""
        splitter = self._splitter
        splitter.enter()
        for index in count():
            if splitter.leave(b"]"):
                return
            place = f"{name}[{index}]"
            try:
                begin = raw = splitter.value(self._at_most, self._values)
                entries = self._expanded(self._decoded(origin, place, raw, len(raw)))
            except TooLargeError as error:
                begin, entries = error.begin, iter([_too_large(origin, place, error)])
            if index == 0 and not _ANY_OF_OURS.search(begin):
                yield Entry(origin, "the file", b"", 0, is_foreign=True)
                splitter.skip_rest()
                return
            yield from entries

    def _object(self, name: str) -> Iterator[Entry]:
        """Read a page or an export item by item, and any other object whole."""
        splitter = self._splitter
        splitter.enter()
        members: dict[bytes, bytes] = {}
        listed: str | None = None
        refused: Entry | None = None
        while not splitter.leave(b"}"):
            key = splitter.key()
            within = _LISTS.get(key)
            if within is not None and splitter.next_byte() == b"[" and _is_taken(members):
                listed = within
                origin = Origin(self._origin.source, self._origin.file, is_page=within == "data")
                yield from self._items(origin, f"{name}.{within}" if name else within)
            elif key == _RUNS and splitter.next_byte() == b"[" and _is_taken(members):
                for entry in self._items(self._origin, f"{name}.runs" if name else "runs"):
                    yield from _with_steps(entry)
            elif key in _IGNORED or key == _RUNS:
                splitter.skip()
            else:
                try:
                    left = None if self._at_most is None else self._at_most - sum(map(len, members.values()))
                    members[key] = splitter.value(left, self._values)
                except TooLargeError as error:
                    before = b",".join(other + b":" + value for other, value in members.items())
                    refused = refused or _too_large(self._origin, name or "the file", error, before)
        yield from self._rest(name, members, listed) if refused is None else (refused,)

    def _rest(self, name: str, members: dict[bytes, bytes], listed: str | None) -> Iterator[Entry]:
        """Read the members beside a list: the thread of an export, or else the object itself."""
        origin, within = self._origin, f"{name}.thread" if name else "thread"
        if not _is_taken(members) and _FAMILY in members[b'"export_schema"']:
            yield Entry(origin, name or "the file", b"", 0, fault=f"Expected 'export_schema' to be '{SCHEMA}'.")
        elif b'"thread"' in members and b'"object"' not in members:
            raw = members[b'"thread"']
            thread = self._decoded(origin, within, raw, len(raw))
            if thread.fault is None and thread.value is None:
                yield _no_thread(origin, within, is_empty=listed is None)
            else:
                yield thread
        elif listed is None:
            raw = b"{" + b",".join(key + b":" + value for key, value in members.items()) + b"}"
            if _ANY_OF_OURS.search(raw):
                yield self._decoded(origin, name or "the file", raw, len(raw))
            else:
                yield Entry(origin, "the file", b"", 0, is_foreign=True)

    def _decoded(self, origin: Origin, place: str, raw: bytes, size: int) -> Entry:
        try:
            if self._is_bounded and len(raw) >= _MANY_VALUES:
                read_json(raw, "line", values=bounds.LINE_VALUES.number, depth=archive.MAX_DEPTH, memory=None)
            return Entry(origin, place, raw, size, orjson.loads(raw))
        except orjson.JSONDecodeError as error:
            if raw.endswith(b","):  # an array with one item a line
                return self._decoded(origin, place, raw.rstrip(b", \t\r"), size)
            line = f"line {error.lineno}, " if error.lineno > 1 else ""
            fault, code = f"Invalid JSON: {error.msg} at {line}column {error.colno}.", NOT_JSON
        except InvalidRequest as error:
            if error.code == NOT_JSON:
                fault, code = "Invalid JSON.", NOT_JSON
            else:
                fault, code = error.message, error.code or ""
        return Entry(origin, place, raw, size, fault=fault, code=code, thread_ids=_threads_named_in(raw))

    def _expanded(self, entry: Entry) -> Iterator[Entry]:
        """Yield an object, or the items of a page, an array or an export in its place."""
        value = entry.value
        if entry.fault is None and type(value) is list:
            yield from self._members(entry, entry.origin, value, "")
        elif entry.fault is None and type(value) is dict and "thread_id" not in value:
            if type(value.get("data")) is list and (value.get("object") == "list" or "has_more" in value):
                origin = Origin(entry.origin.source, entry.origin.file, is_page=True)
                yield from self._members(entry, origin, value["data"], ".data")
            elif "object" not in value and type(value.get("messages")) is list:
                yield from self._export(entry, value)
            else:
                yield entry
        else:
            yield entry

    def _members(self, entry: Entry, origin: Origin, items: list[Any], within: str) -> Iterator[Entry]:
        yield Entry(origin, entry.place, b"", entry.size, value=PROGRESS)
        for index, item in enumerate(items):
            yield from self._expanded(Entry(origin, f"{entry.place}{within}[{index}]", None, 0, item))

    def _export(self, entry: Entry, value: dict[str, Any]) -> Iterator[Entry]:
        schema = value.get("export_schema", SCHEMA)
        if schema != SCHEMA:
            yield entry._replace(fault=f"Expected 'export_schema' to be '{SCHEMA}'.")
            return
        place = f"{entry.place}.thread"
        if value.get("thread") is None:
            yield _no_thread(entry.origin, place, is_empty=not value["messages"])
        else:
            yield Entry(entry.origin, place, None, 0, value["thread"])
        origin = Origin(entry.origin.source, entry.origin.file)
        yield from self._members(entry, origin, value["messages"], ".messages")
        runs = value.get("runs")
        for index, run in enumerate(runs if type(runs) is list else []):
            yield from _with_steps(Entry(origin, f"{entry.place}.runs[{index}]", None, 0, run))


def _with_steps(entry: Entry) -> Iterator[Entry]:
    """Yield a run of an export, and its steps; what is no run is skipped."""
    value = entry.value
    if entry.fault is not None:
        yield entry
    elif type(value) is dict and value.get("object") == archive.RUN:
        yield entry._replace(raw=None, value={key: each for key, each in value.items() if key != "steps"})
        steps = value.get("steps")
        for index, step in enumerate(steps if type(steps) is list else []):
            yield Entry(entry.origin, f"{entry.place}.steps[{index}]", None, 0, step)


def _is_taken(members: dict[bytes, bytes]) -> bool:
    """Say whether an object has a known version of the export format, or none."""
    return members.get(b'"export_schema"', orjson.dumps(SCHEMA)) == orjson.dumps(SCHEMA)


def _no_thread(origin: Origin, place: str, *, is_empty: bool) -> Entry:
    """Report a thread that the exporter did not find: it can be created from its messages, if there are any."""
    if is_empty:
        return Entry(origin, place, b"", 0, fault="Expected a thread, but got null: the export did not contain it.")
    return Entry(origin, place, b"", 0, value=PROGRESS)


def _too_large(origin: Origin, place: str, error: TooLargeError, before: bytes = b"") -> Entry:
    """Make the entry of a value that was skipped; the members before it may name its thread too."""
    bound = error.bound
    unit = "bytes" if bound is bounds.LINE else "values"
    fault = f"It has more than {bound.number} {unit}, so it is skipped and not written to the rejects file."
    thread_ids = _threads_named_in(before + error.begin)
    return Entry(origin, place, b"", 0, fault=fault, code=bound.code, thread_ids=thread_ids)
