"""Authentication: which credentials are accepted, and the errors for the others."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from gateway.auth import api_keys as key_cache
from gateway.auth.api_keys import ApiKeyCache
from gateway.auth.authenticator import ANONYMOUS, RECHECK_S, Authenticator, credential_of, invalid_api_key
from gateway.auth.thread_tokens import ThreadTokens
from gateway.core import api_keys, thread_tokens, threads
from gateway.domain.api_key import NewApiKey
from gateway.domain.ids import ThreadId
from gateway.domain.principal import ALL_SCOPES, Principal, Reach, TokenEpoch
from gateway.errors import NotFound, Unauthorized, Unavailable
from gateway.web.request import Headers, as_headers
from tests.graphql.serving import statements_of
from tests.make import make_thread
from tests.pace import patience

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.domain.api_key import ApiKey

pytestmark = pytest.mark.counted

ANY = NewApiKey("shop", "", ALL_SCOPES, None)
THREAD = ThreadId("thread_a")
SECRET = "s" * 32


@pytest.mark.parametrize(
    ("headers", "credential"),
    [
        ({"authorization": "Bearer sk-a"}, "sk-a"),
        ({"authorization": "bearer  sk-a "}, "sk-a"),
        ({"api-key": "sk-a"}, "sk-a"),
        ({"authorization": "Bearer sk-a", "api-key": "sk-b"}, "sk-a"),
        ({"authorization": "Bearer ", "api-key": "sk-b"}, "sk-b"),
        ({"authorization": "Basic c2s="}, None),
        ({"authorization": "sk-a"}, None),
        ({}, None),
    ],
)
def test_a_credential_is_a_bearer_token_or_azures_header(headers: dict[str, str], credential: str | None) -> None:
    assert credential_of(Headers(list(as_headers(headers)))) == credential


@pytest.mark.parametrize(
    ("credential", "shown"),
    [
        ("sk-short", "sk-short"),
        ("sk-123456789", "sk-123456789"),
        ("sk-1234567890", "sk-12345*7890"),
        ("sk-" + "x" * 200 + "yyyy", "sk-xxxxx" + "*" * 52 + "yyyy"),
    ],
)
def test_a_refused_key_is_shown_by_its_ends(credential: str, shown: str) -> None:
    assert invalid_api_key(credential).message.startswith(f"Incorrect API key provided: {shown}. ")


async def test_requests_are_anonymous_until_the_first_key_is_created(store: Store) -> None:
    authenticator = Authenticator(ApiKeyCache(store))

    assert await authenticator.authenticate(None) is await authenticator.authenticate("any") is ANONYMOUS


async def test_a_credential_is_required_after_the_first_key_is_created(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_cache, "FRESH_S", 0)
    authenticator = Authenticator(ApiKeyCache(store))
    await authenticator.authenticate(None)

    await api_keys.create(store, ANY)

    with pytest.raises(Unauthorized, match="You didn't provide an API key"):
        await authenticator.authenticate(None)


async def test_a_key_authenticates_for_its_project(store: Store) -> None:
    made, secret = await api_keys.create(store, ANY)

    who = await Authenticator(ApiKeyCache(store)).authenticate(secret)

    assert (who.reach, who.name) == (Reach("shop"), made.id)


async def test_a_look_up_does_not_fail_where_the_loop_alone_was_busy(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, secret = await api_keys.create(store, ANY)
    loop = asyncio.get_running_loop()
    looking = asyncio.create_task(ApiKeyCache(store).find(secret))
    await asyncio.sleep(0)  # it has begun

    now = loop.time
    monkeypatch.setattr(loop, "time", lambda: now() + 2 * key_cache.LOOK_UP_S)

    found = await looking
    assert found is not None
    assert found.name == made.id


async def test_a_look_up_that_the_database_does_not_answer_ends(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_cache, "LOOK_UP_S", 0.1)
    monkeypatch.setattr(api_keys, "find", lambda *_given: asyncio.Event().wait())

    with pytest.raises(Unavailable, match=r"could not be checked within 0\.1 seconds"):
        await ApiKeyCache(store).find("sk-any")


@pytest.mark.parametrize("credential", ["any", "sk-unknown", "tt-unknown", "a.b.c", "sk-" + "x" * 9_000, "sk-\udcff"])
async def test_an_invalid_credential_is_rejected(store: Store, credential: str) -> None:
    await api_keys.create(store, ANY)

    with pytest.raises(Unauthorized) as raised:
        await Authenticator(ApiKeyCache(store), tokens=ThreadTokens(SECRET)).authenticate(credential)

    assert raised.value.code == "invalid_api_key"


async def test_a_key_is_cached_between_lookups(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_cache, "FRESH_S", 3_600)
    _, secret = await api_keys.create(store, ANY)
    keys = ApiKeyCache(store)
    await keys.find(secret)

    with statements_of(store) as seen:
        for _ in range(100):
            await keys.find(secret)

    assert seen == []


async def test_a_key_is_believed_for_less_than_a_second(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert max(key_cache.FRESH_S, RECHECK_S) < 1  # for requests, and for open connections
    monkeypatch.setattr(key_cache, "FRESH_S", 0)
    made, secret = await api_keys.create(store, ANY)
    keys = ApiKeyCache(store)
    await keys.find(secret)

    await api_keys.revoke(store, made.id)

    assert await keys.find(secret) is None


async def test_the_age_of_a_key_counts_from_the_begin_of_its_lookup(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = count()  # a clock that each look moves on by a second
    monkeypatch.setattr(key_cache, "time", SimpleNamespace(monotonic=lambda: float(next(ticks)), time=time.time))
    made, secret = await api_keys.create(store, ANY)
    keys, find = ApiKeyCache(store), api_keys.find

    async def overtaken(store: Store, secret: str) -> ApiKey | None:
        found = await find(store, secret)
        await api_keys.revoke(store, made.id)
        next(ticks)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(api_keys, "find", overtaken)
        patch.setattr(key_cache, "FRESH_S", 2.0)
        await keys.find(secret)

        patch.setattr(api_keys, "find", find)
        assert await keys.find(secret) is None


async def test_the_key_cache_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_cache, "MOST", 3)
    keys = ApiKeyCache(store)

    for _ in range(5):
        await keys.find((await api_keys.create(store, ANY))[1])

    assert len(keys._seen) == 3  # noqa: SLF001


async def test_last_uses_of_keys_are_written_at_shutdown(store: Store) -> None:
    made, secret = await api_keys.create(store, ANY)
    keys = ApiKeyCache(store)
    noting = asyncio.create_task(keys.write_last_uses())
    await keys.find(secret)

    noting.cancel()
    await asyncio.wait([noting])

    [key] = await api_keys.list_all(store)
    assert (key.last_used_at or 0) >= made.created_at


async def test_last_uses_that_could_not_be_written_are_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made, secret = await api_keys.create(store, ANY)
    keys = ApiKeyCache(store)
    await keys.find(secret)
    with monkeypatch.context() as patch:
        patch.setattr(key_cache, "WRITE_S", 0)
        patch.setattr(type(store), "write", _unavailable)
        with pytest.raises(Unavailable):
            await keys.write_last_uses()
    noting = asyncio.create_task(keys.write_last_uses())
    await asyncio.sleep(0)

    noting.cancel()
    await asyncio.wait([noting])

    [key] = await api_keys.list_all(store)
    assert (key.last_used_at or 0) >= made.created_at


async def _unavailable(_store: Store, _work: object) -> None:
    raise Unavailable("away")


async def test_a_connection_is_closed_when_its_key_is_revoked(store: Store) -> None:
    made, secret = await api_keys.create(store, ANY)
    _, other_secret = await api_keys.create(store, ANY)
    authenticator = Authenticator(ApiKeyCache(store))
    gone, other_gone = asyncio.Event(), asyncio.Event()
    looking = [asyncio.create_task(each()) for each in authenticator.background_tasks().values()]

    with (
        authenticator.on_revocation(await authenticator.authenticate(secret), gone.set),
        authenticator.on_revocation(await authenticator.authenticate(other_secret), other_gone.set),
    ):
        await api_keys.revoke(store, made.id)
        await asyncio.wait_for(gone.wait(), patience(60))

    assert not other_gone.is_set()
    for task in looking:
        task.cancel()
    await asyncio.wait(looking)


@pytest.mark.parametrize(
    "who", [ANONYMOUS, Principal(Reach("shop"), expires_at=1.0), Principal(Reach("shop"), key_id="key_unknown")]
)
async def test_a_connection_is_closed_when_its_credential_expires_or_is_unknown(store: Store, who: Principal) -> None:
    await api_keys.create(store, ANY)
    authenticator = Authenticator(ApiKeyCache(store))
    gone = asyncio.Event()

    with authenticator.on_revocation(who, gone.set):
        await authenticator._recheck()  # noqa: SLF001

    assert gone.is_set()


async def test_a_thread_token_is_limited_to_its_thread_on_an_open_server(store: Store) -> None:
    tokens = ThreadTokens(SECRET)
    token, _ = tokens.make(ANONYMOUS, THREAD, TokenEpoch(), ALL_SCOPES, 60)

    who = await Authenticator(ApiKeyCache(store), tokens=tokens).authenticate(token)

    assert who.reach == Reach("default", thread_id="thread_a")


async def test_a_thread_token_falls_with_the_key_that_it_was_made_with(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_cache, "FRESH_S", 0)
    made, _ = await api_keys.create(store, ANY)
    tokens = ThreadTokens(SECRET)
    authenticator = Authenticator(ApiKeyCache(store), tokens=tokens)
    token, _ = tokens.make(made.principal(), THREAD, TokenEpoch(), ALL_SCOPES, 60)
    await authenticator.authenticate(token)

    await api_keys.revoke(store, made.id)

    with pytest.raises(Unauthorized):
        await authenticator.authenticate(token)


SHOP = Principal(Reach("shop"))


async def a_token(store: Store, authenticator: Authenticator, maker: Principal) -> tuple[ThreadId, str]:
    """Make a thread, and a token for it that the authenticator takes."""
    assert authenticator.tokens is not None
    thread_id = await make_thread(store, SHOP)
    epoch = await thread_tokens.epoch_of(store, maker, thread_id)
    return thread_id, authenticator.tokens.make(maker, thread_id, epoch, ALL_SCOPES, 60)[0]


@pytest.mark.parametrize("has_key", [True, False])
async def test_a_token_is_cached_between_lookups_of_one_statement(
    store: Store, monkeypatch: pytest.MonkeyPatch, *, has_key: bool
) -> None:
    monkeypatch.setattr(key_cache, "FRESH_S", 3_600)
    made, _ = await api_keys.create(store, ANY)
    authenticator = Authenticator(ApiKeyCache(store), tokens=ThreadTokens(SECRET))
    maker = made.principal() if has_key else Principal(Reach("shop"), name="user:alice")
    _, token = await a_token(store, authenticator, maker)

    with statements_of(store) as seen:
        for _ in range(100):
            await authenticator.authenticate(token)

    assert len(seen) == 1


async def test_a_key_revoked_in_this_process_is_refused_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_cache, "FRESH_S", 3_600)
    authenticator = Authenticator(ApiKeyCache(store), tokens=ThreadTokens(SECRET))
    thread_id, token = await a_token(store, authenticator, SHOP)
    other_id, other = await a_token(store, authenticator, SHOP)
    for each in (token, other):
        await authenticator.authenticate(each)

    await thread_tokens.revoke(store, SHOP, thread_id)
    authenticator.invalidate_tokens("shop", thread_id)

    with pytest.raises(Unauthorized):
        await authenticator.authenticate(token)
    assert (await authenticator.authenticate(other)).reach.thread_id == other_id


async def test_a_token_that_is_looked_up_while_it_is_revoked_is_not_cached(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_cache, "FRESH_S", 3_600)
    authenticator = Authenticator(ApiKeyCache(store), tokens=ThreadTokens(SECRET))
    thread_id, token = await a_token(store, authenticator, SHOP)
    standing = thread_tokens.standing

    async def overtaken(store: Store, reach: Reach, key_id: str | None) -> thread_tokens.Standing:
        found = await standing(store, reach, key_id)
        await thread_tokens.revoke(store, SHOP, thread_id)
        authenticator.invalidate_tokens("shop", thread_id)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(thread_tokens, "standing", overtaken)
        await authenticator.authenticate(token)

    with pytest.raises(Unauthorized):
        await authenticator.authenticate(token)


async def test_a_connection_is_closed_when_its_token_is_revoked(store: Store) -> None:
    authenticator = Authenticator(ApiKeyCache(store), tokens=ThreadTokens(SECRET))
    gone = [asyncio.Event() for _ in range(3)]
    made = [await a_token(store, authenticator, SHOP) for _ in gone]
    with ExitStack() as staying:
        for event, (_, token) in zip(gone, made, strict=True):
            staying.enter_context(authenticator.on_revocation(await authenticator.authenticate(token), event.set))

        await thread_tokens.revoke(store, SHOP, made[0][0])
        await threads.delete(store, SHOP, made[1][0])
        await authenticator._recheck()  # noqa: SLF001

    assert [each.is_set() for each in gone] == [True, False, False]


async def test_a_number_of_tokens_that_is_bounded_is_known(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_cache, "MOST", 3)
    authenticator = Authenticator(keys := ApiKeyCache(store), tokens=ThreadTokens(SECRET))

    for _ in range(5):
        await authenticator.authenticate((await a_token(store, authenticator, SHOP))[1])

    assert len(keys.token_statuses._seen) == 3  # noqa: SLF001


async def test_no_thread_no_token(store: Store) -> None:
    for what in (thread_tokens.epoch_of, thread_tokens.revoke):
        with pytest.raises(NotFound):
            await what(store, SHOP, THREAD)
