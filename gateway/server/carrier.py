"""What carries hints of changes between the processes of a database, as the settings choose it.

Must not be here: how one works (`events`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gateway.errors import InvalidSetting
from gateway.settings.database_url import is_sqlite
from gateway.store.engines.open import connector_to_listen

if TYPE_CHECKING:
    from gateway.events.exchange import Carrier
    from gateway.settings.table import Settings


def carrier_of(settings: Settings) -> Carrier | None:
    """Return what carries hints between the processes of a database; None for SQLite, whose file they poll.

    Errors: InvalidSetting.
    """
    if is_sqlite(settings.database_url):
        if settings.hints_url:
            raise InvalidSetting("GATEWAY_HINTS_URL: expected none with SQLite, whose processes poll their file.")
        return None
    if settings.hints_url:
        from gateway.events import redis  # noqa: PLC0415  (an extra)

        return partial(redis.connected, settings.hints_url)
    from gateway.events import postgres  # noqa: PLC0415  (SQLite needs no driver of PostgreSQL)

    return partial(postgres.connected, connector_to_listen(settings.database_url, settings.listen_url))


def carrier_if_any(settings: Settings) -> Carrier | None:
    """Return the same for a command, which does without hints where none can be sent."""
    try:
        return carrier_of(settings)
    except InvalidSetting:
        return None
