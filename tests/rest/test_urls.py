from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from gateway.app import serve_store
from gateway.store.store import open_store
from tests.rest.calls import add, ids, new_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [pytest.mark.counted, pytest.mark.one_on_postgres]

BASES = [
    pytest.param("http://gateway/v1", {"Authorization": "Bearer sk-x"}, id="OpenAI"),
    pytest.param("http://gateway/openai/v1", {"api-key": "x"}, id="Azure, version one"),
    pytest.param("http://gateway/openai", {"api-key": "x"}, id="Azure, dated versions"),
    pytest.param("http://gateway/openai", {"Authorization": "Bearer x"}, id="Azure, by Entra"),
]
RUNS = (
    "Runs are not served here: this server keeps threads and messages and does not run models. "
    "To turn runs on, set GATEWAY_MODEL_URL to an OpenAI-compatible endpoint."
)


def _error(answer: httpx.Response) -> Any:
    error = answer.json()["error"]
    assert list(error) == ["message", "type", "param", "code"]
    return error


@pytest.fixture
async def bare(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Call an application whose database is not there: what it answers, it answers without one."""
    app = serve_store(open_store(f"sqlite:///{tmp_path}/nowhere/threads.db"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway/v1") as client:
        yield client


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/v1/threads/", id="a slash at the end"),
        pytest.param("/v1/threads//", id="two at the end"),
        pytest.param("/v1//threads", id="two in the middle"),
        pytest.param("//v1///threads", id="two at the start"),
        pytest.param("/v1/threads/?limit=5", id="a slash before the query"),
    ],
)
async def test_slashes_too_many_do_not_count(rest: httpx.AsyncClient, path: str) -> None:
    thread = await new_thread(rest)

    answer = await rest.get(f"http://gateway{path}")

    assert (answer.status_code, ids(answer.json())) == (200, [thread["id"]])


async def test_an_empty_message_id_reads_the_list(rest: httpx.AsyncClient, thread_id: str) -> None:
    message = await add(rest, thread_id)

    answer = await rest.get(f"/threads/{thread_id}/messages/")

    assert (answer.status_code, ids(answer.json())) == (200, [message["id"]])


@pytest.mark.parametrize(
    ("method", "path", "shown"),
    [
        pytest.param("GET", "/v1", "/v1", id="the base"),
        pytest.param("GET", "/v1/files", "/v1/files", id="another resource"),
        pytest.param("POST", "/v2/threads", "/v2/threads", id="another version"),
        pytest.param("DELETE", "/threads", "/threads", id="no version"),
        pytest.param("GET", "/v1/Threads", "/v1/Threads", id="in capitals"),
        pytest.param("GET", "/v1/threads/thread_a/steps", "/v1/threads/thread_a/steps", id="below a thread"),
        pytest.param(
            "GET", "/v1/threads%2Fthread_a", "/v1/threads%2Fthread_a", id="an encoded slash in front of an id"
        ),
        pytest.param(
            "GET",
            "/v1/threads/thread_a%2Fmessages/msg_a",
            "/v1/threads/thread_a%2Fmessages/msg_a",
            id="an encoded slash behind an id",
        ),
        pytest.param(
            "GET",
            "/v1/threads/thread_a/messages/msg_a/files",
            "/v1/threads/thread_a/messages/msg_a/files",
            id="files, as in version one",
        ),
        pytest.param("GET", "/v1/%00", "/v1/\0", id="NUL"),
        pytest.param("GET", "/v1/%F0%9F%98%80", "/v1/😀", id="an emoji"),
    ],
)
async def test_an_unknown_url_is_named(bare: httpx.AsyncClient, method: str, path: str, shown: str) -> None:
    answer = await bare.request(method, f"http://gateway{path}")

    assert (answer.status_code, _error(answer)["message"]) == (404, f"Invalid URL ({method} {shown})")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    "tail",
    [
        pytest.param("/runs", id="a thread and its run"),
        pytest.param("/thread_a/runs", id="runs of a thread"),
        pytest.param("/thread_a/runs/run_a", id="a run"),
        pytest.param("/thread_a/runs/run_a/steps", id="its steps"),
        pytest.param("/thread_a/runs/run_a/submit_tool_outputs", id="its tools"),
        pytest.param("/thread_a/runs/", id="a run without an id"),
    ],
)
async def test_a_runs_path_is_404_with_an_explanation(bare: httpx.AsyncClient, method: str, tail: str) -> None:
    answer = await bare.request(method, f"/threads{tail}")

    assert (answer.status_code, _error(answer)["message"]) == (404, RUNS)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get"])
@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        pytest.param("/threads", {"POST", "GET"}, id="threads"),
        pytest.param("/threads/thread_a", {"GET", "POST", "DELETE"}, id="a thread"),
        pytest.param("/threads/thread_a/messages", {"POST", "GET"}, id="messages"),
        pytest.param("/threads/thread_a/messages/msg_a", {"GET", "POST", "DELETE"}, id="a message"),
    ],
)
async def test_a_wrong_method_gets_the_allowed_methods(
    bare: httpx.AsyncClient, method: str, path: str, allowed: set[str]
) -> None:
    # httpx writes methods in capitals, so a lower-case one has to be put into the request itself.
    request = bare.build_request(method, path)
    request.method = method

    answer = await bare.send(request)

    assert (answer.status_code, _error(answer)["message"]) == (405, f"Invalid method for URL ({method} /v1{path})")
    assert set(answer.headers["allow"].split(", ")) - {"HEAD"} == allowed


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("/threads", 200, id="threads"),
        pytest.param("/threads/{thread}", 200, id="a thread"),
        pytest.param("/threads/{thread}/messages", 200, id="messages"),
        pytest.param("/threads/thread_a", 404, id="no thread"),
        pytest.param("/threads?limit=0", 400, id="a refusal"),
        pytest.param("/unknown", 404, id="no URL"),
    ],
)
async def test_head_is_answered_as_get(rest: httpx.AsyncClient, thread_id: str, path: str, status: int) -> None:
    path = path.replace("{thread}", thread_id)

    head, get = await rest.head(path), await rest.get(path)

    assert (head.status_code, get.status_code) == (status, status)
    assert head.headers["content-type"] == get.headers["content-type"]


@pytest.mark.parametrize(("base", "headers"), BASES)
async def test_every_base_path_reaches_the_same_threads(
    rest: httpx.AsyncClient, thread_id: str, base: str, headers: dict[str, str]
) -> None:
    query = {"api-version": "2024-05-01-preview"}

    answer = await rest.get(f"{base}/threads/{thread_id}", params=query, headers=headers)

    assert (answer.status_code, answer.json()["id"]) == (200, thread_id)


@pytest.mark.parametrize(("base", "headers"), BASES)
async def test_every_base_path_serves_a_whole_conversation(
    rest: httpx.AsyncClient, base: str, headers: dict[str, str]
) -> None:
    query = {"api-version": "2024-05-01-preview"}
    rest.headers.update(headers)
    thread = (await rest.post(f"{base}/threads", params=query)).json()["id"]
    path = f"{base}/threads/{thread}/messages"

    made = (await rest.post(path, params=query, json={"role": "user", "content": "hi"})).json()["id"]
    listed = ids((await rest.get(path, params=query)).json())
    deleted = (await rest.delete(f"{path}/{made}", params=query)).json()

    assert listed == [made]
    assert deleted == {"id": made, "object": "thread.message.deleted", "deleted": True}


@pytest.mark.parametrize(
    "beta",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("assistants=v2", id="ours"),
        pytest.param(" assistants=v2 , assistants=v2 ,", id="ours, written loosely"),
    ],
)
async def test_the_beta_header_may_be_missing(rest: httpx.AsyncClient, beta: str | None) -> None:
    answer = await rest.post("/threads", headers={} if beta is None else {"OpenAI-Beta": beta})

    assert answer.status_code == 200


ODD = [
    pytest.param("GET", "/v1/threads/%2E", {}, id="a dot"),
    pytest.param("POST", "/", {}, id="POST to the root"),
    pytest.param("OPTIONS", "/", {}, id="OPTIONS of the root"),
    pytest.param("DELETE", "/v1", {}, id="DELETE of the base"),
    pytest.param("GET", "/docs", {}, id="a page that frameworks have"),
    pytest.param("GET", "/favicon.ico", {}, id="what browsers ask for"),
    pytest.param("GET", "/v1/threads/%2e%2e/%2e%2e/etc/passwd", {}, id="dots upwards"),
    pytest.param("GET", "/v1/" + "a/" * 2_000, {}, id="a long path"),
    pytest.param("GET", "/v1/threads?" + "&".join(["limit"] * 2_000), {}, id="a long query"),
    pytest.param("GET", "/v1/threads?limit=%FF", {}, id="a query that is no UTF-8"),
    pytest.param("GET", "/v1/x", {"Host": "["}, id="half a host"),
    pytest.param("GET", "/v1/x", {"Host": ""}, id="no host"),
    pytest.param("PUT", "/v1/threads", {"Host": "a:b:c"}, id="a port that is none"),
    pytest.param("GET", "/v1/x", {"Accept": "text/html"}, id="a browser"),
    pytest.param("CONNECT", "/v1/threads", {}, id="CONNECT"),
    pytest.param("POST", "/v1/threads", {"OpenAI-Beta": "é=ü"}, id="a header beyond ASCII"),
    pytest.param("POST", "/v1/threads/thread_a/runs", {"Content-Type": "multipart/form-data"}, id="a form"),
]


@pytest.mark.parametrize(("method", "path", "headers"), ODD)
async def test_no_request_gets_a_response_of_the_framework(
    bare: httpx.AsyncClient, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = await bare.request(
        method, f"http://gateway{path}", headers={k.encode(): v.encode() for k, v in headers.items()}
    )

    assert answer.status_code in (400, 404, 405)
    assert answer.headers["content-type"] == "application/json"
    assert _error(answer)["type"] == "invalid_request_error"
    assert re.fullmatch(r"req_[0-9a-f]{32}", answer.headers["x-request-id"])


async def test_the_root_leads_a_browser_to_graphql(rest: httpx.AsyncClient) -> None:
    answer = await rest.get("http://gateway/", headers={"accept": "text/html,*/*;q=0.8"})

    assert (answer.status_code, answer.headers["location"]) == (307, "graphql")
