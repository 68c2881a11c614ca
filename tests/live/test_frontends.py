"""docs/graphql.md: every file that it shows is used against a live server, and does what the page says."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
from graphql import GraphQLObjectType, build_schema

from gateway.graphql.schema.build import print_schema
from tests.clients import page
from tests.clients.node import CLIENTS, run
from tests.docs.blocks import text_of
from tests.live.cutting import bad_line_to
from tests.live.server import ROOT, run_gateway, serving
from tests.live.test_stream_clients import thread_with

if TYPE_CHECKING:
    from tests.live.server import Server

TEXTS: Final = [f"message {n}" for n in range(120)]
UNAVAILABLE: Final = '{"errors": [{"message": "No.", "extensions": {"code": "unavailable"}}], "data": null}'
HELD_WITHIN: Final = re.compile(r"const PARTS = \[(.*?)\];", re.DOTALL)
# Roots and what they lead to need no key; of connections, their edges and pages graphcache knows it itself.
UNTOLD: Final = re.compile(
    "^(__.*|Query|Mutation|Subscription|(Message|Run|Thread)(Created|Moved|Updated|Delta|Deleted|Read|Removed)|PageInfo"
    "|.*(Payload|Connection|Edge))$"
)

on_sqlite = pytest.mark.parametrize("live_server", ["sqlite"], indirect=True)  # the walks are tried on both


def use(frontend: Path, scenario: str, *arguments: str) -> Any:
    return json.loads(run(CLIENTS / "frontends.mjs", frontend, scenario, *arguments))


def test_each_file_of_the_page_is_used_by_a_test() -> None:
    users = [
        CLIENTS / "frontends.mjs",
        CLIENTS / "codegen.mjs",
        CLIENTS / "lists.mjs",
        CLIENTS / "frames.mjs",
        CLIENTS / "walks.mjs",
        CLIENTS / "page.py",
        Path(__file__),
        ROOT / "tests/live/test_sidebar.py",
        ROOT / "tests/live/conftest.py",
        ROOT / "tests/graphql/test_schema_tools.py",
    ]
    sources = "".join([*map(text_of, page.PAGES), *(user.read_text() for user in users)])

    unused = [name for name in page.files() if f'"{name}"' not in sources and f'"./{name}"' not in sources]

    assert unused == []


@on_sqlite
async def test_a_message_is_sent_again_where_a_connection_is_dead_and_nobody_says_so(
    live_server: Server, node_clients: Path, tmp_path: Path
) -> None:
    thread_id = thread_with(live_server, [])
    async with bad_line_to(live_server.port, 100, is_silent=True, times=1) as url:
        frontend = page.lay_out(tmp_path, url)
        file = frontend / "fetch-in-time.js"
        file.write_text(file.read_text().replace("30_000", "2_000"))
        texts = await asyncio.to_thread(use, frontend, "sendOnce", thread_id)

    assert node_clients
    assert texts == ["once"]


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        pytest.param("502 Bad Gateway", "text/html", "<html></html>", id="a proxy whose server restarts"),
        pytest.param("200 OK", "application/json", UNAVAILABLE, id="a server without its database"),
    ],
)
@on_sqlite
async def test_a_message_is_sent_again_after_a_refusal_that_ends_by_itself(
    live_server: Server, node_clients: Path, tmp_path: Path, status: str, kind: str, body: str
) -> None:
    thread_id = thread_with(live_server, [])
    response = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    async with bad_line_to(live_server.port, times=2, response=response) as url:
        texts = await asyncio.to_thread(use, page.lay_out(tmp_path, url), "sendOnce", thread_id)

    assert node_clients
    assert texts == ["once"]


@on_sqlite
def test_lists_are_paged_in_both_directions(live_server: Server, frontend: Path) -> None:
    found = use(frontend, "pages", thread_with(live_server, TEXTS))

    assert found == {
        "forwards": [TEXTS[:50], TEXTS[50:100], TEXTS[100:]],
        "backwards": [TEXTS[70:], TEXTS[20:70], TEXTS[:20]],
    }


@on_sqlite
def test_a_thread_and_a_message_are_created(frontend: Path) -> None:
    found = use(frontend, "create")

    assert found["is_in_thread"]
    assert (found["node"]["role"], found["node"]["text"]) == ("USER", "Hello")


@on_sqlite
def test_a_list_of_threads_is_kept_up_to_date(live_server: Server, frontend: Path) -> None:
    while listed := httpx.get(f"{live_server.base_url}/v1/threads").json()["data"]:
        for each in listed:
            httpx.delete(f"{live_server.base_url}/v1/threads/{each['id']}").raise_for_status()
    remaining = thread_with(live_server, ["one"])

    seen = use(frontend, "threadList", remaining)

    assert seen == [["old 1"], ["new 0", "old 1"], ["new 1", "old 1"], ["old 1"]]


@on_sqlite
def test_a_refusal_has_its_code_and_a_missing_object_is_null(frontend: Path) -> None:
    found = use(frontend, "refused")

    assert found["thread"] is None
    assert found["unknown"]["code"] == "not_found"
    assert set(found["empty"]) == {"code", "param", "message"}


@pytest.mark.parametrize(
    ("file", "after_bytes"),
    [
        pytest.param("watch-ws.js", 1_000, id="graphql-ws"),  # not compressed
        pytest.param("watch-sse.js", 2_000, id="graphql-sse"),
    ],
)
@on_sqlite
async def test_watching_emits_each_message_once_when_the_connection_breaks(
    live_server: Server, node_clients: Path, tmp_path: Path, file: str, after_bytes: int
) -> None:
    texts = [*TEXTS[:20], "the end"]
    thread_id = thread_with(live_server, texts)

    async with bad_line_to(live_server.port, after_bytes) as url:
        frontend = page.lay_out(tmp_path, url)
        told = await asyncio.to_thread(use, frontend, "watch", file, thread_id)

    assert node_clients
    assert told == texts


@pytest.mark.parametrize(("file", "given"), [("watch-ws.js", "socket.js"), ("watch-sse.js", "watch-sse.js")])
@on_sqlite
async def test_watching_continues_where_a_connection_is_dead_and_nobody_says_so(
    live_server: Server, node_clients: Path, tmp_path: Path, file: str, given: str
) -> None:
    texts = [*TEXTS[:20], "the end"]
    thread_id = thread_with(live_server, texts)

    async with bad_line_to(live_server.port, 3_000, is_silent=True) as url:
        frontend = page.lay_out(tmp_path, url)
        waits = re.sub(r"\b\d+_000\b", "1_000", (frontend / given).read_text())
        (frontend / given).write_text(waits)
        told = await asyncio.to_thread(use, frontend, "watch", file, thread_id)

    assert node_clients
    assert told == texts


@pytest.mark.parametrize("file", ["watch-ws.js", "watch-sse.js"])
@on_sqlite
def test_watching_an_unknown_thread_prints_an_error(frontend: Path, file: str) -> None:
    assert use(frontend, "refusedToWatch", file) == ["not_found"]


def test_watching_without_a_key_prints_an_error(node_clients: Path, tmp_path: Path) -> None:
    assert run_gateway("keys", "create", folder=tmp_path).returncode == 0
    folder = tmp_path / "page"
    folder.mkdir()
    with serving(None, folder=tmp_path) as server:
        found = use(page.lay_out(folder, server.base_url), "refusedKey")

    assert node_clients
    assert found["code"] == 4403
    assert found["reason"].startswith("Forbidden: API key required")


def test_a_subscription_and_a_query_continue_with_a_fresh_token(node_clients: Path, tmp_path: Path) -> None:
    folder = tmp_path / "page"
    folder.mkdir()
    with serving(None, folder=tmp_path, given={"GATEWAY_TOKEN_SECRET": "x" * 32}) as server:
        found = use(page.lay_out(folder, server.base_url), "refresh")

    assert node_clients
    assert found["texts"] == ["before", "after"]
    assert found["tokens"] >= 3  # one at first, one when the WebSocket was closed, one for the query that got 401
    assert found["asked"] == "thread"


@on_sqlite
def test_a_reply_is_rendered_while_it_is_streamed(live_server: Server, frontend: Path) -> None:
    pieces = ["A thread ", "is a 🧵", ", of course."]

    seen = use(frontend, "reply", thread_with(live_server, []), *pieces)

    assert list(dict.fromkeys(text for _, text in seen)) == ["", "A thread ", "A thread is a 🧵", "".join(pieces)]
    assert [status for status, _ in seen] == ["IN_PROGRESS"] * (len(seen) - 1) + ["COMPLETED"]


@on_sqlite
def test_an_incomplete_reply_has_its_reason(live_server: Server, frontend: Path) -> None:
    found = use(frontend, "brokenReply", thread_with(live_server, []))

    assert found == {"error": "the model broke off", "text": "half ", "incompleteReason": "RUN_FAILED"}


@on_sqlite
def test_text_is_rendered_at_its_offset_and_a_gap_is_refetched(live_server: Server, frontend: Path) -> None:
    thread_id = thread_with(live_server, ["Hello"])
    listed = httpx.get(f"{live_server.base_url}/v1/threads/{thread_id}/messages").json()

    drawn = use(frontend, "draw", listed["first_id"])

    assert drawn == [["Hello"], ["Hello"], ["Hello, grown"], ["Hello"], []]


@on_sqlite
def test_relay_reports_errors_beside_data(live_server: Server, frontend: Path) -> None:
    found = use(frontend, "relayErrors", thread_with(live_server, ["Hello"]))

    assert (
        found["asked"]["message"] == "Invalid arguments: 'first' and 'last' were given. Expected at most one of them."
    )
    assert (found["asked"]["code"], found["watched"]) == ("invalid_value", ["not_found"])


@on_sqlite
def test_urql_keeps_whole_messages_without_a_warning(live_server: Server, frontend: Path) -> None:
    content: list[dict[str, Any]] = [
        {"type": "text", "text": "Look at these"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "image_file", "image_file": {"file_id": "file-1"}},
    ]
    attachments = [{"file_id": "file-1", "tools": [{"type": "file_search"}]}]
    message = {"role": "user", "content": content, "attachments": attachments}
    made = httpx.post(f"{live_server.base_url}/v1/threads", json={"messages": [message]}).json()

    found = use(frontend, "wholeMessages", made["id"])

    assert found == {"kinds": [part["type"] for part in content], "files": 1, "warnings": []}


def test_urql_is_configured_for_every_type_without_id() -> None:
    types = build_schema(print_schema()).type_map.values()
    told = HELD_WITHIN.search(page.files()["urql.js"])
    assert told

    without_id = {
        each.name
        for each in types
        if isinstance(each, GraphQLObjectType) and "id" not in each.fields and not UNTOLD.search(each.name)
    }

    assert set(re.findall(r'"(\w+)"', told[1])) == without_id
