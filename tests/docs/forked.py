"""`gateway` for the documentation: a fork of what has loaded it (`tests.live.nursery`), with this process's files.

It imports next to nothing, since it starts dozens of times; README.md's blocks run the installed program.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
from functools import partial


def _ask(request: object, *files: int) -> int:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
        line.connect("\0" + os.environ["NURSERY"])
        socket.send_fds(line, [json.dumps(request).encode()], files)
        return int(line.recv(64))


def _pass_on(pid: int, number: int, _frame: object) -> None:
    os.kill(pid, number)


def main() -> int:
    """Run the command to its end, and give its exit code as a shell has it."""
    here = os.getcwd()  # noqa: PTH109  (pathlib takes longer to import than all the rest)
    pid = _ask({"run": sys.argv[1:], "in": here, "environment": dict(os.environ)}, 0, 1, 2)
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, partial(_pass_on, pid))
    waiting = select.poll()
    waiting.register(os.pidfd_open(pid), select.POLLIN)
    waiting.poll()
    code = _ask({"of": pid})
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
