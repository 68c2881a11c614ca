"""An empty text in place of a cursor or an id is refused by a server as users have it: clients make one of null."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from tests.following import PATIENCE_S
from tests.live.subscribing import ADDED, EVENTS, socket_to, stream_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.live.server import Server

# A field with arguments, and the place in them that is empty; THREAD stands for the id of a thread that is there.
_THREAD: Final = "THREAD"
_FIELDS: Final[list[tuple[str, str]]] = [
    ('query { node(id: "") { id } }', "id"),
    ('query { thread(id: "") { id } }', "id"),
    ('query { thread(id: "") { messages(first: 1) { nodes { id } } } }', "id"),
    ('query { nodes(ids: [""]) { id } }', "ids[0]"),
    ('query { threads(after: "") { nodes { id } } }', "after"),
    ('query { threads(first: 0, before: "") { nodes { id } } }', "before"),
    ('query { thread(id: "THREAD") { messages(after: "") { nodes { id } } } }', "after"),
    ('query { thread(id: "THREAD") { messages(last: 2, before: "") { nodes { id } } } }', "before"),
    ('query { thread(id: "THREAD") { messages(runId: "") { nodes { id } } } }', "runId"),
    ('mutation { updateThread(input: {id: ""}) { thread { id } } }', "input.id"),
    ('mutation { deleteThread(input: {id: ""}) { deletedThreadId } }', "input.id"),
    ('mutation { updateMessage(input: {id: ""}) { message { id } } }', "input.id"),
    ('mutation { deleteMessage(input: {id: ""}) { deletedMessageId } }', "input.id"),
    ('mutation { appendMessageText(input: {messageId: "", text: "a"}) { message { id } } }', "input.messageId"),
    ('mutation { finishMessage(input: {messageId: "", status: COMPLETED}) { message { id } } }', "input.messageId"),
    ('mutation { createThread(input: {owner: ""}) { thread { id } } }', "input.owner"),
    *(
        (f"mutation {{ createMessage(input: {{role: USER, {given}}}) {{ message {{ id }} }} }}", f"input.{place}")
        for given, place in (
            ('threadId: "", content: {text: "a"}', "threadId"),
            ('threadId: "THREAD", content: {text: "a"}, runId: ""', "runId"),
            ('threadId: "THREAD", content: {text: "a"}, assistantId: ""', "assistantId"),
            ('threadId: "THREAD", content: {parts: [{imageFile: {fileId: ""}}]}', "content.parts[0].imageFile.fileId"),
            (
                'threadId: "THREAD", content: {text: "a"}, attachments: [{fileId: "", tools: []}]',
                "attachments[0].fileId",
            ),
        )
    ),
]


@pytest.fixture
async def http(live_server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=live_server.base_url, timeout=PATIENCE_S) as client:
        yield client


@pytest.fixture
async def thread(http: httpx.AsyncClient) -> str:
    made: str = (await http.post("/v1/threads", json={"messages": [{"role": "user", "content": "a"}]})).json()["id"]
    return made


def _refusal(errors: list[dict[str, Any]]) -> tuple[bool, str]:
    [error] = errors
    return error["extensions"]["code"] in ("invalid_value", "empty_string"), error["extensions"]["param"]


async def test_graphql_refuses_it_in_every_argument(http: httpx.AsyncClient, thread: str) -> None:
    found: dict[str, tuple[bool, str]] = {}
    for query, _ in _FIELDS:
        for _ in range(3):  # from the second time on it is compiled
            answer = await http.post("/graphql", json={"query": query.replace(_THREAD, thread)})
        found[query] = _refusal(answer.json()["errors"])

    assert found == {query: (True, place) for query, place in _FIELDS}


@pytest.mark.parametrize("document", [ADDED, EVENTS], ids=["messageAdded", "threadEvents"])
@pytest.mark.parametrize("empty", ["after", "threadId"])
async def test_a_subscription_refuses_it(
    live_server: Server, http: httpx.AsyncClient, thread: str, document: str, empty: str
) -> None:
    variables = {"threadId": thread, empty: ""}
    async with socket_to(live_server.base_url) as socket:
        await socket.subscribe(document, **variables)
        over_ws = await socket.receive()
    async with stream_of(http, document, **variables) as events:
        over_sse = await anext(events)

    assert over_ws["type"] == "error"
    assert _refusal(over_ws["payload"]) == (True, empty)
    assert _refusal(over_sse.data["errors"]) == (True, empty)


async def test_an_empty_last_event_id_is_refused(http: httpx.AsyncClient, thread: str) -> None:
    answer = await http.post(
        "/graphql",
        json={"query": ADDED, "variables": {"threadId": thread}},
        headers={"accept": "text/event-stream", "last-event-id": ""},
    )

    assert answer.status_code == 400
    assert _refusal(answer.json()["errors"]) == (True, "Last-Event-ID")


async def test_a_null_cursor_is_no_cursor(live_server: Server, thread: str) -> None:
    async with socket_to(live_server.base_url) as socket:
        await socket.subscribe(ADDED, threadId=thread, after=None)
        await socket.subscribe("{ __typename }", "2")

        assert (await socket.receive())["id"] == "2"  # the other one waits for what comes


@pytest.mark.parametrize("name", ["after", "before", "run_id"])
async def test_rest_refuses_it_in_every_parameter(http: httpx.AsyncClient, thread: str, name: str) -> None:
    lists = [f"/v1/threads/{thread}/messages"] + (["/v1/threads"] if name != "run_id" else [])

    answers = [await http.get(path, params={name: ""}) for path in lists]

    assert {(each.status_code, each.json()["error"]["param"]) for each in answers} == {(400, name)}
