"""Both executors agree on random selections of the threads of a list, whatever of it is read by one statement."""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import TYPE_CHECKING, Final

import pytest

from gateway.core import forking, read_marks
from gateway.domain.ids import MessageId, ThreadId
from gateway.domain.principal import Principal, Reach
from gateway.domain.thread import NewFork
from gateway.store.store import opened_store
from tests.effort import times
from tests.fast_executor.corpus import Case, both_faces, fill

if TYPE_CHECKING:
    from pathlib import Path

_FIELDS: Final = (
    "id",
    "title",
    "lastActivityAt",
    "messageCount",
    "metadata",
    "preview",
    "preview(length: 10)",
    'unreadCount(reader: "alice") { value exact }',
    'unreadCount(max: 1, reader: "alice") { exact value }',
    'unreadCount(reader: "bob") { value }',
    "unreadCount { exact }",
    'readUpTo(reader: "alice")',
    'readUpTo(reader: "bob")',
    "readUpTo",
    "forkedFrom { threadId messageId }",
    "lastMessage { id }",
    "lastMessage { text status thread { id } }",
    "lastMessage { content { __typename } role thread { title preview } }",
    "messages(first: 1) { nodes { text role } }",
    "messages(first: 1) { edges { cursor node { id status } } }",
    "messages(first: 1) { nodes { text } pageInfo { hasNextPage } }",
    "messages(last: 1) { nodes { text } totalCount }",
    "messages(first: 1, order: ASC) { nodes { text } }",
    'messages(first: 1, runId: "run_1") { nodes { text } }',
    "messages(first: 2) { nodes { text } }",
    "messages(first: 0) { nodes { text } }",
)
_REFUSED: Final = (  # one at a time, since it may take its siblings with it
    "preview(length: 9)",
    'unreadCount(max: 0, reader: "bob") { value }',
    "messages(first: 101) { nodes { text } }",
)
_SOME: Final = 0.2
_SHAPES: Final = ("nodes {{ {0} }}", "edges {{ cursor node {{ {0} }} }}", "nodes {{ {0} }} edges {{ node {{ {1} }} }}")


def _document(chance: Random) -> str:
    picked = [*chance.choices(_FIELDS, k=chance.randint(1, 6)), *chance.choices(_REFUSED, k=chance.random() < _SOME)]
    fields, again = (" ".join(f"f{n}: {each}" for n, each in enumerate(some)) for some in (picked, picked[:2]))
    shape = chance.choice(_SHAPES)
    order = chance.choice(("(orderBy: CREATED)", "(orderBy: ACTIVITY)", "(order: ASC, first: 2)"))
    return f"{{ threads{order} {{ {shape.format(fields, again)} }} }}"


def _with_errors_in_order(answers: list[str]) -> list[str]:
    """Sort errors, whose order is that in which resolvers have finished."""
    bodies = [json.loads(each.partition(" ")[2]) for each in answers]
    return [json.dumps(each | {"errors": sorted(map(json.dumps, each.get("errors", ())))}) for each in bodies]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("lists") / "filled.db"
    asyncio.run(_fill(file))
    return file


async def _fill(file: Path) -> None:
    await fill(file)
    who, thread_id, message_id = Principal(Reach("default")), ThreadId("thread_alpha"), MessageId("msg_a2")
    async with opened_store(f"sqlite:///{file}") as store:
        await read_marks.mark_read(store, who, thread_id, message_id, "alice")
        await forking.fork(store, who, thread_id, NewFork(message_id))


async def test_random_selections_of_a_list_have_the_same_answer(filled: Path) -> None:
    chance = Random(1)  # noqa: S311  (reproducible)
    documents = [_document(chance) for _ in range(times(fast=60, slow=5_000))]

    async with both_faces(filled) as (compiled, normal):
        for case in (Case(each, each, [{}]) for each in documents):
            found = _with_errors_in_order(await compiled.answers(case))
            assert found == _with_errors_in_order(await normal.answers(case)), case.query
