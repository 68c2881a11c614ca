"""What an operator can set, read once into one frozen object; the only reader of the environment.

Must not be here: what is done with a setting.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from gateway.domain import bounds
from gateway.errors import InvalidSetting
from gateway.settings import values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")
PREFIX: Final = "GATEWAY_"
_FILE: Final = Path(".env")
# No flags: the command lines of a machine can be read by all on it.
SECRETS: Final = ("jwt_secret", "jwt_secret_old", "token_secret", "token_secret_old")
_COLLECTORS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_SWITCHES: Final = ("introspection", "suggestions", "graphiql")  # on for a developer, off in production
_STRICT: Final = ("jwt_require_scopes",)  # the other way round


@dataclass(frozen=True, slots=True)
class Setting:
    """What one setting takes: `read` makes a value of text, or raises a ValueError that says what was expected."""

    default: Any
    read: Callable[[str], Any]
    description: str


def _setting(default: T, read: Callable[[str], T], description: str) -> T:
    """Make a field of Settings; to a type checker it is its default."""
    return _field(default, read, description)


def _hidden(default: T, read: Callable[[str], T], description: str) -> T:
    """Make a field that is or may hold a secret; `repr` does not show it, nor what is told where it is wrong."""
    return _field(default, read, description, is_shown=False)


def _field(default: T, read: Callable[[str], T], description: str, *, is_shown: bool = True) -> T:
    made: Any = field(default=default, repr=is_shown, metadata={"setting": Setting(default, read, description)})
    return cast("T", made)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one process."""

    database_url: str = _hidden(
        "sqlite:///gateway.db",
        values.database_url,
        "Where the threads are kept: sqlite:///FILE (three slashes, then a path; four for one from the root), or "
        "postgresql://USER:PASSWORD@HOST:PORT/NAME.",
    )
    listen_url: str = _hidden(
        "",
        values.listen_url,
        "Where PostgreSQL itself is reached, for LISTEN, if the database's URL leads to a PgBouncer in transaction "
        "mode (it then ends in ?pgbouncer=transaction).",
    )
    host: str = _setting("127.0.0.1", values.not_empty, "The address to listen on.")
    port: int = _setting(8000, values.whole(0, 65535), "The port to listen on; 0 takes any that is free.")
    workers: int = _setting(1, values.whole(1, 64), "How many processes serve; one uses one processor core.")
    hosts: str = _setting(
        "",
        values.HOSTS,
        "The host names that this server goes by, with commas between them; *.example.com stands for all below. If "
        "empty: only localhost where it listens on that, else any.",
    )
    cors_origins: str = _setting(
        "",
        values.ORIGINS,
        "The origins whose pages may use this server from a browser, with commas between them; "
        "https://*.preview.example.com stands for all subdomains. Its own pages always may.",
    )
    cors_credentials: bool = _setting(
        False, values.switch, "Whether browsers may send cookies and HTTP authentication from those origins' pages."
    )
    trusted_proxies: str = _setting(
        "",
        values.PROXIES,
        "The addresses or networks of the proxies whose X-Forwarded-For and -Proto are believed, with commas between "
        "them.",
    )
    metrics_port: int = _setting(
        0,
        values.whole(0, 65_000),
        "The port on which metrics are told, at the address of GATEWAY_HOST; of several processes each takes the next "
        "one. None if 0.",
    )
    shutdown_s: int = _setting(
        30, values.whole(1, 3600), "After how many seconds a server that stops cuts off requests that still run."
    )
    profile: str = _setting(
        "development",
        values.one_of("development", "production"),
        "development, or production: there introspection, suggestions and GraphiQL are off if nothing else is said.",
    )
    introspection: bool = _setting(True, values.switch, "Whether GraphQL tells its schema; false in production.")
    suggestions: bool = _setting(
        True, values.switch, "Whether GraphQL's errors suggest names that are near; false in production."
    )
    graphiql: bool = _setting(True, values.switch, "Whether /graphql shows browsers a page; false in production.")
    graphql_cost: int = _setting(
        5_000, values.whole(1), "How many objects one GraphQL operation may ask for, counted before it runs."
    )
    graphql_timeout_s: float = _setting(
        10.0, values.seconds, "After how many seconds a GraphQL operation is cancelled."
    )
    graphql_http: str = _setting(
        "audit",
        values.one_of("audit", "draft-2026-08"),
        "The statuses of GraphQL over HTTP: audit, as graphql-http's audits want them, or draft-2026-08, with 422 for "
        "what is not valid and 294 for answers with errors in them.",
    )
    graphql_batch: int = _setting(
        0, values.whole(0, 10), "How many GraphQL requests may come in one body; 0 takes no batches."
    )
    graphql_body: int = _setting(
        bounds.GRAPHQL_BODY.number,
        values.whole(1_024, bounds.BODY.number),
        "How many bytes the body of a GraphQL request, or its message over WebSocket, may have.",
    )
    trusted_documents: str = _setting(
        "", str, "A folder of .graphql files, or a manifest of Relay or Apollo; none if empty."
    )
    trusted_mode: str = _setting(
        "off",
        values.one_of("off", "log", "only"),
        "Other documents than the trusted ones: off takes them, log tells them, only refuses them.",
    )

    jwt_jwks_url: str = _hidden(
        "", values.jwks, "The public keys that sign end users' tokens (JWT): the URL of a JWKS, or a file with one."
    )
    jwt_secret: str = _hidden(
        "", values.secret, "The secret that signs end users' tokens, where it is a shared one (HS256)."
    )
    jwt_secret_old: str = _hidden(
        "", values.secret, "The secret before that one: tokens that it signed are still taken."
    )
    jwt_issuer: str = _setting("", str, "Who must have issued them (`iss`); needed with either of the two.")
    jwt_audience: str = _setting("", str, "Whom they must be for (`aud`); needed with either of the two.")
    jwt_require_scopes: bool = _setting(
        False,
        values.switch,
        "Whether end users' tokens that say nothing of scopes allow nothing; else they allow all. True in production.",
    )
    token_secret: str = _hidden(
        "", values.secret, "The secret that signs the short-lived tokens for one thread; none are made without."
    )
    token_secret_old: str = _hidden(
        "", values.secret, "The secret before that one: tokens that it signed are still taken, and it signs no more."
    )
    rate_reads: str = _setting(
        "",
        values.rate,
        "How often each key or end user may read, such as 600/minute, or off. If empty: 6000/minute, and off where it "
        "listens on this machine alone.",
    )
    rate_writes: str = _setting(
        "", values.rate, "The same for writing; a GraphQL operation counts once for each 100 objects of its cost."
    )
    rate_at_once: str = _setting(
        "",
        values.at_once,
        "How many requests of each key or end user may run at once, or off. If empty: 100, and off where it listens "
        "on this machine alone.",
    )
    rate_failed_auth: str = _setting(
        "60/minute",
        values.rate,
        "How often authentication may fail from one address (of IPv6: one /64), or off; a valid credential is never "
        "refused by it.",
    )
    rate_store: str = _hidden(
        "memory",
        values.rate_store,
        "Where they are counted: memory, each process for itself, or redis://HOST:PORT/NUMBER for all of them "
        "together (pip install 'threads-gateway[redis]').",
    )
    audit_log: str = _setting(
        "",
        values.file_to_write,
        "The file to which the audit log is written (keys, tokens, deletions, failed authentication); if empty, the "
        "standard error.",
    )
    insecure_open: bool = _setting(
        False,
        values.switch,
        "Whether everybody may read and write everything, from any machine, as long as no key is made.",
    )

    def metrics_ports(self) -> range:
        """Name the ports on which the processes of one server tell metrics; none where that is off."""
        return range(self.metrics_port, self.metrics_port + self.workers) if self.metrics_port else range(0)


SETTINGS: Final[Mapping[str, Setting]] = {each.name: each.metadata["setting"] for each in fields(Settings)}
_HIDDEN: Final = frozenset(each.name for each in fields(Settings) if not each.repr)


def load_settings(flags: Mapping[str, str | None] | None = None) -> Settings:
    """Read the settings: flags, those given on the command line, come before the environment, and that before `.env`.

    Errors: InvalidSetting, naming each variable that is wrong and what it takes.
    """
    given = _from_outside() | {name: text for name, text in (flags or {}).items() if text is not None}
    taken: dict[str, Any] = {}
    wrong: list[str] = []
    for name, setting in SETTINGS.items():
        if name in given:
            try:
                taken[name] = setting.read(given[name])
            except ValueError as error:
                wrong.append(_told(name, given[name], error))
    if wrong:
        raise InvalidSetting("\n".join(wrong))
    is_open = taken.get("profile") != "production"
    taken = dict.fromkeys(_SWITCHES, is_open) | dict.fromkeys(_STRICT, not is_open) | taken
    settings = Settings(**taken)
    _refuse_half(settings)
    return settings


def _from_outside() -> dict[str, str]:
    given: dict[str, str | None] = {**os.environ}
    if _FILE.is_file():
        from dotenv import dotenv_values  # noqa: PLC0415  (most servers have no such file)

        given = {**dotenv_values(_FILE), **given}
    return {
        name.removeprefix(PREFIX).lower(): text
        for name, text in given.items()
        if name.startswith(PREFIX) and text is not None
    }


def _refuse_half(settings: Settings) -> None:
    if settings.jwt_jwks_url and settings.jwt_secret:
        raise InvalidSetting("GATEWAY_JWT_JWKS_URL and GATEWAY_JWT_SECRET: expected one of them.")
    has_key = settings.jwt_jwks_url or settings.jwt_secret
    if has_key and not (settings.jwt_issuer and settings.jwt_audience):
        raise InvalidSetting(
            "GATEWAY_JWT_ISSUER and GATEWAY_JWT_AUDIENCE: expected both, so that no other tokens are taken."
        )
    for name in ("jwt_secret", "token_secret"):
        if getattr(settings, f"{name}_old") and not getattr(settings, name):
            variable = f"{PREFIX}{name.upper()}"
            raise InvalidSetting(f"{variable}_OLD: expected {variable} too, which takes the place of the old secret.")


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
    os.environ.update({f"{PREFIX}{name.upper()}": str(value) for name, value in asdict(settings).items()})


def _told(name: str, text: str, error: ValueError) -> str:
    variable = f"{PREFIX}{name.upper()}"
    flag = "" if name in SECRETS else f" (or --{name.replace('_', '-')})"
    # An address may hold a password, and what is printed here ends in somebody's log.
    got = "" if name in _HIDDEN else f", but got {text!r}"
    return f"{variable}{flag}: {error}{got}. {SETTINGS[name].description}"
