"""Threads, messages, and the places of what was deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "threads",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), sa.Identity(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("tool_resources", sa.Text(), nullable=False),
        sa.Column("message_count", sa.BigInteger(), nullable=False),
        sa.Column("last_position", sa.BigInteger(), nullable=False),
        sa.Column("last_created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_threads"),
        sa.UniqueConstraint("project_id", "id", name="uq_threads_project_id_id"),
    )
    op.create_index("ix_threads_project_id_created_at_seq", "threads", ["project_id", "created_at", "seq"])
    op.create_table(
        "messages",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("thread_id", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("attachments", sa.Text(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text()),
        sa.Column("assistant_id", sa.Text()),
        sa.Column("completed_at", sa.BigInteger()),
        sa.Column("incomplete_at", sa.BigInteger()),
        sa.Column("incomplete_reason", sa.Text()),
        sa.PrimaryKeyConstraint("project_id", "thread_id", "position", name="pk_messages"),
        sa.UniqueConstraint("project_id", "id", name="uq_messages_project_id_id"),
        sa.ForeignKeyConstraint(
            ["project_id", "thread_id"],
            ["threads.project_id", "threads.id"],
            name="fk_messages_threads",
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        "ix_messages_run",
        "messages",
        ["project_id", "thread_id", "run_id", "position"],
        sqlite_where=sa.text("run_id IS NOT NULL"),
        postgresql_where=sa.text("run_id IS NOT NULL"),
    )
    op.create_table(
        "deleted_messages",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("thread_id", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "id", name="pk_deleted_messages"),
        sa.ForeignKeyConstraint(
            ["project_id", "thread_id"],
            ["threads.project_id", "threads.id"],
            name="fk_deleted_messages_threads",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_deleted_messages_project_id_thread_id", "deleted_messages", ["project_id", "thread_id"])
    op.create_table(
        "deleted_threads",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "id", name="pk_deleted_threads"),
    )


def downgrade() -> None:
    """Drop the tables and all that is in them."""
    for table in ("deleted_threads", "deleted_messages", "messages", "threads"):
        op.drop_table(table)
