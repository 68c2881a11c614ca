"""The undocumented parts of libraries that we rely on: each is named here, exists, and has the shape that we use.

A release of a library may change them without notice, so `pyproject.toml` allows only releases of the tested minor
version.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import tomllib
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiosqlite
import asyncpg
import pytest
import strawberry
from graphql import GraphQLSchema
from packaging.requirements import Requirement
from uvicorn import Config
from uvicorn.server import ServerState

from gateway.server.http_protocol import HttpProtocol
from gateway.server.websocket_protocol import WebSocketProtocol
from tests.laws import nodes
from tests.test_layers import _GATEWAY, _ROOT, _tree

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.uncounted  # it reads sources, and makes what has tests of its own

# Attributes with a leading underscore, and the distribution that they belong to.
ATTRIBUTES: Final = {
    "_schema": "strawberry-graphql",
    "_tx": "aiosqlite",
    "_conn": "aiosqlite",
    "_transport": "asyncpg",
    "_stmt_cache": "asyncpg",
    "_protocol": "asyncpg",
    "_drop_global_statement_cache": "asyncpg",
}
# Of the standard library, where it is documented.
DOCUMENTED: Final = {"_replace", "_value_", "_fields", "_field_defaults", "_asdict"}
# Modules that their libraries do not document, and what we take from them.
MODULES: Final = {
    "graphql.execution.collect_fields": {"collect_fields", "FieldDetails", "FragmentDetails"},
    "graphql.execution.executor": {"CollectedErrors"},
    "graphql.execution.get_variable_signature": {"get_variable_signature", "GraphQLVariableSignature"},
    "graphql.execution.values": {"VariableValues", "VariableValueSource", "get_argument_values"},
    "strawberry.types.fields.resolver": {"StrawberryResolver"},
    "strawberry.utils.str_converters": {"to_camel_case"},
    "uvicorn.protocols.http.flow_control": {"HIGH_WATER_LIMIT", "FlowControl"},
    "uvicorn.protocols.http.httptools_impl": {"HttpToolsProtocol"},
    "uvicorn.protocols.utils": {"ClientDisconnected"},
    "uvicorn.protocols.websockets.websockets_sansio_impl": {"WebSocketsSansIOProtocol"},
}
_UNDOCUMENTED: Final = re.compile(
    r"(graphql\.execution|strawberry\.(types\.fields|utils)|uvicorn\.(protocols|supervisors))\b.*"
)
# What our protocols read of `self` that their bases in uvicorn make.
OF_PROTOCOLS: Final[dict[Any, set[str]]] = {
    HttpProtocol: {
        *("app", "app_state", "client", "connections", "flow", "handle_websocket_upgrade", "loop"),
        *("scheme", "server", "server_state", "tasks", "timeout_keep_alive", "transport"),
    },
    WebSocketProtocol: {
        *("app_state", "close_sent", "config", "conn", "curr_msg_data_type", "data_received", "disconnected"),
        *("handle_parser_exception", "handshake_complete", "loop", "ping_interval", "request", "response", "scope"),
        "transport",
    },
}
PINNED: Final = {"aiosqlite", "asyncpg", "graphql-core", "strawberry-graphql", "uvicorn"}


def private_attributes(tree: ast.Module) -> Iterator[str]:
    """Name the attributes with a leading underscore that a module reads of something other than itself."""
    for node in nodes(tree):
        if isinstance(node, ast.Attribute) and re.match(r"_[^_]", node.attr):
            yield node.attr


def defined(tree: ast.Module) -> Iterator[str]:
    """Name what a module defines: functions, classes, variables and attributes."""
    for node in nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def undocumented_imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Name what a module imports from modules that their libraries do not document."""
    for node in nodes(tree):
        if isinstance(node, ast.ImportFrom) and node.module and _UNDOCUMENTED.fullmatch(node.module):
            yield from ((node.module, alias.name) for alias in node.names if node.module != "graphql.execution")


async def _app(_scope: Any, _receive: Any, _send: Any) -> None: ...


def inherited(protocol: type) -> set[str]:
    """Name the attributes that a class of ours takes from `self`, or overrides, and does not make itself."""
    module = _tree(Path(inspect.getfile(protocol)))
    [tree] = [node for node in module.body if isinstance(node, ast.ClassDef) and node.name == protocol.__name__]
    used = {node.attr for node in nodes(tree) if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self"}
    return used - set(defined(ast.Module([tree], [])))


@cache
def ours() -> set[str]:
    """Name what all of our modules define, except what has the name of a library's private part."""
    return {name for each in _GATEWAY for name in defined(_tree(each))} - set(ATTRIBUTES)


def foreign(path: Path) -> set[str]:
    """Name the private attributes that neither the module nor, except those in the table, another of ours defines."""
    return set(private_attributes(_tree(path))) - set(defined(_tree(path))) - ours() - DOCUMENTED


def test_private_attributes_of_libraries_are_those_of_the_table() -> None:
    assert set().union(*map(foreign, _GATEWAY)) == set(ATTRIBUTES)


def test_undocumented_modules_are_those_of_the_table() -> None:
    found: dict[str, set[str]] = {}
    for path in _GATEWAY:
        for module, name in undocumented_imports(_tree(path)):
            found.setdefault(module, set()).add(name)

    assert found == MODULES


@pytest.mark.parametrize(("module", "names"), MODULES.items())
def test_undocumented_module_has_the_imported_names(module: str, names: set[str]) -> None:
    assert names <= set(dir(import_module(module)))


@pytest.mark.parametrize("protocol", OF_PROTOCOLS, ids=lambda protocol: protocol.__name__)
async def test_uvicorn_protocol_has_the_attributes_that_ours_reads(protocol: Any) -> None:
    made = protocol(config=Config(_app, interface="asgi3", log_config=None), server_state=ServerState(), app_state={})

    made_later = set(defined(ast.parse(inspect.getsource(import_module(protocol.__base__.__module__)))))

    assert inherited(protocol) == OF_PROTOCOLS[protocol]
    assert OF_PROTOCOLS[protocol] <= set(dir(made)) | made_later


def test_strawberry_schema_holds_the_schema_that_graphql_core_executes() -> None:
    @strawberry.type
    class Query:
        one: int = 1

    assert isinstance(strawberry.Schema(Query)._schema, GraphQLSchema)  # noqa: SLF001


async def test_aiosqlite_runs_a_function_with_its_connection_in_its_thread() -> None:
    async with aiosqlite.connect(":memory:") as connection:
        driver: Any = connection  # whose private parts have no types
        got = asyncio.get_running_loop().create_future()
        driver._tx.put_nowait((got, partial(lambda raw: raw.execute("SELECT 1").fetchone(), driver._conn)))  # noqa: SLF001

        assert await got == (1,)


async def test_asyncpg_has_the_transport_of_its_socket(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        assert connection._transport.get_extra_info("socket") is not None  # noqa: SLF001
    finally:
        await connection.close()


@pytest.mark.parametrize("name", sorted(PINNED | set(ATTRIBUTES.values())))
def test_library_with_private_parts_in_use_is_bound_to_its_minor_version(name: str) -> None:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    [requirement] = [each for each in map(Requirement, project["dependencies"]) if each.name == name]

    assert [specifier.operator for specifier in requirement.specifier] == ["~="]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        pytest.param("other._part()", {"_part"}, id="an attribute of another object"),
        pytest.param("self._inherited", {"_inherited"}, id="an attribute of a base"),
        pytest.param("class A:\n    def _own(self): return self._own", set[str](), id="an own method"),
        pytest.param("self._made = 1; self._made", set[str](), id="an own attribute"),
        pytest.param("x.__dict__", set[str](), id="a special name"),
    ],
)
def test_private_attribute_of_another_module_is_found(source: str, found: set[str]) -> None:
    tree = ast.parse(source)

    assert set(private_attributes(tree)) - set(defined(tree)) == found
