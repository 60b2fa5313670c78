# cython: language_level=3
"""Latches: one eventfd per process slot (storage/latch.h, storage/waiteventset.h)."""

from libc.stdint cimport uint32_t

cdef enum:
    WL_LATCH_SET = 1
    WL_SOCKET_READABLE = 2
    WL_SOCKET_WRITEABLE = 4
    WL_TIMEOUT = 8
    WL_POSTMASTER_DEATH = 16
    WL_EXIT_ON_PM_DEATH = 32
    WL_SOCKET_CLOSED = 128

cdef void set_latch(int procno) noexcept nogil
cdef void set_my_latch() noexcept nogil             # async-signal-safe; no-op before init_process
cdef void reset_latch() noexcept nogil
# Waits without the GIL; Python's signal handlers run on EINTR. timeout_ms < 0: forever. Returns WL_* bits.
cdef int wait_latch(long timeout_ms, uint32_t wait_event, int socket_fd=*, bint want_read=*,
                    bint want_write=*) except -1
cdef bint postmaster_is_alive() noexcept nogil
