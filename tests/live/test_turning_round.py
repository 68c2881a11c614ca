"""Apollo Client, urql and Relay, with the files of docs/graphql.md: a list that is read both ways by turns."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.clients.node import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SAID: Final = [f"m{n}" for n in range(8)]


def said(first: int, last: int) -> list[str]:
    return [f"m{n}" for n in range(first, last + 1)]


WALKS: Final[dict[str, dict[str, Any]]] = {
    "older, newer, older and newer again": {
        "said": SAID,
        "page": {"last": 3},
        "steps": [
            ("open", said(5, 7)),
            ("older", said(2, 7)),
            ("say m8", said(2, 7)),
            ("say m9", said(2, 7)),
            ("newer", said(2, 9)),
            ("older", said(0, 9)),
            ("newer", said(0, 9)),
            ("say m10", said(0, 9)),
            ("newer", said(0, 10)),
        ],
    },
    "from the start": {
        "said": SAID,
        "page": {"first": 3},
        "steps": [
            ("open", said(0, 2)),
            ("newer", said(0, 5)),
            ("older", said(0, 5)),
            ("newer", said(0, 7)),
            ("say m8", said(0, 7)),
            ("newer", said(0, 8)),
        ],
    },
    "from a message in the middle": {
        "said": SAID,
        "page": {"first": 2, "after": "m3"},
        "steps": [
            ("open", said(4, 5)),
            ("older", said(2, 5)),
            ("newer", said(2, 7)),
            ("older", said(0, 7)),
            ("newer", said(0, 7)),
        ],
    },
    "towards a message in the middle": {
        "said": SAID,
        "page": {"last": 2, "before": "m5"},
        "steps": [("open", said(3, 4)), ("newer", said(3, 6)), ("older", said(1, 6)), ("newer", said(1, 7))],
    },
    "watched while turning round": {
        "said": SAID,
        "page": {"last": 2},
        "steps": [
            ("open", said(6, 7)),
            ("watch", said(6, 7)),
            ("say m8", said(6, 8)),
            ("older", said(4, 8)),
            ("say m9", said(4, 9)),
            ("newer", said(4, 9)),
            ("older", said(2, 9)),
            ("say m10", said(2, 10)),
        ],
    },
    "watched from the middle": {
        "said": SAID,
        "page": {"first": 2, "after": "m1"},
        "steps": [
            ("open", said(2, 3)),
            ("watch", said(2, 7)),
            ("say m8", said(2, 8)),
            ("older", said(0, 8)),
            ("newer", said(0, 8)),
        ],
    },
    "from an empty thread, with something said before it is watched": {
        "said": [],
        "page": {"last": 3},
        "steps": [
            ("open", []),
            ("say m0", []),
            ("watch", said(0, 0)),
            ("say m1", said(0, 1)),
            ("older", said(0, 1)),
            ("newer", said(0, 1)),
            ("say m2", said(0, 2)),
        ],
    },
    "from an empty thread, newer pages": {
        "said": [],
        "page": {"first": 3},
        "steps": [
            ("open", []),
            ("newer", []),
            ("say m0", []),
            ("newer", said(0, 0)),
            ("say m1", said(0, 0)),
            ("newer", said(0, 1)),
            ("older", said(0, 1)),
        ],
    },
}


@pytest.fixture(scope="session")
def turned(frontend: Path, node_clients: Path) -> Callable[[str], Any]:
    """Let a client take all walks, once."""

    @cache
    def taken(client: str) -> Any:
        return json.loads(run(node_clients / "turns.mjs", frontend, client, json.dumps(WALKS)))

    return taken


@pytest.mark.parametrize("walk", WALKS)
@pytest.mark.parametrize("client", ["apollo", "urql", "relay"])
@pytest.mark.parametrize("live_server", ["sqlite"], indirect=True)  # what is read is tried on both elsewhere
def test_a_paged_list_has_each_message_once_in_order_wherever_the_direction_changes(
    turned: Callable[[str], Any], client: str, walk: str
) -> None:
    seen = turned(client)["walks"][walk]["seen"]

    assert seen == [list(step) for step in WALKS[walk]["steps"]]


@pytest.mark.parametrize("walk", WALKS)
@pytest.mark.parametrize("client", ["apollo", "urql"])  # Relay counts what a subscription told to no page
@pytest.mark.parametrize("live_server", ["sqlite"], indirect=True)
def test_the_last_page_has_more_false(turned: Callable[[str], Any], client: str, walk: str) -> None:
    told = turned(client)["walks"][walk]

    assert (told["endsAtLast"], told["hasNextPage"]) == (True, False)


@pytest.mark.parametrize("client", ["apollo", "urql", "relay"])
@pytest.mark.parametrize("live_server", ["sqlite"], indirect=True)
def test_no_client_warns_of_a_list_that_turns_round(turned: Callable[[str], Any], client: str) -> None:
    assert turned(client)["warnings"] == []
