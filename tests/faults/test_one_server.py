"""A SQLite file is served by one server at a time, however it is named, and commands run beside that."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from gateway.errors import DatabaseInUse
from gateway.store.files.server_lock import holder_of, lock_database
from tests.live.server import PATIENCE_S, run_gateway, serving, until_refused
from tests.live.test_stopping import begin_request
from tests.ports import free_port


@pytest.fixture
def file(sqlite_url: str) -> Path:
    """Name the file of the database."""
    return Path(sqlite_url.removeprefix("sqlite:///"))


def test_a_second_server_is_refused_at_once_by_any_name_of_the_file(
    sqlite_url: str, file: Path, tmp_path: Path
) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(file)
    relative = Path(*[".."] * len(tmp_path.parts), *file.parent.parts[1:], "..", file.parent.name, file.name)
    with serving(sqlite_url, folder=tmp_path) as server:
        for name in (file, link, relative):
            port, started = str(free_port()), time.monotonic()
            refused = run_gateway("serve", "--database-url", f"sqlite:///{name}", "--port", port, folder=tmp_path)

            said = f"Error: '{file}' is already served by pid {server.process.pid}. "
            assert (refused.returncode, refused.stderr.startswith(said)) == (1, True), refused.stderr
            assert time.monotonic() - started < PATIENCE_S / 2
        server.stop()


def test_commands_run_beside_a_server(sqlite_url: str, tmp_path: Path) -> None:
    commands = [["keys", "create"], ["export"], ["import", str(tmp_path / "exported")], ["migrate"]]
    with serving(sqlite_url, folder=tmp_path) as server:
        (tmp_path / "exported").write_text("")
        commands.append(["doctor", "--port", str(server.port)])
        for command in [*commands, ["backup", str(tmp_path / "copy.db")], ["epoch", "renew"]]:
            ran = run_gateway(*command, "--database-url", sqlite_url, folder=tmp_path)

            assert ran.returncode == 0, ran.stderr
        server.stop()


def test_the_next_server_starts_after_the_last_was_killed(sqlite_url: str, file: Path, tmp_path: Path) -> None:
    with serving(sqlite_url, folder=tmp_path) as server:
        server.kill()
    assert holder_of(file) is None

    with serving(sqlite_url, folder=tmp_path) as server:
        server.stop()


async def test_a_second_server_waits_while_the_first_one_stops(sqlite_url: str, file: Path, tmp_path: Path) -> None:
    with serving(sqlite_url, "--shutdown-s", "60", folder=tmp_path) as first:
        _, writer = await begin_request(first)
        first.process.send_signal(15)
        await until_refused(first)
        noted = holder_of(file)
        starting = asyncio.create_task(asyncio.to_thread(start_and_stop, sqlite_url, tmp_path))
        done, _ = await asyncio.wait([starting], timeout=0.5)
        writer.write(b"{}")
        await asyncio.to_thread(first.wait)
        writer.close()
        await starting

    assert noted is not None
    assert (noted.pid, noted.stops_within_s, done) == (first.process.pid, 62, set())


def start_and_stop(url: str, folder: Path) -> None:
    with serving(url, folder=folder) as server:
        server.stop()


def test_a_server_that_does_not_stop_is_waited_for_as_long_as_it_said(sqlite_url: str, file: Path) -> None:
    with lock_database(sqlite_url) as lock:
        lock.note(0.2)
        started = time.monotonic()

        with pytest.raises(DatabaseInUse, match=r"already served by pid \d+"), lock_database(sqlite_url):
            pass

        assert 0.2 <= time.monotonic() - started < PATIENCE_S / 2
    assert holder_of(file) is None


def test_who_looks_at_the_lock_sees_who_has_it(sqlite_url: str, file: Path) -> None:
    before = holder_of(file)
    with lock_database(sqlite_url, "being restored"):
        during = str(holder_of(file))

    assert before is None
    assert during.startswith("already being restored by pid ")
