"""Our server for where it runs fifty times slower: what it does once in a while it then does as often a request.

Under valgrind it would look its key up at every few requests, which is otherwise once in some hundreds.
Must not be here: anything that a request does.
"""

from __future__ import annotations

from typing import Final

from gateway.auth import api_keys
from gateway.cli.commands import main

SLOWER: Final = 50

if __name__ == "__main__":
    setattr(api_keys, "FRESH_S", api_keys.FRESH_S * SLOWER)  # noqa: B010  (a constant to all others)
    main()
