"""Ask in one of the ways as one of the callers, and put down what comes back."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import httpx
from websockets.exceptions import ConnectionClosed

from tests.graphql.serving import RESPONSE, statements_of
from tests.isolation.ways import Face, Way, filled
from tests.live.subscribing import events_of, open_socket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from tests.isolation.world import Caller, Names, World
    from tests.live.inside import Inside

_OF_CREDENTIALS: Final = re.compile(r"\bkeys\b|\btoken_epoch\b")
_UNLIKE_EACH_TIME: Final = ("x-request-id", "openai-processing-ms", "date")


@dataclass(frozen=True)
class Answer:
    """What a caller sees, with the names of places in place of what it has named."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass(frozen=True)
class Asked:
    """What a caller sees, and what the database was asked about threads and messages meanwhile."""

    answer: Answer
    statements: tuple[str, ...]


@dataclass(frozen=True)
class Served:
    """A world, the server that it is behind, and ways to that: past the socket, where much is asked, and through it."""

    world: World
    inside: Inside
    within: httpx.ASGITransport
    beyond: httpx.AsyncClient


async def ask(served: Served, way: Way, caller: Caller, names: Names) -> Asked:
    """Ask in a way as a caller who names these."""
    places = {**asdict(names), **{f"own_{place}": name for place, name in asdict(caller.own).items()}}
    with statements_of(served.world.store) as seen:
        answer = await _TRANSPORTS[way.face](served, _written(way, places), caller.credential)
    text = answer.text
    for place, name in asdict(names).items():
        text = text.replace(name, f"{{{place}}}")
    # How callers are recognised is no matter here: who was seen lately is not looked up at all. And two
    # loaders of one step ask in no order.
    statements = sorted(each for each in seen if not _OF_CREDENTIALS.search(each))
    return Asked(replace(answer, text=text), tuple(statements))


def said(way: Way, asked: Asked) -> str:
    """Put down in a word or two what an answer says."""
    status = asked.answer.status
    if way.method == "HEAD" or (way.face is Face.WEBSOCKET and status != 200):
        return str(status)
    body = asked.answer.json
    if way.face is Face.REST:
        if status == 200:
            return "empty" if body.get("data") == [] else "found"
        return " ".join(filter(None, [str(status), body["error"]["code"]]))
    if "errors" not in body:
        return _of_data(body["data"])
    code = " ".join({error["extensions"]["code"] for error in body["errors"]})
    return code if status == 200 else f"{status} {code}"


def _of_data(data: Any) -> str:
    [value] = data.values()
    if value is None or (isinstance(value, list) and not any(value)):
        return "null"
    connection = value.get("messages") if isinstance(value, dict) else None
    return "empty" if connection and not connection["nodes"] and not connection["totalCount"] else "found"


def _written(way: Way, places: Mapping[str, str]) -> Way:
    changed = {part: filled(getattr(way, part), places) for part in ("path", "query", "headers", "body")}
    return replace(way, **changed)


def _bearing(credential: str | None) -> dict[str, str]:
    return {} if credential is None else {"authorization": f"Bearer {credential}"}


async def _by_http(served: Served, way: Way, credential: str | None) -> Answer:
    headers = {**_bearing(credential), **way.headers, **({} if way.face is Face.REST else RESPONSE)}
    url = f"http://gateway{way.path}"
    request = httpx.Request(way.method, url, params=way.query, headers=headers, json=way.body)
    answer = await served.within.handle_async_request(request)
    return _answer(answer, (await answer.aread()).decode())


async def _by_sse(served: Served, way: Way, credential: str | None) -> Answer:
    headers = {**_bearing(credential), **way.headers, "accept": "text/event-stream"}
    async with served.beyond.stream("POST", way.path, json=way.body, headers=headers) as answer:
        if not answer.headers["content-type"].startswith("text/event-stream"):
            return _answer(answer, (await answer.aread()).decode())
        first = await anext(each async for each in events_of(answer) if each is not None)
        return _answer(answer, json.dumps(first.data))


async def _by_websocket(served: Served, way: Way, credential: str | None) -> Answer:
    payload = {} if credential is None else {"authorization": f"Bearer {credential}"}
    async with open_socket(served.inside.base_url) as socket:
        await socket.send("connection_init", payload=payload)
        try:
            assert await socket.receive() == {"type": "connection_ack"}
        except ConnectionClosed:
            code, reason = await socket.end()
            return Answer(code, {}, reason)
        await socket.send("subscribe", id="1", payload=way.body)
        told = await socket.receive()
    is_error = told["type"] == "error"
    return Answer(200, {"type": told["type"]}, json.dumps({"errors": told["payload"]} if is_error else told["payload"]))


def _answer(answer: httpx.Response, text: str) -> Answer:
    headers = {name: value for name, value in answer.headers.items() if name not in _UNLIKE_EACH_TIME}
    return Answer(answer.status_code, headers, text)


_TRANSPORTS: Final[Mapping[Face, Callable[[Served, Way, str | None], Awaitable[Answer]]]] = {
    Face.REST: _by_http,
    Face.HTTP: _by_http,
    Face.SSE: _by_sse,
    Face.WEBSOCKET: _by_websocket,
}
