"""What an operator of keys is shown, by the commands within this process."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from gateway.cli.commands import main
from gateway.server.startup import any_key_made

if TYPE_CHECKING:
    from click.testing import Result


class Commands:
    """`gateway keys` on one database."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["keys", *arguments, "--database-url", self._database_url])

    def new_id(self, *arguments: str) -> str:
        return self("create", *arguments).stderr.partition(":")[0]

    def listed(self, key_id: str) -> str:
        """Give the line of the list that a key has."""
        return next(line for line in self("list").stdout.splitlines() if key_id in line)


@pytest.fixture
def keys(sqlite_url: str) -> Commands:
    return Commands(sqlite_url)


def test_only_the_secret_goes_to_standard_output(keys: Commands) -> None:
    made = keys("create", "--project", "shop", "--scopes", "read", "--expires", "90d")

    assert re.fullmatch(r"sk-[A-Za-z0-9]{43}\n", made.stdout)
    assert re.match(r"key_\w{16}: read access to project 'shop', until \d{4}-\d\d-\d\d \d\d:\d\d\.\n", made.stderr)
    assert made.stdout.strip() not in made.stderr


def test_an_empty_key_list_names_the_command_to_create_one(keys: Commands) -> None:
    assert keys("list").stderr == "There are no API keys. Create one with: gateway keys create\n"


def test_a_key_is_listed_with_its_scopes_and_status(keys: Commands) -> None:
    good, over = keys.new_id("--name", "the web shop"), keys.new_id("--project", "shop")
    revoked = keys("revoke", over)

    assert revoked.stderr.startswith(f"{over} is revoked.\n")
    assert re.search(r"default +read,write +the web shop .* never +never +valid", keys.listed(good))
    assert re.search(r"shop .* revoked", keys.listed(over))


def test_a_rotated_key_is_valid_during_its_grace_period(keys: Commands) -> None:
    old = keys.new_id()

    new = keys("rotate", old, "--grace", "1d")

    assert new.stdout.startswith("sk-")
    assert " valid" in keys.listed(old)
    assert not re.search(r"never +never +valid", keys.listed(old))


@pytest.mark.parametrize("command", ["revoke", "rotate"])
@pytest.mark.parametrize(
    ("key_id", "shown"), [("key_unknown", "key_unknown"), (os.fsdecode(b"key_\xff"), "key_\\udcff"), ("", "")]
)
def test_an_unknown_key_is_neither_revoked_nor_rotated(keys: Commands, command: str, key_id: str, shown: str) -> None:
    ended = keys(command, key_id)

    assert (ended.exit_code, ended.stderr) == (1, f"Error: No key found with id '{shown}'.\n")


def test_whether_a_key_was_ever_made_is_known(keys: Commands, sqlite_url: str) -> None:
    before = any_key_made(sqlite_url)
    keys("revoke", keys.new_id())

    assert (before, any_key_made(sqlite_url)) == (False, True)
