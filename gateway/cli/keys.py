"""The commands `keys create`, `list`, `revoke` and `rotate`: do it, and report to the operator.

Only the secret goes to standard output, so that it can be piped; messages go to standard error.
Must not be here: flags (`commands`), which keys are valid (`core.api_keys`).
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from gateway.cli.new_project import report_new_project
from gateway.cli.open_store import run_with_store
from gateway.core import api_keys, projects
from gateway.domain.ids import other_id
from gateway.domain.printable import printable

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.domain.api_key import ApiKey, NewApiKey

_PIPED_WIDTH: Final = 200


def run_create(database_url: str, new: NewApiKey) -> None:
    """Create a key and print its secret.

    Errors: DatabaseBehind; Unavailable.
    """

    async def work(store: Store) -> tuple[list[str] | None, tuple[ApiKey, str]]:
        return await projects.others_if_new(store, new.project_id), await api_keys.create(store, new)

    others, made = run_with_store(database_url, work)
    _print_secret(*made)
    report_new_project(new.project_id, others)


def run_rotate(database_url: str, key_id: str, grace_s: int) -> None:
    """Replace a key by a new one and print its secret.

    Errors: NotFound; DatabaseBehind; Unavailable.
    """
    found = _parse_id(key_id)
    _print_secret(*run_with_store(database_url, lambda store: api_keys.rotate(store, found, grace_s)))


def run_revoke(database_url: str, key_id: str) -> None:
    """Revoke a key.

    Errors: NotFound; DatabaseBehind; Unavailable.
    """
    found = _parse_id(key_id)
    run_with_store(database_url, lambda store: api_keys.revoke(store, found))
    click.echo(f"{key_id} is revoked.", err=True)


def _parse_id(text: str) -> str:
    return other_id("key", "key", text)  # an argument that is not UTF-8 cannot be sent to a database


def run_list(database_url: str) -> None:
    """List all keys.

    Errors: DatabaseBehind; Unavailable.
    """
    found = run_with_store(database_url, api_keys.list_all)
    if not found:
        click.echo("There are no API keys. Create one with: gateway keys create", err=True)
        return
    from rich.console import Console  # noqa: PLC0415  (other commands draw no tables)
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None)
    for title in ("id", "project", "scopes", "name", "ends in", "created", "expires", "last used", "state"):
        table.add_column(title, no_wrap=title in ("id", "ends in"))
    for key in found:
        table.add_row(*(Text(printable(cell)) for cell in _cells(key)))  # earlier versions did not check names
    console = Console()
    console.width = console.width if console.is_terminal else _PIPED_WIDTH
    console.print(table)


def _print_secret(key: ApiKey, secret: str) -> None:
    ends = "" if key.expires_at is None else f", until {_time(key.expires_at)}"
    scopes = " and ".join(sorted(key.scopes))
    click.echo(f"{key.id}: {scopes} access to project '{key.project_id}'{ends}.", err=True)
    click.echo("Store the secret now; it is not stored here and cannot be shown again:", err=True)
    click.echo(secret)


def _cells(key: ApiKey) -> tuple[str, ...]:
    expires = "never" if key.expires_at is None else _time(key.expires_at)
    used = "never" if key.last_used_at is None else _time(key.last_used_at)
    scopes = ",".join(sorted(key.scopes))
    return key.id, key.project_id, scopes, key.name, key.hint, _time(key.created_at), expires, used, _state(key)


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "valid" if key.is_active(time.time()) else "expired"


def _time(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%d %H:%M")
