"""Statements that count rows: none of these numbers is kept, since every create would have to wait for it.

Must not be here: the number of messages in a thread, which is a column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from gateway.store.schema.tables import threads
from gateway.store.statements.access import within

if TYPE_CHECKING:
    from sqlalchemy import Select

    from gateway.domain.principal import Reach


def count_threads(reach: Reach) -> Select[Any]:
    """Count the threads that a caller can reach."""
    return select(func.count()).select_from(threads).where(within(threads, reach))
