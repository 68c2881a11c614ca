"""A mistyped project or owner: commands that read or erase refuse it, and those that begin one say that it is new."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.test_assistants import TUTOR
from tests.exports import a_message, a_thread, lines, run

if TYPE_CHECKING:
    from pathlib import Path

UNKNOWN = "Error: --project: there is no project 'shp' in the database, which has default, shop.\n"
NEW = "Project 'shp' is new; the database has default, shop.\n"


@pytest.fixture
def database(database_url: str) -> tuple[str, str]:
    """Give the flag of a database with two projects."""
    flag = ("--database-url", database_url)
    for project in ("default", "shop"):
        objects = [a_thread(f"thread_{project}", owner="alice"), a_message(f"msg_{project}", f"thread_{project}")]
        run("import", "--project", project, *flag, given=lines(objects))
    return flag


@pytest.mark.parametrize(
    "command", [("export",), ("erase", "--owner", "alice"), ("erase", "--owner", "a", "--dry-run")]
)
def test_an_unknown_project_is_refused_with_those_that_there_are(
    database: tuple[str, str], command: tuple[str, ...]
) -> None:
    done = run(*command, "--project", "shp", *database)

    assert (done.exit_code, done.stdout, done.stderr) == (1, "", UNKNOWN)


def test_an_export_that_is_refused_leaves_its_file_as_it_was(database: tuple[str, str], tmp_path: Path) -> None:
    file = tmp_path / "threads.jsonl"
    file.write_text("yesterday's")

    run("export", "--project", "shp", "-o", str(file), *database)

    assert file.read_text() == "yesterday's"


def test_an_empty_database_has_the_default_project_alone(database_url: str) -> None:
    flag = ("--database-url", database_url)

    done = [run("export", *project, *flag) for project in ((), ("--project", "shp"))]

    assert [(each.exit_code, each.stdout) for each in done] == [(0, ""), (1, "")]
    assert done[1].stderr == UNKNOWN.replace("default, shop", "none")


def test_a_project_of_which_a_key_is_all_there_is_exists(database_url: str) -> None:
    flag = ("--database-url", database_url)
    run("keys", "create", "--project", "shop", *flag)

    assert run("export", "--project", "shop", *flag).exit_code == 0
    assert run("export", *flag).exit_code == 1  # the default project has nothing, and shop may be meant


def test_a_project_of_which_all_is_erased_still_exists(database: tuple[str, str]) -> None:
    for _ in range(2):
        done = run("erase", "--project", "shop", "--owner", "alice", *database)
        assert done.exit_code == 0

    assert done.stdout == "Erased: 0 threads, 0 messages.\n"


def test_an_export_of_an_owner_without_threads_says_so(database: tuple[str, str]) -> None:
    done = run("export", "--owner", "alcie", *database)

    said = "Nothing is exported: project 'default' has no thread of the owner 'alcie'.\n"
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", said)


@pytest.mark.parametrize("command", [("import", "-"), ("assistants", "import", "-"), ("keys", "create")])
def test_what_begins_a_project_beside_others_says_that_it_is_new(
    database: tuple[str, str], command: tuple[str, ...]
) -> None:
    done = [run(*command, "--project", "shp", *database, given=lines([TUTOR])) for _ in range(2)]

    assert [(each.exit_code, NEW in each.stderr) for each in done] == [(0, True), (0, False)]
