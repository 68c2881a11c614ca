from __future__ import annotations

import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.exports import ROOT, a_message, a_text, environment, lines

if TYPE_CHECKING:
    from pathlib import Path


# A program in between, since a process begins with the peak of the one that starts it, and pytest's is high.
_MEASURED = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""


def peak_mb(*arguments: str) -> float:
    """Run the command line, and give the most memory that it held at one time."""
    command = [sys.executable, "-c", _MEASURED, sys.executable, "-m", "gateway", *arguments]
    done = subprocess.run(command, capture_output=True, check=True, env=environment(), cwd=ROOT)
    return int(done.stdout) / (1024 * 1024 if sys.platform == "darwin" else 1024)


def written(file: Path, in_one_thread: int, in_others: int) -> str:
    """Write so many messages in no order at all."""
    text = a_text("Somebody asks, and somebody answers. " * 10)
    all_of_them = [
        a_message(
            f"msg_{n:06}", "thread_long" if n < in_one_thread else f"thread_{n % 400}", created_at=n, content=[text]
        )
        for n in range(in_one_thread + in_others)
    ]
    random.Random(1).shuffle(all_of_them)  # noqa: S311  (no secret)
    file.write_bytes(lines(all_of_them))
    return str(file)


@pytest.mark.timeout(600)
@pytest.mark.uncounted
def test_a_hundred_thousand_messages_need_little_more_memory_than_a_thousand(sqlite_url: str, tmp_path: Path) -> None:
    few = written(tmp_path / "few.jsonl", in_one_thread=600, in_others=400)
    many = written(tmp_path / "many.jsonl", in_one_thread=60_000, in_others=40_000)

    with_few = peak_mb("import", few, "--database-url", f"sqlite:///{tmp_path / 'few.db'}")
    with_many = peak_mb("import", many, "--database-url", sqlite_url)

    assert with_many - with_few < 40
