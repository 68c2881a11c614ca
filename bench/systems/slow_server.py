"""Our server under valgrind, where it runs fifty times slower: intervals are longer by the same factor.

Otherwise it would look its API key up every few requests instead of once in some hundreds.
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
