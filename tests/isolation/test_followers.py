"""Followers of a thread share what they read, and no credential."""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any, Final

import pytest
from websockets import ConnectionClosed

from gateway.core import follow_list, thread_tokens
from gateway.domain.principal import Reach
from tests.following import say, until
from tests.isolation.world import callers, make_names
from tests.live.subscribing import EVENTS, open_socket

if TYPE_CHECKING:
    from gateway.domain.ids import ThreadId
    from tests.isolation.asking import Served
    from tests.isolation.world import Caller
    from tests.live.subscribing import Socket

OF_EACH: Final = 3  # followers
FORBIDDEN: Final = 4403


@pytest.mark.uncounted
async def test_a_revoked_follower_hears_no_more_of_what_the_others_share(served: Served) -> None:
    store, shop = served.world.store, served.world.shop
    names = await make_names(store, Reach("shop", owner="alice"))
    good = await callers(store, shop, names)
    async with AsyncExitStack() as stack:
        sockets = {
            name: [await follow(stack, served, each, names.thread) for _ in range(OF_EACH)]
            for name, each in good.items()
        }
        strangers = [await follow(stack, served, each, names.thread) for each in served.world.strangers.values()]
        assert [(await each.receive())["type"] for each in strangers] == ["error"] * len(strangers)

        audience = served.inside.hub.listen((shop.who.reach.project_id, names.thread))
        await until(lambda: len(audience._waiting) == OF_EACH * len(good))  # noqa: SLF001
        [first] = await say(store, shop.who, names.thread, "before")
        assert await heard(sockets) == {first}
        await thread_tokens.revoke(store, shop.who, names.thread)
        ended = [await each.end() for each in sockets.pop("a token for the thread")]
        [second] = await say(store, shop.who, names.thread, "after")

        assert [code for code, _ in ended] == [FORBIDDEN] * OF_EACH
        assert await heard(sockets) == {second}
        assert [await has_no_event(each) for each in strangers] == [True] * len(strangers)


async def follow(stack: AsyncExitStack, served: Served, caller: Caller, thread: ThreadId) -> Socket:
    socket = await stack.enter_async_context(open_socket(served.inside.base_url))
    await socket.send("connection_init", payload={"authorization": f"Bearer {caller.credential}"})
    assert await socket.receive() == {"type": "connection_ack"}
    await socket.subscribe(EVENTS, threadId=thread)
    return socket


async def has_no_event(stranger: Socket) -> bool:
    """Report whether a stranger got nothing more, also if it was closed since its credential was checked again."""
    with suppress(ConnectionClosed):
        await stranger.send("ping")
    try:
        return await stranger.receive() == {"type": "pong"}
    except ConnectionClosed as closed:
        return closed.rcvd is not None and closed.rcvd.code == FORBIDDEN


async def heard(sockets: dict[str, list[Socket]]) -> set[str]:
    """Receive one event on each, and give the ids of their messages."""
    told = [await each.receive() for of_caller in sockets.values() for each in of_caller]
    return {each["payload"]["data"]["threadEvents"]["message"]["id"] for each in told}


LIST: Final = """subscription ($after: String!) {
  threadListEvents(after: $after) { __typename ... on ThreadMoved { thread { id owner } } } }"""


@pytest.mark.uncounted
async def test_a_follower_of_the_list_gets_own_threads_alone(served: Served) -> None:
    store, shop, world = served.world.store, served.world.shop, served.world
    names = await make_names(store, Reach("shop", owner="alice"))
    good = await callers(store, shop, names)
    after = await follow_list.cursor(store, served.inside.hub, shop.who)
    async with AsyncExitStack() as stack:
        everybody = {**good, **world.strangers}
        sockets = {name: await open_list(stack, served, each, after) for name, each in everybody.items()}
        await say(store, shop.who, names.thread, "hello")
        received = {name: await first_thread(sockets[name]) for name in good}
        await say(store, shop.who, world.strangers["another end user"].own.thread, "hello")

        assert {name: each["id"] for name, each in received.items()} == dict.fromkeys(good, names.thread)
        for name in world.strangers:
            if "another end user" in name:
                assert (await first_thread(sockets[name]))["id"] == world.strangers[name].own.thread
            else:
                assert await has_no_event(sockets[name])


async def open_list(stack: AsyncExitStack, served: Served, caller: Caller, after: str) -> Socket:
    socket = await stack.enter_async_context(open_socket(served.inside.base_url))
    await socket.send("connection_init", payload={"authorization": f"Bearer {caller.credential}"})
    assert await socket.receive() == {"type": "connection_ack"}
    await socket.subscribe(LIST, after=after)
    return socket


async def first_thread(socket: Socket) -> dict[str, str]:
    """Give the first thread that has moved."""
    while True:
        event: dict[str, Any] = (await socket.receive())["payload"]["data"]["threadListEvents"]
        if event["__typename"] == "ThreadMoved":
            thread: dict[str, str] = event["thread"]
            return thread
