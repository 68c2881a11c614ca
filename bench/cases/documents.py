"""GraphQL documents of the cases, the same for all systems that can take them.

Must not be here: variables and expected answers (`reads`, `writes`).
"""

from __future__ import annotations

from typing import Final

_EDGE: Final = """cursor node {{ id role createdAt metadata {} }}"""
_INFO: Final = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
_CONTENT: Final = """content { __typename
  ... on TextContent { type text { value annotations { __typename } } } }"""
_IMAGES: Final = """content { __typename
  ... on TextContent { type text { value annotations { __typename } } }
  ... on ImageFileContent { type imageFile { fileId detail } }
  ... on ImageUrlContent { type imageUrl { url detail } } }"""
_ANNOTATIONS: Final = """content { __typename
  ... on TextContent { type text { value annotations { __typename
    ... on FileCitation { text startIndex endIndex fileId }
    ... on FilePath { text startIndex endIndex fileId }
    ... on UrlCitation { text startIndex endIndex url title } } } } }"""


def _page(fields: str = _CONTENT) -> str:
    """Write a query for a page of messages with more fields of each."""
    return f"""query Page($id: ID!, $limit: Int!, $after: String) {{ thread(id: $id) {{
  messages(limit: $limit, after: $after) {{ edges {{ {_EDGE.format(fields)} }} {_INFO} }} }} }}"""


def page_of(alias: str, thread_id: str, after: str) -> str:
    """Write a query for a page of messages whose arguments are literals, under a name of its own."""
    return f"""query Page {{ thread(id: "{thread_id}") {{ {alias}: messages(limit: 20, after: "{after}") {{
  edges {{ {_EDGE.format(_CONTENT)} }} {_INFO} }} }} }}"""


PREVIEWS: Final = """query Previews($first: Int!) { threads(first: $first) { nodes { id metadata
  messages(first: 1) { nodes { text role } } } } }"""
INBOX: Final = """query Inbox($first: Int!, $reader: String!) { threads(first: $first, orderBy: ACTIVITY) {
  nodes { id title lastActivityAt preview(length: 80) unreadCount(reader: $reader) { value exact } } } }"""
EVENT_CURSOR: Final = "{ threads(first: 1) { eventCursor } }"
THREADS: Final = f"""query Threads($first: Int!) {{ threads(first: $first) {{
  edges {{ cursor node {{ id createdAt metadata }} }} {_INFO} }} }}"""
THREAD: Final = "query One($id: ID!) { thread(id: $id) { id createdAt metadata toolResources } }"
_MESSAGE: Final = "... on Message { role text createdAt }"
NODE: Final = f"query Node($id: ID!) {{ node(id: $id) {{ id {_MESSAGE} }} }}"
NODES: Final = f"query Nodes($ids: [ID!]!) {{ nodes(ids: $ids) {{ id {_MESSAGE} }} }}"

CREATE: Final = f"""mutation Create($input: CreateMessageInput!) {{
  createMessage(input: $input) {{ edge {{ {_EDGE.format(_CONTENT)} }} }} }}"""
CREATE_THREAD: Final = """mutation CreateThread($input: CreateThreadInput!) {
  createThread(input: $input) { thread { id createdAt metadata } } }"""
UPDATE_THREAD: Final = """mutation UpdateThread($input: UpdateThreadInput!) {
  updateThread(input: $input) { thread { id metadata } } }"""
FORK: Final = """mutation Fork($input: ForkThreadInput!) {
  forkThread(input: $input) { thread { id forkedFrom { threadId } } } }"""
MARK_READ: Final = """mutation MarkRead($input: MarkReadInput!) {
  markRead(input: $input) { thread { id } } }"""
MARK_UNREAD: Final = """mutation MarkUnread($input: MarkUnreadInput!) {
  markUnread(input: $input) { thread { id } } }"""
DELETE_THREAD: Final = """mutation DeleteThread($input: DeleteThreadInput!) {
  deleteThread(input: $input) { deletedThreadId } }"""
GRANT: Final = """mutation CreateToken($input: CreateThreadTokenInput!) {
  createThreadToken(input: $input) { token expiresAt } }"""
REVOKE: Final = """mutation RevokeTokens($input: RevokeThreadTokensInput!) {
  revokeThreadTokens(input: $input) { threadId } }"""
UPDATE_MESSAGE: Final = """mutation UpdateMessage($input: UpdateMessageInput!) {
  updateMessage(input: $input) { message { id metadata } } }"""
APPEND: Final = """mutation Append($input: AppendMessageTextInput!) {
  appendMessageText(input: $input) { message { id } } }"""
FINISH: Final = """mutation Finish($input: FinishMessageInput!) {
  finishMessage(input: $input) { message { id status } } }"""
DELETE_MESSAGE: Final = """mutation DeleteMessage($input: DeleteMessageInput!) {
  deleteMessage(input: $input) { deletedMessageId } }"""
ADDED: Final = """subscription Added($threadId: ID!) {
  messageAdded(threadId: $threadId, after: "0") { cursor node { id text } } }"""
EVENTS: Final = """subscription Events($threadId: ID!) {
  threadEvents(threadId: $threadId, after: "0") { cursor __typename
  ... on MessageCreated { message { id role text } }
  ... on MessageUpdated { message { id status text } }
  ... on MessageDelta { messageId text offset } } }"""
LIST_EVENTS: Final = """subscription ListEvents($after: String!) { threadListEvents(after: $after) { __typename
  ... on ThreadMoved { cursor thread { id title preview messageCount } } } }"""

PAGES: Final = {
    "content": _page(),
    "text": _page("text"),
    "thread": _page(f"{_CONTENT} thread {{ id }}"),
    "attachments": _page(f"{_CONTENT} attachments {{ fileId tools }}"),
    "images": _page(_IMAGES),
    "annotations": _page(_ANNOTATIONS),
}
ALL: Final = (
    *PAGES.values(),
    PREVIEWS,
    INBOX,
    THREADS,
    THREAD,
    NODE,
    NODES,
    CREATE,
    CREATE_THREAD,
    UPDATE_THREAD,
    FORK,
    MARK_READ,
    MARK_UNREAD,
    DELETE_THREAD,
    GRANT,
    REVOKE,
    UPDATE_MESSAGE,
    APPEND,
    FINISH,
    DELETE_MESSAGE,
    ADDED,
    EVENTS,
    LIST_EVENTS,
)
