"""The pages of the documentation and their fenced blocks.

Must not be here: what is done with a block (`session`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from markdown_it import MarkdownIt

from tests.live.server import ROOT

if TYPE_CHECKING:
    from pathlib import Path

MARKDOWN: Final = MarkdownIt("commonmark").enable("table")
_FILE_NAME: Final = re.compile(r"`([\w.-]+\.json)`:$")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: where it is, its language, its text, and the line of text above it."""

    page: str
    line: int
    language: str
    text: str
    lead: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file_name(self) -> str:
        """Name the file that the block is, by its first line (`// ask.js`) or the line above it; empty for none."""
        if self.language in ("js", "ts"):
            return self.text.partition("\n")[0].removeprefix("// ")
        found = _FILE_NAME.search(self.lead)
        return found[1] if found and self.language == "json" else ""


def pages() -> dict[str, Path]:
    """Find all pages that people read, by their path from the root."""
    found = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
    return {str(file.relative_to(ROOT)): file for file in found}


@cache
def text_of(page: str) -> str:
    """Read a page."""
    return (ROOT / page).read_text(encoding="utf-8")


@cache
def blocks_of(page: str) -> tuple[Block, ...]:
    """Take the blocks of a page in their order."""
    text = text_of(page)
    lines = text.splitlines()
    found: list[Block] = []
    for token in MARKDOWN.parse(text):
        if token.type in ("fence", "code_block"):
            assert token.map
            lead = next((each.strip() for each in reversed(lines[: token.map[0]]) if each.strip()), "")
            found.append(Block(page, token.map[0] + 1, token.info.strip(), token.content, lead))
    return tuple(found)


def all_blocks() -> list[Block]:
    """Take the blocks of all pages."""
    return [block for page in pages() for block in blocks_of(page)]
