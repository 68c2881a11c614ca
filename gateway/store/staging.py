"""A passing table on disk in which an import sorts what it reads, so that memory does not grow with the files.

Must not be here: anything of the database that is served; how lists are put in order (`arranging`).
"""

from __future__ import annotations

import sqlite3
from functools import partial
from itertools import starmap
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from gateway.domain.direction import Direction, DirectionDetector
from gateway.domain.ids import ThreadId
from gateway.domain.thread import Thread
from gateway.store.ordering import Source, arrange
from gateway.store.rejected import beside
from gateway.store.rows import messages_of
from gateway.store.statements.messages import MESSAGE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType

    from gateway.domain.message import Message

BATCH: Final = 1_000  # messages that are read, looked up and written at once
BATCH_BYTES: Final = 8 * 1024 * 1024  # of their content, from which on a batch ends
GROUP: Final = 20_000  # messages that are taken in one transaction, unless one thread has more

_COLUMNS: Final = tuple(column.name for column in MESSAGE_COLUMNS)
_CONTENT: Final = _COLUMNS.index("content")
_TABLES: Final = f"""
    PRAGMA page_size = 32768;
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    CREATE TABLE threads (seq INTEGER PRIMARY KEY, id UNIQUE, created_at, metadata, tool_resources, owner);
    CREATE TABLE messages (seq INTEGER PRIMARY KEY, {", ".join(_COLUMNS)}, list, source, place);
    CREATE TABLE refused (seq INTEGER PRIMARY KEY, thread_id, list, raw, second);
    CREATE TABLE spoilt (id PRIMARY KEY, reason) WITHOUT ROWID;
    CREATE TABLE told (id PRIMARY KEY, direction) WITHOUT ROWID;
    CREATE TABLE whole (thread_id, list, direction, PRIMARY KEY (thread_id, list)) WITHOUT ROWID;
    CREATE TABLE places (seq INTEGER PRIMARY KEY, rank, second);
"""
_INDEX: Final = "CREATE INDEX by_thread ON messages (thread_id, seq, created_at, list)"
_ADD_THREAD: Final = (
    "INSERT OR IGNORE INTO threads (id, created_at, metadata, tool_resources, owner) VALUES (?, ?, ?, ?, ?)"
)
_ADD_MESSAGE: Final = f"INSERT INTO messages VALUES (?, {'?, ' * len(_COLUMNS)}?, ?, ?)"  # noqa: S608  (our own names)
# A message tells enough of a thread that has no line of its own: where only messages were kept, nothing is lost.
_THREADS: Final = """
    SELECT made, id, created_at, metadata, tool_resources, owner FROM (SELECT 0 AS made, * FROM threads UNION ALL
    SELECT 1, min(seq), thread_id, min(created_at), '{}', '{}', NULL FROM messages
    WHERE thread_id NOT IN (SELECT id FROM threads) GROUP BY thread_id)
    WHERE id NOT IN (SELECT id FROM spoilt) ORDER BY made, seq
"""
_TIMES: Final = "SELECT created_at, list FROM messages WHERE thread_id = ? ORDER BY seq"
_ROWS: Final = "SELECT seq, created_at, list FROM messages WHERE thread_id = ? ORDER BY seq"
_DROP_REPEATED: Final = (
    "DELETE FROM messages WHERE thread_id = ?1 AND seq NOT IN "
    "(SELECT min(seq) FROM messages WHERE thread_id = ?1 GROUP BY id)"
)
_OWN: Final = "FROM {schema}messages AS m WHERE thread_id = ?"
_PLACED: Final = "FROM {schema}messages AS m JOIN {schema}places AS p ON p.seq = m.seq WHERE thread_id = ?"
_LISTED: Final = ", ".join(f"m.{name}" for name in _COLUMNS)
# The same into the tables of SQLite, where the content is text, without a step of Python's for each message.
_ATTACHED: Final = "SELECT file FROM pragma_database_list WHERE name = 'staging'"
_KEPT: Final = ", ".join("CAST(m.content AS TEXT)" if name == "content" else f"m.{name}" for name in _COLUMNS)
_MOVE_END: Final = (
    "UPDATE main.threads SET message_count = ?, last_position = ?, last_created_at = ? WHERE project_id = ? AND id = ?"
)
_REVERSED: Final = {"m.seq": "m.seq DESC", "m.seq DESC": "m.seq", "p.rank": "p.rank DESC"}
_ANY_DELETED: Final = "SELECT 1 FROM main.deleted_messages WHERE project_id = ? LIMIT 1"


class _Order(NamedTuple):
    """How a thread's messages lie in their order: how many there are, from where, by what, and the last second."""

    messages: int
    found_in: str
    by: str
    second: str
    last: int

    @property
    def read(self) -> str:
        """Read them in their order, and behind each the second that it counts as."""
        own = self.found_in.format(schema="")
        return f"SELECT {_LISTED}, source, place, {self.second} {own} ORDER BY {self.by}"

    @property
    def move(self) -> str:
        """Write them into the table of messages that is served."""
        return (
            f"INSERT INTO main.messages (project_id, position, {', '.join(_COLUMNS)}) "
            f"SELECT ?, row_number() OVER (ORDER BY {self.by}), {_KEPT} {self.found_in.format(schema='staging.')} "
            f"ORDER BY {self.by}"
        )


class Staged(tuple[Any, ...]):
    """A message and where it was read, as it lies in the table."""

    __slots__ = ()

    @property
    def message(self) -> Message:
        """The message."""
        return messages_of([self])[0]

    @property
    def message_id(self) -> str:
        """The id of the message."""
        message_id: str = self[0]
        return message_id

    @property
    def thread_id(self) -> ThreadId:
        """The thread that it belongs to."""
        thread_id: ThreadId = self[1]
        return thread_id

    @property
    def source(self) -> str:
        """The file that it was read from."""
        source: str = self[-3]
        return source

    @property
    def place(self) -> str:
        """Where in the file it stood."""
        place: str = self[-2]
        return place

    @property
    def second(self) -> int:
        """The second that it counts as: its own, or that of the one before it where a clock went back."""
        second: int = self[-1]
        return second


_AS_STAGED: Callable[[Any], Staged] = partial(tuple.__new__, Staged)


class Staging:
    """The table, from `with` until its end."""

    def __enter__(self) -> Self:
        """Make the table in a folder of its own."""
        self._folder = TemporaryDirectory(prefix="gateway-import-")
        self._file = Path(self._folder.name) / "staging.db"
        self._db = sqlite3.connect(self._file, isolation_level=None)
        self._db.executescript(_TABLES)
        self._db.execute("BEGIN")
        self._read: list[tuple[Any, ...]] = []  # messages that are not in the table yet
        self._bytes = 0  # of their content
        self._seq = 0
        self._sources: dict[int, Source] = {}
        self._group: dict[str, _Order] = {}  # of the threads that were given last
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take it away again."""
        self._db.close()
        self._folder.cleanup()

    def begin_list(self, file: int, fallback: Direction, *, is_said: bool) -> int:
        """Begin a list of a file; what is added with its number stands in it, in the order in which it is added.

        `fallback` is the way it runs if its times do not tell; with `is_said`, whatever other lists of a thread do.
        """
        number = len(self._sources)
        self._sources[number] = Source(file, fallback, is_said)
        return number

    def add_thread(self, thread: Thread) -> bool:
        """Keep a thread, and say whether it is new; the first of one id counts."""
        values = (thread.id, thread.created_at, thread.metadata_json, thread.tool_resources_json, thread.owner)
        return self._db.execute(_ADD_THREAD, values).rowcount > 0

    def add_message(self, number: int, source: str, place: str, message: Message) -> None:
        """Keep a message of a list."""
        self._seq += 1
        self._read.append((self._seq, *message, number, source, place))
        self._bytes += len(message.content_json)
        if len(self._read) >= BATCH or self._bytes >= BATCH_BYTES:
            self._write()

    def add_refused(self, number: int, thread_id: str, raw: bytes, second: int | None) -> None:
        """Keep a line that cannot be taken at its place among the messages of its thread; `second` is its time."""
        self._seq += 1
        self._db.execute("INSERT INTO refused VALUES (?, ?, ?, ?, ?)", (self._seq, thread_id, number, raw, second))

    def spoil(self, thread_id: str, reason: str) -> None:
        """Let a thread be refused whole; the first reason counts."""
        self._db.execute("INSERT OR IGNORE INTO spoilt VALUES (?, ?)", (thread_id, reason))

    def tell_order(self, thread_id: str, direction: Direction) -> None:
        """Note which way all lists of a thread run, whatever its times say."""
        self._db.execute("INSERT OR IGNORE INTO told VALUES (?, ?)", (thread_id, direction.value))

    def settle(self) -> None:
        """Make ready what was added, so that the rest may be asked for."""
        self._write()
        self._db.execute(_INDEX)
        self._db.execute("COMMIT")  # so that the database may read it too

    def spoilt(self) -> Iterator[tuple[ThreadId, str]]:
        """Give the threads that are refused whole, and why."""
        yield from starmap(lambda id_, reason: (ThreadId(id_), reason), self._db.execute("SELECT * FROM spoilt"))

    def thread(self, thread_id: str) -> Thread | None:
        """Find what was told of a thread."""
        row = self._db.execute(
            "SELECT id, created_at, metadata, tool_resources, owner FROM threads WHERE id = ?", (thread_id,)
        ).fetchone()
        return None if row is None else _thread(*row)

    def threads(self) -> Iterator[tuple[Thread, bool]]:
        """Give all threads that are not spoilt, and whether they were told.

        Those that were read come first, in their order, then those that only messages speak of.
        """
        for made, *row in self._db.execute(_THREADS):
            yield _thread(*row), not made

    def groups(self) -> Iterator[list[tuple[Thread, bool]]]:
        """Give all threads in groups that are worth a transaction; a long one stands alone."""
        group: list[tuple[Thread, bool]] = []
        size = 0
        for thread, is_told in self.threads():
            order = self._order(thread.id)
            weight = 1 + order.messages + (len(thread.metadata_json) + len(thread.tool_resources_json)) // 1_000
            if group and size + weight > GROUP:
                yield group
                group, size, self._group = [], 0, {}
            group.append((thread, is_told))
            self._group[thread.id] = order
            size += weight
        if group:
            yield group

    def messages(self, *thread_ids: str) -> Iterator[Sequence[Staged]]:
        """Give the messages of threads in batches, thread after thread, oldest first."""
        batch: list[Staged] = []
        weight = 0
        for thread_id in thread_ids:
            order = self._group.get(thread_id) or self._order(thread_id)
            for row in self._db.execute(order.read, (thread_id,)):
                batch.append(_AS_STAGED(row))
                weight += len(row[_CONTENT])
                if len(batch) >= BATCH or weight >= BATCH_BYTES:
                    yield batch
                    batch, weight = [], 0
        if batch:
            yield batch

    def lines_of(self, thread_id: str, *, newest_first: bool) -> Iterator[bytes | Message]:
        """Give all of a thread that is refused, in its order: lines that could not be taken at their places."""
        order = self._order(thread_id)
        if newest_first:
            order = order._replace(by=_REVERSED[order.by])
        refused = self._db.execute(
            "SELECT seq, list, second FROM refused WHERE thread_id = ? ORDER BY seq", (thread_id,)
        )
        waiting = beside(refused.fetchall(), self._ranks(order, thread_id))
        for rank, row in enumerate(self._db.execute(order.read, (thread_id,))):
            yield from map(self._raw, waiting.pop(rank, ()))
            yield _AS_STAGED(row).message
        for seqs in waiting.values():
            yield from map(self._raw, seqs)

    def _raw(self, seq: int) -> bytes:
        raw: bytes = self._db.execute("SELECT raw FROM refused WHERE seq = ?", (seq,)).fetchone()[0]
        return raw

    def _ranks(self, order: _Order, thread_id: str) -> Iterable[tuple[int, int, int]]:
        rows = f"SELECT m.seq, m.list, {order.second} {order.found_in.format(schema='')} ORDER BY {order.by}"
        return self._db.execute(rows, (thread_id,))

    def count_messages(self, thread_ids: Iterable[str]) -> int:
        """Count the messages of threads."""
        return sum(self._group[each].messages for each in thread_ids)

    def move_into(self, connection: sqlite3.Connection, project_id: str, thread_ids: Sequence[str]) -> int | None:
        """Write all messages of new threads of the group at hand into SQLite's tables, and say how many.

        Nothing is written, and None is said, where one of the ids is, or may be, taken: who takes them one by one
        knows what to say of each; or where the connection has read from another table before.
        """
        if connection.execute(_ANY_DELETED, (project_id,)).fetchone():
            return None
        attached = connection.execute(_ATTACHED).fetchone()
        if attached is None:
            connection.execute("ATTACH ? AS staging", (str(self._file),))
        elif not Path(attached[0]).exists() or not self._file.samefile(attached[0]):
            return None  # of an earlier import over this connection; it cannot be detached within a transaction
        orders = [(thread_id, self._group[thread_id]) for thread_id in thread_ids]
        connection.execute("SAVEPOINT moving")
        try:
            for thread_id, order in orders:
                connection.execute(order.move, (project_id, thread_id))
        except sqlite3.IntegrityError:
            connection.execute("ROLLBACK TO moving")
            return None
        finally:
            connection.execute("RELEASE moving")
        ends = [(order.messages, order.messages, order.last, project_id, thread_id) for thread_id, order in orders]
        connection.executemany(_MOVE_END, ends)
        return sum(count for count, *_ in ends)

    def _write(self) -> None:
        self._db.executemany(_ADD_MESSAGE, self._read)
        self._read.clear()
        self._bytes = 0

    def _order(self, thread_id: str) -> _Order:
        """Find the order of a thread's messages: mostly that of the one list that they were read from, or its reverse.

        Lists of the API begin with the newest where nothing was said, so within a second the last one read is the
        first one made in a list whose times only ever fall.
        """
        detector, numbers, last = DirectionDetector(), set(), 0
        for created_at, number in self._db.execute(_TIMES, (thread_id,)):
            detector.add(created_at)
            numbers.add(number)
            last = max(last, created_at)
        direction = detector.direction
        if direction is Direction.UNKNOWN and numbers:
            direction = self._sources[min(numbers)].fallback
        told = self._db.execute("SELECT direction FROM told WHERE id = ?", (thread_id,)).fetchone()
        if len(numbers) > 1 or told or not (detector.is_monotonic or detector.direction is Direction.UNKNOWN):
            return self._arranged(thread_id, Direction(told[0]) if told else None)
        by = "m.seq DESC" if direction is Direction.FALLING else "m.seq"
        return _Order(detector.count, _OWN, by, "created_at", last)

    def _arranged(self, thread_id: str, told: Direction | None) -> _Order:
        """Note the places of messages that do not lie in their order."""
        whole = self._whole(thread_id)
        self._db.execute(_DROP_REPEATED, (thread_id,))
        rows = self._db.execute(_ROWS, (thread_id,))
        count, last = 0, 0
        self._db.execute("BEGIN")
        for rank, (seq, second) in enumerate(arrange(rows, self._sources, told, whole)):
            self._db.execute("INSERT OR REPLACE INTO places VALUES (?, ?, ?)", (seq, rank, second))
            count, last = rank + 1, second
        self._db.execute("COMMIT")
        return _Order(count, _PLACED, "p.rank", "p.second", last)

    def _whole(self, thread_id: str) -> dict[int, Direction]:
        """Find which way the lists of a thread ran when no message had been left out; a second time nothing is new."""
        judges: dict[int, DirectionDetector] = {}
        for created_at, number in self._db.execute(_TIMES, (thread_id,)):
            judges.setdefault(number, DirectionDetector()).add(created_at)
        rows = [(thread_id, number, detector.direction.value) for number, detector in judges.items()]
        self._db.executemany("INSERT OR IGNORE INTO whole VALUES (?, ?, ?)", rows)
        found = self._db.execute("SELECT list, direction FROM whole WHERE thread_id = ?", (thread_id,))
        return {number: Direction(value) for number, value in found}


def _thread(thread_id: str, created_at: int, metadata: str, tool_resources: str, owner: str | None) -> Thread:
    return Thread(ThreadId(thread_id), created_at, metadata, tool_resources, message_count=0, owner=owner)
