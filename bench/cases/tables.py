"""The table of cases of each protocol.

Must not be here: requests (`reads`, `writes`).
"""

from __future__ import annotations

from fnmatch import fnmatch
from typing import TYPE_CHECKING, Final

from bench.cases import names, postgraphile, reads, writes
from bench.cases.case import Ask, Case, mixed, request
from bench.cases.events import EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.cases.case import Recipe, World


def _mix(world: World) -> list[Ask]:
    return mixed(reads.previews()(world), reads.pages(world), writes.create(world), reads.node(world))


def _hello(case: str) -> Recipe:
    return lambda world: [Ask(request("GET", f"/{world.sizes[case]}"), '"hello"', 1)]


_OURS: Final[dict[str, Recipe]] = {names.MIX: _mix, **reads.GRAPHQL, **reads.REST, **writes.GRAPHQL, **writes.REST}
_GRAPHQL: Final = (names.MIX, names.LIST, names.PAGE_20, names.PAGE_100, names.NODE, names.CREATE)
_BARE: Final = (names.REST_20, names.REST_100, names.REST_CREATE)
SIZED: Final = (names.REST_20, names.REST_100, names.HEALTH)
TABLES: Final[dict[str, dict[str, Recipe]]] = {
    "ours": _OURS,
    "graphql": {name: _OURS[name] for name in _GRAPHQL},
    "postgraphile": postgraphile.TABLE,
    "rest": {name: _OURS[name] for name in _BARE},
    "hello": {name: _hello(name) for name in SIZED},
}


def chosen(protocol: str, only: Sequence[str]) -> list[str]:
    """Name the cases of a protocol that match a pattern, or all if there is none."""
    return [name for name in TABLES[protocol] if not only or any(fnmatch(name, each) for each in only)]


def chosen_events(only: Sequence[str]) -> list[str]:
    """Name the events that match a pattern, or all if there is none."""
    return [name for name in EVENTS if not only or any(fnmatch(name, each) for each in only)]


def cases_for(protocol: str, world: World, only: Sequence[str] = ()) -> Iterator[Case]:
    """Write the requests of one case after the other, when its turn comes: some make what they will use up."""
    for name in chosen(protocol, only):
        yield Case(name, TABLES[protocol][name](world))
