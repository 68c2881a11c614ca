from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from graphql import GraphQLError

from gateway import errors
from gateway.app import serve_store
from gateway.errors import GatewayError, InvalidRequest, NotFound, OperatorError, Unavailable
from gateway.graphql.errors import CODES, format_errors
from gateway.store.store import open_store
from tests.faces import GraphQL
from tests.make import make_thread, put_message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.core import Store
    from gateway.domain.principal import Principal

REQUEST_ID = "req_0"
FAULTS = [
    (InvalidRequest("no", param="a", code="bad"), {"code": "bad", "param": "a", "type": "invalid_request_error"}),
    (InvalidRequest("no"), {"code": "invalid_request", "param": None, "type": "invalid_request_error"}),
    (NotFound("thread", "thread_x"), {"code": "not_found", "param": None, "type": "invalid_request_error"}),
    (Unavailable("later"), {"code": "unavailable", "param": None, "type": "server_error"}),
]


@pytest.mark.parametrize(("fault", "extensions"), FAULTS, ids=lambda each: type(each).__name__)
def test_gateway_error_has_its_extensions(fault: GatewayError, extensions: dict[str, Any]) -> None:
    [formatted] = format_errors([GraphQLError(fault.message, path=["a"], original_error=fault)], REQUEST_ID)

    assert formatted == {"message": fault.message, "path": ["a"], "extensions": extensions}


def test_graphql_error_is_unchanged() -> None:
    [formatted] = format_errors([GraphQLError("Syntax Error: Unexpected <EOF>.")], REQUEST_ID)

    assert formatted["message"] == "Syntax Error: Unexpected <EOF>."
    assert formatted["extensions"] == {"code": "graphql_error", "param": None, "type": "invalid_request_error"}


def test_unexpected_error_is_masked() -> None:
    [formatted] = format_errors(
        [GraphQLError("secret", path=["thread"], original_error=RuntimeError("secret"))], REQUEST_ID
    )

    assert "secret" not in str(formatted)
    assert formatted["extensions"] == {"code": "internal", "param": None, "type": "server_error"}


def test_every_core_error_has_a_code() -> None:
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GatewayError)}
    of_http = {errors.UnknownUrl, errors.WrongMethod, errors.UnknownHost, errors.CrossSite}
    of_http |= {errors.BodyTooLarge, errors.UnsupportedCoding}

    assert {kind for kind in kinds if not issubclass(kind, OperatorError)} - of_http - {GatewayError} == set(CODES)


async def test_masked_error_has_the_request_id_of_log_and_header(
    store: Store, who: Principal, rest: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    broken = await put_message(store, who, await make_thread(store, who), content=[{"type": "hologram"}])
    text = "query($id: ID!) { node(id: $id) { ... on Message { content { __typename } } } }"
    query = {"query": text, "variables": {"id": broken.id}}

    with caplog.at_level(logging.ERROR, "gateway.graphql.errors"):
        answer = await rest.post("http://gateway/graphql", json=query)

    [error] = answer.json()["errors"]
    named = re.search(r"req_\w+", error["message"])
    assert named is not None
    assert named[0] == answer.headers["x-request-id"]
    assert named[0] in caplog.text
    assert "hologram" in caplog.text
    assert "hologram" not in answer.text


async def test_database_without_tables_is_a_masked_error(bare: GraphQL) -> None:
    error = await bare.refusal("{ threads { nodes { id } } }")

    assert error["extensions"]["code"] == "internal"


@pytest.fixture
async def bare(empty_database_url: str) -> AsyncIterator[GraphQL]:
    store = open_store(empty_database_url)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(serve_store(store))) as client:
        yield GraphQL(client)
    await store.close()
