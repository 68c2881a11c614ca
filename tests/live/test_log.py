"""What a server writes into its log while everything happens to it, and what it never writes."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
from sqlalchemy import text

from gateway.store.engines.open import open_engines
from tests.following import PATIENCE_S, take
from tests.live.collector import Collector, collecting
from tests.live.server import serving
from tests.live.subscribing import ADDED, open_socket, socket_to, stream_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.live.server import Server

HUSH: Final = "hush"  # stands in everything that a person could have written or has to keep
KEYS: Final = {"authorization": f"Bearer {HUSH}-1", "api-key": f"{HUSH}-2", "cookie": f"a={HUSH}-3"}
CREATE: Final = "mutation Create($i: CreateMessageInput!) { createMessage(input: $i) { message { id } } }"
REFUSING: Final = {
    "sqlite": (
        """CREATE TRIGGER t BEFORE INSERT ON messages WHEN NEW.content LIKE '%refuse%'
        BEGIN SELECT RAISE(FAIL, 'refused'); END""",
        "DROP TRIGGER t",
    ),
    "postgresql": (
        "ALTER TABLE messages ADD CONSTRAINT refuse CHECK (content NOT LIKE '%refuse%')",
        "ALTER TABLE messages DROP CONSTRAINT refuse",
    ),
}


def lines_of(server: Server) -> list[dict[str, Any]]:
    """Read the log, which begins behind the banner."""
    return [json.loads(line) for line in server.stderr.partition("Stop with Ctrl-C.\n")[2].splitlines()]


async def run(url: str, *statements: str) -> None:
    engines = open_engines(url)
    async with engines.writer.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))
    await engines.dispose()


@asynccontextmanager
async def refusing_rows(url: str) -> AsyncIterator[None]:
    """Let the database refuse messages that say so; PostgreSQL repeats the whole row then."""
    put, away = REFUSING[url.partition(":")[0]]
    await run(url, put)
    try:
        yield
    finally:
        await run(url, away)


async def talk(http: httpx.AsyncClient) -> None:
    """Send secrets by every way into REST and GraphQL over HTTP, to good and to bad ends."""
    said = {"role": "user", "content": f"{HUSH} text", "metadata": {f"{HUSH}_key": f"{HUSH} value"}}
    thread_id = (await http.post("/v1/threads", json={"messages": [said], "metadata": said["metadata"]})).json()["id"]
    messages = f"/v1/threads/{thread_id}/messages"
    await http.post(messages, json=said)
    await http.get(messages, params={"after": HUSH, "api_key": HUSH})
    await http.post(messages, json=said | {"role": HUSH})
    await http.post(messages, content=f'{{"content": "{HUSH}'.encode())
    for content in (HUSH, f"{HUSH} refuse"):
        await http.post("/graphql", json=in_graphql(thread_id, content))
    inline = f'query Inline {{ node(id: "{HUSH}") {{ id }} }}'
    for query in (inline, f'{{ node(id: """{HUSH}""") {{ id }} }}', f'{{ node(id: "{HUSH}'):
        await http.post("/graphql", json={"query": query})
    await http.get("/graphql", params={"query": inline, "variables": json.dumps({"a": HUSH})})
    failed = await http.post(messages, json=said | {"content": f"{HUSH} refuse"})
    assert failed.status_code == 500
    async with stream_of(http, ADDED, threadId=thread_id, after="0") as events:
        await take(events, 1)
    await talk_on_sockets(str(http.base_url), thread_id)


def in_graphql(thread_id: str, content: str) -> dict[str, Any]:
    return {"query": CREATE, "variables": {"i": {"threadId": thread_id, "role": "USER", "content": {"text": content}}}}


async def talk_on_sockets(base_url: str, thread_id: str) -> None:
    async with socket_to(base_url, additional_headers=KEYS) as socket:
        await socket.send("ping", payload={"a": HUSH})
        await socket.receive()
        for n, content in enumerate((HUSH, f"{HUSH} refuse")):
            await socket.send("subscribe", id=f"{HUSH}{n}", payload=in_graphql(thread_id, content))
            await socket.receive()
        await socket.raw.send(f"{HUSH}: no JSON")
        assert (await socket.end())[0] == 4400
    async with open_socket(base_url, subprotocols=(HUSH,)) as socket:
        await socket.end()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as listening:
        yield listening


@pytest.fixture
async def talked(database_url: str, tmp_path: Path, collector: Collector) -> Server:
    """Give a server that has been through everything, and was stopped."""
    (tmp_path / "trusted").mkdir()
    (tmp_path / "trusted" / "one.graphql").write_text("{ __typename }")
    given = {"GATEWAY_TRUSTED_DOCUMENTS": "trusted", "GATEWAY_TRUSTED_MODE": "log"}
    given["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.url
    with serving(database_url, folder=tmp_path, given=given) as server:
        async with (
            refusing_rows(database_url),
            httpx.AsyncClient(base_url=server.base_url, headers=KEYS, timeout=PATIENCE_S) as http,
        ):
            await talk(http)
        await asyncio.to_thread(server.stop)
    return server


async def test_no_secret_and_no_text_of_a_person_is_in_the_log_or_a_trace_whatever_happens(
    talked: Server, collector: Collector
) -> None:
    events = [line["event"] for line in lines_of(talked)]
    spans = {span.name for span in collector.spans()}

    assert HUSH not in talked.stderr
    assert not [body for body in collector.bodies if HUSH.encode() in body]
    assert all(line["trace_id"] for line in lines_of(talked) if line["event"] in {"request", "operation"})
    # It was not silent: of each kind of line there is one at least.
    assert {"request", "connection", "operation"} <= set(events)
    assert [event for event in events if "is not trusted" in event]
    assert [event for event in events if event.endswith("failed")]
    assert [event for event in events if "a resolver failed" in event]
    assert {"POST /v1/threads", "GET /v1/threads/{thread_id}/messages", "mutation Create", "INSERT"} <= spans
    assert {"graphql.execute", "graphql.subscribe", "subscription", "query Inline"} <= spans


async def test_every_request_logs_one_line_whose_id_finds_its_failure(database_url: str, tmp_path: Path) -> None:
    with serving(database_url, folder=tmp_path) as server:
        async with (
            refusing_rows(database_url),
            httpx.AsyncClient(base_url=server.base_url, timeout=PATIENCE_S) as http,
        ):
            made = await http.post("/v1/threads")
            failed = await http.post(
                f"/v1/threads/{made.json()['id']}/messages", json={"role": "user", "content": "refuse"}
            )
        await asyncio.to_thread(server.stop)

    lines = lines_of(server)
    asked = [line for line in lines if line["event"] == "request"]
    [told] = [line for line in lines if "exception" in line]
    assert [line["id"] for line in asked] == [each.headers["x-request-id"] for each in (made, failed)]
    assert [(line["method"], line["route"], line["status"]) for line in asked] == [
        ("POST", "/v1/threads", 200),
        ("POST", "/v1/threads/{thread_id}/messages", 500),
    ]
    assert told["event"].startswith(asked[1]["id"])
    reasons = ("IntegrityError: refused", "violates check constraint")
    assert any(reason in told["exception"] for reason in reasons)


async def test_a_websocket_logs_one_line_at_its_end_and_one_per_operation(sqlite_url: str, tmp_path: Path) -> None:
    with serving(sqlite_url, folder=tmp_path) as server:
        async with socket_to(server.base_url) as socket:
            await socket.subscribe("query Newest { threads { nodes { id } } }")
            await socket.receive()
            await socket.subscribe("query Wrong { nothing }", "2")
            await socket.receive()
            await socket.receive()
        await asyncio.to_thread(server.stop)

    first, second, last = lines_of(server)
    assert [(line["operation"], line["status"], line["statements"]) for line in (first, second)] == [
        ("query Newest", 200, 1),
        ("-", 400, 0),
    ]
    assert (last["event"], last["route"], last["status"]) == ("connection", "/graphql", 1000)
    assert {line["id"] for line in (first, second)} == {last["id"]}
    assert last["bytes"] > 0
