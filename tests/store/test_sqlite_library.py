"""What a server configures of SQLite's library, in a process of its own: it holds for the whole process."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PROGRAM = """
import ctypes, _sqlite3, sqlite3, sys
from gateway.store.engines.sqlite_library import count_no_memory

def used():
    connection = sqlite3.connect(sys.argv[1])
    connection.execute("CREATE TABLE IF NOT EXISTS t (a)")
    connection.execute("INSERT INTO t VALUES (1)")
    connection.commit()
    [[rows]] = connection.execute("SELECT count(*) FROM t")
    memory = ctypes.CDLL(_sqlite3.__file__).sqlite3_memory_used()
    connection.close()
    return memory, rows

before = used()
count_no_memory(sys.argv[2])
print(before[0] > 0, used())
"""


def _printed(folder: Path, url: str) -> str:
    command = [sys.executable, "-c", _PROGRAM, str(folder / "a.db"), url]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_a_server_on_sqlite_counts_no_memory_and_writes_on(tmp_path: Path) -> None:
    assert _printed(tmp_path, "sqlite:///a.db") == "True (0, 2)"


def test_for_postgresql_the_library_is_left_as_it_is(tmp_path: Path) -> None:
    assert not _printed(tmp_path, "postgresql://a@b/c").endswith("(0, 2)")
