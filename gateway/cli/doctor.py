"""`gateway doctor`: check everything that a server needs, and say how to fix what is wrong.

Nothing is changed or created.
Must not be here: checks on a database that can be opened (`database_checks`), how it is read (`maintenance.inspect`).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable
from typing import Final

from gateway.cli.database_checks import DATABASE_CHECKS
from gateway.cli.findings import Finding, Level, print_findings
from gateway.cli.running_server import ask_server
from gateway.errors import GatewayError
from gateway.graphql.documents.trusted import load_trusted
from gateway.server.startup import listen
from gateway.settings.database_url import is_sqlite
from gateway.settings.load import misspelled
from gateway.settings.models import load_models
from gateway.settings.table import Settings
from gateway.store.engines.sqlite import can_lose_commits, refuse_old_version
from gateway.store.files.database_files import sqlite_file
from gateway.store.files.server_lock import holder_of
from gateway.store.maintenance.inspect import Inspection, inspect_database
from gateway.web.origins import default_hosts

_MB: Final = 1_000_000
_FULL_MB, _SCARCE_MB = 1, 1_000
_NO_WRITES: Final = frozenset({"database", "migrations", "writes"})  # names in `/readyz` of what no write survives
_NEEDED: Final = "Imports and large sorts need it"


Check = Callable[[Settings], Awaitable[Finding]]


async def _settings(settings: Settings) -> Finding:
    load_trusted(settings.trusted_documents, settings.trusted_mode)
    if wrong := misspelled():
        return Finding(Level.WARNING, f"unknown: {', '.join(wrong)}", f"Did you mean {', '.join(wrong.values())}?")
    if not default_hosts(settings.host) and settings.profile == "development":
        said = f"profile development, and {settings.host} is reachable from other machines"
        return Finding(Level.WARNING, said, "Set GATEWAY_PROFILE=production, which disables introspection.")
    return Finding(Level.OK, f"profile {settings.profile}, listening on {settings.host}")


async def _jwt(settings: Settings) -> Finding:
    if settings.jwt_secret:
        return Finding(Level.OK, f"tokens of {settings.jwt_issuer}, verified by a shared secret")
    if not settings.jwt_jwks_url:
        return Finding(Level.OK, "off")
    from gateway.auth.jwt import NO_KEY, fetch_keys  # noqa: PLC0415  (as in `auth.build`)

    try:
        keys = await asyncio.to_thread(fetch_keys, settings.jwt_jwks_url)
    except (OSError, ValueError) as error:
        said = f"the JWKS of GATEWAY_JWT_JWKS_URL cannot be read: {error}"
        return Finding(Level.WARNING, said, "Until it can, requests with a token get 503; API keys work.")
    if not keys:
        return Finding(Level.WARNING, NO_KEY, "No token is accepted. Is it the `jwks_uri` of your identity provider?")
    return Finding(Level.OK, f"tokens of {settings.jwt_issuer}, verified by {len(keys)} public keys")


async def _retention(settings: Settings) -> Finding:
    days = settings.retention_days
    return Finding(Level.OK, f"threads are deleted {days} days after their last activity" if days else "off")


async def _runs(settings: Settings) -> Finding:
    if settings.demo:
        return Finding(Level.OK, "on, answered by the demo model")
    models = load_models(settings)
    if models is None:
        return Finding(Level.OK, "off")
    named = [*models.endpoints] + (["any name"] if models.fallback else [])
    return Finding(Level.OK, f"on; models: {', '.join(named)}; default: {models.default or 'none'}")


async def _server(settings: Settings) -> Finding:
    told = await asyncio.to_thread(ask_server, settings)
    where = f"{settings.host} port {settings.port}"
    holder = holder_of(sqlite_file(settings.database_url)) if is_sqlite(settings.database_url) else None
    if told is None and holder is not None:
        said = f"the database is {holder}, which does not answer on {where}"
        return Finding(Level.FAILURE, said, "A database has one server. Stop that, or give its GATEWAY_HOST and _PORT.")
    if told is not None and holder is None and is_sqlite(settings.database_url):
        return Finding(Level.FAILURE, f"the one on {where} serves another database", "Set another GATEWAY_PORT.")
    if told is None:
        listen(settings).close()
        return Finding(Level.OK, f"none runs on {where}")
    failed = told.get("failed") or {name: "does not run" for name, works in told.items() if works is False}
    if not failed:
        return Finding(Level.OK, f"the one on {where} is {told['status']}")
    said = f"the one that runs is {told['status']}: {', '.join(failed)}"
    level = Level.WARNING if _NO_WRITES.isdisjoint(failed) else Level.FAILURE
    return Finding(level, said, "Its log has the reasons; it tries again by itself.")


async def _sqlite(settings: Settings) -> Finding:
    refuse_old_version()
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
    folder = sqlite_file(settings.database_url).parent
    if not folder.exists():
        return Finding(Level.FAILURE, f"folder {folder} does not exist", "Create it, or set GATEWAY_DATABASE_URL.")
    if not os.access(folder, os.W_OK):  # false even for root on a read-only file system
        return Finding(Level.FAILURE, f"no file can be created in {folder}", "Make it writable, and its file system.")
    free_mb = shutil.disk_usage(folder).free / _MB
    said = f"{free_mb:,.0f} MB free in {folder}"
    if free_mb < _FULL_MB:
        return Finding(Level.FAILURE, said, "Free disk space: writes fail.")
    if free_mb < settings.min_free_mb:
        return Finding(Level.WARNING, said, "Free disk space: /readyz answers 503 until GATEWAY_MIN_FREE_MB are free.")
    return Finding(Level.WARNING, said, "Free disk space soon.") if free_mb < _SCARCE_MB else Finding(Level.OK, said)


async def _temporary(_settings: Settings) -> Finding:
    try:
        folder = tempfile.gettempdir()
    except OSError as error:
        return Finding(Level.WARNING, f"there is none: {error.strerror}", f"{_NEEDED}: create /tmp, or set TMPDIR.")
    free_mb = shutil.disk_usage(folder).free // _MB
    said = f"{free_mb:,} MB free in {folder}"
    return Finding(Level.WARNING, said, f"{_NEEDED}: free space.") if free_mb < _SCARCE_MB else Finding(Level.OK, said)


# In the order in which they are printed.
CHECKS: Final[dict[str, Check]] = {
    "settings": _settings,
    "server": _server,
    "JWT": _jwt,
    "retention": _retention,
    "runs": _runs,
}
CHECKS_OF_SQLITE: Final[dict[str, Check]] = {"SQLite": _sqlite, "disk": _disk}
CHECKS_OF_MACHINE: Final[dict[str, Check]] = {"temporary": _temporary}


def run_doctor(settings: Settings) -> bool:
    """Print the findings of all checks, and return whether a server can start and write."""
    found = asyncio.run(_examine(settings))
    print_findings(found)
    return all(finding.level is not Level.FAILURE for finding in found.values())


async def _examine(settings: Settings) -> dict[str, Finding]:
    is_file = is_sqlite(settings.database_url)
    checks = CHECKS | (CHECKS_OF_SQLITE if is_file else {}) | CHECKS_OF_MACHINE
    found = {name: await _run(check(settings)) for name, check in checks.items()}
    if is_file and not (file := sqlite_file(settings.database_url)).exists():
        found["database"] = Finding(Level.OK, f"{file} does not exist yet; the server creates it")
        return found | {"keys": await DATABASE_CHECKS["keys"](settings, Inspection(None, None))}
    try:
        inspected = await inspect_database(settings.database_url)
    except GatewayError as error:
        return found | {"database": Finding(Level.FAILURE, error.message)}
    return found | {name: await _run(check(settings, inspected)) for name, check in DATABASE_CHECKS.items()}


async def _run(check: Awaitable[Finding]) -> Finding:
    """Run a check; an error of its own is a finding, and the other checks still run."""
    try:
        return await check
    except GatewayError as error:
        return Finding(Level.FAILURE, error.message)
    except Exception as error:  # noqa: BLE001  (a damaged database may fail in any way)
        return Finding(Level.FAILURE, f"{type(error).__name__}: {error}".partition("\n")[0])
