"""Signals that end a command: all of them do as Ctrl-C does, so what a command has begun is cleaned up.

Must not be here: those of a server, which finishes its requests (`server`).
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_ENDS: Final = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ended_as_by_ctrl_c() -> Iterator[None]:
    """End the block as Ctrl-C does at SIGTERM and SIGHUP, too; name the signal, and exit with 128 and its number."""
    received: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        received.append(number)
        running = signal.getsignal(signal.SIGINT)  # asyncio's cancels what runs
        if not callable(running):  # ignored, as in the background of a script
            raise KeyboardInterrupt
        running(signal.SIGINT, frame)

    is_main = threading.current_thread() is threading.main_thread()  # another one may not set handlers
    replaced = [each for each in _ENDS if is_main and signal.getsignal(each) is signal.SIG_DFL]  # nohup ignores one
    for each in replaced:
        signal.signal(each, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        number = signal.Signals(received[0] if received else signal.SIGINT)
        click.echo(f"Ended by {number.name}.", err=True)
        raise click.exceptions.Exit(128 + number) from None
    finally:
        for each in replaced:
            signal.signal(each, signal.SIG_DFL)
