"""Cases that write, on threads that no other case reads.

Must not be here: GraphQL texts (`documents`), cases that read (`reads`).
"""

from __future__ import annotations

import itertools
import uuid
from typing import TYPE_CHECKING, Any, Final

from bench.cases import documents, names
from bench.cases.case import Ask, graphql, request
from bench.corpus.messages import DEFAULT, GROWN, MADE, WRITTEN, message_id, thread_id
from bench.corpus.texts import ordinary

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.cases.case import Recipe, World

FOLDED: Final = 200  # deltas after which the server writes the text of a message as a whole
_TURNS: Final = 8  # messages at most that are appended to in turn
LARGE: Final = 100_000
_FORKED: Final = 100  # messages of a thread that is forked
_EDGE: Final = '"cursor":'
_ID: Final = '"id":'
_MESSAGE: Final = '"thread.message"'
_NOTES: Final = {"client": "web"}
_TOPIC: Final = {"topic": "benchmarks"}
_GROWN: Final = [thread_id(GROWN, number) for number in range(WRITTEN)]
_CHANGED: Final = [message_id(GROWN, 1, number) for number in range(WRITTEN)]


def create(world: World) -> list[Ask]:
    """Add messages to one thread after the other."""
    return [_mutation(world, documents.CREATE, _input(number), _EDGE) for number in range(WRITTEN)]


def _create_keyed(world: World) -> list[Ask]:
    """Add messages as in `create`, each with an idempotency key that is new."""
    inputs = [_input(each) | {"idempotencyKey": str(uuid.uuid4())} for each in _numbers(world)]
    return [_mutation(world, documents.CREATE, each, _EDGE) for each in inputs]


def _input(number: int) -> dict[str, Any]:
    thread = _GROWN[number % WRITTEN]
    return {"threadId": thread, "role": "USER", "content": {"text": ordinary(number)}, "metadata": _NOTES}


def _numbers(world: World) -> range:
    """Number requests none of which may be sent twice."""
    return range(max(WRITTEN, world.requests))


def rest_create(world: World) -> list[Ask]:
    """Add messages to one thread after the other."""
    return [_rest_message(world, number) for number in range(WRITTEN)]


def _rest_create_keyed(world: World) -> list[Ask]:
    return [_rest_message(world, each, (f"Idempotency-Key: {uuid.uuid4()}",)) for each in _numbers(world)]


def _rest_message(world: World, number: int, more: tuple[str, ...] = ()) -> Ask:
    path = f"/v1/threads/{_GROWN[number % WRITTEN]}/messages"
    body = {"role": "user", "content": ordinary(number), "metadata": _NOTES}
    return Ask(request("POST", path, body, world.keys[DEFAULT], more), _MESSAGE, 1)


def _mutation(world: World, document: str, given: dict[str, Any], mark: str, project: str = DEFAULT) -> Ask:
    return Ask(graphql(document, {"input": given}, world.keys[project]), mark, 1)


def _rest(
    world: World, method: str, path: str, body: object = None, *, mark: str = _MESSAGE, project: str = DEFAULT
) -> Ask:
    return Ask(request(method, f"/v1/threads{path}", body, world.keys[project]), mark, 1)


def _mutations(document: str, inputs: list[dict[str, Any]], mark: str = _ID) -> Recipe:
    return lambda world: [_mutation(world, document, each, mark) for each in inputs]


def _create_thread(world: World) -> list[Ask]:
    messages = [{"role": role, "content": {"text": ordinary(n)}} for n, role in enumerate(("USER", "ASSISTANT"))]
    given = {"messages": messages, "metadata": _NOTES}
    return [_mutation(world, documents.CREATE_THREAD, given, _ID, MADE)]


def _long_thread(world: World) -> str:
    thread = new_thread(world)
    for number in range(_FORKED):
        new_message(world, thread, ordinary(number))
    return thread


def _fork(world: World) -> list[Ask]:
    return [_mutation(world, documents.FORK, {"threadId": _long_thread(world)}, '"forkedFrom":{', MADE)]


def _rest_fork(world: World) -> list[Ask]:
    return [_rest(world, "POST", f"/{_long_thread(world)}/fork", {}, mark='"thread"', project=MADE)]


def _marks(world: World) -> list[dict[str, Any]]:
    """Name threads to mark, each by a reader who has no mark in it."""
    own = uuid.uuid4().hex
    return [{"threadId": _GROWN[n % WRITTEN], "reader": f"{own}{n // WRITTEN}"} for n in _numbers(world)]


def _mark_read(world: World) -> list[Ask]:
    return [_mutation(world, documents.MARK_READ, each, _ID) for each in _marks(world)]


def _mark_unread(world: World) -> list[Ask]:
    marks = _marks(world)[: world.requests]
    for each in marks:
        world.make(_mutation(world, documents.MARK_READ, each, _ID).request)
    unread = [each | {"from": first} for each, first in zip(marks, itertools.cycle(_CHANGED), strict=False)]
    return [_mutation(world, documents.MARK_UNREAD, each, _ID) for each in unread]


def _rest_create_thread(world: World) -> list[Ask]:
    messages = [{"role": role, "content": ordinary(n)} for n, role in enumerate(("user", "assistant"))]
    return [_rest(world, "POST", "", {"messages": messages, "metadata": _NOTES}, mark='"thread"', project=MADE)]


def _rest_modify_message(world: World) -> list[Ask]:
    paths = [f"/{thread}/messages/{message}" for thread, message in zip(_GROWN, _CHANGED, strict=True)]
    return [_rest(world, "POST", each, {"metadata": _TOPIC}) for each in paths]


def _rest_modify_thread(world: World) -> list[Ask]:
    return [_rest(world, "POST", f"/{each}", {"metadata": _TOPIC}, mark='"thread"') for each in _GROWN]


def new_thread(world: World) -> str:
    """Create a thread."""
    made: str = world.make(request("POST", "/v1/threads", {}, world.keys[MADE]))["id"]
    return made


def new_message(world: World, thread: str, text: str, status: str = "COMPLETED") -> str:
    """Create a message."""
    given = {"threadId": thread, "role": "ASSISTANT", "content": {"text": text}, "status": status}
    answer = world.make(graphql(documents.CREATE, {"input": given}, world.keys[MADE]))
    made: str = answer["data"]["createMessage"]["edge"]["node"]["id"]
    return made


def append(world: World, message: str) -> Ask:
    """Append a character to a message."""
    return _mutation(world, documents.APPEND, {"messageId": message, "text": "a"}, _ID, MADE)


def add(world: World, thread: str) -> Ask:
    """Add a message to a thread."""
    given = {"threadId": thread, "role": "USER", "content": {"text": ordinary(1)}}
    return _mutation(world, documents.CREATE, given, _EDGE, MADE)


def _append(text: str, deltas: Callable[[World], int]) -> Recipe:
    """Append to messages in progress that have grown by so many deltas since their text was written as a whole."""

    def recipe(world: World) -> list[Ask]:
        thread = new_thread(world)
        asks = [append(world, new_message(world, thread, text, "IN_PROGRESS")) for _ in range(_turns(world))]
        for each in asks:
            for _ in range(deltas(world)):
                world.make(each.request)
        return asks

    return recipe


def _almost_folded(world: World) -> int:
    """Count the deltas after which the last request is the last before the text is written as a whole."""
    return max(0, FOLDED - 1 - -(-world.requests // _turns(world)))


def _turns(world: World) -> int:
    return max(1, min(_TURNS, world.requests))


def _used_up(asks_for: Callable[[World, str, str], Ask]) -> Recipe:
    """Make as many messages in progress as there will be requests, each of which ends one."""

    def recipe(world: World) -> list[Ask]:
        thread = new_thread(world)
        made = [new_message(world, thread, ordinary(n), "IN_PROGRESS") for n in range(world.requests)]
        return [asks_for(world, thread, each) for each in made]

    return recipe


def _finish(world: World, _thread: str, message: str) -> Ask:
    return _mutation(world, documents.FINISH, {"messageId": message, "status": "COMPLETED"}, _ID, MADE)


def _delete_message(world: World, _thread: str, message: str) -> Ask:
    return _mutation(world, documents.DELETE_MESSAGE, {"id": message}, '"deletedMessageId":', MADE)


def _rest_delete_message(world: World, thread: str, message: str) -> Ask:
    return _rest(world, "DELETE", f"/{thread}/messages/{message}", mark='"deleted":true', project=MADE)


def _delete_thread(world: World) -> list[Ask]:
    made = [new_thread(world) for _ in range(world.requests)]
    return [_mutation(world, documents.DELETE_THREAD, {"id": each}, '"deletedThreadId":', MADE) for each in made]


def _rest_delete_thread(world: World) -> list[Ask]:
    made = [new_thread(world) for _ in range(world.requests)]
    return [_rest(world, "DELETE", f"/{each}", mark='"deleted":true', project=MADE) for each in made]


GRAPHQL: Final[dict[str, Recipe]] = {
    names.CREATE: create,
    names.CREATE_KEYED: _create_keyed,
    "create-thread": _create_thread,
    "update-message": _mutations(documents.UPDATE_MESSAGE, [{"id": each, "metadata": _TOPIC} for each in _CHANGED]),
    "update-thread": _mutations(documents.UPDATE_THREAD, [{"id": each, "metadata": _TOPIC} for each in _GROWN]),
    "append": _append("It begins: ", lambda _: 0),
    "append-100k": _append(ordinary(11) * (LARGE // len(ordinary(11)) + 1), lambda _: 0),
    "append-199-deltas": _append("It begins: ", _almost_folded),
    "finish": _used_up(_finish),
    "delete-message": _used_up(_delete_message),
    "delete-thread": _delete_thread,
    "fork": _fork,
    "mark-read": _mark_read,
    "mark-unread": _mark_unread,
    "create-token": _mutations(documents.GRANT, [{"threadId": each} for each in _GROWN], '"token":'),
    "revoke-tokens": _mutations(documents.REVOKE, [{"threadId": each} for each in _GROWN], '"threadId":'),
}
REST: Final[dict[str, Recipe]] = {
    names.REST_CREATE: rest_create,
    names.REST_CREATE_KEYED: _rest_create_keyed,
    "rest-create-thread": _rest_create_thread,
    "rest-modify-message": _rest_modify_message,
    "rest-modify-thread": _rest_modify_thread,
    "rest-delete-message": _used_up(_rest_delete_message),
    "rest-delete-thread": _rest_delete_thread,
    "rest-fork": _rest_fork,
}
