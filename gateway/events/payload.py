"""Hints as text: how processes write them to each other, several in one payload.

Must not be here: how a payload is carried (`postgres`, `redis`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from gateway.domain.change import Hint

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_BYTES: Final = 7_999  # of a payload: PostgreSQL's own limit


def dump(hints: Iterable[Hint]) -> list[str]:
    """Write hints as arrays of JSON, none of them larger than a payload may be; no hints are an empty array."""
    payloads, size = [["[]"]], MAX_BYTES
    for hint in hints:
        text = json.dumps(hint, ensure_ascii=False, separators=(",", ":"))
        own = len(text.encode()) + 1
        if size + own > MAX_BYTES - 1:
            payloads.append([])
            size = 0
        payloads[-1].append(text)
        size += own
    return [f"[{','.join(each)}]" for each in payloads[1:]] or ["[]"]


def load(payload: str | bytes) -> list[Hint]:
    """Read hints; a payload that is not ours has none."""
    try:
        return [_hint(*each) for each in json.loads(payload)]
    except (TypeError, ValueError):
        return []


def _hint(project_id: object, thread_id: object, owner: object, position: object, *_later: object) -> Hint:
    named, told = isinstance(project_id, str) and isinstance(thread_id, str), isinstance(position, int | None)
    if not (named and told and isinstance(owner, str | None)):
        raise TypeError
    fields: list[Any] = [project_id, thread_id, owner, position]
    return Hint(*fields)
