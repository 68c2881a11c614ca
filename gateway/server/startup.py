"""Checks before a server starts: settings that need each other, the database, keys, ports.

Must not be here: what is served (`serve`).
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Final

from gateway.core import api_keys
from gateway.errors import InvalidSetting
from gateway.graphql.documents.trusted import load_trusted
from gateway.server.carrier import carrier_of
from gateway.settings.models import load_models
from gateway.store.engines.open import refuse_several_processes
from gateway.store.schema.ready import make_ready
from gateway.store.store import opened_store
from gateway.web.origins import is_private

if TYPE_CHECKING:
    from gateway.settings.table import Settings

_BACKLOG: Final = 2048


def has_keys_and_is_ready(settings: Settings) -> bool:
    """Check the settings, make the database ready, and return whether an API key was ever created.

    Errors: DatabaseBehind; Unavailable; InvalidSetting.
    """
    if settings.workers > 1:
        refuse_several_processes(settings.database_url)
    carrier_of(settings)
    load_models(settings)
    load_trusted(settings.trusted_documents, settings.trusted_mode)  # a worker could no longer report the error
    return any_key_made(settings.database_url)


def any_key_made(database_url: str) -> bool:
    """Make the database ready, and return whether an API key was ever created.

    Errors: DatabaseBehind; Unavailable.
    """

    async def ask() -> bool:
        await make_ready(database_url)
        async with opened_store(database_url) as store:
            return await api_keys.any_made(store)

    return asyncio.run(ask())


def is_open_without_keys(settings: Settings) -> bool:
    """Return whether a server without API keys is unauthenticated; that is allowed on localhost without a proxy.

    Errors: InvalidSetting where other machines could connect.
    """
    if settings.jwt_jwks_url or settings.jwt_secret:
        return False
    if not is_private(settings.host, settings.trusted_proxies) and not settings.insecure_open:
        by_proxy = bool(settings.trusted_proxies)
        where = "GATEWAY_TRUSTED_PROXIES: through a proxy it" if by_proxy else f"GATEWAY_HOST: {settings.host}"
        message = (
            f"{where} is reachable from other machines, and without an API key every client would have full access. "
            "Create one first: gateway keys create (or, on an isolated network: --insecure-open)"
        )
        raise InvalidSetting(message)
    return True


def listen(settings: Settings) -> socket.socket:
    """Bind the port, and check that the port of metrics is free.

    Errors: InvalidSetting.
    """
    listener = _listen_on(settings.host, settings.port, "GATEWAY_HOST, GATEWAY_PORT")
    try:
        if settings.metrics_port:  # it is bound later, when an error can no longer be reported
            _listen_on(settings.host, settings.metrics_port, "GATEWAY_METRICS_PORT").close()
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
