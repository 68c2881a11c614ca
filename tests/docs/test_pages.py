"""Every block of README.md and docs/ is executed or compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs.blocks import Block, all_blocks, blocks_of, pages
from tests.docs.kinds import KINDS, kind_of
from tests.docs.session import Session
from tests.live.nursery import CAN_FORK
from tests.live.server import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WITH_BLOCKS = [page for page in pages() if any(kind.execute for kind in map(kind_of, blocks_of(page)) if kind)]


def test_every_block_has_an_executor() -> None:
    blocks = all_blocks()

    assert blocks
    assert [str(block) for block in blocks if kind_of(block) is None] == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.execute], ids=lambda kind: kind.name)
def test_an_executor_elsewhere_exists(kind: object) -> None:
    assert (ROOT / getattr(kind, "executed", "")).is_file()


def test_a_block_of_an_unknown_kind_has_no_executor() -> None:
    assert kind_of(Block("README.md", 1, "cobol", "STOP RUN.", "")) is None


@pytest.mark.timeout(300)  # each starts a dozen programs
@pytest.mark.uncounted
@pytest.mark.usefixtures("node_clients")
@pytest.mark.parametrize("page", WITH_BLOCKS)
def test_the_blocks_of_a_page_work_as_documented(
    page: str, tmp_path: Path, new_postgres_url: Callable[[], str]
) -> None:
    # What README.md starts is started as its readers do, though that takes a second each time.
    is_at_hand = CAN_FORK and page != "README.md"
    with Session(tmp_path, new_postgres_url, is_at_hand=is_at_hand) as session:
        for block in blocks_of(page):
            kind = kind_of(block)
            assert kind
            try:
                if kind.execute:
                    kind.execute(session, block)
            except BaseException as error:
                error.add_note(f"{kind.name}: {block}")
                raise
