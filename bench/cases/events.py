"""Cases of subscriptions: what followers of a thread are sent when it changes.

Must not be here: sockets (`load.events`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from bench.cases import documents
from bench.cases.writes import add, append, new_message, new_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.cases.case import Ask, World


class Followed(NamedTuple):
    """A subscription from the start of a thread, which has one message, and a request that causes one event more."""

    document: str
    thread: str
    ask: Ask


def _added(document: str) -> Callable[[World], Followed]:
    def recipe(world: World) -> Followed:
        thread = new_thread(world)
        new_message(world, thread, "Hello")
        return Followed(document, thread, add(world, thread))

    return recipe


def _grown(world: World) -> Followed:
    thread = new_thread(world)
    message = new_message(world, thread, "It begins: ", "IN_PROGRESS")
    return Followed(documents.EVENTS, thread, append(world, message))


EVENTS: Final[dict[str, Callable[[World], Followed]]] = {
    "event-created": _added(documents.EVENTS),
    "event-delta": _grown,
    "event-added": _added(documents.ADDED),
}
