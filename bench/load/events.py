"""Followers of a thread, or of the list of threads, over WebSocket, and what an event costs for each of them.

Must not be here: the memory of idle ones (`followers`).
"""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from websockets.sync.client import connect
from websockets.typing import Subprotocol

from bench.cases.case import World, request
from bench.cases.events import EVENTS
from bench.corpus.messages import MADE
from bench.load.single_connection import PATIENCE_S, Maker, SingleConnection
from bench.report.result import Finding
from bench.report.targets import EVENT_CPU, EVENT_READS
from bench.systems.server import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from websockets.sync.client import ClientConnection

    from bench.cases.events import Followed
    from bench.systems.databases import Prepared
    from bench.systems.server import Server

FOLLOWERS: Final = 10
_NUMBER: Final = 150  # events: fewer deltas than are written as a whole, which is an event more
_PROTOCOL: Final = Subprotocol("graphql-transport-ws")


@contextmanager
def following(server: Server, key: str, followed: Followed) -> Iterator[Callable[[], None]]:
    """Open followers that have received what there is, and give a function that waits for the next event of each."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(_follower(server, key, followed)) for _ in range(FOLLOWERS)]

        def receive() -> None:
            for each in sockets:
                _next(each)

        receive()
        yield receive


@contextmanager
def _follower(server: Server, key: str, followed: Followed) -> Iterator[ClientConnection]:
    headers = {"Authorization": f"Bearer {key}"}
    url = f"ws://127.0.0.1:{server.port}/graphql"
    opening = connect(
        url,
        subprotocols=[_PROTOCOL],
        additional_headers=headers,
        ping_interval=None,
        open_timeout=PATIENCE_S,
        proxy=None,
    )
    with opening as socket:
        socket.send(json.dumps({"type": "connection_init", "payload": {}}))
        socket.recv(PATIENCE_S)
        payload = {"query": followed.document, "variables": dict(followed.variables)}
        socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
        yield socket


def _next(socket: ClientConnection) -> None:
    """Wait for an event.

    Errors: SystemExit where anything but an event or a ping is received.
    """
    while True:
        message = json.loads(socket.recv(PATIENCE_S))
        if message["type"] == "next" and "errors" not in message["payload"]:
            return
        if message["type"] != "ping":
            raise SystemExit(f"A follower received: {message}")


def event_findings(ready: Prepared) -> Iterator[Finding]:
    """Measure what ten followers of a thread add to the CPU time and to the statements of a change."""
    with serve(ready.ours, ready.url) as server:
        for name, recipe in EVENTS.items():
            world = World(ready.keys, Maker(server.port), 0, ready.long)
            alone = _spent(server, recipe(world), None)
            opened = _spent(server, recipe(world), ready.keys[MADE], 0)
            whole = _spent(server, recipe(world), ready.keys[MADE])
            cpu_ms = (whole.cpu_s - opened.cpu_s - alone.cpu_s) * 1_000 / _NUMBER / FOLLOWERS
            detail = f"the change itself {alone.cpu_s * 1_000 / _NUMBER:.2f} ms"
            yield Finding(EVENT_CPU[name], ready.kind, cpu_ms, "ms", detail)
            # To a tenth: once a second a sweep looks for lost hints, however many events there are.
            reads = round((whole.statements - opened.statements - alone.statements) / _NUMBER, 1)
            yield Finding(EVENT_READS[name], ready.kind, reads, "statements")


class _Spent(NamedTuple):
    """What a server has spent."""

    cpu_s: float
    statements: int


def _spent(server: Server, followed: Followed, key: str | None, number: int = _NUMBER) -> _Spent:
    """Change a thread some times, with followers if there is a key for them, which receive each change."""
    before = _so_far(server)
    with SingleConnection(server.port) as connection, ExitStack() as stack:
        receive = stack.enter_context(following(server, key, followed)) if key else None
        for _ in range(number):
            connection.check(followed.ask)
            if receive:
                receive()
    after = _so_far(server)
    return _Spent(after.cpu_s - before.cpu_s, after.statements - before.statements)


def _so_far(server: Server) -> _Spent:
    """Read what was spent until now; the statements of a subscription are counted when it ends."""
    for _ in range(3):
        Maker(server.port).ask(request("GET", "/healthz"))
    return _Spent(server.cpu_s(), server.statements() or 0)
