"""On SQLite an import moves whole groups of new threads within the database; the rows are those of the other way."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from gateway.store import staging
from gateway.store.writes import Writes
from tests.effort import times
from tests.exports import a_message, a_text, a_thread, lines, run, take

if TYPE_CHECKING:
    from pathlib import Path

TABLES = ("threads", "messages", "deleted_messages", "deleted_threads")


def of_thread(thread_id: str, *seconds: int, **fields: Any) -> list[dict[str, Any]]:
    return [a_message(f"msg_{thread_id}_{n}", thread_id, created_at=each, **fields) for n, each in enumerate(seconds)]


GIVEN = {
    "rising": of_thread("thread_a", 1, 2, 2, 3),
    "falling": of_thread("thread_a", 3, 2, 2, 1),
    "neither": of_thread("thread_a", 2, 3, 1, 3, 2),
    "one second": of_thread("thread_a", 5, 5, 5),
    "no message": [a_thread(), a_thread("thread_b")],
    "several threads in one another": [
        a_thread("thread_b"),
        a_thread(),
        *of_thread("thread_a", 1),
        *of_thread("thread_b", 2),
    ],
    "all fields": of_thread(
        "thread_a",
        1,
        content=[a_text("“é🙂\x00\n”")],
        attachments=[{"file_id": "file-1", "tools": [{"type": "file_search"}]}],
        metadata={"k": "🙂"},
        run_id="run_1",
        assistant_id="asst_1",
        status="incomplete",
        incomplete_details={"reason": "run_failed"},
        incomplete_at=3,
    ),
    "an id twice in one thread": [a_message("msg_1"), a_message("msg_1")],
    "an id in two threads": [a_message("msg_1"), a_message("msg_1", "thread_b"), a_message("msg_2", "thread_b")],
}
BEFORE = {
    "in a new database": [],
    "beside another thread": [a_thread("thread_z"), a_message("msg_1", "thread_z")],
    "beside its own beginning": of_thread("thread_a", 1),
}


def stored(db: sqlite3.Connection, table: str) -> list[Any]:
    """Read all rows, without the numbers of changes, which count the steps of an import."""
    names = [name for _, name, *_ in db.execute(f"PRAGMA table_info({table})") if not name.endswith("_number")]
    return db.execute(f"SELECT {', '.join(names)} FROM {table} ORDER BY 1, 2, 3").fetchall()  # noqa: S608


def imported(folder: Path, empty: str, *given: list[dict[str, Any]]) -> tuple[list[str], list[Any]]:
    """Import one after the other into a new database; return the messages, and all rows of its tables."""
    folder.mkdir()
    shutil.copy(empty.removeprefix("sqlite:///"), folder / "threads.db")
    told = [
        run("import", "--database-url", f"sqlite:///{folder / 'threads.db'}", given=lines(each)).stderr
        for each in given
    ]
    with closing(sqlite3.connect(folder / "threads.db")) as db:
        return told, [stored(db, table) for table in TABLES]


@pytest.mark.parametrize("before", BEFORE.values(), ids=list(BEFORE))
@pytest.mark.parametrize("given", GIVEN.values(), ids=list(GIVEN))
def test_moving_staged_rows_equals_adding_them_one_by_one(
    given: list[dict[str, Any]],
    before: list[dict[str, Any]],
    sqlite_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    several = [each for each in (before, *[given] * times(fast=1, slow=2)) if each]
    moved = imported(tmp_path / "moved", sqlite_url, *several)

    async def never(*_arguments: object) -> None:
        """Say that it is no way."""

    monkeypatch.setattr(Writes, "move_staged", never)

    assert moved == imported(tmp_path / "taken", sqlite_url, *several)


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """Write down how many messages each group was moved with."""
    seen: list[int | None] = []
    move = Writes.move_staged

    async def note(*arguments: Any) -> int | None:
        seen.append(await move(*arguments))
        return seen[-1]

    monkeypatch.setattr(Writes, "move_staged", note)
    return seen


def test_new_threads_are_moved_group_by_group(
    database_url: str, moves: list[int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "GROUP", 5)

    take(database_url, *of_thread("thread_a", 1, 2, 3), *of_thread("thread_b", 1, 2), *of_thread("thread_c", 1))

    assert moves == [3, 3]


@pytest.mark.parametrize(
    ("first", "hold_s", "expected"), [(4, 1e9, [3, 6, 3]), (8, 0, [6, 3, 3])], ids=["more", "fewer"]
)
def test_a_group_has_as_many_messages_as_the_last_one_shows_to_be_written_in_a_moment(
    sqlite_url: str,
    moves: list[int | None],
    monkeypatch: pytest.MonkeyPatch,
    first: int,
    hold_s: float,
    expected: list[int],
) -> None:
    monkeypatch.setattr(staging, "GROUP", 8)
    monkeypatch.setattr(staging, "_FIRST", first)
    monkeypatch.setattr(staging, "_HOLD_S", hold_s)

    take(sqlite_url, *(each for name in "abcd" for each in of_thread(f"thread_{name}", 1, 2, 3)))

    assert moves == expected


def test_a_duplicate_id_rolls_back_all_rows_moved_with_it(database_url: str, moves: list[int | None]) -> None:
    take(database_url, a_message("msg_1", "thread_z"))

    run(
        "import",
        "--database-url",
        database_url,
        given=lines([*of_thread("thread_a", 1, 2), a_message("msg_1", "thread_b")]),
    )

    assert moves in ([1, None], [1])  # on PostgreSQL the error of the second ends it
