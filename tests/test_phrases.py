"""No text that people read holds a phrase of `phrases.txt`; so a search for the usual term finds what it names.

Must not be here: the phrases themselves.
"""

from __future__ import annotations

import ast
import re
import subprocess
import tokenize
from functools import cache
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import click
import pytest

from gateway.cli.commands import main

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

pytestmark = pytest.mark.uncounted  # nothing of the program runs but its help

_ROOT: Final = Path(__file__).parents[1]
_LIST: Final = Path(__file__).with_name("phrases.txt")
_ABOUT_PHRASES: Final = {_LIST, Path(__file__)}
EVERYWHERE: Final = "everywhere"
FOR_READERS: Final = "where people read"


class Phrase(NamedTuple):
    """A phrase, and what to say instead of it."""

    pattern: re.Pattern[str]
    instead: str


class Text(NamedTuple):
    """A text, and where it begins."""

    file: str
    line: int
    text: str


def _phrases(part: str) -> list[Phrase]:
    lines = _LIST.read_text(encoding="utf-8").splitlines()
    begin = lines.index(f"[{part}]") + 1
    end = next((n for n in range(begin, len(lines)) if lines[n].startswith("[")), len(lines))
    pairs = [line.split("\t") for line in lines[begin:end] if line]
    return [Phrase(re.compile(text.replace(" ", r"\s+"), re.IGNORECASE), instead) for text, instead in pairs]


def found(texts: Iterable[Text], phrases: Sequence[Phrase]) -> list[str]:
    """Name each phrase that a text holds: the file and the line, and what to say instead."""
    any_phrase = _any(phrases)
    return [
        f"{text.file}:{text.line + text.text.count(chr(10), 0, match.start())}: "
        f"{' '.join(match[0].split())!r}; say instead: {phrase.instead}"
        for text in texts
        if any_phrase.search(text.text)
        for phrase in phrases
        for match in phrase.pattern.finditer(text.text)
    ]


def _files(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=_ROOT, capture_output=True, check=True)  # noqa: S607
    paths = [_ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file() and "built" not in path.parts and path not in _ABOUT_PHRASES]


def _name(path: Path) -> str:
    return path.relative_to(_ROOT).as_posix()


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def messages_of(path: Path) -> Iterator[Text]:
    """Give the sentences that a source can show or log: its strings of several words that are no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and _is_docstring(node)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and " " in node.value.strip()
            and id(node) not in docstrings
        ):
            yield Text(_name(path), node.lineno, node.value)


def remarks_of(path: Path) -> Iterator[Text]:
    """Give docstrings, comments and the names of tests as words."""
    source = path.read_text(encoding="utf-8")
    for node in _statements(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield Text(_name(path), node.lineno, node.value.value)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield Text(_name(path), node.lineno, node.name.replace("_", " "))
    for token in tokenize.generate_tokens(StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Text(_name(path), token.start[0], token.string)


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk the statements alone, which are a tenth of a tree."""
    for field in ("body", "orelse", "handlers", "finalbody", "cases"):
        for node in getattr(tree, field, ()):
            yield node
            yield from _statements(node)


def may_hold(path: Path, phrases: Sequence[Phrase]) -> bool:
    """Say whether a phrase is anywhere in a source, as it stands or as words; to read only its remarks takes longer."""
    source = path.read_text(encoding="utf-8")
    any_phrase = _any(phrases)
    return any(any_phrase.search(text) for text in (source, source.replace("_", " ")))


def _any(phrases: Sequence[Phrase]) -> re.Pattern[str]:
    return re.compile("|".join(phrase.pattern.pattern for phrase in phrases), re.IGNORECASE)


def helps(command: click.Command, name: str) -> Iterator[Text]:
    """Give what `--help` prints for a command and the commands below it."""
    context = click.Context(command, info_name=name)
    yield Text(f"{name} --help", 1, command.get_help(context))
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            below = command.get_command(context, each)
            assert below is not None
            yield from helps(below, f"{name} {each}")


@cache
def _documents() -> list[Text]:
    files = _files("*.md", "deploy/*", "schema.graphql", "gateway/rest/openapi.json", "gateway/**/*.html")
    return [Text(_name(path), 1, path.read_text(encoding="utf-8")) for path in files]


@cache
def _messages() -> list[Text]:
    return [text for path in _files("gateway/*.py", "gateway/**/*.py") for text in messages_of(path)]


@cache
def _sources() -> list[Path]:
    files = _files("gateway/*.py", "gateway/**/*.py", "tests/*.py", "tests/**/*.py", "bench/*.py", "bench/**/*.py")
    return [*files, *_files("migrations/**/*.py")]


def test_all_kinds_of_text_are_searched() -> None:
    files = {text.file for texts in (_documents(), helps(main, "gateway"), _messages()) for text in texts}
    files.update(map(_name, _sources()))

    assert files >= {
        "README.md",
        "schema.graphql",
        "gateway/rest/openapi.json",
        "gateway keys create --help",
        "gateway/errors.py",
        "tests/test_layers.py",
    }


def test_documents_contain_no_listed_phrase() -> None:
    assert found(_documents(), [*_phrases(EVERYWHERE), *_phrases(FOR_READERS)]) == []


def test_help_texts_contain_no_listed_phrase() -> None:
    assert found(helps(main, "gateway"), [*_phrases(EVERYWHERE), *_phrases(FOR_READERS)]) == []


def test_messages_contain_no_listed_phrase() -> None:
    assert found(_messages(), [*_phrases(EVERYWHERE), *_phrases(FOR_READERS)]) == []


def test_docstrings_comments_and_test_names_contain_no_listed_phrase() -> None:
    phrases = _phrases(EVERYWHERE)
    suspects = [path for path in _sources() if may_hold(path, phrases)]

    assert found((text for path in suspects for text in remarks_of(path)), phrases) == []


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        pytest.param('raise Error(f"It lets {who}\\n in.")', [], id="a phrase that a value interrupts"),
        pytest.param('log.info("it lets them in")', ["a.py:1: 'lets them in'; say instead: allow"], id="a message"),
        pytest.param(
            'x = 1\n"""Everybody\nis let\n in."""', ["a.py:3: 'is let in'; say instead: allow"], id="a string"
        ),
        pytest.param("x = 1  # it lets in all", ["a.py:1: 'lets in'; say instead: allow"], id="a comment"),
        pytest.param("def test_it_lets_in_all(): ...", ["a.py:1: 'lets in'; say instead: allow"], id="a test's name"),
        pytest.param("lets_in = 1", [], id="another name"),
    ],
)
def test_a_phrase_is_found_with_its_place(
    source: str, faults: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}._ROOT", tmp_path)
    file = tmp_path / "a.py"
    file.write_text(source, encoding="utf-8")
    phrase = Phrase(re.compile(r"\b(lets (\w+ )?in|is\s+let\s+in)\b"), "allow")

    another = Phrase(re.compile("not found"), "")
    texts = (text for texts in (messages_of(file), remarks_of(file)) for text in texts)

    assert found(texts, [another, phrase]) == faults
    assert may_hold(file, [another, phrase]) or not faults


def test_the_advice_for_a_phrase_does_not_repeat_it() -> None:
    for phrase in [*_phrases(EVERYWHERE), *_phrases(FOR_READERS)]:
        assert phrase.instead.strip()
        assert found([Text("a", 1, phrase.instead)], [phrase]) == []
