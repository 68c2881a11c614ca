"""Reading messages: pages of one or several threads, messages by id, and those after a position.

Every read selects fields, is cut at a limit of bytes, and completes the text of messages in progress.
Must not be here: the text of statements (`statements`), other reads (`reads`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from gateway.domain import wire
from gateway.domain.message import append_texts, grow_content
from gateway.domain.page import AS_ROWS, WHOLE, AnswerBudget, EdgeFlags, PageRows, Rows, take_all, take_first, take_page
from gateway.domain.thread_list import NOTHING
from gateway.store import rows
from gateway.store.statements import following, messages, postgres_pages
from gateway.store.statements.beside import select_beside
from gateway.store.statements.paging import is_ascending

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from gateway.domain.message import Message
    from gateway.domain.page import Fields, PageRead, PageRequest
    from gateway.domain.principal import Reach
    from gateway.domain.thread import Thread
    from gateway.domain.thread_list import Beside, ThreadPage
    from gateway.store.connections import Connection
    from gateway.store.engines.base import Take
    from gateway.store.statement_cache import Build

T = TypeVar("T")

_POSITION: Final = itemgetter(-2)  # the column before the bytes, where EDGES are in a page that has them
_THREAD: Final = -3  # the column before both, in a statement that also selects a thread
_TEXTS: Final = frozenset({"content_json", "wire_json"})
_NO_EDGES: Final = EdgeFlags()
# With the row after a page, which shows that there is more, or without it.
_PAGES_OF_EACH: Final = {more: partial(postgres_pages.list_messages_of_each, with_more=more) for more in (True, False)}


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """Items after a position, each with its position, the position of the next batch, and whether more may follow."""

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
        return (await self.get_rows(reach, message_ids)).by_id()

    async def get_rows(self, reach: Reach, message_ids: Sequence[str], fields: Fields = WHOLE) -> Rows:
        """Return some fields of messages of any thread, the id among them, in no order; unknown ids are omitted.

        Errors: as above.
        """
        fields = _with(fields, "id")
        selected = _selected(fields)
        build: Build = messages.get_messages
        wanted: list[str] | str = list(message_ids)
        if len(wanted) > 1 and self._connection.is_sqlite:
            build, wanted = messages.get_messages_of, wire.dump_text(list(dict.fromkeys(message_ids)))
        elif len(wanted) > 1:
            build = postgres_pages.get_messages_within_bytes
        found = await self._taken(take_all, build, reach, wanted, selected)
        if selected is not fields:
            complete(selected, found)
        return Rows(found, has_more=False, fields=fields, edges=None, thread=None)

    async def list_pages(self, reach: Reach, read: PageRead) -> list[Rows]:
        """Return a page of each thread; unknown threads and cursors give empty ones.

        Errors: AnswerTooLarge where the pages of several are larger than the limit of one response.
        """
        several = len(read.thread_ids) > 1
        fields = _with(read.fields, "id", "thread_id") if several else _with(read.fields, "id")
        selected = _selected(fields)
        thread, edges = None, None if read.page.cursors() or not read.with_more else _NO_EDGES
        if read.with_thread:
            thread, edges, found = await self._with_thread(reach, read, selected)
            pages = [found]
        elif several:
            pages = await self._pages_of_each(reach, read, selected)
        elif read.with_edges and edges is None:
            pages = [found := await self._page(reach, read, (*selected, messages.EDGES))]
            edges = rows.edges_of(found.rows[0][-2]) if found.rows else None
        else:
            pages = [await self._page(reach, read, selected)]
        if selected is not fields:
            complete(selected, *(found.rows for found in pages))
        if read.page.from_end:
            for found in pages:
                found.rows.reverse()
        return list(map(AS_ROWS, [(*found, fields, edges, thread) for found in pages]))

    async def _beside(
        self, take: Take[PageRows[Any]], page: PageRequest, beside: Beside, build: Build, reach: Reach, *arguments: Any
    ) -> ThreadPage:
        """Return a page of the threads that a statement selects, with what `beside` requests.

        If it requests messages, a function takes the page from rows that end with their stored bytes.
        Errors: those of this function.
        """
        read = beside.message
        if read is None:
            take = partial(take_first, limit=page.limit)
        if beside == NOTHING:
            return rows.thread_page(await self._taken(take, build, reach, *arguments), page)
        fields = () if read is None else _with(read.fields, "id")
        selected = _selected(fields)
        if read is not None:
            beside = beside._replace(message=read._replace(page=_one_less(read.page), fields=selected))
        found = await self._taken(take, select_beside, build, self._connection.is_sqlite, beside, reach, *arguments)
        if messages.DELTAS in selected:
            complete(selected, found.rows)
        names = rows.names_of(selected, beside.also, has_unread=beside.reader is not None)
        return rows.thread_page(found, page, names, fields)

    async def list_messages_after(self, reach: Reach, thread_id: str, position: int, limit: int) -> Batch[Message]:
        """Return the messages of a thread after a position, in order."""
        local, remote = following.list_messages_after, postgres_pages.messages_after_within_bytes
        build: Build = local if self._connection.is_sqlite else remote
        take = partial(take_page, limit=limit)
        found = await self._taken(take, build, reach, thread_id, position, limit)
        last = _POSITION(found.rows[-1]) if found.rows else position
        has_more = found.has_more or len(found.rows) == limit
        complete(messages.GROWING, found.rows)
        return Batch(list(zip(map(_POSITION, found.rows), rows.messages_of(found.rows), strict=True)), last, has_more)

    def _page(self, reach: Reach, read: PageRead, fields: Fields) -> Awaitable[PageRows[Any]]:
        """Return one page of a thread, in the order of the scan."""
        build: Build = messages.list_messages
        if not self._connection.is_sqlite:
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
        if self._connection.is_sqlite:
            own, of_page = await self._connection.take_each(
                (list, messages.get_thread_with_edges, (reach, thread_id, page, run_id)),
                (take, messages.list_messages, (reach, thread_id, page, run_id, fields)),
            )
            return (*rows.thread_with_edges(own[0]), of_page) if own else (None, _NO_EDGES, _empty())
        found = await self._rows(postgres_pages.get_thread_with_messages, reach, thread_id, page, run_id, fields)
        ascends = is_ascending(page)
        in_order = sorted(found, key=_POSITION, reverse=not ascends)
        if not in_order:
            return None, _NO_EDGES, _empty()
        with_thread = in_order.pop(0 if ascends else -1)  # OF_THREAD is lower than all positions
        return (*rows.thread_with_edges(wire.load(with_thread[_THREAD])), take(in_order))

    async def _pages_of_each(self, reach: Reach, read: PageRead, fields: Fields) -> list[PageRows[Any]]:
        """Return the same page of several threads by one statement, and one more after each page cut by its bytes."""
        build: Build = messages.list_messages_of_each
        if not self._connection.is_sqlite:
            build = _PAGES_OF_EACH[read.with_more]
        take = partial(AnswerBudget().take_pages, limit=read.page.limit, place=fields.index("thread_id"))
        page = read.page if read.with_more else _one_less(read.page)  # a statement asks for one more than the limit
        pages: dict[str, PageRows[Any]] = {}
        left, ended = list(dict.fromkeys(read.thread_ids)), False
        while not ended:
            arguments = reach, wire.dump_text(left), page, read.run_id, fields
            found, ended = await self._taken(take, build, *arguments)
            pages |= found
            left = [thread_id for thread_id in left if thread_id not in pages]
        return [pages.get(thread_id) or _empty() for thread_id in read.thread_ids]

    def _rows(self, build: Build, *arguments: Any) -> Awaitable[Sequence[Any]]:
        """Run a statement; its columns are read by index, since rows of drivers have no names."""
        return self._connection.rows(build, arguments)

    def _taken(self, take: Take[T], build: Build, *arguments: Any) -> Awaitable[T]:
        """Run a statement, and return what a function takes from its rows."""
        return self._connection.take(take, build, arguments)


@lru_cache(64)
def _one_less(page: PageRequest) -> PageRequest:
    return replace(page, limit=page.limit - 1)


def _empty() -> PageRows[Any]:
    return PageRows([], has_more=False)


def _with(fields: Fields, *required: str) -> Fields:
    return (*fields, *(name for name in required if name not in fields))


def _selected(fields: Fields) -> Fields:
    """Add the deltas of messages in progress where their texts are read."""
    return fields if _TEXTS.isdisjoint(fields) else (*fields, messages.DELTAS)


def complete(fields: Fields, *pages: list[Any]) -> None:
    """Append their deltas to the content of messages in progress; the rows begin with the fields."""
    deltas = itemgetter(fields.index(messages.DELTAS))
    if any(map(deltas, chain.from_iterable(pages))):
        places = {name: n for n, name in enumerate(fields)}
        for found in pages:
            found[:] = [_grown(places, row, *wire.load(gained)) if (gained := deltas(row)) else row for row in found]


def _grown(
    places: dict[str, int], row: Sequence[Any], positions: list[int], part_indexes: list[int], texts: list[str]
) -> Sequence[Any]:
    """Append deltas in the order of their positions, and note whether that is one plain text."""
    if not positions:
        return row
    gained = {0: texts}
    if any(part_indexes) or positions != sorted(positions):
        gained = {}
        for _, part_index, text in sorted(zip(positions, part_indexes, texts, strict=True)):
            gained.setdefault(part_index, []).append(text)
    own = list(row)
    if "content_json" in places:
        place, of_mark = places["content_json"], places.get("plain_text")
        own[place], mark = grow_content(row[place], None if of_mark is None else row[of_mark], gained)
        if of_mark is not None:
            own[of_mark] = mark
    if "wire_json" in places:
        whole = wire.load(row[places["wire_json"]])
        append_texts(whole["content"], gained)
        own[places["wire_json"]] = wire.dump(whole)
    return own
