"""What the faces need of runs: creating, cancelling, continuing and following them.

Must not be here: the use cases of one transaction (`core.runs`), how a run is answered (`worker`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from gateway.background import BackgroundTask
from gateway.core import assistants, epochs, runs
from gateway.domain.run import ASSISTANT_FIELDS, SETTINGS
from gateway.domain.run_events import Place, Seen, cancelled_with_thread, events_between, seen_at
from gateway.errors import InvalidRequest, NotFound, excerpt
from gateway.runs.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from gateway.core import Store
    from gateway.domain.idempotency import Attempt
    from gateway.domain.ids import ThreadId
    from gateway.domain.principal import Principal
    from gateway.domain.run import NewRun, Run, ToolOutputs
    from gateway.domain.run_events import Event
    from gateway.domain.thread import Thread
    from gateway.events.hub import Hub
    from gateway.observability.metrics import Reading
    from gateway.runs.models.interface import Models
    from gateway.runs.worker import Trace

OFF: Final = (
    "Runs are not served here: this server keeps threads and messages and does not run models. To turn runs on, set "
    "GATEWAY_MODEL_URL to an OpenAI-compatible endpoint."
)
_DEFAULTS: Final[dict[str, Any]] = {  # of the settings of a run
    **ASSISTANT_FIELDS,
    "max_completion_tokens": None,
    "max_prompt_tokens": None,
    "truncation_strategy": {"type": "auto", "last_messages": None},
    "tool_choice": "auto",
    "parallel_tool_calls": True,
}


class Budget(Protocol):
    """Counts the tokens of runs."""

    async def require_tokens(self, payer: str) -> None:
        """Check that a payer has tokens left.

        Errors: TooManyRequests.
        """

    async def spend_tokens(self, payer: str, tokens: int) -> None:
        """Count the tokens of a call of a model."""


@dataclass(frozen=True, slots=True)
class Answering:
    """The models that answer runs, and the seconds that running answers get to finish at shutdown."""

    models: Models
    shutdown_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs over a store, answered by the models of the settings."""

    store: Store
    hub: Hub
    models: Models
    worker: Worker
    budget: Budget
    shutdown_s: float

    async def create(self, who: Principal, thread_id: ThreadId, new: NewRun, attempt: Attempt | None = None) -> Run:
        """Create a run of a thread.

        Errors: those of `core.runs.create`; NotFound for the assistant; InvalidRequest for an unknown model.
        """
        who.require_run(new.assistant_id, is_plain=new.is_plain)
        created = await runs.create(self.store, who, thread_id, new, partial(self._settle, who, new), attempt=attempt)
        self.worker.wake()
        return created

    async def create_with_thread(
        self, who: Principal, new: NewRun, attempt: Attempt | None = None
    ) -> tuple[Thread, Run]:
        """Create a thread and a run of it.

        Errors: as above.
        """
        who.require_run(new.assistant_id, is_plain=new.is_plain)
        created = await runs.create_with_thread(self.store, who, new, partial(self._settle, who, new), attempt)
        self.worker.wake()
        return created

    async def cancel(self, who: Principal, thread_id: ThreadId | None, run_id: str) -> Run:
        """Cancel a run.

        Errors: those of `core.runs.cancel`.
        """
        cancelled = await runs.cancel(self.store, who, thread_id, run_id)
        self.worker.cancel(who.reach.project_id, run_id)
        self.worker.wake()
        return cancelled

    async def submit_tool_outputs(
        self, who: Principal, thread_id: ThreadId | None, run_id: str, outputs: ToolOutputs
    ) -> tuple[Run, Seen]:
        """Give a run the outputs of functions; return it, and what a reader of its former state has seen.

        Errors: those of `core.runs.submit_tool_outputs`.
        """
        run, before = await runs.submit_tool_outputs(self.store, who, thread_id, run_id, outputs)
        self.worker.wake()
        return run, seen_at(before)

    async def follow(self, who: Principal, run: Run, seen: Seen) -> AsyncGenerator[Event, None]:
        """Yield the events of a run after those that were seen, until it ends or waits for functions, or is deleted."""
        with self.hub.listen((who.reach.project_id, run.thread_id), 0) as audience:
            while True:
                hints = audience.hints
                view = await runs.view(self.store, who, run, seen)
                if view is None:
                    yield cancelled_with_thread(seen, run)
                    return
                for event in events_between(seen, view):
                    yield event
                if view.is_over:
                    return
                await audience.wait(hints)

    async def seen_at(self, who: Principal, run: Run, place: Place) -> Seen:
        """Return what a reader has seen of a run at a place."""
        view = await runs.view(self.store, who, run, Seen())
        return Seen() if view is None else seen_at(view, place)

    async def epoch(self) -> str:
        """Return the epoch of the database, to which places of readers belong."""
        async with self.store.read() as reads:
            return await epochs.current(reads, self.hub)

    async def close(self) -> None:
        """Give running answers the rest of their time since the shutdown began, and close the models."""
        await self.worker.close(self.shutdown_s)
        await self.models.close()

    async def _settle(self, who: Principal, new: NewRun) -> dict[str, Any]:
        """Return the SETTINGS of a new run: its own, else its assistant's, else the default.

        A retry that finds its run does not come here, so it gets no error.
        """
        await self.budget.require_tokens(who.payer)
        assistant = await self._assistant(who, new.assistant_id)
        merged = {**_DEFAULTS, **assistant, **new.given}
        found = self.models.resolve(merged["model"])
        if found is None:
            name = excerpt(merged["model"] or "")
            raise InvalidRequest(f"The requested model '{name}' does not exist.", param="model", code="model_not_found")
        if merged["model"] is None and self.models.resolve(found.name) is not None:
            merged["model"] = found.name  # clients see this name
        if new.additional_instructions:
            texts = (merged["instructions"], new.additional_instructions)
            merged["instructions"] = "\n".join(text for text in texts if text)
        return {name: merged[name] for name in SETTINGS}

    async def _assistant(self, who: Principal, assistant_id: str) -> dict[str, Any]:
        try:
            return (await assistants.find(self.store, who, assistant_id)).fields
        except NotFound:
            mapped = self.models.assistant(assistant_id)
            if mapped is None:
                raise
            given = {"model": mapped.model, "instructions": mapped.instructions}
            return {name: value for name, value in given.items() if value is not None}


def runs_of(
    store: Store, hub: Hub, budget: Budget, answering: Answering | None, trace: Trace | None = None
) -> Runs | None:
    """Return the runs of one process; None if no model answers them."""
    if answering is None:
        return None
    worker = Worker(store, answering.models, spend=budget.spend_tokens, trace=trace)
    return Runs(store, hub, answering.models, worker, budget, answering.shutdown_s)


def tasks_of(runs: Runs | None) -> list[BackgroundTask]:
    """List the background tasks."""
    if runs is None:
        return []
    return [BackgroundTask("answering_runs", runs.worker.run), BackgroundTask("renewing_leases", runs.worker.renew)]


def readings_of(runs: Runs | None) -> list[Reading]:
    """List the metrics, which are read at each scrape."""
    if runs is None:
        return []
    from gateway.observability.metrics import Reading  # noqa: PLC0415  (without metrics it is not loaded)

    worker = runs.worker
    return [
        Reading("gateway_runs_running", "Runs that are answered now", lambda: {"all": worker.running()}, "of"),
        Reading("gateway_runs", "Runs that have ended, by status", lambda: worker.ended, "status", is_counter=True),
        Reading("gateway_run_tokens", "Tokens of runs, by kind", lambda: worker.tokens, "kind", is_counter=True),
    ]
