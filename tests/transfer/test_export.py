from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import orjson
import pytest

from tests.exports import ROOT, a_message, a_thread, environment, give, held, run, take

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_an_empty_database_gives_nothing(database_url: str) -> None:
    assert give(database_url) == b""


def test_an_export_has_each_thread_before_its_messages_oldest_first(database_url: str) -> None:
    newer, older = a_thread("thread_n", created_at=9), a_thread("thread_o", created_at=3)
    take(database_url, newer, older, *(a_message(f"msg_{n}", f"thread_{n}", created_at=9) for n in "on"))

    ids = held(database_url)

    assert ids == ["thread_o", "msg_o", "thread_n", "msg_n"]


def test_an_export_of_more_than_a_page_is_complete(database_url: str) -> None:
    threads = [f"thread_{n}" for n in range(201)]
    messages = [f"msg_{n}" for n in range(1001)]
    take(database_url, *map(a_thread, threads), *(a_message(each, "thread_7") for each in messages))

    ids = held(database_url)

    assert ids == [*threads[:8], *messages, *threads[8:]]


def test_an_export_is_utf_8_without_needless_bytes(database_url: str) -> None:
    take(database_url, a_thread(metadata={"k": "é 🙂"}))

    expected = (
        '{"id":"thread_a","object":"thread","created_at":1700000000,"metadata":{"k":"é 🙂"},"tool_resources":{}}\n'
    )
    assert give(database_url) == expected.encode()


@pytest.mark.parametrize("flag", ["-o", "--output"])
def test_an_export_is_written_to_a_file(sqlite_url: str, tmp_path: Path, flag: str) -> None:
    take(sqlite_url, a_thread(), a_message())
    file = tmp_path / "threads.jsonl"

    done = run("export", flag, str(file), "--database-url", sqlite_url)

    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")
    assert file.read_bytes() == give(sqlite_url)


def test_an_unwritable_output_file_is_reported(sqlite_url: str, tmp_path: Path) -> None:
    file = tmp_path / "missing" / "threads.jsonl"

    done = run("export", "-o", str(file), "--database-url", sqlite_url)

    assert (done.exit_code, done.stderr) == (1, f"Error: '{file}' cannot be used: No such file or directory\n")


def test_an_export_ends_silently_when_its_pipe_is_closed(sqlite_url: str) -> None:
    take(sqlite_url, *(a_message(f"msg_{n}") for n in range(2000)))  # more than a pipe holds
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "gateway", "export", "--database-url", sqlite_url]
    process = subprocess.Popen(command, stdout=writer, stderr=subprocess.PIPE, env=environment(), cwd=ROOT)
    os.close(writer)

    os.read(reader, 1)
    os.close(reader)

    assert process.communicate()[1] == b""


def test_an_export_keeps_the_order_of_messages_that_a_jump_of_the_clock_made_older(
    sqlite_url: str, new_sqlite_url: Callable[[], str]
) -> None:
    order = {"object": "thread.order", "thread_id": "thread_a", "order": "asc"}
    said = [a_message(f"msg_{n}", created_at=at) for n, at in enumerate((9, 900, 10, 11))]
    take(sqlite_url, a_thread(), *said, order)
    exported, other = give(sqlite_url), new_sqlite_url()

    taken = run("import", "--database-url", other, given=exported)

    assert (taken.exit_code, give(other)) == (0, exported)
    assert [orjson.loads(line) for line in exported.splitlines()][-1] == order
