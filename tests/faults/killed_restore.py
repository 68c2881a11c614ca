"""A program of its own: restore a backup and be killed at each step in turn, and tell what is there then.

It prints how many steps there are; a line before that is a fault. It forks, so it has one thread.
Must not be here: what may come of it (`test_restore`).
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from gateway.cli.restore import run_restore
from gateway.errors import DatabaseDamaged
from gateway.store.files.database_files import require_own_log

# What Python does to files, as it reports it. Source: Python, "Audit events table".
STEPS = {"open", "os.rename", "os.remove", "os.chown", "sqlite3.connect"}
TEXTS = "SELECT json_extract(content, '$[0].text.value') FROM messages ORDER BY position"


def restore_until(step: int, url: str, backup: Path) -> bool:
    """Restore in a process that is killed at a step; say whether it came to its end before."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    left = step

    def count(event: str, arguments: object) -> None:
        nonlocal left
        if event in STEPS and "threads.db" in repr(arguments):
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    run_restore(url, backup)
    os._exit(0)


def texts(file: Path) -> list[str]:
    """Open a database as a server does, and read it."""
    require_own_log(file)
    with closing(sqlite3.connect(file)) as opened:
        assert opened.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [text for (text,) in opened.execute(TEXTS)]


def outcome(file: Path) -> str:
    try:
        return repr(texts(file))
    except (DatabaseDamaged, sqlite3.DatabaseError) as error:
        return type(error).__name__


def main(killed: str, backup: str, folder: str, every: str) -> None:
    """Kill at every nth step, each time over a copy of what a killed server has left, and print the outcomes."""
    step, is_done, outcomes = 0, False, dict[str, int]()
    while not is_done:
        step += int(every)
        place = Path(folder, str(step))
        place.mkdir()
        for each in Path(killed).glob("threads.db*"):
            shutil.copy(each, place)
        file = place / "threads.db"
        is_done = restore_until(step, f"sqlite:///{file}", Path(backup))
        found = outcome(file)
        outcomes[found] = outcomes.get(found, 0) + 1
        if is_done or step % 4 == 0:
            assert restore_until(0, f"sqlite:///{file}", Path(backup)), "it cannot be restored again"
            assert [each.name for each in place.iterdir()] == ["threads.db"]
        shutil.rmtree(place)
    for found, times in outcomes.items():
        print(found, times)  # noqa: T201  (it is asked by a test)


if __name__ == "__main__":
    main(*sys.argv[1:])
