"""The use cases of assistants, which belong to a project: one function is one use case and one transaction.

Must not be here: parsing requests, rendering responses, SQL; assistants that the settings name (`runs`).
"""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from gateway.core import paging
from gateway.core.idempotency import create_once
from gateway.domain import metadata
from gateway.domain.idempotency import Kind
from gateway.domain.ids import new_id
from gateway.domain.principal import Scope
from gateway.domain.run import ASSISTANT_FIELDS, Assistant
from gateway.domain.unset import UNSET
from gateway.domain.wire import dump_text
from gateway.errors import NotFound
from gateway.observability import audit
from gateway.observability.audit import Event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.core import Store
    from gateway.domain.idempotency import Attempt
    from gateway.domain.metadata import MetadataPatch
    from gateway.domain.page import Page, PageEnds, PageRequest
    from gateway.domain.principal import Principal
    from gateway.domain.unset import Unset
    from gateway.store.runs import RunWrites


async def create(store: Store, who: Principal, fields: dict[str, Any], attempt: Attempt | None = None) -> Assistant:
    """Create an assistant of parsed fields.

    Errors: Forbidden; those of an idempotency key.
    """
    _require(who, Scope.WRITE)
    given = {name: each for name, each in fields.items() if each != ASSISTANT_FIELDS[name]}
    key = None if attempt is None else attempt.identify(who, Kind.ASSISTANT, None, given)

    async def add() -> Assistant:
        assistant = Assistant(new_id("asst"), int(time.time()), dump_text(fields))
        number = time.time_ns() // 1000
        await store.write(lambda transaction: transaction.add_assistant(who.reach, assistant, number, key))
        return assistant

    return await create_once(store, who, attempt, key, create=add, read=partial(find, store, who))


async def add_all(store: Store, who: Principal, given: Sequence[Assistant]) -> int:
    """Add assistants with their ids and times, oldest first, and return how many are new; what exists stays as it is.

    Errors: Forbidden.
    """
    _require(who, Scope.WRITE)

    async def work(transaction: RunWrites) -> int:
        known = await transaction.get_assistants(who.reach, [each.id for each in given]) if given else {}
        fresh = {each.id: each for each in given if each.id not in known}
        seconds: Counter[int] = Counter()
        for each in fresh.values():
            number = each.created_at * 1_000_000 + seconds[each.created_at]
            seconds[each.created_at] += 1
            await transaction.add_assistant(who.reach, each, number)
        return len(fresh)

    return await store.write(work)


async def get(store: Store, who: Principal, assistant_id: str) -> Assistant:
    """Return an assistant.

    Errors: Forbidden; NotFound.
    """
    _require(who, Scope.READ)
    return await find(store, who, assistant_id)


async def get_if_any(store: Store, who: Principal, assistant_id: str) -> Assistant | None:
    """Return an assistant, if there is one for this caller."""
    who.require(Scope.READ)
    if not who.has_project:
        return None
    return await _read(store, who, assistant_id)


async def find(store: Store, who: Principal, assistant_id: str) -> Assistant:
    """Return an assistant to create a run with, which needs no scope to read.

    Errors: NotFound.
    """
    found = await _read(store, who, assistant_id)
    if found is None:
        raise NotFound("assistant", assistant_id)
    return found


async def _read(store: Store, who: Principal, assistant_id: str) -> Assistant | None:
    async with store.read() as reads:
        return (await reads.get_assistants(who.reach, [assistant_id])).get(assistant_id)


async def update(
    store: Store, who: Principal, assistant_id: str, given: dict[str, Any], patch: MetadataPatch | Unset
) -> Assistant:
    """Change the fields of an assistant that are given, and its metadata key by key.

    Errors: Forbidden; NotFound; InvalidRequest where the merged metadata has too many pairs.
    """
    _require(who, Scope.READ, Scope.WRITE)

    async def work(transaction: RunWrites) -> Assistant:
        assistant = (await transaction.get_assistants(who.reach, [assistant_id])).get(assistant_id)
        if assistant is None:
            raise NotFound("assistant", assistant_id)
        fields = {**assistant.fields, **given}
        if patch is not UNSET:
            fields["metadata"] = metadata.merge(fields["metadata"], patch)
        assistant = assistant._replace(fields_json=dump_text(fields))
        await transaction.set_assistant(who.reach, assistant)
        return assistant

    return await store.write(work, assistant_id)


async def delete(store: Store, who: Principal, assistant_id: str) -> None:
    """Delete an assistant; runs that were created with it continue.

    Errors: Forbidden; NotFound.
    """
    _require(who, Scope.WRITE)
    if not await store.write(lambda transaction: transaction.remove_assistant(who.reach, assistant_id), assistant_id):
        raise NotFound("assistant", assistant_id)
    audit.note(Event.ASSISTANT_DELETED, principal=who.name, project=who.reach.project_id, target=assistant_id)


async def list_page(store: Store, who: Principal, page: PageRequest) -> Page[Assistant]:
    """Return one page of the project's assistants.

    Errors: Forbidden; InvalidRequest for a cursor that names none of them.
    """
    _require(who, Scope.READ)
    async with store.read() as reads:
        found = await reads.list_assistants(who.reach, page)
        if not found.items:
            await paging.refuse_unknown_cursors(page, partial(reads.has_assistant, who.reach))
    return found


async def page_ends(store: Store, who: Principal, page: PageRequest, found: Page[Assistant]) -> PageEnds:
    """Say whether the list of assistants continues before and after a page."""
    _require(who, Scope.READ)
    return await paging.page_ends(
        store, page, found, lambda reads, cursor, up: reads.any_assistant_from(who.reach, cursor, up=up)
    )


def _require(who: Principal, *scopes: Scope) -> None:
    who.require(*scopes)
    who.require_project()
