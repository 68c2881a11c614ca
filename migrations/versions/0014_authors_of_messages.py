"""The reader who wrote a message: to all others it is unread, as the messages of assistants are to everyone.

NULL is unknown, as in what an API key has written, which writes for many, and in rows of the previous version.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("messages", sa.Column("author", sa.Text()))


def downgrade() -> None:
    """Drop the column; what end users have written is unread to nobody then."""
    op.drop_column("messages", "author")
