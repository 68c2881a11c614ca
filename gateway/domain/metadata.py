"""Metadata: up to sixteen pairs of text on a thread or message, changed key by key."""

from __future__ import annotations

import orjson

from gateway.domain import bounds
from gateway.errors import InvalidRequest

Metadata = dict[str, str]
MetadataPatch = dict[str, str | None]


def load_metadata(text: str) -> Metadata:
    """Read metadata from its stored JSON."""
    loaded: Metadata = orjson.loads(text)
    return loaded


def merge(current: Metadata, patch: MetadataPatch) -> Metadata:
    """Lay a patch over metadata: sent keys are set, a null takes its key away, all others stay.

    Errors: InvalidRequest where the result has too many pairs; the limit counts after the merge.
    """
    merged = {key: value for key, value in {**current, **patch}.items() if value is not None}
    refuse_too_many(len(merged))
    return merged


def refuse_too_many(pairs: int, path: str = "metadata") -> None:
    """Refuse more pairs than an object may carry; `path` names the field."""
    most = bounds.METADATA_PAIRS.number
    if pairs <= most:
        return
    message = (
        f"Invalid '{path}': too many properties. Expected an object with at most {most} properties, "
        f"but got an object with {pairs} properties instead."
    )
    raise InvalidRequest(message, param=path, code=bounds.METADATA_PAIRS.code)
