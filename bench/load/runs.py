"""Many runs at once, each followed by GraphQL: how much of a core the server uses while models write.

Each follower must receive each token once, in order. `python -m bench.load.runs` measures just this, on a PostgreSQL of
its own.
Must not be here: the model (`systems.peers.model`), followers of other changes (`events`, `followers`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.cases import documents
from bench.cases.case import request
from bench.corpus.messages import MADE
from bench.load.followers import PATIENCE_S, subscribed
from bench.load.single_connection import SingleConnection
from bench.report.result import Finding
from bench.report.targets import RUNS
from bench.systems.catalog import OURS, POSTGRES, ROOT, SYSTEMS
from bench.systems.databases import database, make_key, run_gateway
from bench.systems.server import serve

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from websockets.asyncio.client import ClientConnection

    from bench.systems.catalog import System
    from bench.systems.server import Server

AT_ONCE: Final = 50
TOKENS: Final = 500
PER_SECOND: Final = 50
WRITTEN: Final = "".join(f"{number} " for number in range(TOKENS))


def run_findings(ours: System, url: str) -> Iterator[Finding]:
    """Measure on a PostgreSQL that has been migrated."""
    key = make_key(ours, url, MADE, "--scopes", "read,write,runs")
    with _model() as model, serve(ours, url, given={"GATEWAY_MODEL_URL": model}) as server:
        asyncio.run(_answered(server, key))  # the first answers compile what the others use
        cpu_s, wall_s = asyncio.run(_answered(server, key))
    detail = f"{AT_ONCE * TOKENS / wall_s:,.0f} tokens a second, {cpu_s * 1e6 / AT_ONCE / TOKENS:.0f} µs for each"
    # On a machine that is busy they take longer, which must not make the share smaller.
    yield Finding(RUNS, POSTGRES, cpu_s / (TOKENS / PER_SECOND) * 100, "%", detail)


@contextmanager
def _model() -> Iterator[str]:
    command = (sys.executable, "-m", "bench.systems.peers.model", str(TOKENS), str(PER_SECOND))
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None  # noqa: S101  (it is a pipe)
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.terminate()
        process.wait()


async def _answered(server: Server, key: str) -> tuple[float, float]:
    """Run threads at once, each with a follower; return the CPU time and the time that took, in seconds.

    Errors: SystemExit where a follower has not received each token once.
    """
    assistant = await asyncio.to_thread(_post, server, key, "/assistants", {"model": "bench"})
    threads = [await asyncio.to_thread(_post, server, key, "/threads", {}) for _ in range(AT_ONCE)]
    async with AsyncExitStack() as stack:
        sockets = [await subscribed(stack, server.port, key, each, documents.EVENTS) for each in threads]
        reading = asyncio.gather(*map(_read, sockets))
        clock = asyncio.get_running_loop().time
        begun, cpu_s = clock(), server.cpu_s()
        for each in threads:
            await asyncio.to_thread(_post, server, key, f"/threads/{each}/runs", {"assistant_id": assistant})
        async with asyncio.timeout(PATIENCE_S):
            await reading
        return server.cpu_s() - cpu_s, clock() - begun


def _post(server: Server, key: str, path: str, body: object) -> str:
    with SingleConnection(server.port) as connection:
        made: str = json.loads(connection.ask(request("POST", f"/v1{path}", body, key)))["id"]
    return made


async def _read(socket: ClientConnection) -> None:
    """Read events until the message has ended."""
    text = ""
    while True:
        message = json.loads(await socket.recv())
        if message["type"] != "next":
            continue
        event = message["payload"]["data"]["threadEvents"]
        if event["__typename"] == "MessageCreated":
            text = event["message"]["text"]
        elif event["__typename"] == "MessageDelta":
            if event["offset"] != len(text):
                raise SystemExit(f"A delta at {event['offset']} followed {len(text)} characters.")
            text += event["text"]
        elif event["__typename"] == "MessageUpdated" and event["message"]["status"] == "COMPLETED":
            if not text == event["message"]["text"] == WRITTEN:
                raise SystemExit(f"A follower received {text!r}.")
            return


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure just this, with the gateway of a checkout."""
    parser = argparse.ArgumentParser(prog="python -m bench.load.runs", description=main.__doc__)
    parser.add_argument("--gateway", type=Path, default=ROOT, help="checkout whose gateway is measured")
    ours = replace(SYSTEMS[OURS], checkout=parser.parse_args(arguments).gateway)
    with database("postgres") as url:
        run_gateway(ours, url, "migrate")
        for each in run_findings(ours, url):
            print(f"{each.work}: {each.value:.0f} {each.unit} ({each.detail})")


if __name__ == "__main__":
    main()
