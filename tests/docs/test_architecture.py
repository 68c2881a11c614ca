"""docs/architecture.md names files and names that exist."""

from __future__ import annotations

import ast
import re
from typing import Final
from xml.etree import ElementTree as ET

import pytest

from tests.docs.blocks import text_of
from tests.live.server import ROOT

PAGE: Final = "docs/architecture.md"
TEXT: Final = text_of(PAGE)
QUESTIONS: Final = re.findall(
    r"^\| (Where [^|]+\?) \| `([^`]+)` \| `([^`]+)` \|$", TEXT.partition("## Where is what?")[2], re.MULTILINE
)
PATHS: Final = sorted(set(re.findall(r"`((?:gateway|tests|store|rest|graphql|core|migrations)/[\w./]*)`", TEXT)))
LAYERS: Final = re.findall(r"^\| `gateway/(\w+)(?:/|\.py)` \|", TEXT, re.MULTILINE)


def defined_in(source: str) -> set[str]:
    """Name the functions, methods, classes and constants that a module defines."""
    names = set[str]()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign | ast.Assign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names.update(each.id for each in targets if isinstance(each, ast.Name))
    return names


def test_there_are_ten_questions() -> None:
    assert len(QUESTIONS) == 10


@pytest.mark.parametrize(("question", "file", "name"), QUESTIONS, ids=[each[0] for each in QUESTIONS])
def test_the_answer_to_a_question_defines_the_name(question: str, file: str, name: str) -> None:
    assert name in defined_in((ROOT / file).read_text(encoding="utf-8")), question


def test_each_path_that_is_named_exists() -> None:
    missing = [path for path in PATHS if not (ROOT / path).exists() and not (ROOT / "gateway" / path).exists()]

    assert PATHS
    assert missing == []


def test_the_table_of_layers_has_each_package() -> None:
    packages = {each.parent.name for each in (ROOT / "gateway").glob("*/__init__.py")}

    assert packages <= set(LAYERS)


def test_the_drawing_names_packages_that_exist() -> None:
    texts = [each.text or "" for each in ET.parse(ROOT / "docs" / "architecture.svg").iter()]  # noqa: S314  (ours)

    named = {name for text in texts for name in re.findall(r"(\w+)/(?:\s|$)", text)}
    assert named >= {"rest", "graphql", "core", "store"}
    assert [name for name in named if not (ROOT / "gateway" / name).is_dir()] == []
