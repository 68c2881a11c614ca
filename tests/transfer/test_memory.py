from __future__ import annotations

import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.effort import times
from tests.exports import ROOT, a_message, a_text, a_thread, environment, lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


MILLIONS = times(fast=1, slow=4)

# A program in between, since a process begins with the peak of the one that starts it, and pytest's is high.
_MEASURED = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""


def peak_mb(*arguments: str, code: int = 0) -> float:
    """Run the command line, which must end with a code, and give the most memory that it held at one time."""
    command = [sys.executable, "-c", _MEASURED, sys.executable, "-m", "gateway", *arguments]
    done = subprocess.run(command, capture_output=True, check=False, env=environment(), cwd=ROOT)
    assert done.returncode == code, done.stderr
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
def test_a_long_import_needs_little_more_memory_than_a_short_one(sqlite_url: str, tmp_path: Path) -> None:
    count = times(fast=30_000, slow=100_000)
    few = written(tmp_path / "few.jsonl", in_one_thread=600, in_others=400)
    many = written(tmp_path / "many.jsonl", in_one_thread=count * 6 // 10, in_others=count * 4 // 10)

    with_few = peak_mb("import", few, "--database-url", f"sqlite:///{tmp_path / 'few.db'}")
    with_many = peak_mb("import", many, "--database-url", sqlite_url)

    assert with_many - with_few < 40


# How a `.json` file begins and ends around its messages, which is one value from its first byte to its last.
AROUND = {
    "an array": (b"[", b"]"),
    "a page": (b'{\n"object": "list",\n"data": [\n', b'],\n"has_more": false\n}'),
    "an export": (
        b'{\n"export_schema": "assistants-thread-export/v1",\n"messages": [\n',
        b'],\n"thread": ' + lines([a_thread("thread_0")]) + b"}",
    ),
}


def one_value(file: Path, megabytes: int, form: str) -> str:
    """Write messages of so much into one JSON value."""
    text = a_text("Somebody asks, and somebody answers. " * 80)
    begin, end = AROUND[form]

    def messages() -> Iterator[bytes]:
        size, n = 0, 0
        while size < megabytes * 1_000_000:
            comma = b",\n" if n else b""
            each = comma + lines([a_message(f"msg_{n}", f"thread_{n % 50}", created_at=n, content=[text])])
            size, n = size + len(each), n + 1
            yield each

    with file.open("wb") as out:
        out.write(begin)
        out.writelines(messages())
        out.write(end)
    return str(file)


@pytest.mark.timeout(1_200)
@pytest.mark.uncounted
@pytest.mark.parametrize(
    ("form", "less", "more"),
    [
        pytest.param("an array", 6, 24, id="an array"),
        *(pytest.param(form, 24, 120, id=f"{form} of 120 MB", marks=pytest.mark.slow) for form in AROUND),
    ],
)
def test_one_value_that_is_four_times_as_long_needs_little_more_memory(
    tmp_path: Path, form: str, less: int, more: int
) -> None:
    short, long = one_value(tmp_path / "short.json", less, form), one_value(tmp_path / "long.json", more, form)

    with_short = peak_mb("import", short, "--database-url", f"sqlite:///{tmp_path / 'short.db'}")
    with_long = peak_mb("import", long, "--database-url", f"sqlite:///{tmp_path / 'long.db'}")

    assert with_long - with_short < 30  # read as a whole, it would be thirty times what the file is longer


@pytest.mark.timeout(600)
@pytest.mark.uncounted
@pytest.mark.parametrize(("name", "most"), [("lines.jsonl", 25 * MILLIONS), ("value.json", 20)])
def test_a_message_of_millions_of_empty_lists_is_refused_before_parsing(
    sqlite_url: str, tmp_path: Path, name: str, most: int
) -> None:
    head = b'{"object":"thread.message","id":"msg_1","thread_id":"thread_a","content":['
    few, many = tmp_path / f"few_{name}", tmp_path / f"many_{name}"
    few.write_bytes(head + b"[]," * 1_000 + b"1]}\n")
    many.write_bytes(head + b"[]," * 1_000_000 * MILLIONS + b"1]}\n")

    with_few, with_many = (peak_mb("import", str(file), "--database-url", sqlite_url, code=1) for file in (few, many))

    assert with_many - with_few < most  # each million is a line of 3 MB, a few times; its lists would be 64 MB more
