"""How the bare app asks each kind of database: a call of the driver for a page, and one for a message that is added."""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

import aiosqlite
import asyncpg

if TYPE_CHECKING:
    from collections.abc import Sequence

    Values = tuple[str, str, int, str, str, str]  # thread, id, second, role, content, metadata

HELD: Final = {"sqlite": 4, "postgresql": 10}  # connections, as many as ours has
# Content comes as bytes: joined as text, one emoji would make a whole page four bytes a character.
_NEWEST: Final = """SELECT id, created_at, assistant_id, run_id, status, completed_at, role, {content}, attachments,
 metadata FROM messages WHERE project_id = 'default' AND thread_id = {thread} ORDER BY position DESC LIMIT {limit}"""
_TAKE: Final = """UPDATE threads SET last_position = last_position + 1, message_count = message_count + 1,
 last_created_at = {second} WHERE project_id = 'default' AND id = {thread} RETURNING last_position"""
_COLUMNS: Final = """INSERT INTO messages (project_id, thread_id, position, id, created_at, role, status, content,
 attachments, metadata, completed_at)"""


class Database(Protocol):
    """What the bare app asks."""

    async def newest(self, thread_id: str, limit: int) -> Sequence[Any]:
        """Read a thread's newest messages."""

    async def add(self, values: Values) -> None:
        """Add a message at the next position of its thread; it is on disk when this is done."""

    async def close(self) -> None:
        """Let all connections go."""


class Postgres:
    """Connections that are held, each with its two statements prepared."""

    _PAGE = _NEWEST.format(content="convert_to(content, 'UTF8')", thread="$1", limit="$2")
    _ADD = (
        f"WITH taken AS ({_TAKE.format(second='$3', thread='$1')}) {_COLUMNS} "  # noqa: S608  (our own words)
        "SELECT 'default', $1, last_position, $2, $3, $4, 'completed', $5, '[]', $6, $3 FROM taken"
    )

    def __init__(self) -> None:
        self._idle = asyncio.LifoQueue[tuple[Any, Any, Any]]()

    async def connect(self, url: str) -> None:
        """Open all connections."""
        for _ in range(HELD["postgresql"]):
            connection = await asyncpg.connect(url)
            prepared = [await connection.prepare(text) for text in (self._PAGE, self._ADD)]
            self._idle.put_nowait((connection, *prepared))

    async def newest(self, thread_id: str, limit: int) -> Sequence[Any]:
        """Fetch by the prepared statement."""
        held = await self._idle.get()
        try:
            rows: Sequence[Any] = await held[1].fetch(thread_id, limit)
            return rows
        finally:
            self._idle.put_nowait(held)

    async def add(self, values: Values) -> None:
        """Take the position and insert in one statement."""
        held = await self._idle.get()
        try:
            await held[2].fetch(*values)
        finally:
            self._idle.put_nowait(held)

    async def close(self) -> None:
        """Close what is idle, which is all once nobody is served."""
        while not self._idle.empty():
            await self._idle.get_nowait()[0].close()


class Sqlite:
    """Readers of aiosqlite, and one thread that writes; each message is a commit of its own."""

    _PAGE = _NEWEST.format(content="CAST(content AS BLOB)", thread="?", limit="?")
    _TAKE = _TAKE.format(second=":second", thread=":thread")
    _ADD = (
        f"{_COLUMNS} VALUES ('default', :thread, :position, :id, :second, :role, 'completed', :content, '[]', "
        ":metadata, :second)"
    )

    def __init__(self) -> None:
        self._idle = asyncio.LifoQueue[aiosqlite.Connection]()
        self._writing = ThreadPoolExecutor(1)
        self._writer: sqlite3.Connection

    async def connect(self, path: str) -> None:
        """Open all connections."""
        for _ in range(HELD["sqlite"]):
            self._idle.put_nowait(await aiosqlite.connect(path))
        self._writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=60)
        self._writer.execute("PRAGMA journal_mode = WAL")
        self._writer.execute("PRAGMA synchronous = FULL")

    async def newest(self, thread_id: str, limit: int) -> Sequence[Any]:
        """Fetch in one hop to the reader's thread."""
        held = await self._idle.get()
        try:
            return list(await held.execute_fetchall(self._PAGE, (thread_id, limit)))
        finally:
            self._idle.put_nowait(held)

    async def add(self, values: Values) -> None:
        """Write in one hop to the writer's thread."""
        await asyncio.get_running_loop().run_in_executor(self._writing, self._write, values)

    def _write(self, values: Values) -> None:
        named: dict[str, Any] = dict(
            zip(("thread", "id", "second", "role", "content", "metadata"), values, strict=True)
        )
        with self._writer:
            self._writer.execute("BEGIN IMMEDIATE")
            [(named["position"],)] = self._writer.execute(self._TAKE, named).fetchall()
            self._writer.execute(self._ADD, named)

    async def close(self) -> None:
        """Close all."""
        while not self._idle.empty():
            await self._idle.get_nowait().close()
        self._writing.shutdown()
        self._writer.close()


async def open_database(url: str) -> Database:
    """Connect to a database by its URL."""
    if url.startswith("sqlite"):
        sqlite = Sqlite()
        await sqlite.connect(urlsplit(url).path.removeprefix("/"))
        return sqlite
    postgres = Postgres()
    await postgres.connect(url)
    return postgres
