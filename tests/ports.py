"""Ports that nobody listens on."""

from __future__ import annotations

import socket


def free_ports() -> int:
    """Find a port that is free, like the one behind it."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first:
            port: int = first.getsockname()[1]
            try:
                socket.create_server(("127.0.0.1", port + 1)).close()
            except OSError:
                continue
            return port
