"""An erasure that is killed again and again is completed by the next one, on both databases."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from gateway.store.engines.open import open_engines
from gateway.store.schema.tables import metadata
from tests.exports import ROOT, a_message, a_thread, environment, lines, run

if TYPE_CHECKING:
    from collections.abc import Sequence

THREADS, MESSAGES = 2, 3


def of(owner: str) -> list[dict[str, Any]]:
    return [
        each
        for thread in range(THREADS)
        for each in (
            a_thread(f"thread_{owner}{thread}", owner=owner, metadata={"whose": owner}),
            *(a_message(f"msg_{owner}{thread}{n}", f"thread_{owner}{thread}") for n in range(MESSAGES)),
        )
    ]


async def stored(url: str) -> dict[str, Sequence[Any]]:
    engines = open_engines(url)
    async with engines.reader.connect() as connection:
        found: dict[str, Sequence[Any]] = {
            name: list(await connection.execute(select(each))) for name, each in metadata.tables.items()
        }
    await engines.dispose()
    return found


def test_an_erasure_that_is_killed_before_any_commit_is_completed(database_url: str) -> None:
    run("import", "--database-url", database_url, given=lines([*of("alice"), *of("bob")]))
    before = run("export", "--owner", "bob", "--database-url", database_url).stdout

    program = [sys.executable, "-m", "tests.faults.killed_erase", database_url, "alice"]
    ran = subprocess.run(program, cwd=ROOT, env=environment(), capture_output=True, text=True, check=True)

    assert int(ran.stdout.splitlines()[-1]) > THREADS
    left = asyncio.run(stored(database_url))
    assert "alice" not in json.dumps([list(map(str, rows)) for name, rows in left.items() if name != "deleted_threads"])
    assert {(row.id, row.owner) for row in left["deleted_threads"]} == {
        (f"thread_alice{n}", None) for n in range(THREADS)
    }
    assert [row.message_count for row in left["threads"]] == [MESSAGES] * THREADS
    assert run("export", "--owner", "bob", "--database-url", database_url).stdout == before
    assert run("export", "--database-url", database_url).stdout == before
