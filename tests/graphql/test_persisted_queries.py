from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from gateway.graphql.documents.lru import LruCache
from gateway.graphql.documents.trusted import sha256
from tests.graphql.serving import RESPONSE, URL

if TYPE_CHECKING:
    import httpx

QUERY = "{ __typename }"
DATA = {"data": {"__typename": "Query"}}


def persisted(text: str) -> dict[str, Any]:
    """Write the extension that names a document by its hash."""
    return {"persistedQuery": {"version": 1, "sha256Hash": sha256(text)}}


async def test_an_unknown_hash_is_answered_with_the_words_that_clients_know(rest: httpx.AsyncClient) -> None:
    answer = await rest.post(URL, json={"extensions": persisted(QUERY)})

    [error] = answer.json()["errors"]
    assert (error["message"], error["extensions"]["code"]) == ("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND")


async def test_a_document_that_came_with_its_hash_is_known_by_the_hash(rest: httpx.AsyncClient) -> None:
    await rest.post(URL, json={"query": QUERY, "extensions": persisted(QUERY)})

    answer = await rest.post(URL, json={"extensions": persisted(QUERY)})

    assert answer.json() == DATA


async def test_the_hash_may_be_sent_by_get(rest: httpx.AsyncClient) -> None:
    preflighted = {"Apollo-Require-Preflight": "true"}
    extensions = json.dumps(persisted(QUERY))
    await rest.get(URL, params={"query": QUERY, "extensions": extensions}, headers=preflighted)

    answer = await rest.get(URL, params={"extensions": extensions}, headers=preflighted)

    assert answer.json() == DATA


async def test_a_document_that_came_without_a_hash_is_not_kept(rest: httpx.AsyncClient) -> None:
    await rest.post(URL, json={"query": QUERY})

    answer = await rest.post(URL, json={"extensions": persisted(QUERY)})

    assert answer.json()["errors"][0]["message"] == "PersistedQueryNotFound"


async def test_a_document_that_is_not_valid_is_not_kept(rest: httpx.AsyncClient) -> None:
    await rest.post(URL, json={"query": "{ nope }", "extensions": persisted("{ nope }")})

    answer = await rest.post(URL, json={"extensions": persisted("{ nope }")})

    assert answer.json()["errors"][0]["message"] == "PersistedQueryNotFound"


async def test_a_hash_of_something_else_is_refused_and_nothing_is_kept_by_it(rest: httpx.AsyncClient) -> None:
    lie = persisted("{ threads { nodes { id } } }")

    refused = await rest.post(URL, json={"query": QUERY, "extensions": lie}, headers=RESPONSE)
    after = await rest.post(URL, json={"extensions": lie})

    assert refused.status_code == 400
    assert refused.json()["errors"][0]["extensions"]["code"] == "persisted_query_hash_mismatch"
    assert after.json()["errors"][0]["message"] == "PersistedQueryNotFound"


@pytest.mark.parametrize(
    ("extension", "code"),
    [
        pytest.param({"version": 2, "sha256Hash": "a"}, "PERSISTED_QUERY_NOT_SUPPORTED", id="another version"),
        pytest.param("a", "PERSISTED_QUERY_NOT_SUPPORTED", id="no object"),
        pytest.param({"version": 1}, "bad_request", id="no hash"),
        pytest.param({"version": 1, "sha256Hash": 7}, "bad_request", id="a number"),
    ],
)
async def test_an_extension_that_is_none_of_version_1_is_refused(
    rest: httpx.AsyncClient, extension: Any, code: str
) -> None:
    answer = await rest.post(URL, json={"query": QUERY, "extensions": {"persistedQuery": extension}}, headers=RESPONSE)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["extensions"]["code"] == code


async def test_null_is_no_extension(rest: httpx.AsyncClient) -> None:
    answer = await rest.post(URL, json={"query": QUERY, "extensions": {"persistedQuery": None}})

    assert answer.json() == DATA


async def test_a_mutation_by_its_hash_is_not_run_by_get(rest: httpx.AsyncClient) -> None:
    mutation = "mutation { createThread(input: {}) { thread { id } } }"
    await rest.post(URL, json={"query": mutation, "extensions": persisted(mutation)})

    answer = await rest.get(
        URL, params={"extensions": json.dumps(persisted(mutation))}, headers={"Apollo-Require-Preflight": "1"}
    )

    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


def test_what_was_used_least_lately_makes_room() -> None:
    kept: LruCache[str] = LruCache(10)
    kept.put("a", "1", 5)
    kept.put("b", "2", 5)
    kept.get("a")

    kept.put("c", "3", 5)

    assert [kept.get(key) for key in "abc"] == ["1", None, "3"]


def test_what_is_too_heavy_alone_is_not_kept_and_pushes_nothing_out() -> None:
    kept: LruCache[str] = LruCache(10)
    kept.put("a", "1", 5)

    kept.put("b", "2", 11)

    assert [kept.get(key) for key in "ab"] == ["1", None]


def test_what_is_put_again_weighs_once() -> None:
    kept: LruCache[str] = LruCache(10)
    kept.put("a", "1", 5)

    for _ in range(5):
        kept.put("b", "2", 5)

    assert kept.get("a") == "1"
