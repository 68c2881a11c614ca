"""Marks on messages whose content is exactly one plain text, and counters on deltas.

A reader cuts a marked text out of the content without parsing it. A delta knows where the next text of its part begins
and the characters of its message so far, so a text is appended by reading the last delta alone.
Expand, then contract: every column is nullable, and NULL is a row of the previous version, or a message in progress.
`gateway.store.schema.backfill` sets the marks of older messages after this transaction, in batches.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("messages", sa.Column("plain_text", sa.SmallInteger()))
    op.add_column("message_deltas", sa.Column("next_start", sa.BigInteger()))
    op.add_column("message_deltas", sa.Column("characters", sa.BigInteger()))


def downgrade() -> None:
    """Drop the columns."""
    op.drop_column("message_deltas", "characters")
    op.drop_column("message_deltas", "next_start")
    op.drop_column("messages", "plain_text")
