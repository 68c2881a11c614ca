"""The command line: each command reads its settings, does its work, and tells what went wrong in one message.

Must not be here: the work itself.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import click

from gateway.errors import GatewayError
from gateway.settings import PREFIX, Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

_DATABASE = ("database_url",)
_SERVER = tuple(Settings.model_fields)


def settings_flags(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command one flag for each of some settings; settings.py has their words and checks them."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for name in reversed(names):
            field = Settings.model_fields[name]
            told = f"{field.description} [{PREFIX}{name.upper()}; default: {field.default}]"
            command = click.option(f"--{name.replace('_', '-')}", name, metavar="VALUE", help=told)(command)
        return command

    return decorate


class Told(click.Group):
    """A group of commands that tells the errors of ours as one message, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except GatewayError as error:
            raise click.ClickException(error.message) from None
        except BrokenPipeError:
            raise  # `gateway export | head`: click ends the program without a word
        except OSError as error:
            what = f"'{error.filename}'" if error.filename else "The database or a file"
            raise click.ClickException(f"{what} cannot be used: {error.strerror or error}") from None


@click.group(cls=Told)
@click.version_option(package_name="threads-gateway", prog_name="gateway")
def main() -> None:
    """A store of chat threads and messages that OpenAI's Assistants SDKs and GraphQL clients share.

    \b
      gateway serve                      serve both faces on 127.0.0.1:8000, kept in ./gateway.db
      gateway import threads.jsonl       take in what was exported elsewhere
      gateway export -o threads.jsonl    give all of it out again

    Every setting can be given as a flag, as an environment variable GATEWAY_..., or in a file .env.
    """


@main.command()
@settings_flags(*_SERVER)
def serve(**flags: str | None) -> None:
    """Serve the REST and the GraphQL face.

    A SQLite database is made and migrated at the start; a PostgreSQL database is migrated by `gateway migrate`.
    Ctrl-C and SIGTERM let running requests finish.

    \b
      gateway serve --port 9000
      GATEWAY_DATABASE_URL=postgresql://app:secret@db/threads gateway serve --host 0.0.0.0 --workers 2
    """
    from gateway.serve import serve as run  # noqa: PLC0415  (each command loads what it needs, so that --help is quick)

    run(load_settings(flags))


@main.command()
@settings_flags(*_DATABASE)
def migrate(**flags: str | None) -> None:
    """Bring the database to the tables that this version needs.

    It may run while servers of the version before are up, and twice at once: the second waits for the first.

    \b
      gateway migrate --database-url postgresql://app:secret@db/threads
    """
    from gateway.store.migrate import migrate as run  # noqa: PLC0415  (as above)

    asyncio.run(run(load_settings(flags).database_url))
    click.echo("The database is up to date.", err=True)


@main.command()
def schema() -> None:
    """Print the GraphQL schema, for code generators and editors.

    \b
      gateway schema > schema.graphql
    """
    from gateway.gql.schema import print_schema  # noqa: PLC0415  (as above)

    click.echo(print_schema(), nl=False)


@main.command(name="import")
@click.argument("sources", nargs=-1, metavar="[FILE | FOLDER | -]...")
@click.option("--rejects", metavar="FILE", help="Keep the lines that could not be taken in this file.")
@settings_flags(*_DATABASE)
def import_(sources: tuple[str, ...], rejects: str | None, **flags: str | None) -> None:
    """Take in threads and messages that were exported elsewhere, with their ids, times and order.

    A file holds one object of the API a line, `thread` or `thread.message`, in any order; a folder holds files of
    assistants-thread-export/v1. Without a file, standard input is read. Lists that begin with the newest message, as
    the API gives them, are turned round.

    Each thread is taken whole or not at all. What is there already stays as it is, so an import can be repeated. A
    line that cannot be taken is told with its reason, and the rest goes on; the exit code is then 1.

    \b
      gateway import threads.jsonl messages.jsonl --rejects rejected.jsonl
      gateway import ./assistants-export
      gateway export | gateway import --database-url postgresql://app:secret@db/threads
    """
    from gateway.transfer.commands import run_import  # noqa: PLC0415  (as above)

    if not run_import(load_settings(flags).database_url, sources or ("-",), rejects):
        raise click.exceptions.Exit(1)


@main.command()
@click.option("-o", "--output", default="-", metavar="FILE", help="Where to write; standard output if not given.")
@settings_flags(*_DATABASE)
def export(output: str, **flags: str | None) -> None:
    """Give out all threads, each with its messages behind it, one object of the API a line.

    Importing the file into an empty database gives the same threads again, and exporting those the same bytes.

    \b
      gateway export -o threads.jsonl
    """
    from gateway.transfer.commands import run_export  # noqa: PLC0415  (as above)

    run_export(load_settings(flags).database_url, output)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    main()
