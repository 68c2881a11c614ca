"""The network to the database is silent, and clients are slow: every request is answered by its deadline."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import httpx

from gateway.auth.api_keys import LOOK_UP_S
from tests.following import PATIENCE_S
from tests.live.cutting import line_to
from tests.live.server import serving
from tests.live.subscribing import ADDED, socket_to
from tests.pace import patience

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
    from pathlib import Path

    from tests.live.cutting import Line
    from tests.live.server import Server


DEADLINE_S: Final = 1.0
LATE_S: Final = patience(4.0)  # above the deadline: the machine may be busy
DEADLINES: Final = ("--rest-timeout-s", f"{DEADLINE_S}", "--graphql-timeout-s", f"{DEADLINE_S}")
SHORT: Final = {"GATEWAY_STATEMENT_TIMEOUT_S": "1", "GATEWAY_IDLE_TRANSACTION_TIMEOUT_S": "0.5"}
HELLO: Final = {"role": "user", "content": "Hello"}
RESPONSE: Final = {"accept": "application/graphql-response+json"}
COUNT: Final = "query ($t: ID!) { thread(id: $t) { messages { totalCount } } }"
CREATE: Final = """mutation ($t: ID!) {
  createMessage(input: { threadId: $t, role: USER, content: { text: "Hello" } }) { message { id } }
}"""


@asynccontextmanager
async def serving_over_line(
    postgres_url: str, folder: Path, given: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[Line, httpx.AsyncClient, str, Server]]:
    """Serve a database over a line that this process carries; have a client and a thread."""
    async with line_to(postgres_url) as line:
        serves = serving(line.url, *DEADLINES, folder=folder, given=given)
        server = await asyncio.to_thread(serves.__enter__)  # which needs the line
        try:
            async with httpx.AsyncClient(base_url=server.base_url, timeout=PATIENCE_S) as http:
                yield line, http, (await http.post("/v1/threads")).json()["id"], server
        finally:
            await asyncio.to_thread(serves.__exit__, None, None, None)


async def timed(request: Awaitable[httpx.Response]) -> tuple[httpx.Response, float]:
    started = time.monotonic()
    return await request, time.monotonic() - started


def message_of(answer: httpx.Response) -> Any:
    body = answer.json()
    return (body["errors"][0] if "errors" in body else body["error"])["message"]


async def test_a_silent_network_is_503_by_the_deadline_and_heals(postgres_url: str, tmp_path: Path) -> None:
    async with serving_over_line(postgres_url, tmp_path) as (line, http, thread, _):
        before = await ask_all(http, thread)
        line.silence()
        silent = await ask_all(http, thread) + await ask_all(http, thread, graphql=())
        probes = [await http.get(path) for path in ("/healthz", "/readyz")]
        line.mend()
        await until_ready(http)
        after = await ask_all(http, thread)

    assert {answer.status_code for answer, _ in before} == {200}
    assert {answer.status_code for answer, _ in silent} == {503}
    assert {message_of(answer).partition(" exceeded")[0] for answer, _ in silent[:2]} == {"The request"}
    assert max(seconds for _, seconds in silent) < LOOK_UP_S + DEADLINE_S + LATE_S
    assert max(seconds for answer, seconds in silent if "request" in message_of(answer)) < DEADLINE_S + LATE_S
    assert [each.status_code for each in probes] == [200, 503]
    assert {answer.status_code for answer, _ in after} == {200}


async def ask_all(
    http: httpx.AsyncClient, thread: str, graphql: Sequence[str] = (COUNT, CREATE)
) -> list[tuple[httpx.Response, float]]:
    """Read and write over both faces, side by side."""
    messages = f"/v1/threads/{thread}/messages"
    bodies = [{"query": each, "variables": {"t": thread}} for each in graphql]
    return await asyncio.gather(
        timed(http.get(messages)),
        timed(http.post(messages, json=HELLO)),
        *(timed(http.post("/graphql", json=each, headers=RESPONSE)) for each in bodies),
    )


async def until_ready(http: httpx.AsyncClient) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while (await http.get("/readyz")).status_code != 200:  # noqa: ASYNC110  (nobody else tells)
            await asyncio.sleep(0.02)


async def test_a_follower_of_a_silent_database_is_disconnected(postgres_url: str, tmp_path: Path) -> None:
    async with serving_over_line(postgres_url, tmp_path, SHORT) as (line, http, thread, _):
        base_url = str(http.base_url)
        async with socket_to(base_url) as follower:
            line.silence()
            await follower.subscribe(ADDED, threadId=thread, after="0")
            end = await follower.end()
        line.mend()
        await until_ready(http)
        (await http.post(f"/v1/threads/{thread}/messages", json=HELLO)).raise_for_status()
        async with socket_to(base_url) as follower:
            await follower.subscribe(ADDED, threadId=thread, after="0")
            texts = await follower.texts(1)

    assert end == (1013, "Database unavailable: resume from the last cursor")
    assert texts == ["Hello"]


async def test_a_body_may_take_longer_than_the_deadline(sqlite_url: str, tmp_path: Path) -> None:
    with serving(sqlite_url, "--rest-timeout-s", "0.2", folder=tmp_path) as server:

        async def slowly() -> AsyncIterator[bytes]:
            yield b'{"metadata": '
            await asyncio.sleep(0.5)
            yield b'{"a": "b"}}'

        async with httpx.AsyncClient(base_url=server.base_url, timeout=PATIENCE_S) as http:
            answer = await http.post("/v1/threads", content=slowly(), headers={"content-type": "application/json"})

    assert (answer.status_code, answer.json()["metadata"]) == (200, {"a": "b"})
