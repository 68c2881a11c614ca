"""A passing table on disk in which an import sorts what it reads, so that memory does not grow with the files.

Must not be here: anything of the database that is served.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, Self

from gateway.domain.ids import ThreadId
from gateway.domain.thread import Thread
from gateway.store.rows import messages_of
from gateway.store.statements import MESSAGE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from gateway.domain.message import Message

BATCH: Final = 500

_COLUMNS: Final = tuple(column.name for column in MESSAGE_COLUMNS)
_TABLES: Final = f"""
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    CREATE TABLE threads (seq INTEGER PRIMARY KEY, id UNIQUE, created_at, metadata, tool_resources, owner);
    CREATE TABLE messages (seq INTEGER PRIMARY KEY, source, place, {", ".join(_COLUMNS)});
"""
_INDEX: Final = "CREATE INDEX by_thread ON messages (thread_id, seq, created_at)"
_ADD_THREAD: Final = (
    "INSERT OR IGNORE INTO threads (id, created_at, metadata, tool_resources, owner) VALUES (?, ?, ?, ?, ?)"
)
_ADD_MESSAGE: Final = (
    f"INSERT INTO messages (source, place, {', '.join(_COLUMNS)}) "  # noqa: S608  (names of our own columns)
    f"VALUES (?, ?{', ?' * len(_COLUMNS)})"
)
# A message tells enough of a thread that has no line of its own: where only messages were kept, nothing is lost.
_THREADS: Final = """
    SELECT id, created_at, metadata, tool_resources, owner FROM (SELECT 0 AS made, * FROM threads UNION ALL
    SELECT 1, min(seq), thread_id, min(created_at), '{}', '{}', NULL FROM messages
    WHERE thread_id NOT IN (SELECT id FROM threads) GROUP BY thread_id) ORDER BY made, seq
"""
_MESSAGES: Final = f"""
    SELECT source, place, {", ".join(_COLUMNS)} FROM messages
    WHERE thread_id = ? ORDER BY created_at, CASE WHEN ? THEN -seq ELSE seq END
"""  # noqa: S608  (names of our own columns)


@dataclass(frozen=True, slots=True)
class Staged:
    """A message and where it was read."""

    source: str
    place: str
    message: Message


class Staging:
    """The table, from `with` until its end."""

    def __enter__(self) -> Self:
        """Make the table in a folder of its own."""
        self._folder = TemporaryDirectory(prefix="gateway-import-")
        self._db = sqlite3.connect(Path(self._folder.name) / "staging.db", isolation_level=None)
        self._db.executescript(_TABLES)
        self._db.execute("BEGIN")
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
        self._db.execute(_ADD_MESSAGE, (source, place, *message))

    def has_thread(self, thread_id: str) -> bool:
        """Say whether a thread has a line of its own."""
        return self._db.execute("SELECT 1 FROM threads WHERE id = ?", (thread_id,)).fetchone() is not None

    def threads(self) -> Iterator[Thread]:
        """Give all threads: those that were read, in their order, then those that only messages speak of."""
        self._db.execute(_INDEX)
        for thread_id, created_at, metadata, tool_resources, owner in self._db.execute(_THREADS):
            yield Thread(ThreadId(thread_id), created_at, metadata, tool_resources, message_count=0, owner=owner)

    def messages(self, thread_id: str) -> Iterator[list[Staged]]:
        """Give the messages of a thread in batches, oldest first, and within a second as they were read.

        Lists of the API begin with the newest where nothing was said, so within a second the last one read is the
        first one made in a thread whose times only ever fall.
        """
        cursor = self._db.execute(_MESSAGES, (thread_id, self._falls(thread_id)))
        while batch := cursor.fetchmany(BATCH):
            yield [Staged(source, place, *messages_of([row])) for source, place, *row in batch]

    def _falls(self, thread_id: str) -> bool:
        times = self._db.execute("SELECT created_at FROM messages WHERE thread_id = ? ORDER BY seq", (thread_id,))
        first = last = next(times, (0,))[0]
        for (created_at,) in times:
            if created_at > last:
                return False
            last = created_at
        return bool(last < first)
