"""What resolvers of one operation share: the store, who asks, and loaders that gather look-ups of one step.

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
from gateway.domain.page import AnswerBudget, Page, Rows
from gateway.errors import AnswerTooLarge

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from gateway.auth.authenticator import Authenticator
    from gateway.core import Store
    from gateway.domain.message import Message
    from gateway.domain.page import PageEnds, PageRequest
    from gateway.domain.principal import Principal
    from gateway.domain.thread import Thread
    from gateway.events.hub import Hub

MAX_PAGES: Final = 100  # in one statement; SQLite joins 500 selects at most
K = TypeVar("K")
V = TypeVar("V")


class PageKey(NamedTuple):
    """Which page of which thread; pages that differ in the thread alone are read by one statement."""

    thread_id: str
    page: PageRequest
    run_id: str | None


class Ahead(NamedTuple):
    """A page that was read before it is asked for with these arguments."""

    arguments: Mapping[str, Any]
    key: PageKey
    found: Rows[Message]
    ends: PageEnds


@dataclass  # not frozen: one is made for each request, and takes three times as long when it is
class Context:
    """The context value of one operation.

    `resume_after` is where a transport says that its client had come to, and goes before the argument `after`; `told`
    is the cursor of the event that a subscription has told last, for transports that number their events.
    The loaders keep nothing: a mutation's payload must show what is there after it, not what was read before.
    """

    store: Store
    hub: Hub
    who: Principal
    authenticator: Authenticator
    at_work: set[asyncio.Task[Any]] = field(default_factory=set)  # loaders run in tasks that nobody else can cancel
    resume_after: str | None = None
    told: str | None = None
    parts: int = 0  # and attachments, of all messages that this operation has brought
    ahead: dict[str, Ahead] = field(default_factory=dict)  # pages that were read before they are asked for, by thread
    read: AnswerBudget = field(default_factory=AnswerBudget)  # messages, each time that they were read...
    shown: AnswerBudget = field(default_factory=AnswerBudget)  # ... and each time that they are shown, so never less

    def read_ahead(self, thread_id: str, ahead: Ahead) -> bool:
        """Keep a page that is about to be asked for, if an answer may hold it with what was read before."""
        if not self.read.fits((ahead.found.stored, len(ahead.found.rows))):
            return False
        self.ahead[thread_id] = ahead
        return True

    def show(self, found: Page[Message] | Rows[Message]) -> None:
        """Count a page that becomes a part of the answer.

        Errors: AnswerTooLarge.
        """
        items = found.rows if isinstance(found, Rows) else found.items
        if not self.shown.fits((found.stored, len(items))):
            raise AnswerTooLarge

    @property
    def context(self) -> Context:
        """What of Strawberry's `Info` our resolvers look at: where Strawberry does not call them, this is theirs."""
        return self

    @cached_property
    def threads(self) -> DataLoader[str, Thread | None]:
        """Threads by id."""
        return DataLoader(self._counted(self._load_threads), cache=False)

    @cached_property
    def messages(self) -> DataLoader[str, Message | None]:
        """Messages by id."""
        return DataLoader(self._counted(self._load_messages), cache=False)

    @cached_property
    def pages(self) -> DataLoader[PageKey, Page[Message]]:
        """Pages of messages by thread and what is asked of it."""
        return DataLoader(self._counted(self._load_pages), max_batch_size=MAX_PAGES, cache=False)

    def _counted(self, load: Callable[[list[K]], Awaitable[list[V]]]) -> Callable[[list[K]], Awaitable[list[V]]]:
        async def counted(keys: list[K]) -> list[V]:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101  (Strawberry loads in a task)
            self.at_work.add(task)
            try:
                return await load(keys)
            finally:
                self.at_work.discard(task)

        return counted

    async def _load_threads(self, keys: list[str]) -> list[Thread | None]:
        found = await threads.get_many(self.store, self.who, list(dict.fromkeys(keys)))
        return [found.get(key) for key in keys]

    async def _load_messages(self, keys: list[str]) -> list[Message | None]:
        found = await messages.get_many(self.store, self.who, list(dict.fromkeys(keys)))
        all_of_them = sum(each.stored for each in found.values()), len(found)
        if not (self.read.fits(all_of_them) and self.shown.fits(all_of_them)):
            found.clear()
            raise AnswerTooLarge
        return [found.get(key) for key in keys]

    async def _load_pages(self, keys: list[PageKey]) -> list[Page[Message]]:
        groups: dict[tuple[PageRequest, str | None], dict[str, Page[Message]]] = {}
        for key in keys:
            groups.setdefault((key.page, key.run_id), {})[key.thread_id] = Page((), has_more=False)
        for (page, run_id), pages in groups.items():
            pages.update(await messages.list_page_of_each(self.store, self.who, list(pages), page, run_id))
            if not self.read.fits(*((found.stored, len(found.items)) for found in pages.values())):
                groups.clear()  # an error holds what its frames do, as long as there are other errors
                raise AnswerTooLarge
        return [groups[key.page, key.run_id][key.thread_id] for key in keys]


Info = strawberry.Info[Context, Any]
