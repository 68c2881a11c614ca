"""`gateway restore`: what it puts in place is whole and alone, whatever was there, and whenever it is killed."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from gateway.cli.restore import run_restore
from gateway.errors import RestoreFailed
from gateway.store.schema.revision import HEAD
from tests.effort import times
from tests.exports import a_message, a_run, a_step, a_thread, give, held, run, take
from tests.live.server import PATIENCE_S, ROOT, environment, run_gateway, serving
from tests.migrating import run_scripts


@pytest.fixture
def backup(sqlite_url: str, tmp_path: Path) -> Path:
    """Have a backup with one message."""
    take(sqlite_url, a_thread(), a_message("msg_kept"))
    copy = tmp_path / "backup.db"
    assert run("backup", str(copy), "--database-url", sqlite_url).exit_code == 0
    return copy


@pytest.fixture
def killed(sqlite_url: str, backup: Path, tmp_path: Path) -> Path:
    """Have what a killed server leaves: a database with its log beside it, in which there is one message more."""
    assert backup.exists()
    with serving(sqlite_url, folder=tmp_path) as server:
        body = {"role": "user", "content": "later"}
        path = f"{server.base_url}/v1/threads/thread_a/messages"
        httpx.post(path, json=body, timeout=PATIENCE_S).raise_for_status()
        server.kill()
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    assert file.with_name("threads.db-wal").stat().st_size
    return file


def execute(file: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file, isolation_level=None)) as opened:
        return opened.execute(statement).fetchall()


@pytest.mark.parametrize("command", ["serve", "export", "migrate", "backup"])
def test_a_backup_beside_the_log_of_another_database_is_refused(
    sqlite_url: str, killed: Path, backup: Path, tmp_path: Path, command: str
) -> None:
    shutil.copy(backup, killed)
    arguments = [command, str(tmp_path / "copy")] if command == "backup" else [command]

    refused = run_gateway(*arguments, "--database-url", sqlite_url, folder=tmp_path)

    assert refused.returncode == 1
    assert f"'{killed}-wal' is not the log of '{killed}'" in refused.stderr + refused.stdout
    assert "gateway restore FILE" in refused.stderr + refused.stdout
    assert killed.read_bytes() == backup.read_bytes()


def test_an_empty_file_beside_a_log_is_refused(sqlite_url: str, killed: Path, tmp_path: Path) -> None:
    killed.write_bytes(b"")

    refused = run_gateway("serve", "--database-url", sqlite_url, folder=tmp_path)

    assert (refused.returncode, "is not the log of" in refused.stderr) == (1, True)


def test_a_database_and_its_own_log_are_served_after_a_crash(sqlite_url: str, killed: Path) -> None:
    assert len(held(sqlite_url)) == 3
    assert killed.exists()


@pytest.mark.parametrize("is_copied", [False, True])
def test_a_backup_is_restored_alone_and_begins_an_epoch(
    sqlite_url: str, killed: Path, backup: Path, *, is_copied: bool
) -> None:
    if is_copied:
        shutil.copy(backup, killed)

    restored = run_restore(sqlite_url, backup)

    files = {each.name for each in killed.parent.iterdir() if each.name.startswith("threads.db")}
    assert files <= {"threads.db", "threads.db.lock"}
    assert restored.size == killed.stat().st_size
    assert execute(killed, "SELECT epoch FROM epochs ORDER BY number DESC LIMIT 1") == [(restored.epoch,)]
    assert execute(backup, "SELECT count(*) FROM epochs WHERE epoch <> ''") != [(2,)]
    assert held(sqlite_url) == ["thread_a", "msg_kept"]


def test_a_restored_backup_has_its_runs_and_assistants(sqlite_url: str, tmp_path: Path) -> None:
    tutor = {"id": "asst_a", "object": "assistant", "created_at": 5, "model": "m"}
    take(sqlite_url, a_thread(), a_message(run_id="run_a"), a_run(), a_step(), tutor)
    before, copy = give(sqlite_url), tmp_path / "backup.db"
    run("backup", str(copy), "--database-url", sqlite_url)
    execute(Path(sqlite_url.removeprefix("sqlite:///")), "DELETE FROM threads")

    done = run("restore", str(copy), "--database-url", sqlite_url)

    assert (done.exit_code, give(sqlite_url)) == (0, before), done.stderr


def test_a_database_that_sqlite_cannot_open_is_replaced(sqlite_url: str, killed: Path, backup: Path) -> None:
    killed.write_bytes(b"\0" * 8192)

    run_restore(sqlite_url, backup)

    assert held(sqlite_url) == ["thread_a", "msg_kept"]


def test_a_backup_of_an_earlier_version_is_migrated(sqlite_url: str, tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    asyncio.run(run_scripts(f"sqlite:///{old}", "0003"))

    run_restore(sqlite_url, old)

    assert execute(Path(sqlite_url.removeprefix("sqlite:///")), "SELECT * FROM alembic_version") == [(HEAD,)]
    assert execute(old, "SELECT * FROM alembic_version") == [("0003",)]


def test_what_cannot_be_restored_is_refused_and_changes_nothing(sqlite_url: str, backup: Path, tmp_path: Path) -> None:
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    later, other, damaged, text = (tmp_path / name for name in ("later", "other", "damaged", "text"))
    for copy in (later, damaged):
        shutil.copy(backup, copy)
    execute(later, "UPDATE alembic_version SET version_num = '1000'")
    execute(other, "CREATE TABLE threads (a)")
    with damaged.open("r+b") as raw:
        raw.seek(4096)
        raw.write(b"\xff" * 8192)
    text.write_text("no database " * 100)
    refused = {
        later: "later version of this program",
        other: "not a backup of this program's database",
        damaged: "Nothing was restored: ",
        text: "file is not a database",
        tmp_path / "none": "There is no backup",
        file: "is the database itself",
    }
    before = file.read_bytes()

    for source, reason in refused.items():
        with pytest.raises(RestoreFailed, match=reason):
            run_restore(sqlite_url, source)

    assert file.read_bytes() == before
    assert not list(file.parent.glob("threads.db.restoring*"))


def test_a_database_that_is_served_or_open_is_not_replaced(sqlite_url: str, backup: Path, tmp_path: Path) -> None:
    command = ("restore", str(backup), "--database-url", sqlite_url)
    with serving(sqlite_url, folder=tmp_path) as server:
        served = run_gateway(*command, folder=tmp_path)
        server.stop()
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as other:
        other.execute("SELECT count(*) FROM threads").fetchone()
        opened = run_gateway(*command, folder=tmp_path)

    assert (served.returncode, "is already served by pid" in served.stderr) == (1, True)
    assert (opened.returncode, "Another program has" in opened.stderr) == (1, True)


def test_postgresql_is_restored_by_its_own_tools(backup: Path) -> None:
    done = run("restore", str(backup), "--database-url", "postgresql://app:secret@db/threads")

    assert (done.exit_code, "pg_restore, then: gateway epoch renew" in done.stderr) == (1, True)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("is_damaged", [False, True])
def test_a_restore_that_is_killed_at_any_step_leaves_the_old_or_the_new_database(
    killed: Path, backup: Path, tmp_path: Path, *, is_damaged: bool
) -> None:
    if is_damaged:
        killed.write_bytes(b"\0" * killed.stat().st_size)
        killed.with_name("threads.db-wal").write_bytes(b"\1" * 10_000)
    (tmp_path / "places").mkdir()
    arguments = (killed.parent, backup, tmp_path / "places")
    program = [sys.executable, "-m", "tests.faults.killed_restore", *map(str, arguments)]
    every = str(times(fast=3, slow=1))

    ran = subprocess.run([*program, every], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)

    found = {line.rpartition(" ")[0]: int(line.rpartition(" ")[2]) for line in ran.stdout.splitlines()}
    old = {"['msg_kept', 'later']"} if not is_damaged else {"DatabaseError", "DatabaseDamaged"}
    assert (ran.returncode, found.keys() <= {*old, "['msg_kept']"}) == (0, True), (ran.stderr, found)
    assert len(found) > 1
