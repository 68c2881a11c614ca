"""`gateway config`: the settings in effect, their sources, and no secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest
from click.testing import CliRunner

from gateway.cli.commands import main
from gateway.settings.masking import MASK, mask, mask_url
from gateway.settings.table import SETTINGS

if TYPE_CHECKING:
    from pathlib import Path

HUSH: Final = "hush-hush-hush-hush-hush-hush-hush"
# For each secret setting values that hold a secret in every place that its type allows.
HOLDING: Final = {
    "database_url": [f"postgresql://app:{HUSH}@db/threads", f"postgresql://app@db/threads?password={HUSH}"],
    "listen_url": [f"postgresql://app:{HUSH}@/threads?host=a&sslpassword={HUSH}"],
    "hints_url": [f"redis://:{HUSH}@cache/0", f"rediss://cache/0?password={HUSH}"],
    "jwt_jwks_url": [f"https://{HUSH}@id.example.com/jwks", f"https://id.example.com/jwks?token={HUSH}"],
    "rate_store": [f"redis://:{HUSH}@cache/0", f"redis://{HUSH}@cache/0", f"redis://cache/0?password={HUSH}"],
    "jwt_secret": [HUSH],
    "jwt_secret_old": [HUSH],
    "token_secret": [HUSH],
    "token_secret_old": [HUSH],
    "model_url": [f"https://models.example.com/v1?code={HUSH}"],
    "model_key": [HUSH],
}


@pytest.fixture(autouse=True)
def _bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without any setting, in a folder without a file .env."""
    monkeypatch.chdir(tmp_path)
    for setting in SETTINGS.values():
        monkeypatch.delenv(setting.variable, raising=False)


def shown(*arguments: str, **given: str) -> str:
    """Print the settings, with some in the environment."""
    done = CliRunner().invoke(main, ["config", *arguments], env=dict(given), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_each_setting_is_printed_with_its_value_and_source(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GATEWAY_PORT=1\nGATEWAY_HOST=::1\nGATEWAY_PROFILE=production\n")

    printed = shown("--workers", "2", "--no-graphiql", GATEWAY_HOST="127.0.0.2")

    lines = {line.split()[0]: line.split()[1:] for line in printed.splitlines() if not line.startswith("#")}
    assert set(lines) == {setting.variable for setting in SETTINGS.values()}
    assert lines["GATEWAY_HOST"] == ["environment", "127.0.0.2"]
    assert lines["GATEWAY_PORT"] == [".env", "1"]
    assert lines["GATEWAY_WORKERS"] == ["flag", "2"]
    assert lines["GATEWAY_GRAPHIQL"] == ["flag", "false"]
    assert lines["GATEWAY_INTROSPECTION"] == ["profile", "false"]
    assert lines["GATEWAY_JWT_REQUIRE_SCOPES"] == ["profile", "true"]
    assert lines["GATEWAY_SHUTDOWN_S"] == ["default", "30"]
    assert lines["GATEWAY_HOSTS"] == ["default"]


def test_json_lines_have_typed_values() -> None:
    printed = json.loads(shown("--json", GATEWAY_GRAPHIQL="off", GATEWAY_TOKEN_SECRET=HUSH))

    assert len(printed) == len(SETTINGS)
    assert printed["GATEWAY_PORT"] == {"value": 8000, "source": "default"}
    assert printed["GATEWAY_GRAPHIQL"] == {"value": False, "source": "environment"}
    assert printed["GATEWAY_TOKEN_SECRET"] == {"value": MASK, "source": "environment"}
    assert printed["GATEWAY_JWT_SECRET"] == {"value": "", "source": "default"}


def test_the_cases_below_cover_every_secret_setting() -> None:
    assert set(HOLDING) == {name for name, setting in SETTINGS.items() if setting.secret}


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_no_value_of_a_secret_setting_is_printed(form: tuple[str, ...]) -> None:
    last = {SETTINGS[name].variable: values[-1] for name, values in HOLDING.items() if name != "jwt_jwks_url"}

    printed = shown(*form, **last, GATEWAY_JWT_ISSUER="us", GATEWAY_JWT_AUDIENCE="them")

    assert HUSH not in printed
    assert printed.count(MASK) >= len(last)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in HOLDING.items() for value in values])
def test_a_secret_is_masked_in_every_output(name: str, value: str) -> None:
    masked = mask(SETTINGS[name], value)

    assert HUSH not in masked
    assert MASK in masked


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("sqlite:////var/lib/gateway.db", "sqlite:////var/lib/gateway.db"),
        ("memory", "memory"),
        ("keys/jwks.json", "keys/jwks.json"),
        (
            "postgresql://app@db:5432/threads?pgbouncer=transaction",
            "postgresql://app@db:5432/threads?pgbouncer=transaction",
        ),
        ("postgresql://app:a@b/c:d@db/threads", f"postgresql://app:{MASK}@db/threads"),
        ("postgresql://app:a?b@db/threads", f"postgresql://{MASK}"),
        ("postgresql://db/threads?password=a@b", f"postgresql://{MASK}"),
        ("redis://cache/0?db=1&password=x", f"redis://cache/0?db={MASK}&password={MASK}"),
    ],
)
def test_a_masked_url_keeps_its_public_parts(url: str, masked: str) -> None:
    assert mask_url(url) == masked
