"""The pool of connections: none is lost, and none is lent twice, whoever gives up and when."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.store.connections import ConnectionPool
from tests.pace import patience

if TYPE_CHECKING:
    from collections.abc import Sequence

AT_MOST = 2


@dataclass(eq=False)
class Lent:
    """Stands for a connection; closing it takes a turn of the loop."""

    is_gone: bool = False

    def is_closed(self) -> bool:
        return self.is_gone

    def interrupt(self) -> None:
        pass

    async def discard(self) -> None:
        await asyncio.sleep(0)


@dataclass
class User:
    """One that borrows: how many turns it waits before, keeps it, and after how many it is cancelled, if at all."""

    before: int
    keeps: int
    cancelled_after: int | None
    waits_s: float
    breaks: bool


USERS = st.lists(
    st.builds(
        User,
        before=st.integers(0, 1),
        keeps=st.integers(0, 3),
        cancelled_after=st.none() | st.integers(0, 5),
        waits_s=st.sampled_from([0.0, 60.0]),
        breaks=st.booleans(),
    ),
    min_size=AT_MOST + 1,
    max_size=8,
)


async def _opened() -> Any:
    await asyncio.sleep(0)
    return Lent()


async def _turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def _use(pool: ConnectionPool[Any], user: User, held: set[Lent]) -> None:
    await _turns(user.before)
    connection = await pool.acquire(asyncio.get_running_loop().time() + user.waits_s)
    assert connection not in held
    held.add(connection)
    failure: BaseException | None = None
    try:
        await _turns(user.keeps)
        connection.is_gone = user.breaks
    except asyncio.CancelledError as error:
        failure = error
        raise
    finally:
        held.discard(connection)
        pool.release(connection, failure)


async def _cancel(task: asyncio.Task[None], user: User) -> None:
    if user.cancelled_after is not None:
        await _turns(user.cancelled_after)
        task.cancel()


async def _play(users: Sequence[User]) -> None:
    pool, held = ConnectionPool[Any](_opened, AT_MOST), set[Lent]()
    tasks = [asyncio.create_task(_use(pool, each, held)) for each in users]
    cancelling = [_cancel(task, each) for task, each in zip(tasks, users, strict=True)]
    ended, _ = await asyncio.gather(asyncio.gather(*tasks, return_exceptions=True), asyncio.gather(*cancelling))
    assert all(each is None or isinstance(each, TimeoutError | asyncio.CancelledError) for each in ended)
    await _turns(4)  # in which what broke is closed
    assert pool.in_use == 0
    soon = asyncio.get_running_loop().time() + 10
    assert len({await pool.acquire(soon) for _ in range(AT_MOST)}) == AT_MOST


@given(users=USERS)
def test_every_connection_is_there_again_when_all_users_have_ended(users: list[User]) -> None:
    asyncio.run(asyncio.wait_for(_play(users), patience(30)))


class RefusedError(Exception):
    """What a driver raises where the server has no connection left."""

    sqlstate = "53300"


async def _play_with_one(users: Sequence[User]) -> None:
    """Play with a server that has one connection, where the pool may have more."""
    left = asyncio.Semaphore(1)

    class Single(Lent):
        async def discard(self) -> None:
            await super().discard()
            left.release()

    async def opened() -> Any:
        await asyncio.sleep(0)
        if left.locked():
            raise RefusedError
        await left.acquire()
        return Single()

    pool, held = ConnectionPool[Any](opened, AT_MOST), set[Lent]()
    tasks = [asyncio.create_task(_use(pool, replace(each, cancelled_after=None), held)) for each in users]
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(each) for each in ended} <= {type(None), TimeoutError}
    assert all(each is None for each, user in zip(ended, users, strict=True) if user.waits_s)
    await _turns(4)
    assert pool.in_use == 0


# The second is refused when the first has already given its connection back.
@example(users=[User(0, 0, None, 60.0, breaks=False)] * 2)
@given(users=USERS)
def test_where_the_server_has_one_connection_left_all_users_get_it_in_turn(users: list[User]) -> None:
    asyncio.run(asyncio.wait_for(_play_with_one(users), patience(30)))


async def test_those_who_wait_are_served_in_the_order_of_their_arrival() -> None:
    pool, seen = ConnectionPool[Any](_opened, 1), list[int]()
    first = await pool.acquire()

    async def take(number: int) -> None:
        own = await pool.acquire()
        seen.append(number)
        pool.release(own, None)

    waiting = [asyncio.create_task(take(number)) for number in range(3)]
    await asyncio.sleep(0)
    pool.release(first, None)
    await asyncio.gather(*waiting)

    assert seen == [0, 1, 2]


async def test_a_connection_that_comes_as_its_waiter_is_cancelled_is_not_lost() -> None:
    pool = ConnectionPool[Any](_opened, 1)
    first = await pool.acquire()
    waiting = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)

    pool.release(first, None)
    waiting.cancel()
    await asyncio.wait([waiting])

    assert waiting.cancelled()
    assert await pool.acquire(asyncio.get_running_loop().time() + 10) is first


async def test_who_is_cancelled_as_its_time_is_over_is_cancelled() -> None:
    loop, pool = asyncio.get_running_loop(), ConnectionPool[Any](_opened, 1)
    await pool.acquire()
    until = loop.time() + 0.01
    waiting = asyncio.create_task(pool.acquire(until))
    await asyncio.sleep(0)

    loop.call_at(until, waiting.cancel)
    await asyncio.wait([waiting])

    assert waiting.cancelled()
