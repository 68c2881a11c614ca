"""`gateway backup` beside a server that writes, and what comes of its copies."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from gateway.errors import BackupFailed
from gateway.store.maintenance.backup import back_up
from tests.exports import run
from tests.following import until
from tests.live.server import PATIENCE_S, run_gateway, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITERS = 8
ENOUGH = 50


async def write_on(http: httpx.AsyncClient, thread_id: str, acknowledged: list[str], has_enough: asyncio.Event) -> None:
    while True:
        body = {"role": "user", "content": f"{len(acknowledged)} {'x' * 2000}"}
        answer = await http.post(f"/v1/threads/{thread_id}/messages", json=body)
        acknowledged.append(answer.raise_for_status().json()["id"])
        if len(acknowledged) >= ENOUGH:
            has_enough.set()


async def ids_in(http: httpx.AsyncClient, thread_id: str) -> set[str]:
    found: list[str] = []
    while True:
        after = {"after": found[-1]} if found else {}
        answer = await http.get(f"/v1/threads/{thread_id}/messages", params={"limit": 100, **after})
        page = answer.raise_for_status().json()
        found += [message["id"] for message in page["data"]]
        if not page["has_more"]:
            return set(found)


async def test_a_backup_during_writes_has_all_messages_acknowledged_before_it(sqlite_url: str, tmp_path: Path) -> None:
    acknowledged: list[str] = []
    has_enough = asyncio.Event()
    copy = tmp_path / "copy.db"
    with serving(sqlite_url, folder=tmp_path) as server:
        async with httpx.AsyncClient(base_url=server.base_url, timeout=PATIENCE_S) as http:
            thread_id = (await http.post("/v1/threads")).json()["id"]
            writing = [asyncio.create_task(write_on(http, thread_id, acknowledged, has_enough)) for _ in range(WRITERS)]
            await asyncio.wait_for(has_enough.wait(), PATIENCE_S)
            before = set(acknowledged)
            ran = await asyncio.to_thread(
                run_gateway, "backup", str(copy), "--database-url", sqlite_url, folder=tmp_path
            )
            after = set(acknowledged)
            # More than the writers had under way at its end: of these, one at least began after it.
            await until(lambda: len(acknowledged) > len(after) + WRITERS)
            for each in writing:
                each.cancel()
            await asyncio.gather(*writing, return_exceptions=True)

    assert ran.returncode == 0, ran.stderr
    assert len(after) > len(before)  # nobody had to wait for it
    restored = tmp_path / "restored.db"
    shutil.copy(copy, restored)
    with serving(f"sqlite:///{restored}", folder=tmp_path) as server:
        async with httpx.AsyncClient(base_url=server.base_url, timeout=PATIENCE_S) as http:
            found = await ids_in(http, thread_id)
            written = await http.post(f"/v1/threads/{thread_id}/messages", json={"role": "user", "content": "on"})
    assert before <= found
    assert not found >= set(acknowledged)  # it is of one moment, while the writing went on
    assert written.status_code == 200


@pytest.fixture
def held(sqlite_url: str) -> Iterator[sqlite3.Connection]:
    """Hold the database open with something to find in its log, as a server does."""
    connection = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE found (a)")
    yield connection
    connection.close()


@pytest.mark.usefixtures("held")
def test_a_copy_is_one_file_that_only_its_owner_reads(sqlite_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()

    size = back_up(sqlite_url, folder / "copy.db")

    [file] = folder.iterdir()
    assert (file.name, file.stat().st_size) == ("copy.db", size)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    copy = sqlite3.connect(file)
    assert copy.execute("SELECT count(*) FROM found").fetchone() == (0,)
    copy.close()


def test_an_existing_file_is_not_overwritten(sqlite_url: str, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_text("precious")

    done = run("backup", str(target), "--database-url", sqlite_url)

    assert (done.exit_code, target.read_text()) == (1, "precious")
    assert "already exists" in done.stderr


def test_backup_of_a_damaged_database_fails_and_leaves_no_file(
    sqlite_url: str, tmp_path: Path, held: sqlite3.Connection
) -> None:
    held.execute("CREATE TABLE large (a)")
    held.executemany("INSERT INTO large VALUES (?)", [("x" * 3000,)] * 100)
    held.close()
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    with file.open("r+b") as raw:
        raw.seek(-40_000, 2)
        raw.write(b"\xff" * 8192)

    with pytest.raises(BackupFailed, match=r"damaged|malformed"):
        back_up(sqlite_url, tmp_path / "copies.db")

    assert [each.name for each in tmp_path.iterdir() if each.name.startswith("copies")] == []


def test_backup_of_a_missing_database_fails_and_creates_none(tmp_path: Path) -> None:
    done = run("backup", str(tmp_path / "copy.db"), "--database-url", f"sqlite:///{tmp_path}/none.db")

    assert done.exit_code == 1
    assert "There is no database" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_reported(sqlite_url: str, tmp_path: Path) -> None:
    done = run("backup", str(tmp_path / "none" / "copy.db"), "--database-url", sqlite_url)

    assert done.exit_code == 1
    assert "No such file or directory" in done.stderr


def test_backup_of_postgresql_names_pg_dump(tmp_path: Path) -> None:
    done = run("backup", str(tmp_path / "copy.db"), "--database-url", "postgresql://app:secret@db/threads")

    assert done.exit_code == 1
    assert "pg_dump" in done.stderr
    assert "secret" not in done.stderr
