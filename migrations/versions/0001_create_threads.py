"""Threads, messages, and the places of what was deleted.

The layout is text keys and one index for each question, the same on both databases. It was chosen by measuring
1,000,000 messages (60 % of 200 bytes, 30 % of 1,500, 10 % of 6,000), 300,000 of them in one thread, all written in
mixed order, on 2 cores of an AMD EPYC, everything in memory. A page is 20 messages; "newest" and "middle" (behind a
cursor, looked up in the same statement) are of the long thread, "small" is the newest page of one of 7,000 others.

SQLite 3.40.1, pages of 4,096 bytes; microseconds of the bare statement, then database pages touched:

    layout                                            newest    middle    small     by id    file MB  inserts/s
    rowid table, text keys (this one)                 46 / 20   146 / 27  140 / 47  20 / 8   1,582    2,736
    rowid table, integer thread keys                  46 / 22   142 / 28  140 / 48  21 / 8   1,503    3,080
    WITHOUT ROWID, text keys                          48 / 30   156 / 38  125 / 33  48 / 28  2,554    1,923
    WITHOUT ROWID, integer thread keys                48 / 36   156 / 43  134 / 35  49 / 27  2,497    2,329
    rowid = thread << 32 | position (clustered)       40 / 12    93 / 18   94 / 14  24 / 8   1,511    2,409

PostgreSQL 18.6; microseconds of a prepared fetch by asyncpg (plan_cache_mode = force_generic_plan), then buffers:

    text keys (this one)                              181 / 10  281 / 14  291 / 23  150 / 4  1,670    1,674
    bigint thread keys                                189 / 13  287 / 17  299 / 26  151 / 4  1,589    1,710
    text keys, project as a small integer             182 / 10  284 / 14  289 / 23  150 / 4  1,659    1,675
    text keys, clustered by hand                      180 / 6   267 / 10  258 / 6   150 / 4  1,629

WITHOUT ROWID loses because a B-tree that keeps whole rows in its inner pages has 8 of them a page. The composed
rowid wins 50 microseconds on SQLite and loses 3 % on PostgreSQL; it would make the two databases differ in every
statement, and hide the thread in a number, for a fiftieth of what a page costs over HTTP today. Larger pages (8,192)
read less often when cold, but write 70 % more log a message. On PostgreSQL planning cost more than any layout: 65 to
110 microseconds a call until generic plans were forced, which `store/dialect.py` does.

In the list of threads SQLite ranges over (project_id, created_at) and steps over the other threads of the cursor's
own second one by one (0.1 microseconds each); PostgreSQL ranges over (created_at, seq) as a whole.
"""

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
        sqlite_autoincrement=True,
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
