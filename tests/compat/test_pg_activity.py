"""pg_activity from PyPI works on Tusk unmodified: its queries, and the program itself in a terminal."""

import contextlib
import importlib.util
import os
import pty
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
        assert activities[waiter].wait == "Lock"
        assert activities[holder].state == "idle in transaction"
        assert [process.pid for process in data.pg_get_waiting()] == [waiter]
        assert [process.pid for process in data.pg_get_blocking()] == [holder]
        assert data.pg_get_temporary_file() is not None
        assert (data.pg_get_wal_senders(), data.pg_get_wal_receivers(), data.pg_get_replication_slots()) == (0, 0, 0)
        assert not data.failed_queries.temp_file_query_failed
        assert not data.failed_queries.wal_receivers_query_failed
        assert data.pg_cancel_backend(waiter) is True


def test_the_program_in_a_terminal(tusk):
    master, slave = pty.openpty()
    command = [
        sys.executable, "-m", "pgactivity", "-h", str(tusk.home), "-p", str(tusk.port), "-U", "postgres",
        "--refresh", "0.5", "--no-inst-info",
    ]  # fmt: skip
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "160", "LINES": "40"}
    with waiting_sessions(tusk):
        program = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment)
        os.close(slave)
        screen = b""
        deadline = time.monotonic() + 20
        try:
            while b"pg_activity_test" not in screen and time.monotonic() < deadline:
                if select.select([master], [], [], 0.5)[0]:
                    screen += os.read(master, 65536)
            os.write(master, b"q")
            while program.poll() is None and time.monotonic() < deadline:
                if select.select([master], [], [], 0.1)[0]:
                    with contextlib.suppress(OSError):
                        screen += os.read(master, 65536)
            status = program.wait(5)
        finally:
            program.kill()
            program.wait()
            os.close(master)
    assert b"PostgreSQL 18.4" in screen
    assert b"pg_activity_test" in screen
    assert status == 0
