"""VACUUM beside PostgreSQL: what it says, what it leaves on disk, what the WAL says of it, who can go on from there."""

import re

import psycopg
import pytest
from servers import Oracle, client, oracle_programs

DISTURBED = re.compile(
    r"^(avg read rate|buffer usage|WAL usage|system usage|delay time|I/O timings|removable cutoff|new relfrozenxid)"
    r".*$\n?", re.M,
)

WORK = [
    "CREATE TABLE t (id int PRIMARY KEY, a int, b text)",
    "CREATE INDEX t_a ON t (a)",
    "INSERT INTO t SELECT g, g % 100, 'row ' || g FROM generate_series(1, 10000) g",
    "DELETE FROM t WHERE id % 10 = 0",
    "VACUUM (VERBOSE) t",
    "DELETE FROM t WHERE id BETWEEN 2001 AND 2002",
    "VACUUM (VERBOSE) t",
    "VACUUM (VERBOSE, INDEX_CLEANUP on) t",
    "UPDATE t SET a = a + 1 WHERE id < 1000",
    "VACUUM (VERBOSE, INDEX_CLEANUP off) t",
    "VACUUM (VERBOSE, FREEZE) t",
    "DELETE FROM t WHERE id > 5000",
    "VACUUM (VERBOSE, TRUNCATE off) t",
    "VACUUM (VERBOSE, DISABLE_PAGE_SKIPPING) t",
    "INSERT INTO t SELECT g, g % 100, 'row ' || g FROM generate_series(10001, 11000) g",
    "VACUUM (VERBOSE, PROCESS_TOAST off) t",
    "VACUUM (VERBOSE, PROCESS_MAIN off) t",
    "CREATE TABLE u (x int)",
    "INSERT INTO u SELECT g FROM generate_series(1, 5000) g",
    "DELETE FROM u WHERE x > 2000",
    "ALTER TABLE u SET (vacuum_truncate = off)",
    "VACUUM (VERBOSE) u",
    "ALTER TABLE u RESET (vacuum_truncate)",
    "VACUUM (VERBOSE, BUFFER_USAGE_LIMIT '1MB', SKIP_LOCKED, PARALLEL 2) u",
    "VACUUM",
    "ANALYZE",
]
SIZES = """SELECT relname, relpages, reltuples, relallvisible, relallfrozen FROM pg_class
           WHERE relname IN ('t', 'u', 't_pkey', 't_a') ORDER BY 1"""


def run(server, statements):
    """What was said, one text per statement, with what no two runs share taken out."""
    said = []
    with psycopg.connect(server.url, autocommit=True) as session:
        notices = []
        session.add_notice_handler(lambda n: notices.append(f"{n.severity}: {n.message_primary}"))
        for statement in statements:
            notices.clear()
            try:
                session.execute(statement)
            except psycopg.Error as error:
                notices.append(f"{error.sqlstate} {error.diag.message_primary}")
            text = "\n".join(notices)
            text = DISTURBED.sub("", text)
            said.append((statement, re.sub(r"pg_toast_\d+", "pg_toast_N", text)))
        return said, session.execute(SIZES).fetchall()


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A Tusk and a PostgreSQL of the module's own, without autovacuum."""
    from tusk.cli.server import Server

    options = {"settings": {"autovacuum": "off"}, "initdb_options": ["--no-locale", "-E", "UTF8"]}
    with Server(**options) as ours, Oracle(**options) as theirs:
        yield ours, theirs


def test_verbose_says_the_same(pair):
    ours, theirs = (run(server, WORK) for server in pair)
    for mine, yours in zip(ours[0], theirs[0], strict=True):
        assert mine == yours
    assert ours[1] == theirs[1]


def test_refusals(pair):
    statements = [
        "VACUUM (BUFFER_USAGE_LIMIT '1') pg_am", "VACUUM (BUFFER_USAGE_LIMIT 'x') pg_am", "VACUUM pg_am (amname)",
        "VACUUM (ONLY_DATABASE_STATS) pg_am", "VACUUM (ONLY_DATABASE_STATS, FREEZE)", "VACUUM (ONLY_DATABASE_STATS)",
        "VACUUM (PARALLEL) pg_am", "VACUUM (PARALLEL 2000) pg_am", "VACUUM (FULL, PARALLEL 2) pg_am",
        "VACUUM (FULL, DISABLE_PAGE_SKIPPING) pg_am", "VACUUM (FULL, PROCESS_TOAST off) pg_am",
        "VACUUM (FULL, BUFFER_USAGE_LIMIT '1MB') pg_am", "VACUUM (WHATEVER) pg_am", "ANALYZE (FREEZE) pg_am",
        "VACUUM pg_views", "ANALYZE pg_views", "VACUUM (SKIP_DATABASE_STATS) pg_am", "VACUUM nothing",
        "ANALYZE pg_am (nothing)", "ANALYZE pg_am (amname, amname)",
    ]  # fmt: skip
    ours, theirs = (run(server, statements)[0] for server in pair)
    assert ours == theirs


PRUNING = {"Heap2": {"PRUNE_ON_ACCESS", "PRUNE_VACUUM_SCAN", "PRUNE_VACUUM_CLEANUP", "VISIBLE"},
           "Btree": {"VACUUM", "MARK_PAGE_HALFDEAD", "UNLINK_PAGE"}, "Storage": {"TRUNCATE"}}  # fmt: skip


def waldump(server):
    """(resource manager, record, description) of all records pg_waldump finds, which must end at the end of the WAL."""
    first = sorted(p.name for p in (server.data / "pg_wal").iterdir() if re.fullmatch("[0-9A-F]{24}", p.name))[0]
    done = client(server, "pg_waldump", "-p", str(server.data / "pg_wal"), first, check=False)
    assert re.search("invalid record length|invalid magic number 0000", done.stderr), done.stderr
    found = re.findall(r"^rmgr: (\S+).*? desc: (\S+)(.*)$", done.stdout, re.M)
    assert len(found) > 1000
    return found


def test_postgresql_goes_on(new_server):
    server = new_server(settings={"autovacuum": "off", "full_page_writes": "on"})
    with psycopg.connect(server.url, autocommit=True) as session:
        session.execute("CREATE TABLE t (id int PRIMARY KEY, a int, b text)")
        session.execute("CREATE INDEX t_a ON t (a)")
        session.execute("INSERT INTO t SELECT g, g % 500, repeat('x', g % 300) FROM generate_series(1, 15000) g")
        session.execute("UPDATE t SET b = 'changed' WHERE id % 7 = 0")
        session.execute("SELECT count(*) FROM t")
        session.execute("DELETE FROM t WHERE id % 3 = 0 OR id BETWEEN 3000 AND 8000")
        session.execute("VACUUM t")
        session.execute("UPDATE t SET a = a + 1 WHERE id < 2000")
        session.execute("DELETE FROM t WHERE id > 13000")
        session.execute("VACUUM (FREEZE, ANALYZE) t")
        session.execute("INSERT INTO t SELECT g, g % 500, 'again' FROM generate_series(4000, 6000) g")
        session.execute("DELETE FROM t WHERE id % 5 = 0")
        session.execute("VACUUM t")
        session.execute("CREATE TABLE v AS SELECT g FROM generate_series(1, 5000) g")
        session.execute("DELETE FROM v WHERE g > 100")
        session.execute("VACUUM v")
        rows = session.execute("SELECT count(*), sum(id), sum(a), sum(length(b)) FROM t").fetchone()
        sizes = session.execute("SELECT relname, relpages, relallvisible, relallfrozen FROM pg_class "
                                "WHERE relname IN ('t', 't_pkey', 't_a') ORDER BY 1").fetchall()  # fmt: skip
    server.stop("immediate")
    records = waldump(server)
    for manager, wanted in PRUNING.items():
        assert wanted <= {name for found, name, _ in records if found == manager}, manager
    assert any("nplans" in text for _, name, text in records if name == "PRUNE_VACUUM_SCAN")
    server.postgres_command = [str(oracle_programs() / "postgres")]
    server.start()
    with psycopg.connect(server.url, autocommit=True) as session:
        said = []
        session.add_notice_handler(lambda n: said.append((n.severity, n.message_primary)))
        question = "SELECT count(*), sum(id), sum(a), sum(length(b)) FROM t"
        assert session.execute(question).fetchone() == rows
        for index, column in (("t_pkey", "id"), ("t_a", "a")):
            session.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
            plan = session.execute(f"EXPLAIN SELECT count(*), sum(a) FROM t WHERE {column} >= 0").fetchall()
            assert any(index in line for (line,) in plan)
            assert session.execute(f"SELECT count(*), sum(id), sum(a), sum(length(b)) FROM t WHERE {column} >= 0"
                                   ).fetchone() == rows  # fmt: skip
        assert session.execute("SELECT relname, relpages, relallvisible, relallfrozen FROM pg_class "
                               "WHERE relname IN ('t', 't_pkey', 't_a') ORDER BY 1").fetchall() == sizes  # fmt: skip
        session.execute("VACUUM (DISABLE_PAGE_SKIPPING, VERBOSE) t")
        assert [message for severity, message in said if severity == "WARNING"] == []
        session.execute("REINDEX TABLE t")
        assert session.execute(question).fetchone() == rows


REWRITES = [
    "VACUUM FULL t", "CLUSTER t USING t_a", "CLUSTER t", "REINDEX TABLE t", "REINDEX INDEX t_e", "VACUUM FULL",
    "REINDEX SCHEMA public", "REINDEX SYSTEM", "REINDEX DATABASE", "VACUUM FULL pg_class", "CLUSTER",
]  # fmt: skip
QUESTION = "SELECT count(*), sum(id), sum(length(b)), sum(z), count(*) FILTER (WHERE a > 40) FROM t"


def test_rewrites(new_server):
    server = new_server(settings={"autovacuum": "off"})
    with psycopg.connect(server.url, autocommit=True) as session, psycopg.connect(server.url) as other:
        session.execute("CREATE TABLE t (id int PRIMARY KEY, a int, b text, gone text)")
        session.execute("CREATE INDEX t_a ON t (a)")
        session.execute("CREATE INDEX t_e ON t ((a + 1)) WHERE a > 50")
        session.execute("""INSERT INTO t SELECT g, g * 7919 % 100, CASE WHEN g % 50 = 1 THEN
                           (SELECT string_agg(md5((g * 1000 + h)::text), '') FROM generate_series(1, 200) h)
                           ELSE 'r' END, 'x' FROM generate_series(1, 3000) g""")
        session.execute("ALTER TABLE t ADD COLUMN z int DEFAULT 7")
        session.execute("ALTER TABLE t DROP COLUMN gone")
        session.execute("UPDATE t SET a = a + 1 WHERE id % 3 = 0")
        session.execute("DELETE FROM t WHERE id % 4 = 0")
        rows = session.execute(QUESTION).fetchone()
        for statement in REWRITES:
            session.execute(statement)
            assert session.execute(QUESTION).fetchone() == rows, statement
            assert other.execute(QUESTION).fetchone() == rows, statement
            other.commit()
        # Somebody who may still see them keeps outdated versions alive, and their links.
        other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        other.execute("SELECT 1")
        session.execute("CREATE TABLE u (id int PRIMARY KEY, n int)")
        other.rollback()
        session.execute("INSERT INTO u SELECT g, 0 FROM generate_series(1, 500) g")
        other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert other.execute("SELECT sum(n) FROM t, u WHERE u.id = t.id AND false").fetchone() == (None,)
        session.execute("UPDATE u SET n = n + 1")
        session.execute("UPDATE u SET n = n + 1 WHERE id <= 250")
        other.execute("SELECT count(*) FROM pg_am")
        assert session.execute("SELECT sum(n) FROM u").fetchone() == (750,)
        other.commit()
        session.execute("VACUUM FULL u")
        assert session.execute("SELECT sum(n), count(*) FROM u").fetchone() == (750, 500)
    server.stop()
    server.postgres_command = [str(oracle_programs() / "postgres")]
    server.start()
    with psycopg.connect(server.url, autocommit=True) as session:
        assert session.execute(QUESTION).fetchone() == rows
        session.execute("SET enable_seqscan = off")
        assert session.execute("SELECT count(*), sum(id) FROM t WHERE id > 0").fetchone() == rows[:2]
        session.execute("VACUUM (DISABLE_PAGE_SKIPPING)")
        session.execute("REINDEX DATABASE")
        session.execute("REINDEX SYSTEM")
        assert session.execute(QUESTION).fetchone() == rows


def test_catalogs_survive_an_abort(new_server):
    server = new_server(settings={"autovacuum": "off"})
    with psycopg.connect(server.url, autocommit=True) as session:
        for _ in range(2):
            with pytest.raises(psycopg.errors.DivisionByZero):
                session.execute("BEGIN; REINDEX TABLE pg_class; CREATE TABLE a (x int); SELECT 1 / 0")
            session.execute("ROLLBACK")
        session.execute("CREATE TABLE a (x int)")
        assert session.execute("SELECT relname FROM pg_class WHERE oid = 'a'::regclass").fetchone() == ("a",)


PG_STATS = """SELECT attname, null_frac, avg_width, n_distinct, most_common_vals::text, most_common_freqs,
              histogram_bounds::text, correlation, most_common_elems::text, most_common_elem_freqs, elem_count_histogram
              FROM pg_stats WHERE tablename = 'sampled' ORDER BY attname"""


def test_statistics_are_the_same(pair):
    # Small enough to be looked at as a whole: then there is nothing random in it.
    found = []
    for server in pair:
        with psycopg.connect(server.url, autocommit=True) as session:
            session.execute("""CREATE TABLE sampled (i int, skewed int, t text, f float8, n numeric, b bool, d date,
                               ts timestamptz, arr int[], words text[], j jsonb, wide text, two int, fixed int)""")
            session.execute("""INSERT INTO sampled SELECT g, (g * g) % 37, 'text ' || g % 250, g / 7.0,
                (g % 11)::numeric, g % 3 = 0,
                '2020-01-01'::date + g % 400, '2020-01-01 00:00Z'::timestamptz + g * interval '1 hour',
                CASE WHEN g % 10 = 0 THEN NULL ELSE ARRAY(SELECT (g * h) % 17 FROM generate_series(1, 1 + g % 5) h) END,
                ARRAY['w' || g % 9, NULL, 'x'], jsonb_build_object('k', g % 4), CASE WHEN g % 100 = 0 THEN
                (SELECT string_agg(md5((g * 100 + h)::text), '') FROM generate_series(1, 60) h) ELSE 'n' || g % 5 END,
                g / 2, g FROM generate_series(1, 2000) g""")  # fmt: skip
            session.execute("UPDATE sampled SET i = NULL WHERE i % 9 = 0")
            session.execute("ALTER TABLE sampled ALTER t SET STATISTICS 10")
            session.execute("ALTER TABLE sampled ALTER fixed SET (n_distinct = -0.5)")
            session.execute("VACUUM ANALYZE sampled")
            found.append(session.execute(PG_STATS).fetchall())
    for mine, theirs in zip(*found, strict=True):
        assert mine == theirs
