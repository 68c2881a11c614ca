from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.graphql.serving import URL, serving, statements_of

if TYPE_CHECKING:
    import httpx

    from gateway.store.store import Store

pytestmark = [pytest.mark.counted, pytest.mark.one_on_postgres]

QUERY = {"query": "{ threads { nodes { id } } }"}
SITE_OF_ANOTHER = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="nothing is known"),
        pytest.param({"accept": "application/graphql-response+json"}, id="an accept header, which pages may set"),
        pytest.param(SITE_OF_ANOTHER | {"sec-fetch-mode": "cors"}, id="fetch of another site"),
        pytest.param({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, id="an image of another site"),
        pytest.param({"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"}, id="an image of a sister site"),
        pytest.param({"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}, id="no origin, yet another site"),
        pytest.param({"sec-fetch-mode": "cors", "origin": "null"}, id="the origin of a sandbox"),
        pytest.param({"sec-fetch-mode": "no-cors"}, id="a request that shows no origin"),
        pytest.param({"content-type": "text/plain"}, id="a simple content type"),
        pytest.param({"origin": "https://evil.example"}, id="an origin in an old browser"),
    ],
)
async def test_simple_cross_site_get_is_refused(rest: httpx.AsyncClient, store: Store, headers: dict[str, str]) -> None:
    with statements_of(store) as statements:
        answer = await rest.get(URL, params=QUERY, headers=headers)

    assert answer.status_code == 403
    assert answer.json()["errors"][0]["extensions"]["code"] == "cross_site_request"
    assert statements == []


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"GraphQL-Require-Preflight": "1"}, id="our header"),
        pytest.param({"Apollo-Require-Preflight": "true"}, id="Apollo's header"),
        pytest.param({"X-Apollo-Operation-Name": "Q"}, id="Apollo's older header"),
        pytest.param({"content-type": "application/json"}, id="a JSON content type"),
        pytest.param(SITE_OF_ANOTHER | {"GraphQL-Require-Preflight": "1"}, id="an allowed other site"),
        pytest.param({"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}, id="a page of ours"),
        pytest.param({"sec-fetch-site": "none", "sec-fetch-mode": "navigate"}, id="an address that was typed"),
        pytest.param({"sec-fetch-mode": "cors"}, id="fetch outside of a browser, as the audits use it"),
    ],
)
async def test_preflighted_get_is_answered(rest: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await rest.get(URL, params=QUERY, headers=headers)

    assert answer.status_code == 200
    assert answer.json() == {"data": {"threads": {"nodes": []}}}


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a", "", "application/jsonp"],
)
async def test_form_post_is_refused(rest: httpx.AsyncClient, content_type: str) -> None:
    headers = {"content-type": content_type, "GraphQL-Require-Preflight": "1"}

    answer = await rest.post(URL, content=b'{"query": "{ __typename }"}', headers=headers)

    assert answer.status_code == 415


async def test_cross_site_preflight_is_refused(rest: httpx.AsyncClient) -> None:
    headers = {**SITE_OF_ANOTHER, "access-control-request-method": "POST"}

    answer = await rest.options(URL, headers=headers)

    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


async def test_cross_site_link_opens_graphiql(rest: httpx.AsyncClient) -> None:
    headers = {"accept": "text/html,*/*;q=0.8", "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}

    answer = await rest.get(URL, headers=headers)

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        pytest.param(None, "application/json", id="nothing"),
        pytest.param("*/*", "application/json", id="anything"),
        pytest.param("application/*", "application/json", id="any application"),
        pytest.param("application/graphql-response+json", "application/graphql-response+json", id="the new one"),
        pytest.param(
            "application/json;q=0.5, application/graphql-response+json;q=0.9",
            "application/graphql-response+json",
            id="the heavier one",
        ),
        pytest.param(
            "application/graphql-response+json;q=0.4, application/json", "application/json", id="one is heavier"
        ),
        pytest.param(
            "application/graphql-response+json, application/json;q=0.9",
            "application/graphql-response+json",
            id="as Apollo and graphql-http ask",
        ),
        pytest.param(
            "application/json, application/graphql-response+json", "application/json", id="the first of equals"
        ),
        pytest.param(
            "*/*, application/graphql-response+json", "application/graphql-response+json", id="named of equals"
        ),
        pytest.param("application/json;q=0, */*", "application/graphql-response+json", id="not the one"),
        pytest.param("text/html, */*;q=0.1", "application/json", id="little is enough"),
        pytest.param("APPLICATION/JSON; charset=UTF-8", "application/json", id="capitals and parameters"),
    ],
)
async def test_media_type_of_highest_quality_is_used(
    rest: httpx.AsyncClient, accept: str | None, expected: str
) -> None:
    request = rest.build_request("POST", URL, json={"query": "{ __typename }"})
    del request.headers["accept"]
    if accept is not None:
        request.headers["accept"] = accept

    answer = await rest.send(request)

    assert answer.headers["content-type"] == f"{expected}; charset=utf-8"


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "application/json;q=x", "*/*;q=0"])
async def test_unacceptable_media_type_is_406(rest: httpx.AsyncClient, accept: str) -> None:
    answer = await rest.post(URL, json={"query": "{ __typename }"}, headers={"accept": accept})

    assert answer.status_code == 406


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        pytest.param("application/json; charset=utf-8", 200, id="UTF-8"),
        pytest.param('application/json; charset="UTF-8"', 200, id="in quotes"),
        pytest.param("application/json; charset=iso-8859-1", 415, id="Latin 1"),
    ],
)
async def test_body_charset_is_utf_8(rest: httpx.AsyncClient, content_type: str, status: int) -> None:
    answer = await rest.post(URL, content=b'{"query": "{ __typename }"}', headers={"content-type": content_type})

    assert answer.status_code == status


async def test_batches_are_disabled_by_default(rest: httpx.AsyncClient) -> None:
    answer = await rest.post(URL, json=[{"query": "{ __typename }"}])

    assert answer.status_code == 400


async def test_batch_results_keep_the_order(store: Store) -> None:
    async with serving(store, batch=3) as http:
        answer = await http.post(
            URL, json=[{"query": "{ __typename }"}, {"query": "{ nope }"}, {"query": "{ a: __typename }"}]
        )

    first, second, third = answer.json()
    assert answer.status_code == 200
    assert first == {"data": {"__typename": "Query"}}
    assert second["errors"][0]["extensions"]["code"] == "graphql_error"
    assert third == {"data": {"a": "Query"}}


@pytest.mark.parametrize("count", [0, 4])
async def test_batch_size_is_limited(store: Store, count: int) -> None:
    async with serving(store, batch=3) as http:
        answer = await http.post(URL, json=[{"query": "{ __typename }"}] * count)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["extensions"]["code"] == "batch_too_large"
