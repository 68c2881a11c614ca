"""Whatever is chosen of the messages of a thread is answered alike, read ahead as rows or as whole messages."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import answers
from gateway.domain import ids
from gateway.domain.message import IncompleteReason, Status
from gateway.gql import run
from tests.make import ATTACHMENTS, make_thread, put_message, text_part

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.domain.ids import ThreadId
    from gateway.domain.principal import Principal
    from tests.faces import GraphQL

TEXT = """content { __typename ... on TextContent { text { value annotations { __typename } } }
  ... on RefusalContent { refusal } }"""
TIMES = ("createdAt", "completedAt", "incompleteAt")
FIELDS = ("id", "threadId", "role", "status", "text", "metadata", "runId", "assistantId", "incompleteReason", *TIMES)
CHOICES = (*FIELDS, TEXT, "attachments { fileId }", "thread { id }", "__typename", "again: role")
LISTS = ("nodes { %s }", "edges { cursor node { %s } }", "edges { node { %s } } pageInfo { startCursor endCursor }")
PLACE = {"type": "file_path", "text": "x", "start_index": 0, "end_index": 1, "file_path": {"file_id": "file-1"}}


@given(
    chosen=st.lists(st.sampled_from(CHOICES), min_size=1, max_size=6, unique=True),
    lists=st.lists(st.sampled_from(LISTS), min_size=1, max_size=2, unique=True),
    window=st.sampled_from(["first: 3", "last: 3", "first: 9", "last: 2, order: ASC"]),
)
async def test_any_choice_of_fields_is_answered_alike(
    store: Store, who: Principal, graphql: GraphQL, chosen: list[str], lists: list[str], window: str
) -> None:
    thread_id = await _thread_of_all_kinds(store, who)
    selection = " ".join(each % " ".join(chosen) for each in lists)
    query = f"query($id: ID!) {{ thread(id: $id) {{ messages({window}) {{ {selection} totalCount }} }} }}"

    assert await _answer(graphql, query, thread_id, compiled_from=1) == await _answer(
        graphql, query, thread_id, compiled_from=math.inf
    )


async def _answer(graphql: GraphQL, query: str, thread_id: ThreadId, compiled_from: float) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "COMPILED_FROM", compiled_from)
        return await graphql(query, id=thread_id)


async def _thread_of_all_kinds(store: Store, who: Principal) -> ThreadId:
    thread_id = await make_thread(store, who, count=1)
    await put_message(store, who, thread_id, content=[text_part('a "quote" 🙂', [PLACE])], attachments=ATTACHMENTS)
    await put_message(store, who, thread_id, content=[{"type": "refusal", "refusal": "no"}], run_id="run_a")
    growing = await put_message(store, who, thread_id, status=Status.IN_PROGRESS, content=[text_part("so")])
    await answers.append_text(store, who, ids.MessageId(growing.id), " far")
    await put_message(
        store,
        who,
        thread_id,
        status=Status.INCOMPLETE,
        incomplete_reason=IncompleteReason.MAX_TOKENS,
        incomplete_at=1_750_000_000,
    )
    return thread_id
