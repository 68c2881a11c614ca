"""GraphiQL as it is served: the page, its policy, its files, and the page without a build."""

from __future__ import annotations

import gzip
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import httpx
import pytest
from graphql import OperationDefinitionNode, build_schema, parse, validate
from graphql.execution.values import get_variable_values

from gateway.app import serve_store
from gateway.graphql.schema.build import print_schema
from gateway.graphql.transport.explorer import BUILT
from gateway.store.store import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_SOURCES = BUILT.parent
_BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
_INDEX = '<!doctype html><script type="module" src="graphql/assets/main-ABC.js"></script>'


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """Make a folder as the build leaves it, with small files in it."""
    folder = tmp_path / "built"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(_INDEX)
    (folder / "assets" / "main-ABC.js").write_text("export {};")
    (folder / "assets" / "main-ABC.js.gz").write_bytes(gzip.compress(b"export {};"))
    (folder / "assets" / "main-ABC.css").write_text("body {}")
    (folder / "assets" / "icons-ABC.ttf").write_bytes(b"\0\1")
    return folder


@pytest.fixture
async def http(sqlite_url: str, built: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Call the application, which has its GraphiQL in `built`."""
    store = open_store(sqlite_url)
    transport = httpx.ASGITransport(serve_store(store, graphiql=built))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client
    await store.close()


async def test_browser_gets_the_built_page(http: httpx.AsyncClient) -> None:
    answer = await http.get("/graphql", headers=_BROWSER)

    assert (answer.status_code, answer.text) == (200, _INDEX)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("prefix", ["", "/chat"])
@pytest.mark.parametrize("path", ["/graphql", "/graphql/"])
async def test_page_finds_its_files_under_any_path_of_a_proxy(http: httpx.AsyncClient, prefix: str, path: str) -> None:
    page = (await http.get(path, headers=_BROWSER)).text

    [source] = re.findall('src="([^"]+)"', page)
    assert urljoin(f"https://example.com{prefix}{path}", source) == (
        f"https://example.com{prefix}/graphql/assets/main-ABC.js"
    )


async def test_page_is_revalidated_and_varies_by_accept(http: httpx.AsyncClient) -> None:
    headers = (await http.get("/graphql", headers=_BROWSER)).headers

    assert (headers["cache-control"], headers["vary"]) == ("no-cache", "accept")


async def test_content_security_policy_has_no_foreign_host(http: httpx.AsyncClient) -> None:
    headers = (await http.get("/graphql", headers=_BROWSER)).headers

    policy = dict(each.split(" ", 1) for each in headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "worker-src": "'self'",
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data:",
        "font-src": "data:",
        "connect-src": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("main-ABC.js", "text/javascript; charset=utf-8"),
        ("main-ABC.css", "text/css; charset=utf-8"),
        ("icons-ABC.ttf", "application/octet-stream"),
    ],
)
async def test_asset_is_immutable(http: httpx.AsyncClient, built: Path, name: str, media_type: str) -> None:
    answer = await http.get(f"/graphql/assets/{name}")

    assert (answer.status_code, answer.content) == (200, (built / "assets" / name).read_bytes())
    assert answer.headers["content-type"] == media_type
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("accepted", "is_compressed"),
    [
        pytest.param("gzip, deflate, br, zstd", True, id="as browsers do"),
        pytest.param("*", True, id="anything"),
        pytest.param("gzip;q=0.1", True, id="a little"),
        pytest.param("", False, id="nothing"),
        pytest.param("identity", False, id="as it is"),
        pytest.param("br, zstd", False, id="others"),
        pytest.param("gzip;q=0, *", False, id="all but this"),
    ],
)
async def test_asset_is_compressed_if_accepted(
    http: httpx.AsyncClient, built: Path, accepted: str, *, is_compressed: bool
) -> None:
    async with http.stream("GET", "/graphql/assets/main-ABC.js", headers={"accept-encoding": accepted}) as answer:
        raw = b"".join([each async for each in answer.aiter_raw()])

    sent = built / "assets" / ("main-ABC.js.gz" if is_compressed else "main-ABC.js")
    assert raw == sent.read_bytes()
    assert answer.headers.get("content-encoding") == ("gzip" if is_compressed else None)
    assert answer.headers["content-length"] == str(len(raw))
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["vary"] == "accept-encoding"


async def test_asset_without_compressed_file_is_sent_uncompressed(http: httpx.AsyncClient) -> None:
    answer = await http.get("/graphql/assets/icons-ABC.ttf", headers={"accept-encoding": "gzip"})

    assert (answer.content, answer.headers.get("content-encoding")) == (b"\0\1", None)


@pytest.mark.parametrize(
    "path",
    [
        "/graphql/assets/other.js",
        "/graphql/assets/main-ABC.js.gz",
        "/graphql/assets",
        "/graphql/assets/deeper/main-ABC.js",
        "/graphql/assets/..%2findex.html",
        "/graphql/assets/%2e%2e%2findex.html",
        "/graphql/index.html",
    ],
)
async def test_unknown_asset_has_the_error_of_unknown_urls(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)

    assert answer.status_code == 404
    assert answer.json()["error"]["message"].startswith("Invalid URL (GET /graphql/")


async def test_deleted_asset_is_404(http: httpx.AsyncClient, built: Path) -> None:
    for file in (built / "assets").glob("main-ABC.js*"):
        file.unlink()

    assert (await http.get("/graphql/assets/main-ABC.js")).status_code == 404


@pytest.mark.parametrize("path", ["/graphql/assets/main-ABC.js", "/"])
async def test_wrong_method_has_the_error_envelope(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.post(path)

    assert answer.status_code == 405
    assert answer.json()["error"]["message"] == f"Invalid method for URL (POST {path})"
    assert {each.strip() for each in answer.headers["allow"].split(",")} == {"GET", "HEAD"}


async def test_page_without_bundle_explains_the_build(http: httpx.AsyncClient, built: Path) -> None:
    (built / "index.html").unlink()
    bare = httpx.ASGITransport(serve_store(open_store("sqlite:///none.db"), graphiql=built))
    async with httpx.AsyncClient(transport=bare, base_url="http://threads.test") as client:
        answer = await client.get("/graphql", headers=_BROWSER)

    assert answer.status_code == 200
    assert "pip install -v --force-reinstall --no-deps ." in answer.text
    assert "curl http://threads.test/graphql" in answer.text
    assert (
        answer.headers["content-security-policy"]
        == (await http.get("/graphql", headers=_BROWSER)).headers["content-security-policy"]
    )


async def test_link_with_query_opens_graphiql(http: httpx.AsyncClient) -> None:
    answer = await http.get("/graphql", params={"query": "{ __typename }"}, headers=_BROWSER)

    assert (answer.status_code, answer.text) == (200, _INDEX)


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/json, text/html;q=0.1"])
async def test_get_with_query_is_executed(http: httpx.AsyncClient, accept: str) -> None:
    headers = {"accept": accept, "sec-fetch-site": "none"}

    answer = await http.get("/graphql", params={"query": "{ __typename }"}, headers=headers)

    assert answer.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize("file", sorted((_SOURCES / "examples").glob("*.graphql")), ids=lambda file: file.stem)
def test_example_is_valid(file: Path) -> None:
    schema = build_schema(print_schema())
    document = parse(file.read_text())
    variables = file.with_suffix(".variables.json")
    given: dict[str, Any] = json.loads(variables.read_text()) if variables.is_file() else {}

    [operation] = document.definitions
    assert validate(schema, document) == []
    assert isinstance(operation, OperationDefinitionNode)
    assert not isinstance(get_variable_values(schema, operation.variable_definitions or (), given), list)
    assert f"./examples/{file.name}" in (_SOURCES / "main.jsx").read_text()


def test_lock_file_has_digests_and_no_urls() -> None:
    packages = json.loads((_SOURCES / "package-lock.json").read_text())["packages"]

    assert {name for name, package in packages.items() if name and "integrity" not in package} == set()
    assert {name for name, package in packages.items() if "resolved" in package} == set()


@pytest.mark.skipif(not (BUILT / "index.html").is_file(), reason="GraphiQL was not built in this checkout")
def test_built_page_references_only_own_files() -> None:
    named = re.findall(r'(?:src|href)="([^"]+)"', (BUILT / "index.html").read_text())

    files = [url for url in named if not url.startswith("data:")]
    assert files != []
    assert {url for url in files if not (BUILT / "assets" / url.removeprefix("graphql/assets/")).is_file()} == set()
