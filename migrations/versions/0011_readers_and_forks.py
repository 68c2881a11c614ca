"""How far readers have read threads; and of which thread another one is a copy.

A mark has a number of its last change, as threads and messages have (0009).
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_FORKED = ("forked_thread_id", "forked_message_id")
_TRANSACTION = "CAST(CAST(pg_current_xact_id() AS text) AS bigint)"
_COUNT = """BEGIN
UPDATE change_counter SET number = number + 1;
UPDATE read_marks SET change_number = (SELECT number FROM change_counter) WHERE rowid = NEW.rowid;
END"""
_SQLITE = {
    "number_new_read_mark": "AFTER INSERT ON read_marks",
    "number_read_mark": "AFTER UPDATE OF position ON read_marks",
}
_POSTGRES = f"""CREATE FUNCTION number_read_mark() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN NEW.change_number := {_TRANSACTION}; RETURN NEW; END $$"""


def upgrade() -> None:
    """Create the table, and what numbers its changes, and add the columns."""
    for name in _FORKED:
        op.add_column("threads", sa.Column(name, sa.Text()))
    op.create_table(
        "read_marks",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("project_id", "thread_id", "reader")),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("change_number", sa.BigInteger()),
        sa.PrimaryKeyConstraint("project_id", "thread_id", "reader", name="pk_read_marks"),
        sa.ForeignKeyConstraint(
            ["project_id", "thread_id"],
            ["threads.project_id", "threads.id"],
            name="fk_read_marks_threads",
            ondelete="CASCADE",
        ),
        sa.Index("ix_read_marks_project_id_reader_change_number", "project_id", "reader", "change_number"),
        sa.Index("ix_read_marks_project_id_change_number", "project_id", "change_number"),
    )
    if op.get_bind().dialect.name == "sqlite":
        for name, when in _SQLITE.items():
            op.execute(f"CREATE TRIGGER {name} {when} {_COUNT}")
        return
    op.execute(_POSTGRES)
    op.execute(
        "CREATE TRIGGER number_read_mark BEFORE INSERT OR UPDATE ON read_marks "
        "FOR EACH ROW EXECUTE FUNCTION number_read_mark()"
    )


def downgrade() -> None:
    """Drop the table and the columns."""
    op.drop_table("read_marks")
    for name in _FORKED:
        op.drop_column("threads", name)
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION number_read_mark")
