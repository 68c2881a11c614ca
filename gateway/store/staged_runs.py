"""The part of the staging table with runs, their steps and assistants, as the lines that were read.

A line is parsed when it is added to the store, so that a rejected one is kept as it was.
Must not be here: threads and messages (`staging`), what a line means (`domain.archive_runs`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.domain.direction import Direction
from gateway.domain.ordering import arrange
from gateway.domain.run import LASTS_S

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping

    from gateway.domain.ordering import Source

# Lines of a run have no `run_id`, and of an assistant no `thread_id`; of an id that was read twice, the first is used.
TABLES: Final = """
    CREATE TABLE run_lines
        (seq INTEGER PRIMARY KEY, thread_id, run_id, id, created_at, is_open, list, source, place, raw);
    CREATE UNIQUE INDEX one_line ON run_lines (thread_id, run_id, id);
    CREATE INDEX open_runs ON run_lines (thread_id, id) WHERE is_open;
"""
_ADD: Final = "INSERT OR IGNORE INTO run_lines VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
# The message of a run that has not ended is never finished: it expires with the run.
_EXPIRE: Final = f"""
    UPDATE messages SET status = 'incomplete', incomplete_reason = 'run_expired', incomplete_at = created_at + {LASTS_S}
    WHERE status = 'in_progress' AND EXISTS (
        SELECT 1 FROM run_lines WHERE is_open AND run_lines.thread_id = messages.thread_id AND id = messages.run_id)
"""  # noqa: S608  (a number of ours)
_RUNS_OF: Final = """
    SELECT DISTINCT run_id FROM run_lines WHERE thread_id = ? AND run_id != '' ORDER BY run_id
"""
_ROWS: Final = "SELECT seq, created_at, list FROM run_lines WHERE thread_id = ? AND run_id = ? ORDER BY seq"
_ORDER_OF: Final = "SELECT direction FROM explicit_order WHERE id = ?"
_BATCH: Final = 500  # lines that are added by one transaction
_BATCH_BYTES: Final = 1024 * 1024


class RunLine(NamedTuple):
    """A line, and where it was read."""

    source: str
    place: str
    raw: bytes


class StagedRuns:
    """The lines of one import."""

    def __init__(self, db: sqlite3.Connection, sources: Mapping[int, Source]) -> None:
        self._db = db
        self._sources = sources
        self.count = 0

    def add(
        self,
        number: int,
        line: tuple[str, str, bytes],
        object_id: str,
        created_at: int,
        *,
        thread_id: str = "",
        run_id: str = "",
        is_open: bool = False,
    ) -> None:
        """Add a line of a list: its source, its place and its text; an open run is one that had not ended."""
        of_line = (thread_id, run_id, object_id, created_at, is_open, number, *line)
        self.count += self._db.execute(_ADD, of_line).rowcount

    def finish(self) -> None:
        """Mark the messages of open runs as expired."""
        if self.count:
            self._db.execute(_EXPIRE)

    def lines(self, thread_ids: Iterable[str]) -> Iterator[list[RunLine]]:
        """Yield the lines of threads in batches: the runs of each oldest first, then the steps of each run."""
        batch: list[RunLine] = []
        weight = 0
        for thread_id in thread_ids if self.count else ():
            for seq in self._in_order(thread_id):
                found = self._db.execute("SELECT source, place, raw FROM run_lines WHERE seq = ?", (seq,)).fetchone()
                batch.append(RunLine(*found))
                weight += len(batch[-1].raw)
                if len(batch) >= _BATCH or weight >= _BATCH_BYTES:
                    yield batch
                    batch, weight = [], 0
        if batch:
            yield batch

    def assistants(self) -> Iterator[list[RunLine]]:
        """Yield the lines of assistants in batches, oldest first."""
        return self.lines([""])

    def _in_order(self, thread_id: str) -> Iterator[int]:
        found = self._db.execute(_ORDER_OF, (thread_id,)).fetchone()
        explicit = Direction(found[0]) if found else None
        of_runs = self._db.execute(_RUNS_OF, (thread_id,)).fetchall()
        for run_id in ("", *(row[0] for row in of_runs)):
            rows = self._db.execute(_ROWS, (thread_id, run_id)).fetchall()
            yield from (seq for seq, _ in arrange(rows, self._sources, explicit, {}))
