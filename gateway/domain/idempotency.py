"""The idempotency key of a creation: who used it, for what, and how two uses are compared.

Must not be here: where it is stored (`store`), the header and the field that carry it (the faces).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from enum import Enum
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from gateway.domain import bounds, validate

if TYPE_CHECKING:
    from gateway.domain.ids import ThreadId
    from gateway.domain.principal import Principal

# Source: RFC 8941, 3.3.3, "Strings"; the draft of the header says that its value is one.
_QUOTED: Final = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_ESCAPED: Final = re.compile(r'\\(["\\])')
_SORTED: Final = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS
_DIGEST: Final = 16  # bytes
_PRINTABLE: Final = re.compile(f"[ -~]{{1,{bounds.IDEMPOTENCY_KEY.number}}}")


class Kind(Enum):
    """What is created under a key; the same key can be used once for each kind."""

    THREAD = "thread"
    MESSAGE = "message"
    FORK = "fork"
    RUN = "run"
    ASSISTANT = "assistant"

    __hash__ = object.__hash__  # members are singletons; Enum's own hash runs in Python


class IdempotencyKey(NamedTuple):
    """A key as it is stored with what was created under it.

    `scope` is the kind of creation and its principal; within a project, a key is unique in its scope. `fingerprint`
    stands for the parsed input.
    """

    kind: Kind
    scope: str
    value: str
    fingerprint: str


@dataclass(slots=True)
class Attempt:
    """One attempt to create an object under a key; `is_replay` says afterwards that an earlier one had created it."""

    key: str
    is_replay: bool = False

    def identify(self, who: Principal, kind: Kind, target: str | None, new: Any) -> IdempotencyKey:
        """Return the key as it is stored; `target` is the object that the creation is a part of."""
        word = kind._value_  # `value` is a function of Python's
        canonical = orjson.dumps([word, target, new], _given, _SORTED)
        # A client that finds a collision deceives only itself, and this takes a third of the time of SHA-256.
        fingerprint = blake2b(canonical, digest_size=_DIGEST).hexdigest()
        return IdempotencyKey(kind, f"{word} {who.identity}", self.key, fingerprint)


def is_scope_of(scope: str, owner: str) -> bool:
    """Say whether a scope is that of an end user, or of a thread token that it has created."""
    identity = scope.partition(" ")[2]
    thread_id = identity.removeprefix(f"token:user:{owner}/")
    return identity == f"user:{owner}" or (thread_id != identity and "/" not in thread_id)


class KeyRecord(NamedTuple):
    """A key as it is stored with what was created under it: a thread, or a message or a run of the thread."""

    thread_id: ThreadId
    object_id: str
    scope: str
    value: str
    fingerprint: str

    @property
    def kind(self) -> Kind:
        """The kind of the object, which decides where the key is stored."""
        if self.object_id == self.thread_id:
            return Kind.THREAD
        return Kind.RUN if self.object_id.startswith("run_") else Kind.MESSAGE


class KeyTaken(Exception):
    """Something was created under the key before: it is read instead (`core.idempotency`)."""


def parse_key(text: str, path: str) -> str:
    """Parse a key: printable ASCII, without the quotation marks of an RFC 8941 string.

    Errors: InvalidRequest.
    """
    quoted = _QUOTED.fullmatch(text) if text[:1] == '"' else None
    key = text if quoted is None else _ESCAPED.sub(r"\1", quoted[1])
    if _PRINTABLE.fullmatch(key):
        return key
    validate.refuse(
        f"Invalid '{path}'. Expected 1 to {bounds.IDEMPOTENCY_KEY.number} printable ASCII characters.",
        path,
        bounds.IDEMPOTENCY_KEY.code,
    )


def _given(new: Any) -> dict[str, Any]:
    """Omit empty fields of an input, so that a field which a later version adds changes no fingerprint."""
    return {name: each for name in _fields_of(new.__class__) if (each := getattr(new, name))}


@lru_cache(64)
def _fields_of(kind: type) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))
