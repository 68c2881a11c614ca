"""The configuration of SQLite's library, for the whole process of a server.

Must not be here: connections, and what each of them sets (`sqlite`).
"""

from __future__ import annotations

import _sqlite3
from contextlib import suppress
from typing import Final

from gateway.settings.database_url import is_sqlite

_MEMSTATUS: Final = 9  # SQLITE_CONFIG_MEMSTATUS


def count_no_memory(url: str) -> None:
    """Disable SQLite's memory statistics: they take a lock of the whole process for each allocation, and are not used.

    The library accepts this only before it is initialized, so it is shut down first: no connection may be open. If
    Python does not export the library's functions, the statistics stay enabled.
    Source: SQLite, "Configuration Options", SQLITE_CONFIG_MEMSTATUS.
    """
    if not is_sqlite(url):
        return
    import ctypes  # noqa: PLC0415  (a server on PostgreSQL does without)

    with suppress(AttributeError, OSError):
        library = ctypes.CDLL(_sqlite3.__file__)
        end, configure, begin = library.sqlite3_shutdown, library.sqlite3_config, library.sqlite3_initialize
        end()
        configure(_MEMSTATUS, 0)
        begin()
