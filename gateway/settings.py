"""What an operator can set, read once into one frozen object; the only reader of the environment.

Must not be here: what is done with a setting.
"""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from gateway.errors import InvalidSetting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PREFIX: Final = "GATEWAY_"
OFF: Final = "off"
_RATE: Final = re.compile("[1-9][0-9]{0,8}/(second|minute|hour|day)")
SECRETS: Final = ("jwt_secret", "token_secret")  # no flags: the command lines of a machine can be read by all on it
_HIDDEN: Final = (*SECRETS, "database_url", "listen_url", "jwt_jwks_url", "rate_store")
_SHORTEST_SECRET: Final = 32  # RFC 7518, 3.2: a key at least as long as the hash
_COLLECTORS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_SWITCHES: Final = ("introspection", "suggestions", "graphiql")  # on for a developer, off in production


def _database_url(url: str) -> str:
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


def _listen_url(url: str) -> str:
    if not url:
        return url
    if not _database_url(url).startswith("postgres"):
        raise ValueError("expected postgresql://USER:PASSWORD@HOST:PORT/NAME")
    return _database_url(url)


def _each(is_taken: Callable[[str], object], wanted: str) -> Callable[[str], str]:
    """Make a check of names with commas between them, which gives them in small letters and without spaces."""

    def check(text: str) -> str:
        names = [name.strip().lower() for name in text.split(",") if name.strip()]
        for name in names:
            if not is_taken(name):
                raise ValueError(f"expected {wanted} with commas between them; {name!r} is none")
        return ",".join(names)

    return check


def _is_network(name: str) -> bool:
    try:
        ip_network(name)
    except ValueError:
        return False
    return True


_HOSTS: Final = _each(
    re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]").fullmatch,
    "host names like threads.example.com or *.example.com, without ports,",
)
_ORIGINS: Final = _each(
    re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@*]+").fullmatch, "origins like https://app.example.com, without a path,"
)
_PROXIES: Final = _each(_is_network, "addresses or networks like 10.0.0.5 or 10.0.0.0/8")


def _jwks(place: str) -> str:
    if place and not place.startswith(("https://", "http://")) and not Path(place).is_file():
        raise ValueError("expected a URL that begins with https://, or the path of a file that is there")
    return place


def _secret(text: str) -> str:
    if text and len(text.encode()) < _SHORTEST_SECRET:
        raise ValueError(f"expected at least {_SHORTEST_SECRET} bytes, such as `openssl rand -hex 32` makes")
    return text


def _rate(text: str) -> str:
    if text not in ("", OFF) and not _RATE.fullmatch(text):
        raise ValueError("expected a number with /second, /minute, /hour or /day behind it, or off")
    return text


def _at_once(text: str) -> str:
    if text not in ("", OFF) and not re.fullmatch("[1-9][0-9]{0,5}", text):
        raise ValueError("expected a whole number, or off")
    return text


def _rate_store(place: str) -> str:
    if place != "memory" and not place.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("expected memory, or an address that begins with redis://, rediss:// or unix://")
    if place != "memory" and find_spec("redis") is None:
        raise ValueError("expected memory, since the client of Redis is not installed")
    return place


class Settings(BaseSettings):
    """The settings of one process; flags come before the environment, and that before a file `.env`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True)

    database_url: Annotated[str, AfterValidator(_database_url)] = Field(
        "sqlite:///gateway.db",
        description="Where the threads are kept: sqlite:///FILE (three slashes, then a path; four for one from the "
        "root), or postgresql://USER:PASSWORD@HOST:PORT/NAME.",
    )
    listen_url: Annotated[str, AfterValidator(_listen_url)] = Field(
        "",
        description="Where PostgreSQL itself is reached, for LISTEN, if the database's URL leads to a PgBouncer in "
        "transaction mode (it then ends in ?pgbouncer=transaction).",
    )
    host: str = Field("127.0.0.1", min_length=1, description="The address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="The port to listen on; 0 takes any that is free.")
    workers: int = Field(1, ge=1, le=64, description="How many processes serve; one uses one processor core.")
    hosts: Annotated[str, AfterValidator(_HOSTS)] = Field(
        "",
        description="The host names that this server goes by, with commas between them; *.example.com stands for all "
        "below. If empty: only localhost where it listens on that, else any.",
    )
    cors_origins: Annotated[str, AfterValidator(_ORIGINS)] = Field(
        "",
        description="The origins whose pages may use this server from a browser, with commas between them; its own "
        "pages always may.",
    )
    cors_credentials: bool = Field(
        False, description="Whether browsers may send cookies and HTTP authentication from those origins' pages."
    )
    trusted_proxies: Annotated[str, AfterValidator(_PROXIES)] = Field(
        "",
        description="The addresses or networks of the proxies whose X-Forwarded-For and -Proto are believed, with "
        "commas between them.",
    )
    metrics_port: int = Field(
        0,
        ge=0,
        le=65_000,
        description="The port on which metrics are told, at the address of GATEWAY_HOST; of several processes each "
        "takes the next one. None if 0.",
    )
    shutdown_s: int = Field(
        30, ge=1, le=3600, description="After how many seconds a server that stops cuts off requests that still run."
    )
    profile: Literal["development", "production"] = Field(
        "development",
        description="development, or production: there introspection, suggestions and GraphiQL are off if nothing else "
        "is said.",
    )
    introspection: bool = Field(True, description="Whether GraphQL tells its schema; false in production.")
    suggestions: bool = Field(
        True, description="Whether GraphQL's errors suggest names that are near; false in production."
    )
    graphiql: bool = Field(True, description="Whether /graphql shows browsers a page; false in production.")
    graphql_cost: int = Field(
        5_000, ge=1, description="How many objects one GraphQL operation may ask for, counted before it runs."
    )
    graphql_timeout_s: float = Field(
        10.0, gt=0, le=3600, description="After how many seconds a GraphQL operation is cancelled."
    )
    graphql_http: Literal["audit", "draft-2026-08"] = Field(
        "audit",
        description="The statuses of GraphQL over HTTP: audit, as graphql-http's audits want them, or draft-2026-08, "
        "with 422 for what is not valid and 294 for answers with errors in them.",
    )
    graphql_batch: int = Field(
        0, ge=0, le=10, description="How many GraphQL requests may come in one body; 0 takes no batches."
    )
    trusted_documents: str = Field(
        "", description="A folder of .graphql files, or a manifest of Relay or Apollo; none if empty."
    )
    trusted_mode: Literal["off", "log", "only"] = Field(
        "off", description="Other documents than the trusted ones: off takes them, log tells them, only refuses them."
    )

    jwt_jwks_url: Annotated[str, AfterValidator(_jwks)] = Field(
        "", description="The public keys that sign end users' tokens (JWT): the URL of a JWKS, or a file with one."
    )
    jwt_secret: Annotated[str, AfterValidator(_secret)] = Field(
        "", description="The secret that signs end users' tokens, where it is a shared one (HS256)."
    )
    jwt_issuer: str = Field("", description="Who must have issued them (`iss`); needed with either of the two.")
    jwt_audience: str = Field("", description="Whom they must be for (`aud`); needed with either of the two.")
    token_secret: Annotated[str, AfterValidator(_secret)] = Field(
        "", description="The secret that signs the short-lived tokens for one thread; none are made without."
    )
    rate_reads: Annotated[str, AfterValidator(_rate)] = Field(
        "",
        description="How often each key or end user may read, such as 600/minute, or off. If empty: 6000/minute, and "
        "off where it listens on this machine alone.",
    )
    rate_writes: Annotated[str, AfterValidator(_rate)] = Field(
        "", description="The same for writing; a GraphQL operation counts once for each 100 objects of its cost."
    )
    rate_at_once: Annotated[str, AfterValidator(_at_once)] = Field(
        "",
        description="How many requests of each key or end user may run at once, or off. If empty: 100, and off where "
        "it listens on this machine alone.",
    )
    rate_store: Annotated[str, AfterValidator(_rate_store)] = Field(
        "memory",
        description="Where they are counted: memory, each process for itself, or redis://HOST:PORT/NUMBER for all of "
        "them together (pip install 'threads-gateway[redis]').",
    )
    insecure_open: bool = Field(
        False,
        description="Whether everybody may read and write everything, from any machine, as long as no key is made.",
    )

    @model_validator(mode="after")
    def _jwt_is_whole(self) -> Settings:
        if bool(self.jwt_jwks_url) + bool(self.jwt_secret) > 1:
            raise ValueError("GATEWAY_JWT_JWKS_URL and GATEWAY_JWT_SECRET: expected one of them")
        if (self.jwt_jwks_url or self.jwt_secret) and not (self.jwt_issuer and self.jwt_audience):
            raise ValueError(
                "GATEWAY_JWT_ISSUER and GATEWAY_JWT_AUDIENCE: expected both, so that no other tokens are taken"
            )
        return self

    def metrics_ports(self) -> range:
        """Name the ports on which the processes of one server tell metrics; none where that is off."""
        return range(self.metrics_port, self.metrics_port + self.workers) if self.metrics_port else range(0)

    @model_validator(mode="before")
    @classmethod
    def _switch_by_profile(cls, given: dict[str, Any]) -> dict[str, Any]:
        is_open = given.get("profile") != "production"
        return dict.fromkeys(_SWITCHES, is_open) | given


def load_settings(flags: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings; `flags` are those given on the command line.

    Errors: InvalidSetting, naming each variable that is wrong and what it takes.
    """
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise InvalidSetting("\n".join(_told(each) for each in error.errors())) from None


def wants_traces() -> bool:
    """Say whether OpenTelemetry's own variables ask for traces; its SDK reads the rest of them itself.

    Source: OpenTelemetry specification, "Environment Variable Specification" and "OTLP Exporter Configuration".
    """
    is_off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    exporter = os.environ.get("OTEL_TRACES_EXPORTER") or "otlp"
    is_given = any(os.environ.get(name) for name in _COLLECTORS)
    return is_given and not is_off and exporter == "otlp"


def hand_down(settings: Settings) -> None:
    """Put the settings into the environment, where the processes that this one starts will read them."""
    os.environ.update({f"{PREFIX}{name.upper()}": str(value) for name, value in settings.model_dump().items()})


def _told(error: Any) -> str:
    wanted = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:  # settings that do not fit together; the message names them
        return f"{wanted}."
    name = str(error["loc"][0])
    variable = f"{PREFIX}{name.upper()}"
    flag = "" if name in SECRETS else f" (or --{name.replace('_', '-')})"
    # An address may hold a password, and what is printed here ends in somebody's log.
    got = "" if name in _HIDDEN else f", but got {error['input']!r}"
    return f"{variable}{flag}: {wanted}{got}. {Settings.model_fields[name].description}"
