"""Metrics of a real server, on a port of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.live.server import PATIENCE_S, serving
from tests.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path


def test_metrics_of_all_workers_are_served_on_one_port(postgres_url: str, tmp_path: Path) -> None:
    port = free_port()
    given = {"GATEWAY_WORKERS": "2", "GATEWAY_METRICS_PORT": str(port)}
    with (
        serving(postgres_url, folder=tmp_path, given=given) as server,
        httpx.Client(timeout=PATIENCE_S, transport=httpx.HTTPTransport(retries=8)) as http,
    ):
        for _ in range(3):
            http.get(f"{server.base_url}/v1/threads").raise_for_status()
        hidden = http.get(f"{server.base_url}/metrics")  # by the same connection, when the others have been counted
        told = http.get(f"http://127.0.0.1:{port}/metrics").text

    samples = [sample for family in text_string_to_metric_families(told) for sample in family.samples]
    counted = [
        sample
        for sample in samples
        if sample.name == "gateway_request_seconds_count" and sample.labels["route"] == "/v1/threads"
    ]
    assert sum(sample.value for sample in counted) == 3
    assert {sample.labels["worker"] for sample in samples if sample.name == "gateway_workers"} == {"0", "1"}
    assert hidden.status_code == 404
