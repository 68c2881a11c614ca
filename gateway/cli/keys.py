"""The commands `keys create`, `list`, `revoke` and `rotate`: do it, and tell the operator.

A secret is all that goes to standard output, so that it can be piped; what is said about it goes beside it.
Must not be here: flags (`commands`), what makes a key good (`core.api_keys`).
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import click

from gateway.core import api_keys
from gateway.domain.printable import printable
from gateway.store.schema.ready import make_ready
from gateway.store.store import opened_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.core import Store
    from gateway.domain.api_key import ApiKey, NewApiKey

T = TypeVar("T")
_PIPED_WIDTH = 200


def run_create(database_url: str, new: NewApiKey) -> None:
    """Make a key and show its secret.

    Errors: DatabaseBehind; Unavailable.
    """
    _show_once(*_with_store(database_url, lambda store: api_keys.create(store, new)))


def run_rotate(database_url: str, key_id: str, grace_s: int) -> None:
    """Make a key in the place of another and show its secret.

    Errors: NotFound; DatabaseBehind; Unavailable.
    """
    _show_once(*_with_store(database_url, lambda store: api_keys.rotate(store, key_id, grace_s)))


def run_revoke(database_url: str, key_id: str) -> None:
    """End a key.

    Errors: NotFound; DatabaseBehind; Unavailable.
    """
    _with_store(database_url, lambda store: api_keys.revoke(store, key_id))
    click.echo(f"{key_id} lets nobody in any more.", err=True)


def run_list(database_url: str) -> None:
    """Show all keys.

    Errors: DatabaseBehind; Unavailable.
    """
    found = _with_store(database_url, api_keys.list_all)
    if not found:
        click.echo("There are no keys. Make one with: gateway keys create", err=True)
        return
    # A server that starts asks here whether there are keys, and draws no tables.
    from rich.console import Console  # noqa: PLC0415  (as said above)
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None)
    for title in ("id", "project", "scopes", "name", "ends in", "made", "expires", "last used", "state"):
        table.add_column(title, no_wrap=title in ("id", "ends in"))
    for key in found:
        table.add_row(*(Text(printable(cell)) for cell in _told(key)))  # names of before were not checked
    console = Console()
    console.width = console.width if console.is_terminal else _PIPED_WIDTH
    console.print(table)


def _show_once(key: ApiKey, secret: str) -> None:
    ends = "" if key.expires_at is None else f", until {_time(key.expires_at)}"
    scopes = " and ".join(sorted(key.scopes))
    click.echo(f"{key.id}: may {scopes} the threads of project '{key.project_id}'{ends}.", err=True)
    click.echo("This is its secret. Keep it now: it is not kept here, and cannot be shown again.", err=True)
    click.echo(secret)


def _told(key: ApiKey) -> tuple[str, ...]:
    expires = "never" if key.expires_at is None else _time(key.expires_at)
    used = "never" if key.last_used_at is None else _time(key.last_used_at)
    scopes = ",".join(sorted(key.scopes))
    return key.id, key.project_id, scopes, key.name, key.hint, _time(key.created_at), expires, used, _state(key)


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "good" if key.is_active(time.time()) else "expired"


def _time(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%d %H:%M")


def _with_store(database_url: str, work: Callable[[Store], Awaitable[T]]) -> T:
    async def run() -> T:
        await make_ready(database_url)
        async with opened_store(database_url) as store:
            return await work(store)

    return asyncio.run(run())
