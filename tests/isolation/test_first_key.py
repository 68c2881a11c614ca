"""With the first key, nothing that anybody could get before lets anybody in any more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gateway.auth import api_keys as recent_keys
from gateway.auth.api_keys import KeyRing
from gateway.auth.gatekeeper import OPEN, Gatekeeper
from gateway.core import api_keys
from gateway.domain.api_key import NewKey
from gateway.domain.principal import ALL_SCOPES, TokenEpoch
from gateway.errors import Unauthorized
from tests.isolation.world import TOKENS
from tests.make import make_thread

if TYPE_CHECKING:
    from gateway.core import Store

ANY = NewKey("default", "", ALL_SCOPES, None)


@pytest.fixture
def gatekeeper(store: Store, monkeypatch: pytest.MonkeyPatch) -> Gatekeeper:
    monkeypatch.setattr(recent_keys, "FRESH_S", 0)
    return Gatekeeper(KeyRing(store), tokens=TOKENS)


async def a_token_of_anybodys(store: Store) -> str:
    return TOKENS.make(OPEN, await make_thread(store, OPEN), TokenEpoch(), ALL_SCOPES, 3_600)[0]


async def test_a_token_that_anybody_could_make_is_refused(store: Store, gatekeeper: Gatekeeper) -> None:
    token = await a_token_of_anybodys(store)
    await gatekeeper.admit(token)

    await api_keys.create(store, ANY)

    with pytest.raises(Unauthorized):
        await gatekeeper.admit(token)


async def test_who_stays_with_such_a_token_is_sent_away(store: Store, gatekeeper: Gatekeeper) -> None:
    gone = asyncio.Event()

    with gatekeeper.stay(await gatekeeper.admit(await a_token_of_anybodys(store)), gone.set):
        await gatekeeper._look()  # noqa: SLF001
        assert not gone.is_set()
        await api_keys.create(store, ANY)
        await gatekeeper._look()  # noqa: SLF001

    assert gone.is_set()
