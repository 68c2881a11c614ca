"""Load generator: send requests to a local server for some seconds over connections that each wait for their answer.

It is a separate process, so that its CPU time is not the server's. It reads a job as a line of JSON on standard input
and writes the result as a line of JSON on standard output.
Must not be here: which requests are sent, and to which server.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import re
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

new_event_loop: Callable[[], asyncio.AbstractEventLoop]
try:
    from uvloop import new_event_loop
except ImportError:
    from asyncio import new_event_loop

GRACE_S: Final = 15.0  # how long the last answers may take
_END_OF_HEAD: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(slots=True)
class Observations:
    """Response times of all connections, and the first bad answer."""

    times: list[float] = field(default_factory=list)
    bad: int = 0
    first_bad: str = ""

    def refuse(self, answer: bytes) -> None:
        """Count a bad answer."""
        self.bad += 1
        self.first_bad = self.first_bad or answer[:1000].decode(errors="replace")


class Connection(asyncio.Protocol):
    """One connection: it sends the next request as soon as the last one is answered, until the end."""

    def __init__(self, asks: Iterator[tuple[bytes, bytes, int]], seen: Observations, end: float) -> None:
        self._asks, self._seen, self._end = asks, seen, end
        self._answer, self._length, self._is_waiting = bytearray(), 0, False
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast("asyncio.Transport", transport)
        self._go_on(time.perf_counter())

    def data_received(self, data: bytes) -> None:
        """Collect an answer; when it is whole, check it and send the next request."""
        self._answer += data
        if not self._length and (head := self._answer.find(_END_OF_HEAD)) >= 0:
            length = _LENGTH.search(self._answer, 0, head)
            self._length = head + len(_END_OF_HEAD) + (int(length[1]) if length else 0)
        if not self._length or len(self._answer) < self._length:
            return
        now = time.perf_counter()
        self._is_waiting = False
        if self._is_good():
            self._seen.times.append(now - self._sent)
        else:
            self._seen.refuse(bytes(self._answer))
        self._go_on(now)

    def connection_lost(self, _error: Exception | None) -> None:
        """Count a connection that the server closed without an answer."""
        if self._is_waiting:
            self._seen.refuse(b"the connection was closed without an answer")
        self.closed.set_result(None)

    def _go_on(self, now: float) -> None:
        ask = next(self._asks, None) if now < self._end else None
        if ask is None:
            self._transport.close()
            return
        request, self._mark, self._count = ask
        self._answer.clear()
        self._length, self._is_waiting = 0, True
        self._sent = time.perf_counter()
        self._transport.write(request)

    def _is_good(self) -> bool:
        # Within a text quotation marks are escaped, so these bytes are nobody's words.
        answer = self._answer
        return answer[9:12] == b"200" and b'"errors":' not in answer and answer.count(self._mark) == self._count


async def send_requests(job: dict[str, Any]) -> dict[str, Any]:
    """Run a job: `port`, `connections`, `seconds`, and `asks` in turn: a request, a mark, how often an answer has it.

    `at_most` is how many requests are sent, if that is not null.
    """
    seen, loop = Observations(), asyncio.get_running_loop()
    in_turn = itertools.cycle([(request.encode(), mark.encode(), count) for request, mark, count in job["asks"]])
    asks = itertools.islice(in_turn, job["at_most"])
    begin, used = time.perf_counter(), time.process_time()
    end = begin + job["seconds"]
    async with asyncio.timeout(job["seconds"] + GRACE_S):
        opening = (
            loop.create_connection(lambda: Connection(asks, seen, end), "127.0.0.1", job["port"])
            for _ in range(job["connections"])
        )
        await asyncio.gather(*[protocol.closed for _, protocol in await asyncio.gather(*opening)])
    times = sorted(seen.times)
    return {
        "requests": len(times),
        "seconds": time.perf_counter() - begin,
        "p50_ms": _percentile(times, 0.50),
        "p99_ms": _percentile(times, 0.99),
        "cpu_s": time.process_time() - used,
        "bad": seen.bad,
        "first_bad": seen.first_bad,
    }


def _percentile(times: list[float], share: float) -> float:
    return times[math.ceil(share * len(times)) - 1] * 1000 if times else 0.0


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        for line in sys.stdin:
            print(json.dumps(runner.run(send_requests(json.loads(line)))), flush=True)
