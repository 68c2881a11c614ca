"""The use cases of API keys: operators create and revoke them, and servers find them by their secrets.

Must not be here: how a request carries a secret (`auth`), what an operator sees (`cli`).
"""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING

from gateway.domain.api_key import ApiKey, NewApiKey, digest_of, hint_of, new_id, new_secret
from gateway.errors import NotFound
from gateway.observability import audit
from gateway.observability.audit import OPERATOR, Event

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from gateway.core import Store
    from gateway.store.writes import Writes


async def create(store: Store, new: NewApiKey) -> tuple[ApiKey, str]:
    """Create a key, and return it with its secret, which cannot be read again."""
    now = int(time.time())
    secret = new_secret()
    ends = None if new.expires_in_s is None else now + new.expires_in_s
    key = ApiKey(new_id(), new.project_id, new.name, new.scopes, hint_of(secret), now, ends)
    await store.write(lambda transaction: transaction.add_key(key, digest_of(secret)))
    _note(Event.KEY_CREATED, key)
    return key, secret


async def list_all(store: Store) -> list[ApiKey]:
    """Return all keys, oldest first, including expired and revoked ones."""
    async with store.read() as reads:
        return await reads.list_keys()


async def revoke(store: Store, key_id: str) -> None:
    """Revoke a key at once.

    Errors: NotFound, also for a key that is already revoked.
    """

    async def work(transaction: Writes) -> ApiKey:
        found = (await transaction.get_keys([key_id])).get(key_id)
        if found is None or not await transaction.revoke_key(key_id, int(time.time())):
            raise NotFound("key", key_id)
        return found

    _note(Event.KEY_REVOKED, await store.write(work))


async def rotate(store: Store, key_id: str, grace_s: int) -> tuple[ApiKey, str]:
    """Replace a key by a new one; the old one is revoked at once or, with a grace period, expires later.

    Errors: NotFound, also for a key that is expired or revoked.
    """
    now = int(time.time())
    secret = new_secret()

    async def work(transaction: Writes) -> tuple[ApiKey, ApiKey]:
        old = (await transaction.get_keys([key_id])).get(key_id)
        if old is None or not old.is_active(now):
            raise NotFound("key", key_id)
        ends = None if old.expires_at is None else now + old.expires_at - old.created_at
        origin_id = old.origin_id or old.id
        key = ApiKey(new_id(), old.project_id, old.name, old.scopes, hint_of(secret), now, ends, origin_id=origin_id)
        if grace_s:
            await transaction.expire_key(key_id, now + grace_s)
        elif not await transaction.revoke_key(key_id, now):
            raise NotFound("key", key_id)  # a concurrent call revoked it
        await transaction.add_key(key, digest_of(secret))
        return old, key

    old, key = await store.write(work)
    _note(Event.KEY_ROTATED, old, replaced_by=key.id, grace_s=grace_s)
    return key, secret


async def find(store: Store, secret: str) -> ApiKey | None:
    """Return the key of a secret, if it is valid; one lookup by index, compared in constant time."""
    digest = digest_of(secret)
    async with store.read() as reads:
        found = await reads.find_key(digest)
    if found is None or not hmac.compare_digest(found[1], digest):
        return None
    return found[0] if found[0].is_active(time.time()) else None


async def still_good(store: Store, key_ids: Collection[str]) -> set[str]:
    """Return those of the keys that are valid."""
    now = time.time()
    async with store.read() as reads:
        found = await reads.get_keys(list(key_ids))
    return {key.id for key in found.values() if key.is_active(now)}


async def any_made(store: Store) -> bool:
    """Say whether a key was ever created: since then the server requires one."""
    async with store.read() as reads:
        return await reads.any_key()


async def note_uses(store: Store, uses: Mapping[str, int]) -> None:
    """Record when keys were last used."""
    await store.write(lambda transaction: transaction.note_uses(uses))


def _note(event: Event, key: ApiKey, **more: str | int) -> None:
    """Write what an operator did to a key to the audit log."""
    audit.note(event, principal=OPERATOR, project=key.project_id, target=key.id, **more)
