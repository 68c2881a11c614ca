from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import metadata
from gateway.errors import InvalidRequest

KEYS = st.sampled_from([f"k{n}" for n in range(20)])
CURRENT = st.dictionaries(KEYS, st.text(max_size=3), max_size=16)
PATCHES = st.dictionaries(KEYS, st.none() | st.text(max_size=3))


@given(current=CURRENT, patch=PATCHES)
def test_a_merge_has_the_keys_of_the_patch_and_the_remaining_ones(
    current: dict[str, str], patch: dict[str, str | None]
) -> None:
    wanted = {key: patch.get(key, current.get(key)) for key in current.keys() | patch.keys()}
    kept = {key: value for key, value in wanted.items() if value is not None}

    if len(kept) > 16:
        with pytest.raises(InvalidRequest, match=f"but got an object with {len(kept)} properties"):
            metadata.merge(current, patch)
    else:
        assert metadata.merge(current, patch) == kept


@given(current=CURRENT, patch=PATCHES)
def test_a_merge_does_not_modify_its_arguments(current: dict[str, str], patch: dict[str, str | None]) -> None:
    before = (dict(current), dict(patch))

    with suppress(InvalidRequest):
        metadata.merge(current, patch)

    assert (current, patch) == before


@given(current=CURRENT, patch=st.dictionaries(KEYS, st.none() | st.text(max_size=3), max_size=4))
def test_a_repeated_merge_changes_nothing(current: dict[str, str], patch: dict[str, str | None]) -> None:
    try:
        once = metadata.merge(current, patch)
    except InvalidRequest:
        return

    assert metadata.merge(once, patch) == once


def test_keys_keep_their_places_in_a_merge() -> None:
    merged = metadata.merge({"b": "1", "a": "2"}, {"c": "3", "b": "4"})

    assert list(merged.items()) == [("b", "4"), ("a", "2"), ("c", "3")]
