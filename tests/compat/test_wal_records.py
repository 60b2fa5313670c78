"""What a statement writes to the WAL is what PostgreSQL writes for it: the same records, described alike by pg_waldump.

Each step runs on Tusk and on a real server. Of every record about the step's own relations, and of those about none,
the resource manager, the name and the description are compared, with numbers left out. Records about catalogs depend on
how many rows are written at a time and on the pages they find.
"""

import re

import psycopg
import pytest
from servers import Oracle, client

from tusk.cli.server import Server

# (name, statements, each in a transaction of its own)
STEPS = [
    ("create", ["CREATE TABLE t (a int PRIMARY KEY, b int, c text) WITH (fillfactor = 50)"]),
    ("insert", ["INSERT INTO t VALUES (1, 1, 'one')"]),
    ("insert many", ["INSERT INTO t SELECT i, i, 'row ' || i FROM generate_series(2, 30) i"]),
    ("hot update", ["UPDATE t SET b = b + 1 WHERE a = 1"]),
    ("update of a key", ["UPDATE t SET a = 1001 WHERE a = 1"]),
    ("delete", ["DELETE FROM t WHERE a = 2"]),
    ("lock", ["SELECT * FROM t WHERE a = 3 FOR UPDATE", "SELECT * FROM t WHERE a = 4 FOR KEY SHARE"]),
    ("rolled back", ["BEGIN; INSERT INTO t VALUES (99, 1, 'x'); ROLLBACK"]),
    ("savepoints", ["BEGIN; INSERT INTO t VALUES (51, 1, ''); SAVEPOINT s; INSERT INTO t VALUES (52, 1, ''); COMMIT"]),
    ("on conflict", ["INSERT INTO t VALUES (5, 5, 'five') ON CONFLICT (a) DO UPDATE SET c = excluded.c",
                     "INSERT INTO t VALUES (53, 5, 'new') ON CONFLICT DO NOTHING"]),
    ("toast", ["INSERT INTO t SELECT 60, 60, string_agg(md5(i::text), '') FROM generate_series(1, 300) i"]),
    ("toast away", ["DELETE FROM t WHERE a = 60"]),
    ("copy", ["CREATE TABLE copied (a int)", "INSERT INTO copied SELECT generate_series(1, 1000)"]),
    ("index", ["CREATE INDEX t_b ON t (b)"]),
    ("splits", ["CREATE TABLE s (a text COLLATE \"C\" PRIMARY KEY)",
                "INSERT INTO s SELECT repeat('k', 200) || to_char(i, 'FM0000') FROM generate_series(1, 400) i"]),
    ("truncate", ["TRUNCATE copied"]),
    ("sequence", ["CREATE SEQUENCE q", "SELECT nextval('q')", "SELECT setval('q', 100)"]),
    ("message", ["SELECT pg_logical_emit_message(true, 'prefix', 'content')"]),
    ("database", ["CREATE DATABASE other STRATEGY file_copy", "DROP DATABASE other"]),
    ("alter", ["ALTER TABLE t ADD COLUMN d int DEFAULT 5", "ALTER TABLE copied ALTER a TYPE bigint"]),
    ("vacuum", ["DELETE FROM s WHERE a < repeat('k', 200) || '0300'", "VACUUM s"]),
    ("freeze", ["VACUUM (FREEZE, TRUNCATE off) t"]),
    ("drop", ["DROP TABLE copied"]),
]

# What depends on moments, caches or what ran before rather than on the statement.
FIRST_OF_USERS = 16384
PASSING = (
    "RUNNING_XACTS", "CHECKPOINT", "FPI", "FPI_FOR_HINT", "ZEROPAGE", "PARAMETER_CHANGE", "INVALIDATIONS", "NEXTOID",
)  # fmt: skip


def shape(line):
    """A line of pg_waldump as (resource manager, description with # for numbers); None for what passes by."""
    manager, text = re.match(r"rmgr: (\S+).*?desc: (.*)", line).groups()
    name = text.split(" ", 1)[0]
    if name.removesuffix("+INIT") in PASSING or "end of step" in text or name.split("_")[0] == "CHECKPOINT":
        return None
    relations = re.findall(r"blkref #\d+: rel \d+/\d+/(\d+)", text)
    if relations and int(relations[0]) < FIRST_OF_USERS:
        return None
    text = re.sub(r", blkref #.*|; (inval msgs|rels|sub[a-z]*|tsid|dropped stats|subxacts):? .*", "", text)
    text = re.sub(r"\d{4}-\d\d-\d\d [\d:.]+ \S+", "TIME", text)
    text = re.sub(r"infobits: \[.*?\]|flags: 0x[0-9A-F]+", lambda found: found[0], text)
    text = re.sub(r"\b\d+(/[0-9A-F]+|[\d/]*)\b", "#", text)
    return manager, re.sub(r"\[#[#, >-]*\]", "[#]", text)


@pytest.fixture(scope="module")
def records():
    """For each server, by step, the records in order."""
    found = {}
    for kind in (Server, Oracle):
        with kind(settings={"autovacuum": "off", "wal_level": "replica", "bgwriter_lru_maxpages": "0"}) as server:
            found[kind] = run(server)
    return found


def run(server):
    by_step = {}
    with psycopg.connect(server.url, autocommit=True) as session:
        for name, statements in STEPS:
            start = session.execute("SELECT pg_current_wal_insert_lsn()").fetchone()[0]
            for statement in statements:
                session.execute(statement)
            # Aborts are not flushed by themselves.
            end = session.execute("SELECT pg_logical_emit_message(false, 'end of step', '', true)").fetchone()[0]
            lines = client(server, "pg_waldump", "-p", server.data / "pg_wal", "-s", start, "-e", end).stdout
            by_step[name] = [one for line in lines.splitlines() if (one := shape(line)) is not None]
    return by_step


@pytest.mark.parametrize("step", [name for name, _ in STEPS])
def test_records_are_postgresqls(records, step):
    assert set(records[Server][step]) == set(records[Oracle][step])
