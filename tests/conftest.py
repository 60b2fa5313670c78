"""Fixtures for all tests: a Tusk server and a real one, shared by the session, and directories that servers can use."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))


# What both servers of a comparison are made with.
_SAME_LOCALE = ["--no-locale", "-E", "UTF8"]


def pytest_configure(config):
    # An installed Tusk brings its plugin by entry point; a tree that is only on the path does not.
    if not config.pluginmanager.has_plugin("tusk"):
        from tusk.cli import pytest_plugin

        config.pluginmanager.register(pytest_plugin, "tusk")


def _known_failures():
    """Test ids and why each fails, from known_failures.txt: debts that docs/status.md lists, not exemptions."""
    known = {}
    for line in (HERE / "known_failures.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            node, _, reason = line.partition("  ")
            known[node] = reason.strip()
    return known


def pytest_collection_modifyitems(config, items):
    """Slow tests run when asked for: by -m, by name, or by TUSK_SLOW=1 (``make test-all``)."""
    known = _known_failures()
    for item in items:
        if item.nodeid in known:
            item.add_marker(pytest.mark.xfail(reason=known[item.nodeid], strict=False))
    if config.option.markexpr or os.environ.get("TUSK_SLOW") or any("::" in argument for argument in config.args):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


def pytest_report_header():
    from tusk.memory import _segment

    build = "debug" if getattr(_segment, "DEBUG", False) else "optimised"
    return f"tusk: {build} build, {'root: servers run as another user' if os.geteuid() == 0 else 'not root'}"


@pytest.fixture(scope="session", autouse=True)
def _reachable_temporary_directories(tmp_path_factory):
    """Temporary directories are for their owner alone; servers that root starts run as somebody else."""
    if os.geteuid() == 0:
        base = tmp_path_factory.getbasetemp()
        for directory in (base.parent, base):
            directory.chmod(0o755)


@pytest.fixture(scope="session")
def tusk():
    """A running Tusk, shared: make databases, schemas or tables with names of your own."""
    from tusk.cli.server import Server

    with Server(initdb_options=_SAME_LOCALE) as server:
        yield server


@pytest.fixture(scope="session")
def oracle():
    """A running PostgreSQL 18, shared likewise."""
    from servers import Oracle

    with Oracle(initdb_options=_SAME_LOCALE) as server:
        yield server


@pytest.fixture(scope="session")
def cluster():
    """A fresh cluster that was never started, for copying."""
    from tusk.cli.server import Server

    server = Server()
    server.initialize()
    yield server.data
    server.close()


@pytest.fixture
def new_server(cluster):
    """A function that makes servers of the test's own (options of tusk.Server), stopped at its end."""
    from tusk.cli.server import Server

    made = []

    def make(**options):
        server = Server(**options)
        made.append(server)
        if server.is_throw_away and not {"password", "initdb_options"} & set(options):
            subprocess.run(["cp", "-a", cluster, server.home / "data"], check=True)
        server.start()
        return server

    yield make
    for server in made:
        server.close()
