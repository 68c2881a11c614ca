"""Keys, and the end users that threads belong to.

The owner is a column of the thread only; messages are found through it, by a lookup of the thread's key. On a page of
20 that costs less than a column of each message, and it is stored once.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the keys and the owners."""
    op.create_table(
        "keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger()),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.Column("last_used_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
        sa.UniqueConstraint("digest", name="uq_keys_digest"),
    )
    op.add_column("threads", sa.Column("owner", sa.Text()))
    op.add_column("deleted_threads", sa.Column("owner", sa.Text()))
    op.create_index(
        "ix_threads_owner",
        "threads",
        ["project_id", "owner", "created_at", "seq"],
        sqlite_where=sa.text("owner IS NOT NULL"),
        postgresql_where=sa.text("owner IS NOT NULL"),
    )


def downgrade() -> None:
    """Take them away again; whose each thread was is lost."""
    op.drop_index("ix_threads_owner", "threads")
    op.drop_column("deleted_threads", "owner")
    op.drop_column("threads", "owner")
    op.drop_table("keys")
