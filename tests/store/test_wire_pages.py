"""Messages written as JSON by the database equal those written by Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import streaming
from gateway.domain import ids, wire
from gateway.domain.message import IncompleteReason, Role, Status
from gateway.domain.page import WIRE, Order, PageRequest
from tests.make import list_page, make_thread, put_message

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.domain.principal import Principal

references = st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
json_texts = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2).map(wire.dump_text)
fields = st.fixed_dictionaries(
    {
        "role_value": st.sampled_from([each.value for each in Role]),
        "status_value": st.sampled_from([each.value for each in Status]),
        "content_json": st.text(max_size=20).map(lambda text: orjson.dumps([{"type": "refusal", "refusal": text}])),
        "attachments_json": st.sampled_from(["[]", '[{"file_id":"file-100%s","tools":[]}]']),
        "metadata_json": json_texts,
        "run_id": references,
        "assistant_id": references,
        "completed_at": st.none() | st.integers(0, 2**40),
        "incomplete_at": st.none() | st.integers(0, 2**40),
        "reason_value": st.none() | st.sampled_from([each.value for each in IncompleteReason]),
    }
)


@given(made=st.lists(fields, max_size=4), page=st.builds(PageRequest, st.integers(1, 5), st.sampled_from(Order)))
async def test_a_wire_page_of_the_database_equals_that_of_python(
    store: Store, who: Principal, made: list[dict[str, Any]], page: PageRequest
) -> None:
    thread_id = await make_thread(store, who)
    for each in made:
        await put_message(store, who, thread_id, **each)

    listed = (await list_page(store, who, thread_id, page)).items
    written = (await list_page(store, who, thread_id, page, fields=WIRE)).rows

    assert [in_order(row[1]) for row in written] == [in_order(wire.dump(wire.message(each))) for each in listed]


async def test_a_wire_page_contains_the_deltas_of_a_message_in_progress(store: Store, who: Principal) -> None:
    thread_id = await make_thread(store, who, 1)
    begun = await put_message(store, who, thread_id, status=Status.IN_PROGRESS)
    await streaming.append_text(store, who, ids.MessageId(begun.id), "so")
    grown = await streaming.append_text(store, who, ids.MessageId(begun.id), " far")

    written = await list_page(store, who, thread_id, PageRequest(), fields=WIRE)

    assert orjson.loads(written.rows[0][1]) == orjson.loads(wire.dump(wire.message(grown)))


def in_order(written: bytes) -> list[tuple[str, Any]]:
    """Read an object, with the order of its keys."""
    return list(orjson.loads(written).items())
