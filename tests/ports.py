"""Ports that nobody listens on, and how to wait until somebody does."""

from __future__ import annotations

import socket
import time

from tests.following import PATIENCE_S


def free_port() -> int:
    """Find a port that is free."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def free_ports() -> int:
    """Find a port that is free, like the one behind it."""
    while True:
        port = free_port()
        try:
            socket.create_server(("127.0.0.1", port + 1)).close()
        except OSError:
            continue
        return port


def wait_for(port: int) -> None:
    """Wait until somebody listens on a port, which no program tells."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), PATIENCE_S).close()
        except ConnectionError:
            time.sleep(0.01)
        else:
            return
    raise AssertionError(f"nobody listens on port {port}")
