"""The supervisor of several workers is killed, and so is a worker."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.following import until
from tests.live.server import PATIENCE_S, serving, until_refused
from tests.ports import free_port


async def test_workers_are_replaced_and_end_with_their_supervisor(postgres_url: str, tmp_path: Path) -> None:
    port = free_port()
    given = {"GATEWAY_WORKERS": "2", "GATEWAY_METRICS_PORT": str(port)}
    with serving(postgres_url, folder=tmp_path, given=given) as server:
        first = await children_of(server.process.pid)
        os.kill(first[0], signal.SIGKILL)
        async with httpx.AsyncClient(timeout=PATIENCE_S) as http, asyncio.timeout(PATIENCE_S):
            while not await _restarts(http, port):  # noqa: ASYNC110  (a process is started meanwhile)
                await asyncio.sleep(0.05)
            (await http.get(f"{server.base_url}/v1/threads")).raise_for_status()
        workers = await children_of(server.process.pid)

        server.process.kill()

        await until(lambda: not any(map(runs, [*first, *workers])))
        await until_refused(server)

    assert first[1] in workers
    assert server.stderr.count("the supervising process is gone: this one ends too") == 2


async def children_of(pid: int) -> list[int]:
    """Wait until a process has two children."""
    await until(lambda: len(_children(pid)) == 2)
    return _children(pid)


def _children(pid: int) -> list[int]:
    """List the children of a process, without the one that Python starts for itself."""
    pids = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return [each for each in pids if b"resource_tracker" not in Path(f"/proc/{each}/cmdline").read_bytes()]


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def _restarts(http: httpx.AsyncClient, port: int) -> float:
    told = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
    samples = [sample for family in text_string_to_metric_families(told) for sample in family.samples]
    up = [sample.value for sample in samples if sample.name == "gateway_workers"]
    return all(up) and sum(sample.value for sample in samples if sample.name == "gateway_worker_restarts_total")
