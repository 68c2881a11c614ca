"""The order of threads by activity, and their metadata by pair, both kept by triggers.

An index on a column of `threads` that every message changes would end PostgreSQL's HOT updates of that row, and all its
indexes would be written each time. So the order is a narrow table of its own: a message writes one row and one or two
entries there, and a row for each pair of the thread's metadata, so that the threads of a pair are read in this order,
however many or few they are. Triggers keep both tables, so they hold for every writer, the previous version among them,
and no write needs a statement more.
Expand, then contract: `activity_at` is nullable, and NULL is what a row of the previous version means: the time of the
last message, or of the thread. Where a message is counted by a writer that does not set it, the trigger does.
SQLite fills the tables here, in the one transaction of its one writer; PostgreSQL beside running servers, in batches
after this transaction (`gateway.store.schema.backfill`).
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# The time of a row, in milliseconds; `domain.thread` explains it.
_TIME = (
    "coalesce({0}.activity_at, 1000 * CASE WHEN {0}.last_created_at > 0 THEN {0}.last_created_at "
    "ELSE {0}.created_at END)"
)
_NEW, _OLD = _TIME.format("NEW"), _TIME.format("OLD")
_MOVES = "message_count, last_created_at, created_at, activity_at, owner"
_PARTS = "created_at, metadata, activity_at"
# A row of the previous version is put into both tables when its first activity is set, also by filling.
_IS_FILLED = "OLD.activity_at IS NULL AND NEW.activity_at IS NOT NULL"
_IS_MOVED = (
    f"({_IS_FILLED} OR NEW.message_count > OLD.message_count OR {_NEW} <> {_OLD} "
    "OR NEW.owner IS DISTINCT FROM OLD.owner)"
)
_HAS_CHANGED_PAIRS = f"({_IS_FILLED} OR NEW.metadata <> OLD.metadata OR NEW.created_at <> OLD.created_at)"
# A NUL is the one character that neither database takes out of JSON: it becomes U+FFFF, which is no character. Escaped
# backslashes are set aside meanwhile as U+0001, which JSON escapes, so that `\\u0000` is left as it is.
_WITHOUT_NUL = r"replace(replace(replace(NEW.metadata, '\\', {0}(1)), '\u0000', '\uffff'), {0}(1), '\\')"

_INSERT = f"""INSERT INTO thread_activity (project_id, activity_at, seq, owner)
VALUES (NEW.project_id, {_NEW}, NEW.seq, NEW.owner);"""
_DELETE = f"""DELETE FROM thread_activity
WHERE project_id = OLD.project_id AND activity_at = {_OLD} AND seq = OLD.seq;"""
_DELETE_PAIRS = "DELETE FROM thread_metadata WHERE project_id = OLD.project_id AND seq = OLD.seq;"
# A value of more than 512 characters equals none that is asked for, nor does its beginning.
_INSERT_PAIRS = f"""INSERT INTO thread_metadata (project_id, seq, key, value, created_at, activity_at)
SELECT NEW.project_id, NEW.seq, each.key, substr(each.value, 1, 513), NEW.created_at, {_NEW}
FROM {{}} AS each WHERE length(each.key) <= 64 AND each.value IS NOT NULL;"""
_MOVE_PAIRS = f"""UPDATE thread_metadata SET activity_at = {_NEW}
WHERE project_id = OLD.project_id AND seq = OLD.seq AND NEW.metadata <> '{{}}';"""
_PAIRS = _INSERT_PAIRS.format(f"jsonb_each_text(CAST({_WITHOUT_NUL.format('chr')} AS jsonb))")
_FUNCTIONS = {
    "index_thread": f"{_INSERT} RETURN NULL;",
    "move_thread": f"""
IF NEW.message_count > OLD.message_count AND NEW.activity_at = OLD.activity_at THEN
    NEW.activity_at := greatest(OLD.activity_at, 1000 * NEW.last_created_at);
END IF;
UPDATE thread_activity SET activity_at = {_NEW}, owner = NEW.owner
WHERE project_id = OLD.project_id AND activity_at = {_OLD} AND seq = OLD.seq;
IF NOT FOUND THEN {_INSERT} END IF;
IF NEW.metadata <> '{{}}' AND {_NEW} <> {_OLD} THEN {_MOVE_PAIRS} END IF;
RETURN NEW;""",
    "remove_thread": f"{_DELETE} {_DELETE_PAIRS} RETURN NULL;",
    "index_thread_metadata": f"{_PAIRS} RETURN NULL;",
    "change_thread_metadata": f"{_DELETE_PAIRS} {_PAIRS} RETURN NULL;",
}
_EVENTS = {
    "index_thread": "AFTER INSERT ON threads FOR EACH ROW",
    "move_thread": f"BEFORE UPDATE OF {_MOVES} ON threads FOR EACH ROW WHEN {_IS_MOVED}",
    "remove_thread": "AFTER DELETE ON threads FOR EACH ROW",
    "index_thread_metadata": "AFTER INSERT ON threads FOR EACH ROW WHEN (NEW.metadata <> '{}')",
    "change_thread_metadata": f"AFTER UPDATE OF {_PARTS} ON threads FOR EACH ROW WHEN {_HAS_CHANGED_PAIRS}",
}

# Two keys may be the same without NUL; PostgreSQL's `jsonb` has one of each.
_EACH = _INSERT_PAIRS.format(f"json_each({_WITHOUT_NUL.format('char')})").replace("INSERT", "INSERT OR IGNORE")
# A writer that counts a message without its activity: the trigger's own change then moves the thread.
_IS_UNNOTED = """NEW.message_count > OLD.message_count AND OLD.activity_at IS NEW.activity_at
AND coalesce(OLD.activity_at < 1000 * NEW.last_created_at, 0)"""
_SQLITE = {
    "index_thread": f"AFTER INSERT ON threads BEGIN {_INSERT} {_EACH} END",
    "move_thread": f"AFTER UPDATE OF {_MOVES} ON threads WHEN {_IS_MOVED} AND NOT ({_IS_UNNOTED}) "
    f"BEGIN {_DELETE} {_INSERT} {_MOVE_PAIRS} END",
    "note_activity": f"AFTER UPDATE OF message_count ON threads WHEN {_IS_UNNOTED} "
    "BEGIN UPDATE threads SET activity_at = 1000 * NEW.last_created_at WHERE seq = NEW.seq; END",
    "remove_thread": f"AFTER DELETE ON threads BEGIN {_DELETE} {_DELETE_PAIRS} END",
    "change_thread_metadata": f"AFTER UPDATE OF {_PARTS} ON threads WHEN {_HAS_CHANGED_PAIRS} "
    f"BEGIN {_DELETE_PAIRS} {_EACH} END",
}


def upgrade() -> None:
    """Add the column, the tables and their triggers."""
    op.add_column("threads", sa.Column("activity_at", sa.BigInteger()))
    _create_tables()
    if op.get_bind().dialect.name == "sqlite":
        for name, rule in _SQLITE.items():
            op.execute(_literally(f"CREATE TRIGGER {name} {rule}"))
        op.execute(f"UPDATE threads SET activity_at = {_TIME.format('threads')}")
        return
    for name, body in _FUNCTIONS.items():
        function = f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$"
        op.execute(_literally(function))
        op.execute(_literally(f"CREATE TRIGGER {name} {_EVENTS[name]} EXECUTE FUNCTION {name}()"))


def _create_tables() -> None:
    op.create_table(
        "thread_activity",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("activity_at", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.Text()),
        sa.PrimaryKeyConstraint("project_id", "activity_at", "seq", name="pk_thread_activity"),
        sa.Index(
            "ix_thread_activity_owner",
            *("project_id", "owner", "activity_at", "seq"),
            sqlite_where=sa.text("owner IS NOT NULL"),
            postgresql_where=sa.text("owner IS NOT NULL"),
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "thread_metadata",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("activity_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "seq", "key", name="pk_thread_metadata"),
        sa.Index("ix_thread_metadata_created", *("project_id", "key", "value", "created_at", "seq")),
        sa.Index("ix_thread_metadata_active", *("project_id", "key", "value", "activity_at", "seq")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop them; the activity of threads without a later message is lost."""
    if op.get_bind().dialect.name == "sqlite":
        for name in _SQLITE:
            op.execute(f"DROP TRIGGER {name}")
    else:
        for name in _FUNCTIONS:
            op.execute(f"DROP FUNCTION {name}() CASCADE")
    op.drop_table("thread_metadata")
    op.drop_table("thread_activity")
    op.drop_column("threads", "activity_at")


def _literally(statement: str) -> sa.TextClause:
    """Return a statement in which a colon begins no parameter."""
    return sa.text(statement.replace(":", r"\:"))
