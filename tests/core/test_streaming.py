from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from gateway.core import messages, streaming
from gateway.domain import bounds, change
from gateway.domain.message import Ending, IncompleteReason, MessagePatch, Status
from gateway.errors import InvalidRequest, NotFound
from gateway.store.statement_cache import StatementCache
from tests.following import WHOLE, begin, changes_after, grow, make_thread, say, text_part

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from gateway.core import Store
    from gateway.domain.ids import MessageId, ThreadId
    from gateway.domain.message import Message
    from gateway.domain.principal import Principal
    from gateway.events.hub import Hub

IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "auto"}}


@pytest.fixture
async def thread(store: Store, who: Principal) -> ThreadId:
    return await make_thread(store, who)


async def shown(store: Store, who: Principal, message_id: MessageId) -> Message:
    return (await messages.get_many(store, who, [message_id])).by_id()[message_id]


async def deltas(store: Store, hub: Hub, who: Principal, thread: ThreadId, count: int) -> list[change.MessageDelta]:
    found = await changes_after(store, hub, who, thread, "0", count)
    return [each for each in found if isinstance(each, change.MessageDelta)]


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    """Gather the text and the values of what is run."""
    ran: list[tuple[str, Any]] = []
    prepared = StatementCache.prepared

    def note(*arguments: Any) -> Any:
        found, values = prepared(*arguments)
        ran.append((found.text, values))
        return found, values

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StatementCache, "prepared", note)
        yield ran


async def test_a_message_in_progress_can_have_no_content(store: Store, who: Principal, thread: ThreadId) -> None:
    begun = await begin(store, who, thread)

    assert (begun.status, begun.content, begun.completed_at) == (Status.IN_PROGRESS, (), None)


async def test_text_is_appended_to_the_existing_text(store: Store, who: Principal, thread: ThreadId) -> None:
    begun = await begin(store, who, thread, text_part("He"))

    await grow(store, who, begun.id, "llo", " there")

    assert (await shown(store, who, begun.id)).text == "Hello there"


async def test_append_returns_the_text_so_far(store: Store, who: Principal, thread: ThreadId) -> None:
    begun = await begin(store, who, thread, text_part("He"))

    assert (await streaming.append_text(store, who, begun.id, "llo")).text == "Hello"


async def test_text_after_an_image_is_a_new_part(store: Store, who: Principal, thread: ThreadId) -> None:
    begun = await begin(store, who, thread, IMAGE)

    await grow(store, who, begun.id, "a ", "cat")

    assert orjson.loads((await shown(store, who, begun.id)).content_json) == [IMAGE, text_part("a cat")]


async def test_offsets_are_utf16_code_units(store: Store, hub: Hub, who: Principal, thread: ThreadId) -> None:
    begun = await begin(store, who, thread, text_part("\U0001f600"))

    await grow(store, who, begun.id, "\u00e9", "\U0001f600\U0001f600", "x")

    assert [(each.part_index, each.offset) for each in await deltas(store, hub, who, thread, 4)] == [
        (0, 2),
        (0, 3),
        (0, 7),
    ]


async def test_deltas_after_an_image_have_the_index_of_the_new_part(
    store: Store, hub: Hub, who: Principal, thread: ThreadId
) -> None:
    begun = await begin(store, who, thread, IMAGE)

    await grow(store, who, begun.id, "a ", "cat")

    assert [(each.part_index, each.offset) for each in await deltas(store, hub, who, thread, 3)] == [(1, 0), (1, 2)]


async def test_offsets_continue_after_a_fold(
    store: Store, hub: Hub, who: Principal, thread: ThreadId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "FOLD", 2)
    begun = await begin(store, who, thread)

    await grow(store, who, begun.id, "12", "34", "56")

    [delta] = await deltas(store, hub, who, thread, 3)
    assert (delta.offset, delta.text) == (4, "56")


@pytest.mark.parametrize("pieces", [4, 5, 6, 10, 11])
async def test_text_is_complete_before_and_after_a_fold(
    store: Store, who: Principal, thread: ThreadId, pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "FOLD", 5)
    begun = await begin(store, who, thread)

    await grow(store, who, begun.id, *(f"{n} " for n in range(pieces)))

    assert (await shown(store, who, begun.id)).text == "".join(f"{n} " for n in range(pieces))


async def test_a_fold_deletes_the_deltas(
    store: Store, hub: Hub, who: Principal, thread: ThreadId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "FOLD", 3)
    begun = await begin(store, who, thread)

    await grow(store, who, begun.id, "1", "2", "3")

    found = await changes_after(store, hub, who, thread, "0", 2)
    assert [type(each) for each in found] == [change.MessageCreated, change.MessageUpdated]


async def test_a_completed_message_has_its_status_and_time(store: Store, who: Principal, thread: ThreadId) -> None:
    begun = await begin(store, who, thread, text_part("a"))
    await grow(store, who, begun.id, "b")

    await streaming.finish(store, who, begun.id, WHOLE)

    found = await shown(store, who, begun.id)
    assert (found.status, found.text) == (Status.COMPLETED, "ab")
    assert found.completed_at is not None
    assert (found.incomplete_at, found.incomplete_reason) == (None, None)


async def test_an_incomplete_message_has_its_reason(store: Store, who: Principal, thread: ThreadId) -> None:
    begun = await begin(store, who, thread, text_part("a"))

    await streaming.finish(store, who, begun.id, Ending(Status.INCOMPLETE, IncompleteReason.MAX_TOKENS))

    found = await shown(store, who, begun.id)
    assert (found.status, found.incomplete_reason) == (Status.INCOMPLETE, IncompleteReason.MAX_TOKENS)
    assert found.incomplete_at is not None
    assert found.completed_at is None


async def test_a_finished_message_cannot_be_finished_again(store: Store, who: Principal, thread: ThreadId) -> None:
    begun = await begin(store, who, thread)
    await streaming.finish(store, who, begun.id, WHOLE)

    with pytest.raises(InvalidRequest) as refused:
        await streaming.finish(store, who, begun.id, Ending(Status.INCOMPLETE, IncompleteReason.MAX_TOKENS))

    assert refused.value.code == "message_not_in_progress"


async def test_a_finished_message_accepts_no_text(store: Store, who: Principal, thread: ThreadId) -> None:
    [whole] = await say(store, who, thread, "whole")

    with pytest.raises(InvalidRequest) as refused:
        await streaming.append_text(store, who, whole, "more")

    assert refused.value.code == "message_not_in_progress"
    assert (await shown(store, who, whole)).text == "whole"


async def test_an_unknown_message_accepts_no_text(store: Store, who: Principal, thread: ThreadId) -> None:
    begun = await begin(store, who, thread)
    await messages.delete(store, who, thread, begun.id)

    with pytest.raises(NotFound):
        await streaming.append_text(store, who, begun.id, "more")


async def test_a_message_can_grow_to_the_limit_and_not_over_it(store: Store, who: Principal, thread: ThreadId) -> None:
    begun = await begin(store, who, thread, text_part("x" * (bounds.TEXT.number - 2)))
    await grow(store, who, begun.id, "yy")

    with pytest.raises(InvalidRequest) as refused:
        await streaming.append_text(store, who, begun.id, "z")

    assert (refused.value.param, refused.value.code) == ("text", "string_above_max_length")
    assert len((await shown(store, who, begun.id)).text) == bounds.TEXT.number


async def test_all_text_of_concurrent_appends_is_kept(
    store: Store, who: Principal, thread: ThreadId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "FOLD", 7)
    begun = await begin(store, who, thread)
    pieces = [f"<{n}>" for n in range(30)]

    await asyncio.gather(*(streaming.append_text(store, who, begun.id, each) for each in pieces))

    text = (await shown(store, who, begun.id)).text
    assert sorted(text.replace("><", "> <").split()) == sorted(pieces)


async def test_rest_returns_the_text_so_far_and_the_status_in_progress(
    store: Store, who: Principal, thread: ThreadId, rest: httpx.AsyncClient
) -> None:
    begun = await begin(store, who, thread, text_part("a"))
    await grow(store, who, begun.id, "b", "c")

    one = (await rest.get(f"/threads/{thread}/messages/{begun.id}")).json()
    [listed] = (await rest.get(f"/threads/{thread}/messages")).json()["data"]

    assert one == listed
    assert (one["status"], one["content"], one["completed_at"]) == ("in_progress", [text_part("abc")], None)


async def test_metadata_can_change_while_a_message_is_in_progress(
    store: Store, who: Principal, thread: ThreadId
) -> None:
    begun = await begin(store, who, thread, text_part("a"))
    await grow(store, who, begun.id, "b")

    changed = await messages.update(store, who, thread, begun.id, MessagePatch({"k": "v"}))
    await grow(store, who, begun.id, "c")

    assert (changed.text, changed.metadata) == ("ab", {"k": "v"})
    assert (await shown(store, who, begun.id)).text == "abc"


async def test_deleting_a_message_in_progress_deletes_its_deltas(
    store: Store, hub: Hub, who: Principal, thread: ThreadId
) -> None:
    begun = await begin(store, who, thread)
    await grow(store, who, begun.id, "secret")

    await messages.delete(store, who, thread, begun.id)

    [found] = await changes_after(store, hub, who, thread, "0", 1)
    assert found == change.MessageDeleted(3, begun.id)


@pytest.mark.parametrize("length", [10, 100_000])
async def test_append_writes_only_the_new_text(store: Store, who: Principal, thread: ThreadId, length: int) -> None:
    begun = await begin(store, who, thread, text_part("x" * length))

    with statements() as ran:
        await streaming.append_text(store, who, begun.id, "piece")

    written = [values for text, values in ran if text.startswith(("INSERT", "UPDATE"))]
    assert len(written) == 2  # the position that the thread has come to, and the piece
    assert sum(len(str(value)) for values in written for value in values) < 300


async def test_a_page_with_messages_in_progress_needs_no_further_statement(
    store: Store, who: Principal, thread: ThreadId, rest: httpx.AsyncClient
) -> None:
    await say(store, who, thread, "whole")
    with statements() as without:
        await rest.get(f"/threads/{thread}/messages")
    for n in range(5):
        await grow(store, who, (await begin(store, who, thread)).id, f"{n}", "!")

    with statements() as ran:
        listed = (await rest.get(f"/threads/{thread}/messages?order=asc")).json()["data"]

    texts = [each["content"][0]["text"]["value"] for each in listed]
    assert texts == ["whole", "0!", "1!", "2!", "3!", "4!"]
    assert (len(without), len(ran)) == (1, 1)
