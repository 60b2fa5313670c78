"""What the autovacuum launcher, its workers and the postmaster share (autovacuum.c's AutoVacuumShmemStruct).

The launcher takes a free worker slot, notes the database in it, makes it the starting one and asks the postmaster for a
process. The worker takes the starting slot over, and gives it back when it ends. All under AutovacuumLock, except the
flags, which the postmaster sets without any lock.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tusk.config import settings
from tusk.memory import _lwlock
from tusk.memory._segment import declare_area

AUTOVACUUM_LOCK, SCHEDULE_LOCK = 22, 23
FREE, STARTING, RUNNING = 0, 1, 2


class Worker(ctypes.Structure):
    """A worker's slot (WorkerInfoData)."""

    _fields_ = (
        ("launch_time", ctypes.c_double),       # monotonic seconds
        ("state", ctypes.c_uint32),
        ("pid", ctypes.c_int32),
        ("database", ctypes.c_uint32),
        ("table", ctypes.c_uint32),             # 0: none
        ("shared", ctypes.c_uint32),            # the table is of all databases
        ("balanced", ctypes.c_uint32),          # shares the cost limit with the others
    )


class _Head(ctypes.Structure):
    _fields_ = (
        ("launcher_pid", ctypes.c_int32),
        ("fork_failed", ctypes.c_uint32),
        ("rebalance", ctypes.c_uint32),
        ("starting", ctypes.c_int32),           # slot number, -1: none
        ("balanced_workers", ctypes.c_uint32),
        ("nslots", ctypes.c_uint32),
    )


class _Shared:
    head: _Head
    workers: Any


def _size(config: Any) -> int:
    return ctypes.sizeof(_Head) + int(config.autovacuum_worker_slots) * ctypes.sizeof(Worker)


def _attach(address: int) -> None:
    count = int(settings.autovacuum_worker_slots)
    _Shared.head = _Head.from_address(address)
    _Shared.workers = (Worker * count).from_address(address + ctypes.sizeof(_Head))


def _init(_address: int, _nbytes: int) -> None:
    _Shared.head.starting = -1
    _Shared.head.nslots = int(settings.autovacuum_worker_slots)


declare_area("AutoVacuum Data", _size, _init, _attach)


def head() -> _Head:
    """The part that exists once."""
    return _Shared.head


def worker(number: int) -> Worker:
    """A slot."""
    found: Worker = _Shared.workers[number]
    return found


def workers() -> list[Worker]:
    """All slots."""
    return [_Shared.workers[i] for i in range(_Shared.head.nslots)]


@contextmanager
def locked(lock: int = AUTOVACUUM_LOCK, *, exclusive: bool = True) -> Iterator[None]:
    """Hold one of the two locks."""
    _lwlock.acquire(lock, exclusive)
    try:
        yield
    finally:
        _lwlock.release(lock)


def worker_available() -> bool:
    """Whether one more worker may run; under the lock (av_worker_available)."""
    slots = workers()
    free = sum(slot.state == FREE for slot in slots)
    reserved = max(0, len(slots) - int(settings.autovacuum_max_workers))
    return bool(free > reserved)


def recalculate_balance() -> None:
    """Count those that share the cost limit; under the lock (autovac_recalculate_workers_for_balance)."""
    _Shared.head.balanced_workers = sum(slot.state == RUNNING and bool(slot.balanced) for slot in workers())


def wake_launcher() -> None:
    """A worker has started or ended: SIGUSR2."""
    pid = _Shared.head.launcher_pid
    if pid:
        try:
            os.kill(pid, signal.SIGUSR2)
        except ProcessLookupError:
            return


def note_fork_failure() -> None:
    """The postmaster could not fork a worker (AutoVacWorkerFailed)."""
    _Shared.head.fork_failed = 1
    wake_launcher()


def is_active() -> bool:
    """Whether autovacuum does ordinary work (AutoVacuumingActive)."""
    return bool(settings.autovacuum) and bool(settings.track_counts)
