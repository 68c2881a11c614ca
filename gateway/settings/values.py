"""What the text of a setting may be: each of these makes a value of it, or raises a ValueError that says what it takes.

Must not be here: which settings there are (`settings`).
"""

from __future__ import annotations

import math
import re
from importlib.util import find_spec
from ipaddress import IPv6Address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable

OFF: Final = "off"
_RATE: Final = re.compile("[1-9][0-9]{0,8}/(second|minute|hour|day)")
_SHORTEST_SECRET: Final = 32  # RFC 7518, 3.2: a key at least as long as the hash
_HOUR_S: Final = 3600
_NAME: Final = "[a-z0-9_-]+"
_ORIGIN: Final = re.compile(
    rf"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<wild>\*\.)?(?P<host>{_NAME}(\.{_NAME})*|\[[0-9a-f:.]+\])(:(?P<port>[0-9]{{1,5}}))?"
)
# `*.com` would let in whoever buys a name; nobody but this machine has names below localhost.
_PARENT: Final = re.compile(rf"localhost|({_NAME}\.)+[a-z][a-z0-9-]*")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_LAST_PORT: Final = 65_535
_SWITCHED: Final = {
    **dict.fromkeys(("true", "1", "yes", "on", "t", "y"), True),
    **dict.fromkeys(("false", "0", "no", "off", "f", "n"), False),
}


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """Take a whole number between bounds."""
    wanted = f"at least {least}" if most is None else f"from {least} to {most}"

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= (number if most is None else most):
            raise ValueError(f"expected a whole number {wanted}")
        return number

    return read


def seconds(text: str) -> float:
    """Take a time in seconds, of an hour at most."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number <= _HOUR_S:
        raise ValueError(f"expected a number above 0, and at most {_HOUR_S}")
    return number


def switch(text: str) -> bool:
    """Take true or false."""
    value = _SWITCHED.get(text.lower())
    if value is None:
        raise ValueError("expected true or false")
    return value


def one_of(*words: str) -> Callable[[str], str]:
    """Take one of some words."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"expected {', '.join(words[:-1])} or {words[-1]}")
        return text

    return read


def not_empty(text: str) -> str:
    """Take any text but none."""
    if not text:
        raise ValueError("expected at least one character")
    return text


def database_url(url: str) -> str:
    """Take the address of a database."""
    if url.startswith("postgres://"):
        url = url.replace("postgres://", "postgresql://", 1)
    is_postgres = url.startswith(("postgresql://", "postgresql+asyncpg://"))
    is_file = url.startswith(("sqlite:///", "sqlite+aiosqlite:///")) and not url.endswith("///")
    if not is_postgres and (not is_file or ":memory:" in url):
        raise ValueError("expected sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/NAME")
    try:
        pooler = make_url(url).query.get("pgbouncer", "transaction")
    except (ArgumentError, ValueError):  # what it says may quote half the password
        raise ValueError(
            "the address cannot be read. Behind HOST: stands a number; in a user name or password, write '@', '/', "
            "':' and '%' as %40, %2F, %3A and %25"
        ) from None
    if pooler != "transaction":
        raise ValueError("expected pgbouncer=transaction, or nothing of it where PgBouncer pools by session")
    return url


def listen_url(url: str) -> str:
    """Take the address of a PostgreSQL, or nothing."""
    if not url:
        return url
    if not database_url(url).startswith("postgres"):
        raise ValueError("expected postgresql://USER:PASSWORD@HOST:PORT/NAME")
    return database_url(url)


def _each(normalize: Callable[[str], str | None], wanted: str) -> Callable[[str], str]:
    """Read a list with commas in it, each name stripped, in lower case and normalized; None refuses a name."""

    def read(text: str) -> str:
        names = []
        for name in text.split(","):
            if not name.strip():
                continue
            taken = normalize(name.strip().lower())
            if taken is None:
                raise ValueError(f"expected {wanted} with commas between them; {name.strip().lower()!r} is none")
            names.append(taken)
        return ",".join(dict.fromkeys(names))

    return read


def _matching(pattern: str) -> Callable[[str], str | None]:
    compiled = re.compile(pattern)
    return lambda name: name if compiled.fullmatch(name) else None


def _network(name: str) -> str | None:
    try:
        ip_network(name)
    except ValueError:
        return None
    return name


def _origin(name: str) -> str | None:
    """Write an origin as browsers serialize it in `Origin`, or with `*.` for the subdomains of a named parent.

    Source: RFC 6454, section 6.2; WHATWG URL, "default port" and "host serializing".
    """
    found = _ORIGIN.fullmatch(name)
    if found is None:
        return None
    scheme, wild, host, port = found["scheme"], found["wild"] or "", found["host"], found["port"]
    if wild and not _PARENT.fullmatch(host):
        return None
    try:
        host = f"[{IPv6Address(host[1:-1])}]" if host.startswith("[") else host
    except ValueError:
        return None
    if port is not None and not 0 < int(port) <= _LAST_PORT:
        return None
    is_default = port is None or int(port) == _DEFAULT_PORTS.get(scheme)
    return f"{scheme}://{wild}{host}" + ("" if is_default else f":{int(port or 0)}")


HOSTS: Final = _each(
    _matching(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]"),
    "host names like threads.example.com or *.example.com, without ports,",
)
ORIGINS: Final = _each(
    _origin,
    "origins like https://app.example.com or https://*.preview.example.com, in ASCII and without a path,",
)
PROXIES: Final = _each(_network, "addresses or networks like 10.0.0.5 or 10.0.0.0/8")


def file_to_write(path: str) -> str:
    """Take the path of a file in a folder that is there, or nothing."""
    if path and (Path(path).is_dir() or not Path(path).absolute().parent.is_dir()):
        raise ValueError("expected the path of a file, in a folder that is there")
    return path


def jwks(place: str) -> str:
    """Take where public keys are."""
    if place and not place.startswith(("https://", "http://")) and not Path(place).is_file():
        raise ValueError("expected a URL that begins with https://, or the path of a file that is there")
    return place


def secret(text: str) -> str:
    """Take a secret that is long enough, or none."""
    if text and len(text.encode()) < _SHORTEST_SECRET:
        raise ValueError(f"expected at least {_SHORTEST_SECRET} bytes, such as `openssl rand -hex 32` makes")
    return text


def rate(text: str) -> str:
    """Take how often something may be done."""
    if text not in ("", OFF) and not _RATE.fullmatch(text):
        raise ValueError("expected a number with /second, /minute, /hour or /day behind it, or off")
    return text


def at_once(text: str) -> str:
    """Take how many may run at once."""
    if text not in ("", OFF) and not re.fullmatch("[1-9][0-9]{0,5}", text):
        raise ValueError("expected a whole number, or off")
    return text


def rate_store(place: str) -> str:
    """Take where requests are counted."""
    if place != "memory" and not place.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("expected memory, or an address that begins with redis://, rediss:// or unix://")
    if place != "memory" and find_spec("redis") is None:
        raise ValueError("expected memory, since the client of Redis is not installed")
    return place
