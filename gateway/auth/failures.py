"""Failed authentication in the audit log, aggregated by address.

Must not be here: limits of failures (`rate_limits`).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from gateway.observability import audit
from gateway.observability.record import UNKNOWN, current

EACH_S: Final = 60.0  # one line per address in this time, with its failures since the last line
MOST: Final = 1_000  # addresses in memory
LINES: Final = 60  # lines in that time, for all addresses together
_LONGEST: Final = 100
_PREFIX: Final = 64  # bits of an IPv6 network of one customer


def network_of(address: str) -> str:
    """Return the network of an address: for IPv6 its /64, in which one customer can use any address."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:_LONGEST]  # an invalid value from a proxy
    if not isinstance(found, IPv6Address):
        return str(found)
    return str(found.ipv4_mapped or ip_network((int(found), _PREFIX), strict=False))


class FailureLog:
    """Counts failed authentication, and writes a bounded number of lines."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()  # time of the last line, and failures since
        self._since, self._lines = float("-inf"), 0
        self._unlisted = 0  # failures of addresses without a line, after LINES were used up

    def record(self, *, has_credential: bool) -> str:
        """Record a failed authentication of the current request, and return its network."""
        request, now = current.get(), time.monotonic()
        address = network_of(request.address) if request else UNKNOWN
        written_at, unwritten = self._seen.pop(address, (float("-inf"), 0))
        unwritten += 1
        if now - written_at >= EACH_S:
            if self._has_line(now):
                self._write(address, unwritten, has_credential=has_credential)
                written_at, unwritten = now, 0
            else:
                self._unlisted += 1
                return address
        self._seen[address] = (written_at, unwritten)
        if len(self._seen) > MOST:
            self._seen.popitem(last=False)
        return address

    def _has_line(self, now: float) -> bool:
        if now - self._since >= EACH_S:
            self._since, self._lines = now, 0
        self._lines += 1
        return self._lines <= LINES

    def _write(self, address: str, failures: int, *, has_credential: bool) -> None:
        audit.note(
            audit.Event.AUTHENTICATION_FAILED,
            principal=UNKNOWN,
            project=UNKNOWN,
            target=address,
            reason="not accepted" if has_credential else "none was sent",
            failures=failures,
            elsewhere=self._unlisted,
        )
        self._unlisted = 0
