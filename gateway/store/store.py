"""The store: one database, and when a connection is borrowed and a transaction begins and ends.

Must not be here: what is read (`reads`) and changed (`writes`), differences between databases (`engines`).
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from gateway.domain.message import with_created_at
from gateway.domain.principal import Reach
from gateway.errors import NotFound
from gateway.store.connections import ConnectionPool
from gateway.store.engines.errors import translate, translated
from gateway.store.engines.instrumentation import watch_statements
from gateway.store.engines.open import open_engines
from gateway.store.group_commit import GroupCommit
from gateway.store.reads import Reads
from gateway.store.statements import messages, threads
from gateway.store.writes import Writes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
    from types import TracebackType

    from gateway.domain.change import Topic
    from gateway.domain.message import Message
    from gateway.store.connections import Connection
    from gateway.store.engines.base import Engines
    from gateway.store.engines.instrumentation import OnBegin

    Publish = Callable[[Iterable[Topic]], None]

T = TypeVar("T")

_MAX_TOPICS: Final = 500  # of one statement; SQLite allows 32,766 values


class Store:
    """One database, open from `open_store` until `close`; `publish` is called with every change after its commit."""

    def __init__(self, engines: Engines, publish: Publish) -> None:
        self._engines = engines
        self._publish = publish
        self._pool = ConnectionPool(engines)
        self._group_commit = GroupCommit(engines) if engines.has_one_writer else None

    def read(self) -> Borrowed[Reads]:
        """Borrow a connection to read with, for the duration of the block.

        Errors: Unavailable where the database is down or all connections stay busy.
        """
        return Borrowed(self._pool, _reads)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Writes]:
        """Run one transaction: committed at the end of the block, rolled back when it raises.

        Errors: Unavailable where the database is down or its writer stays busy.
        """
        with translated():
            async with self._transaction() as writes:
                yield writes
        self._publish(writes.touched)

    async def add_message(self, reach: Reach, message: Message) -> Message:
        """Add one message to the end of its thread, with as few round trips as the database allows.

        Errors: NotFound for the thread; Unavailable.
        """
        if self._group_commit is None:
            async with Borrowed(self._pool, self._writes) as writes:  # one statement is a transaction
                created_at = await writes.append_message(reach, message)
        else:
            created_at = await self._append_in_group(self._group_commit, reach, message)
        self._publish({(reach.project_id, message.thread_id)})
        return with_created_at(message, created_at)

    async def _append_in_group(self, group_commit: GroupCommit, reach: Reach, message: Message) -> int:
        builds = (
            (threads.take_positions, (reach, message.thread_id, 1, message.created_at)),
            (messages.insert_at_end, (reach, message)),
        )
        prepared = [self._engines.statements.prepared(build, arguments) for build, arguments in builds]
        with translated():
            taken, _ = await group_commit.run([(each.text, values) for each, values in prepared])
        if not taken:
            raise NotFound("thread", message.thread_id)
        created_at: int = taken[0][1]
        return created_at

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Writes]:
        if self._group_commit is not None:
            async with self._group_commit.transaction() as connection:
                yield self._writes(connection)
            return
        database = self._engines.database
        async with self._engines.writer.begin() as sqlalchemy:
            writes = Writes(sqlalchemy, database)
            yield writes
            await database.announce(sqlalchemy, writes.touched)

    def _writes(self, connection: Connection) -> Writes:
        return Writes(connection.sqlalchemy, self._engines.database, connection)

    async def data_version(self) -> tuple[int, int]:
        """Return SQLite's version of the file, and the connection that it is counted by.

        It changes when another connection has written; versions of two connections cannot be compared.
        """
        async with self.read() as reads:
            return await reads.data_version()

    async def last_positions(self, topics: Sequence[Topic]) -> dict[Topic, int]:
        """Return the last positions of threads of any project."""
        found: dict[Topic, int] = {}
        async with self.read() as reads:
            for project_id in {project_id for project_id, _ in topics}:
                own = [thread_id for project, thread_id in topics if project == project_id]
                for start in range(0, len(own), _MAX_TOPICS):
                    positions = await reads.last_positions(Reach(project_id), own[start : start + _MAX_TOPICS])
                    found.update({(project_id, thread_id): at for thread_id, at in positions.items()})
        return found

    async def is_migrated(self) -> bool:
        """Say whether the database answers and has the tables that this program needs, or a later one's.

        Errors: Unavailable.
        """
        async with self.read() as reads:
            return await reads.is_migrated()

    def watch(self, on_begin: OnBegin) -> None:
        """Call `on_begin` at the start of every statement from now on (`engines.instrumentation.watch_statements`)."""
        watch_statements(self._engines, on_begin)

    def connections(self) -> Mapping[str, int]:
        """Count the connections that are borrowed now, by pool."""
        writing = self._engines.writers().checkedout() if self._group_commit is None else self._group_commit.in_use
        return {"writer": writing, "reader": self._pool.in_use}

    def connections_at_most(self) -> Mapping[str, int]:
        """Say how many connections each pool may have."""
        return {"writer": self._engines.writers().size(), "reader": self._engines.rules.at_most}

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()
        if self._group_commit is not None:
            await self._group_commit.close()
        await self._engines.dispose()


class Borrowed(Generic[T]):
    """What is done over a connection of the pool, from `async with` until its end."""

    def __init__(self, pool: ConnectionPool, use: Callable[[Connection], T]) -> None:
        self._pool = pool
        self._use = use

    async def __aenter__(self) -> T:
        try:
            self._connection = self._pool.acquire_idle() or await self._pool.acquire()
        except Exception as error:
            raise translate(error) from error
        return self._use(self._connection)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.release(self._connection, error)
        if error is not None and (translation := translate(error)) is not error:
            raise translation from error


def _reads(connection: Connection) -> Reads:
    return Reads(connection.sqlalchemy, connection)


def open_store(url: str, publish: Publish = lambda _topics: None) -> Store:
    """Open the store at a database URL; it connects when it is first used."""
    return Store(open_engines(url), publish)


@asynccontextmanager
async def opened_store(url: str) -> AsyncIterator[Store]:
    """Open the store for the duration of the block, for a command that has no followers to notify."""
    store = open_store(url)
    try:
        yield store
    finally:
        await store.close()
