"""An error repeats little of what was sent, wherever it was sent: REST, GraphQL, headers, paths and WebSocket."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from gateway.domain import bounds
from tests.live.subscribing import socket_to
from tests.pace import patience

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.live.server import Server

LONG: Final = "Z" * 5_000
MOST: Final = bounds.SHOWN.number

PATHS: Final = {
    "an id of a thread": f"/v1/threads/{LONG}",
    "an id of a thread with its prefix": f"/v1/threads/thread_{LONG}",
    "an id of a message": f"/v1/threads/thread_1/messages/{LONG}",
    "an id of a message with its prefix": f"/v1/threads/thread_1/messages/msg_{LONG}",
    "an unknown path": f"/v1/{LONG}",
    "a path of no face": f"/{LONG}/{LONG}",
    "a run": f"/v1/threads/{LONG}/runs/{LONG}",
    "a cursor": f"/v1/threads?after={LONG}",
    "a cursor with its prefix": f"/v1/threads?before=thread_{LONG}",
    "an order": f"/v1/threads?order={LONG}",
    "a limit": f"/v1/threads?limit={LONG}",
    "a limit of digits": f"/v1/threads?limit={LONG.replace('Z', '9')}",
    "a run to list": f"/v1/threads/thread_1/messages?run_id={LONG}",
}
HEADERS: Final = {
    "a beta": {"openai-beta": LONG},
    "a beta with a version": {"openai-beta": f"{LONG}=v1"},
    "a malformed beta": {"openai-beta": f"{LONG} {LONG}"},
    "a credential": {"authorization": f"Bearer {LONG}"},
    "a key": {"api-key": LONG},
    "a host": {"host": f"{LONG}.example"},
    "an origin": {"origin": f"https://{LONG}.example"},
}
TEXT: Final = {"role": "user", "content": "x"}
BODIES: Final[dict[str, dict[str, Any]]] = {
    "an unknown field": {LONG: 1},
    "an unknown field of a message": {"messages": [{**TEXT, LONG: 1}]},
    "a role": {"messages": [{**TEXT, "role": LONG}]},
    "a type of a part": {"messages": [{"role": "user", "content": [{"type": LONG}]}]},
    "an unknown field of a part": {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", LONG: 1}]}]},
    "a detail": {
        "messages": [
            {"role": "user", "content": [{"type": "image_file", "image_file": {"file_id": "f", "detail": LONG}}]}
        ]
    },
    "an address": {
        "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": LONG}}]}],
    },
    "the id of a file": {"messages": [{**TEXT, "attachments": [{"file_id": LONG, "tools": []}]}]},
    "a tool": {"messages": [{**TEXT, "attachments": [{"file_id": "f", "tools": [{"type": LONG}]}]}]},
    "a key of metadata": {"metadata": {LONG: "x"}},
    "a value of metadata": {"metadata": {"Z" * 64: LONG}},
    "a value of metadata that is no string": {"metadata": {"Z" * 64: [LONG]}},
    "a tool of a thread": {"tool_resources": {LONG: {}}},
    "an owner": {"owner": LONG},
}
CREATE: Final = "mutation ($input: CreateThreadInput!) { createThread(input: $input) { thread { id } } }"
THREADS: Final = "query ($after: String) { threads(after: $after) { nodes { id } } }"
DELETE: Final = "mutation ($id: ID!) { deleteMessage(input: {id: $id}) { deletedId } }"
DOCUMENTS: Final[dict[str, str]] = {
    "a field": f"{{ {LONG} }}",
    "many fields": "{ " + " ".join(f"{'Z' * 190}{n}" for n in range(90)) + " }",
    "an alias": f'{{ {LONG}: thread(id: "thread_1", after: 1) {{ id }} }}',
    "an argument": f"{{ threads({LONG}: 1) {{ nodes {{ id }} }} }}",
    "a directive": f"{{ threads @{LONG} {{ nodes {{ id }} }} }}",
    "a fragment": f"{{ ...{LONG} }}",
    "a type": f"{{ ... on {LONG} {{ id }} }}",
    "a variable": f"query (${LONG}: Int) {{ __typename }}",
    "a variable that is not there": f"{{ threads(first: ${LONG}) {{ nodes {{ id }} }} }}",
    "a type of a variable": f"query ($a: {LONG}) {{ __typename }}",
    "two operations of one name": f"query {LONG} {{ __typename }} query {LONG} {{ __typename }}",
    "a string for a number": f'{{ threads(first: "{LONG}") {{ nodes {{ id }} }} }}',
    "a string that does not end": f'{{ threads(first: "{LONG}',
    "a word for a number": f"{{ threads(order: {'Z' * 200}) {{ nodes {{ id }} }} }}",
    "a number of many digits": f"{{ threads(first: {LONG.replace('Z', '9')}) {{ nodes {{ id }} }} }}",
    "an object for a number": f'{{ threads(first: {{a: "{LONG}"}}) {{ nodes {{ id }} }} }}',
    "a list for a number": "{ threads(first: [" + f'"{"Z" * 300}" ' * 30 + "]) { nodes { id } } }",
    "no document": f"{LONG} {{",
    "a character that is none": "{ \u2603" + LONG + " }",
    "names that are near": f"{{ threads{'Z' * 150} {{ threads{'Z' * 150}: id }} }}",
}
VARIABLES: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "an unknown field": (CREATE, {"input": {LONG: 1}}),
    "a word of an enum": (CREATE, {"input": {"messages": [{"role": LONG, "content": {"text": "x"}}]}}),
    "a string for an object": (CREATE, {"input": LONG}),
    "an object for a string": (CREATE, {"input": {"messages": [{"role": "USER", "content": {"text": {LONG: LONG}}}]}}),
    "many strings for a string": (CREATE, {"input": {"owner": ["Z" * 300] * 50}}),
    "a key of metadata": (CREATE, {"input": {"metadata": {LONG: "x"}}}),
    "a value of metadata": (CREATE, {"input": {"metadata": {"Z" * 64: [LONG]}}}),
    "a tool": (CREATE, {"input": {"toolResources": {LONG: 1}}}),
    "an owner": (CREATE, {"input": {"owner": LONG}}),
    "a cursor": (THREADS, {"after": LONG}),
    "a list for an id": (DELETE, {"id": [LONG] * 20}),
    "an id": (DELETE, {"id": LONG}),
    "an id with its prefix": (DELETE, {"id": f"msg_{LONG}"}),
}
PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "the name of an operation": {"query": "{ __typename }", "operationName": LONG},
    "the id of a document": {"documentId": LONG},
    "an unknown parameter": {LONG: LONG},
    "a query that is a list": {"query": [LONG]},
    "a hash": {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": LONG}}},
}


@pytest.fixture(scope="module")
def client(live_server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=live_server.base_url, timeout=patience(60), trust_env=False) as client:
        yield client


def repeated(answer: httpx.Response, sent: str = "Z") -> int:
    """Count what an error, whole with its `param`, repeats; of several errors, the one that repeats most."""
    assert answer.status_code >= 400 or "errors" in answer.json()
    told = answer.json()
    errors = told.get("errors") or [told["error"]]
    return max(json.dumps(each).count(sent) for each in errors)


@pytest.mark.parametrize("name", PATHS)
def test_an_error_on_a_path_repeats_little(client: httpx.Client, name: str) -> None:
    assert repeated(client.get(PATHS[name])) <= MOST


@pytest.mark.parametrize("name", PATHS)
def test_an_error_on_a_method_repeats_little(client: httpx.Client, name: str) -> None:
    assert repeated(client.put(PATHS[name])) <= MOST


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("path", ["/v1/threads/thread_1", "/graphql"])
def test_an_error_on_a_header_repeats_little(client: httpx.Client, path: str, name: str) -> None:
    assert repeated(client.get(path, headers=HEADERS[name])) <= MOST


@pytest.mark.parametrize("name", BODIES)
def test_an_error_on_a_body_repeats_little(client: httpx.Client, name: str) -> None:
    assert repeated(client.post("/v1/threads", json=BODIES[name])) <= MOST


@pytest.mark.parametrize("name", DOCUMENTS)
def test_an_error_in_a_document_repeats_little(client: httpx.Client, name: str) -> None:
    answer = client.post("/graphql", json={"query": DOCUMENTS[name]})

    assert max(repeated(answer), repeated(answer, "9")) <= MOST


@pytest.mark.parametrize("name", VARIABLES)
def test_an_error_in_variables_repeats_little(client: httpx.Client, name: str) -> None:
    document, variables = VARIABLES[name]

    assert repeated(client.post("/graphql", json={"query": document, "variables": variables})) <= MOST


@pytest.mark.parametrize("name", PARAMETERS)
def test_an_error_in_parameters_repeats_little(client: httpx.Client, name: str) -> None:
    assert repeated(client.post("/graphql", json=PARAMETERS[name])) <= MOST


async def test_an_operation_with_a_long_id_ends_the_connection_without_it(live_server: Server) -> None:
    longest = "Z" * bounds.OPERATION_ID.number
    async with socket_to(live_server.base_url) as socket:
        await socket.subscribe("{", longest)
        assert (await socket.receive())["id"] == longest

        await socket.subscribe("{", f"{longest}Z")
        code, reason = await socket.end()
        assert (str(code), "Z" in reason) == (bounds.OPERATION_ID.code, False)
