from __future__ import annotations

import pytest

from gateway.errors import WrongMethod
from gateway.observability.record import RequestRecord
from gateway.web.pages import Pages
from gateway.web.request import Answer, Headers, Request


async def _folder(request: Request) -> Answer:
    return Answer(request.path_params["name"].encode())


async def _page(_request: Request) -> Answer:
    return Answer(b"page")


PAGES = Pages({"/page": _page, "/files/{name}": _folder})


def _request(path: str, method: str = "GET") -> Request:
    async def receive() -> dict[str, str]:
        raise AssertionError

    return Request({}, receive, RequestRecord("request", "req_a", method), path, Headers([]), method)


@pytest.mark.parametrize(
    ("path", "content", "route"),
    [
        ("/page", b"page", "/page"),
        ("/files/a", b"a", "/files/{name}"),
        ("/files/{name}", b"{name}", "/files/{name}"),
    ],
)
async def test_page_is_found_by_its_path(path: str, content: bytes, route: str) -> None:
    request = _request(path)

    found = PAGES.find(request)

    assert found is not None
    assert await found == Answer(content)
    assert request.record.route == route


@pytest.mark.parametrize("path", ["/", "/files", "/files/a/b", "/other/a", "/page/a"])
def test_unknown_path_has_no_page_and_no_route(path: str) -> None:
    request = _request(path)

    assert PAGES.find(request) is None
    assert request.record.route == "-"


@pytest.mark.parametrize("method", ["POST", "OPTIONS", "get"])
def test_page_is_only_read(method: str) -> None:
    with pytest.raises(WrongMethod) as raised:
        PAGES.find(_request("/page", method))

    assert raised.value.allowed == "GET, HEAD"
