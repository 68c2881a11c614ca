"""Measure systems on one database in turn: round by round, case by case, one system after the other.

Other load on the machine then affects all of them alike.
Must not be here: databases (`systems.databases`), tables (`report.tables`), instructions (`counting`).
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from bench.cases import names
from bench.cases.case import World
from bench.cases.tables import cases_for
from bench.counting import sizes_of
from bench.load.client import LoadClient
from bench.load.single_connection import Maker, SingleConnection
from bench.report.result import Round
from bench.systems.catalog import HELLO, OURS
from bench.systems.server import serve
from bench.systems.usage import usage_after, usage_before

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.cases.case import Case
    from bench.systems.catalog import System
    from bench.systems.databases import Prepared
    from bench.systems.server import Server

WARM_UP: Final = 0.2  # of the time of a case
TIMED: Final = (
    names.MIX,
    names.LIST,
    names.PAGE_20,
    names.NODE,
    names.CREATE,
    names.REST_20,
    names.REST_CREATE,
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Seconds of each case in a round, connections, and rounds."""

    seconds: float
    connections: int
    rounds: int


@dataclass(frozen=True, slots=True)
class RunningSystem:
    """A running system and its cases."""

    system: System
    server: Server
    cases: dict[str, Case]


def measure(ready: Prepared, systems: Sequence[System], settings: Settings, only: Sequence[str]) -> Iterator[Round]:
    """Start all systems on a database, check that their answers agree, and measure them in turn.

    Errors: SystemExit where an answer is wrong.
    """
    with ExitStack() as stack:
        client = stack.enter_context(LoadClient())
        servers = dict(zip([each.name for each in systems], _all_served(stack, systems, ready.url), strict=True))
        world = World(ready.keys, Maker(servers[OURS].port), 0, ready.long)
        world = replace(world, sizes=sizes_of(world))
        running = [
            RunningSystem(each, servers[each.name], {case.name: case for case in cases_for(each.protocol, world, only)})
            for each in systems
        ]
        check_answers_agree(running)
        for number in range(settings.rounds):
            for name in only:
                for each in running:
                    if name in each.cases:
                        print(f"{ready.kind}, round {number + 1}: {name}, {each.system.name}", file=sys.stderr)
                        yield _round(client, ready, each, each.cases[name], number, settings)


def _all_served(stack: ExitStack, systems: Sequence[System], url: str) -> list[Server]:
    """Start all at once, which takes as long as the slowest."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda each: stack.enter_context(serve(each, url)), systems))


def check_answers_agree(running: Sequence[RunningSystem]) -> None:
    """Check that all systems return the same messages for a read: ids and texts, in the same order."""
    seen = dict[str, tuple[str, list[tuple[str, str]]]]()
    for each in running:
        if each.system.name == HELLO:
            continue
        with SingleConnection(each.server.port) as connection:
            for name, case in each.cases.items():
                if name in (names.MIX, names.CREATE, names.REST_CREATE):
                    continue
                answer = json.loads(connection.ask(case.asks[0].request))
                shown = list(messages_in(answer))
                who, expected = seen.setdefault(names.LIKE.get(name, name), (each.system.name, shown))
                if shown != expected or not shown:
                    raise SystemExit(f"{name}: {each.system.name} returns other messages than {who}.")


def messages_in(answer: Any) -> Iterator[tuple[str, str]]:
    """Find the messages of an answer in any format: objects with a role, and with content or text."""
    if isinstance(answer, list):
        for each in answer:
            yield from messages_in(each)
    elif isinstance(answer, dict):
        if "role" in answer:
            content = answer.get("content") or [{"text": {"value": answer["text"]}}]
            yield answer.get("id", ""), "".join(part["text"]["value"] for part in content)
        else:
            yield from messages_in(list(answer.values()))


def _round(
    client: LoadClient, ready: Prepared, each: RunningSystem, case: Case, number: int, settings: Settings
) -> Round:
    """Measure a case on a system, after warming up."""
    client.send_requests(each.server.port, case, settings.connections, settings.seconds * WARM_UP)
    before = usage_before(ready, each.server)
    seen = client.send_requests(each.server.port, case, settings.connections, settings.seconds)
    used = usage_after(ready, each.server).since(before)
    requests = seen.requests
    return Round(
        system=each.system.name,
        database=ready.kind,
        case=case.name,
        number=number,
        requests=requests,
        per_second=requests / seen.seconds,
        p50_ms=seen.p50_ms,
        p99_ms=seen.p99_ms,
        cpu_ms=used.server_s * 1000 / requests,
        database_cpu_ms=used.database_s * 1000 / requests,
        client_cpu_ms=seen.cpu_s * 1000 / requests,
    )
