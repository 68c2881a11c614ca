"""What calls of models cost: whatever an endpoint counts, and however an answer ends, its budget is charged."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from gateway.core import runs, threads
from gateway.domain.run import RunStatus
from gateway.runs.models.interface import (
    FailureCode,
    Finished,
    FinishReason,
    ModelFailed,
    TextDelta,
    ToolCallDelta,
)
from gateway.runs.worker import Worker
from tests.pace import patience
from tests.runs.scripted import USAGE, Scripted
from tests.runs.test_worker import make_run, until, until_written, working

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.domain.principal import Principal

UNCOUNTED = Finished(FinishReason.STOP)
SENT = -(-len(b'[{"role":"user","content":"hi"}]') // 4)  # tokens, as they are estimated
SAID = TextDelta("Grüße, Welt! ")  # 15 bytes
CALL = ToolCallDelta(0, "call_a", "f", '{"a": "b"}')


class Paid(Scripted):
    """Models, and a budget that notes what is charged."""

    tokens = 0

    async def spend(self, _payer: str, tokens: int) -> None:
        """Note it."""
        self.tokens += tokens


@pytest.mark.parametrize(
    ("script", "status", "tokens"),
    [
        ([SAID, Finished(FinishReason.STOP, USAGE)], RunStatus.COMPLETED, 12),
        ([SAID, UNCOUNTED], RunStatus.COMPLETED, SENT + 4),
        ([SAID, Finished(FinishReason.LENGTH)], RunStatus.INCOMPLETE, SENT + 4),
        ([CALL, Finished(FinishReason.TOOL_CALLS)], RunStatus.REQUIRES_ACTION, SENT + 3),
        ([SAID, ModelFailed(FailureCode.SERVER_ERROR, "It broke.")], RunStatus.FAILED, SENT + 4),
        ([ModelFailed(FailureCode.RATE_LIMIT_EXCEEDED, "Too many.")], RunStatus.FAILED, 0),
    ],
    ids=["counted", "not counted", "cut", "calls", "broken off", "refused"],
)
async def test_a_call_is_charged_as_counted_or_else_as_estimated(
    store: Store, script: Any, status: RunStatus, tokens: int
) -> None:
    run, models = await make_run(store), Paid([script])

    async with working(Worker(store, models, spend=models.spend)):
        ended = await until(store, run, status)

    assert (models.tokens, ended.usage["total_tokens"]) == (tokens, tokens)


async def test_a_run_that_is_cancelled_half_way_is_charged(store: Store, who: Principal) -> None:
    run, models = await make_run(store), Paid([[SAID, asyncio.Event()]])
    async with working(Worker(store, models, spend=models.spend)) as worker:
        await until_written(store, who, run)
        await runs.cancel(store, who, None, run.id)
        worker.cancel("default", run.id)
        ended = await until(store, run, RunStatus.CANCELLED)

    assert (models.tokens, ended.usage["total_tokens"]) == (SENT + 4, SENT + 4)


async def test_a_run_whose_thread_is_deleted_half_way_is_charged(store: Store, who: Principal) -> None:
    run, models = await make_run(store), Paid([[SAID, asyncio.Event()]])
    async with working(Worker(store, models, spend=models.spend)) as worker:
        await until_written(store, who, run)
        await threads.delete(store, who, run.thread_id)
        async with asyncio.timeout(patience(20)):
            while worker.running():  # noqa: ASYNC110  (it looks once a second)
                await asyncio.sleep(0.01)

    assert models.tokens == SENT + 4


@pytest.mark.parametrize(
    "script", [[SAID, UNCOUNTED], [CALL, Finished(FinishReason.TOOL_CALLS)]], ids=["an answer", "calls"]
)
async def test_a_call_is_charged_before_a_client_sees_what_became_of_its_run(
    store: Store, who: Principal, script: Any
) -> None:
    run, seen = await make_run(store), asyncio.Queue[RunStatus]()

    async def spend(_payer: str, _tokens: int) -> None:
        seen.put_nowait((await runs.get(store, who, None, run.id)).status)

    async with working(Worker(store, Scripted([script]), spend=spend)), asyncio.timeout(patience(20)):
        status = await seen.get()

    assert status is RunStatus.IN_PROGRESS
