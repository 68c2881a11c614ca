"""Reasons of WebSocket closes: tools show only their beginning."""

from __future__ import annotations

import ast
import inspect
from typing import Final

import pytest

from gateway.graphql.transport import websocket
from gateway.graphql.transport.websocket import CloseCode, Closing

READ: Final = 60  # characters that are shown for sure
CLOSERS: Final = ("Closing", "_close", "close")


def reasons() -> list[str]:
    calls = [each for each in ast.walk(ast.parse(inspect.getsource(websocket))) if isinstance(each, ast.Call)]
    closing = [each for each in calls if getattr(each.func, "attr", getattr(each.func, "id", "")) in CLOSERS]
    given = [each.args[1] for each in closing if len(each.args) > 1]
    return [each.value for each in given if isinstance(each, ast.Constant) and isinstance(each.value, str)]


def test_source_has_close_reasons() -> None:
    assert len(reasons()) > 10


@pytest.mark.parametrize("reason", reasons())
def test_close_reason_is_clear_in_its_first_characters(reason: str) -> None:
    assert len(reason) <= READ


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        pytest.param("a" * 123, "a" * 123, id="as long as a frame holds"),
        pytest.param("ab " * 50, "ab " * 38 + "ab ...", id="between two words"),
        pytest.param("\u00e9" * 500, "\u00e9" * 59 + " ...", id="one word, of more bytes than characters"),
    ],
)
def test_long_close_reason_is_truncated(reason: str, told: str) -> None:
    cut = Closing(CloseCode.BAD_REQUEST, reason).reason

    assert cut == told
    assert len(cut.encode()) <= 123
