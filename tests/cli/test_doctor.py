from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import tempfile
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

import pytest
from sqlalchemy import make_url, text

from gateway.cli import database_checks, doctor
from gateway.store.engines import base
from gateway.store.engines.open import open_engines
from gateway.store.schema.revision import HEAD
from tests.auth.signing import public
from tests.exports import a_run, a_step, a_thread, run, take

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.counted


class Disk(NamedTuple):
    """What `shutil.disk_usage` gives."""

    total: int
    used: int
    free: int


def examined(url: str, *flags: str) -> tuple[int, dict[str, tuple[str, str]]]:
    """Give the exit code, and of each check its level and what it said with its advice."""
    done = run("doctor", "--database-url", url, "--port", "0", *flags)  # whatever else listens here
    found: dict[str, tuple[str, str]] = {}
    name = ""
    for line in done.stdout.splitlines():
        if line.startswith(" "):
            level, said = found[name]
            found[name] = (level, f"{said} {line.strip()}")
        else:
            name, said = line[9:21].strip(), line[21:]
            found[name] = (line[:9].strip(), said)
    return done.exit_code, found


def execute(url: str, statement: str) -> None:
    async def run_it() -> None:
        engines = open_engines(url)
        async with engines.writer.begin() as connection:
            await connection.execute(text(statement))
        await engines.dispose()

    asyncio.run(run_it())


@pytest.fixture(autouse=True)
def _mended_sqlite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "can_lose_commits", lambda: False)


def test_doctor_names_a_variable_that_is_misspelled(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("GATEWAY_RETENTION_DAY=30\n")

    code, found = examined(database_url)

    said = "unknown: GATEWAY_RETENTION_DAY Did you mean GATEWAY_RETENTION_DAYS?"
    assert (code, found["settings"]) == (0, ("warning", said))


def test_a_database_with_a_key_needs_nothing(database_url: str) -> None:
    run("keys", "create", "--database-url", database_url)

    code, found = examined(database_url)

    assert code == 0
    assert {level for level, _ in found.values()} == {"ok"}
    assert {"settings", "database", "migrations", "clock", "keys"} <= found.keys()


@pytest.mark.parametrize(
    ("document", "level", "said"),
    [
        ("{}", "warning", "the JWKS of GATEWAY_JWT_JWKS_URL cannot be read: expected a JSON object with a list"),
        ('{"keys": []}', "warning", "the JWKS of GATEWAY_JWT_JWKS_URL has no public key"),
        (json.dumps({"keys": [public("ES256", "a")]}), "ok", "tokens of https://id.example.com, verified by 1 public"),
    ],
)
def test_the_keys_of_end_users_tokens_are_fetched(
    sqlite_url: str, tmp_path: Path, document: str, level: str, said: str
) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(document)
    flags = ("--jwt-jwks-url", str(file), "--jwt-issuer", "https://id.example.com", "--jwt-audience", "threads")

    code, found = examined(sqlite_url, *flags)

    assert (code, found["JWT"][0]) == (0, level)
    assert found["JWT"][1].startswith(said)


def test_it_says_how_long_threads_are_kept(sqlite_url: str) -> None:
    said = [examined(sqlite_url, *flags)[1]["retention"] for flags in ((), ("--retention-days", "90"))]

    assert said == [("ok", "off"), ("ok", "threads are deleted 90 days after their last activity")]


def test_it_says_which_models_answer_runs(sqlite_url: str, tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text('[models.small]\nurl = "http://one.example/v1"\n[models.large]\nurl = "http://two.example/v1"\n')
    one = ("--model-url", "http://model.example/v1", "--model", "small")

    said = [examined(sqlite_url, *flags)[1]["runs"] for flags in ((), one, ("--models", str(path)), ("--demo",))]

    assert said == [
        ("ok", "off"),
        ("ok", "on; models: any name; default: small"),
        ("ok", "on; models: small, large; default: none"),
        ("ok", "on, answered by the demo model"),
    ]


def test_a_missing_sqlite_file_is_no_fault_and_is_not_created(tmp_path: Path) -> None:
    code, found = examined(f"sqlite:///{tmp_path}/new.db")

    assert code == 0
    assert found["database"] == ("ok", f"{tmp_path}/new.db does not exist yet; the server creates it")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_database_folder_is_reported(tmp_path: Path) -> None:
    code, found = examined(f"sqlite:///{tmp_path}/none/new.db")

    assert (code, found["disk"][0]) == (1, "failure")


def test_a_database_that_cannot_be_reached_is_reported_without_its_password() -> None:
    code, found = examined("postgresql://app:secret@127.0.0.1:1/threads")

    assert (code, found["database"][0]) == (1, "failure")
    assert "Connect call failed" in found["database"][1]
    assert "secret" not in str(found)
    assert "migrations" not in found


@pytest.mark.parametrize(
    ("empty_database_url", "code", "level", "advice"),
    [
        pytest.param("sqlite", 0, "warning", "The server migrates it at startup.", id="sqlite"),
        pytest.param("postgres", 1, "failure", "Run: gateway migrate", id="postgres"),
    ],
    indirect=["empty_database_url"],
)
def test_a_database_that_was_not_migrated_is_reported(
    empty_database_url: str, code: int, level: str, advice: str
) -> None:
    if make_url(empty_database_url).get_backend_name() == "sqlite":
        execute(empty_database_url, "CREATE TABLE other (a)")

    exit_code, found = examined(empty_database_url)

    assert (exit_code, found["migrations"][0]) == (code, level)
    assert found["migrations"][1].endswith(advice)


def test_an_order_of_texts_that_the_system_has_changed_is_reported(new_postgres_url: Callable[[], str]) -> None:
    url = new_postgres_url()
    execute(url, "UPDATE pg_database SET datcollversion = '2.31' WHERE datname = current_database()")

    code, found = examined(url)

    level, said = found["database"]
    assert (code, level) == (0, "warning")
    assert "of version 2.31, and the system has" in said
    assert "REFRESH COLLATION VERSION" in said


def test_an_upgrade_that_was_interrupted_is_reported(new_postgres_url: Callable[[], str]) -> None:
    url = new_postgres_url()
    execute(url, "DROP INDEX ix_threads_filling")  # one that is built beside running servers

    code, found = examined(url)

    said = f"the migration to revision {HEAD} is running, or was interrupted Run: gateway migrate"
    assert (code, found["migrations"]) == (1, ("failure", said))


@pytest.mark.parametrize(("revision", "code", "level"), [("0999", 0, "warning"), ("1000", 1, "failure")])
def test_a_database_of_a_later_version_is_reported(sqlite_url: str, revision: str, code: int, level: str) -> None:
    execute(sqlite_url, f"UPDATE alembic_version SET version_num = '{revision}'")  # noqa: S608  (ours)

    exit_code, found = examined(sqlite_url)

    assert (exit_code, found["migrations"][0]) == (code, level)


@pytest.mark.parametrize(("workers", "code", "level"), [("1", 0, "warning"), ("2", 1, "failure")])
def test_a_sqlite_that_can_lose_messages_is_reported(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, workers: str, code: int, level: str
) -> None:
    monkeypatch.setattr(doctor, "can_lose_commits", lambda: True)

    exit_code, found = examined(sqlite_url, "--workers", workers)

    assert (exit_code, found["SQLite"][0]) == (code, level)


@pytest.mark.parametrize(
    ("free_mb", "code", "level"), [(0, 1, "failure"), (50, 0, "warning"), (500, 0, "warning"), (5_000, 0, "ok")]
)
def test_a_disk_that_is_nearly_full_is_reported(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, free_mb: int, code: int, level: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: Disk(0, 0, free_mb * 1_000_000))

    exit_code, found = examined(sqlite_url)

    assert (exit_code, found["disk"][0]) == (code, level)
    assert found["temporary"][0] == ("ok" if free_mb == 5_000 else "warning")  # nothing that is served needs it


def test_a_machine_without_a_temporary_folder_is_reported(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)

    code, found = examined(sqlite_url)

    assert (code, found["temporary"][0]) == (0, "warning")


@pytest.mark.parametrize(
    ("flags", "code", "level"),
    [
        pytest.param((), 0, "warning", id="this machine alone"),
        pytest.param(("--host", "0.0.0.0"), 1, "failure", id="any machine"),  # noqa: S104  (nothing listens)
        pytest.param(("--trusted-proxies", "127.0.0.1"), 1, "failure", id="behind a proxy"),
        pytest.param(("--host", "0.0.0.0", "--insecure-open"), 0, "warning", id="wanted"),  # noqa: S104
    ],
)
def test_a_server_without_keys_is_reported(sqlite_url: str, flags: tuple[str, ...], code: int, level: str) -> None:
    exit_code, found = examined(sqlite_url, *flags)

    assert (exit_code, found["keys"][0]) == (code, level)
    assert found["keys"][1].endswith("gateway keys create")


def test_a_key_that_ends_soon_is_reported_by_its_id(sqlite_url: str) -> None:
    run("keys", "create", "--database-url", sqlite_url, "--expires", "10d")

    code, found = examined(sqlite_url)

    assert (code, found["keys"][0]) == (0, "warning")
    assert "key_" in found["keys"][1]


@pytest.mark.parametrize(
    ("newest", "level", "said"),
    [
        pytest.param(9_999_999_999, "warning", "the newest message is 9", id="behind"),
        pytest.param(1_000_000_000, "ok", "the newest message is 9", id="ahead, or nobody wrote"),
    ],
)
def test_the_clock_is_compared_with_the_newest_message(sqlite_url: str, newest: int, level: str, said: str) -> None:
    take(sqlite_url, a_thread())
    execute(sqlite_url, f"UPDATE threads SET last_created_at = {newest}")  # noqa: S608  (ours)

    code, found = examined(sqlite_url)

    assert (code, found["clock"][0], found["clock"][1][: len(said)]) == (0, level, said)
    assert (" days in the future" if level == "warning" else " days old") in found["clock"][1]


def test_threads_without_messages_say_nothing_of_the_clock(database_url: str) -> None:
    take(database_url, a_thread())

    assert examined(database_url)[1]["clock"] == ("ok", "there is no message to compare it with")


def test_faults_of_runs_are_counted(database_url: str) -> None:
    take(database_url, a_thread(), a_run("run_late"), a_run("run_gone"), a_step(run_id="run_gone"))
    before = examined(database_url)[1]["active runs"]
    execute(database_url, "UPDATE runs SET status = 'in_progress', due_at = 5 WHERE id = 'run_late'")
    execute(database_url, "UPDATE threads SET active_run = 'run_gone'")
    execute(database_url, "DELETE FROM runs WHERE id = 'run_gone'")

    level, said = examined(database_url)[1]["active runs"]

    assert before == ("ok", "in order")
    assert level == "warning"
    assert said.startswith(
        "1 runs that no server looks after, 1 active runs that do not lock their thread, "
        "1 threads locked by a run that is gone or has ended, 1 steps without their run A server with runs"
    )


def test_a_deleted_thread_that_is_about_to_go_has_no_fault(database_url: str) -> None:
    take(database_url, a_thread(), a_run("run_a"), a_step(run_id="run_a"))
    execute(database_url, "UPDATE threads SET active_run = 'run_a', filling = 0")  # as `hide_thread` does

    assert examined(database_url)[1]["active runs"] == ("ok", "in order")


def test_a_database_that_another_program_has_locked_is_reported(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "WAIT_S", 0.1)
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        code, found = examined(sqlite_url)

    assert (code, found["writes"][0]) == (1, "failure")


def test_a_log_that_is_not_written_back_is_reported(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_checks, "_LONG_LOG_MB", 0.01)
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("CREATE TABLE large AS SELECT randomblob(100000)")

        code, found = examined(sqlite_url)

    assert (code, found["others"][0]) == (0, "warning")
    assert "long transaction" in found["others"][1]


def test_a_check_that_fails_itself_is_a_finding(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_file: object) -> None:
        raise ValueError("first line\nsecond line")

    monkeypatch.setattr(doctor, "holder_of", fail)

    code, found = examined(sqlite_url)

    assert (code, found["server"]) == (1, ("failure", "ValueError: first line"))


def test_trusted_documents_that_cannot_be_read_are_reported(sqlite_url: str, tmp_path: Path) -> None:
    flags = ("--trusted-documents", str(tmp_path / "none"), "--trusted-mode", "only")

    code, found = examined(sqlite_url, *flags)

    assert (code, found["settings"][0]) == (1, "failure")
