"""``tusk psql``: run the real psql, or say how to get one."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import click

_NO_CLIENT = """tusk: no psql was found.

A client comes with your system:   apt install postgresql-client   (Debian, Ubuntu)
                                   dnf install postgresql          (Fedora)
                                   brew install libpq              (macOS)
or, for Python:                    pip install "psycopg[binary]"
"""


@click.command(
    name="psql",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(arguments: tuple[str, ...]) -> None:
    """Run psql with the arguments given."""
    here = str(Path(sys.argv[0]).resolve())
    program = shutil.which("psql")
    if program is None or str(Path(program).resolve()) == here:
        print(_NO_CLIENT, file=sys.stderr, end="")
        sys.exit(2)
    os.execv(program, [program, *arguments])
