"""Pure builders of statements that erase an end user: their caller reaches that user's threads alone.

Must not be here: how much one transaction erases (`core.erasing`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, delete, func, select, tuple_, update

from gateway.store.schema import tables
from gateway.store.statements.access import within, within_thread
from gateway.store.statements.functions import among, among_numbers, as_text
from gateway.store.statements.idempotency import COLUMNS
from gateway.store.statements.removal import bytes_of

if TYPE_CHECKING:
    from sqlalchemy import Column, Delete, Select, Table
    from sqlalchemy.sql.dml import ReturningUpdate

    from gateway.domain.principal import Reach


def count_owned(reach: Reach) -> Select[Any]:
    """Count the threads that a caller can reach, and their messages."""
    threads = tables.threads
    messages = func.coalesce(func.sum(threads.c.message_count), 0)
    return select(func.count(), messages).select_from(threads).where(within(threads, reach))


def some_threads(reach: Reach, most: int) -> Select[Any]:
    """Select the ids of some threads."""
    threads = tables.threads
    return select(threads.c.id).where(within(threads, reach)).order_by(threads.c.created_at, threads.c.seq).limit(most)


def list_sizes(reach: Reach, thread_id: str, position: int, most: int) -> Select[Any]:
    """Select the positions and bytes of the first messages of a thread after a position."""
    messages = tables.messages
    later = (within_thread(messages, reach, thread_id), messages.c.position > position)
    return select(messages.c.position, bytes_of(messages)).where(*later).order_by(messages.c.position).limit(most)


def list_beside(reach: Reach, table: Table, thread_id: str, most: int) -> Select[Any]:
    """Select the keys and bytes of some rows of a thread from a table other than of messages."""
    return select(_key_of(table), bytes_of(table)).where(within_thread(table, reach, thread_id)).limit(most)


def remove_messages(reach: Reach, thread_id: str, after: int, last: int) -> Delete:
    """Delete the messages of a thread after a position, up to another one.

    Both bounds are on the key: otherwise PostgreSQL would skip all rows that were deleted before, or scan the table.
    """
    messages = tables.messages
    between = (messages.c.position > after, messages.c.position <= last)
    return delete(messages).where(within_thread(messages, reach, thread_id), *between)


def remove_beside(reach: Reach, table: Table, thread_id: str, keys: str) -> Delete:
    """Delete the rows of a thread from such a table that have some keys, an array of JSON.

    They are found by a unique key alone: SQLite would pass over all of the thread's, PostgreSQL over the table.
    """
    key = _key_of(table)
    found = table.c.project_id == reach.project_id if key.name == "id" else within_thread(table, reach, thread_id)
    is_one = among_numbers if isinstance(key.type, Integer) else among
    return delete(table).where(found, is_one(key, as_text(keys)))


def _key_of(table: Table) -> Column[Any]:
    """Return the column that identifies a row within its thread."""
    return next(table.c[name] for name in ("id", "reader", "position") if name in table.c)


def forget_owner(reach: Reach, erased: str, most: int) -> ReturningUpdate[Any]:
    """Put a digest in place of the owner of some deleted threads, whose places stay for the cursors of the project.

    Idempotency keys are removed too: their scope may name the end user, and their fingerprint depends on its input.
    """
    gone = tables.deleted_threads
    some = select(gone.c.id).where(within(gone, reach)).limit(most)
    forgotten = {**dict.fromkeys(("owner", *COLUMNS)), "erased_owner": erased}
    return update(gone).where(within(gone, reach), gone.c.id.in_(some)).values(forgotten).returning(gone.c.id)


def list_marked(reach: Reach, reader: str, most: int) -> Select[Any]:
    """Select some threads that a reader has read, in the order of the index of marks; SQLite would use another."""
    marks = tables.read_marks
    own = select(marks.c.thread_id).where(within(marks, reach), marks.c.reader == reader)
    return own.order_by(marks.c.change_number).limit(most)


def forget_mark(reach: Reach, thread_id: str, reader: str) -> Delete:
    """Delete how far a reader has read a thread."""
    marks = tables.read_marks
    return delete(marks).where(within_thread(marks, reach, thread_id), marks.c.reader == reader)


def list_authored(reach: Reach, thread_id: str, authors: str) -> Select[Any]:
    """Select the ids of messages that some readers, an array of JSON, have written in a thread."""
    messages = tables.messages
    is_own = among(messages.c.author, as_text(authors))
    return select(messages.c.id).where(within_thread(messages, reach, thread_id), is_own)


def list_payers(reach: Reach, thread_id: str, position: int, most: int) -> Select[Any]:
    """Select the places and ids of runs after one of them, and who pays for each, in the order of their key."""
    runs = tables.runs
    place = (runs.c.thread_id, runs.c.position)
    after = tuple_(*place) > tuple_(thread_id, position)  # a CAST would let SQLite compare the first ones alone
    found = select(*place, runs.c.id, runs.c.created_by).where(within(runs, reach), after)
    return found.order_by(*place).limit(most)


def forget_erasure(reach: Reach, erased: str) -> Delete:
    """Delete what is kept of the erasure of an owner, given by its digest."""
    gone = tables.erased_owners
    return delete(gone).where(gone.c.project_id == reach.project_id, gone.c.owner == erased)
