"""What is found out about a request on its way through both faces."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

from gateway.app import serve_store
from gateway.observability.listeners import Listeners
from gateway.observability.record import RequestRecord

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.store.store import Store


class Told(list[RequestRecord]):
    """The observed records of requests."""


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def http(store: Store, told: Told) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(serve_store(store, listeners=Listeners(told.append)))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


async def test_a_request_is_recorded_with_its_route_template(http: httpx.AsyncClient, told: Told) -> None:
    answer = await http.get("/v1/threads/thread_nobody?api_key=secret")

    [record] = told
    assert (record.kind, record.method, record.status) == ("request", "GET", 404)
    assert record.route == "/v1/threads/{thread_id}"
    assert record.request_id == answer.headers["x-request-id"]
    assert record.bytes_out == len(answer.content)
    assert record.seconds > 0


async def test_an_unknown_path_has_no_route(http: httpx.AsyncClient, told: Told) -> None:
    await http.request("BREW", "/coffee")

    assert (told[0].method, told[0].route, told[0].status) == ("OTHER", "-", 404)


@pytest.mark.parametrize(
    ("query", "operation"),
    [
        pytest.param("query Newest { threads { nodes { id } } }", ("query", "Newest"), id="named"),
        pytest.param("{ threads { nodes { id } } }", ("query", "-"), id="without a name"),
        pytest.param("mutation { createThread(input: {}) { thread { id } } }", ("mutation", "-"), id="mutation"),
        pytest.param("{", ("-", "-"), id="none at all"),
    ],
)
async def test_a_graphql_operation_is_recorded_by_its_name(
    http: httpx.AsyncClient, told: Told, query: str, operation: tuple[str, str]
) -> None:
    await http.post("/graphql", json={"query": query})

    assert (told[0].route, told[0].operation_type, told[0].operation_name) == ("/graphql", *operation)


async def test_statements_are_counted_without_the_begin_of_a_transaction(http: httpx.AsyncClient, told: Told) -> None:
    await http.post("/v1/threads")
    await http.post("/graphql", json={"query": "{ threads { nodes { id } } }"})

    assert [record.statements for record in told][1] == 1
    assert told[0].statements <= 2  # the thread; PostgreSQL tells other processes of it


async def test_concurrent_requests_count_their_own_statements(http: httpx.AsyncClient, told: Told) -> None:
    await asyncio.gather(*(http.get("/v1/threads") for _ in range(5)))

    assert [record.statements for record in told] == [1] * 5
