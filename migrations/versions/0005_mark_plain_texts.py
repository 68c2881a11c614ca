"""A mark on messages whose content is exactly one plain text, so that a reader can cut the text out without parsing.

NULL means unknown: a message in progress, and whatever a previous version wrote. Nothing is filled in afterwards, since
that would rewrite every message; a reader parses a content without a mark.
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
