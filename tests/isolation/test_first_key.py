"""With the first key, no token that was created before it is accepted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gateway.auth import api_keys as key_cache
from gateway.auth.api_keys import ApiKeyCache
from gateway.auth.authenticator import ANONYMOUS, Authenticator
from gateway.core import api_keys
from gateway.domain.api_key import NewApiKey
from gateway.domain.principal import ALL_SCOPES, TokenEpoch
from gateway.errors import Unauthorized
from tests.isolation.world import TOKENS
from tests.make import make_thread

if TYPE_CHECKING:
    from gateway.core import Store

ANY = NewApiKey("default", "", ALL_SCOPES, None)


@pytest.fixture
def authenticator(store: Store, monkeypatch: pytest.MonkeyPatch) -> Authenticator:
    monkeypatch.setattr(key_cache, "FRESH_S", 0)
    return Authenticator(ApiKeyCache(store), tokens=TOKENS)


async def a_token_of_anybodys(store: Store) -> str:
    return TOKENS.make(ANONYMOUS, await make_thread(store, ANONYMOUS), TokenEpoch(), ALL_SCOPES, 3_600)[0]


async def test_an_unsigned_token_is_refused(store: Store, authenticator: Authenticator) -> None:
    token = await a_token_of_anybodys(store)
    await authenticator.authenticate(token)

    await api_keys.create(store, ANY)

    with pytest.raises(Unauthorized):
        await authenticator.authenticate(token)


async def test_a_connection_with_such_a_token_is_closed(store: Store, authenticator: Authenticator) -> None:
    gone = asyncio.Event()

    with authenticator.on_revocation(await authenticator.authenticate(await a_token_of_anybodys(store)), gone.set):
        await authenticator._recheck()  # noqa: SLF001
        assert not gone.is_set()
        await api_keys.create(store, ANY)
        await authenticator._recheck()  # noqa: SLF001

    assert gone.is_set()
