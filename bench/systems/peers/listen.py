"""Serve an app with uvicorn, and print its URL for the benchmark.

Must not be here: apps.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any, Final

import uvicorn

DATABASE_URL: Final = "PEER_DATABASE_URL"


def database_url() -> str:
    """Read the URL of the database."""
    return os.environ[DATABASE_URL]


def serve(app: Any) -> None:
    """Serve on a free port until terminated, with the event loop and parser of our server."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(f"Listening on http://127.0.0.1:{listener.getsockname()[1]}/graphql", file=sys.stderr, flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listener])
