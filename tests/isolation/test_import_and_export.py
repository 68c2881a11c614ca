"""Import and export see one project, also where another has the same ids."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from gateway.core import follow, messages, threads
from gateway.domain.principal import Principal, Reach
from tests.exports import a_message, a_thread, lines, run
from tests.following import say, take

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.events.hub import Hub

THREAD, MESSAGE = a_thread(metadata={"of": "shop"}), a_message(metadata={"of": "shop"})
TAKEN = "Threads: 1, messages: 1, already present: 0, rejected: 0.\n"
SAME_IDS = [a_thread(metadata={"of": "rival"}), a_message(metadata={"of": "rival"})]
SHOP, RIVAL = Principal(Reach("shop")), Principal(Reach("rival"))


def import_into(database_url: str, project: str, *objects: object) -> tuple[int, str]:
    done = run("import", "--project", project, "--database-url", database_url, given=lines(objects))
    return done.exit_code, done.stderr.splitlines(keepends=True)[-1]


def exported(database_url: str, project: str, *flags: str) -> list[dict[str, Any]]:
    done = run("export", *flags, "--project", project, "--database-url", database_url)
    return [orjson.loads(line) for line in done.stdout_bytes.splitlines()]


def test_an_import_does_not_depend_on_ids_of_another_project(database_url: str) -> None:
    into_empty = import_into(database_url, "shop", THREAD, MESSAGE)
    into_other = import_into(database_url, "rival", *SAME_IDS)

    assert into_empty == into_other == (0, TAKEN)
    assert [each["metadata"]["of"] for each in exported(database_url, "rival")] == ["rival"] * 2


def test_an_export_has_only_the_threads_of_its_project(database_url: str) -> None:
    import_into(database_url, "shop", THREAD, MESSAGE)
    before = exported(database_url, "shop")

    import_into(database_url, "rival", *SAME_IDS)

    assert exported(database_url, "shop") == before
    assert exported(database_url, "third") == []


@pytest.mark.parametrize("is_lost", [False, True])
def test_what_is_salvaged_has_only_the_threads_of_its_project(sqlite_url: str, *, is_lost: bool) -> None:
    import_into(sqlite_url, "shop", THREAD, MESSAGE)
    import_into(sqlite_url, "rival", *SAME_IDS)
    before = exported(sqlite_url, "shop")
    if is_lost:
        with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as opened:
            opened.execute("DELETE FROM threads")
        before[0]["metadata"] = {}  # inferred from the message

    assert exported(sqlite_url, "shop", "--salvage") == before
    assert exported(sqlite_url, "third", "--salvage") == []
    assert exported(sqlite_url, "shop", "--salvage", "--owner", "alice") == []


def test_a_message_id_of_another_project_is_refused(database_url: str) -> None:
    import_into(database_url, "shop", THREAD, MESSAGE)

    told = import_into(database_url, "rival", a_thread("thread_b"), a_message(MESSAGE["id"], "thread_b"))

    assert told == (0, TAKEN)


async def test_an_id_deleted_in_another_project_can_be_imported(store: Store, database_url: str) -> None:
    await asyncio.to_thread(import_into, database_url, "shop", THREAD, MESSAGE)
    await threads.delete(store, SHOP, THREAD["id"])

    told = await asyncio.to_thread(import_into, database_url, "rival", *SAME_IDS)

    assert told == (0, TAKEN)
    assert (await messages.get(store, RIVAL, THREAD["id"], MESSAGE["id"])).id == MESSAGE["id"]


async def test_a_follower_gets_no_events_of_another_project(store: Store, hub: Hub, database_url: str) -> None:
    for project in ("shop", "rival"):
        await asyncio.to_thread(import_into, database_url, project, THREAD, MESSAGE)
    position = await follow.start(store, hub, SHOP, THREAD["id"], None)
    following = follow.messages(store, hub, SHOP, THREAD["id"], position)

    await say(store, RIVAL, THREAD["id"], "of rival's")
    [own] = await say(store, SHOP, THREAD["id"], "of shop's")

    assert [each.id for _, each, _ in await take(following, 1)] == [own]
    await following.aclose()
