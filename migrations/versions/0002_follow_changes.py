"""Positions of changes, from any of which a follower can resume, and the deltas of messages in progress.

There is no log of events: the position of a row's last change is all that a follower needs to resume, since it reads
the row itself. So the cost is one number per row, and nothing has to be cleaned up.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the positions, their indexes, and the table of deltas."""
    op.add_column("threads", sa.Column("changed_position", sa.BigInteger()))
    op.add_column("messages", sa.Column("changed_position", sa.BigInteger()))
    op.create_index(
        "ix_messages_changed",
        "messages",
        ["project_id", "thread_id", "changed_position"],
        sqlite_where=sa.text("changed_position IS NOT NULL"),
        postgresql_where=sa.text("changed_position IS NOT NULL"),
    )
    op.add_column("deleted_messages", sa.Column("deleted_position", sa.BigInteger()))
    op.drop_index("ix_deleted_messages_project_id_thread_id", "deleted_messages")
    op.create_index(
        "ix_deleted_messages_project_id_thread_id_deleted_position",
        "deleted_messages",
        ["project_id", "thread_id", "deleted_position"],
    )
    op.create_table(
        "message_deltas",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("thread_id", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("part_index", sa.BigInteger(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "thread_id", "position", name="pk_message_deltas"),
        sa.ForeignKeyConstraint(
            ["project_id", "thread_id"],
            ["threads.project_id", "threads.id"],
            name="fk_message_deltas_threads",
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        "ix_message_deltas_project_id_message_id_position", "message_deltas", ["project_id", "message_id", "position"]
    )


def downgrade() -> None:
    """Take them away again; text that was not yet written into its message is lost."""
    op.drop_table("message_deltas")
    op.drop_index("ix_deleted_messages_project_id_thread_id_deleted_position", "deleted_messages")
    op.create_index("ix_deleted_messages_project_id_thread_id", "deleted_messages", ["project_id", "thread_id"])
    op.drop_column("deleted_messages", "deleted_position")
    op.drop_index("ix_messages_changed", "messages")
    op.drop_column("messages", "changed_position")
    op.drop_column("threads", "changed_position")
