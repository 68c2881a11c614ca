"""Selections of all fields."""

from __future__ import annotations

CONTENT = """
content {
  __typename
  ... on TextContent { type text { value annotations {
    __typename
    ... on FileCitation { text startIndex endIndex fileId quote }
    ... on FilePath { text startIndex endIndex fileId }
    ... on UrlCitation { text startIndex endIndex url title }
  } } }
  ... on ImageFileContent { type imageFile { fileId detail } }
  ... on ImageUrlContent { type imageUrl { url detail } }
  ... on RefusalContent { type refusal }
}
"""
MESSAGE = f"""
id threadId createdAt role status text attachments {{ fileId tools }} metadata runId assistantId
completedAt incompleteAt incompleteReason thread {{ id }} {CONTENT}
"""
THREAD = "id createdAt metadata toolResources"
NODE = (
    f"query($id: ID!) {{ node(id: $id) {{ __typename ... on Message {{ {MESSAGE} }} ... on Thread {{ {THREAD} }} }} }}"
)
