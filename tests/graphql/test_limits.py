from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from graphql import get_introspection_query, parse

from gateway.domain import bounds
from gateway.graphql.documents.limits import Limits, check_document, check_variables, parse_within
from gateway.graphql.refusal import Refused
from gateway.store.store import open_store
from tests.graphql.attacks import DOCUMENTS, VARIABLES
from tests.graphql.serving import URL, serving, statements_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from gateway.store.store import Store

pytestmark = pytest.mark.counted

CPU_S = 0.1 * (3 if sys.gettrace() else 1)  # for any refusal; who measures coverage follows each line
TRIES = 4  # the best counts: what else the machine does at the same time is no fault of ours

EVERYTHING = """
query Everything($first: Int, $after: String) {
  threads(first: $first, after: $after) {
    edges { cursor node {
      id createdAt metadata toolResources
      messages(last: 20) {
        totalCount
        edges { cursor node { ...Everything } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
      }
    } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
fragment Everything on Message {
  id threadId createdAt role status text metadata runId assistantId completedAt incompleteAt incompleteReason
  content {
    __typename
    ... on TextContent { type text { value annotations {
      __typename
      ... on FileCitation { text startIndex endIndex fileId quote }
      ... on FilePath { text startIndex endIndex fileId }
    } } }
    ... on ImageFileContent { type imageFile { fileId detail } }
    ... on ImageUrlContent { type imageUrl { url detail } }
    ... on RefusalContent { type refusal }
  }
  attachments { fileId tools }
  thread { id }
}
"""


@pytest.fixture
async def sqlite_store(sqlite_url: str) -> AsyncIterator[Store]:
    opened = open_store(sqlite_url)
    yield opened
    await opened.close()


@pytest.fixture
async def http(sqlite_store: Store) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(sqlite_store) as client:
        await client.post(URL, json={"query": "{ __typename }"})  # what is made once is not the document's cost
        yield client


async def cpu_of_refusal(http: httpx.AsyncClient, document: str, variables: str) -> tuple[float, Any]:
    """Send a document some times, each time as one that was never seen, and give the best time and the last error."""
    best = CPU_S * 100
    answer: Any = None
    for attempt in range(TRIES):
        text = document + " " * attempt
        body = b'{"query": %s, "variables": %s}' % (_json(text), variables.encode())
        started = time.process_time()
        response = await http.post(URL, content=body, headers={"content-type": "application/json"})
        best = min(best, time.process_time() - started)
        answer = response.json()
        if best < CPU_S / 4:
            break
    return best, answer["errors"][0]


def _json(text: str) -> bytes:
    return b'"' + text.replace('"', '\\"').replace("\n", "\\n").encode() + b'"'


@pytest.mark.parametrize(("document", "code"), [pytest.param(text, code, id=name) for name, text, code in DOCUMENTS])
async def test_attack_is_refused_quickly_without_a_statement(
    http: httpx.AsyncClient, sqlite_store: Store, document: str, code: str
) -> None:
    with statements_of(sqlite_store) as statements:
        spent_s, error = await cpu_of_refusal(http, document, "null")

    assert error["extensions"]["code"] == code
    assert spent_s < CPU_S
    assert statements == []


@pytest.mark.parametrize(("document", "variables", "code"), [pytest.param(*rest, id=name) for name, *rest in VARIABLES])
async def test_large_variables_are_refused_quickly_without_a_statement(
    http: httpx.AsyncClient, sqlite_store: Store, document: str, variables: str, code: str
) -> None:
    with statements_of(sqlite_store) as statements:
        spent_s, error = await cpu_of_refusal(http, document, variables)

    assert error["extensions"]["code"] == code
    assert spent_s < CPU_S
    assert statements == []


@pytest.mark.parametrize(
    "document", ["{ " + "a" * 14_000 + " }", '{ threads(first: "' + "a" * 14_000 + '") { nodes { id } } }']
)
async def test_error_repeats_little_of_the_request(http: httpx.AsyncClient, document: str) -> None:
    [error] = (await http.post(URL, json={"query": document})).json()["errors"]

    assert error["message"].count("aa") * 2 <= bounds.SHOWN.number


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(EVERYTHING, id="everything that there is"),
        pytest.param(get_introspection_query(input_value_deprecation=True), id="GraphiQL's introspection"),
        pytest.param(
            "{ threads { nodes { "
            + " ".join(f"...f{n}" for n in range(25))
            + " } } }"
            + " ".join(f"fragment f{n} on Thread {{ id createdAt __typename }}" for n in range(25)),
            id="25 components in one place, three fields each in common",
        ),
        pytest.param("{ " + " ".join(f"a{n}: thread(id: {n}) {{ id }}" for n in range(20)) + " }", id="20 threads"),
    ],
)
async def test_ordinary_document_passes(http: httpx.AsyncClient, document: str) -> None:
    answer = (await http.post(URL, json={"query": document})).json()

    assert "errors" not in answer


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        pytest.param(Limits(depth=4), "too_deep", id="depth"),
        pytest.param(Limits(name=7), "document_too_large", id="a name"),
        pytest.param(Limits(fields=8), "too_many_fields", id="fields"),
        pytest.param(Limits(aliases=1), "too_many_aliases", id="aliases"),
        pytest.param(Limits(root_fields=1), "too_many_root_fields", id="root fields"),
        pytest.param(Limits(directives=0), "too_many_directives", id="directives"),
        pytest.param(Limits(pairs=0), "too_many_fields", id="pairs"),
        pytest.param(Limits(value_depth=0), "too_deep", id="lists and objects"),
    ],
)
def test_document_limit_is_inclusive(limits: Limits, code: str) -> None:
    document = parse(
        '{ a: threads { nodes { ...m } } b: nodes(ids: ["x"]) { id @skip(if: false) id } }'
        " fragment m on Thread { messages { nodes { id } } }"
    )
    on_limit = Limits(depth=5, fields=11, aliases=2, root_fields=2, directives=1, pairs=1, value_depth=1, name=8)
    check_document(document, on_limit)

    with pytest.raises(Refused) as caught:
        check_document(document, limits)

    [error] = caught.value.errors
    assert error.extensions is not None
    assert error.extensions["code"] == code


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param(Limits(tokens=4), id="tokens"),
        pytest.param(Limits(comments=0), id="comments"),
        pytest.param(Limits(characters=10), id="characters"),
    ],
)
def test_text_limit_is_inclusive(limits: Limits) -> None:
    text = "{ a b c } #"
    parse_within(text, Limits(tokens=5, comments=1, characters=11))

    with pytest.raises(Refused) as caught:
        parse_within(text, limits)

    [error] = caught.value.errors
    assert error.extensions is not None
    assert error.extensions["code"] == "document_too_large"


def test_unused_fragment_is_measured() -> None:
    document = parse("{ id } fragment a on Thread { a: id b: id }")

    with pytest.raises(Refused):
        check_document(document, Limits(aliases=1))


@pytest.mark.parametrize(
    ("variables", "limits"),
    [
        pytest.param({"a": [[1]]}, Limits(value_depth=2), id="depth"),
        pytest.param({"a": [1, 2, 3]}, Limits(values=3), id="values"),
    ],
)
def test_variables_above_a_limit_are_refused(variables: dict[str, Any], limits: Limits) -> None:
    check_variables(variables, Limits(value_depth=3, values=4))

    with pytest.raises(Refused):
        check_variables(variables, limits)
