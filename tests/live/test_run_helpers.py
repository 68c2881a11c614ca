"""The helpers that SDKs have for runs, unchanged but for their address, against a real server and a fake model."""

from __future__ import annotations

import json
import re
import warnings
from typing import TYPE_CHECKING, Any, Final

import pytest
from openai import AsyncOpenAI, AzureOpenAI, OpenAI

from tests.clients.node import run
from tests.clients.run_checks import ASYNC_CHECKS, CHECKS, run_model
from tests.live.server import serving
from tests.runs.fake_model import fake_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.live.server import Server

pytestmark = pytest.mark.uncounted

# No retries: a fault of the server's must show.
SHARED: Final[dict[str, Any]] = {"api_key": "any", "max_retries": 0, "_strict_response_validation": True}


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def answering(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve runs on each kind of database, answered by a fake model."""
    url = request.getfixturevalue(f"new_{request.param}_url")()
    with fake_model() as model:
        model.otherwise = run_model
        given = {"GATEWAY_MODEL_URL": model.url, "GATEWAY_MODEL": "any"}
        with serving(url, folder=tmp_path_factory.mktemp("runs"), given=given) as server:
            yield server


@pytest.fixture(autouse=True)
def _as_programs_do() -> Iterator[None]:
    """Allow the warning that the SDK gives on each call."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The Assistants API is deprecated|deprecated", DeprecationWarning)
        yield


@pytest.mark.parametrize("name", CHECKS)
def test_the_python_sdk_finds(answering: Server, name: str) -> None:
    with OpenAI(base_url=f"{answering.base_url}/v1", **SHARED) as client:
        CHECKS[name](client)


@pytest.mark.parametrize("name", CHECKS)
def test_the_python_sdk_for_azure_finds(answering: Server, name: str) -> None:
    with AzureOpenAI(azure_endpoint=answering.base_url, api_version="2024-05-01-preview", **SHARED) as client:
        CHECKS[name](client)


@pytest.mark.parametrize("name", ASYNC_CHECKS)
async def test_the_asynchronous_python_sdk_finds(answering: Server, name: str) -> None:
    base_url = f"{answering.base_url}/v1"
    async with AsyncOpenAI(base_url=base_url, api_key="any", max_retries=0) as client:
        await ASYNC_CHECKS[name](client)


def test_the_node_sdk_finds_the_same(answering: Server, node_clients: Path) -> None:
    outcomes = json.loads(run(node_clients / "run_checks.mjs", answering.base_url))

    assert outcomes
    assert set(outcomes.values()) == {"ok"}, re.sub(r"\\n", "\n", json.dumps(outcomes, indent=2))
