"""Pure builders of statements that erase an end user: their caller reaches that user's threads alone.

Must not be here: how much one transaction erases (`core.erasing`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select, update

from gateway.store.schema import tables
from gateway.store.statements.access import within, within_thread
from gateway.store.statements.idempotency import COLUMNS

if TYPE_CHECKING:
    from sqlalchemy import Delete, Select
    from sqlalchemy.sql.dml import ReturningDelete, ReturningUpdate

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


def remove_messages_after(reach: Reach, thread_id: str, position: int, most: int) -> ReturningDelete[Any]:
    """Delete the first messages of a thread after a position, and return their positions.

    Both bounds are of the key: PostgreSQL would pass over all that were deleted before, or scan the table.
    """
    messages = tables.messages
    later = (within_thread(messages, reach, thread_id), messages.c.position > position)
    first = select(messages.c.position).where(*later).order_by(messages.c.position).limit(most).subquery()
    last = select(func.max(first.c.position)).scalar_subquery()
    return delete(messages).where(*later, messages.c.position <= last).returning(messages.c.position)


def forget_owner(reach: Reach, erased: str, most: int) -> ReturningUpdate[Any]:
    """Put a digest in place of the owner of some deleted threads, whose places stay for the cursors of the project.

    Idempotency keys go too: their scope may name the end user, and their fingerprint is made of what that one wrote.
    """
    gone = tables.deleted_threads
    some = select(gone.c.id).where(within(gone, reach)).limit(most)
    forgotten = {**dict.fromkeys(("owner", *COLUMNS)), "erased_owner": erased}
    return update(gone).where(within(gone, reach), gone.c.id.in_(some)).values(forgotten).returning(gone.c.id)


def forget_erasure(reach: Reach, erased: str) -> Delete:
    """Delete what is kept of the erasure of an owner, given by its digest."""
    gone = tables.erased_owners
    return delete(gone).where(gone.c.project_id == reach.project_id, gone.c.owner == erased)
