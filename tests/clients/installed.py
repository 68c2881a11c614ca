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

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_CHECKOUT: Final = Path(__file__).parents[2]


def install(folder: Path) -> Path:
    """Build the wheel, install it into a new environment, and give that environment's folder of programs.

    Only what the wheel needs beside itself is borrowed, from the environment of the tests: a line in a .pth file adds
    its packages, but not what its own .pth files point to, which is this checkout if it is installed editable.
    """
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    subprocess.run((*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, _CHECKOUT), check=True)
    environment = folder / "environment"
    venv.create(environment, symlinks=True)
    paths = {"base": str(environment), "platbase": str(environment)}
    packages = Path(sysconfig.get_path("purelib", "venv", paths))
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    [wheel] = folder.glob("*.whl")
    programs = Path(sysconfig.get_path("scripts", "venv", paths))
    subprocess.run((*pip, "--python", programs / "python", "install", "-q", "--no-deps", wheel), check=True)
    return programs


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
        async with asyncio.timeout(30):
            while not (found := re.search(rb"GraphQL +(http://\S+)/graphql", await server.stderr.readline())):
                assert server.returncode is None
        yield found[1].decode()
    finally:
        server.terminate()
        await server.wait()
