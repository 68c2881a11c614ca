"""An index of what a reader may not have read: messages of assistants, and of readers who are known.

Unread messages are counted in it alone: their rows have whole texts between the columns that say whose they are.
PostgreSQL's is built after this transaction (`gateway.store.schema.online`).
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_INDEX = "ix_messages_news"
_COLUMNS = ["project_id", "thread_id", "position", "role", "author"]
_IS_NEWS = sa.text("role = 'assistant' OR author IS NOT NULL")


def upgrade() -> None:
    """Create the index on SQLite."""
    if op.get_bind().dialect.name == "sqlite":
        _index_on_sqlite()


def _index_on_sqlite() -> None:
    op.create_index(_INDEX, "messages", _COLUMNS, sqlite_where=_IS_NEWS)


def downgrade() -> None:
    """Drop it."""
    op.drop_index(_INDEX, "messages", if_exists=True)
