"""Connecting to PostgreSQL: the choice among several servers, and the first statements of a connection.

Must not be here: the grammar of URLs (`settings.database_url`), pools (`connections`).
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import asyncpg

if TYPE_CHECKING:
    from gateway.settings.database_url import PostgresUrl

# The next server is tried where one is unreachable, starts or stops, or has the wrong role.
_TRY_NEXT: Final = (
    OSError,
    asyncpg.CannotConnectNowError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.TargetServerAttributeNotMatched,
)


class PostgresConnection(asyncpg.Connection):  # type: ignore[misc]  # it has no types
    """asyncpg's connection with a shortcut for prepared statements.

    Its own method adds half of the cost again, for query loggers and copies of time-outs.
    """

    __slots__ = ()

    async def fetch(self, query: str, *args: Any, **options: Any) -> list[asyncpg.Record]:
        """Run a statement, which is prepared the first time, and return its rows."""
        found: list[asyncpg.Record]
        prepared = None if options else self._stmt_cache.get((query, asyncpg.Record, False))
        if prepared is not None:
            try:
                found = await self._protocol.bind_execute(prepared, args, "", 0, False, None)
            except asyncpg.InvalidCachedStatementError:  # a table was altered
                self._drop_global_statement_cache()
                if self.is_in_transaction():
                    raise
            else:
                return found
        found = await super().fetch(query, *args, **options)
        return found


class Connector:
    """Opens connections of one URL; the last suitable server is tried first.

    SQLAlchemy calls it as the driver's own `connect`, with arguments from its URL, which has none.
    """

    def __init__(self, url: PostgresUrl, *first: str) -> None:
        self._hosts = list(url.hosts)
        self._first = "; ".join(first)
        # The driver takes some parameters from a URL alone.
        self._options: dict[str, Any] = {
            "dsn": f"postgresql://?{urlencode(url.driver)}" if url.driver else None,
            "user": url.user,
            "password": url.password,
            "database": url.database,
            "server_settings": dict(url.session),
            "target_session_attrs": url.target,
            "connection_class": PostgresConnection,
            "timeout": url.connect_timeout_s,
            "command_timeout": url.command_timeout_s,
            # A connection that changes with each transaction keeps no prepared statements.
            **({"statement_cache_size": 0} if url.by_transaction else {}),
        }

    async def __call__(self, *_arguments: object, **_options: object) -> asyncpg.Connection:
        """Connect to the first server that is reachable and suitable.

        Errors: OSError where there is none; the error of a server that refuses.
        """
        failed: list[tuple[str, BaseException]] = []
        for host, port in tuple(self._hosts):
            try:
                connection = await asyncpg.connect(host=host, port=port, **self._options)
            except _TRY_NEXT as error:
                if len(self._hosts) == 1:
                    raise
                failed.append((f"{host}:{port}", error))
                continue
            self._prefer((host, port))
            return await self._begun(connection)
        reasons = "; ".join(f"{host}: {error or type(error).__name__}" for host, error in failed)
        raise ConnectionError(f"no server can be used: {reasons}") from failed[-1][1]

    def _prefer(self, host: tuple[str | None, int]) -> None:
        if self._hosts[0] != host:
            self._hosts.sort(key=lambda each: each != host)

    async def _begun(self, connection: asyncpg.Connection) -> asyncpg.Connection:
        # The driver has no public name for its socket.
        if raw := connection._transport.get_extra_info("socket"):  # noqa: SLF001
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self._first:
            try:
                await connection.execute(self._first)
            except BaseException:
                connection.terminate()
                raise
        return connection
