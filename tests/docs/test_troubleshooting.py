"""docs/troubleshooting.md quotes messages as the program writes them."""

from __future__ import annotations

import ast
import errno
import os
import re
from typing import TYPE_CHECKING

import pytest

from gateway.store.files.server_lock import Holder
from tests.docs.blocks import text_of
from tests.laws import nodes
from tests.test_layers import _GATEWAY, _tree

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECTION = text_of("docs/troubleshooting.md").partition("## The server does not start")[2].partition("## ")[0]
QUOTED = re.findall(r"^\| `([^`]+)` \|", _SECTION, re.MULTILINE)


# Texts that are put together, or the system's.
_OTHERS = (str(Holder(1)), os.strerror(errno.EADDRINUSE))


def _texts() -> Iterator[str]:
    """List the texts of all modules, without docstrings."""
    yield from _OTHERS
    for path in _GATEWAY:
        tree = _tree(path)
        docstrings = {id(node.value) for node in nodes(tree) if isinstance(node, ast.Expr)}
        for node in nodes(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                yield node.value


@pytest.mark.parametrize("quoted", QUOTED)
def test_a_message_at_the_start_is_one_of_the_program(quoted: str) -> None:
    parts = [each.strip(" ,:_") for each in quoted.split("...")]
    written = [each for each in parts if each not in {"", "GATEWAY"}]

    assert written != []
    assert [each for each in written if not any(each.removeprefix("is ") in text for text in _texts())] == []
