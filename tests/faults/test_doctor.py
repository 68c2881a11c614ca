"""`gateway doctor` on databases with a fault: it names the fault, and fails exactly where a server is of no use."""

from __future__ import annotations

import asyncio
import shutil
import socket
import sqlite3
import subprocess
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import httpx
import pytest
from sqlalchemy import make_url

from gateway.store.maintenance import inspect
from gateway.store.schema.migrate import migrate
from tests.cli.test_doctor import examined
from tests.exports import a_message, a_thread, run, take
from tests.faults.filling import fill
from tests.faults.pair import pair
from tests.live.server import PATIENCE_S, serving
from tests.live.test_pgbouncer import pooled
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = 4_096
LARGE = [{"type": "text", "text": {"value": "x" * 3_000, "annotations": []}}]


@dataclass
class Place:
    """A database with some messages, and where a server of it listens."""

    file: Path
    folder: Path
    stack: ExitStack
    flags: list[str] = field(default_factory=lambda: ["--port", str(free_port())])

    @property
    def url(self) -> str:
        return f"sqlite:///{self.file}"

    def overwrite(self, start: int, end: int, byte: bytes = b"\xff") -> None:
        with self.file.open("r+b") as opened:
            opened.seek(start)
            opened.write(byte * (end - start))

    def mount(self, *options: str) -> None:
        as_root("mount", *options, str(self.file.parent))
        self.stack.callback(as_root, "umount", "--lazy", str(self.file.parent))


def as_root(*command: str) -> None:
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip(f"only root can run {command[0]}, on some file systems")


def nothing(_place: Place) -> None:
    """Leave all as it is."""


def corrupt_messages(place: Place) -> None:
    size = place.file.stat().st_size
    place.overwrite(size - 20 * PAGE, size - 10 * PAGE)


def corrupt_all(place: Place) -> None:
    place.overwrite(PAGE, place.file.stat().st_size)


def zero_header(place: Place) -> None:
    place.overwrite(0, 100, b"\0")


def truncate(place: Place) -> None:
    with place.file.open("r+b") as opened:
        opened.truncate(3 * PAGE)


def empty(place: Place) -> None:
    place.file.write_bytes(b"")


def other_file(place: Place) -> None:
    place.file.write_text("no database " * 100)


def revision(number: str) -> Callable[[Place], None]:
    def upgrade(place: Place) -> None:
        with closing(sqlite3.connect(place.file, isolation_level=None)) as opened:
            opened.execute("UPDATE alembic_version SET version_num = ?", (number,))

    return upgrade


def immutable_file(place: Place) -> None:
    as_root("chattr", "+i", str(place.file))
    place.stack.callback(as_root, "chattr", "-i", str(place.file))


def read_only_disk(place: Place) -> None:
    place.mount("--bind", str(place.file.parent))
    as_root("mount", "-o", "remount,bind,ro", str(place.file.parent))


def read_only_disk_without_a_database(place: Place) -> None:
    place.file.unlink()
    read_only_disk(place)


def full_disk(place: Place) -> None:
    whole = place.file.read_bytes()
    place.mount("-t", "tmpfs", "-o", f"size={len(whole) // 1024 + 64}k", "none")
    place.file.write_bytes(whole)
    fill(place.file.with_name("filler"))


def second_server(place: Place) -> None:
    place.stack.enter_context(serving(place.url, folder=place.folder))


def other_log(place: Place) -> None:
    backup = place.folder / "backup.db"
    run("backup", str(backup), "--database-url", place.url)
    with serving(place.url, folder=place.folder) as server:
        httpx.post(f"{server.base_url}/v1/threads", timeout=PATIENCE_S).raise_for_status()
        server.kill()
    shutil.copy(backup, place.file)


def taken_port(place: Place) -> None:
    listener = place.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    place.flags = ["--port", str(listener.getsockname()[1])]


def no_keys(place: Place) -> None:
    place.file.unlink()
    place.flags += ["--host", "0.0.0.0"]  # noqa: S104  (nothing listens)


FAULTS: dict[str, tuple[Callable[[Place], None], int, str, str, str]] = {
    "none": (nothing, 0, "database", "ok", "reachable"),
    "corrupt pages": (corrupt_messages, 0, "database", "warning", "the file is damaged: "),
    "corrupt everywhere": (corrupt_all, 1, "database", "failure", "The database file is damaged"),
    "zeroed header": (zero_header, 1, "database", "failure", "The database file is damaged"),
    "truncated": (truncate, 1, "database", "failure", "The database file is damaged"),
    "empty": (empty, 0, "migrations", "warning", "the database is at revision none"),
    "no database": (other_file, 1, "database", "failure", "The database file is damaged"),
    "later revision": (revision("1000"), 1, "migrations", "failure", "the database is at revision 1000"),
    "next revision": (revision("0999"), 0, "migrations", "warning", "the database is at revision 0999"),
    "immutable file": (immutable_file, 1, "writes", "failure", "fail: "),
    "read-only disk": (read_only_disk, 1, "disk", "failure", "no file can be created in "),
    "read-only, new": (read_only_disk_without_a_database, 1, "disk", "failure", "no file can be created in "),
    "full disk": (full_disk, 1, "disk", "failure", "0 MB free in "),
    "second server": (second_server, 1, "server", "failure", "the database is already served by pid "),
    "log of another": (other_log, 1, "database", "failure", "'"),
    "taken port": (taken_port, 1, "server", "failure", "GATEWAY_HOST, GATEWAY_PORT: cannot listen on"),
    "open to all": (no_keys, 1, "keys", "failure", "none: every client"),
}


@pytest.fixture
def place(new_sqlite_url: Callable[[], str], tmp_path: Path) -> Iterator[Place]:
    """Have a database of 50 messages in a folder of its own."""
    file = Path(new_sqlite_url().removeprefix("sqlite:///"))
    take(f"sqlite:///{file}", a_thread(), *(a_message(f"msg_{n}", content=LARGE) for n in range(50)))
    with ExitStack() as stack:
        yield Place(file, tmp_path, stack)


def serves_and_writes(url: str, folder: Path, *flags: str) -> bool:
    """Start a server, and create a thread with a message; say whether both succeed."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(serving(url, *flags, folder=folder))
        except AssertionError:  # it ended before its banner
            return False
        body = {"messages": [{"role": "user", "content": "hi"}]}
        answer = httpx.post(f"{server.base_url}/v1/threads", json=body, timeout=PATIENCE_S)
        assert answer.status_code in (200, 503)
        return answer.status_code == 200


@pytest.mark.parametrize("name", FAULTS)
def test_doctor_names_a_fault_and_fails_exactly_where_no_server_could_write(name: str, place: Place) -> None:
    damage, code, check, level, said = FAULTS[name]
    damage(place)

    exit_code, found = examined(place.url, *place.flags)

    assert (exit_code, found[check][0]) == (code, level), found
    assert found[check][1].startswith(said)
    assert serves_and_writes(place.url, place.folder, *place.flags) == (code == 0)


@contextmanager
def read_only(url: str) -> Iterator[None]:
    """Let new connections to a database only read."""
    name = make_url(url).database
    execute(url, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    yield
    reset = f'ALTER DATABASE "{name}" RESET default_transaction_read_only'
    execute(url, "SET default_transaction_read_only = off", reset)


def execute(url: str, *statements: str) -> None:
    async def run_all() -> None:
        connection = await asyncpg.connect(url)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    asyncio.run(run_all())


def test_a_postgresql_that_only_reads_is_named(new_postgres_url: Callable[[], str], tmp_path: Path) -> None:
    url = new_postgres_url()
    with read_only(url):
        code, found = examined(url)
        is_served = serves_and_writes(url, tmp_path)

    assert (code, found["writes"][0], is_served) == (1, "failure", False)
    assert "it is read-only or a standby" in found["writes"][1]


async def test_a_standby_is_named(tmp_path: Path) -> None:
    with pair() as (primary, standby):
        await migrate(primary.url)
        of_both = [await asyncio.to_thread(examined, node.url) for node in (primary, standby)]
        is_served = [await asyncio.to_thread(serves_and_writes, node.url, tmp_path) for node in (primary, standby)]

    assert [(code, found["writes"][0]) for code, found in of_both] == [(0, "ok"), (1, "failure")]
    assert is_served == [True, False]


async def test_a_long_transaction_of_another_program_is_named(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspect, "LONG_S", 0)
    other = await asyncpg.connect(postgres_url, server_settings={"application_name": "a report"})
    async with other.transaction():
        code, found = await asyncio.to_thread(examined, postgres_url)
    await other.close()

    assert (code, found["others"][0]) == (0, "warning")
    assert "in a transaction: a report (process " in found["others"][1]


async def test_a_pooler_that_carries_no_notifications_and_a_role_with_unfit_settings_are_named(
    postgres_url: str, tmp_path: Path
) -> None:
    database, isolation = make_url(postgres_url).database, "default_transaction_isolation"
    await asyncio.to_thread(execute, postgres_url, f"ALTER DATABASE \"{database}\" SET {isolation} = 'serializable'")
    with pooled(postgres_url, tmp_path) as pooler:
        code, found = await asyncio.to_thread(examined, f"{pooler}?pgbouncer=transaction", "--listen-url", pooler)

    assert (code, found["hints"][0], found["others"][0]) == (0, "warning", "warning"), found
    assert found["hints"][1].startswith("not carried by PostgreSQL: a pooler changes the connection")
    assert "the role has default_transaction_isolation = serializable, idle_in_tr" in found["others"][1]
    assert "lock_timeout = 0, statement_timeout = 0" in found["others"][1]
    await asyncio.to_thread(execute, postgres_url, f'ALTER DATABASE "{database}" RESET {isolation}')


async def test_a_pooler_without_a_way_for_notifications_stops_the_start(postgres_url: str, tmp_path: Path) -> None:
    with pooled(postgres_url, tmp_path) as pooler:
        url = f"{pooler}?pgbouncer=transaction"
        code, found = await asyncio.to_thread(examined, url)
        is_served = await asyncio.to_thread(serves_and_writes, url, tmp_path)

    assert (code, found["hints"][0], is_served) == (1, "failure", False)
