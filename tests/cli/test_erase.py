"""The command `erase`, and `export --owner`, which shows what it would delete."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import make_url

from tests.exports import a_message, a_text, a_thread, lines, run

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "what alice wrote to nobody else"
OBJECTS = [
    a_thread("thread_a", owner="alice"),
    a_message("msg_a", "thread_a", content=[a_text(TEXT)]),
    a_thread("thread_b", owner="bob"),
    a_message("msg_b", "thread_b"),
]


def filled(database_url: str) -> tuple[str, ...]:
    run("import", "--database-url", database_url, given=lines(OBJECTS))
    return "--database-url", database_url


def ids_of(exported: str) -> list[str]:
    return [json.loads(line)["id"] for line in exported.splitlines()]


def test_a_dry_run_counts_and_changes_nothing(database_url: str) -> None:
    database = filled(database_url)

    done = run("erase", "--owner", "alice", "--dry-run", *database)

    assert done.stdout == "Would be erased: 1 threads, 1 messages.\n"
    assert ids_of(run("export", *database).stdout) == ["thread_a", "msg_a", "thread_b", "msg_b"]


def test_an_end_user_is_exported_and_erased(database_url: str) -> None:
    database = filled(database_url)

    exported = run("export", "--owner", "alice", *database)
    done = run("erase", "--owner", "alice", *database)

    assert ids_of(exported.stdout) == ["thread_a", "msg_a"]
    assert done.stdout == "Erased: 1 threads, 1 messages.\n"
    assert ids_of(run("export", *database).stdout) == ["thread_b", "msg_b"]


def test_an_erasure_is_in_the_audit_log_with_its_subject(sqlite_url: str, tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    database = filled(sqlite_url)

    run("erase", "--owner", "alice", "--audit-log", str(log), *database)

    line = json.loads(log.read_text())
    told = {name: line[name] for name in ("event", "principal", "project", "object", "threads", "messages")}
    assert told == {
        "event": "user.erased",
        "principal": "operator",
        "project": "default",
        "object": "user:alice",
        "threads": 1,
        "messages": 1,
    }


def test_an_erased_text_is_not_left_in_the_file(sqlite_url: str) -> None:
    database = filled(sqlite_url)

    run("erase", "--owner", "alice", *database)

    path = make_url(sqlite_url).database
    assert path is not None
    with open(path, "rb") as file:  # noqa: PTH123
        assert TEXT.encode() not in file.read()


def test_an_erased_thread_is_imported_again_only_by_its_flag(database_url: str) -> None:
    database = filled(database_url)
    exported = run("export", "--owner", "alice", *database).stdout
    run("erase", "--owner", "alice", *database)

    without = run("import", *database, given=exported.encode())
    nothing = run("export", "--owner", "alice", *database).stdout
    run("import", "--replace-deleted", *database, given=exported.encode())

    assert "Deleted here earlier, not imported again without --replace-deleted: 1 threads with " in without.stderr
    assert nothing == ""
    assert run("export", "--owner", "alice", *database).stdout == exported
