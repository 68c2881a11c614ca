"""Measure what a filter adds to a list of 20 among very many threads: `python -m bench.lists`, on both databases.

Statements run on one connection as a server prepares them, requests through a server. Lists are asked for in turn, and
the median of each is compared with that of the list without a filter. Prints Markdown.
Must not be here: the threads (`corpus.many_threads`).
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.error import HTTPError
from urllib.parse import unquote, urlencode
from urllib.request import Request, urlopen

from bench.cases.case import Ask, Case, request
from bench.corpus.many_threads import PROJECTS, SOLE, fill_with_threads
from bench.corpus.messages import DEFAULT, LISTED
from bench.load.client import LoadClient
from bench.report.tables import NAMES, table
from bench.systems.catalog import OURS, SYSTEMS
from bench.systems.databases import database, described, run_gateway, run_sql
from bench.systems.server import cpu_s, serve
from bench.systems.usage import usage_after, usage_before
from gateway.domain.principal import Reach
from gateway.domain.thread_list import OrderBy, from_query
from gateway.store.connections import open_reader
from gateway.store.engines.open import open_engines
from gateway.store.statements import selected_threads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.systems.databases import Prepared
    from bench.systems.server import Server
    from gateway.store.connections import Connection
    from gateway.store.engines.base import Engines
    from gateway.store.statement_cache import Build

    Filter = dict[str, str]
    Costs = dict[tuple["Listed", OrderBy], float]  # microseconds

_BUILD: Final[dict[OrderBy, Build]] = {
    OrderBy.CREATED: selected_threads.list_created,
    OrderBy.ACTIVITY: selected_threads.list_active,
}
_PATIENCE_S: Final = 60.0
_UNAVAILABLE: Final = 503


class Listed(NamedTuple):
    """A list, how many threads a page of it has, and what it may cost: so many times as much as without a filter."""

    name: str
    project: str
    only: tuple[tuple[str, str], ...]
    length: int
    most: float


_ALL = Listed("all threads", DEFAULT, (), LISTED, 1.0)
_ALL_OF_SOLE = Listed("all threads of another project", SOLE, (), LISTED, 1.0)
_LISTS: Final = (
    _ALL,
    Listed("a pair that all have", DEFAULT, (("metadata[app]", "chat"),), LISTED, 1.2),
    Listed("a pair of 1 %", DEFAULT, (("metadata[tier]", "gold"),), LISTED, 5.0),
    Listed("a pair of the oldest 1 %", DEFAULT, (("metadata[era]", "old"),), LISTED, 5.0),
    Listed("a pair of ten", DEFAULT, (("metadata[case]", "ten"),), 10, 1.2),
    Listed("an owner of 1 %", DEFAULT, (("owner", "user_many"),), LISTED, 5.0),
    Listed("an owner of ten", DEFAULT, (("owner", "user_ten"),), 10, 1.2),
    _ALL_OF_SOLE,
    Listed("the owner of all", SOLE, (("owner", "user_sole"),), LISTED, 1.2),
)
_KEYS: Final = [(listed, by) for by in OrderBy for listed in _LISTS]
# Some match nothing, so that a page is never full.
_COMBINED: Final[tuple[Filter, ...]] = (
    {"metadata[tier]": "gold", "owner": "user_many"},
    {"metadata[case]": "ten", "owner": "user_many"},
    {"metadata[tier]": "gold", "metadata[app]": "chat"},
    {"metadata[app]": "chat", "metadata[tier]": "gold"},
    {"metadata[app]": "chat", "metadata[case]": "ten"},
    {"metadata_exists[]": "case"},
    {"metadata[era]": "old", "has_owner": "false"},
    {"active_before": "1700100000"},
    {"created_before": "1700100000"},
    {"active_before": "1700100000", "created_after": "1750000000"},
    {"unread": "true", "reader": "bob"},
    {"unread": "false", "reader": "bob"},
    {"unread": "false", "reader": "bob", "metadata[tier]": "gold"},
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill and measure one database after the other."""
    options = _options().parse_args(arguments)
    for name in options.databases:
        with database(name) as url:
            run_gateway(SYSTEMS[OURS], url, "migrate")
            if not run_sql(url, "SELECT 1 FROM threads LIMIT 1"):
                print(f"Filling a database with {options.threads:,} threads ...", file=sys.stderr)
                fill_with_threads(url, options.threads)
            ready = described(url, SYSTEMS[OURS], PROJECTS)
            print(_measured(ready, options.rounds, options.times), flush=True)


def _measured(ready: Prepared, rounds: int, times: int) -> str:
    statements = asyncio.run(_statements(ready.url, rounds, times))
    with serve(ready.ours, ready.url) as server, LoadClient() as client:
        requests = _requests(ready, server, client, rounds, times)
        combined = [_combination(ready, server, each) for each in _COMBINED]
    heads = ["list", *(f"{what} by {by.value}, µs" for what in ("statement", "request") for by in OrderBy), "at most"]
    lines = [
        [each.name, *(_shown(cost, each, by) for cost in (statements, requests) for by in OrderBy), f"{each.most}"]
        for each in _LISTS
    ]
    tables = table(heads, lines), table(["combination", *(f"by {by.value}, ms" for by in OrderBy)], combined)
    return "\n\n".join((f"### {NAMES[ready.kind]}", *tables))


def _shown(costs: Costs, listed: Listed, by: OrderBy) -> str:
    """Format a cost, and its ratio to the list without a filter."""
    whole = _ALL if listed.project == DEFAULT else _ALL_OF_SOLE
    return f"{costs[listed, by]:,.0f} ({costs[listed, by] / costs[whole, by]:.2f})"


async def _statements(url: str, rounds: int, times: int) -> Costs:
    """Measure CPU time of PostgreSQL's process, or of SQLite's thread."""
    engines = open_engines(url)
    connection = await open_reader(engines)
    if connection.is_sqlite:
        run = partial(_spent_by_sqlite, engines, connection)
    else:
        run = partial(_spent_by_postgres, connection, await connection.raw.fetchval("SELECT pg_backend_pid()"))
    spent: dict[tuple[Listed, OrderBy], list[float]] = {}
    try:
        for _ in range(rounds + 1):
            for key in _KEYS:
                spent.setdefault(key, []).append(await run(_BUILD[key[1]], _arguments(*key), times))
    finally:
        await connection.discard()
        await engines.dispose()
    return _medians(spent, times)


def _arguments(listed: Listed, by: OrderBy) -> tuple[Any, ...]:
    page, selected = from_query([("limit", str(LISTED)), ("order_by", by.value), *listed.only])
    return selected.narrow(Reach(listed.project)), *selected.located(page)


async def _spent_by_postgres(
    connection: Connection, pid: int, build: Build, arguments: tuple[Any, ...], times: int
) -> float:
    before = cpu_s(pid)
    for _ in range(times):
        await connection.rows(build, arguments)
    return cpu_s(pid) - before


async def _spent_by_sqlite(
    engines: Engines, connection: Connection, build: Build, arguments: tuple[Any, ...], times: int
) -> float:
    prepared, values = engines.statements.prepared(build, arguments)

    def spent(raw: Any) -> float:
        before = time.thread_time()
        for _ in range(times):
            raw.execute(prepared.text, values).fetchall()
            raw.packed.clear()
        return time.thread_time() - before

    found: float = await connection.call(spent)
    return found


def _requests(ready: Prepared, server: Server, client: LoadClient, rounds: int, times: int) -> Costs:
    """Measure CPU time of the server and of its database, over one connection."""
    spent: dict[tuple[Listed, OrderBy], list[float]] = {}
    for _ in range(rounds + 1):
        for key in _KEYS:
            listed, by = key
            path = _path({"limit": str(LISTED), "order_by": by.value, **dict(listed.only)})
            ask = Ask(request("GET", path, key=ready.keys[listed.project]), '"thread"', listed.length)
            before = usage_before(ready, server)
            client.send_requests(server.port, Case(listed.name, [ask]), 1, _PATIENCE_S, times)
            used = usage_after(ready, server).since(before)
            spent.setdefault(key, []).append(used.server_s + used.database_s)
    return _medians(spent, times)


def _medians(spent: dict[tuple[Listed, OrderBy], list[float]], times: int) -> Costs:
    """Summarize rounds in microseconds for each answer; the first one has warmed everything up."""
    return {key: statistics.median(found[1:]) / times * 1e6 for key, found in spent.items()}


def _combination(ready: Prepared, server: Server, only: Filter) -> list[str]:
    """Measure how long one request with several filters takes, in each order."""
    headers = {"Authorization": f"Bearer {ready.keys[DEFAULT]}"}
    cells = []
    for by in OrderBy:
        path = _path({"limit": str(LISTED), "order_by": by.value, **only})
        begin = time.perf_counter()
        try:
            with urlopen(Request(f"http://127.0.0.1:{server.port}{path}", headers=headers)) as answer:
                answer.read()
            cells.append(f"{(time.perf_counter() - begin) * 1e3:,.1f}")
        except HTTPError as error:
            cells.append(f"{error.code} at the deadline" if error.code == _UNAVAILABLE else str(error.code))
    return [f"`{unquote(urlencode(only))}`", *cells]


def _path(query: Filter) -> str:
    return f"/v1/threads?{urlencode(query)}"


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "databases",
        metavar="DATABASE",
        nargs="*",
        default=["sqlite", "postgres"],
        help="sqlite, postgres, or the URL of a database that is empty or was filled by an earlier run",
    )
    parser.add_argument("--threads", type=int, default=1_000_000, metavar="N", help="threads [%(default)s]")
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="rounds of all lists [%(default)s]")
    parser.add_argument("--times", type=int, default=50, metavar="N", help="of each list in a round [%(default)s]")
    return parser


if __name__ == "__main__":
    main()
