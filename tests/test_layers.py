"""The laws of the layout, proved on the source: who imports whom, and how large anything may grow."""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ROOT: Final = Path(__file__).parents[1]
_BUILD_HOOK: Final = _ROOT / "gateway/graphql/graphiql/build.py"  # hatchling runs it; no module of the program
_GATEWAY: Final = sorted(set((_ROOT / "gateway").rglob("*.py")) - {_BUILD_HOOK})
_MIGRATIONS: Final = sorted((_ROOT / "migrations" / "versions").glob("*.py"))
_TESTS: Final = sorted(path for path in (_ROOT / "tests").rglob("*.py") if "node_modules" not in path.parts)

# A layer is a package of ours, or a module at the top level; `app` wires all of them and is named by nobody.
MAY_IMPORT: Final = {
    "errors": set[str](),
    "concurrency": set[str](),
    "observability": set[str](),
    "fast_executor": set[str](),  # a package that could be one of its own
    "domain": {"errors"},
    "settings": {"domain", "errors"},  # of the domain the numbers that bounds have if nothing is said
    "events": {"concurrency", "domain", "errors"},
    "store": {"observability", "domain", "errors"},
    "core": {"store", "events", "observability", "domain", "errors"},
    "web": {"observability", "domain", "errors"},
    "auth": {"web", "core", "concurrency", "observability", "domain", "errors"},
    "rest": {"auth", "web", "core", "domain", "errors"},
    "graphql": {"auth", "web", "core", "fast_executor", "events", "observability", "domain", "errors"},
    "transfer": {"core", "store", "domain", "errors"},
    "server": {"settings", "store", "core", "graphql", "web", "concurrency", "observability", "domain", "errors"},
    "app": {
        "settings",
        "server",
        "store",
        "events",
        "core",
        "web",
        "auth",
        "rest",
        "graphql",
        "observability",
        "errors",
    },
    "cli": {"settings", "server", "transfer", "store", "core", "web", "graphql", "observability", "domain", "errors"},
    "__main__": {"cli"},
}
MAY_IMPORT_OF_OTHERS: Final = {
    "errors": set[str](),
    "concurrency": set[str](),
    "observability": {"structlog", "orjson", "prometheus_client", "opentelemetry"},
    "fast_executor": {"graphql", "orjson"},
    "domain": {"orjson"},
    "settings": {"dotenv", "sqlalchemy"},  # whose parser will read the database URL
    "events": {"asyncpg"},
    "store": {"sqlalchemy", "alembic"},
    "core": {"orjson"},  # answers that grow: it looks at the last part that is stored
    "web": {"starlette"},
    "auth": {"jwt", "limits", "redis"},
    "rest": {"starlette", "orjson"},
    "graphql": {"strawberry", "graphql", "starlette", "orjson"},
    "transfer": {"orjson", "click"},  # it reports to a person at a terminal as it reads
    "server": {"uvicorn", "httptools", "websockets", "click", "sqlalchemy"},
    "app": {"starlette"},
    "cli": {"click", "rich"},
    "__main__": set[str](),
}
# What these take is graphql-core's to say, whose methods they stand in front of.
OF_GRAPHQL_CORE: Final = {"execute_field", "complete_object_value", "complete_iterable_value"}
# Import and export move whole threads past the use cases; this is the one door in the store that they have.
DOORS_TO_THE_STORE: Final = {"transfer": "gateway.store.staging"}

# Since 0004 a migration only expands: what it takes away is what no version in use needs any more.
FIRST_TO_EXPAND: Final = "0004"
MAY_ONLY_CONTRACT: Final = {"drop_column", "drop_table", "drop_index", "rename_table", "alter_column"}

MAX_FILE_LINES: Final = 500
MAX_FUNCTION_LINES: Final = 40
MAX_POSITIONAL: Final = 5
LONG_FUNCTIONS: Final = {
    "migrations/versions/0001_create_threads.py:upgrade": "the columns of all tables, one a line; nothing to follow",
}

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def _name(path: Path) -> str:
    return path.relative_to(_ROOT).as_posix()


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _layer(path: Path) -> str:
    """Name the layer of a module: its package, or itself at the top level."""
    return path.relative_to(_ROOT / "gateway").parts[0].removesuffix(".py")


def modules_named(tree: ast.Module) -> set[str]:
    """Name all that a module imports, at any depth (also inside functions and for type checkers only)."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return names


def layers_named(tree: ast.Module) -> set[str]:
    """Name the layers of ours that a module imports from."""
    return {name.split(".")[1] for name in modules_named(tree) if name.startswith("gateway.")}


def others_named(tree: ast.Module) -> set[str]:
    """Name the packages that are neither ours nor Python's that a module imports from."""
    return {name.split(".")[0] for name in modules_named(tree)} - sys.stdlib_module_names - {"gateway"}


def past_the_door(tree: ast.Module, door: str) -> set[str]:
    """Name what a module imports from the store by another way than one module of it."""
    inside = {name for name in modules_named(tree) if name.startswith("gateway.store")}
    return {name for name in inside if name != door and not name.startswith(f"{door}.")}


def functions(tree: ast.Module) -> list[_Function]:
    """Give all functions and methods of a module."""
    return [node for node in ast.walk(tree) if isinstance(node, _Function)]


def lines_of(function: _Function) -> int:
    """Count the lines of a function, its docstring with them, its decorators not."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def positional(function: _Function) -> list[str]:
    """Name the parameters that can be given by position, but the object or class that a method belongs to."""
    names = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def is_resolver(function: _Function) -> bool:
    """Say whether Strawberry calls a function, by name, with the arguments of a field."""
    return any(ast.unparse(each).startswith("strawberry.") for each in function.decorator_list)


def faults_of_upgrade(tree: ast.Module) -> set[str]:
    """Name what an upgrade does that a server of the previous version, or its writers meanwhile, could not bear."""
    [upgrade] = [each for each in functions(tree) if each.name == "upgrade"]
    calls = [each for each in ast.walk(upgrade) if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute)]
    return {call.func.attr for call in calls if isinstance(call.func, ast.Attribute) and _breaks(call.func.attr, call)}


def _breaks(operation: str, call: ast.Call) -> bool:
    if operation == "add_column":
        column = _keywords(call.args[1])
        return column.get("nullable") == "False" and "server_default" not in column
    if operation == "create_index":
        return _keywords(call).get("postgresql_concurrently") != "True"
    return operation in MAY_ONLY_CONTRACT


def _keywords(call: ast.expr) -> dict[str | None, str]:
    return {each.arg: ast.unparse(each.value) for each in call.keywords} if isinstance(call, ast.Call) else {}


_OWN: Final = [*_GATEWAY, *_MIGRATIONS]


def each_of(paths: Sequence[Path], fault: Callable[[Path], object]) -> dict[str, object]:
    """Find what is wrong with which of some files; a test for each of them would take longer than to read it."""
    return {_name(path): found for path in paths if (found := fault(path))}


def test_every_layer_has_its_line_in_both_tables() -> None:
    layers = {_layer(path) for path in _GATEWAY} - {"__init__"}

    assert layers == set(MAY_IMPORT) == set(MAY_IMPORT_OF_OTHERS)


def test_a_module_imports_from_the_layers_that_its_own_may_know() -> None:
    def unknown(path: Path) -> set[str]:
        layer = _layer(path)
        return layers_named(_tree(path)) - {layer, *MAY_IMPORT.get(layer, ())}

    assert each_of(_GATEWAY, unknown) == {}


def test_a_module_imports_from_the_packages_that_its_layer_may_know() -> None:
    def unknown(path: Path) -> set[str]:
        return others_named(_tree(path)) - MAY_IMPORT_OF_OTHERS.get(_layer(path), set())

    assert each_of(_GATEWAY, unknown) == {}


@pytest.mark.parametrize(("layer", "door"), DOORS_TO_THE_STORE.items())
def test_a_layer_with_a_door_to_the_store_goes_through_no_other(layer: str, door: str) -> None:
    past = {_name(path) for path in _GATEWAY if _layer(path) == layer and past_the_door(_tree(path), door)}

    assert past == set()


@pytest.mark.parametrize(
    ("source", "named"),
    [
        pytest.param("from gateway.store import staging", set[str](), id="the door"),
        pytest.param("from gateway.store.staging import stage", set[str](), id="through the door"),
        pytest.param("from gateway.store import store", {"gateway.store.store"}, id="another module"),
        pytest.param("from gateway.store.store import Store", {"gateway.store.store.Store"}, id="through another"),
        pytest.param("from gateway import store", {"gateway.store"}, id="the whole store"),
        pytest.param("from gateway.core import Store", set[str](), id="what core hands out"),
    ],
)
def test_a_way_past_the_door_is_seen(source: str, named: set[str]) -> None:
    assert past_the_door(ast.parse(source), "gateway.store.staging") == named


def test_no_import_is_relative() -> None:
    def relative(path: Path) -> list[int]:
        return [node.lineno for node in ast.walk(_tree(path)) if isinstance(node, ast.ImportFrom) and node.level]

    assert each_of([*_OWN, *_TESTS], relative) == {}


def test_what_an_extra_brings_is_not_imported_before_it_is_wanted() -> None:
    def brought(path: Path) -> set[str]:
        at_once = ast.Module([node for node in _tree(path).body if isinstance(node, ast.Import | ast.ImportFrom)], [])
        return {
            name
            for name in modules_named(at_once)
            if name.startswith(("opentelemetry", "gateway.observability.tracing"))
        }

    assert each_of([path for path in _GATEWAY if path.stem != "tracing"], brought) == {}


def test_nothing_but_the_settings_reads_the_environment() -> None:
    def touched(path: Path) -> set[str]:
        tree = _tree(path)
        reads = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)} | modules_named(tree)
        return reads & {"os.environ", "os.getenv", "os.putenv", "os.environb"}

    assert each_of([path for path in _GATEWAY if _layer(path) != "settings"], touched) == {}


def test_a_migration_is_history_and_imports_nothing_of_ours() -> None:
    def ours(path: Path) -> set[str]:
        return {name for name in modules_named(_tree(path)) if name.split(".")[0] == "gateway"}

    assert each_of(_MIGRATIONS, ours) == {}


def test_a_migration_leaves_a_database_that_the_previous_version_can_serve() -> None:
    expanding = [path for path in _MIGRATIONS if path.name >= FIRST_TO_EXPAND]

    assert each_of(expanding, lambda path: faults_of_upgrade(_tree(path))) == {}


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        pytest.param('op.add_column("t", sa.Column("c", sa.Text()))', set[str](), id="a column that may be null"),
        pytest.param(
            'op.add_column("t", sa.Column("c", sa.Text(), nullable=False))', {"add_column"}, id="one that may not"
        ),
        pytest.param(
            'op.add_column("t", sa.Column("c", sa.Text(), nullable=False, server_default="x"))',
            set[str](),
            id="one that has a default",
        ),
        pytest.param('op.create_index("i", "t", ["c"])', {"create_index"}, id="an index that locks out writers"),
        pytest.param(
            'op.create_index("i", "t", ["c"], postgresql_concurrently=True)', set[str](), id="one built concurrently"
        ),
        pytest.param('op.drop_column("t", "c")', {"drop_column"}, id="a column that is gone"),
        pytest.param('op.create_table("new", sa.Column("c", sa.Text(), nullable=False))', set[str](), id="a new table"),
    ],
)
def test_a_migration_that_the_previous_version_could_not_serve_is_seen(source: str, faults: set[str]) -> None:
    upgrade = ast.parse(f"def upgrade():\n    {source}\ndef downgrade():\n    op.drop_column('t', 'c')")

    assert faults_of_upgrade(upgrade) == faults


def test_a_file_is_not_too_long() -> None:
    def is_too_long(path: Path) -> bool:
        return len(path.read_text(encoding="utf-8").splitlines()) > MAX_FILE_LINES

    assert each_of([*_OWN, *_TESTS], is_too_long) == {}


def test_a_function_is_not_too_long() -> None:
    def too_long(path: Path) -> set[str]:
        long = [each for each in functions(_tree(path)) if lines_of(each) > MAX_FUNCTION_LINES]
        return {f"{_name(path)}:{each.name}" for each in long} - set(LONG_FUNCTIONS)

    assert each_of(_OWN, too_long) == {}


def test_a_function_takes_few_arguments_by_position() -> None:
    def many(path: Path) -> set[str]:
        resolvers_may = path.is_relative_to(_ROOT / "gateway" / "graphql")
        is_executor = path.parent == _ROOT / "gateway" / "fast_executor" and path.stem in (
            "executor",
            "metered_executor",
        )
        overrides = OF_GRAPHQL_CORE if is_executor else set()
        return {
            each.name
            for each in functions(_tree(path))
            if len(positional(each)) > MAX_POSITIONAL and not (resolvers_may and is_resolver(each))
        } - overrides

    assert each_of(_OWN, many) == {}


def test_a_module_begins_by_saying_what_is_here() -> None:
    def is_silent(path: Path) -> bool:
        return not ast.get_docstring(_tree(path))

    assert each_of(_OWN, is_silent) == {}


def test_every_long_function_that_is_let_through_is_there_and_long() -> None:
    found = {f"{_name(path)}:{each.name}": each for path in _MIGRATIONS + _GATEWAY for each in functions(_tree(path))}

    assert all(lines_of(found[name]) > MAX_FUNCTION_LINES for name in LONG_FUNCTIONS)


@pytest.mark.parametrize(
    ("source", "named"),
    [
        pytest.param("from gateway import store", {"store"}, id="the layer from the package"),
        pytest.param("from gateway.store import reads", {"store"}, id="a module from the layer"),
        pytest.param("import gateway.store.store as sql", {"store"}, id="a module by its whole name"),
        pytest.param("def late():\n    from gateway.graphql import errors", {"graphql"}, id="inside a function"),
        pytest.param("if TYPE_CHECKING:\n    from gateway.core import Store", {"core"}, id="for type checkers only"),
        pytest.param("import orjson\nfrom gateways import store", set[str](), id="none of ours"),
    ],
)
def test_the_layers_that_a_source_names_are_seen(source: str, named: set[str]) -> None:
    assert layers_named(ast.parse(source)) == named
