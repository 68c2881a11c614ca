"""Metadata: up to sixteen pairs of strings on a thread or message, and how a patch is merged into it.

Must not be here: parsing of requests (`parse`).
"""

from __future__ import annotations

import orjson

from gateway.domain import bounds
from gateway.errors import InvalidRequest

Metadata = dict[str, str]
MetadataPatch = dict[str, str | None]


def load_metadata(text: str) -> Metadata:
    """Parse stored metadata."""
    loaded: Metadata = orjson.loads(text)
    return loaded


def merge(current: Metadata, patch: MetadataPatch) -> Metadata:
    """Merge a patch into metadata: a null removes its key, and keys that are not in the patch stay.

    Errors: InvalidRequest if the result has too many pairs.
    """
    merged = {key: value for key, value in {**current, **patch}.items() if value is not None}
    refuse_too_many(len(merged))
    return merged


def refuse_too_many(pairs: int, path: str = "metadata") -> None:
    """Reject more pairs than the limit; `path` is the field in the error."""
    most = bounds.METADATA_PAIRS.number
    if pairs <= most:
        return
    message = (
        f"Invalid '{path}': too many properties. Expected an object with at most {most} properties, "
        f"but got an object with {pairs} properties instead."
    )
    raise InvalidRequest(message, param=path, code=bounds.METADATA_PAIRS.code)
