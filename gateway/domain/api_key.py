"""API keys: the stored form, secrets and their hashes, and the options of a new key.

Must not be here: look-ups, output.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from gateway.domain import validate
from gateway.domain.ids import random_text
from gateway.domain.principal import KEY_SCOPES, Principal, Reach, Scope
from gateway.errors import excerpt

PREFIX: Final = "sk-"  # the format that SDKs and secret scanners expect
_SECRET_LENGTH: Final = 43  # 256 bits cannot be guessed, so a plain hash is safe
_ID_LENGTH: Final = 16
_HINT_LENGTH: Final = 4

_PROJECT: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_NAME_LENGTH: Final = 100
_DURATION: Final = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key, without its secret, which is not stored.

    `hint` is the end of the secret; `origin_id` is the first in a chain of rotated keys, if this is not the first.
    Units: times are Unix seconds, UTC.
    """

    id: str
    project_id: str
    name: str
    scopes: frozenset[Scope]
    hint: str
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None
    last_used_at: int | None = None
    origin_id: str | None = None

    def is_active(self, now: float) -> bool:
        """Check whether the key is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def principal(self) -> Principal:
        """Return the principal of this key."""
        identity = f"key:{self.origin_id or self.id}"
        return Principal(Reach(self.project_id), self.scopes, self.id, self.id, self.expires_at, identity=identity)


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """The options of a new key."""

    project_id: str
    name: str
    scopes: frozenset[Scope]
    expires_in_s: int | None


def new_id() -> str:
    """Create a random key ID."""
    return "key_" + random_text(_ID_LENGTH)


def new_secret() -> str:
    """Create a random secret."""
    return PREFIX + random_text(_SECRET_LENGTH)


def digest_of(secret: str) -> str:
    """Return the SHA-256 of a secret, which is what is stored."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def hint_of(secret: str) -> str:
    """Return the last characters of a secret, to recognise a key."""
    return secret[-_HINT_LENGTH:]


def new_key(project: str, name: str, scopes: str, expires: str | None) -> NewApiKey:
    """Parse the options of a new key.

    Errors: InvalidRequest.
    """
    return NewApiKey(
        project_id=project_id(project),
        name=_name(name),
        scopes=scopes_of(scopes.split(",")),
        expires_in_s=None if expires is None else duration(expires, "expires"),
    )


def _name(text: str) -> str:
    if validate.is_plain(text):
        return validate.a_string(text, "name", at_most=_NAME_LENGTH)
    message = "Invalid 'name'. Expected no control characters, and none that change the direction of text."
    validate.refuse(message, "name", "invalid_value")


def project_id(text: str) -> str:
    """Parse the name of a project.

    Errors: InvalidRequest.
    """
    if _PROJECT.fullmatch(text):
        return text
    message = (
        f"Invalid 'project': '{excerpt(text)}'. Expected 1 to 63 characters of a-z, 0-9, '_' and '-', "
        "starting with a letter or digit."
    )
    validate.refuse(message, "project", "invalid_value")


def scopes_of(words: list[str]) -> frozenset[Scope]:
    """Parse the scopes of a key.

    Errors: InvalidRequest.
    """
    supported = tuple(sorted(KEY_SCOPES))
    return frozenset(Scope(validate.one_of(word.strip(), "scopes", supported)) for word in words)


def duration(text: str, path: str) -> int:
    """Parse a duration, in seconds.

    Errors: InvalidRequest.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        message = (
            f"Invalid '{path}': '{excerpt(text)}'. Expected a whole number followed by s, m, h or d, such as '90d'."
        )
        validate.refuse(message, path, "invalid_value")
    return int(found[1]) * _SECONDS[found[2]]
