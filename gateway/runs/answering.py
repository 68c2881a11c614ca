"""The answer of one run: a model is called, and what it returns is written, until the run ends or waits for functions.

Text is written several times a second, however fast it arrives; each write is one delta, as for any message in
progress.
Must not be here: which runs are answered, and for how long (`worker`).
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from gateway.core import run_progress, streaming
from gateway.core.run_progress import Outcome, RunLost
from gateway.domain import bounds
from gateway.domain.ids import new_id
from gateway.domain.page import Order, PageRead, PageRequest
from gateway.domain.principal import Principal, Scope
from gateway.domain.run import RunStatus, StepStatus
from gateway.errors import InvalidRequest, NotFound
from gateway.runs.models.interface import FailureCode, Finished, FinishReason, ModelFailed, TextDelta, ToolCallDelta
from gateway.runs.prompt import request_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.core import Store
    from gateway.domain.message import Message
    from gateway.domain.run import OpenRun, Run
    from gateway.runs.cost import Cost
    from gateway.runs.models.interface import ModelEvent, ModelRequest, Models

MOST_MESSAGES: Final = 1_000  # of a thread that are sent to a model, from the newest
MOST_BYTES: Final = 4 * bounds.MIB  # of these
_PAGE: Final = 100
_MOST_ARGUMENTS: Final = bounds.TEXT.number  # characters of the arguments of all calls of one answer


@dataclass(frozen=True, slots=True)
class Waiting:
    """The run waits for the outputs of the functions that one of its steps calls."""

    step_id: str
    calls: list[dict[str, Any]]


class Paced:
    """Calls a function soon after each request, but never twice within an interval, nor twice at once."""

    def __init__(self, write: Callable[[], Awaitable[None]], interval_s: Callable[[], float]) -> None:
        self._write = write
        self._interval_s = interval_s
        self._task: asyncio.Task[None] | None = None
        self._next = 0.0

    def ask(self) -> None:
        """Request a call of the function, one for all requests until then.

        Errors: those of the last call.
        """
        if self._task is not None and self._task.done():
            task, self._task = self._task, None
            task.result()
        if self._task is None:
            self._task = asyncio.ensure_future(self._later())

    async def settle(self) -> None:
        """Call the function once more, without delay.

        Errors: what it raises.
        """
        if self._task is not None:
            self._next = 0.0
            task, self._task = self._task, None
            await task
        await self._write()

    async def close(self) -> None:
        """Stop; an error of a running call is ignored."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _later(self) -> None:
        clock = asyncio.get_running_loop().time
        if (wait_s := self._next - clock()) > 0:
            await asyncio.sleep(wait_s)
        await self._write()
        self._next = clock() + self._interval_s()


class Answer:
    """One answer of a model, while it is written."""

    def __init__(self, store: Store, open_run: OpenRun, interval_s: Callable[[], float], cost: Cost) -> None:
        self._store = store
        self._open = open_run
        self._cost = cost
        self._who = Principal(open_run.reach, frozenset({Scope.READ, Scope.WRITE}), name=open_run.run.id)
        self._text: list[str] = []  # not written yet
        self._characters = 0
        self._message: Message | None = None
        self._step_id: str | None = None
        self._written_calls = 0  # characters of them
        self.calls: list[dict[str, Any]] = []
        self._pace = Paced(self._write, interval_s)

    @property
    def is_full(self) -> bool:
        """Whether it has the maximum length of a message, or exceeds the limits on calls."""
        arguments = sum(len(call["function"]["arguments"]) for call in self.calls)
        has_too_many = len(self.calls) > bounds.TOOL_CALLS.number or arguments > _MOST_ARGUMENTS
        return has_too_many or self._characters >= bounds.TEXT.number

    async def take(self, event: TextDelta | ToolCallDelta) -> None:
        """Take the next event of the model.

        Errors: RunLost; those of writing.
        """
        if isinstance(event, TextDelta):
            text = event.text[: bounds.TEXT.number - self._characters]
            self._characters += len(text)
            self._text.append(text)
            self._cost.add(text)
        else:
            self._take_call(event)
        self._pace.ask()

    async def settle(self) -> str | None:
        """Write everything that was taken; return the step of the calls, if there are any."""
        await self._pace.settle()
        return self._step_id

    async def close(self) -> None:
        """Write nothing more."""
        await self._pace.close()

    def _take_call(self, event: ToolCallDelta) -> None:
        self._cost.add(event.arguments or event.name or "")
        while len(self.calls) <= event.index <= bounds.TOOL_CALLS.number:
            function = {"name": event.name or "", "arguments": "", "output": None}
            self.calls.append({"id": event.id or new_id("call"), "type": "function", "function": function})
        function = self.calls[min(event.index, len(self.calls) - 1)]["function"]
        function["arguments"] += event.arguments
        function["name"] = function["name"] or event.name or ""

    async def _write(self) -> None:
        if self._text:
            text = "".join(self._text)
            self._text.clear()
            await self._write_text(text)
        size = sum(1 + len(call["function"]["arguments"]) for call in self.calls)
        if size == self._written_calls:
            return
        calls, self._written_calls = orjson.loads(orjson.dumps(self.calls)), size
        if self._step_id is None:
            self._step_id = (await run_progress.begin_calls(self._store, self._open, calls)).id
        else:
            await run_progress.set_calls(self._store, self._open, self._step_id, calls)

    async def _write_text(self, text: str) -> None:
        if self._message is None:
            self._message = await run_progress.begin_message(self._store, self._open, text)
            return
        try:
            await streaming.append_text(self._store, self._who, self._message.id, text, is_read=False)
        except (NotFound, InvalidRequest) as error:  # the run or a client has ended the message
            raise RunLost from error


async def answer(
    store: Store, models: Models, open_run: OpenRun, interval_s: Callable[[], float], cost: Cost
) -> Outcome | Waiting:
    """Have a model answer a run in progress, and record the cost; return how the run ends or waits.

    Errors: RunLost; ModelFailed; Unavailable.
    """
    run = open_run.run
    found = models.resolve(run.settings["model"])
    if found is None:
        raise ModelFailed(FailureCode.SERVER_ERROR, f"The model '{run.settings['model']}' is no longer served.")
    written = Answer(store, open_run, interval_s, cost)
    request = await _request(store, open_run, found.name)
    if request.max_completion_tokens is not None and request.max_completion_tokens <= 0:
        return Outcome(RunStatus.INCOMPLETE, reason="max_completion_tokens")
    cost.begin(request)
    try:
        finished = await _stream(found.model.stream(request), written)
        step_id = await written.settle()
    except ModelFailed:
        cost.refuse()
        await written.settle()  # its text is kept
        raise
    finally:
        await written.close()
    cost.counted = finished.usage
    if step_id is not None and finished.reason in (FinishReason.TOOL_CALLS, FinishReason.STOP):
        return Waiting(step_id, written.calls)
    return _outcome(run, finished, cost.usage())


async def _stream(events: Any, written: Answer) -> Finished:
    event: ModelEvent
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Finished):
                return event
            await written.take(event)
            if written.is_full:
                return Finished(FinishReason.LENGTH)
    raise ModelFailed(FailureCode.SERVER_ERROR, "The model ended its answer without a reason.")


def _outcome(run: Run, finished: Finished, usage: dict[str, Any] | None) -> Outcome:
    reasons = {FinishReason.LENGTH: "max_completion_tokens", FinishReason.CONTENT_FILTER: "content_filter"}
    reason = reasons.get(finished.reason)
    most = run.settings["max_prompt_tokens"]
    if reason is None and most is not None and usage is not None and usage["prompt_tokens"] > most:
        reason = "max_prompt_tokens"
    status = RunStatus.COMPLETED if reason is None else RunStatus.INCOMPLETE
    return Outcome(status, reason=reason, usage=usage)


async def _request(store: Store, open_run: OpenRun, model: str) -> ModelRequest:
    run = open_run.run
    async with store.read() as reads:
        steps = await reads.steps_of(open_run.reach, run.id)
    messages = await _messages(store, open_run)
    if any(part.type == "image_file" for message in messages for part in message.content):
        raise ModelFailed(FailureCode.INVALID_PROMPT, "A message has an image file; this server has no files.")
    done = [step for step in steps if step.status is StepStatus.COMPLETED]
    return request_for(run, done, messages, model=model)


async def _messages(store: Store, open_run: OpenRun) -> list[Message]:
    """Read the newest messages of the thread, as many as the run asks for and as fit, oldest first."""
    run = open_run.run
    left = min(run.settings["truncation_strategy"]["last_messages"] or MOST_MESSAGES, MOST_MESSAGES)
    found: list[Message] = []
    stored, after = 0, None
    while left > 0:
        page = PageRequest(min(left, _PAGE), Order.DESC, after)
        async with store.read() as reads:
            [rows] = await reads.list_pages(open_run.reach, PageRead((run.thread_id,), page))
        for message in rows.items:
            stored += message.stored
            left -= message.run_id != run.id
            if stored <= MOST_BYTES or not found:
                found.append(message)
        if not rows.has_more or stored > MOST_BYTES:
            break
        after = found[-1].id
    return found[::-1]
