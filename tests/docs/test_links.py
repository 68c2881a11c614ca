"""Links of the documentation: every page is found from README.md, and every link leads to something."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from tests.docs.blocks import MARKDOWN, pages, text_of
from tests.live.server import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token

README: Final = "README.md"
MOST_LINES: Final = 150
FIRST_SCREEN: Final = 20
SEARCHED: Final = (
    "Authentication",
    "Pagination",
    "Rate limits",
    "Configuration",
    "Health checks",
    "Graceful shutdown",
    "Rolling restart",
    "Backup and restore",
    "Metrics",
    "Logs",
    "Traces",
    "Subscriptions",
    "Code generation",
    "Token refresh",
    "Threat model",
    "Upgrades",
    "Errors",
)


def links_of(page: str) -> Iterator[str]:
    """Give the targets of all links and pictures of a page."""
    for token in MARKDOWN.parse(text_of(page)):
        for child in token.children or ():
            target = child.attrGet("href") or child.attrGet("src")
            if target:
                yield str(target)


def headings_of(page: str) -> list[str]:
    tokens: list[Token] = MARKDOWN.parse(text_of(page))
    return [tokens[n + 1].content for n, each in enumerate(tokens) if each.type == "heading_open"]


def anchors_of(page: str) -> set[str]:
    """Give the anchors that a renderer makes of the headings."""
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings_of(page)}


def test_readme_is_short() -> None:
    assert len(text_of(README).splitlines()) <= MOST_LINES


def test_readme_names_in_the_first_screen_what_the_project_is_not() -> None:
    first = " ".join(text_of(README).splitlines()[:FIRST_SCREEN])

    assert "**What does not:** files, vector stores, `file_search` and `code_interpreter`" in first


def test_readme_links_to_each_page() -> None:
    assert set(pages()) - {README} - set(links_of(README)) == set()


@pytest.mark.parametrize("page", pages())
def test_each_link_of_a_page_has_a_target(page: str) -> None:
    folder = (ROOT / page).parent
    missing = []
    for link in links_of(page):
        file, _, anchor = link.partition("#")
        if link.startswith(("https://", "http://")):
            continue
        target = (folder / file).resolve() if file else ROOT / page
        if not target.is_file() or (anchor and anchor not in anchors_of(str(target.relative_to(ROOT)))):
            missing.append(link)

    assert missing == []


def test_each_word_that_people_search_for_is_a_heading() -> None:
    assert set(SEARCHED) - {each for page in pages() for each in headings_of(page)} == set()
