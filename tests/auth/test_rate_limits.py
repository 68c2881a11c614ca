"""How often and how much at once a caller may ask: counted alike over both faces, told in headers."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from gateway.app import serve_store
from gateway.auth.authenticator import Authenticator
from gateway.auth.build import rate_limits_of
from gateway.auth.rate_limits import NETWORKS, RateLimiter, RateLimits, units_of
from gateway.domain.principal import Principal, Reach, Scope
from gateway.errors import TooManyRequests
from gateway.settings.load import load_settings
from tests.redis_server import redis_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from gateway.core import Store

ALICE, BOB = Principal(Reach("p"), name="alice"), Principal(Reach("p"), name="bob")
SLOW_DOWN = "You've exceeded the rate limit, please slow down and try again later."


@asynccontextmanager
async def calling(store: Store, **rules: Any) -> AsyncIterator[httpx.AsyncClient]:
    app = serve_store(store, authenticator=Authenticator(rate_limits=RateLimiter(RateLimits(**rules))))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        yield client


async def ask(http: httpx.AsyncClient, query: str) -> httpx.Response:
    return await http.post("/graphql", json={"query": query})


async def let(rates: RateLimiter, who: Principal, scope: Scope, units: int = 1) -> bool:
    try:
        async with rates.acquire(who, scope, units) or nullcontext():
            return True
    except TooManyRequests:
        return False


async def test_a_caller_may_ask_so_often_and_no_more() -> None:
    rates = RateLimiter(RateLimits(reads="2/day"))

    assert [await let(rates, ALICE, Scope.READ) for _ in range(3)] == [True, True, False]


async def test_reads_and_writes_are_counted_apart_and_so_are_callers() -> None:
    rates = RateLimiter(RateLimits(reads="1/day", writes="1/day"))

    assert [await let(rates, who, scope) for who in (ALICE, BOB) for scope in (Scope.READ, Scope.WRITE)] == [True] * 4


async def test_callers_of_one_name_in_two_projects_are_counted_apart() -> None:
    rates = RateLimiter(RateLimits(reads="1/day", concurrent=1))

    async with rates.acquire(ALICE, Scope.READ) or nullcontext():
        elsewhere = await let(rates, replace(ALICE, reach=Reach("q")), Scope.READ)

    assert elsewhere


def of_token(key: str, thread: str) -> Principal:
    """Make the principal of a thread token that a key has created."""
    return Principal(Reach("p"), name=f"{key}/{thread}", counted_in=(f"thread:{thread}", f"tokens:{key}"))


async def test_a_client_of_two_buckets_is_allowed_while_both_have_capacity() -> None:
    rates = RateLimiter(RateLimits(reads="2/day"))
    first, second, third = (of_token("key_a", f"thread_{n}") for n in "abc")

    asked = [await let(rates, who, Scope.READ) for who in (first, second, third, of_token("key_b", "thread_a"))]

    assert asked == [True, True, False, True]


async def test_a_request_refused_by_one_bucket_is_not_counted_in_the_other() -> None:
    rates = RateLimiter(RateLimits(reads="1/day"))
    await let(rates, of_token("key_a", "thread_a"), Scope.READ)

    refused = await let(rates, of_token("key_a", "thread_b"), Scope.READ)

    assert (refused, await let(rates, of_token("key_b", "thread_b"), Scope.READ)) == (False, True)


async def test_both_buckets_limit_concurrent_requests() -> None:
    rates = RateLimiter(RateLimits(concurrent=1))

    async with rates.acquire(of_token("key_a", "thread_a"), Scope.READ) or nullcontext():
        beside = [of_token("key_a", "thread_b"), of_token("key_b", "thread_a"), of_token("key_b", "thread_b")]
        asked = [await let(rates, who, Scope.READ) for who in beside]

    assert asked == [False, False, True]
    assert not rates._running  # noqa: SLF001


async def test_without_a_rule_nothing_is_counted() -> None:
    rates = RateLimiter(RateLimits(reads="1/day"))

    assert all([await let(rates, ALICE, Scope.WRITE) for _ in range(10)])


async def test_so_many_may_run_at_once_and_no_more() -> None:
    rates = RateLimiter(RateLimits(concurrent=1))

    async with rates.acquire(ALICE, Scope.READ) or nullcontext():
        beside = [await let(rates, who, Scope.WRITE) for who in (ALICE, BOB)]

    assert beside == [False, True]
    assert await let(rates, ALICE, Scope.READ)


async def test_nothing_is_kept_of_disconnected_clients() -> None:
    rates = RateLimiter(RateLimits(concurrent=1))

    await asyncio.gather(*(let(rates, Principal(Reach("p"), name=str(n)), Scope.READ) for n in range(10)))

    assert not rates._running  # noqa: SLF001


async def test_an_operation_above_the_whole_limit_can_run_once() -> None:
    rates = RateLimiter(RateLimits(reads="5/day"))

    assert [await let(rates, ALICE, Scope.READ, units) for units in (50, 1)] == [True, False]


async def test_returned_capacity_can_be_acquired_again() -> None:
    rates = RateLimiter(RateLimits(reads="2/day"))

    async def take(units: int) -> bool:
        try:
            await (rates.charge(ALICE, Scope.READ, units) or asyncio.sleep(0))
        except TooManyRequests:
            return False
        return True

    assert [await take(units) for units in (1, 1, 1, -1, 1, 1)] == [True, True, False, True, True, False]


async def test_failures_are_counted_in_bounded_places() -> None:
    rates = RateLimiter(RateLimits(failures="1/day"))
    for n in range(20_000):
        with suppress(TooManyRequests):
            await rates.charge_failure(f"10.0.{n // 250}.{n % 250}")

    counter: Any = rates._counter  # noqa: SLF001
    assert len(counter._limiter.storage.storage) <= NETWORKS  # noqa: SLF001
    await rates.close()


@pytest.mark.parametrize(("cost", "units"), [(0, 1), (1, 1), (100, 1), (101, 2), (5_000, 50)])
def test_an_operation_counts_once_for_each_hundred_objects(cost: int, units: int) -> None:
    assert units_of(cost) == units


async def test_rest_returns_rate_limit_headers_and_429(store: Store) -> None:
    async with calling(store, writes="2/day") as http:
        answers = [await http.post("/v1/threads") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers] == ["1", "0", "0"]
    assert {answer.headers["x-ratelimit-limit-requests"] for answer in answers} == {"2"}
    assert answers[2].json()["error"] == {
        "message": SLOW_DOWN,
        "type": "invalid_request_error",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    assert 1 <= int(answers[2].headers["retry-after"]) <= 86_400
    assert answers[2].headers["x-ratelimit-reset-requests"] == answers[2].headers["retry-after"] + "s"


async def test_a_refused_operation_has_no_effect(store: Store) -> None:
    async with calling(store, writes="1/day") as http:
        for _ in range(3):
            await http.post("/v1/threads")

        assert len((await http.get("/v1/threads")).json()["data"]) == 1


async def test_graphql_counts_by_its_cost_and_shares_with_rest(store: Store) -> None:
    hundred = "{ threads(first: 100) { nodes { id } } }"  # and the page itself: 101 objects, two requests
    async with calling(store, reads="5/day") as http:
        answers = [await ask(http, hundred), await http.get("/v1/threads"), await ask(http, hundred)]
        refused = await ask(http, hundred)

    assert [each.headers["x-ratelimit-remaining-requests"] for each in answers] == ["3", "2", "0"]
    assert (refused.status_code, refused.headers["retry-after"].isdecimal()) == (429, True)
    [error] = refused.json()["errors"]
    assert (error["message"], error["extensions"]["code"]) == (SLOW_DOWN, "rate_limit_exceeded")


async def test_a_mutation_is_a_write(store: Store) -> None:
    async with calling(store, writes="1/day") as http:
        answers = [await ask(http, "mutation { createThread(input: {}) { thread { id } } }") for _ in range(2)]
        read = await ask(http, "{ threads { nodes { id } } }")

    assert [each.status_code for each in (*answers, read)] == [200, 429, 200]


@pytest.mark.parametrize(
    ("flags", "rules"),
    [
        ({}, RateLimits(failures="60/minute")),
        ({"rate_reads": "9/second", "rate_failed_auth": "off"}, RateLimits(reads="9/second")),
        ({"host": "10.0.0.1"}, RateLimits("6000/minute", "6000/minute", 100, failures="60/minute")),
        (
            {"host": "10.0.0.1", "rate_writes": "off", "rate_at_once": "7", "rate_failed_auth": "9/hour"},
            RateLimits("6000/minute", None, 7, failures="9/hour"),
        ),
    ],
)
def test_rate_limits_are_off_by_default_on_a_local_server(flags: dict[str, str], rules: RateLimits) -> None:
    assert rate_limits_of(load_settings(flags)) == rules


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """Run a Redis that listens at a socket file alone."""
    with redis_server(tmp_path) as url:
        yield url


async def test_processes_that_share_a_redis_count_together(redis_url: str) -> None:
    first, second = (RateLimiter(RateLimits(reads="3/day", store=redis_url)) for _ in range(2))

    done = [await let(each, ALICE, Scope.READ) for each in (first, second, first, second)]
    for each in (first, second):
        await each.close()

    assert done == [True, True, True, False]


async def test_requests_are_accepted_while_redis_is_unavailable(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rates = RateLimiter(RateLimits(reads="1/day", store=f"unix://{tmp_path}/none.sock"))

    assert [await let(rates, ALICE, Scope.READ) for _ in range(2)] == [True, True]
    assert "rate limits are not enforced" in caplog.text
