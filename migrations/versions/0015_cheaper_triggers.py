"""On PostgreSQL the triggers of activity (0010) decide within their function, which makes a message cheaper.

A condition of a trigger is parsed anew by each statement that might fire it: those of 0010 took 190 of the 800
thousand instructions for which PostgreSQL adds a message. A function's are compiled once a connection. So `move_thread`
has none, and puts a row of the previous version into the tables itself when its first activity is set;
`change_thread_metadata` is not looked at by statements that only note an activity. SQLite compiles conditions with the
statement.
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_TIME = (
    "coalesce({0}.activity_at, 1000 * CASE WHEN {0}.last_created_at > 0 THEN {0}.last_created_at "
    "ELSE {0}.created_at END)"
)
_MOVES = "message_count, last_created_at, created_at, activity_at, owner"
_WITHOUT_NUL = r"replace(replace(replace(NEW.metadata, '\\', chr(1)), '\u0000', '\uffff'), chr(1), '\\')"
_MOVE = f"""CREATE OR REPLACE FUNCTION move_thread() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    old_at bigint := {_TIME.format("OLD")};
    new_at bigint := {_TIME.format("NEW")};
    is_filled boolean := OLD.activity_at IS NULL AND NEW.activity_at IS NOT NULL;
BEGIN
IF NEW.message_count > OLD.message_count AND NEW.activity_at = OLD.activity_at THEN
    NEW.activity_at := greatest(OLD.activity_at, 1000 * NEW.last_created_at);
    new_at := NEW.activity_at;
END IF;
IF new_at = old_at AND NEW.owner IS NOT DISTINCT FROM OLD.owner AND NOT is_filled THEN RETURN NEW; END IF;
UPDATE thread_activity SET activity_at = new_at, owner = NEW.owner
WHERE project_id = OLD.project_id AND activity_at = old_at AND seq = OLD.seq;
IF NOT FOUND THEN
    INSERT INTO thread_activity (project_id, activity_at, seq, owner)
    VALUES (NEW.project_id, new_at, NEW.seq, NEW.owner);
END IF;
IF is_filled THEN
    DELETE FROM thread_metadata WHERE project_id = OLD.project_id AND seq = OLD.seq;
    INSERT INTO thread_metadata (project_id, seq, key, value, created_at, activity_at)
    SELECT NEW.project_id, NEW.seq, each.key, substr(each.value, 1, 513), NEW.created_at, new_at
    FROM jsonb_each_text(CAST({_WITHOUT_NUL} AS jsonb)) AS each
    WHERE length(each.key) <= 64 AND each.value IS NOT NULL;
ELSIF NEW.metadata <> '{{}}' AND new_at <> old_at THEN
    UPDATE thread_metadata SET activity_at = new_at WHERE project_id = OLD.project_id AND seq = OLD.seq;
END IF;
RETURN NEW;
END $$"""
_HAS_CHANGED_PAIRS = "(NEW.metadata <> OLD.metadata OR NEW.created_at <> OLD.created_at)"
_TRIGGERS = (
    f"move_thread BEFORE UPDATE OF {_MOVES} ON threads FOR EACH ROW",
    f"change_thread_metadata AFTER UPDATE OF created_at, metadata ON threads FOR EACH ROW WHEN {_HAS_CHANGED_PAIRS}",
)


def upgrade() -> None:
    """Replace the function and both triggers."""
    if op.get_bind().dialect.name == "sqlite":
        return
    op.execute(_MOVE.replace(":", r"\:"))
    for trigger in _TRIGGERS:
        op.execute(f"CREATE OR REPLACE TRIGGER {trigger} EXECUTE FUNCTION {trigger.partition(' ')[0]}()")


def downgrade() -> None:
    """Leave them: they do the same for each version with these tables, and go with the tables (0010)."""
