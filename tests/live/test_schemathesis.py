"""A fuzzer reads what we say of ourselves, and holds our answers to it: REST by OpenAPI, GraphQL by its schema."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from tests.effort import times
from tests.live.server import Server, environment, run_gateway, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PROGRAM: Final = Path(sys.executable).with_name("schemathesis")
_CONFIG: Final = Path(__file__).with_name("schemathesis.toml")


class Fuzzer:
    """Runs schemathesis against a server: a few examples; or, with `--slow`, many in every phase that it has."""

    def __init__(self, folder: Path, *, is_slow: bool) -> None:
        self._folder = folder
        self._is_slow = is_slow

    def over_rest(self, server: Server, *arguments: str, phases: str = "fuzzing,stateful") -> str:
        """Give what it finds in the REST face."""
        # The phase that is left out tries the edges of every limit, and takes a minute.
        chosen = () if self._is_slow else ("--phases", phases)
        return self._run(f"{server.base_url}/openapi.json", *chosen, *arguments)

    def over_graphql(self, server: Server, *arguments: str, key: str = "") -> str:
        """Give what it finds in the GraphQL face, where it knows the ids of a thread and a message."""
        ids = _thread_and_message(server, key)
        hooks = {"SCHEMATHESIS_HOOKS": "tests.live.graphql_hooks", "FUZZED_IDS": ids, "FUZZED_WITH": key}
        # Both take what our errors call the caller's fault for ours; `nothing_is_our_fault` asks them.
        without = ("--exclude-checks", "not_a_server_error,positive_data_acceptance")
        return self._run(f"{server.base_url}/graphql", *without, *arguments, **hooks)

    def _run(self, url: str, *arguments: str, **given: str) -> str:
        # With --slow they are others each time; what it prints of a failure begins with what draws them again.
        seed = () if self._is_slow else ("--seed", "1")
        drawn = ("--max-examples", str(times(fast=2, slow=100)), "--generation-database", "none", *seed)
        ran = subprocess.run(
            [_PROGRAM, "--config-file", _CONFIG, "run", url, "--no-color", *drawn, *arguments],
            cwd=self._folder,
            env=environment(given),
            capture_output=True,
            text=True,
            check=False,
        )
        return "" if ran.returncode == 0 else ran.stdout + ran.stderr


def _thread_and_message(server: Server, key: str) -> str:
    """Make both, and give their ids."""
    with httpx.Client(base_url=f"{server.base_url}/v1", headers=bearing(key)) as rest:
        thread = rest.post("/threads").json()["id"]
        message = rest.post(f"/threads/{thread}/messages", json={"role": "user", "content": "Hello"}).json()["id"]
    return f"{thread} {message}"


def bearing(key: str) -> dict[str, str]:
    """Write the header that carries a key, if there is one."""
    return {"Authorization": f"Bearer {key}"} if key else {}


@pytest.fixture
def fuzz(request: pytest.FixtureRequest, tmp_path: Path) -> Fuzzer:
    return Fuzzer(tmp_path, is_slow=request.config.getoption("--slow"))


@pytest.fixture(scope="module")
def key_and_server(
    new_sqlite_url: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Server]]:
    """Serve a database that has a key, and runs."""
    folder = tmp_path_factory.mktemp("keyed")
    url = new_sqlite_url()
    made = run_gateway("keys", "create", "--scopes", "read,write,runs", "--database-url", url, folder=folder)
    # A fuzzer asks without a good key more often than anybody should.
    with serving(url, "--demo", folder=folder, given={"GATEWAY_RATE_FAILED_AUTH": "off"}) as server:
        yield made.stdout.strip(), server


@pytest.mark.parametrize("live_server", ["postgres"], indirect=True)  # with a key it is SQLite
def test_rest_conforms_to_openapi_without_keys(fuzz: Fuzzer, live_server: Server) -> None:
    without = ("--exclude-checks", "ignored_auth", "--exclude-path-regex", "/assistants|/runs")  # it has no model
    assert fuzz.over_rest(live_server, *without) == ""


def test_rest_requires_a_key_as_documented(fuzz: Fuzzer, key_and_server: tuple[str, Server]) -> None:
    key, server = key_and_server

    assert fuzz.over_rest(server, "--header", f"Authorization: Bearer {key}") == ""


def test_rest_rejects_requests_without_the_key(fuzz: Fuzzer, key_and_server: tuple[str, Server]) -> None:
    _, server = key_and_server

    # No request is accepted, so none leads to another, as those of the stateful phase do.
    assert fuzz.over_rest(server, "--mode", "positive", phases="fuzzing") == ""


@pytest.mark.parametrize("live_server", ["sqlite"], indirect=True)  # without a key, REST is held to it on PostgreSQL
def test_graphql_conforms_to_its_schema_without_keys(fuzz: Fuzzer, live_server: Server) -> None:
    assert fuzz.over_graphql(live_server) == ""


def test_graphql_requires_a_key_as_documented(fuzz: Fuzzer, key_and_server: tuple[str, Server]) -> None:
    key, server = key_and_server

    assert fuzz.over_graphql(server, "--header", f"Authorization: Bearer {key}", key=key) == ""
