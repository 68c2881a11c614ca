"""A block that does not do what its page says fails the test of the page."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from gateway.errors import InvalidSetting
from tests.docs.blocks import Block
from tests.docs.kinds import KINDS, kind_of
from tests.docs.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def session(tmp_path: Path, new_postgres_url: Callable[[], str]) -> Iterator[Session]:
    with Session(tmp_path, new_postgres_url) as made:
        yield made


def execute(session: Session, language: str, text: str) -> None:
    block = Block("README.md", 1, language, text, "")
    kind = kind_of(block)
    assert kind
    assert kind.execute
    kind.execute(session, block)


def test_kinds_have_different_names() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        pytest.param("python", "raise SystemExit(1)", id="a program that fails"),
        pytest.param("json", '{"ready": true}', id="JSON that was not printed"),
        pytest.param("text", "ready", id="text that was not printed"),
        pytest.param("nginx", "gzip on;", id="a line that the shipped file does not have"),
        pytest.param("ini", "RestartSec=2\nRestart=on-failure\n", id="lines in another order"),
        pytest.param("sh", ".venv/bin/python -m tests", id="another command than that of CI"),
    ],
)
def test_a_block_that_is_wrong_fails(session: Session, language: str, text: str) -> None:
    session.printed = "{}"

    with pytest.raises((AssertionError, subprocess.CalledProcessError)):
        execute(session, language, text)


def test_a_dotenv_block_with_an_invalid_setting_fails(session: Session) -> None:
    with pytest.raises(InvalidSetting, match="GATEWAY_PORT"):
        execute(session, "dotenv", "GATEWAY_PORT=http\n")


def test_variables_of_a_shell_block_are_kept_for_the_next_one(session: Session) -> None:
    session.shell("cd deploy\nNAME='two words'")
    session.shell('echo "$NAME"\nls deploy/compose.yaml')

    assert session.printed == "two words\ndeploy/compose.yaml\n"


def test_the_first_command_that_fails_ends_a_shell_block(session: Session) -> None:
    with pytest.raises(AssertionError):
        session.shell("false\ntrue")
