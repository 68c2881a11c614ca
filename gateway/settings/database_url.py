"""The grammar of database URLs, for everything that connects: the pool, LISTEN, migrations, commands, doctor.

It is the part of libpq's that the driver supports; everything else is refused, so that nothing is silently ignored.
Source: PostgreSQL, "Connection Strings" and "Parameter Key Words".
Must not be here: connections (`store.engines`), how a URL is printed (`masking`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_POSTGRES: Final = re.compile(
    r"postgres(?:ql)?(?:\+asyncpg)?://"
    r"(?:(?P<user>[^:/@]*)(?::(?P<password>[^@]*))?@)?(?P<hosts>[^/?]*)(?:/(?P<database>[^?]*))?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
_HOST: Final = re.compile(r"(?P<host>\[[^\]]+\]|[^:]*)(?::(?P<port>[0-9]{1,5}))?")
_PORT: Final = 5432
_LAST_PORT: Final = 65_535
_CONNECT_S: Final = 5.0  # for each host, so that one that does not respond leaves time for the next
_FORM: Final = "expected sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/NAME"
_NOT_VALID: Final = (  # without quoting the URL: a part of it may be half the password
    "not a valid URL. The port is a number; in a user name or password, write '@', '/', ':' and '%' as %40, %2F, %3A "
    "and %25"
)
_SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_WRITABLE: Final = ("any", "primary", "read-write")
# Parameters with a few values; the values of the others are checked by the driver.
_VALUES: Final[Mapping[str, Sequence[str]]] = {
    "ssl": _SSL_MODES,
    "sslmode": _SSL_MODES,
    "target_session_attrs": _WRITABLE,  # the others of libpq select servers that cannot write
    "pgbouncer": ("transaction",),
}
_SECONDS: Final = ("command_timeout", "connect_timeout")
_FILES: Final = ("sslcert", "sslkey", "sslpassword", "sslrootcert", "sslcrl", "sslnegotiation")
_TLS_VERSIONS: Final = ("ssl_min_protocol_version", "ssl_max_protocol_version")
_OF_SESSION: Final = ("application_name", "options")  # settings of the server
_ADDRESS: Final = ("host", "port", "user", "password", "dbname", "database", "passfile")
PARAMETERS: Final = frozenset((*_VALUES, *_SECONDS, *_FILES, *_TLS_VERSIONS, *_OF_SESSION, *_ADDRESS))


@dataclass(frozen=True, slots=True)
class PostgresUrl:
    """The content of a URL: the servers in the order in which they are tried, the user, and the parameters.

    `driver` has the parameters that only the driver reads, `session` settings of the server for each connection.
    """

    hosts: tuple[tuple[str | None, int], ...]
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: str | None = None
    driver: Mapping[str, str] = field(default_factory=dict, repr=False)
    session: Mapping[str, str] = field(default_factory=dict)
    target: str = "any"
    command_timeout_s: float | None = None
    connect_timeout_s: float = _CONNECT_S
    by_transaction: bool = False


def is_sqlite(url: str) -> bool:
    """Say whether a URL names a SQLite file."""
    return url.partition(":")[0] in ("sqlite", "sqlite+aiosqlite")


def check_database_url(url: str) -> str:
    """Check the URL of a database, and expand PostgreSQL's short scheme.

    Errors: ValueError, which says what is expected and shows nothing secret.
    """
    if is_sqlite(url):
        if url.partition("://")[2][:1] != "/" or url.endswith("///") or ":memory:" in url:
            raise ValueError(_FORM)
        return url
    parse_postgres(url)
    return url.replace("postgres://", "postgresql://", 1) if url.startswith("postgres://") else url


def parse_postgres(url: str) -> PostgresUrl:
    """Read the URL of one or several servers of a PostgreSQL.

    Errors: ValueError, which says what is expected and shows nothing secret.
    """
    if not url.startswith(("postgresql://", "postgres://", "postgresql+asyncpg://")):
        raise ValueError(_FORM)
    found = _POSTGRES.fullmatch(url)
    if found is None:
        raise ValueError(_NOT_VALID)
    parts = {name: text or "" for name, text in found.groupdict().items()}
    query = _query(parts["query"])
    given = {name: values[-1] for name, values in query.items()}
    hosts = _hosts(parts["hosts"], query.get("host", []), given.get("port", ""))
    return PostgresUrl(
        hosts,
        unquote(parts["user"]) or given.get("user"),
        unquote(parts["password"]) or given.get("password"),
        unquote(parts["database"]) or given.get("dbname") or given.get("database"),
        driver=_for_driver(given),
        session={name: given[name] for name in _OF_SESSION if name in given},
        target=given.get("target_session_attrs", "any" if len(hosts) == 1 else "read-write"),
        command_timeout_s=_seconds(given, "command_timeout"),
        connect_timeout_s=_seconds(given, "connect_timeout") or _CONNECT_S,
        by_transaction="pgbouncer" in given,
    )


def _query(text: str) -> dict[str, list[str]]:
    """Read the parameters; `host` alone may be repeated."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True) if text else []
    except ValueError:
        raise ValueError("expected parameters as ?NAME=VALUE&NAME=VALUE") from None
    query: dict[str, list[str]] = {}
    for name, value in pairs:
        if name not in PARAMETERS:
            raise ValueError(f"unknown parameter {name[:40]!r}; known are {', '.join(sorted(PARAMETERS))}")
        if name in query and name != "host":
            raise ValueError(f"expected the parameter {name} once")
        if name in _VALUES and value not in _VALUES[name]:
            raise ValueError(f"expected {name}={' or '.join(_VALUES[name])}")
        query.setdefault(name, []).append(value)
    if "ssl" in query and "sslmode" in query:
        raise ValueError("expected ssl or sslmode, which mean the same")
    return query


def _hosts(authority: str, named: Sequence[str], ports: str) -> tuple[tuple[str | None, int], ...]:
    """Read `h1:p1,h2:p2`, of the authority or of parameters `host`; `port` is for those without a port."""
    if authority and named:
        raise ValueError("expected hosts before the name of the database, or as the parameter host")
    texts = [text for each in (named or [authority]) for text in each.split(",")]
    given = ports.split(",") if ports else [""]
    if len(given) not in (1, len(texts)):
        raise ValueError("expected one port, or one for each host")
    own = given if len(given) == len(texts) else given * len(texts)
    return tuple(_host(text, port) for text, port in zip(texts, own, strict=True))


def _host(text: str, port: str) -> tuple[str | None, int]:
    text = unquote(text)
    if text.startswith(("/", "@")):  # the folder of a socket
        host, number = text, port
    else:
        found = _HOST.fullmatch(text)
        if found is None:
            raise ValueError(_NOT_VALID)
        host, number = found["host"].strip("[]"), found["port"] or port
    if number and not (number.isdecimal() and 0 < int(number) <= _LAST_PORT):
        raise ValueError(_NOT_VALID)
    return host or None, int(number or _PORT)


def _for_driver(given: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters that the driver reads only from a URL; it knows `ssl` by its name in libpq."""
    driver = {name: given[name] for name in (*_FILES, *_TLS_VERSIONS, "passfile") if name in given}
    mode = given.get("sslmode", given.get("ssl"))
    return driver if mode is None else {**driver, "sslmode": mode}


def _seconds(given: Mapping[str, str], name: str) -> float | None:
    if name not in given:
        return None
    try:
        seconds = float(given[name])
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:  # noqa: PLR2004  (an hour)  # also refuses NaN
        raise ValueError(f"expected {name} in seconds, above 0 and at most 3600")
    return seconds
