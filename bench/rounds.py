"""Measure systems side by side on one database: round for round, case by case, one system after the other.

What the machine does besides then falls on all of them alike.
Must not be here: which databases (`databases`), how it is shown (`tables`).
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bench.cases import REST_20, REST_100, Asked, cases_of
from bench.instructions.count import count
from bench.load.client import Firing
from bench.load.single_connection import Line
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
class How:
    """How long each case is asked, over how many connections, and how often."""

    seconds: float
    connections: int
    rounds: int


@dataclass(frozen=True, slots=True)
class Contender:
    """A system that runs, and what it is asked."""

    system: System
    server: Server
    cases: list[Case]


def measure(prepared: Prepared, systems: Sequence[System], how: How) -> Iterator[Round]:
    """Start all systems on a database, see that they answer alike, and ask them all in turn.

    Errors: SystemExit where an answer is wrong.
    """
    with ExitStack() as stack:
        firing = stack.enter_context(Firing())
        servers = dict(zip([each.name for each in systems], _all_served(stack, systems, prepared.url), strict=True))
        asked = Asked(prepared.loaded, prepared.key, sizes_of(prepared, servers[OURS]))
        contenders = [Contender(each, servers[each.name], cases_of(each.speaks, asked)) for each in systems]
        refuse_other_answers(contenders)
        names = dict.fromkeys(case.name for each in contenders for case in each.cases)
        for number in range(how.rounds):
            for name in names:
                for each in contenders:
                    for case in each.cases:
                        if case.name == name:
                            print(f"{prepared.kind}, round {number + 1}: {name}, {each.system.name}", file=sys.stderr)
                            yield _round(firing, each, case, prepared.kind, number, how)


def _all_served(stack: ExitStack, systems: Sequence[System], url: str) -> list[Server]:
    """Start all at once, which takes as long as the slowest."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda each: stack.enter_context(serve(each, url)), systems))


def counted(counter: Counter, prepared: Prepared, systems: Sequence[System]) -> Iterator[Counted]:
    """Count the instructions of all systems, each in a server of its own."""
    with serve(SYSTEMS[OURS], prepared.url) as server:
        asked = Asked(prepared.loaded, prepared.key, sizes_of(prepared, server))
    for system in systems:
        print(f"{prepared.kind}, counting instructions: {system.name}", file=sys.stderr)
        try:
            for case, kilo, libraries in count(counter, system, prepared.url, cases_of(system.speaks, asked)):
                yield Counted(system.name, prepared.kind, case, kilo, libraries)
        except (OSError, SystemExit) as error:
            if not system.on_node:
                raise
            print(f"{system.name} cannot be counted here: {error}", file=sys.stderr)  # valgrind and V8 may part


def sizes_of(prepared: Prepared, server: Server) -> dict[str, int]:
    """Ask ours how large its pages are: who says hello answers as much."""
    asked = Asked(prepared.loaded, prepared.key, {})
    cases = {case.name: case for case in cases_of(OURS, asked)}
    with Line(server.port) as line:
        return {name: len(line.ask(cases[name].requests[0])) for name in (REST_20, REST_100)}


def refuse_other_answers(contenders: Sequence[Contender]) -> None:
    """See that all show the same messages for the same page: ids and texts, in the same order."""
    seen = dict[int, tuple[str, list[tuple[str, str]]]]()
    for each in contenders:
        if each.system.name == HELLO:
            continue
        with Line(each.server.port) as line:
            for case in each.cases:
                if not case.is_read or len(case.requests) > 1:
                    continue
                shown = list(messages_in(json.loads(line.ask(case.requests[0]))))
                who, expected = seen.setdefault(case.messages, (each.system.name, shown))
                if shown != expected or len(shown) != case.messages:
                    raise SystemExit(f"{case.name}: {each.system.name} shows other messages than {who}.")


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


def _round(firing: Firing, each: Contender, case: Case, kind: str, number: int, how: How) -> Round:
    """Ask one case of one system: to warm it up, then measured."""
    firing.fire(each.server.port, case, how.connections, how.seconds * WARM_UP)
    before = each.server.cpu_s()
    seen = firing.fire(each.server.port, case, how.connections, how.seconds)
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
