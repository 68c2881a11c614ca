"""The allowed hosts, and the allowed origins of cross-origin requests (CORS).

Must not be here: the response to other requests (`check_origin`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from gateway.settings.table import Settings
    from gateway.web.request import Headers

_KEPT: Final = 64  # host names in the cache; clients repeat the same ones
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
        """Check whether the value of an `Origin` header is allowed."""
        if origin in self._exact:
            return True
        return self._subdomains is not None and isinstance(origin, str) and bool(self._subdomains.fullmatch(origin))

    def __bool__(self) -> bool:
        """Check whether any origin is configured."""
        return bool(self._exact or self._subdomains)


@dataclass(frozen=True, slots=True)
class OriginPolicy:
    """The hosts and origins of a server; without hosts any host is allowed, without origins only same-origin pages."""

    hosts: tuple[str, ...] = ()
    origins: Origins = field(default_factory=Origins)
    with_credentials: bool = False

    def allows_host(self, headers: Headers) -> bool:
        """Check the Host header.

        It is the only protection from DNS rebinding, where a page's host name is pointed at this machine after the page
        was loaded: such a page counts as same-origin.
        """
        if not self.hosts:
            return True
        names = headers.getlist("host")
        return len(names) == 1 and len(names[0]) <= _LONGEST and _is_one_of(self.hosts, names[0])

    def is_cross_origin(self, headers: Headers) -> bool:
        """Check whether a browser sent this from a page of an origin that is not allowed.

        Clients other than browsers send neither header.
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
    """Return the allowed hosts by default: names of localhost on a loopback address, else any host."""
    try:
        is_own = ip_address(address).is_loopback
    except ValueError:
        is_own = address == "localhost"
    written = f"[{address}]" if ":" in address else address
    return (*LOOPBACK, written) if is_own else ()


def is_private(address: str, proxies: str) -> bool:
    """Check whether only this machine can reach a server: it listens on loopback, and there is no trusted proxy."""
    return bool(default_hosts(address)) and not proxies


@lru_cache(_KEPT)
def _is_one_of(hosts: tuple[str, ...], host: str) -> bool:
    name = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
    name = name.lower().removesuffix(".")
    return any(name.endswith(each[1:]) if each.startswith("*.") else name == each for each in hosts)


def origin_policy_of(settings: Settings) -> OriginPolicy:
    """Read what the settings say of hosts and origins."""
    hosts = tuple(settings.hosts.split(",")) if settings.hosts else default_hosts(settings.host)
    origins = [name for name in settings.cors_origins.split(",") if name]
    return OriginPolicy(hosts, Origins(*origins), settings.cors_credentials)
