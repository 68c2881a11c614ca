"""Count the instructions of systems on one database, case by case, each system in a server of its own.

Must not be here: how instructions are counted (`instructions`), what is timed (`rounds`).
"""

from __future__ import annotations

import itertools
import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from websockets.exceptions import ConnectionClosed

from bench.cases.case import World
from bench.cases.events import EVENTS
from bench.cases.tables import SIZED, TABLES, cases_for, chosen, chosen_events
from bench.corpus.messages import MADE
from bench.instructions.count import ALL, counted
from bench.load.events import FOLLOWERS, following
from bench.load.single_connection import Maker, SingleConnection
from bench.report.result import Counted
from bench.systems.catalog import OURS
from bench.systems.server import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.cases.case import Case
    from bench.systems.catalog import System
    from bench.systems.databases import Prepared


def count_cases(ready: Prepared, systems: Sequence[System], only: Sequence[str] = ()) -> Iterator[Counted]:
    """Count all cases of all systems; what a case uses up is made by a server that is not counted."""
    with serve(ready.ours, ready.url) as server:
        world = World(ready.keys, Maker(server.port), ALL, ready.long)
        world = replace(world, sizes=sizes_of(world))
        for system in systems:
            if chosen(system.protocol, only):
                yield from _of_system(ready, system, world, only)
        try:
            yield from _events(ready, world, only)
        except ConnectionClosed as error:  # fifty times slower, it may refuse followers as it does under overload
            print(f"{ready.kind}: events cannot be counted here: {error}", file=sys.stderr)


def _of_system(ready: Prepared, system: System, world: World, only: Sequence[str]) -> Iterator[Counted]:
    with counted(system, ready.url) as counter:
        for case in cases_for(system.protocol, world, only):
            print(f"{ready.kind}, counting instructions: {case.name}, {system.name}", file=sys.stderr)
            with SingleConnection(counter.server.port) as connection:
                found = counter.count(_in_turn(case, connection))
            yield Counted(system.name, ready.kind, case.name, found.kilo, found.libraries, found.statements)


def _events(ready: Prepared, world: World, only: Sequence[str]) -> Iterator[Counted]:
    """Count what an event costs for one of ten followers of a thread: what is left without the change itself."""
    names = chosen_events(only)
    if not names:
        return
    with counted(ready.ours, ready.url) as counter:
        for name in names:
            print(f"{ready.kind}, counting instructions: {name}", file=sys.stderr)
            with SingleConnection(counter.server.port) as connection:
                alone = counter.count(partial(connection.check, EVENTS[name](world).ask))
            followed = EVENTS[name](world)
            with (
                following(counter.server, world.keys[MADE], followed) as receive,
                SingleConnection(counter.server.port) as connection,
            ):

                def change() -> None:
                    connection.check(followed.ask)  # noqa: B023  (called within this turn of the loop)
                    receive()

                whole = counter.count(change)
            yield Counted(OURS, ready.kind, name, (whole.kilo - alone.kilo) / FOLLOWERS)


def _in_turn(case: Case, connection: SingleConnection) -> Callable[[], object]:
    """Send the requests of a case one after the other, from the first again after the last."""
    endless = itertools.cycle(case.asks)
    return lambda: connection.check(next(endless))


def sizes_of(world: World) -> dict[str, int]:
    """Measure the size of our answers; the `hello` app answers with as many bytes."""
    return {name: len(world.maker.ask(TABLES[OURS][name](world)[0].request)) for name in SIZED}
