"""Signals with a reason between the server's processes, cancel keys, and signals to the postmaster.

A sender sets a flag in the target's slot and sends SIGUSR1; the target's handler notes it and the interrupt handler
calls `process_proc_signals`. The postmaster has its own flags (storage/pmsignal.h).
"""

import hmac
import os
import signal
from collections.abc import Callable
from typing import Any

from libc.stdint cimport uintptr_t
from libc.string cimport memcpy, memset

from tusk.memory._atomics cimport (
    atomic_exchange_u32,
    atomic_load_acquire_u32,
    atomic_read_u32,
    atomic_store_release_u32,
    atomic_write_u32,
    full_barrier,
    spin_lock,
    spin_unlock,
)
from tusk.memory._latch cimport set_latch
from tusk.memory._process cimport INVALID_PROC_NUMBER, MyProcNumber, proc_count

from tusk.memory._process import _slot_counts
from tusk.memory._segment import declare_area

cdef extern from "<signal.h>" nogil:
    int c_kill "kill"(int pid, int signum)
    enum:
        SIGUSR1

REASONS = (
    "catchup interrupt", "notify interrupt", "parallel message", "walsender stopping", "barrier",
    "log memory context", "parallel apply message", "recovery conflict: database", "recovery conflict: tablespace",
    "recovery conflict: lock", "recovery conflict: snapshot", "recovery conflict: logical slot",
    "recovery conflict: buffer pin", "recovery conflict: startup deadlock", "slot synchronization message",
)
CATCHUP_INTERRUPT = PROCSIG_CATCHUP_INTERRUPT
NOTIFY_INTERRUPT = PROCSIG_NOTIFY_INTERRUPT
PARALLEL_MESSAGE = PROCSIG_PARALLEL_MESSAGE
BARRIER = PROCSIG_BARRIER
LOG_MEMORY_CONTEXT = PROCSIG_LOG_MEMORY_CONTEXT

cdef ProcSignalSlot *_slots = NULL
_handlers: dict[int, Callable[[], None]] = {}


def _size(settings: Any) -> int:
    return sum(_slot_counts(settings)[0]) * sizeof(ProcSignalSlot)


def _attach(address: int) -> None:
    global _slots
    _slots = <ProcSignalSlot *> <uintptr_t> address


declare_area("ProcSignal", _size, None, _attach)


def init_proc_signal(cancel_key: bytes = b"") -> None:
    """Make this process reachable, and give it its cancel key (ProcSignalInit). After init_process."""
    cdef ProcSignalSlot *slot = &_slots[MyProcNumber]
    cdef int i
    if len(cancel_key) > MAX_CANCEL_KEY_LENGTH:
        raise ValueError("cancel key is too long")
    spin_lock(&slot.lock)
    for i in range(NUM_PROCSIGNALS):
        slot.flags[i] = 0
    memset(slot.cancel_key, 0, MAX_CANCEL_KEY_LENGTH)
    memcpy(slot.cancel_key, <const char *> cancel_key, len(cancel_key))
    slot.cancel_key_len = len(cancel_key)
    atomic_store_release_u32(&slot.pid, os.getpid())
    spin_unlock(&slot.lock)


def exit_proc_signal() -> None:
    """Not reachable any more: before release_process."""
    cdef ProcSignalSlot *slot
    if MyProcNumber == INVALID_PROC_NUMBER or _slots == NULL:
        return
    slot = &_slots[MyProcNumber]
    spin_lock(&slot.lock)
    atomic_store_release_u32(&slot.pid, 0)
    slot.cancel_key_len = 0
    spin_unlock(&slot.lock)


cdef int send_proc_signal(int pid, int reason, int procno) noexcept nogil:
    cdef ProcSignalSlot *slot
    cdef int i
    if _slots == NULL or pid == 0:
        return -1
    if procno >= 0:
        slot = &_slots[procno]
        if atomic_load_acquire_u32(&slot.pid) != <uint32_t> pid:
            return -1
        atomic_write_u32(&slot.flags[reason], 1)
        full_barrier()
        return c_kill(pid, SIGUSR1)
    for i in range(proc_count()):
        slot = &_slots[i]
        if atomic_load_acquire_u32(&slot.pid) == <uint32_t> pid:
            atomic_write_u32(&slot.flags[reason], 1)
            full_barrier()
            return c_kill(pid, SIGUSR1)
    return -1


cdef bint take_proc_signal(int reason) noexcept nogil:
    if MyProcNumber == INVALID_PROC_NUMBER or _slots == NULL:
        return False
    if not atomic_read_u32(&_slots[MyProcNumber].flags[reason]):
        return False
    return atomic_exchange_u32(&_slots[MyProcNumber].flags[reason], 0) != 0


def send(pid: int, reason: int, procno: int = -1) -> bool:
    """Send a reason to a process; False if there is no such process (SendProcSignal)."""
    return send_proc_signal(pid, reason, procno) == 0


def on_proc_signal(reason: int) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Decorator: what this process does for a reason, called from the interrupt handler."""

    def register(handler: Callable[[], None]) -> Callable[[], None]:
        _handlers[reason] = handler
        return handler

    return register


def process_proc_signals() -> None:
    """Call the handler of every reason that was sent to this process since the last time."""
    cdef int reason
    for reason in range(NUM_PROCSIGNALS):
        if take_proc_signal(reason):
            handler = _handlers.get(reason)
            if handler is not None:
                handler()


def send_cancel_request(pid: int, cancel_key: bytes) -> bool:
    """Send SIGINT to the backend if the key is right (SendCancelRequest)."""
    cdef ProcSignalSlot *slot
    cdef int i
    for i in range(proc_count()):
        slot = &_slots[i]
        if atomic_read_u32(&slot.pid) != <uint32_t> pid:
            continue
        spin_lock(&slot.lock)
        same_pid = slot.pid == <uint32_t> pid
        key = (<char *> slot.cancel_key)[:slot.cancel_key_len]
        spin_unlock(&slot.lock)
        if not same_pid:
            continue
        if key and hmac.compare_digest(key, cancel_key):
            os.kill(pid, signal.SIGINT)
            return True
        return False
    return False


# Signals to the postmaster.

PM_REASONS = (
    "recovery started", "recovery consistent", "begin hot standby", "rotate logfile", "start autovacuum launcher",
    "start autovacuum worker", "background worker change", "start walreceiver", "advance state machine",
    "xlog is shutdown",
)
(RECOVERY_STARTED, RECOVERY_CONSISTENT, BEGIN_HOT_STANDBY, ROTATE_LOGFILE, START_AUTOVAC_LAUNCHER,
 START_AUTOVAC_WORKER, BACKGROUND_WORKER_CHANGE, START_WALRECEIVER, ADVANCE_STATE_MACHINE, XLOG_IS_SHUTDOWN) = range(10)
QUIT_NOT_SENT, QUIT_FOR_CRASH, QUIT_FOR_STOP = range(3)

cdef struct PMSignalState:
    uint32_t flags[10]
    uint32_t quit_reason
    uint32_t postmaster_pid

cdef PMSignalState *_postmaster = NULL


def _pm_size(settings: Any) -> int:
    return sizeof(PMSignalState)


def _pm_attach(address: int) -> None:
    global _postmaster
    _postmaster = <PMSignalState *> <uintptr_t> address


def _pm_init(address: int, size: int) -> None:
    _postmaster.postmaster_pid = os.getpid()


declare_area("PMSignalState", _pm_size, _pm_init, _pm_attach)


def send_postmaster_signal(reason: int) -> None:
    """Ask the postmaster for something (SendPostmasterSignal)."""
    atomic_write_u32(&_postmaster.flags[<int> reason], 1)
    full_barrier()
    c_kill(<int> _postmaster.postmaster_pid, SIGUSR1)


def check_postmaster_signal(reason: int) -> bool:
    """Postmaster: was this asked for since the last time?"""
    return atomic_exchange_u32(&_postmaster.flags[<int> reason], 0) != 0


def set_quit_signal_reason(reason: int) -> None:
    """Postmaster: why SIGQUIT is about to be sent."""
    atomic_write_u32(&_postmaster.quit_reason, reason)


cdef int quit_reason_in_signal_handler() noexcept nogil:
    return <int> atomic_read_u32(&_postmaster.quit_reason) if _postmaster != NULL else 0


def quit_signal_reason() -> int:
    """Why SIGQUIT was sent."""
    return atomic_read_u32(&_postmaster.quit_reason)


def postmaster_pid() -> int:
    """The process that made the segment."""
    return _postmaster.postmaster_pid
