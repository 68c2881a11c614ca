"""With the production profile no name of the schema leaks: no response says "Did you mean", on any way in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from tests.live.server import PATIENCE_S, serving
from tests.live.subscribing import socket_to

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.live.server import Server

_MAKE: Final = "mutation ($input: CreateThreadInput!) { createThread(input: $input) { thread { id } } }"
_LIST: Final = "query ($order: SortOrder!) { threads(order: $order) { nodes { id } } }"
# What is misspelt: the document and its variables. Each has a name beside it that is nearly what was written.
MISSPELT: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "a field": ("{ threds { nodes { id } } }", {}),
    "a field of a type": ("{ threads { noodes { id } } }", {}),
    "a field of an interface": ('{ node(id: "a") { idd } }', {}),
    "a field of one of its types": ('{ node(id: "a") { metadata } }', {}),
    "an argument": ("{ threads(frist: 1) { nodes { id } } }", {}),
    "an argument of a directive": ("{ threads @skip(iff: true) { nodes { id } } }", {}),
    "a directive": ("{ threads @skipp(if: true) { nodes { id } } }", {}),
    "a type": ('{ node(id: "a") { ... on Thred { id } } }', {}),
    "a fragment's type": ("fragment a on Thred { id } { threads { nodes { ...a } } }", {}),
    "a fragment": ("fragment abc on Thread { id } { threads { nodes { ...abd } } }", {}),
    "a variable's type": ("query ($a: Strng) { threads(after: $a) { nodes { id } } }", {}),
    "a variable": ("query ($after: String) { threads(after: $aftr) { nodes { id } } }", {}),
    "an enum value": ("{ threads(order: DECS) { nodes { id } } }", {}),
    "an enum value in quotes": ('{ threads(order: "DESC") { nodes { id } } }', {}),
    "an enum value in a variable": (_LIST, {"order": "DECS"}),
    "a number for an enum value": (_LIST, {"order": 1}),
    "an input field": ("mutation { createThread(input: { metadat: {} }) { thread { id } } }", {}),
    "an input field in a variable": (_MAKE, {"input": {"metadat": {}}}),
    "an input field at depth": (_MAKE, {"input": {"messages": [{"role": "USER", "content": {"txt": "a"}}]}}),
    "an enum value at depth": (_MAKE, {"input": {"messages": [{"role": "USR", "content": {"text": "a"}}]}}),
    "no selection": ("{ threads }", {}),
    "a selection of a leaf": ("{ threads { nodes { id { a } } } }", {}),
    "a mutation": ("mutation { creatThread(input: {}) { thread { id } } }", {}),
    "a subscription": ('subscription { mesageAdded(threadId: "a") { cursor } }', {}),
    "an argument of a subscription": ('subscription { messageAdded(threadID: "a") { cursor } }', {}),
    "the schema": ("{ __schem { types { name } } }", {}),
    "the name of an operation": ("query a { threads { nodes { id } } } query b { threads { nodes { id } } }", {}),
    "a keyword": ("qurey { threads { nodes { id } } }", {}),
}
ON_THE_WIRE: Final = (
    ("GET", "/v1/thread"),
    ("GET", "/v1/threads?ordr=asc"),
    ("GET", "/v1/threads?order=ascc"),
    ("GET", "/v1/threads/thread_a/message"),
    ("PATH", "/v1/threads"),
    ("GET", "/graphq"),
    ("POST", "/healtz"),
)


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("production")
    with serving(f"sqlite:///{folder}/threads.db", folder=folder, given={"GATEWAY_PROFILE": "production"}) as server:
        yield server


def suggests(answer: str) -> bool:
    return "did you mean" in answer.lower()


async def answers_to(server: Server, http: httpx.AsyncClient, document: str, variables: dict[str, Any]) -> list[str]:
    """Ask on each way in; by the third time over HTTP an operation that can be is compiled."""
    body = {"query": document, "variables": variables}
    answers = [(await http.post("/graphql", json=body)).text for _ in range(3)]
    answers.append((await http.post("/graphql", json=body, headers={"accept": "text/event-stream"})).text)
    answers.append((await http.get("/graphql", params={"query": document})).text)
    async with socket_to(server.base_url) as socket:
        await socket.subscribe(document, **variables)
        message = await socket.receive()
        assert message["type"] == "error"
        answers.append(str(message["payload"]))
    return answers


@pytest.mark.parametrize("what", MISSPELT)
async def test_no_misspelled_name_gets_a_suggestion(production: Server, what: str) -> None:
    async with httpx.AsyncClient(base_url=production.base_url, timeout=PATIENCE_S) as http:
        answers = await answers_to(production, http, *MISSPELT[what])

    assert all("errors" in answer or "message" in answer for answer in answers[:3])
    assert [answer for answer in answers if suggests(answer)] == []


async def test_no_path_or_parameter_is_answered_with_one(production: Server) -> None:
    async with httpx.AsyncClient(base_url=production.base_url, timeout=PATIENCE_S) as http:
        answers = [await http.request(method, path) for method, path in ON_THE_WIRE]

    assert [answer.text for answer in answers if suggests(answer.text)] == []
    assert {answer.status_code for answer in answers} <= {200, 400, 404, 405}


async def test_the_same_is_answered_with_suggestions_to_a_developer(tmp_path: Path) -> None:
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        with serving(f"sqlite:///{tmp_path}/threads.db", folder=tmp_path) as server:
            http.base_url = httpx.URL(server.base_url)
            suggested = {
                what
                for what, (document, variables) in MISSPELT.items()
                for _ in range(2)
                if suggests((await http.post("/graphql", json={"query": document, "variables": variables})).text)
            }

    assert {"a field", "an argument", "a type", "no selection", "an enum value in a variable"} <= suggested
    assert {"an input field", "an input field in a variable", "an input field at depth"} <= suggested
