"""The idempotency key under which an assistant was created, as migration 0007 has it for other objects.

NULL is an assistant that was created without a key; `gateway.store.schema.online` builds PostgreSQL's index.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_COLUMNS = ("idempotency_scope", "idempotency_key", "idempotency_fingerprint")
_INDEX = "uq_assistants_idempotency_key"
_IS_KEYED = sa.text("idempotency_key IS NOT NULL")


def upgrade() -> None:
    """Add the columns, and on SQLite the index."""
    for name in _COLUMNS:
        op.add_column("assistants", sa.Column(name, sa.Text()))
    if op.get_bind().dialect.name == "sqlite":
        _index_on_sqlite()


def _index_on_sqlite() -> None:
    op.create_index(_INDEX, "assistants", ["project_id", *_COLUMNS[:2]], unique=True, sqlite_where=_IS_KEYED)


def downgrade() -> None:
    """Drop the columns with their index; a retry of what was created before creates it again."""
    op.drop_index(_INDEX, "assistants", if_exists=True)
    for name in _COLUMNS:
        op.drop_column("assistants", name)
