"""A stranger without a key who hides a request in the body of another, and clients who share a connection with it.

Told by a person: `python -m tests.smuggling --tries 200`, and of another checkout of ours with `--checkout FOLDER`.
What is hidden ends within a header, so that the next request on the connection, whosever it is, lends it its key.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import httpx

from tests.following import PATIENCE_S
from tests.live.server import ROOT, run_gateway, serving
from tests.nginx import NAME, nginx_before

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Sequence

# How the map of `deploy/nginx.conf` was before: it sent every upgrade on.
OLD_MAP: Final = """map $http_upgrade $gateway_connection {
    default upgrade;
    ""      "";
}"""
_NEW_MAPS: Final = ("map $http_upgrade $gateway_upgrade {", "limit_conn_zone")
_PADDING: Final = b"\r\n" * 50_000  # more than is read at once; a parser drops empty lines in front of a request
_PATHS: Final = ("/healthz", "/", "/v1/threads")
_UPGRADES: Final = ("x", "h2c", "websocket, x")


def with_old_map(conf: str) -> str:
    """Make nginx send on every upgrade again, as files that somebody has copied from us still do."""
    start, end = (conf.index(each) for each in _NEW_MAPS)
    return f"{conf[:start]}{OLD_MAP}\n\n{conf[end:]}".replace("Upgrade $gateway_upgrade;", "Upgrade $http_upgrade;")


class Answer(NamedTuple):
    """What came back; no status where nothing did."""

    status: int | None
    body: Any
    is_last: bool


class Wire:
    """One connection, on which answers are taken one by one."""

    def __init__(self, port: int, tls: ssl.SSLContext | None) -> None:
        plain = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = tls.wrap_socket(plain, server_hostname="localhost") if tls else plain
        self._has = b""

    def send(self, what: bytes) -> None:
        """Send, unless the other side is gone, which its answer or silence will tell."""
        try:
            self._socket.sendall(what)
        except OSError:
            return

    def answer(self, within_s: float = PATIENCE_S) -> Answer:
        """Read one answer."""
        self._socket.settimeout(within_s)
        try:
            while b"\r\n\r\n" not in self._has:
                self._more()
            head, _, rest = self._has.partition(b"\r\n\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
            length = int(fields[b"content-length"])
            self._has = rest
            while len(self._has) < length:
                self._more()
        except (OSError, EOFError):
            return Answer(None, None, is_last=True)
        body, self._has = self._has[:length], self._has[length:]
        told = json.loads(body) if b"json" in fields.get(b"content-type", b"") else None
        return Answer(int(head.split()[1]), told, is_last=fields.get(b"connection") == b"close")

    def close(self) -> None:
        """Leave."""
        self._socket.close()

    def _more(self) -> None:
        came = self._socket.recv(65_536)
        if not came:
            raise EOFError
        self._has += came


@dataclass
class Figures:
    """What became of the clients who share a connection with the stranger."""

    tries: int = 0
    deleted: int = 0
    misplaced: int = 0
    unanswered: int = 0
    succeeded: int = 0

    def __str__(self) -> str:
        """Say all of it in a line."""
        return (
            f"{self.tries} tries: {self.deleted} deleted, {self.misplaced} misplaced, {self.unanswered} unanswered, "
            f"{100 * self.succeeded / self.tries:.0f} % succeeded"
        )


@dataclass
class Target:
    """A served gateway with a key for each of two projects, and nginx in front of it if there is a port."""

    base_url: str
    keys: tuple[str, str]  # a client's, and one that the stranger has for a project of its own
    http: httpx.Client
    nginx_port: int = 0
    tls: ssl.SSLContext | None = None

    def call(self, method: str, path: str, body: Any = None, *, by: int = 0) -> httpx.Response:
        """Call the gateway itself, past all that is tried."""
        headers = {"authorization": f"Bearer {self.keys[by]}"}
        return self.http.request(method, f"{self.base_url}/v1{path}", json=body, headers=headers)

    def wire(self) -> Wire:
        """Connect as a client does."""
        port = self.nginx_port or int(self.base_url.rpartition(":")[2])
        return Wire(port, self.tls)


@contextmanager
def target(folder: Path, *, checkout: Path = ROOT, conf: str | None = None) -> Iterator[Target]:
    """Serve a checkout, behind nginx if a configuration is given."""
    given = {
        "PYTHONPATH": str(checkout),
        "GATEWAY_DATABASE_URL": f"sqlite:///{folder}/smuggling.db",
        "GATEWAY_HOSTS": f"{NAME},localhost,127.0.0.1",
        "GATEWAY_TRUSTED_PROXIES": "127.0.0.1",
    }
    is_ours = checkout == ROOT
    asked: dict[str, Any] = {"folder": folder, "given": given, **({} if is_ours else {"is_forked": False})}
    made = [run_gateway("keys", "create", "--project", each, **asked) for each in ("clients", "strangers")]
    client, stranger = (ran.stdout.strip() for ran in made)
    with serving(None, **asked) as server, httpx.Client(timeout=PATIENCE_S) as http:
        at = Target(server.base_url, (client, stranger), http)
        if conf is None:
            yield at
            return
        with nginx_before(folder, server.port, shipped=conf) as nginx:
            yield replace(at, nginx_port=nginx.port, tls=nginx.tls)


def attack(at: Target, tries: int, gap_s: float = 0.3) -> Figures:
    """Try so often; each second time to delete a client's thread, else to have its next message."""
    figures = Figures()
    ways = [(path, upgrade, is_theft) for path in _PATHS for upgrade in _UPGRADES for is_theft in (False, True)]
    for path, upgrade, is_theft in islice(cycle(ways), tries):
        figures.tries += 1
        figures.succeeded += _is_hit(at, figures, _outer(path, upgrade), is_theft=is_theft, gap_s=gap_s)
    return figures


def _outer(path: str, upgrade: str) -> Sequence[str]:
    return (f"POST {path} HTTP/1.1", "Host: localhost", f"Upgrade: {upgrade}", "Connection: upgrade")


def _is_hit(at: Target, figures: Figures, outer: Sequence[str], *, is_theft: bool, gap_s: float) -> bool:
    thread_id = at.call("POST", "/threads").json()["id"]
    loot_id = at.call("POST", "/threads", by=1).json()["id"]
    hidden = _hidden(at, thread_id, loot_id, is_theft=is_theft)
    wire = _stranger(at, outer, hidden, gap_s)
    wrong = missing = 0
    for asked in (_message(at, thread_id) if is_theft else b"", _question(at, thread_id), _question(at, thread_id)):
        if asked:
            wire.send(asked)
            answer = wire.answer()
            missing += answer.status is None
            wrong += answer.status is not None and not _is_own(answer, thread_id)
            if answer.is_last:
                wire.close()
                wire = at.wire()
    wire.close()
    is_deleted = at.call("GET", f"/threads/{thread_id}").status_code != 200
    wrong += len(at.call("GET", f"/threads/{loot_id}/messages", by=1).json()["data"])
    figures.deleted += is_deleted
    figures.misplaced += wrong
    figures.unanswered += missing
    return bool(is_deleted or wrong or missing)


def _stranger(at: Target, outer: Sequence[str], hidden: bytes, gap_s: float) -> Wire:
    """Let the stranger send, and give the connection on which a client comes behind it.

    Without nginx that is the same one, as any proxy would use it; through nginx all have their own to it.
    """
    wire = at.wire()
    body = hidden if not at.nginx_port else _PADDING + hidden
    wire.send("\r\n".join([*outer, f"Content-Length: {len(body)}", "", ""]).encode())
    early = wire.answer(gap_s) if not at.nginx_port else None
    if early is None or early.status is None or not early.is_last:
        wire.send(body)
    answer = early if early is not None and early.status is not None else wire.answer()
    if not at.nginx_port and not answer.is_last:
        return wire
    wire.close()
    return at.wire()


def _hidden(at: Target, thread_id: str, loot_id: str, *, is_theft: bool) -> bytes:
    first = f"POST /v1/threads/{loot_id}/messages" if is_theft else f"DELETE /v1/threads/{thread_id}"
    lines = [f"{first} HTTP/1.1", *(_headers(at.keys[1]) if is_theft else ())]
    return "\r\n".join([*lines, "X-Hidden: "]).encode()


def _headers(key: str) -> tuple[str, ...]:
    return (f"Authorization: Bearer {key}",)


def _question(at: Target, thread_id: str) -> bytes:
    lines = (f"GET /v1/threads/{thread_id} HTTP/1.1", "Host: localhost", *_headers(at.keys[0]))
    return "\r\n".join([*lines, "", ""]).encode()


def _message(at: Target, thread_id: str) -> bytes:
    body = json.dumps({"role": "user", "content": "private", "metadata": {"of": thread_id}}).encode()
    lines = (f"POST /v1/threads/{thread_id}/messages HTTP/1.1", "Host: localhost", *_headers(at.keys[0]))
    kinds = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, *kinds, "", ""]).encode() + body


def _is_own(answer: Answer, thread_id: str) -> bool:
    told = answer.body if isinstance(answer.body, dict) else {}
    return answer.status == 200 and thread_id in (told.get("id"), told.get("thread_id"))


def main() -> int:
    """Attack, and fail if anything was reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=200)
    parser.add_argument("--checkout", type=Path, default=ROOT, help="of which the server and its nginx.conf are taken")
    asked = parser.parse_args()
    shipped = (asked.checkout / "deploy" / "nginx.conf").read_text()
    fronts = {"direct": None, "behind the shipped nginx.conf": shipped}
    if asked.checkout == ROOT:
        fronts["behind nginx with the map as it was"] = with_old_map(shipped)
    is_reached = False
    for front, conf in fronts.items():
        with tempfile.TemporaryDirectory() as folder, target(Path(folder), checkout=asked.checkout, conf=conf) as at:
            figures = attack(at, asked.tries)
        sys.stdout.write(f"{front}: {figures}\n")
        sys.stdout.flush()
        is_reached |= bool(figures.succeeded)
    return is_reached


if __name__ == "__main__":
    sys.exit(main())
