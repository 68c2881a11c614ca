"""Trusted documents: loaded by the operator from a folder or a manifest, and found by ID.

Source: Relay's `persistConfig` (a JSON object of text by id); Apollo's `apollo-persisted-query-manifest`, version 1.
Must not be here: what a request asks for (`persisted`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gateway.errors import InvalidSetting

if TYPE_CHECKING:
    from collections.abc import Mapping

APOLLO: Final = "apollo-persisted-query-manifest"


class TrustMode(Enum):
    """How an untrusted document is handled."""

    OFF = "off"  # it is executed
    LOG = "log"  # it is executed, and logged once
    ONLY = "only"  # it is refused


@dataclass(frozen=True, slots=True)
class TrustedDocuments:
    """The texts by ID, and by `sha256:` and their hash."""

    mode: TrustMode = TrustMode.OFF
    by_id: Mapping[str, str] = field(default_factory=dict)

    def holds(self, text: str) -> bool:
        """Report whether a text is trusted."""
        return f"sha256:{sha256(text)}" in self.by_id


def sha256(text: str) -> str:
    """Hash a document as clients do."""
    return hashlib.sha256(text.encode()).hexdigest()


def load_trusted(path: str, mode: str) -> TrustedDocuments:
    """Load the documents; an empty path means none.

    Errors: InvalidSetting.
    """
    chosen = TrustMode(mode)
    if not path:
        if chosen is not TrustMode.OFF:
            raise _wrong(f"expected a folder or a manifest, since GATEWAY_TRUSTED_MODE is {mode}")
        return TrustedDocuments()
    try:
        found = _from_folder(Path(path)) if Path(path).is_dir() else _from_manifest(Path(path))
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(f"{path} cannot be read: {error}") from error
    if not found:
        raise _wrong(f"no documents were found in {path}")
    by_hash = {f"sha256:{sha256(text)}": text for text in found.values()}
    return TrustedDocuments(chosen, {**by_hash, **found})


def _from_folder(folder: Path) -> dict[str, str]:
    """Read all `.graphql` and `.gql` files; the id of each is its SHA-256, and the name of its file."""
    files = sorted(file for file in folder.rglob("*") if file.suffix in (".graphql", ".gql"))
    found: dict[str, str] = {}
    for file in files:
        text = file.read_text(encoding="utf-8")
        if found.setdefault(file.stem, text) != text:
            raise _wrong(f"two files in {folder} are named {file.stem}")
    return {sha256(text): text for text in found.values()} | found


def _from_manifest(file: Path) -> dict[str, str]:
    try:
        raw: Any = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _wrong(f"{file} is no JSON: {error}") from error
    if isinstance(raw, dict) and raw.get("format") == APOLLO:
        raw = _from_apollo(raw, file)
    if isinstance(raw, dict) and all(isinstance(text, str) for text in raw.values()):
        return raw
    raise _wrong(f"{file} is neither a JSON object of texts by id (Relay) nor of the format {APOLLO}")


def _from_apollo(raw: dict[str, Any], file: Path) -> dict[str, Any]:
    if raw.get("version") != 1:
        raise _wrong(f"{file} has the version {raw.get('version')!r}, expected 1")
    try:
        return {operation["id"]: operation["body"] for operation in raw["operations"]}
    except (KeyError, TypeError) as error:
        raise _wrong(f"{file}: each of its operations needs an id and a body") from error


def _wrong(message: str) -> InvalidSetting:
    return InvalidSetting(f"GATEWAY_TRUSTED_DOCUMENTS: {message}.")
