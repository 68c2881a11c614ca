"""The image and the compose file, as far as they can be tried without a container engine."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import threading
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from gateway.cli.commands import main
from gateway.settings.table import PREFIX, SETTINGS
from tests.live.server import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOY: Final = ROOT / "deploy"
DOCKERFILE: Final = (DEPLOY / "Dockerfile").read_text().replace("\\\n", "")
BUILD, RUN = (part.splitlines() for part in re.split(r"^FROM .*\n", DOCKERFILE, flags=re.MULTILINE)[1:])
COMPOSE: Final = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: Final[dict[str, Any]] = COMPOSE["services"]


def instructions(stage: list[str], name: str) -> list[str]:
    return [line.removeprefix(f"{name} ") for line in stage if line.startswith(f"{name} ")]


@contextmanager
def answering(status: int) -> Iterator[int]:
    """Answer what asks whether we live, and give the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_said: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_the_dockerfile_passes_hadolint() -> None:
    ran = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), DEPLOY / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stdout) == (0, "")


def test_the_files_copied_into_the_image_build_the_wheel(tmp_path: Path) -> None:
    for copied in instructions(BUILD, "COPY"):
        *sources, target = copied.split()
        for source in sources:
            found = ROOT / source
            to = tmp_path / "source" / target / ("" if found.is_dir() else found.name if target == "./" else "")
            to.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if found.is_dir() else shutil.copy)(found, to)
    *_of_others, command = instructions(BUILD, "RUN")
    program, *arguments = shlex.split(command.replace("/wheels", str(tmp_path / "wheels")))

    subprocess.run(
        [sys.executable, "-m", program, *arguments, "--quiet", "--no-deps", "--no-build-isolation"],
        cwd=tmp_path / "source",
        check=True,
    )

    [wheel] = (tmp_path / "wheels").glob("threads_gateway-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "gateway/server/serve.py" in names
    assert "gateway/migrations/env.py" in names


def test_the_dockerignore_includes_only_copied_files() -> None:
    let_through = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().split() if line[0] == "!"}

    copied = {source for line in instructions(BUILD, "COPY") for source in line.split()[:-1]}
    assert copied == let_through


def test_the_image_runs_the_server_without_rights() -> None:
    assert instructions(RUN, "USER") == ["10001"]
    assert instructions(RUN, "CMD") == ['["gateway", "serve"]']


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_image_has_a_health_check(status: int, code: int) -> None:
    [line] = [each.strip() for each in DOCKERFILE.splitlines() if each.startswith("HEALTHCHECK ")]
    program, *arguments = yaml.safe_load(line.partition(" CMD ")[2])

    with answering(status) as port:
        ran = subprocess.run(
            [shutil.which(program) or sys.executable, *arguments],
            env={"GATEWAY_PORT": str(port)},
            capture_output=True,
            check=False,
        )

    assert ran.returncode == code


@pytest.mark.parametrize("file", sorted(DEPLOY.iterdir()), ids=lambda file: file.name)
def test_every_setting_named_in_the_docs_exists(file: Path) -> None:
    named = set(re.findall(rf"\b{PREFIX}([A-Z_]+)\b", file.read_text()))

    assert named <= {name.upper() for name in SETTINGS}


@pytest.mark.parametrize("service", [each for each in SERVICES.values() if "command" in each])
def test_every_command_in_a_block_exists(service: dict[str, Any]) -> None:
    program, command, *_ = service["command"]

    assert program == "gateway"
    assert command in main.commands


def test_the_database_is_migrated_before_it_is_served() -> None:
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert SERVICES["gateway"]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}


def test_nothing_is_reachable_from_other_machines() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]

    assert ports == ["127.0.0.1:8000:8000"]


def test_no_password_is_in_the_file() -> None:
    passwords = re.findall(r"PASSWORD: (\S+)|://\w+:(\S+)", (DEPLOY / "compose.yaml").read_text())

    assert passwords
    assert all("".join(each).startswith("${POSTGRES_PASSWORD:?") for each in passwords)


def test_compose_reads_its_file() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("there is no docker compose on this machine")

    subprocess.run(
        [docker, "compose", "--file", DEPLOY / "compose.yaml", "config", "--quiet"],
        env={"POSTGRES_PASSWORD": "secret"},
        check=True,
    )
