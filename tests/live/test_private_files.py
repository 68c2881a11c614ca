"""What people wrote lies in files that only the owner of the server can read, whatever the umask says."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from gateway.store.files.private_files import tighten, written_whole
from tests.exports import a_message, a_thread, lines, run
from tests.live.server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

OPEN_TO_ALL = 0o644


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def modes_in(folder: Path, name: str = "") -> dict[str, int]:
    return {each.name: stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir() if each.name.startswith(name)}


def test_a_served_database_and_its_files_are_readable_only_by_their_owner(tmp_path: Path) -> None:
    with umask(0), serving(f"sqlite:///{tmp_path}/gateway.db", folder=tmp_path, is_forked=False) as server:
        httpx.post(f"{server.base_url}/v1/threads").raise_for_status()

        names = ("gateway.db", "gateway.db-wal", "gateway.db-shm", "gateway.db.lock")
        assert modes_in(tmp_path) == dict.fromkeys(names, 0o600)


def test_serving_an_older_database_restricts_its_file_permissions_and_logs_it(sqlite_url: str, tmp_path: Path) -> None:
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    with serving(sqlite_url, folder=tmp_path) as server:
        httpx.post(f"{server.base_url}/v1/threads").raise_for_status()
        server.kill()  # so that its log stays beside it
    file.with_name(f"{file.name}.lock").unlink()  # in which there is a number alone
    for name in modes_in(file.parent, file.name):
        (file.parent / name).chmod(OPEN_TO_ALL)

    with serving(sqlite_url, folder=tmp_path) as server:
        httpx.post(f"{server.base_url}/v1/threads").raise_for_status()
        found = modes_in(file.parent, file.name)
        server.stop()

    assert len(found) == 4
    assert set(found.values()) == {0o600}
    assert f"could open {file} (mode 0644); now only its owner can read it" in server.stderr


def test_no_right_is_ever_given_to_a_database(sqlite_url: str, tmp_path: Path) -> None:
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    file.touch(0o400)
    file.chmod(0o400)

    tighten(file)

    assert stat.S_IMODE(file.stat().st_mode) == 0o400
    assert modes_in(tmp_path).keys() <= {file.name}


def test_backups_exports_and_rejects_are_readable_only_by_their_owner(sqlite_url: str, tmp_path: Path) -> None:
    source = tmp_path / "threads.jsonl"
    source.write_bytes(lines([a_thread(), a_message(role="nobody")]))
    database = ("--database-url", sqlite_url)
    with umask(0):
        imported = run("import", str(source), "--rejects", str(tmp_path / "rejects"), *database)
        exported = run("export", "-o", str(tmp_path / "exported"), *database)
        backed_up = run("backup", str(tmp_path / "backup"), *database)

    assert [each.exit_code for each in (imported, exported, backed_up)] == [1, 0, 0]
    found = modes_in(tmp_path)
    assert {name: found[name] for name in ("rejects", "exported", "backup")} == dict.fromkeys(
        ("rejects", "exported", "backup"), 0o600
    )


def test_an_export_restricts_an_existing_file_and_not_a_device(tmp_path: Path) -> None:
    there = tmp_path / "exported"
    there.write_text("of before")
    there.chmod(OPEN_TO_ALL)
    nothing_before = Path(os.devnull).stat().st_mode

    for target in (there, Path(os.devnull)):
        with written_whole(target):
            pass

    assert (stat.S_IMODE(there.stat().st_mode), there.read_text()) == (0o600, "")
    assert Path(os.devnull).stat().st_mode == nothing_before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file of somebody else")
def test_a_file_of_another_program_is_skipped_and_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    theirs = tmp_path / "gateway.db"
    theirs.touch()
    theirs.chmod(OPEN_TO_ALL)
    os.chown(theirs, 12_345, 12_345)

    tighten(theirs)

    assert stat.S_IMODE(theirs.stat().st_mode) == OPEN_TO_ALL
    assert "that cannot be changed" in caplog.text
