"""The cumulative statistics: the same work on Tusk and on PostgreSQL 18 must leave the same counts."""

import contextlib
import os
import signal
import time

import psycopg
import pytest

TABLE = """create table t (a int, b text, c int) with (autovacuum_enabled = off)"""
INDEXED = """create table t (a int primary key, b text, c int) with (autovacuum_enabled = off)"""
FILL = "insert into t select i, 'row ' || i, i % 10 from generate_series(1, 500) i"

# name -> statements; "-" begins a new session, so that what was counted in the old one is flushed.
WORKLOADS = {
    "insert": [TABLE, FILL, "insert into t values (1), (2)"],
    "commit and abort": [
        INDEXED, FILL, "begin", "insert into t select i from generate_series(501, 510) i", "rollback", "begin",
        "delete from t where a <= 20", "update t set b = 'x' where a between 30 and 34", "commit",
    ],
    "subtransactions": [
        INDEXED, FILL, "begin", "savepoint a", "insert into t select i from generate_series(501, 510) i",
        "savepoint b", "update t set c = 3 where a < 8", "rollback to b", "release a", "savepoint c",
        "delete from t where a > 505", "rollback to c", "delete from t where a = 501", "commit",
    ],
    "aborted subtransactions": [
        TABLE, FILL, "begin", "update t set c = 0 where a < 5", "savepoint a", "update t set c = 1 where a < 50",
        "delete from t where a = 100", "rollback",
    ],
    "hot and cold updates": [
        INDEXED, "set enable_bitmapscan = off", "create index on t (c)",
        "insert into t select i, 'row', i from generate_series(1, 20) i",
        "update t set b = 'y' where a = 1",
        "update t set c = 77 where a between 2 and 6", "update t set a = a + 1000 where a = 9",
    ],
    "truncate": [TABLE, FILL, "truncate t", "insert into t values (1), (2), (3)"],
    "truncate in a transaction": [
        TABLE, FILL, "begin", "insert into t values (1)", "truncate t", "insert into t values (2), (3)", "commit",
    ],
    "truncate undone": [
        TABLE, FILL, "begin", "delete from t where a < 10", "truncate t", "insert into t values (2), (3)", "rollback",
    ],
    "truncate in a subtransaction": [
        TABLE, FILL, "begin", "insert into t values (1)", "savepoint a", "truncate t", "insert into t values (2), (3)",
        "rollback to a", "delete from t where a = 1", "commit",
    ],
    "scans": [
        INDEXED, FILL, "analyze t", "select count(*) from t", "select * from t where a = 5",
        "select * from t where a = 9999", "set enable_seqscan = off", "select * from t where a between 10 and 29",
        "select * from t where a in (1, 2, 3, 400)", "set enable_indexscan = off", "set enable_indexonlyscan = off",
        "select * from t where a between 100 and 120",
    ],
    "index only": [
        INDEXED, FILL, "vacuum t", "set enable_seqscan = off", "set enable_bitmapscan = off",
        "select a from t where a between 10 and 29", "update t set b = 'z' where a = 12",
        "select a from t where a between 10 and 29",
    ],
    "nested loop": [
        INDEXED, FILL, "analyze t", "set enable_hashjoin = off", "set enable_mergejoin = off",
        "set enable_material = off", "set enable_memoize = off", "set enable_seqscan = off",
        "select count(*) from generate_series(1, 20) g join t on t.a = g",
    ],
    "copy": [INDEXED, "copy t (a) from program 'seq 1 300'", "copy t to program 'cat > /dev/null'"],
    "vacuum": [TABLE, FILL, "delete from t where a <= 100", "vacuum t"],
    "analyze": [TABLE, FILL, "delete from t where a <= 100", "analyze t"],
    "analyze of a column": [TABLE, FILL, "analyze t (a)"],
    "analyze in a transaction": [
        TABLE, FILL, "begin", "insert into t select generate_series(1, 50)", "delete from t where a < 4", "analyze t",
        "commit",
    ],
    "on conflict": [
        INDEXED, FILL, "insert into t values (1, 'a', 1) on conflict do nothing",
        "insert into t values (2, 'a', 1) on conflict (a) do update set b = 'c'",
    ],
    "new index": [TABLE, FILL, "create index on t (a)"],
    "track_counts off": [TABLE, "set track_counts = off", FILL, "-", "insert into t values (1)"],
    "several sessions": [INDEXED, FILL, "-", "update t set c = 1 where a = 1", "-", "delete from t where a = 2"],
}  # fmt: skip

COUNTS = """
select seq_scan, seq_tup_read, idx_scan, idx_tup_fetch, n_tup_ins, n_tup_upd, n_tup_del, n_tup_hot_upd,
    n_tup_newpage_upd, n_live_tup, n_dead_tup, n_mod_since_analyze, n_ins_since_vacuum, last_seq_scan is not null,
    last_idx_scan is not null, last_vacuum is not null, last_analyze is not null, vacuum_count, analyze_count,
    autovacuum_count, autoanalyze_count
from pg_stat_user_tables where relname = 't'"""
INDEX_COUNTS = """
select indexrelname, idx_scan, idx_tup_read, idx_tup_fetch, last_idx_scan is not null
from pg_stat_user_indexes where relname = 't' order by 1"""


def connect(server, dbname="postgres", **options):
    return psycopg.connect(
        host=str(server.home), port=server.port, user="postgres", dbname=dbname, autocommit=True, **options
    )


@pytest.fixture(scope="module")
def databases(tusk, oracle):
    """The two servers, each with a database for these tests."""
    name = "statistics_test"
    for server in (tusk, oracle):
        with contextlib.closing(connect(server)) as connection:
            connection.execute(f"create database {name}")
    return [(tusk, name), (oracle, name)]


@pytest.fixture
def both(databases):
    """The same, with no tables in them."""
    for server, name in databases:
        with contextlib.closing(connect(server, name)) as connection:
            connection.execute("drop table if exists t, u")
    return databases


def work(server, database, statements):
    connection = connect(server, database)
    for statement in statements:
        if statement == "-":
            connection.close()
            connection = connect(server, database)
            continue
        connection.execute("select pg_stat_force_next_flush()")
        connection.execute(statement)
    connection.execute("select pg_stat_force_next_flush()")
    counts = (connection.execute(COUNTS).fetchall(), connection.execute(INDEX_COUNTS).fetchall())
    connection.close()
    return counts


@pytest.mark.parametrize("name", WORKLOADS)
def test_tables_count_alike(both, name):
    ours, theirs = (work(server, database, WORKLOADS[name]) for server, database in both)
    columns = [part.strip() for part in COUNTS.split("from")[0].replace("select", "").split(",")]
    assert dict(zip(columns, ours[0][0], strict=True)) == dict(zip(columns, theirs[0][0], strict=True))
    assert ours[1] == theirs[1]


def test_databases_count_transactions_alike(both):
    query = """select xact_commit, xact_rollback, tup_inserted, tup_updated, tup_deleted, deadlocks, sessions,
        sessions_abandoned, sessions_fatal, sessions_killed from pg_stat_database where datname = %s"""
    found = []
    for server, database in both:
        with contextlib.closing(connect(server, database)) as connection:
            connection.execute("create table t (a int)")
        time.sleep(0)
        with contextlib.closing(connect(server)) as watcher:
            await_no_sessions(watcher, database)
            before = watcher.execute(query, [database]).fetchone()
            with contextlib.closing(connect(server, database)) as connection:
                connection.execute("insert into t values (1), (2), (3)")
                connection.execute("begin")
                connection.execute("update t set a = 5")
                connection.execute("rollback")
                connection.execute("begin")
                with contextlib.suppress(psycopg.Error):
                    connection.execute("select 1 / 0")
                connection.execute("rollback")
                connection.execute("begin")
                connection.execute("delete from t where a = 1")
                connection.execute("commit")
            killed = connect(server, database)
            watcher.execute("select pg_terminate_backend(%s)", [killed.info.backend_pid])
            killed.close()
            await_no_sessions(watcher, database)
            after = watcher.execute(query, [database]).fetchone()
            found.append([b - a for a, b in zip(before, after, strict=True)])
    assert found[0] == found[1]


def await_no_sessions(watcher, database):
    query = "select count(*) from pg_stat_activity where datname = %s"
    deadline = time.monotonic() + 20
    while watcher.execute(query, [database]).fetchone()[0]:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_counts_of_the_running_transaction_are_seen_alike(both):
    found = []
    for server, database in both:
        with contextlib.closing(connect(server, database)) as connection:
            connection.execute(INDEXED)
            connection.execute("select pg_stat_force_next_flush()")
            connection.execute("begin")
            connection.execute("insert into t values (1), (2), (3)")
            connection.execute("savepoint a")
            connection.execute("update t set c = 1 where a = 1")
            connection.execute("delete from t where a = 2")
            found.append(connection.execute(
                "select seq_scan, n_tup_ins, n_tup_upd, n_tup_del, n_tup_hot_upd from pg_stat_xact_user_tables "
                "where relname = 't'"
            ).fetchall())
    assert found[0] == found[1]


@pytest.mark.parametrize("mode", ["none", "cache", "snapshot"])
def test_fetch_consistency(both, mode):
    found = []
    for server, database in both:
        with (
            contextlib.closing(connect(server, database)) as reader,
            contextlib.closing(connect(server, database)) as writer,
        ):
            for table in ("t", "u"):
                writer.execute(f"create table {table} (a int)")
            reader.execute(f"set stats_fetch_consistency = {mode}")
            query = "select n_tup_ins from pg_stat_user_tables order by relname"
            reader.execute("begin")
            seen = [reader.execute(query + " limit 1").fetchall()]
            for table in ("t", "u"):
                writer.execute("select pg_stat_force_next_flush()")
                writer.execute(f"insert into {table} values (1), (2)")
            seen.append(reader.execute(query).fetchall())
            seen.append(reader.execute("select pg_stat_get_snapshot_timestamp() is null").fetchall())
            reader.execute("select pg_stat_clear_snapshot()")
            seen.append(reader.execute(query).fetchall())
            reader.execute("commit")
            found.append(seen)
    assert found[0] == found[1]


def test_reset_and_drop(both):
    found = []
    for server, database in both:
        with contextlib.closing(connect(server, database)) as connection:
            seen = []

            def see(query, *parameters, connection=connection, seen=seen):
                seen.append(connection.execute(query, parameters).fetchall())

            connection.execute(INDEXED)
            connection.execute("select pg_stat_force_next_flush()")
            connection.execute(FILL)
            oid = connection.execute("select 't'::regclass::oid::int").fetchone()[0]
            db = connection.execute("select oid::int from pg_database where datname = current_database()").fetchone()[0]
            have = "select pg_stat_have_stats('relation', %s, %s)"
            see(have, db, oid)
            connection.execute("select pg_stat_reset_single_table_counters(%s)", [oid])
            see("select n_tup_ins from pg_stat_user_tables where relname = 't'")
            see("select stats_reset is not null from pg_stat_database where datname = current_database()")
            connection.execute("begin")
            connection.execute("drop table t")
            connection.execute("rollback")
            see(have, db, oid)
            connection.execute("drop table t")
            see(have, db, oid)
            connection.execute("begin")
            connection.execute("create table u (a int)")
            oid = connection.execute("select 'u'::regclass::oid::int").fetchone()[0]
            connection.execute("rollback")
            see(have, db, oid)
            see("select pg_stat_have_stats('bgwriter', 0, 0), pg_stat_have_stats('database', %s, 0)", db)
            for function in ("pg_stat_reset()", "pg_stat_reset_shared('wal')", "pg_stat_reset_shared()",
                             "pg_stat_reset_slru('notify')", "pg_stat_reset_slru()"):  # fmt: skip
                connection.execute(f"select {function}")
            for bad in ("pg_stat_reset_shared('nothing')", "pg_stat_have_stats('nothing', 0, 0)"):
                with pytest.raises(psycopg.Error) as raised:
                    connection.execute(f"select {bad}")
                seen.append((raised.value.sqlstate, str(raised.value)))
            found.append(seen)
    assert found[0] == found[1]


def test_views_of_the_server_have_the_same_rows(both):
    found = []
    for server, database in both:
        with contextlib.closing(connect(server, database)) as connection:
            seen = [
                connection.execute(query).fetchall()
                for query in (
                    "select name from pg_stat_slru order by 1",
                    """select backend_type, object, context, reads is null, writes is null, writebacks is null,
                        extends is null, hits is null, evictions is null, reuses is null, fsyncs is null,
                        read_time is null, stats_reset is null
                        from pg_stat_io order by 1, 2, 3""",
                    "select archived_count, failed_count, stats_reset is null from pg_stat_archiver",
                    "select count(*) from pg_stat_database where datname is null or datname = current_database()",
                )
            ]
            found.append(seen)
    assert found[0] == found[1]


def test_io_and_wal_are_counted(tusk):
    with contextlib.closing(connect(tusk)) as connection:
        def totals():
            connection.execute("select pg_stat_force_next_flush()")
            return connection.execute(
                """select sum(hits), sum(extends), sum(extend_bytes), (select wal_records from pg_stat_wal),
                    (select wal_bytes from pg_stat_wal), (select sum(blks_hit) from pg_stat_slru)
                    from pg_stat_io where backend_type = 'client backend'"""
            ).fetchone()

        before = totals()
        connection.execute("create table io_test as select generate_series(1, 5000) a")
        connection.execute("drop table io_test")
        after = totals()
        assert all(b > a for a, b in zip(before[:5], after[:5], strict=True))
        pid = connection.info.backend_pid
        assert connection.execute("select wal_records from pg_stat_get_backend_wal(%s)", [pid]).fetchone()[0] > 0
        assert connection.execute("select sum(hits) from pg_stat_get_backend_io(%s)", [pid]).fetchone()[0] > 0
        connection.execute("checkpoint")
        assert connection.execute("select num_done > 0, buffers_written > 0 from pg_stat_checkpointer").fetchone() \
            == (True, True)


def test_progress_is_seen_while_a_copy_waits(both):
    found = []
    for server, database in both:
        with (
            contextlib.closing(connect(server, database)) as copier,
            contextlib.closing(connect(server, database)) as watcher,
        ):
            copier.execute("create table t (a int)")
            query = """select datname = current_database(), relid::regclass::text, command, type, tuples_processed > 0,
                bytes_processed > 0, bytes_total from pg_stat_progress_copy"""
            with copier.cursor().copy("copy t from stdin") as copy:
                copy.write("1\n" * 70000)
                deadline = time.monotonic() + 20
                while not (rows := watcher.execute(query).fetchall()) or not rows[0][4]:
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
                found.append(rows)
            assert watcher.execute(query).fetchall() == []
    assert found[0] == found[1]


def test_statistics_survive_a_stop_but_not_a_crash(new_server):
    server = new_server()
    query = "select n_tup_ins, n_live_tup from pg_stat_user_tables where relname = 't'"
    with contextlib.closing(connect(server)) as connection:
        connection.execute("create table t (a int)")
        connection.execute("insert into t select generate_series(1, 70)")
        reset = connection.execute("select stats_reset from pg_stat_wal").fetchone()
    server.stop()
    assert (server.data / "pg_stat/pgstat.stat").exists()
    server.start()
    assert not (server.data / "pg_stat/pgstat.stat").exists()
    with contextlib.closing(connect(server)) as connection:
        assert connection.execute(query).fetchone() == (70, 70)
        assert connection.execute("select stats_reset from pg_stat_wal").fetchone() == reset
        pid = connection.info.backend_pid
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(psycopg.Error), contextlib.closing(connect(server)) as connection:
            assert connection.execute(query).fetchone() == (0, 0)
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_postgresql_reads_the_statistics_file(new_server, oracle):
    server = new_server()
    with contextlib.closing(connect(server)) as connection:
        connection.execute(INDEXED)
        connection.execute(FILL)
        connection.execute("select * from t where a = 7")
    server.stop()
    server.postgres_command = oracle.postgres_command
    server.start()
    with contextlib.closing(connect(server)) as connection:
        ours = connection.execute(COUNTS).fetchone()
        assert connection.execute("select wal_records > 0 from pg_stat_wal").fetchone() == (True,)
    assert ours[4] == 500
    assert ours[9] == 500
    server.stop()


EXPLAINED = [
    "select count(*) from t", "select * from t where a = 5", "update t set b = 'q' where a < 4",
    "insert into t values (501)", "select * from t order by b limit 3",
]  # fmt: skip


def test_explain_counts_buffers_alike(both):
    """The same blocks; what a first look into the catalogs costs is our own affair."""
    found = []
    for server, database in both:
        with contextlib.closing(connect(server, database)) as connection:
            connection.execute(INDEXED)
            connection.execute(FILL)
            connection.execute("vacuum analyze t")
            seen = []
            for statement in EXPLAINED:
                for _ in range(2):
                    connection.execute("begin")
                    document = connection.execute(
                        f"explain (analyze, format json, timing off, costs off) {statement}"
                    ).fetchone()[0][0]
                    connection.execute("rollback")
                plan = document["Plan"]
                seen.append(
                    (statement, {name: value for name, value in plan.items() if name.endswith(("Blocks", "Time"))},
                     sorted(document["Planning"]))
                )
            lines = [row[0] for row in connection.execute(
                "explain (analyze, timing off, costs off, summary off, wal) insert into t values (502)")]
            seen.append([line.split(":")[0] for line in lines])
            found.append(seen)
    for ours, theirs in zip(*found, strict=True):
        assert ours == theirs


def test_track_activities_and_io_timing(tusk):
    with contextlib.closing(connect(tusk)) as connection, contextlib.closing(connect(tusk)) as watcher:
        pid = connection.info.backend_pid
        query = "select state, query from pg_stat_activity where pid = %s"
        connection.execute("select 1 as visible")
        assert watcher.execute(query, [pid]).fetchone() == ("idle", "select 1 as visible")
        connection.execute("set track_activities = off")
        connection.execute("select 2")
        assert watcher.execute(query, [pid]).fetchone() == ("disabled", "")
        connection.execute("set track_activities = on")
        connection.execute("set track_io_timing = on")
        connection.execute("create temp table big as select repeat('x', 1000) b from generate_series(1, 20000)")
        document = connection.execute("explain (analyze, format json) select * from big").fetchone()[0][0]
        assert "Local I/O Read Time" in document["Plan"]
