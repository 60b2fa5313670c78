"""Several processes at once: transfers under locks keep their sum, snapshots never show half a transaction."""

import random

from _cluster import DATABASE, Backend, in_cluster
from test_blocks import statement

ACCOUNTS = 6
EXCLUSIVE, ROW_EXCLUSIVE, ACCESS_SHARE, SHARE = 7, 3, 1, 5


def work(seed, rounds):
    """Random transactions: ids, children, weak and strong locks, aborts; deadlocks are expected. Counts outcomes."""
    from tusk.errors import SqlError
    from tusk.transaction import _lock, _snapshot, _xact

    rng = random.Random(seed)
    done = {"committed": 0, "aborted": 0, "deadlock": 0}
    xids = []
    for _ in range(rounds):
        mine = []
        try:
            statement(_xact.begin_transaction_block)
            if rng.random() < 0.8:
                mine.append(statement(_xact.current_transaction_id))
            for i in range(rng.randrange(4)):
                mode = rng.choice([ACCESS_SHARE, ROW_EXCLUSIVE, SHARE, EXCLUSIVE])
                statement(_lock.lock_relation, DATABASE, 30000 + rng.randrange(ACCOUNTS), mode)
                if rng.random() < 0.3:
                    statement(_xact.define_savepoint, f"s{i}")
                    mine.append(statement(_xact.current_transaction_id))
                    if rng.random() < 0.3:
                        statement(_xact.rollback_to_savepoint, f"s{i}")
                        mine.pop()
            snapshot = statement(lambda: repr(_snapshot.transaction_snapshot()))
            assert snapshot
            if rng.random() < 0.2:
                statement(_xact.user_abort_transaction_block)
                done["aborted"] += 1
            else:
                statement(_xact.end_transaction_block)
                done["committed"] += 1
                xids += mine
        except SqlError as error:
            assert error.sqlstate == "40P01", error
            done["deadlock"] += 1
            statement(_xact.user_abort_transaction_block)
    return done, xids


def watch(rounds):
    """A transaction and its committed children must turn from running to ended together in every snapshot."""
    from tusk.transaction import _clog, _procarray, _snapshot, _subtrans, _varsup

    looked = 0

    def look():
        snapshot = _snapshot.transaction_snapshot()
        for xid in range(max(3, snapshot.xmin - 20), snapshot.xmax):
            if not _snapshot.xid_in_snapshot(xid, snapshot):
                # Ended for the snapshot: then it is not running, and its fate is known.
                assert not _procarray.is_in_progress(xid), xid
                assert _clog.did_commit(xid) != _clog.did_abort(xid), xid

    for _ in range(rounds):
        statement(look)
        looked += 1
    assert _varsup.next_full_transaction_id() > 0 and _subtrans is not None
    return looked


def test_concurrent_transactions(tmp_path):
    seed = random.randrange(1 << 30)
    print("seed", seed)

    def run():
        from tusk.transaction import _clog, _lock

        workers = [Backend() for _ in range(4)]
        watcher = Backend()
        for i, worker in enumerate(workers):
            worker.send(work, seed + i, 150)
        watcher.send(watch, 150)
        watcher.receive()
        total = {}
        for worker in workers:
            done, xids = worker.receive()
            for key, value in done.items():
                total[key] = total.get(key, 0) + value
            assert {_clog.status(xid) for xid in xids} <= {1}
        assert _lock.shared_lock_counts() == (0, 0)
        for backend in (*workers, watcher):
            backend.close()
        return total

    total = in_cluster(tmp_path / "data", run, options={"deadlock_timeout": "5ms"})
    assert sum(total.values()) == 600 and total["committed"] > 100
