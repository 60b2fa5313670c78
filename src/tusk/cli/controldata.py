"""``tusk controldata``: what pg_controldata shows, in its words."""

from __future__ import annotations

import os
import sys

import click

from tusk.errors import Fatal, Panic, SqlError
from tusk.wal.controldata import report_control_file


@click.command(context_settings={"help_option_names": ["-?", "--help"]})
@click.option("-D", "--pgdata", metavar="DATADIR", help="data directory")
@click.argument("directory", required=False)
def controldata(pgdata: str | None, directory: str | None) -> None:
    """Display control information of a database cluster.

    If no data directory is specified, the environment variable PGDATA is used.
    """
    where = pgdata or directory or os.environ.get("PGDATA")
    if not where:
        print("tusk controldata: error: no data directory specified", file=sys.stderr)
        sys.exit(1)
    try:
        text, warnings = report_control_file(where)
    except (Fatal, Panic, SqlError) as error:
        print(f"tusk controldata: error: {error.message}", file=sys.stderr)
        sys.exit(1)
    for warning in warnings:
        print(f"tusk controldata: {warning}", file=sys.stderr)
    sys.stdout.write(text)
