"""The routes beside the faces, such as health probes; each is read by GET.

Must not be here: what they answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.errors import WrongMethod, excerpt
from gateway.web.request import display_path

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from gateway.web.request import Answer, Request

    Endpoint = Callable[[Request], Awaitable[Answer]]

_NAME: Final = "/{name}"


class Pages:
    """The pages by their paths; one that ends with `{name}` stands for all paths with one more segment."""

    def __init__(self, pages: Mapping[str, Endpoint]) -> None:
        self._pages = {path: page for path, page in pages.items() if not path.endswith(_NAME)}
        self._folders = {path.removesuffix(_NAME): page for path, page in pages.items() if path.endswith(_NAME)}

    def find(self, request: Request) -> Awaitable[Answer] | None:
        """Start to answer a request; None if there is no such page.

        Errors: WrongMethod.
        """
        route, page = request.path, self._pages.get(request.path)
        if page is None:
            folder, _, name = request.path.rpartition("/")
            route, page = folder + _NAME, self._folders.get(folder)
            request.path_params = {"name": name}
        if page is None:
            return None
        request.record.route = route
        if request.method not in ("GET", "HEAD"):
            message = f"Invalid method for URL ({request.method} {excerpt(display_path(request.path))})"
            raise WrongMethod(message, allowed="GET, HEAD")
        return page(request)
