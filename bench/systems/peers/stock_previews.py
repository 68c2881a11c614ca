"""How the ORM reads a list of threads with the newest messages of each: by a loader, or by a lateral join."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Select, func, select, true
from sqlalchemy.orm import aliased

from bench.systems.peers.stock_models import Message, Thread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncSession


def newest_threads(project: str, count: int) -> Select[Thread]:
    """Select threads, newest first."""
    ours = select(Thread).where(Thread.project_id == project)
    return ours.order_by(Thread.created_at.desc(), Thread.seq.desc()).limit(count)


async def previews_of(
    session: AsyncSession, project: str, keys: Sequence[tuple[str, int]]
) -> Sequence[Sequence[Message]]:
    """Load the newest messages of several threads in one statement, and one more of each."""
    most = max(count for _, count in keys) + 1
    threads = [thread_id for thread_id, _ in keys]
    place = func.row_number().over(partition_by=Message.thread_id, order_by=Message.position.desc()).label("place")
    numbered = select(Message, place).where(Message.project_id == project, Message.thread_id.in_(threads)).subquery()
    newest = aliased(Message, numbered)
    rows = await session.scalars(select(newest).where(numbered.c.place <= most).order_by(numbered.c.place))
    found = dict[str, list[Message]]()
    for row in rows:
        found.setdefault(row.thread_id, []).append(row)
    return [found.get(thread_id, [])[: count + 1] for thread_id, count in keys]


async def threads_with_previews(
    session: AsyncSession, project: str, count: int, messages: int
) -> Sequence[tuple[Thread, list[Message]]]:
    """Select threads, newest first, joined with the newest messages of each and one more."""
    listed = aliased(Thread, newest_threads(project, count).subquery())
    own = (Message.project_id == listed.project_id, Message.thread_id == listed.id)
    lateral = select(Message).where(*own).order_by(Message.position.desc()).limit(messages + 1).lateral()
    newest = aliased(Message, lateral)
    joined = select(listed, newest).outerjoin(newest, true())
    ordered = joined.order_by(listed.created_at.desc(), listed.seq.desc(), newest.position.desc())
    found = dict[str, tuple[Thread, list[Message]]]()
    for thread, message in await session.execute(ordered):
        kept = found.setdefault(thread.id, (thread, []))
        if message is not None:
            kept[1].append(message)
    return list(found.values())
