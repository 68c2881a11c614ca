"""The command line: each command reads its settings, does its work, and reports an error as one message.

Must not be here: the work itself.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import click

from gateway.server.quick_imports import loading

with loading():
    from gateway.cli.options import GroupedCommand, settings_options
    from gateway.domain.api_key import duration, new_key, project_id
    from gateway.domain.parse import end_user
    from gateway.domain.principal import Reach
    from gateway.domain.printable import printable
    from gateway.errors import SEND_AGAIN, GatewayError
    from gateway.observability.log import audited
    from gateway.settings.load import load_settings, load_with_sources
    from gateway.settings.table import SETTINGS

_DATABASE = ("database_url",)
_KEYS = (*_DATABASE, "audit_log")
_SERVER = tuple(name for name in SETTINGS if SETTINGS[name].has_flag)


class ErrorReportingGroup(click.Group):
    """A group of commands that reports our errors as one message: no traceback, no control characters."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except GatewayError as error:
            message = error.message.removesuffix(SEND_AGAIN).rstrip()
            raise click.ClickException("\n".join(map(printable, message.split("\n")))) from None
        except BrokenPipeError:
            raise  # `gateway export | head`: click exits without a message
        except OSError as error:
            what = f"'{printable(os.fsdecode(error.filename))}'" if error.filename else "The database or a file"
            raise click.ClickException(f"{what} cannot be used: {error.strerror or error}") from None


@click.group(cls=ErrorReportingGroup)
@click.version_option(package_name="threads-gateway", prog_name="gateway")
def main() -> None:
    """A store of chat threads and messages for OpenAI's Assistants SDKs and GraphQL clients.

    \b
      gateway serve                      serve REST and GraphQL on 127.0.0.1:8000, stored in ./gateway.db
      gateway import threads.jsonl       import exported threads
      gateway export -o threads.jsonl    export all threads
      gateway keys create                require API keys, and create the first one
      gateway config                     print the settings in effect

    Every setting can be given as a flag, as an environment variable GATEWAY_..., or in a file .env. Secrets have no
    flag.
    """


@main.command(cls=GroupedCommand)
@settings_options(*_SERVER)
def serve(**flags: Any) -> None:
    """Serve the REST and GraphQL APIs.

    A SQLite database is created and migrated at startup; migrate a PostgreSQL database with `gateway migrate`. On
    Ctrl-C and SIGTERM, running requests finish first. To serve other machines, create an API key or configure JWTs.

    \b
      gateway serve --port 9000
      GATEWAY_DATABASE_URL=postgresql://app:secret@db/threads gateway serve --host 0.0.0.0 --workers 2
    """
    with loading():
        from gateway.server.serve import serve as run  # noqa: PLC0415  (each command loads what it needs, so that --help is quick)

    run(load_settings(flags))


@main.command(cls=GroupedCommand)
@settings_options(*_SERVER)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def config(*, as_json: bool, **flags: Any) -> None:
    """Print the settings in effect and the source of each: default, profile, .env, environment or flag.

    Secrets are masked, also those inside URLs.

    \b
      gateway config
      gateway config --json
    """
    with loading():
        from gateway.cli.config import show_config, show_config_as_json  # noqa: PLC0415  (as above)

    (show_config_as_json if as_json else show_config)(load_with_sources(flags))


@main.command(cls=GroupedCommand)
@settings_options(*_DATABASE)
def migrate(**flags: Any) -> None:
    """Migrate the database to the tables of this version.

    It can run while servers of the previous version are running; of two migrations at once, the second waits.

    \b
      gateway migrate --database-url postgresql://app:secret@db/threads
    """
    with loading():
        from gateway.store.schema.migrate import migrate as run  # noqa: PLC0415  (as above)

    asyncio.run(run(load_settings(flags).database_url))
    click.echo("The database is up to date.", err=True)


@main.command()
def schema() -> None:
    """Print the GraphQL schema, for code generators and editors.

    \b
      gateway schema > schema.graphql
    """
    with loading():
        from gateway.graphql.schema.build import print_schema  # noqa: PLC0415  (as above)

    click.echo(print_schema(), nl=False)


@main.command(name="import", cls=GroupedCommand)
@click.argument("sources", nargs=-1, metavar="[FILE | FOLDER | -]...")
@click.option("--project", default="default", show_default=True, metavar="NAME", help="Project of the threads.")
@click.option("--rejects", type=click.Path(dir_okay=False), help="File for all lines of the rejected threads.")
@click.option("--order", type=click.Choice(["asc", "desc"]), help="Order of lists whose timestamps do not show it.")
@click.option("--replace-deleted", is_flag=True, help="Import threads again that were deleted here.")
@click.option("--beyond-bounds", is_flag=True, help="Accept lines and messages of any size.")
@settings_options(*_DATABASE)
def import_(sources: tuple[str, ...], project: str, database_url: str | None, **choices: Any) -> None:
    """Import threads and messages with their ids, timestamps and order.

    A file has one API object per line, `thread` or `thread.message`, in any order, or contains pages, arrays or
    assistants-thread-export/v1; a folder contains such files. Files may be compressed with gzip. Without a file,
    standard input is read. Lists with the newest message first, as the API returns them, are reversed.

    A thread is imported completely or not at all, so import all files of a thread in one run. Existing threads and
    messages are not changed, so an import can be repeated. Rejected lines are reported with the reason; the import
    continues, and the exit code is 1. See docs/migrating-from-assistants.md.

    \b
      gateway import threads.jsonl messages.jsonl --rejects rejected.jsonl
      gateway import ./assistants-export
      gateway export | gateway import --database-url postgresql://app:secret@db/threads
    """
    with loading():
        from gateway.cli.transfer import Choices, run_import  # noqa: PLC0415  (as above)
        from gateway.server.carrier import carrier_if_any  # noqa: PLC0415

    settings, wanted = load_settings({"database_url": database_url}), Choices(**choices)
    url, carrier = settings.database_url, carrier_if_any(settings)
    if not run_import(url, project_id(project), sources or ("-",), wanted, carrier):
        raise click.exceptions.Exit(1)


@main.command(cls=GroupedCommand)
@click.option("--project", default="default", show_default=True, metavar="NAME", help="Project to export.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True),
    default="-",
    help="Output file. [default: standard output]",
)
@click.option("--owner", metavar="NAME", help="Export the threads of this end user only.")
@click.option("--salvage", is_flag=True, help="Export what a damaged SQLite file still gives.")
@settings_options(*_DATABASE)
def export(project: str, output: str, owner: str | None, *, salvage: bool, **flags: Any) -> None:
    """Export all threads of a project, each followed by its messages, one API object per line.

    Importing the file into an empty database restores the same threads; exporting those again gives the same bytes.

    With --salvage a damaged SQLite file is read row by row, into a temporary database of about its size, and is not
    changed. What cannot be read is reported by table and rows; the exit code is 1 if anything is lost.

    \b
      gateway export -o threads.jsonl
      gateway export --owner alice -o alice.jsonl
      gateway export --salvage -o salvaged.jsonl
    """
    with loading():
        from gateway.cli.salvage import run_salvage  # noqa: PLC0415  (as above)
        from gateway.cli.transfer import run_export  # noqa: PLC0415

    reach = Reach(project_id(project), None if owner is None else end_user(owner))
    url = load_settings(flags).database_url
    if not salvage:
        run_export(url, reach, output)
    elif not run_salvage(url, reach, output):
        raise click.exceptions.Exit(1)


@main.command(cls=GroupedCommand)
@click.option("--project", default="default", show_default=True, metavar="NAME", help="Project of the threads.")
@click.option("--owner", required=True, metavar="NAME", help="End user to erase, as in `owner` of a thread.")
@click.option("--dry-run", is_flag=True, help="Count what would be erased; nothing is changed.")
@settings_options(*_KEYS)
def erase(project: str, owner: str, *, dry_run: bool, **flags: Any) -> None:
    """Erase an end user: delete all threads and messages of that owner, permanently.

    Threads that were deleted before lose their owner too. It can run while the database is served, and be repeated:
    what was interrupted continues. Backups, exports and the audit log keep what they contain.

    \b
      gateway erase --project shop --owner alice --dry-run
      gateway erase --project shop --owner alice
    """
    with loading():
        from gateway.cli.erase import run_erase  # noqa: PLC0415  (as above)
        from gateway.server.carrier import carrier_if_any  # noqa: PLC0415

    settings = load_settings(flags)
    with audited(settings.audit_log):
        carrier = carrier_if_any(settings)
        run_erase(settings.database_url, project_id(project), end_user(owner), carrier, is_dry=dry_run)


@main.group(name="assistants")
def assistants_() -> None:
    """Import assistants that were made elsewhere.

    \b
      gateway assistants import assistants.json --project shop
    """


@assistants_.command(name="import", cls=GroupedCommand)
@click.argument("source", type=click.Path(exists=True, allow_dash=True))
@click.option("--project", default="default", show_default=True, metavar="NAME", help="Project of the assistants.")
@settings_options(*_DATABASE)
def import_assistants(source: str, project: str, **flags: Any) -> None:
    """Import the API's own `assistant` objects: lines of JSON, an array, or a page of `GET /assistants`.

    Ids and times are kept, and what exists stays as it is. Those with file_search or code_interpreter are rejected.
    """
    with loading():
        from gateway.cli.assistants import run_import_assistants  # noqa: PLC0415  (as above)

    run_import_assistants(load_settings(flags).database_url, project_id(project), source)


@main.group(name="keys")
def keys_() -> None:
    """Create, list, rotate and revoke API keys.

    Until you create the first API key, the server is unauthenticated and listens on localhost only. A key belongs to a
    project and gives access to the threads of that project only.

    \b
      gateway keys create --project shop --scopes read,write --expires 90d --name "the web shop"
      gateway keys list
      gateway keys rotate key_abc --grace 1d
      gateway keys revoke key_abc
    """


@keys_.command(name="create", cls=GroupedCommand)
@click.option("--project", default="default", show_default=True, metavar="NAME", help="Project that the key opens.")
@click.option(
    "--scopes", default="read,write", show_default=True, metavar="LIST", help="Scopes: read, write, runs, erase."
)
@click.option("--expires", metavar="DURATION", help="Time to live, such as 90d or 12h. [default: no expiry]")
@click.option("--name", default="", metavar="TEXT", help="Name of the key in the list.")
@settings_options(*_KEYS)
def create_key(project: str, scopes: str, expires: str | None, name: str, **flags: Any) -> None:
    """Create an API key and print its secret, once.

    After the first key is created, running servers require one in every request.

    \b
      gateway keys create --project shop --scopes read --expires 90d
    """
    with loading():
        from gateway.cli.keys import run_create  # noqa: PLC0415  (as above)

    settings = load_settings(flags)
    with audited(settings.audit_log):
        run_create(settings.database_url, new_key(project, name, scopes, expires))


@keys_.command(name="list", cls=GroupedCommand)
@settings_options(*_DATABASE)
def list_keys(**flags: Any) -> None:
    """List all API keys with their scopes, last characters, expiry and last use."""
    with loading():
        from gateway.cli.keys import run_list  # noqa: PLC0415  (as above)

    run_list(load_settings(flags).database_url)


@keys_.command(name="revoke", cls=GroupedCommand)
@click.argument("key_id", metavar="ID")
@settings_options(*_KEYS)
def revoke_key(key_id: str, **flags: Any) -> None:
    """Revoke an API key: within a second all servers refuse it and disconnect its clients."""
    with loading():
        from gateway.cli.keys import run_revoke  # noqa: PLC0415  (as above)

    settings = load_settings(flags)
    with audited(settings.audit_log):
        run_revoke(settings.database_url, key_id)


@keys_.command(name="rotate", cls=GroupedCommand)
@click.argument("key_id", metavar="ID")
@click.option("--grace", metavar="DURATION", help="How long the old key remains valid, such as 1d. [default: 0]")
@settings_options(*_KEYS)
def rotate_key(key_id: str, grace: str | None, **flags: Any) -> None:
    """Replace an API key by one with the same project, name, scopes and time to live, and a new secret."""
    with loading():
        from gateway.cli.keys import run_rotate  # noqa: PLC0415  (as above)

    settings = load_settings(flags)
    with audited(settings.audit_log):
        run_rotate(settings.database_url, key_id, 0 if grace is None else duration(grace, "grace"))


@main.group()
def epoch() -> None:
    """Begin a new epoch after a database was restored by other tools than `gateway restore`.

    A cursor of an event stream is a number of a change. After a restore, other changes take the same numbers, so what a
    subscriber knows of the database belongs to another epoch, and it has to read its threads again.
    """


@epoch.command(name="renew", cls=GroupedCommand)
@settings_options(*_DATABASE)
def renew_epoch(**flags: Any) -> None:
    """Begin a new epoch: run it after pg_restore or a point-in-time recovery, before servers start.

    \b
      gateway epoch renew --database-url postgresql://app:secret@db/threads
    """
    with loading():
        from gateway.cli.open_store import run_with_store  # noqa: PLC0415  (as above)
        from gateway.core import epochs  # noqa: PLC0415

    begun = run_with_store(load_settings(flags).database_url, epochs.renew)
    click.echo(f"Epoch {begun} has begun.", err=True)


@main.command(cls=GroupedCommand)
@settings_options(*_SERVER)
def doctor(**flags: Any) -> None:
    """Check everything that a server needs, and say how to fix what is wrong; nothing is changed.

    Checks the settings, a server that runs, free disk space, the database and whether it takes writes, migrations,
    clock, long transactions, notifications and API keys, with the settings that `serve` would use. The exit code is 1
    where a server could not start or no write would succeed. Of a SQLite file all pages are read.

    \b
      gateway doctor
      gateway doctor --database-url postgresql://app:secret@db/threads
    """
    with loading():
        from gateway.cli.doctor import run_doctor  # noqa: PLC0415  (as above)

    if not run_doctor(load_settings(flags)):
        raise click.exceptions.Exit(1)


@main.command(cls=GroupedCommand)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@settings_options(*_DATABASE)
def backup(file: Path, **flags: Any) -> None:
    """Copy a SQLite database to FILE, also while it is being served.

    The copy contains everything that was acknowledged before the command began. It is checked, and gets its name when
    it is complete; `gateway restore` puts it back. Back up PostgreSQL with its own tools (pg_dump, or a base backup
    with WAL archiving).

    \b
      gateway backup backups/threads-$(date +%F).db
    """
    with loading():
        from gateway.store.maintenance.backup import back_up  # noqa: PLC0415  (as above)

    size = back_up(load_settings(flags).database_url, file)
    click.echo(f"Copied and checked: {size:,} bytes.", err=True)


@main.command(cls=GroupedCommand)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@settings_options(*_DATABASE)
def restore(file: Path, **flags: Any) -> None:
    """Put a backup in the place of a SQLite database: stop the server first.

    FILE is copied, checked and migrated beside the database, and takes its place in one step; whatever ends this
    command, the old or the new database is there, whole. The log of the old one is removed, and a new epoch begins:
    subscribers read their threads again. What was written since the backup is lost, and API keys that were revoked
    since are valid again. Restore PostgreSQL with its own tools, then run `gateway epoch renew`.

    \b
      gateway restore backups/threads-1.db
    """
    with loading():
        from gateway.cli.restore import run_restore  # noqa: PLC0415  (as above)

    restored = run_restore(load_settings(flags).database_url, file)
    click.echo(f"Restored and checked: {restored.size:,} bytes. Epoch {restored.epoch} has begun.", err=True)
