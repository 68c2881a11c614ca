from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import zipfile
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from gateway.errors import DatabaseBehind
from gateway.store.engines.open import open_engines
from gateway.store.schema.migrate import migrate, require_head
from gateway.store.schema.partial_indexes import metadata
from gateway.store.schema.ready import make_ready
from gateway.store.schema.revision import HEAD, LAST_SERVED, revision_of
from tests.migrating import run_scripts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

CHECKOUT = Path(__file__).parents[1]


@pytest.fixture(params=["sqlite", "postgres"])
def migrated_url(request: pytest.FixtureRequest) -> str:
    """Give the URL of a copy of a migrated database, whose tables a test may change: to migrate one takes 0.4 s."""
    url: str = request.getfixturevalue(f"new_{request.param}_url")()
    return url


async def test_an_empty_database_is_migrated_to_the_tables(empty_database_url: str) -> None:
    await migrate(empty_database_url)

    assert await _differences(empty_database_url) == []


async def test_the_comparison_finds_a_missing_table(migrated_url: str) -> None:
    async with _connection(migrated_url) as connection:
        await connection.execute(text("DROP TABLE epochs"))

    assert [each[0] for each in await _differences(migrated_url)] == ["add_table"]


async def test_downgrade_to_base_leaves_only_alembics_table(migrated_url: str) -> None:
    await run_scripts(migrated_url, "base")

    async with _connection(migrated_url) as connection:
        assert await connection.run_sync(lambda sync: inspect(sync).get_table_names()) == ["alembic_version"]


async def test_downgrade_and_upgrade_restore_the_tables(migrated_url: str) -> None:
    await run_scripts(migrated_url, "base")

    await migrate(migrated_url)

    assert await _differences(migrated_url) == []


async def test_migrating_again_changes_nothing(migrated_url: str) -> None:
    async with _connection(migrated_url) as connection:
        await connection.execute(text(_ONE_ROW))

    await migrate(migrated_url)

    async with _connection(migrated_url) as connection:
        assert (await connection.execute(text("SELECT id FROM deleted_threads"))).scalar_one() == "thread_kept"


async def test_two_concurrent_migrations_both_succeed(empty_database_url: str) -> None:
    command = (sys.executable, "-m", "gateway", "migrate", "--database-url", empty_database_url)

    processes = [
        await asyncio.create_subprocess_exec(*command, cwd=CHECKOUT, stderr=asyncio.subprocess.PIPE) for _ in range(2)
    ]
    told = [(await each.communicate())[1].decode() for each in processes]

    assert [each.returncode for each in processes] == [0, 0], told
    assert await _differences(empty_database_url) == []


def test_the_required_revision_is_the_last_script() -> None:
    scripts = ScriptDirectory(str(CHECKOUT / "migrations"))

    assert scripts.get_current_head() == HEAD


def test_a_server_with_a_ready_database_loads_neither_alembic_nor_the_orm_nor_the_other_driver(
    sqlite_url: str, tmp_path: Path
) -> None:
    program = (
        "import sys, gateway.app, gateway.server.serve, gateway.server.startup;"
        "gateway.server.startup.any_key_made(sys.argv[1]);"
        "print({'alembic', 'asyncpg', 'sqlalchemy.dialects.postgresql', 'sqlalchemy.orm'} & sys.modules.keys())"
    )
    where = {**os.environ, "PYTHONPATH": str(CHECKOUT)}

    told = subprocess.check_output([sys.executable, "-c", program, sqlite_url], cwd=tmp_path, env=where, text=True)

    assert told == "set()\n"


async def test_a_migrated_database_is_accepted(migrated_url: str) -> None:
    await require_head(migrated_url)


async def test_an_empty_database_is_refused_with_the_command_to_run(empty_database_url: str) -> None:
    with pytest.raises(DatabaseBehind, match=r"revision none, .* needs \d+\. Run: gateway migrate$"):
        await require_head(empty_database_url)


async def test_a_database_of_the_next_version_is_accepted_and_left_as_it_is(migrated_url: str) -> None:
    await _make_later(migrated_url, LAST_SERVED)

    await migrate(migrated_url)
    await make_ready(migrated_url)
    await require_head(migrated_url)

    async with _connection(migrated_url) as connection:
        assert await connection.run_sync(revision_of) == LAST_SERVED


async def test_a_database_of_a_later_version_is_refused_with_the_command_to_run(migrated_url: str) -> None:
    await _make_later(migrated_url)

    with pytest.raises(DatabaseBehind, match=r"later version.* Run: pip install --upgrade threads-gateway$"):
        await require_head(migrated_url)


async def test_a_database_of_a_later_version_is_not_migrated(migrated_url: str) -> None:
    await _make_later(migrated_url)

    with pytest.raises(DatabaseBehind, match=r"later version.* Run: pip install --upgrade threads-gateway$"):
        await migrate(migrated_url)


@pytest.mark.slow  # the build's requirements come from the package index
async def test_a_wheel_migrates_where_there_is_no_checkout(tmp_path: Path) -> None:
    site = _unpacked_wheel(tmp_path)
    where = {**os.environ, "PYTHONPATH": str(site)}
    database_url = f"sqlite:///{tmp_path / 'wheel.db'}"

    loaded = subprocess.check_output(  # noqa: ASYNC221  (nothing else runs)
        [sys.executable, "-c", "import gateway; print(gateway.__file__)"], cwd=tmp_path, env=where, text=True
    )
    subprocess.check_call(  # noqa: ASYNC221  (nothing else runs)
        [sys.executable, "-m", "gateway", "migrate", "--database-url", database_url], cwd=tmp_path, env=where
    )

    assert Path(loaded.strip()).parent == site / "gateway"
    assert (site / "gateway" / "migrations" / "versions").is_dir()
    assert await _differences(database_url) == []


def _unpacked_wheel(folder: Path) -> Path:
    isolation = ["--no-build-isolation"] if find_spec("hatchling") else []
    subprocess.check_call(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", *isolation, "-w", folder, CHECKOUT]
    )
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


_ONE_ROW = "INSERT INTO deleted_threads (project_id, id, created_at, seq) VALUES ('default', 'thread_kept', 1, 1)"


async def _make_later(url: str, revision: str = "1000") -> None:
    async with _connection(url) as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": revision})


async def _differences(url: str) -> list[Any]:
    """Name what an autogenerated migration would still change."""

    def compare(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found: list[Any] = compare_metadata(context, metadata)
        return found

    async with _connection(url) as connection:
        return await connection.run_sync(compare)


@asynccontextmanager
async def _connection(url: str) -> AsyncIterator[AsyncConnection]:
    engines = open_engines(url)
    async with engines.writer.begin() as connection:
        yield connection
    await engines.dispose()
