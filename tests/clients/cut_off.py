"""A network of its own for programs that tests start: only loopback is in it, so nothing can leave the machine."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# Loopback begins down. Source: netdevice(7), SIOCSIFFLAGS with IFF_UP; it needs no program but this one.
_HOLD: Final = """
import fcntl, socket, struct, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 1))
print("up", flush=True)
sys.stdin.read()
"""
_PROBE: Final = """
import errno, socket, sys
print(*(name for _, name in socket.if_nameindex()))
for address in sys.argv[1:]:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as outgoing:
        outgoing.settimeout(5)
        print(errno.errorcode.get(outgoing.connect_ex((address, 443)), "connected"))
"""
# As anybody, within a user namespace; or as root, where those are forbidden. Then how to join the one and the other.
_WAYS: Final = (
    (("--map-root-user", "--net"), ("--preserve-credentials", "--user", "--net")),
    (("--net",), ("--net",)),
)


class NotPermittedError(Exception):
    """This system lets nobody make a network, as many containers do not."""


@dataclass(frozen=True)
class Network:
    """A network, held by a process."""

    pid: int
    flags: tuple[str, ...]

    @property
    def prefix(self) -> tuple[str, ...]:
        """Give what makes a command, put before it, run inside."""
        return ("nsenter", f"--target={self.pid}", *self.flags, "--")

    def programs(self) -> list[str]:
        """Name the commands that run inside."""
        found = []
        for each in Path("/proc").glob("[0-9]*"):
            try:
                if (each / "ns" / "net").readlink() == Path(f"/proc/{self.pid}/ns/net").readlink():
                    found.append((each / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue  # it has just ended, or is another user's
        return found

    async def probe(self, *addresses: str) -> list[str]:
        """Name the interfaces that there are inside, in one line, and how it ends to connect to each address."""
        command = (*self.prefix, sys.executable, "-c", _PROBE, *addresses)
        probing = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        found, _ = await probing.communicate()
        return found.decode().splitlines()


@asynccontextmanager
async def cut_off() -> AsyncIterator[Network]:
    """Make a network that lasts as long as the block.

    Errors: NotPermittedError; OSError where util-linux is not installed.
    """
    pipe = asyncio.subprocess.PIPE
    refusals: list[str] = []
    for how, joining in _WAYS:
        command = ("unshare", *how, "--", sys.executable, "-c", _HOLD)
        holder = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
        assert holder.stdout is not None
        is_up = await holder.stdout.readline() == b"up\n"
        try:
            if is_up:
                yield Network(holder.pid, joining)
                return
        finally:
            _, told = await holder.communicate(b"")  # it ends with its standard input
        refusals.append(told.decode().strip())
        if "not permitted" not in refusals[-1] and "ermission denied" not in refusals[-1]:
            raise AssertionError(refusals[-1])
    raise NotPermittedError("; ".join(refusals))
