"""API keys: creation, lookup by secret, revocation."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from gateway.core import api_keys
from gateway.domain.api_key import NewApiKey
from gateway.domain.principal import Reach, Scope
from gateway.errors import NotFound

if TYPE_CHECKING:
    from gateway.core import Store

SHOP = NewApiKey("shop", "the web shop", frozenset({Scope.READ}), None)


async def test_a_key_is_found_by_its_secret(store: Store) -> None:
    made, secret = await api_keys.create(store, SHOP)

    assert await api_keys.find(store, secret) == made


async def test_a_key_gives_its_scopes_in_its_project(store: Store) -> None:
    made, _ = await api_keys.create(store, SHOP)

    who = made.principal()

    assert (who.reach, who.scopes, who.key_id) == (Reach("shop"), frozenset({Scope.READ}), made.id)


async def test_another_secret_finds_no_key(store: Store) -> None:
    _, secret = await api_keys.create(store, SHOP)

    assert await api_keys.find(store, secret[:-1]) is None


async def test_no_secret_is_stored(store: Store) -> None:
    _, secret = await api_keys.create(store, SHOP)

    async with store._engines.reader.connect() as connection:  # noqa: SLF001
        rows = (await connection.execute(text("SELECT * FROM keys"))).all()

    assert secret not in str(rows)
    assert secret.removeprefix("sk-")[:20] not in str(rows)


async def test_a_revoked_key_is_not_found(store: Store) -> None:
    made, secret = await api_keys.create(store, SHOP)

    await api_keys.revoke(store, made.id)

    assert await api_keys.find(store, secret) is None
    assert await api_keys.still_good(store, [made.id]) == set()


async def test_a_key_is_revoked_once(store: Store) -> None:
    made, _ = await api_keys.create(store, SHOP)
    await api_keys.revoke(store, made.id)

    with pytest.raises(NotFound):
        await api_keys.revoke(store, made.id)


async def test_a_key_that_has_expired_is_not_found(store: Store) -> None:
    _, secret = await api_keys.create(store, NewApiKey("shop", "", frozenset(Scope), expires_in_s=-1))

    assert await api_keys.find(store, secret) is None


async def test_a_rotated_key_differs_only_in_its_secret(store: Store) -> None:
    old, old_secret = await api_keys.create(store, NewApiKey("shop", "the web shop", frozenset({Scope.READ}), 3_600))

    new, secret = await api_keys.rotate(store, old.id, grace_s=0)

    assert (await api_keys.find(store, secret), await api_keys.find(store, old_secret)) == (new, None)
    assert (new.project_id, new.name, new.scopes) == (old.project_id, old.name, old.scopes)
    assert new.expires_at == new.created_at + 3_600


async def test_a_rotated_key_is_valid_for_its_grace_period(store: Store) -> None:
    old, secret = await api_keys.create(store, SHOP)

    await api_keys.rotate(store, old.id, grace_s=60)

    still = await api_keys.find(store, secret)
    assert still is not None
    assert time.time() < (still.expires_at or 0) <= time.time() + 60


async def test_rotation_never_extends_the_old_key(store: Store) -> None:
    old, _ = await api_keys.create(store, NewApiKey("shop", "", frozenset(Scope), expires_in_s=60))

    await api_keys.rotate(store, old.id, grace_s=3_600)

    kept = next(key for key in await api_keys.list_all(store) if key.id == old.id)
    assert kept.expires_at == old.expires_at


async def test_an_invalid_key_cannot_be_rotated(store: Store) -> None:
    old, _ = await api_keys.create(store, SHOP)
    await api_keys.revoke(store, old.id)

    with pytest.raises(NotFound):
        await api_keys.rotate(store, old.id, grace_s=0)


async def test_the_list_of_keys_includes_invalid_ones(store: Store) -> None:
    first, _ = await api_keys.create(store, SHOP)
    second, _ = await api_keys.create(store, SHOP)
    await api_keys.revoke(store, first.id)

    found = {key.id: key.revoked_at is None for key in await api_keys.list_all(store)}

    assert found == {first.id: False, second.id: True}


async def test_a_key_is_required_after_the_first_one_exists(store: Store) -> None:
    before = await api_keys.any_made(store)
    made, _ = await api_keys.create(store, SHOP)
    await api_keys.revoke(store, made.id)

    assert (before, await api_keys.any_made(store)) == (False, True)


async def test_the_last_use_is_the_latest_recorded_one(store: Store) -> None:
    made, _ = await api_keys.create(store, SHOP)

    for at in (100, 200, 150):
        await api_keys.note_uses(store, {made.id: at, "key_unknown": at})

    assert [key.last_used_at for key in await api_keys.list_all(store)] == [200]
