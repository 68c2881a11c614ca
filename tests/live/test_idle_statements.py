"""What subscribers that wait cost the database: some statements a second of their process, however many they are."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from gateway.app import hints_from_others
from gateway.auth.api_keys import ApiKeyCache
from gateway.auth.authenticator import Authenticator
from gateway.events.exchange import Exchange
from tests.effort import times
from tests.events.carrying import carrier_at
from tests.following import make_thread, until
from tests.graphql.serving import statements_of
from tests.live.inside import WHO, serving_inside
from tests.live.subscribing import EVENTS, LIST_OF_OWNER, socket_to

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.background import BackgroundTask
    from gateway.core import Store
    from gateway.events.hub import Hub

SUBSCRIBERS: Final = times(fast=100, slow=1_000)
THREADS: Final = 10
FIRST: Final = 12  # with what the lists are read by once
SENT: Final = 18
# Of positions, lists and the epoch one each, and up to 2.5 of credentials (docs/deployment.md).
PER_SECOND: Final = 6


async def test_statements_of_a_process_do_not_grow_with_subscribers_that_wait(database_url: str) -> None:
    def background(store: Store, hub: Hub) -> Sequence[BackgroundTask]:
        is_carried = database_url.startswith("postgresql")
        return hints_from_others(store, hub, Exchange(hub, carrier_at(database_url)) if is_carried else None, workers=1)

    def keys_in(store: Store) -> Authenticator:
        return Authenticator(ApiKeyCache(store))

    async with serving_inside(database_url, keys_in, background=background) as inside, AsyncExitStack() as stack:
        threads = [await make_thread(inside.store, WHO) for _ in range(THREADS)]
        for first in range(0, SUBSCRIBERS, 50):
            socket = await stack.enter_async_context(socket_to(inside.base_url))
            for n in range(first, first + 50, 2):
                await socket.subscribe(EVENTS, f"{n}", threadId=threads[n % THREADS])
                await socket.subscribe(LIST_OF_OWNER, f"{n + 1}", owner=f"owner {n % 3}")
        await until(lambda: waiting(inside.hub) == SUBSCRIBERS)
        with statements_of(inside.store) as sent:
            await until(lambda: len(sent) >= FIRST)
            started = time.monotonic()
            await until(lambda: len(sent) >= FIRST + SENT)
        took_s = time.monotonic() - started

    assert took_s > SENT / PER_SECOND / 2  # some of what was due later may have come at the beginning
    assert not any(each.startswith(("INSERT", "UPDATE", "DELETE")) for each in sent)


def waiting(hub: Hub) -> int:
    return sum(len(each._waiting) for each in [*hub._audiences.values(), *hub._lists.values()])  # noqa: SLF001
