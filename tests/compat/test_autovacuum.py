"""Autovacuum as users see it: what it does by itself, what it says, whom it gives way to, and wraparound."""

import os
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
