"""Autovacuum as users see it: what it does by itself, what it says, whom it gives way to, and wraparound."""

import os
import subprocess
import time

import psycopg
import pytest
from servers import client

DEADLINE_S = 30
QUICK = {"autovacuum_naptime": "1s", "log_autovacuum_min_duration": "0", "autovacuum_vacuum_cost_delay": "0"}


def eventually(condition, what):
    deadline = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return found


def connect(server):
    return psycopg.connect(server.url, autocommit=True)


def one(session, query):
    return session.execute(query).fetchone()[0]


def test_by_itself(new_server):
    server = new_server(settings=QUICK)
    with connect(server) as session:
        session.execute("CREATE TABLE t (id int PRIMARY KEY, b text)")
        session.execute("CREATE TABLE off (id int) WITH (autovacuum_enabled = off)")
        session.execute("INSERT INTO t SELECT g, 'x' FROM generate_series(1, 4000) g")
        session.execute("INSERT INTO off SELECT g FROM generate_series(1, 4000) g")
        session.execute("DELETE FROM t WHERE id % 2 = 0")
        session.execute("DELETE FROM off WHERE id % 2 = 0")
        counts = "SELECT autovacuum_count > 0 AND autoanalyze_count > 0 FROM pg_stat_user_tables WHERE relname = 't'"
        eventually(lambda: one(session, counts), "neither vacuumed nor analyzed")
        assert one(session, "SELECT reltuples FROM pg_class WHERE relname = 't'") == 2000
        assert one(session, "SELECT count(*) FROM pg_stats WHERE tablename = 't'") == 2
        assert one(session, "SELECT autovacuum_count FROM pg_stat_user_tables WHERE relname = 'off'") == 0
        kinds = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum launcher'"
        assert one(session, kinds) == 1
        log = server.log_file.read_text()
        assert 'automatic vacuum of table "postgres.public.t": index scans: 1' in log
        assert 'automatic analyze of table "postgres.public.t"' in log
        # A reload can turn it off and on again.
        session.execute("ALTER SYSTEM SET autovacuum = off")
        session.execute("SELECT pg_reload_conf()")
        eventually(lambda: one(session, kinds) == 0, "the launcher stays")
        session.execute("ALTER SYSTEM RESET autovacuum")
        session.execute("SELECT pg_reload_conf()")
        eventually(lambda: one(session, kinds) == 1, "no launcher")


def test_gives_way_to_a_lock(new_server):
    server = new_server(settings=QUICK | {"deadlock_timeout": "20ms"})
    with connect(server) as session:
        session.execute("CREATE TABLE slow (id int) WITH (autovacuum_vacuum_cost_delay = 100, "
                        "autovacuum_vacuum_cost_limit = 1)")  # fmt: skip
        session.execute("INSERT INTO slow SELECT g FROM generate_series(1, 20000) g")
        session.execute("DELETE FROM slow WHERE id % 2 = 0")
        running = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'autovacuum: VACUUM%public.slow'"
        pid = eventually(lambda: session.execute(running).fetchone(), "no worker")[0]
        title = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
        assert title == "postgres: autovacuum worker postgres"
        session.execute("BEGIN; LOCK TABLE slow; COMMIT")
        eventually(lambda: "canceling autovacuum task" in server.log_file.read_text(), "not canceled")
        assert 'automatic vacuum of table "postgres.public.slow"' in server.log_file.read_text()


def near_the_end(new_server, next_xid, **settings):
    """A server whose next transaction id was moved on while it was down."""
    server = new_server(settings=QUICK | {"autovacuum": "off"})
    server.stop()
    client(server, "pg_resetwal", "-x", str(next_xid), "-D", str(server.data))
    segment = server.data / "pg_xact" / f"{next_xid // 1048576:04X}"
    segment.write_bytes(bytes(262144))
    owner = os.stat(server.data)
    os.chown(segment, owner.st_uid, owner.st_gid)
    server.settings.update(settings)
    server.start()
    return server


AGES = "SELECT max(age(datfrozenxid)) < 1000 FROM pg_database"


def test_against_wraparound(new_server):
    server = near_the_end(new_server, 1_000_000_000, autovacuum="on")
    with connect(server) as session:
        eventually(lambda: one(session, AGES), "ids stay old")
        eventually(lambda: [p.name for p in (server.data / "pg_xact").iterdir()] == ["03B9"], "the log is not cut")
    log = server.log_file.read_text()
    assert 'automatic aggressive vacuum to prevent wraparound of table "postgres.pg_catalog.pg_class"' in log


def test_stop_and_emergency(new_server):
    server = near_the_end(new_server, 2_145_000_000)
    with connect(server) as session:
        with pytest.raises(psycopg.errors.ProgramLimitExceeded) as stopped:
            session.execute("SELECT pg_current_xact_id()")
        assert stopped.value.diag.message_primary.startswith(
            "database is not accepting commands that assign new transaction IDs to avoid wraparound data loss"
        )
        assert one(session, "SELECT count(*) FROM pg_am") > 0

        def cured():
            try:
                return one(session, "SELECT pg_current_xact_id()") is not None
            except psycopg.errors.ProgramLimitExceeded:
                return False

        # Autovacuum is off, but not for this.
        eventually(cured, "no emergency vacuum")
        eventually(lambda: one(session, AGES), "ids stay old")
    assert "must be vacuumed within" in server.log_file.read_text()
