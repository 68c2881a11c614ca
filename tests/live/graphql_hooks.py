"""What schemathesis has to know of our GraphQL face: values that lead somewhere, and what a good answer is.

Its own checks take every refusal for a fault of the server, since GraphQL does not tell them apart; our errors say
whose fault they are.
"""

from __future__ import annotations

import os
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import httpx
import schemathesis
from graphql import parse_value
from hypothesis import strategies as st
from schemathesis.graphql import nodes

if TYPE_CHECKING:
    from schemathesis import Case, CheckContext, Response

IDS: Final = "FUZZED_IDS"
KEY: Final = "FUZZED_WITH"
_STATUSES: Final = (HTTPStatus.OK, HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED)
_HTTP: Final = httpx.Client()  # to make one takes as long as ten requests
_OBJECTS: Final = ("{}", '{a: "b"}', "{a: null}", "{a: 1}", "{code_interpreter: {file_ids: []}}", "null", "[]", "5")

schemathesis.graphql.scalar(
    "ID", st.sampled_from([*os.environ[IDS].split(), "thread_unknown", "msg_unknown", "undefined"]).map(nodes.String)
)
schemathesis.graphql.scalar("Int", st.integers(-1, 101).map(nodes.Int))  # sizes of pages, and one beyond
schemathesis.graphql.scalar("DateTime", st.just("2026-08-26T09:30:00Z").map(nodes.String))
for scalar in ("JSON", "Metadata"):
    schemathesis.graphql.scalar(scalar, st.sampled_from(_OBJECTS).map(parse_value))


@schemathesis.check
def nothing_is_our_fault(_context: CheckContext, response: Response, _case: Case[Any]) -> None:
    """Hold an answer to its statuses, and each error to a code and to be the caller's."""
    assert response.status_code in _STATUSES
    for error in response.json().get("errors", ()):
        assert error["extensions"]["type"] == "invalid_request_error", error
        assert "code" in error["extensions"], error


@schemathesis.check
def nobody_comes_in_without_the_key(_context: CheckContext, response: Response, case: Case[Any]) -> None:
    """Ask the same without the key and with another one; `ignored_auth` knows OpenAPI only."""
    if not os.environ[KEY]:
        return
    for headers in ({}, {"authorization": f"Bearer {os.environ[KEY][:-1]}_"}):
        answer = _HTTP.post(str(response.request.url), json=case.body, headers=headers)
        assert (answer.status_code, answer.json().get("data")) == (HTTPStatus.UNAUTHORIZED, None)
