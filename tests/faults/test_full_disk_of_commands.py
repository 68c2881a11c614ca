"""A command that meets a full disk says which one, without a traceback."""

from __future__ import annotations

import json
import tempfile
from typing import TYPE_CHECKING

import pytest

from tests.exports import a_message, a_thread, take
from tests.faults.filling import fill
from tests.live.server import run_here

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MESSAGES = [a_message(f"msg_{n}", "thread_1", created_at=n) for n in range(2_000)]


@pytest.fixture
def full_temporary(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the folder for temporary files be on a disk with space for empty tables."""
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    leave(600_000, small_disk)
    return small_disk


def leave(spare: int, folder: Path) -> None:
    """Fill a disk, but for some bytes."""
    kept = folder / "kept"
    kept.write_bytes(bytes(spare))
    fill(folder / "filler")
    kept.unlink()


@pytest.fixture
def filled_url(new_sqlite_url: Callable[[], str]) -> str:
    """Have a database with messages, made before there is no space."""
    url = new_sqlite_url()
    take(url, a_thread("thread_1"), *MESSAGES)
    return url


def test_an_import_names_the_folder_of_its_temporary_database(
    full_temporary: Path, database_url: str, tmp_path: Path
) -> None:
    source = tmp_path / "export.jsonl"
    source.write_text("\n".join(map(json.dumps, [a_thread("thread_1"), *MESSAGES])))

    done = run_here("import", "--database-url", database_url, str(source), folder=tmp_path)

    refused(done.returncode, done.stderr, full_temporary)


def test_a_salvage_names_the_folder_of_its_temporary_database(
    filled_url: str, full_temporary: Path, tmp_path: Path
) -> None:
    done = run_here("export", "--salvage", "--database-url", filled_url, folder=tmp_path)

    refused(done.returncode, done.stderr, full_temporary)


def refused(code: int, said: str, folder: Path) -> None:
    assert code == 1
    assert said == (
        f"Error: The temporary database in '{folder}' cannot be written: database or disk is full. It needs about as "
        "much space as what is read. Free it, or name another folder in the variable TMPDIR.\n"
    )
    assert [each.name for each in folder.iterdir()] == ["filler"]


def test_an_export_leaves_the_last_one_where_there_is_no_space(
    filled_url: str, small_disk: Path, tmp_path: Path
) -> None:
    exported = small_disk / "export.jsonl"
    exported.write_text("the last one")
    leave(100_000, small_disk)

    done = run_here("export", "-o", str(exported), "--database-url", filled_url, folder=tmp_path)

    assert (done.returncode, done.stderr) == (
        1,
        "Error: The database or a file cannot be used: No space left on device\n",
    )
    assert exported.read_text() == "the last one"
    assert sorted(each.name for each in small_disk.iterdir()) == ["export.jsonl", "filler"]


def test_a_command_does_not_ask_for_a_request(small_disk: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{small_disk}/threads.db"
    assert run_here("keys", "list", "--database-url", url, folder=tmp_path).returncode == 0
    leave(40_000, small_disk)  # the log begins

    done = run_here("keys", "create", "--database-url", url, folder=tmp_path)

    assert (done.returncode, done.stderr) == (1, "Error: The disk of the database is full.\n")
