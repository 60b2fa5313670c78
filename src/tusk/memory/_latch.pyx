"""Latches: a flag in the process slot and an eventfd that ends a sleep.

The usual loop: reset, look for work, wait. `set_latch` writes the eventfd only when the owner may be sleeping. A wait
watches the postmaster-death pipe too. A process without a slot (the postmaster, tools, tests) has a private latch.
"""

import os

from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EINTR, errno
from libc.stdint cimport int64_t, uint64_t
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec
from posix.unistd cimport getpid, read, write

from tusk.memory cimport _interrupts
from tusk.memory._atomics cimport atomic_read_u32, atomic_write_u32, full_barrier
from tusk.memory._debug cimport TUSK_DEBUG
from tusk.memory._lwlock cimport lwlock_held_count
from tusk.memory._process cimport MyProc, PGPROC, ProcGlobal, proc_by_number
from tusk.memory._wait cimport wait_end, wait_start

from tusk.errors import Fatal, Panic, errcode

cdef extern from "<poll.h>" nogil:
    cdef struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd *fds, unsigned long nfds, int timeout)
    enum:
        POLLIN
        POLLOUT
        POLLHUP
        POLLERR
        POLLRDHUP

cdef struct LocalLatch:
    int fd
    int owner_pid
    uint32_t is_set
    uint32_t maybe_sleeping

_interrupts.set_latch_hook = set_my_latch

cdef LocalLatch _local
_local.fd = -1
cdef int _death_read_fd = -1
cdef int _death_write_fd = -1


cdef int _own_local() except -1:
    """Make the private latch's eventfd in this process: an inherited one belongs to the parent."""
    if _local.fd < 0 or _local.owner_pid != getpid():
        if _local.fd >= 0:
            os.close(_local.fd)
        _local.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        _local.owner_pid = getpid()
        _local.is_set = 0
        _local.maybe_sleeping = 0
    return 0


cdef inline void _set(uint32_t *is_set, uint32_t *maybe_sleeping, int fd) noexcept nogil:
    cdef uint64_t one = 1
    # What the setter did before must be visible to an owner that finds the flag set.
    full_barrier()
    if atomic_read_u32(is_set):
        return
    atomic_write_u32(is_set, 1)
    full_barrier()
    if atomic_read_u32(maybe_sleeping):
        write(fd, &one, 8)


cdef void set_latch(int procno) noexcept nogil:
    cdef PGPROC *proc = proc_by_number(procno)
    _set(&proc.latch_is_set, &proc.latch_maybe_sleeping, proc.latch_fd)


cdef void set_my_latch() noexcept nogil:
    cdef int saved_errno = errno
    if MyProc != NULL:
        _set(&MyProc.latch_is_set, &MyProc.latch_maybe_sleeping, MyProc.latch_fd)
    elif _local.fd >= 0:
        _set(&_local.is_set, &_local.maybe_sleeping, _local.fd)
    (&errno)[0] = saved_errno


cdef void reset_latch() noexcept nogil:
    if MyProc != NULL:
        atomic_write_u32(&MyProc.latch_is_set, 0)
    else:
        atomic_write_u32(&_local.is_set, 0)
    # The work must be looked for after the flag was cleared.
    full_barrier()


cdef inline int64_t _now_ms() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <int64_t> now.tv_sec * 1000 + now.tv_nsec // 1000000


cdef int wait_latch(long timeout_ms, uint32_t wait_event, int socket_fd=-1, bint want_read=True,
                    bint want_write=False) except -1:
    cdef pollfd fds[3]
    cdef int nfds = 1
    cdef int i_death = -1
    cdef int i_socket = -1
    cdef int result = 0
    cdef int ready
    cdef int saved_errno = 0
    cdef long remaining = timeout_ms
    cdef int64_t deadline = 0
    cdef uint32_t *is_set
    cdef uint32_t *maybe_sleeping
    cdef uint64_t drained
    if TUSK_DEBUG and lwlock_held_count():
        raise Panic(errcode.INTERNAL_ERROR, "waiting for a latch with LWLocks held")
    if MyProc != NULL:
        is_set = &MyProc.latch_is_set
        maybe_sleeping = &MyProc.latch_maybe_sleeping
        fds[0].fd = MyProc.latch_fd
    else:
        _own_local()
        is_set = &_local.is_set
        maybe_sleeping = &_local.maybe_sleeping
        fds[0].fd = _local.fd
    fds[0].events = POLLIN
    if _death_read_fd >= 0:
        i_death = nfds
        fds[nfds].fd = _death_read_fd
        fds[nfds].events = POLLIN
        nfds += 1
    if socket_fd >= 0:
        i_socket = nfds
        fds[nfds].fd = socket_fd
        fds[nfds].events = (POLLIN | POLLRDHUP if want_read else 0) | (POLLOUT if want_write else 0)
        nfds += 1
    if timeout_ms >= 0:
        deadline = _now_ms() + timeout_ms
    wait_start(wait_event)
    try:
        while True:
            with nogil:
                atomic_write_u32(maybe_sleeping, 1)
                full_barrier()
                if atomic_read_u32(is_set):
                    result |= WL_LATCH_SET
                    # Report what else is ready without sleeping.
                    ready = poll(fds, nfds, 0)
                else:
                    ready = poll(fds, nfds, <int> remaining if timeout_ms >= 0 else -1)
                if ready < 0:
                    saved_errno = errno
                atomic_write_u32(maybe_sleeping, 0)
                if ready > 0 and fds[0].revents:
                    # Drain first, then look at the flag: a later setter writes again.
                    read(fds[0].fd, &drained, 8)
                full_barrier()
                if atomic_read_u32(is_set):
                    result |= WL_LATCH_SET
            if ready > 0:
                if i_death >= 0 and fds[i_death].revents:
                    result |= WL_POSTMASTER_DEATH
                if i_socket >= 0 and fds[i_socket].revents:
                    if want_read and fds[i_socket].revents & (POLLIN | POLLHUP | POLLERR | POLLRDHUP):
                        result |= WL_SOCKET_READABLE
                    if want_write and fds[i_socket].revents & (POLLOUT | POLLHUP | POLLERR):
                        result |= WL_SOCKET_WRITEABLE
            elif ready < 0:
                if saved_errno != EINTR:
                    raise Fatal(errcode.INTERNAL_ERROR, f"poll() failed: {os.strerror(saved_errno)}")
                PyErr_CheckSignals()
            if result:
                return result
            if timeout_ms >= 0:
                remaining = <long> (deadline - _now_ms())
                if remaining <= 0:
                    return WL_TIMEOUT
    finally:
        wait_end()


cdef bint postmaster_is_alive() noexcept nogil:
    cdef pollfd fds[1]
    if _death_read_fd < 0:
        return True
    fds[0].fd = _death_read_fd
    fds[0].events = POLLIN
    return poll(fds, 1, 0) == 0


def create_death_watch() -> int:
    """Postmaster: make the pipe whose closing tells the children of its death; returns the read end."""
    global _death_read_fd, _death_write_fd
    if _death_write_fd < 0:
        _death_read_fd, _death_write_fd = os.pipe()
        os.set_blocking(_death_read_fd, False)
    return _death_read_fd


def start_death_watch_in_child() -> None:
    """Child: close the postmaster's end, so that only the postmaster holds it."""
    global _death_write_fd
    if _death_write_fd >= 0:
        os.close(_death_write_fd)
        _death_write_fd = -1


def stop_death_watch() -> None:
    """Close both ends: for tests and embedded postmasters."""
    global _death_read_fd, _death_write_fd
    for fd in (_death_read_fd, _death_write_fd):
        if fd >= 0:
            os.close(fd)
    _death_read_fd = _death_write_fd = -1


def postmaster_alive() -> bool:
    """False once the postmaster's end of the pipe is closed (PostmasterIsAlive)."""
    return postmaster_is_alive()


def set_latch_of(procno: int) -> None:
    """Wake the owner of a slot."""
    set_latch(procno)


def set_own_latch() -> None:
    """Make this process's next wait return at once."""
    if MyProc == NULL:
        _own_local()
    set_my_latch()


def reset() -> None:
    """Clear this process's latch; look for work afterwards."""
    reset_latch()


def wait(timeout_ms: int = -1, wait_event: int = 0, socket_fd: int = -1, want_read: bool = True,
         want_write: bool = False) -> int:
    """Wait for the latch, a socket, a timeout or the postmaster's death; returns WL_* bits (WaitLatchOrSocket)."""
    return wait_latch(timeout_ms, wait_event, socket_fd, want_read, want_write)


LATCH = WL_LATCH_SET
READABLE = WL_SOCKET_READABLE
WRITEABLE = WL_SOCKET_WRITEABLE
TIMEOUT = WL_TIMEOUT
POSTMASTER_DEATH = WL_POSTMASTER_DEATH
