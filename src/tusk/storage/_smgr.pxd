# cython: language_level=3
"""Relation files through one storage interface (storage/smgr.h, storage/md.h)."""

from libc.stdint cimport int32_t, uint32_t, uint64_t

from tusk._types cimport BlockNumber, ForkNumber, Oid, RelFileLocator

cdef enum:
    MAX_FORKNUM = 3

cdef struct MdSegment:
    int fd                          # -1: closed to save descriptors

cdef struct SMgrRelationData:
    RelFileLocator locator
    int32_t backend                 # -1, or the slot number whose temporary relation it is
    BlockNumber cached_nblocks[4]   # InvalidBlockNumber: unknown; trusted in recovery and for temporary relations
    BlockNumber target_block        # insertion target; owner: access/heap
    int num_open[4]
    MdSegment *segments[4]
    SMgrRelationData *hash_next
    SMgrRelationData *lru_prev
    SMgrRelationData *lru_next

ctypedef SMgrRelationData *SMgrRelation

# Every implementation of storage fills one of these; `smgr_set_storage` puts it behind the functions below.
cdef struct SMgrVtable:
    int (*exists)(SMgrRelation rel, ForkNumber fork) except -1
    int (*create)(SMgrRelation rel, ForkNumber fork, bint is_redo) except -1
    int (*unlink)(const RelFileLocator *locator, int backend, ForkNumber fork, bint is_redo) except -1
    int (*extend)(SMgrRelation rel, ForkNumber fork, BlockNumber block, const void *page, bint skip_fsync) except -1
    int (*zero_extend)(SMgrRelation rel, ForkNumber fork, BlockNumber block, int nblocks, bint skip_fsync) except -1
    int (*prefetch)(SMgrRelation rel, ForkNumber fork, BlockNumber block, int nblocks) except -1
    int (*readv)(SMgrRelation rel, ForkNumber fork, BlockNumber block, void **pages, int nblocks) except -1
    int (*writev)(SMgrRelation rel, ForkNumber fork, BlockNumber block, const void **pages, int nblocks,
                  bint skip_fsync) except -1
    int (*writeback)(SMgrRelation rel, ForkNumber fork, BlockNumber block, BlockNumber nblocks) except -1
    long long (*nblocks)(SMgrRelation rel, ForkNumber fork) except -1
    int (*truncate)(SMgrRelation rel, ForkNumber fork, BlockNumber old_nblocks, BlockNumber nblocks) except -1
    int (*immedsync)(SMgrRelation rel, ForkNumber fork) except -1
    int (*registersync)(SMgrRelation rel, ForkNumber fork) except -1
    void (*close)(SMgrRelation rel, ForkNumber fork) noexcept


# The handle lives until smgr_release or smgr_destroy_all of this process; it is found again by locator.
cdef SMgrRelation smgr_open(const RelFileLocator *locator, int backend) except NULL
cdef int smgr_exists(SMgrRelation rel, ForkNumber fork) except -1
cdef int smgr_create(SMgrRelation rel, ForkNumber fork, bint is_redo) except -1
# All forks of each relation, after their buffers were dropped: unlinks now or after the next checkpoint.
cdef int smgr_unlink(const RelFileLocator *locator, int backend, bint is_redo) except -1
cdef int smgr_extend(SMgrRelation rel, ForkNumber fork, BlockNumber block, const void *page,
                     bint skip_fsync) except -1
cdef int smgr_zero_extend(SMgrRelation rel, ForkNumber fork, BlockNumber block, int nblocks,
                          bint skip_fsync) except -1
cdef int smgr_prefetch(SMgrRelation rel, ForkNumber fork, BlockNumber block, int nblocks) except -1
cdef int smgr_read(SMgrRelation rel, ForkNumber fork, BlockNumber block, void *page) except -1
cdef int smgr_readv(SMgrRelation rel, ForkNumber fork, BlockNumber block, void **pages, int nblocks) except -1
cdef int smgr_write(SMgrRelation rel, ForkNumber fork, BlockNumber block, const void *page,
                    bint skip_fsync) except -1
cdef int smgr_writev(SMgrRelation rel, ForkNumber fork, BlockNumber block, const void **pages, int nblocks,
                     bint skip_fsync) except -1
cdef int smgr_writeback(SMgrRelation rel, ForkNumber fork, BlockNumber block, BlockNumber nblocks) except -1
# As long long, so that -1 is free for errors.
cdef long long smgr_nblocks(SMgrRelation rel, ForkNumber fork) except -1
cdef long long smgr_nblocks_cached(SMgrRelation rel, ForkNumber fork) noexcept nogil     # -1: unknown
# Drops the buffers past the new ends (through a hook) and truncates; the caller has logged it.
cdef int smgr_truncate(SMgrRelation rel, const ForkNumber *forks, int nforks, const BlockNumber *old_nblocks,
                       const BlockNumber *nblocks) except -1
cdef int smgr_immedsync(SMgrRelation rel, ForkNumber fork) except -1
cdef int smgr_registersync(SMgrRelation rel, ForkNumber fork) except -1
cdef void smgr_release(SMgrRelation rel) noexcept               # closes its files, keeps the handle
cdef void smgr_release_locator(const RelFileLocator *locator, int backend) noexcept
cdef void smgr_release_all() noexcept
cdef void smgr_destroy_all() noexcept
cdef const SMgrVtable *smgr_storage() noexcept
cdef void smgr_set_storage(const SMgrVtable *storage) noexcept
# True in the startup process and whenever the WAL is replayed: missing files and segments are made.
cdef bint smgr_in_recovery
cdef str relation_path(const RelFileLocator *locator, int backend, ForkNumber fork)
# Set by _buffer: drop the buffers of fork `fork` from block `first` on / of the whole relation.
ctypedef int (*drop_buffers_fn)(const RelFileLocator *locator, int backend, ForkNumber fork,
                                BlockNumber first) except -1
ctypedef int (*drop_all_buffers_fn)(const RelFileLocator *locator, int backend) except -1
cdef drop_buffers_fn drop_buffers_hook
cdef drop_all_buffers_fn drop_all_buffers_hook
