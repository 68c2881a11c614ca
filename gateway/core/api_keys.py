"""What can be done with keys: operators make and end them, and servers find them by their secrets.

Must not be here: how a request carries a secret (`web`), what an operator is shown (`operate`).
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


async def create(store: Store, new: NewApiKey) -> tuple[ApiKey, str]:
    """Make a key, and give the secret that nobody can be told again."""
    now = int(time.time())
    secret = new_secret()
    ends = None if new.expires_in_s is None else now + new.expires_in_s
    key = ApiKey(new_id(), new.project_id, new.name, new.scopes, hint_of(secret), now, ends)
    async with store.write() as transaction:
        await transaction.add_key(key, digest_of(secret))
    _note(Event.KEY_CREATED, key)
    return key, secret


async def list_all(store: Store) -> list[ApiKey]:
    """Read all keys, oldest first, those that are over too."""
    async with store.read() as reads:
        return await reads.list_keys()


async def revoke(store: Store, key_id: str) -> None:
    """End a key at once.

    Errors: NotFound, also for one that was revoked before.
    """
    async with store.write() as transaction:
        found = (await transaction.get_keys([key_id])).get(key_id)
        if found is None or not await transaction.revoke_key(key_id, int(time.time())):
            raise NotFound("key", key_id)
    _note(Event.KEY_REVOKED, found)


async def rotate(store: Store, key_id: str, grace_s: int) -> tuple[ApiKey, str]:
    """Make a key like another one, which ends at once or, with time to change over, later.

    Errors: NotFound, also for one that is over.
    """
    now = int(time.time())
    secret = new_secret()
    async with store.write() as transaction:
        old = (await transaction.get_keys([key_id])).get(key_id)
        if old is None or not old.is_active(now):
            raise NotFound("key", key_id)
        ends = None if old.expires_at is None else now + old.expires_at - old.created_at
        key = ApiKey(new_id(), old.project_id, old.name, old.scopes, hint_of(secret), now, ends)
        if grace_s:
            await transaction.expire_key(key_id, now + grace_s)
        elif not await transaction.revoke_key(key_id, now):
            raise NotFound("key", key_id)  # somebody else was quicker
        await transaction.add_key(key, digest_of(secret))
    _note(Event.KEY_ROTATED, old, replaced_by=key.id, grace_s=grace_s)
    return key, secret


async def find(store: Store, secret: str) -> ApiKey | None:
    """Find the key of a secret, if it still lets anybody in; one look-up by index, compared in constant time."""
    digest = digest_of(secret)
    async with store.read() as reads:
        found = await reads.find_key(digest)
    if found is None or not hmac.compare_digest(found[1], digest):
        return None
    return found[0] if found[0].is_active(time.time()) else None


async def still_good(store: Store, key_ids: Collection[str]) -> set[str]:
    """Say which keys still let anybody in."""
    now = time.time()
    async with store.read() as reads:
        found = await reads.get_keys(list(key_ids))
    return {key.id for key in found.values() if key.is_active(now)}


async def any_made(store: Store) -> bool:
    """Say whether a key was ever made: from then on the server asks for one."""
    async with store.read() as reads:
        return await reads.any_key()


async def note_uses(store: Store, uses: Mapping[str, int]) -> None:
    """Note when keys were last used."""
    async with store.write() as transaction:
        await transaction.note_uses(uses)


def _note(event: Event, key: ApiKey, **more: str | int) -> None:
    """Tell what an operator has done to a key, once it is done."""
    audit.note(event, principal=OPERATOR, project=key.project_id, target=key.id, **more)
