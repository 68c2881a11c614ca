"""docs/limits.md lists the refusals of a connection."""

from __future__ import annotations

import pytest

from gateway.server import http_protocol
from tests.docs.blocks import text_of


@pytest.mark.parametrize(("status", "refused"), http_protocol.REFUSALS.items())
def test_each_refusal_of_a_connection_has_a_row(status: int, refused: tuple[str, str]) -> None:
    assert f"| {status:d} | `{refused[0]}` |" in text_of("docs/limits.md")
