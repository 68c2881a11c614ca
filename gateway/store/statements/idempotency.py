"""Pure builders of statements that find what was created under an idempotency key, living or deleted, and move keys.

Must not be here: the inserts that store a key (`messages`, `threads`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    exists,
    or_,
    select,
    true,
    tuple_,
    union_all,
    update,
)

from gateway.domain.idempotency import Kind
from gateway.domain.principal import Reach
from gateway.store.schema import tables
from gateway.store.statements.access import is_shown, within

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import CompoundSelect, FromClause, Table, Update

# Where each kind of creation stores its key, and where the places of deleted ones do.
TABLES: Final[Mapping[Kind, tuple[Table, ...]]] = {
    Kind.THREAD: (tables.threads, tables.deleted_threads),
    Kind.FORK: (tables.threads, tables.deleted_threads),
    Kind.MESSAGE: (tables.messages, tables.deleted_messages),
    Kind.RUN: (tables.runs,),  # deleted with its thread alone
    Kind.ASSISTANT: (tables.assistants,),  # a deleted one leaves nothing
}
COLUMNS: Final = ("idempotency_scope", "idempotency_key", "idempotency_fingerprint")


def find_created(reach: Reach, kind: Kind, scope: str, key: str) -> CompoundSelect[Any]:
    """Select the id of what was created under a key, and the fingerprint of its input."""
    return union_all(
        *[
            select(table.c.id, table.c.idempotency_fingerprint).where(
                has_key(table, reach, scope, key),
                is_shown(reach, table.c.thread_id) if "thread_id" in table.c else true(),
            )
            for table in TABLES[kind]
        ]
    )


def find_deleted(reach: Reach, kind: Kind, scope: str, key: str) -> Select[Any]:
    """Select the id of what was created under a key and deleted."""
    _, gone = TABLES[kind]
    return select(gone.c.id).where(has_key(gone, reach, scope, key))


def list_keys(reach: Reach, kind: Kind, after: int, limit: int) -> Select[Any]:
    """Select the places of rows that have a key, in their order, and what is stored of it with their ids."""
    table = TABLES[kind][0]
    place = table.c.seq if kind is Kind.THREAD else table.c.position
    keyed = select(place, table.c.id, *[table.c[name] for name in COLUMNS])
    keyed = keyed.where(within(table, reach), place > after, table.c.idempotency_key.is_not(None))
    return keyed.order_by(place).limit(limit)


def list_scopes(reach: Reach, table: Table, scope: str, key: str, most: int) -> Select[Any]:
    """Select the scopes and keys of a table after one of them, in the order of their index."""
    own = (table.c.idempotency_scope, table.c.idempotency_key)
    after = tuple_(*own) > tuple_(scope, key)  # a CAST would let SQLite compare the scopes alone
    keyed = select(*own).where(table.c.project_id == reach.project_id, own[1].is_not(None), after)
    return keyed.order_by(*own).limit(most)


def forget_key(reach: Reach, table: Table, scope: str, key: str) -> Update:
    """Remove a key from what was created under it."""
    return update(table).where(has_key(table, reach, scope, key)).values(dict.fromkeys(COLUMNS))


def restore_key(reach: Reach, kind: Kind, object_id: str, of_key: dict[str, Any]) -> Update:
    """Store a key, by the names of COLUMNS, with an object that has none, unless another one has the key."""
    table, *gone = TABLES[kind]
    project = Reach(reach.project_id)
    scope, key, _ = [of_key[name] for name in COLUMNS]
    is_taken = [exists().where(has_key(each, project, scope, key)) for each in (table.alias("other"), *gone)]
    return (
        update(table)
        .where(within(table, reach), table.c.id == object_id, table.c.idempotency_key.is_(None), ~or_(*is_taken))
        .values(of_key)
    )


def has_key(table: FromClause, reach: Reach, scope: str, key: Any) -> ColumnElement[bool]:
    """Compare the key of a row."""
    return and_(within(table, reach), table.c.idempotency_scope == scope, table.c.idempotency_key == key)
