"""``tusk check``: verify the data directory of a server that is not running."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from tusk.errors import Fatal, Panic, SqlError


@click.command(context_settings={"help_option_names": ["-?", "--help"]})
@click.option("-D", "--pgdata", metavar="DATADIR", type=click.Path(path_type=Path), help="data directory")
@click.option("-d", "--database", "databases", multiple=True, metavar="NAME", help="check only this database")
@click.option("-t", "--table", "tables", multiple=True, metavar="NAME", help="check only this table")
@click.option("-q", "--quiet", is_flag=True, help="say nothing when all is in order")
@click.argument("directory", required=False, type=click.Path(path_type=Path))
def check(
    pgdata: Path | None, databases: tuple[str, ...], tables: tuple[str, ...], quiet: bool, directory: Path | None
) -> None:
    """Verify checksums, tables, indexes and maps of a database cluster.

    The server must have been shut down cleanly; nothing is written. The exit status is 0 if all is in order, 1 if not.
    If no data directory is specified, the environment variable PGDATA is used.
    """
    where = pgdata or directory or (Path(os.environ["PGDATA"]) if os.environ.get("PGDATA") else None)
    if where is None:
        print("tusk check: error: no data directory specified", file=sys.stderr)
        sys.exit(1)
    # The server's modules are imported only now: a mistake in the options stays quick.
    from tusk.commands.checking.cluster import check_cluster

    try:
        summary = check_cluster(
            where, databases, tables=tables, progress=lambda finding: print(finding.text(), flush=True)
        )
    except (Fatal, Panic, SqlError) as error:
        print(f"tusk check: error: {error.message}", file=sys.stderr)
        sys.exit(1)
    if not quiet or summary.findings:
        print(
            f"{len(summary.findings)} problems in {summary.files} files with {summary.blocks} pages, {summary.tables} "
            f"tables with {summary.rows} rows, {summary.indexes} indexes with {summary.entries} entries"
        )
    sys.exit(1 if summary.findings else 0)
