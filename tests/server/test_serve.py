"""What a server does before it serves, without one: where it listens, whom it lets in, what it says of itself."""

from __future__ import annotations

import socket

import pytest

from gateway.errors import InvalidSetting
from gateway.server import serve
from gateway.settings.load import load_settings
from tests.ports import free_port, free_ports


def test_it_listens_at_a_port_that_is_free() -> None:
    with serve._listen(load_settings({"port": "0", "metrics_port": str(free_ports())})) as listener:  # noqa: SLF001
        assert listener.getsockname()[1] > 0


@pytest.mark.parametrize(
    ("taken", "variable"),
    [
        pytest.param("port", "GATEWAY_PORT", id="its own"),
        pytest.param("metrics_port", "GATEWAY_METRICS_PORT", id="metrics"),
    ],
)
def test_a_port_that_is_taken_is_told_by_its_variable(taken: str, variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        given = {"port": "0", taken: str(other.getsockname()[1])}

        with pytest.raises(InvalidSetting, match=variable):
            serve._listen(load_settings(given))  # noqa: SLF001


@pytest.mark.parametrize(
    ("given", "host", "key", "warning"),
    [
        pytest.param({}, "127.0.0.1", "any api_key", "Open: ", id="open on this machine"),
        pytest.param({"host": "::1"}, "[::1]", "any api_key", "Open: ", id="IPv6"),
        pytest.param({"insecure_open": "true"}, "127.0.0.1", "any api_key", "INSECURE", id="open to everybody"),
    ],
)
def test_an_open_server_says_so(given: dict[str, str | None], host: str, key: str, warning: str) -> None:
    told = serve._banner(load_settings(given), 8000, is_open=True)  # noqa: SLF001

    assert f"base_url=http://{host}:8000/v1   ({key})" in told
    assert warning in told


def test_a_password_is_not_shown() -> None:
    url = "postgresql://app:secret-1@db/threads?password=secret-2"

    told = serve._banner(load_settings({"database_url": url}), 8000, is_open=False)  # noqa: SLF001

    assert "secret" not in told
    assert "api_key=sk-..." in told


@pytest.mark.parametrize(
    ("given", "variable"),
    [
        pytest.param({"host": "0.0.0.0"}, "GATEWAY_HOST", id="all addresses"),  # noqa: S104  (nothing listens)
        pytest.param({"trusted_proxies": "10.0.0.1"}, "GATEWAY_TRUSTED_PROXIES", id="behind a proxy"),
    ],
)
def test_without_keys_nobody_else_may_reach_it(given: dict[str, str | None], variable: str) -> None:
    with pytest.raises(InvalidSetting, match=variable):
        serve._is_open(load_settings(given))  # noqa: SLF001


def test_without_keys_this_machine_may() -> None:
    assert serve._is_open(load_settings({"port": str(free_port())}))  # noqa: SLF001
