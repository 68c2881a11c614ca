from __future__ import annotations

import os
import re
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner
from sqlalchemy import make_url

from gateway.cli.commands import main
from gateway.settings.table import SETTINGS, Group
from tests.exports import ROOT, a_thread, environment, give, held, lines, run, take

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = [
    *("serve", "config", "keys", "migrate", "schema", "import", "export", "erase"),
    "assistants",
    *("backup", "restore", "doctor", "epoch"),
]


# What is on a command line can be read by everybody on the machine.
_WITH_FLAGS = {name for name, setting in SETTINGS.items() if setting.has_flag}


def test_every_command_is_listed_with_its_description() -> None:
    listed = run("--help").stdout

    assert [line.split()[0] for line in listed.partition("Commands:\n")[2].splitlines()] == sorted(COMMANDS)


def test_every_setting_has_a_flag_on_serve() -> None:
    flags = {parameter.name for parameter in main.commands["serve"].params}

    assert flags == _WITH_FLAGS


@pytest.mark.parametrize("settings", [{}, {"token_secret": "s" * 32}], ids=["defaults", "thread tokens"])
def test_a_server_imports_no_library_that_its_settings_do_not_need(sqlite_url: str, settings: dict[str, str]) -> None:
    asked_for_by_settings = {
        "jwt",
        "cryptography",
        "limits",
        "redis",
        "prometheus_client",
        "opentelemetry",
        "asyncpg",
        "dotenv",
    }
    for_people_at_terminals = {"structlog", "rich", "pygments"}
    program = (
        "import sys, gateway.app, gateway.observability.log, gateway.server.startup, gateway.server.serve\n"
        "gateway.server.startup.any_key_made(sys.argv[1])\n"
        "gateway.observability.log.formatter()\n"
        f"gateway.app.create_app(gateway.app.load_settings({{'database_url': sys.argv[1], **{settings}}}))\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, sqlite_url], capture_output=True, check=True, env=environment(), cwd=ROOT
    )

    assert not (asked_for_by_settings | for_people_at_terminals | {"alembic"}) & set(done.stdout.decode().split())


def test_help_names_the_variable_and_the_default_of_each_flag_and_no_empty_default() -> None:
    told = " ".join(run("serve", "--help").stdout.split())
    lacking = [
        name
        for name in _WITH_FLAGS
        if f"[env var: {SETTINGS[name].variable}" not in told
        or (SETTINGS[name].default != "" and f"{SETTINGS[name].variable}; default: " not in told)
    ]

    assert lacking == []
    assert "default: ]" not in told
    assert "[env var: GATEWAY_PORT; default: 8000; 0<=x<=65535]" in told
    assert "[env var: GATEWAY_HOSTS]" in told


def test_help_lists_flags_under_the_headings_of_their_groups() -> None:
    told = run("serve", "--help").stdout
    headings = ["Options:", *(f"{group.value}:" for group in Group)]

    sections = re.findall(r"^(\w+:)\n(.*?)(?=^\w|\Z)", told, re.DOTALL | re.MULTILINE)

    assert [heading for heading, _ in sections] == headings
    for heading, text in sections[1:]:
        listed = set(re.findall(r"^  (--[a-z-]+)", text, re.MULTILINE))
        group = [setting for setting in SETTINGS.values() if f"{setting.group.value}:" == heading and setting.has_flag]
        assert listed == {f"--{setting.name.replace('_', '-')}" for setting in group}


def test_a_boolean_setting_has_a_flag_to_enable_and_one_to_disable_it() -> None:
    told = run("serve", "--help").stdout

    assert "--graphiql / --no-graphiql " in told


def test_a_wrong_flag_is_refused_by_its_name_with_the_exit_code_of_usage() -> None:
    done = run("serve", "--port", "http")

    assert done.exit_code == click.UsageError.exit_code
    assert "Error: Invalid value for '--port': 'http' is not a valid integer range." in done.stderr


@pytest.mark.parametrize("command", ["migrate", "import", "export"])
def test_a_command_that_needs_a_database_has_a_flag_for_it(command: str) -> None:
    assert "database_url" in {parameter.name for parameter in main.commands[command].params}


@pytest.mark.parametrize(
    ("arguments", "examples"),
    [
        pytest.param(
            [], ["gateway serve ", "gateway import threads.jsonl ", "gateway export -o threads.jsonl "], id="all"
        ),
        pytest.param(
            ["serve"],
            ["gateway serve --port 9000", "GATEWAY_DATABASE_URL=postgresql://app:secret@db/threads"],
            id="serve",
        ),
        pytest.param(["migrate"], ["gateway migrate --database-url postgresql://app:secret@db/threads"], id="migrate"),
        pytest.param(["schema"], ["gateway schema > schema.graphql"], id="schema"),
        pytest.param(
            ["import"],
            [
                "gateway import threads.jsonl messages.jsonl --rejects rejected.jsonl",
                "gateway import ./assistants-export",
                "gateway export | gateway import --database-url postgresql://app:secret@db/threads",
            ],
            id="import",
        ),
        pytest.param(["export"], ["gateway export -o threads.jsonl"], id="export"),
        pytest.param(["backup"], ["gateway backup backups/threads-$(date +%F).db"], id="backup"),
    ],
)
def test_help_has_each_example_on_its_own_line(arguments: list[str], examples: list[str]) -> None:
    told = [line.strip() for line in run(*arguments, "--help").stdout.splitlines()]

    for example in examples:
        assert any(line.startswith(example.strip()) for line in told), example


def test_schema_command_prints_the_committed_schema() -> None:
    assert run("schema").stdout == (ROOT / "schema.graphql").read_text()


def test_migrate_makes_a_database_ready_and_may_run_twice(empty_database_url: str) -> None:
    for _ in range(2):
        done = run("migrate", "--database-url", empty_database_url)

        assert (done.exit_code, done.stdout, done.stderr) == (0, "", "The database is up to date.\n")
        assert held(empty_database_url) == []


def test_an_import_makes_a_sqlite_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"

    take(url, a_thread())

    assert held(url) == ["thread_a"]


@pytest.mark.parametrize("command", ["import", "export"])
def test_serve_names_the_migrate_command_for_an_old_database(postgres_url: str, command: str) -> None:
    elsewhere = make_url(postgres_url).set(database="postgres").render_as_string(hide_password=False)

    done = run(command, "--database-url", elsewhere)

    assert done.exit_code == 1
    assert done.stderr.startswith("Error: The database is at revision none, and this program needs ")
    assert done.stderr.endswith(" Run: gateway migrate\n")


@pytest.mark.parametrize("command", ["serve", "migrate", "import", "export"])
@pytest.mark.parametrize(
    ("url", "told"),
    [
        pytest.param("sqlite:////missing/threads.db", "unable to open database file", id="missing folder"),
        pytest.param(f"sqlite:///{ROOT / 'pyproject.toml'}", "file is not a database", id="no database"),
        pytest.param("postgresql://app:secret@127.0.0.1:1/threads", "Connect call failed", id="nobody there"),
        pytest.param("postgresql://app:secret@127.0.0.1:1/db?sslmode=require", "Connect call failed", id="sslmode"),
    ],
)
def test_a_database_error_hides_the_password(command: str, url: str, told: str) -> None:
    done = run(command, "--database-url", url)

    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert told in done.stderr
    assert "secret@" not in done.stderr.replace("USER:PASSWORD", "")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("url", "told"),
    [
        pytest.param("postgresql://app:secret@db:http/threads", "not a valid URL", id="port"),
        pytest.param("mysql://app:secret@db/threads", "expected sqlite:///FILE or postgresql://", id="other database"),
    ],
)
def test_a_database_url_that_is_refused_does_not_show_its_password(url: str, told: str) -> None:
    done = run("export", "--database-url", url)

    assert (done.exit_code, done.stdout) == (click.UsageError.exit_code, "")
    assert f"Error: Invalid value for '--database-url': {told}" in done.stderr
    assert "secret@" not in done.stderr


def test_an_unknown_postgresql_role_is_reported(postgres_url: str) -> None:
    nobody = make_url(postgres_url).set(username="nobody", password="secret")  # noqa: S106  (it opens nothing)
    url = nobody.render_as_string(hide_password=False)

    done = run("export", "--database-url", url)

    assert done.exit_code == 1
    assert 'role "nobody" does not exist' in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize("command", [["import"], ["keys", "revoke"]])
def test_control_characters_are_escaped_in_an_error(command: list[str], sqlite_url: str) -> None:
    done = run(*command, "no\x1b]0;such\x07\x9b\u202e", "--database-url", sqlite_url)

    assert done.exit_code == 1
    assert r"no\x1b]0;such\x07\x9b\u202e" in done.stderr


def test_the_name_of_an_older_key_is_escaped_for_terminals(sqlite_url: str) -> None:
    assert run("keys", "create", "--database-url", sqlite_url).exit_code == 0
    with closing(sqlite3.connect(str(make_url(sqlite_url).database))) as database, database:
        database.execute("UPDATE keys SET name = ?", ("\x1b]0;a\x07[bold]b",))

    assert r"\x1b]0;a\x07[bold]b" in run("keys", "list", "--database-url", sqlite_url).stdout


def test_an_unusable_listen_address_is_reported(sqlite_url: str) -> None:
    done = run("serve", "--database-url", sqlite_url, "--host", "192.0.2.1", "--port", "9")

    assert done.exit_code == 1
    assert done.stderr.startswith("Error: GATEWAY_HOST, GATEWAY_PORT: cannot listen on 192.0.2.1 port 9: ")


def test_a_metrics_port_in_use_is_reported(sqlite_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        done = run("serve", "--database-url", sqlite_url, "--port", "0", "--metrics-port", str(port))

    assert done.exit_code == 1
    assert done.stderr.startswith(f"Error: GATEWAY_METRICS_PORT: cannot listen on 127.0.0.1 port {port}: ")


def test_all_wrong_variables_are_reported_at_once() -> None:
    done = CliRunner().invoke(main, ["serve"], env={"GATEWAY_PORT": "http", "GATEWAY_WORKERS": "0"})

    assert done.exit_code == 1
    assert re.findall("GATEWAY_[A-Z]+(?=:)", done.stderr) == ["GATEWAY_PORT", "GATEWAY_WORKERS"]


def test_an_unknown_command_exits_with_the_usage_code() -> None:
    assert run("sevre").exit_code == click.UsageError.exit_code


def test_settings_are_read_from_a_dot_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take(f"sqlite:///{tmp_path / 'here.db'}", a_thread())
    (tmp_path / ".env").write_text("GATEWAY_DATABASE_URL=sqlite:///here.db\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GATEWAY_DATABASE_URL", raising=False)

    assert CliRunner().invoke(main, ["export"]).stdout_bytes == give("sqlite:///here.db")


def test_export_into_import_moves_everything_through_a_pipe(sqlite_url: str, tmp_path: Path) -> None:
    take(sqlite_url, a_thread("thread_a"), a_thread("thread_b"))
    target = f"sqlite:///{tmp_path / 'moved.db'}"
    command = [sys.executable, "-m", "gateway"]
    source = [*command, "export", "--database-url", sqlite_url]
    with subprocess.Popen(source, stdout=subprocess.PIPE, env=environment(), cwd=ROOT) as exporting:
        done = subprocess.run(
            [*command, "import", "--database-url", target],
            stdin=exporting.stdout,
            capture_output=True,
            check=False,
            env=environment(),
            cwd=ROOT,
        )

    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr == b"Threads: 2, messages: 0, already present: 0, rejected: 0.\n"
    assert give(target) == give(sqlite_url) == lines([a_thread("thread_a"), a_thread("thread_b")])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_read_like_a_file(sqlite_url: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "gateway", "import", str(pipe), "--database-url", sqlite_url]
    process = subprocess.Popen(command, env=environment(), cwd=ROOT)

    pipe.write_bytes(lines([a_thread()]))

    assert (process.wait(), held(sqlite_url)) == (0, ["thread_a"])
