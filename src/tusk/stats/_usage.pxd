# cython: language_level=3
"""What a piece of work took: blocks and WAL (BufferUsage and WalUsage of executor/instrument.h)."""

from tusk.stats._pending cimport BufferUsage, WalCounts

cdef class Usage:
    cdef BufferUsage buffers            # summed over all start ... stop
    cdef WalCounts wal
    cdef BufferUsage buffers_before
    cdef WalCounts wal_before

    cdef void start(self) noexcept
    cdef void stop(self) noexcept
