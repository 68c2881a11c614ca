"""The command `assistants import`: read the API's own objects, add them, report what was not added.

Must not be here: flags (`commands`), which fields an assistant has (`domain.parse_run`).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
import orjson

from gateway.cli.open_store import run_with_store
from gateway.core import assistants
from gateway.domain import bounds, parse_run
from gateway.domain.principal import KEY_SCOPES, Principal, Reach
from gateway.errors import InvalidRequest
from gateway.observability.audit import OPERATOR

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from gateway.core import Store


def run_import_assistants(database_url: str, project_id: str, source: BinaryIO) -> None:
    """Add the assistants of a file, and exit with 1 where one of them is invalid.

    Errors: DatabaseBehind; Unavailable.
    """
    who = Principal(Reach(project_id), KEY_SCOPES, OPERATOR)
    found, rejected = [], 0
    for number, raw in enumerate(_objects(source), 1):
        try:
            found.append(parse_run.stored_assistant(raw))
        except InvalidRequest as error:
            rejected += 1
            click.echo(f"object {number}: {error.message}", err=True)

    async def work(store: Store) -> int:
        return await assistants.add_all(store, who, found)

    added = run_with_store(database_url, work)
    known = len(found) - added
    click.echo(f"Imported: {added} assistants; {known} were there already, {rejected} were rejected.", err=True)
    if rejected:
        sys.exit(1)


def _objects(source: BinaryIO) -> Iterator[Any]:
    """Read objects from lines of JSON, or from one page or array of them."""
    text = source.read(bounds.LINE.number + 1)
    if len(text) > bounds.LINE.number:
        raise click.ClickException(f"The file has more than {bounds.LINE.number} bytes.")
    try:
        given = orjson.loads(text)
    except orjson.JSONDecodeError:
        for line in text.splitlines():
            if line.strip():
                yield _loaded(line)
        return
    if isinstance(given, dict) and given.get("object") == "list":
        given = given.get("data")
    yield from given if isinstance(given, list) else [given]


def _loaded(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
