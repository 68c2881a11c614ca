"""One connection to a server for requests one after the other.

Must not be here: anything that is timed (`load_generator`).
"""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

    from bench.cases.case import Ask

PATIENCE_S: Final = 120.0  # under valgrind everything takes fifty times as long
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_END_OF_HEAD: Final = b"\r\n\r\n"


class SingleConnection:
    """The connection, open until the end of `with`."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._socket.close()

    def ask(self, request: str) -> bytes:
        """Send a request and return the body of its answer.

        Errors: SystemExit if the answer is an error.
        """
        self._socket.sendall(request.encode())
        answer = b""
        while _END_OF_HEAD not in answer:
            answer += self._more()
        head, _, body = answer.partition(_END_OF_HEAD)
        length = _LENGTH.search(head)
        while length and len(body) < int(length[1]):
            body += self._more()
        if not head[9:12] == b"200" or b'"errors":' in body:
            raise SystemExit(f"Wrong answer:\n{(head + _END_OF_HEAD + body[:1000]).decode(errors='replace')}")
        return body

    def check(self, ask: Ask) -> None:
        """Send the request of a case, and check its answer.

        Errors: SystemExit if it is not a good one.
        """
        body = self.ask(ask.request)
        if body.count(ask.mark.encode()) != ask.times:
            raise SystemExit(f"Expected {ask.times} times {ask.mark}, got:\n{body[:1000].decode(errors='replace')}")

    def _more(self) -> bytes:
        more = self._socket.recv(65_536)
        if not more:
            raise SystemExit("The server closed the connection before it answered.")
        return more


class Maker:
    """Asks each time over a new connection, since a server closes one that has been idle for a while."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, request: str) -> bytes:
        """Send a request and return the body of its answer.

        Errors: SystemExit if the answer is an error.
        """
        with SingleConnection(self._port) as connection:
            return connection.ask(request)
