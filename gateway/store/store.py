"""The store of one database: it decides when a connection is borrowed and a transaction begins and ends.

Must not be here: what is read (`reads`) and changed (`writes`), differences between databases (`engines`).
"""

from __future__ import annotations

import asyncio
import shutil
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from gateway.concurrency import Event
from gateway.domain import bounds
from gateway.domain.change import Hint
from gateway.domain.message import with_created_at
from gateway.errors import Unavailable
from gateway.store.connections import Connection, ConnectionPool, TransactionConnection, open_reader, open_writer
from gateway.store.engines.base import WAIT_S, Timeouts
from gateway.store.engines.errors import is_refused, is_usable_after
from gateway.store.engines.open import open_engines
from gateway.store.faults import Faults
from gateway.store.group_commit import GroupCommit
from gateway.store.reads import Reads
from gateway.store.runs import RunReads, RunWrites
from gateway.store.statements import following, messages
from gateway.store.transactions import Transactions
from gateway.store.turns import Turns
from gateway.store.writes import Writes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
    from types import TracebackType

    from gateway.domain.change import Topic
    from gateway.domain.delta import Delta
    from gateway.domain.ids import MessageId, ThreadId
    from gateway.domain.message import Addition, Message
    from gateway.domain.principal import Reach
    from gateway.domain.snapshot import Snapshot
    from gateway.store.engines.base import Engines
    from gateway.store.engines.watchers import OnBegin
    from gateway.store.statement_cache import Build

    Publish = Callable[[Collection[Hint]], None]

T = TypeVar("T")

_OF_SERVERS: Final = Timeouts()
_SNAPSHOTS: Final = 2  # at once, in a process: each keeps a connection from other readers


class Store:
    """One database, open from `open_store` until `close`; `publish` is called with every change after its commit."""

    def __init__(self, engines: Engines, publish: Publish) -> None:
        self._engines = engines
        self._publish = publish
        at_most = engines.connections_at_most()
        self._pool = ConnectionPool[Connection](partial(open_reader, engines), at_most["reader"])
        self._probe = ConnectionPool[Connection](partial(open_reader, engines), 1)
        self._writers = ConnectionPool[TransactionConnection](partial(open_writer, engines), at_most["writer"])
        self._transactions = GroupCommit(engines) if engines.is_sqlite else Transactions(self._writers)
        self._turns = Turns()
        self._snapshots = asyncio.Semaphore(_SNAPSHOTS)
        self._faults = Faults()
        self.leftovers = Event()  # set where a long thread was deleted, of which rows are left

    def read(self) -> Borrowed[RunReads]:
        """Borrow a connection to read with, for the duration of the block.

        Errors: Unavailable where the database is down or all connections stay busy.
        """
        return Borrowed(self._pool, RunReads, self._faults)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[RunReads]:
        """Borrow a connection whose reads all see the same snapshot, for the duration of the block.

        On SQLite the log grows until the block ends, so only a few may be open at once.
        Errors: Unavailable.
        """
        async with _one_of(self._snapshots), Borrowed(self._pool, _itself, self._faults) as connection:
            await connection.execute(self._engines.begin_snapshot)
            try:
                yield RunReads(connection)
            except Exception as error:
                if is_usable_after(error):
                    await connection.execute("ROLLBACK")
                raise
            await connection.execute("COMMIT")

    async def write(self, work: Callable[[RunWrites], Awaitable[T]], key: str = "") -> T:
        """Run a transaction: committed when its function returns, rolled back when that raises.

        The function awaits only its own reads and writes: on SQLite it runs in the writer's thread. The key is the id
        of the thread or message that it changes, so that writers of one thread do not block those of others.
        Errors: Unavailable where the database is down or its writer stays busy, or the thread stays locked.
        """
        if not key or self._engines.is_sqlite:
            return await self._write(work)
        return await self._in_turn(key, partial(self._write, work))

    async def _in_turn(self, key: str, work: Callable[[float | None], Awaitable[T]]) -> T:
        turns = self._turns
        until = None if turns.begin(key) else await turns.wait(key)
        try:
            return await work(until)
        except Unavailable as error:
            turns.fail(key, error)
            raise
        finally:
            turns.end(key)

    async def _write(self, work: Callable[[RunWrites], Awaitable[T]], until: float | None = None) -> T:
        try:
            result, touched = await self._transactions.run(partial(_transaction, work), until)
        except Exception as error:
            if (translation := self._faults.translate(error)) is error:
                raise
            raise translation from error
        self._faults.on_write()
        self._publish(touched)
        return result

    async def add_message(self, reach: Reach, added: Addition) -> Message:
        """Add one message to the end of its thread, with as few round trips as the database allows.

        Errors: NotFound for the thread; ThreadLocked; KeyTaken; IdempotencyKeyInUse; Unavailable.
        """
        message, active_at, reader, key = added
        thread_id = message.thread_id
        add = partial(Writes.add_message, reach=reach, added=added)
        if self._engines.is_sqlite or reader is not None:
            return await self.write(add, thread_id)
        of_key = () if key is None else (key.scope, key.fingerprint)
        rows = partial(self._rows, messages.append_message, (reach, message, active_at, *of_key))
        found = await self._in_turn(thread_id, rows)
        if not found:  # the transaction finds the reason; the thread may also just have changed
            return await self.write(add, thread_id)
        position, created_at, owner = found[0]
        self._publish([Hint(reach.project_id, thread_id, owner, position)])
        return with_created_at(message, created_at)

    async def append_delta(
        self, reach: Reach, message_id: MessageId, gained: Delta, fold: int, offset: int | None = None
    ) -> ThreadId | None:
        """Add a text after the last delta of a message, and return its thread, if one statement can do it.

        None where nothing was added: on SQLite, which has no such statement; where the message has no delta yet, the
        next one is the `fold`th, the text would be too long, or begins elsewhere than at the offset; and where the
        thread changes meanwhile.
        Errors: Unavailable.
        """
        if self._engines.is_sqlite:
            return None
        counts = {"units": gained.next_start, "characters": gained.characters, "most": bounds.TEXT.number, "fold": fold}
        if offset is not None:
            counts["offset"] = offset
        rows = partial(self._rows, following.append_delta, (reach, message_id, gained.text, counts))
        found = await self._in_turn(message_id, rows)
        if not found:
            return None
        thread_id: ThreadId
        thread_id, owner, position = found[0]
        self._publish([Hint(reach.project_id, thread_id, owner, position, only_text=True)])
        return thread_id

    async def _rows(self, build: Build, arguments: tuple[Any, ...], until: float | None) -> Sequence[Any]:
        """Run one statement that writes, which is a transaction, and return its rows."""
        async with Borrowed(self._writers, _itself, self._faults, until) as connection:
            found = await connection.rows(build, arguments)
        self._faults.on_write()
        return found

    async def data_version(self) -> tuple[int, int]:
        """Return SQLite's version of the file, and the connection that it is counted by.

        It changes when another connection has written; versions of two connections cannot be compared.
        """
        async with self.read() as reads:
            return await reads.data_version()

    async def last_positions(self, topics: Sequence[Topic]) -> dict[Topic, int | None]:
        """Return the last positions of threads of any project; None for unknown ones."""
        async with self.read() as reads:
            return await reads.last_positions(topics)

    async def changed_owners(
        self, projects: Sequence[str], seen: Snapshot | None
    ) -> tuple[Snapshot, list[tuple[str, str | None, int | None]]]:
        """Return the current snapshot, and the owners in some projects whose threads have changed since another one.

        A change is a project, an owner and its number; an unknown owner and number are None.
        """
        async with self.read() as reads:
            if seen is None:
                return await reads.current_snapshot(), [(each, None, None) for each in projects]
            current, changed = await reads.changed_projects(projects, seen)
            return current, [each for one in changed for each in await reads.changed_owners(one, seen)]

    async def is_migrated(self) -> bool:
        """Say whether the database answers and has the tables that this program needs, or a later one's.

        Errors: Unavailable.
        """
        async with Borrowed(await self._pool_to_probe(), Reads, self._faults) as reads:
            return await reads.is_migrated()

    async def _pool_to_probe(self) -> ConnectionPool[Connection]:
        """Return a pool that no request holds up, or that of reads where the database refuses one more connection.

        Requests are served then, over those that there are.
        Errors: Unavailable.
        """
        try:
            self._probe.release(await self._probe.acquire(), None)
        except Exception as error:
            if not (is_refused(error) and self._pool.open):
                raise self._faults.translate(error) from error
            return self._pool
        return self._probe

    def abort_stuck(self) -> None:
        """Break connections whose server has not answered for too long; this is called each second."""
        for pool in (self._pool, self._probe, self._writers):
            pool.abort_stuck(self._engines.longest_s)

    @property
    def fault(self) -> str | None:
        """The last fault of the database, if no write has succeeded since."""
        return self._faults.reason

    async def try_write(self) -> None:
        """Commit a transaction that has no effect.

        Errors: Unavailable.
        """
        await self.write(Writes.try_write)

    async def free_bytes(self) -> int | None:
        """Return how many bytes are free on the disk of the database's file; None where that is not known here.

        Errors: Unavailable.
        """
        folder = self._engines.folder
        if folder is None:
            return None
        async with Borrowed(self._probe, _itself, self._faults) as connection:  # whose thread may wait for a disk
            free: int = await connection.call(lambda _raw: shutil.disk_usage(folder).free)
        return free

    def watch(self, on_begin: OnBegin) -> None:
        """Call `on_begin` at the start of every statement from now on (`engines.watchers.Watchers`)."""
        self._engines.watchers.on_begin.append(on_begin)

    def connections(self) -> Mapping[str, int]:
        """Count the connections that are borrowed now, by pool."""
        return {"writer": self._transactions.in_use, "reader": self._pool.in_use}

    def connections_at_most(self) -> Mapping[str, int]:
        """Say how many connections each pool may have."""
        return self._engines.connections_at_most()

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()
        await self._probe.close()
        await self._transactions.close()
        await self._engines.dispose()


class Borrowed(Generic[T]):
    """The use of a connection of the pool, as an `async with` block."""

    def __init__(
        self, pool: ConnectionPool[Any], use: Callable[[Connection], T], faults: Faults, until: float | None = None
    ) -> None:
        self._pool = pool
        self._use = use
        self._faults = faults
        self._until = until

    async def __aenter__(self) -> T:
        try:
            self._connection = self._pool.acquire_idle() or await self._pool.acquire(self._until)
        except Exception as error:
            raise self._faults.translate(error) from error
        return self._use(self._connection)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.release(self._connection, error)
        if error is not None and (translation := self._faults.translate(error)) is not error:
            raise translation from error


@asynccontextmanager
async def _one_of(slots: asyncio.Semaphore) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(WAIT_S):
            await slots.acquire()
    except TimeoutError as error:
        raise Unavailable("Other copies took too long. Please send the request again.") from error
    try:
        yield
    finally:
        slots.release()


def _itself(connection: Connection) -> Connection:
    return connection


async def _transaction(
    work: Callable[[RunWrites], Awaitable[T]], connection: TransactionConnection
) -> tuple[T, Collection[Hint]]:
    writes = RunWrites(connection)
    return await work(writes), writes.touched.values()


def open_store(url: str, publish: Publish = lambda _topics: None, timeouts: Timeouts | None = _OF_SERVERS) -> Store:
    """Open the store at a database URL; it connects when it is first used."""
    return Store(open_engines(url, timeouts), publish)


@asynccontextmanager
async def opened_store(url: str, publish: Publish = lambda _hints: None) -> AsyncIterator[Store]:
    """Open the store for the duration of the block, for a command."""
    store = open_store(url, publish, timeouts=None)
    try:
        yield store
    finally:
        await store.close()
