"""What a piece of work took: differences of this process's counters of blocks and WAL.

Used by EXPLAIN for each node and for planning, and by VACUUM and ANALYZE for their reports.
"""

from libc.stdint cimport int64_t, uintptr_t
from libc.string cimport memset

from tusk.stats._pending cimport BufferUsage, WalCounts, pgBufferUsage

from tusk.stats import _pending

cdef WalCounts *wal_counts = NULL


def count_temporary(int64_t nread, int64_t nwritten) -> None:
    """Blocks of temporary files that were read and written."""
    pgBufferUsage.temp_blks_read += nread
    pgBufferUsage.temp_blks_written += nwritten


cdef class Usage:
    """``Usage()``: nothing yet; ``begin()`` and ``end()`` around each piece."""

    def __cinit__(self):
        global wal_counts
        if wal_counts == NULL:
            wal_counts = <WalCounts *> <uintptr_t> _pending.wal_counts_address()
        memset(&self.buffers, 0, sizeof(BufferUsage))
        memset(&self.wal, 0, sizeof(WalCounts))

    cdef void start(self) noexcept:
        self.buffers_before = pgBufferUsage
        if wal_counts != NULL:
            self.wal_before = wal_counts[0]

    cdef void stop(self) noexcept:
        cdef int64_t *total = <int64_t *> &self.buffers
        cdef const int64_t *before = <const int64_t *> &self.buffers_before
        cdef const int64_t *now = <const int64_t *> &pgBufferUsage
        cdef int i
        for i in range(<int> (sizeof(BufferUsage) // sizeof(int64_t))):
            total[i] += now[i] - before[i]
        if wal_counts != NULL:
            self.wal.wal_records += wal_counts.wal_records - self.wal_before.wal_records
            self.wal.wal_fpi += wal_counts.wal_fpi - self.wal_before.wal_fpi
            self.wal.wal_bytes += wal_counts.wal_bytes - self.wal_before.wal_bytes
            self.wal.wal_buffers_full += wal_counts.wal_buffers_full - self.wal_before.wal_buffers_full

    def begin(self) -> None:
        """Remember where the counters stand."""
        self.start()

    def end(self) -> None:
        """Add what has been counted since."""
        self.stop()

    def buffer_usage(self) -> dict[str, int]:
        """The fields of BufferUsage; times in nanoseconds."""
        return dict(self.buffers)

    def wal_usage(self) -> dict[str, int]:
        """The fields of WalUsage."""
        return dict(self.wal)
