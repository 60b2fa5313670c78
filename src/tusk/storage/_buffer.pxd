# cython: language_level=3
"""The buffer pool (storage/bufmgr.h, storage/buf_internals.h)."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tusk._types cimport BLCKSZ, BlockNumber, ForkNumber, Lsn, Oid, RelFileLocator
from tusk.memory._lwlock cimport LWLock
from tusk.stats._pending cimport (
    IOCONTEXT_BULKREAD,
    IOCONTEXT_BULKWRITE,
    IOCONTEXT_NORMAL,
    IOCONTEXT_VACUUM,
    IOOBJECT_RELATION,
    IOOBJECT_TEMP_RELATION,
    BufferUsage,
    pgBufferUsage,
)
from tusk.storage._local_buffer cimport LocalBufferBlocks
from tusk.storage._smgr cimport SMgrRelation

ctypedef int Buffer                 # from 1; negative: local buffer of a temporary relation; 0: none

cdef enum:
    InvalidBuffer = 0

cdef enum:                          # modes of read_buffer
    RBM_NORMAL = 0
    RBM_ZERO_AND_LOCK = 1
    RBM_ZERO_AND_CLEANUP_LOCK = 2
    RBM_ZERO_ON_ERROR = 3
    RBM_NORMAL_NO_LOG = 4

cdef enum:
    BUFFER_LOCK_UNLOCK = 0
    BUFFER_LOCK_SHARE = 1
    BUFFER_LOCK_EXCLUSIVE = 2

cdef enum:                          # persistence, as in pg_class.relpersistence
    RELPERSISTENCE_PERMANENT = 112  # p
    RELPERSISTENCE_UNLOGGED = 117   # u
    RELPERSISTENCE_TEMP = 116       # t

cdef enum:                          # flags of extend_relation
    EB_SKIP_EXTENSION_LOCK = 1
    EB_PERFORMING_RECOVERY = 2
    EB_CREATE_FORK_IF_NEEDED = 4
    EB_LOCK_FIRST = 8
    EB_CLEAR_SIZE_CACHE = 16
    EB_LOCK_TARGET = 32

cdef enum:                          # kinds of strategies
    BAS_NORMAL = 0
    BAS_BULKREAD = 1
    BAS_BULKWRITE = 2
    BAS_VACUUM = 3

cdef enum:                          # flags of checkpoint_buffers: access/xlog.h
    CHECKPOINT_IS_SHUTDOWN = 0x0001
    CHECKPOINT_END_OF_RECOVERY = 0x0002
    CHECKPOINT_FAST = 0x0004
    CHECKPOINT_FORCE = 0x0008
    CHECKPOINT_FLUSH_UNLOGGED = 0x0010

cdef enum:
    BUF_REFCOUNT_MASK = 0x0003FFFF
    BUF_USAGECOUNT_MASK = 0x003C0000
    BUF_USAGECOUNT_ONE = 0x00040000
    BUF_USAGECOUNT_SHIFT = 18
    BM_LOCKED = 1 << 22
    BM_DIRTY = 1 << 23
    BM_VALID = 1 << 24
    BM_TAG_VALID = 1 << 25
    BM_IO_IN_PROGRESS = 1 << 26
    BM_IO_ERROR = 1 << 27
    BM_JUST_DIRTIED = 1 << 28
    BM_PIN_COUNT_WAITER = 1 << 29
    BM_CHECKPOINT_NEEDED = 1 << 30
    BM_MAX_USAGE_COUNT = 5

cdef extern from *:
    """
    #define TUSK_BM_PERMANENT (1u << 31)
    """
    const uint32_t BM_PERMANENT "TUSK_BM_PERMANENT"

cdef struct BufferTag:
    Oid spcOid
    Oid dbOid
    Oid relNumber
    int32_t forkNum
    BlockNumber blockNum

cdef struct BufferDesc:             # 64 bytes
    BufferTag tag
    int32_t buf_id
    uint32_t state
    int32_t wait_backend_pgprocno
    int32_t hash_next               # next buffer of the mapping table's chain, -1 at its end
    uint32_t io_sequence            # futex word: bumped when an I/O ends
    uint32_t io_waiters
    uint32_t hashcode
    LWLock content_lock

cdef struct BufferAccessStrategyData:
    int btype
    int nbuffers
    int current
    Buffer *buffers

ctypedef BufferAccessStrategyData *BufferAccessStrategy

cdef int NBuffers
cdef char *BufferBlocks
cdef BufferDesc *BufferDescriptors

# Settings read in hot places; storage's owner copies them from the GUCs.
cdef bint zero_damaged_pages
cdef bint ignore_checksum_failure
cdef bint data_checksums_enabled
cdef bint track_io_timing


cdef inline char *buffer_page(Buffer buffer) noexcept nogil:
    """The page in a pinned buffer."""
    if buffer > 0:
        return BufferBlocks + <size_t> (buffer - 1) * BLCKSZ
    return LocalBufferBlocks[-buffer - 1]


cdef inline BufferDesc *buffer_descriptor(Buffer buffer) noexcept nogil:
    """Of a shared buffer."""
    return &BufferDescriptors[buffer - 1]


# Reading. rel persistence is the character of pg_class.relpersistence ('p', 'u', 't').
# RBM_NORMAL past the end of file is an error. Returns a pinned buffer.
cdef Buffer read_buffer(const RelFileLocator *locator, char persistence, ForkNumber fork, BlockNumber block,
                        int mode, BufferAccessStrategy strategy) except 0
# Pins `recent` if it still holds this block: 1 if so. Saves the lookup.
cdef int read_recent_buffer(const RelFileLocator *locator, ForkNumber fork, BlockNumber block,
                            Buffer recent) except -1
# Releases `buffer` (0: none) and reads another block of the same relation, for scans.
cdef Buffer release_and_read_buffer(Buffer buffer, const RelFileLocator *locator, char persistence, ForkNumber fork,
                                    BlockNumber block, int mode, BufferAccessStrategy strategy) except 0
cdef int prefetch_buffer(const RelFileLocator *locator, char persistence, ForkNumber fork, BlockNumber block) except -1
# Reads nblocks from `block` on ahead into the pool with as few reads as possible (not pinned afterwards).
cdef int read_ahead(const RelFileLocator *locator, char persistence, ForkNumber fork, BlockNumber block, int nblocks,
                    BufferAccessStrategy strategy) except -1
# Adds one zeroed block; buffer is pinned (locked with EB_LOCK_FIRST). Serialised by an extension lock of its own.
cdef Buffer extend_relation(const RelFileLocator *locator, char persistence, ForkNumber fork,
                            BufferAccessStrategy strategy, int flags) except 0
# Adds up to extend_by blocks, buffers receives them pinned; returns how many; *first_block their first.
cdef int extend_relation_by(const RelFileLocator *locator, char persistence, ForkNumber fork,
                            BufferAccessStrategy strategy, int flags, int extend_by, Buffer *buffers,
                            BlockNumber *first_block) except -1
# Extends so that nblocks is at least extend_to, and returns the last of these blocks read with `mode`.
cdef Buffer extend_relation_to(const RelFileLocator *locator, char persistence, ForkNumber fork,
                               BufferAccessStrategy strategy, int flags, BlockNumber extend_to, int mode) except 0
# How many processes wait for the right to extend the relation: a hint to extend by more at once.
cdef int extension_waiters(const RelFileLocator *locator) noexcept nogil
cdef long long relation_nblocks(const RelFileLocator *locator, char persistence, ForkNumber fork) except -1

# Pins
cdef void release_buffer(Buffer buffer) noexcept
cdef void unlock_release_buffer(Buffer buffer) noexcept
cdef int incr_buffer_ref(Buffer buffer) except -1
cdef int buffer_pin_count(Buffer buffer) noexcept nogil     # pins of this process

# Content locks
cdef int lock_buffer(Buffer buffer, int mode) except -1
cdef int conditional_lock_buffer(Buffer buffer) except -1   # exclusive; 1 if taken
cdef int lock_buffer_for_cleanup(Buffer buffer) except -1
cdef int conditional_lock_buffer_for_cleanup(Buffer buffer) except -1
cdef int is_buffer_cleanup_ok(Buffer buffer) except -1
cdef bint buffer_is_exclusive_locked(Buffer buffer) noexcept nogil
cdef bint buffer_is_locked(Buffer buffer) noexcept nogil

# State
cdef int mark_buffer_dirty(Buffer buffer) except -1
cdef int mark_buffer_dirty_hint(Buffer buffer, bint buffer_std) except -1
cdef bint buffer_is_dirty(Buffer buffer) noexcept nogil
cdef bint buffer_is_permanent(Buffer buffer) noexcept nogil
cdef Lsn buffer_lsn_atomic(Buffer buffer) noexcept nogil
cdef BlockNumber buffer_block(Buffer buffer) noexcept nogil
cdef void buffer_tag(Buffer buffer, RelFileLocator *locator, ForkNumber *fork, BlockNumber *block) noexcept nogil

# Writing out, dropping
cdef int flush_one_buffer(Buffer buffer) except -1          # pinned and locked
cdef int flush_relation_buffers(const RelFileLocator *locator, char persistence) except -1
cdef int flush_database_buffers(Oid database) except -1
cdef int drop_relation_buffers(const RelFileLocator *locator, int backend, ForkNumber fork,
                               BlockNumber first) except -1
cdef int drop_relation_all_buffers(const RelFileLocator *locator, int backend) except -1
cdef int drop_database_buffers(Oid database) except -1

# Strategies
cdef BufferAccessStrategy get_access_strategy(int btype) except NULL
cdef BufferAccessStrategy get_access_strategy_with_size(int btype, int ring_size_kb) except? NULL
cdef void free_access_strategy(BufferAccessStrategy strategy) noexcept

# Ends of transactions
cdef int at_end_of_transaction_buffers(bint is_commit) except -1
cdef void release_all_pins() noexcept
cdef void unlock_buffers() noexcept                         # forgets a cleanup-lock wait after an error

# Hooks, set by wal (NULL: no WAL, as in tools and tests)
ctypedef int (*flush_wal_fn)(Lsn upto) except -1
# Makes a full-page image of a page about to get a hint, if one is needed; returns its end LSN or 0.
ctypedef Lsn (*log_hint_fn)(Buffer buffer, bint buffer_std) except? 0xFFFFFFFFFFFFFFFF
# 0: hints need no WAL (no checksums, wal_log_hints off); 1: they do; 2: they do, and this process may not write any
# (recovery), so the page must not become dirty for a hint.
ctypedef int (*hint_needs_wal_fn)() noexcept nogil
# Called around file extension; default: an LWLock chosen by locator.
ctypedef int (*extension_lock_fn)(const RelFileLocator *locator, bint acquire) except -1
# True when the given LSN still needs flushing (XLogNeedsFlush).
ctypedef bint (*needs_flush_fn)(Lsn upto) noexcept nogil
cdef flush_wal_fn flush_wal_hook
cdef log_hint_fn log_hint_hook
cdef hint_needs_wal_fn hint_needs_wal_hook
cdef extension_lock_fn extension_lock_hook
cdef needs_flush_fn needs_flush_hook

# For _checkpoint only.
cdef struct StrategyControl:
    uint32_t next_victim            # runs on without wrapping; modulo NBuffers is the buffer
    uint32_t num_allocs
    int32_t bgwriter_procno

cdef StrategyControl *strategy_control
cdef uint32_t lock_buffer_header(BufferDesc *desc) noexcept nogil
cdef void unlock_buffer_header(BufferDesc *desc, uint32_t state) noexcept nogil
cdef int pin_locked(BufferDesc *desc) except -1                     # header locked; unlocks it
cdef int flush_buffer(BufferDesc *desc, SMgrRelation rel, int io_context) except -1     # pinned, content lock held
