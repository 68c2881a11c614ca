"""The reads and writes of runs, their steps and assistants.

Must not be here: the text of statements (`statements.runs`), which status may follow which (`domain.run`).
"""

from __future__ import annotations

from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, TypeVar

from gateway.domain.delta import Delta
from gateway.domain.message import with_created_at
from gateway.domain.page import Page, PageRows, take_all, take_first, take_page
from gateway.domain.principal import Reach
from gateway.domain.run import Assistant, OpenRun, Run, RunStep
from gateway.domain.wire import dump_text
from gateway.store.filling import FillWrites
from gateway.store.reads import Reads
from gateway.store.rows import columns_of
from gateway.store.schema import tables
from gateway.store.statements import assistants, following, postgres_pages, runs
from gateway.store.statements.paging import is_ascending
from gateway.store.statements.single_rows import set_row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.domain.idempotency import IdempotencyKey
    from gateway.domain.ids import ThreadId
    from gateway.domain.message import Message
    from gateway.domain.page import PageRequest
    from gateway.store.rows import Values
    from gateway.store.statement_cache import Build

T = TypeVar("T", Run, RunStep, Assistant)

_THREAD: Final = Run._fields.index("thread_id")
_POSITION: Final = itemgetter(Run._fields.index("position"))


class RunReads(Reads):
    """What can be read of runs, beside threads and messages."""

    async def get_run(self, reach: Reach, run_id: str) -> Run | None:
        """Return a run."""
        found = await self._rows(runs.get_run, reach, run_id)
        return Run(*found[0]) if found else None

    async def get_run_again(self, reach: Reach, run: Run) -> Run | None:
        """Return a run as it is now, with its known settings."""
        found = await self._rows(runs.get_run_again, reach, run.id)
        return Run(*found[0])._replace(settings_json=run.settings_json) if found else None

    async def deltas_after(self, reach: Reach, message_id: str, position: int) -> list[tuple[int, Delta]]:
        """Return the deltas of a message in progress after a position, in order, each with its position."""
        found = await self._rows(following.deltas_after, reach, message_id, position)
        return [(row[0], Delta(*row[1:])) for row in found]

    async def list_runs(self, reach: Reach, thread_id: str, page: PageRequest) -> Page[Run]:
        """Return one page of a thread's runs."""
        local, remote = runs.list_runs, postgres_pages.list_runs_within_bytes
        return await self._page_of(Run, page, local, remote, reach, thread_id, page)

    async def list_runs_of_each(
        self, reach: Reach, thread_ids: Sequence[str], page: PageRequest
    ) -> dict[str, Page[Run]]:
        """Return the same page of each of several threads.

        Errors: AnswerTooLarge where they are larger than the limit of one response.
        """
        if len(thread_ids) == 1:
            return {thread_ids[0]: await self.list_runs(reach, thread_ids[0], page)}
        local, remote = runs.list_runs_of_each, postgres_pages.list_runs_of_each_within_bytes
        build = local if self._connection.is_sqlite else remote
        found: dict[str, list[Any]] = {thread_id: [] for thread_id in thread_ids}
        for row in await self._taken(take_all, build, reach, dump_text(list(thread_ids)), page):
            found[row[_THREAD]].append(row)
        for own in found.values():
            own.sort(key=_POSITION, reverse=not is_ascending(page))
        return {thread_id: _page(take_first(own, page.limit), Run, page) for thread_id, own in found.items()}

    async def any_run_from(self, reach: Reach, thread_id: str, cursor: str, *, up: bool) -> bool:
        """Say whether a run of a thread is at a cursor or past it."""
        return await self._flag(runs.any_run_from, reach, thread_id, cursor, up)

    async def any_assistant_from(self, reach: Reach, cursor: str, *, up: bool) -> bool:
        """Say whether an assistant is at a cursor or past it."""
        return await self._flag(assistants.any_assistant_from, reach, cursor, up)

    async def has_run(self, reach: Reach, thread_id: str, cursor: str) -> bool:
        """Say whether a cursor names a run of the thread."""
        return await self._flag(runs.has_run, reach, thread_id, cursor)

    async def has_files(self, reach: Reach, thread_id: str) -> bool:
        """Say whether a message of a thread has a file."""
        return bool(await self._rows(runs.has_files, reach, thread_id))

    async def steps_of(self, reach: Reach, run_id: str, position: int = 0) -> tuple[RunStep, ...]:
        """Return the steps of a run after a position, oldest first."""
        return (await self.steps_of_each(reach, [run_id], position))[run_id]

    async def steps_of_each(
        self, reach: Reach, run_ids: Sequence[str], position: int = 0
    ) -> dict[str, tuple[RunStep, ...]]:
        """Return the steps of each of several runs after a position, oldest first."""
        found: dict[str, list[RunStep]] = {run_id: [] for run_id in run_ids}
        for row in await self._rows(runs.steps_of_each, reach, dump_text(list(run_ids)), position):
            step = RunStep(*row)
            found[step.run_id].append(step)
        return {run_id: tuple(steps) for run_id, steps in found.items()}

    async def list_steps(self, reach: Reach, run_id: str, page: PageRequest) -> Page[RunStep]:
        """Return one page of a run's steps."""
        local, remote = runs.list_steps, postgres_pages.list_steps_within_bytes
        return await self._page_of(RunStep, page, local, remote, reach, run_id, page)

    async def has_step(self, reach: Reach, run_id: str, cursor: str) -> bool:
        """Say whether a cursor names a step of the run."""
        return await self._flag(runs.has_step, reach, run_id, cursor)

    async def get_assistants(self, reach: Reach, assistant_ids: Sequence[str]) -> dict[str, Assistant]:
        """Return assistants by id; unknown ids are omitted."""
        found = await self._rows(assistants.get_assistants, reach, list(assistant_ids))
        return {row[0]: Assistant(*row) for row in found}

    async def list_assistants(self, reach: Reach, page: PageRequest) -> Page[Assistant]:
        """Return one page of the project's assistants."""
        local, remote = assistants.list_assistants, postgres_pages.list_assistants_within_bytes
        return await self._page_of(Assistant, page, local, remote, reach, page)

    async def has_assistant(self, reach: Reach, cursor: str) -> bool:
        """Say whether a cursor names an assistant."""
        return await self._flag(assistants.has_assistant, reach, cursor)

    async def due_runs(self, limit: int) -> list[tuple[str, str]]:
        """Return the projects and ids of runs that a worker has to handle, in turns between projects."""
        return [(row[0], row[1]) for row in await self._rows(runs.due_runs, limit)]

    async def _page_of(self, kind: type[T], page: PageRequest, local: Build, remote: Build, *arguments: Any) -> Page[T]:
        """Return one page, which ends early by its bytes; PostgreSQL, which sends all rows, ends it in a statement."""
        build = local if self._connection.is_sqlite else remote
        return _page(await self._taken(partial(take_page, limit=page.limit), build, *arguments), kind, page)


class RunWrites(FillWrites, RunReads):
    """What can be changed of runs, beside threads and messages."""

    async def lock_thread(self, reach: Reach, thread_id: ThreadId, run_id: str) -> int:
        """Lock a thread for a run, and allocate the position of the run's creation.

        Errors: NotFound for the thread; ThreadLocked where it has an active run.
        """
        found = await self._rows(runs.lock_thread, reach, thread_id, run_id)
        if not found:
            raise await self._why_not_free(reach, thread_id)
        position, _, owner = found[0]
        self._touch(reach, thread_id, owner, position)
        return int(position)

    async def free_thread(self, reach: Reach, thread_id: ThreadId, run_id: str) -> int:
        """Free a thread that a run has locked, and allocate the position of the change."""
        found = await self._rows(runs.free_thread, reach, thread_id, run_id)
        if not found:
            return await self.next_position(reach, thread_id)
        position, _, owner = found[0]
        self._touch(reach, thread_id, owner, position)
        return int(position)

    async def add_message_of_run(self, reach: Reach, message: Message, run_id: str, active_at: int) -> Message:
        """Add a message of the run that locks the thread, at a time in milliseconds.

        Errors: NotFound for the thread; ThreadLocked where it is locked by another run, or by none.
        """
        position, created_at = await self.take_positions(reach, message.thread_id, 1, active_at, run_id)
        message = with_created_at(message, created_at)
        await self.add_messages(reach, [message], position)
        return message

    async def add_run(self, reach: Reach, run: Run, key: IdempotencyKey | None) -> None:
        """Add a run that waits for a worker.

        Errors: KeyTaken.
        """
        await self._rows(runs.insert_run, reach, {**_row(runs.RUN_COLUMNS, run), **columns_of(key)})

    async def known_runs(self, reach: Reach, run_ids: Sequence[str]) -> dict[str, str]:
        """Return which ids belong to runs, and the thread of each."""
        return dict([row[:2] for row in await self._rows(runs.known_runs, reach, dump_text(run_ids))])

    async def known_steps(self, reach: Reach, step_ids: Sequence[str]) -> dict[str, str]:
        """Return which ids belong to steps, and the run of each."""
        return dict([row[:2] for row in await self._rows(runs.known_steps, reach, dump_text(step_ids))])

    async def import_runs(
        self, reach: Reach, added: Sequence[Run], steps: Sequence[RunStep], ends: Mapping[ThreadId, int]
    ) -> None:
        """Add ended runs and their steps at positions of locked threads, whose ends move there."""
        for table, columns, each in (
            (tables.runs, runs.RUN_COLUMNS, added),
            (tables.run_steps, runs.STEP_COLUMNS, steps),
        ):
            names = ("project_id", *(column.name for column in columns))
            values = [(reach.project_id, *row) for row in each]
            await self._connection.insert_rows(table, names, values)
        await self._connection.run_many(runs.move_position, [(reach, *end) for end in ends.items()])
        for thread_id in ends:
            self._touch(reach, thread_id)

    async def set_run(self, reach: Reach, run_id: str, values: Values) -> None:
        """Change a run."""
        await self._rows(set_row, reach, tables.runs, run_id, values)

    async def make_due(self, reach: Reach, run_id: str) -> None:
        """Let any worker take a run."""
        await self._rows(runs.make_due, reach, run_id)

    async def add_step(self, reach: Reach, step: RunStep) -> None:
        """Add a step of a run."""
        await self._insert(tables.run_steps, {"project_id": reach.project_id, **_row(runs.STEP_COLUMNS, step)})

    async def set_step(self, reach: Reach, step_id: str, values: Values) -> None:
        """Change a step."""
        await self._rows(set_row, reach, tables.run_steps, step_id, values)

    async def lease_run(self, project_id: str, run_id: str, owner: str, lease_ms: int) -> tuple[OpenRun, bool] | None:
        """Take the lease of a run that is due, and say whether the run has expired; None where another was faster."""
        found = await self._rows(runs.lease_run, Reach(project_id), run_id, owner, lease_ms)
        if not found:
            return None
        *row, is_overdue = found[0]
        return OpenRun(project_id, Run(*row)), bool(is_overdue)

    async def renew_lease(self, project_id: str, run_id: str, owner: str, lease_ms: int) -> str | None:
        """Renew the lease of a run; return its status, or None where the lease was lost."""
        found = await self._rows(runs.renew_lease, Reach(project_id), run_id, owner, lease_ms)
        return str(found[0][0]) if found else None

    async def add_assistant(
        self, reach: Reach, assistant: Assistant, number: int, key: IdempotencyKey | None = None
    ) -> None:
        """Add an assistant; the number is its place in the list.

        Errors: KeyTaken.
        """
        own = {"project_id": reach.project_id, "number": number, **columns_of(key)}
        await self._insert(tables.assistants, own | _row(assistants.ASSISTANT_COLUMNS, assistant))

    async def set_assistant(self, reach: Reach, assistant: Assistant) -> None:
        """Change an assistant."""
        await self._rows(assistants.set_assistant, reach, assistant.id, assistant.fields_json)

    async def remove_assistant(self, reach: Reach, assistant_id: str) -> bool:
        """Delete an assistant; say whether it existed."""
        return bool(await self._rows(assistants.remove_assistant, reach, assistant_id))


def _page(found: PageRows[Any], kind: type[T], page: PageRequest) -> Page[T]:
    """Make the objects of rows that begin with their fields."""
    width = len(kind._fields)
    items = [kind(*row[:width]) for row in found.rows]
    if page.from_end:
        items.reverse()
    return Page(tuple(items), found.has_more)


def _row(columns: Sequence[Any], values: Sequence[Any]) -> Values:
    return {column.name: value for column, value in zip(columns, values, strict=True)}
