from __future__ import annotations

import pytest

from bench import lists


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def test_every_list_is_measured(request: pytest.FixtureRequest, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    url: str = request.getfixturevalue(f"new_{kind}_url")()

    lists.main([url, "--threads", "5000", "--rounds", "1", "--times", "2"])  # an answer of another length would end it

    shown = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [len(cells) for cells in shown] == [6] * (2 + 9) + [3] * (2 + 13)
