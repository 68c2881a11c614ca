"""What the settings name is what the application is made of; no server is started for it."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from gateway.app import create_app
from gateway.auth.api_keys import ApiKeyCache
from gateway.auth.build import authenticator_of
from gateway.errors import InvalidSetting
from gateway.events import postgres, redis
from gateway.observability.listeners import listeners_of
from gateway.observability.record import RequestRecord
from gateway.server.carrier import carrier_of
from gateway.settings.load import load_settings
from gateway.store.engines.open import connector_to_listen, open_engines, refuse_several_processes
from gateway.web.middleware import RequestMiddleware
from tests.ports import free_ports

if TYPE_CHECKING:
    from gateway.core import Store

SECRET = "s" * 40
POSTGRES = "postgresql://app@127.0.0.1:1/threads"


def token(**claims: Any) -> str:
    return jwt.encode({"iss": "us", "aud": "them", "exp": time.time() + 60, "sub": "alice", **claims}, SECRET)


async def test_a_jwt_secret_authenticates_end_users(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_JWT_SECRET", SECRET)
    settings = load_settings({"jwt_issuer": "us", "jwt_audience": "them"})

    who = await authenticator_of(settings, ApiKeyCache(store)).authenticate(token())

    assert who.reach.owner == "alice"


async def test_a_token_secret_enables_thread_tokens(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_TOKEN_SECRET", SECRET)

    assert authenticator_of(load_settings(), ApiKeyCache(store)).tokens is not None
    assert authenticator_of(load_settings({"profile": "production"}), ApiKeyCache(store)).tokens is not None


def test_a_metrics_port_enables_request_metrics() -> None:
    listeners = listeners_of(load_settings({"metrics_port": str(free_ports())}))

    listeners.observer(RequestRecord("request", "req_a", "GET", route="/v1/threads", status=200))

    assert listeners.metrics is not None


async def test_an_application_is_made_without_reaching_the_database() -> None:
    assert isinstance(
        create_app(load_settings({"database_url": "sqlite:////no/such/folder/threads.db"})), RequestMiddleware
    )


@pytest.mark.parametrize(
    ("given", "connected"),
    [
        pytest.param({}, postgres.connected, id="LISTEN"),
        pytest.param({"hints_url": "redis://127.0.0.1:1/3"}, redis.connected, id="Redis"),
        pytest.param(
            {"database_url": f"{POSTGRES}?pgbouncer=transaction", "hints_url": "unix:///redis.sock"},
            redis.connected,
            id="Redis, and nothing to LISTEN at",
        ),
    ],
)
def test_the_settings_choose_what_carries_hints(given: dict[str, str | None], connected: object) -> None:
    carrier: Any = carrier_of(load_settings({"database_url": POSTGRES, **given}))

    assert carrier.func is connected


def test_hints_are_carried_for_no_file() -> None:
    assert carrier_of(load_settings({})) is None
    with pytest.raises(InvalidSetting, match="GATEWAY_HINTS_URL"):
        carrier_of(load_settings({"hints_url": "redis://127.0.0.1:1"}))


def test_a_pooler_needs_the_address_of_the_database_itself() -> None:
    pooled = f"{POSTGRES}?pgbouncer=transaction"

    connector_to_listen(pooled, POSTGRES)
    with pytest.raises(InvalidSetting, match="GATEWAY_LISTEN_URL"):
        connector_to_listen(pooled, "")


def test_an_unsupported_database_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="GATEWAY_DATABASE_URL: expected sqlite:///FILE or postgresql://"):
        open_engines("mysql://db/threads")


@pytest.mark.parametrize(
    ("version", "is_refused"),
    [
        pytest.param((3, 40, 1), True, id="Debian 12"),
        pytest.param((3, 44, 6), False, id="mended in 3.44"),
        pytest.param((3, 50, 6), True, id="before the mend in 3.50"),
        pytest.param((3, 50, 7), False, id="mended in 3.50"),
        pytest.param((3, 51, 2), True, id="before the mend"),
        pytest.param((3, 51, 3), False, id="mended"),
    ],
)
def test_two_processes_serve_one_file_only_with_a_safe_sqlite(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int], *, is_refused: bool
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)

    if is_refused:
        with pytest.raises(InvalidSetting, match="GATEWAY_WORKERS"):
            refuse_several_processes("sqlite:///threads.db")
    else:
        refuse_several_processes("sqlite:///threads.db")


def test_postgresql_is_served_by_as_many_processes_as_one_likes() -> None:
    refuse_several_processes(POSTGRES)
