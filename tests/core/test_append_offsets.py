"""Text that is appended with an offset is appended once, however often it is sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core import streaming
from gateway.domain import bounds
from gateway.domain.delta import utf16_length
from gateway.domain.message import Ending, IncompleteReason, Status
from gateway.errors import InvalidRequest, OffsetConflict
from tests.core.test_streaming import IMAGE, shown
from tests.effort import times
from tests.faces import GraphQL
from tests.following import WHOLE, begin, grow, make_thread, text_part

if TYPE_CHECKING:
    import httpx

    from gateway.core import Store
    from gateway.domain.ids import MessageId, ThreadId
    from gateway.domain.principal import Principal

EMOJI = "\U0001f600"
PIECES = st.lists(st.sampled_from(["a", "bc", EMOJI, "d" + EMOJI, "\0"]), min_size=1, max_size=12)


@pytest.fixture
async def thread(store: Store, who: Principal) -> ThreadId:
    return await make_thread(store, who)


async def append(store: Store, who: Principal, message_id: MessageId, text: str, offset: int) -> None:
    await streaming.append_text(store, who, message_id, text, offset=offset, is_read=False)


@pytest.mark.parametrize("fold", [2, 200])
@pytest.mark.parametrize("beginning", [(), (text_part("x" + EMOJI),), (IMAGE,)], ids=["empty", "text", "image"])
async def test_each_piece_that_is_sent_twice_is_there_once(
    store: Store,
    who: Principal,
    thread: ThreadId,
    fold: int,
    beginning: tuple[dict[str, object], ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streaming, "FOLD", fold)
    begun = await begin(store, who, thread, *beginning)
    text = "" if IMAGE in beginning else begun.text

    for piece in ("Hello ", EMOJI, " there", "\0"):
        for _ in range(2):
            await append(store, who, begun.id, piece, utf16_length(text))
        text += piece

    assert (await shown(store, who, begun.id)).text == text


async def test_a_repetition_takes_no_position(store: Store, who: Principal, thread: ThreadId) -> None:
    begun = await begin(store, who, thread)
    await append(store, who, begun.id, "Hello", 0)
    before = await store.last_positions([(who.reach.project_id, thread)])

    await append(store, who, begun.id, "Hello", 0)
    await append(store, who, begun.id, "ell", 1)

    assert await store.last_positions([(who.reach.project_id, thread)]) == before


@pytest.mark.parametrize(("text", "offset"), [("Hullo", 0), ("lo there", 3), ("more", 6), ("more", 4), ("\ude00", 1)])
async def test_other_text_is_refused_with_the_true_offset(
    store: Store, who: Principal, thread: ThreadId, text: str, offset: int
) -> None:
    begun = await begin(store, who, thread, text_part("Hello"))

    with pytest.raises(OffsetConflict, match="ends at offset 5") as refused:
        await streaming.append_text(
            store, who, begun.id, text.encode("utf-16", "replace").decode("utf-16"), offset=offset
        )

    assert (refused.value.code, refused.value.offset) == ("offset_conflict", 5)
    assert (await shown(store, who, begun.id)).text == "Hello"


async def test_a_repetition_after_the_end_succeeds(store: Store, who: Principal, thread: ThreadId) -> None:
    begun = await begin(store, who, thread)
    await append(store, who, begun.id, "Hello", 0)
    finished = await streaming.finish(store, who, begun.id, WHOLE)

    again = await streaming.append_text(store, who, begun.id, "Hello", offset=0)

    assert again == finished
    with pytest.raises(InvalidRequest) as refused:
        await append(store, who, begun.id, "more", 5)
    assert refused.value.code == "message_not_in_progress"


async def test_the_same_ending_again_changes_nothing(store: Store, who: Principal, thread: ThreadId) -> None:
    ending = Ending(Status.INCOMPLETE, IncompleteReason.MAX_TOKENS)
    begun = await begin(store, who, thread, text_part("a"))
    finished = await streaming.finish(store, who, begun.id, ending)
    before = await store.last_positions([(who.reach.project_id, thread)])

    assert await streaming.finish(store, who, begun.id, ending) == finished

    assert await store.last_positions([(who.reach.project_id, thread)]) == before
    for other in (WHOLE, Ending(Status.INCOMPLETE, IncompleteReason.RUN_FAILED)):
        with pytest.raises(InvalidRequest, match="incomplete"):
            await streaming.finish(store, who, begun.id, other)


async def test_ten_appends_at_once_with_one_offset_are_one(store: Store, who: Principal, thread: ThreadId) -> None:
    begun = await begin(store, who, thread, text_part("Hello"))
    await grow(store, who, begun.id, ", ")

    await asyncio.gather(*[append(store, who, begun.id, "there", 7) for _ in range(10)])

    assert (await shown(store, who, begun.id)).text == "Hello, there"


@pytest.mark.parametrize("fold", [2, 200])
async def test_the_limit_is_on_all_parts(
    store: Store, who: Principal, thread: ThreadId, fold: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "FOLD", fold)
    begun = await begin(store, who, thread, text_part("x" * (bounds.TEXT.number - 3)), IMAGE)
    await grow(store, who, begun.id, "y", "y", "y")

    with pytest.raises(InvalidRequest) as refused:
        await streaming.append_text(store, who, begun.id, "z")

    assert refused.value.code == "string_above_max_length"


@settings(max_examples=times(fast=10, slow=300))
@given(pieces=PIECES, retries=st.lists(st.integers(0, 3), min_size=12, max_size=12))
async def test_retries_at_any_time_add_nothing(
    store: Store, who: Principal, pieces: list[str], retries: list[int]
) -> None:
    begun = await begin(store, who, await make_thread(store, who))
    sent: list[tuple[int, str]] = []
    end = 0

    for piece, retry in zip(pieces, retries, strict=False):
        sent.append((end, piece))
        await append(store, who, begun.id, piece, end)
        end += utf16_length(piece)
        offset, earlier = sent[retry % len(sent)]
        await append(store, who, begun.id, earlier, offset)

    assert (await shown(store, who, begun.id)).text == "".join(pieces)


async def test_graphql_names_the_true_offset(
    store: Store, who: Principal, thread: ThreadId, rest: httpx.AsyncClient
) -> None:
    begun = await begin(store, who, thread, text_part("Hello"))
    append = "mutation($input: AppendMessageTextInput!) { appendMessageText(input: $input) { message { text } } }"
    graphql = GraphQL(rest)

    found = await graphql(append, input={"messageId": begun.id, "text": "Hello", "offset": 0})
    conflict = await graphql.refusal(append, input={"messageId": begun.id, "text": "x", "offset": 2})
    negative = await graphql.refusal(append, input={"messageId": begun.id, "text": "x", "offset": -1})

    assert found["appendMessageText"]["message"]["text"] == "Hello"
    assert conflict["extensions"] == {
        "code": "offset_conflict",
        "param": "input.offset",
        "type": "invalid_request_error",
        "offset": 5,
    }
    assert negative["extensions"]["param"] == "input.offset"
