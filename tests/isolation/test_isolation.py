"""What a caller cannot reach is for it as if it had never been, in every way that there is to name it."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from gateway.auth.authenticator import invalid_api_key
from gateway.domain.principal import Reach, Scope
from gateway.store.schema import tables
from tests.isolation.asking import ask, said
from tests.isolation.ways import NAMELESS, WAYS, Face, Way
from tests.isolation.world import READ, SENDS, Caller, callers, make_names, token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.core import Store
    from tests.isolation.asking import Served


each_face = pytest.mark.parametrize("face", [pytest.param(face, id=face.value) for face in Face])
# What streams asks the store as HTTP does, so that on the second database it is tried with --slow.
each_face_and_database = pytest.mark.parametrize(
    ("world_url", "face"),
    [
        pytest.param(kind, face, id=f"{kind}-{face.value}", marks=[pytest.mark.slow] * is_repeated)
        for kind, face in product(("sqlite", "postgres"), Face)
        for is_repeated in [kind == "postgres" and face in {Face.SSE, Face.WEBSOCKET}]
    ],
    indirect=["world_url"],
)
where_no_database_has_a_part = pytest.mark.parametrize("world_url", ["sqlite"], indirect=True)


def missing_scope(way: Way) -> str:
    """Return the error for a caller without permission, whatever it names."""
    if way.face is not Face.REST:
        return "missing_scope"
    return "403" if way.method == "HEAD" else "403 missing_scope"


@each_face_and_database
@pytest.mark.uncounted
async def test_unreachable_objects_are_indistinguishable_from_missing_ones(served: Served, face: Face) -> None:
    world = served.world
    before = await everything_in(world.store)

    for way in on(face, WAYS):
        for name, stranger in world.strangers.items():
            never = await ask(served, way, stranger, world.never)
            told = {which: await ask(served, way, stranger, names) for which, names in world.hidden.items()}

            assert said(way, never) == refusal_of(way, stranger), (way.name, name)
            assert told == dict.fromkeys(world.hidden, never), (way.name, name)
        if way.scopes != READ:
            assert await everything_in(world.store) == before, way.name
    assert await everything_in(world.store) == before


def refusal_of(way: Way, stranger: Caller) -> str:
    may_never = (way.for_many_threads and stranger.has_one_thread) or (
        stranger.only_sends and way.scopes & {Scope.WRITE, Scope.RUNS} and not way.sends
    )
    return missing_scope(way) if may_never else way.refusal


@each_face_and_database
@pytest.mark.uncounted
async def test_a_caller_with_access_finds_the_objects(served: Served, face: Face) -> None:
    store, shop, living = served.world.store, served.world.shop, served.world.hidden["a living one"]

    for way, name in product(on(face, WAYS), await callers(store, shop, living)):
        names = await make_names(store, Reach("shop", owner="alice")) if way.scopes != READ else living
        caller = (await callers(store, shop, names))[name]
        if caller.has_one_thread and way.for_many_threads:
            continue

        found = await ask(served, way, caller, names)

        assert said(way, found) in {"found", "empty", "200"} - {way.refusal}, (way.name, name)


@where_no_database_has_a_part
@each_face
@pytest.mark.uncounted
async def test_a_missing_scope_is_reported_before_any_look_up(served: Served, face: Face) -> None:
    world = served.world

    for way in on(face, [*WAYS, *NAMELESS]):
        without = [world.writers] * (Scope.READ in way.scopes) + [world.readers] * bool(
            way.scopes & {Scope.WRITE, Scope.ERASE, Scope.RUNS}
        )
        for name, caller in (each for lacking in without for each in lacking.items()):
            for names in (world.never, *world.hidden.values()):
                told = await ask(served, way, caller, names)

                assert (said(way, told), told.statements) == (missing_scope(way), ()), (way.name, name)


@where_no_database_has_a_part
@each_face
@pytest.mark.uncounted
async def test_an_unauthenticated_request_is_rejected_before_any_lookup(served: Served, face: Face) -> None:
    for way, (name, nobody) in product(on(face, [*WAYS, *NAMELESS]), served.world.nobodies.items()):
        told = await ask(served, way, nobody, nobody.own)

        assert (told.answer.status, told.statements) == (status_of_nobody(face), ()), (way.name, name)
        if nobody.credential is not None and way.method != "HEAD":
            assert invalid_api_key(nobody.credential).message[:100] in told.answer.text, (way.name, name)


@each_face_and_database
@pytest.mark.uncounted
async def test_a_revoked_token_is_nobodys(served: Served, face: Face) -> None:
    revoked = [each for name, each in served.world.nobodies.items() if "revoked token" in name]

    told = {way.name: [await ask(served, way, each, each.own) for each in revoked] for way in on(face, WAYS)}

    statuses = {name: [each.answer.status for each in of_way] for name, of_way in told.items()}
    assert statuses == dict.fromkeys(told, [status_of_nobody(face)] * 3)


@each_face_and_database
@pytest.mark.uncounted
async def test_a_send_token_reads_and_adds_user_messages(served: Served, face: Face) -> None:
    store, shop = served.world.store, served.world.shop
    names = await make_names(store, Reach("shop", owner="alice"))
    sender = Caller(await token(store, shop.who, names, SENDS), names)
    before = await everything_in(store)

    for way in (each for each in on(face, WAYS) if not each.sends):
        told = await ask(served, way, sender, names)

        if way.scopes == READ and not way.for_many_threads:
            assert said(way, told) in {"found", "empty", "200"} - {way.refusal}, way.name
        else:
            assert (said(way, told), told.statements) == (missing_scope(way), ()), way.name
    assert await everything_in(store) == before

    for way in (each for each in on(face, WAYS) if each.sends):
        assert said(way, await ask(served, way, sender, names)) in {"found", "200"}, way.name


def on(face: Face, ways: Sequence[Way]) -> Sequence[Way]:
    return [way for way in ways if way.face is face]


def status_of_nobody(face: Face) -> int:
    return 4403 if face is Face.WEBSOCKET else 401


async def everything_in(store: Store) -> list[object]:
    """Read what is kept of threads, messages and runs."""
    of_threads = (tables.threads, tables.deleted_threads, tables.runs, tables.run_steps)
    kept = (*of_threads, tables.messages, tables.message_deltas, tables.deleted_messages)
    async with store._engines.reader.connect() as connection:  # noqa: SLF001
        return [sorted(repr(tuple(row)) for row in await connection.execute(select(table))) for table in kept]
