"""Pure builders of statements on the epochs of the database, which belong to no project.

Must not be here: threads and messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, func, insert, select

from gateway.store.schema.tables import epochs
from gateway.store.statements.functions import as_text, history

if TYPE_CHECKING:
    from sqlalchemy import Insert


def read_epoch() -> Select[Any]:
    """Select the last epoch, and what PostgreSQL itself says of its history."""
    return select(epochs.c.epoch, history()).order_by(epochs.c.number.desc(), epochs.c.epoch).limit(1)


def add_epoch(epoch: str) -> Insert:
    """Add an epoch after the last one."""
    number = select(func.coalesce(func.max(epochs.c.number), 0) + 1, as_text(epoch))
    return insert(epochs).from_select(["number", "epoch"], number)


def lock_epochs() -> Select[Any]:
    """Lock the epochs, which always exist, so that transactions that would meet in a unique index run in turn."""
    return select(epochs.c.number).with_for_update()
