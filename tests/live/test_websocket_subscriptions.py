"""Subscriptions over WebSocket: which events are delivered, and what is released when a connection ends."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosed

from gateway.core import erasing, threads
from gateway.domain import parse
from gateway.domain.principal import KEY_SCOPES, Principal
from gateway.graphql.transport import websocket
from tests.following import say, until
from tests.live.inside import WHO, Inside
from tests.live.subscribing import ADDED, EVENTS, LIST_OF_OWNER, socket_to

if TYPE_CHECKING:
    from gateway.domain.ids import ThreadId


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        pytest.param({"threadId": "thread_nowhere"}, "not_found", id="unknown thread"),
        pytest.param({"threadId": "nonsense"}, "invalid_value", id="no id"),
    ],
)
async def test_subscription_to_an_unknown_thread_sends_error_with_code(
    base_url: str, variables: dict[str, str], code: str
) -> None:
    async with socket_to(base_url) as socket:
        await socket.subscribe(EVENTS, **variables)

        refused = await socket.receive()
        assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", code)


async def test_unknown_cursor_sends_error_with_param(inside: Inside, thread: ThreadId) -> None:
    async with socket_to(inside.base_url) as socket:
        await socket.subscribe(ADDED, threadId=thread, after="msg_nowhere")

        refused = await socket.receive()
        assert (refused["type"], refused["payload"][0]["extensions"]["param"]) == ("error", "after")


async def test_a_filter_by_what_is_unread_is_refused_by_its_name(inside: Inside) -> None:
    async with socket_to(inside.base_url) as socket:
        await socket.subscribe("subscription { threadListEvents(filter: {unread: true}) { __typename } }")

        refused = await socket.receive()
        assert refused["payload"][0]["extensions"]["param"] == "filter.unread"


async def test_subscription_delivers_missed_and_new_messages(inside: Inside, thread: ThreadId) -> None:
    [first, *_] = await say(inside.store, WHO, thread, "1", "2", "3")
    async with socket_to(inside.base_url) as socket:
        await socket.subscribe(ADDED, threadId=thread, after=first)
        missed = await socket.texts(2)
        await say(inside.store, WHO, thread, "4")

        assert (missed, await socket.texts(1)) == (["2", "3"], ["4"])


async def test_complete_from_the_client_ends_the_subscription(inside: Inside, thread: ThreadId) -> None:
    async with socket_to(inside.base_url) as socket:
        await socket.subscribe(ADDED, threadId=thread)
        await until(lambda: bool(inside.hub.topics()))
        await socket.send("complete", id="1")
        await until(lambda: not inside.hub.topics())

        await say(inside.store, WHO, thread, "unheard")
        await socket.send("ping")
        assert await socket.receive() == {"type": "pong"}


async def test_deleted_thread_completes_its_subscription(inside: Inside, thread: ThreadId) -> None:
    async with socket_to(inside.base_url) as socket:
        await socket.subscribe(EVENTS, threadId=thread)
        await until(lambda: bool(inside.hub.topics()))

        await threads.delete(inside.store, WHO, thread)

        told = await socket.receive()
        assert told["payload"]["data"]["threadEvents"]["__typename"] == "ThreadDeleted"
        assert await socket.receive() == {"id": "1", "type": "complete"}


async def test_the_list_of_an_erased_end_user_gets_the_deletion_and_completes(inside: Inside) -> None:
    thread = await threads.create(inside.store, WHO, parse.new_thread({"owner": "alice"}))
    async with socket_to(inside.base_url) as socket:
        await socket.subscribe(LIST_OF_OWNER, owner="alice")
        await until(lambda: bool(inside.hub.listed_projects()))

        await erasing.erase(inside.store, Principal(WHO.reach, KEY_SCOPES), "alice")

        event = (await socket.receive())["payload"]["data"]["threadListEvents"]
        assert event == {"__typename": "ThreadDeleted", "threadId": thread.id}
        assert await socket.receive() == {"id": "1", "type": "complete"}


async def test_disconnect_releases_all_subscriptions(inside: Inside, thread: ThreadId) -> None:
    async with socket_to(inside.base_url) as socket:
        for n in range(3):
            await socket.subscribe(ADDED, str(n), threadId=thread)
        await until(lambda: bool(inside.hub.topics()))

    await until(lambda: not inside.hub.topics())


async def test_disconnect_during_a_send_logs_no_failure(
    inside: Inside, thread: ThreadId, caplog: pytest.LogCaptureFixture
) -> None:
    await say(inside.store, WHO, thread, *("x" * 5_000 for _ in range(60)))
    async with socket_to(inside.base_url) as socket:
        for n in range(5):
            await socket.subscribe(ADDED, str(n), threadId=thread, after="0")
        await socket.texts(2)
        socket.raw.transport.abort()

    await until(lambda: not inside.hub.topics())
    assert "failed" not in caplog.text
    assert "Traceback" not in caplog.text


async def test_operation_above_the_limit_is_refused_and_others_continue(
    inside: Inside, thread: ThreadId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "MAX_OPERATIONS", 3)
    async with socket_to(inside.base_url) as socket:
        for n in range(4):
            await socket.subscribe(ADDED, str(n), threadId=thread, after="0")

        refused = await socket.receive()
        assert (refused["type"], refused["id"]) == ("error", "3")
        assert refused["payload"][0]["extensions"]["code"] == "too_many_operations"
        await say(inside.store, WHO, thread, "heard")
        assert {(await socket.receive())["id"] for _ in range(3)} == {"0", "1", "2"}


async def test_slow_client_is_disconnected_and_resumes_from_its_cursor(
    inside: Inside, thread: ThreadId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "SEND_S", 0.2)
    monkeypatch.setattr(websocket, "CLOSE_S", 0.1)
    monkeypatch.setattr("gateway.server.timeouts.CLOSE_S", 0.1)
    texts = [f"{n} " + "x" * 200_000 for n in range(60)]
    await say(inside.store, WHO, thread, *texts)
    heard: list[dict[str, Any]] = []
    async with socket_to(inside.base_url, max_queue=1, compression=None, ping_interval=None) as socket:
        await socket.subscribe(ADDED, threadId=thread, after="0")
        await until(lambda: bool(inside.hub.topics()))
        await until(lambda: not inside.hub.topics())
        with suppress(ConnectionClosed):  # 4499, where it can still be said
            while True:
                heard.append((await socket.receive())["payload"]["data"]["messageAdded"])

    assert len(heard) < 60
    after = heard[-1]["cursor"] if heard else "0"
    async with socket_to(inside.base_url) as socket:
        await socket.subscribe(ADDED, threadId=thread, after=after)
        rest = await socket.texts(60 - len(heard))
    assert [each["node"]["text"] for each in heard] + rest == texts
