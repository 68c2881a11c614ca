from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from gateway.web.origins import Origins
from tests.rest.calls import page

if TYPE_CHECKING:
    import httpx

    from tests.web.conftest import Visiting

APP: Final = "https://app.example.com"
EVIL: Final = "https://evil.example"
LET_IN: Final[dict[str, Any]] = {"origins": Origins(APP)}
LOCAL: Final[dict[str, Any]] = {"hosts": ("localhost", "127.0.0.1")}
ASKS: Final = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,x-stainless-os",
}


def code_of(answer: httpx.Response) -> Any:
    """Read the code of a refusal, which each face has at its own place."""
    body = answer.json()
    return body["error"]["code"] if "error" in body else body["errors"][0]["extensions"]["code"]


@pytest.mark.parametrize("path", ["/v1/threads", "/graphql", "/", "/unknown"])
async def test_a_name_that_was_made_to_point_here_is_refused(visiting: Visiting, path: str) -> None:
    async with visiting("http://rebound.example:8000", **LOCAL) as http:
        answer = await http.get(path, headers={"origin": "http://rebound.example:8000"})

    assert (answer.status_code, code_of(answer)) == (421, "unknown_host")
    assert answer.headers["x-request-id"].startswith("req_")


async def test_a_host_name_of_this_machine_is_accepted(visiting: Visiting) -> None:
    async with visiting("http://localhost:8000", **LOCAL) as http:
        assert (await http.get("/v1/threads")).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_probes_accept_any_host(visiting: Visiting, path: str) -> None:
    async with visiting("http://10.0.0.5:8000", **LOCAL) as http:
        assert (await http.get(path)).status_code != 421


@pytest.mark.parametrize("path", ["/v1/threads", "/graphql"])
@pytest.mark.parametrize("origin", [EVIL, "null", "http://gateway:81"])
async def test_a_cross_site_post_is_refused(visiting: Visiting, origin: str, path: str) -> None:
    headers = {"origin": origin, "content-type": "text/plain"}
    async with visiting(**LET_IN) as http:
        answer = await http.post(path, headers=headers, content=b"{}")
        kept = await page(http, "/v1/threads")

    assert (answer.status_code, code_of(answer)) == (403, "cross_site_request")
    assert "access-control-allow-origin" not in answer.headers
    assert kept["data"] == []


async def test_a_cross_site_delete_is_refused(visiting: Visiting) -> None:
    async with visiting() as http:
        assert (await http.delete("/v1/threads/thread_a", headers={"origin": EVIL})).status_code == 403


@pytest.mark.parametrize("headers", [{}, {"origin": "http://gateway"}, {"origin": APP}], ids=["none", "ours", "let in"])
async def test_a_post_that_no_foreign_page_sent_is_accepted(visiting: Visiting, headers: dict[str, str]) -> None:
    async with visiting(**LET_IN) as http:
        assert (await http.post("/v1/threads", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/v1/threads", 200, id="a success"),
        pytest.param("GET", "/v1/threads/thread_a", 404, id="a refusal"),
        pytest.param("POST", "/graphql", 415, id="a refusal of GraphQL"),
        pytest.param("PUT", "/v1/threads", 405, id="a wrong method"),
    ],
)
async def test_a_page_of_an_allowed_origin_may_read_every_response(
    visiting: Visiting, method: str, path: str, status: int
) -> None:
    async with visiting(**LET_IN) as http:
        answer = await http.request(method, path, headers={"origin": APP})

    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == APP
    assert "x-request-id" in answer.headers["access-control-expose-headers"]
    assert "retry-after" in answer.headers["access-control-expose-headers"]
    assert "idempotent-replayed" in answer.headers["access-control-expose-headers"]
    assert answer.headers["vary"] == "origin"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", ["/v1/threads", "/graphql", "/v1/anything"])
async def test_a_preflight_of_an_allowed_origin_is_accepted(visiting: Visiting, path: str) -> None:
    async with visiting(**LET_IN) as http:
        answer = await http.options(path, headers={"origin": APP, **ASKS})

    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == APP
    assert answer.headers["access-control-allow-methods"] == "GET, POST, DELETE"
    assert answer.headers["access-control-allow-headers"] == "authorization,x-stainless-os"
    assert answer.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("chosen", [{}, LET_IN], ids=["nobody let in", "another let in"])
async def test_a_preflight_of_another_origin_is_refused(visiting: Visiting, chosen: dict[str, Any]) -> None:
    async with visiting(**chosen) as http:
        answer = await http.options("/v1/threads", headers={"origin": EVIL, **ASKS})

    assert (answer.status_code, code_of(answer)) == (403, "cross_site_request")
    assert [name for name in answer.headers if name.startswith("access-control-")] == []


async def test_credentials_are_allowed_if_configured(visiting: Visiting) -> None:
    async with visiting(**LET_IN, with_credentials=True) as http:
        answers = [await http.get("/v1/threads", headers={"origin": origin}) for origin in (APP, EVIL)]

    assert [each.headers.get("access-control-allow-credentials") for each in answers] == ["true", None]


async def test_a_response_varies_by_origin_even_without_an_origin_header(visiting: Visiting) -> None:
    async with visiting(**LET_IN) as http:
        assert (await http.get("/v1/threads")).headers["vary"] == "origin"


async def test_a_page_of_an_allowed_origin_may_query_graphql_by_get(visiting: Visiting) -> None:
    headers = {"origin": APP, "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}
    async with visiting(**LET_IN) as http:
        answer = await http.get("/graphql", params={"query": "{ __typename }"}, headers=headers)

    assert answer.json() == {"data": {"__typename": "Query"}}


async def test_a_page_of_an_allowed_origin_may_send_a_key_and_read_what_is_said_of_it(visiting: Visiting) -> None:
    asked = {**ASKS, "access-control-request-headers": "content-type,idempotency-key"}
    headers = {"origin": APP, "idempotency-key": "k"}
    async with visiting(**LET_IN) as http:
        allowed = await http.options("/v1/threads", headers={"origin": APP, **asked})
        _, replay = [await http.post("/v1/threads", headers=headers) for _ in range(2)]
        reused = await http.post("/v1/threads", headers=headers, json={"metadata": {"a": "b"}})

    assert "idempotency-key" in allowed.headers["access-control-allow-headers"].split(",")
    assert replay.headers["idempotent-replayed"] == "true"
    assert reused.headers["x-should-retry"] == "false"
    for answer in (replay, reused):
        exposed = answer.headers["access-control-expose-headers"].split(", ")
        assert {"idempotent-replayed", "x-should-retry"} <= set(exposed)
