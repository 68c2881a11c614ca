"""What one caller was answered is kept for no other, whatever stands between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.isolation.asking import ask
from tests.isolation.ways import NAMELESS, WAYS, Face
from tests.isolation.world import READ, Caller

if TYPE_CHECKING:
    from tests.isolation.asking import Served

READ_ALONE = [way for way in (*WAYS, *NAMELESS) if way.scopes == READ and way.face is not Face.WEBSOCKET]


@pytest.mark.parametrize("world_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("face", [Face.REST, Face.HTTP, Face.SSE])
async def test_no_cache_may_keep_an_answer(served: Served, face: Face) -> None:
    living = served.world.hidden["a living one"]
    callers = [Caller(served.world.shop.secret, living), served.world.nobodies["no key"]]

    for way in (each for each in READ_ALONE if each.face is face):
        kept = {(await ask(served, way, caller, living)).answer.headers["cache-control"] for caller in callers}

        assert kept == {"no-store"}, way.name
