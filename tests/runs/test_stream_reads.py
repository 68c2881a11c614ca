"""What a stream reads of a run: what was added since its last look, and nothing twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import run_leases, run_progress, runs, streaming
from gateway.core.run_progress import Outcome
from gateway.domain.run import Run, RunStatus
from gateway.domain.run_events import Place, RunView, Seen, events_between, seen_at
from tests.runs.test_worker import make_run

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.domain.message import Message
    from gateway.domain.principal import Principal
    from gateway.domain.run import OpenRun

PIECES = st.lists(st.text(min_size=1, max_size=4) | st.sampled_from(["\U0001f642", "\0", '"\\']), max_size=9)


async def begun(store: Store, text: str) -> tuple[OpenRun, Message]:
    """Begin the answer of a run."""
    run = await make_run(store)
    leased = await run_leases.lease(store, ("default", run.id), "w")
    assert leased is not None
    open_run = leased[0]._replace(run=await run_progress.begin(store, leased[0]))
    return open_run, await run_progress.begin_message(store, open_run, text)


async def look(store: Store, who: Principal, run: Run, seen: Seen) -> tuple[RunView, str]:
    """Read a run again; return the view, and the text that is new in it."""
    view = await runs.view(store, who, run, seen)
    assert view is not None
    events: list[Any] = [event.data for event in events_between(seen, view) if event.name == "thread.message.delta"]
    return view, "".join(each["delta"]["content"][0]["text"]["value"] for each in events)


async def test_a_look_reads_only_what_was_added(store: Store, who: Principal) -> None:
    open_run, message = await begun(store, "A long beginning")
    seen = Seen()
    await look(store, who, open_run.run, seen)
    await streaming.append_text(store, who, message.id, ", and")
    await look(store, who, open_run.run, seen)
    await streaming.append_text(store, who, message.id, " more.")

    view, text = await look(store, who, open_run.run, seen)

    assert (view.messages, text) == ({}, " more.")
    [tail] = view.tails.values()
    assert tail is not None
    assert tail.text == " more."


async def test_a_look_reads_no_step_that_has_ended(store: Store, who: Principal) -> None:
    open_run, message = await begun(store, "I look.")
    calls = [{"id": "call_a", "type": "function", "function": {"name": "f", "arguments": "{}", "output": None}}]
    step = await run_progress.begin_calls(store, open_run, calls)
    await run_progress.require_action(store, open_run, step.id, calls, None)
    seen = Seen()
    view, _ = await look(store, who, open_run.run, seen)
    assert [each.message_id for each in view.steps] == [message.id, None]

    view, _ = await look(store, who, open_run.run, seen)

    assert [each.id for each in view.steps] == [step.id]
    assert view.run.settings == open_run.run.settings


@given(pieces=PIECES, looks=st.sets(st.integers(0, 8)), fold=st.integers(2, 5), resumed=st.booleans())
async def test_a_reader_sees_the_text_once_whenever_it_looks(
    store: Store, who: Principal, pieces: list[str], looks: set[int], fold: int, *, resumed: bool
) -> None:
    open_run, message = await begun(store, "Hi ")
    run, seen = open_run.run, Seen()
    _, read = await look(store, who, run, seen)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(streaming, "FOLD", fold)
        for n, piece in enumerate(pieces):
            await streaming.append_text(store, who, message.id, piece, is_read=False)
            if n in looks:
                if resumed:
                    view = await runs.view(store, who, run, Seen())
                    assert view is not None
                    seen = seen_at(view, Place(*seen.place))
                read += (await look(store, who, run, seen))[1]
    await run_progress.end(store, who.reach, run.id, Outcome(RunStatus.COMPLETED))
    read += (await look(store, who, run, seen))[1]

    assert read == "Hi " + "".join(pieces)


async def test_text_that_an_older_version_has_added_is_read_too(store: Store, who: Principal) -> None:
    open_run, message = await begun(store, "One")
    seen = Seen()
    await look(store, who, open_run.run, seen)
    await streaming.append_text(store, who, message.id, " two")
    of_old = "UPDATE message_deltas SET next_start = NULL, characters = NULL"
    await store.write(lambda writes: writes._connection.execute(of_old))  # noqa: SLF001

    assert (await look(store, who, open_run.run, seen))[1] == " two"
    assert orjson.loads(message.content_json)[0]["text"]["value"] == "One"
