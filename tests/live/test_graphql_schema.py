"""What the schema has gained, asked of a server as users have it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from tests.following import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.live.server import Server

_MAKE: Final = "mutation { createThread(input: {}) { thread { id createdAt } edge { cursor node { id } } } }"
# What the specification that DateTime names takes: a fraction of a second may be left out, an offset may not.
_DATE_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")


@pytest.fixture
def http(live_server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=live_server.base_url, timeout=PATIENCE_S) as client:
        yield client


def ask(http: httpx.Client, query: str, **headers: str) -> Any:
    return http.post("/graphql", json={"query": query}, headers=headers).json()


def test_every_custom_scalar_has_a_specification_url(http: httpx.Client) -> None:
    told = ask(http, "{ __schema { types { kind name specifiedByURL } } }")["data"]["__schema"]["types"]

    named = {each["name"]: each["specifiedByURL"] for each in told if each["specifiedByURL"]}
    assert named == {
        "DateTime": "https://scalars.graphql.org/chillicream/date-time.html",
        "JSON": "https://www.rfc-editor.org/rfc/rfc8259",
        "Metadata": "https://www.rfc-editor.org/rfc/rfc8259#section-4",
    }


def test_create_thread_returns_an_edge(http: httpx.Client) -> None:
    made = ask(http, _MAKE)["data"]["createThread"]

    thread_id = made["thread"]["id"]
    assert made["edge"] == {"cursor": thread_id, "node": {"id": thread_id}}
    assert _DATE_TIME.fullmatch(made["thread"]["createdAt"])
    behind = ask(http, f'{{ threads(first: 1, before: "{thread_id}") {{ nodes {{ id }} }} }}')
    assert behind["data"] == {"threads": {"nodes": []}}


def test_threads_are_counted_when_total_count_is_selected(http: httpx.Client) -> None:
    query = "{ threads(first: 0) { totalCount nodes { id } pageInfo { hasNextPage hasPreviousPage endCursor } } }"
    ask(http, _MAKE)
    before = ask(http, query)["data"]["threads"]["totalCount"]
    ask(http, _MAKE)

    told = ask(http, query, **{"graphql-cost": "1"})

    ends = {"hasNextPage": True, "hasPreviousPage": False, "endCursor": None}
    assert told["data"]["threads"] == {"totalCount": before + 1, "nodes": [], "pageInfo": ends}
    assert told["extensions"]["cost"]["requested"] == 102  # the connection, its page info, and the count
