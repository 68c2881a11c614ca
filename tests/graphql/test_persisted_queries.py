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


async def test_unknown_hash_is_persisted_query_not_found(rest: httpx.AsyncClient) -> None:
    answer = await rest.post(URL, json={"extensions": persisted(QUERY)})

    [error] = answer.json()["errors"]
    assert (error["message"], error["extensions"]["code"]) == ("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND")


async def test_document_sent_with_its_hash_is_persisted(rest: httpx.AsyncClient) -> None:
    await rest.post(URL, json={"query": QUERY, "extensions": persisted(QUERY)})

    answer = await rest.post(URL, json={"extensions": persisted(QUERY)})

    assert answer.json() == DATA


async def test_hash_by_get_is_executed(rest: httpx.AsyncClient) -> None:
    preflighted = {"Apollo-Require-Preflight": "true"}
    extensions = json.dumps(persisted(QUERY))
    await rest.get(URL, params={"query": QUERY, "extensions": extensions}, headers=preflighted)

    answer = await rest.get(URL, params={"extensions": extensions}, headers=preflighted)

    assert answer.json() == DATA


async def test_document_without_hash_is_not_persisted(rest: httpx.AsyncClient) -> None:
    await rest.post(URL, json={"query": QUERY})

    answer = await rest.post(URL, json={"extensions": persisted(QUERY)})

    assert answer.json()["errors"][0]["message"] == "PersistedQueryNotFound"


async def test_invalid_document_is_not_persisted(rest: httpx.AsyncClient) -> None:
    await rest.post(URL, json={"query": "{ nope }", "extensions": persisted("{ nope }")})

    answer = await rest.post(URL, json={"extensions": persisted("{ nope }")})

    assert answer.json()["errors"][0]["message"] == "PersistedQueryNotFound"


async def test_wrong_hash_is_refused_and_not_persisted(rest: httpx.AsyncClient) -> None:
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
async def test_other_version_of_the_extension_is_refused(rest: httpx.AsyncClient, extension: Any, code: str) -> None:
    answer = await rest.post(URL, json={"query": QUERY, "extensions": {"persistedQuery": extension}}, headers=RESPONSE)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["extensions"]["code"] == code


async def test_null_extension_is_ignored(rest: httpx.AsyncClient) -> None:
    answer = await rest.post(URL, json={"query": QUERY, "extensions": {"persistedQuery": None}})

    assert answer.json() == DATA


async def test_persisted_mutation_by_get_is_refused(rest: httpx.AsyncClient) -> None:
    mutation = "mutation { createThread(input: {}) { thread { id } } }"
    await rest.post(URL, json={"query": mutation, "extensions": persisted(mutation)})

    answer = await rest.get(
        URL, params={"extensions": json.dumps(persisted(mutation))}, headers={"Apollo-Require-Preflight": "1"}
    )

    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


def test_least_recently_used_entry_is_evicted() -> None:
    kept: LruCache[str] = LruCache(10)
    kept.put("a", "1", 5)
    kept.put("b", "2", 5)
    kept.get("a")

    kept.put("c", "3", 5)

    assert [kept.get(key) for key in "abc"] == ["1", None, "3"]


def test_too_heavy_entry_is_not_stored() -> None:
    kept: LruCache[str] = LruCache(10)
    kept.put("a", "1", 5)

    kept.put("b", "2", 11)

    assert [kept.get(key) for key in "ab"] == ["1", None]


def test_replaced_entry_is_weighed_once() -> None:
    kept: LruCache[str] = LruCache(10)
    kept.put("a", "1", 5)

    for _ in range(5):
        kept.put("b", "2", 5)

    assert kept.get("a") == "1"
