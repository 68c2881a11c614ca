"""Pure builders of statements on keys.

They find the project of a caller, so only these statements are not limited to one.
Must not be here: threads and messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, Update, exists, or_, select, update

from gateway.store.schema import tables

if TYPE_CHECKING:
    from collections.abc import Sequence

# In the order of the fields of `domain.api_key.ApiKey`.
KEY_COLUMNS = (
    tables.keys.c.id,
    tables.keys.c.project_id,
    tables.keys.c.name,
    tables.keys.c.scopes,
    tables.keys.c.hint,
    tables.keys.c.created_at,
    tables.keys.c.expires_at,
    tables.keys.c.revoked_at,
    tables.keys.c.last_used_at,
    tables.keys.c.origin_id,
)


def find_key(digest: str) -> Select[Any]:
    """Select the key whose secret has a digest, and that digest."""
    return select(*KEY_COLUMNS, tables.keys.c.digest).where(tables.keys.c.digest == digest)


def get_keys(key_ids: Sequence[str]) -> Select[Any]:
    """Select keys by their ids, in no order."""
    return select(*KEY_COLUMNS).where(tables.keys.c.id.in_(key_ids))


def list_keys() -> Select[Any]:
    """Select all keys, oldest first."""
    return select(*KEY_COLUMNS).order_by(tables.keys.c.created_at, tables.keys.c.id)


def any_key() -> Select[Any]:
    """Select whether a key was ever created."""
    return select(exists(select(tables.keys.c.id)))


def revoke_key(key_id: str, revoked_at: int) -> Update:
    """Revoke a key that was not revoked before; one row if there is one."""
    return (
        update(tables.keys)
        .where(tables.keys.c.id == key_id, tables.keys.c.revoked_at.is_(None))
        .values(revoked_at=revoked_at)
        .returning(tables.keys.c.id)
    )


def expire_key(key_id: str, expires_at: int) -> Update:
    """Set the expiry of a key, if it does not expire earlier."""
    sooner = or_(tables.keys.c.expires_at.is_(None), tables.keys.c.expires_at > expires_at)
    return update(tables.keys).where(tables.keys.c.id == key_id, sooner).values(expires_at=expires_at)


def note_use(key_id: str, at: int) -> Update:
    """Record when a key was last used; a later time is kept."""
    is_later = or_(tables.keys.c.last_used_at.is_(None), tables.keys.c.last_used_at < at)
    return update(tables.keys).where(tables.keys.c.id == key_id, is_later).values(last_used_at=at)
