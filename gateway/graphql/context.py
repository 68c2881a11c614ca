"""The context of one operation: the store, the caller, and loaders that batch look-ups.

Must not be here: fields of the schema.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import strawberry

from gateway.concurrency import Loader
from gateway.core import messages, runs, threads
from gateway.domain.page import WHOLE, AnswerBudget, PageRead
from gateway.domain.thread_list import NOTHING
from gateway.errors import AnswerTooLarge, InvalidRequest, NotFound
from gateway.runs.service import OFF

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from gateway.auth.authenticator import Authenticator
    from gateway.concurrency import SharedCalls
    from gateway.core import Store
    from gateway.domain.idempotency import Attempt
    from gateway.domain.ids import ThreadId
    from gateway.domain.message import Message
    from gateway.domain.page import Fields, Page, PageRequest, Rows
    from gateway.domain.principal import Principal
    from gateway.domain.run import Run, RunStep
    from gateway.domain.thread import Thread
    from gateway.domain.thread_list import Beside, ThreadPage
    from gateway.events.hub import Hub
    from gateway.runs.service import Runs

_BYTES: Final = itemgetter(-1)
MAX_PAGES: Final = 100  # in one round trip
MAX_KEYS: Final = 1_000  # threads or messages, the same


class PageKey(NamedTuple):
    """A page of a thread; pages that differ only in the thread are read by one statement."""

    thread_id: ThreadId
    page: PageRequest
    run_id: str | None


class BesideKey(NamedTuple):
    """What is read of a thread."""

    thread_id: str
    beside: Beside


@dataclass  # not frozen: one is made for each request, and takes three times as long when it is
class Context:
    """The context value of one operation.

    `resume_after` is the cursor that a transport has received from its client; it overrides the argument `after`.
    `last_cursor` is the cursor of the last event of a subscription, for transports that send event IDs, and `answers`
    caches the answers to that event for all of its followers. The loaders cache nothing: the payload of a mutation must
    contain the state after it.
    """

    store: Store
    hub: Hub
    who: Principal
    authenticator: Authenticator
    task: asyncio.Task[Any] | None = None  # in which the operation runs; fields side by side run in tasks of their own
    resume_after: str | None = None
    runs: Runs | None = None
    last_cursor: str | None = None
    answers: SharedCalls[Any] | None = None
    reads_changed: bool = True  # whether the payload of the running mutation needs more of its object than the ids
    beside: Beside = NOTHING  # what the next list of threads reads of each
    reads_event_cursor: bool = False  # whether the operation may select it
    root_key: str = ""  # the response key of the running mutation, in the fast executor
    replays: list[str] = field(default_factory=list)  # response keys of replayed creations
    parts: int = 0  # content parts and attachments of all messages that this operation creates
    read: AnswerBudget = field(default_factory=AnswerBudget)  # messages, counted whenever they are read
    delivered: AnswerBudget = field(default_factory=AnswerBudget)  # the same, whenever they are part of the response

    def count_prefetched(self, *pages: list[Any], times: int = 1) -> None:
        """Count rows of messages that become part of the response, so many times.

        Errors: AnswerTooLarge.
        """
        sizes = list(filter(None, map(_BYTES, chain(*pages))))  # 0 stands for no message
        read = sum(sizes), len(sizes)
        if not (self.read.fits(read) and self.delivered.fits(*[read] * times)):
            for each in pages:
                each.clear()  # an error keeps the locals of its frames alive
            raise AnswerTooLarge

    def count_delivered(self, found: Rows) -> None:
        """Count a page that becomes part of the response.

        Errors: AnswerTooLarge.
        """
        if not self.delivered.fits((found.stored, len(found.rows))):
            raise AnswerTooLarge

    @property
    def served_runs(self) -> Runs:
        """The runs, where models are set.

        Errors: InvalidRequest.
        """
        if self.runs is None:
            raise InvalidRequest(OFF, code="runs_are_off")
        return self.runs

    def note_replay(self, info: Any, attempt: Attempt | None) -> None:
        """Note for `extensions.idempotentReplay` that the mutation at this path is a replay."""
        if attempt is not None and attempt.is_replay:
            path = getattr(info, "path", None)  # the fast executor passes the context in place of Strawberry's `Info`
            self.replays.append(self.root_key if path is None else path.key)

    @property
    def context(self) -> Context:
        """The only part of Strawberry's `Info` that resolvers use; the fast executor passes the context instead."""
        return self

    @cached_property
    def threads(self) -> Loader[str, Thread]:
        """Threads by id."""
        return Loader(partial(threads.get_many, self.store, self.who), MAX_KEYS, self.task)

    @cached_property
    def messages(self) -> Loader[str, Message]:
        """Messages by id."""
        return Loader(self.load_messages, MAX_KEYS, self.task)

    @cached_property
    def threads_beside(self) -> Loader[BesideKey, ThreadPage]:
        """Pages of one thread each."""
        return Loader(self._load_beside, MAX_KEYS, self.task)

    @cached_property
    def run_pages(self) -> Loader[PageKey, Page[Run]]:
        """Pages of runs by thread and page request."""
        return Loader(self._load_run_pages, MAX_PAGES, self.task)

    @cached_property
    def run_steps(self) -> Loader[str, tuple[RunStep, ...]]:
        """Steps by run."""
        return Loader(partial(runs.steps_of_each, self.store, self.who), MAX_PAGES, self.task)

    @cached_property
    def pages(self) -> Loader[PageKey, Rows]:
        """Pages of messages by thread and page request."""
        return Loader(self._load_pages, MAX_PAGES, self.task)

    async def thread_of(self, thread_id: str) -> Thread:
        """Load the thread of an object that was read or changed.

        Errors: NotFound where it was deleted since.
        """
        found = await self.threads.load(thread_id)
        if found is None:
            raise NotFound("thread", thread_id)
        return found

    async def load_messages(self, keys: Sequence[str], fields: Fields = WHOLE) -> dict[str, Message]:
        """Read some fields of messages by id, as part of the response; unknown ids are omitted.

        Errors: AnswerTooLarge.
        """
        found = await messages.get_many(self.store, self.who, keys, fields)
        self.count_prefetched(found.rows)
        return found.by_id()

    async def _load_beside(self, keys: list[BesideKey]) -> dict[BesideKey, ThreadPage]:
        loaded: dict[BesideKey, ThreadPage] = {}
        for beside in {key.beside for key in keys}:
            wanted = [key.thread_id for key in keys if key.beside == beside]
            found = await threads.list_beside(self.store, self.who, wanted, beside)
            loaded.update((BesideKey(thread_id, beside), one) for thread_id, one in found.each())
        return loaded

    async def _load_run_pages(self, keys: list[PageKey]) -> dict[PageKey, Page[Run]]:
        loaded: dict[PageKey, Page[Run]] = {}
        for page in {key.page for key in keys}:
            wanted = [key.thread_id for key in keys if key.page == page]
            found = await runs.list_pages(self.store, self.who, wanted, page)
            loaded.update((PageKey(each, page, None), found[each]) for each in wanted)
        return loaded

    async def _load_pages(self, keys: list[PageKey]) -> dict[PageKey, Rows]:
        groups: dict[tuple[PageRequest, str | None], list[PageKey]] = {}
        for key in keys:
            groups.setdefault((key.page, key.run_id), []).append(key)
        loaded: dict[PageKey, Rows] = {}
        for (page, run_id), group in groups.items():
            read = PageRead([each.thread_id for each in group], page, run_id)
            found = await messages.list_pages(self.store, self.who, read, known=True)
            loaded.update(zip(group, found, strict=True))
            if not self.read.fits(*((each.stored, len(each.rows)) for each in found)):
                loaded.clear()
                found.clear()  # an error keeps the locals of its frames alive
                raise AnswerTooLarge
        return loaded


Info = strawberry.Info[Context, Any]
