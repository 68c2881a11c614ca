"""The table of settings: for each its name, type, default, group, description and whether its value is secret.

Must not be here: where a value comes from (`load`), what is done with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import click

from gateway.domain import bounds
from gateway.settings import values

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")
PREFIX: Final = "GATEWAY_"


class Group(Enum):
    """The headings under which `--help`, `gateway config` and the documentation list settings, in this order."""

    SERVING = "Serving"
    GRAPHQL = "GraphQL"
    AUTHENTICATION = "Authentication"
    RUNS = "Runs"
    LIMITS = "Limits"
    DATABASE = "Database"


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table; `secret` values are masked wherever they are printed."""

    name: str
    type: click.ParamType[Any]
    default: Any
    group: Group
    description: str
    secret: bool = False
    # A command line can be read by every user of a machine, so a secret has no flag.
    has_flag: bool = True
    # The default in the profile "production".
    production: Any = None

    @property
    def variable(self) -> str:
        """Name the environment variable."""
        return f"{PREFIX}{self.name.upper()}"

    @property
    def flags(self) -> tuple[str, ...]:
        """Write the flag as click declares it: `--port`, `--graphiql/--no-graphiql`; none for a secret."""
        if not self.has_flag:
            return ()
        name = self.name.replace("_", "-")
        return (f"--{name}/--no-{name}" if isinstance(self.type, values.Boolean) else f"--{name}",)

    def text(self, value: object) -> str:
        """Write a value as the environment variable takes it, in full."""
        return str(value).lower() if isinstance(value, bool) else str(value)


class _Row:
    """Makes the fields of one group of `Settings`."""

    def __init__(self, group: Group) -> None:
        self._group = group

    def __call__(self, default: T, kind: click.ParamType[Any], description: str, **more: Any) -> T:
        """Make a field; to a type checker it is its default. `repr` does not show a secret."""
        metadata = {"type": kind, "group": self._group, "description": description, **more}
        made: Any = field(default=default, repr=not more.get("secret"), metadata=metadata)
        return cast("T", made)

    def secret(self, description: str, kind: click.ParamType[str] = values.SECRET) -> str:
        """Make a field that is a secret."""
        return self("", kind, description, secret=True, has_flag=False)


_serving, _graphql, _authentication, _runs, _limits, _database = map(_Row, Group)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one process."""

    host: str = _serving("127.0.0.1", values.HOST, "Address to listen on.")
    port: int = _serving(8000, click.IntRange(0, 65_535), "Port to listen on; 0 picks a free one.")
    workers: int = _serving(1, click.IntRange(1, 64), "Number of server processes; each uses one processor core.")
    hosts: str = _serving(
        "",
        values.HOSTS,
        "Accepted Host headers, comma-separated; *.example.com matches all subdomains. If empty: localhost when "
        "listening on localhost, otherwise any.",
    )
    cors_origins: str = _serving(
        "",
        values.ORIGINS,
        "Origins that may call the API from a browser, comma-separated; https://*.preview.example.com matches all "
        "subdomains. The server's own origin is always allowed.",
    )
    cors_credentials: bool = _serving(
        False, values.Boolean(), "Allow cookies and HTTP authentication in cross-origin requests."
    )
    trusted_proxies: str = _serving(
        "",
        values.PROXIES,
        "Addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are trusted, comma-separated.",
    )
    metrics_port: int = _serving(
        0,
        click.IntRange(0, 65_000),
        "Port of the Prometheus metrics endpoint of all workers, on the address of GATEWAY_HOST. 0 disables it.",
    )
    shutdown_s: int = _serving(
        30, click.IntRange(1, 3600), "Seconds that running requests may take to finish after SIGTERM."
    )
    profile: str = _serving(
        "development",
        click.Choice(["development", "production"]),
        "Profile of defaults: production disables introspection, suggestions and GraphiQL and requires scopes in JWTs.",
    )

    introspection: bool = _graphql(True, values.Boolean(), "Enable introspection.", production=False)
    suggestions: bool = _graphql(
        True, values.Boolean(), 'Suggest similar names in GraphQL errors ("Did you mean ...").', production=False
    )
    graphiql: bool = _graphql(True, values.Boolean(), "Serve GraphiQL to browsers at /graphql.", production=False)
    graphql_http: str = _graphql(
        "audit",
        click.Choice(["audit", "draft-2026-08"]),
        "Status codes of GraphQL over HTTP: audit passes the graphql-http audits; draft-2026-08 uses 422 for invalid "
        "documents and 294 for responses with errors.",
    )
    trusted_documents: str = _graphql(
        "", click.Path(), "Trusted documents: a folder of .graphql files, or a Relay or Apollo manifest."
    )
    trusted_mode: str = _graphql(
        "off",
        click.Choice(["off", "log", "only"]),
        "Documents that are not trusted: off accepts them, log accepts and logs them, only refuses them.",
    )

    jwt_jwks_url: str = _authentication(
        "", values.JWKS, "Public keys that verify end users' tokens (JWT): URL or file of a JWKS.", secret=True
    )
    jwt_secret: str = _authentication.secret("Shared secret that verifies end users' tokens (HS256, HS384 or HS512).")
    jwt_secret_old: str = _authentication.secret(
        "Previous shared secret; tokens signed with it are still accepted during a rotation."
    )
    jwt_issuer: str = _authentication(
        "", click.STRING, "Required issuer (iss) of end users' tokens; set it with a JWKS or a shared secret."
    )
    jwt_audience: str = _authentication(
        "", click.STRING, "Required audience (aud) of end users' tokens; set it with a JWKS or a shared secret."
    )
    jwt_require_scopes: bool = _authentication(
        False,
        values.Boolean(),
        "Grant nothing to end users' tokens without scopes, instead of everything.",
        production=True,
    )
    token_secret: str = _authentication.secret("Secret that signs thread tokens; without it none can be created.")
    token_secret_old: str = _authentication.secret(
        "Previous secret of thread tokens; tokens signed with it are still accepted, none are created."
    )
    audit_log: str = _authentication(
        "",
        values.AUDIT_LOG,
        "File of the audit log (API keys, tokens, deletions, failed authentication); if empty, standard error.",
    )
    insecure_open: bool = _authentication(
        False, values.Boolean(), "Serve other machines without authentication until the first API key is created."
    )

    model_url: str = _runs(
        "",
        values.MODEL_URL,
        "Endpoint of the model that answers runs, without /chat/completions: any OpenAI-compatible one, such as "
        "https://api.openai.com/v1 (pip install 'threads-gateway[runs]').",
        secret=True,
    )
    model_key: str = _runs.secret("API key of that endpoint.", values.MODEL_KEY)
    model: str = _runs("", click.STRING, "Name of the model where neither the run nor its assistant names one.")
    models: str = _runs(
        "", values.MODELS, "TOML file of several models, with their endpoints and limits, and of mapped assistants."
    )
    demo: bool = _runs(
        False, values.Boolean(), "Answer runs with a built-in demo model, which repeats what it is asked."
    )

    graphql_cost: int = _limits(
        5_000, click.IntRange(1), "Maximum cost of a GraphQL operation: the objects it may return."
    )
    graphql_timeout_s: float = _limits(10.0, values.Seconds(), "Seconds after which a GraphQL operation is cancelled.")
    rest_timeout_s: float = _limits(
        10.0, values.Seconds(), "Seconds after which a REST request is cancelled; its body may take longer to arrive."
    )
    graphql_batch: int = _limits(
        0, click.IntRange(0, 10), "Maximum number of GraphQL requests in one body; 0 disables batching."
    )
    graphql_body: int = _limits(
        bounds.GRAPHQL_BODY.number,
        click.IntRange(1_024, bounds.BODY.number),
        "Maximum size of a GraphQL request body or WebSocket message, in bytes.",
    )
    rate_reads: str = _limits(
        "",
        values.RATE,
        "Read rate limit per key or end user, such as 600/minute, or off. If empty: 6000/minute, or off when "
        "listening on localhost.",
    )
    rate_writes: str = _limits(
        "",
        values.RATE,
        "Write rate limit per key or end user, as for reads; a GraphQL operation counts once per 100 of its cost.",
    )
    rate_at_once: str = _limits(
        "",
        values.CONCURRENCY,
        "Maximum concurrent requests per key or end user, or off. If empty: 100, or off when listening on localhost.",
    )
    rate_failed_auth: str = _limits(
        "60/minute",
        values.RATE,
        "Rate limit of failed authentication per address (IPv6: per /64), or off; valid credentials are never refused.",
    )
    rate_tokens: str = _limits(
        "off",
        values.RATE,
        "Limit of the tokens that runs cost per key or end user, such as 1000000/day, or off; the next run is refused.",
    )
    rate_store: str = _limits(
        "memory",
        values.RATE_STORE,
        "Storage of rate limit counters: memory (per process), or redis://HOST:PORT/NUMBER, shared by all processes "
        "(pip install 'threads-gateway[redis]').",
        secret=True,
    )

    database_url: str = _database(
        "sqlite:///gateway.db",
        values.DATABASE_URL,
        "Database: sqlite:///FILE (sqlite:////FILE for an absolute path) or postgresql://USER:PASSWORD@HOST:PORT/NAME.",
        secret=True,
    )
    listen_url: str = _database(
        "",
        values.LISTEN_URL,
        "Direct PostgreSQL URL for LISTEN, required if the database URL points to PgBouncer in transaction mode "
        "(?pgbouncer=transaction).",
        secret=True,
    )
    hints_url: str = _database(
        "",
        values.HINTS_URL,
        "Redis that notifies all processes on one PostgreSQL of changes, instead of LISTEN and NOTIFY: "
        "redis://HOST:PORT/NUMBER (pip install 'threads-gateway[redis]').",
        secret=True,
    )

    lock_timeout_s: float = _database(
        1.0,
        values.Seconds(),
        "Seconds that a write waits for a thread that another transaction has locked, and for its turn to wait.",
    )
    statement_timeout_s: float = _database(
        15.0,
        values.Seconds(),
        "Seconds after which PostgreSQL cancels a statement of a server; commands have no limit.",
    )
    idle_transaction_timeout_s: float = _database(
        5.0, values.Seconds(), "Seconds after which PostgreSQL ends a transaction whose server does nothing."
    )
    keepalive_s: float = _database(
        10.0, values.Seconds(), "Seconds of silence after which PostgreSQL asks whether a server is still there."
    )

    retention_days: int = _database(
        0,
        click.IntRange(0, 36_500),
        "Days after their last activity in which threads are deleted; 0 keeps them.",
    )
    min_free_mb: int = _database(
        100,
        click.IntRange(0),
        "Megabytes that have to be free on the disk of SQLite's file; with less, /readyz answers 503.",
    )


SETTINGS: Final[Mapping[str, Setting]] = {
    each.name: Setting(each.name, default=each.default, **each.metadata) for each in fields(Settings)
}
