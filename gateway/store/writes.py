"""The writes of the store, within one transaction.

Must not be here: the text of statements (`statements`), when a transaction begins and ends (`store`).
"""

from __future__ import annotations

import uuid
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gateway.domain.change import Hint, merged
from gateway.domain.delta import Delta
from gateway.domain.idempotency import KeyTaken
from gateway.domain.message import with_created_at
from gateway.domain.principal import Reach
from gateway.domain.thread import Inferred, Thread
from gateway.domain.wire import dump_text
from gateway.errors import NotFound, ThreadLocked
from gateway.store import rows
from gateway.store.reads import Reads
from gateway.store.schema import tables
from gateway.store.statements import (
    api_keys,
    epochs,
    following,
    idempotency,
    importing,
    messages,
    read_marks,
    removal,
    runs,
    thread_tokens,
    threads,
)
from gateway.store.statements.single_rows import insert_row, set_row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Container, Mapping, Sequence

    from sqlalchemy import Table

    from gateway.domain.api_key import ApiKey
    from gateway.domain.change import Topic
    from gateway.domain.idempotency import IdempotencyKey, KeyRecord
    from gateway.domain.ids import MessageId, ThreadId
    from gateway.domain.message import Addition, Message
    from gateway.store.connections import TransactionConnection
    from gateway.store.staging import Staging
    from gateway.store.statement_cache import Build

ALL_INFERRED: Final = sum(Inferred)


class Place(NamedTuple):
    """The position of a change of a message."""

    thread_id: ThreadId
    message_id: MessageId
    position: int


class End(NamedTuple):
    """The position of a thread's last change, the second of its last message, and what is inferred.

    `active_run` is the run that locks the thread, if any; `filling` is set in one that is not whole.
    """

    position: int
    second: int
    inferred: int = 0
    active_run: str | None = None
    filling: int | None = None


class Deleted(NamedTuple):
    """A deleted thread as it is stored: its place in the list, and the position at which a new one would begin."""

    seq: int
    generation: int


# The beginning of a thread that replaces one deleted by a version that did not store its last position.
_DEFAULT_GENERATION: Final = 1 << 40


class Writes(Reads):
    """What can be changed; `touched` has the hints that followers of the changed threads get after the commit."""

    def __init__(self, connection: TransactionConnection) -> None:
        super().__init__(connection)
        self._connection: TransactionConnection = connection
        self.touched: dict[Topic, Hint] = {}

    async def try_write(self) -> None:
        """Insert a row and delete it again, in no project and under a unique name."""
        thread_id = uuid.uuid4().hex
        row = {"project_id": "", "id": thread_id, "created_at": 0, "seq": 0}
        await self._insert(tables.deleted_threads, row)
        await self._rows(importing.forget_deletion, Reach(""), thread_id)

    async def lock_ends(self, reach: Reach, thread_ids: Sequence[str]) -> dict[ThreadId, End]:
        """Return the ends of threads, and lock their rows until this transaction ends."""
        found = await self._rows(importing.lock_ends, reach, dump_text(thread_ids))
        return {thread_id: End(*end) for thread_id, *end in found}

    async def next_position(self, reach: Reach, thread_id: str) -> int:
        """Allocate a position for a change of a thread or its messages, and lock the thread until the transaction ends.

        Every change of a thread calls this, or one of the next two or `take_positions`, first, so there are no
        deadlocks.
        Errors: NotFound for the thread.
        """
        found = await self._changed(reach, NotFound("thread", thread_id), threads.next_position, thread_id)
        position: int = found[0]
        return position

    async def next_position_of(self, reach: Reach, message_id: MessageId) -> tuple[ThreadId, int]:
        """Do the same for the thread of a message, and return that too.

        Errors: NotFound for the message.
        """
        unknown = NotFound("message", message_id)
        position, thread_id, _ = await self._changed(reach, unknown, threads.next_position_of_message, message_id)
        return thread_id, position

    async def begin_finish(self, reach: Reach, message_id: MessageId, active_at: int) -> int:
        """Do the same for a message that is finished at a time in milliseconds; return the position alone.

        Errors: NotFound for the message.
        """
        unknown = NotFound("message", message_id)
        position, *_ = await self._changed(reach, unknown, threads.begin_finish, message_id, active_at)
        return int(position)

    async def begin_change(self, reach: Reach, thread_id: ThreadId) -> tuple[Thread, int]:
        """Do the same for a thread, and return the thread itself.

        Errors: NotFound.
        """
        position, _, _, *own = await self._changed(
            reach, NotFound("thread", thread_id), threads.begin_change, thread_id
        )
        return Thread(*own), position

    async def _changed(self, reach: Reach, unknown: NotFound, build: Build, *arguments: str | int) -> Sequence[Any]:
        """Allocate a position by a statement that also returns the id and the owner of the thread."""
        found = await self._rows(build, reach, *arguments)
        if not found:
            raise unknown
        row: Sequence[Any] = found[0]
        position, thread_id, owner = row[:3]
        self._touch(reach, thread_id, owner, position)
        return row

    def _touch(self, reach: Reach, thread_id: str, owner: str | None = None, position: int | None = None) -> None:
        hint = Hint(reach.project_id, thread_id, owner, position)
        topic = hint.topic
        self.touched[topic] = merged(self.touched.get(topic), hint)

    async def add_thread(
        self,
        reach: Reach,
        thread: Thread,
        added: Sequence[Message] = (),
        key: IdempotencyKey | None = None,
        author: str | None = None,
    ) -> None:
        """Add a thread with all its messages.

        Errors: KeyTaken.
        """
        row = rows.row_of_thread(reach.project_id, thread) | rows.columns_of(key)
        if added:
            row |= {"message_count": len(added), "last_position": len(added), "last_created_at": added[-1].created_at}
        await self._insert(tables.threads, row)
        if added:
            await self.add_messages(reach, added, 1, author)
        self._touch(reach, thread.id, thread.owner, len(added))
        if key is not None:
            await self.refuse_deleted(reach, key)

    async def refuse_deleted(self, reach: Reach, key: IdempotencyKey) -> None:
        """Refuse a creation whose key belongs to a deleted object; called after the insert, in the same transaction.

        No unique index spans both tables, and a deletion that the insert waited for is visible only now.
        Errors: KeyTaken.
        """
        if await self._rows(idempotency.find_deleted, reach, key.kind, key.scope, key.value):
            raise KeyTaken

    async def add_threads(self, reach: Reach, added: Sequence[Thread], inferred: Container[str] = ()) -> None:
        """Add threads without messages, in their order; what is `inferred` can later be replaced by their own lines."""
        if added:
            values = [
                rows.row_of_thread(reach.project_id, thread, ALL_INFERRED if thread.id in inferred else None)
                for thread in added
            ]
            await self._insert(tables.threads, *values)

    async def fill_thread(self, reach: Reach, thread: Thread, end: End) -> End:
        """Replace what is inferred of a thread by its own line; return its new end."""
        await self._rows(importing.fill_thread, reach, thread)
        self._touch(reach, thread.id)
        return End(end.position + 1, end.second)

    async def bring_back(self, reach: Reach, thread: Thread, deleted: Deleted, *, is_inferred: bool) -> End:
        """Add a deleted thread again, without messages and at its old place; return its end."""
        begin = deleted.generation
        row = rows.row_of_thread(reach.project_id, thread, ALL_INFERRED if is_inferred else None)
        row |= {"seq": deleted.seq, "generation": begin, "last_position": begin}
        for of_key in await self._rows(importing.forget_deletion, reach, thread.id):
            row |= rows.key_columns(of_key)
        await self._insert(tables.threads, row)
        self._touch(reach, thread.id)
        return End(begin, 0)

    async def restore_keys(self, reach: Reach, keys: Sequence[KeyRecord]) -> None:
        """Store idempotency keys with imported objects that have none."""
        owned = [(replace(reach, thread_id=key.thread_id), key) for key in keys]
        each = [(own, key.kind, key.object_id, rows.key_columns(key[2:])) for own, key in owned]
        await self._run_each(idempotency.restore_key, each)

    async def take_positions(
        self, reach: Reach, thread_id: str, count: int, active_at: int, run_id: str | None = None
    ) -> tuple[int, int]:
        """Allocate the next positions of a thread; return the first of them, and the second that their messages get.

        `active_at` is the time in milliseconds.
        Errors: NotFound for the thread; ThreadLocked where it has an active run, except by that run itself.
        """
        taken = await self._rows(threads.take_positions, reach, thread_id, count, active_at, run_id)
        position, created_at = await self._end_of(taken, reach, thread_id)
        return position - count + 1, created_at

    async def _end_of(self, taken: Sequence[Any], reach: Reach, thread_id: str) -> tuple[int, int]:
        """Return the last position that a statement has allocated, and the second of its message."""
        if not taken:
            raise await self._why_not_free(reach, thread_id)
        position, created_at, owner = taken[0]
        self._touch(reach, thread_id, owner, position)
        return position, created_at

    async def add_message(self, reach: Reach, added: Addition) -> Message:
        """Add a message to the end of its thread, mark the thread as read, and return the message with its second.

        Errors: NotFound for the thread; ThreadLocked; KeyTaken.
        """
        message, active_at, reader, key = added
        thread_id = message.thread_id
        if key is None:
            taken = await self._rows(threads.take_position, reach, thread_id, active_at)
        else:
            taken = await self._take_once(reach, thread_id, active_at, key)
        position, created_at = await self._end_of(taken, reach, thread_id)
        message = with_created_at(message, created_at)
        others = {} if reader is None else {"author": reader}
        if key is not None:
            others |= {"idempotency_scope": key.scope, "idempotency_fingerprint": key.fingerprint}
        await self._rows(messages.insert_message, reach, message, position, *([others] if others else ()))
        if key is not None and not self._connection.is_sqlite:  # SQLite has one writer: nothing was deleted meanwhile
            await self.refuse_deleted(reach, key)
        if reader is not None:
            await self.raise_mark(reach, thread_id, reader, position)
        return message

    async def _take_once(self, reach: Reach, thread_id: ThreadId, active_at: int, key: IdempotencyKey) -> Sequence[Any]:
        """Allocate a position for one message, unless a deleted one has its key."""
        taken = await self._rows(messages.take_position_once, reach, thread_id, active_at, key.scope, key.value)
        if not taken:
            await self.refuse_deleted(reach, key)
        return taken

    async def _why_not_free(self, reach: Reach, thread_id: str) -> NotFound | ThreadLocked:
        """Return the error for a thread that accepts no messages; a run that has ended meanwhile counts as overdue."""
        for run_id, is_overdue in await self._rows(runs.active_run, reach, thread_id):
            return ThreadLocked(thread_id, run_id or "", is_overdue=bool(is_overdue))
        return NotFound("thread", thread_id)

    async def add_messages(self, reach: Reach, added: Sequence[Message], first: int, author: str | None = None) -> None:
        """Add messages at positions that were allocated for them; their `author` has read them."""
        each = [(reach, one, first + n, {} if author is None else {"author": author}) for n, one in enumerate(added)]
        await self._run_each(messages.insert_message, each)
        if author is not None:
            await self.raise_mark(reach, added[-1].thread_id, author, first + len(added) - 1)

    async def set_thread(self, reach: Reach, thread: Thread, given: Inferred, position: int) -> None:
        """Write the fields of a thread that can change, as a change; fields that are `given` are no longer inferred."""
        changes = {"metadata": thread.metadata_json, "tool_resources": thread.tool_resources_json}
        await self._rows(threads.set_thread, reach, thread.id, given, {**changes, "changed_position": position})

    async def set_message_metadata(self, reach: Reach, message: Message, position: int) -> None:
        """Write the metadata of a message, as the change at a position."""
        changes = {"metadata": message.metadata_json, "changed_position": position}
        await self._rows(set_row, reach, tables.messages, message.id, changes)

    async def set_message_content(self, reach: Reach, message: Message, position: int | None) -> None:
        """Write the content of a message as a whole, and its status; its deltas are part of the content then.

        Without a position it is no change, as in a thread that is not visible yet.
        """
        changes = {
            "status": message.status_value,
            "content": message.content_json.decode(),
            "completed_at": message.completed_at,
            "incomplete_at": message.incomplete_at,
            "incomplete_reason": message.reason_value,
            "plain_text": message.plain_text,
            "changed_position": position,
        }
        await self._rows(set_row, reach, tables.messages, message.id, changes)
        await self._rows(following.remove_deltas, reach, message.id)

    async def last_delta(self, reach: Reach, message_id: str) -> Delta | None:
        """Return the last delta of a message since its content was written as a whole."""
        found = await self._rows(following.last_delta, reach, message_id)
        return next((Delta(*row) for row in found), None)

    async def add_delta(self, reach: Reach, place: Place, delta: Delta) -> None:
        """Add a delta of a message, for which alone a position was allocated."""
        row = {"project_id": reach.project_id, **place._asdict(), **delta._asdict()}
        await self._insert(tables.message_deltas, row)
        if hint := self.touched.get((reach.project_id, place.thread_id)):
            self.touched[hint.topic] = hint._replace(only_text=True)

    async def remove_thread(self, reach: Reach, thread_id: ThreadId) -> bool:
        """Delete a thread with its messages, if it is short, and store its place; say whether it did."""
        removed = await self._rows(removal.remove_thread, reach, thread_id)
        for last_position, owner, *place in removed:
            self._touch(reach, thread_id, owner, last_position + 1)
            await self._leave_place(reach, thread_id, owner, last_position + 1, place)
        return bool(removed)

    async def hide_thread(self, reach: Reach, thread_id: ThreadId) -> None:
        """Delete a thread for all callers, and store its place; its rows remain, to be removed in steps.

        Errors: NotFound.
        """
        unknown = NotFound("thread", thread_id)
        position, _, owner, run_id, *place = await self._changed(reach, unknown, removal.hide_thread, thread_id)
        await self._leave_place(reach, thread_id, owner, position, place)
        if run_id is not None:  # so no worker continues it
            await self._rows(set_row, reach.and_unfinished(), tables.runs, run_id, {"due_at": None, "leased_by": None})

    async def _leave_place(
        self, reach: Reach, thread_id: ThreadId, owner: str | None, generation: int, place: Sequence[Any]
    ) -> None:
        created_at, seq, *of_key = place
        own = {"project_id": reach.project_id, "id": thread_id, "owner": owner, "generation": generation}
        own |= {"created_at": created_at, "seq": seq, **rows.key_columns(of_key)}
        await self._insert(tables.deleted_threads, own)

    async def remove_message(self, reach: Reach, place: Place) -> bool:
        """Delete a message and store its place, as the change at a position; say whether it existed."""
        thread_id, message_id, deleted_position = place
        removed = await self._rows(messages.remove_message, reach, thread_id, message_id)
        for position, *of_key in removed:
            gone = {"project_id": reach.project_id, "id": message_id, "thread_id": thread_id, "position": position}
            gone |= {"deleted_position": deleted_position, **rows.key_columns(of_key)}
            await self._insert(tables.deleted_messages, gone)
            await self._rows(following.remove_deltas, reach, message_id)
            await self._rows(threads.uncount_messages, reach, thread_id, 1)
        return bool(removed)

    async def lock_end(self, reach: Reach, thread_id: ThreadId) -> int:
        """Return the last position of a thread, and lock its row until this transaction ends.

        This transaction has no changes for followers of the thread.
        Errors: NotFound for the thread.
        """
        found = await self._rows(read_marks.lock_end, reach, thread_id)
        if not found:
            raise NotFound("thread", thread_id)
        position, owner = found[0]
        self._touch(reach, thread_id, owner, position)
        return int(position)

    async def raise_mark(self, reach: Reach, thread_id: ThreadId, reader: str, position: int) -> None:
        """Move a reader forward to a position in a locked thread, unless it is there or further already."""
        own = (reach, thread_id, reader)
        if not (await self._rows(read_marks.raise_mark, *own, position) or await self._rows(read_marks.has_mark, *own)):
            mark = {"project_id": reach.project_id, "thread_id": thread_id, "reader": reader, "position": position}
            await self._insert(tables.read_marks, mark)

    async def lower_mark(self, reach: Reach, thread_id: ThreadId, reader: str, position: int) -> None:
        """Move a reader back to a position, unless it is there or not so far."""
        await self._rows(read_marks.lower_mark, reach, thread_id, reader, position)

    async def revoke_tokens(self, reach: Reach, thread_id: ThreadId) -> bool:
        """Begin a new token epoch of a thread; say whether the thread exists."""
        return bool(await self._rows(thread_tokens.revoke_tokens, reach, thread_id))

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Run the block in a savepoint, which is rolled back when it raises."""
        await self._connection.execute("SAVEPOINT part")
        try:
            yield
        except Exception:
            await self._connection.execute("ROLLBACK TO SAVEPOINT part")
            raise
        finally:
            await self._connection.execute("RELEASE SAVEPOINT part")

    async def lock_imports(self) -> None:
        """Block other imports until the transaction ends: two of the same files would add the same ids."""
        await self._connection.lock_imports()

    async def append_messages(
        self, reach: Reach, placed: Sequence[tuple[int, Message]], ends: Mapping[ThreadId, End]
    ) -> None:
        """Add many messages at their positions in threads whose ends are locked, and set the new ends."""
        if not placed:
            return
        values = rows.imported(reach.project_id, placed)
        await self._copy(reach, values, [(thread_id, *end[:2]) for thread_id, end in ends.items()])

    async def move_staged(self, reach: Reach, staging: Staging, thread_ids: Sequence[str]) -> int | None:
        """Copy all staged messages of threads that were just added; return their number, or None if that fails."""
        if not self._connection.is_sqlite:
            return await self._copy_staged(reach, staging, thread_ids)
        move = partial(staging.move_into, project_id=reach.project_id, thread_ids=thread_ids)
        moved: int | None = await self._connection.call(move)
        for thread_id in thread_ids if moved is not None else ():
            self._touch(reach, thread_id)
        return moved

    async def _copy_staged(self, reach: Reach, staging: Staging, thread_ids: Sequence[str]) -> int | None:
        """Do the same on PostgreSQL.

        Errors: the driver's, where one of the ids exists (`engines.errors.is_taken`).
        """
        if await self._rows(importing.any_deleted_message, reach):
            return None
        values, ends = staging.rows(reach.project_id, thread_ids)
        await self._copy(reach, values, ends)
        return len(values)

    async def _copy(self, reach: Reach, values: Sequence[Sequence[Any]], ends: Sequence[tuple[str, int, int]]) -> None:
        """Add rows of the columns IMPORTED, and set the ends of their threads."""
        await self._connection.insert_rows(tables.messages, rows.IMPORTED, values)
        await self._connection.run_many(threads.move_end, [(reach, *end) for end in ends])
        for thread_id, *_ in ends:
            self._touch(reach, thread_id)

    async def deleted_threads(self, reach: Reach, thread_ids: Sequence[str]) -> dict[str, Deleted]:
        """Return which of the threads were deleted."""
        found = await self._rows(importing.deleted_threads_of, reach, dump_text(thread_ids))
        return {
            thread_id: Deleted(seq, _DEFAULT_GENERATION if generation is None else generation)
            for thread_id, seq, generation in found
        }

    async def add_epoch(self, epoch: str) -> None:
        """Begin an epoch of the database."""
        await self._rows(epochs.add_epoch, epoch)

    async def add_key(self, key: ApiKey, digest: str) -> None:
        """Add a key with the digest of its secret."""
        await self._insert(tables.keys, rows.row_of_key(key, digest))

    async def revoke_key(self, key_id: str, revoked_at: int) -> bool:
        """Revoke a key; say whether it existed and was not revoked."""
        return bool(await self._rows(api_keys.revoke_key, key_id, revoked_at))

    async def expire_key(self, key_id: str, expires_at: int) -> None:
        """Set the expiry of a key, if it does not expire earlier."""
        await self._rows(api_keys.expire_key, key_id, expires_at)

    async def note_uses(self, uses: Mapping[str, int]) -> None:
        """Record when keys were last used."""
        # In a fixed order, so that two processes with the same keys do not deadlock.
        await self._connection.run_many(api_keys.note_use, sorted(uses.items()))

    async def _insert(self, table: Table, *added: rows.Values) -> None:
        """Insert rows; a column without a value is NULL."""
        given = [{name: value for name, value in row.items() if value is not None} for row in added]
        await self._run_each(insert_row, [(table, row) for row in given])

    async def _run_each(self, build: Build, each: Sequence[tuple[Any, ...]]) -> None:
        """Run a statement that returns nothing for each of some arguments, in order."""
        if len(each) == 1:
            await self._rows(build, *each[0])
        else:
            await self._connection.run_many(build, each)
