"""Nobody reaches another client's threads by what is hidden in a body, directly or through nginx; the short form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.nginx import CONF
from tests.smuggling import attack, target, with_old_map

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def none_of(_conf: str) -> None:
    return None


@pytest.mark.parametrize(
    "front",
    [
        pytest.param(none_of, id="direct"),
        pytest.param(str, id="behind the shipped file"),
        pytest.param(with_old_map, id="behind nginx with the map as it was"),
    ],
)
def test_a_request_smuggled_in_a_body_is_never_executed(tmp_path: Path, front: Callable[[str], str | None]) -> None:
    with target(tmp_path, conf=front(CONF.read_text())) as at:
        figures = attack(at, 18, gap_s=0.05)

    assert (figures.deleted, figures.misplaced, figures.unanswered) == (0, 0, 0), str(figures)
