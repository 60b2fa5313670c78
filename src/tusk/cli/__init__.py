"""The ``tusk`` program: one word for each of PostgreSQL's programs. Thin: read arguments, call, exit."""

from __future__ import annotations

import importlib
import sys

import click

from tusk.cli import bundled

# Command word -> (module, object, one line of help); a module is imported only when its command runs.
COMMANDS = {
    "serve": ("tusk.cli.serve", "serve", "Run a server, making its data directory if need be."),
    "initdb": ("tusk.cli.initdb", "initdb", "Make a new database cluster."),
    "postgres": ("tusk.cli.postgres", "postgres", "Run the postmaster in the foreground."),
    "ctl": ("tusk.cli.ctl", "ctl", "Start, stop and ask about a server."),
    "controldata": ("tusk.cli.controldata", "controldata", "Show the control file."),
    "check": ("tusk.cli.check", "check", "Verify a data directory."),
    "waldump": ("tusk.cli.waldump", "waldump", "Show the write-ahead log."),
    "psql": ("tusk.cli.psql", "psql", "Run psql."),
}


class _Lazy(click.Group):
    """A group that imports a command when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The words in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command."""
        if cmd_name not in COMMANDS:
            return None
        if cmd_name == "postgres":
            bundled.install()       # before anything that is in it is imported
        module, name, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the words without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(word, text) for word, (_, _, text) in COMMANDS.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option("18.4", "-V", "--version", message="tusk (PostgreSQL) %(version)s")
def main() -> None:
    """Tusk: a PostgreSQL 18 server in Python."""


if __name__ == "__main__":
    sys.exit(main())
