"""Reading messages: pages of one or several threads, messages by id, and those after a position.

Every read selects fields, is cut at a limit of bytes, and gets the text of messages in progress by one more statement.
Must not be here: the text of statements (`statements`), other reads (`reads`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from gateway.domain import wire
from gateway.domain.message import with_appended_text
from gateway.domain.page import WHOLE, AnswerBudget, EdgeFlags, PageRows, Rows, take_page
from gateway.store import rows
from gateway.store.statements import following, messages, postgres_pages
from gateway.store.statements.paging import is_ascending

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Sequence

    from gateway.domain.message import Message
    from gateway.domain.page import Fields, PageRead
    from gateway.domain.principal import Reach
    from gateway.domain.thread import Thread
    from gateway.store.connections import Connection
    from gateway.store.engines.base import Take
    from gateway.store.statement_cache import Build

T = TypeVar("T")
OfThread = tuple[Rows, "Thread | None", EdgeFlags | None]  # the flags are read with the thread

_POSITION: Final = itemgetter(-2)  # the column before the bytes
_THREAD: Final = -3  # the column before both, in a statement that also selects a thread
_CONTENT: Final = WHOLE.index("content_json")
_PART_INDEX: Final = len(WHOLE)  # the column after the message, in `list_growing`
_NULL_IN_PROGRESS: Final = ("content_json", "wire_json")
_EMPTY: Final[PageRows[Any]] = PageRows([], has_more=False, stored=0)


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """Items after a position, each with its own, the position of the next batch, and whether that may have items."""

    items: list[tuple[int, T]]
    position: int
    has_more: bool


class MessageReads:
    """What can be read of messages, over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get_messages(self, reach: Reach, message_ids: Sequence[str]) -> dict[str, Message]:
        """Return messages of any thread by id; unknown ids are omitted.

        Errors: AnswerTooLarge where there are several, larger than the limit of one response.
        """
        all_at_once = len(message_ids) == 1 or self._connection.is_local
        build: Build = messages.get_messages if all_at_once else postgres_pages.get_messages_within_bytes
        found = await self._taken(AnswerBudget().whole, build, reach, list(message_ids))
        [found] = await self._completed(reach, WHOLE, [found])
        return {message.id: message for message in rows.messages_of(found)}

    async def list_pages(self, reach: Reach, read: PageRead) -> list[OfThread]:
        """Return a page of each thread; unknown threads and cursors give empty ones.

        Errors: AnswerTooLarge where the pages of several are larger than the limit of one response.
        """
        fields = read.fields if "id" in read.fields else (*read.fields, "id")
        thread, edges = None, None
        if read.with_thread:
            thread, edges, found = await self._with_thread(reach, read, fields)
            pages = [found]
        elif len(read.thread_ids) == 1:
            pages = [await self._page(reach, read, fields)]
        else:
            fields = fields if "thread_id" in fields else (*fields, "thread_id")
            pages = await self._pages_of_each(reach, read, fields)
        completed = await self._completed(reach, fields, [each.rows for each in pages])
        if read.page.from_end:
            for each in completed:
                each.reverse()
        return [
            (Rows(fields, listed, each.has_more, each.stored), thread, edges)
            for listed, each in zip(completed, pages, strict=True)
        ]

    async def list_messages_after(self, reach: Reach, thread_id: str, position: int, limit: int) -> Batch[Message]:
        """Return the messages of a thread after a position, in order."""
        local, remote = following.list_messages_after, postgres_pages.messages_after_within_bytes
        build: Build = local if self._connection.is_local else remote
        found = await self._taken(partial(take_page, limit=limit), build, reach, thread_id, position, limit)
        last = _POSITION(found.rows[-1]) if found.rows else position
        has_more = found.has_more or len(found.rows) == limit
        [completed] = await self._completed(reach, WHOLE, [found.rows])
        return Batch(list(zip(map(_POSITION, completed), rows.messages_of(completed), strict=True)), last, has_more)

    def _page(self, reach: Reach, read: PageRead, fields: Fields) -> Awaitable[PageRows[Any]]:
        """Return one page of a thread, in the order of the scan."""
        build: Build = messages.list_messages
        if not self._connection.is_local:
            build = postgres_pages.list_messages_within_bytes
        [thread_id] = read.thread_ids
        return self._taken(
            partial(take_page, limit=read.page.limit), build, reach, thread_id, read.page, read.run_id, fields
        )

    async def _with_thread(
        self, reach: Reach, read: PageRead, fields: Fields
    ) -> tuple[Thread | None, EdgeFlags, PageRows[Any]]:
        """Return a thread, the edge flags of a page, and the page, in the order of the scan."""
        ([thread_id], page, run_id), take = read[:3], partial(take_page, limit=read.page.limit)
        if self._connection.is_local:
            own, of_page = await self._connection.take_each(
                (list, messages.get_thread_with_edges, (reach, thread_id, page, run_id)),
                (take, messages.list_messages, (reach, thread_id, page, run_id, fields)),
            )
            return (*rows.thread_with_edges(own[0]), of_page) if own else (None, EdgeFlags(), _EMPTY)
        found = await self._rows(postgres_pages.get_thread_with_messages, reach, thread_id, page, run_id, fields)
        ascends = is_ascending(page)
        in_order = sorted(found, key=_POSITION, reverse=not ascends)
        if not in_order:
            return None, EdgeFlags(), _EMPTY
        with_thread = in_order.pop(0 if ascends else -1)  # OF_THREAD is lower than all positions
        return (*rows.thread_with_edges(wire.load(with_thread[_THREAD])), take(in_order))

    async def _pages_of_each(self, reach: Reach, read: PageRead, fields: Fields) -> list[PageRows[Any]]:
        """Return the same page of several threads in one round trip."""
        thread_ids, page, run_id = read[:3]
        take = partial(AnswerBudget().take_page, limit=page.limit)
        if self._connection.is_local:
            return await self._connection.take_repeated(
                take, messages.list_messages, lambda each: (reach, each, page, run_id, fields), thread_ids
            )
        build = postgres_pages.list_messages_of_each
        found = await self._rows(build, reach, wire.dump_text(list(dict.fromkeys(thread_ids))), page, run_id, fields)
        of_each: dict[str, list[Any]] = {thread_id: [] for thread_id in thread_ids}
        place = fields.index("thread_id")
        for row in found:
            of_each[row[place]].append(row)
        return [take(of_each[thread_id]) for thread_id in thread_ids]

    async def _completed(self, reach: Reach, fields: Fields, pages: Sequence[list[Any]]) -> list[list[Any]]:
        """Complete the rows of messages in progress, all by one statement; those deleted meanwhile are omitted.

        Shape: of each page, rows of the fields and further columns.
        """
        at = next((n for n, name in enumerate(fields) if name in _NULL_IN_PROGRESS), None)
        if at is None or None not in map(itemgetter(at), chain.from_iterable(pages)):
            return list(pages)
        id_of = itemgetter(fields.index("id"))
        grown = await self._grown(reach, [id_of(row) for row in chain.from_iterable(pages) if row[at] is None])

        def complete(found: list[Any]) -> Iterable[Any]:
            for row in found:
                if row[at] is not None:
                    yield row
                elif (message := grown.get(id_of(row))) is not None:
                    yield (*(_field(message, name) for name in fields), *row[len(fields) :])

        return [list(complete(found)) for found in pages]

    async def _grown(self, reach: Reach, growing: Sequence[str]) -> dict[str, Message]:
        """Return messages in progress with all their text; unknown ids are omitted."""
        whole: dict[str, Message] = {}
        deltas: dict[str, list[tuple[int, str]]] = {}
        for row in await self._rows(following.list_growing, reach, list(growing)):
            part_index = row[_PART_INDEX]
            if part_index is None:
                [whole[row[0]]] = rows.messages_of([row])
            else:
                deltas.setdefault(row[0], []).append((part_index, row[_CONTENT].decode()))
        return {id_: with_appended_text(message, deltas.get(id_, ())) for id_, message in whole.items()}

    def _rows(self, build: Build, *arguments: Any) -> Awaitable[Sequence[Any]]:
        """Run a statement; its columns are read by index, since rows of drivers have no names."""
        return self._connection.rows(build, arguments)

    def _taken(self, take: Take[T], build: Build, *arguments: Any) -> Awaitable[T]:
        """Run a statement, and return what a function takes from its rows."""
        return self._connection.take(take, build, arguments)


def _field(message: Message, name: str) -> Any:
    return wire.dump(wire.message(message)) if name == "wire_json" else getattr(message, name)
