"""Assistants, runs and their steps; and which run locks a thread.

The previous version ignores all of it, and adds messages to a thread with an active run.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_OF_KEY = ("idempotency_scope", "idempotency_key", "idempotency_fingerprint")
_OF_THREAD = (["project_id", "thread_id"], ["threads.project_id", "threads.id"])


def upgrade() -> None:
    """Create the tables, and add the column."""
    op.add_column("threads", sa.Column("active_run", sa.Text()))
    op.create_table(
        "assistants",
        *_texts("project_id", "id"),
        *_numbers("created_at", "number"),
        *_texts("fields"),
        sa.PrimaryKeyConstraint("project_id", "id", name="pk_assistants"),
        sa.Index("ix_assistants_project_id_number_id", "project_id", "number", "id"),
    )
    _create_runs()
    _create_steps()


def _create_runs() -> None:
    is_due, is_keyed = sa.text("due_at IS NOT NULL"), sa.text("idempotency_key IS NOT NULL")
    op.create_table(
        "runs",
        *_texts("project_id", "thread_id", "id", "assistant_id", "status", "metadata", "settings"),
        *_numbers("position", "created_at", "expires_at"),
        *_numbers("started_at", "cancelled_at", "failed_at", "completed_at", "changed_position", "due_at", null=True),
        *_texts("required_action", "last_error", "incomplete", "usage", "created_by", "leased_by", *_OF_KEY, null=True),
        sa.PrimaryKeyConstraint("project_id", "thread_id", "position", name="pk_runs"),
        sa.UniqueConstraint("project_id", "id", name="uq_runs_project_id_id"),
        sa.ForeignKeyConstraint(*_OF_THREAD, name="fk_runs_threads", ondelete="CASCADE"),
        sa.Index("ix_runs_project_id_thread_id_changed_position", "project_id", "thread_id", "changed_position"),
        sa.Index(
            "uq_runs_idempotency_key",
            *("project_id", "idempotency_scope", "idempotency_key"),
            unique=True,
            sqlite_where=is_keyed,
            postgresql_where=is_keyed,
        ),
        sa.Index("ix_runs_due", "project_id", "due_at", sqlite_where=is_due, postgresql_where=is_due),
    )


def _create_steps() -> None:
    op.create_table(
        "run_steps",
        *_texts("project_id", "thread_id", "run_id", "id", "assistant_id", "type", "status", "details"),
        *_numbers("position", "created_at"),
        *_numbers("cancelled_at", "completed_at", "expired_at", "failed_at", null=True),
        *_texts("last_error", "usage", null=True),
        sa.PrimaryKeyConstraint("project_id", "thread_id", "run_id", "position", name="pk_run_steps"),
        sa.UniqueConstraint("project_id", "id", name="uq_run_steps_project_id_id"),
        sa.ForeignKeyConstraint(*_OF_THREAD, name="fk_run_steps_threads", ondelete="CASCADE"),
        sa.Index("ix_run_steps_project_id_run_id_position", "project_id", "run_id", "position"),
    )


def _texts(*names: str, null: bool = False) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=null) for name in names]


def _numbers(*names: str, null: bool = False) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=null) for name in names]


def downgrade() -> None:
    """Drop all of it."""
    op.drop_table("run_steps")
    op.drop_table("runs")
    op.drop_table("assistants")
    op.drop_column("threads", "active_run")
