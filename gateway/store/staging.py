"""A temporary table on disk in which an import sorts what it reads, so that memory does not grow with the files.

Must not be here: the tables of the database that is served; the order of several lists (`ordering`).
"""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from gateway.domain.direction import Direction, DirectionDetector
from gateway.domain.idempotency import KeyRecord
from gateway.domain.ordering import Source, arrange
from gateway.domain.rejected import places_of
from gateway.domain.thread import Thread
from gateway.store import staged_runs
from gateway.store.rows import messages_of
from gateway.store.statements.messages import MESSAGE_COLUMNS
from gateway.store.temporary import temporary_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

    from gateway.domain.ids import ThreadId
    from gateway.domain.message import Message

BATCH: Final = 1_000  # messages to read, check and write at once
BATCH_BYTES: Final = 8 * 1024 * 1024  # of their content, at which a batch ends
GROUP: Final = 20_000  # messages and kilobytes of one transaction at most
_FIRST: Final = 500  # of the first transaction; the size of the next ones is adapted
_HOLD_S: Final = 0.05  # how long a transaction holds SQLite's writer; its commit may take twice as long

_COLUMNS: Final = tuple(column.name for column in MESSAGE_COLUMNS)
_CONTENT: Final = _COLUMNS.index("content")
_TABLES: Final = f"""
    PRAGMA page_size = 32768;
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    CREATE TABLE threads (seq INTEGER PRIMARY KEY, id UNIQUE, {", ".join(Thread._fields[1:])});
    CREATE TABLE messages (seq INTEGER PRIMARY KEY, {", ".join(_COLUMNS)}, list, source, place, bytes);
    CREATE TABLE refused_lines (seq INTEGER PRIMARY KEY, thread_id, list, raw, second);
    CREATE TABLE refused_threads (id PRIMARY KEY, reason) WITHOUT ROWID;
    CREATE TABLE explicit_order (id PRIMARY KEY, direction) WITHOUT ROWID;
    CREATE TABLE full_lists (thread_id, list, direction, PRIMARY KEY (thread_id, list)) WITHOUT ROWID;
    CREATE TABLE keys (object_id PRIMARY KEY, thread_id, scope, value, fingerprint) WITHOUT ROWID;
    CREATE TABLE places (seq INTEGER PRIMARY KEY, rank, second);
"""
_INDEX: Final = "CREATE INDEX by_thread ON messages (thread_id, seq, created_at, list, bytes)"
_ADD_THREAD: Final = f"INSERT OR IGNORE INTO threads VALUES (NULL{', ?' * len(Thread._fields)})"  # noqa: S608  (our own names)
_ADD_MESSAGE: Final = f"INSERT INTO messages VALUES (?, {'?, ' * len(_COLUMNS)}?, ?, ?, ?)"  # noqa: S608  (our own names)
# A thread without a line of its own is inferred from its messages, so an export of messages alone can be imported.
_OPTIONAL: Final = ", NULL" * len(Thread._field_defaults)
_THREADS: Final = f"""
    SELECT * FROM
    (SELECT 0 AS inferred, * FROM threads UNION ALL
    SELECT 1, min(seq), thread_id, min(created_at), '{{}}', '{{}}', 0{_OPTIONAL} FROM FOUND
    WHERE thread_id NOT IN (SELECT id FROM threads) GROUP BY thread_id)
    WHERE id NOT IN (SELECT id FROM refused_threads) ORDER BY inferred, seq
"""  # noqa: S608  (our own names)
_MESSAGES_OR_RUNS: Final = """
    (SELECT seq, thread_id, created_at FROM messages
    UNION ALL SELECT seq, thread_id, created_at FROM run_lines WHERE thread_id != '')
"""
_ROWS: Final = "SELECT seq, created_at, list FROM messages WHERE thread_id = ? ORDER BY seq"
_WEIGHT: Final = "SELECT count(*) + coalesce(sum(bytes), 0) / 1000 FROM messages WHERE thread_id = ?"
_KEYS: Final = "SELECT thread_id, object_id, scope, value, fingerprint FROM keys WHERE thread_id = ?"
_DROP_REPEATED: Final = (
    "DELETE FROM messages WHERE thread_id = ?1 AND seq NOT IN "
    "(SELECT min(seq) FROM messages WHERE thread_id = ?1 GROUP BY id)"
)
_OWN: Final = "FROM {schema}messages AS m WHERE thread_id = ?"
_PLACED: Final = "FROM {schema}messages AS m JOIN {schema}places AS p ON p.seq = m.seq WHERE thread_id = ?"
_LISTED: Final = ", ".join(f"m.{name}" for name in _COLUMNS)
# A copy into SQLite's own tables, where the content is text, takes no Python call for each message.
_ATTACHED: Final = "SELECT file FROM pragma_database_list WHERE name = 'staging'"
_STORED: Final = ", ".join("CAST(m.content AS TEXT)" if name == "content" else f"m.{name}" for name in _COLUMNS)
_MOVE_END: Final = (
    "UPDATE main.threads SET message_count = ?, last_position = ?, last_created_at = ? WHERE project_id = ? AND id = ?"
)
_REVERSED: Final = {"m.seq": "m.seq DESC", "m.seq DESC": "m.seq", "p.rank": "p.rank DESC"}
_ANY_DELETED: Final = "SELECT 1 FROM main.deleted_messages WHERE project_id = ? LIMIT 1"


class _Order(NamedTuple):
    """The order of a thread's messages: their number, FROM, ORDER BY, the column of the second, and the last second."""

    messages: int
    found_in: str
    by: str
    second: str
    last: int

    @property
    def read(self) -> str:
        """The statement that selects them in their order, each followed by its effective second."""
        own = self.found_in.format(schema="")
        return f"SELECT {_LISTED}, source, place, {self.second} {own} ORDER BY {self.by}"

    @property
    def rows(self) -> str:
        """The statement that selects them as they are stored."""
        return f"SELECT {_STORED} {self.found_in.format(schema='')} ORDER BY {self.by}"

    @property
    def move(self) -> str:
        """The statement that copies them into the table of messages that is served.

        They are numbered by an index alone, since SQLite copies whole rows twice to number them.
        """
        own = self.found_in.format(schema="staging.")
        numbered = f"SELECT m.seq AS own, row_number() OVER (ORDER BY {self.by}) AS number {own}"
        found = f"FROM ({numbered}) CROSS JOIN staging.messages AS m ON m.seq = own"
        columns = f"project_id, change_number, position, {', '.join(_COLUMNS)}"
        # The number of the new thread is enough for followers of the list.
        return f"INSERT INTO main.messages ({columns}) SELECT ?, 0, number, {_STORED} {found}"


class Staged(NamedTuple):
    """A message, where it was read, and its effective second: that of the previous one where a clock went back."""

    message: Message
    source: str
    place: str
    second: int


class Group(NamedTuple):
    """Threads that are written in one transaction, each with whether it has a line of its own.

    A thread that `is_long` is too much for one short transaction; then it is alone.
    """

    threads: list[tuple[Thread, bool]]
    is_long: bool = False


class Staging:
    """The table, from `with` until its end."""

    def __enter__(self) -> Self:
        """Create the table in a folder of its own.

        Errors: TemporaryFailed, here and until the end.
        """
        with ExitStack() as stack:
            self._file = stack.enter_context(temporary_folder("import")) / "staging.db"
            # An import reads it in the thread of the database that it writes, while the one that opened it waits.
            self._db = sqlite3.connect(self._file, isolation_level=None, check_same_thread=False)
            stack.callback(self._db.close)
            self._db.executescript(_TABLES + staged_runs.TABLES)
            self._db.execute("BEGIN")
            self._end = stack.pop_all()
        self._read: list[tuple[Any, ...]] = []  # messages that are not in the table yet
        self._bytes = 0  # of their content
        self._seq = 0
        self._limit = _FIRST
        self._has_keys = False
        self._sources: dict[int, Source] = {}
        self.runs = staged_runs.StagedRuns(self._db, self._sources)
        self._group: dict[str, _Order] = {}  # of the threads that were given last
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Delete the table."""
        self._end.__exit__(kind, error, trace)

    def begin_list(self, file: int, fallback: Direction, *, is_explicit: bool) -> int:
        """Begin a list of a file, and return its number; messages are added to it in the order of the file.

        `fallback` is its direction if its times do not show it; with `is_explicit`, also if other lists of a
        thread have another one.
        """
        number = len(self._sources)
        self._sources[number] = Source(file, fallback, is_explicit)
        return number

    def add_thread(self, thread: Thread) -> bool:
        """Add a thread, and say whether it is new; the first one of an id is used."""
        return self._db.execute(_ADD_THREAD, thread._replace(message_count=0)).rowcount > 0

    def add_message(self, number: int, source: str, place: str, message: Message) -> None:
        """Add a message of a list."""
        self._seq += 1
        size = message.stored
        self._read.append((self._seq, *message, number, source, place, size))
        self._bytes += size
        if len(self._read) >= BATCH or self._bytes >= BATCH_BYTES:
            self._write()

    def add_refused(self, number: int, thread_id: str, raw: bytes, second: int | None) -> None:
        """Add a rejected line at its place among the messages of its thread; `second` is its time."""
        self._seq += 1
        self._db.execute(
            "INSERT INTO refused_lines VALUES (?, ?, ?, ?, ?)", (self._seq, thread_id, number, raw, second)
        )

    def refuse_thread(self, thread_id: str, reason: str) -> None:
        """Refuse a whole thread; the first reason is used."""
        self._db.execute("INSERT OR IGNORE INTO refused_threads VALUES (?, ?)", (thread_id, reason))

    def set_order(self, thread_id: str, direction: Direction) -> None:
        """Set the direction of all lists of a thread, whatever its times show."""
        self._db.execute("INSERT OR IGNORE INTO explicit_order VALUES (?, ?)", (thread_id, direction.value))

    def add_key(self, key: KeyRecord) -> None:
        """Add the idempotency key of a thread or a message; the first one is used."""
        self._has_keys = True
        row = (key.object_id, key.thread_id, *key[2:])
        self._db.execute("INSERT OR IGNORE INTO keys VALUES (?, ?, ?, ?, ?)", row)

    def finish(self) -> None:
        """Finish adding, so that the table can be read."""
        self._write()
        self._db.execute(_INDEX)
        self._db.execute("CREATE INDEX keys_by_thread ON keys (thread_id)")
        self.runs.finish()
        self._db.execute("COMMIT")  # so that the other connection can read it too

    def refused_threads(self) -> Iterator[tuple[ThreadId, str]]:
        """Yield the refused threads, and why."""
        yield from self._db.execute("SELECT * FROM refused_threads")

    def thread(self, thread_id: str) -> Thread | None:
        """Return a thread that has a line of its own."""
        row = self._db.execute("SELECT * FROM threads WHERE id = ?", (thread_id,)).fetchone()
        return None if row is None else Thread(*row[1:])

    def threads(self) -> Iterator[tuple[Thread, bool]]:
        """Yield all threads that are not refused, and whether they have lines of their own.

        Those that have come first, in their order, then those that are inferred from messages.
        """
        found = _MESSAGES_OR_RUNS if self.runs.count else "messages"
        for inferred, _, *row in self._db.execute(_THREADS.replace("FOUND", found)):
            yield Thread(*row), not inferred

    def note_hold(self, seconds: float) -> None:
        """Adapt the number of messages of the next groups to the time that one took."""
        fitting = self._limit * _HOLD_S / max(seconds, 0.001)
        self._limit = max(1, min(GROUP, 2 * self._limit, int(fitting)))

    def groups(self) -> Iterator[Group]:
        """Yield all threads in groups, one for each transaction; a long thread is a group of its own."""
        group: list[tuple[Thread, bool]] = []
        size = 0
        for thread, has_line in self.threads():
            order = self._order(thread.id)
            [weight] = self._db.execute(_WEIGHT, (thread.id,)).fetchone()
            weight += 1 + (len(thread.metadata_json) + len(thread.tool_resources_json)) // 1_000
            if group and size + weight > min(GROUP, self._limit):
                yield Group(group, self._is_long(group, size))
                group, size, self._group = [], 0, {}
            group.append((thread, has_line))
            self._group[thread.id] = order
            size += weight
        if group:
            yield Group(group, self._is_long(group, size))

    def _is_long(self, group: Sequence[tuple[Thread, bool]], size: int) -> bool:
        # One slow transaction does not make every thread long: filling does not measure how much can be written.
        return len(group) == 1 and size > max(self._limit, _FIRST)

    def ids(self, thread_id: str) -> Iterator[list[str]]:
        """Yield the ids of a thread's messages in batches, oldest first."""
        order = self._group[thread_id]
        found = self._db.execute(f"SELECT m.id {order.found_in.format(schema='')} ORDER BY {order.by}", (thread_id,))
        while batch := found.fetchmany(BATCH):
            yield [row[0] for row in batch]

    def messages(self, *thread_ids: str, after: int = 0) -> Iterator[Sequence[Staged]]:
        """Yield the messages of threads in batches, thread after thread, oldest first; of each after the first ones."""
        batch: list[Any] = []
        weight = 0
        for thread_id in thread_ids:
            order = self._group.get(thread_id) or self._order(thread_id)
            for row in self._db.execute(f"{order.read} LIMIT -1 OFFSET ?", (thread_id, after)):
                batch.append(row)
                weight += len(row[_CONTENT])
                if len(batch) >= BATCH or weight >= BATCH_BYTES:
                    yield _staged(batch)
                    batch, weight = [], 0
        if batch:
            yield _staged(batch)

    def keys(self, *thread_ids: str) -> Iterator[list[KeyRecord]]:
        """Yield the idempotency keys of threads and of what they have, in batches."""
        for thread_id in thread_ids if self._has_keys else ():  # most files have none, and many threads
            found = self._db.execute(_KEYS, (thread_id,))
            while batch := found.fetchmany(BATCH):
                yield list(map(KeyRecord._make, batch))

    def lines_of(self, thread_id: str, *, newest_first: bool) -> Iterator[bytes | Message]:
        """Yield all messages of a refused thread in their order, with its rejected lines at their places."""
        order = self._order(thread_id)
        if newest_first:
            order = order._replace(by=_REVERSED[order.by])
        refused = self._db.execute(
            "SELECT seq, list, second FROM refused_lines WHERE thread_id = ? ORDER BY seq", (thread_id,)
        )
        pending = places_of(refused.fetchall(), self._ranks(order, thread_id))
        for rank, row in enumerate(self._db.execute(order.read, (thread_id,))):
            yield from map(self._raw, pending.pop(rank, ()))
            yield from messages_of([row])
        for seqs in pending.values():
            yield from map(self._raw, seqs)

    def _raw(self, seq: int) -> bytes:
        raw: bytes = self._db.execute("SELECT raw FROM refused_lines WHERE seq = ?", (seq,)).fetchone()[0]
        return raw

    def _ranks(self, order: _Order, thread_id: str) -> Iterable[tuple[int, int, int]]:
        rows = f"SELECT m.seq, m.list, {order.second} {order.found_in.format(schema='')} ORDER BY {order.by}"
        return self._db.execute(rows, (thread_id,))

    def count_messages(self, thread_ids: Iterable[str]) -> int:
        """Count the messages of threads."""
        return sum(self._group[each].messages for each in thread_ids)

    def move_into(self, connection: sqlite3.Connection, project_id: str, thread_ids: Sequence[str]) -> int | None:
        """Copy all messages of new threads of the current group into SQLite's tables, and return their number.

        Nothing is written, and None returned, where one of the ids exists or may exist: an import one by one then finds
        the reason; or where the connection has another staging table attached.
        """
        if connection.execute(_ANY_DELETED, (project_id,)).fetchone():
            return None
        attached = connection.execute(_ATTACHED).fetchone()
        if attached is None:
            connection.execute("ATTACH ? AS staging", (str(self._file),))
        elif not Path(attached[0]).exists() or not self._file.samefile(attached[0]):
            return None  # of an earlier import; it cannot be detached within a transaction
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

    def rows(
        self, project_id: str, thread_ids: Sequence[str]
    ) -> tuple[list[tuple[Any, ...]], list[tuple[str, int, int]]]:
        """Return rows of the same messages with the columns IMPORTED, and the ends of their threads."""
        found: list[tuple[Any, ...]] = []
        for thread_id in thread_ids:
            order = self._group[thread_id]
            found += [(project_id, n, *row) for n, row in enumerate(self._db.execute(order.rows, (thread_id,)), 1)]
        orders = [(thread_id, self._group[thread_id]) for thread_id in thread_ids]
        return found, [(thread_id, order.messages, order.last) for thread_id, order in orders]

    def _write(self) -> None:
        self._db.executemany(_ADD_MESSAGE, self._read)
        self._read.clear()
        self._bytes = 0

    def _order(self, thread_id: str) -> _Order:
        """Find the order of a thread's messages: usually that of the one list that they were read from, or its reverse.

        Lists of the API begin with the newest by default, so in a list whose times only fall, the last one read of a
        second is the first one created.
        """
        detector, numbers = DirectionDetector(), set()
        for _, created_at, number in self._db.execute(_ROWS, (thread_id,)):
            detector.add(created_at)
            numbers.add(number)
        direction = detector.direction
        if direction is Direction.UNKNOWN and numbers:
            direction = self._sources[min(numbers)].fallback
        explicit = self._db.execute("SELECT direction FROM explicit_order WHERE id = ?", (thread_id,)).fetchone()
        if len(numbers) > 1 or explicit or not (detector.is_monotonic or detector.direction is Direction.UNKNOWN):
            return self._arranged(thread_id, Direction(explicit[0]) if explicit else None)
        by = "m.seq DESC" if direction is Direction.FALLING else "m.seq"
        return _Order(detector.count, _OWN, by, "created_at", detector.latest)

    def _arranged(self, thread_id: str, explicit: Direction | None) -> _Order:
        """Store the places of messages that were read out of order."""
        whole = self._whole(thread_id)
        self._db.execute(_DROP_REPEATED, (thread_id,))
        rows = self._db.execute(_ROWS, (thread_id,))
        count, last = 0, 0
        self._db.execute("BEGIN")
        for rank, (seq, second) in enumerate(arrange(rows, self._sources, explicit, whole)):
            self._db.execute("INSERT OR REPLACE INTO places VALUES (?, ?, ?)", (seq, rank, second))
            count, last = rank + 1, second
        self._db.execute("COMMIT")
        return _Order(count, _PLACED, "p.rank", "p.second", last)

    def _whole(self, thread_id: str) -> dict[int, Direction]:
        """Return the directions of a thread's lists with all their messages; those of the first call are stored."""
        detectors: dict[int, DirectionDetector] = {}
        for _, created_at, number in self._db.execute(_ROWS, (thread_id,)):
            detectors.setdefault(number, DirectionDetector()).add(created_at)
        rows = [(thread_id, number, detector.direction.value) for number, detector in detectors.items()]
        self._db.executemany("INSERT OR IGNORE INTO full_lists VALUES (?, ?, ?)", rows)
        found = self._db.execute("SELECT list, direction FROM full_lists WHERE thread_id = ?", (thread_id,))
        return {number: Direction(value) for number, value in found}


def _staged(rows: list[Any]) -> list[Staged]:
    """Convert the rows of `_Order.read`."""
    return [Staged(message, *row[len(_COLUMNS) :]) for message, row in zip(messages_of(rows), rows, strict=True)]
