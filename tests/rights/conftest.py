"""What these tests share: one served process for each module and each kind of database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.live.server import PATIENCE_S, serving
from tests.rights.serving import SECRETS, Served

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("rights")
    url = request.getfixturevalue(f"new_{request.param}_url")()
    with serving(url, folder=folder, given=SECRETS) as server, httpx.Client(timeout=PATIENCE_S) as http:
        yield Served(server, url, folder, http)


where_no_database_has_a_part = pytest.mark.parametrize("served", ["sqlite"], indirect=True)
