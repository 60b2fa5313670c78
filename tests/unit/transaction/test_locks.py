"""Heavyweight locks between processes: conflicts, fast path, queues, deadlocks, pg_locks."""

import os

import pytest
from _cluster import DATABASE, Backend, in_cluster
from test_blocks import begin, end, outcome, statement, take_xid

RELATION = 16400
ACCESS_SHARE, ROW_SHARE, ROW_EXCLUSIVE, SHARE_UPDATE, SHARE, SHARE_ROW, EXCLUSIVE, ACCESS_EXCLUSIVE = range(1, 9)
CONFLICTS = {
    1: {8}, 2: {7, 8}, 3: {5, 6, 7, 8}, 4: {4, 5, 6, 7, 8}, 5: {3, 4, 6, 7, 8}, 6: {3, 4, 5, 6, 7, 8},
    7: {2, 3, 4, 5, 6, 7, 8}, 8: {1, 2, 3, 4, 5, 6, 7, 8},
}  # fmt: skip


def lock(mode, relation=RELATION):
    from tusk.transaction import _lock

    statement(_lock.lock_relation, DATABASE, relation, mode)


def try_lock(mode, relation=RELATION):
    from tusk.transaction import _lock

    return statement(_lock.conditional_lock_relation, DATABASE, relation, mode)


def unlock(mode, relation=RELATION):
    from tusk.transaction import _lock

    statement(_lock.unlock_relation, DATABASE, relation, mode)


def rows():
    from tusk.transaction import _lock, lock_names

    return lock_names.pg_lock_rows(_lock.lock_status_data())


def blockers(pid):
    from tusk.transaction import _lock

    return _lock.blocking_pids(pid)


def wait_until_blocked(backend):
    """Until the process stands in a queue; the queue itself says so, no sleeping on luck."""
    import time

    deadline = time.monotonic() + 20
    while not any(row[11] == backend.pid and not row[13] for row in rows()):
        assert time.monotonic() < deadline
        time.sleep(0.001)


def setting(name, value):
    from tusk.config import Context, Source, set_option

    set_option(name, value, Context.SUSET, Source.SESSION)


def rollback():
    from tusk.transaction import _xact

    statement(_xact.user_abort_transaction_block)


def counts():
    from tusk.transaction import _lock

    return _lock.shared_lock_counts()


def test_all_conflicts(tmp_path):
    def run():
        other = Backend()
        for held in range(1, 9):
            begin()
            lock(held)
            for wanted in range(1, 9):
                other.call(begin)
                assert other.call(try_lock, wanted) is (wanted not in CONFLICTS[held]), (held, wanted)
                other.call(end)
            end()
        assert counts() == (0, 0)
        other.close()

    in_cluster(tmp_path / "data", run)


def test_fast_path_and_pg_locks(tmp_path):
    def run():
        other = Backend()
        begin()
        lock(ACCESS_SHARE)
        lock(ROW_EXCLUSIVE)
        mine = [row for row in rows() if row[11] == os.getpid()]
        assert counts() == (0, 0)
        assert [(row[0], row[1], row[2], row[12], row[13], row[14]) for row in mine] == [
            ("relation", DATABASE, RELATION, "AccessShareLock", True, True),
            ("relation", DATABASE, RELATION, "RowExclusiveLock", True, True),
            ("virtualxid", None, None, "ExclusiveLock", True, True),
        ]
        assert mine[2][5] == mine[0][10]
        # A strong lock moves them into the shared table.
        other.call(begin)
        assert other.call(try_lock, SHARE) is False
        assert [row[14] for row in rows() if row[11] == os.getpid() and row[0] == "relation"] == [False, False]
        lock(ACCESS_SHARE)
        end()
        assert other.call(try_lock, SHARE) is True
        # While somebody holds a strong lock the fast path is closed for that relation.
        begin()
        lock(ACCESS_SHARE)
        assert [row[14] for row in rows() if row[11] == os.getpid() and row[0] == "relation"] == [False]
        end()
        other.call(end)
        begin()
        lock(ACCESS_SHARE)
        assert [row[14] for row in rows() if row[11] == os.getpid() and row[0] == "relation"] == [True]
        for relation in range(20000, 20200):
            lock(ACCESS_SHARE, relation)
        locked = sum(row[0] == "relation" and row[11] == os.getpid() for row in rows())
        assert locked == 201
        end()
        assert counts() == (0, 0)
        other.close()

    in_cluster(tmp_path / "data", run)


def test_waiting_and_order(tmp_path):
    def run():
        first, second, third = Backend(), Backend(), Backend()
        first.call(begin)
        first.call(lock, ACCESS_SHARE)
        second.call(begin)
        second.send(lock, ACCESS_EXCLUSIVE)
        wait_until_blocked(second)
        # A weak lock now has to stand behind the waiting strong one.
        third.call(begin)
        assert third.call(try_lock, ACCESS_SHARE) is False
        third.send(lock, ACCESS_SHARE)
        wait_until_blocked(third)
        assert blockers(second.pid) == [first.pid]
        assert blockers(third.pid) == [second.pid]
        waiting = next(row for row in rows() if row[11] == second.pid and not row[13])
        assert waiting[12] == "AccessExclusiveLock" and waiting[15] > 0
        first.call(end)
        second.receive()
        second.call(end)
        third.receive()
        third.call(end)
        assert counts() == (0, 0)
        for backend in (first, second, third):
            backend.close()

    in_cluster(tmp_path / "data", run)


def test_deadlock(tmp_path):
    def run():
        one, two = Backend(), Backend()
        for backend, relation in ((one, 1), (two, 2)):
            backend.call(begin)
            backend.call(lock, EXCLUSIVE, relation)
        one.call(setting, "deadlock_timeout", "1h")
        one.send(lock, SHARE, 2)
        wait_until_blocked(one)
        with pytest.raises(Exception) as caught:
            two.call(lock, ROW_EXCLUSIVE, 1)
        error = caught.value
        assert (error.sqlstate, error.message) == ("40P01", "deadlock detected")
        assert error.detail == (
            f"Process {two.pid} waits for RowExclusiveLock on relation 1 of database {DATABASE}; "
            f"blocked by process {one.pid}.\n"
            f"Process {one.pid} waits for ShareLock on relation 2 of database {DATABASE}; "
            f"blocked by process {two.pid}."
        )
        assert error.hint == "See server log for query details."
        one.receive()
        two.call(end)
        one.call(end)
        assert counts() == (0, 0)
        one.close()
        two.close()

    in_cluster(tmp_path / "data", run)


def test_immediate_and_soft_deadlock(tmp_path):
    def run():
        # Both hold what conflicts with what the other wants: seen on entering the queue.
        one, two = Backend(), Backend()
        one.call(begin)
        two.call(begin)
        one.call(lock, SHARE)
        two.call(lock, SHARE)
        one.call(setting, "deadlock_timeout", "1h")
        one.send(lock, EXCLUSIVE)
        wait_until_blocked(one)
        with pytest.raises(Exception, match="deadlock detected"):
            two.call(lock, EXCLUSIVE)
        one.receive()
        one.call(end)
        two.call(end)
        # A soft one: three waits for four only because of the queue, and is let past it.
        three, four, five = Backend(), Backend(), Backend()
        for backend in (three, four, five):
            backend.call(begin)
        three.call(lock, ROW_SHARE, 1)
        five.call(lock, ROW_EXCLUSIVE, 2)
        five.call(lock, ACCESS_SHARE, 1)
        four.call(setting, "deadlock_timeout", "1h")
        four.send(lock, ACCESS_EXCLUSIVE, 1)
        wait_until_blocked(four)
        # three holds what four waits for, so it goes before four at once.
        three.call(lock, ROW_EXCLUSIVE, 1)
        three.call(end)
        five.call(end)
        four.receive()
        four.call(end)
        for backend in (one, two, three, four, five):
            backend.close()

    in_cluster(tmp_path / "data", run)


def test_rearranged_queue(tmp_path):
    """A waits for B by queue order only, B waits for C, C for A: the detector puts A before B."""

    def run():
        a, b, c = Backend(), Backend(), Backend()
        for backend in (a, b, c):
            backend.call(begin)
            backend.call(setting, "deadlock_timeout", "1h")
        a.call(lock, ROW_SHARE, 2)
        c.call(lock, ACCESS_SHARE, 1)
        b.send(lock, ACCESS_EXCLUSIVE, 1)
        wait_until_blocked(b)
        c.send(lock, EXCLUSIVE, 2)
        wait_until_blocked(c)
        a.call(setting, "deadlock_timeout", "20ms")
        a.call(lock, ACCESS_SHARE, 1)
        a.call(end)
        c.receive()
        c.call(end)
        b.receive()
        b.call(end)
        assert counts() == (0, 0)
        for backend in (a, b, c):
            backend.close()

    in_cluster(tmp_path / "data", run)


def test_lock_timeout_and_cancel(tmp_path):
    def run():
        other = Backend()
        begin()
        lock(ACCESS_EXCLUSIVE)
        other.call(begin)
        other.call(setting, "lock_timeout", "30ms")
        with pytest.raises(Exception) as caught:
            other.call(lock, ACCESS_SHARE)
        assert (caught.value.sqlstate, caught.value.message) == ("55P03", "canceling statement due to lock timeout")
        other.call(end)
        other.call(setting, "lock_timeout", "0")
        other.call(begin)
        other.call(install_cancel)
        other.send(lock, ACCESS_SHARE)
        wait_until_blocked(other)
        os.kill(other.pid, 2)
        with pytest.raises(Exception) as caught:
            other.receive()
        assert caught.value.sqlstate == "57014"
        other.call(end)
        end()
        assert counts() == (0, 0)
        other.close()

    in_cluster(tmp_path / "data", run)


def install_cancel():
    import signal

    from tusk.errors import SqlError, errcode
    from tusk.memory import _interrupts

    def serve():
        if _interrupts.take("QueryCancel"):
            raise SqlError(errcode.QUERY_CANCELED, "canceling statement due to user request")

    _interrupts.install_signal(signal.SIGINT, "cancel")
    _interrupts.set_interrupt_handler(serve)


def test_savepoints_release_locks(tmp_path):
    def run():
        from tusk.transaction import _xact

        other = Backend()
        begin()
        lock(SHARE, 1)
        statement(_xact.define_savepoint, "a")
        lock(SHARE, 1)
        lock(SHARE, 2)
        lock(ACCESS_SHARE, 3)
        statement(_xact.define_savepoint, "b")
        lock(EXCLUSIVE, 4)
        statement(_xact.release_savepoint, "b")
        other.call(begin)
        assert other.call(try_lock, EXCLUSIVE, 4) is False
        statement(_xact.rollback_to_savepoint, "a")
        assert [other.call(try_lock, EXCLUSIVE, n) for n in (2, 3, 4)] == [True] * 3
        assert other.call(try_lock, EXCLUSIVE, 1) is False
        end()
        assert other.call(try_lock, EXCLUSIVE, 1) is True
        other.call(end)
        assert counts() == (0, 0)
        other.close()

    in_cluster(tmp_path / "data", run)


def test_advisory_locks(tmp_path):
    tag = (DATABASE, 0, 42, 1, 10, 2)

    def run():
        from tusk.transaction import _lock

        other = Backend()
        begin()
        statement(_lock.acquire, tag, EXCLUSIVE, True)
        statement(_lock.acquire, tag, EXCLUSIVE, True)
        statement(_lock.acquire, tag, EXCLUSIVE, False)
        end()
        assert other.call(try_advisory, tag) is False
        assert statement(_lock.release, tag, EXCLUSIVE, True) is True
        assert other.call(try_advisory, tag) is False
        assert statement(_lock.release, tag, EXCLUSIVE, True) is True
        assert statement(_lock.release, tag, EXCLUSIVE, True) is False
        assert other.call(try_advisory, tag) is True
        assert [row[0] for row in rows() if row[11] == other.pid] == ["advisory"]
        other.call(release_session)
        assert counts() == (0, 0)
        other.close()

    in_cluster(tmp_path / "data", run)


def try_advisory(tag):
    from tusk.transaction import _lock

    return bool(statement(_lock.acquire, tag, EXCLUSIVE, True, True))


def release_session():
    from tusk.transaction import _lock

    _lock.release_session(2)


def test_waiting_for_transactions(tmp_path):
    def run():
        from tusk.transaction import _procarray

        other = Backend()
        begin()
        xid = take_xid()
        other.call(begin)
        other.send(wait_for, xid)
        wait_until_blocked(other)
        waiting = next(row for row in rows() if row[11] == other.pid and not row[13])
        assert (waiting[0], waiting[6], waiting[12]) == ("transactionid", xid, "ShareLock")
        end()
        other.receive()
        other.call(end)
        begin()
        procno, lxid = next((row[0], row[4]) for row in _procarray.processes() if row[1] == os.getpid())
        other.call(begin)
        assert other.call(wait_for_virtual, procno, lxid, False) is False
        other.send(wait_for_virtual, procno, lxid, True)
        wait_until_blocked(other)
        end()
        assert other.receive() is True
        other.call(end)
        assert counts() == (0, 0)
        other.close()

    in_cluster(tmp_path / "data", run)


def wait_for(xid):
    from tusk.transaction import _lock

    statement(_lock.wait_for_transaction, xid)


def wait_for_virtual(procno, lxid, wait):
    from tusk.transaction import _lock

    return statement(_lock.wait_for_virtual_transaction, procno, lxid, wait)


def test_table_is_full(tmp_path):
    def run():
        begin()
        got = None
        for relation in range(1, 100000):
            got = outcome(lock, SHARE, relation)
            if got is not None:
                break
        assert got == ("53200", "out of shared memory")
        end()
        assert counts() == (0, 0)
        begin()
        lock(SHARE)
        end()

    in_cluster(tmp_path / "data", run, options={"max_locks_per_transaction": "10"})


def test_error_releases_everything(tmp_path):
    def run():
        from tusk.transaction import _xact

        for mode in range(1, 9):
            _xact.start_command()
            from tusk.transaction import _lock

            _lock.lock_relation(DATABASE, RELATION, mode)
            _xact.abort_current()
        assert counts() == (0, 0)
        assert _lock.local_lock_count() == 0

    in_cluster(tmp_path / "data", run)
