"""Which hosts this server goes by, and from which origins' pages a browser may use it.

Must not be here: what is answered to the others (`check_origin`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from gateway.web.request import HeadersLike

_KEPT: Final = 64  # names that are looked through once; clients send the same ones again and again
_LONGEST: Final = 261  # RFC 1035, 2.3.4: 255 for a name; and a port
LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")


class Origins:
    """The allowed origins (CORS): each by itself, or with `*.` for every subdomain of a named parent, at any depth.

    Units: as a browser serializes an origin, in lower case and without a default port (`values.ORIGINS`).
    Source: RFC 6454, section 6.2; WHATWG URL, "host serializing".
    """

    __slots__ = ("_exact", "_subdomains")

    def __init__(self, *names: str) -> None:
        self._exact = frozenset(name for name in names if "*" not in name)
        wild = [re.escape(name).replace(r"\*\.", r"(?:[a-z0-9_-]{1,63}\.){1,100}") for name in names if "*" in name]
        self._subdomains = re.compile("|".join(wild)) if wild else None

    def __contains__(self, origin: object) -> bool:
        """Say whether the value of an `Origin` header is allowed."""
        if origin in self._exact:
            return True
        return self._subdomains is not None and isinstance(origin, str) and bool(self._subdomains.fullmatch(origin))

    def __bool__(self) -> bool:
        """Say whether there is any."""
        return bool(self._exact or self._subdomains)


@dataclass(frozen=True, slots=True)
class OriginPolicy:
    """The choices of one server: no hosts let it go by any name, and no origins let in its own pages alone."""

    hosts: tuple[str, ...] = ()
    origins: Origins = field(default_factory=Origins)
    with_credentials: bool = False

    def allows_host(self, headers: HeadersLike) -> bool:
        """Say whether a request is meant for this server.

        A page whose name was made to point at this machine only after it was loaded (DNS rebinding) is of the same
        origin as we are, and nothing but the name in `Host` tells it from a page of ours.
        """
        if not self.hosts:
            return True
        names = headers.getlist("host")
        return len(names) == 1 and len(names[0]) <= _LONGEST and _is_one_of(self.hosts, names[0])

    def is_cross_origin(self, headers: HeadersLike) -> bool:
        """Say whether a page of another origin, and none that is let in, made a browser send this.

        Programs that are no browsers send neither header.
        Source: Go's `http.CrossOriginProtection`; Fetch Metadata; RFC 6455, section 10.2.
        """
        origin = headers.get("origin")
        if origin in self.origins:
            return False
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site not in ("same-origin", "none")
        if origin is None:
            return False
        try:
            return urlsplit(origin).netloc != headers.get("host")
        except ValueError:
            return True


def default_hosts(address: str) -> tuple[str, ...]:
    """Name the hosts that a server goes by where nobody has said: on this machine's own address, only its own names."""
    try:
        is_own = ip_address(address).is_loopback
    except ValueError:
        is_own = address == "localhost"
    written = f"[{address}]" if ":" in address else address
    return (*LOOPBACK, written) if is_own else ()


def is_private(address: str, proxies: str) -> bool:
    """Say whether nobody but this machine reaches a server: it listens there alone, and no proxy stands in front."""
    return bool(default_hosts(address)) and not proxies


@lru_cache(_KEPT)
def _is_one_of(hosts: tuple[str, ...], host: str) -> bool:
    name = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
    name = name.lower().removesuffix(".")
    return any(name.endswith(each[1:]) if each.startswith("*.") else name == each for each in hosts)
