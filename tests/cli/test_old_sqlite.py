"""A Python whose SQLite does not know all statements is refused in one line by whatever opens the database."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

import pytest

from gateway.store.engines.sqlite import OLDEST, refuse_old_version
from tests.docs.blocks import text_of
from tests.exports import run

if TYPE_CHECKING:
    from pathlib import Path

NEEDED: Final = ".".join(map(str, OLDEST))
REFUSAL: Final = (
    f"GATEWAY_DATABASE_URL: expected SQLite {NEEDED} or later, and this Python has 3.31.1. "
    f"Use PostgreSQL, or a Python with SQLite {NEEDED} or later."
)


@pytest.mark.parametrize(
    "command",
    [
        *("serve", "migrate", "import", "export", "export --salvage", "erase --owner alice"),
        *("keys create", "keys list", "epoch renew", "backup {folder}/new.db", "restore {folder}/backup.db"),
    ],
)
def test_a_command_refuses_a_sqlite_that_is_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    file, backup = tmp_path / "threads.db", tmp_path / "backup.db"
    for each in (file, backup):
        each.touch()
    _have_old_sqlite(monkeypatch)

    done = run(*command.format(folder=tmp_path).split(), "--database-url", f"sqlite:///{file}")

    assert (done.exit_code, done.stdout, done.stderr) == (1, "", f"Error: {REFUSAL}\n")
    assert (file.read_bytes(), backup.read_bytes()) == (b"", b"")


@pytest.mark.parametrize("has_file", [True, False])
def test_doctor_says_why_no_server_can_start(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_file: bool
) -> None:
    url = sqlite_url if has_file else f"sqlite:///{tmp_path / 'new.db'}"
    _have_old_sqlite(monkeypatch)

    done = run("doctor", "--port", "0", "--database-url", url)

    assert done.exit_code == 1
    assert f"failure  SQLite      {REFUSAL}" in done.stdout.splitlines()


def test_an_old_sqlite_does_not_matter_to_a_database_on_postgresql(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _have_old_sqlite(monkeypatch)

    assert run("export", "--database-url", postgres_url).exit_code == 0


def test_the_oldest_version_that_is_documented_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (*OLDEST, 0)[:3])

    refuse_old_version()


@pytest.mark.parametrize("page", ["docs/quickstart.md", "docs/deployment.md", "docs/troubleshooting.md"])
def test_the_version_that_is_needed_is_documented(page: str) -> None:
    assert f"SQLite {NEEDED} or later" in text_of(page)


def _have_old_sqlite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 31, 1))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.31.1")
