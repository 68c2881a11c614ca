"""Metrics of a real server, on ports of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from tests.live.server import PATIENCE_S, serving
from tests.ports import free_ports

if TYPE_CHECKING:
    from pathlib import Path


def test_each_process_serves_metrics_on_its_own_port(postgres_url: str, tmp_path: Path) -> None:
    port = free_ports()
    given = {"GATEWAY_WORKERS": "2", "GATEWAY_METRICS_PORT": str(port)}
    with (
        serving(postgres_url, folder=tmp_path, given=given) as server,
        httpx.Client(timeout=PATIENCE_S, transport=httpx.HTTPTransport(retries=8)) as http,
    ):
        told = [http.get(f"http://127.0.0.1:{each}/metrics").text for each in (port, port + 1)]  # both have started
        http.get(f"{server.base_url}/v1/threads").raise_for_status()
        hidden = http.get(f"{server.base_url}/metrics")  # by the same connection, when the other has been counted
        after = [http.get(f"http://127.0.0.1:{each}/metrics").text for each in (port, port + 1)]

    labels = 'kind="request",method="GET",operation="-",route="/v1/threads",status="2xx"'
    counted = f"gateway_request_seconds_count{{{labels}}} 1.0"
    assert [counted in each for each in told] == [False, False]
    assert sorted(counted in each for each in after) == [False, True]
    assert hidden.status_code == 404
