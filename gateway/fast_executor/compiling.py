"""When the source of a reader is compiled: once for equal short texts, and seldom ones when they are first needed.

To compile takes most of the time of a plan, and documents of one application select the same parts again and again.
Must not be here: what is generated (`codegen`).
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

    from gateway.fast_executor.readers import Read

_KEPT: Final = 128  # texts, with their code 20 KB each at most
_SHORT: Final = 2_000  # characters


class Generated:
    """The source of a function `read` with its global names, compiled when it is first needed."""

    def __init__(self, text: str, names: dict[str, Any]) -> None:
        self._text = text
        self._names = names

    @cached_property
    def read(self) -> Read:
        """The function."""
        code = _short_code(self._text) if len(self._text) <= _SHORT else _code(self._text)
        exec(code, self._names)  # noqa: S102  (its parts: see `codegen`)
        read: Read = self._names["read"]
        return read


def _code(text: str) -> CodeType:
    code: CodeType = compile(text, "<reader>", "exec")
    return code


_short_code: Final = lru_cache(_KEPT)(_code)


class Later:
    """A reader that is generated when it is first called."""

    def __init__(self, generate: Callable[[], Read]) -> None:
        self._generate = generate
        self._read: Read | None = None

    def __call__(self, source: Any, meter: Any) -> Any:
        """Read a value."""
        if self._read is None:
            self._read = self._generate()
        return self._read(source, meter)
