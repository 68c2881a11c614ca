"""The audits of npm's graphql-http against a live server: all of them say `ok`, none warns or takes notice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.clients.node import run
from tests.graphql.audits import AUDITS
from tests.live.server import serving

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["development", "production"])
def told(request: pytest.FixtureRequest, sqlite_url: str, node_clients: Path, tmp_path: Path) -> dict[str, Any]:
    """Run the audits against a server of each profile."""
    with serving(sqlite_url, "--profile", request.param, folder=tmp_path) as server:
        results: dict[str, Any] = json.loads(run(node_clients / "audits.mjs", f"{server.base_url}/graphql"))
    return results


def test_all_graphql_http_audits_pass(told: dict[str, Any]) -> None:
    assert {audit_id: each for audit_id, each in told.items() if each["status"] != "ok"} == {}
    assert {audit_id: each["name"] for audit_id, each in told.items()} == {each.id: each.sentence for each in AUDITS}
