"""The store: transactions that run the statements and hand out domain objects.

Must not be here: the text of statements (`statements`), differences between databases (`dialect`).
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from gateway.domain.page import Page
from gateway.errors import NotFound, Unavailable
from gateway.store import rows, statements
from gateway.store.dialect import Engines, is_momentary, lock_imports, open_engines

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from sqlalchemy import Executable
    from sqlalchemy.ext.asyncio import AsyncConnection

    from gateway.domain.ids import MessageId, ThreadId
    from gateway.domain.message import Message
    from gateway.domain.page import PageRequest
    from gateway.domain.thread import Thread

T = TypeVar("T")


class Reads:
    """What can be read; each call is one statement, so no transaction stands around it."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get_threads(self, project_id: str, thread_ids: Sequence[str]) -> dict[str, Thread]:
        """Find threads by id; those that are not there are left out."""
        found = await self._rows(statements.get_threads(project_id, thread_ids))
        return {row[0]: rows.thread_of(row) for row in found}

    async def get_messages(self, project_id: str, message_ids: Sequence[str]) -> dict[str, Message]:
        """Find messages of any thread by id; those that are not there are left out."""
        found = await self._rows(statements.get_messages(project_id, message_ids))
        return {row[0]: rows.message_of(row) for row in found}

    async def list_threads(self, project_id: str, page: PageRequest) -> Page[Thread]:
        """Read one page of a project's threads."""
        return _page(await self._rows(statements.list_threads(project_id, page)), rows.thread_of, page)

    async def list_messages(
        self, project_id: str, thread_id: str, page: PageRequest, run_id: str | None
    ) -> Page[Message]:
        """Read one page of a thread's messages; an unknown thread or cursor gives an empty one."""
        found = await self._rows(statements.list_messages(project_id, thread_id, page, run_id))
        return _page(found, rows.message_of, page)

    async def list_messages_of_each(
        self, project_id: str, thread_ids: Sequence[str], page: PageRequest, run_id: str | None
    ) -> dict[str, Page[Message]]:
        """Read the same page of several threads in one statement."""
        found: dict[str, list[Any]] = {thread_id: [] for thread_id in thread_ids}
        for row in await self._rows(statements.list_messages_of_each(project_id, list(found), page, run_id)):
            found[row.thread_id].append(row)
        return {thread_id: _page(own, rows.message_of, page) for thread_id, own in found.items()}

    async def any_thread_from(self, project_id: str, cursor: str, *, up: bool) -> bool:
        """Say whether a thread lies at a cursor or beyond it."""
        return await self._flag(statements.any_thread_from(project_id, cursor, up=up))

    async def any_message_from(
        self, project_id: str, thread_id: str, run_id: str | None, cursor: str, *, up: bool
    ) -> bool:
        """Say whether a message of a thread lies at a cursor or beyond it."""
        return await self._flag(statements.any_message_from(project_id, thread_id, cursor, run_id, up=up))

    async def has_place_among_threads(self, project_id: str, cursor: str) -> bool:
        """Say whether a cursor names a thread, living or deleted."""
        return await self._flag(statements.has_place_among_threads(project_id, cursor))

    async def has_place_in_thread(self, project_id: str, thread_id: str, cursor: str) -> bool:
        """Say whether a cursor names a message of the thread, living or deleted."""
        return await self._flag(statements.has_place_in_thread(project_id, thread_id, cursor))

    async def count_messages_of_run(self, project_id: str, thread_id: str, run_id: str) -> int:
        """Count the messages of one run."""
        [row] = await self._rows(statements.count_messages_of_run(project_id, thread_id, run_id))
        count: int = row[0]
        return count

    async def _rows(self, statement: Executable) -> Sequence[Any]:
        return (await self._connection.execute(statement)).all()

    async def _flag(self, statement: Executable) -> bool:
        return bool((await self._connection.execute(statement)).scalar_one())


class Writes(Reads):
    """What can be changed, all of it or nothing, within one transaction."""

    async def lock_thread(self, project_id: str, thread_id: str) -> Thread | None:
        """Find a thread and keep others from changing it until the end."""
        return next(map(rows.thread_of, await self._rows(statements.lock_thread(project_id, thread_id))), None)

    async def lock_message(self, project_id: str, thread_id: str, message_id: str) -> Message | None:
        """Find a message and keep others from changing it until the end."""
        found = await self._rows(statements.lock_message(project_id, thread_id, message_id))
        return next(map(rows.message_of, found), None)

    async def add_thread(self, project_id: str, thread: Thread) -> None:
        """Add a thread without messages."""
        values = rows.row_of_thread(project_id, thread)
        await self._connection.execute(statements.insert_thread(), values)

    async def take_positions(self, project_id: str, thread_id: str, count: int, created_at: int) -> tuple[int, int]:
        """Take the next positions of a thread: the first of them, and the second that they count as.

        Errors: NotFound for the thread.
        """
        taken = await self._rows(statements.take_positions(project_id, thread_id, count, created_at))
        if not taken:
            raise NotFound("thread", thread_id)
        [(last_position, last_created_at)] = taken
        return last_position - count + 1, last_created_at

    async def add_messages(self, project_id: str, added: Sequence[Message], first_position: int) -> None:
        """Add messages at positions that were taken for them."""
        values = [rows.row_of_message(project_id, message, first_position + n) for n, message in enumerate(added)]
        await self._connection.execute(statements.insert_messages(), values)

    async def set_thread(self, project_id: str, thread: Thread) -> None:
        """Write what of a thread can change."""
        changes = {"metadata": thread.metadata_json, "tool_resources": thread.tool_resources_json}
        await self._connection.execute(statements.set_thread(project_id, thread.id, **changes))

    async def set_message(self, project_id: str, message: Message) -> None:
        """Write what of a message can change."""
        await self._connection.execute(statements.set_message(project_id, message.id, metadata=message.metadata_json))

    async def remove_thread(self, project_id: str, thread_id: ThreadId) -> bool:
        """Delete a thread with its messages and keep its place; say whether it was there."""
        removed = await self._rows(statements.remove_thread(project_id, thread_id))
        for created_at, seq in removed:
            place = {"project_id": project_id, "id": thread_id, "created_at": created_at, "seq": seq}
            await self._connection.execute(statements.remember_thread(), place)
        return bool(removed)

    async def remove_message(self, project_id: str, thread_id: ThreadId, message_id: MessageId) -> bool:
        """Delete a message and keep its place; say whether it was there.

        The thread's row is held first, as by everyone who adds or removes a thread, so that none waits for the other.
        """
        await self.lock_thread(project_id, thread_id)
        removed = await self._rows(statements.remove_message(project_id, thread_id, message_id))
        for (position,) in removed:
            place = {"project_id": project_id, "id": message_id, "thread_id": thread_id, "position": position}
            await self._connection.execute(statements.remember_message(), place)
            await self._connection.execute(statements.uncount_message(project_id, thread_id))
        return bool(removed)

    async def lock_imports(self) -> None:
        """Let no other import change anything until the end: two of the same files would add the same ids."""
        await self._connection.run_sync(lock_imports)

    async def known_messages(self, project_id: str, message_ids: Sequence[str]) -> dict[str, str]:
        """Find which ids are taken, by living or deleted messages, and the thread that has each."""
        found = await self._rows(statements.known_messages(project_id, message_ids))
        return dict(found)

    async def newest_second(self, project_id: str, thread_id: str) -> int:
        """Find the second that the last message of a thread has, or had; nothing older may follow it.

        Errors: NotFound for the thread.
        """
        found = await self._rows(statements.newest_second(project_id, thread_id))
        if not found:
            raise NotFound("thread", thread_id)
        second: int = found[0][0]
        return second

    async def is_deleted_thread(self, project_id: str, thread_id: str) -> bool:
        """Say whether a thread was there and was deleted."""
        return await self._flag(statements.is_deleted_thread(project_id, thread_id))


class Store:
    """One database, open from `open_store` until `close`."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Reads]:
        """Borrow a connection to read with.

        Errors: Unavailable where the database is away or all connections stay busy.
        """
        with _said_as_unavailable():
            async with self._engines.reader.connect() as connection:
                yield Reads(connection)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Writes]:
        """Run one transaction: committed at the end of the block, undone when it raises.

        Errors: Unavailable where the database is away or its writer stays busy.
        """
        with _said_as_unavailable():
            async with self._engines.writer.begin() as connection:
                yield Writes(connection)

    async def close(self) -> None:
        """Close all connections."""
        await self._engines.dispose()


def open_store(url: str) -> Store:
    """Open the store at a database URL; it connects when it is first used."""
    return Store(open_engines(url))


def _page(found: Sequence[Any], make: Callable[[Any], T], page: PageRequest) -> Page[T]:
    items = [make(row) for row in found[: page.limit]]
    if page.from_end:
        items.reverse()
    return Page(tuple(items), has_more=len(found) > page.limit)


@contextmanager
def _said_as_unavailable() -> Iterator[None]:
    """Say in our words that the database cannot answer; what is wrong with a statement is a fault of ours and stays."""
    try:
        yield
    except (PoolTimeoutError, OSError) as error:
        raise Unavailable(_LATER) from error
    except DBAPIError as error:
        if not is_momentary(error):
            raise
        raise Unavailable(_LATER) from error


_LATER: Final = "The database cannot answer now. Please send the request again."
