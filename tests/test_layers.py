"""The laws of the layout, proved on the source: who imports whom, and how large anything may grow.

Must not be here: how a source is judged (`laws`), examples that break a law (`test_laws`).
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests import laws

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

pytestmark = pytest.mark.uncounted  # nothing of the program runs

_ROOT: Final = Path(__file__).parents[1]
_BUILD_HOOK: Final = _ROOT / "gateway/graphql/graphiql/build.py"  # hatchling runs it; no module of the program
_GATEWAY: Final = sorted(set((_ROOT / "gateway").rglob("*.py")) - {_BUILD_HOOK})
_MIGRATIONS: Final = sorted((_ROOT / "migrations" / "versions").glob("*.py"))
_TESTS: Final = sorted(path for path in (_ROOT / "tests").rglob("*.py") if "node_modules" not in path.parts)
_BENCH: Final = sorted((_ROOT / "bench").rglob("*.py"))
_OWN: Final = [*_GATEWAY, *_MIGRATIONS]

# A layer is a package of ours, or a module at the top level; `app` wires all of them and is named by nobody.
MAY_IMPORT: Final = {
    "errors": set[str](),
    "concurrency": set[str](),
    "background": {"observability", "errors"},
    "observability": {"settings"},
    "fast_executor": set[str](),  # a package that could be one of its own
    "domain": {"errors"},
    "settings": {"domain", "errors"},  # of the domain the numbers that bounds have if nothing is said
    "events": {"concurrency", "domain", "errors"},
    "store": {"settings", "concurrency", "observability", "domain", "errors"},  # of the settings the grammar of URLs
    "core": {"store", "events", "concurrency", "observability", "domain", "errors"},
    "runs": {"background", "settings", "core", "events", "concurrency", "observability", "domain", "errors"},
    "web": {"settings", "observability", "domain", "errors"},
    "auth": {"settings", "web", "core", "concurrency", "observability", "domain", "errors"},
    "rest": {"auth", "web", "core", "runs", "domain", "errors"},
    "graphql": {
        "settings",
        "auth",
        "web",
        "core",
        "runs",
        "fast_executor",
        "events",
        "concurrency",
        "observability",
        "domain",
        "errors",
    },
    "transfer": {"core", "store", "domain", "errors"},
    "server": {
        "settings",
        "store",
        "events",
        "core",
        "graphql",
        "web",
        "concurrency",
        "observability",
        "domain",
        "errors",
    },
    "app": {
        "background",
        "settings",
        "server",
        "store",
        "events",
        "core",
        "runs",
        "web",
        "auth",
        "rest",
        "graphql",
        "observability",
        "errors",
    },
    "cli": {
        "settings",
        "server",
        "transfer",
        "store",
        "events",
        "core",
        "web",
        "auth",
        "graphql",
        "observability",
        "domain",
        "errors",
    },
    "__main__": {"cli"},
}
MAY_IMPORT_OF_OTHERS: Final = {
    "errors": set[str](),
    "concurrency": set[str](),
    "background": set[str](),
    "observability": {"structlog", "orjson", "prometheus_client", "opentelemetry"},
    "fast_executor": {"graphql", "orjson"},
    "domain": {"orjson"},
    "settings": {"click", "dotenv"},  # types of values
    "events": {"asyncpg", "redis", "orjson"},
    "store": {"sqlalchemy", "alembic", "asyncpg"},
    "core": {"orjson"},  # answers that grow: it looks at the last part that is stored
    "runs": {"orjson", "aiohttp"},
    "web": {"starlette"},
    "auth": {"jwt", "limits", "redis"},
    "rest": {"starlette", "orjson"},
    "graphql": {"strawberry", "graphql", "starlette", "orjson"},
    "transfer": {"orjson", "click"},  # it reports to a person at a terminal as it reads
    "server": {"uvicorn", "httptools", "websockets", "click", "sqlalchemy"},
    "app": {"starlette"},
    "cli": {"click", "rich", "orjson"},
    "__main__": set[str](),
}
# graphql-core decides which arguments these take; our executors override them.
NAMED_ELSEWHERE: Final = {
    *("on_body", "on_header", "on_headers_complete", "on_message_begin", "on_message_complete", "on_url"),  # httptools
    "schedule_ping",  # uvicorn's protocol of WebSockets
    "leave_operation_definition",  # a visitor of graphql-core
    *("readable", "readinto"),  # io
    "format_options",  # click
    "BOUNDS",  # the test of the page of limits
}
OF_GRAPHQL_CORE: Final = {"execute_field", "complete_object_value", "complete_iterable_value"}
# Import and export move whole threads without the use cases, by this one module of the store.
ONLY_STORE_MODULE: Final = {"transfer": "gateway.store.staging"}

# Since 0004 a migration only expands: what it takes away is what no version in use needs any more.
FIRST_TO_EXPAND: Final = "0004"
LONG_FUNCTIONS: Final = {
    "migrations/versions/0001_create_threads.py:upgrade": "the columns of all tables, one a line; nothing to follow",
}


def _name(path: Path) -> str:
    return path.relative_to(_ROOT).as_posix()


def _module(path: Path) -> str:
    return ".".join(path.relative_to(_ROOT).with_suffix("").parts)


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(_text(path))


def _layer(path: Path) -> str:
    """Name the layer of a module: its package, or itself at the top level."""
    return path.relative_to(_ROOT / "gateway").parts[0].removesuffix(".py")


def _trees(paths: Sequence[Path]) -> dict[str, ast.Module]:
    return {_module(path): _tree(path) for path in paths}


def _broken(paths: Sequence[Path], law: Callable[[ast.Module], object]) -> dict[str, object]:
    """Find what breaks a law in which of some files; a test for each of them would take longer than to read it."""
    return {_name(path): found for path in paths if (found := law(_tree(path)))}


def test_every_layer_has_its_line_in_both_tables() -> None:
    layers = {_layer(path) for path in _GATEWAY} - {"__init__"}

    assert layers == set(MAY_IMPORT) == set(MAY_IMPORT_OF_OTHERS)


@pytest.mark.parametrize("layer", MAY_IMPORT)
def test_a_layer_imports_only_the_layers_below_it(layer: str) -> None:
    own = [path for path in _GATEWAY if _layer(path) == layer]

    assert _broken(own, lambda tree: laws.layers_named(tree) - {layer, *MAY_IMPORT[layer]}) == {}


@pytest.mark.parametrize("layer", MAY_IMPORT_OF_OTHERS)
def test_a_layer_imports_only_its_own_third_party_packages(layer: str) -> None:
    own = [path for path in _GATEWAY if _layer(path) == layer]

    assert _broken(own, lambda tree: laws.others_named(tree) - MAY_IMPORT_OF_OTHERS[layer]) == {}


@pytest.mark.parametrize(("layer", "allowed"), ONLY_STORE_MODULE.items())
def test_a_layer_reaches_the_store_by_one_module(layer: str, allowed: str) -> None:
    own = [path for path in _GATEWAY if _layer(path) == layer]

    assert _broken(own, lambda tree: laws.store_imports_except(tree, allowed)) == {}


def test_the_program_has_no_import_circle() -> None:
    assert laws.circles(_trees(_GATEWAY)) == set()


def test_public_classes_of_one_layer_have_different_names() -> None:
    assert laws.duplicate_classes(_trees(_GATEWAY)) == {}


def test_nothing_is_left_that_nothing_refers_to() -> None:
    assert {name.partition(":")[2] for name in laws.unused(_trees(_GATEWAY))} == NAMED_ELSEWHERE


def test_no_import_is_relative() -> None:
    # Where the text has none, neither has the tree.
    suspects = [path for path in [*_OWN, *_TESTS, *_BENCH] if re.search(r"\bfrom[\s\\]*\.", _text(path))]

    assert _broken(suspects, laws.relative_imports) == {}


def test_extras_are_imported_only_when_used() -> None:
    assert (
        _broken([path for path in _GATEWAY if path.stem not in laws.MODULES_OF_EXTRAS], laws.early_imports_of_extras)
        == {}
    )


def test_only_settings_read_the_environment() -> None:
    assert _broken([path for path in _GATEWAY if _layer(path) != "settings"], laws.environment_reads) == {}


def test_migrations_import_nothing_from_the_program() -> None:
    assert _broken(_MIGRATIONS, laws.own_imports) == {}


def test_migrations_leave_a_database_that_the_previous_version_can_serve() -> None:
    assert _broken([path for path in _MIGRATIONS if path.name >= FIRST_TO_EXPAND], laws.faults_of_upgrade) == {}


def test_files_have_at_most_500_lines() -> None:
    assert [_name(path) for path in [*_OWN, *_TESTS] if laws.is_long_file(_text(path))] == []


def test_functions_have_at_most_40_lines() -> None:
    long = {f"{_name(path)}:{name}" for path in _OWN for name in laws.long_functions(_tree(path))}

    assert long == set(LONG_FUNCTIONS)


def test_functions_have_at_most_five_positional_parameters() -> None:
    def many(path: Path) -> set[str]:
        overrides = OF_GRAPHQL_CORE if _layer(path) == "fast_executor" else set()
        return laws.many_positional(_tree(path), resolvers_may=_layer(path) == "graphql") - overrides

    own = [
        *((path, many(path)) for path in _GATEWAY),
        *((path, laws.many_positional(_tree(path))) for path in _MIGRATIONS),
    ]

    assert {_name(path): found for path, found in own if found} == {}


def test_every_module_has_a_docstring() -> None:
    assert _broken(_OWN, lambda tree: not ast.get_docstring(tree)) == {}
