"""The page at `/graphql`: GraphiQL with its files, or a plain page that explains how to install it.

Must not be here: anything from a foreign host; how GraphiQL is built (`graphiql/build.py`).
"""

from __future__ import annotations

import asyncio
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.errors import UnknownUrl, excerpt
from gateway.graphql.transport.negotiation import accepts_gzip, wants_page
from gateway.web.request import Answer, as_headers, display_path

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from gateway.web.request import Request

BUILT: Final = Path(__file__).parents[1] / "graphiql" / "built"
ASSETS: Final = "/graphql/assets/{name}"

# Monaco, GraphiQL's editor, makes style elements while it runs, and its icons and fonts are `data:` in the style sheet.
# Source: Content Security Policy Level 3; 'self' in connect-src includes WebSockets to this server.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_PAGE: Final = {"content-security-policy": POLICY, "cache-control": "no-cache", "vary": "accept"}
# A worker is held to the policy of its own file. A name holds a digest of its content, so what it names never changes.
_ASSET: Final = {
    "content-security-policy": POLICY,
    "cache-control": "public, max-age=31536000, immutable",
    "vary": "accept-encoding",
}
_COMPRESSED: Final = {**_ASSET, "content-encoding": "gzip"}
_GZIP: Final = ".gz"  # what `graphiql/bundle.mjs` writes beside a file
# Written here, since browsers refuse a script with another type and the machine's own table may hold one.
_MEDIA_TYPES: Final[Mapping[str, bytes]] = {
    ".js": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
}

_FACES: Final = b"""Threads and messages, with two faces:

  /v1        REST: the base_url of an OpenAI SDK
  /graphql   GraphQL
"""

_PLAIN: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Threads: GraphQL</title>
<style>
  :root { color-scheme: light dark }
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem }
  pre { background: #8882; padding: 1rem; white-space: pre-wrap; overflow-wrap: anywhere; border-radius: 6px }
</style>
<h1>Threads and messages over GraphQL</h1>
<p>This is the endpoint: send queries here by POST, with any GraphQL client.</p>
<pre>curl http://HOST/graphql -H 'Content-Type: application/json' \\
  -d '{"query": "{ threads(first: 5) { nodes { id createdAt messages(last: 3) { nodes { role text } } } } }"}'</pre>
<p><code>gateway schema</code> prints the schema. The REST face is at <code>/v1/threads</code>.</p>
<h2>GraphiQL is not in this installation</h2>
<p>GraphiQL is built by npm during the installation, which was not possible. To install it, run this in a clone of the
repository, with npm and network access, and restart the server:</p>
<pre>pip install -v --force-reinstall --no-deps .</pre>
<p>If it fails again, see its output for the reason.</p>
</html>
"""


class Explorer:
    """GraphiQL as it was built into a folder; the list of files is read once, so no requested path is looked up."""

    def __init__(self, built: Path) -> None:
        index = built / "index.html"
        self._page = index.read_text("utf-8") if index.is_file() else None
        files = {file.name: file for file in (built / "assets").glob("*")}
        self._assets = {name: (file, files.get(name + _GZIP)) for name, file in files.items() if file.suffix != _GZIP}

    def page(self, request: Request) -> Answer:
        """Answer with the page, whose references are relative: a proxy may serve it under any path."""
        page = self._page or _PLAIN.replace("HOST", escape(request.headers.get("host") or "localhost"))
        if request.scope["raw_path"].endswith(b"/"):
            page = page.replace('"graphql/assets/', '"assets/')
        return Answer(page.encode(), media_type=b"text/html; charset=utf-8", headers=as_headers(_PAGE))

    async def asset(self, request: Request) -> Answer:
        """Answer with a file that the page needs.

        Errors: UnknownUrl.
        """
        unknown = UnknownUrl(f"Invalid URL ({request.method} {excerpt(display_path(request.path))})")
        file, compressed = self._assets.get(request.path_params["name"], (None, None))
        if file is None:
            raise unknown
        if not accepts_gzip(request.headers.get("accept-encoding")):
            compressed = None
        try:
            content = await asyncio.to_thread((compressed or file).read_bytes)
        except OSError:  # the package was reinstalled under a running server
            raise unknown from None
        media_type = _MEDIA_TYPES.get(file.suffix, b"application/octet-stream")
        return Answer(content, media_type=media_type, headers=as_headers(_COMPRESSED if compressed else _ASSET))


def root(*, has_page: bool) -> Callable[[Request], Awaitable[Answer]]:
    """Redirect a browser from `/` to the page, if there is one; answer other clients with the URLs of both APIs."""

    async def answer(request: Request) -> Answer:
        headers = {"vary": "accept"}
        if has_page and wants_page(request.method, request.headers):
            return Answer(b"", 307, b"", as_headers({"location": "graphql", **headers}))
        return Answer(_FACES, media_type=b"text/plain; charset=utf-8", headers=as_headers(headers))

    return answer
