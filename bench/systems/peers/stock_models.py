"""Our tables as ORM models."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """What both stand on."""


class Thread(Base):
    """A thread."""

    __tablename__ = "threads"

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    project_id: Mapped[str]
    id: Mapped[str]
    created_at: Mapped[int] = mapped_column(BigInteger)
    metadata_: Mapped[str] = mapped_column("metadata")
    tool_resources: Mapped[str]
    message_count: Mapped[int] = mapped_column(BigInteger)
    last_position: Mapped[int] = mapped_column(BigInteger)
    last_created_at: Mapped[int] = mapped_column(BigInteger)
    owner: Mapped[str | None]

    @classmethod
    def one_more(cls, second: int) -> dict[str, Any]:
        """Say what changes with one message more; the database counts, for others write at the same time."""
        more = {"message_count": cls.message_count + 1, "last_position": cls.last_position + 1}
        return {**more, "last_created_at": second}


class Message(Base):
    """A message."""

    __tablename__ = "messages"

    project_id: Mapped[str] = mapped_column(primary_key=True)
    thread_id: Mapped[str] = mapped_column(ForeignKey("threads.id"), primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[str]
    created_at: Mapped[int] = mapped_column(BigInteger)
    role: Mapped[str]
    status: Mapped[str]
    content: Mapped[str]
    attachments: Mapped[str]
    metadata_: Mapped[str] = mapped_column("metadata")
    run_id: Mapped[str | None]
    assistant_id: Mapped[str | None]
    completed_at: Mapped[int | None] = mapped_column(BigInteger)
    incomplete_at: Mapped[int | None] = mapped_column(BigInteger)
    incomplete_reason: Mapped[str | None]
