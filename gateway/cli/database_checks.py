"""The checks of `gateway doctor` on a database that can be opened.

A failure is what `serve` refuses, or what makes writes fail; all else is a warning.
Must not be here: how a database is read (`maintenance.inspect`), checks without a database (`doctor`).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from gateway.cli.findings import Finding, Level
from gateway.core import api_keys, health
from gateway.errors import Unavailable
from gateway.events import postgres
from gateway.events.exchange import probe
from gateway.server.carrier import carrier_of
from gateway.settings.database_url import is_sqlite, parse_postgres
from gateway.settings.table import Settings
from gateway.store.engines.open import connector_to_listen
from gateway.store.files.database_files import sqlite_file
from gateway.store.files.server_lock import holder_of
from gateway.store.maintenance.inspect import LONG_S, Inspection
from gateway.store.schema.revision import HEAD, can_be_served
from gateway.store.store import opened_store
from gateway.web.origins import is_private

if TYPE_CHECKING:
    from gateway.domain.api_key import ApiKey

_MB: Final = 1_000_000
_LONG_LOG_MB: Final = 100  # SQLite writes its log back from 4 MB on
_SOON_S: Final = 14 * 86_400
_CLOCK_S: Final = 5  # machines with NTP differ by less
# Of a role behind a pooler: no time-out, or an isolation in which concurrent writers of a thread fail.
_UNFIT: Final = frozenset({"0", "repeatable read", "serializable"})
_UNITS: Final = ((86_400, "days"), (3_600, "hours"), (60, "minutes"), (1, "seconds"))

DatabaseCheck = Callable[[Settings, Inspection], Awaitable[Finding]]


async def _database(_settings: Settings, inspected: Inspection) -> Finding:
    if inspected.stale_collation:
        said = f"its indexes are in the order {inspected.stale_collation}: rows may not be found"
        advice = "Run: REINDEX DATABASE, then ALTER DATABASE ... REFRESH COLLATION VERSION. See docs/deployment.md."
        return Finding(Level.WARNING, said, advice)
    if inspected.damage is None:
        return Finding(Level.OK, "reachable")
    advice = "Run: gateway export --salvage -o salvaged.jsonl, then gateway restore with a backup."
    return Finding(Level.WARNING, f"the file is damaged: {inspected.damage}", advice)


async def _migrations(settings: Settings, inspected: Inspection) -> Finding:
    revision = inspected.revision
    if not inspected.is_complete:
        said = f"the migration to revision {HEAD} is running, or was interrupted"
        return Finding(Level.FAILURE, said, "Run: gateway migrate")
    if revision == HEAD:
        return Finding(Level.OK, f"the database is at revision {HEAD}")
    said = f"the database is at revision {revision or 'none'}; this version needs {HEAD}"
    if revision is not None and revision > HEAD:
        level = Level.WARNING if can_be_served(revision) else Level.FAILURE
        return Finding(level, said, "A later version migrated it. Run: pip install --upgrade threads-gateway")
    if is_sqlite(settings.database_url):
        return Finding(Level.WARNING, said, "The server migrates it at startup.")
    return Finding(Level.FAILURE, said, "Run: gateway migrate")


async def _writes(settings: Settings, inspected: Inspection) -> Finding:
    if not can_be_served(inspected.revision):
        return Finding(Level.OK, "tried after the migration")
    if is_sqlite(settings.database_url) and holder_of(sqlite_file(settings.database_url)):
        return Finding(Level.OK, "left to the server that runs")  # an old SQLite could lose commits
    async with opened_store(settings.database_url) as store:
        try:
            await store.try_write()
            await health.try_creation(store)
        except Unavailable as error:
            return Finding(
                Level.FAILURE, f"fail: {error.message}", "See 'Faults of the database' in docs/operations.md."
            )
    return Finding(Level.OK, "succeed")


async def _clock(_settings: Settings, inspected: Inspection) -> Finding:
    if abs(inspected.ahead_s) > _CLOCK_S:
        said = f"the database's clock differs from this machine's by {inspected.ahead_s:+.0f} s"
        return Finding(Level.WARNING, said, "Synchronize both clocks with NTP.")
    if inspected.newest is None:
        return Finding(Level.OK, "there is no message to compare it with")
    past_s = time.time() - inspected.newest
    if past_s < -_CLOCK_S:
        said = f"the newest message is {_duration(-past_s)} in the future"
        advice = "The clock was ahead, or is behind now: check it. Messages keep their order."
        return Finding(Level.WARNING, said, advice)
    return Finding(Level.OK, f"the newest message is {_duration(past_s)} old")


def _duration(seconds: float) -> str:
    size, name = next((unit for unit in _UNITS if seconds >= 2 * unit[0]), _UNITS[-1])
    return f"{max(0, seconds) // size:.0f} {name}"


async def _active_runs(_settings: Settings, inspected: Inspection) -> Finding:
    if not inspected.runs:
        return Finding(Level.OK, "in order")
    said = ", ".join(f"{count} {name}" for name, count in inspected.runs.items())
    advice = "A server with runs takes over or ends those that are due; a lock without its run ends when it is met."
    return Finding(Level.WARNING, said, advice)


async def _others(settings: Settings, inspected: Inspection) -> Finding:
    if inspected.log_bytes > _LONG_LOG_MB * _MB:
        said = f"the log has {inspected.log_bytes // _MB:,} MB"
        return Finding(
            Level.WARNING, said, "Look for a program that reads the file in one long transaction, and end it."
        )
    if long := inspected.long_transactions:
        said = ", ".join(f"{name or 'unnamed'} (process {pid}) for {_duration(seconds)}" for pid, name, seconds in long)
        advice = (
            "They can lock threads, and keep PostgreSQL from cleaning up. To end one: SELECT pg_terminate_backend(PID)"
        )
        return Finding(Level.WARNING, f"in a transaction: {said}", advice)
    if inspected.settings and parse_postgres(settings.database_url).by_transaction:
        unfit = [f"{name} = {value}" for name, value in sorted(inspected.settings.items()) if value in _UNFIT]
        if unfit:
            advice = "Set them by ALTER ROLE: see 'PgBouncer' in docs/deployment.md."
            return Finding(Level.WARNING, f"the role has {', '.join(unfit)}", advice)
    return Finding(Level.OK, f"none is in a transaction for more than {LONG_S} s")


async def _hints(settings: Settings, _inspected: Inspection) -> Finding:
    carrier = carrier_of(settings)
    if carrier is None:
        return Finding(Level.OK, "processes poll the file")
    name = "Redis" if settings.hints_url else "PostgreSQL"
    try:
        await probe(carrier)
        if not settings.hints_url:
            await postgres.refuse_pooler(connector_to_listen(settings.database_url, settings.listen_url))
    except OSError as error:
        said = f"not carried by {name}: {error or 'it does not answer'}"
        advice = "Subscribers get events of other processes up to a second late. See GATEWAY_LISTEN_URL."
        return Finding(Level.WARNING, said, advice.replace("LISTEN", "HINTS") if settings.hints_url else advice)
    return Finding(Level.OK, f"carried by {name}")


async def _keys(settings: Settings, inspected: Inspection) -> Finding:
    made: list[ApiKey] = []
    if inspected.revision is not None:
        async with opened_store(settings.database_url) as store:
            made = await api_keys.list_all(store)
    now = time.time()
    good = [key for key in made if key.is_active(now)]
    ending = [key.id for key in good if _ends_soon(key, now)]
    if ending:
        advice = "Run: gateway keys rotate KEY --grace 1d"
        return Finding(Level.WARNING, f"expiring within two weeks: {', '.join(ending)}", advice)
    if made or settings.jwt_jwks_url or settings.jwt_secret:
        return Finding(Level.OK, f"{len(good)} of {len(made)} API keys are valid")
    if is_private(settings.host, settings.trusted_proxies):
        advice = "To require authentication, run: gateway keys create"
        return Finding(Level.WARNING, "none: unauthenticated on localhost until you create the first API key", advice)
    level = Level.WARNING if settings.insecure_open else Level.FAILURE
    said = "none: every client that can connect would have full access"
    return Finding(level, said, "Run: gateway keys create")


def _ends_soon(key: ApiKey, now: float) -> bool:
    return key.expires_at is not None and key.expires_at < now + _SOON_S


# In the order in which they are printed.
DATABASE_CHECKS: Final[dict[str, DatabaseCheck]] = {
    "database": _database,
    "migrations": _migrations,
    "writes": _writes,
    "clock": _clock,
    "active runs": _active_runs,
    "others": _others,
    "hints": _hints,
    "keys": _keys,
}
