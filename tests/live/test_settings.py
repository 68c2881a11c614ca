"""Settings as an operator gives them: by flag, environment or `.env`; errors are reported in one message."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

from gateway.errors import InvalidSetting
from gateway.store.schema.migrate import migrate
from tests.live.server import run_gateway, run_here, serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from subprocess import CompletedProcess

SECRET = "hunter2swordfish"  # noqa: S105  (nobody's)
WRONG = [
    pytest.param("port", "http", "not a valid integer", id="port that is no number"),
    pytest.param("port", "65536", "65535", id="port too high"),
    pytest.param("port", "-1", "0<=x", id="port below zero"),
    pytest.param("workers", "0", "1<=x", id="no workers"),
    pytest.param("workers", "two", "not a valid integer", id="workers in words"),
    pytest.param("host", "", "one character", id="empty host"),
    pytest.param("database_url", f"mysql://app:{SECRET}@db/threads", "postgresql://", id="another database"),
    pytest.param(
        "database_url", f"postgresql://app:{SECRET}@db:five/threads", "not a valid URL", id="URL with no port"
    ),
    pytest.param("database_url", "sqlite://", "sqlite:///FILE", id="SQLite in memory"),
    pytest.param("database_url", f"postgresql://h/db?sslmode=yes&password={SECRET}", "sslmode", id="no such mode"),
    pytest.param("database_url", "postgresql://h/db?colour=red", "colour", id="no such parameter"),
    pytest.param("listen_url", f"postgresql://h/db?sslmode=yes&password={SECRET}", "sslmode", id="mode to listen"),
]
UNUSABLE = [
    pytest.param("host", "no such host", "cannot listen", id="host that is not there"),
    pytest.param("database_url", "sqlite:////no/such/folder/threads.db", "cannot be opened", id="no such folder"),
    pytest.param("database_url", f"postgresql://app:{SECRET}@127.0.0.1:1/threads", "cannot be opened", id="no server"),
]


def runner_for(name: str) -> Callable[..., CompletedProcess[str]]:
    """Take a process of its own for what would be listened on."""
    return run_gateway if name == "host" else run_here


def assert_told(ran: CompletedProcess[str], name: str, word: str) -> None:
    assert ran.returncode in (1, 2)
    assert name in ran.stderr
    assert word in ran.stderr
    assert ran.stderr.startswith("Error: " if ran.returncode == 1 else "Usage: ")
    assert "Traceback" not in ran.stderr
    assert SECRET not in ran.stdout + ran.stderr


@pytest.mark.parametrize(("name", "value", "word"), WRONG)
def test_a_wrong_flag_is_refused_by_its_name(tmp_path: Path, name: str, value: str, word: str) -> None:
    flag = f"--{name.replace('_', '-')}"

    ran = run_here("serve", f"{flag}={value}", folder=tmp_path)

    assert_told(ran, f"Invalid value for '{flag}': ", word)


@pytest.mark.parametrize(("name", "value", "word"), UNUSABLE)
def test_an_invalid_setting_is_reported_by_its_variable(tmp_path: Path, name: str, value: str, word: str) -> None:
    flags = {"port": "0", name: value}

    ran = runner_for(name)("serve", *(f"--{key.replace('_', '-')}={flags[key]}" for key in flags), folder=tmp_path)

    assert_told(ran, f"GATEWAY_{name.upper()}", word)


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        pytest.param("port", "http", "not a valid integer", id="port"),
        pytest.param("workers", "0", "1<=x", id="workers"),
        pytest.param("host", "no such host", "cannot listen", id="host"),
        pytest.param("database_url", f"postgresql://app:{SECRET}@127.0.0.1:1/threads", "cannot be opened", id="URL"),
    ],
)
def test_a_wrong_variable_is_refused_by_its_name(tmp_path: Path, name: str, value: str, word: str) -> None:
    given = {"GATEWAY_PORT": "0", f"GATEWAY_{name.upper()}": value}

    ran = runner_for(name)("serve", folder=tmp_path, given=given)

    assert_told(ran, f"GATEWAY_{name.upper()}", word)


def test_a_port_in_use_is_reported_by_its_variable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = run_gateway("serve", "--port", str(taken.getsockname()[1]), folder=tmp_path)

    assert_told(ran, "GATEWAY_PORT", "in use")


def test_a_file_that_is_no_database_is_reported_by_its_variable(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear reader, " * 100)

    ran = run_gateway("migrate", "--database-url", "sqlite:///letter.txt", folder=tmp_path)

    assert_told(ran, "GATEWAY_DATABASE_URL", "not a database")


def test_an_unreadable_file_prints_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    left_behind: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", left_behind.append)

    for _ in range(20):  # it was a race, lost three times out of four
        with pytest.raises(InvalidSetting):
            asyncio.run(migrate("sqlite:////no/such/folder/threads.db"))

    assert left_behind == []


def test_a_missing_database_is_reported_by_its_variable(postgres_url: str, tmp_path: Path) -> None:
    url = make_url(postgres_url).set(database="no_such_database", password=SECRET)

    ran = run_here("migrate", f"--database-url={url.render_as_string(hide_password=False)}", folder=tmp_path)

    assert_told(ran, "GATEWAY_DATABASE_URL", "no_such_database")


@pytest.mark.parametrize("place", ["authority", "query"])
def test_a_password_is_never_shown(postgres_url: str, tmp_path: Path, place: str) -> None:
    url = make_url(postgres_url)
    url = url.set(password=SECRET) if place == "authority" else url.update_query_dict({"password": SECRET})

    given = {"GATEWAY_DATABASE_URL": url.render_as_string(hide_password=False), "GATEWAY_WORKERS": "2"}
    with serving(None, folder=tmp_path, given=given) as server:
        server.stop()

    assert "Database: postgresql://" in server.stderr
    assert SECRET not in server.stderr


def test_the_ssl_mode_of_libpq_is_understood(postgres_url: str, tmp_path: Path) -> None:
    url = make_url(postgres_url).update_query_dict({"sslmode": "disable"}).render_as_string(hide_password=False)

    ran = run_here("migrate", "--database-url", url, folder=tmp_path)

    assert (ran.returncode, ran.stderr) == (0, "The database is up to date.\n")


def test_the_short_scheme_of_postgres_is_understood(postgres_url: str, tmp_path: Path) -> None:
    short = postgres_url.replace("postgresql://", "postgres://", 1)

    ran = run_here("migrate", "--database-url", short, folder=tmp_path)

    assert (ran.returncode, ran.stderr) == (0, "The database is up to date.\n")


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        pytest.param((), "dotenv.db", id="only .env"),
        pytest.param(("environment",), "environment.db", id="environment over .env"),
        pytest.param(("environment", "flag"), "flag.db", id="flag over both"),
        pytest.param(("flag",), "flag.db", id="flag over .env"),
    ],
)
def test_a_flag_wins_over_the_environment_and_that_over_dotenv(
    tmp_path: Path, by: tuple[str, ...], expected: str
) -> None:
    (tmp_path / ".env").write_text("GATEWAY_DATABASE_URL=sqlite:///dotenv.db\n")
    given = {"GATEWAY_DATABASE_URL": "sqlite:///environment.db"} if "environment" in by else {}
    flags = ("--database-url", "sqlite:///flag.db") if "flag" in by else ()

    ran = run_here("migrate", *flags, folder=tmp_path, given=given)

    assert ran.returncode == 0, ran.stderr
    assert [file.name for file in tmp_path.glob("*.db")] == [expected]


@pytest.mark.parametrize(
    ("command", "word"),
    [
        pytest.param((), "serve", id="gateway"),
        pytest.param(("serve",), "GATEWAY_PORT", id="serve"),
        pytest.param(("migrate",), "GATEWAY_DATABASE_URL", id="migrate"),
        pytest.param(("schema",), "GraphQL", id="schema"),
    ],
)
def test_help_teaches_each_command(tmp_path: Path, command: tuple[str, ...], word: str) -> None:
    ran = run_here(*command, "--help", folder=tmp_path)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("Usage: ")
    assert word in ran.stdout


def test_an_unknown_command_prints_how_to_get_help(tmp_path: Path) -> None:
    ran = run_gateway("sreve", folder=tmp_path)

    assert ran.returncode == 2
    assert "--help" in ran.stderr
    assert "Traceback" not in ran.stderr
