"""Our server under valgrind, where it runs fifty times slower: intervals are longer by the same factor.

Otherwise it would look its API key up every few requests instead of once in some hundreds, send each hint on its own,
and what it does each second would count as a part of requests. On a signal it collects garbage: what is left of its
start would be collected within 20 requests, while in 1,200 of a running server no collection is. It does not lock a
SQLite database: while it is counted, a server that is not makes what a case uses up.
Must not be here: anything that a request does.
"""

from __future__ import annotations

import asyncio
import gc
import signal
from typing import Final

from gateway.auth import api_keys
from gateway.cli.commands import main
from gateway.server import serve

SLOWER: Final = 50

if __name__ == "__main__":
    sleep = asyncio.sleep
    setattr(asyncio, "sleep", lambda delay, *result: sleep(delay * SLOWER, *result))  # noqa: B010  (see above)
    setattr(api_keys, "FRESH_S", api_keys.FRESH_S * SLOWER)  # noqa: B010  (a constant to all others)
    if lock := vars(serve).get("lock_database"):  # older versions have none
        setattr(serve, "lock_database", lambda _url: lock("postgresql://"))  # noqa: B010  (the same)
    signal.signal(signal.SIGUSR1, lambda *_: gc.collect())
    main()
