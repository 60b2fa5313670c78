# cython: language_level=3
"""The shared WAL state: reserving space, copying into WAL buffers, writing and flushing (access/xlog.h)."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tusk._types cimport Lsn
from tusk.stats._pending cimport WalCounts

cdef enum:                          # checkpoint request flags (access/xlog.h)
    CHECKPOINT_IS_SHUTDOWN = 0x0001
    CHECKPOINT_END_OF_RECOVERY = 0x0002
    CHECKPOINT_IMMEDIATE = 0x0004
    CHECKPOINT_FORCE = 0x0008
    CHECKPOINT_FLUSH_ALL = 0x0010
    CHECKPOINT_WAIT = 0x0020
    CHECKPOINT_REQUESTED = 0x0040
    CHECKPOINT_CAUSE_XLOG = 0x0080
    CHECKPOINT_CAUSE_TIME = 0x0100

cdef enum:
    WAL_LEVEL_MINIMAL = 0
    WAL_LEVEL_REPLICA = 1
    WAL_LEVEL_LOGICAL = 2

cdef WalCounts pg_wal_usage         # what this process wrote; only ever counts up

# A piece of the record being inserted.
cdef struct XLogRecData:
    const void *data
    uint32_t len

# Inserts an assembled record: rdata[0] starts with the header, whose xl_crc covers the data so far. 0: full-page
# writes must be decided anew (only with fpw_lsn given), nothing was inserted.
cdef Lsn insert_record(XLogRecData *rdata, int nrdata, Lsn fpw_lsn, uint8_t flags, int num_fpi) except? 0
# What decides on full-page images now; the copies may be stale, insert_record checks them again.
cdef void get_full_page_write_info(Lsn *redo, bint *do_page_writes) noexcept

# Positions of this process: start of its last record, end of its last record in this transaction (0: none; the
# transaction engineer resets it).
cdef Lsn get_proc_last_rec_ptr() noexcept nogil
cdef Lsn get_xact_last_rec_end() noexcept nogil
cdef void set_xact_last_rec_end(Lsn lsn) noexcept nogil

cdef int xlog_flush(Lsn upto) except -1             # returns when all WAL before `upto` is durable
cdef bint xlog_background_flush() except? 1         # walwriter: True when it wrote something
cdef bint xlog_needs_flush(Lsn lsn) noexcept nogil
cdef void xlog_set_async_xact_lsn(Lsn lsn) noexcept # an asynchronous commit ends here; may wake the walwriter
cdef Lsn get_insert_lsn() noexcept nogil            # GetXLogInsertRecPtr: end of reserved WAL
cdef Lsn get_write_lsn() noexcept nogil
cdef Lsn get_flush_lsn() noexcept nogil
cdef Lsn get_redo_rec_ptr() noexcept nogil          # redo pointer of the running or last checkpoint
cdef Lsn get_last_important_lsn() except? 0
cdef int insertion_lock_all() except -1             # all insertion locks, for checkpoints
cdef int insertion_unlock_all() except -1

cdef bint recovery_in_progress() noexcept nogil
cdef bint xlog_insert_allowed() noexcept nogil
cdef int wal_level() noexcept nogil
cdef bint xlog_is_needed() noexcept nogil           # wal_level >= replica
cdef bint xlog_standby_info_active() noexcept nogil # wal_level >= replica
cdef bint xlog_logical_info_active() noexcept nogil # wal_level >= logical
cdef bint xlog_hint_bit_is_needed() noexcept nogil  # data checksums or wal_log_hints
cdef Lsn get_fake_lsn_for_unlogged_rel() noexcept nogil
