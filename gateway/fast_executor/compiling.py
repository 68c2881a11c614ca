"""How the source of a reader is written line by line, and when it is compiled: once for equal texts, as it is needed.

Compiling takes most of the time of a plan, and documents of one application often select the same parts.
Must not be here: what is generated (`codegen`).
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Final

from gateway.fast_executor.readers import NeedsExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType

    from gateway.fast_executor.readers import Read

_MAX_DEPTH: Final = 50  # of nested blocks; Python allows a hundred
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


class SourceWriter:
    """One function while it is written: its lines, its variables, and its global names."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.lines: list[str] = []
        self.variables: list[dict[str, str]] = [{}]  # by expression, for each enclosing block
        self._names = 0
        self._globals = names

    def function(self, result: str) -> Generated:
        """Finish the function with its result."""
        return Generated("\n".join(["def read(source, meter):", *self.lines, f" return {result}"]), self._globals)

    def line(self, line: str) -> None:
        """Write a line."""
        self.lines.append(" " * len(self.variables) + line)

    def bail_out_if(self, condition: str) -> None:
        """Write a check."""
        self.line(f"if {condition}: raise Bailout")

    @contextmanager
    def block(self, line: str) -> Iterator[None]:
        """Write the lines within as a block."""
        if len(self.variables) == _MAX_DEPTH:
            raise NeedsExecutor
        self.line(line)
        self.variables.append({})
        yield
        self.variables.pop()

    def name(self) -> str:
        """Make the name of a variable."""
        self._names += 1
        return f"v{self._names}"

    def assign(self, expression: str) -> str:
        """Assign an expression to a variable of its own."""
        name = self.name()
        self.line(f"{name} = {expression}")
        return name

    def constant(self, value: Any) -> str:
        """Make a value a global name."""
        name = f"k{len(self._globals)}"
        self._globals[name] = value
        return name


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
