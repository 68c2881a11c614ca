"""Apollo Client, urql and Relay, with the caches of docs/graphql.md: however they walk, they hold the thread."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest

from tests.clients.node import run
from tests.live.test_stream_clients import thread_with

if TYPE_CHECKING:
    from pathlib import Path

    from tests.live.server import Server

TEXTS: Final = [f"message {n}" for n in range(250)]
MEANWHILE: Final = ["said meanwhile", "said at last"]


@pytest.mark.parametrize("client", ["apollo", "urql", "relay"])
def test_a_client_cache_that_pages_both_ways_and_subscribes_has_each_message_once_in_order(
    live_server: Server, frontend: Path, node_clients: Path, client: str
) -> None:
    thread_id = thread_with(live_server, TEXTS)

    told = json.loads(run(node_clients / "walks.mjs", frontend, client, thread_id))

    assert told == {
        "forwards": {"texts": TEXTS, "requests": 5},
        "backwards": {"texts": TEXTS, "requests": 5},
        "watched": TEXTS + MEANWHILE,
        "warnings": [],
    }
