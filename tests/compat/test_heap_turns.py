"""PostgreSQL and Tusk take turns on one data directory: tables, sequences and each other's WAL after a crash."""

import heap_work
import pytest
import real_server
from _cluster import Backend, in_cluster
from tables import plain, transaction

from tusk.access import _sequence, registry  # noqa: F401
from tusk.access.heap import _table


@pytest.fixture
def server(tmp_path_factory):
    running = real_server.make(tmp_path_factory)
    yield running
    if (running.data / "postmaster.pid").exists():
        running.stop("immediate")


def rows_here():
    with transaction():
        return sorted((v[0], plain(v[1]).decode() if v[1] is not None else "", "" if v[2] is None else str(v[2]))
                      for _, v in _table.scan_rows(heap_work.state["rel"]))


def rows_there(server):
    return sorted((int(a), b, c) for a, b, c in server.sql("select a, b, c from t"))


def open_both(numbers):
    """The table and the sequence that the real server made."""
    from tables import descriptor

    from tusk.access._relation import Relation
    from tusk.access._tupdesc import AttributeRow, TupleDesc

    rel = Relation(numbers[0], (1663, 5, numbers[1]), "t", descriptor())
    rel.set_indexed_attrs(hot=[1], key=[1])
    heap_work.state["rel"] = rel
    desc = TupleDesc([AttributeRow("last_value", 20, 8, True, "d"), AttributeRow("log_cnt", 20, 8, True, "d"),
                      AttributeRow("is_called", 16, 1, True, "c")])
    heap_work.state["seq"] = Relation(numbers[2], (1663, 5, numbers[3]), "s", desc, "S")


def our_turn(numbers, seed):
    """Random work, multixacts, values of the sequence; the rows as we see them."""
    open_both(numbers)
    before = rows_here()
    heap_work.random_work(seed, 60)
    with transaction():
        tids = [tid for tid, _ in _table.scan_rows(heap_work.state["rel"])][:5]
    other = Backend()
    other.call(open_both, numbers)
    heap_work.begin()
    other.call(heap_work.begin)
    for tid in tids:
        heap_work.statement("lock_row", tid, "key share")
        assert other.call(heap_work.statement, "lock_row", tid, "no key update")[0] == "ok"
        values = heap_work.statement("fetch_row", tid)
        other.call(heap_work.statement, "update_row", tid, [values[0], b"\x05m", 4711])
    other.call(heap_work.end)
    heap_work.end()
    other.close()
    with transaction():
        drawn = [_sequence.nextval(heap_work.state["seq"])[0] for _ in range(3)]
    return before, rows_here(), drawn


def look(numbers):
    open_both(numbers)
    found = rows_here()
    with transaction():
        return found, _sequence.nextval(heap_work.state["seq"])[0]


@pytest.mark.parametrize("crash", [False, True])
def test_turns(server, crash):
    server.sql(
        "create table t (a int4 not null, b text, c int8); create sequence s; "
        "insert into t select g, repeat('x', g % 90), g from generate_series(1, 700) g; "
        "update t set b = 'updated', c = null where a % 5 = 0; delete from t where a % 7 = 0; "
        "begin; delete from t; rollback; select nextval('s')")
    numbers = [int(n) for n in server.sql(
        "select 't'::regclass::oid, pg_relation_filenode('t'), 's'::regclass::oid, pg_relation_filenode('s')")[-1]]
    theirs = rows_there(server)
    server.stop("fast")

    before, after, drawn = in_cluster(server.data, our_turn, numbers, 11, crash=crash)
    assert before == theirs
    assert drawn == [2, 3, 4]

    server.start()                      # after a crash of ours: it replays our WAL
    assert rows_there(server) == after
    assert int(server.sql("select nextval('s')")[0][0]) == (35 if crash else 5)
    server.sql("update t set c = c + 1 where a % 3 = 0; delete from t where a % 11 = 0")
    server.sql("begin; select * from t where a < 50 for share; savepoint x; update t set b = 'y' where a < 40; "
               "rollback to x; commit")
    server.sql("vacuum (freeze) t; insert into t select g, 'after', g from generate_series(1, 300) g")
    server.sql("copy (select g, 'copied', g from generate_series(1, 400) g) to '/dev/null'")
    theirs = rows_there(server)
    server.stop("immediate" if crash else "fast")

    ours, value = in_cluster(server.data, look, numbers)        # after a crash of theirs: we replay their WAL
    assert ours == theirs
    assert value >= 6

    server.start()
    assert rows_there(server) == ours
    server.stop("fast")
    server.run("pg_checksums", "--check", "-D", str(server.data))
