"""Measure systems on one database in turn: round by round, case by case, one system after the other.

Other load on the machine then affects all of them alike.
Must not be here: databases (`systems.databases`), tables (`report.tables`).
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bench.cases import REST_20, REST_100, CaseInputs, cases_for
from bench.instructions.count import count
from bench.load.client import LoadClient
from bench.load.single_connection import SingleConnection
from bench.report.result import Counted, Round
from bench.systems.catalog import HELLO, OURS, SYSTEMS
from bench.systems.server import serve

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.cases import Case
    from bench.instructions.count import Counter
    from bench.systems.catalog import System
    from bench.systems.databases import Prepared
    from bench.systems.server import Server

WARM_UP: Final = 0.2  # of the time of a case


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
    cases: list[Case]


def measure(prepared: Prepared, systems: Sequence[System], settings: Settings) -> Iterator[Round]:
    """Start all systems on a database, check that their answers agree, and measure them in turn.

    Errors: SystemExit where an answer is wrong.
    """
    with ExitStack() as stack:
        client = stack.enter_context(LoadClient())
        servers = dict(zip([each.name for each in systems], _all_served(stack, systems, prepared.url), strict=True))
        inputs = CaseInputs(prepared.loaded, prepared.key, sizes_of(prepared, servers[OURS]))
        running = [RunningSystem(each, servers[each.name], cases_for(each.protocol, inputs)) for each in systems]
        check_answers_agree(running)
        names = dict.fromkeys(case.name for each in running for case in each.cases)
        for number in range(settings.rounds):
            for name in names:
                for each in running:
                    for case in each.cases:
                        if case.name == name:
                            print(f"{prepared.kind}, round {number + 1}: {name}, {each.system.name}", file=sys.stderr)
                            yield _round(client, each, case, prepared.kind, number, settings)


def _all_served(stack: ExitStack, systems: Sequence[System], url: str) -> list[Server]:
    """Start all at once, which takes as long as the slowest."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda each: stack.enter_context(serve(each, url)), systems))


def counted(counter: Counter, prepared: Prepared, systems: Sequence[System]) -> Iterator[Counted]:
    """Count the instructions of all systems, each in a server of its own."""
    with serve(SYSTEMS[OURS], prepared.url) as server:
        inputs = CaseInputs(prepared.loaded, prepared.key, sizes_of(prepared, server))
    for system in systems:
        print(f"{prepared.kind}, counting instructions: {system.name}", file=sys.stderr)
        try:
            for case, kilo, libraries in count(counter, system, prepared.url, cases_for(system.protocol, inputs)):
                yield Counted(system.name, prepared.kind, case, kilo, libraries)
        except (OSError, SystemExit) as error:
            if not system.on_node:
                raise
            print(f"{system.name} cannot be counted here: {error}", file=sys.stderr)  # valgrind and V8 may part


def sizes_of(prepared: Prepared, server: Server) -> dict[str, int]:
    """Measure the size of our pages; the `hello` app answers with as many bytes."""
    inputs = CaseInputs(prepared.loaded, prepared.key, {})
    cases = {case.name: case for case in cases_for(OURS, inputs)}
    with SingleConnection(server.port) as connection:
        return {name: len(connection.ask(cases[name].requests[0])) for name in (REST_20, REST_100)}


def check_answers_agree(running: Sequence[RunningSystem]) -> None:
    """Check that all systems return the same messages for a page: ids and texts, in the same order."""
    seen = dict[int, tuple[str, list[tuple[str, str]]]]()
    for each in running:
        if each.system.name == HELLO:
            continue
        with SingleConnection(each.server.port) as connection:
            for case in each.cases:
                if not case.is_read or len(case.requests) > 1:
                    continue
                shown = list(messages_in(json.loads(connection.ask(case.requests[0]))))
                who, expected = seen.setdefault(case.messages, (each.system.name, shown))
                if shown != expected or len(shown) != case.messages:
                    raise SystemExit(f"{case.name}: {each.system.name} returns other messages than {who}.")


def messages_in(answer: Any) -> Iterator[tuple[str, str]]:
    """Find the messages of an answer in any format: objects with an id and content."""
    if isinstance(answer, list):
        for each in answer:
            yield from messages_in(each)
    elif isinstance(answer, dict):
        if "content" in answer and "id" in answer:
            yield answer["id"], "".join(part["text"]["value"] for part in answer["content"])
        else:
            yield from messages_in(list(answer.values()))


def _round(client: LoadClient, each: RunningSystem, case: Case, kind: str, number: int, settings: Settings) -> Round:
    """Measure a case on a system, after warming up."""
    client.send_requests(each.server.port, case, settings.connections, settings.seconds * WARM_UP)
    before = each.server.cpu_s()
    seen = client.send_requests(each.server.port, case, settings.connections, settings.seconds)
    cpu_s = each.server.cpu_s() - before
    requests = seen.requests
    return Round(
        system=each.system.name,
        database=kind,
        case=case.name,
        number=number,
        requests=requests,
        per_second=requests / seen.seconds,
        p50_ms=seen.p50_ms,
        p99_ms=seen.p99_ms,
        cpu_ms=cpu_s * 1000 / requests,
        client_cpu_ms=seen.cpu_s * 1000 / requests,
    )
