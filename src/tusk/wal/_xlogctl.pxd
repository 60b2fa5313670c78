# cython: language_level=3
"""The shared area "XLOG Ctl", the settings WAL code reads in C, and WAL address arithmetic."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tusk._types cimport Lsn
from tusk.memory._lwlock cimport LWLock

cdef enum:
    NUM_XLOGINSERT_LOCKS = 8

    RECOVERY_STATE_CRASH = 0
    RECOVERY_STATE_ARCHIVE = 1
    RECOVERY_STATE_DONE = 2

    WAL_SYNC_METHOD_FSYNC = 0
    WAL_SYNC_METHOD_FDATASYNC = 1
    WAL_SYNC_METHOD_OPEN = 2
    WAL_SYNC_METHOD_FSYNC_WRITETHROUGH = 3
    WAL_SYNC_METHOD_OPEN_DSYNC = 4

    WAL_COMPRESSION_NONE = 0
    WAL_COMPRESSION_PGLZ = 1
    WAL_COMPRESSION_LZ4 = 2
    WAL_COMPRESSION_ZSTD = 3

cdef struct WALInsertLock:              # 128 bytes, so that no two share a cache line
    LWLock lock
    uint64_t insertingAt                # WAL before it is copied; 0: position unknown, as if at the start
    Lsn lastImportantAt
    uint8_t pad[96]

cdef struct XLogCtlData:
    # Where the next record goes, in usable bytes (page headers not counted). The hottest line of all.
    uint32_t insertpos_lck
    uint64_t CurrBytePos
    uint64_t PrevBytePos
    uint8_t pad1[104]

    # Changed with all insertion locks held, read with any of them held.
    Lsn InsertRedoRecPtr
    int32_t fullPageWrites
    int32_t runningBackups
    Lsn lastBackupStart
    WALInsertLock *insert_locks

    uint32_t info_lck                   # protects the next group
    Lsn rqstWrite
    Lsn rqstFlush
    Lsn RedoRecPtr
    Lsn asyncXactLSN
    Lsn replicationSlotMinLSN
    uint64_t lastRemovedSegNo
    int32_t WalWriterSleeping
    int32_t SharedRecoveryState
    Lsn lastFpwDisableRecPtr
    Lsn lastCheckPointRecPtr
    Lsn lastCheckPointEndPtr

    int64_t lastSegSwitchTime           # WALWriteLock
    Lsn lastSegSwitchLSN

    uint64_t logInsertResult            # atomics, only ever advanced
    uint64_t logWriteResult
    uint64_t logFlushResult
    uint64_t unloggedLSN

    Lsn InitializedUpTo                 # WALBufMappingLock
    char *pages
    uint64_t *xlblocks                  # end address of the page in each buffer, 0: none
    int32_t XLogCacheBlck               # highest buffer index

    uint32_t InsertTimeLineID           # set before WAL insertion starts
    uint32_t PrevTimeLineID
    int32_t InstallXLogFileSegmentActive    # ControlFileLock

    Lsn replayed_upto                   # startup process: end of the last replayed record

cdef XLogCtlData *XLogCtl
cdef uint64_t wal_segment_size

# C copies of settings (GUC names); `configure` fills them.
cdef struct WalSettings:
    bint fsync
    int wal_sync_method
    bint full_page_writes
    int wal_compression
    bint wal_log_hints
    int wal_level
    int commit_delay
    int commit_siblings
    int wal_writer_delay
    int wal_writer_flush_after
    bint wal_init_zero
    bint archiving
    bint under_postmaster
    bint data_checksums
    int checkpoint_segments             # WAL segments between checkpoints (CheckPointSegments)
    uint8_t consistency_checking[256]   # by resource manager id

cdef WalSettings wal_settings

# Whether a checkpointer takes checkpoint requests; else processes make their own.
cdef bint under_postmaster() noexcept nogil


cdef inline uint64_t usable_bytes_in_segment() noexcept nogil:
    return (wal_segment_size // 8192) * (8192 - 24) - 16


cdef inline uint64_t segment_offset(Lsn lsn) noexcept nogil:
    return lsn & (wal_segment_size - 1)


cdef inline Lsn byte_pos_to_lsn(uint64_t position) noexcept nogil:
    """Address of the usable byte `position` (XLogBytePosToRecPtr)."""
    cdef uint64_t usable = usable_bytes_in_segment()
    cdef uint64_t base = (position // usable) * wal_segment_size
    cdef uint64_t left = position % usable
    if left < 8192 - 40:
        return base + left + 40
    left -= 8192 - 40
    return base + 8192 + (left // 8168) * 8192 + left % 8168 + 24


cdef inline Lsn byte_pos_to_end_lsn(uint64_t position) noexcept nogil:
    """As above, but a position at a page's start is given as the page boundary, before its header."""
    cdef uint64_t usable = usable_bytes_in_segment()
    cdef uint64_t base = (position // usable) * wal_segment_size
    cdef uint64_t left = position % usable
    cdef uint64_t rest
    if left < 8192 - 40:
        return base if left == 0 else base + left + 40
    left -= 8192 - 40
    rest = left % 8168
    return base + 8192 + (left // 8168) * 8192 + (0 if rest == 0 else rest + 24)


cdef inline uint64_t lsn_to_byte_pos(Lsn lsn) noexcept nogil:
    cdef uint64_t position = (lsn // wal_segment_size) * usable_bytes_in_segment()
    cdef uint64_t offset = lsn & (wal_segment_size - 1)
    cdef uint64_t page = offset // 8192
    offset = offset % 8192
    if page == 0:
        return position + (offset - 40 if offset > 0 else 0)
    return position + (8192 - 40) + (page - 1) * 8168 + (offset - 24 if offset > 0 else 0)
