"""Cases of subscriptions: what followers of a thread, or of the list of threads, are sent when a thread changes.

Must not be here: sockets (`load.events`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from bench.cases import documents
from bench.cases.case import graphql
from bench.cases.writes import add, append, new_message, new_thread
from bench.corpus.messages import MADE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bench.cases.case import Ask, World


class Followed(NamedTuple):
    """A subscription that begins with one event, and a request that causes one event more."""

    document: str
    variables: Mapping[str, str]
    ask: Ask


def _added(document: str) -> Callable[[World], Followed]:
    def recipe(world: World) -> Followed:
        thread = new_thread(world)
        new_message(world, thread, "Hello")
        return Followed(document, {"threadId": thread}, add(world, thread))

    return recipe


def _grown(world: World) -> Followed:
    thread = new_thread(world)
    message = new_message(world, thread, "It begins: ", "IN_PROGRESS")
    return Followed(documents.EVENTS, {"threadId": thread}, append(world, message))


def _listed(world: World) -> Followed:
    thread = new_thread(world)
    cursor = world.make(graphql(documents.EVENT_CURSOR, key=world.keys[MADE]))["data"]["threads"]["eventCursor"]
    new_message(world, thread, "Hello")
    return Followed(documents.LIST_EVENTS, {"after": cursor}, add(world, thread))


EVENTS: Final[dict[str, Callable[[World], Followed]]] = {
    "event-created": _added(documents.EVENTS),
    "event-delta": _grown,
    "event-added": _added(documents.ADDED),
    "list-events": _listed,
}
