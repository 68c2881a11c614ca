"""The files of docs/graphql.md and docs/sidebar.md, written to a folder as a frontend developer would."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gateway.graphql.schema.build import print_schema
from tests.clients.node import CLIENTS, run
from tests.docs.blocks import blocks_of

if TYPE_CHECKING:
    from pathlib import Path

PAGES: Final = ("docs/graphql.md", "docs/sidebar.md")
_PLACE: Final = "127.0.0.1:8000"
_RETRY: Final = "retryAttempts: Infinity"
_SOON: Final = "{0}: () => new Promise((resolve) => setTimeout(resolve, 50))"
_PAUSES: Final = ", ".join(_SOON.format(name) for name in ("retry", "retryWait"))  # of graphql-sse, and of graphql-ws
_RELAY: Final = CLIENTS / "node_modules" / "relay-compiler" / "cli.js"


def files() -> dict[str, str]:
    """Take the files that the pages show, each by its name."""
    return {block.file_name: block.text for page in PAGES for block in blocks_of(page) if block.file_name}


def lay_out(folder: Path, base_url: str) -> Path:
    """Write the files for a server, let clients connect again soon, and give the folder."""
    for name, text in files().items():
        told = text.replace(_PLACE, base_url.removeprefix("http://")).replace(_RETRY, f"{_RETRY}, {_PAUSES}")
        (folder / name).write_text(told)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(CLIENTS / "node_modules")
    return folder


def compile_relay(folder: Path) -> None:
    """Run Relay's compiler, and put what it makes in place of its tags, as plugins for Babel, SWC and Vite do."""
    made = folder / "__generated__"
    made.mkdir()
    (folder / "schema.graphql").write_text(print_schema())
    (folder / "anywhere.js").write_text(_opened_anywhere(files()["history.js"]))
    run(_RELAY, "relay.config.json", cwd=folder)
    for file in made.iterdir():  # bundlers find files without their endings, Node.js does not
        file.write_text(re.sub(r"from '(\./\w+\.graphql)'", r"from '\1.js'", file.read_text()))
    for file in (folder / "history.js", folder / "anywhere.js", folder / "inbox.js"):
        compiled = r'(await import("./__generated__/\1.graphql.js")).default'
        file.write_text(re.sub(r"graphql`\s*\w+ (\w+)[^`]*`", compiled, file.read_text()))


def _opened_anywhere(history: str) -> str:
    """Make the list that the page opens at its end one that is opened wherever its variables say."""
    given = "first: $first, after: $after, last: $last, before: $before"
    taken = "$threadId: ID!, $first: Int, $after: String, $last: Int, $before: String"
    for old, new in (
        ("history", "anywhere"),
        ("last: 50", given),
        ("$threadId: ID!) {\n    thread", f"{taken}) {{\n    thread"),
    ):
        assert old in history
        history = history.replace(old, new)
    return history
