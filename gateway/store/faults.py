"""The faults of a database, as seen by a process: they are logged, and the last one is kept until a write succeeds.

Must not be here: which errors are faults (`engines.errors`).
"""

from __future__ import annotations

import logging
import time
from typing import Final

from gateway.store.engines.errors import fault_of, original_of, translate

log: Final = logging.getLogger(__name__)

LOG_S: Final = 1.0  # between two log lines on the same kind of fault


class Faults:
    """The faults of one database; `reason` is that of the last one, if no write has succeeded since."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self._logged_at: dict[str, float] = {}

    def translate(self, error: BaseException) -> BaseException:
        """Return Unavailable for a transient error, which is noted if it is a fault; any other error as it is."""
        translation = translate(error)
        if kind := fault_of(error):
            self.reason = str(translation)
            self._log(kind, original_of(error))
        return translation

    def on_write(self) -> None:
        """Note that a write has succeeded."""
        if self.reason is not None:
            self.reason = None
            log.warning("the database accepts writes again")

    def _log(self, kind: str, cause: BaseException) -> None:
        now = time.monotonic()
        if now - self._logged_at.get(kind, float("-inf")) >= LOG_S:
            self._logged_at[kind] = now
            # The other lines of an error can contain data.
            log.error("database fault %s: %s", kind, f"{type(cause).__name__}: {cause}".partition("\n")[0])
