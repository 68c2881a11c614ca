"""The use cases of import and export, which move whole threads.

Must not be here: files, lines, reports about them (`transfer`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.core import run_transfer
from gateway.core.filling import remove_unfinished
from gateway.core.import_checks import find_refused
from gateway.core.long_append import append_long
from gateway.core.long_import import UnfinishedError, find_ends, import_long
from gateway.core.paging import all_pages
from gateway.core.taken import Refused, RefusedError, Taken
from gateway.domain.idempotency import Kind
from gateway.domain.page import Order, PageRead, PageRequest
from gateway.store.engines.errors import is_taken
from gateway.store.writes import End

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from gateway.core import Store
    from gateway.core.taken import Given
    from gateway.domain.idempotency import KeyRecord
    from gateway.domain.ids import ThreadId
    from gateway.domain.message import Message
    from gateway.domain.page import Rows
    from gateway.domain.principal import Principal
    from gateway.domain.thread import Thread
    from gateway.store.runs import RunReads, RunWrites
    from gateway.store.staging import Staged, Staging
    from gateway.store.writes import Deleted, Writes

_THREADS: Final = PageRequest(limit=100, order=Order.ASC)
_MESSAGES: Final = PageRequest(limit=500, order=Order.ASC)


async def import_threads(
    store: Store,
    who: Principal,
    given: Sequence[Given],
    staging: Staging,
    *,
    is_long: bool = False,
    replace_deleted: bool = False,
) -> Taken:
    """Add threads with all their staged messages, each whole or not at all, and then their runs.

    What exists stays as it is, so a second import changes nothing; but what was inferred of a thread is replaced by its
    own line. What was deleted stays deleted, unless `replace_deleted`: then the thread is created again. With `is_long`
    there is one thread, which is written in several transactions.
    """
    taken = await _import_threads(store, who, given, staging, is_long=is_long, replace_deleted=replace_deleted)
    left_out = {each.staged.message.thread_id for each in taken.refused}
    with_runs = [each.thread.id for each in given if each.thread.id not in left_out]
    await run_transfer.import_runs(store, who.reach, staging, with_runs, taken)
    return taken


async def _import_threads(
    store: Store, who: Principal, given: Sequence[Given], staging: Staging, *, is_long: bool, replace_deleted: bool
) -> Taken:
    """Add the threads without their runs: in one transaction, or a long one in several."""
    reach, taken = who.reach, None
    while taken is None:
        try:
            if is_long:
                taken = await import_long(store, reach, staging, given[0], replace_deleted=replace_deleted)
                taken = taken or await append_long(store, reach, staging, given[0])
            taken = taken or await _import_group(store, who, given, staging, replace_deleted=replace_deleted)
        except UnfinishedError as found:
            for thread_id in found.thread_ids:
                await remove_unfinished(store, reach, thread_id)
    return taken


async def _import_group(
    store: Store, who: Principal, given: Sequence[Given], staging: Staging, *, replace_deleted: bool
) -> Taken:
    async def work(transaction: RunWrites) -> Taken:
        await transaction.lock_imports()
        begin = time.monotonic()
        # The locks come first: they wait for a running deletion, and only then is it certain what was deleted.
        thread_ids = [each.thread.id for each in given]
        ends = await find_ends(transaction, who.reach, thread_ids)
        deleted = await transaction.deleted_threads(who.reach, thread_ids)
        back = deleted if replace_deleted else {}
        running = _Import(transaction, who, staging, ends, back)
        gone = deleted.keys() - running.deleted.keys()
        living = [each for each in given if each.thread.id not in gone]
        taken = await running.take(living)
        taken.deleted, taken.deleted_lines = len(gone), staging.count_messages(gone)
        for keys in staging.keys(*[each.thread.id for each in living]):
            await transaction.restore_keys(who.reach, keys)
        staging.note_hold(time.monotonic() - begin)
        return taken

    return await store.write(work)


@dataclass(slots=True)
class _Import:
    """One transaction of an import: what it writes with, and what it found of the given threads."""

    transaction: Writes
    who: Principal
    staging: Staging
    ends: dict[ThreadId, End]
    deleted: dict[str, Deleted]

    async def take(self, given: Sequence[Given]) -> Taken:
        """Import what can be imported."""
        if all(each.thread.id not in self.ends and each.thread.id not in self.deleted for each in given):
            moved = await self._take_new(given)
            if moved is not None:
                return moved
        thread_ids = [each.thread.id for each in given]
        refused = await find_refused(self.transaction, self.who.reach, self.staging, self.ends, thread_ids)
        taken = await self._write([each for each in given if each.thread.id not in refused])
        taken.refused = list(refused.values())
        return taken

    async def _take_new(self, given: Sequence[Given]) -> Taken | None:
        """Import threads that do not exist yet, as most do not, without lookups; return None if that fails."""
        thread_ids = [each.thread.id for each in given]
        before = dict(self.ends)
        try:
            async with self.transaction.savepoint():
                return await self._write(given, may_move=True)
        except Exception as error:
            if not isinstance(error, RefusedError) and not is_taken(error):
                raise
            self.ends = before
            for each in thread_ids:
                self.transaction.touched.pop((self.who.reach.project_id, each), None)
            return None

    async def _write(self, given: Sequence[Given], *, may_move: bool = False) -> Taken:
        reach = self.who.reach
        fresh = [each for each in given if each.thread.id not in self.ends and each.thread.id not in self.deleted]
        inferred = {each.thread.id for each in fresh if not each.has_line}
        await self.transaction.add_threads(reach, [each.thread for each in fresh], inferred)
        taken = Taken(threads=len(fresh))
        if may_move:
            moved = await self.transaction.move_staged(reach, self.staging, [each.thread.id for each in fresh])
            if moved is not None:
                taken.messages = moved
                return taken
        self.ends |= {each.thread.id: End(0, 0) for each in fresh}
        for thread, has_line in given:
            if thread.id in self.deleted:
                deleted = self.deleted[thread.id]
                self.ends[thread.id] = await self.transaction.bring_back(
                    reach, thread, deleted, is_inferred=not has_line
                )
                taken.threads += 1
            elif has_line and (end := self.ends[thread.id]).inferred:
                self.ends[thread.id] = await self.transaction.fill_thread(reach, thread, end)
        taken.known += len(given) - taken.threads
        for batch in self.staging.messages(*(each.thread.id for each in given)):
            await self._append(batch, taken)
        return taken

    async def _append(self, batch: Sequence[Staged], taken: Taken) -> None:
        """Add the messages of a batch that do not exist yet."""
        reach = self.who.reach
        known = await self.transaction.known_messages(reach, [each.message.id for each in batch])
        placed: list[tuple[int, Message]] = []
        for each in batch:
            thread_id, holder = each.message.thread_id, known.get(each.message.id)
            if holder is not None:
                if holder != thread_id:
                    raise RefusedError(Refused(each, ""))
                taken.known += 1
                continue
            known[each.message.id] = thread_id
            end = self.ends[thread_id]
            self.ends[thread_id] = End(end.position + 1, each.second)
            placed.append((end.position + 1, each.message))
        reached = {message.thread_id: self.ends[message.thread_id] for _, message in placed}
        await self.transaction.append_messages(reach, placed, reached)
        taken.messages += len(placed)


async def export_threads(store: Store, who: Principal) -> AsyncIterator[Thread]:
    """Yield all threads, oldest first."""
    async for found in all_pages(store, _THREADS, lambda reads, page: reads.list_threads(who.reach, page)):
        for thread in found.items:
            yield thread


async def export_messages(store: Store, who: Principal, thread_id: ThreadId) -> AsyncIterator[Message]:
    """Yield all messages of a thread, oldest first."""

    async def read(reads: RunReads, page: PageRequest) -> Rows:
        [found] = await reads.list_pages(who.reach, PageRead((thread_id,), page))
        return found

    async for found in all_pages(store, _MESSAGES, read):
        for message in found.items:
            yield message


async def export_keys(store: Store, who: Principal, thread_id: ThreadId) -> AsyncIterator[KeyRecord]:
    """Yield the idempotency keys of a thread, its messages and its runs."""
    for kind in (Kind.THREAD, Kind.MESSAGE, Kind.RUN):
        after: int | None = 0
        while after is not None:
            async with store.read() as reads:
                found = await reads.list_key_records(who.reach, thread_id, kind, after)
            for _, key in found:
                yield key
            after = found[-1][0] if found else None
