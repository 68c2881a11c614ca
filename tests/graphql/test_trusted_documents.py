from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from gateway.errors import InvalidSetting
from gateway.graphql.documents.trusted import TrustedDocuments, TrustMode, load_trusted, sha256
from tests.graphql.serving import RESPONSE, URL, serving

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.store.store import Store

pytestmark = pytest.mark.one_on_postgres

TRUSTED = "query Kind { __typename }"
OTHER = "{ threads { nodes { id } } }"
DATA = {"data": {"__typename": "Query"}}

RELAY = {"5d41402abc4b2a76b9719d911017c592": TRUSTED}
APOLLO = {
    "format": "apollo-persisted-query-manifest",
    "version": 1,
    "operations": [{"id": "kind-1", "name": "Kind", "type": "query", "body": TRUSTED}],
}


def manifest(folder: Path, content: Any) -> str:
    """Write a manifest, and give its path."""
    file = folder / "manifest.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(file)


def trusting(mode: TrustMode) -> TrustedDocuments:
    """Trust one document, by the id `kind`."""
    return TrustedDocuments(mode, {"kind": TRUSTED, f"sha256:{sha256(TRUSTED)}": TRUSTED})


@pytest.mark.parametrize(
    ("content", "document_id"),
    [
        pytest.param(RELAY, "5d41402abc4b2a76b9719d911017c592", id="Relay"),
        pytest.param(APOLLO, "kind-1", id="Apollo"),
        pytest.param(APOLLO, f"sha256:{sha256(TRUSTED)}", id="by the hash that the appendix names"),
    ],
)
def test_manifest_is_loaded(tmp_path: Path, content: Any, document_id: str) -> None:
    found = load_trusted(manifest(tmp_path, content), "only")

    assert found.by_id[document_id] == TRUSTED
    assert found.mode is TrustMode.ONLY


@pytest.mark.parametrize(
    "document_id",
    [
        pytest.param("Kind", id="the name of the file"),
        pytest.param(sha256(TRUSTED), id="the hash"),
        pytest.param(f"sha256:{sha256(TRUSTED)}", id="the hash with its prefix"),
    ],
)
def test_folder_is_loaded(tmp_path: Path, document_id: str) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "Kind.graphql").write_text(TRUSTED)
    (tmp_path / "README.md").write_text("no document")

    assert load_trusted(str(tmp_path), "off").by_id[document_id] == TRUSTED


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("{", "is no JSON", id="no JSON"),
        pytest.param("[]", "neither", id="a list"),
        pytest.param({"a": 7}, "neither", id="a number for a text"),
        pytest.param({}, "no documents", id="nothing"),
        pytest.param(APOLLO | {"version": 2}, "version 2", id="another version"),
        pytest.param(APOLLO | {"operations": [{"id": "a"}]}, "a body", id="an operation without a body"),
    ],
)
def test_invalid_manifest_is_an_error(tmp_path: Path, content: Any, expected: str) -> None:
    with pytest.raises(InvalidSetting, match=expected):
        load_trusted(manifest(tmp_path, content), "off")


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="cannot be read"):
        load_trusted(str(tmp_path / "none.json"), "off")


def test_two_files_with_the_same_name_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.graphql").write_text("{ a }")
    (tmp_path / "a.gql").write_text("{ b }")

    with pytest.raises(InvalidSetting, match="named a"):
        load_trusted(str(tmp_path), "off")


def test_mode_without_documents_is_an_error() -> None:
    with pytest.raises(InvalidSetting, match="GATEWAY_TRUSTED_MODE is only"):
        load_trusted("", "only")


@pytest.mark.parametrize("parameter", ["documentId", "doc_id", "id"])
@pytest.mark.parametrize("mode", list(TrustMode))
async def test_trusted_document_is_executed_by_id(store: Store, mode: TrustMode, parameter: str) -> None:
    async with serving(store, trusted=trusting(mode)) as http:
        answer = await http.post(URL, json={parameter: "kind"})

    assert answer.json() == DATA


async def test_trusted_document_is_executed_by_get(store: Store) -> None:
    async with serving(store, trusted=trusting(TrustMode.ONLY)) as http:
        answer = await http.get(URL, params={"documentId": "kind"}, headers={"GraphQL-Require-Preflight": "1"})

    assert answer.json() == DATA


async def test_apollo_hash_can_be_a_trusted_id(store: Store) -> None:
    async with serving(store, trusted=trusting(TrustMode.ONLY)) as http:
        answer = await http.post(URL, json={"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "kind"}}})

    assert answer.json() == DATA


async def test_unknown_document_id_is_refused(store: Store) -> None:
    async with serving(store, trusted=trusting(TrustMode.OFF)) as http:
        answer = await http.post(URL, json={"documentId": "none"}, headers=RESPONSE)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["extensions"]["code"] == "document_not_found"


async def test_id_with_document_is_refused(store: Store) -> None:
    async with serving(store, trusted=trusting(TrustMode.OFF)) as http:
        answer = await http.post(URL, json={"documentId": "kind", "query": TRUSTED})

    assert answer.status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"query": OTHER}, id="a text"),
        pytest.param(
            {"query": OTHER, "extensions": {"persistedQuery": {"version": 1, "sha256Hash": sha256(OTHER)}}},
            id="a text with its hash",
        ),
        pytest.param({"extensions": {"persistedQuery": {"version": 1, "sha256Hash": sha256(OTHER)}}}, id="a hash"),
    ],
)
async def test_mode_only_refuses_untrusted_documents(store: Store, body: Any) -> None:
    async with serving(store, trusted=trusting(TrustMode.ONLY)) as http:
        answer = await http.post(URL, json=body, headers=RESPONSE)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["extensions"]["code"] == "document_not_trusted"


async def test_trusted_text_is_executed(store: Store) -> None:
    async with serving(store, trusted=trusting(TrustMode.ONLY)) as http:
        answer = await http.post(URL, json={"query": TRUSTED})

    assert answer.json() == DATA


async def test_mode_log_warns_once_per_untrusted_document(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "gateway.graphql.documents.persisted")
    async with serving(store, trusted=trusting(TrustMode.LOG)) as http:
        answers = [await http.post(URL, json={"query": text}) for text in (OTHER, OTHER, TRUSTED)]

    assert all("errors" not in answer.json() for answer in answers)
    [record] = caplog.records
    assert sha256(OTHER) in record.getMessage()
    assert OTHER in record.getMessage()
