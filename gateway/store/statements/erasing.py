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
    from sqlalchemy import Select, Update
    from sqlalchemy.sql.dml import ReturningDelete

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


def remove_first_messages(reach: Reach, thread_id: str, most: int) -> ReturningDelete[Any]:
    """Delete the first messages of a thread, and return their positions."""
    messages = tables.messages
    first = (
        select(messages.c.position)
        .where(within_thread(messages, reach, thread_id))
        .order_by(messages.c.position)
        .limit(most)
    )
    removed = delete(messages).where(within_thread(messages, reach, thread_id), messages.c.position.in_(first))
    return removed.returning(messages.c.position)


def forget_owner(reach: Reach) -> Update:
    """Take the owner from the places of deleted threads, which stay for the cursors of the project.

    Idempotency keys go too: their scope may name the end user, and their fingerprint is made of what that one wrote.
    """
    forgotten = dict.fromkeys(("owner", *COLUMNS))
    return update(tables.deleted_threads).where(within(tables.deleted_threads, reach)).values(forgotten)
