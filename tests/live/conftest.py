"""What the live tests share: one server for each kind of database, and an older SDK."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING, Final

import openai
import pytest

from tests.clients import page
from tests.clients.node import made_once, run
from tests.following import make_thread
from tests.live.inside import WHO, serving_inside
from tests.live.server import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from gateway.domain.ids import ThreadId
    from tests.live.inside import Inside
    from tests.live.server import Server

OLD_SDK: Final = "1.109.1"  # the last of the series that most programs written for Assistants still have


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def live_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve each kind of database to many tests; they work in threads of their own and never count all threads."""
    folder = tmp_path_factory.mktemp("live")
    url = request.getfixturevalue(f"new_{request.param}_url")()
    with serving(url, folder=folder) as server:
        yield server


@pytest.fixture
async def inside(database_url: str) -> AsyncIterator[Inside]:
    """Serve each kind of database within this process."""
    async with serving_inside(database_url) as server:
        yield server


@pytest.fixture
async def base_url(sqlite_url: str) -> AsyncIterator[str]:
    """Serve for rules in which no database has a part."""
    async with serving_inside(sqlite_url) as server:
        yield server.base_url


@pytest.fixture
async def thread(inside: Inside) -> ThreadId:
    """Make a thread to follow."""
    return await make_thread(inside.store, WHO)


@pytest.fixture(scope="session")
def frontend(live_server: Server, node_clients: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001  (it installs)
    """Lay the files of docs/graphql.md out, for a server of each kind of database."""
    folder = page.lay_out(tmp_path_factory.mktemp("frontend"), live_server.base_url)
    page.compile_relay(folder)
    run(folder / "fetch-schema.js", cwd=folder)
    return folder


@pytest.fixture(scope="session")
def old_sdk(client_cache: Path) -> Path:
    """Give a folder with an older SDK, which stands on the same packages as ours but for two."""
    folder = client_cache / f"openai-{OLD_SDK}"
    with made_once(folder, note=client_cache / "old-sdk", what=f"openai {OLD_SDK}, Python {sys.version}") as is_made:
        if not is_made:
            shutil.rmtree(folder, ignore_errors=True)
            pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
            only = ("--no-deps", "--no-compile", "--target", folder)  # most of it is never imported
            _run(*pip, *only, f"openai=={OLD_SDK}", "distro", "tqdm")
    return folder


@pytest.fixture(scope="session")
def sdk_source(client_cache: Path) -> Path:
    """Give the source of the SDK that is installed, which has its own tests."""
    name = f"openai-{openai.__version__}"
    folder = client_cache / "openai-source"
    with made_once(folder / name, note=client_cache / "openai-source.note", what=name) as is_made:
        if not is_made:
            shutil.rmtree(folder, ignore_errors=True)
            pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet")
            only = ("--no-deps", "--no-build-isolation", "--no-binary", "openai")
            _run(*pip, *only, "--dest", folder, f"openai=={openai.__version__}")
            with tarfile.open(folder / f"{name}.tar.gz") as packed:
                # Python 3.11.3 and before take no filter; where there is one, this names it.
                packed.extraction_filter = getattr(tarfile, "data_filter", None)
                packed.extractall(folder)  # noqa: S202  (see above)
    return folder / name


def _run(*command: str | Path) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
