"""Hints between processes, over each of their carriers."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from gateway.domain.change import Hint
from gateway.events import exchange, payload, redis
from gateway.events.exchange import Exchange, probe
from gateway.events.hub import Hub
from gateway.store.store import open_store
from tests.events.carrying import carrier_at, exchanging
from tests.following import PATIENCE_S, make_thread, say, until
from tests.redis_server import redis_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
    from pathlib import Path

    from gateway.domain.principal import Principal
    from gateway.events.exchange import Carrier, Send

ONE, OTHER = ("p", "thread_1"), ("p", "thread_2")
LISTENERS = "FROM pg_stat_activity WHERE application_name = 'gateway hints' AND datname = current_database()"


@pytest.fixture(params=["postgres", "redis"])
def carrier(request: pytest.FixtureRequest) -> Carrier:
    """Give each carrier."""
    return carrier_at(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    with redis_server(tmp_path) as url:
        yield url


async def test_a_change_of_one_process_wakes_the_followers_of_another(
    carrier: Carrier, database_url: str, who: Principal
) -> None:
    hub = Hub()
    async with exchanging(carrier, hub), exchanging(carrier) as others:
        store = open_store(database_url, others.publish)
        thread_id = await make_thread(store, who)
        with hub.listen((who.reach.project_id, thread_id)) as hint:
            for n in range(3):
                await say(store, who, thread_id, str(n))

                await asyncio.wait_for(hint.wait(n, n), PATIENCE_S)
            assert hint.hints == 3
        await store.close()


async def test_a_hint_has_the_project_the_thread_its_owner_and_the_position(carrier: Carrier) -> None:
    heard: list[Hint] = []
    async with carrier(heard.extend, lambda: None), exchanging(carrier) as others:
        others.publish([Hint("p", "thread_1", "Zoë", 7)])
        await until(lambda: bool(heard))

    assert heard == [Hint("p", "thread_1", "Zoë", 7)]


async def test_what_comes_back_to_its_sender_wakes_nobody_again(carrier: Carrier) -> None:
    mine, others = Hub(), Hub()
    async with exchanging(carrier, mine) as own, exchanging(carrier, others) as further:
        with mine.listen(ONE) as hint, others.listen(OTHER) as last, mine.listen(OTHER) as later:
            own.publish([Hint(*ONE, None, 1)])
            own.publish([Hint(*OTHER, None, 1)])
            await asyncio.wait_for(last.wait(0), PATIENCE_S)
            further.publish([Hint(*OTHER, None, 2)])
            await asyncio.wait_for(later.wait(1), PATIENCE_S)

            assert hint.hints == 1


async def test_many_changes_at_once_are_few_payloads(carrier: Carrier, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    dump = payload.dump

    def counting(hints: Collection[Hint]) -> list[str]:
        found = dump(hints)
        sent.append(len(found))
        return found

    monkeypatch.setattr(payload, "dump", counting)
    hub = Hub()
    topics = [("p", f"thread_{n}") for n in range(1_000)]
    async with exchanging(carrier, hub), exchanging(carrier) as others:
        with ExitStack() as stack:
            heard = [stack.enter_context(hub.listen(each)) for each in topics]
            for n in range(5):
                others.publish([Hint(*topic, "alice", n + 1) for topic in topics])
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.gather(*(each.wait(0, 4) for each in heard))

            assert {each.hints for each in heard} == {1}
    assert sum(sent) < 10


async def test_a_crowd_of_hints_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "MAX_PENDING", 3)
    hub = Hub()
    own = Exchange(hub, never_connected)
    with hub.listen(("p", "thread_9")) as hint:
        for n in range(10):
            own.publish([Hint("p", f"thread_{n}", None, 1)])

        assert len(own._pending) == 3  # noqa: SLF001
        assert hint.hints == 1


@asynccontextmanager
async def never_connected(receive: object, on_lost: object) -> AsyncIterator[Send]:  # noqa: ARG001  (it says nothing)
    async def drop(_hints: Collection[Hint]) -> None: ...

    yield drop


async def test_a_connection_on_which_nothing_is_heard_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "ALIVE_S", 0.01)
    monkeypatch.setattr(exchange, "SEND_S", 0.01)
    silent = Exchange(Hub(), never_connected)

    with pytest.raises(ConnectionError, match="does not arrive"):
        await asyncio.wait_for(silent.run(), PATIENCE_S)
    assert not silent.is_listening


@asynccontextmanager
async def stuck(receive: Callable[[Iterable[Hint]], None], on_lost: object) -> AsyncIterator[Send]:  # noqa: ARG001  (it is never called)
    async def never(_hints: Collection[Hint]) -> None:
        while True:
            receive(())  # of others
            await asyncio.sleep(0)

    yield never


async def test_a_sending_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "ALIVE_S", 0.01)
    monkeypatch.setattr(exchange, "SEND_S", 0.01)
    own = Exchange(Hub(), stuck)
    own.publish([Hint(*ONE, None, 1)])

    with pytest.raises(ConnectionError, match="does not arrive"):
        await asyncio.wait_for(own.run(), PATIENCE_S)


async def test_an_idle_connection_is_kept(carrier: Carrier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "ALIVE_S", 0.01)
    monkeypatch.setattr(exchange, "SEND_S", 0.5)
    beats: list[float] = []

    @asynccontextmanager
    async def counted(receive: Callable[[Iterable[Hint]], None], on_lost: Callable[[], None]) -> AsyncIterator[Send]:
        def noted(hints: Iterable[Hint]) -> None:
            beats.append(0)
            receive(hints)

        async with carrier(noted, on_lost) as send:
            yield send

    async with exchanging(counted) as idle:
        await until(lambda: len(beats) > 2)

        assert idle.is_listening


async def test_hints_arrive_again_after_postgresql_ended_the_connections(postgres_url: str) -> None:
    outsider = await asyncpg.connect(postgres_url)

    async def leave() -> None:
        assert await outsider.fetchval(f"SELECT count(pg_terminate_backend(pid)) {LISTENERS}") == 2

    await _arrive_again(carrier_at(postgres_url), leave)
    async with asyncio.timeout(PATIENCE_S):
        while await outsider.fetchval(f"SELECT count(*) {LISTENERS}"):  # noqa: ASYNC110  (there is no event for it)
            await asyncio.sleep(0.01)
    await outsider.close()


async def test_hints_arrive_again_after_redis_was_away(tmp_path: Path) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(redis_server(tmp_path))

        async def leave() -> None:
            stack.close()

        async def come_back() -> None:
            assert stack.enter_context(redis_server(tmp_path)) == url

        await _arrive_again(carrier_at(url), leave, come_back)


async def _arrive_again(carrier: Carrier, leave: Callable[[], Any], come_back: Callable[[], Any] | None = None) -> None:
    hub = Hub()
    async with exchanging(carrier, hub) as ours, exchanging(carrier) as others:
        with hub.listen(ONE) as hint:
            others.publish([Hint(*ONE, None, 1)])
            await asyncio.wait_for(hint.wait(0), PATIENCE_S)

            await leave()
            if come_back:
                await until(lambda: not (ours.is_listening or others.is_listening))
                await come_back()
            position = 1
            async with asyncio.timeout(PATIENCE_S):
                while hint.hints == 1:  # those sent at the moment of the loss may be lost: the sweep is for them
                    position += 1
                    others.publish([Hint(*ONE, None, position)])
                    await asyncio.sleep(0.01)


@pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/none", "unix:///no/such/redis.sock"])
async def test_a_carrier_that_is_not_there_is_a_connection_error(url: str) -> None:
    with pytest.raises(OSError, match=r"(?i)connect|no such"):
        await Exchange(Hub(), carrier_at(url)).run()


async def test_a_probe_hears_itself(carrier: Carrier) -> None:
    await probe(carrier, PATIENCE_S)
    with pytest.raises(TimeoutError):
        await probe(never_connected, 0.01)


async def test_databases_of_one_redis_are_apart(redis_url: str) -> None:
    hub = Hub()
    own, further = (partial(redis.connected, f"{redis_url}?db={n}") for n in range(2))
    async with exchanging(own, hub), exchanging(own) as others, exchanging(further) as strangers:
        with hub.listen(ONE) as hint, hub.listen(OTHER) as later:
            strangers.publish([Hint(*ONE, None, 1)])
            await asyncio.sleep(0)
            async with asyncio.timeout(PATIENCE_S):
                while not later.hints:
                    others.publish([Hint(*OTHER, None, later.hints + 1)])
                    await asyncio.sleep(0.01)

            assert hint.hints == 0
