"""The command line: each command reads its settings, does its work, and tells what went wrong in one message.

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
    from gateway.domain.printable import printable
    from gateway.errors import GatewayError
    from gateway.observability.log import audited
    from gateway.settings.load import load_settings
    from gateway.settings.table import SETTINGS

_DATABASE = ("database_url",)
_KEYS = (*_DATABASE, "audit_log")
_SERVER = tuple(name for name in SETTINGS if SETTINGS[name].has_flag)


class ErrorReportingGroup(click.Group):
    """A group of commands that tells the errors of ours as one message, without a traceback; none steers a terminal."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except GatewayError as error:
            raise click.ClickException("\n".join(map(printable, error.message.split("\n")))) from None
        except BrokenPipeError:
            raise  # `gateway export | head`: click ends the program without a word
        except OSError as error:
            what = f"'{printable(os.fsdecode(error.filename))}'" if error.filename else "The database or a file"
            raise click.ClickException(f"{what} cannot be used: {error.strerror or error}") from None


@click.group(cls=ErrorReportingGroup)
@click.version_option(package_name="threads-gateway", prog_name="gateway")
def main() -> None:
    """A store of chat threads and messages that OpenAI's Assistants SDKs and GraphQL clients share.

    \b
      gateway serve                      serve both faces on 127.0.0.1:8000, kept in ./gateway.db
      gateway import threads.jsonl       take in what was exported elsewhere
      gateway export -o threads.jsonl    give all of it out again
      gateway keys create                let in only those who have a key

    Every setting can be given as a flag, as an environment variable GATEWAY_..., or in a file .env.
    """


@main.command(cls=GroupedCommand)
@settings_options(*_SERVER)
def serve(**flags: Any) -> None:
    """Serve the REST and the GraphQL face.

    A SQLite database is made and migrated at the start; a PostgreSQL database is migrated by `gateway migrate`.
    Ctrl-C and SIGTERM let running requests finish. Other machines are served once there is a key, or end users' tokens.

    \b
      gateway serve --port 9000
      GATEWAY_DATABASE_URL=postgresql://app:secret@db/threads gateway serve --host 0.0.0.0 --workers 2
    """
    with loading():
        from gateway.server.serve import serve as run  # noqa: PLC0415  (each command loads what it needs, so that --help is quick)

    run(load_settings(flags))


@main.command(cls=GroupedCommand)
@settings_options(*_DATABASE)
def migrate(**flags: Any) -> None:
    """Bring the database to the tables that this version needs.

    It may run while servers of the version before are up, and twice at once: the second waits for the first.

    \b
      gateway migrate --database-url postgresql://app:secret@db/threads
    """
    with loading():
        from gateway.store.schema.migrate import migrate as run  # noqa: PLC0415  (as above)

    asyncio.run(run(load_settings(flags).database_url))
    click.echo("The database is up to date.", err=True)


@main.command(cls=GroupedCommand)
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
@click.option("--project", default="default", show_default=True, metavar="NAME", help="Whose threads they become.")
@click.option("--rejects", metavar="FILE", help="Keep all lines of the threads that could not be taken in this file.")
@click.option("--order", type=click.Choice(["asc", "desc"]), help="The order of lists whose times do not tell it.")
@click.option("--replace-deleted", is_flag=True, help="Import threads anew that were deleted here.")
@click.option("--beyond-bounds", is_flag=True, help="Take lines and messages of any size.")
@settings_options(*_DATABASE)
def import_(sources: tuple[str, ...], project: str, database_url: str | None, **choices: Any) -> None:
    """Take in threads and messages that were exported elsewhere, with their ids, times and order.

    A file holds one object of the API a line, `thread` or `thread.message`, in any order, or pages, arrays and files of
    assistants-thread-export/v1; a folder holds such files. It may be packed by gzip. Without a file, standard input is
    read. Lists that begin with the newest message, as the API gives them, are turned round.

    Each thread is taken whole or not at all: import all files of a thread in one run. What is there already stays as it
    is, so an import can be repeated. A line that cannot be taken is reported with its reason, its thread goes to the
    rejects, and the rest goes on; the exit code is then 1. More stands in docs/migrating-from-assistants.md.

    \b
      gateway import threads.jsonl messages.jsonl --rejects rejected.jsonl
      gateway import ./assistants-export
      gateway export | gateway import --database-url postgresql://app:secret@db/threads
    """
    with loading():
        from gateway.cli.transfer import Choices, run_import  # noqa: PLC0415  (as above)

    url, wanted = load_settings({"database_url": database_url}).database_url, Choices(**choices)
    if not run_import(url, project_id(project), sources or ("-",), wanted):
        raise click.exceptions.Exit(1)


@main.command(cls=GroupedCommand)
@click.option("--project", default="default", show_default=True, metavar="NAME", help="Whose threads are given out.")
@click.option("-o", "--output", default="-", metavar="FILE", help="Where to write; standard output if not given.")
@settings_options(*_DATABASE)
def export(project: str, output: str, **flags: Any) -> None:
    """Give out all threads of a project, each with its messages behind it, one object of the API a line.

    Importing the file into an empty database gives the same threads again, and exporting those the same bytes.

    \b
      gateway export -o threads.jsonl
    """
    with loading():
        from gateway.cli.transfer import run_export  # noqa: PLC0415  (as above)

    run_export(load_settings(flags).database_url, project_id(project), output)


@main.group(name="keys")
def keys_() -> None:
    """Let in only those who have a key.

    As long as no key was ever made, the server lets in everybody, and listens on this machine alone. Each key belongs
    to a project, and sees the threads of that project only.

    \b
      gateway keys create --project shop --scopes read,write --expires 90d --name "the web shop"
      gateway keys list
      gateway keys rotate key_abc --grace 1d
      gateway keys revoke key_abc
    """


@keys_.command(cls=GroupedCommand, name="create")
@click.option("--project", default="default", show_default=True, metavar="NAME", help="Whose threads it opens.")
@click.option("--scopes", default="read,write", show_default=True, metavar="LIST", help="What it may do there.")
@click.option("--expires", metavar="DURATION", help="When it ends by itself, such as 90d or 12h; never if not given.")
@click.option("--name", default="", metavar="TEXT", help="What you will know it by in the list.")
@settings_options(*_KEYS)
def create_key(project: str, scopes: str, expires: str | None, name: str, **flags: Any) -> None:
    """Make a key and show its secret, once.

    From the first key on, servers that are already running let in nobody without one.

    \b
      gateway keys create --project shop --scopes read --expires 90d
    """
    with loading():
        from gateway.cli.keys import run_create  # noqa: PLC0415  (as above)

    settings = load_settings(flags)
    with audited(settings.audit_log):
        run_create(settings.database_url, new_key(project, name, scopes, expires))


@keys_.command(cls=GroupedCommand, name="list")
@settings_options(*_DATABASE)
def list_keys(**flags: Any) -> None:
    """Show all keys: what they may do, how their secrets end, when they were last used."""
    with loading():
        from gateway.cli.keys import run_list  # noqa: PLC0415  (as above)

    run_list(load_settings(flags).database_url)


@keys_.command(cls=GroupedCommand, name="revoke")
@click.argument("key_id", metavar="ID")
@settings_options(*_KEYS)
def revoke_key(key_id: str, **flags: Any) -> None:
    """End a key: within a second no server lets anybody in with it, and who is connected with it is sent away."""
    with loading():
        from gateway.cli.keys import run_revoke  # noqa: PLC0415  (as above)

    settings = load_settings(flags)
    with audited(settings.audit_log):
        run_revoke(settings.database_url, key_id)


@keys_.command(cls=GroupedCommand, name="rotate")
@click.argument("key_id", metavar="ID")
@click.option("--grace", metavar="DURATION", help="How long the old one still works, such as 1d; else it ends.")
@settings_options(*_KEYS)
def rotate_key(key_id: str, grace: str | None, **flags: Any) -> None:
    """Make a key in the place of another: the same project, name, scopes and time to live, and another secret."""
    with loading():
        from gateway.cli.keys import run_rotate  # noqa: PLC0415  (as above)

    settings = load_settings(flags)
    with audited(settings.audit_log):
        run_rotate(settings.database_url, key_id, 0 if grace is None else duration(grace, "grace"))


@main.command(cls=GroupedCommand)
@settings_options(*_SERVER)
def doctor(**flags: Any) -> None:
    """Look at all that a server needs, and say what to do; nothing is changed.

    Settings, SQLite's version, room on the disk, database, migrations, clock and keys, with the settings that `serve`
    would have. The exit code is 1 if something has to be mended first.

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
    """Copy a SQLite database into FILE, also while it is served.

    The copy holds all that was acknowledged before the command began. It is checked, and appears under its name when it
    is whole. To restore it, stop the server and put the file in the place of the database; files beside that which end
    in -wal and -shm must go. PostgreSQL is backed up by its own tools (pg_dump, or a copy with its log).

    \b
      gateway backup backups/threads-$(date +%F).db
    """
    with loading():
        from gateway.store.backup import back_up  # noqa: PLC0415  (as above)

    size = back_up(load_settings(flags).database_url, file)
    click.echo(f"Copied and checked: {size:,} bytes.", err=True)
