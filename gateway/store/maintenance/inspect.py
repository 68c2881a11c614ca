"""What `gateway doctor` reads of a database; nothing is changed or created.

Must not be here: which of it is a problem (`cli.database_checks`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sqlalchemy import and_, bindparam, exists, func, select, text
from sqlalchemy.exc import DBAPIError

from gateway.settings.database_url import is_sqlite
from gateway.store.engines.open import open_engines
from gateway.store.files.database_files import WAL, beside, require_own_log, sqlite_file
from gateway.store.schema import tables
from gateway.store.schema.online import is_complete
from gateway.store.schema.revision import HEAD, LAST_SERVED, can_be_served, opened, revision_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

LONG_S: Final = 60  # our transactions take less than a second
_CLOCK: Final = "SELECT extract(epoch FROM clock_timestamp())"
# Parameters that our connections set; through a pooler in transaction mode they come from the role.
_SETTINGS: Final = """
    SELECT name, setting FROM pg_settings WHERE name IN (
        'lock_timeout', 'statement_timeout', 'idle_in_transaction_session_timeout', 'default_transaction_isolation'
    )
"""
# A role without the privilege does not see when the transactions of other roles began.
_LONG: Final = """
    SELECT pid, coalesce(nullif(application_name, ''), usename, ''), extract(epoch FROM clock_timestamp() - xact_start)
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
        AND xact_start < clock_timestamp() - make_interval(secs => :seconds)
    ORDER BY xact_start LIMIT 3
"""
# Since PostgreSQL 15 a database notes by which version of the system's order its indexes of texts were built.
_COLLATION: Final = """
    SELECT datcollate || ' of version ' || datcollversion || ', and the system has '
        || coalesce(pg_database_collation_actual_version(oid), 'none')
    FROM pg_database
    WHERE datname = current_database()
        AND datcollversion <> coalesce(pg_database_collation_actual_version(oid), 'none')
"""
_NOTES_COLLATION: Final = (15,)

_LATE_MS: Final = 60_000  # a server takes due runs within a second, and a lease lasts for ten
_RUNS, _THREADS, _STEPS = tables.runs.c, tables.threads.c, tables.run_steps.c
_IS_ACTIVE: Final = _RUNS.due_at.is_not(None)
_OF_THREAD: Final = and_(_THREADS.project_id == _RUNS.project_id, _THREADS.id == _RUNS.thread_id)
_HOLDER: Final = exists().where(_RUNS.project_id == _THREADS.project_id, _RUNS.id == _THREADS.active_run, _IS_ACTIVE)
_ITS_RUN: Final = exists().where(_RUNS.project_id == _STEPS.project_id, _RUNS.id == _STEPS.run_id)
# States that no server leaves for long.
_FAULTS_OF_RUNS: Final = {
    "runs that no server looks after": select(func.count())
    .select_from(tables.runs)
    .where(_RUNS.due_at < bindparam("late")),
    "active runs that do not lock their thread": select(func.count())
    .select_from(tables.runs.join(tables.threads, _OF_THREAD))
    .where(_IS_ACTIVE, func.coalesce(_THREADS.active_run, "") != _RUNS.id),
    "threads locked by a run that is gone or has ended": select(func.count())
    .select_from(tables.threads)
    .where(_THREADS.active_run.is_not(None), _THREADS.filling.is_(None), ~_HOLDER),
    "steps without their run": select(func.count()).select_from(tables.run_steps).where(~_ITS_RUN),
}


@dataclass(frozen=True, slots=True)
class Inspection:
    """The state of a database, and whether its migration to this revision is complete.

    Units: `newest` is the latest second of a message or thread, if there is one; `ahead_s` is how far the database's
    clock is ahead of ours. `damage` is the first that SQLite finds; `log_bytes` the size of its log. PostgreSQL has
    settings of this connection, and transactions of others: process, program and seconds; `stale_collation` is the
    order of texts in its indexes, where the system has another one now. `runs` has the number of each of their faults.
    """

    revision: str | None
    newest: int | None
    is_complete: bool = True
    ahead_s: float = 0.0
    damage: str | None = None
    log_bytes: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)
    stale_collation: str | None = None
    long_transactions: Sequence[tuple[int, str, float]] = ()
    runs: Mapping[str, int] = field(default_factory=dict)


async def inspect_database(url: str) -> Inspection:
    """Inspect a database; a SQLite file that does not exist would be created, so check that before.

    Errors: InvalidSetting where it cannot be opened; DatabaseDamaged; Unavailable where it cannot be read.
    """
    is_file = is_sqlite(url)
    if is_file:
        require_own_log(sqlite_file(url))
    engines = open_engines(url)
    try:
        async with opened(engines.reader) as connection:
            revision = await connection.run_sync(revision_of)
            if is_file:
                return await _inspect_file(url, connection, revision)
            return await _inspect_server(connection, revision)
    finally:
        await engines.dispose()


async def _inspect_file(url: str, connection: AsyncConnection, revision: str | None) -> Inspection:
    log = beside(sqlite_file(url), WAL)
    log_bytes = log.stat().st_size if log.exists() else 0
    try:
        found = " ".join(str((await connection.execute(text("PRAGMA quick_check(1)"))).scalar_one()).split())
        newest = await _newest(connection, revision)
        runs = await _faults_of_runs(connection, revision, ahead_s=0)
    except DBAPIError as error:  # a server may serve what is not damaged
        return Inspection(revision, None, damage=str(error.orig), log_bytes=log_bytes)
    return Inspection(revision, newest, damage=None if found == "ok" else found, log_bytes=log_bytes, runs=runs)


async def _newest(connection: AsyncConnection, revision: str | None) -> int | None:
    if revision is None or revision > LAST_SERVED:
        return None
    newest: int | None = (await connection.execute(select(func.max(tables.threads.c.last_created_at)))).scalar()
    return newest or None  # a thread without messages has 0


async def _faults_of_runs(connection: AsyncConnection, revision: str | None, ahead_s: float) -> dict[str, int]:
    if not can_be_served(revision):
        return {}
    late = {"late": int((time.time() + ahead_s) * 1_000) - _LATE_MS}
    counts = {name: (await connection.execute(each, late)).scalar_one() for name, each in _FAULTS_OF_RUNS.items()}
    return {name: count for name, count in counts.items() if count}


async def _inspect_server(connection: AsyncConnection, revision: str | None) -> Inspection:
    newest = await _newest(connection, revision)
    ahead_s = float((await connection.execute(text(_CLOCK))).scalar_one()) - time.time()
    runs = await _faults_of_runs(connection, revision, ahead_s)
    settings = {name: str(value) for name, value in await connection.execute(text(_SETTINGS))}
    long = [(pid, name, float(s)) for pid, name, s in await connection.execute(text(_LONG), {"seconds": LONG_S})]
    complete = revision != HEAD or await is_complete(connection)
    return Inspection(
        revision,
        newest,
        complete,
        ahead_s,
        settings=settings,
        stale_collation=await _stale_collation(connection),
        long_transactions=long,
        runs=runs,
    )


async def _stale_collation(connection: AsyncConnection) -> str | None:
    if (connection.dialect.server_version_info or ()) < _NOTES_COLLATION:
        return None
    stale: str | None = (await connection.execute(text(_COLLATION))).scalar()
    return stale
