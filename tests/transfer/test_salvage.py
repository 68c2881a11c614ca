"""`gateway export --salvage` of damaged files: what can be read is exported, and what cannot is reported."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.ids import ThreadId
from gateway.domain.principal import Principal, Reach
from gateway.store.store import opened_store
from tests.exports import a_message, a_run, a_step, a_text, a_thread, give, held, run, take
from tests.following import begin, grow, text_part
from tests.live.server import PATIENCE_S, serving
from tests.migrating import run_scripts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from click.testing import Result

PAGE = 4_096
THREADS, MESSAGES, RUNS = 3, 60, 12


@pytest.fixture
def file(new_sqlite_url: Callable[[], str]) -> Path:
    """Have a database of messages, some of which are longer than a page."""
    return filled(new_sqlite_url())


def filled(url: str) -> Path:
    threads = [a_thread(f"thread_{n}", metadata={"n": str(n)}) for n in range(THREADS)]
    said = [
        a_message(f"msg_{n}", f"thread_{n % THREADS}", content=[a_text(f"{n} " * (2_000 if n % 7 == 0 else 200))])
        for n in range(MESSAGES)
    ]
    take(url, *threads, *said)
    return Path(url.removeprefix("sqlite:///"))


def salvaged(file: Path) -> Result:
    return run("export", "--salvage", "--database-url", f"sqlite:///{file}")


def damage(file: Path, start: int, content: bytes) -> bytes:
    """Overwrite a part of a file; return the whole of it."""
    with file.open("r+b") as opened:
        opened.seek(start)
        opened.write(content)
    return file.read_bytes()


def pages_of(file: Path, table: str) -> tuple[int, int]:
    """Return the root page of a table and the number of all pages."""
    with closing(sqlite3.connect(file)) as opened:
        [(root,)] = opened.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchall()
    return root, file.stat().st_size // PAGE


def leaves_of(file: Path, table: str) -> list[int]:
    """Return the pages below the root page of a table of two levels, in order.

    Source: SQLite, "Database File Format", 1.6 "B-tree Pages".
    """
    root = file.read_bytes()[(pages_of(file, table)[0] - 1) * PAGE :][:PAGE]
    assert root[0] == 5  # an interior page of a table
    cells = [int.from_bytes(root[12 + 2 * n :][:2], "big") for n in range(int.from_bytes(root[3:5], "big"))]
    return [int.from_bytes(root[at : at + 4], "big") for at in (*cells, 8)]


def assert_importable(lines: bytes, url: str) -> None:
    taken = run("import", "--database-url", url, given=lines)
    assert taken.exit_code == 0, taken.stderr
    assert sorted(give(url).splitlines()) == sorted(lines.splitlines())


def test_of_a_whole_file_everything_is_exported(file: Path) -> None:
    done = salvaged(file)

    assert (done.exit_code, done.stdout_bytes) == (0, give(f"sqlite:///{file}"))
    counts = "threads: 3, messages: 60, message deltas: 0, runs: 0, run steps: 0, assistants: 0"
    assert done.stderr == f"Read of all projects: {counts}, threads inferred from their messages: 0.\n"


def test_damaged_pages_are_left_out_and_reported(file: Path, new_sqlite_url: Callable[[], str]) -> None:
    whole = give(f"sqlite:///{file}").splitlines()
    _, count = pages_of(file, "messages")
    before = damage(file, (count - 12) * PAGE, b"\xff" * 4 * PAGE)

    done = salvaged(file)

    assert (done.exit_code, file.read_bytes() == before) == (1, True)
    lines = done.stdout_bytes.splitlines()
    assert set(lines) < set(whole)
    assert len(lines) > len(whole) / 2
    assert "messages: row" in done.stderr
    assert "cannot be read: database disk image is malformed" in done.stderr
    assert_importable(done.stdout_bytes, new_sqlite_url())


def test_pages_in_another_order_lose_nothing_and_are_reported(file: Path) -> None:
    whole = give(f"sqlite:///{file}")
    first, *_, last = leaves_of(file, "messages")
    pages = [file.read_bytes()[(page - 1) * PAGE :][:PAGE] for page in (first, last)]
    for page, content in zip((last, first), pages, strict=True):
        damage(file, (page - 1) * PAGE, content)

    done = salvaged(file)

    assert (done.exit_code, sorted(done.stdout_bytes.splitlines())) == (1, sorted(whole.splitlines()))
    assert "the pages are in another order" in done.stderr


def test_a_row_id_that_is_wrong_hides_no_rows_behind_a_damaged_page(file: Path) -> None:
    _, second, _, fourth, *_ = leaves_of(file, "messages")
    page, lost = (file.read_bytes()[(number - 1) * PAGE :][:PAGE] for number in (second, fourth))
    row_id = int.from_bytes(page[8:10], "big") + 2  # in its first cell, after a size of two bytes
    assert page[row_id] < MESSAGES
    damage(file, (second - 1) * PAGE + row_id, b"\x7f")
    damage(file, (fourth - 1) * PAGE, b"\xff" * PAGE)

    done = salvaged(file)

    rows_of_page = int.from_bytes(lost[3:5], "big")
    assert len(done.stdout_bytes.splitlines()) == THREADS + MESSAGES - rows_of_page


def test_a_thread_that_was_not_whole_is_not_exported(file: Path) -> None:
    whole = give(f"sqlite:///{file}")
    with closing(sqlite3.connect(file, isolation_level=None)) as opened:
        opened.execute("UPDATE threads SET filling = 1 WHERE id = 'thread_1'")

    done = salvaged(file)

    assert (done.exit_code, done.stdout_bytes) == (0, give(f"sqlite:///{file}"))
    assert {b"thread_1" in each for each in (whole, done.stdout_bytes)} == {True, False}


def test_a_zeroed_header_loses_nothing(file: Path) -> None:
    whole = give(f"sqlite:///{file}")
    damage(file, 0, bytes(100))

    done = salvaged(file)

    assert (done.exit_code, done.stdout_bytes) == (0, whole)


@pytest.mark.parametrize(
    ("at", "content"),
    [(16, b"\0"), (17, b"\2"), (19, b"\5"), (21, b"\0"), (22, b"\0"), (23, b"\0"), (47, b"\5"), (59, b"\2")],
)
def test_a_damaged_field_of_the_header_loses_nothing(file: Path, at: int, content: bytes) -> None:
    whole = give(f"sqlite:///{file}")
    damage(file, at, content)

    done = salvaged(file)

    assert (done.exit_code, done.stdout_bytes) == (0, whole)


def test_a_truncated_file_gives_what_is_there(file: Path, new_sqlite_url: Callable[[], str]) -> None:
    whole = set(give(f"sqlite:///{file}").splitlines())
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size - 9 * PAGE - 1)

    done = salvaged(file)

    assert done.exit_code == 1
    assert done.stdout_bytes.count(b'"thread.message"') > MESSAGES / 4
    assert set(done.stdout_bytes.splitlines()) < whole
    assert_importable(done.stdout_bytes, new_sqlite_url())


@pytest.fixture
def with_runs(file: Path) -> Path:
    """Have runs, their steps and an assistant, too."""
    runs = [a_run(f"run_{n}", f"thread_{n % THREADS}") for n in range(RUNS)]
    steps = [a_step(f"step_{n}", f"run_{n}", thread_id=f"thread_{n % THREADS}") for n in range(RUNS)]
    take(f"sqlite:///{file}", *runs, *steps, {"id": "asst_a", "object": "assistant", "created_at": 5, "model": "m"})
    return file


def test_runs_and_assistants_are_salvaged(with_runs: Path) -> None:
    done = salvaged(with_runs)

    assert (done.exit_code, done.stdout_bytes) == (0, give(f"sqlite:///{with_runs}"))
    assert f"runs: {RUNS}, run steps: {RUNS}, assistants: 1," in done.stderr


def test_rows_that_cannot_be_read_any_more_are_left_out(with_runs: Path, new_sqlite_url: Callable[[], str]) -> None:
    whole = set(held(f"sqlite:///{with_runs}"))
    with closing(sqlite3.connect(with_runs, isolation_level=None)) as opened:
        opened.execute("UPDATE messages SET content = '[{' WHERE id = 'msg_3'")
        opened.execute("UPDATE messages SET role = 'nobody' WHERE id = 'msg_5'")
        opened.execute("UPDATE messages SET metadata = CAST(x'ff' AS TEXT) WHERE id = 'msg_8'")
        opened.execute("UPDATE messages SET idempotency_key = x'' WHERE id = 'msg_11'")
        opened.execute("UPDATE messages SET idempotency_key = 'no scope' WHERE id = 'msg_13'")
        opened.execute("UPDATE runs SET settings = '{}' WHERE id = 'run_1'")
        opened.execute("UPDATE runs SET status = 'odd' WHERE id = 'run_2'")
        opened.execute("UPDATE runs SET usage = '[' WHERE id = 'run_3'")
        opened.execute("UPDATE run_steps SET details = 'no' WHERE id = 'step_4'")
        opened.execute("UPDATE assistants SET fields = '{}'")

    done = salvaged(with_runs)

    found = {orjson.loads(line)["id"] for line in done.stdout_bytes.splitlines()}
    lost_messages = {"msg_3", "msg_5", "msg_8", "msg_11", "msg_13"}
    lost = {*lost_messages, "run_1", "run_2", "run_3", "step_1", "step_2", "step_3", "step_4", "asst_a"}
    assert whole - found == lost
    assert (done.exit_code, done.stderr.count(" cannot be read: ")) == (1, 10)
    assert_importable(done.stdout_bytes, new_sqlite_url())


def test_a_lost_thread_is_inferred_from_its_messages(file: Path, new_sqlite_url: Callable[[], str]) -> None:
    root, _ = pages_of(file, "threads")
    damage(file, (root - 1) * PAGE, b"\xff" * PAGE)

    done = salvaged(file)

    lines = [orjson.loads(line) for line in done.stdout_bytes.splitlines()]
    threads = [line for line in lines if line["object"] == "thread"]
    assert [(each["id"], each["metadata"]) for each in threads] == [(f"thread_{n}", {}) for n in range(THREADS)]
    assert len(lines) == THREADS + MESSAGES
    assert (done.exit_code, "threads inferred from their messages: 3" in done.stderr) == (1, True)
    assert_importable(done.stdout_bytes, new_sqlite_url())


@pytest.mark.parametrize("has_header", [True, False])
def test_what_is_in_the_log_alone_is_exported(file: Path, tmp_path: Path, *, has_header: bool) -> None:
    with serving(f"sqlite:///{file}", folder=tmp_path) as server:
        body = {"messages": [{"role": "user", "content": "only in the log"}]}
        httpx.post(f"{server.base_url}/v1/threads", json=body, timeout=PATIENCE_S).raise_for_status()
        server.kill()
    if not has_header:
        damage(file, 0, bytes(100))

    done = salvaged(file)

    assert (done.exit_code, done.stdout_bytes.count(b"only in the log")) == (0, 1)


async def test_messages_in_progress_have_what_was_appended(file: Path) -> None:
    url, who = f"sqlite:///{file}", Principal(Reach("default"))
    async with opened_store(url) as store:
        message = await begin(store, who, ThreadId("thread_0"), text_part("He"))
        await grow(store, who, message.id, "llo", ", world")
    whole, done = await asyncio.to_thread(give, url), await asyncio.to_thread(salvaged, file)
    with closing(sqlite3.connect(file, isolation_level=None)) as opened:
        opened.execute("UPDATE message_deltas SET start = 'damaged' WHERE text LIKE '%world'")
    damaged = await asyncio.to_thread(salvaged, file)

    assert (done.exit_code, done.stdout_bytes) == (0, whole)
    assert b"Hello, world" in whole
    assert (damaged.exit_code, b"Hello" in damaged.stdout_bytes, b"world" in damaged.stdout_bytes) == (1, True, False)
    assert "message_deltas: row 2 cannot be read: 'start' is damaged" in damaged.stderr


async def test_a_file_of_an_earlier_version_is_salvaged_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    await run_scripts(f"sqlite:///{file}", "0001")
    with closing(sqlite3.connect(file, isolation_level=None)) as opened:
        opened.execute("INSERT INTO threads VALUES (1, 'default', 'thread_a', 5, '{}', '{}', 0, 0, 0)")

    done = await asyncio.to_thread(salvaged, file)

    assert (done.exit_code, orjson.loads(done.stdout_bytes)["id"]) == (0, "thread_a")


def schema_pages(file: Path) -> list[int]:
    """Return the pages of the list of tables: the first one, and those below it."""
    first = file.read_bytes()[100:PAGE]
    if first[0] != 5:
        return [1]
    cells = [int.from_bytes(first[12 + 2 * n :][:2], "big") - 100 for n in range(int.from_bytes(first[3:5], "big"))]
    return [1, *(int.from_bytes(first[at : at + 4], "big") for at in (*cells, 8))]


@pytest.mark.parametrize("filling", [b"\xff", b"\0"])
@pytest.mark.parametrize("which", range(4))
def test_a_damaged_list_of_tables_loses_nothing(with_runs: Path, which: int, filling: bytes) -> None:
    whole = give(f"sqlite:///{with_runs}")
    pages = schema_pages(with_runs)
    page = pages[which % len(pages)]
    before = damage(with_runs, (page - 1) * PAGE, filling * PAGE)

    done = salvaged(with_runs)

    assert (done.exit_code, done.stdout_bytes, with_runs.read_bytes() == before) == (1, whole, True)
    assert done.stderr.startswith("The list of tables is damaged; they were found by their pages")


@pytest.mark.parametrize("name", [b"failed_\xfft", b"failed-at", b"FAILED_AT", b"failed_bt"])
def test_a_column_with_a_damaged_name_loses_nothing(with_runs: Path, name: bytes) -> None:
    whole = give(f"sqlite:///{with_runs}")
    damage(with_runs, 0, with_runs.read_bytes().replace(b"failed_at", name))

    done = salvaged(with_runs)

    assert (done.exit_code, done.stdout_bytes) == (1, whole)
    assert done.stderr.startswith("The list of tables is damaged; they were found by their pages")


def test_without_list_and_root_the_parts_of_a_table_are_found(with_runs: Path) -> None:
    whole = give(f"sqlite:///{with_runs}")
    root, _ = pages_of(with_runs, "messages")
    assert len(leaves_of(with_runs, "messages")) > 2
    for page in (1, root):
        damage(with_runs, (page - 1) * PAGE, bytes(PAGE))

    done = salvaged(with_runs)

    assert (done.exit_code, sorted(done.stdout_bytes.splitlines())) == (1, sorted(whole.splitlines()))


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text("no database " * 1_000)

    done = salvaged(file)

    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: Nothing can be read: ")


@given(seed=st.integers(0, 2**32), hits=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=6))
def test_any_damage_leaves_lines_that_can_be_imported(
    new_sqlite_url: Callable[[], str], seed: int, hits: Sequence[float]
) -> None:
    file = filled(new_sqlite_url())
    size, drawn = file.stat().st_size, Random(seed)  # noqa: S311  (no secret)
    for hit in hits:
        start = PAGE + int(hit * (size - 2 * PAGE))
        damage(file, start, drawn.randbytes(drawn.choice((1, 64, PAGE))))

    done = salvaged(file)

    assert done.exit_code in (0, 1)
    if done.stdout_bytes:
        assert_importable(done.stdout_bytes, new_sqlite_url())
