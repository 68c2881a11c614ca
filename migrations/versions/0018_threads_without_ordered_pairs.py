"""On PostgreSQL a message of a thread without a pair in the order (0017) does not look for one.

An UPDATE that finds no row took 50 of the 714 thousand instructions for which PostgreSQL adds a message, and most
threads have pairs that few have. So the row of `thread_activity`, which a message moves anyway, says whether it must;
NULL is unknown, as in rows of the previous version, whose next message finds it out. Whatever may put a pair of a
thread into the order sets it, under the lock of the thread's row, which a message has too. A new thread needs to know
when it writes its row: so one trigger writes that and the pairs. On SQLite such an UPDATE costs as little as a flag.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
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
_WITHOUT_NUL = r"replace(replace(replace(NEW.metadata, '\\', chr(1)), '\u0000', '\uffff'), chr(1), '\\')"

_DELETE_PAIRS = "DELETE FROM thread_metadata WHERE project_id = OLD.project_id AND seq = OLD.seq;"
# Not EXISTS, for which PostgreSQL might read all pairs at once.
_INSERT_PAIRS = f"""WITH added AS (
    INSERT INTO thread_metadata (project_id, seq, key, value, created_at, activity_at)
    SELECT NEW.project_id, NEW.seq, pair.key, pair.value, NEW.created_at, CASE WHEN (
        SELECT held.activity_at FROM thread_metadata AS held
        WHERE held.project_id = NEW.project_id AND held.key = pair.key AND held.value = pair.value
        AND held.activity_at >= 0 ORDER BY held.activity_at DESC LIMIT 1
    ) IS NULL THEN -1 ELSE new_at END
    FROM (
        SELECT each.key AS key, substr(each.value, 1, 513) AS value
        FROM jsonb_each_text(CAST({_WITHOUT_NUL} AS jsonb)) AS each
        WHERE length(each.key) <= 64 AND each.value IS NOT NULL
    ) AS pair RETURNING activity_at
) SELECT coalesce(max(activity_at) >= 0, false) INTO has_ordered FROM added;"""
_REPLACE_PAIRS = f"""{_DELETE_PAIRS}
{_INSERT_PAIRS}
UPDATE thread_activity SET has_ordered_pair = has_ordered WHERE project_id = NEW.project_id AND activity_at = new_at
AND seq = NEW.seq AND has_ordered_pair IS DISTINCT FROM has_ordered;"""
_OF_PAIR = "project_id = NEW.project_id AND key = NEW.key AND value = NEW.value"
_FUNCTIONS = {
    "index_thread": f"""
DECLARE
    new_at bigint := {_NEW};
    has_ordered boolean := false;
BEGIN
IF NEW.metadata <> '{{}}' THEN
    {_INSERT_PAIRS}
END IF;
INSERT INTO thread_activity (project_id, activity_at, seq, owner, has_ordered_pair)
VALUES (NEW.project_id, new_at, NEW.seq, NEW.owner, has_ordered);
RETURN NULL;
END""",
    "change_thread_metadata": f"""
DECLARE
    new_at bigint := {_NEW};
    has_ordered boolean;
BEGIN
{_REPLACE_PAIRS}
RETURN NULL;
END""",
    # Each expression costs a message some thousand instructions: one that sets a later activity has three.
    "move_thread": f"""
DECLARE
    old_at bigint;
    new_at bigint;
    has_ordered boolean;
BEGIN
IF NEW.activity_at > OLD.activity_at THEN
    UPDATE thread_activity SET activity_at = NEW.activity_at, owner = NEW.owner
    WHERE project_id = OLD.project_id AND activity_at = OLD.activity_at AND seq = OLD.seq
    RETURNING has_ordered_pair INTO has_ordered;
    IF has_ordered IS NOT FALSE THEN
        UPDATE thread_metadata SET activity_at = NEW.activity_at
        WHERE project_id = OLD.project_id AND seq = OLD.seq AND activity_at >= 0;
        IF has_ordered IS NULL THEN
            UPDATE thread_activity SET has_ordered_pair = FOUND
            WHERE project_id = OLD.project_id AND activity_at = NEW.activity_at AND seq = OLD.seq;
        END IF;
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
    {_REPLACE_PAIRS}
ELSIF new_at <> old_at THEN
    UPDATE thread_metadata SET activity_at = new_at
    WHERE project_id = OLD.project_id AND seq = OLD.seq AND activity_at >= 0;
END IF;
RETURN NEW;
END""",
    # Each thread is looked up by itself, by its key: where PostgreSQL has no statistics yet, as in the transaction that
    # fills a database, it would read the index of a whole project for the numbers of an array.
    "order_pair": f"""
DECLARE
    unordered bigint[] := ARRAY(
        SELECT seq FROM thread_metadata WHERE {_OF_PAIR} AND activity_at = -1 ORDER BY seq LIMIT {_AT_ONCE}
    );
    locked record;
BEGIN
IF cardinality(unordered) = 0 OR cardinality(unordered) <= {_FEW} AND NOT EXISTS (
    SELECT 1 FROM thread_metadata WHERE {_OF_PAIR} AND activity_at >= 0
) THEN RETURN NULL; END IF;
FOR locked IN
    SELECT thread.* FROM unnest(unordered) AS wanted (seq) CROSS JOIN LATERAL (
        SELECT seq, {_TIME.format("threads")} AS at FROM threads
        WHERE project_id = NEW.project_id AND threads.seq = wanted.seq LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
    ) AS thread
LOOP
    UPDATE thread_metadata SET activity_at = locked.at WHERE {_OF_PAIR} AND seq = locked.seq AND activity_at = -1;
    UPDATE thread_activity SET has_ordered_pair = true
    WHERE project_id = NEW.project_id AND activity_at = locked.at AND seq = locked.seq;
END LOOP;
RETURN NULL;
END""",
}


def upgrade() -> None:
    """Add the column, and replace what reads and sets it."""
    column = sa.Column("has_ordered_pair", sa.Boolean())
    if op.get_bind().dialect.name == "sqlite":
        op.add_column("thread_activity", column)
        return
    # First, since writers lock `threads` before `thread_activity`.
    op.execute("DROP TRIGGER IF EXISTS index_thread_metadata ON threads")
    op.add_column("thread_activity", column, if_not_exists=True)
    for name, body in _FUNCTIONS.items():
        op.execute(_literally(f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$"))


def downgrade() -> None:
    """Drop the column on SQLite. PostgreSQL's triggers use it, and go with the tables (0010)."""
    if op.get_bind().dialect.name == "sqlite":
        op.drop_column("thread_activity", "has_ordered_pair")


def _literally(statement: str) -> sa.TextClause:
    """Return a statement in which a colon begins no parameter."""
    return sa.text(statement.replace(":", r"\:"))
