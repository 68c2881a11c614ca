"""A thread that is being filled is for those who may reach it as if it had never been, in every way to name it."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

from gateway.domain.principal import Reach
from tests.isolation.asking import ask, said
from tests.isolation.test_isolation import each_face_and_database, everything_in, on
from tests.isolation.ways import WAYS, Face
from tests.isolation.world import Caller, end_user, make_names
from tests.store.test_unfinished_threads import begin_again

if TYPE_CHECKING:
    from tests.isolation.asking import Served


@each_face_and_database
@pytest.mark.uncounted
async def test_an_unfinished_thread_is_indistinguishable_from_a_missing_one(served: Served, face: Face) -> None:
    world, alice = served.world, Reach("shop", owner="alice")
    own = await make_names(world.store, alice)
    callers = {"a key": Caller(world.shop.secret, own), "its end user": Caller(end_user("alice"), own)}
    names = await make_names(world.store, alice)
    await begin_again(world.store, names)
    before = await everything_in(world.store)

    for way, (name, caller) in product(on(face, WAYS), callers.items()):
        never, told = [await ask(served, way, caller, each) for each in (world.never, names)]

        assert said(way, never) == way.refusal, (way.name, name)
        assert told == never, (way.name, name)
    assert await everything_in(world.store) == before
