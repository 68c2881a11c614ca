"""Apollo Client, urql and Relay, with the caches of docs/graphql.md: however they walk, they hold the thread."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
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


@pytest.mark.parametrize("client", ["apollo", "urql", "relay"])
def test_each_frame_shows_each_message_once_though_answers_get_lost(
    live_server: Server, frontend: Path, node_clients: Path, client: str
) -> None:
    thread_id = thread_with(live_server, [])

    told = json.loads(run(node_clients / "frames.mjs", frontend, client, thread_id))

    frames = [[text.removesuffix("…") for text in frame] for frame in told["frames"]]
    ends: tuple[Counter[str], Counter[str]] = (Counter(), Counter(["theirs", "mine", "mine", "again"]))
    assert (Counter(frames[0]), Counter(frames[-1])) == ends
    for before, after in pairwise(map(Counter, frames)):  # nothing is there twice, nor goes away once it is shown
        assert before <= after <= ends[1]
    assert ["mine…"] in told["frames"]
    assert told["frames"][-1] == told["held"]
    assert told["lost"] == 3
