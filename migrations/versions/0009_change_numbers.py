"""Numbers of changes, from any of which a follower of the list of threads can resume; and when a message was finished.

There is no log of events here either (0002): each row has the number of its last change. The database itself sets it,
by defaults and triggers, so that what the previous version writes has one too.
On PostgreSQL it is the id of the writing transaction. A reader keeps which ids its snapshot did not see, so a change is
found whenever its transaction commits. A message has its number in its own row and not in that of its thread, which
every message updates: an index of a column there would end HOT updates, and each message would write all indexes of it.
On SQLite it is counted by the one writer: a trigger counts before each message is inserted, and sets what is NULL.
Expand, then contract: every column is nullable, and NULL or 0 is a row that followers have nothing to get of.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_NUMBERED = ("threads", "messages", "deleted_messages", "deleted_threads")
_COLUMNS = (
    *((table, "change_number") for table in _NUMBERED),
    ("threads", "create_number"),
    ("messages", "finish_number"),
)
_TRANSACTION = "CAST(CAST(pg_current_xact_id() AS text) AS bigint)"
_DEFAULTS = [each for each in _COLUMNS if each[1] != "finish_number"]
_IS_FINISHED = "OLD.status = 'in_progress' AND NEW.status <> 'in_progress'"
_FUNCTIONS = {
    "number_thread": f"NEW.change_number := {_TRANSACTION}; RETURN NEW;",
    "number_message": f"""
NEW.change_number := {_TRANSACTION};
IF {_IS_FINISHED} THEN NEW.finish_number := NEW.change_number; END IF;
RETURN NEW;""",
}
_CHANGED = """BEFORE UPDATE OF changed_position ON {} FOR EACH ROW
WHEN (NEW.changed_position IS DISTINCT FROM OLD.changed_position)"""

_COUNT = "UPDATE change_counter SET number = number + 1;"
_NUMBER = "(SELECT number FROM change_counter)"


def _set(table: str, columns: str = f"change_number = {_NUMBER}") -> str:
    return f"BEGIN {_COUNT} UPDATE {table} SET {columns} WHERE rowid = NEW.rowid; END"


_SQLITE = {
    "count_message": f"AFTER UPDATE OF message_count ON threads BEGIN {_COUNT} END",
    "number_new_thread": "AFTER INSERT ON threads "
    + _set("threads", f"change_number = {_NUMBER}, create_number = {_NUMBER}"),
    "number_thread": "AFTER UPDATE OF changed_position ON threads " + _set("threads"),
    "number_new_message": "AFTER INSERT ON messages WHEN NEW.change_number IS NULL " + _set("messages"),
    "number_message": "AFTER UPDATE OF changed_position ON messages "
    + _set(
        "messages",
        f"change_number = {_NUMBER}, finish_number = CASE WHEN {_IS_FINISHED} THEN {_NUMBER} ELSE finish_number END",
    ),
    "number_deleted_message": "AFTER INSERT ON deleted_messages " + _set("deleted_messages"),
    "number_deleted_thread": "AFTER INSERT ON deleted_threads " + _set("deleted_threads"),
}


def upgrade() -> None:
    """Add the columns, and what sets them; PostgreSQL's indexes are built after this transaction (`online`)."""
    op.create_table("change_counter", sa.Column("number", sa.BigInteger(), nullable=False))
    for table, column in _COLUMNS:
        op.add_column(table, sa.Column(column, sa.BigInteger()))
    if op.get_bind().dialect.name == "sqlite":
        op.execute("INSERT INTO change_counter (number) VALUES (1)")
        for table in _NUMBERED:
            columns = "(project_id, change_number) WHERE change_number > 0"
            op.execute(f"CREATE INDEX ix_{table}_change ON {table} {columns}")
        for name, definition in _SQLITE.items():
            op.execute(f"CREATE TRIGGER {name} {definition}")
        return
    for table, column in _DEFAULTS:
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {_TRANSACTION}")
    for name, body in _FUNCTIONS.items():
        op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$")
        op.execute(f"CREATE TRIGGER {name} {_CHANGED.format(f'{name[7:]}s')} EXECUTE FUNCTION {name}()")


def downgrade() -> None:
    """Take them away again; followers of the list of threads have to read it anew."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for name in _SQLITE if is_sqlite else _FUNCTIONS:
        op.execute(f"DROP TRIGGER {name}" if is_sqlite else f"DROP FUNCTION {name} CASCADE")
    for table in _NUMBERED:
        op.drop_index(f"ix_{table}_change", table, if_exists=True)
    for table, column in _COLUMNS:
        op.drop_column(table, column)
    op.drop_table("change_counter")
