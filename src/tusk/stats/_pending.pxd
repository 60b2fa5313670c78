# cython: language_level=3
"""What this process has counted and not yet added to the shared statistics."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from tusk._types cimport Oid, RelFileLocator
from tusk.stats._store cimport StatsEntryRef

cdef struct TableXact:              # rows changed by one (sub)transaction: PgStat_TableXactStatus
    int64_t inserted
    int64_t updated
    int64_t deleted
    int64_t inserted_before         # by the time of a TRUNCATE or DROP
    int64_t updated_before
    int64_t deleted_before
    bint truncdropped
    int nest_level
    RelationCounts *parent
    TableXact *upper                # of the enclosing level, same relation
    TableXact *next                 # of the same level

cdef struct RelationCounts:         # of a relation; PgStat_TableCounts with its keys
    int64_t seq_scans               # scans of a table, or
    int64_t index_scans             # of an index
    int64_t tuples_returned
    int64_t tuples_fetched
    int64_t tuples_inserted
    int64_t tuples_updated
    int64_t tuples_deleted
    int64_t tuples_hot_updated
    int64_t tuples_newpage_updated
    int64_t delta_live
    int64_t delta_dead
    int64_t changed
    int64_t blocks_fetched
    int64_t blocks_hit
    int64_t truncdropped            # up to here: zero where there is nothing to flush
    TableXact *trans
    RelFileLocator locator
    Oid relid
    bint shared
    bint sink                       # counts nowhere
    uint32_t users                  # open descriptors
    StatsEntryRef ref
    RelationCounts *next_by_oid
    RelationCounts *next_by_locator

cdef struct DatabaseCounts:
    int64_t xact_commit
    int64_t xact_rollback
    int64_t active_us
    int64_t idle_in_transaction_us
    int64_t block_read_ns
    int64_t block_write_ns
    int64_t temp_files
    int64_t temp_bytes
    int64_t deadlocks
    int64_t conflicts[6]            # tablespace, lock, snapshot, logicalslot, bufferpin, startup deadlock
    int64_t workers_to_launch
    int64_t workers_launched

cdef struct BufferUsage:            # executor/instrument.h; EXPLAIN (BUFFERS) takes differences
    int64_t shared_blks_hit
    int64_t shared_blks_read
    int64_t shared_blks_dirtied
    int64_t shared_blks_written
    int64_t local_blks_hit
    int64_t local_blks_read
    int64_t local_blks_dirtied
    int64_t local_blks_written
    int64_t temp_blks_read
    int64_t temp_blks_written
    int64_t shared_blk_read_ns
    int64_t shared_blk_write_ns
    int64_t local_blk_read_ns
    int64_t local_blk_write_ns
    int64_t temp_blk_read_ns
    int64_t temp_blk_write_ns

cdef struct WalCounts:              # executor/instrument.h, WalUsage
    int64_t wal_records
    int64_t wal_fpi
    uint64_t wal_bytes
    int64_t wal_buffers_full

cdef enum:                          # pgstat.h, for pg_stat_io
    IOOBJECT_RELATION = 0
    IOOBJECT_TEMP_RELATION = 1
    IOOBJECT_WAL = 2
    IOCONTEXT_BULKREAD = 0
    IOCONTEXT_BULKWRITE = 1
    IOCONTEXT_INIT = 2
    IOCONTEXT_NORMAL = 3
    IOCONTEXT_VACUUM = 4
    IOOP_EVICT = 0
    IOOP_FSYNC = 1
    IOOP_HIT = 2
    IOOP_REUSE = 3
    IOOP_WRITEBACK = 4
    IOOP_EXTEND = 5
    IOOP_READ = 6
    IOOP_WRITE = 7

cdef struct IoCounts:               # PgStat_BktypeIO; times in nanoseconds until they are flushed
    int64_t bytes[3][5][8]
    int64_t counts[3][5][8]
    int64_t times[3][5][8]

cdef RelationCounts discarded_counts
cdef DatabaseCounts database_counts
cdef IoCounts io_pending
cdef BufferUsage pgBufferUsage
cdef WalCounts *wal_counts           # where wal counts; NULL until it has said so
cdef int64_t slru_pending[8][7]     # zeroed, hit, read, written, exists, flush, truncate
cdef int stats_nest_level           # of transactions; 0 outside
cdef bint track_wal_io_timing
cdef RelationCounts **locator_buckets
cdef uint32_t locator_mask

# The counts of a relation, made where there are none; the caller becomes one of its users.
cdef RelationCounts *use_relation_counts(Oid relid, bint shared, const RelFileLocator *locator) noexcept
cdef void leave_relation_counts(RelationCounts *counts) noexcept
cdef void set_counts_locator(RelationCounts *counts, const RelFileLocator *locator) noexcept
cdef void push_table_xact(RelationCounts *counts) noexcept nogil


cdef inline RelationCounts *counts_of_locator(const RelFileLocator *locator) noexcept nogil:
    """Where to count reads of a file's blocks."""
    cdef RelationCounts *counts
    if locator_buckets == NULL:
        return &discarded_counts
    counts = locator_buckets[(locator.relNumber * <uint32_t> 2654435761 >> 8) & locator_mask]
    while counts != NULL:
        if counts.locator.relNumber == locator.relNumber and counts.locator.dbOid == locator.dbOid \
                and counts.locator.spcOid == locator.spcOid:
            return counts
        counts = counts.next_by_locator
    return &discarded_counts


cdef inline void count_io(int target, int context, int operation, int64_t count, int64_t nbytes) noexcept nogil:
    io_pending.counts[target][context][operation] += count
    io_pending.bytes[target][context][operation] += nbytes


cdef inline TableXact *table_xact(RelationCounts *counts) noexcept nogil:
    """The rows of the current (sub)transaction."""
    if counts.trans == NULL or counts.trans.nest_level != stats_nest_level:
        push_table_xact(counts)
    return counts.trans


cdef inline void count_inserted(RelationCounts *counts, int64_t nrows) noexcept nogil:
    table_xact(counts).inserted += nrows


cdef inline void count_updated(RelationCounts *counts, bint hot, bint newpage) noexcept nogil:
    table_xact(counts).updated += 1
    if hot:
        counts.tuples_hot_updated += 1
    elif newpage:
        counts.tuples_newpage_updated += 1


cdef inline void count_deleted(RelationCounts *counts) noexcept nogil:
    table_xact(counts).deleted += 1


# Transactions tell, in this order of calls
cdef void stats_xact_start() noexcept nogil
cdef void stats_subxact_start() noexcept nogil
cdef int stats_subxact_end(bint is_commit) except -1
# Items (16 bytes: kind, database, object's two halves) that are dropped with this outcome, for the commit record.
cdef int stats_xact_dropped(bint is_commit, char **items) except -1
cdef int stats_xact_end(bint is_commit) except -1
cdef int stats_drop_redo(const char *items, int n) except -1

# Add what was counted to the shared statistics: with `force` now, else if the last time was a second ago or longer.
# Outside transactions. 1 if something is left to flush.
cdef int flush_stats(bint force) except -1
# The database whose relations this process counts.
cdef void set_stats_database(Oid database) noexcept
# wal says where it counts.
cdef void set_wal_counts(WalCounts *counts) noexcept
