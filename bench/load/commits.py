"""What hints between servers cost the writers: commits a second with hints, to those without any.

The databases are of their own: one whose commits wait for the disk, and one whose commits also wait for a replica
behind a line that delays. Writers use one server, a follower of each thread another, which stands for one on another
machine: it is stopped while commits are counted, and has to deliver all events afterwards. If it runs, it takes half of
a machine with two processors, and half of the commits where the disk is fast, with hints or by the sweep. Each pair of
runs is compared by itself, since the speed of a shared disk changes. `python -m bench.load.commits` measures just this.
Must not be here: events (`events`), other costs of followers (`followers`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from bench.cases.case import Ask, Case, World, request
from bench.cases.writes import new_thread
from bench.corpus.messages import MADE
from bench.load.client import LoadClient
from bench.load.delay import delayed
from bench.load.followers import PATIENCE_S, subscribed
from bench.load.single_connection import Maker
from bench.report.result import Finding
from bench.report.targets import COMMITS
from bench.systems.catalog import OURS, POSTGRES, ROOT, SYSTEMS
from bench.systems.databases import make_key, run_gateway, run_sql
from bench.systems.server import serve
from tests.faults.pair import node, pair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from websockets.asyncio.client import ClientConnection

    from bench.systems.catalog import System
    from bench.systems.server import Server

WRITERS: Final = 16
AWAY_S: Final = 0.005
_DURABLE: Final = ("max_connections=100", "shared_buffers=64MB")
_NOWHERE: Final = {"GATEWAY_LISTEN_URL": "postgresql://nobody@127.0.0.1:1/none"}  # no hint is ever sent


@contextmanager
def _on_disk() -> Iterator[str]:
    with node(_DURABLE) as primary:
        yield primary.url


@contextmanager
def _at_a_replica() -> Iterator[str]:
    with pair(_DURABLE, partial(delayed, delay_s=AWAY_S)) as (primary, _):
        yield primary.url


PLACES: Final = dict(zip(COMMITS, (_on_disk, _at_a_replica), strict=True))


def commit_findings(ours: System, rounds: int, seconds: float) -> Iterator[Finding]:
    """Measure with hints and without, in turn."""
    for work, place in PLACES.items():
        with place() as url:
            run_gateway(ours, url, "migrate")
            key = make_key(ours, url, MADE)
            measured = partial(_commits, ours, url, key, seconds)
            rates = [_pair(measured, is_even=n % 2 == 0) for n in range(rounds)]
        with_hints, without = (median(each) for each in zip(*rates, strict=True))
        ratios = [one / other for one, other in rates]
        detail = (
            f"{with_hints:,.0f} a second with hints, {without:,.0f} without, with followers; "
            f"the pairs are from {min(ratios):.2f} to {max(ratios):.2f}"
        )
        yield Finding(work, POSTGRES, median(ratios), "times", detail)


def _pair(measured: Callable[..., float], *, is_even: bool) -> tuple[float, float]:
    """Measure both, in an order that changes, so that neither gains from what is faster later on."""
    found = {hints: measured(hints=hints) for hints in (is_even, not is_even)}
    return found[True], found[False]


def _commits(ours: System, url: str, key: str, seconds: float, *, hints: bool) -> float:
    given = {} if hints else _NOWHERE
    with serve(ours, url, given=given) as writers, serve(ours, url) as others:
        world = World({MADE: key}, Maker(writers.port), 0, 0)
        threads = [new_thread(world) for _ in range(WRITERS)]
        return asyncio.run(_measured(url, writers, others, (key, threads), seconds))


async def _measured(url: str, writers: Server, others: Server, of: tuple[str, Sequence[str]], seconds: float) -> float:
    """Write to all threads at once, each with a follower on the other server.

    Errors: SystemExit where a follower has missed an event.
    """
    (key, threads), body = of, {"role": "user", "content": "Hello"}
    asks = [Ask(request("POST", f"/v1/threads/{each}/messages", body, key), '"thread.message"', 1) for each in threads]
    async with AsyncExitStack() as stack:
        sockets = [await subscribed(stack, others.port, key, each) for each in threads]
        received = [0]
        reading = [asyncio.create_task(_read(each, received)) for each in sockets]
        with LoadClient() as client:
            case = Case("commits", asks)
            await asyncio.to_thread(client.send_requests, writers.port, case, WRITERS, 1)
            with _stopped(others):
                found = await asyncio.to_thread(client.send_requests, writers.port, case, WRITERS, seconds)
        await _until_all(url, threads, received)
        for task in reading:
            task.cancel()
    return found.requests / found.seconds


@contextmanager
def _stopped(server: Server) -> Iterator[None]:
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


async def _read(socket: ClientConnection, received: list[int]) -> None:
    while True:
        message = json.loads(await socket.recv())
        received[0] += message["type"] == "next"


async def _until_all(url: str, threads: Sequence[str], received: list[int]) -> None:
    """Wait until the followers have received each message that is stored.

    Errors: SystemExit where they have not, after some time.
    """
    ids = ", ".join(f"'{each}'" for each in threads)
    [(stored,)] = await asyncio.to_thread(run_sql, url, f"SELECT count(*) FROM messages WHERE thread_id IN ({ids})")  # noqa: S608  (our own ids)
    end = asyncio.get_running_loop().time() + PATIENCE_S
    while received[0] < stored:
        if asyncio.get_running_loop().time() > end:
            raise SystemExit(f"Followers received {received[0]} of {stored} messages.")
        await asyncio.sleep(0.05)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure just this, with the gateway of a checkout."""
    parser = argparse.ArgumentParser(prog="python -m bench.load.commits", description=main.__doc__)
    parser.add_argument("--gateway", type=Path, default=ROOT, help="checkout whose gateway is measured")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args(arguments)
    ours = replace(SYSTEMS[OURS], checkout=options.gateway)
    for each in commit_findings(ours, options.rounds, options.seconds):
        print(f"{each.work}: {each.value:.2f} ({each.detail})")


if __name__ == "__main__":
    main()
