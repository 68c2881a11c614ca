from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from gateway.errors import InvalidSetting
from gateway.settings.load import export_to_environment, load_settings, misspelled
from gateway.settings.table import SETTINGS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without any setting, in a folder without a file .env."""
    monkeypatch.chdir(tmp_path)
    for name in SETTINGS:
        monkeypatch.delenv(f"GATEWAY_{name.upper()}", raising=False)


def refusal(**flags: str) -> str:
    """Load settings from flags and give the error."""
    with pytest.raises(InvalidSetting) as refused:
        load_settings(flags)
    return refused.value.message


def test_default_settings_use_a_local_file_and_a_local_port() -> None:
    settings = load_settings()

    assert asdict(settings) == {
        "database_url": "sqlite:///gateway.db",
        "listen_url": "",
        "hints_url": "",
        "lock_timeout_s": 1.0,
        "statement_timeout_s": 15.0,
        "idle_transaction_timeout_s": 5.0,
        "keepalive_s": 10.0,
        "retention_days": 0,
        "min_free_mb": 100,
        "host": "127.0.0.1",
        "port": 8000,
        "workers": 1,
        "hosts": "",
        "cors_origins": "",
        "cors_credentials": False,
        "trusted_proxies": "",
        "metrics_port": 0,
        "shutdown_s": 30,
        "profile": "development",
        "introspection": True,
        "suggestions": True,
        "graphiql": True,
        "graphql_cost": 5_000,
        "rest_timeout_s": 10.0,
        "graphql_timeout_s": 10.0,
        "graphql_http": "audit",
        "graphql_batch": 0,
        "graphql_body": 1_048_576,
        "trusted_documents": "",
        "trusted_mode": "off",
        "jwt_jwks_url": "",
        "jwt_secret": "",
        "jwt_secret_old": "",
        "jwt_issuer": "",
        "jwt_audience": "",
        "jwt_require_scopes": False,
        "token_secret": "",
        "token_secret_old": "",
        "rate_reads": "",
        "rate_writes": "",
        "rate_at_once": "",
        "rate_failed_auth": "60/minute",
        "rate_tokens": "off",
        "rate_store": "memory",
        "audit_log": "",
        "insecure_open": False,
        "model_url": "",
        "model_key": "",
        "model": "",
        "models": "",
        "demo": False,
    }


def test_a_dot_env_file_overrides_the_default(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GATEWAY_PORT=1\nOTHER=x\n")

    assert load_settings().port == 1


def test_the_environment_overrides_a_dot_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("GATEWAY_PORT=1\n")
    monkeypatch.setenv("GATEWAY_PORT", "2")

    assert load_settings().port == 2


def test_a_flag_overrides_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_PORT", "2")

    assert load_settings({"port": "3"}).port == 3


def test_a_flag_that_was_not_given_leaves_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_PORT", "2")

    assert load_settings({"port": None}).port == 2


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("sqlite:///threads.db", "sqlite:///threads.db"),
        ("sqlite:////var/threads.db", "sqlite:////var/threads.db"),
        ("sqlite+aiosqlite:///threads.db", "sqlite+aiosqlite:///threads.db"),
        ("postgresql://app:secret@db/threads", "postgresql://app:secret@db/threads"),
        ("postgresql+asyncpg://db/threads", "postgresql+asyncpg://db/threads"),
        ("postgres://app:postgres://@db/threads", "postgresql://app:postgres://@db/threads"),
        ("sqlite:///postgres://", "sqlite:///postgres://"),
    ],
)
def test_a_database_url_is_accepted(given: str, taken: str) -> None:
    assert load_settings({"database_url": given}).database_url == taken


@pytest.mark.parametrize(
    "url",
    [
        "",
        "threads.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///:memory:?cache=shared",
        "sqlite:///file::memory:?cache=shared&uri=true",
        "sqlite://threads.db",
        "mysql://app:secret@db/threads",
        "postgresql:/db/threads",
        "postgresql+psycopg://db/threads",
    ],
)
def test_an_invalid_database_url_is_refused_with_the_expected_form(url: str) -> None:
    said = refusal(database_url=url)

    assert said.startswith("--database-url: expected sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/NAME.")


@pytest.mark.parametrize(
    ("name", "url", "wanted"),
    [
        ("database_url", "postgresql://db/threads?pgbouncer=statement", "pgbouncer=transaction"),
        ("listen_url", "sqlite:///threads.db", "postgresql://USER"),
        ("listen_url", "db:5432", "postgresql://USER"),
    ],
)
def test_a_url_that_a_pooler_has_no_use_for_is_refused(name: str, url: str, wanted: str) -> None:
    assert wanted in refusal(**{name: url}).partition(". ")[0]


def test_a_password_in_a_database_url_is_not_shown() -> None:
    assert "secret" not in refusal(database_url="mysql://app:secret@db/threads")


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("port", "http", "'http' is not a valid integer range."),
        ("port", "-1", "-1 is not in the range 0<=x<=65535."),
        ("port", "65536", "65536 is not in the range 0<=x<=65535."),
        ("port", "", "'' is not a valid integer range."),
        ("workers", "0", "0 is not in the range 1<=x<=64."),
        ("workers", "65", "65 is not in the range 1<=x<=64."),
        ("workers", "1.5", "'1.5' is not a valid integer range."),
        ("host", "", "expected at least one character."),
        ("shutdown_s", "0", "0 is not in the range 1<=x<=3600."),
        ("graphql_cost", "0", "0 is not in the range x>=1."),
        ("graphql_timeout_s", "0", "0.0 is not in the range 0<x<=3600."),
        ("graphql_timeout_s", "soon", "'soon' is not a valid float range."),
        ("graphql_timeout_s", "nan", "'nan' is not in the range 0<x<=3600."),
        ("graphql_http", "", "'' is not one of 'audit', 'draft-2026-08'."),
        ("trusted_mode", "on", "'on' is not one of 'off', 'log', 'only'."),
        ("graphiql", "perhaps", "expected true or false, but got 'perhaps'."),
        ("graphiql", "", "expected true or false, but got ''."),
        ("rate_reads", "600", "expected a number followed by /second, /minute, /hour or /day, or off."),
        ("rate_writes", "0/minute", "expected a number followed by /second, /minute, /hour or /day, or off."),
        ("rate_at_once", "many", "expected a whole number, or off."),
    ],
)
def test_a_wrong_value_in_the_environment_is_refused_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, wanted: str
) -> None:
    monkeypatch.setenv(f"GATEWAY_{name.upper()}", value)

    assert refusal() == f"GATEWAY_{name.upper()}: {wanted} {SETTINGS[name].description}"


def test_a_wrong_value_in_a_file_dot_env_is_refused_by_variable_and_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GATEWAY_PORT=http\n")

    assert refusal().startswith("GATEWAY_PORT (in .env): 'http' is not a valid integer range.")


def test_a_wrong_value_of_a_flag_is_refused_by_its_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_RATE_READS", "600/minute")

    said = refusal(rate_reads="600")

    assert said.startswith("--rate-reads: expected a number followed by /second")
    assert "GATEWAY_RATE_READS" not in said


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("hosts", "Threads.example.com, *.apps.example.com ,[::1],", "threads.example.com,*.apps.example.com,[::1]"),
        ("hosts", " ", ""),
        (
            "cors_origins",
            "https://app.example.com,http://LOCALHOST:3000",
            "https://app.example.com,http://localhost:3000",
        ),
        ("cors_origins", "tauri://localhost", "tauri://localhost"),
        ("cors_origins", "https://app.example.com:443,https://app.example.com", "https://app.example.com"),
        ("cors_origins", "http://localhost:080,https://localhost:80", "http://localhost,https://localhost:80"),
        ("cors_origins", "http://[::0001]:3000", "http://[::1]:3000"),
        ("cors_origins", "https://*.Preview.example.com:443", "https://*.preview.example.com"),
        ("cors_origins", "http://*.localhost:3000", "http://*.localhost:3000"),
        ("trusted_proxies", "10.0.0.5, 172.16.0.0/12,::1", "10.0.0.5,172.16.0.0/12,::1"),
    ],
)
def test_names_are_joined_with_commas(name: str, given: str, taken: str) -> None:
    assert getattr(load_settings({name: given}), name) == taken


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        pytest.param("hosts", "a.example,b.example:8000", "b.example:8000", id="a host with a port"),
        pytest.param("hosts", "https://a.example", "https://a.example", id="a host with a scheme"),
        pytest.param("hosts", "*", "*", id="every host"),
        pytest.param("hosts", "a.*.example", "a.*.example", id="a star in the middle"),
        pytest.param("cors_origins", "app.example.com", "app.example.com", id="an origin without a scheme"),
        pytest.param("cors_origins", "https://a.example/", "https://a.example/", id="an origin with a path"),
        pytest.param("cors_origins", "*", "*", id="every origin"),
        pytest.param("cors_origins", "https://*", "https://*", id="every origin of a scheme"),
        pytest.param("cors_origins", "https://*.com", "https://*.com", id="whoever buys a name"),
        pytest.param("cors_origins", "https://*.0.0.1", "https://*.0.0.1", id="a star in an address"),
        pytest.param("cors_origins", "https://a.*.example.com", "https://a.*.example.com", id="a star in the middle"),
        pytest.param("cors_origins", "https://*a.example.com", "https://*a.example.com", id="a star in a label"),
        pytest.param("cors_origins", "https://u@a.example", "https://u@a.example", id="a user"),
        pytest.param("cors_origins", "https://a.example:0", "https://a.example:0", id="no port"),
        pytest.param("cors_origins", "https://a.example:65536", "https://a.example:65536", id="a port too high"),
        pytest.param("cors_origins", "https://a.example?b", "https://a.example?b", id="an origin with a query"),
        pytest.param("cors_origins", "https://bücher.example", "https://bücher.example", id="not as xn--"),
        pytest.param("cors_origins", "http://[::g]", "http://[::g]", id="an address that is none"),
        pytest.param("cors_origins", "null", "null", id="the origin of sandboxes"),
        pytest.param("trusted_proxies", "*", "*", id="every proxy"),
        pytest.param("trusted_proxies", "proxy.internal", "proxy.internal", id="a proxy by name"),
        pytest.param("trusted_proxies", "10.0.0.5/8", "10.0.0.5/8", id="an address for a network"),
    ],
)
def test_a_wrong_name_in_a_list_is_quoted(name: str, value: str, wrong: str) -> None:
    said = refusal(**{name: value})

    assert said.startswith(f"--{name.replace('_', '-')}: expected ")
    assert f"{wrong!r} is not one." in said


def test_all_wrong_values_are_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_PORT", "http")
    monkeypatch.setenv("GATEWAY_WORKERS", "0")

    said = refusal(database_url="x").splitlines()

    assert [line.split()[0] for line in said] == ["GATEWAY_PORT:", "GATEWAY_WORKERS:", "--database-url:"]


def test_settings_that_are_handed_down_are_read_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.setenv(f"GATEWAY_{name.upper()}", "")  # so that what is set here is taken back
        monkeypatch.delenv(f"GATEWAY_{name.upper()}")
    given = {"database_url": "sqlite:////a.db", "host": "::1", "port": "9", "workers": "2"}
    settings = load_settings(given)

    export_to_environment(settings)

    assert os.environ["GATEWAY_PORT"] == "9"
    assert load_settings() == settings


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("jwt_jwks_url", "nothing/here.json", "a URL that begins with https://, or the path of an existing file"),
        ("jwt_secret", "hush", "at least 32 bytes"),
        ("token_secret", "hush", "at least 32 bytes"),
        ("jwt_secret_old", "hush", "at least 32 bytes"),
        ("token_secret_old", "hush", "at least 32 bytes"),
        ("rate_store", "memcached://:hush@cache", "memory, or a URL that begins with redis://"),
    ],
)
def test_an_error_does_not_quote_a_value_that_may_be_secret(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, wanted: str
) -> None:
    monkeypatch.setenv(f"GATEWAY_{name.upper()}", value)

    said = refusal()

    assert said.startswith(f"GATEWAY_{name.upper()}")
    assert wanted in said
    assert value not in said


def test_a_key_set_and_a_shared_secret_exclude_each_other() -> None:
    said = refusal(jwt_jwks_url="https://id.example.com/jwks", jwt_secret="x" * 32)

    assert said == "GATEWAY_JWT_JWKS_URL and GATEWAY_JWT_SECRET: expected only one of them."


def test_a_jwt_secret_needs_an_issuer_and_an_audience() -> None:
    said = refusal(jwt_secret="x" * 32, jwt_issuer="https://id.example.com")

    assert said.startswith("GATEWAY_JWT_ISSUER and GATEWAY_JWT_AUDIENCE: expected both")


@pytest.mark.parametrize("name", ["jwt_issuer", "jwt_audience"])
def test_an_issuer_or_an_audience_needs_a_key(name: str) -> None:
    said = refusal(**{name: "https://id.example.com"})

    assert said.startswith(
        "GATEWAY_JWT_ISSUER, GATEWAY_JWT_AUDIENCE: expected GATEWAY_JWT_JWKS_URL or GATEWAY_JWT_SECRET"
    )


def test_redis_needs_its_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.settings.values.find_spec", lambda _name: None)

    assert "the Redis client is not installed" in refusal(rate_store="redis://cache")


@pytest.mark.parametrize("name", ["jwt_secret", "token_secret"])
def test_an_old_secret_is_valid_beside_its_successor(name: str) -> None:
    said = refusal(**{f"{name}_old": "o" * 32})

    assert said.startswith(f"GATEWAY_{name.upper()}_OLD: expected GATEWAY_{name.upper()} too")


def test_settings_with_secrets_are_not_shown() -> None:
    hush = "hush" * 8
    given = {
        "database_url": f"postgresql://app:{hush}@db/threads",
        "listen_url": f"postgresql://app:{hush}@db/threads",
        "rate_store": f"redis://:{hush}@cache/0",
        **dict.fromkeys(("jwt_secret", "jwt_secret_old", "token_secret", "token_secret_old"), hush),
        **dict.fromkeys(("jwt_issuer", "jwt_audience"), "x"),
    }

    assert hush not in repr(load_settings(given))


@pytest.mark.parametrize(
    ("given", "is_needed"),
    [
        ({}, False),
        ({"profile": "production"}, True),
        ({"profile": "production", "jwt_require_scopes": "false"}, False),
        ({"jwt_require_scopes": "true"}, True),
    ],
)
def test_in_production_tokens_need_scopes_by_default(given: dict[str, str], *, is_needed: bool) -> None:
    assert load_settings(given).jwt_require_scopes is is_needed


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("GATEWAY_RETENTION_DAY", "GATEWAY_RETENTION_DAYS"),
        ("GATEWAY_TRUSTED_PROXY", "GATEWAY_TRUSTED_PROXIES"),
        ("GATEWAY_DATABSE_URL", "GATEWAY_DATABASE_URL"),
    ],
)
def test_a_variable_that_is_nearly_a_setting_is_found(
    variable: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "1")

    assert misspelled() == {variable: meant}


def test_a_misspelled_setting_in_the_file_is_found(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GATEWAY_PROT=1\nGATEWAY_PORT=1\nGATEWAY_WOKERS=1\nPORTS=1\n")

    assert misspelled() == {"GATEWAY_WOKERS": "GATEWAY_WORKERS", "GATEWAY_PROT": "GATEWAY_PORT"}


@pytest.mark.parametrize("variable", ["GATEWAY_ANTHROPIC_KEY", "GATEWAY_port", "GATEWAY_PORT", "MY_GATEWAY_PORTS"])
def test_a_variable_of_another_purpose_is_not_misspelled(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "1")

    assert misspelled() == {}
