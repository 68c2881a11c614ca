"""`gateway doctor`: look at everything that a server stands on, and say what to do where it is not right.

Nothing is changed or made.
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

from gateway.core import api_keys
from gateway.errors import GatewayError
from gateway.graphql.documents.trusted import load_trusted
from gateway.settings.table import Settings
from gateway.store.backup import sqlite_file
from gateway.store.engines.open import migrates_itself
from gateway.store.engines.sqlite import can_lose_commits
from gateway.store.inspect import inspect_database
from gateway.store.schema.revision import HEAD
from gateway.store.store import opened_store
from gateway.web.origins import default_hosts, is_private

if TYPE_CHECKING:
    from gateway.domain.api_key import ApiKey

_MB: Final = 1_000_000
_FULL_MB, _SCARCE_MB = 100, 1_000
_SOON_S: Final = 14 * 86_400
_CLOCK_S: Final = 5  # what machines that ask a time server differ by at most


class Level(Enum):
    """How bad it is; the value is how it is shown."""

    OK = "green"
    WARNING = "yellow"
    FAILURE = "red"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check has found, and what to do."""

    level: Level
    said: str
    advice: str = ""


Check = Callable[[Settings], Awaitable[Finding]]


async def _settings(settings: Settings) -> Finding:
    load_trusted(settings.trusted_documents, settings.trusted_mode)
    if not default_hosts(settings.host) and settings.profile == "development":
        said = f"the profile is development, and {settings.host} can be reached from other machines"
        return Finding(Level.WARNING, said, "Set GATEWAY_PROFILE=production, so that the schema is told to nobody.")
    return Finding(Level.OK, f"the profile is {settings.profile}, and it listens on {settings.host}")


async def _sqlite(settings: Settings) -> Finding:
    version = sqlite3.sqlite_version
    if not can_lose_commits():
        return Finding(Level.OK, f"version {version}")
    said = f"version {version} can lose messages when several processes write to one file"
    if settings.workers > 1:
        advice = "Set GATEWAY_WORKERS=1, use PostgreSQL, or a Python with SQLite 3.51.3 or later."
        return Finding(Level.FAILURE, said, advice)
    advice = "One server alone is safe: import and keep other programs off the file while it serves, or use 3.51.3."
    return Finding(Level.WARNING, said, advice)


async def _disk(settings: Settings) -> Finding:
    folder = sqlite_file(settings.database_url).absolute().parent
    if not folder.exists():
        return Finding(Level.FAILURE, f"there is no folder {folder}", "Make it, or set GATEWAY_DATABASE_URL.")
    free_mb = shutil.disk_usage(folder).free // _MB
    said = f"{free_mb:,} MB are free in {folder}"
    if free_mb < _FULL_MB:
        return Finding(Level.FAILURE, said, "Make room: without it nothing can be written.")
    return Finding(Level.WARNING, said, "Make room soon.") if free_mb < _SCARCE_MB else Finding(Level.OK, said)


async def _database(settings: Settings) -> Finding:
    await inspect_database(settings.database_url)
    return Finding(Level.OK, "it answers")


async def _migrations(settings: Settings) -> Finding:
    revision = (await inspect_database(settings.database_url)).revision
    if revision == HEAD:
        return Finding(Level.OK, f"the database is at {HEAD}")
    said = f"the database is at {revision or 'none'}, and this program needs {HEAD}"
    if revision is not None and revision > HEAD:
        return Finding(
            Level.WARNING, said, "A later version has migrated it. Run: pip install --upgrade threads-gateway"
        )
    if migrates_itself(settings.database_url):
        return Finding(Level.WARNING, said, "The server migrates it when it starts.")
    return Finding(Level.FAILURE, said, "Run: gateway migrate")


async def _clock(settings: Settings) -> Finding:
    looked = await inspect_database(settings.database_url)
    if abs(looked.ahead_s) > _CLOCK_S:
        said = f"the database's clock differs from this machine's by {looked.ahead_s:+.0f} s"
        return Finding(Level.WARNING, said, "Let both ask a time server.")
    future_s = (looked.newest or 0) - time.time()
    if future_s > _CLOCK_S:
        said = f"the newest message is {future_s:.0f} s in the future"
        advice = "The clock was set back, or still is. Messages keep their order; until then they all get that second."
        return Finding(Level.WARNING, said, advice)
    return Finding(Level.OK, "it agrees with what is stored")


async def _keys(settings: Settings) -> Finding:
    async with opened_store(settings.database_url) as store:
        made = await api_keys.list_all(store)
    now = time.time()
    good = [key for key in made if key.is_active(now)]
    ending = [key.id for key in good if _ends_soon(key, now)]
    if ending:
        advice = "Run: gateway keys rotate KEY --grace 1d"
        return Finding(Level.WARNING, f"within two weeks these end: {', '.join(ending)}", advice)
    if made or settings.jwt_jwks_url or settings.jwt_secret:
        return Finding(Level.OK, f"{len(good)} of {len(made)} let somebody in")
    if is_private(settings.host, settings.trusted_proxies):
        advice = "To close it, run: gateway keys create"
        return Finding(Level.WARNING, "none: whoever is on this machine reads and writes everything", advice)
    level = Level.WARNING if settings.insecure_open else Level.FAILURE
    said = "none: whoever reaches the port would read and write everything"
    return Finding(level, said, "Run: gateway keys create")


# In the order in which they are shown.
CHECKS: Final[dict[str, Check]] = {"settings": _settings}
CHECKS_OF_SQLITE: Final[dict[str, Check]] = {"SQLite": _sqlite, "disk": _disk}
CHECKS_OF_DATABASE: Final[dict[str, Check]] = {
    "database": _database,
    "migrations": _migrations,
    "clock": _clock,
    "keys": _keys,
}


def run_doctor(settings: Settings) -> bool:
    """Show what all checks find, and say whether a server can be started."""
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
    found = {name: await _asked(check, settings) for name, check in before.items()}
    if is_file and not (file := sqlite_file(settings.database_url)).exists():
        return found | {"database": Finding(Level.OK, f"{file} is not there yet; the server makes it")}
    for name, check in CHECKS_OF_DATABASE.items():
        found[name] = await _asked(check, settings)
        if name in ("database", "migrations") and found[name].level is not Level.OK:
            break  # what follows would only fail for the same reason
    return found


async def _asked(check: Check, settings: Settings) -> Finding:
    try:
        return await check(settings)
    except GatewayError as error:
        return Finding(Level.FAILURE, error.message)


def _ends_soon(key: ApiKey, now: float) -> bool:
    return key.expires_at is not None and key.expires_at < now + _SOON_S
