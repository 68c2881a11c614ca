"""Threads that are filled in several transactions; and which owners were erased.

A thread that is `filling` is in no list. Its end is a creation for those who follow the list of threads, so the
database numbers it as one (0009).
Of an erased owner only a digest is kept, with the number of the erasure, so that cursors from before it can be refused;
the places of deleted threads have it instead of the owner, so that followers from before it get their deletions.
Indexes of tables that may be large are built after this transaction on PostgreSQL (`gateway.store.schema.online`).
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_TRANSACTION = "CAST(CAST(pg_current_xact_id() AS text) AS bigint)"
_COUNT = "UPDATE change_counter SET number = number + 1;"
_NUMBER = "(SELECT number FROM change_counter)"
_SQLITE = {
    "number_filled_thread": f"""AFTER UPDATE OF filling ON threads WHEN NEW.filling IS NULL BEGIN {_COUNT}
UPDATE threads SET change_number = {_NUMBER}, create_number = {_NUMBER} WHERE rowid = NEW.rowid; END""",
    "number_erased_owner": f"""AFTER INSERT ON erased_owners BEGIN {_COUNT}
UPDATE erased_owners SET change_number = {_NUMBER} WHERE rowid = NEW.rowid; END""",
}
_POSTGRES = f"""CREATE FUNCTION number_filled_thread() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN NEW.change_number := {_TRANSACTION}; NEW.create_number := NEW.change_number; RETURN NEW; END $$"""
_FILLED = """CREATE TRIGGER number_filled_thread BEFORE UPDATE OF filling ON threads FOR EACH ROW
WHEN (NEW.filling IS NULL) EXECUTE FUNCTION number_filled_thread()"""
_INDEXES = {
    "threads": "ix_threads_filling ON threads (filling) WHERE filling IS NOT NULL",
    "deleted_threads": "ix_deleted_threads_owner ON deleted_threads (project_id, owner) WHERE owner IS NOT NULL",
}


def upgrade() -> None:
    """Add the columns, the table, and what numbers their changes."""
    op.add_column("threads", sa.Column("filling", sa.BigInteger()))
    op.add_column("deleted_threads", sa.Column("erased_owner", sa.Text()))
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.create_table(
        "erased_owners",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("change_number", sa.BigInteger(), server_default=None if is_sqlite else sa.text(_TRANSACTION)),
        sa.PrimaryKeyConstraint("project_id", "owner", name="pk_erased_owners"),
        sa.Index("ix_erased_owners_project_id_change_number", "project_id", "change_number"),
    )
    if is_sqlite:
        for index in _INDEXES.values():
            op.execute(f"CREATE INDEX {index}")
        for name, rule in _SQLITE.items():
            op.execute(f"CREATE TRIGGER {name} {rule}")
        return
    op.execute(sa.text(_POSTGRES.replace(":", r"\:")))
    op.execute(_FILLED)


def downgrade() -> None:
    """Drop them, and threads that are not whole."""
    op.execute("DELETE FROM threads WHERE filling IS NOT NULL")
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.execute("DROP TRIGGER number_filled_thread" if is_sqlite else "DROP FUNCTION number_filled_thread() CASCADE")
    for table, index in _INDEXES.items():
        op.drop_index(index.partition(" ")[0], table, if_exists=True)
    op.drop_table("erased_owners")
    op.drop_column("deleted_threads", "erased_owner")
    op.drop_column("threads", "filling")
