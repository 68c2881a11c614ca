"""What an import inferred of a thread, the generation of its id, and which of its tokens were revoked.

Expand, then contract: every column is nullable, and NULL is what a row of the previous version means (not inferred, the
first generation, nothing revoked), so that version can serve a database of this one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("threads", sa.Column("inferred", sa.BigInteger()))
    op.add_column("threads", sa.Column("generation", sa.BigInteger()))
    op.add_column("threads", sa.Column("token_epoch", sa.BigInteger()))
    op.add_column("deleted_threads", sa.Column("generation", sa.BigInteger()))


def downgrade() -> None:
    """Drop the columns; tokens that were revoked without their thread become valid again."""
    op.drop_column("deleted_threads", "generation")
    op.drop_column("threads", "token_epoch")
    op.drop_column("threads", "generation")
    op.drop_column("threads", "inferred")
