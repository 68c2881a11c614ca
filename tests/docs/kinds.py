"""The table of all kinds of blocks, each with what executes it or compares it; no block may be of none.

Must not be here: how a shell or a server is kept for them (`session`).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from unittest.mock import patch

from gateway.settings.load import load_settings
from gateway.settings.models import load_models
from gateway.settings.table import Settings
from tests.clients.page import PAGES as FRONTEND_PAGES
from tests.docs.alike import is_alike, last_json, pattern_of
from tests.docs.blocks import blocks_of
from tests.live.server import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.docs.blocks import Block
    from tests.docs.session import Session

_SHIPPED: Final = {"nginx": "nginx.conf", "yaml": "compose.yaml", "ini": "gateway.service"}
_SERVES: Final = re.compile(r"gateway serve\b[^\n]*\n?\Z")
_CONTAINER: Final = re.compile(r"docker run --publish [^\n]*\n?\Z")


@dataclass(frozen=True, slots=True)
class Kind:
    """Which blocks are of it, and what is done with one; `executed` says where other tests do it."""

    name: str
    is_of: Callable[[Block], bool]
    execute: Callable[[Session, Block], None] | None = None
    executed: str = ""


def _shell(session: Session, block: Block) -> None:
    """Run commands, of which `curl` fails on errors, unless the page shows what it prints."""
    following = next((each for each in blocks_of(block.page) if each.line > block.line), None)
    session.shell(block.text, is_shown=following is not None and following.language in ("json", "text"))


def _serve(session: Session, block: Block) -> None:
    session.serve(block.text)


def _container(session: Session, block: Block) -> None:
    session.container(block.text)


def _python(session: Session, block: Block) -> None:
    session.python(block.text)


def _node(session: Session, block: Block) -> None:
    session.program(block.text, file="block.mjs", command="$NODE")


def _graphql(session: Session, block: Block) -> None:
    session.graphql(block.text)


def _is_json_printed(session: Session, block: Block) -> None:
    printed = last_json(session.printed)
    assert is_alike(json.loads(block.text), printed), f"{block}: printed was\n{json.dumps(printed, indent=2)}"


def _is_printed(session: Session, block: Block) -> None:
    shown, printed = ("\n".join(map(str.strip, text.strip().splitlines())) for text in (block.text, session.printed))
    assert pattern_of(shown).fullmatch(printed), f"{block}: printed was\n{session.printed}"


def _is_shipped(_session: Session, block: Block) -> None:
    """Find the lines in the shipped file, in their order; others may stand between them."""
    shipped = iter((ROOT / "deploy" / _SHIPPED[block.language]).read_text().splitlines())
    stripped = (line.strip() for line in shipped)
    for line in filter(None, map(str.strip, block.text.splitlines())):
        assert line in stripped, f"{block}: the shipped file does not have there: {line}"


def _is_taken(_session: Session, block: Block) -> None:
    """Read a file `.env` as the server does."""
    ours = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("GATEWAY_")}
    try:
        with tempfile.TemporaryDirectory() as folder, chdir(folder):
            with open(".env", "w", encoding="utf-8") as file:  # noqa: PTH123  (the folder is the current one)
                file.write(block.text)
            load_settings()
    finally:
        os.environ.update(ours)


def _are_models(_session: Session, block: Block) -> None:
    """Read a file of models as the server does, with the keys that it names."""
    keys = dict.fromkeys(re.findall(r'key_variable = "(\w+)"', block.text), "sk-1")
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, keys):
        file = Path(folder) / "models.toml"
        file.write_text(block.text, encoding="utf-8")
        assert load_models(Settings(models=str(file), model="large"))


def _is_ci(_session: Session, block: Block) -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    steps = [line for line in lines if line.startswith(("python", ".venv/"))]
    assert " && ".join(steps) == block.text.strip()
    assert lines[-1] == steps[-1]


def _has_options(_session: Session, block: Block) -> None:
    """Look the options of a program up in its help: to run it takes too long, or changes the clone."""
    for line in block.text.strip().splitlines():
        words = line.partition("#")[0].split()
        options = [word for word in words[2:] if word.startswith("--")]
        module = [word for word in words[1:] if not word.startswith("--")]
        target = module[:2] if module[0] == "-m" else module[:1]
        command = [sys.executable, *target, "--help"]
        told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
        assert [each for each in options if each not in told] == [], block


def _is_sh(word: str) -> Callable[[Block], bool]:
    pattern = re.compile(word)
    return lambda block: block.language == "sh" and pattern.search(block.text) is not None


def _is_in(*languages: str) -> Callable[[Block], bool]:
    return lambda block: block.language in languages


# The first that a block is of is its kind.
KINDS: Final = (
    Kind(
        "file of a frontend",
        lambda block: block.page in FRONTEND_PAGES and bool(block.file_name),
        executed="tests/live/test_frontends.py",
    ),
    Kind("the command that CI runs", _is_sh(r"-m tests$"), _is_ci),
    Kind("options of a program", _is_sh(r"python (-m tests|-m bench)"), _has_options),
    Kind("serve", lambda block: block.language == "sh" and _SERVES.search(block.text) is not None, _serve),
    Kind("container", lambda block: block.language == "sh" and _CONTAINER.search(block.text) is not None, _container),
    Kind("shell", _is_in("sh"), _shell),
    Kind("python", _is_in("python"), _python),
    Kind("node", _is_in("js"), _node),
    Kind("graphql", _is_in("graphql"), _graphql),
    Kind("settings", _is_in("dotenv"), _is_taken),
    Kind("models", _is_in("toml"), _are_models),
    Kind("shipped file", _is_in(*_SHIPPED), _is_shipped),
    Kind("printed JSON", _is_in("json"), _is_json_printed),
    Kind("printed text", _is_in("text"), _is_printed),
)


def kind_of(block: Block) -> Kind | None:
    """Find the kind of a block."""
    return next((kind for kind in KINDS if kind.is_of(block)), None)
