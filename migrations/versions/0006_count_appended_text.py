"""Counters on each delta: where the next text of its part begins, and the characters of its message so far.

With them a text is appended by looking at the last delta alone. NULL is a delta of the previous version.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("message_deltas", sa.Column("next_start", sa.BigInteger()))
    op.add_column("message_deltas", sa.Column("characters", sa.BigInteger()))


def downgrade() -> None:
    """Drop the columns."""
    op.drop_column("message_deltas", "characters")
    op.drop_column("message_deltas", "next_start")
