"""The buffer pool: pins, replacement, several processes, faults."""

import errno
import os

import pytest
from _children import run_children

from tusk.errors import Panic, SqlError
from tusk.memory import _latch, _process
from tusk.storage import _checkpoint, _faults, _page, _smgr, _sync


def content(pool, locator, block):
    with pool.pinned(locator, block, lock="share") as buf:
        return _page.items(bytes(buf.page))[0][2]


def test_written_pages_carry_checksums(pool, relation):
    assert _checkpoint.checkpoint() == 10
    assert _checkpoint.checkpoint() == 0
    for block in range(10):
        page = _smgr.read(relation, 0, block)
        assert _page.verify(page, block) == 0
        assert _page.items(page)[0][2] == b"block %d" % block
    assert _sync.pending_count() == (1, 0)
    assert _sync.process_sync_requests() == 1


def test_eviction_writes_and_reads_back(pool, relation):
    for _ in range(60):
        pool.extend(relation, 0, 4)
    assert _smgr.nblocks(relation) == 250
    assert len(pool.buffers()) == 64
    assert [content(pool, relation, block) for block in range(10)] == [b"block %d" % block for block in range(10)]


def test_read_ahead_and_rings(pool, relation):
    pool.flush_relation(relation)
    pool.drop_relation(relation)
    assert pool.prewarm(relation, 0, 0, 10) == 10
    assert pool.prewarm(relation, 0, 0, 10) == 0
    assert content(pool, relation, 7) == b"block 7"
    for _ in range(20):
        pool.extend(relation, 0, 4)
    pool.drop_relation(relation)
    pool.prewarm(relation, 0, 0, 90, 1)
    assert len(pool.buffers()) <= 16        # a ring of an eighth of the pool, and what is in flight


def test_all_pinned(pool, relation):
    for _ in range(20):
        pool.extend(relation, 0, 4)
    guards = []
    with pytest.raises(SqlError, match="no unpinned buffers available"):
        for block in range(90):
            guard = pool.pinned(relation, block)
            guard.__enter__()
            guards.append(guard)
    assert len(guards) == 64
    for guard in guards:
        guard.__exit__(None, None, None)


def test_leaks_are_reported_and_dropped(pool, relation):
    guard = pool.pinned(relation, 3)
    guard.__enter__()
    assert len(pool.leaked_pins()) == 1
    assert "base/5/16384, blockNum=3" in pool.leaked_pins()[0]
    pool.at_end_of_transaction(False)
    assert pool.pin_total() == 0


def test_read_past_the_end(pool, relation):
    with pytest.raises(SqlError) as caught, pool.pinned(relation, 10):
        pass
    assert caught.value.sqlstate == "XX001"
    assert caught.value.message == 'could not read blocks 10..10 in file "base/5/16384": read only 0 of 8192 bytes'
    assert pool.extend(relation) == [10]        # the failed read has left nothing in the way


def test_corrupted_page(pool, relation, capfd):
    _checkpoint.checkpoint()
    pool.drop_relation(relation)
    with open("base/5/16384", "r+b") as file:
        file.seek(3 * 8192 + 4000)
        file.write(b"garbage")
    for _ in range(2):
        with pytest.raises(SqlError) as caught, pool.pinned(relation, 3):
            pass
        assert (caught.value.sqlstate, caught.value.message) == (
            "XX001", 'invalid page in block 3 of relation "base/5/16384"')
    assert pool.prewarm(relation, 0, 0, 10) == 10
    assert content(pool, relation, 4) == b"block 4"
    pool.configure(zero_damaged=True)
    try:
        with pool.pinned(relation, 3) as buf:
            assert bytes(buf.page) == bytes(8192)
    finally:
        pool.configure(zero_damaged=False)


def test_truncate_and_unlink(pool, relation):
    _smgr.truncate(relation, 0, 4)
    assert _smgr.nblocks(relation) == 4
    assert {row["relblocknumber"] for row in pool.buffers()} == {0, 1, 2, 3}
    _smgr.unlink(relation)
    assert pool.buffers() == []
    assert os.path.getsize("base/5/16384") == 0     # emptied; removed after the next checkpoint
    _sync.sync_pre_checkpoint()
    _sync.process_sync_requests()
    _sync.sync_post_checkpoint()
    assert not os.path.exists("base/5/16384")


def test_several_segments(pool):
    locator = (1663, 5, 17000)
    _smgr.create(locator)
    with open("base/5/17000", "r+b") as file:
        file.truncate(131072 * 8192)                # a sparse first segment
    assert _smgr.nblocks(locator) == 131072
    assert pool.extend(locator, 0, 3) == [131072, 131073, 131074]
    assert os.path.getsize("base/5/17000.1") == 3 * 8192
    assert _smgr.nblocks(locator) == 131075
    _smgr.truncate(locator, 0, 5)
    assert os.path.getsize("base/5/17000.1") == 0
    assert os.path.getsize("base/5/17000") == 5 * 8192
    assert _smgr.nblocks(locator) == 5
    _smgr.unlink(locator, -1, True)
    assert os.listdir("base/5") == []


def test_temporary_relations(pool):
    locator = (1663, 5, 18000)
    backend = _process.my_proc_number()
    _smgr.create(locator, 0, backend)
    assert os.listdir("base/5") == [f"t{backend}_18000"]
    assert pool.extend(locator, 0, 3, "t") == [0, 1, 2]
    with pool.pinned(locator, 1, lock="exclusive", persistence="t") as buf:
        assert buf.buffer < 0
        buf.page[100:103] = b"abc"
        buf.mark_dirty()
    pool.flush_relation(locator, "t")
    assert _smgr.read(locator, 0, 1, backend)[100:103] == b"abc"
    assert pool.buffers() == []
    _smgr.unlink(locator, backend)
    assert os.listdir("base/5") == []


@pytest.mark.parametrize("operation", ["write", "extend", "read"])
def test_nth_failure(pool, relation, operation):
    """Whatever call fails, nothing stays pinned or locked, and the work succeeds afterwards."""
    for number in range(1, 100):
        _faults.inject(operation, number, errno.ENOSPC)
        failed = False
        try:
            for _ in range(3):
                pool.extend(relation, 0, 4)
            for block in range(10):
                with pool.pinned(relation, block, lock="exclusive") as buf:
                    buf.mark_dirty()
            _checkpoint.checkpoint()
        except SqlError as error:
            failed = True
            assert error.sqlstate == "53100"
            assert "No space left on device" in error.message
        calls = _faults.heal()
        assert pool.pin_total() == 0
        _checkpoint.checkpoint()
        for block in range(10):
            assert content(pool, relation, block) == b"block %d" % block
        pool.flush_relation(relation)
        pool.drop_relation(relation)
        if not failed:
            assert calls.get(operation, 0) < number
            break
    else:
        pytest.fail("never ended")


def test_fsync_failure_is_a_panic(pool, relation):
    _checkpoint.checkpoint()

    def fail(tag):
        raise OSError(errno.EIO, "Input/output error", "base/5/16384")

    with pytest.raises(Panic) as caught:
        _sync.process_sync_requests(fail)
    assert caught.value.sqlstate == "58030"
    assert caught.value.message == 'could not fsync file "base/5/16384": Input/output error'


def test_processes_extend_one_relation(pool, relation):
    def child():
        pool.forget_pins_after_fork()
        _smgr.destroy_all()
        for _ in range(40):
            for block in pool.extend(relation, 0, 2):
                with pool.pinned(relation, block, lock="exclusive") as buf:
                    assert bytes(buf.page[:8]) == bytes(8)
                    page = bytearray(8192)
                    _page.init(page)
                    _page.add_item(page, b"by %d" % os.getpid())
                    buf.page[:] = page
                    buf.mark_dirty()

    run_children([child] * 4)
    _smgr.destroy_all()
    nblocks = _smgr.nblocks(relation)
    assert nblocks == 10 + 4 * 40 * 2
    by = [content(pool, relation, block) for block in range(10, nblocks)]
    assert len(set(by)) == 4
    assert all(by.count(who) == 80 for who in set(by))


def test_processes_change_pages_under_replacement(pool, relation):
    """More pages than buffers, several writers: no change may be lost."""
    for _ in range(30):
        pool.extend(relation, 0, 4)
    rounds = 300

    def child(seed):
        pool.forget_pins_after_fork()
        _smgr.destroy_all()
        for i in range(rounds):
            block = 10 + (i * 7 + seed * 13) % 100
            with pool.pinned(relation, block, lock="exclusive") as buf:
                value = int.from_bytes(buf.page[4000:4004], "little") + 1
                if value == 1:
                    page = bytearray(8192)
                    _page.init(page)
                    buf.page[:] = page
                buf.page[4000:4004] = value.to_bytes(4, "little")
                buf.mark_dirty()
            if i % 100 == 50:
                _checkpoint.bgwriter_round()

    run_children([lambda s=s: child(s) for s in range(4)])
    total = 0
    for block in range(10, 110):
        with pool.pinned(relation, block, lock="share") as buf:
            total += int.from_bytes(buf.page[4000:4004], "little")
    assert total == 4 * rounds


def test_sync_requests_are_forwarded(pool, relation):
    _checkpoint.checkpoint()
    _sync.process_sync_requests()

    def child():
        pool.forget_pins_after_fork()
        _smgr.destroy_all()
        _sync.init_sync(True)
        for i in range(200):
            _smgr.write(relation, 0, i % 10, bytes(8192))
        assert _sync.queue_length() <= 64

    run_children([child])
    assert _sync.queue_length() > 0
    assert _sync.process_sync_requests() == 1
    assert _sync.queue_length() == 0


def test_bgwriter_cleans_ahead(pool, relation):
    for _ in range(30):
        pool.extend(relation, 0, 2)
    for block in range(10, 60):
        with pool.pinned(relation, block, lock="exclusive") as buf:
            buf.page[5000] = 1
            buf.mark_dirty()
    _checkpoint.take_stats()
    _checkpoint.configure(delay_ms=100000)
    for _ in range(5):
        pool.prewarm(relation, 0, 0, 70)
        _checkpoint.bgwriter_round()
    _checkpoint.configure(delay_ms=200)
    assert _checkpoint.take_stats()["buffers_alloc"] > 0


def test_postmaster_watch_is_off_here(pool):
    assert _latch.postmaster_alive()
