"""The table of everything that changes where a request ends, and what becomes of each: one table for all ways to send.

Source: RFC 9112 (6, 7, 9.3), RFC 9110 (6.5, 7.8, 10.1.1), RFC 6455 (4.1, 4.2.1, 4.4).
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Seen = tuple[str, bytes]

MARKED: Final = b'{"metadata":{"of":"sender"}}'


def marked(of: str, *lines: str) -> bytes:
    """Make a request that leaves a thread with its mark."""
    body = b'{"metadata":{"of":"%b"}}' % of.encode()
    return head("POST /v1/threads", *lines, f"Content-Length: {len(body)}") + body


def head(first: str, *lines: str, version: str = "1.1") -> bytes:
    return "\r\n".join([f"{first} HTTP/{version}", "Host: localhost", *lines, "", ""]).encode()


HIDDEN: Final = marked("hidden")  # always in a body
BEHIND: Final = marked("behind")  # behind what ends a connection; a proxy may see another request there
KEY: Final = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="


class Case(NamedTuple):
    """What is sent, the requests that it is, what the gateway answers, and whether the connection goes on."""

    name: str
    sent: bytes
    seen: tuple[Seen, ...] = ()
    statuses: tuple[int, ...] = (400,)
    is_open: bool = False


def _of(body: bytes, size: int, extension: bytes = b"", trailers: bytes = b"") -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = b"".join(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces)
    return chunks + b"0\r\n" + trailers + b"\r\n"


_TRAILERS: Final = b"Authorization: Bearer x\r\nConnection: upgrade\r\nUpgrade: x\r\nExpect: 100-continue\r\n"
_FRAMINGS: Final[dict[str, Callable[[bytes], tuple[tuple[str, ...], bytes]]]] = {
    "a length": lambda body: ((f"Content-Length: {len(body)}",), body),
    "one chunk": lambda body: (("Transfer-Encoding: chunked",), _of(body, 999)),
    "chunks": lambda body: (("Transfer-Encoding: Chunked ",), _of(body, 30, b";a=b")),
    "trailers": lambda body: (("Trailer: Expect", "Transfer-Encoding: chunked"), _of(body, 999, b"", _TRAILERS)),
}
_WEBSOCKET: Final = ("Upgrade: websocket", "Connection: Upgrade", KEY)
HANDSHAKE: Final = head("GET /graphql", *_WEBSOCKET, "Sec-WebSocket-Version: 13")
_UPGRADES: Final[dict[str, tuple[str, ...]]] = {
    "none": (),
    "x": ("Upgrade: x", "Connection: upgrade"),
    "h2c": ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
    "websocket": (*_WEBSOCKET, "Sec-WebSocket-Version: 13"),
    "an old websocket": (*_WEBSOCKET, "Sec-WebSocket-Version: 8"),
    "two": ("Upgrade: websocket", "Connection: keep-alive", "Upgrade: x/1", "Connection: UPGRADE"),
    "no option": ("Upgrade: x",),
    "nothing but the option": ("Connection: upgrade",),
}


def _ordinary() -> Iterator[Case]:
    bodies = {"a marked body": (MARKED, 200), "a request for a body": (HIDDEN, 400)}
    for (upgrade, lines), (framing, frame), (kind, (body, status)) in product(
        _UPGRADES.items(), _FRAMINGS.items(), bodies.items()
    ):
        framed, sent = frame(body)
        name = f"upgrade: {upgrade}; {framing}; {kind}"
        yield Case(name, head("POST /v1/threads", *lines, *framed) + sent, (("POST", body),), (status,), is_open=True)
    for (upgrade, lines), (method, status) in product(_UPGRADES.items(), (("PUT", 405), ("GET", 200))):
        sent = head(f"{method} /v1/threads", *lines, f"Content-Length: {len(HIDDEN)}") + HIDDEN
        yield Case(f"upgrade: {upgrade}; {method}", sent, ((method, HIDDEN),), (status,), is_open=True)


def _handshakes() -> Iterator[Case]:
    first, version = "GET /graphql", "Sec-WebSocket-Version: 13"
    yield Case("handshake", HANDSHAKE, (("WS", b""),), (101,))
    yield Case(
        "handshake; Content-Length: 0", head(first, *_WEBSOCKET, version, "Content-Length: 0"), (("WS", b""),), (101,)
    )
    yield Case("handshake; another version", head(first, *_WEBSOCKET, "Sec-WebSocket-Version: 8") + BEHIND, (), (426,))
    yield Case("handshake; no version", head(first, *_WEBSOCKET) + BEHIND, (), (426,))
    yield Case("handshake; a bad key", head(first, *_WEBSOCKET[:2], "Sec-WebSocket-Key: a", version) + BEHIND)
    yield Case("handshake; no key", head(first, *_WEBSOCKET[:2], version) + BEHIND)
    for framing, frame in _FRAMINGS.items():
        lines, sent = frame(HIDDEN)
        yield Case(
            f"handshake; {framing}",
            head(first, *_WEBSOCKET, version, *lines) + sent,
            (("GET", HIDDEN),),
            (403,),
            is_open=True,
        )
    old = head(first, *_WEBSOCKET, version, version="1.0")
    yield Case("handshake; HTTP/1.0", old, (("GET", b""),), (403,))


def _others() -> Iterator[Case]:
    length = f"Content-Length: {len(MARKED)}"
    seen = (("POST", MARKED),)

    def post(*lines: str, version: str = "1.1") -> bytes:
        return head("POST /v1/threads", *lines, length, version=version) + MARKED

    yield Case("Expect: 100-continue", post("Expect: 100-continue"), seen, (100, 200))
    yield Case("Expect; an upgrade", post("Expect: 100-continue", *_UPGRADES["x"]), seen, (100, 200))
    yield Case("Expect: something else", post("Expect: x"), seen, (200,), is_open=True)
    yield Case("HTTP/1.0", post(version="1.0"), seen, (200,))
    yield Case("HTTP/1.0; keep-alive", post("Connection: keep-alive", version="1.0"), seen, (200,))
    yield Case("HTTP/1.0; Expect", post("Expect: 100-continue", version="1.0"), seen, (200,))
    yield Case("HTTP/1.0; an upgrade", post(*_UPGRADES["x"], version="1.0"), seen, (200,))
    yield Case("Connection: close", post("Connection: close"), seen, (200,))
    yield Case("an upgrade; close", post("Upgrade: x", "Connection: close, upgrade"), seen, (200,))
    yield Case("two at once", post() + post(), seen * 2, (200, 200), is_open=True)
    yield Case("three at once; upgrades", post(*_UPGRADES["x"]) * 3, seen * 3, (200, 200, 200), is_open=True)
    yield Case(
        "one at once behind GETs",
        head("GET /v1/threads", *_UPGRADES["x"]) * 2 + post(),
        ((("GET", b""),) * 2 + seen),
        (200, 200, 200),
        is_open=True,
    )
    yield Case("empty lines in front", b"\r\n\r\n" + post(), seen, (200,), is_open=True)


def _faulty() -> Iterator[Case]:
    for other in ("localhost", "other.example"):
        for upgrade in ("none", "x", "websocket"):
            name = f"a second Host {other}; upgrade: {upgrade}"
            yield Case(name, head("GET /v1/threads", *_UPGRADES[upgrade], f"Host: {other}") + BEHIND)
    chunks = _of(MARKED, 999)
    codings = (
        "gzip",
        "gzip, chunked",
        "chunked, gzip",
        "chunked, chunked",
        "identity",
        "xchunked",
        "chunked;q=1",
        ",chunked",
    )
    for coding in codings:
        for upgrade in ("none", "x"):
            lines = (*_UPGRADES[upgrade], f"Transfer-Encoding: {coding}")
            yield Case(f"coding {coding}; upgrade: {upgrade}", head("DELETE /v1/threads", *lines) + chunks)
    twice = ("Transfer-Encoding: identity", "Transfer-Encoding: chunked")
    yield Case("two codings", head("POST /v1/threads", *twice) + chunks)
    yield Case("HTTP/1.0; chunked", head("POST /v1/threads", "Transfer-Encoding: chunked", version="1.0") + chunks)
    both = ("Transfer-Encoding: chunked", "Content-Length: 4")
    for upgrade in ("none", "x"):
        yield Case(f"both; upgrade: {upgrade}", head("POST /v1/threads", *_UPGRADES[upgrade], *both) + chunks)
        yield Case(
            f"both, turned; upgrade: {upgrade}", head("POST /v1/threads", *_UPGRADES[upgrade], *both[::-1]) + chunks
        )
    for wrong in ("2, 2", "+2", "0x2", "2 2", "", "-2", "99999999999999999999999", "2\r\nContent-Length: 2"):
        yield Case(f"Content-Length: {wrong!r}", head("POST /v1/threads", f"Content-Length: {wrong}") + b"{}")
    for line in (
        "Content-Length : 2", " Content-Length: 2", "A: b\r\n Content-Length: 2", "A: b\rContent-Length: 2",
        "A: b\nContent-Length: 2", "A: \0", "Content-Length\t: 2", "Transfer-Encoding:\r\n chunked", "A", ": 2",
    ):  # fmt: skip
        yield Case(f"line {line!r}", head("POST /v1/threads", line) + b"{}")
    yield Case("lines that end with LF", head("GET /v1/threads").replace(b"\r\n", b"\n"))
    yield Case("a head that ends with LF", head("GET /v1/threads")[:-2] + b"\n" + BEHIND)
    yield Case("CONNECT", head("CONNECT localhost:80") + BEHIND)
    yield Case("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    for chunk in (b"4\n{}  \r\n0\r\n\r\n", b"4 \r\n{}  \r\n0\r\n\r\n", b"0x4\r\n{}  \r\n0\r\n\r\n", b"-1\r\n\r\n",
                  b"4;a\n{}  \r\n0\r\n\r\n", b"2\r\n{}  \r\n0\r\n\r\n", b"10000000000000004\r\n{}  \r\n"):  # fmt: skip
        yield Case(f"chunk {chunk[:12]!r}", head("POST /v1/threads", "Transfer-Encoding: chunked") + chunk)
    for trailer in ("Content-Length: 2", "Transfer-Encoding: chunked", "A : b"):
        sent = _of(MARKED, 999, b"", f"{trailer}\r\n".encode())
        yield Case(f"trailer {trailer}", head("POST /v1/threads", "Transfer-Encoding: chunked") + sent)


CASES: Final = (*_ordinary(), *_handshakes(), *_others(), *_faulty())
