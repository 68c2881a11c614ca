from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from sqlalchemy import update
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse

from gateway.observability.record import SCOPE, no_observer, no_tracer
from gateway.rest import render
from gateway.store.engines.open import open_engines
from gateway.store.schema.tables import threads
from gateway.web.middleware import RequestMiddleware, normalize_path
from gateway.web.origins import OriginPolicy
from gateway.web.request import ENCODED_SLASH

if TYPE_CHECKING:
    import httpx
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gateway.web.request import Request

pytestmark = pytest.mark.one_on_postgres

REQUEST = {"type": "http", "method": "GET", "path": "/v1//threads/", "headers": [], "scheme": "http"}


def _assert_dressed(answer: httpx.Response) -> None:
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert re.fullmatch(r"req_[0-9a-f]{32}", answer.headers["x-request-id"])
    assert answer.headers["openai-version"] == "2020-10-01"
    assert answer.headers["openai-processing-ms"].isdecimal()


@pytest.fixture
async def crashing(rest: httpx.AsyncClient, thread_id: str, database_url: str) -> str:
    """Make a thread as no version of ours could have written it, and give the path that trips over it."""
    path = f"/threads/{thread_id}"
    await rest.post(f"{path}/messages", json={"role": "user", "content": "secret"})
    engines = open_engines(database_url)
    async with engines.writer.begin() as connection:
        await connection.execute(update(threads).values(tool_resources="{"))
    await engines.dispose()
    return path


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        pytest.param("GET", "/threads", b"", 200, id="a success"),
        pytest.param("GET", "/threads?limit=0", b"", 400, id="a refusal"),
        pytest.param("GET", "/threads/thread_a", b"", 404, id="no such thread"),
        pytest.param("GET", "/unknown", b"", 404, id="no such URL"),
        pytest.param("PUT", "/threads", b"", 405, id="a wrong method"),
        pytest.param("POST", "/threads", b" " * (4 * 1024 * 1024 + 1), 413, id="a body too large"),
    ],
)
async def test_every_answer_carries_the_headers_of_the_wire(
    rest: httpx.AsyncClient, method: str, path: str, content: bytes, status: int
) -> None:
    answer = await rest.request(method, path, content=content)

    assert answer.status_code == status
    _assert_dressed(answer)


async def test_a_crash_carries_the_headers_of_the_wire(rest: httpx.AsyncClient, crashing: str) -> None:
    answer = await rest.get(crashing)

    assert answer.status_code == 500
    _assert_dressed(answer)


async def test_a_crash_is_answered_without_its_cause(rest: httpx.AsyncClient, crashing: str) -> None:
    answer = await rest.get(crashing)

    assert answer.text == (
        '{"error":{"message":"The server had an error while processing your request. See its log for details.",'
        '"type":"server_error","param":null,"code":null}}'
    )


async def test_the_request_id_of_a_crash_is_logged_with_its_cause(
    rest: httpx.AsyncClient, crashing: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await rest.get(crashing)

    [record] = [each for each in caplog.records if each.name == "gateway.web.middleware"]
    assert record.levelno == logging.ERROR
    assert record.getMessage() == f"{answer.headers['x-request-id']}: GET /v1{crashing} failed"
    assert record.exc_info is not None
    assert "unexpected end of data" in str(record.exc_info[1])


async def test_a_crash_does_not_keep_the_next_request_from_its_answer(rest: httpx.AsyncClient, crashing: str) -> None:
    await rest.get(crashing)

    assert (await rest.get("/threads")).status_code == 200


async def test_no_two_requests_have_the_same_id(rest: httpx.AsyncClient) -> None:
    given = [(await rest.get("/unknown")).headers["x-request-id"] for _ in range(10)]

    assert len(set(given)) == 10


async def test_a_request_id_of_the_client_is_not_adopted(rest: httpx.AsyncClient) -> None:
    answer = await rest.get("/unknown", headers={"X-Request-Id": "mine"})

    assert answer.headers.get_list("x-request-id") != ["mine"]
    assert len(answer.headers.get_list("x-request-id")) == 1


def _enveloped(app: ASGIApp) -> RequestMiddleware:
    async def find(_request: Request) -> ASGIApp:
        return app

    return RequestMiddleware(
        find,
        refuse=lambda _path, error: render.error(error),
        crashed=render.crash,
        lifespan=app,
        origin_policy=OriginPolicy(),
        observer=no_observer,
        tracer=no_tracer,
        sockets={},
    )


async def _run(app: ASGIApp, scope: Scope) -> list[Message]:
    """Send one request through the envelope alone, and give what it sent."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await _enveloped(app)(scope, receive, send)
    return sent


async def test_the_inner_app_gets_the_request_id_and_the_plain_path() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await PlainTextResponse("")(scope, receive, send)

    start, _body = await _run(app, REQUEST)

    assert seen[0]["path"] == "/v1/threads"
    assert dict(start["headers"])[b"x-request-id"] == seen[0][SCOPE].request_id.encode()


async def test_a_crash_within_a_response_aborts_it_and_sends_no_second_response() -> None:
    sent: list[Message] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("too late")

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError

    envelope = _enveloped(app)
    with pytest.raises(RuntimeError, match="too late"):
        await envelope(REQUEST, receive, send)

    assert [message["status"] for message in sent] == [200]


async def test_a_client_that_disconnects_is_not_logged_as_a_crash(caplog: pytest.LogCaptureFixture) -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ClientDisconnect

    sent = await _run(app, REQUEST)

    assert not sent
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_events_other_than_requests_pass_unchanged() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope)

    scope: dict[str, Any] = {"type": "lifespan"}
    await _run(app, scope)

    assert seen == [scope]


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        pytest.param("/", "/", id="the root"),
        pytest.param("", "/", id="nothing"),
        pytest.param("///", "/", id="slashes alone"),
        pytest.param("/a/b", "/a/b", id="plain already"),
        pytest.param("//a///b/", "/a/b", id="slashes everywhere"),
    ],
)
def test_a_plain_path_has_no_slash_too_many(path: str, plain: str) -> None:
    assert normalize_path(path, path.encode()) == plain


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        pytest.param(b"/a%2Fb//c/", f"/a{ENCODED_SLASH}b/c", id="one of them"),
        pytest.param(b"/a%2f", f"/a{ENCODED_SLASH}", id="at the end"),
        pytest.param(b"/a%252Fb", "/a%2Fb", id="encoded twice"),
        pytest.param(b"/%2f/%FF", f"/{ENCODED_SLASH}/\ufffd", id="beside what is no UTF-8"),
    ],
)
def test_an_encoded_slash_is_part_of_its_segment(raw: bytes, plain: str) -> None:
    assert normalize_path(unquote(raw.decode()), raw) == plain
