"""The end of a server process after a signal, even if the event loop, a thread or a library hangs.

Must not be here: what ends in an orderly way (`app`, `workers`).
"""

from __future__ import annotations

import faulthandler
import signal
from typing import TYPE_CHECKING, Final

import uvicorn

if TYPE_CHECKING:
    from types import FrameType

REPORT_S: Final = 1.6  # after GATEWAY_SHUTDOWN_S: the stacks of all threads are written to standard error
LAST_S: Final = 1.8


class Server(uvicorn.Server):
    """A server in a process of its own, which ends in time."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop, and set the time limit of it."""
        end_within(self.config.timeout_graceful_shutdown or 0)
        super().handle_exit(sig, frame)


def end_within(shutdown_s: int) -> None:
    """Have the system end this process, unless it has ended by then; the first call counts.

    SIGALRM ends it in the kernel, so neither the interpreter's lock nor a full pipe of the log can delay that.
    """
    if not any(signal.getitimer(signal.ITIMER_REAL)):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        faulthandler.dump_traceback_later(shutdown_s + REPORT_S)
        signal.setitimer(signal.ITIMER_REAL, shutdown_s + LAST_S)
