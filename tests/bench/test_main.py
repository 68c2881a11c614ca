from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench.report.targets import EVENT_CPU, EVENT_READS

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
TINY = ("--messages", "300", "--long", "200", "--seconds", "0.1", "--connections", "2", "--rounds", "1")
LITTLE = ("--imported", "100", "--followers", "10", "--requests", "30", "--extra-requests", "30")
OF_PEERS = {"mix", "list", "page-20", "node", "create"}
REST = {"rest-page-20"}
IN_PYTHON = {
    "hello": REST,
    "bare": REST | {"rest-create"},
    "ours": OF_PEERS | REST | {"rest-create"},
    "stock": OF_PEERS,
}
JOINED = {"stock-join": OF_PEERS, "mercurius-join": OF_PEERS}
MORE = {
    *EVENT_CPU.values(),
    *EVENT_READS.values(),
    "gateway import",
    "idle follower",
    "memory after 10,000 requests",
    "memory gained by more requests",
    "p99 / p50 with 32 connections, page of 20",
    "start to first answer",
}
ON_NODE = dict.fromkeys(("mercurius", "postgraphile", "yoga"), OF_PEERS)


def asked(folder: Path, database: str, systems: Sequence[str], *more: str) -> dict[str, set[str]]:
    """Measure with tiny sizes, and name the cases that each system has answered; one wrong answer would end it."""
    kept = folder / "kept.json"
    command = [sys.executable, "-m", "bench", database, *TINY, "--no-instructions", *more, "--json", str(kept)]

    done = subprocess.run([*command, "--systems", *systems], capture_output=True, text=True, check=False, cwd=ROOT)

    assert done.returncode == 0, done.stderr
    assert "### Targets" in done.stdout
    found: dict[str, set[str]] = {}
    for each in json.loads(kept.read_text())["rounds"]:
        assert each["requests"] >= 2
        found.setdefault(each["system"], set()).add(each["case"])
    return found


def test_every_case_is_answered_well(tmp_path: Path) -> None:
    assert asked(tmp_path, f"sqlite:///{tmp_path / 'bench.db'}", ["hello", "bare", "stock"], "--no-extras") == IN_PYTHON


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_system_answers_the_same_on_postgres(tmp_path: Path) -> None:
    everybody = IN_PYTHON | JOINED | ON_NODE

    assert asked(tmp_path, "postgres", list(everybody), *LITTLE) == everybody
    found = json.loads((tmp_path / "kept.json").read_text())["findings"]
    assert {each["work"] for each in found} == MORE


@pytest.mark.slow
def test_every_size_is_measured(tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    sizes = ["--lengths", "100", "200", "--pages", "1", "5", "--clients", "1", "2", "--subscribers", "10", "20"]
    command = [sys.executable, "-m", "bench.sizes", "sqlite", *sizes, "--seconds", "0.1", "--no-instructions"]

    done = subprocess.run([*command, "--json", str(kept)], capture_output=True, text=True, check=False, cwd=ROOT)

    assert done.returncode == 0, done.stderr
    found = json.loads(kept.read_text())["curves"]
    assert {each["name"] for each in found} == {
        "clients: rate",
        "clients: waiting",
        "length of the thread: CPU µs",
        "size of a page",
        "subscribers: delivery",
        "subscribers: memory",
    }
    assert all(len(each["points"]) == 2 for each in found)
