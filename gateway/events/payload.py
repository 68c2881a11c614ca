"""Hints as text, several in one payload.

Must not be here: how a payload is carried (`postgres`, `redis`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from gateway.domain.change import Hint

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_BYTES: Final = 7_999  # of a payload: PostgreSQL's own limit


def dump(hints: Iterable[Hint]) -> list[str]:
    """Write hints as JSON arrays within the size limit of a payload; no hints give an empty array."""
    payloads: list[list[bytes]] = []
    size = MAX_BYTES
    for hint in hints:
        text = orjson.dumps(tuple(hint) if hint.only_text else hint[:4])
        if size + len(text) + 1 > MAX_BYTES - 1:
            payloads.append([])
            size = 0
        payloads[-1].append(text)
        size += len(text) + 1
    return [f"[{b','.join(each).decode()}]" for each in payloads or [[]]]


def load(payload: str | bytes) -> list[Hint]:
    """Read hints; a payload that is not ours has none."""
    try:
        return [_hint(*each) for each in orjson.loads(payload)]
    except (TypeError, ValueError):
        return []


def _hint(project_id: object, thread_id: object, owner: object, position: object, *later: object) -> Hint:
    named, told = isinstance(project_id, str) and isinstance(thread_id, str), isinstance(position, int | None)
    if not (named and told and isinstance(owner, str | None)):
        raise TypeError
    fields: list[Any] = [project_id, thread_id, owner, position, later[:1] == (True,)]
    return Hint(*fields)
