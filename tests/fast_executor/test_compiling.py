from __future__ import annotations

from typing import Any

import pytest

from gateway.fast_executor.compiling import Generated, Later

_TEXT = "def read(source, meter):\n return source + more"


@pytest.mark.parametrize(("length", "is_shared"), [(2_000, True), (2_001, False)])
def test_equal_short_texts_share_their_code(length: int, *, is_shared: bool) -> None:
    text = f"{_TEXT}#{'x' * (length - len(_TEXT) - 1)}"

    one: Any = Generated(text, {"more": 1}).read
    other: Any = Generated(text, {"more": 2}).read

    assert (one(1, None), other(1, None)) == (2, 3)
    assert (one.__code__ is other.__code__) is is_shared


def test_later_reader_is_generated_once_and_when_it_is_called() -> None:
    generated = []

    def generate() -> Any:
        generated.append(1)
        return lambda source, _meter: source

    read = Later(generate)
    assert not generated

    assert [read(n, None) for n in (1, 2)] == [1, 2]
    assert len(generated) == 1
