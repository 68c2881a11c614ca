"""The cost of a model's call: as counted by the endpoint, else estimated from the input and output.

Without an estimate, budgets would not apply to endpoints that count nothing, and to interrupted answers.
Must not be here: who pays (`worker`), budgets (`auth.rate_limits`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from gateway.domain.run import usage_of

if TYPE_CHECKING:
    from gateway.runs.models.interface import ModelRequest, Usage

BYTES_OF_TOKEN: Final = 4  # of UTF-8: about the size of a token in English and most other languages


@dataclass(slots=True)
class Cost:
    """The cost of one call, which grows while the model answers.

    Units: `sent` and `said` are bytes of input and output.
    """

    sent: int = 0
    said: int = 0
    counted: Usage | None = None

    def begin(self, request: ModelRequest) -> None:
        """Count the input."""
        self.sent = len(orjson.dumps([*request.messages, *request.tools]))

    def add(self, text: str) -> None:
        """Count a piece of the output."""
        self.said += len(text.encode())

    def refuse(self) -> None:
        """Count nothing for a failure without output, which endpoints do not charge."""
        if not self.said:
            self.sent = 0

    def usage(self) -> dict[str, Any] | None:
        """Return the tokens in the format of a run's usage, or None before anything was sent."""
        counted = self.counted
        if counted is not None:
            cached, reasoning = counted.cached_tokens, counted.reasoning_tokens
            return usage_of(counted.prompt_tokens, counted.completion_tokens, cached, reasoning)
        return usage_of(-(-self.sent // BYTES_OF_TOKEN), -(-self.said // BYTES_OF_TOKEN)) if self.sent else None
