"""A passing table on disk in which an import sorts what it reads, so that memory does not grow with the files.

Must not be here: anything of the database that is served.
"""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, Self

from gateway.domain.ids import ThreadId
from gateway.domain.thread import Thread
from gateway.store.rows import messages_of
from gateway.store.statements import MESSAGE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

    from gateway.domain.message import Message

BATCH: Final = 1_000  # messages that are read, looked up and written at once
GROUP: Final = 5_000  # messages that are taken in one transaction, unless one thread has more

_COLUMNS: Final = tuple(column.name for column in MESSAGE_COLUMNS)
_TABLES: Final = f"""
    PRAGMA page_size = 32768;
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA locking_mode = EXCLUSIVE;
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
_COUNT: Final = "SELECT count(*) FROM messages WHERE thread_id = ?"
_MESSAGES: Final = f"""
    SELECT {", ".join(_COLUMNS)}, source, place FROM messages
    WHERE thread_id = ? ORDER BY created_at, CASE WHEN ? THEN -seq ELSE seq END
"""  # noqa: S608  (names of our own columns)


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
        self._db = sqlite3.connect(Path(self._folder.name) / "staging.db", isolation_level=None)
        self._db.executescript(_TABLES)
        self._db.execute("BEGIN")
        self._read: list[tuple[Any, ...]] = []  # messages that are not in the table yet
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
        for thread_id, created_at, metadata, tool_resources, owner in self._db.execute(_THREADS):
            yield Thread(ThreadId(thread_id), created_at, metadata, tool_resources, message_count=0, owner=owner)

    def groups(self) -> Iterator[list[Thread]]:
        """Give all threads in groups that are worth a transaction."""
        group: list[Thread] = []
        size = 0
        for thread in self.threads():
            count: int = self._db.execute(_COUNT, (thread.id,)).fetchone()[0]
            if group and size + count >= GROUP:
                yield group
                group, size = [], 0
            group.append(thread)
            size += 1 + count
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
            cursor = self._db.execute(_MESSAGES, (thread_id, self._falls(thread_id)))
            while found := cursor.fetchmany(BATCH - len(batch)):
                batch += map(_AS_STAGED, found)
                if len(batch) >= BATCH:
                    yield batch
                    batch = []
        if batch:
            yield batch

    def _write(self) -> None:
        self._db.executemany(_ADD_MESSAGE, self._read)
        self._read.clear()

    def _falls(self, thread_id: str) -> bool:
        times = self._db.execute("SELECT created_at FROM messages WHERE thread_id = ? ORDER BY seq", (thread_id,))
        first = last = next(times, (0,))[0]
        for (created_at,) in times:
            if created_at > last:
                return False
            last = created_at
        return bool(last < first)
