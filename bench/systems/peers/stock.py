"""Strawberry and SQLAlchemy's ORM as their documentation shows them, on the same tables and for the same queries.

With Strawberry's caches of parsed and validated documents, as the documentation advises.
"""

from __future__ import annotations

import json
import os
import secrets
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import strawberry
from sqlalchemy import make_url, select, update
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from starlette.applications import Starlette
from starlette.routing import Route
from strawberry.asgi import GraphQL
from strawberry.dataloader import DataLoader
from strawberry.extensions import ParserCache, SchemaExtension, ValidationCache
from strawberry.scalars import JSON

from bench.systems.peers.listen import database_url, serve
from bench.systems.peers.stock_models import Message as MessageRow
from bench.systems.peers.stock_models import Thread as ThreadRow
from bench.systems.peers.stock_previews import newest_threads, previews_of, threads_with_previews

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

_PROJECT = "default"
_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
Info = strawberry.Info[dict[str, Any], None]


@strawberry.enum
class MessageRole(Enum):
    """The author of a message."""

    USER = "user"
    ASSISTANT = "assistant"


@strawberry.type
class FileCitation:
    """An annotation that cites a file."""

    text: str
    file_id: str


@strawberry.type
class FilePath:
    """An annotation that links to a file."""

    text: str
    file_id: str


@strawberry.type
class Text:
    """A text with its annotations."""

    value: str
    annotations: list[Annotated[FileCitation | FilePath, strawberry.union("Annotation")]]


@strawberry.type
class TextContent:
    """A part that is text."""

    type: str
    text: Text


@strawberry.type
class ImageFileContent:
    """A part that is an image."""

    type: str
    file_id: str


@strawberry.interface
class Node:
    """What has an id."""

    id: strawberry.ID


@strawberry.type
class Message(Node):
    """A message."""

    role: MessageRole
    created_at: datetime
    metadata: JSON
    content: list[Annotated[TextContent | ImageFileContent, strawberry.union("ContentPart")]]

    @strawberry.field
    def text(self) -> str:
        """Join the texts of all parts."""
        return "\n".join(part.text.value for part in self.content if isinstance(part, TextContent))

    @classmethod
    def of(cls, row: MessageRow) -> Message:
        """Make it of its row."""
        return cls(
            id=strawberry.ID(row.id),
            role=MessageRole(row.role),
            created_at=datetime.fromtimestamp(row.created_at, UTC),
            metadata=JSON(json.loads(row.metadata_)),
            content=[part_of(part) for part in json.loads(row.content)],
        )


def part_of(part: dict[str, Any]) -> TextContent | ImageFileContent:
    """Make a part of a message of its stored form."""
    if part["type"] != "text":
        return ImageFileContent(type=part["type"], file_id=part["image_file"]["file_id"])
    kinds: dict[str, type[FileCitation | FilePath]] = {"file_citation": FileCitation, "file_path": FilePath}
    marks: list[FileCitation | FilePath] = [
        kinds[each["type"]](text=each["text"], file_id="") for each in part["text"]["annotations"]
    ]
    return TextContent(type="text", text=Text(value=part["text"]["value"], annotations=marks))


@strawberry.type
class MessageEdge:
    """A message and its cursor."""

    cursor: str
    node: Message


@strawberry.type
class PageInfo:
    """Position of a page."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type
class MessageConnection:
    """A page of messages."""

    edges: list[MessageEdge]
    page_info: PageInfo

    @strawberry.field
    def nodes(self) -> list[Message]:
        """Leave the cursors out."""
        return [edge.node for edge in self.edges]

    @classmethod
    def of(cls, rows: Sequence[MessageRow], asked: int, after: str | None = None) -> MessageConnection:
        """Make it of its rows and one more."""
        edges = [MessageEdge(cursor=row.id, node=Message.of(row)) for row in rows[:asked]]
        ends = (edges[0].cursor, edges[-1].cursor) if edges else (None, None)
        more = {"has_next_page": len(rows) > asked, "has_previous_page": bool(after)}
        return cls(edges=edges, page_info=PageInfo(**more, start_cursor=ends[0], end_cursor=ends[1]))


@strawberry.type
class Thread(Node):
    """A thread; `newest` are the rows that a join has read with it."""

    metadata: JSON
    newest: strawberry.Private[list[MessageRow] | None] = None

    @classmethod
    def of(cls, row: ThreadRow, newest: list[MessageRow] | None = None) -> Thread:
        """Make it of its row."""
        return cls(id=strawberry.ID(row.id), metadata=JSON(json.loads(row.metadata_)), newest=newest)

    @strawberry.field
    async def messages(
        self, info: Info, limit: int | None = None, first: int | None = None, after: str | None = None
    ) -> MessageConnection:
        """Read a page, newest first, and one row more; previews of a list come from its join or from a loader."""
        if self.newest is not None and first:
            return MessageConnection.of(self.newest, first)
        if first and not after:
            return MessageConnection.of(await info.context["previews"].load((self.id, first)), first)
        session, asked = info.context["session"], limit or first or 20
        own = (MessageRow.project_id == _PROJECT, MessageRow.thread_id == self.id)
        statement = select(MessageRow).where(*own).order_by(MessageRow.position.desc()).limit(asked + 1)
        if after:
            place = select(MessageRow.position).where(*own, MessageRow.id == after).scalar_subquery()
            statement = statement.where(MessageRow.position < place)
        rows = (await session.scalars(statement)).all()
        return MessageConnection.of(rows, asked, after)


@strawberry.type
class ThreadConnection:
    """A page of threads."""

    nodes: list[Thread]


@strawberry.input
class MessageContentInput:
    """Content of a new message."""

    text: str


@strawberry.input
class CreateMessageInput:
    """A message to add."""

    thread_id: strawberry.ID
    role: MessageRole
    content: MessageContentInput
    metadata: JSON | None = None


@strawberry.type
class CreateMessagePayload:
    """Result of the mutation."""

    edge: MessageEdge


@strawberry.type
class Query:
    """Queries."""

    @strawberry.field
    async def thread(self, info: Info, id: strawberry.ID) -> Thread | None:  # noqa: A002  (the schema's word)
        """Find a thread."""
        row = await info.context["session"].scalar(select(ThreadRow).filter_by(project_id=_PROJECT, id=id))
        return Thread.of(row) if row else None

    @strawberry.field
    async def threads(self, info: Info, first: int = 20) -> ThreadConnection:
        """List threads, newest first; a join reads previews with them if they are selected and it is wanted."""
        session: AsyncSession = info.context["session"]
        count = preview_count(info.selected_fields) if JOINS_PREVIEWS else None
        if count:
            found = await threads_with_previews(session, _PROJECT, first, count)
            return ThreadConnection(nodes=[Thread.of(row, newest) for row, newest in found])
        rows = await session.scalars(newest_threads(_PROJECT, first))
        return ThreadConnection(nodes=[Thread.of(row) for row in rows])

    @strawberry.field
    async def node(self, info: Info, id: strawberry.ID) -> Node | None:  # noqa: A002  (the schema's word)
        """Find a message or a thread."""
        session: AsyncSession = info.context["session"]
        if id.startswith("msg_"):
            message = await session.scalar(select(MessageRow).filter_by(project_id=_PROJECT, id=id))
            return Message.of(message) if message else None
        thread = await session.scalar(select(ThreadRow).filter_by(project_id=_PROJECT, id=id))
        return Thread.of(thread) if thread else None


@strawberry.type
class Mutation:
    """Mutations."""

    @strawberry.mutation
    async def create_message(self, info: Info, input: CreateMessageInput) -> CreateMessagePayload:  # noqa: A002  (the schema's word)
        """Add a message at the next position of its thread."""
        session: AsyncSession = info.context["session"]
        now = int(datetime.now(UTC).timestamp())
        own = update(ThreadRow).filter_by(project_id=_PROJECT, id=input.thread_id)
        thread = (await session.scalars(own.values(ThreadRow.one_more(now)).returning(ThreadRow))).one()
        parts = [{"type": "text", "text": {"value": input.content.text, "annotations": []}}]
        row = MessageRow(
            project_id=_PROJECT,
            thread_id=thread.id,
            position=thread.last_position,
            id=f"msg_{secrets.token_hex(12)}",
            created_at=thread.last_created_at,
            role=input.role.value,
            status="completed",
            content=json.dumps(parts),
            attachments="[]",
            metadata_=json.dumps(input.metadata or {}),
            completed_at=thread.last_created_at,
        )
        session.add(row)
        await session.commit()
        return CreateMessagePayload(edge=MessageEdge(cursor=row.id, node=Message.of(row)))


class OneSession(SchemaExtension):
    """A session for each operation, and a loader on it."""

    async def on_execute(self) -> AsyncIterator[None]:
        """Open it around the execution."""
        async with SESSIONS() as session:

            async def load(keys: list[tuple[str, int]]) -> Sequence[Sequence[MessageRow]]:
                return await previews_of(session, _PROJECT, keys)

            self.execution_context.context |= {"session": session, "previews": DataLoader(load)}
            yield


def preview_count(fields: Sequence[Any]) -> int | None:
    """Find how many messages of each thread are selected."""
    for place in ("nodes", "messages"):
        fields = [each for field in fields for each in field.selections if getattr(each, "name", None) == place]
    return next((int(each.arguments["first"]) for each in fields if "first" in each.arguments), None)


URL = make_url(database_url())
SESSIONS = async_sessionmaker(
    create_async_engine(URL.set(drivername=_DRIVERS[URL.get_backend_name()])), expire_on_commit=False
)
JOINS_PREVIEWS = os.environ.get("PEER_PREVIEWS") == "join"
SCHEMA = strawberry.Schema(
    Query, Mutation, types=[Message, Thread], extensions=[ParserCache, ValidationCache, OneSession]
)

if __name__ == "__main__":
    serve(Starlette(routes=[Route("/graphql", GraphQL(SCHEMA))]))
