"""What has changed in the schema since the last release, and which breaking changes CHANGELOG.md announces.

The schema of the last release is committed beside this file, with the version in its name; a release renews it. A
change that breaks clients is announced in CHANGELOG.md, above the section of that version: after the word `Breaking:`,
in backquotes, the path of what was changed, as in "Breaking: `Message.text` is gone".
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.clients.node import CLIENTS, run

if TYPE_CHECKING:
    from pathlib import Path

_NAME: Final = re.compile(r"schema-(\d+\.\d+\.\d+)\.graphql")


class Release(NamedTuple):
    """A release: its version, and the file with its schema."""

    version: str
    schema: Path


def last(folder: Path = CLIENTS) -> Release:
    """Find the one schema that is committed."""
    [found] = [Release(match[1], file) for file in folder.iterdir() if (match := _NAME.fullmatch(file.name))]
    return found


def unannounced(release: Release, schema: Path, changelog: str) -> dict[str, str]:
    """Find what breaks clients of a release and is not announced: the path of each change, and what it is."""
    breaking: dict[str, str] = json.loads(run(CLIENTS / "breaking.mjs", release.schema, schema))
    newer, heading, _ = changelog.partition(f"\n## [{release.version}]")
    assert heading, f"CHANGELOG.md has no section for {release.version}"
    announced = {
        path for entry in _entries(newer) for path in re.findall(r"`([^`]+)`", entry.partition("Breaking:")[2])
    }
    return {path: message for path, message in breaking.items() if path not in announced}


def _entries(changelog: str) -> list[str]:
    """Split into entries, joining the lines of each."""
    parts = re.split(r"^(?:\* |#.*$)", changelog, flags=re.MULTILINE)
    return [" ".join(entry.split()) for entry in parts]
