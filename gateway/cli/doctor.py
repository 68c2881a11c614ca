"""`gateway doctor`: check everything that a server needs, and say how to fix what is wrong.

Nothing is changed or created.
Must not be here: how a database is looked at (`store.inspect`).
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

import click

from gateway.cli.running_server import ask_server
from gateway.core import api_keys
from gateway.errors import GatewayError
from gateway.events.exchange import probe
from gateway.graphql.documents.trusted import load_trusted
from gateway.server.hints import carrier_of
from gateway.settings.table import Settings
from gateway.store.engines.database_files import sqlite_file
from gateway.store.engines.open import migrates_itself
from gateway.store.engines.sqlite import can_lose_commits
from gateway.store.inspect import inspect_database
from gateway.store.schema.revision import HEAD, can_be_served
from gateway.store.store import opened_store
from gateway.web.origins import default_hosts, is_private

if TYPE_CHECKING:
    from gateway.domain.api_key import ApiKey

_MB: Final = 1_000_000
_FULL_MB, _SCARCE_MB = 100, 1_000
_SOON_S: Final = 14 * 86_400
_CLOCK_S: Final = 5  # machines with NTP differ by less


class Level(Enum):
    """How serious a finding is; the value is its color."""

    OK = "green"
    WARNING = "yellow"
    FAILURE = "red"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check, and how to fix it."""

    level: Level
    said: str
    advice: str = ""


Check = Callable[[Settings], Awaitable[Finding]]


async def _settings(settings: Settings) -> Finding:
    load_trusted(settings.trusted_documents, settings.trusted_mode)
    if not default_hosts(settings.host) and settings.profile == "development":
        said = f"profile development, and {settings.host} is reachable from other machines"
        return Finding(Level.WARNING, said, "Set GATEWAY_PROFILE=production, which disables introspection.")
    return Finding(Level.OK, f"profile {settings.profile}, listening on {settings.host}")


async def _server(settings: Settings) -> Finding:
    told = await asyncio.to_thread(ask_server, settings)
    if told is None:
        return Finding(Level.OK, f"none runs on {settings.host} port {settings.port}")
    failed = told.get("failed") or {name: "does not run" for name, works in told.items() if works is False}
    if not failed:
        return Finding(Level.OK, f"the one on {settings.host} port {settings.port} is {told['status']}")
    said = f"the one that runs is {told['status']}: {', '.join(failed)}"
    return Finding(Level.WARNING, said, "Its log has the reasons; it tries again by itself.")


async def _sqlite(settings: Settings) -> Finding:
    version = sqlite3.sqlite_version
    if not can_lose_commits():
        return Finding(Level.OK, f"version {version}")
    said = f"version {version} can lose messages if several processes write to one file"
    if settings.workers > 1:
        advice = "Set GATEWAY_WORKERS=1, use PostgreSQL, or a Python with SQLite 3.51.3 or later."
        return Finding(Level.FAILURE, said, advice)
    advice = "A single server is safe. Let no other program write to the file while it runs, or use SQLite 3.51.3."
    return Finding(Level.WARNING, said, advice)


async def _disk(settings: Settings) -> Finding:
    folder = sqlite_file(settings.database_url).absolute().parent
    if not folder.exists():
        return Finding(Level.FAILURE, f"folder {folder} does not exist", "Create it, or set GATEWAY_DATABASE_URL.")
    free_mb = shutil.disk_usage(folder).free // _MB
    said = f"{free_mb:,} MB free in {folder}"
    if free_mb < _FULL_MB:
        return Finding(Level.FAILURE, said, "Free disk space: writes will fail.")
    return Finding(Level.WARNING, said, "Free disk space soon.") if free_mb < _SCARCE_MB else Finding(Level.OK, said)


async def _database(settings: Settings) -> Finding:
    await inspect_database(settings.database_url)
    return Finding(Level.OK, "reachable")


async def _migrations(settings: Settings) -> Finding:
    revision = (await inspect_database(settings.database_url)).revision
    if revision == HEAD:
        return Finding(Level.OK, f"the database is at revision {HEAD}")
    said = f"the database is at revision {revision or 'none'}; this version needs {HEAD}"
    if revision is not None and revision > HEAD:
        level = Level.WARNING if can_be_served(revision) else Level.FAILURE
        return Finding(level, said, "A later version migrated it. Run: pip install --upgrade threads-gateway")
    if migrates_itself(settings.database_url):
        return Finding(Level.WARNING, said, "The server migrates it at startup.")
    return Finding(Level.FAILURE, said, "Run: gateway migrate")


async def _clock(settings: Settings) -> Finding:
    looked = await inspect_database(settings.database_url)
    if abs(looked.ahead_s) > _CLOCK_S:
        said = f"the database's clock differs from this machine's by {looked.ahead_s:+.0f} s"
        return Finding(Level.WARNING, said, "Synchronize both clocks with NTP.")
    future_s = (looked.newest or 0) - time.time()
    if future_s > _CLOCK_S:
        said = f"the newest message is {future_s:.0f} s in the future"
        advice = "The clock was or is wrong. Messages keep their order; until then, new ones get the same timestamp."
        return Finding(Level.WARNING, said, advice)
    return Finding(Level.OK, "no message is in the future")


async def _hints(settings: Settings) -> Finding:
    carrier = carrier_of(settings)
    if carrier is None:
        return Finding(Level.OK, "processes poll the file")
    name = "Redis" if settings.hints_url else "PostgreSQL"
    try:
        await probe(carrier)
    except OSError as error:
        said = f"not carried by {name}: {error or 'it does not answer'}"
        advice = "Subscribers get events of other processes up to a second late. See GATEWAY_LISTEN_URL."
        return Finding(Level.WARNING, said, advice.replace("LISTEN", "HINTS") if settings.hints_url else advice)
    return Finding(Level.OK, f"carried by {name}")


async def _keys(settings: Settings) -> Finding:
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


# In the order in which they are printed.
CHECKS: Final[dict[str, Check]] = {"settings": _settings, "server": _server}
CHECKS_OF_SQLITE: Final[dict[str, Check]] = {"SQLite": _sqlite, "disk": _disk}
CHECKS_OF_DATABASE: Final[dict[str, Check]] = {
    "database": _database,
    "migrations": _migrations,
    "clock": _clock,
    "hints": _hints,
    "keys": _keys,
}


def run_doctor(settings: Settings) -> bool:
    """Print the findings of all checks, and return whether a server can start."""
    found = asyncio.run(_examine(settings))
    for name, finding in found.items():
        level = click.style(f"{finding.level.name.lower():<9}", fg=finding.level.value)
        click.echo(f"{level}{name:<12}{finding.said}")
        if finding.advice:
            click.echo(f"{'':<21}{finding.advice}")
    return all(finding.level is not Level.FAILURE for finding in found.values())


async def _examine(settings: Settings) -> dict[str, Finding]:
    is_file = migrates_itself(settings.database_url)
    before = CHECKS | (CHECKS_OF_SQLITE if is_file else {})
    found = {name: await _run(check, settings) for name, check in before.items()}
    if is_file and not (file := sqlite_file(settings.database_url)).exists():
        return found | {"database": Finding(Level.OK, f"{file} does not exist yet; the server creates it")}
    for name, check in CHECKS_OF_DATABASE.items():
        found[name] = await _run(check, settings)
        if name in ("database", "migrations") and found[name].level is not Level.OK:
            break  # the other checks would fail for the same reason
    return found


async def _run(check: Check, settings: Settings) -> Finding:
    try:
        return await check(settings)
    except GatewayError as error:
        return Finding(Level.FAILURE, error.message)


def _ends_soon(key: ApiKey, now: float) -> bool:
    return key.expires_at is not None and key.expires_at < now + _SOON_S
