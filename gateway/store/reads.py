"""The reads of the store, without a transaction.

Each statement sees one snapshot. Where a call runs several, the later ones may see changes since the first; what was
deleted meanwhile is omitted.

Must not be here: the text of statements (`statements`), changes (`writes`).
"""

from __future__ import annotations

from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, TypeVar

from gateway.domain import change, snapshot, wire
from gateway.domain.idempotency import KeyRecord
from gateway.domain.page import Order, PageRequest, PageRows, take_all, take_page
from gateway.domain.principal import Reach, owner_digest
from gateway.domain.run import PaidRun, Run
from gateway.domain.thread_list import ALL, NOTHING, Beside, OrderBy, ThreadPage
from gateway.errors import NotFound
from gateway.store import rows, thread_changes
from gateway.store.engines.errors import is_transient
from gateway.store.message_reads import Batch, MessageReads, complete
from gateway.store.schema import revision, tables
from gateway.store.statements import (
    api_keys,
    epochs,
    erasing,
    filling,
    following,
    following_list,
    forking,
    idempotency,
    messages,
    projects,
    read_marks,
    retention,
    runs,
    selected_threads,
    thread_tokens,
    threads,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from gateway.domain.api_key import ApiKey
    from gateway.domain.change import Change, Topic
    from gateway.domain.idempotency import IdempotencyKey, Kind
    from gateway.domain.ids import ThreadId
    from gateway.domain.principal import TokenEpoch
    from gateway.domain.snapshot import Snapshot
    from gateway.domain.thread import Thread
    from gateway.domain.thread_list import Selection
    from gateway.store.statement_cache import Build
    from gateway.store.thread_changes import ListBatch

T = TypeVar("T")

_KEYS: Final = 1_000  # exported at once
MOST_FEW: Final = 2_000  # threads that are looked up and sorted for a page, in some milliseconds
_SWEPT: Final = 500  # changes of each kind; if there are more, their owners are not looked up
_POSITION, _KIND, _ID = 1, 2, 3  # columns of `list_changes`, after the message
_OF_CHANGE: Final = itemgetter(slice(len(messages.GROWING), None))
_LIST = {OrderBy.CREATED: selected_threads.list_created, OrderBy.ACTIVITY: selected_threads.list_active}
_CHANGED_THREADS = {local: partial(following_list.changes_with_threads, is_sqlite=local) for local in (True, False)}
_CHANGED = itemgetter(slice(4))  # columns before those of the thread
_OF_THREAD = itemgetter(slice(4, None))


class Reads(MessageReads):
    """What can be read, over one connection."""

    async def get_threads(self, reach: Reach, thread_ids: Sequence[str]) -> dict[str, Thread]:
        """Return threads by id; unknown ids are omitted."""
        found = await self._rows(threads.get_threads, reach, list(thread_ids))
        return {thread.id: thread for thread in rows.threads_of(found)}

    async def list_threads(
        self, reach: Reach, page: PageRequest, selected: Selection = ALL, beside: Beside = NOTHING
    ) -> ThreadPage:
        """Return one page of threads; it ends early where the messages beside them are larger than a page."""
        own = selected.narrow(reach)
        if own is None:
            return ThreadPage((), has_more=False)
        located, values = selected.located(page)
        few = await self._few(own, selected)
        take = partial(take_page, limit=page.limit)
        return await self._beside(take, page, beside, _LIST[selected.by], own, located, values | few)

    async def list_changes(self, reach: Reach, thread_id: str, position: int, limit: int) -> Batch[Change]:
        """Return the changes of a thread after a position, in order; what was deleted meanwhile is omitted."""
        arguments = reach, thread_id, position, limit, self._connection.is_sqlite
        take = partial(take_page, limit=limit)
        found, has_more = await self._taken(take, following.list_changes_with_messages, *arguments)
        complete(messages.GROWING, found)
        made = zip(rows.messages_of(found), map(_OF_CHANGE, found), strict=True)
        changed = [(message, *row) for message, row in made]
        runs_of = [row[_ID] for row in changed if row[_KIND] in _WITH_RUN]
        found_runs = await self.get_runs(reach, runs_of) if runs_of else {}
        has_thread = any(row[_KIND] == following.THREAD for row in changed)
        own = await self.get_threads(reach, [thread_id]) if has_thread else {}
        changes = [_CHANGES[row[_KIND]](row, found_runs, own) for row in changed]
        return Batch(
            [(each.position, each) for each in changes if each is not None],
            changed[-1][_POSITION] if changed else position,
            has_more or len(changed) == limit,
        )

    async def current_snapshot(self) -> Snapshot:
        """Return the snapshot of the changes of all projects that can be seen now."""
        return snapshot.from_database(await self._value(following_list.current_snapshot))

    async def list_thread_changes(
        self, reach: Reach, seen: Snapshot, limit: int, reader: str | None = None
    ) -> ListBatch:
        """Return the threads that have changed since a snapshot, in the order of their last changes.

        Those in which a reader has moved the read mark are among them.
        """
        own = {} if reach.owner is None else {"erased": owner_digest(reach.project_id, reach.owner)}
        own |= {} if reader is None else {"reader": reader}
        build: Build = _CHANGED_THREADS[self._connection.is_sqlite]
        found = await self._rows(build, reach, *_given(seen), own, limit)
        changed = list(map(_CHANGED, found))
        window = thread_changes.window(changed, seen, limit, may_cut_ties=self._connection.is_sqlite)
        threads_ = rows.threads_of(map(_OF_THREAD, found))
        return thread_changes.batch(window, seen, {each.id: each for each in threads_})

    async def erased_number(self, reach: Reach) -> int | None:
        """Return the number of the erasure of the owner that the caller is limited to, if it was erased."""
        if reach.owner is None:
            return None
        digest = owner_digest(reach.project_id, reach.owner)
        return next((row[0] for row in await self._rows(following_list.erased_number, reach, digest)), None)

    async def changed_projects(self, projects: Sequence[str], seen: Snapshot) -> tuple[Snapshot, list[str]]:
        """Return the current snapshot, and those of some projects that have changed since another snapshot."""
        found = await self._rows(following_list.changed_projects, wire.dump_text(projects), *_given(seen))
        return snapshot.from_database(found[0][0]), [row[1] for row in found if row[2] is not None]

    async def changed_owners(self, project_id: str, seen: Snapshot) -> list[tuple[str, str | None, int | None]]:
        """Return owners whose threads have changed since a snapshot, with the numbers; None where not known."""
        found = await self.list_thread_changes(Reach(project_id), seen, _SWEPT)
        unknown = (project_id, None, None)
        changed: list[tuple[str, str | None, int | None]] = []
        for number, _, each, _ in found.items:
            if isinstance(each, change.ThreadDeleted | change.ThreadRead | change.OwnerErased):
                changed.append(unknown)
            else:
                changed.append((project_id, each.thread.owner, number))
        # If no thread has changed, a read mark was moved.
        return [*changed, unknown] if found.has_more or not changed else changed

    async def get_runs(self, reach: Reach, run_ids: Sequence[str]) -> dict[str, Run]:
        """Return runs by id; unknown ids are omitted."""
        return {row[0]: Run(*row) for row in await self._rows(runs.get_runs, reach, list(run_ids))}

    async def last_positions(self, topics: Sequence[Topic]) -> dict[Topic, int | None]:
        """Return the last positions of threads of any project; None for unknown ones."""
        found = await self._rows(following.last_positions, wire.dump_text(topics))
        return {(row[0], row[1]): row[2] for row in found}

    async def span_of(self, reach: Reach, thread_id: str) -> tuple[int, int] | None:
        """Return the positions at which a thread begins and ends, if it exists."""
        return next((tuple(row) for row in await self._rows(following.span, reach, thread_id)), None)

    async def data_version(self) -> tuple[int, int]:
        """Return the id of this connection, and SQLite's counter of changes to the file by other connections."""
        return id(self._connection.raw), await self._value(following.data_version)

    async def position_of(self, reach: Reach, thread_id: str, message_id: str) -> int | None:
        """Return the position of a message of the thread, living or deleted."""
        position: int | None = await self._value(messages.position_of, reach, thread_id, message_id)
        return position

    async def any_thread_from(self, reach: Reach, cursor: str, *, up: bool, selected: Selection = ALL) -> bool:
        """Say whether a thread is at a cursor or past it."""
        own = selected.narrow(reach)
        if own is None:
            return False
        located, values = selected.located(PageRequest(0, Order.ASC if up else Order.DESC, after=cursor))
        few = await self._few(own, selected)
        return bool(await self._rows(_LIST[selected.by], own, located, values | few, True))  # inclusive

    async def any_message_from(
        self, reach: Reach, thread_id: str, run_id: str | None, cursor: str, *, up: bool
    ) -> bool:
        """Say whether a message of a thread is at a cursor or past it."""
        return await self._flag(messages.any_message_from, reach, thread_id, cursor, run_id, up)

    async def has_place_among_threads(self, reach: Reach, cursor: str) -> bool:
        """Say whether a cursor names a thread, living or deleted."""
        return await self._flag(threads.has_place_among_threads, reach, cursor)

    async def has_place_in_thread(self, reach: Reach, thread_id: str, cursor: str) -> bool:
        """Say whether a cursor names a message of the thread, living or deleted."""
        return await self._flag(messages.has_place_in_thread, reach, thread_id, cursor)

    async def count_threads(self, reach: Reach, selected: Selection = ALL) -> int:
        """Count the threads that the caller can reach."""
        own = selected.narrow(reach)
        if own is None:
            return 0
        if selected.only is None:
            count: int = await self._value(threads.count_threads, own)
        else:
            values = selected.only.values | await self._few(own, selected)
            count = await self._value(selected_threads.count_filtered, own, values)
        return count

    async def next_project(self, after: str) -> str | None:
        """Return the first project after another, by name, that has threads."""
        project_id: str | None = await self._value(retention.next_project, after)
        return project_id

    async def overdue_threads(self, reach: Reach, before: int, most: int) -> list[ThreadId]:
        """Return the ids of threads whose last activity was before a time, in milliseconds."""
        return [row[0] for row in await self._rows(retention.overdue_threads, reach, before, most)]

    async def count_until(self, reach: Reach, thread_id: str, last: int, most: int) -> int:
        """Count the messages of a thread up to a position, and no more than some."""
        count: int = await self._value(forking.count_until, reach, thread_id, last, most)
        return count

    async def list_marked(self, reach: Reach, reader: str, most: int) -> list[str]:
        """Return some threads that a reader has read."""
        return [row[0] for row in await self._rows(erasing.list_marked, reach, reader, most)]

    async def list_authored(self, reach: Reach, thread_id: str, authors: Sequence[str]) -> list[str]:
        """Return the ids of messages that some readers have written in a thread."""
        return [row[0] for row in await self._rows(erasing.list_authored, reach, thread_id, wire.dump_text(authors))]

    async def list_payers(self, reach: Reach, after: tuple[str, int], most: int) -> list[PaidRun]:
        """Return the next runs of a project, and who pays for each."""
        return list(map(PaidRun._make, await self._rows(erasing.list_payers, reach, *after, most)))

    async def list_scopes(self, reach: Reach, table: str, after: tuple[str, str], most: int) -> list[tuple[str, str]]:
        """Return the next scopes and idempotency keys of a table."""
        found = await self._rows(idempotency.list_scopes, reach, tables.metadata.tables[table], *after, most)
        return [tuple(row) for row in found]

    async def known_messages(self, reach: Reach, message_ids: Sequence[str]) -> dict[str, str]:
        """Return which ids belong to living or deleted messages, and the thread of each."""
        found = await self._rows(messages.known_messages, reach, wire.dump_text(message_ids))
        return {row[0]: row[1] for row in found}

    async def list_abandoned(self, before: int, most: int) -> list[tuple[str, ThreadId]]:
        """Return some threads of any project that are not whole and got no message since a time."""
        return [tuple(row) for row in await self._rows(filling.list_abandoned, before, most)]

    async def list_beside(self, reach: Reach, thread_ids: Sequence[str], beside: Beside) -> ThreadPage:
        """Return threads in no order, with what `beside` requests; unknown threads are omitted.

        Errors: AnswerTooLarge where their messages are larger than the limit of one response.
        """
        wanted, everything = wire.dump_text(thread_ids), PageRequest(len(thread_ids))
        return await self._beside(_take_whole, everything, beside, threads.threads_by_ids, reach, wanted)

    async def find_end(self, reach: Reach, thread_id: ThreadId, reader: str) -> tuple[int, int | None]:
        """Return the last position of a thread, and that of a reader, if there is one.

        Errors: NotFound for the thread.
        """
        for last, mark in await self._rows(read_marks.find_end, reach, thread_id, reader):
            return last, mark
        raise NotFound("thread", thread_id)

    async def count_owned(self, reach: Reach) -> tuple[int, int]:
        """Count the threads that a caller can reach, and their messages."""
        [(owned, contained)] = await self._rows(erasing.count_owned, reach)
        return owned, int(contained)

    async def some_threads(self, reach: Reach, most: int) -> list[ThreadId]:
        """Return the ids of some threads that a caller can reach."""
        return [row[0] for row in await self._rows(erasing.some_threads, reach, most)]

    async def count_messages_of_run(self, reach: Reach, thread_id: str, run_id: str) -> int:
        """Count the messages of one run."""
        count: int = await self._value(messages.count_messages_of_run, reach, thread_id, run_id)
        return count

    async def find_created(self, reach: Reach, key: IdempotencyKey) -> tuple[str, str] | None:
        """Return the id of what was created under a key, also if it is deleted, and the fingerprint of its input."""
        found = await self._rows(idempotency.find_created, reach, key.kind, key.scope, key.value)
        return next((tuple(row) for row in found), None)

    async def list_key_records(
        self, reach: Reach, thread_id: ThreadId, kind: Kind, after: int
    ) -> list[tuple[int, KeyRecord]]:
        """Return the next keys of a thread, or of its messages, each with the place after which to continue."""
        own = Reach(reach.project_id, reach.owner, thread_id)
        found = await self._rows(idempotency.list_keys, own, kind, after, _KEYS)
        return [(place, KeyRecord(thread_id, *of_key)) for place, *of_key in found]

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

    async def has_project(self, reach: Reach) -> bool:
        """Say whether anything is, or was, in the project of a caller."""
        return await self._flag(projects.has_project, reach)

    async def list_projects(self) -> list[str]:
        """Return the names of all projects, in order."""
        return [row[0] for row in await self._rows(projects.list_projects)]

    async def read_epoch(self) -> str:
        """Return the epoch of the database, with PostgreSQL's own history; it is empty if all epochs were deleted."""
        return next((" ".join(row) for row in await self._rows(epochs.read_epoch)), "")

    async def is_migrated(self) -> bool:
        """Say whether the database has the tables of this version, or of a later one."""
        try:
            found = await self._rows(revision.select_revision)
        except Exception as error:
            if is_transient(error):
                raise
            return False  # it has no table of revisions
        return revision.is_migrated(found[0][0] if found else None)

    async def _few(self, reach: Reach, selected: Selection) -> dict[str, Any]:
        """Find a condition of a filter that few threads fulfil, by which they are looked up, if there is one.

        Reading a list in its order would skip all other threads until a page is full. One owner's threads are few
        anyway.
        """
        if reach.owner is not None:
            return {}
        for condition in selected.narrowing():
            if await self._value(selected_threads.count_some, reach, condition, MOST_FEW + 1) <= MOST_FEW:
                return condition
        return {}

    async def _flag(self, build: Build, *arguments: Any) -> bool:
        return bool(await self._value(build, *arguments))

    async def _value(self, build: Build, *arguments: Any) -> Any:
        """Run a statement of one row with one column, and return its value."""
        [row] = await self._rows(build, *arguments)
        return row[0]


_WITH_RUN = (following.RUN_CREATED, following.RUN_UPDATED)
_CHANGES: dict[str, Callable[[Any, Mapping[str, Run], Mapping[str, Thread]], Change | None]] = {
    following.CREATED: lambda row, *_: change.MessageCreated(row[_POSITION], row[0]),
    following.UPDATED: lambda row, *_: change.MessageUpdated(row[_POSITION], row[0]),
    following.DELETED: lambda row, *_: change.MessageDeleted(row[_POSITION], row[_ID]),
    following.DELTA: lambda row, *_: change.MessageDelta(row[_POSITION], *row[_ID:-1]),
    following.RUN_CREATED: lambda row, by_id, _: (
        change.RunCreated(row[_POSITION], by_id[row[_ID]]) if row[_ID] in by_id else None
    ),
    following.RUN_UPDATED: lambda row, by_id, _: (
        change.RunUpdated(row[_POSITION], by_id[row[_ID]]) if row[_ID] in by_id else None
    ),
    following.THREAD: lambda row, _, own: (
        change.ThreadUpdated(row[_POSITION], own[row[_ID]]) if row[_ID] in own else None
    ),
}


def _take_whole(found: Iterable[Any]) -> PageRows[Any]:
    return PageRows(take_all(found), has_more=False)


def _given(seen: Snapshot) -> tuple[int, str | None]:
    """Return a snapshot as arguments of statements."""
    return seen.next, wire.dump_text(seen.open) if seen.open else None
