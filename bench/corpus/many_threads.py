"""Very many threads, which the database makes itself: to import as many would take an hour.

They pass the triggers of the schema, which keep all as for a server. A prime scatters their numbers, so
that neither owners, pairs nor activity follow the order of creation; one pair is of old threads alone.
Must not be here: what is asked of them (`bench.lists`).
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from sqlalchemy import make_url

from bench.corpus.messages import DEFAULT
from bench.systems.catalog import SQLITE
from bench.systems.databases import ANALYZE, run_sql

if TYPE_CHECKING:
    from collections.abc import Iterator

SOLE: Final = "sole"  # the project of one owner, with a tenth as many threads; DEFAULT has very many owners
PROJECTS: Final = (DEFAULT, SOLE)
_START: Final = 1_700_000_000  # a thread each minute from there
_PRIME: Final = 1_000_003
_CACHE_KB: Final = 1_000_000
# Threads of one transaction. In one of all, each trigger that orders a pair would read what earlier ones have replaced.
_AT_ONCE: Final = 10_000

# `n` counts threads, `h` is below _PRIME and scattered. Every fifth thread was active again within 100 days.
_THREADS: Final = """WITH RECURSIVE
counted(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM counted WHERE n < {last}),
scattered AS (SELECT n, CAST(n AS bigint) * 2654435761 % {prime} AS h FROM counted),
timed AS (SELECT n, h, {start} + 60 * n AS second,
  CASE WHEN h % 5 = 0 AND n > {count} / 100 THEN h * 7919 % 8640000 ELSE h % 3600 END AS delay FROM scattered)
INSERT INTO threads (project_id, id, created_at, metadata, tool_resources, message_count, last_position,
  last_created_at, owner, activity_at)
SELECT '{project}', 'thread_{project}' || CAST(1000000 + h AS text) || 'QkWmZtRbYpLs', second,
  '{{"app":"chat","title":"Question ' || CAST(n AS text) || ' about an order"'
  || CASE WHEN h % 100 = 0 THEN ',"tier":"gold"' ELSE '' END
  || CASE WHEN n % ({count} / 10) = 7 THEN ',"case":"ten"' ELSE '' END
  || CASE WHEN n <= {count} / 100 THEN ',"era":"old"' ELSE '' END || '}}',
  '{{}}', 1, 1, second + delay, {owner}, 1000 * (second + delay) + h % 1000
FROM timed"""
# Of 1,000,000 threads the others have up to 1,800, most of them some.
_OWNERS: Final = """CASE WHEN n % 100 = 50 THEN 'user_many' WHEN n % ({count} / 10) = 17 THEN 'user_ten'
  WHEN n % 10 = 3 THEN NULL ELSE 'user_' || CAST(h * h / {prime} * 3 * {count} / 10 / {prime} AS text) END"""
_MESSAGES: Final = """INSERT INTO messages (project_id, thread_id, position, id, created_at, role, status, content,
  attachments, metadata, completed_at, plain_text)
SELECT project_id, id, 1, 'msg_' || substr(id, 8), last_created_at, 'assistant', 'completed',
  '[{"type":"text","text":{"value":"It was sent on Tuesday, and will be with you by the end of the week.",'
  || '"annotations":[]}}]', '[]', '{}', last_created_at, 1
FROM threads"""


def fill_with_threads(url: str, count: int) -> None:
    """Fill a migrated, empty database with threads of one message each."""
    statements = [*_statements(count), ANALYZE[make_url(url).get_backend_name()]]
    if make_url(url).get_backend_name() != SQLITE:
        for each in statements:
            run_sql(url, each)
        return
    with closing(sqlite3.connect(str(make_url(url).database), isolation_level=None)) as connection:
        for each in (f"PRAGMA cache_size = -{_CACHE_KB}", "PRAGMA synchronous = OFF", *statements):
            connection.execute(each)


def _statements(count: int) -> Iterator[str]:
    for project, number, owner in ((DEFAULT, count, _OWNERS), (SOLE, count // 10, "'user_sole'")):
        given = {"count": number, "prime": _PRIME, "start": _START, "project": project}
        for first in range(1, number + 1, _AT_ONCE):
            last = min(number, first + _AT_ONCE - 1)
            yield _THREADS.format(**given, first=first, last=last, owner=owner.format(**given))
    yield _MESSAGES
