"""Failed authentication, by the address that it comes from: told to the audit log, and not each time.

Must not be here: whether a caller is refused.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from gateway.observability import audit
from gateway.observability.record import UNKNOWN, current

EACH_S: Final = 60.0  # an address has a line in this time, with how often it has failed since the last one
MOST: Final = 1_000  # addresses that are known
LINES: Final = 60  # in that time, of all addresses together
_LONGEST: Final = 100
_PREFIX: Final = 64  # bits of an IPv6 address that one customer has


def network_of(address: str) -> str:
    """Name whom an address belongs to: of IPv6 one customer has as many as it likes, all in one /64."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:_LONGEST]  # whatever a proxy has sent
    if not isinstance(found, IPv6Address):
        return str(found)
    return str(found.ipv4_mapped or ip_network((int(found), _PREFIX), strict=False))


class FailureLog:
    """Counts failed authentication, and tells of it within bounds."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()  # when it was told last, and how many since
        self._since, self._lines = float("-inf"), 0
        self._unlisted = 0  # of addresses that had no line when all were used up

    def record(self, *, has_credential: bool) -> str:
        """Take note that the caller of the request that runs has not proved who it is, and name its network."""
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
