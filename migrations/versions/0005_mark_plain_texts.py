"""A mark on messages whose content is exactly one plain text, so that a reader can cut the text out without parsing.

NULL means unknown: a message in progress, and whatever a previous version wrote; a reader parses a content without a
mark. `gateway.store.schema.backfill` sets the marks of older messages after this transaction, in batches.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("messages", sa.Column("plain_text", sa.SmallInteger()))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("messages", "plain_text")
