"""The state of the server that runs with these settings, if any: `/readyz` by HTTP.

Must not be here: how `/readyz` is answered (`web.health`), how findings are printed (`doctor`).
"""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from gateway.settings.table import Settings

PATIENCE_S: Final = 5.0  # a server answers its probe within 2 s
_MOST: Final = 65_536
_THIS_MACHINE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (nothing listens)


def ask_server(settings: Settings) -> dict[str, Any] | None:
    """Return the answer of the server at the configured address; None if there is none, or another program."""
    host = _THIS_MACHINE.get(settings.host, settings.host)
    connection = http.client.HTTPConnection(host, settings.port, timeout=PATIENCE_S)
    try:
        connection.request("GET", "/readyz")
        told = json.loads(connection.getresponse().read(_MOST))
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return told if isinstance(told, dict) and "status" in told else None
