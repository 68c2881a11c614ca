"""Every case asked once of a server, and every operation of both faces among them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from graphql import FieldNode, OperationDefinitionNode, parse

from bench.cases.case import World
from bench.cases.events import EVENTS
from bench.cases.tables import TABLES, cases_for
from bench.corpus import texts
from bench.load.events import following
from bench.load.single_connection import Maker, SingleConnection
from bench.systems.catalog import OURS, ROOT, SYSTEMS
from bench.systems.databases import database, prepared
from bench.systems.server import serve
from gateway.rest.routes import PATHS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.systems.server import Server

_ID = re.compile(r"(thread|msg)_\w+")
_HEAD = re.compile(r"^(\w+) (\S+) HTTP/1.1\r\n")


# They take as long as a model does: bench/load/runs.py measures them, with one follower each.
OF_RUNS = {"run", "assistants", "createRun", "cancelRun", "submitToolOutputs"}
# It takes as long as the user's threads, which `delete-thread` measures, and runs once for a user.
OF_OPERATORS = {"eraseUser"}


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Server, World]]:
    with database("sqlite") as url:
        ready = prepared(url, SYSTEMS[OURS], 300, 200)
        with serve(ready.ours, ready.url) as server:
            yield server, World(ready.keys, Maker(server.port), 1, ready.long)


def test_every_case_is_answered_well_and_every_operation_is_a_case(served: tuple[Server, World]) -> None:
    server, world = served
    asked = []
    with SingleConnection(server.port) as connection:
        for case in cases_for(OURS, world):
            connection.check(case.asks[0])
            asked.append(case.asks[0].request)

    fields = {field for each in asked for field in root_fields(each)}
    followed = {field for recipe in EVENTS.values() for field in fields_of(recipe(world).document)}

    assert fields | followed == operations_of_schema() - OF_RUNS - OF_OPERATORS
    assert {endpoint for each in asked if (endpoint := endpoint_of(each))} == endpoints_of_rest()


@pytest.mark.parametrize("name", EVENTS)
def test_every_follower_receives_each_event(served: tuple[Server, World], name: str) -> None:
    server, world = served
    followed = EVENTS[name](world)

    with SingleConnection(server.port) as connection, following(server, world.keys["made"], followed) as receive:
        for _ in range(2):
            connection.check(followed.ask)
            receive()


def test_a_page_of_ordinary_texts_is_what_the_page_says() -> None:
    page = [texts.ordinary(number) for number in range(texts.KINDS)]

    assert sum('"' in text for text in page) == 6
    assert sum("\n" in text for text in page) == 6
    assert sum(not text.isascii() for text in page) == 2
    assert {round(len(text), -2) for text in page} == set(range(100, 2_001, 100))


def test_peers_have_the_mix_and_its_parts() -> None:
    for protocol in ("graphql", "postgraphile"):
        assert {"mix", "list", "page-20", "node", "create"} <= set(TABLES[protocol])


def root_fields(request: str) -> set[str]:
    if not request.startswith("POST /graphql"):
        return set()
    return fields_of(json.loads(request.partition("\r\n\r\n")[2])["query"])


def fields_of(document: str) -> set[str]:
    [operation] = parse(document).definitions
    assert isinstance(operation, OperationDefinitionNode)
    return {each.name.value for each in operation.selection_set.selections if isinstance(each, FieldNode)}


def operations_of_schema() -> set[str]:
    schema = parse((ROOT / "schema.graphql").read_text())
    roots = [each for each in schema.definitions if each.name.value in ("Query", "Mutation", "Subscription")]  # type: ignore[attr-defined]
    return {field.name.value for each in roots for field in each.fields}  # type: ignore[attr-defined]


def endpoint_of(request: str) -> str | None:
    found = _HEAD.match(request)
    assert found
    method, path = found.groups()
    if not path.startswith("/v1"):
        return None
    return f"{method} {_ID.sub('ID', path.removeprefix('/v1').partition('?')[0])}"


def endpoints_of_rest() -> set[str]:
    return {f"{method} {re.sub(r'{[^}]*}', 'ID', path)}" for path, endpoints in PATHS.items() for method in endpoints}
