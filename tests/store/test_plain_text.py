"""The mark on messages that are one plain text, or begin with one: what gets it, and that each write notes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import messages, streaming
from gateway.domain import archive
from gateway.domain.message import SIMPLE_BEGIN, SIMPLE_END, Message, append_texts, grow_content, plain_text
from gateway.domain.page import PageRequest
from gateway.domain.wire import dump, dump_text, load
from gateway.store.message_reads import complete
from gateway.store.statements.messages import DELTAS
from tests.exports import a_message, a_thread
from tests.following import WHOLE, begin, grow, make_thread, say
from tests.make import EVERY_PART, list_page, text_part
from tests.make import make_thread as thread_of
from tests.transfer import loading

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.domain.ids import MessageId
    from gateway.domain.principal import Principal

TEXT = {"value": 'a "quoted" 🙂\n\x00', "annotations": []}
PLAIN = [{"type": "text", "text": TEXT}]
ODD: dict[str, list[Any]] = {
    "nothing": [],
    "a key of the part": [{"type": "text", "text": TEXT, "id": 1}],
    "a key of the text": [{"type": "text", "text": {**TEXT, "language": "en"}}],
    "a key before the text": [{"type": "text", "text": {"language": "en", **TEXT}}],
    "the text before its type": [{"text": TEXT, "type": "text"}],
    "annotations before the value": [{"type": "text", "text": {"annotations": [], "value": "a"}}],
    "a part within the annotations": [{"type": "text", "text": {"value": "a", "annotations": PLAIN}}],
    "an image": [{"type": "image_file", "image_file": {"file_id": "file-1", "detail": "auto"}}],
    "a refusal": [{"type": "refusal", "refusal": "no"}],
    "all kinds": EVERY_PART,
}
TWO = PLAIN * 2
PIECES = ["", "a", '"', "\\", "\n\u2028\x7f", "é🙂", '","annotations":[]}}]']


def test_one_plain_text_has_the_mark() -> None:
    stored = dump(PLAIN)

    assert plain_text(PLAIN) == 1
    assert load(b'"' + stored[len(SIMPLE_BEGIN) : -len(SIMPLE_END)] + b'"') == TEXT["value"]


@pytest.mark.parametrize("content", [TWO, [*PLAIN, *ODD["an image"]]], ids=["two", "image"])
def test_several_parts_after_a_plain_text_are_marked_with_its_length(content: list[Any]) -> None:
    text = content[0]["text"]["value"]

    begin, stored = len(SIMPLE_BEGIN), dump(content)
    end = begin + plain_text(content) - 2

    assert load(b'"' + stored[begin:end] + b'"') == text
    assert stored[end:].startswith(SIMPLE_END[:-1] + b",")


@pytest.mark.parametrize("length", [32_765, 32_766])
def test_a_longer_text_before_other_parts_has_no_mark(length: int) -> None:
    assert plain_text([text_part("a" * length), *PLAIN]) == (32_767 if length == 32_765 else 0)
    assert plain_text([text_part("a" * length)]) == 1


@pytest.mark.parametrize("odd", ODD)
def test_any_other_content_has_no_mark(odd: str) -> None:
    assert plain_text(ODD[odd]) == 0


def grown_parts(content: list[Any], gained: dict[int, list[str]]) -> tuple[list[Any], int]:
    """Append to a copy of the parts, and mark them."""
    parts = load(dump(content))
    append_texts(parts, gained)
    return parts, plain_text(parts)


@pytest.mark.parametrize("content", [PLAIN, TWO, *ODD.values()], ids=["plain", "two", *ODD])
@pytest.mark.parametrize("is_marked", [True, False])
def test_a_content_grows_as_its_parts_do(content: list[Any], *, is_marked: bool) -> None:
    texts = [at for at, part in enumerate(content) if part["type"] == "text"]
    for part_index in (*texts, len(content)):
        gained = {part_index: PIECES}
        parts, mark = grown_parts(content, gained)

        assert grow_content(dump(content), plain_text(content) if is_marked else None, gained) == (dump(parts), mark)


@given(
    value=st.text(st.sampled_from('"\\,:[]{}a\n\x00🙂')),
    pieces=st.lists(st.text(st.characters(exclude_categories=["Cs"]))),
)
def test_any_text_grows_as_its_part_does(value: str, pieces: list[str]) -> None:
    parts, mark = grown_parts([text_part(value)], {0: pieces})

    assert grow_content(dump([text_part(value)]), 1, {0: pieces}) == (dump(parts), mark)


@pytest.mark.parametrize(
    ("deltas", "values"),
    [
        ([[8, 9], [0, 0], ["b", "c"]], ["abc"]),
        ([[9, 8], [0, 0], ["c", "b"]], ["abc"]),
        ([[9, 8, 7], [1, 0, 0], ["d", "c", "b"]], ["abc", "d"]),
        ([[9, 8], [1, 1], ["c", "b"]], ["a", "bc"]),
        ([[], [], []], ["a"]),
        ([None, None, None], ["a"]),
    ],
)
@pytest.mark.parametrize("mark", [1, None])
def test_deltas_are_appended_in_the_order_of_their_positions(
    deltas: list[Any], values: list[str], mark: int | None
) -> None:
    rows = [(dump([text_part("a")]), mark, dump_text(deltas))]

    complete(("content_json", "plain_text", DELTAS), rows)

    assert load(rows[0][0]) == list(map(text_part, values))
    assert rows[0][1] == (plain_text(load(rows[0][0])) if deltas[0] else mark)


@pytest.mark.parametrize("unknown", [{}, {"run_steps": []}], ids=["fast", "strict"])
def test_an_imported_message_is_marked_by_its_parsed_content(unknown: dict[str, Any]) -> None:
    for content, mark in (
        (PLAIN, 1),
        (TWO, len(dump(TEXT["value"]))),
        (ODD["a key of the text"], 0),
        (ODD["an image"], 0),
    ):
        raw = a_message(content=content, **unknown)
        message = archive.read_fast(raw) or archive.read_strictly(raw)

        assert isinstance(message, Message)
        assert message.plain_text == mark


def test_an_imported_message_in_progress_is_marked() -> None:
    message = archive.read_strictly(a_message(content=PLAIN, status="in_progress"))

    assert isinstance(message, Message)
    assert message.plain_text == 1


async def test_a_created_message_is_marked(store: Store, who: Principal) -> None:
    [alone] = await say(store, who, await make_thread(store, who), "hi")
    thread_id = await thread_of(store, who, 1)
    [within] = await _messages_of(store, who, thread_id)

    assert (await _mark(store, who, alone), within.plain_text) == (1, 1)


async def test_a_message_is_marked_when_it_is_finished(store: Store, who: Principal) -> None:
    thread_id = await make_thread(store, who)
    text, image = [(await begin(store, who, thread_id, *parts)).id for parts in ((), ODD["an image"])]
    await grow(store, who, text, "a", "b")
    before = [await _mark(store, who, each) for each in (text, image)]

    finished = [await streaming.finish(store, who, each, WHOLE) for each in (text, image)]

    assert before == [1, 0]
    assert [each.plain_text for each in finished] == [1, 0]
    assert [await _mark(store, who, each) for each in (text, image)] == [1, 0]


async def test_an_import_stores_the_mark(store: Store, who: Principal) -> None:
    thread = archive.read_strictly(a_thread())
    contents = [PLAIN, ODD["a key of the part"]]
    given = [archive.read_strictly(a_message(f"msg_{n}", content=each)) for n, each in enumerate(contents)]

    await loading.load(store, who, thread, given)  # type: ignore[arg-type]

    assert [each.plain_text for each in await _messages_of(store, who, "thread_a")] == [0, 1]


async def _mark(store: Store, who: Principal, message_id: MessageId) -> int | None:
    return (await messages.get_many(store, who, [message_id])).by_id()[message_id].plain_text


async def _messages_of(store: Store, who: Principal, thread_id: Any) -> list[Message]:
    return list((await list_page(store, who, thread_id, PageRequest())).items)
