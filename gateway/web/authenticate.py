"""Who sends a request.

Keys do not exist yet: everybody who reaches the server is its one project, whatever key an SDK was made to send.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.domain.principal import Principal, Reach

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

_DEFAULT: Final = Principal(Reach("default"))


def principal_of(_request: HTTPConnection) -> Principal:
    """Find out who sends a request."""
    return _DEFAULT
