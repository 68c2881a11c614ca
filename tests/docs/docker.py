"""`docker` for the documentation: runs on this machine what an image would run, with what our files give it.

Must not be here: whether the files are right (`tests/deploy`).
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Final

import yaml

_VALUED: Final = ("--volume", "--publish", "--env", "--file", "--tag")


def build(arguments: list[str]) -> None:
    """Look whether what is built from is there."""
    assert Path(arguments[arguments.index("--file") + 1]).is_file()
    assert Path(arguments[-1]).is_dir()


def run(arguments: list[str]) -> None:
    """Run the command after the image, or the image's own, with the image's environment."""
    dockerfile = Path("deploy/Dockerfile").read_text(encoding="utf-8")
    [line] = re.findall(r"^ENV (.*)", dockerfile, re.MULTILINE)
    image = dict(pair.split("=") for pair in line.split())
    [own] = re.findall(r"^CMD (.*)", dockerfile, re.MULTILINE)
    _image, *command = past_options(arguments)
    volume = Path(os.environ["MACHINE"]) / arguments[arguments.index("--volume") + 1].partition(":")[0]
    volume.mkdir(parents=True, exist_ok=True)
    os.chdir(volume)
    # The port is this reader's.
    _exec(command or yaml.safe_load(own), {**image, "GATEWAY_PORT": os.environ["GATEWAY_PORT"]})


def past_options(arguments: list[str]) -> list[str]:
    """Leave out the options, and their values."""
    while arguments[0].startswith("-"):
        arguments = arguments[2 if arguments[0] in _VALUED else 1 :]
    return arguments


def compose(arguments: list[str]) -> None:
    """Run the command of `run` and `exec`; `up` only names what the file has."""
    services = yaml.safe_load(Path("compose.yaml").read_text(encoding="utf-8"))["services"]
    assert "POSTGRES_PASSWORD=" in Path(".env").read_text(encoding="utf-8")
    action, *rest = arguments
    rest = past_options([*rest, ""])[:-1]
    if action == "up":
        assert set(rest) <= set(services)
        return
    assert action in ("run", "exec")
    service, *command = rest
    if service == "postgres":
        given = services[service]["environment"]
        ours = {given["POSTGRES_USER"]: os.environ["COMPOSE_USER"], given["POSTGRES_DB"]: os.environ["COMPOSE_NAME"]}
        where = {"PGHOST": os.environ["COMPOSE_HOST"], "PGPORT": os.environ["COMPOSE_PORT"]}
        _exec([ours.get(word, word) for word in command], where)
    assert service in services
    _exec(command, {"GATEWAY_DATABASE_URL": os.environ["COMPOSE_URL"]})


def _exec(command: list[str], given: dict[str, str]) -> None:
    os.execvpe(command[0], command, {**os.environ, **given})  # noqa: S606  (the program is what the page names)


_COMMANDS: Final = {"build": build, "run": run, "compose": compose}

if __name__ == "__main__":
    _COMMANDS[sys.argv[1]](sys.argv[2:])
