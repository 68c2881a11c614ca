r"""Pairs of metadata that few threads have are in no order by activity, so a message does not move their rows.

Most pairs are of few threads (a customer, a title), and a list of these is sorted when it is read; few pairs are of
many threads (a channel), and each message moves its row of them. A row of `thread_metadata` has the time of its thread,
or -1: no order. Any row may have either, so writers need not agree on a pair: a list has rows of both kinds.

* A new row has the time where another row of its pair has one, and else -1.
* One of 32 new rows with -1 counts those of its pair: of more than 128, all get the time. On PostgreSQL that is done at
  the end of the transaction, which waits for nothing after it: it locks each thread, so that no message of another
  transaction moves it between reading its time and writing it, and leaves out what others have locked. What is left
  out, or is new meanwhile, gets its time when the next one counts.
* A message moves the rows that have a time.

It is -1 and not NULL, so that neither the column nor an index changes; and so that PostgreSQL takes it for one value of
many: of NULL it knows how many rows have it, and would expect that many of each pair.
What others commit while a trigger waits for a lock has to be seen after it: PostgreSQL's writers are READ COMMITTED.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_FEW = 128
_AT_ONCE = 1_000  # rows that one call gives their time
_TIME = (
    "coalesce({0}.activity_at, 1000 * CASE WHEN {0}.last_created_at > 0 THEN {0}.last_created_at "
    "ELSE {0}.created_at END)"
)
_NEW, _OLD = _TIME.format("NEW"), _TIME.format("OLD")
# A row of the previous version is put into both tables when its first activity is set.
_IS_FILLED = "OLD.activity_at IS NULL AND NEW.activity_at IS NOT NULL"
# One of 32 numbers, whatever their distance from each other: the upper bits of a product (Fibonacci hashing).
_COUNTS = "NEW.activity_at = -1 AND (NEW.seq * 40503 >> 11) & 31 = 0"
_WITHOUT_NUL = r"replace(replace(replace(NEW.metadata, '\\', {0}(1)), '\u0000', '\uffff'), {0}(1), '\\')"

_DELETE_PAIRS = "DELETE FROM thread_metadata WHERE project_id = OLD.project_id AND seq = OLD.seq;"
# Not EXISTS, for which PostgreSQL might read all pairs at once.
_INSERT_PAIRS = """INSERT INTO thread_metadata (project_id, seq, key, value, created_at, activity_at)
SELECT NEW.project_id, NEW.seq, pair.key, pair.value, NEW.created_at, CASE WHEN (
    SELECT held.activity_at FROM thread_metadata AS held
    WHERE held.project_id = NEW.project_id AND held.key = pair.key AND held.value = pair.value AND held.activity_at >= 0
    ORDER BY held.activity_at DESC LIMIT 1
) IS NULL THEN -1 ELSE {at} END
FROM (
    SELECT each.key AS key, substr(each.value, 1, 513) AS value FROM {pairs} AS each
    WHERE length(each.key) <= 64 AND each.value IS NOT NULL
) AS pair;"""
_EACH_TEXT = f"jsonb_each_text(CAST({_WITHOUT_NUL.format('chr')} AS jsonb))"
_PAIRS = _INSERT_PAIRS.format(at=_NEW, pairs=_EACH_TEXT)
_OF_PAIR = "project_id = NEW.project_id AND key = NEW.key AND value = NEW.value"
_FUNCTIONS = {
    "index_thread_metadata": f"BEGIN {_PAIRS} RETURN NULL; END",
    "change_thread_metadata": f"BEGIN {_DELETE_PAIRS} {_PAIRS} RETURN NULL; END",
    # Each expression costs a message some thousand instructions: one that sets a later activity has two.
    "move_thread": f"""
DECLARE
    old_at bigint;
    new_at bigint;
BEGIN
IF NEW.activity_at > OLD.activity_at THEN
    UPDATE thread_activity SET activity_at = NEW.activity_at, owner = NEW.owner
    WHERE project_id = OLD.project_id AND activity_at = OLD.activity_at AND seq = OLD.seq;
    IF NEW.metadata <> '{{}}' THEN
        UPDATE thread_metadata SET activity_at = NEW.activity_at
        WHERE project_id = OLD.project_id AND seq = OLD.seq AND activity_at >= 0;
    END IF;
    RETURN NEW;
END IF;
IF NEW.message_count > OLD.message_count AND NEW.activity_at = OLD.activity_at THEN
    NEW.activity_at := greatest(OLD.activity_at, 1000 * NEW.last_created_at);
END IF;
old_at := {_OLD};
new_at := {_NEW};
IF new_at <> old_at OR NEW.owner IS DISTINCT FROM OLD.owner OR {_IS_FILLED} THEN
    UPDATE thread_activity SET activity_at = new_at, owner = NEW.owner
    WHERE project_id = OLD.project_id AND activity_at = old_at AND seq = OLD.seq;
    IF NOT FOUND THEN
        INSERT INTO thread_activity (project_id, activity_at, seq, owner)
        VALUES (NEW.project_id, new_at, NEW.seq, NEW.owner);
    END IF;
END IF;
IF {_IS_FILLED} THEN
    {_DELETE_PAIRS}
    {_INSERT_PAIRS.format(at="new_at", pairs=_EACH_TEXT)}
ELSIF new_at <> old_at THEN
    UPDATE thread_metadata SET activity_at = new_at
    WHERE project_id = OLD.project_id AND seq = OLD.seq AND activity_at >= 0;
END IF;
RETURN NEW;
END""",
    "order_pair": f"""
DECLARE
    unordered bigint[] := ARRAY(
        SELECT seq FROM thread_metadata WHERE {_OF_PAIR} AND activity_at = -1 ORDER BY seq LIMIT {_AT_ONCE}
    );
    locked bigint[];
BEGIN
IF cardinality(unordered) <= {_FEW} AND NOT EXISTS (
    SELECT 1 FROM thread_metadata WHERE {_OF_PAIR} AND activity_at >= 0
) THEN RETURN NULL; END IF;
locked := ARRAY(
    SELECT seq FROM threads WHERE project_id = NEW.project_id AND seq = ANY (unordered) FOR NO KEY UPDATE SKIP LOCKED
);
UPDATE thread_metadata AS pair SET activity_at = {_TIME.format("threads")} FROM threads
WHERE threads.project_id = NEW.project_id AND threads.seq = ANY (locked) AND pair.project_id = NEW.project_id
AND pair.seq = threads.seq AND pair.key = NEW.key AND pair.value = NEW.value AND pair.activity_at = -1;
RETURN NULL;
END""",
}
_ORDER = f"""CREATE CONSTRAINT TRIGGER order_pair AFTER INSERT ON thread_metadata DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN ({_COUNTS}) EXECUTE FUNCTION order_pair()"""

_MOVES = "message_count, last_created_at, created_at, activity_at, owner"
_IS_MOVED = (
    f"({_IS_FILLED} OR NEW.message_count > OLD.message_count OR {_NEW} <> {_OLD} "
    "OR NEW.owner IS DISTINCT FROM OLD.owner)"
)
_IS_UNNOTED = """NEW.message_count > OLD.message_count AND OLD.activity_at IS NEW.activity_at
AND coalesce(OLD.activity_at < 1000 * NEW.last_created_at, 0)"""
_HAS_CHANGED_PAIRS = f"({_IS_FILLED} OR NEW.metadata <> OLD.metadata OR NEW.created_at <> OLD.created_at)"
_INSERT = f"""INSERT INTO thread_activity (project_id, activity_at, seq, owner)
VALUES (NEW.project_id, {_NEW}, NEW.seq, NEW.owner);"""
_DELETE = f"""DELETE FROM thread_activity
WHERE project_id = OLD.project_id AND activity_at = {_OLD} AND seq = OLD.seq;"""
_EACH = _INSERT_PAIRS.format(at=_NEW, pairs=f"json_each({_WITHOUT_NUL.format('char')})")
_EACH = _EACH.replace("INSERT", "INSERT OR IGNORE")
_SQLITE = {
    "index_thread": f"AFTER INSERT ON threads BEGIN {_INSERT} {_EACH} END",
    "move_thread": f"AFTER UPDATE OF {_MOVES} ON threads WHEN {_IS_MOVED} AND NOT ({_IS_UNNOTED}) "
    f"BEGIN {_DELETE} {_INSERT} UPDATE thread_metadata SET activity_at = {_NEW} WHERE project_id = OLD.project_id "
    "AND seq = OLD.seq AND activity_at >= 0 AND NEW.metadata <> '{}'; END",
    "change_thread_metadata": "AFTER UPDATE OF created_at, metadata, activity_at ON threads "
    f"WHEN {_HAS_CHANGED_PAIRS} BEGIN {_DELETE_PAIRS} {_EACH} END",
}
_ORDER_ON_SQLITE = f"""CREATE TRIGGER order_pair AFTER INSERT ON thread_metadata
WHEN {_COUNTS} AND {_FEW} < (
    SELECT count(*) FROM (SELECT 1 FROM thread_metadata WHERE {_OF_PAIR} AND activity_at = -1 LIMIT {_FEW} + 1)
) BEGIN
UPDATE thread_metadata
SET activity_at = (SELECT {_TIME.format("threads")} FROM threads WHERE threads.seq = thread_metadata.seq)
WHERE {_OF_PAIR} AND activity_at = -1; END"""
_FORGET_FEW = f"""UPDATE thread_metadata SET activity_at = -1 WHERE (project_id, key, value) IN (
SELECT project_id, key, value FROM thread_metadata GROUP BY project_id, key, value HAVING count(*) <= {_FEW})"""


def upgrade() -> None:
    """Replace what writes pairs. SQLite has all rows already; PostgreSQL gets those of the previous version later."""
    if op.get_bind().dialect.name == "sqlite":
        for name, rule in _SQLITE.items():
            op.execute(f"DROP TRIGGER {name}")
            op.execute(_literally(f"CREATE TRIGGER {name} {rule}"))
        op.execute(_FORGET_FEW)
        op.execute(_ORDER_ON_SQLITE)
        return
    for name, body in _FUNCTIONS.items():
        op.execute(_literally(f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$"))
    op.execute(_ORDER)


def downgrade() -> None:
    """Drop what counts pairs. The other triggers stay: they go with the tables (0010)."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER order_pair")
    else:
        op.execute("DROP FUNCTION order_pair() CASCADE")


def _literally(statement: str) -> sa.TextClause:
    """Return a statement in which a colon begins no parameter."""
    return sa.text(statement.replace(":", r"\:"))
