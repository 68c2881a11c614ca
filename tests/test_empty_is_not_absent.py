"""The law that `x or default` stands nowhere between a caller and the domain: it takes an empty text for nothing.

Apollo makes `""` of a null cursor, and graphql-ws writes `query: ""`; who means absent asks for None.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_GATEWAY: Final = Path(__file__).parents[1] / "gateway"
# All that reads what a caller has sent, but for who it is.
_DOORS: Final = ("rest/*.py", "graphql/*.py", "graphql/[!g]*/*.py", "domain/*.py")  # but no build script

_OURS: Final = "it was made here, not sent"
_NUMBER: Final = "it is a number, or unknown"
_HEADER: Final = "a header without a value says as much as none"
LET_THROUGH: Final[dict[str, str]] = {
    **dict.fromkeys(
        (
            "error.code or 'body_too_large'",
            "each.columns or {}",
            "error.extensions or {}",
            "media_type or JSON",
            "self.only or _ALL",
        ),
        _OURS,
    ),
    **dict.fromkeys(
        (
            "header or ''",
            "header or '*/*'",
            "headers.get('accept') or ''",
            "headers.get('content-type') or ''",
            "request.headers.get('content-type') or ''",
            "request.headers.get('host') or 'localhost'",
        ),
        _HEADER,
    ),
    **dict.fromkeys(("self.characters or 0", "delta.characters or 0", "self.next_start or 0"), _NUMBER),
    **dict.fromkeys(("self.activity_at or 0", "thread.activity_at or 0"), _NUMBER),
    "_valid(unread_max, fields.get('unreadCount'), 'max') or 0": _NUMBER,
    "payload or {}": "a connection_init without a payload has no credential, as one with an empty payload",
    "image.get('detail') or 'auto'": "it is read from what is stored",
    "raw.get('operationName') or None": "some clients send '' where a document has one operation; it is no id",
    "raw.get('variables') or {}": "it was found to be an object or null before",
    "extensions or {}": "the same",
}


def defaults(tree: ast.AST) -> Iterator[str]:
    """Find every `x or y` that ends in something that stands for nothing given: a literal, a constant, a new object.

    `x or ()` is allowed: to walk through no text is to walk through nothing.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) and _is_default(node.values[-1]):
            yield ast.unparse(node)


def _is_default(last: ast.expr) -> bool:
    if isinstance(last, ast.Call):
        return isinstance(last.func, ast.Name) and last.func.id[0].isupper()
    if isinstance(last, ast.Name):
        return last.id.isupper()
    return isinstance(last, ast.Constant | ast.Dict | ast.List)


def _found() -> dict[str, list[str]]:
    files = sorted(file for pattern in _DOORS for file in _GATEWAY.glob(pattern))
    return {file.relative_to(_GATEWAY).as_posix(): [*defaults(ast.parse(file.read_text("utf-8")))] for file in files}


def test_no_parser_treats_an_empty_text_as_absent() -> None:
    refused = {name: set(found) - set(LET_THROUGH) for name, found in _found().items()}

    assert {name: found for name, found in refused.items() if found} == {}


def test_every_exception_of_the_rule_exists() -> None:
    found = {each for all_of_one in _found().values() for each in all_of_one}

    assert set(LET_THROUGH) - found == set()


@pytest.mark.parametrize(
    ("source", "is_default"),
    [
        ("after or None", True),
        ("ctx.resume_after or after or None", True),
        ("limit or DEFAULT", True),
        ("first or 20", True),
        ("given or Options()", True),
        ("node.arguments or ()", False),
        ("cursor is None or is_known", False),
        ("found.has_more or beyond.before", False),
        ("graphql.find(request) or rest.find(request)", False),
    ],
)
def test_the_law_sees_a_default(source: str, *, is_default: bool) -> None:
    assert bool([*defaults(ast.parse(source))]) is is_default
