"""Run the server: make the database ready, bind the port, say where it is, and serve until told to stop.

Must not be here: the application (`app`), settings.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

import click
import uvicorn
from sqlalchemy import make_url
from uvicorn.supervisors import Multiprocess

from gateway.errors import InvalidSetting
from gateway.graphql.documents.trusted import load_trusted
from gateway.observability.log import log_config
from gateway.server.http_protocol import HttpProtocol, WebSocketProtocol
from gateway.server.quick_imports import loading
from gateway.server.startup import any_key_made
from gateway.settings.load import export_to_environment
from gateway.store.engines.open import refuse_several_processes, url_to_listen_at
from gateway.web.origins import is_private

if TYPE_CHECKING:
    from gateway.settings.table import Settings

_BACKLOG: Final = 2048
_KEEP_ALIVE_S: Final = 75  # longer than proxies keep an idle connection (nginx 60 s), so that they let go of it first
_WARNING: Final = {
    False: "Open: whoever reaches this address reads and writes everything. Close it with: gateway keys create\n",
    True: (
        "INSECURE: EVERYBODY WHO REACHES THIS ADDRESS, FROM ANY MACHINE, READS AND WRITES EVERYTHING.\n"
        "Close it with: gateway keys create\n"
    ),
}


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; requests that run are finished first, followers are sent away.

    Errors: DatabaseBehind; InvalidSetting where the address cannot be listened on, or not without keys, the database
    not be shared or listened to, or the trusted documents not be read.
    """
    if settings.workers > 1:
        refuse_several_processes(settings.database_url)
    url_to_listen_at(settings.database_url, settings.listen_url)
    load_trusted(settings.trusted_documents, settings.trusted_mode)  # here they can still be told to somebody
    has_keys = any_key_made(settings.database_url)  # and the database is ready
    with loading():
        config = _config(settings)
        if settings.workers == 1:
            config.load_app()  # takes a second, in which who can connect already would wait instead of asking elsewhere
    listener = _listen(settings)
    is_open = not has_keys and _is_open(settings)
    click.echo(_banner(settings, listener.getsockname()[1], is_open=is_open), err=True)
    export_to_environment(settings)
    try:
        if settings.workers > 1:
            Workers(config, sockets=[listener]).run()
        else:
            uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        pass  # uvicorn raises the signal again after it has finished what ran


def _config(settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        "gateway.app:create_app_from_environment",
        factory=True,
        workers=settings.workers,
        log_config=log_config(settings.audit_log),
        log_level="info" if settings.workers > 1 else "warning",
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        http=HttpProtocol,
        ws=WebSocketProtocol,
        ws_max_size=settings.graphql_body,
        ws_per_message_deflate=False,  # zlib's windows are half of what a follower that waits would take
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.shutdown_s,
    )


class Workers(Multiprocess):
    """Several processes that serve, and the one that watches over them."""

    def terminate_all(self) -> None:
        """Tell all to stop; while one of us held the socket open, clients would connect and wait in vain."""
        for each in self.sockets:
            each.close()
        super().terminate_all()


def _is_open(settings: Settings) -> bool:
    """Say whether, without keys, everybody is let in; only this machine's own address is, and no proxy before it."""
    if settings.jwt_jwks_url or settings.jwt_secret:
        return False
    if not is_private(settings.host, settings.trusted_proxies) and not settings.insecure_open:
        by_proxy = bool(settings.trusted_proxies)
        where = "GATEWAY_TRUSTED_PROXIES: by a proxy it" if by_proxy else f"GATEWAY_HOST: {settings.host}"
        message = (
            f"{where} can be reached from other machines, and without a key everybody there "
            "could read and write everything. Make one first: gateway keys create (or, where nobody else can come in "
            "and nobody's secrets lie: --insecure-open true)"
        )
        raise InvalidSetting(message)
    return True


def _listen(settings: Settings) -> socket.socket:
    listener = _listen_on(settings.host, settings.port, "GATEWAY_HOST, GATEWAY_PORT")
    try:
        for port in settings.metrics_ports():  # each process takes one later, where nobody could be told any more
            _listen_on(settings.host, port, "GATEWAY_METRICS_PORT").close()
    except InvalidSetting:
        listener.close()
        raise
    return listener


def _listen_on(host: str, port: int, variables: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise InvalidSetting(f"{variables}: cannot listen on {host} port {port}: {error.strerror}") from error


def _banner(settings: Settings, port: int, *, is_open: bool) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    # SQLAlchemy hides a password in front of the host; PostgreSQL's drivers also take one behind the question mark.
    url = make_url(settings.database_url).difference_update_query(["password"])
    database = url.render_as_string(hide_password=True)
    return (
        f"Threads are kept in {database}\n"
        f"  OpenAI SDK   base_url=http://{host}:{port}/v1   ({'any api_key' if is_open else 'api_key=sk-...'})\n"
        f"  GraphQL      http://{host}:{port}/graphql\n"
        f"{_WARNING[settings.insecure_open] if is_open else ''}"
        "Stop with Ctrl-C."
    )
