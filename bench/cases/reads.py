"""Cases that read: of both faces of our server, and those that peers have too.

Must not be here: GraphQL texts (`documents`), cases that write (`writes`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.cases import documents, names
from bench.cases.case import Ask, graphql, request
from bench.corpus.messages import (
    CURSORS,
    DEFAULT,
    INBOX,
    LENGTH,
    LISTED,
    LONG,
    ORDINARY,
    PROGRESS,
    message_id,
    thread_id,
)

if TYPE_CHECKING:
    from bench.cases.case import Recipe, World

_EDGE: Final = '"cursor":'
_TEXT: Final = '"text":'
_MESSAGE: Final = '"thread.message"'
_THREAD: Final = '"id":'
_CREATED: Final = '"createdAt":'
_UNREAD: Final = 5  # messages of assistants: every second one
SINGLE: Final = [message_id(ORDINARY, place, number) for number in range(LISTED) for place in range(1, LENGTH, 7)]


def page(kind: str = LONG, limit: int = 20, fields: str = "content", number: int = 0) -> Recipe:
    """Ask for the newest messages of a thread; `fields` names one of the documents."""
    variables = {"id": thread_id(kind, number), "limit": limit, "after": None}
    return lambda world: [Ask(graphql(documents.PAGES[fields], variables, world.keys[DEFAULT]), _EDGE, limit)]


def pages(world: World) -> list[Ask]:
    """Ask for the newest messages of one ordinary thread after the other."""
    return [each for number in range(LISTED) for each in page(ORDINARY, number=number)(world)]


def previews(project: str = DEFAULT) -> Recipe:
    """Ask for a list of threads, each with its newest message."""
    variables = {"first": LISTED}
    return lambda world: [Ask(graphql(documents.PREVIEWS, variables, world.keys[project]), _TEXT, LISTED)]


def _inbox(world: World) -> list[Ask]:
    """Ask for the threads with the latest activity, of which a reader has not read the end."""
    key, reader, last = world.keys[INBOX], "alice", LENGTH - 2 * _UNREAD
    for number in range(LISTED):
        mark = {"threadId": thread_id(ORDINARY, number), "upTo": message_id(ORDINARY, last, number), "reader": reader}
        world.make(graphql(documents.MARK_READ, {"input": mark}, key))
    asked = graphql(documents.INBOX, {"first": LISTED, "reader": reader}, key)
    return [Ask(asked, f'"unreadCount":{{"value":{_UNREAD},', LISTED)]


def node(world: World) -> list[Ask]:
    """Ask for one message after the other by its id."""
    return [Ask(graphql(documents.NODE, {"id": each}, world.keys[DEFAULT]), _CREATED, 1) for each in SINGLE]


def rest_page(kind: str = LONG, limit: int = 20) -> Recipe:
    """Ask for the newest messages of a thread."""
    path = f"/v1/threads/{thread_id(kind)}/messages?limit={limit}"
    return lambda world: [Ask(request("GET", path, key=world.keys[DEFAULT]), _MESSAGE, limit)]


def _middle(world: World) -> list[Ask]:
    spread = range(world.long * 2 // 5, world.long * 3 // 5, max(1, world.long // 5 // CURSORS))
    fixed = {"id": thread_id(LONG), "limit": 20}
    asked = [{**fixed, "after": message_id(LONG, place)} for place in spread]
    return [Ask(graphql(documents.PAGES["content"], each, world.keys[DEFAULT]), _EDGE, 20) for each in asked]


def _growing(limit: int) -> Recipe:
    """Ask for a page whose newest message is in progress."""
    variables = {"id": thread_id(ORDINARY, 1), "limit": limit, "after": None}
    return lambda world: [Ask(graphql(documents.PAGES["content"], variables, world.keys[PROGRESS]), _EDGE, limit)]


def _rest_growing(world: World) -> list[Ask]:
    path = f"/v1/threads/{thread_id(ORDINARY, 1)}/messages?limit=20"
    return [Ask(request("GET", path, key=world.keys[PROGRESS]), _MESSAGE, 20)]


def _nodes(world: World) -> list[Ask]:
    ids = [message_id(ORDINARY, LENGTH, number) for number in range(LISTED)]
    return [Ask(graphql(documents.NODES, {"ids": ids}, world.keys[DEFAULT]), _CREATED, LISTED)]


def _thread(world: World) -> list[Ask]:
    key = world.keys[DEFAULT]
    ids = [thread_id(ORDINARY, number) for number in range(LISTED)]
    return [Ask(graphql(documents.THREAD, {"id": each}, key), _CREATED, 1) for each in ids]


def _threads(world: World) -> list[Ask]:
    return [Ask(graphql(documents.THREADS, {"first": LISTED}, world.keys[DEFAULT]), _EDGE, LISTED)]


def _first_use(world: World) -> list[Ask]:
    """Ask with documents that differ in a name, so that each is new to all caches."""
    known = (thread_id(LONG), message_id(LONG, world.long))
    documents_ = [documents.page_of(f"page{number}", *known) for number in range(world.requests)]
    return [Ask(graphql(each, key=world.keys[DEFAULT]), _EDGE, 20) for each in documents_]


def _first_use_of_literal(world: World) -> list[Ask]:
    """Ask with documents that differ in a literal alone."""
    places = range(world.long, world.long - min(world.requests, world.long - 20), -1)
    documents_ = [documents.page_of("page", thread_id(LONG), message_id(LONG, place)) for place in places]
    return [Ask(graphql(each, key=world.keys[DEFAULT]), _EDGE, 20) for each in documents_]


def _rest_one(path: str, mark: str) -> Recipe:
    return lambda world: [Ask(request("GET", path, key=world.keys[DEFAULT]), mark, 1)]


GRAPHQL: Final[dict[str, Recipe]] = {
    names.LIST: previews(),
    "list-in-progress": previews(PROGRESS),
    names.INBOX: _inbox,
    names.PAGE_20: page(),
    names.PAGE_100: page(limit=100),
    names.PAGE_MIDDLE: _middle,
    "page-code-1k": page("code-1k"),
    "page-code-32k": page("code-32k"),
    "page-foreign": page("foreign"),
    "page-text": page(fields="text"),
    "page-thread": page(fields="thread"),
    "page-attachments": page("attachments", fields="attachments"),
    "page-images": page("images", fields="images"),
    "page-parts": page("parts"),
    "page-annotations": page("annotations", fields="annotations"),
    "page-in-progress": _growing(20),
    "thread": _thread,
    "threads": _threads,
    names.NODE: node,
    "nodes-20": _nodes,
    "first-use": _first_use,
    "first-use-literal": _first_use_of_literal,
}
REST: Final[dict[str, Recipe]] = {
    names.REST_20: rest_page(),
    names.REST_100: rest_page(limit=100),
    "rest-page-annotations": rest_page("annotations"),
    "rest-page-in-progress": _rest_growing,
    "rest-thread": _rest_one(f"/v1/threads/{thread_id(LONG)}", _THREAD),
    "rest-threads": _rest_one(f"/v1/threads?limit={LISTED}", '"first_id":'),
    "rest-message": _rest_one(f"/v1/threads/{thread_id(LONG)}/messages/{message_id(LONG, 1)}", _MESSAGE),
    names.HEALTH: _rest_one("/healthz", '"ok"'),
}
