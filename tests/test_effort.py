"""The fast form of a run draws the same examples each time."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.effort import times

if TYPE_CHECKING:
    from pathlib import Path


def drawn() -> list[str]:
    texts = []

    @settings(max_examples=200)
    @given(text=st.text())
    def draw(text: str) -> None:
        texts.append(text)

    draw()
    return texts


@pytest.mark.skipif(bool(times(fast=0, slow=1)), reason="the slow form draws others each time")
def test_examples_are_the_same_whichever_modules_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = drawn()
    (tmp_path / "loaded_later.py").write_text(f"WORDS = {[f'word{n}' for n in range(1_000)]}")
    monkeypatch.syspath_prepend(tmp_path)
    import_module("loaded_later")

    assert drawn() == before
