"""The types of settings: each converts the text of a flag or variable, or fails with what it expects.

Must not be here: which settings there are (`table`), where their text comes from (`load`).
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from ipaddress import IPv6Address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gateway.settings.database_url import check_database_url, is_sqlite

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
# `*.com` would allow anyone who registers a name; names below localhost belong to this machine.
_PARENT: Final = re.compile(rf"localhost|({_NAME}\.)+[a-z][a-z0-9-]*")
_ENDPOINT: Final = re.compile(
    r"(?P<origin>https?://([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?)(?P<path>(/[!-~]*?)?)(?P<query>\?[!-~]*)?"
)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_LAST_PORT: Final = 65_535


class Seconds(click.FloatRange):
    """A duration in seconds, above 0 and at most an hour."""

    def __init__(self) -> None:
        super().__init__(0, _HOUR_S, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Convert a number; click's range accepts NaN, which compares false with both bounds."""
        number = super().convert(value, param, ctx)
        if number != number:  # noqa: PLR0124  (only NaN differs from itself)
            self.fail(f"{value!r} is not in the range 0<x<={_HOUR_S}.", param, ctx)
        return number


class Boolean(click.types.BoolParamType):
    """True or false; an empty text, which click takes for false, is neither."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bool:
        """Convert true, 1, yes, on, t and y, or their opposites, in any case."""
        if self.str_to_bool(value) is None or value == "":
            self.fail(f"expected true or false, but got {value!r}.", param, ctx)
        return super().convert(value, param, ctx)


class Parsed(click.ParamType[str]):
    """A text that a function checks and normalizes, or refuses by a ValueError that says what it expects."""

    def __init__(self, name: str, parse: Callable[[str], str]) -> None:
        self.name, self._parse = name, parse

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check and normalize a text."""
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


def _not_empty(text: str) -> str:
    if not text:
        raise ValueError("expected at least one character")
    return text


def _listen_url(url: str) -> str:
    if not url:
        return url
    if is_sqlite(url):
        raise ValueError("expected postgresql://USER:PASSWORD@HOST:PORT/NAME")
    return check_database_url(url)


def _each(normalize: Callable[[str], str | None], wanted: str) -> Parsed:
    """Make the type of a comma-separated list: names are stripped, lower-cased and normalized; None refuses a name."""

    def read(text: str) -> str:
        names = []
        for name in text.split(","):
            if not name.strip():
                continue
            taken = normalize(name.strip().lower())
            if taken is None:
                raise ValueError(f"expected {wanted} separated by commas; {name.strip().lower()!r} is not one")
            names.append(taken)
        return ",".join(dict.fromkeys(names))

    return Parsed("list", read)


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


def _file_to_write(path: str) -> str:
    if path and (Path(path).is_dir() or not Path(path).absolute().parent.is_dir()):
        raise ValueError("expected the path of a file in an existing folder")
    return path


def _jwks(place: str) -> str:
    if place and not place.startswith(("https://", "http://")) and not Path(place).is_file():
        raise ValueError("expected a URL that begins with https://, or the path of an existing file")
    return place


def _secret(text: str) -> str:
    if text and len(text.encode()) < _SHORTEST_SECRET:
        raise ValueError(f"expected at least {_SHORTEST_SECRET} bytes, such as the output of `openssl rand -hex 32`")
    return text


def _rate(text: str) -> str:
    if text not in ("", OFF) and not _RATE.fullmatch(text):
        raise ValueError("expected a number followed by /second, /minute, /hour or /day, or off")
    return text


def _at_once(text: str) -> str:
    if text not in ("", OFF) and not re.fullmatch("[1-9][0-9]{0,5}", text):
        raise ValueError("expected a whole number, or off")
    return text


def _rate_store(place: str) -> str:
    return place if place == "memory" else _redis_url(place, "memory, or ")


def _hints_url(url: str) -> str:
    return url and _redis_url(url)


def _redis_url(url: str, other: str = "") -> str:
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError(f"expected {other}a URL that begins with redis://, rediss:// or unix://")
    if find_spec("redis") is None:
        raise ValueError("the Redis client is not installed; run: pip install 'threads-gateway[redis]'")
    return url


def check_model_url(url: str) -> str:
    """Check the URL of a model's endpoint, and remove slashes at its end.

    Errors: ValueError, which says what is expected and shows nothing secret.
    """
    found = _ENDPOINT.fullmatch(url)
    if found is None:
        raise ValueError("expected a URL such as https://api.openai.com/v1, in ASCII, without user name and fragment")
    path, query = found["path"].rstrip("/"), found["query"] or ""
    if path.endswith("/chat/completions"):
        raise ValueError("expected the URL without /chat/completions, which is added")
    return f"{found['origin']}{path}{query}"


def check_model_key(key: str) -> str:
    """Check the key of a model's endpoint, which is sent in a header.

    Errors: ValueError, which says what is expected and shows nothing secret.
    """
    if not re.fullmatch("[!-~]+", key):
        raise ValueError("expected ASCII characters without white space")
    return key


def _model_url(url: str) -> str:
    return _with_client(check_model_url(url)) if url else url


def _models(path: str) -> str:
    if path and not Path(path).is_file():
        raise ValueError("expected the path of an existing file")
    return _with_client(path) if path else path


def _with_client(text: str) -> str:
    if find_spec("aiohttp") is None:
        raise ValueError("the client of models is not installed; run: pip install 'threads-gateway[runs]'")
    return text


DATABASE_URL: Final = Parsed("url", check_database_url)
LISTEN_URL: Final = Parsed("url", _listen_url)
HINTS_URL: Final = Parsed("url", _hints_url)
JWKS: Final = Parsed("url or path", _jwks)
RATE_STORE: Final = Parsed("url", _rate_store)
SECRET: Final = Parsed("secret", _secret)
HOST: Final = Parsed("address", _not_empty)
AUDIT_LOG: Final = Parsed("path", _file_to_write)
RATE: Final = Parsed("rate", _rate)
CONCURRENCY: Final = Parsed("number", _at_once)
MODEL_URL: Final = Parsed("url", _model_url)
MODEL_KEY: Final = Parsed("secret", lambda key: key and check_model_key(key))
MODELS: Final = Parsed("path", _models)
