from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.routing import Router

from gateway.observability.record import no_observer, no_tracer
from gateway.rest import render
from gateway.web.middleware import RequestMiddleware
from gateway.web.origins import OriginPolicy, Origins

if TYPE_CHECKING:
    from gateway.web.request import Answer, Request
    from tests.web.conftest import Visiting

ORIGIN = "https://app.example.com"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("GET", "/v1/threads", id="a success"),
        pytest.param("GET", "/unknown", id="a refusal"),
        pytest.param("POST", "/graphql", id="a refusal of GraphQL"),
        pytest.param("GET", "/", id="a way to elsewhere"),
    ],
)
async def test_no_response_can_be_framed_executed_or_sniffed(visiting: Visiting, method: str, path: str) -> None:
    async with visiting() as http:
        headers = (await http.request(method, path)).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


async def test_a_page_keeps_its_own_content_security_policy(visiting: Visiting) -> None:
    async with visiting() as http:
        headers = (await http.get("/graphql", headers={"accept": "text/html"})).headers

    [policy] = headers.get_list("content-security-policy")
    assert "script-src 'self'" in policy
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(("scheme", "told"), [("http", None), ("https", "max-age=31536000")])
async def test_responses_over_tls_have_an_hsts_header(visiting: Visiting, scheme: str, told: str | None) -> None:
    async with visiting(f"{scheme}://gateway") as http:
        assert (await http.get("/v1/threads")).headers.get("strict-transport-security") == told


async def test_a_page_of_an_allowed_origin_can_read_a_crash() -> None:
    async def crash(_request: Request) -> Answer:
        raise RuntimeError("a fault of ours")

    policy = OriginPolicy(origins=Origins(ORIGIN))
    enveloped = RequestMiddleware(
        crash,
        refuse=lambda _path, error: render.error(error),
        crashed=render.crash,
        lifespan=Router(),
        origin_policy=policy,
        observer=no_observer,
        tracer=no_tracer,
        sockets={},
    )
    transport = httpx.ASGITransport(enveloped)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
        answer = await http.get("/", headers={"origin": ORIGIN})

    assert answer.status_code == 500
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["x-content-type-options"] == "nosniff"
