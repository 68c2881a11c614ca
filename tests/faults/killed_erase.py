"""A program of its own: erase an end user, and be killed before the third commit, until an erasure ends.

It prints how often it was killed. It forks, so it has one thread.
Must not be here: what may be left (`test_killed_erase`).
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from gateway.cli.erase import run_erase
from gateway.core import erasing, thread_removal
from gateway.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

COMMITS = 2  # of each process: as many as take note of an erasure of which nothing is left


def erase_and_be_killed(url: str, owner: str) -> bool:
    """Erase in a process that is killed before a commit; say whether it came to its end before."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    write, left = Store.write, COMMITS

    async def counted(store: Store, work: Callable[[Any], Awaitable[Any]], key: str = "") -> Any:
        async def killed(transaction: Any) -> Any:
            nonlocal left
            result = await work(transaction)
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            return result

        return await write(store, killed, key)

    Store.write = counted  # type: ignore[method-assign, assignment]
    run_erase(url, "default", owner, is_dry=False)
    os._exit(0)


def main() -> None:
    """Erase in the smallest steps."""
    _, url, owner = sys.argv
    for module, name in ((thread_removal, "_ROWS"), (thread_removal, "_HOLD_S"), (erasing, "_PLACES")):
        setattr(module, name, 0 if name == "_HOLD_S" else 1)
    kills = 0
    while not erase_and_be_killed(url, owner):
        kills += 1
    sys.stdout.write(f"{kills}\n")


if __name__ == "__main__":
    main()
