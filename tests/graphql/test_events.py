"""Events of a thread are the same in graphql-core and in the plan of a subscription."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from gateway.auth.authenticator import Authenticator
from gateway.core import messages, streaming, threads
from gateway.domain import parse
from gateway.graphql.execution import runner
from gateway.graphql.execution.operations import Operations
from gateway.graphql.execution.runner import EventResults
from gateway.graphql.options import Options
from gateway.graphql.parameters import Parameters
from gateway.graphql.schema.build import build_schema
from tests.following import WHOLE, begin, grow, make_thread, say, take, text_part

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graphql import ExecutionResult

    from gateway.core import Store
    from gateway.domain.ids import ThreadId
    from gateway.domain.principal import Principal
    from gateway.events.hub import Hub

pytestmark = pytest.mark.counted

MESSAGE = "id role status text createdAt completedAt metadata runId attachments { fileId } thread { id metadata }"
CONTENT = "content { __typename ... on TextContent { text { value annotations { __typename } } } }"
ADDED = f"subscription($id: ID!) {{ messageAdded(threadId: $id) {{ cursor node {{ {MESSAGE} {CONTENT} }} }} }}"
ADDED_TEXT = f"subscription($id: ID!) {{ messageAdded(threadId: $id) {{ node {{ id {CONTENT} }} place: cursor }} }}"
ADDS, CHANGES = "a message more", "something else"
EVENTS = f"""subscription($id: ID!, $short: Boolean = false) {{ event: threadEvents(threadId: $id) {{
  __typename cursor
  ... on MessageCreated {{ message {{ ...Whole }} }}
  ... on MessageUpdated {{ message {{ ...Whole @skip(if: $short) id }} }}
  ... on MessageDeleted {{ messageId }}
  ... on MessageDelta {{ messageId partIndex text offset }}
  ... on ThreadUpdated {{ thread {{ id createdAt metadata messages(first: 2) {{ totalCount nodes {{ id }} }} }} }}
  ... on ThreadDeleted {{ threadId }}
}} }} fragment Whole on Message {{ {MESSAGE} {CONTENT} }}"""


@pytest.mark.parametrize(
    ("text", "kinds"),
    [(ADDED, {ADDS}), (ADDED_TEXT, {ADDS}), (EVENTS, {ADDS, CHANGES})],
    ids=["messages", "their texts", "all events"],
)
async def test_all_events_are_the_same_in_both_executors(
    store: Store, hub: Hub, who: Principal, text: str, kinds: set[str]
) -> None:
    thread_id = await make_thread(store, who)
    schema = build_schema()._schema  # noqa: SLF001  (Strawberry has no public name for it)
    operations = Operations(schema, store, hub, Options(), Authenticator())
    by_plan = await _followed(operations, who, text, thread_id, compiled=True)
    normally = await _followed(operations, who, text, thread_id, compiled=False)

    async for kind in _all_that_happens(store, who, thread_id):
        if kind in kinds:
            events, normal_events = [_formatted(*await take(each, 1)) for each in (by_plan, normally)]
            assert events == normal_events

    assert operations.runner.executed() == {"compiled": 1, "normal": 1}
    await by_plan.aclose()
    await normally.aclose()


async def _followed(
    operations: Operations, who: Principal, text: str, thread_id: ThreadId, *, compiled: bool
) -> EventResults:
    parameters = Parameters(text, None, {"id": thread_id}, None, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "COMPILES", compiled)
        found: Any = await operations.runner.subscribe(
            await operations.find(parameters, who), parameters, operations.context(who)
        )
    assert isinstance(found, EventResults), found
    return found


async def _all_that_happens(store: Store, who: Principal, thread_id: ThreadId) -> AsyncIterator[str]:
    """Do one thing after the other, each of which is one event, and say of what kind it was."""
    [message_id] = await say(store, who, thread_id, 'a "quote" 🙂')
    yield ADDS
    growing = await begin(store, who, thread_id, text_part("so"))
    yield ADDS
    await grow(store, who, growing.id, " far 🙂")
    yield CHANGES
    await streaming.finish(store, who, growing.id, WHOLE)
    yield CHANGES
    await messages.update(store, who, thread_id, message_id, parse.message_patch({"metadata": {"a": "1"}}))
    yield CHANGES
    await messages.delete(store, who, thread_id, message_id)
    yield CHANGES
    await threads.update(store, who, thread_id, parse.thread_patch({"metadata": {"b": "2"}}))
    yield CHANGES
    await threads.delete(store, who, thread_id)
    yield CHANGES


def _formatted(result: ExecutionResult) -> tuple[Any, Any]:
    """Lay a result out as it goes over the wire."""
    return orjson.loads(orjson.dumps(result.data)), [each.formatted for each in result.errors or ()]
