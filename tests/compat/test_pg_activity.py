"""pg_activity from PyPI works on Tusk unmodified: its queries, and the program itself."""

import contextlib
import importlib.util
import os
import select
import subprocess
import sys
import threading
import time

import psycopg
import pytest

pytestmark = pytest.mark.skipif(importlib.util.find_spec("pgactivity") is None, reason="pg_activity is not installed")


def connect(server):
    return psycopg.connect(host=str(server.home), port=server.port, user="postgres", dbname="postgres", autocommit=True)


@contextlib.contextmanager
def waiting_sessions(server):
    """One session that holds a table's lock, and one that waits for it."""
    with contextlib.closing(connect(server)) as holder, contextlib.closing(connect(server)) as waiter:
        holder.execute("create table if not exists pg_activity_test (a int)")
        holder.execute("begin")
        holder.execute("lock table pg_activity_test")

        def wait():
            with contextlib.suppress(psycopg.errors.QueryCanceled):
                waiter.execute("select * from pg_activity_test")

        thread = threading.Thread(target=wait)
        thread.start()
        try:
            with contextlib.closing(connect(server)) as watcher:
                deadline = time.monotonic() + 20
                query = "select count(*) from pg_locks where not granted"
                while not watcher.execute(query).fetchone()[0]:
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
            yield holder.info.backend_pid, waiter.info.backend_pid
        finally:
            holder.execute("rollback")
            thread.join()


def test_its_queries(tusk):
    from pgactivity.data import Data

    data = Data.pg_connect(host=str(tusk.home), port=tusk.port, user="postgres", database="postgres")
    with contextlib.closing(data.pg_conn), waiting_sessions(tusk) as (holder, waiter):
        assert data.pg_version == "PostgreSQL 18.4"
        info = data.pg_get_server_information(None)
        assert info.xact_commit > 0
        assert info.active_connections >= 2
        assert info.waiting == 1
        activities = {process.pid: process for process in data.pg_get_activities()}
        assert activities[waiter].query == "select * from pg_activity_test"
        assert activities[waiter].wait == "relation"
        assert activities[holder].state == "idle in transaction"
        assert [process.pid for process in data.pg_get_waiting()] == [waiter]
        assert [process.pid for process in data.pg_get_blocking()] == [holder]
        assert data.pg_get_temporary_file() is not None
        assert (data.pg_get_wal_senders(), data.pg_get_wal_receivers(), data.pg_get_replication_slots()) == (0, 0, 0)
        assert not data.failed_queries.temp_file_query_failed
        assert not data.failed_queries.wal_receivers_query_failed
        assert data.pg_cancel_backend(waiter) is True


def test_the_program(tusk):
    """Its screen, refreshed again and again, shows the session that waits."""
    command = [
        sys.executable, "-m", "pgactivity", "-h", str(tusk.home), "-p", str(tusk.port), "-U", "postgres",
        "--refresh", "0.5", "--no-inst-info", "--wrap-query",
    ]  # fmt: skip
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "200", "LINES": "40"}
    screen = b""
    with waiting_sessions(tusk), subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
    ) as program:
        deadline = time.monotonic() + 20
        try:
            while screen.count(b"pg_activity_test") < 2 and time.monotonic() < deadline:
                if select.select([program.stdout], [], [], 0.5)[0]:
                    data = os.read(program.stdout.fileno(), 65536)
                    if not data:
                        break
                    screen += data
        finally:
            program.kill()
    assert b"PostgreSQL 18.4" in screen
    assert screen.count(b"pg_activity_test") >= 2, screen.decode(errors="replace")
