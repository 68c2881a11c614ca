"""What a call of a model costs: as its endpoint counts it, else as estimated from what it was sent and has said.

Without an estimate, budgets would not hold for endpoints that count nothing, and for answers that are broken off.
Must not be here: who pays (`worker`), budgets (`auth.rate_limits`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from gateway.runs.models.interface import ModelRequest, Usage

BYTES_OF_TOKEN: Final = 4  # of UTF-8: about what a token of English has, and of most other languages


@dataclass(slots=True)
class Cost:
    """The cost of one call, which grows while the model answers.

    Units: `sent` and `said` are in bytes.
    """

    sent: int = 0
    said: int = 0
    counted: Usage | None = None

    def begin(self, request: ModelRequest) -> None:
        """Count what a model is sent."""
        self.sent = len(orjson.dumps([*request.messages, *request.tools]))

    def add(self, text: str) -> None:
        """Count what it says."""
        self.said += len(text.encode())

    def refuse(self) -> None:
        """Count nothing where it has failed before it said anything, since endpoints take nothing for that."""
        if not self.said:
            self.sent = 0

    def usage(self) -> dict[str, Any] | None:
        """Return the tokens as a run has them, or None before anything was sent."""
        counted = self.counted
        if counted is not None:
            cached, reasoning = counted.cached_tokens, counted.reasoning_tokens
            return _usage(counted.prompt_tokens, counted.completion_tokens, cached, reasoning)
        return _usage(-(-self.sent // BYTES_OF_TOKEN), -(-self.said // BYTES_OF_TOKEN)) if self.sent else None


def _usage(prompt: int, completion: int, cached: int = 0, reasoning: int = 0) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_token_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
