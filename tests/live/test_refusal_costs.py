"""No refusal of any body, on any path, by anybody, costs the served process 100 ms of CPU or 20 MB."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import httpx
import pytest

from gateway.domain import bounds
from tests import bombs
from tests.live.server import run_gateway, serving
from tests.pace import patience

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.live.server import Server

MOST_MS: Final = patience(100)
MOST_MB: Final = 20
TRIES: Final = 6  # a busy neighbour on the same core makes the same work cost more
NAMES: Final = [*bombs.body_bombs(1_000)]  # of small ones; the large ones are made when a test needs them
NAMES_OF_REQUESTS: Final = [*bombs.graphql_bombs(1_000)]
TYPICAL: Final = ("empty lists", "lists in each other", "a long text", "49,000 unknown fields")
ELSEWHERE: Final = {
    "a new thread": ("POST", "/v1/threads"),
    "a thread": ("POST", "/v1/threads/thread_1"),
    "a message": ("POST", "/v1/threads/thread_1/messages/msg_1"),
    "an unknown path": ("POST", "/v1/nothing"),
    "another unknown path": ("POST", "/nothing"),
    "a wrong method": ("PUT", "/v1/threads"),
    "a wrong method of GraphQL": ("PUT", "/graphql"),
    "the root": ("POST", "/"),
}


@cache
def bodies() -> dict[str, bytes]:
    return bombs.body_bombs(bounds.BODY.number)


@cache
def requests() -> dict[str, bytes]:
    return bombs.graphql_bombs(bounds.GRAPHQL_BODY.number)


class Spent(NamedTuple):
    """What a request cost a process. Units: milliseconds of CPU; megabytes beyond those held before, at the peak."""

    ms: float
    mb: float


class Measured:
    """A client of a server that says what its requests cost."""

    def __init__(self, server: Server, key: str) -> None:
        self._process = Path(f"/proc/{server.process.pid}")
        self._http = httpx.Client(base_url=server.base_url, timeout=patience(60), trust_env=False)
        self.known = {"authorization": f"Bearer {key}"}

    def close(self) -> None:
        self._http.close()

    def refusal(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Spent:
        """Send a body that is refused, some times, and give the least that it cost."""
        spent = [self._once(method, path, body, headers)]
        while len(spent) < TRIES and not (spent[-1].ms < MOST_MS and spent[-1].mb < MOST_MB):
            spent.append(self._once(method, path, body, headers))
        return Spent(min(each.ms for each in spent), min(each.mb for each in spent))

    def _once(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Spent:
        self._http.get("/healthz")
        (self._process / "clear_refs").write_text("5")  # forgets the peak
        ms, held = self._cpu_ms(), self._megabytes("VmRSS")
        answer = self._http.request(method, path, content=body, headers={"content-type": "application/json", **headers})
        assert answer.status_code >= 400 or "errors" in answer.json()
        return Spent(self._cpu_ms() - ms, self._megabytes("VmHWM") - held)

    def _cpu_ms(self) -> float:
        return sum(int(each.read_text().split()[0]) for each in self._process.glob("task/*/schedstat")) / 1e6

    def _megabytes(self, what: str) -> float:
        [line] = [each for each in (self._process / "status").read_text().splitlines() if each.startswith(what)]
        return int(line.split()[1]) * 1_024 / 1e6


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measured]:
    folder = tmp_path_factory.mktemp("costs")
    url = f"sqlite:///{folder / 'threads.db'}"
    key = run_gateway("keys", "create", "--name", "ours", "--database-url", url, folder=folder).stdout.strip()
    with serving(url, folder=folder) as server:
        measured = Measured(server, key)
        assert httpx.get(f"{server.base_url}/v1/threads", headers=measured.known).status_code == 200
        # Modules that the first request of a kind imports are no cost of a refusal.
        for method, path in (("POST", "/graphql"), ("POST", "/v1/threads"), ("POST", "/nothing")):
            measured.refusal(method, path, b"[", measured.known)
        yield measured
        measured.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_body_that_rest_refuses_costs_little(server: Measured, name: str) -> None:
    spent = server.refusal("POST", "/v1/threads/thread_1/messages", bodies()[name], server.known)

    assert (spent.ms < MOST_MS, spent.mb < MOST_MB) == (True, True), spent


@pytest.mark.parametrize("name", NAMES_OF_REQUESTS)
def test_a_body_that_graphql_refuses_costs_little(server: Measured, name: str) -> None:
    spent = server.refusal("POST", "/graphql", requests()[name], server.known)

    assert (spent.ms < MOST_MS, spent.mb < MOST_MB) == (True, True), spent


@pytest.mark.parametrize("name", TYPICAL)
@pytest.mark.parametrize("where", ELSEWHERE)
def test_a_body_that_is_refused_elsewhere_costs_little(server: Measured, where: str, name: str) -> None:
    spent = server.refusal(*ELSEWHERE[where], bodies()[name], server.known)

    assert (spent.ms < MOST_MS, spent.mb < MOST_MB) == (True, True), spent


@pytest.mark.parametrize("path", ["/v1/threads", "/v1/threads/thread_1/messages", "/graphql"])
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer nobody's"}], ids=["nothing", "a wrong key"])
def test_a_body_of_an_unauthenticated_client_costs_little(server: Measured, path: str, headers: dict[str, str]) -> None:
    spent = server.refusal("POST", path, requests()["empty lists"], headers)

    assert (spent.ms < MOST_MS, spent.mb < MOST_MB) == (True, True), spent
