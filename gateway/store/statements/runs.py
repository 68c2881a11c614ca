"""Pure builders of statements on runs and their steps, and on the lock that a run has on its thread.

Every statement begins with what the caller can reach (`access`), except those by which workers find what is due.
Must not be here: what the rows mean (`runs`), the messages that a run adds (`messages`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    and_,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
    update,
)

from gateway.domain.run import RunRow, StepRow
from gateway.store.schema import tables
from gateway.store.statements import page_bytes, threads
from gateway.store.statements.access import is_shown, within, within_thread
from gateway.store.statements.functions import among, as_text, json_column, json_values, now_ms, value_as_text
from gateway.store.statements.paging import any_row, paged, past_cursor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Insert, ScalarSelect, Select, Table, Update
    from sqlalchemy.sql.dml import ReturningUpdate

    from gateway.domain.page import PageRequest
    from gateway.domain.principal import Reach


def _columns(table: Table, names: Sequence[str]) -> tuple[Any, ...]:
    """Return columns in the order of fields, whose names say more of their type."""
    return tuple(table.c[name.removesuffix("_json").removesuffix("_value")] for name in names)


RUN_COLUMNS: Final = _columns(tables.runs, RunRow._fields)
STEP_COLUMNS: Final = _columns(tables.run_steps, StepRow._fields)
_BY_POSITION: Final = (tables.runs.c.position,)
_STEPS_BY_POSITION: Final = (tables.run_steps.c.position,)
_RUN_TEXTS: Final = tuple(map(tables.runs.c.__getitem__, ("settings", "metadata", "required_action", "last_error")))
_STEP_TEXTS: Final = (tables.run_steps.c.details, tables.run_steps.c.last_error)
_IMAGE_FILE: Final = '%"type":"image_file"%'  # within a text the quotation marks would be escaped


# The lock of a thread.


def lock_thread(reach: Reach, thread_id: str, run_id: str) -> ReturningUpdate[Any]:
    """Lock a free thread for a run, and allocate the run's position.

    Shape: as `threads.next_position`; no row for an unknown thread, and for one with an active run.
    """
    own = tables.threads.c
    return threads.next_position(reach, thread_id).where(own.active_run.is_(None)).values(active_run=run_id)


def free_thread(reach: Reach, thread_id: str, run_id: str) -> ReturningUpdate[Any]:
    """Free a thread that a run has locked, and allocate the position of that change."""
    own = tables.threads.c
    return threads.next_position(reach, thread_id).where(own.active_run == run_id).values(active_run=None)


def active_run(reach: Reach, thread_id: str) -> Select[Any]:
    """Select the run that locks a thread, or null, and whether that run has expired or is gone."""
    own, runs = tables.threads.c, tables.runs.c
    of_run = within(tables.runs, reach), runs.id == own.active_run
    is_overdue = or_(runs.expires_at * 1000 <= now_ms(), runs.id.is_(None))
    joined = tables.threads.outerjoin(tables.runs, of_run[0] & of_run[1])
    return (
        select(own.active_run, is_overdue).select_from(joined).where(within(tables.threads, reach), own.id == thread_id)
    )


def has_files(reach: Reach, thread_id: str) -> Select[Any]:
    """Select a message of a thread that has a file, which no model here could read."""
    own = tables.messages.c
    has_file = or_(own.content.like(_IMAGE_FILE), own.attachments != "[]")
    of_thread = (within_thread(tables.messages, reach, thread_id), is_shown(reach, thread_id))
    return select(own.id).where(*of_thread, has_file).limit(1)


# Runs and steps.


def insert_run(reach: Reach, values: Mapping[str, Any]) -> Insert:
    """Insert a run that is due at once."""
    return insert(tables.runs).values({**values, "project_id": reach.project_id, "due_at": now_ms()})


def get_run(reach: Reach, run_id: str) -> Select[Any]:
    """Select a run of any thread."""
    return select(*RUN_COLUMNS).where(_shown(reach), tables.runs.c.id == run_id)


def get_run_again(reach: Reach, run_id: str) -> Select[Any]:
    """Select a run of any thread without its settings, which never change and may be long."""
    again = (literal("").label(own.name) if own is tables.runs.c.settings else own for own in RUN_COLUMNS)
    return select(*again).where(_shown(reach), tables.runs.c.id == run_id)


def get_runs(reach: Reach, run_ids: Sequence[str]) -> Select[Any]:
    """Select runs of any thread by their ids, in no order."""
    return select(*RUN_COLUMNS).where(_shown(reach), tables.runs.c.id.in_(run_ids))


def list_runs(reach: Reach, thread_id: str, page: PageRequest) -> Select[Any]:
    """Select one page of a thread's runs, and one row more.

    Shape: RUN_COLUMNS and BYTES.
    """
    stored = page_bytes.of_texts(*_RUN_TEXTS)
    own = select(*RUN_COLUMNS, stored).where(within_thread(tables.runs, reach, thread_id), is_shown(reach, thread_id))
    return paged(own, _BY_POSITION, page, partial(place_of_run, reach, thread_id))


def list_runs_of_each(reach: Reach, thread_ids: str, page: PageRequest) -> Select[Any]:
    """Select the same page of several threads, whose ids are an array of JSON; the rows are in no order.

    Shape: RUN_COLUMNS and BYTES.
    """
    thread = json_values(as_text(thread_ids)).table_valued("value", name="thread")
    one: Any = value_as_text(literal_column("thread.value"))  # the id of the outer statement
    listed = list_runs(reach, one, page).with_only_columns(tables.runs.c.id).subquery("listed")
    ids = json_values(select(json_column(listed.c.id)).scalar_subquery()).table_valued("value", name="run")
    own = and_(within_thread(tables.runs, reach, one), tables.runs.c.id == value_as_text(ids.c.value))
    found = thread.join(ids, literal_column("true")).join(tables.runs, own)
    return select(*RUN_COLUMNS, page_bytes.of_texts(*_RUN_TEXTS)).select_from(found)


def any_run_from(reach: Reach, thread_id: str, cursor: str, up: bool) -> Select[Any]:
    """Select whether a run of a thread is at a cursor or past it."""
    bound = past_cursor(_BY_POSITION, place_of_run(reach, thread_id, cursor), up=up, inclusive=True)
    beyond = select(tables.runs.c.position).where(within_thread(tables.runs, reach, thread_id), bound)
    return any_row(beyond, _BY_POSITION, up=up)


def place_of_run(reach: Reach, thread_id: str, run_id: str) -> ScalarSelect[Any]:
    """Find where a run stands in its thread."""
    cursor = tables.runs.alias("cursor")
    found = select(cursor.c.position).where(within_thread(cursor, reach, thread_id), cursor.c.id == run_id)
    return found.scalar_subquery()


def has_run(reach: Reach, thread_id: str, run_id: str) -> Select[Any]:
    """Select whether a cursor names a run of a thread."""
    return select(place_of_run(reach, thread_id, run_id).is_not(None))


def known_runs(reach: Reach, run_ids: str) -> Select[Any]:
    """Select which of many ids, an array of JSON, belong to runs, and the thread of each."""
    own = tables.runs
    return select(own.c.id, own.c.thread_id).where(within(own, reach), among(own.c.id, as_text(run_ids)))


def known_steps(reach: Reach, step_ids: str) -> Select[Any]:
    """Select which of many ids, an array of JSON, belong to steps, and the run of each."""
    own = tables.run_steps
    return select(own.c.id, own.c.run_id).where(within(own, reach), among(own.c.id, as_text(step_ids)))


def move_position(reach: Reach, thread_id: str, position: int) -> Update:
    """Set the last position of a thread after runs were imported."""
    own = tables.threads
    return update(own).where(within(own, reach), own.c.id == thread_id).values(last_position=position)


def make_due(reach: Reach, run_id: str) -> Update:
    """Let any worker take a run."""
    due = update(tables.runs).where(within(tables.runs, reach), tables.runs.c.id == run_id)
    return due.values(due_at=now_ms(), leased_by=null())


def steps_of_each(reach: Reach, run_ids: str, position: int) -> Select[Any]:
    """Select the steps of runs after a position, oldest first; the worker bounds their number.

    The ids of the runs are an array of JSON.
    """
    own = tables.run_steps
    is_of_one = among(own.c.run_id, as_text(run_ids))
    return (
        select(*STEP_COLUMNS).where(within(own, reach), is_of_one, own.c.position > position).order_by(own.c.position)
    )


def list_steps(reach: Reach, run_id: str, page: PageRequest) -> Select[Any]:
    """Select one page of a run's steps, and one row more.

    Shape: STEP_COLUMNS and BYTES.
    """
    stored = page_bytes.of_texts(*_STEP_TEXTS)
    own = select(*STEP_COLUMNS, stored).where(within(tables.run_steps, reach), tables.run_steps.c.run_id == run_id)
    return paged(own, _STEPS_BY_POSITION, page, partial(place_of_step, reach, run_id))


def place_of_step(reach: Reach, run_id: str, step_id: str) -> ScalarSelect[Any]:
    """Find where a step stands in its run."""
    cursor = tables.run_steps.alias("cursor")
    found = select(cursor.c.position).where(within(cursor, reach), cursor.c.run_id == run_id, cursor.c.id == step_id)
    return found.scalar_subquery()


def has_step(reach: Reach, run_id: str, step_id: str) -> Select[Any]:
    """Select whether a cursor names a step of a run."""
    return select(place_of_step(reach, run_id, step_id).is_not(None))


# What workers do for all projects.


def due_runs(limit: int) -> Select[Any]:
    """Select runs that a worker has to handle, in turns between the projects, the oldest of each first.

    Shape: project, id.
    """
    own = tables.runs.c
    turn = func.row_number().over(partition_by=own.project_id, order_by=(own.due_at, own.id)).label("turn")
    due = select(own.project_id, own.id, turn).where(own.due_at.is_not(None), own.due_at <= now_ms()).subquery()
    return select(due.c.project_id, due.c.id).order_by(due.c.turn, due.c.project_id).limit(limit)


def lease_run(reach: Reach, run_id: str, owner: str, lease_ms: int) -> ReturningUpdate[Any]:
    """Take the lease of a run that is due; no row where another worker was faster.

    Shape: RUN_COLUMNS, and whether the run has expired.
    """
    own = tables.runs
    leased = update(own).where(within(own, reach), own.c.id == run_id, own.c.due_at <= now_ms())
    return leased.values(due_at=now_ms() + lease_ms, leased_by=owner).returning(
        *RUN_COLUMNS, own.c.expires_at * 1000 <= now_ms()
    )


def renew_lease(reach: Reach, run_id: str, owner: str, lease_ms: int) -> ReturningUpdate[Any]:
    """Renew the lease of a run; one row of its status, or none where the lease was lost."""
    own = tables.runs
    held = update(own).where(
        within(own, reach), own.c.id == run_id, own.c.leased_by == owner, own.c.due_at.is_not(None)
    )
    return held.values(due_at=now_ms() + lease_ms).returning(own.c.status)


def _shown(reach: Reach) -> ColumnElement[bool]:
    return and_(within(tables.runs, reach), is_shown(reach, tables.runs.c.thread_id))
