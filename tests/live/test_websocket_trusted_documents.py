"""Documents by their ids as graphql-ws sends them: it must send a string as `query`, and sends an empty one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from gateway.graphql.documents.trusted import sha256
from tests.following import PATIENCE_S
from tests.live.server import serving
from tests.live.subscribing import socket_to

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.live.server import Server

_TRUSTED: Final = "query Kind { __typename }"
_DATA: Final = {"data": {"__typename": "Query"}}
_HASH: Final = {"persistedQuery": {"version": 1, "sha256Hash": sha256(_TRUSTED)}}
_NAMED: Final[dict[str, dict[str, Any]]] = {
    "an id beside an empty query": {"query": "", "documentId": sha256(_TRUSTED)},
    "an id beside null": {"query": None, "documentId": sha256(_TRUSTED)},
    "Relay's id": {"query": "", "doc_id": sha256(_TRUSTED)},
    "a hash beside an empty query": {"query": "", "extensions": _HASH},
}
_named: Final = pytest.mark.parametrize("parameters", _NAMED.values(), ids=list(_NAMED))


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve with one trusted document, and no other."""
    folder = tmp_path_factory.mktemp("trusting")
    (folder / "docs").mkdir()
    (folder / "docs" / "kind.graphql").write_text(_TRUSTED)
    given = {"GATEWAY_TRUSTED_DOCUMENTS": "docs", "GATEWAY_TRUSTED_MODE": "only"}
    with serving(f"sqlite:///{folder / 'threads.db'}", folder=folder, given=given) as server:
        yield server


@_named
async def test_trusted_document_is_executed_over_websocket(trusting: Server, parameters: dict[str, Any]) -> None:
    async with socket_to(trusting.base_url) as socket:
        await socket.send("subscribe", id="1", payload={**parameters, "variables": {}})

        assert await socket.receive() == {"id": "1", "type": "next", "payload": _DATA}


@_named
async def test_trusted_document_is_executed_over_http(trusting: Server, parameters: dict[str, Any]) -> None:
    async with httpx.AsyncClient(base_url=trusting.base_url, timeout=PATIENCE_S) as http:
        answer = await http.post("/graphql", json=parameters)

    assert answer.json() == _DATA


async def test_trusted_document_is_executed_by_get(trusting: Server) -> None:
    params = {"query": "", "documentId": sha256(_TRUSTED)}
    async with httpx.AsyncClient(base_url=trusting.base_url, timeout=PATIENCE_S) as http:
        answer = await http.get("/graphql", params=params, headers={"graphql-require-preflight": "1"})

    assert answer.json() == _DATA


async def test_empty_query_without_an_id_is_not_trusted(trusting: Server) -> None:
    async with socket_to(trusting.base_url) as socket:
        await socket.send("subscribe", id="1", payload={"query": ""})
        refused = await socket.receive()

        assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", "document_not_trusted")
