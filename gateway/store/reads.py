"""What can be read from the store, without a transaction.

Each statement sees one snapshot. Where a call runs several, the later ones may see changes since the first; what was
deleted meanwhile is omitted.

Must not be here: the text of statements (`statements`), changes (`writes`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from gateway.domain import change, wire
from gateway.domain.message import Message, Status, with_appended_text
from gateway.domain.page import AnswerBudget, EdgeFlags, Page, Rows, WirePage, take_page
from gateway.store import rows
from gateway.store.engines.errors import is_transient
from gateway.store.schema import revision
from gateway.store.statements import api_keys, following, messages, postgres_pages, thread_tokens, threads
from gateway.store.statements.paging import is_ascending
from gateway.store.statements.wire_message import id_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from sqlalchemy import Select

    from gateway.domain.api_key import ApiKey
    from gateway.domain.change import Change
    from gateway.domain.page import Fields, PageRequest, PageRows
    from gateway.domain.principal import Reach, TokenEpoch
    from gateway.domain.thread import Thread
    from gateway.store.connections import Connection
    from gateway.store.engines.base import Take
    from gateway.store.statement_cache import Build

T = TypeVar("T")

_POSITION = itemgetter(-2)  # the column before the bytes
_THREAD = -3  # the column before both, in a statement that also selects a thread
_THREAD_ID = Message._fields.index("thread_id")
_STATUS = itemgetter(Message._fields.index("status_value"))
_CONTENT = Message._fields.index("content_json")
_PART_INDEX = len(Message._fields)  # the column after the message, in `list_growing`
_KIND, _ID = 1, 2  # columns after the position, in `list_changes`
_IN_PROGRESS = Status.IN_PROGRESS.value
_OBJECT = ord("{")
_ANY_THREAD_FROM = {up: partial(threads.any_thread_from, up=up) for up in (True, False)}
# The statements for a database that sends all selected rows: they leave out the texts of rows after the page.
_LISTS: tuple[Callable[..., Select[Any]], ...] = (
    messages.list_messages,
    messages.list_wire_messages,
    messages.list_message_fields,
)
_WITHIN_BYTES: dict[Build, Build] = {listed: partial(postgres_pages.page_within_bytes, listed) for listed in _LISTS}
_ANY_MESSAGE_FROM = {up: partial(messages.any_message_from, up=up) for up in (True, False)}


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """Items after a position, each with its own, the position of the next batch, and whether that may have items."""

    items: list[tuple[int, T]]
    position: int
    has_more: bool


class Reads:
    """What can be read, over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get_threads(self, reach: Reach, thread_ids: Sequence[str]) -> dict[str, Thread]:
        """Return threads by id; unknown ids are omitted."""
        found = await self._rows(threads.get_threads, reach, list(thread_ids))
        return {thread.id: thread for thread in rows.threads_of(found)}

    async def get_messages(self, reach: Reach, message_ids: Sequence[str]) -> dict[str, Message]:
        """Return messages of any thread by id; unknown ids are omitted.

        Errors: AnswerTooLarge where there are several, larger than the limit of one response.
        """
        is_one = len(message_ids) == 1
        build = (
            messages.get_messages if is_one or self._connection.is_local else postgres_pages.get_messages_within_bytes
        )
        found = await self._taken(AnswerBudget().whole, build, reach, list(message_ids))
        whole = await self._whole(reach, rows.messages_of(found))
        return {message.id: message for message in whole}

    async def list_threads(self, reach: Reach, page: PageRequest) -> Page[Thread]:
        """Return one page of a project's threads."""
        return _page(await self._rows(threads.list_threads, reach, page), rows.threads_of, page)

    async def list_messages(self, reach: Reach, thread_id: str, page: PageRequest, run_id: str | None) -> Page[Message]:
        """Return one page of a thread's messages; an unknown thread or cursor gives an empty one."""
        found = await self._cut(messages.list_messages, reach, thread_id, page, run_id)
        return await self._page_of_messages(reach, page, found)

    async def list_wire_messages(self, reach: Reach, thread_id: str, page: PageRequest, run_id: str | None) -> WirePage:
        """Return the same page as JSON objects of the API, written by the database except messages in progress."""
        found = await self._cut(messages.list_wire_messages, reach, thread_id, page, run_id)
        objects: list[bytes] = [row[0] for row in found.rows]
        growing = [each.decode() for each in objects if each[0] != _OBJECT]
        if growing:
            grown = {
                id_.encode(): wire.dump(wire.message(each)) for id_, each in (await self._grown(reach, growing)).items()
            }
            objects = [grown.get(each, each) for each in objects if each in grown or each[0] == _OBJECT]
        if page.from_end:
            objects.reverse()
        first_id, last_id = (id_of(objects[0]), id_of(objects[-1])) if objects else (None, None)
        return WirePage(objects, first_id, last_id, has_more=found.has_more)

    async def get_thread_with_messages(
        self, reach: Reach, thread_id: str, page: PageRequest, run_id: str | None, fields: Fields
    ) -> tuple[Thread | None, Rows[Message], EdgeFlags]:
        """Return a thread and some fields of one page of its messages; an unknown cursor gives an empty one."""
        fields = fields if "id" in fields else (*fields, "id")
        thread, edges, found = await self._thread_with_rows(reach, thread_id, page, run_id, fields)
        return thread, await self._page_of_rows(reach, page, fields, found), edges

    async def _page_of_rows(
        self, reach: Reach, page: PageRequest, fields: Fields, found: PageRows[Any]
    ) -> Rows[Message]:
        listed, has_more, stored = found
        if page.from_end:
            listed.reverse()
        if "content_json" in fields:
            listed = await self._whole_rows(reach, fields, listed)
        return Rows(Message, fields, listed, has_more, stored)

    async def _page_of_messages(self, reach: Reach, page: PageRequest, found: PageRows[Any]) -> Page[Message]:
        items = await self._whole(reach, rows.messages_of(found.rows))
        return Page(tuple(reversed(items) if page.from_end else items), found.has_more, found.stored)

    async def _thread_with_rows(
        self, reach: Reach, thread_id: str, page: PageRequest, run_id: str | None, fields: Fields
    ) -> tuple[Thread | None, EdgeFlags, PageRows[Any]]:
        """Return a thread, the edge flags of a page, and the rows of the page, in the order of the scan."""
        take = partial(take_page, limit=page.limit)
        if self._connection.is_local:
            own, of_page = await self._connection.take_each(
                (list, messages.get_thread_with_edges, (reach, thread_id, page, run_id)),
                (take, messages.list_message_fields, (reach, thread_id, page, run_id, fields)),
            )
            return (*rows.thread_with_edges(own[0]), of_page) if own else (None, EdgeFlags(), take_page((), 0))
        found = await self._rows(postgres_pages.get_thread_with_messages, reach, thread_id, page, run_id, fields)
        ascends = is_ascending(page)
        in_order = sorted(found, key=_POSITION, reverse=not ascends)
        if not in_order:
            return None, EdgeFlags(), take_page((), 0)
        with_thread = in_order.pop(0 if ascends else -1)  # OF_THREAD is lower than all positions
        return (*rows.thread_with_edges(wire.load(with_thread[_THREAD])), take(in_order))

    async def list_messages_of_each(
        self, reach: Reach, thread_ids: Sequence[str], page: PageRequest, run_id: str | None
    ) -> dict[str, Page[Message]]:
        """Return the same page of several threads in one round trip.

        Errors: AnswerTooLarge where they are larger than the limit of one response.
        """
        if len(thread_ids) == 1:
            return {thread_ids[0]: await self.list_messages(reach, thread_ids[0], page, run_id)}
        take = partial(AnswerBudget().take_page, limit=page.limit)
        if self._connection.is_local:
            each = [(reach, thread_id, page, run_id) for thread_id in thread_ids]
            found = await self._connection.take_repeated(take, messages.list_messages, each)
        else:
            of_each: dict[str, list[Any]] = {thread_id: [] for thread_id in thread_ids}
            build = postgres_pages.list_messages_of_each
            for row in await self._rows(build, reach, wire.dump_text(list(of_each)), page, run_id):
                of_each[row[_THREAD_ID]].append(row)
            found = [take(of_each[thread_id]) for thread_id in thread_ids]
        return {
            thread_id: await self._page_of_messages(reach, page, own)
            for thread_id, own in zip(thread_ids, found, strict=True)
        }

    async def list_messages_after(self, reach: Reach, thread_id: str, position: int, limit: int) -> Batch[Message]:
        """Return the messages of a thread after a position, in order."""
        local, remote = following.list_messages_after, postgres_pages.messages_after_within_bytes
        build: Build = local if self._connection.is_local else remote
        found = await self._taken(partial(take_page, limit=limit), build, reach, thread_id, position, limit)
        whole = await self._whole(reach, rows.messages_of(found.rows))
        return Batch(
            [(_POSITION(row), message) for row, message in zip(found.rows, whole, strict=True)],
            _POSITION(found.rows[-1]) if found.rows else position,
            found.has_more or len(found.rows) == limit,
        )

    async def list_changes(self, reach: Reach, thread_id: str, position: int, limit: int) -> Batch[Change]:
        """Return the changes of a thread after a position, in order; what was deleted meanwhile is omitted."""
        met = await self._rows(following.list_changes, reach, thread_id, position, limit)
        found, has_more, _ = take_page(met, limit)
        changed = {row[_ID] for row in found if row[_KIND] in _WITH_MESSAGE}
        by_id = await self.get_messages(reach, list(changed)) if changed else {}
        has_thread = any(row[_KIND] == following.THREAD for row in found)
        own = await self.get_threads(reach, [thread_id]) if has_thread else {}
        changes = (_CHANGES[row[_KIND]](row, by_id, own) for row in found)
        return Batch(
            [(each.position, each) for each in changes if each is not None],
            found[-1][0] if found else position,
            has_more or len(found) == limit,
        )

    async def last_positions(self, reach: Reach, thread_ids: Sequence[str]) -> dict[str, int]:
        """Return the last positions of threads; unknown ids are omitted."""
        found = await self._rows(following.last_positions, reach, wire.dump_text(list(thread_ids)))
        return {row[0]: row[1] for row in found}

    async def span_of(self, reach: Reach, thread_id: str) -> tuple[int, int] | None:
        """Return the positions at which a thread begins and ends, if it exists."""
        found = await self._rows(following.last_positions, reach, wire.dump_text([thread_id]))
        return next(((begin, last) for _, last, begin in found), None)

    async def data_version(self) -> tuple[int, int]:
        """Return the id of this connection, and SQLite's counter of changes to the file by other connections."""
        [row] = await self._rows(following.data_version)
        return id(self._connection.raw), row[0]

    async def position_of(self, reach: Reach, thread_id: str, message_id: str) -> int | None:
        """Return the position of a message of the thread, living or deleted."""
        [row] = await self._rows(messages.position_of, reach, thread_id, message_id)
        position: int | None = row[0]
        return position

    async def any_thread_from(self, reach: Reach, cursor: str, *, up: bool) -> bool:
        """Say whether a thread is at a cursor or past it."""
        return await self._flag(_ANY_THREAD_FROM[up], reach, cursor)

    async def any_message_from(
        self, reach: Reach, thread_id: str, run_id: str | None, cursor: str, *, up: bool
    ) -> bool:
        """Say whether a message of a thread is at a cursor or past it."""
        return await self._flag(_ANY_MESSAGE_FROM[up], reach, thread_id, cursor, run_id)

    async def has_place_among_threads(self, reach: Reach, cursor: str) -> bool:
        """Say whether a cursor names a thread, living or deleted."""
        return await self._flag(threads.has_place_among_threads, reach, cursor)

    async def has_place_in_thread(self, reach: Reach, thread_id: str, cursor: str) -> bool:
        """Say whether a cursor names a message of the thread, living or deleted."""
        return await self._flag(messages.has_place_in_thread, reach, thread_id, cursor)

    async def count_threads(self, reach: Reach) -> int:
        """Count the threads that the caller can reach."""
        [row] = await self._rows(threads.count_threads, reach)
        count: int = row[0]
        return count

    async def count_messages_of_run(self, reach: Reach, thread_id: str, run_id: str) -> int:
        """Count the messages of one run."""
        [row] = await self._rows(messages.count_messages_of_run, reach, thread_id, run_id)
        count: int = row[0]
        return count

    async def find_key(self, digest: str) -> tuple[ApiKey, str] | None:
        """Return the key whose secret has a digest, with the digest that is stored."""
        found = await self._rows(api_keys.find_key, digest)
        return (rows.key_of(found[0]), found[0][-1]) if found else None

    async def get_keys(self, key_ids: Sequence[str]) -> dict[str, ApiKey]:
        """Return keys by id; unknown ids are omitted."""
        found = map(rows.key_of, await self._rows(api_keys.get_keys, list(key_ids)))
        return {key.id: key for key in found}

    async def token_epochs(self, reach: Reach, thread_ids: Collection[str]) -> dict[str, TokenEpoch]:
        """Return the token epochs of threads; unknown ids are omitted."""
        found = await self._rows(thread_tokens.token_epochs, reach, wire.dump_text(list(thread_ids)))
        return {row[0]: rows.epoch_of(row) for row in found}

    async def later_epochs(self, reach: Reach, thread_ids: Collection[str]) -> dict[str, TokenEpoch]:
        """Return the same of those threads whose epoch is not the first."""
        found = await self._rows(thread_tokens.later_epochs, reach, wire.dump_text(list(thread_ids)))
        return {row[0]: rows.epoch_of(row) for row in found}

    async def token_standing(
        self, reach: Reach, thread_id: str, key_id: str
    ) -> tuple[ApiKey, TokenEpoch | None] | None:
        """Return a key and the token epoch of a thread, where they exist."""
        found = await self._rows(thread_tokens.token_standing, reach, thread_id, key_id)
        if not found:
            return None
        [row] = found
        has_thread = row[-len(thread_tokens.EPOCH_COLUMNS)] is not None
        return rows.key_of(row), rows.epoch_of(row) if has_thread else None

    async def list_keys(self) -> list[ApiKey]:
        """Return all keys, oldest first."""
        return [rows.key_of(row) for row in await self._rows(api_keys.list_keys)]

    async def any_key(self) -> bool:
        """Say whether a key was ever created."""
        return await self._flag(api_keys.any_key)

    async def is_migrated(self) -> bool:
        """Say whether the database has the tables of this version, or of a later one."""
        try:
            found = await self._rows(revision.select_revision)
        except Exception as error:
            if is_transient(error):
                raise
            return False  # it has no table of revisions
        return revision.is_migrated(found[0][0] if found else None)

    async def _whole(self, reach: Reach, found: Sequence[Message]) -> Sequence[Message]:
        """Add the deltas of messages in progress to their content; for others nothing is read."""
        if _IN_PROGRESS not in map(_STATUS, found):
            return found
        grown = await self._grown(reach, [each.id for each in found if each.status_value == _IN_PROGRESS])
        return [grown.get(message.id, message) for message in found]

    async def _whole_rows(self, reach: Reach, fields: Fields, found: list[Any]) -> list[Any]:
        """Do the same for rows, whose content is null where a message is in progress."""
        content = fields.index("content_json")
        if None not in map(itemgetter(content), found):
            return found
        place = fields.index("id")
        grown = await self._grown(reach, [row[place] for row in found if row[content] is None])
        read = attrgetter(*fields)
        return [
            row if row[content] is not None else read(grown[row[place]])
            for row in found
            if row[content] is not None or row[place] in grown  # otherwise it was deleted meanwhile
        ]

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

    def _cut(self, listed: Build, *arguments: Any) -> Awaitable[PageRows[Any]]:
        """Return the rows of one page of a list; the third argument is the page request."""
        build = listed if self._connection.is_local else _WITHIN_BYTES[listed]
        return self._taken(partial(take_page, limit=arguments[2].limit), build, *arguments)

    def _taken(self, take: Take[T], build: Build, *arguments: Any) -> Awaitable[T]:
        """Run a statement, and return what a function takes from its rows."""
        return self._connection.take(take, build, arguments)

    async def _flag(self, build: Build, *arguments: Any) -> bool:
        [row] = await self._rows(build, *arguments)
        return bool(row[0])


_WITH_MESSAGE = (following.CREATED, following.UPDATED)
_CHANGES: dict[str, Callable[[Any, Mapping[str, Message], Mapping[str, Thread]], Change | None]] = {
    following.CREATED: lambda row, by_id, _: (
        change.MessageCreated(row[0], by_id[row[_ID]]) if row[_ID] in by_id else None
    ),
    following.UPDATED: lambda row, by_id, _: (
        change.MessageUpdated(row[0], by_id[row[_ID]]) if row[_ID] in by_id else None
    ),
    following.DELETED: lambda row, *_: change.MessageDeleted(row[0], row[_ID]),
    following.DELTA: lambda row, *_: change.MessageDelta(row[0], *row[_ID:-1]),
    following.THREAD: lambda row, _, own: change.ThreadUpdated(row[0], own[row[_ID]]) if row[_ID] in own else None,
}


def _page(found: Sequence[Any], make: Callable[[Sequence[Any]], list[T]], page: PageRequest) -> Page[T]:
    items = make(found[: page.limit])
    if page.from_end:
        items.reverse()
    return Page(tuple(items), has_more=len(found) > page.limit)
