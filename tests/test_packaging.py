"""What a wheel and a source distribution contain, as hatchling collects it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

pytestmark = pytest.mark.uncounted  # nothing of the program runs

ROOT: Final = Path(__file__).parents[1]
SOURCES: Final = {each.relative_to(ROOT).as_posix() for each in (ROOT / "gateway").rglob("*.py")}
MIGRATIONS: Final = {each.name for each in (ROOT / "migrations" / "versions").glob("*.py")}
BUILD_SCRIPT: Final = "gateway/graphql/graphiql/build.py"  # it runs while a wheel is built


@cache  # it walks the whole checkout
def contents(builder: type[SdistBuilder | WheelBuilder]) -> set[str]:
    return {each.distribution_path for each in builder(str(ROOT)).recurse_included_files()}


def test_wheel_has_each_module_its_types_and_its_migrations() -> None:
    found = contents(WheelBuilder)

    assert found >= SOURCES - {BUILD_SCRIPT} | {"gateway/py.typed", "gateway/rest/openapi.json"}
    assert found >= {f"gateway/migrations/versions/{name}" for name in MIGRATIONS}


def test_wheel_has_nothing_but_the_package() -> None:
    found = contents(WheelBuilder)

    assert {each for each in found if not each.startswith("gateway/")} == set()
    assert {each for each in found if "graphiql/" in each and "/built/" not in each} == set()


def test_source_distribution_has_what_is_beside_the_package() -> None:
    pages = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"}

    assert contents(SdistBuilder) >= pages | {"schema.graphql", "deploy/nginx.conf", "docs/quickstart.md"}


def test_source_distribution_has_all_that_a_wheel_is_built_of() -> None:
    graphiql = {f"gateway/graphql/graphiql/{name}" for name in ("build.py", "package.json", "main.jsx", "bundle.mjs")}

    assert contents(SdistBuilder) >= SOURCES | graphiql | {f"migrations/versions/{name}" for name in MIGRATIONS}
