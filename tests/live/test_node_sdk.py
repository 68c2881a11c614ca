"""The newest Node SDK, unchanged but for its address; the claims are the checks in `tests/clients/node_sdk.mjs`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.clients.node import CLIENTS, run
from tests.clients.sdk_checks import CHECKS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.live.server import Server

LOCKED = json.loads((CLIENTS / "package-lock.json").read_text())["packages"]


def test_the_node_sdk_finds_all_that_the_python_sdk_expects(live_server: Server, node_clients: Path) -> None:
    told = json.loads(run(node_clients / "node_sdk.mjs", live_server.base_url))

    assert told == {
        "sdk": LOCKED["node_modules/openai"]["version"],
        "outcomes": {client: dict.fromkeys(CHECKS, "ok") for client in ("plain", "azure")},
    }


def test_the_lock_file_has_hashes_and_no_addresses() -> None:
    packages = [package for name, package in LOCKED.items() if name]

    assert packages
    assert not [package for package in packages if "resolved" in package or "integrity" not in package]
