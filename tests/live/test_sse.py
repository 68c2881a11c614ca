"""Subscriptions as server-sent events, by graphql-sse's distinct connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from gateway.core import erasing, threads
from gateway.domain import parse
from gateway.domain.principal import KEY_SCOPES, Principal
from gateway.graphql.transport import sse
from tests.following import PATIENCE_S, begin, grow, rest_of, say, take, until
from tests.live.inside import WHO, Inside
from tests.live.subscribing import ADDED, EVENTS, LIST_OF_OWNER, Event, events_of, stream_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.domain.ids import ThreadId

AS_STREAM = {"accept": "text/event-stream", "graphql-require-preflight": "1"}


@pytest.fixture
async def http(inside: Inside) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=inside.base_url, timeout=PATIENCE_S) as client:
        yield client


def texts(events: list[Event]) -> list[str]:
    return [each.data["data"]["messageAdded"]["node"]["text"] for each in events]


async def test_stream_delivers_missed_and_new_messages(
    inside: Inside, http: httpx.AsyncClient, thread: ThreadId
) -> None:
    await say(inside.store, WHO, thread, "1", "2")
    async with stream_of(http, ADDED, threadId=thread, after="0") as events:
        missed = await take(events, 2)
        await say(inside.store, WHO, thread, "3")

        assert (texts(missed), texts(await take(events, 1))) == (["1", "2"], ["3"])


async def test_event_id_is_the_cursor_of_the_message(inside: Inside, http: httpx.AsyncClient, thread: ThreadId) -> None:
    made = await say(inside.store, WHO, thread, "1", "2")
    async with stream_of(http, ADDED, threadId=thread, after="0") as events:
        told = await take(events, 2)

    assert [(each.kind, each.id, each.data["data"]["messageAdded"]["cursor"]) for each in told] == [
        ("next", message_id, message_id) for message_id in made
    ]


async def test_event_id_is_the_cursor_of_the_delta(inside: Inside, http: httpx.AsyncClient, thread: ThreadId) -> None:
    begun = await begin(inside.store, WHO, thread)
    await grow(inside.store, WHO, begun.id, "a", "b")
    async with stream_of(http, EVENTS, threadId=thread, after="0") as events:
        told = await take(events, 3)

    assert [str(each.id).partition("-")[0] for each in told] == ["1", "2", "3"]
    assert [each.id for each in told] == [each.data["data"]["threadEvents"]["cursor"] for each in told]
    assert [each.data["data"]["threadEvents"].get("text") for each in told] == [None, "a", "b"]


@pytest.mark.parametrize("query", [ADDED, EVENTS])
async def test_last_event_id_overrides_after(
    inside: Inside, http: httpx.AsyncClient, thread: ThreadId, query: str
) -> None:
    await say(inside.store, WHO, thread, "1", "2", "3")
    async with stream_of(http, query, threadId=thread, after="0") as events:
        told = await take(events, 3)

    async with stream_of(http, query, told[0].id, threadId=thread, after="0") as events:
        again = await take(events, 2)

    assert again == told[1:]


async def test_idle_stream_sends_keep_alive_comments(
    http: httpx.AsyncClient, thread: ThreadId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "KEEP_ALIVE_S", 0.01)
    body = {"query": ADDED, "variables": {"threadId": thread}}
    async with http.stream("POST", "/graphql", json=body, headers=AS_STREAM) as response:
        assert await take(events_of(response), 3) == [None, None, None]


async def test_message_after_a_keep_alive_is_delivered_once(
    inside: Inside, http: httpx.AsyncClient, thread: ThreadId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "KEEP_ALIVE_S", 0.01)
    body = {"query": ADDED, "variables": {"threadId": thread}}
    heard: list[Event] = []
    async with http.stream("POST", "/graphql", json=body, headers=AS_STREAM) as response:
        events = events_of(response)
        for n in range(5):
            assert await take(events, 2) == [None, None]
            await say(inside.store, WHO, thread, str(n))
            while len(heard) == n:
                heard += [each for each in await take(events, 1) if each is not None]

    assert texts(heard) == ["0", "1", "2", "3", "4"]


async def test_deleted_thread_completes_the_stream(inside: Inside, http: httpx.AsyncClient, thread: ThreadId) -> None:
    async with stream_of(http, EVENTS, threadId=thread) as events:
        await until(lambda: bool(inside.hub.topics()))
        await threads.delete(inside.store, WHO, thread)

        last, complete = await rest_of(events)

    assert last.data["data"]["threadEvents"]["__typename"] == "ThreadDeleted"
    assert (complete.kind, complete.data) == ("complete", None)


async def test_the_list_of_an_erased_end_user_gets_the_deletion_and_completes(
    inside: Inside, http: httpx.AsyncClient
) -> None:
    thread = await threads.create(inside.store, WHO, parse.new_thread({"owner": "alice"}))
    async with stream_of(http, LIST_OF_OWNER, owner="alice") as events:
        await until(lambda: bool(inside.hub.listed_projects()))
        await erasing.erase(inside.store, Principal(WHO.reach, KEY_SCOPES), "alice")

        last, complete = await rest_of(events)

    assert last.data["data"]["threadListEvents"] == {"__typename": "ThreadDeleted", "threadId": thread.id}
    assert (complete.kind, complete.data) == ("complete", None)


async def test_subscription_by_get_is_accepted(inside: Inside, http: httpx.AsyncClient, thread: ThreadId) -> None:
    await say(inside.store, WHO, thread, "1")
    asked = {"query": ADDED, "variables": f'{{"threadId": "{thread}", "after": "0"}}'}
    async with http.stream("GET", "/graphql", params=asked, headers=AS_STREAM) as response:
        found = await take(events_of(response), 2)

    assert texts([each for each in found if each is not None]) == ["1"]


async def test_stream_forbids_caching_and_proxy_buffering(http: httpx.AsyncClient, thread: ThreadId) -> None:
    body = {"query": ADDED, "variables": {"threadId": thread}}
    async with http.stream("POST", "/graphql", json=body, headers=AS_STREAM) as response:
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-accel-buffering"] == "no"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_query_as_stream_sends_one_next_and_complete(http: httpx.AsyncClient, method: str) -> None:
    query = {"query": "{ __typename }"}
    given = {"params": query} if method == "GET" else {"json": query}
    async with http.stream(method, "/graphql", headers=AS_STREAM, **given) as response:  # type: ignore[arg-type]
        found = await rest_of(events_of(response))

    told = [each for each in found if each is not None]
    assert [(each.kind, each.data) for each in told] == [
        ("next", {"data": {"__typename": "Query"}}),
        ("complete", None),
    ]


async def test_mutation_by_get_as_stream_is_refused_with_405(inside: Inside, http: httpx.AsyncClient) -> None:
    asked = {"query": "mutation { createThread(input: {}) { thread { id } } }"}

    refused = await http.get("/graphql", params=asked, headers=AS_STREAM)

    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert not await _threads(inside, http)


async def test_mutation_by_post_as_stream_writes_to_the_store(inside: Inside, http: httpx.AsyncClient) -> None:
    async with stream_of(http, "mutation { createThread(input: {}) { thread { id } } }") as events:
        [told, _] = await rest_of(events)

    assert await _threads(inside, http) == [told.data["data"]["createThread"]["thread"]["id"]]


async def test_subscription_as_json_is_refused_and_names_event_stream(
    http: httpx.AsyncClient, thread: ThreadId
) -> None:
    refused = await http.post("/graphql", json={"query": ADDED, "variables": {"threadId": thread}})

    assert refused.status_code == 406
    assert "text/event-stream" in refused.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        pytest.param({"threadId": "thread_nowhere"}, "not_found", id="unknown thread"),
        pytest.param({"threadId": "nonsense"}, "invalid_value", id="no id"),
    ],
)
async def test_subscription_to_an_unknown_thread_sends_error_and_complete(
    http: httpx.AsyncClient, variables: dict[str, str], code: str
) -> None:
    async with stream_of(http, ADDED, **variables) as events:
        [told, complete] = await rest_of(events)

    assert told.data["errors"][0]["extensions"]["code"] == code
    assert complete.kind == "complete"


async def test_deeply_nested_variables_are_refused_before_the_stream_starts(
    http: httpx.AsyncClient, thread: ThreadId
) -> None:
    deep: list[Any] = []
    for _ in range(40):
        deep = [deep]

    refused = await http.post(
        "/graphql", json={"query": ADDED, "variables": {"threadId": thread, "more": deep}}, headers=AS_STREAM
    )

    assert refused.json()["errors"][0]["extensions"]["code"] == "variables_too_large"


async def test_unknown_last_event_id_sends_error(http: httpx.AsyncClient, thread: ThreadId) -> None:
    async with stream_of(http, ADDED, "msg_nowhere", threadId=thread) as events:
        [told, _] = await rest_of(events)

    assert told.data["errors"][0]["extensions"]["param"] == "after"


async def test_disconnect_releases_the_subscription(
    inside: Inside, http: httpx.AsyncClient, thread: ThreadId, caplog: pytest.LogCaptureFixture
) -> None:
    async with stream_of(http, ADDED, threadId=thread):
        await until(lambda: bool(inside.hub.topics()))

    await until(lambda: not inside.hub.topics())
    assert "Traceback" not in caplog.text


async def test_disconnect_during_a_send_releases_the_subscription(
    inside: Inside, http: httpx.AsyncClient, thread: ThreadId, caplog: pytest.LogCaptureFixture
) -> None:
    await say(inside.store, WHO, thread, *("x" * 200_000 for _ in range(60)))
    async with stream_of(http, ADDED, threadId=thread, after="0") as events:
        await take(events, 2)
        assert inside.hub.topics()

    await until(lambda: not inside.hub.topics())
    assert "Traceback" not in caplog.text


async def _threads(inside: Inside, http: httpx.AsyncClient) -> list[str]:
    listed = (await http.get(f"{inside.base_url}/v1/threads")).json()["data"]
    return [each["id"] for each in listed]
