"""The store: one database, and when a connection is borrowed and a transaction begins and ends.

Must not be here: what is read (`reads`) and changed (`writes`), differences between databases (`base`).
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

from gateway.domain.message import at_second
from gateway.domain.principal import Reach
from gateway.errors import NotFound, Unavailable
from gateway.store.connections import Lanes
from gateway.store.engines.base import Engines, is_momentary, open_engines, watch_statements
from gateway.store.group_commit import Grouping
from gateway.store.reads import Quick, Reads
from gateway.store.statements import selects
from gateway.store.writes import Writes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from gateway.domain.change import Topic
    from gateway.domain.message import Message
    from gateway.store.engines.base import Begin
    from gateway.store.statement_cache import Shapes

    Publish = Callable[[Iterable[Topic]], None]


_TOPICS = 500  # a statement; SQLite takes 32,766 values at most


class Store:
    """One database, open from `open_store` until `close`; `publish` hears of every change after its commit."""

    def __init__(self, engines: Engines, publish: Publish) -> None:
        self._engines = engines
        self._publish = publish
        self._lanes = Lanes(engines.reader, engines.rules)
        self._grouping = Grouping(engines.writer, engines.rules) if engines.has_one_writer else None

    def read(self) -> Reading:
        """Borrow a connection to read with, for as long as the block.

        Errors: Unavailable where the database is away or all connections stay busy.
        """
        return Reading(self._lanes, self._engines.shapes)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Writes]:
        """Run one transaction: committed at the end of the block, undone when it raises.

        Errors: Unavailable where the database is away or its writer stays busy.
        """
        with _said_as_unavailable():
            async with self._transaction() as writes:
                yield writes
        self._publish(writes.touched)

    async def add_message(self, reach: Reach, message: Message) -> Message:
        """Add one message to the end of its thread, in as few steps as the database needs.

        Errors: NotFound for the thread; Unavailable.
        """
        if self._grouping is None:
            async with self.read() as reads:  # one statement is a transaction
                created_at = await reads.append_message(reach, message)
        else:
            created_at = await self._append_in_turn(self._grouping, reach, message)
        self._publish({(reach.project_id, message.thread_id)})
        return at_second(message, created_at)

    async def _append_in_turn(self, grouping: Grouping, reach: Reach, message: Message) -> int:
        builds = (
            (selects.take_positions, (reach, message.thread_id, 1, message.created_at)),
            (selects.insert_at_end, (reach, message)),
        )
        prepared = [self._engines.shapes.prepared(build, arguments) for build, arguments in builds]
        with _said_as_unavailable():
            taken, _ = await grouping.run([(each.text, values) for each, values in prepared])
        if not taken:
            raise NotFound("thread", message.thread_id)
        created_at: int = taken[0][1]
        return created_at

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Writes]:
        if self._grouping is not None:
            async with self._grouping.transaction() as lane:
                yield Writes(lane.connection, Quick(lane, self._engines.shapes))
            return
        async with self._engines.writer.begin() as connection:
            writes = Writes(connection)
            yield writes
            await self._engines.announce(connection, writes.touched)

    async def data_version(self) -> tuple[int, int]:
        """Say which version of the SQLite file this process sees, and which connection counts it.

        It changes when another connection has written; each counts for itself, so two counts cannot be compared.
        """
        async with self.read() as reads:
            return await reads.data_version()

    async def last_positions(self, topics: Sequence[Topic]) -> dict[Topic, int]:
        """Find how far threads of any project have come."""
        found: dict[Topic, int] = {}
        async with self.read() as reads:
            for project_id in {project_id for project_id, _ in topics}:
                own = [thread_id for project, thread_id in topics if project == project_id]
                for start in range(0, len(own), _TOPICS):
                    positions = await reads.last_positions(Reach(project_id), own[start : start + _TOPICS])
                    found.update({(project_id, thread_id): at for thread_id, at in positions.items()})
        return found

    async def is_migrated(self) -> bool:
        """Say whether the database answers and has the tables that this program needs, or a later one's.

        Errors: Unavailable.
        """
        async with self.read() as reads:
            return await reads.is_migrated()

    def watch(self, begin: Begin) -> None:
        """Let every statement be followed from here on, as `dialect.watch_statements` says."""
        watch_statements(self._engines, begin)

    def connections(self) -> Mapping[str, int]:
        """Count the connections that are borrowed now, by pool."""
        writing = self._engines.writers().checkedout() if self._grouping is None else self._grouping.in_use
        return {"writer": writing, "reader": self._lanes.in_use}

    def connections_at_most(self) -> Mapping[str, int]:
        """Say how many connections each pool may have."""
        return {"writer": self._engines.writers().size(), "reader": self._engines.rules.at_most}

    async def close(self) -> None:
        """Close all connections."""
        await self._lanes.close()
        if self._grouping is not None:
            await self._grouping.close()
        await self._engines.dispose()


class Reading:
    """A connection to read with, from `async with` until its end."""

    def __init__(self, lanes: Lanes, shapes: Shapes) -> None:
        self._lanes = lanes
        self._shapes = shapes

    async def __aenter__(self) -> Reads:
        try:
            lane = self._lane = self._lanes.take_idle() or await self._lanes.take()
        except Exception as error:
            raise _in_our_words(error) from error
        if lane.reads is None:
            lane.reads = Reads(lane.connection, Quick(lane, self._shapes))
        return lane.reads

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lanes.take_back(self._lane, error)
        if error is not None and (said := _in_our_words(error)) is not error:
            raise said from error


def open_store(url: str, publish: Publish = lambda _topics: None) -> Store:
    """Open the store at a database URL; it connects when it is first used."""
    return Store(open_engines(url), publish)


@asynccontextmanager
async def opened_store(url: str) -> AsyncIterator[Store]:
    """Open the store for as long as the block, for a command that has no followers to tell."""
    store = open_store(url)
    try:
        yield store
    finally:
        await store.close()


@contextmanager
def _said_as_unavailable() -> Iterator[None]:
    """Say in our words that the database cannot answer; what is wrong with a statement is a fault of ours and stays."""
    try:
        yield
    except Exception as error:
        said = _in_our_words(error)
        if said is error:
            raise
        raise said from error


def _in_our_words(error: BaseException) -> BaseException:
    return Unavailable(_LATER) if is_momentary(error) else error


_LATER: Final = "The database cannot answer now. Please send the request again."
