"""The segment, slots, LWLocks, latches and process signals, with real processes."""

import ctypes
import itertools
import os
import signal
import time

import pytest
from _children import run_children

from tusk.errors import Fatal
from tusk.memory import _interrupts, _latch, _lwlock, _process, _procsignal, _segment, timeouts, wait_events

TEST_LOCK = 21      # AddinShmemInitLock: nobody else uses it here


def _counter():
    """A word of shared memory that nobody uses: the reserved part of the header."""
    return ctypes.c_uint64.from_address(_segment.area_address("LWLock Array") - 64)


def test_areas_do_not_overlap(segment):
    named = [area for area in segment.areas() if area.offset is not None]
    for before, after in itertools.pairwise(named):
        assert before.offset + before.allocated_size <= after.offset
        assert after.offset % 128 == 0
    assert {"Proc Header", "PGPROC structures", "ProcSignal"} <= {area.name for area in named}


def test_slots_run_out_and_come_back(segment):
    assert _process.free_slots() == 11
    _process.set_connection_limit(1)
    pid = os.fork()
    if pid == 0:
        _process.forget_process_after_fork()
        try:
            _process.init_process(0, 0)
        except Fatal as error:
            os._exit(0 if error.sqlstate == "53300" and error.message == "sorry, too many clients already" else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    _process.set_connection_limit(1000)
    assert _process.free_slots() == 19      # the ceiling
    seen = os.pipe()

    def child():
        os.write(seen[1], bytes([_process.my_proc_number()]))

    run_children([child, child, child])
    os.close(seen[1])
    assert _process.my_proc_number() not in os.read(seen[0], 10)
    os.close(seen[0])
    assert _process.free_slots() == 19


def test_exclusive_lock_excludes(segment):
    counter = _counter()
    counter.value = 0
    rounds = 20000

    def child():
        mine = _counter()
        for _ in range(rounds):
            _lwlock.acquire(TEST_LOCK)
            mine.value += 1
            _lwlock.release(TEST_LOCK)

    run_children([child] * 3)
    assert counter.value == 3 * rounds


def test_shared_and_exclusive_mix(segment):
    counter = _counter()
    counter.value = 0

    def writer():
        mine = _counter()
        for i in range(3000):
            _lwlock.acquire(TEST_LOCK)
            mine.value += 1
            if i % 50 == 0:
                os.sched_yield()
            mine.value += 1
            _lwlock.release(TEST_LOCK)

    def reader():
        mine = _counter()
        for _ in range(6000):
            _lwlock.acquire(TEST_LOCK, False)
            assert mine.value % 2 == 0
            _lwlock.release(TEST_LOCK)

    run_children([writer, reader, reader, writer])
    assert counter.value == 2 * 3000 * 2


def test_acquire_or_wait_and_conditional(segment):
    ready, done = os.pipe(), os.pipe()

    def holder():
        _lwlock.acquire(TEST_LOCK)
        os.write(ready[1], b"x")
        assert os.read(done[0], 1) == b"g"
        _lwlock.release(TEST_LOCK)

    def waiter():
        assert os.read(ready[0], 1) == b"x"
        assert not _lwlock.try_acquire(TEST_LOCK)
        os.write(done[1], b"g")
        if _lwlock.acquire_or_wait(TEST_LOCK):
            _lwlock.release(TEST_LOCK)
        assert _lwlock.held_count() == 0

    run_children([holder, waiter])


def test_latch_wakes_and_times_out(segment):
    assert _latch.wait(5) == _latch.TIMEOUT
    me = _process.my_proc_number()

    def child():
        _latch.set_latch_of(me)

    run_children([child])
    assert _latch.wait(5000) == _latch.LATCH
    _latch.reset()
    reader, writer = os.pipe()
    os.write(writer, b"x")
    assert _latch.wait(1000, 0, reader) == _latch.READABLE
    os.close(reader)
    os.close(writer)


def test_latch_ping_pong(segment):
    counter = _counter()
    counter.value = 0
    players = (ctypes.c_uint64 * 2).from_address(_segment.area_address("LWLock Array") - 48)
    players[0] = players[1] = 0

    def play(parity):
        mine = _counter()
        players[parity] = _process.my_proc_number() + 1
        while not players[1 - parity]:
            os.sched_yield()
        other = players[1 - parity] - 1
        while mine.value < 4000:
            _latch.reset()
            if mine.value % 2 == parity:
                mine.value += 1
                _latch.set_latch_of(other)
            elif mine.value < 4000:
                _latch.wait(2000)
        _latch.set_latch_of(other)

    run_children([lambda: play(0), lambda: play(1)])
    assert counter.value >= 4000


def test_postmaster_death_is_seen(segment):
    report = os.pipe()
    middle = os.fork()
    if middle == 0:
        _process.forget_process_after_fork()
        _latch.create_death_watch()
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            _latch.start_death_watch_in_child()
            _process.init_process(0, 0)
            os.write(report[1], b"r")
            bits = _latch.wait(10000)
            os.write(report[1], bytes([bits]) + bytes([_latch.postmaster_alive()]))
            os._exit(0)
        os.read(report[0], 1)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(middle, 0)
    assert os.read(report[0], 1)[0] == _latch.POSTMASTER_DEATH
    assert os.read(report[0], 1)[0] == 0


def test_signals_with_reasons_and_cancel_keys(segment):
    ready = os.pipe()
    seen = []

    def child():
        _interrupts.install_signal(signal.SIGUSR1, "procsignal")
        _interrupts.install_signal(signal.SIGINT, "cancel")
        _procsignal.init_proc_signal(b"secret")
        _procsignal.on_proc_signal(_procsignal.NOTIFY_INTERRUPT)(lambda: seen.append("notify"))

        def serve():
            if _interrupts.take("ProcSignal"):
                _procsignal.process_proc_signals()
            if _interrupts.take("QueryCancel"):
                seen.append("cancel")

        _interrupts.set_interrupt_handler(serve)
        os.write(ready[1], b"r")
        deadline = time.monotonic() + 10
        while seen != ["notify", "cancel"] and time.monotonic() < deadline:
            _latch.reset()
            _interrupts.check()
            if len(seen) < 2:
                _latch.wait(100)
        assert sorted(seen) == ["cancel", "notify"]

    pid = os.fork()
    if pid == 0:
        os.close(ready[0])
        try:
            signal.alarm(20)
            _process.forget_process_after_fork()
            _process.init_process(0, 0)
            child()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.read(ready[0], 1) == b"r"
    assert not _procsignal.send_cancel_request(pid, b"wrong!")
    assert _procsignal.send(pid, _procsignal.NOTIFY_INTERRUPT)
    assert _procsignal.send_cancel_request(pid, b"secret")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert not _procsignal.send(999999999, _procsignal.NOTIFY_INTERRUPT)


def test_interrupts_are_held_off(segment):
    calls = []
    _interrupts.set_interrupt_handler(lambda: calls.append(1))
    try:
        with _interrupts.HoldInterrupts():
            _interrupts.raise_interrupt()
            _interrupts.check()
            assert calls == []
        _lwlock.acquire(TEST_LOCK)
        _interrupts.check()
        assert calls == []
        _lwlock.release(TEST_LOCK)
        _interrupts.check()
        _interrupts.check()
        assert calls == [1]
    finally:
        _interrupts.set_interrupt_handler(None)


def test_reinitialize_forgets_what_a_crash_left(segment):
    pid = os.fork()
    if pid == 0:
        _process.forget_process_after_fork()
        _process.init_process(0, 0)
        _lwlock.acquire(TEST_LOCK)
        os._exit(9)
    os.waitpid(pid, 0)
    assert not _lwlock.try_acquire(TEST_LOCK)
    _process.release_process()
    segment.reinitialize_segment()
    _process.init_process(0, 0)
    assert _lwlock.try_acquire(TEST_LOCK)
    _lwlock.release(TEST_LOCK)
    assert _process.free_slots() == 11


def test_wait_events():
    rows = wait_events.rows()
    assert len(rows) == 273
    assert wait_events.describe(0) == (None, None)
    assert wait_events.describe(wait_events.ids["WAIT_EVENT_DATA_FILE_READ"]) == ("IO", "DataFileRead")
    assert wait_events.describe(wait_events.PG_WAIT_LWLOCK | 8) == ("LWLock", "WALWrite")
    assert wait_events.describe(wait_events.PG_WAIT_LOCK | 4) == ("Lock", "tuple")


@pytest.mark.parametrize(("locks", "groups"), [(10, 1), (16, 1), (64, 4), (65, 8), (100000, 1024)])
def test_fast_path_groups(locks, groups):
    assert _process.fast_path_groups(locks) == groups


def test_timeouts(segment):
    order = []

    def child():
        timeouts.install()
        for name in ("deadlock", "statement", "lock"):
            timeouts.register(name, lambda name=name: order.append(name))
        timeouts.enable_after("statement", 30)
        timeouts.enable_after("deadlock", 10)
        timeouts.enable_after("lock", 20)
        timeouts.disable("lock")
        deadline = time.monotonic() + 5
        while len(order) < 2 and time.monotonic() < deadline:
            _latch.reset()
            with _interrupts.HoldInterrupts():
                _interrupts.check()
            if len(order) < 2:
                _latch.wait(1000)
        assert order == ["deadlock", "statement"]
        assert timeouts.fired("statement")
        assert not timeouts.fired("lock")
        assert not timeouts.is_active("statement")

    run_children([child])
