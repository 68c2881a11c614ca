"""The epochs of a database: a new one begins when it is restored, so that what clients kept of another is not mixed in.

The table has no key, so that nothing unique lacks a project where rows are distributed by project: an epoch is added,
never changed, and the last one counts.
"""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, and begin the first epoch."""
    epochs = op.create_table(
        "epochs",
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
    )
    op.bulk_insert(epochs, [{"number": 1, "epoch": secrets.token_hex(8)}])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("epochs")
