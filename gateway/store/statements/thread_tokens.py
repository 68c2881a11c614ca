"""Pure builders of statements on what the validity of thread tokens depends on.

Must not be here: the tokens themselves, which are not stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, or_, select, true, update

from gateway.store.schema import tables
from gateway.store.statements.access import within
from gateway.store.statements.api_keys import KEY_COLUMNS
from gateway.store.statements.functions import among, as_text

if TYPE_CHECKING:
    from sqlalchemy import Select
    from sqlalchemy.sql.dml import ReturningUpdate

    from gateway.domain.principal import Reach

# The thread's id, then the fields of `domain.principal.TokenEpoch` in their order.
EPOCH_COLUMNS = (tables.threads.c.id.label("thread_id"), tables.threads.c.generation, tables.threads.c.token_epoch)


def token_epochs(reach: Reach, thread_ids: str) -> Select[Any]:
    """Select the token epochs of many threads, an array of JSON."""
    return select(*EPOCH_COLUMNS).where(within(tables.threads, reach), among(tables.threads.c.id, as_text(thread_ids)))


def later_epochs(reach: Reach, thread_ids: str) -> Select[Any]:
    """Select the same of threads whose epoch is not the first, as of few."""
    is_later = or_(tables.threads.c.generation.is_not(None), tables.threads.c.token_epoch.is_not(None))
    return token_epochs(reach.and_unfinished(), thread_ids).where(is_later)  # so an index alone has the answer


def token_standing(reach: Reach, thread_id: str, key_id: str) -> Select[Any]:
    """Select a key and the token epoch of a thread, or nulls where the thread does not exist.

    Shape: one row of KEY_COLUMNS and EPOCH_COLUMNS; none for an unknown key.
    """
    made_with = select(*KEY_COLUMNS).where(tables.keys.c.id == key_id).subquery("made_with")
    opens = (
        select(*EPOCH_COLUMNS).where(within(tables.threads, reach), tables.threads.c.id == thread_id).subquery("opens")
    )
    return select(*made_with.c, *opens.c).select_from(made_with.outerjoin(opens, true()))


def revoke_tokens(reach: Reach, thread_id: str) -> ReturningUpdate[Any]:
    """Begin a new token epoch of a thread; one row, or none for an unknown thread."""
    later = func.coalesce(tables.threads.c.token_epoch, 0) + 1
    own = update(tables.threads).where(within(tables.threads, reach), tables.threads.c.id == thread_id)
    return own.values(token_epoch=later).returning(tables.threads.c.id)
