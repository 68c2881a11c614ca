"""What happens before a server starts: checks, ports and the banner."""

from __future__ import annotations

import socket

import pytest

from gateway.errors import InvalidSetting
from gateway.server import serve, startup
from gateway.settings.load import load_settings
from tests.ports import free_port, free_ports


def test_a_free_port_is_bound() -> None:
    with startup.listen(load_settings({"port": "0", "metrics_port": str(free_ports())})) as listener:
        assert listener.getsockname()[1] > 0


@pytest.mark.parametrize(
    ("taken", "variable"),
    [
        pytest.param("port", "GATEWAY_PORT", id="its own"),
        pytest.param("metrics_port", "GATEWAY_METRICS_PORT", id="metrics"),
    ],
)
def test_a_port_in_use_is_refused_by_its_variable(taken: str, variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        given = {"port": "0", taken: str(other.getsockname()[1])}

        with pytest.raises(InvalidSetting, match=variable):
            startup.listen(load_settings(given))


@pytest.mark.parametrize(
    ("given", "host", "key", "warning"),
    [
        pytest.param({}, "127.0.0.1", "any api_key", "Unauthenticated on localhost", id="localhost"),
        pytest.param({"host": "::1"}, "[::1]", "any api_key", "Unauthenticated on localhost", id="IPv6"),
        pytest.param({"insecure_open": "true"}, "127.0.0.1", "any api_key", "INSECURE", id="all machines"),
    ],
)
def test_the_banner_of_an_unauthenticated_server_warns(
    given: dict[str, str | None], host: str, key: str, warning: str
) -> None:
    banner = serve._banner(load_settings(given), 8000, is_open=True)  # noqa: SLF001

    assert f"base_url=http://{host}:8000/v1   ({key})" in banner
    assert warning in banner


def test_the_banner_names_a_variable_that_is_misspelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_RETENTION_DAY", "30")

    banner = serve._banner(load_settings(), 8000, is_open=False)  # noqa: SLF001

    assert "GATEWAY_RETENTION_DAY IS NO SETTING, AND IGNORED. Did you mean GATEWAY_RETENTION_DAYS?\n" in banner


@pytest.mark.parametrize("demo", [True, False])
def test_the_banner_of_a_demo_is_loud(demo: bool) -> None:  # noqa: FBT001
    banner = serve._banner(load_settings({"demo": demo}), 8000, is_open=False)  # noqa: SLF001

    assert ("DEMO: RUNS ARE ANSWERED BY NO REAL MODEL" in banner) is demo


def test_the_banner_shows_no_password() -> None:
    url = "postgresql://app:secret-1@db/threads?password=secret-2"

    banner = serve._banner(load_settings({"database_url": url}), 8000, is_open=False)  # noqa: SLF001

    assert "secret" not in banner
    assert "api_key=sk-..." in banner


@pytest.mark.parametrize(
    ("given", "variable"),
    [
        pytest.param({"host": "0.0.0.0"}, "GATEWAY_HOST", id="all addresses"),  # noqa: S104  (nothing listens)
        pytest.param({"trusted_proxies": "10.0.0.1"}, "GATEWAY_TRUSTED_PROXIES", id="behind a proxy"),
    ],
)
def test_without_keys_other_machines_are_refused(given: dict[str, str | None], variable: str) -> None:
    with pytest.raises(InvalidSetting, match=variable):
        startup.is_open_without_keys(load_settings(given))


def test_without_keys_localhost_is_served() -> None:
    assert startup.is_open_without_keys(load_settings({"port": str(free_port())}))
