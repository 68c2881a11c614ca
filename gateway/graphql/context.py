"""The context of one operation: the store, the caller, and loaders that batch look-ups.

Must not be here: fields of the schema.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import strawberry
from strawberry.dataloader import DataLoader

from gateway.core import messages, threads
from gateway.domain.page import WHOLE, AnswerBudget, PageRead, Rows
from gateway.errors import AnswerTooLarge

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from gateway.auth.authenticator import Authenticator
    from gateway.concurrency import SharedCalls
    from gateway.core import Store
    from gateway.domain.message import Message
    from gateway.domain.page import PageRequest
    from gateway.domain.principal import Principal
    from gateway.domain.thread import Thread
    from gateway.events.hub import Hub

MAX_PAGES: Final = 100  # in one round trip
K = TypeVar("K")
V = TypeVar("V")


class PageKey(NamedTuple):
    """A page of a thread; pages that differ only in the thread are read by one statement."""

    thread_id: str
    page: PageRequest
    run_id: str | None


@dataclass  # not frozen: one is made for each request, and takes three times as long when it is
class Context:
    """The context value of one operation.

    `resume_after` is the cursor that a transport has received from its client; it overrides the argument `after`.
    `last_cursor` is the cursor of the last event of a subscription, for transports that send event IDs, and `answers`
    holds what was made of that event for any of its followers.
    The loaders cache nothing: the payload of a mutation must contain the state after it.
    """

    store: Store
    hub: Hub
    who: Principal
    authenticator: Authenticator
    resume_after: str | None = None
    last_cursor: str | None = None
    answers: SharedCalls[Any] | None = None
    reads_changed: bool = True  # whether the payload of the mutation that runs needs more of its object than the ids
    parts: int = 0  # content parts and attachments of all messages that this operation creates
    read: AnswerBudget = field(default_factory=AnswerBudget)  # messages, counted whenever they are read
    delivered: AnswerBudget = field(default_factory=AnswerBudget)  # the same, whenever they are part of the response

    def count_prefetched(self, pages: Sequence[Rows]) -> None:
        """Count pages that were read and become part of the response.

        Errors: AnswerTooLarge.
        """
        stored = count = 0
        for each in pages:
            stored += each.stored
            count += len(each.rows)
        if not (self.read.fits((stored, count)) and self.delivered.fits((stored, count))):
            for each in pages:
                each.rows = ()  # an error keeps the locals of its frames alive
            raise AnswerTooLarge

    def count_delivered(self, found: Rows) -> None:
        """Count a page that becomes part of the response.

        Errors: AnswerTooLarge.
        """
        if not self.delivered.fits((found.stored, len(found.rows))):
            raise AnswerTooLarge

    @property
    def context(self) -> Context:
        """The only part of Strawberry's `Info` that resolvers use; the fast executor passes the context instead."""
        return self

    @cached_property
    def loads(self) -> set[asyncio.Task[Any]]:
        """The tasks of the loaders, which only the deadline cancels."""
        return set()

    @cached_property
    def threads(self) -> DataLoader[str, Thread | None]:
        """Threads by id."""
        return DataLoader(self._registered(self.load_threads), cache=False)

    @cached_property
    def messages(self) -> DataLoader[str, Message | None]:
        """Messages by id."""
        return DataLoader(self._registered(self.load_messages), cache=False)

    @cached_property
    def pages(self) -> DataLoader[PageKey, Rows]:
        """Pages of messages by thread and page request."""
        return DataLoader(self._registered(self._load_pages), max_batch_size=MAX_PAGES, cache=False)

    def _registered(self, load: Callable[[list[K]], Awaitable[list[V]]]) -> Callable[[list[K]], Awaitable[list[V]]]:
        async def registered(keys: list[K]) -> list[V]:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101  (Strawberry loads in a task)
            self.loads.add(task)
            try:
                return await load(keys)
            finally:
                self.loads.discard(task)

        return registered

    async def load_threads(self, keys: Sequence[str]) -> list[Thread | None]:
        """Read threads by id."""
        found = await threads.get_many(self.store, self.who, list(dict.fromkeys(keys)))
        return [found.get(key) for key in keys]

    async def load_messages(self, keys: Sequence[str]) -> list[Message | None]:
        """Read messages by id that become part of the response.

        Errors: AnswerTooLarge.
        """
        found = await messages.get_many(self.store, self.who, list(dict.fromkeys(keys)))
        all_of_them = sum(each.stored for each in found.values()), len(found)
        if not (self.read.fits(all_of_them) and self.delivered.fits(all_of_them)):
            found.clear()
            raise AnswerTooLarge
        return [found.get(key) for key in keys]

    async def _load_pages(self, keys: list[PageKey]) -> list[Rows]:
        groups: dict[tuple[PageRequest, str | None], dict[str, Rows]] = {}
        for key in keys:
            groups.setdefault((key.page, key.run_id), {})[key.thread_id] = Rows(WHOLE, (), has_more=False)
        for (page, run_id), pages in groups.items():
            read = PageRead(list(pages), page, run_id)
            found = await messages.list_pages(self.store, self.who, read, known=True)
            pages.update(zip(pages, [each.found for each in found], strict=True))
            if not self.read.fits(*((each.stored, len(each.rows)) for each in pages.values())):
                groups.clear()
                found.clear()  # an error keeps the locals of its frames alive
                raise AnswerTooLarge
        return [groups[key.page, key.run_id][key.thread_id] for key in keys]


Info = strawberry.Info[Context, Any]
