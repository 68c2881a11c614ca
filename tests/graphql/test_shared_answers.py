"""Followers of a thread share the answer to an event where it is the same for them, and nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import orjson
import pytest

from gateway.auth.authenticator import Authenticator
from gateway.domain.principal import Principal, Reach, Scope
from gateway.graphql.execution import runner
from gateway.graphql.execution.operations import Operations
from gateway.graphql.execution.runner import EventResults
from gateway.graphql.options import Options
from gateway.graphql.parameters import Parameters
from gateway.graphql.schema.build import build_schema
from tests.following import PATIENCE_S, changes_with_cursors, make_thread, say, until

if TYPE_CHECKING:
    from graphql import ExecutionResult

    from gateway.core import Store
    from gateway.domain.ids import ThreadId
    from gateway.events.hub import Hub

FOLLOW: Final = """subscription Follow($id: ID!, $after: String, $short: Boolean = false, $few: Int) {
  threadEvents(threadId: $id, after: $after) { cursor ... on MessageCreated { message { ...Short } } } }
fragment Short on Message { id text @skip(if: $short) thread { messages(first: $few) { nodes { id } } } }
subscription Other($id: ID!) { threadEvents(threadId: $id) { cursor } }"""
PROJECT: Final = Principal(Reach("default"))


@pytest.fixture
def operations(store: Store, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Operations:
    monkeypatch.setattr(runner, "COMPILES", True)
    schema = build_schema()._schema  # noqa: SLF001  (Strawberry has no public name for it)
    return Operations(schema, store, hub, Options(), Authenticator())


async def answers_to(
    operations: Operations, store: Store, thread: ThreadId, *followers: tuple[Principal, str, dict[str, Any]]
) -> list[ExecutionResult]:
    """Let all follow a thread, and give the answer of each to one new message."""
    found = [await _subscribed(operations, who, name, {"id": thread, **given}) for who, name, given in followers]
    asked = [asyncio.ensure_future(anext(each)) for each in found]
    topic = (PROJECT.reach.project_id, thread)
    await until(lambda: len(operations.hub.listen(topic)._waiting) == len(found))  # noqa: SLF001
    await say(store, PROJECT, thread, "hello")
    async with asyncio.timeout(PATIENCE_S):
        answers = await asyncio.gather(*asked)
    for each in found:
        await each.aclose()
    return answers


async def _subscribed(operations: Operations, who: Principal, name: str, variables: dict[str, Any]) -> EventResults:
    parameters = Parameters(FOLLOW, None, variables, name, {})
    operation = await operations.find(parameters, who)
    found: Any = await operations.runner.subscribe(operation, parameters, operations.context(who))
    assert isinstance(found, EventResults), found
    return found


def data_of(answer: ExecutionResult) -> Any:
    assert not answer.errors
    [event] = orjson.loads(orjson.dumps(answer.data)).values()
    return event


async def test_answers_with_other_cursors_to_resume_after_are_one(operations: Operations, store: Store) -> None:
    thread = await make_thread(store, PROJECT)
    [first] = await say(store, PROJECT, thread, "first")
    [(cursor, _)] = await changes_with_cursors(store, operations.hub, PROJECT, thread, "0", 1)
    cursors: list[dict[str, Any]] = [{"after": first}, {"after": cursor}, {"after": None}, {}]

    answers = await answers_to(operations, store, thread, *[(PROJECT, "Follow", each) for each in cursors])

    assert len({id(each) for each in answers}) == 1
    assert data_of(answers[0])["message"]["text"] == "hello"


async def test_answers_to_other_variables_are_others(operations: Operations, store: Store) -> None:
    thread = await make_thread(store, PROJECT)
    given: list[dict[str, Any]] = [{}, {"short": True}, {"few": 0}, {"short": False}, {"few": 1}]

    answers = await answers_to(operations, store, thread, *[(PROJECT, "Follow", each) for each in given])

    seen = [data_of(each)["message"] for each in answers]
    assert ["text" in each for each in seen] == [True, False, True, True, True]
    assert [len(each["thread"]["messages"]["nodes"]) for each in seen] == [1, 1, 0, 1, 1]


async def test_answers_of_other_operations_reaches_and_scopes_are_others(operations: Operations, store: Store) -> None:
    thread = await make_thread(store, PROJECT)
    of_one = Principal(Reach("default", thread_id=thread))
    reader = Principal(Reach("default"), scopes=frozenset({Scope.READ}))

    answers = await answers_to(
        operations,
        store,
        thread,
        (PROJECT, "Follow", {}),
        (PROJECT, "Other", {}),
        (of_one, "Follow", {}),
        (reader, "Follow", {}),
    )

    assert len({id(each) for each in answers}) == len(answers)
    assert "message" not in data_of(answers[1])
