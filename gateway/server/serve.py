"""Run the server: bind the port, print the banner, and serve until SIGINT or SIGTERM.

Must not be here: the application (`app`), checks before the start (`startup`), settings.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import click
import uvicorn

from gateway.observability.log import log_config
from gateway.server.ending import end_within
from gateway.server.http_protocol import HttpProtocol
from gateway.server.quick_imports import loading
from gateway.server.startup import has_keys_and_is_ready, is_open_without_keys, listen
from gateway.server.websocket_protocol import WebSocketProtocol
from gateway.server.workers import Workers
from gateway.settings.load import export_to_environment, misspelled
from gateway.settings.masking import mask_url
from gateway.store.engines.sqlite_library import count_no_memory
from gateway.store.files.server_lock import lock_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from gateway.settings.table import Settings
    from gateway.store.files.server_lock import ServerLock

_END_S: Final = 2  # for the steps after GATEWAY_SHUTDOWN_S, which is for requests
_KEEP_ALIVE_S: Final = 75  # longer than proxies keep an idle connection (nginx 60 s), so that they close it first
_WARNING: Final = {
    False: "Unauthenticated on localhost until you create the first API key: gateway keys create\n",
    True: (
        "INSECURE: UNAUTHENTICATED FOR EVERY CLIENT THAT CAN CONNECT, FROM ANY MACHINE.\n"
        "Create the first API key to require authentication: gateway keys create\n"
    ),
}
_DEMO: Final = (
    "DEMO: RUNS ARE ANSWERED BY NO REAL MODEL, BUT BY ONE THAT REPEATS WHAT IT IS ASKED.\n"
    "For a real one, start without --demo and set GATEWAY_MODEL_URL.\n"
)
_NO_SETTING: Final = "{} IS NO SETTING, AND IGNORED. Did you mean {}?\n"


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; running requests finish first, subscriptions are closed.

    Errors: DatabaseInUse; DatabaseDamaged; DatabaseBehind; InvalidSetting where the address cannot be listened on, or
    only with authentication, the database cannot be shared or listened to, or the trusted documents cannot be read.
    """
    with lock_database(settings.database_url) as lock:
        count_no_memory(settings.database_url)
        _serve(settings, lock)


def _serve(settings: Settings, lock: ServerLock) -> None:
    has_keys = has_keys_and_is_ready(settings)
    with loading():
        config = _config(settings)
        if settings.workers == 1:
            config.load_app()  # takes a second, during which connected clients would wait
    listener = listen(settings)
    is_open = not has_keys and is_open_without_keys(settings)
    click.echo(_banner(settings, listener.getsockname()[1], is_open=is_open), err=True)
    export_to_environment(settings)
    try:
        if settings.workers > 1:
            _supervise(Workers(config, listener, on_stop=partial(_on_stop, lock, settings.shutdown_s)), settings)
        else:
            _Server(config, lock).run(sockets=[listener])
    except KeyboardInterrupt:
        pass  # uvicorn raises the signal again after it has finished what ran


def _on_stop(lock: ServerLock, shutdown_s: int) -> None:
    end_within(shutdown_s)
    lock.note(shutdown_s + _END_S)


class _Server(uvicorn.Server):
    """A server in this process, which notes that it is stopping, and releases the lock of its database at the end."""

    def __init__(self, config: uvicorn.Config, lock: ServerLock) -> None:
        super().__init__(config)
        self._lock = lock

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; a second signal ends what still runs."""
        _on_stop(self._lock, self.config.timeout_graceful_shutdown or 0)
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals; in the end uvicorn raises them again, which ends this process."""
        with super().capture_signals():
            try:
                yield
            finally:
                self._lock.release()


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
        ws_per_message_deflate=False,  # zlib's windows would be half the memory of an idle subscription
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.shutdown_s,
    )


def _supervise(workers: Workers, settings: Settings) -> None:
    """Run all workers, and serve their metrics together."""
    if not settings.metrics_port:
        workers.run()
        return
    from gateway.observability.metrics import MetricsOfWorkers, serving  # noqa: PLC0415  (as in `listeners`)

    with serving(settings.host, settings.metrics_port, MetricsOfWorkers(workers.collect, workers.restarts)):
        workers.run()


def _banner(settings: Settings, port: int, *, is_open: bool) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return (
        f"Database: {mask_url(settings.database_url)}\n"
        f"  OpenAI SDK   base_url=http://{host}:{port}/v1   ({'any api_key' if is_open else 'api_key=sk-...'})\n"
        f"  GraphQL      http://{host}:{port}/graphql\n"
        f"{_WARNING[settings.insecure_open] if is_open else ''}"
        f"{_DEMO if settings.demo else ''}"
        f"{''.join(_NO_SETTING.format(wrong, near) for wrong, near in misspelled().items())}"
        "Stop with Ctrl-C."
    )
