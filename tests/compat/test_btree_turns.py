"""PostgreSQL and Tusk take turns on one data directory: each goes on with the other's b-trees and replays its WAL."""

import psycopg
import pytest
from servers import Oracle

import tusk

TABLES = """
CREATE TABLE p (id int PRIMARY KEY, a int, b text, c numeric, d date);
CREATE INDEX p_a ON p (a);
CREATE INDEX p_b ON p (b COLLATE "C" DESC NULLS LAST, a);
CREATE INDEX p_c ON p (c) INCLUDE (a);
CREATE INDEX p_d ON p (d NULLS FIRST) WHERE a > 3;
CREATE UNIQUE INDEX p_e ON p ((id + 1), lower(b));
CREATE INDEX p_long ON p (b) WHERE length(b) > 1000;
"""
FILL = """
INSERT INTO p SELECT g, (g * 7919) % 50, CASE WHEN g % 11 = 0 THEN NULL ELSE 'k' || (g * 31) % 400 END,
    (g % 97) / 7.0, DATE '2024-01-01' + g % 300 FROM generate_series({first}, {last}) g;
INSERT INTO p SELECT g, 1, repeat('long ' || g % 5, 700), 0, NULL FROM generate_series({last} + 1, {last} + 20) g;
"""
CHANGE = """
UPDATE p SET a = a + 1 WHERE id % 5 = 0;
UPDATE p SET b = b || 'x' WHERE id % 17 = 0;
DELETE FROM p WHERE id % 13 = 0;
"""
# Each by an index, and by reading the table.
QUERIES = [
    "SELECT id FROM p WHERE id BETWEEN 100 AND 220 ORDER BY id",
    "SELECT id FROM p WHERE a = 7 ORDER BY id",
    "SELECT id FROM p WHERE a IN (3, 9, 27, 49) ORDER BY id",
    "SELECT id, b FROM p WHERE b COLLATE \"C\" < 'k200' ORDER BY b COLLATE \"C\" DESC NULLS LAST, a, id",
    "SELECT id FROM p WHERE b COLLATE \"C\" = 'k31' AND a > 5 ORDER BY id",
    "SELECT id FROM p WHERE b IS NULL ORDER BY id",
    "SELECT id FROM p WHERE c = 3 ORDER BY id",
    "SELECT id FROM p WHERE c > 13.5 ORDER BY id",
    "SELECT id FROM p WHERE d = '2024-02-03' AND a > 3 ORDER BY id",
    "SELECT id FROM p WHERE id + 1 = 501 ORDER BY id",
    "SELECT id, length(b) FROM p WHERE b = repeat('long 3', 700) AND length(b) > 1000 ORDER BY id",
    "SELECT count(*), min(id), max(id) FROM p",
]


def answers(server, *settings):
    with psycopg.connect(server.url, autocommit=True) as connection:
        for setting in settings:
            connection.execute(f"SET {setting} = off")
        return [connection.execute(query).fetchall() for query in QUERIES]


def run(server, script):
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(script)


def check(server):
    """Indexes and tables agree; what they say."""
    by_index = answers(server, "enable_seqscan")
    by_table = answers(server, "enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan")
    for query, one, other in zip(QUERIES, by_index, by_table, strict=True):
        assert one == other, query
    return by_table


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_servers_take_turns(tmp_path, mode):
    for directory in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        directory.chmod(0o777)              # the servers do not run as root
    data = tmp_path / "data"
    options = {"settings": {"fsync": "off", "autovacuum": "off"}}
    server = tusk.Server(data, initdb_options=["--no-locale", "-E", "UTF8"], **options)
    turns = [server, Oracle(data, **options), server, Oracle(data, **options)]
    expected = None
    for i, server in enumerate(turns):
        server.start()
        try:
            if i == 0:
                run(server, TABLES)
            else:
                assert check(server) == expected
            run(server, FILL.format(first=1 + i * 3000, last=2900 + i * 3000))
            run(server, CHANGE)
            expected = check(server)
            with pytest.raises(psycopg.errors.UniqueViolation) as caught:
                run(server, "INSERT INTO p VALUES (1), (1)")
            assert caught.value.diag.message_detail == "Key (id)=(1) already exists."
            assert caught.value.diag.constraint_name == "p_pkey"
            assert (caught.value.diag.schema_name, caught.value.diag.table_name) == ("public", "p")
            if isinstance(server, Oracle):
                run(server, "VACUUM p")
        finally:
            server.stop(mode)
