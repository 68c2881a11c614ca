"""Bounds on what is made, through both faces of a served process; what is stored beyond them stays of use."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

import httpx
import orjson
import pytest

from gateway.core import messages
from gateway.domain import bounds
from gateway.domain.message import Message, NewMessage, Role, Status
from gateway.transfer.exporter import export
from tests.following import begin, make_thread, text_part
from tests.live.inside import WHO
from tests.pace import patience

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from gateway.domain.bounds import Bound
    from gateway.domain.ids import ThreadId
    from tests.live.inside import Inside
    from tests.live.server import Server

    Made = Callable[[int], dict[str, Any]]

CREATE: Final = "mutation ($input: CreateThreadInput!) { createThread(input: $input) { thread { id } } }"
APPEND: Final = "mutation ($input: AppendMessageTextInput!) { appendMessageText(input: $input) { message { id } } }"


def said(content: Any = "x", **fields: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **fields}


def parts(many: int) -> list[dict[str, Any]]:
    return [{"type": "text", "text": "x"}] * many


def files(many: int, tools: int = 1) -> list[dict[str, Any]]:
    return [{"file_id": "file-1", "tools": [{"type": "file_search"}] * tools}] * many


def texts(characters: int) -> list[dict[str, Any]]:
    half = characters // 2
    return [
        {"type": "text", "text": "\U0001f600" + "x" * (half - 1)},
        {"type": "text", "text": "x" * (characters - half)},
    ]


def thread(*made: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [*made]}


CASES: Final[list[tuple[Bound, Made]]] = [
    (bounds.CONTENT_PARTS, lambda n: thread(said(parts(n)))),
    (bounds.ATTACHMENTS, lambda n: thread(said(attachments=files(n)))),
    (bounds.ATTACHMENT_TOOLS, lambda n: thread(said(attachments=files(1, n)))),
    (bounds.THREAD_MESSAGES, lambda n: thread(*[said()] * n)),
    (
        bounds.REQUEST_PARTS,
        lambda n: thread(*[said(parts(400))] * 4, said(parts(200), attachments=files(n - 4 * 400 - 200))),
    ),
    (bounds.TEXT, lambda n: thread(said(texts(n)))),
]
EACH: Final = pytest.mark.parametrize(("bound", "made"), [pytest.param(*each, id=each[0].name) for each in CASES])


def as_input(body: dict[str, Any]) -> dict[str, Any]:
    """Write the body of createThread as GraphQL has it."""
    return {"messages": [_message(each) for each in body["messages"]]}


def _message(raw: dict[str, Any]) -> dict[str, Any]:
    content = raw["content"]
    told = {"text": content} if isinstance(content, str) else {"parts": [{"text": part["text"]} for part in content]}
    attached = [
        {"fileId": each["file_id"], "tools": [tool["type"] for tool in each["tools"]]}
        for each in raw.get("attachments", ())
    ]
    return {"role": "USER", "content": told, "attachments": attached}


@pytest.fixture(scope="module")
def client(live_server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=live_server.base_url, timeout=patience(60), trust_env=False) as client:
        yield client


@EACH
def test_the_limit_of_rest_input_is_exact(client: httpx.Client, bound: Bound, made: Made) -> None:
    taken = client.post("/v1/threads", json=made(bound.number))
    refused = client.post("/v1/threads", json=made(bound.number + 1))

    assert taken.status_code == 200
    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (400, bound.code)
    assert str(bound.number) in error["message"]


@EACH
def test_the_limit_of_graphql_input_is_exact(client: httpx.Client, bound: Bound, made: Made) -> None:
    def create(body: dict[str, Any]) -> dict[str, Any]:
        variables = {"input": as_input(body)}
        answer: dict[str, Any] = client.post("/graphql", json={"query": CREATE, "variables": variables}).json()
        return answer

    taken, refused = create(made(bound.number)), create(made(bound.number + 1))

    assert taken["data"]["createThread"]["thread"]["id"]
    [error] = refused["errors"]
    assert error["extensions"]["code"] == bound.code
    assert str(bound.number) in error["message"]


def test_fields_of_one_request_that_send_one_variable_again_count_together(client: httpx.Client) -> None:
    fields = " ".join(f"a{each}: createThread(input: $input) {{ thread {{ id }} }}" for each in range(3))
    half = {
        "messages": [{"role": "USER", "content": {"parts": [{"text": "x"}] * 2}}] * (bounds.REQUEST_PARTS.number // 4)
    }
    query = f"mutation($input: CreateThreadInput!) {{ {fields} }}"
    answer = client.post("/graphql", json={"query": query, "variables": {"input": half}}).json()

    [error] = answer["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["a2"], bounds.REQUEST_PARTS.code)


async def test_appended_text_counts_with_the_text_already_stored(inside: Inside, thread: ThreadId) -> None:
    most = bounds.TEXT.number
    begun = await begin(inside.store, WHO, thread, text_part("x" * (most - 2)), text_part("\U0001f600"))

    async with httpx.AsyncClient(base_url=inside.base_url, timeout=patience(60), trust_env=False) as http:
        taken, refused = [
            (await http.post("/graphql", json={"query": APPEND, "variables": {"input": given}})).json()
            for given in [{"messageId": begun.id, "text": "y"}] * 2
        ]

    assert taken["data"]["appendMessageText"]["message"]["id"] == begun.id
    assert refused["errors"][0]["extensions"]["code"] == bounds.TEXT.code


async def test_appended_text_cannot_add_a_part_over_the_limit(inside: Inside, thread: ThreadId) -> None:
    image = {"type": "image_file", "image_file": {"file_id": "file-1"}}
    begun = await begin(inside.store, WHO, thread, *[image] * bounds.CONTENT_PARTS.number)

    async with httpx.AsyncClient(base_url=inside.base_url, timeout=patience(60), trust_env=False) as http:
        given = {"messageId": begun.id, "text": "y"}
        refused = (await http.post("/graphql", json={"query": APPEND, "variables": {"input": given}})).json()

    assert refused["errors"][0]["extensions"]["code"] == bounds.CONTENT_PARTS.code


@pytest.fixture
async def large(inside: Inside) -> Message:
    """Keep a message far beyond the bounds of a new one, as an earlier version took it."""
    thread_id = await make_thread(inside.store, WHO)
    new = NewMessage(
        Role.USER,
        [text_part("x" * 100)] * 10_000,
        [{"file_id": "file-1", "tools": [{"type": "file_search"}] * 5}] * 1_000,
        {f"key{n}": "x" for n in range(20)},
    )
    return await messages.create(inside.store, WHO, thread_id, new)


@pytest.fixture
async def http(inside: Inside) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=inside.base_url, timeout=patience(60), trust_env=False) as client:
        yield client


async def test_a_stored_message_beyond_the_bounds_is_read_by_both_faces(
    http: httpx.AsyncClient, large: Message
) -> None:
    by_rest = (await http.get(f"/v1/threads/{large.thread_id}/messages/{large.id}")).json()
    query = "query ($id: ID!) { node(id: $id) { ... on Message { text attachments { fileId } } } }"
    by_graphql = (await http.post("/graphql", json={"query": query, "variables": {"id": large.id}})).json()

    assert (len(by_rest["content"]), len(by_rest["attachments"])) == (10_000, 1_000)
    found = by_graphql["data"]["node"]
    assert (len(found["text"]), len(found["attachments"])) == (10_000 * 101 - 1, 1_000)


async def test_its_metadata_is_patched(http: httpx.AsyncClient, large: Message) -> None:
    removed = {f"key{n}": None for n in range(10)}

    answer = await http.post(
        f"/v1/threads/{large.thread_id}/messages/{large.id}", json={"metadata": {**removed, "new": "y"}}
    )

    assert answer.status_code == 200
    assert (len(answer.json()["metadata"]), len(answer.json()["content"])) == (11, 10_000)


async def test_it_is_exported_whole(inside: Inside, large: Message) -> None:
    out = io.BytesIO()
    await export(inside.store, WHO, out, lambda _count: None)

    written = orjson.loads(out.getvalue().splitlines()[-1])
    assert (written["id"], len(written["content"]), len(written["attachments"])) == (large.id, 10_000, 1_000)


async def test_a_stored_message_in_progress_with_many_parts_still_grows_and_ends(
    inside: Inside, thread: ThreadId, http: httpx.AsyncClient
) -> None:
    begun = await begin(inside.store, WHO, thread, *[text_part("x")] * 10_000)

    given = {"messageId": begun.id, "text": "y"}
    grown = (await http.post("/graphql", json={"query": APPEND, "variables": {"input": given}})).json()

    assert "errors" not in grown
    kept = (await messages.get_many(inside.store, WHO, [begun.id])).by_id()[begun.id]
    assert (kept.status, len(kept.content), kept.text[-2:]) == (Status.IN_PROGRESS, 10_000, "xy")
