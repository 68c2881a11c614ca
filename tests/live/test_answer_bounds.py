"""Answers of a served process that would be too large: pages end early, operations end with an error, in bounded time.

The store is filled before, as an import or an older version could have filled it.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import statistics
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import httpx
import pytest

from gateway.store.store import opened_store
from tests.following import PATIENCE_S
from tests.live.inside import WHO
from tests.live.server import serving
from tests.live.subscribing import socket_to
from tests.live.test_idle_followers import resident_bytes
from tests.make import make_thread, put_message, text_part
from tests.pace import patience

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.domain.ids import ThreadId
    from tests.live.server import Server

DEADLINE_S: Final = 3
MB: Final = 1_000_000
PAGE: Final = "thread(id: $id) { messages(%s) { nodes { %s } pageInfo { hasNextPage hasPreviousPage endCursor } } }"
CONTENT: Final = "content { __typename ... on TextContent { text { value } } }"


class Filled(NamedTuple):
    """A server and what it has: 20 messages of a megabyte, one of 155,000 parts, one of 24,000, and 20 short ones."""

    server: Server
    heavy: ThreadId
    in_parts: ThreadId
    in_fewer: ThreadId
    light: ThreadId


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    folder = tmp_path_factory.mktemp("answers")
    url = request.getfixturevalue(f"new_{request.param}_url")()
    with serving(url, folder=folder, given={"GATEWAY_GRAPHQL_TIMEOUT_S": str(DEADLINE_S)}) as server:
        yield Filled(server, *asyncio.run(_fill(url)))


async def _fill(url: str) -> list[ThreadId]:
    async with opened_store(url) as store:
        made = [await make_thread(store, WHO) for _ in range(3)]
        for _ in range(20):
            await put_message(store, WHO, made[0], content=[text_part("x" * MB)])
        for thread_id, parts in ((made[1], 155_000), (made[2], 24_000)):
            await put_message(store, WHO, thread_id, content=[text_part("a")] * parts)
        return [*made, await make_thread(store, WHO, count=20)]


def ask(server: Server, query: str, **variables: Any) -> Any:
    asked = {"query": query, "variables": variables}
    return httpx.post(f"{server.base_url}/graphql", json=asked, timeout=PATIENCE_S).json()


def code_of(answer: Any) -> str:
    assert "data" not in answer
    [error] = answer["errors"]
    code: str = error["extensions"]["code"]
    return code


def test_rest_pages_that_end_early_continue_at_their_end(filled: Filled) -> None:
    url = f"{filled.server.base_url}/v1/threads/{filled.heavy}/messages"
    met: list[str] = []
    lengths: list[int] = []
    cursor: dict[str, str] = {}
    page: Any = {"has_more": True}
    while page["has_more"]:
        page = httpx.get(url, params={"limit": "100", **cursor}, timeout=PATIENCE_S).json()
        met += [each["id"] for each in page["data"]]
        lengths.append(len(page["data"]))
        cursor = {"after": page["last_id"]}

    assert lengths == [8, 8, 4]
    assert len(set(met)) == 20


@pytest.mark.parametrize("selected", ["id", "text", "role metadata", CONTENT])
@pytest.mark.parametrize("size", ["first", "last"])
def test_a_connection_is_as_long_whatever_is_selected(filled: Filled, size: str, selected: str) -> None:
    query = f"query($id: ID!) {{ {PAGE % (f'{size}: 100', selected)} }}"

    for _ in range(3):  # by both executors
        page = ask(filled.server, query, id=filled.heavy)["data"]["thread"]["messages"]

        assert len(page["nodes"]) == 8
        assert [page["pageInfo"][each] for each in ("hasNextPage", "hasPreviousPage")] == [
            size == "first",
            size == "last",
        ]


def test_many_parts_that_are_stored_are_refused_at_once_by_ten_aliases(filled: Filled) -> None:
    aliases = " ".join(f"a{n}: {PAGE % ('first: 100', CONTENT)}" for n in range(10))
    query = f"query($id: ID!) {{ {aliases} }}"
    before = _cpu_s(filled.server)

    codes = [code_of(ask(filled.server, query, id=filled.in_parts)) for _ in range(3)]

    assert set(codes) <= {"answer_too_large", "deadline_exceeded"}  # a busy machine may be late before
    assert _cpu_s(filled.server) - before < patience(3 * 3.0)  # it took 20 s each


def test_a_thread_over_the_response_limit_keeps_its_other_fields(filled: Filled) -> None:
    query = f"query($id: ID!) {{ {PAGE % ('first: 100', 'id role metadata')} }}"

    answers = [ask(filled.server, query, id=filled.in_parts) for _ in range(3)]

    assert [len(each["data"]["thread"]["messages"]["nodes"]) for each in answers] == [1, 1, 1]


def test_the_deadline_interrupts_code_that_never_waits_within_a_second(filled: Filled) -> None:
    fields = " ".join(f"f{n}: type" for n in range(28))
    query = f"query($id: ID!) {{ {PAGE % ('first: 1', f'content {{ ... on TextContent {{ {fields} }} }}')} }}"
    began, before = time.monotonic(), _cpu_s(filled.server)

    answer = ask(filled.server, query, id=filled.in_fewer)

    # A quick machine may come to the end in time. Another may be late by what it does for others meanwhile.
    assert "data" in answer or code_of(answer) == "deadline_exceeded"
    assert _cpu_s(filled.server) - before < DEADLINE_S + patience(1)
    assert time.monotonic() - began < PATIENCE_S


def test_nodes_returns_all_requested_objects_or_an_error(filled: Filled) -> None:
    base = f"query($id: ID!, $after: String) {{ {PAGE % ('first: 8, after: $after', 'id')} }}"
    found: list[str] = []
    for _ in range(3):
        page = ask(filled.server, base, id=filled.heavy, after=found[-1] if found else None)
        found += [each["id"] for each in page["data"]["thread"]["messages"]["nodes"]]
    query = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"

    fits, is_too_large = (ask(filled.server, query, ids=found[:count]) for count in (16, 20))

    assert [each["id"] for each in fits["data"]["nodes"]] == found[:16]
    assert code_of(is_too_large) == "answer_too_large"


async def test_websocket_and_stream_return_the_same_error(filled: Filled) -> None:
    aliases = " ".join(f"a{n}: {PAGE % ('first: 100', 'id')}" for n in range(3))
    query = f"query($id: ID!) {{ {aliases} }}"
    asked = {"query": query, "variables": {"id": filled.heavy}}
    base_url = filled.server.base_url

    async with socket_to(base_url) as client:
        await client.subscribe(query, id=filled.heavy)
        over_ws = await client.receive()
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        over_sse = await http.post(f"{base_url}/graphql", json=asked, headers={"accept": "text/event-stream"})

    assert (over_ws["type"], over_ws["payload"][0]["extensions"]["code"]) == ("error", "answer_too_large")
    assert code_of(over_sse.json()) == "answer_too_large"


def test_clients_that_do_not_read_take_little_memory_and_block_no_others(filled: Filled) -> None:
    server = filled.server
    two = f"a: {PAGE % ('first: 100', 'id text')} b: {PAGE % ('last: 100', 'id text')}"
    body = json.dumps({"query": f"query($id: ID!) {{ {two} }}", "variables": {"id": filled.heavy}}).encode()
    head = "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    with ExitStack() as clients:
        http = clients.enter_context(httpx.Client(base_url=server.base_url, timeout=PATIENCE_S))
        usual = statistics.median(_page_s(http, filled) for _ in range(40))
        before = _resident_mb(server)
        for _ in range(5):
            raw = clients.enter_context(socket.socket())
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.connect(("127.0.0.1", server.port))
            raw.sendall(request * 3)  # the answers to three requests, none of which is read
        meanwhile, resident = [_page_s(http, filled)], [before]
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end and not _are_held(resident):
            meanwhile.append(_page_s(http, filled))
            resident.append(_resident_mb(server))

    assert _are_held(resident)
    assert resident[-1] - before <= 150
    assert statistics.median(meanwhile) <= 10 * usual


def _are_held(resident: list[float]) -> bool:
    """Say whether answers are held, and for a hundred pages of another client no more of them."""
    return resident[-1] - resident[0] > 20 and max(resident[-100:]) - min(resident[-100:]) < 1


def _page_s(http: httpx.Client, filled: Filled) -> float:
    began = time.perf_counter()
    answer = http.get(f"/v1/threads/{filled.light}/messages")
    assert answer.status_code == 200
    return time.perf_counter() - began


def _cpu_s(server: Server) -> float:
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb(server: Server) -> float:
    return resident_bytes(server.process.pid) / MB
