"""Odd texts and numbers in every input of every operation: both databases answer alike, and nothing fails inside."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

import httpx
import pytest

from tests.effort import times
from tests.following import PATIENCE_S
from tests.live.server import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from tests.live.server import Server

pytestmark = pytest.mark.uncounted

_T = TypeVar("_T")
_V: Final = "§"  # stands for the odd value
STRINGS: Final = [
    "\0",
    "a\0b",
    "\x1b[31m",
    "\uffff",
    "\ufdd0\U0010ffff",
    "\ud800",
    "\u202edrowssap",
    "\x7f\x85\u2066x\u2069\u200f\u061c\u2028",
    "e\u0301\u200d",
    "😀👩\u200d💻",
    "9223372036854775807",
    "-1",
    "'; --\"\\",
]
NUMBERS: Final = [2**31, 2**53 + 1, 2**63, 10**30, -1, 0.5, float("nan"), float("inf"), "1", True, None, [], {}]


def mutation(name: str, kind: str, shown: str) -> Callable[..., tuple[str, Any]]:
    """Write a mutation of one input."""
    text = f"mutation($input: {kind}!) {{ {name}(input: $input) {{ {shown} }} }}"
    return lambda **given: (text, {"input": given})


_PAGE: Final = "{ nodes { id } pageInfo { hasNextPage } }"
_message: Final = mutation("createMessage", "CreateMessageInput", "message { id text content { __typename } metadata }")
_create: Final = mutation("createThread", "CreateThreadInput", "thread { id owner metadata toolResources }")
_NEW: Final[dict[str, Any]] = {"threadId": "THREAD", "role": "USER", "content": {"text": "a"}}
# Operations with a place for a text; THREAD, MESSAGE and GROWING stand for ids of what is there.
GRAPHQL: Final = [
    ("query($v: ID!) { node(id: $v) { id } }", {"v": _V}),
    ("query($v: ID!) { nodes(ids: [$v]) { id } }", {"v": _V}),
    ("query($v: ID!) { thread(id: $v) { id } }", {"v": _V}),
    (f"query($v: String) {{ threads(after: $v) {_PAGE} }}", {"v": _V}),
    (f"query($v: String) {{ threads(before: $v) {_PAGE} }}", {"v": _V}),
    *(
        (f'query($v: {kind}) {{ thread(id: "THREAD") {{ messages({name}: $v) {_PAGE} }} }}', {"v": _V})
        for name, kind in (("after", "String"), ("before", "String"), ("runId", "ID"))
    ),
    _create(owner=_V),
    _create(metadata={"a": _V}),
    _create(metadata={_V: "a"}),
    _create(toolResources={"code_interpreter": {"file_ids": [_V]}}),
    _create(messages=[{"role": "USER", "content": {"text": _V}}]),
    _message(**{**_NEW, "threadId": _V}),
    _message(**{**_NEW, "content": {"text": _V}}),
    _message(**{**_NEW, "content": {"parts": [{"text": "a"}, {"text": _V}]}}),
    _message(**{**_NEW, "content": {"parts": [{"imageUrl": {"url": f"https://a.example/{_V}"}}]}}),
    _message(**{**_NEW, "content": {"parts": [{"imageUrl": {"url": "https://a.example", "detail": _V}}]}}),
    _message(**{**_NEW, "content": {"parts": [{"imageFile": {"fileId": _V}}]}}),
    _message(**_NEW, attachments=[{"fileId": _V, "tools": ["file_search"]}]),
    _message(**_NEW, attachments=[{"fileId": "f", "tools": [_V]}]),
    _message(**_NEW, metadata={"a": _V}),
    _message(**_NEW, runId=_V),
    _message(**_NEW, assistantId=_V),
    mutation("updateThread", "UpdateThreadInput", "thread { metadata }")(id="THREAD", metadata={"a": _V}),
    mutation("updateThread", "UpdateThreadInput", "thread { id }")(id=_V),
    mutation("deleteThread", "DeleteThreadInput", "deletedThreadId")(id=_V),
    mutation("updateMessage", "UpdateMessageInput", "message { metadata }")(id="MESSAGE", metadata={"a": _V}),
    mutation("updateMessage", "UpdateMessageInput", "message { id }")(id=_V),
    mutation("deleteMessage", "DeleteMessageInput", "deletedMessageId")(id=_V),
    mutation("appendMessageText", "AppendMessageTextInput", "message { text }")(messageId="GROWING", text=_V),
    mutation("appendMessageText", "AppendMessageTextInput", "message { text }")(messageId=_V, text="a"),
    mutation("finishMessage", "FinishMessageInput", "message { id }")(messageId=_V, status="COMPLETED"),
    mutation("createThreadToken", "CreateThreadTokenInput", "expiresAt")(threadId=_V),
    mutation("revokeThreadTokens", "RevokeThreadTokensInput", "threadId")(threadId=_V),
    (f'{{ node(id: "{_V}") {{ id }} }}', {}),
    (f"{{ __typename }} # {_V}", {}),
    (f"{{ {_V} }}", {}),
]
_COUNTED: Final = [
    *((f"query($v: Int) {{ threads({name}: $v) {_PAGE} }}", {"v": _V}) for name in ("first", "last", "limit")),
    mutation("createThreadToken", "CreateThreadTokenInput", "expiresAt")(threadId="THREAD", expiresIn=_V),
]
_WIRE: Final[dict[str, Any]] = {"role": "user", "content": "a"}
_PARTS: Final[list[Any]] = [
    {"type": "text", "text": _V},
    {"type": _V, "text": "a"},
    {"type": "image_file", "image_file": {"file_id": _V}},
    {"type": "image_url", "image_url": {"url": f"https://a.example/{_V}"}},
]
# Method, path, query and body.
REST: Final[list[tuple[str, str, dict[str, Any], Any]]] = [
    ("POST", "/threads", {}, {"metadata": {_V: "a"}}),
    ("POST", "/threads", {}, {"metadata": {"a": _V}, "owner": "mia"}),
    ("POST", "/threads", {}, {"owner": _V}),
    ("POST", "/threads", {}, {_V: 1}),
    ("POST", "/threads", {}, {"tool_resources": {"file_search": {"vector_store_ids": [_V]}}}),
    ("POST", "/threads", {}, {"messages": [{"role": _V, "content": "a"}]}),
    *(("GET", "/threads", {name: _V}, None) for name in ("limit", "order", "after", "before", _V)),
    *(("GET", "/threads/THREAD/messages", {name: _V}, None) for name in ("limit", "order", "after", "before")),
    ("GET", "/threads/THREAD/messages", {"run_id": _V}, None),
    ("GET", f"/threads/{_V}", {}, None),
    ("GET", f"/threads/thread_{_V}/messages", {}, None),
    ("GET", f"/threads/THREAD/messages/msg_{_V}", {}, None),
    ("DELETE", f"/threads/{_V}", {}, None),
    ("GET", f"/{_V}", {}, None),
    ("POST", "/threads/THREAD", {}, {"metadata": {"b": _V}}),
    ("POST", "/threads/THREAD/messages", {}, {**_WIRE, "content": _V}),
    *(("POST", "/threads/THREAD/messages", {}, {**_WIRE, "content": [part]}) for part in _PARTS),
    ("POST", "/threads/THREAD/messages", {}, {**_WIRE, "metadata": {"a": _V}}),
    ("POST", "/threads/THREAD/messages", {}, {**_WIRE, "attachments": [{"file_id": _V, "tools": []}]}),
    ("POST", "/threads/THREAD/messages/MESSAGE", {}, {"metadata": {"b": _V}}),
]
_OWN: Final = re.compile(
    r"(thread|msg)_[A-Za-z0-9]{24}\b|req_[0-9a-f]{32}|\d{4}-\d\d-\d\dT[\d:]+Z|\"(created|completed)_at\":\d+"
)


def put(template: Any, value: Any) -> Any:
    """Put a value in its place; where a text surrounds it, or it is a key, as text."""
    if isinstance(template, str):
        return value if template == _V else template.replace(_V, str(value))
    if isinstance(template, dict):
        return {key.replace(_V, str(value)): put(each, value) for key, each in template.items()}
    return [put(each, value) for each in template] if isinstance(template, list) else template


@dataclass
class Asked:
    """A server, and what is there by the names that the tables give it."""

    http: httpx.AsyncClient
    there: dict[str, str]

    def named(self, text: str) -> str:
        for name, own in self.there.items():
            text = text.replace(name, own)
        return text

    async def graphql(self, query: str, variables: Any, **headers: str) -> str:
        content = self.named(json.dumps({"query": query, "variables": variables}))
        answer = await self.http.post(
            "/graphql", content=content, headers={"content-type": "application/json", **headers}
        )
        return told(answer)

    async def rest(self, method: str, path: str, query: dict[str, str], body: Any) -> str:
        pairs = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in query.items())
        content = None if body is None else self.named(json.dumps(body))
        url = f"/v1{self.named('/'.join(map(_quoted, path.split('/'))))}"
        return told(await self.http.request(method, f"{url}?{pairs}", content=content))


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


def told(answer: httpx.Response) -> str:
    """Write an answer without what differs from one server to another."""
    return f"{answer.status_code} {_OWN.sub('*', answer.text)}"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, new_postgres_url: Callable[[], str]) -> Iterator[list[Server]]:
    """Serve an empty database of each kind."""
    folder = tmp_path_factory.mktemp("odd")
    given = {"GATEWAY_TOKEN_SECRET": "s" * 32}
    with ExitStack() as stack:
        urls = (f"sqlite:///{folder / 'threads.db'}", new_postgres_url())
        yield [stack.enter_context(serving(url, folder=folder, given=given)) for url in urls]


@pytest.fixture
async def both(servers: list[Server]) -> AsyncIterator[list[Asked]]:
    """Make the same on both, and give what asks them."""
    found: list[Asked] = []
    for server in servers:
        http = httpx.AsyncClient(base_url=server.base_url, timeout=PATIENCE_S)
        thread = (await http.post("/v1/threads", json={"messages": [_WIRE]})).json()["id"]
        [message] = (await http.get(f"/v1/threads/{thread}/messages")).json()["data"]
        begin = 'mutation { createMessage(input: {threadId: "%s", role: ASSISTANT, content: {text: ""}, %s}) { %s } }'
        made = await http.post("/graphql", json={"query": begin % (thread, "status: IN_PROGRESS", "message { id }")})
        growing = made.json()["data"]["createMessage"]["message"]["id"]
        found.append(Asked(http, {"THREAD": thread, "MESSAGE": message["id"], "GROWING": growing}))
    yield found
    for each in found:
        await each.http.aclose()


def _some_of(templates: Sequence[_T], values: Sequence[Any]) -> Iterator[tuple[_T, Any]]:
    """Pair each template with some of the values, the next one with the next of them; with `--slow` with each."""
    count = times(fast=4, slow=len(values))
    for n, template in enumerate(templates):
        for k in range(count):
            yield template, values[(n * count + k) % len(values)]


def _is_fault(answer: str) -> bool:
    return not answer.startswith(("200 ", "4")) or "server_error" in answer


async def test_graphql_answers_alike(both: list[Asked]) -> None:
    cases = [put(list(each), value) for each, value in _some_of(GRAPHQL, STRINGS)]
    cases += [put(list(each), value) for each, value in _some_of([*_COUNTED, GRAPHQL[0], GRAPHQL[14]], NUMBERS)]

    for query, variables in cases:
        _hold_alike(*await asyncio.gather(*(asked.graphql(query, variables) for asked in both)))

    assert await _all_of(both[0]) == await _all_of(both[1])


async def test_rest_answers_alike(both: list[Asked]) -> None:
    cases = [(*put(list(each[:3]), value), put(each[3], value)) for each, value in _some_of(REST, STRINGS)]
    cases += [(*each[:3], put(each[3], value)) for each, value in _some_of(REST[-4:], NUMBERS)]

    for case in cases:
        _hold_alike(*await asyncio.gather(*(asked.rest(*case) for asked in both)))

    assert await _all_of(both[0]) == await _all_of(both[1])


@pytest.mark.parametrize(
    "field", ["messageAdded(threadId: $v) { cursor }", 'messageAdded(threadId: "THREAD", after: $v) { cursor }']
)
async def test_subscriptions_answer_alike(both: list[Asked], field: str) -> None:
    kind = "ID!" if "$v)" in field and "after" not in field else "String"
    query = f"subscription($v: {kind}) {{ {field} }}"

    answers = [
        [await each.graphql(query, {"v": value}, accept="text/event-stream") for value in STRINGS] for each in both
    ]

    assert answers[0] == answers[1]
    assert [each for each in answers[0] if _is_fault(each) or "errors" not in each] == []


@pytest.mark.parametrize("name", ["last-event-id", "openai-beta", "authorization", "x-request-id", "accept"])
async def test_headers_are_answered_alike(both: list[Asked], name: str) -> None:
    values = [b"\x7f", b"\x85", b"\xff\xfe", "\u202e".encode(), b"9" * 40, b"-1"]
    asked = [
        [
            told(await each.http.post("/graphql", json={"query": "{ __typename }"}, headers={name.encode(): value}))
            for value in values
        ]
        for each in both
    ]

    assert asked[0] == asked[1]
    assert [each for each in asked[0] if _is_fault(each)] == []


async def test_a_text_with_a_nul_is_gained_whole(both: list[Asked]) -> None:
    query, variables = mutation("appendMessageText", "AppendMessageTextInput", "message { text }")(
        messageId="GROWING", text=_V
    )
    for each in both:
        for text in ("a", "\0", "b\0c", "d"):
            await each.graphql(query, put(variables, text))
        got = await each.graphql("query($v: ID!) { node(id: $v) { ... on Message { text } } }", {"v": "GROWING"})

        assert json.loads(got.partition(" ")[2]) == {"data": {"node": {"text": "a\0b\0cd"}}}


def _hold_alike(sqlite: str, postgres: str) -> None:
    assert sqlite == postgres
    assert not _is_fault(sqlite), sqlite


async def _all_of(asked: Asked) -> list[str]:
    """Read all threads back, and the messages of the one that grew."""
    found = []
    for path in ("/v1/threads", f"/v1/threads/{asked.there['THREAD']}/messages"):
        after, has_more = "", True
        while has_more:
            answer = await asked.http.get(f"{path}?order=asc&limit=100{after}")
            found.append(told(answer))
            has_more, after = answer.json()["has_more"], f"&after={answer.json()['last_id']}"
    return found
