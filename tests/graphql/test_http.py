"""GraphQL over HTTP, beyond the audits of graphql-http (`test_audits`)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from gateway.domain import bounds

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.one_on_postgres

URL = "http://gateway/graphql"
NEW, OLD = "application/graphql-response+json", "application/json"
QUERY = {"query": "{ __typename }"}
MUTATION = "mutation { createThread(input: {}) { thread { id } } }"
JSON_BODY = {"content-type": OLD}
NO_FORM = {"graphql-require-preflight": "1"}  # what no page of another site can send unasked


def case(name: str, *values: Any) -> Any:
    return pytest.param(*values, id=name)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        case("application", "application/*", f"{OLD}; charset=utf-8"),
        case("the first that is spoken", f"text/html, {NEW}, {OLD}", f"{NEW}; charset=utf-8"),
        case("upper case and parameters", f"{NEW.upper()}; charset=utf-8", f"{NEW}; charset=utf-8"),
    ],
)
async def test_response_has_the_accepted_media_type(rest: httpx.AsyncClient, accept: str, content_type: str) -> None:
    answer = await rest.post(URL, json=QUERY, headers={"accept": accept})

    assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)


@pytest.mark.parametrize("accept", ["text/html", "image/png, text/plain"])
async def test_unacceptable_response_is_406(rest: httpx.AsyncClient, accept: str) -> None:
    answer = await rest.post(URL, json=QUERY, headers={"accept": accept})

    assert answer.status_code == 406


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_body_of_another_media_type_is_415(rest: httpx.AsyncClient, content_type: str) -> None:
    answer = await rest.post(URL, content=json.dumps(QUERY), headers={"content-type": content_type})

    assert answer.status_code == 415


@pytest.mark.parametrize("content_type", [f'{OLD};charset="UTF8"', OLD.upper()])
async def test_json_body_is_parsed(rest: httpx.AsyncClient, content_type: str) -> None:
    answer = await rest.post(URL, content=json.dumps(QUERY), headers={"content-type": content_type})

    assert answer.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
async def test_other_method_is_405_with_allow_header(rest: httpx.AsyncClient, method: str) -> None:
    answer = await rest.request(method, URL)

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


async def test_query_by_get_is_executed(rest: httpx.AsyncClient) -> None:
    asked = {
        "query": "query A($id: ID!) { a: node(id: $id) { id } } query B { b: __typename }",
        "variables": '{"id": "x"}',
        "operationName": "A",
    }

    answer = await rest.get(URL, params=asked, headers=NO_FORM)

    assert answer.json() == {"data": {"a": None}}


@pytest.mark.parametrize("accept", [NEW, OLD])
async def test_mutation_by_get_is_405_with_allow_post(rest: httpx.AsyncClient, accept: str) -> None:
    answer = await rest.get(URL, params={"query": MUTATION}, headers={"accept": accept, **NO_FORM})

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_mutation_by_get_writes_nothing(rest: httpx.AsyncClient) -> None:
    await rest.get(URL, params={"query": MUTATION}, headers=NO_FORM)

    assert (await rest.get("/threads")).json()["data"] == []


BAD_BODIES = [
    case("no object", b"[]"),
    case("query is null", b'{"query": null}'),
    case("half a surrogate", b'{"query": "{ __typename }", "variables": {"a": "\\ud800"}}'),
    case("no UTF-8", b'{"query": "\xff"}'),
]


@pytest.mark.parametrize("body", BAD_BODIES)
@pytest.mark.parametrize("accept", [NEW, OLD])
async def test_malformed_request_is_400(rest: httpx.AsyncClient, body: bytes, accept: str) -> None:
    answer = await rest.post(URL, content=body, headers={**JSON_BODY, "accept": accept})

    assert (answer.status_code, [*answer.json()]) == (400, ["errors"])


async def test_half_an_emoji_is_named_in_the_error(rest: httpx.AsyncClient) -> None:
    body = b'{"query": "{ __typename }", "variables": {"a": "\\ud83d"}}'

    [error] = (await rest.post(URL, content=body, headers=JSON_BODY)).json()["errors"]

    assert (error["extensions"]["code"], "half of an emoji" in error["message"]) == ("lone_surrogate", True)


async def test_an_array_where_batches_are_off_names_their_setting(rest: httpx.AsyncClient) -> None:
    [error] = (await rest.post(URL, json=[QUERY])).json()["errors"]

    assert "GATEWAY_GRAPHQL_BATCH" in error["message"]


async def test_unknown_parameters_are_ignored(rest: httpx.AsyncClient) -> None:
    answer = await rest.post(URL, json={**QUERY, "other": 1})

    assert answer.json() == {"data": {"__typename": "Query"}}


NEVER_RAN = [
    case("no such operation", {"query": "query A { __typename }", "operationName": "B"}),
    case("which operation", {"query": "query A { __typename } query B { __typename }"}),
    case(
        "variable of another type",
        {"query": "query($n: Int) { threads(first: $n) { nodes { id } } }", "variables": {"n": "a"}},
    ),
]


@pytest.mark.parametrize("body", NEVER_RAN)
@pytest.mark.parametrize(("accept", "status"), [(NEW, 400), (OLD, 200)])
async def test_refused_request_has_no_data(
    rest: httpx.AsyncClient, body: dict[str, Any], accept: str, status: int
) -> None:
    answer = await rest.post(URL, json=body, headers={"accept": accept})

    assert (answer.status_code, [*answer.json()]) == (status, ["errors"])


@pytest.mark.parametrize("accept", [NEW, OLD])
async def test_failed_execution_is_200_with_null(rest: httpx.AsyncClient, accept: str) -> None:
    answer = await rest.post(URL, json={"query": "{ threads(limit: 0) { nodes { id } } }"}, headers={"accept": accept})

    assert (answer.status_code, answer.json()["data"]) == (200, None)


@pytest.mark.parametrize("size", [bounds.GRAPHQL_BODY.number, bounds.GRAPHQL_BODY.number + 1])
async def test_body_above_the_limit_is_413(rest: httpx.AsyncClient, size: int) -> None:
    body = json.dumps(QUERY).encode().ljust(size)

    answer = await rest.post(URL, content=body, headers=JSON_BODY)

    assert answer.status_code == (200 if size == bounds.GRAPHQL_BODY.number else 413)


async def test_chunked_body_above_the_limit_is_413(rest: httpx.AsyncClient) -> None:
    async def chunks() -> Any:
        for _ in range(5):
            yield b" " * (1024 * 1024)

    answer = await rest.post(URL, content=chunks(), headers=JSON_BODY)

    assert answer.status_code == 413
    assert answer.json()["errors"][0]["extensions"]["code"] == "body_too_large"


async def test_browser_gets_an_html_page(rest: httpx.AsyncClient) -> None:
    answer = await rest.get(URL, headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})

    assert answer.headers["content-type"] == "text/html; charset=utf-8"


async def test_page_reflects_no_input(rest: httpx.AsyncClient) -> None:
    answer = await rest.get(URL, headers={"accept": "text/html", "host": "<script>"})

    assert "<script>" not in answer.text


async def test_every_response_has_a_request_id(rest: httpx.AsyncClient) -> None:
    answers = [await rest.post(URL, json=QUERY), await rest.put(URL), await rest.post(URL, content=b"")]

    ids = {each.headers["x-request-id"] for each in answers}
    assert len(ids) == 3
