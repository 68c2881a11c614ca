"""Each law of the layout refuses a small source that breaks it, and accepts one that does not."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

import pytest

from tests import laws

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.uncounted  # nothing of the program runs


def _trees(sources: dict[str, str]) -> dict[str, ast.Module]:
    return {name: ast.parse(source) for name, source in sources.items()}


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
def test_every_import_of_a_layer_is_found(source: str, named: set[str]) -> None:
    assert laws.layers_named(ast.parse(source)) == named


def test_third_party_imports_are_found() -> None:
    source = (
        "import os\nimport orjson.x\nfrom gateway import core\ndef late():\n    from starlette.requests import Request"
    )

    assert laws.others_named(ast.parse(source)) == {"orjson", "starlette"}


@pytest.mark.parametrize(
    ("source", "named"),
    [
        pytest.param("from gateway.store import staging", set[str](), id="the allowed module"),
        pytest.param("from gateway.store.staging import stage", set[str](), id="a name of the allowed module"),
        pytest.param("from gateway.store import store", {"gateway.store.store"}, id="another module"),
        pytest.param("from gateway.store.store import Store", {"gateway.store.store.Store"}, id="a name of another"),
        pytest.param("from gateway import store", {"gateway.store"}, id="the whole store"),
        pytest.param("from gateway.core import Store", set[str](), id="what core exports"),
    ],
)
def test_imports_from_other_modules_of_the_store_are_found(source: str, named: set[str]) -> None:
    assert laws.store_imports_except(ast.parse(source), "gateway.store.staging") == named


_CIRCLES: Final = [
    pytest.param({"g.a": "from g import b", "g.b": "from g import a"}, {"g: a > b > a"}, id="two modules"),
    pytest.param({"g.a": "from g import b", "g.b": "import os"}, set[str](), id="no circle"),
    pytest.param({"g.a": "from g.a import Own"}, set[str](), id="a module that imports itself"),
    pytest.param(
        {"g.c": "from g import a", "g.b": "from g.c import x", "g.a": "import g.b"},
        {"g: a > b > c > a"},
        id="three modules",
    ),
    pytest.param(
        {"g.a": "if TYPE_CHECKING:\n    from g.b import B", "g.b": "def late():\n    from g import a"},
        {"g: a > b > a"},
        id="for type checkers and inside a function",
    ),
    pytest.param(
        {"g.p.a": "from g.q.d import x", "g.p.b": "", "g.q.c": "from g.p.b import x", "g.q.d": ""},
        {"g: p > q > p"},
        id="two packages whose modules have no circle",
    ),
    pytest.param(
        {"g.p.a": "from g.p import b", "g.p.b": "from g.p import a", "g.z": "from g.p import a"},
        {"g.p: a > b > a"},
        id="within a package",
    ),
    pytest.param(
        {"g.p.__init__": "from g.p.a import x", "g.p.a": "from g.p import y"},
        {"g.p: __init__ > a > __init__"},
        id="a module and the __init__ of its package",
    ),
    pytest.param(
        {"g.a": "from g import b", "g.b": "from g import a", "g.c": "from g import a, d", "g.d": "from g import c"},
        {"g: a > b > a", "g: c > d > c"},
        id="two circles",
    ),
    pytest.param(
        {"g.a": "from g import b", "g.b": "from g import a, c", "g.c": "from g import b"},
        {"g: a > b > a"},
        id="two circles that meet",
    ),
]


@pytest.mark.parametrize(("sources", "found"), _CIRCLES)
def test_import_circles_are_found_with_their_path(sources: dict[str, str], found: set[str]) -> None:
    assert laws.circles(_trees(sources)) == found


@pytest.mark.parametrize(
    ("sources", "found"),
    [
        pytest.param(
            {"g.p.a": "class Page: ...", "g.p.b.c": "class Page: ..."}, {"g.p:Page": ["g.p.a", "g.p.b.c"]}, id="twins"
        ),
        pytest.param({"g.p.a": "class Page: ...", "g.q.a": "class Page: ..."}, {}, id="in two layers"),
        pytest.param({"g.p.a": "class _Page: ...", "g.p.b": "class _Page: ..."}, {}, id="private ones"),
    ],
)
def test_public_classes_that_share_a_name_are_found(sources: dict[str, str], found: dict[str, list[str]]) -> None:
    assert laws.duplicate_classes(_trees(sources)) == found


_WITH_A_LONG_FUNCTION: Final = "def just():\n" + "    x\n" * 39 + "class C:\n    def long(self):\n" + "        x\n" * 40


@pytest.mark.parametrize(
    ("law", "source", "found"),
    [
        pytest.param(laws.relative_imports, "import os\nfrom . import x", [2], id="relative import"),
        pytest.param(laws.own_imports, "from gateway.store import x\nimport sqlalchemy", {"gateway.store.x"}, id="own"),
        pytest.param(laws.early_imports_of_extras, "import opentelemetry.sdk", {"opentelemetry.sdk"}, id="an extra"),
        pytest.param(
            laws.early_imports_of_extras, "def late():\n    import opentelemetry", set[str](), id="an extra when used"
        ),
        pytest.param(laws.environment_reads, "import os\nx = os.environ['X']", {"os.environ"}, id="os.environ"),
        pytest.param(laws.environment_reads, "from os import getenv", {"os.getenv"}, id="getenv"),
        pytest.param(laws.long_functions, _WITH_A_LONG_FUNCTION, {"long"}, id="a method of 41 lines, and one of 40"),
        pytest.param(laws.many_positional, "def f(a, b, c, d, e, /, f): ...", {"f"}, id="six by position"),
        pytest.param(
            laws.many_positional, "class C:\n    def f(self, a, b, c, d, e, *, f): ...", set[str](), id="five, and self"
        ),
    ],
)
def test_a_source_that_breaks_a_law_is_found(law: Callable[[ast.Module], object], source: str, found: object) -> None:
    assert law(ast.parse(source)) == found


def test_resolvers_may_have_many_parameters() -> None:
    resolver = ast.parse("@strawberry.field\ndef f(a, b, c, d, e, f): ...\ndef g(a, b, c, d, e, f): ...")

    assert laws.many_positional(resolver, resolvers_may=True) == {"g"}


@pytest.mark.parametrize(
    ("sources", "found"),
    [
        pytest.param({"g.a": "def f(): ..."}, {"g.a:f"}, id="a function"),
        pytest.param({"g.a": 'class C:\n    def f(self):\n        """Not f."""\nC()'}, {"g.a:f"}, id="a method"),
        pytest.param({"g.a": "X: Final = 1\nY: Final = X"}, {"g.a:Y"}, id="a constant"),
        pytest.param({"g.a": "def f(): ...", "g.b": "from g import a\na.f()"}, set[str](), id="a call elsewhere"),
        pytest.param({"g.a": "def f(): ...\nline('meter.f()')"}, set[str](), id="generated code"),
        pytest.param({"g.a": "@command\ndef f(): ..."}, set[str](), id="a decorator"),
    ],
)
def test_what_nothing_refers_to_is_found(sources: dict[str, str], found: set[str]) -> None:
    assert laws.unused(_trees(sources)) == found


@pytest.mark.parametrize(("lines", "is_long"), [(500, False), (501, True)])
def test_a_file_of_more_than_500_lines_is_long(lines: int, *, is_long: bool) -> None:
    assert laws.is_long_file("x\n" * lines) == is_long


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
        pytest.param('op.drop_column("t", "c")', {"drop_column"}, id="a column that is gone"),
        pytest.param('op.create_table("new", sa.Column("c", sa.Text(), nullable=False))', set[str](), id="a new table"),
    ],
)
def test_a_migration_that_the_previous_version_cannot_serve_is_found(source: str, faults: set[str]) -> None:
    upgrade = ast.parse(f"def upgrade():\n    {source}\ndef downgrade():\n    op.drop_column('t', 'c')")

    assert laws.faults_of_upgrade(upgrade) == faults
