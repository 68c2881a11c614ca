"""The gateway as a user has it: a wheel of this checkout in an environment of its own, its server on a free port."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import sysconfig
import venv
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.pace import patience

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_CHECKOUT: Final = Path(__file__).parents[2]


def programs_in(folder: Path) -> Path:
    """Give the folder of programs of the environment that `install` makes in a folder."""
    return Path(sysconfig.get_path("scripts", "venv", _paths(folder)))


def install(folder: Path) -> None:
    """Install this checkout into a new environment, which builds its wheel.

    Only what the wheel needs beside itself is borrowed, from the environment of the tests: a line in a .pth file adds
    its packages, but not what its own .pth files point to, which is this checkout if it is installed editable.
    """
    venv.create(folder / "environment", symlinks=True)
    packages = Path(sysconfig.get_path("purelib", "venv", _paths(folder)))
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = programs_in(folder) / "python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
    # It is compiled as far as it is imported, by the first server.
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-compile")
    subprocess.run((*pip, "install", *options, _CHECKOUT), check=True)


def _paths(folder: Path) -> dict[str, str]:
    return dict.fromkeys(("base", "platbase"), str(folder / "environment"))


@asynccontextmanager
async def serve(programs: Path, folder: Path, prefix: tuple[str, ...] = ()) -> AsyncIterator[str]:
    """Run the installed server in a folder, its command behind a prefix, and give its address."""
    command = (
        *prefix,
        str(programs / "gateway"),
        "serve",
        "--port",
        "0",
        "--database-url",
        f"sqlite:///{folder / 'threads.db'}",
    )
    server = await asyncio.create_subprocess_exec(*command, cwd=folder, stderr=asyncio.subprocess.PIPE)
    assert server.stderr is not None
    try:
        async with asyncio.timeout(patience(30)):
            while not (found := re.search(rb"GraphQL +(http://\S+)/graphql", await server.stderr.readline())):
                assert server.returncode is None
        yield found[1].decode()
    finally:
        server.terminate()
        await server.wait()
