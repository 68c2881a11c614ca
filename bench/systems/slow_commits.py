"""Our server on a disk whose writes take some milliseconds more, as one that waits for its platters does.

What a commit takes on a shared machine is between 0.1 and 6 ms, from one minute to the next.
Must not be here: anything that a request does.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final

from gateway.cli.commands import main
from gateway.store import group_commit

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMIT_S: Final = 0.005
SHARED_BY: Final = "BENCH_COMMIT_SHARED_BY"  # how many writes at most share a commit, if not as many as elsewhere

if __name__ == "__main__":
    run_batch = group_commit.run_batch

    def run_slowly(batch: Sequence[Any], connection: Any) -> list[Any]:
        """Commit, and wait in the writer's thread, where SQLite waits for the disk."""
        outcomes = run_batch(batch, connection)
        time.sleep(COMMIT_S)
        return outcomes

    setattr(group_commit, "run_batch", run_slowly)  # noqa: B010  (a function to all others)
    setattr(group_commit, "MAX_GROUP", int(os.environ.get(SHARED_BY, group_commit.MAX_GROUP)))  # noqa: B010
    main()
