"""What is refused counts as what is answered, on every way in: nobody makes a server parse more than its rate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from tests.live.server import PATIENCE_S, run_here, serving
from tests.live.subscribing import socket_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.live.server import Server

RATE: Final = "5/day"  # a window ends at midnight (UTC), and hardly ever while a test runs
ALLOWED: Final = 5
MANY: Final = 12
_WRONG: Final[dict[str, Any]] = {"variables": {"a": "wrong"}}
# What is refused at each stage; `%` makes every document another one.
REFUSED: Final[dict[str, dict[str, Any]]] = {
    "a syntax error": {"query": "a%"},
    "a document that is not valid": {"query": "{ conversations% }"},
    "an unknown operation": {"query": "query a { __typename } query b { __typename } #%"},
    "a variable that does not fit": {"query": "query ($a: Int) { threads(first: $a) { nodes { id } } } #%"} | _WRONG,
    "a variable of a known document": {"query": "query ($a: Int) { threads(first: $a) { nodes { id } } }"} | _WRONG,
    "an unknown hash": {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "%"}}},
    "an unknown document": {"documentId": "%"},
    "parameters that are none": {"query": 1},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("limits")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    given = {"GATEWAY_RATE_READS": RATE, "GATEWAY_RATE_WRITES": RATE, "GATEWAY_GRAPHQL_BATCH": "10"}
    with serving(f"sqlite:///{folder}/threads.db", folder=folder, given=given) as served:
        yield served


@pytest.fixture
def headers(server: Server, folder: Path) -> dict[str, str]:
    """Make a caller whom nobody else has counted for."""
    assert server.port
    made = run_here("keys", "create", "--database-url", f"sqlite:///{folder}/threads.db", folder=folder)
    return {"authorization": f"Bearer {made.stdout.strip()}"}


@pytest.fixture
async def http(server: Server, headers: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.base_url, headers=headers, timeout=PATIENCE_S) as client:
        yield client


def told(what: str, number: int) -> Any:
    return json.loads(json.dumps(REFUSED[what]).replace("%", f"{number:02}"))


def is_refused_for_its_rate(errors: Any) -> bool:
    return [each["extensions"]["code"] for each in errors] == ["rate_limit_exceeded"]


@pytest.mark.parametrize("what", REFUSED)
async def test_refusals_are_counted_over_http(http: httpx.AsyncClient, what: str) -> None:
    answers = [await http.post("/graphql", json=told(what, n)) for n in range(MANY)]

    assert [answer.status_code == 429 for answer in answers] == [False] * ALLOWED + [True] * (MANY - ALLOWED)
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 86_400
    assert is_refused_for_its_rate(answers[-1].json()["errors"])


async def test_of_two_hundred_syntax_errors_five_are_reported(http: httpx.AsyncClient) -> None:
    answers = [await http.post("/graphql", json={"query": f"a{n:03}"}) for n in range(200)]

    assert sum(answer.status_code != 429 for answer in answers) == ALLOWED


@pytest.mark.parametrize("body", ["{", "[]", "1"])
async def test_an_invalid_body_is_counted_by_the_rate_limit(http: httpx.AsyncClient, body: str) -> None:
    json_type = {"content-type": "application/json"}
    answers = [await http.post("/graphql", content=body, headers=json_type) for _ in range(MANY)]

    assert [answer.status_code for answer in answers] == [400] * ALLOWED + [429] * (MANY - ALLOWED)


async def test_each_request_of_a_batch_is_counted(http: httpx.AsyncClient) -> None:
    answer = await http.post("/graphql", json=[{"query": f"a{n}"} for n in range(10)])

    refused = [is_refused_for_its_rate(each["errors"]) for each in answer.json()]
    assert refused == [False] * ALLOWED + [True] * (10 - ALLOWED)


@pytest.mark.parametrize("what", REFUSED)
async def test_refusals_are_counted_over_sse(http: httpx.AsyncClient, what: str) -> None:
    stream = {"accept": "text/event-stream"}
    answers = [await http.post("/graphql", json=told(what, n), headers=stream) for n in range(MANY)]

    assert [answer.status_code == 429 for answer in answers] == [False] * ALLOWED + [True] * (MANY - ALLOWED)


@pytest.mark.parametrize("what", REFUSED)
async def test_refusals_are_counted_over_websocket(server: Server, headers: dict[str, str], what: str) -> None:
    refused = []
    async with socket_to(server.base_url, additional_headers=headers) as socket:
        for n in range(MANY):
            await socket.send("subscribe", id=str(n), payload=told(what, n))
            answer = await socket.receive()
            assert answer["type"] == "error"
            refused.append(is_refused_for_its_rate(answer["payload"]))

    assert refused == [False] * ALLOWED + [True] * (MANY - ALLOWED)


async def test_a_mutation_does_not_consume_the_read_rate_limit(http: httpx.AsyncClient) -> None:
    made = "mutation { createThread(input: {}) { thread { id } } }"
    known = [(await http.post("/graphql", json={"query": made})).status_code for _ in range(3)]
    new = [(await http.post("/graphql", json={"query": f"{made} #{n}"})).status_code for n in range(2)]
    over = await http.post("/graphql", json={"query": made})
    reads = [await http.post("/graphql", json={"query": "{ __typename }"}) for _ in range(ALLOWED + 1)]

    assert (known, new, over.status_code) == ([200] * 3, [200] * 2, 429)
    assert [answer.status_code for answer in reads] == [200] * ALLOWED + [429]
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in reads] == ["4", "3", "2", "1", "0", "0"]


async def test_the_remaining_cost_of_an_operation_is_charged_once_known(http: httpx.AsyncClient) -> None:
    page = {"query": "query ($n: Int!) { threads(first: $n) { nodes { id } } }", "variables": {"n": 100}}
    answers = [await http.post("/graphql", json=page) for _ in range(3)]

    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers] == ["3", "1", "0"]
    assert [answer.status_code for answer in answers] == [200, 200, 429]


def resident(server: Server) -> int:
    """Read how much memory a server takes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


async def test_many_short_syntax_errors_take_little_memory(tmp_path: Path) -> None:
    """125,000 of them took 879 MB, each 4,600 bytes; what is kept of them is bounded now."""
    with serving(f"sqlite:///{tmp_path}/threads.db", folder=tmp_path, given={"GATEWAY_GRAPHQL_BATCH": "10"}) as server:
        async with httpx.AsyncClient(base_url=server.base_url, timeout=PATIENCE_S) as http:

            async def send(first: int, last: int) -> int:
                for n in range(first, last, 10):
                    bodies = [{"query": f"{each:04x}z"} for each in range(n, n + 10)]
                    (await http.post("/graphql", json=bodies)).raise_for_status()
                return resident(server)

            before = await send(0, 1_000)
            after = await send(1_000, 7_000)

    assert after - before < 12 * 1024 * 1024
