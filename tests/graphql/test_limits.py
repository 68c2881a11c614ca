from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from graphql import get_introspection_query, parse

from gateway.domain import bounds
from gateway.errors import InvalidRequest
from gateway.graphql.documents.limits import check_document, check_variables, parse_within_limits
from gateway.graphql.refusal import Refused
from gateway.store.store import open_store
from tests.graphql.attacks import DOCUMENTS, VARIABLES
from tests.graphql.serving import URL, serving, statements_of
from tests.pace import patience

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import httpx

    from gateway.domain.bounds import Bound
    from gateway.store.store import Store

pytestmark = pytest.mark.counted

CPU_S = patience(0.3 if sys.gettrace() else 0.1)  # for any refusal; who measures coverage follows each line
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


def _nested(levels: int) -> str:
    return "{ a " * levels + "}" * levels


def _fields(count: int) -> str:
    """Write so many fields, most of them in spreads of a fragment, which counts by itself too."""
    each = " ".join(f"a{n}" for n in range(499))
    others = " ".join(f"b{n}" for n in range(count - 1 - 10 * 499))
    return f"{{ a {{ {'...f ' * 9} {others} }} }} fragment f on Query {{ {each} }}"


def _pairs(count: int) -> str:
    """Write so many pairs of fields with one name: of n fields there are n * (n - 1) / 2."""
    pairs_of_63 = 63 * 62 // 2
    two_each = " ".join(f"b{n} b{n}" for n in range(count - pairs_of_63))
    return f"{{ t {{ {'a ' * 63} {two_each} }} }}"


@pytest.mark.parametrize(
    ("write", "limit", "code"),
    [
        pytest.param(_nested, bounds.DEPTH, "too_deep", id="depth"),
        pytest.param(lambda n: f"{{ {'a' * n} }}", bounds.NAME, "document_too_large", id="a name"),
        pytest.param(_fields, bounds.FIELDS, "too_many_fields", id="fields"),
        pytest.param(
            lambda n: f"{{ a {{ {' '.join(f'a{m}: b' for m in range(n))} }} }}",
            bounds.ALIASES,
            "too_many_aliases",
            id="aliases",
        ),
        pytest.param(
            lambda n: "{ a } fragment f on Query { " + " ".join(f"a{m}: b" for m in range(n)) + " }",
            bounds.ALIASES,
            "too_many_aliases",
            id="aliases of a fragment that is not used",
        ),
        pytest.param(
            lambda n: f"{{ {' '.join(f'a{m}' for m in range(n))} }}",
            bounds.ROOT_FIELDS,
            "too_many_root_fields",
            id="root fields",
        ),
        pytest.param(lambda n: f"{{ a {'@b ' * n} }}", bounds.DIRECTIVES, "too_many_directives", id="directives"),
        pytest.param(_pairs, bounds.PAIRS, "too_many_fields", id="pairs"),
        pytest.param(
            lambda n: f"{{ a(b: {'[' * n}{']' * n}) }}", bounds.VALUE_DEPTH, "too_deep", id="lists and objects"
        ),
    ],
)
def test_document_limit_is_inclusive(write: Callable[[int], str], limit: Bound, code: str) -> None:
    check_document(parse(write(limit.number)))

    with pytest.raises(Refused) as caught:
        check_document(parse(write(limit.number + 1)))

    [error] = caught.value.errors
    assert error.extensions == {"code": code, "param": None, "type": InvalidRequest.type, "limit": limit.number}


@pytest.mark.parametrize(
    ("write", "limit"),
    [
        pytest.param(lambda n: f"{{ {'a ' * (n - len('{}'))} }}", bounds.TOKENS, id="tokens"),
        pytest.param(lambda n: "{ a }" + "#\n" * n, bounds.COMMENTS, id="comments"),
        pytest.param("{ a }".ljust, bounds.DOCUMENT, id="characters"),
    ],
)
def test_text_limit_is_inclusive(write: Callable[[int], str], limit: Bound) -> None:
    parse_within_limits(write(limit.number))

    with pytest.raises(Refused) as caught:
        parse_within_limits(write(limit.number + 1))

    [error] = caught.value.errors
    assert error.extensions is not None
    assert error.extensions["code"] == "document_too_large"


@pytest.mark.parametrize(
    ("make", "limit"),
    [
        pytest.param(lambda n: {"a": json.loads("[" * (n - 1) + "]" * (n - 1))}, bounds.VALUE_DEPTH, id="depth"),
        pytest.param(lambda n: {"a": [1] * (n - 1)}, bounds.VARIABLE_VALUES, id="values"),
    ],
)
def test_variables_limit_is_inclusive(make: Callable[[int], dict[str, Any]], limit: Bound) -> None:
    check_variables(make(limit.number))

    with pytest.raises(Refused):
        check_variables(make(limit.number + 1))
