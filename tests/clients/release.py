"""What has changed in the schema since the last release, and which of that CHANGELOG.md announces.

A release is a tag such as `v0.1.0`. A change that breaks clients is announced in CHANGELOG.md, in an entry that the
release does not have: behind the word `Breaking:` stands the path of what was changed, in backquotes, as in
"Breaking: `Message.text` is gone".
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from typing import TYPE_CHECKING, Final

from tests.clients.node import CLIENTS, run

if TYPE_CHECKING:
    from pathlib import Path

_CHANGELOG: Final = "CHANGELOG.md"
_VERSION: Final = re.compile(r"v?\d+(\.\d+)*")


def last(repository: Path) -> str | None:
    """Name the tag of the last release, if there is one here."""
    listed = subprocess.run(
        ["git", "tag", "--list", "--sort=-version:refname"],  # noqa: S607
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,  # an unpacked archive is no repository
    )
    return next((tag for tag in listed.stdout.split() if _VERSION.fullmatch(tag)), None)


def unannounced(repository: Path, tag: str) -> dict[str, str]:
    """Find what breaks clients of a release and is not announced: the path of each change, and what it is."""
    with tempfile.NamedTemporaryFile("w", suffix=".graphql") as released:
        released.write(_at(repository, tag, "schema.graphql"))
        released.flush()
        breaking = json.loads(run(CLIENTS / "breaking.mjs", released.name, repository / "schema.graphql"))
    new = _entries((repository / _CHANGELOG).read_text()) - _entries(_at(repository, tag, _CHANGELOG))
    announced = {path for entry in new for path in re.findall(r"`([^`]+)`", entry.partition("Breaking:")[2])}
    return {path: message for path, message in breaking.items() if path not in announced}


def _at(repository: Path, tag: str, file: str) -> str:
    shown = subprocess.run(
        ["git", "show", f"{tag}:{file}"],  # noqa: S607
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )
    return shown.stdout


def _entries(changelog: str) -> set[str]:
    """Take the entries, whichever way their lines are broken."""
    parts = re.split(r"^(?:\* |#.*$)", changelog, flags=re.MULTILINE)
    return {" ".join(entry.split()) for entry in parts}
