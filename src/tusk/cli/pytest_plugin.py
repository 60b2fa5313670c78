"""The pytest plugin: a throw-away server for a test run.

``tusk_server`` is a running `tusk.Server` shared by the session, ``tusk_url`` its URL, and ``tusk_database`` the URL of
a database that is made for one test and dropped after it. ``--tusk-data DIR`` keeps the server's data there;
``--tusk-setting NAME=VALUE`` sets a configuration parameter.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tusk.cli.server import Server

_numbers = itertools.count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The plugin's options."""
    group = parser.getgroup("tusk", "PostgreSQL-compatible server")
    group.addoption("--tusk-data", metavar="DIR", help="keep the data of tusk_server in DIR")
    group.addoption(
        "--tusk-setting", metavar="NAME=VALUE", action="append", default=[], help="a configuration parameter"
    )


@pytest.fixture(scope="session")
def tusk_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A running server, shared by all tests of the session."""
    from tusk.cli.server import Server

    pairs = request.config.getoption("--tusk-setting")
    settings = dict(pair.split("=", 1) for pair in pairs)
    with Server(request.config.getoption("--tusk-data"), settings=settings) as server:
        yield server


@pytest.fixture
def tusk_url(tusk_server: Server) -> str:
    """The URL of the server's first database."""
    return tusk_server.url


@pytest.fixture
def tusk_database(tusk_server: Server) -> Iterator[str]:
    """The URL of a database of the test's own."""
    psycopg = pytest.importorskip("psycopg")
    name = f"test_{next(_numbers)}"
    with psycopg.connect(tusk_server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield tusk_server.url_of(name)
    with psycopg.connect(tusk_server.url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
