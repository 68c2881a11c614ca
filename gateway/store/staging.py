"""A passing table on disk in which an import sorts what it reads, so that memory does not grow with the files.

Must not be here: anything of the database that is served.
"""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from gateway.domain.ids import ThreadId
from gateway.domain.thread import Thread
from gateway.store.rows import messages_of
from gateway.store.statements import MESSAGE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

    from gateway.domain.message import Message

BATCH: Final = 1_000  # messages that are read, looked up and written at once
GROUP: Final = 20_000  # messages that are taken in one transaction, unless one thread has more

_COLUMNS: Final = tuple(column.name for column in MESSAGE_COLUMNS)
_TABLES: Final = f"""
    PRAGMA page_size = 32768;
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    CREATE TABLE threads (seq INTEGER PRIMARY KEY, id UNIQUE, created_at, metadata, tool_resources, owner);
    CREATE TABLE messages (seq INTEGER PRIMARY KEY, {", ".join(_COLUMNS)}, source, place);
"""
_INDEX: Final = "CREATE INDEX by_thread ON messages (thread_id, seq, created_at)"
_ADD_THREAD: Final = (
    "INSERT OR IGNORE INTO threads (id, created_at, metadata, tool_resources, owner) VALUES (?, ?, ?, ?, ?)"
)
_ADD_MESSAGE: Final = (
    f"INSERT INTO messages ({', '.join(_COLUMNS)}, source, place) "  # noqa: S608  (names of our own columns)
    f"VALUES ({'?, ' * len(_COLUMNS)}?, ?)"
)
# A message tells enough of a thread that has no line of its own: where only messages were kept, nothing is lost.
_THREADS: Final = """
    SELECT id, created_at, metadata, tool_resources, owner FROM (SELECT 0 AS made, * FROM threads UNION ALL
    SELECT 1, min(seq), thread_id, min(created_at), '{}', '{}', NULL FROM messages
    WHERE thread_id NOT IN (SELECT id FROM threads) GROUP BY thread_id) ORDER BY made, seq
"""
_TIMES: Final = "SELECT created_at FROM messages WHERE thread_id = ? ORDER BY seq"
_RISING, _FALLING, _MIXED = "seq", "seq DESC", "created_at, seq"  # the first two are those of the index
_MESSAGES: Final = f"SELECT {', '.join(_COLUMNS)}, source, place FROM messages WHERE thread_id = ? ORDER BY "  # noqa: S608  (as above)
# The same into the tables of SQLite, where the content is text, without a step of Python's for each message.
_ATTACHED: Final = "SELECT 1 FROM pragma_database_list WHERE name = 'staging'"
_KEPT: Final = ", ".join("CAST(content AS TEXT)" if name == "content" else name for name in _COLUMNS)
_MOVE: Final = (
    f"INSERT INTO main.messages (project_id, position, {', '.join(_COLUMNS)}) "  # noqa: S608  (as above)
    f"SELECT ?, row_number() OVER (ORDER BY {{order}}), {_KEPT} FROM staging.messages WHERE thread_id = ? "
    "ORDER BY {order}"
)
_MOVE_END: Final = (
    "UPDATE main.threads SET message_count = ?, last_position = ?, last_created_at = ? WHERE project_id = ? AND id = ?"
)
_ANY_DELETED: Final = "SELECT 1 FROM main.deleted_messages WHERE project_id = ? LIMIT 1"


class _Times(NamedTuple):
    """What the times of a thread's messages say: how many there are, what order they are in, and the last of all."""

    messages: int
    order: str
    last: int


class Staged(tuple[Any, ...]):
    """A message and where it was read, as it lies in the table."""

    __slots__ = ()

    @property
    def message(self) -> Message:
        """The message."""
        return messages_of([self])[0]

    @property
    def source(self) -> str:
        """The file that it was read from."""
        source: str = self[-2]
        return source

    @property
    def place(self) -> str:
        """Where in the file it stood."""
        place: str = self[-1]
        return place


_AS_STAGED: Callable[[Any], Staged] = partial(tuple.__new__, Staged)


def messages_in(batch: Sequence[Staged]) -> list[Message]:
    """Give the messages of a batch without where they were read."""
    return messages_of(batch)


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
        self._group: dict[str, _Times] = {}  # of the threads that were given last
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take it away again."""
        self._db.close()
        self._folder.cleanup()

    def add_thread(self, thread: Thread) -> None:
        """Keep a thread; the first of one id counts."""
        values = (thread.id, thread.created_at, thread.metadata_json, thread.tool_resources_json, thread.owner)
        self._db.execute(_ADD_THREAD, values)

    def add_message(self, source: str, place: str, message: Message) -> None:
        """Keep a message."""
        self._read.append((*message, source, place))
        if len(self._read) >= BATCH:
            self._write()

    def has_thread(self, thread_id: str) -> bool:
        """Say whether a thread has a line of its own."""
        return self._db.execute("SELECT 1 FROM threads WHERE id = ?", (thread_id,)).fetchone() is not None

    def threads(self) -> Iterator[Thread]:
        """Give all threads: those that were read, in their order, then those that only messages speak of."""
        self._write()
        self._db.execute(_INDEX)
        self._db.execute("COMMIT")  # so that the database may read it too
        for thread_id, created_at, metadata, tool_resources, owner in self._db.execute(_THREADS):
            yield Thread(ThreadId(thread_id), created_at, metadata, tool_resources, message_count=0, owner=owner)

    def groups(self) -> Iterator[list[Thread]]:
        """Give all threads in groups that are worth a transaction."""
        group: list[Thread] = []
        size = 0
        for thread in self.threads():
            times = self._times(thread.id)
            if group and size + times.messages >= GROUP:
                yield group
                group, size, self._group = [], 0, {}
            group.append(thread)
            self._group[thread.id] = times
            size += 1 + times.messages
        if group:
            yield group

    def messages(self, *thread_ids: str) -> Iterator[Sequence[Staged]]:
        """Give the messages of threads in batches, thread after thread, oldest first, and within a second as read.

        Lists of the API begin with the newest where nothing was said, so within a second the last one read is the
        first one made in a thread whose times only ever fall.
        """
        self._write()
        batch: list[Staged] = []
        for thread_id in thread_ids:
            cursor = self._db.execute(_MESSAGES + self._times(thread_id).order, (thread_id,))
            while found := cursor.fetchmany(BATCH - len(batch)):
                batch += map(_AS_STAGED, found)
                if len(batch) >= BATCH:
                    yield batch
                    batch = []
        if batch:
            yield batch

    def move_into(self, connection: sqlite3.Connection, project_id: str, thread_ids: Sequence[str]) -> int | None:
        """Write all messages of new threads of the group at hand into SQLite's tables, and say how many.

        Nothing is written, and None is said, where one of the ids is, or may be, taken: who takes them one by one
        knows what to say of each.
        """
        if connection.execute(_ANY_DELETED, (project_id,)).fetchone():
            return None
        if not connection.execute(_ATTACHED).fetchone():
            connection.execute("ATTACH ? AS staging", (str(self._file),))
        times = [(thread_id, self._group[thread_id]) for thread_id in thread_ids]
        connection.execute("SAVEPOINT moving")
        try:
            for thread_id, (_, order, _) in times:
                connection.execute(_MOVE.format(order=order), (project_id, thread_id))
        except sqlite3.IntegrityError:
            connection.execute("ROLLBACK TO moving")
            return None
        finally:
            connection.execute("RELEASE moving")
        ends = [(count, count, last, project_id, thread_id) for thread_id, (count, _, last) in times]
        connection.executemany(_MOVE_END, ends)
        return sum(count for count, *_ in ends)

    def _write(self) -> None:
        self._db.executemany(_ADD_MESSAGE, self._read)
        self._read.clear()

    def _times(self, thread_id: str) -> _Times:
        """Look at the times of a thread in the order in which its messages were read."""
        messages, last = 0, 0
        before: int | None = None
        rises = falls = True
        for (created_at,) in self._db.execute(_TIMES, (thread_id,)):
            if before is None:
                before = created_at
            rises, falls = rises and created_at >= before, falls and created_at <= before
            messages, before, last = messages + 1, created_at, max(last, created_at)
        return _Times(messages, _RISING if rises else _FALLING if falls else _MIXED, last)
