from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parents[1] / "bench" / "run.py"
CASES = [
    "GraphQL page of 20",
    "GraphQL page of 100",
    "GraphQL page of 20 after a cursor in the middle",
    "REST page of 20",
    "GraphQL create",
    "REST create",
]


def test_every_case_is_answered_well(tmp_path: Path) -> None:
    database, figures = tmp_path / "bench.db", tmp_path / "figures.json"
    sizes = ["--messages", "300", "--long", "100", "--seconds", "0.2", "--connections", "2"]
    command = [sys.executable, str(PROGRAM), f"sqlite:///{database}", *sizes, "--json", str(figures)]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr  # one wrong answer would end it
    rows = [line.split(" | ")[0].removeprefix("| ") for line in done.stdout.splitlines() if line.startswith("| ")]
    assert rows[2:] == CASES
    cases = json.loads(figures.read_text())["cases"]
    assert all(each["requests"] >= 2 for each in cases)
