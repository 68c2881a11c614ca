"""Paths as clients may write them: each segment is decoded once, and an encoded slash is part of one."""

from __future__ import annotations

import json
from contextlib import closing
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import pytest

from tests.pace import patience

if TYPE_CHECKING:
    from tests.live.server import Server

PREFIXES = ("/v1", "/openai/v1", "/openai")


def ask(server: Server, path: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
    """Send a path byte for byte, and read the answer, which is JSON whatever it says."""
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=patience(30))) as connection:
        sent = None if body is None else json.dumps(body)
        connection.request(method, path, sent, {"content-type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@pytest.fixture(scope="module")
def thread_id(live_server: Server) -> str:
    status, thread = ask(live_server, "/v1/threads", "POST", {"messages": [{"role": "user", "content": "a"}]})
    assert status == 200
    return str(thread["id"])


@pytest.mark.parametrize("prefix", PREFIXES)
def test_an_encoded_slash_leads_to_no_thread(live_server: Server, thread_id: str, prefix: str) -> None:
    for written in ("threads%2F{}", "threads%2f{}", "%2Fthreads/{}", "threads%2F/{}"):
        path = f"{prefix}/{written.format(thread_id)}"

        status, answer = ask(live_server, path)

        assert (status, answer["error"]["message"]) == (404, f"Invalid URL (GET {path.replace('%2f', '%2F')})")


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        pytest.param("a%2Fb", "a/b", id="an encoded slash"),
        pytest.param("%2F", "/", id="nothing but one"),
        pytest.param("a%2F", "a/", id="one at the end"),
        pytest.param("a%2F%2Fb", "a//b", id="two"),
        pytest.param("a%252Fb", "a%2Fb", id="encoded twice"),
        pytest.param("a%252Fb%2Fc", "a%2Fb/c", id="encoded once and twice"),
        pytest.param("%2e%2e", "..", id="dots"),
        pytest.param("%2e%2e%2fhealthz", "../healthz", id="dots and a slash"),
        pytest.param("a;b=c", "a;b=c", id="a semicolon"),
        pytest.param("a%3Fb%23c", "a?b#c", id="what would end a path"),
        pytest.param("a%0A", "a\n", id="a line break at the end"),
        pytest.param("a%00b", "a\0b", id="NUL"),
        pytest.param("a%2Fb%00", "a/b\0", id="NUL behind an encoded slash"),
        pytest.param("a%FFb", "a\ufffdb", id="bytes that are no UTF-8"),
        pytest.param("a%2F%FF", "a/\ufffd", id="such bytes behind an encoded slash"),
        pytest.param("a%ED%B0%AFb", "a\ufffd\ufffd\ufffdb", id="an encoded surrogate"),
        pytest.param("%F0%9F%98%80%2F", "😀/", id="an emoji"),
        pytest.param("100%", "100%", id="half an escape"),
        pytest.param("a%2Gb%2Fc", "a%2Gb/c", id="a broken escape"),
    ],
)
def test_a_segment_is_decoded_once_and_names_an_id(live_server: Server, prefix: str, sent: str, meant: str) -> None:
    status, answer = ask(live_server, f"{prefix}/threads/thread_{sent}")

    assert (status, answer["error"]["message"]) == (404, f"No thread found with id 'thread_{meant}'.")


def test_an_id_that_no_thread_can_have_is_shown_decoded(live_server: Server) -> None:
    status, answer = ask(live_server, "/v1/threads/a%2Fb")

    assert (status, answer["error"]["param"]) == (400, "thread_id")
    assert "'a/b'" in answer["error"]["message"]


def test_a_message_with_an_encoded_slash_is_looked_for_in_its_thread(live_server: Server, thread_id: str) -> None:
    status, answer = ask(live_server, f"/v1/threads/{thread_id}/messages/msg_a%2Fb")

    assert (status, answer["error"]["message"]) == (404, "No message found with id 'msg_a/b'.")


def test_letters_of_a_path_may_be_percent_encoded_anywhere(live_server: Server, thread_id: str) -> None:
    encoded = "".join(f"%{ord(letter):02x}" for letter in thread_id)

    assert ask(live_server, f"/%761/%74hreads/{encoded}")[1]["id"] == thread_id
    assert ask(live_server, f"//v1///threads//{thread_id}/")[1]["id"] == thread_id


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/healthz%2F", id="behind a probe"),
        pytest.param("/%2Fhealthz", id="before it"),
        pytest.param("/graphql%2F", id="behind GraphQL"),
        pytest.param("/graphql%2fassets%2findex.js", id="within GraphiQL"),
        pytest.param("/v1%2Fthreads", id="behind the prefix"),
        pytest.param("/v1/threads%0A", id="a line break"),
    ],
)
def test_no_other_path_is_reached_by_an_encoded_slash_or_line_break(live_server: Server, path: str) -> None:
    status, answer = ask(live_server, path)

    assert status == 404
    assert answer["error"]["message"].startswith("Invalid URL (GET /")


def test_a_wrong_method_error_keeps_the_encoded_slash(live_server: Server) -> None:
    status, answer = ask(live_server, "/v1/threads/a%2Fb", "PUT")

    assert (status, answer["error"]["message"]) == (405, "Invalid method for URL (PUT /v1/threads/a%2Fb)")
