"""Handles of relations, and the dispatch to whatever stores them (storage/smgr.h).

A handle is found by locator and backend number in a hash table of this process and lives until it is released or
destroyed. The storage behind it is a table of functions; `_md` (files) is the one used unless another is set.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free

from tusk._types cimport InvalidBlockNumber

from tusk.errors import SqlError, errcode

cdef enum:
    NBUCKETS = 1024

FORK_NAMES = ("main", "fsm", "vm", "init")
DEFAULTTABLESPACE_OID = 1663
GLOBALTABLESPACE_OID = 1664
TABLESPACE_VERSION_DIRECTORY = "PG_18_202506291"

cdef SMgrRelation _buckets[NBUCKETS]
cdef const SMgrVtable *_storage = NULL
cdef long _nhandles = 0
smgr_in_recovery = False


cdef const SMgrVtable *smgr_storage() noexcept:
    return _storage


cdef void smgr_set_storage(const SMgrVtable *storage) noexcept:
    global _storage
    _storage = storage


cdef inline uint32_t _bucket(const RelFileLocator *locator, int backend) noexcept nogil:
    cdef uint32_t h = locator.relNumber * <uint32_t> 2654435761 ^ locator.dbOid * <uint32_t> 2246822519
    return ((h ^ locator.spcOid ^ <uint32_t> backend) >> 7) & (NBUCKETS - 1)


cdef SMgrRelation smgr_open(const RelFileLocator *locator, int backend) except NULL:
    cdef uint32_t bucket = _bucket(locator, backend)
    cdef SMgrRelation rel = _buckets[bucket]
    cdef int i
    global _nhandles
    while rel != NULL:
        if (rel.locator.relNumber == locator.relNumber and rel.locator.dbOid == locator.dbOid
                and rel.locator.spcOid == locator.spcOid and rel.backend == backend):
            return rel
        rel = rel.hash_next
    rel = <SMgrRelation> calloc(1, sizeof(SMgrRelationData))
    if rel == NULL:
        raise SqlError(errcode.OUT_OF_MEMORY, "out of memory")
    rel.locator = locator[0]
    rel.backend = backend
    rel.target_block = InvalidBlockNumber
    for i in range(MAX_FORKNUM + 1):
        rel.cached_nblocks[i] = InvalidBlockNumber
    rel.hash_next = _buckets[bucket]
    _buckets[bucket] = rel
    _nhandles += 1
    return rel


cdef int smgr_exists(SMgrRelation rel, ForkNumber fork) except -1:
    return _storage.exists(rel, fork)


cdef int smgr_create(SMgrRelation rel, ForkNumber fork, bint is_redo) except -1:
    return _storage.create(rel, fork, is_redo)


cdef int smgr_unlink(const RelFileLocator *locator, int backend, bint is_redo) except -1:
    """Remove all forks of a relation; its buffers are dropped first."""
    cdef int fork
    cdef SMgrRelation rel = smgr_open(locator, backend)
    if drop_all_buffers_hook != NULL:
        drop_all_buffers_hook(locator, backend)
    for fork in range(MAX_FORKNUM + 1):
        _storage.close(rel, fork)
    for fork in range(MAX_FORKNUM + 1):
        _storage.unlink(locator, backend, fork, is_redo)
    smgr_release_locator(locator, backend)
    return 0


cdef int smgr_extend(SMgrRelation rel, ForkNumber fork, BlockNumber block, const void *page,
                     bint skip_fsync) except -1:
    _storage.extend(rel, fork, block, page, skip_fsync)
    if rel.cached_nblocks[fork] == block:
        rel.cached_nblocks[fork] = block + 1
    else:
        rel.cached_nblocks[fork] = InvalidBlockNumber
    return 0


cdef int smgr_zero_extend(SMgrRelation rel, ForkNumber fork, BlockNumber block, int nblocks,
                          bint skip_fsync) except -1:
    _storage.zero_extend(rel, fork, block, nblocks, skip_fsync)
    if rel.cached_nblocks[fork] == block:
        rel.cached_nblocks[fork] = block + <BlockNumber> nblocks
    else:
        rel.cached_nblocks[fork] = InvalidBlockNumber
    return 0


cdef int smgr_prefetch(SMgrRelation rel, ForkNumber fork, BlockNumber block, int nblocks) except -1:
    return _storage.prefetch(rel, fork, block, nblocks)


cdef int smgr_read(SMgrRelation rel, ForkNumber fork, BlockNumber block, void *page) except -1:
    return _storage.readv(rel, fork, block, &page, 1)


cdef int smgr_readv(SMgrRelation rel, ForkNumber fork, BlockNumber block, void **pages, int nblocks) except -1:
    return _storage.readv(rel, fork, block, pages, nblocks)


cdef int smgr_write(SMgrRelation rel, ForkNumber fork, BlockNumber block, const void *page,
                    bint skip_fsync) except -1:
    return _storage.writev(rel, fork, block, &page, 1, skip_fsync)


cdef int smgr_writev(SMgrRelation rel, ForkNumber fork, BlockNumber block, const void **pages, int nblocks,
                     bint skip_fsync) except -1:
    return _storage.writev(rel, fork, block, pages, nblocks, skip_fsync)


cdef int smgr_writeback(SMgrRelation rel, ForkNumber fork, BlockNumber block, BlockNumber nblocks) except -1:
    return _storage.writeback(rel, fork, block, nblocks)


cdef long long smgr_nblocks(SMgrRelation rel, ForkNumber fork) except -1:
    cdef long long nblocks = smgr_nblocks_cached(rel, fork)
    if nblocks >= 0:
        return nblocks
    nblocks = _storage.nblocks(rel, fork)
    rel.cached_nblocks[fork] = <BlockNumber> nblocks
    return nblocks


cdef long long smgr_nblocks_cached(SMgrRelation rel, ForkNumber fork) noexcept nogil:
    # Other processes extend shared relations: only in recovery, with its one writer, is the cache right.
    if (smgr_in_recovery or rel.backend >= 0) and rel.cached_nblocks[fork] != InvalidBlockNumber:
        return rel.cached_nblocks[fork]
    return -1


cdef int smgr_truncate(SMgrRelation rel, const ForkNumber *forks, int nforks, const BlockNumber *old_nblocks,
                       const BlockNumber *nblocks) except -1:
    cdef int i
    if drop_buffers_hook != NULL:
        for i in range(nforks):
            drop_buffers_hook(&rel.locator, rel.backend, forks[i], nblocks[i])
    for i in range(nforks):
        rel.cached_nblocks[forks[i]] = InvalidBlockNumber
        _storage.truncate(rel, forks[i], old_nblocks[i], nblocks[i])
        rel.cached_nblocks[forks[i]] = nblocks[i]
    return 0


cdef int smgr_immedsync(SMgrRelation rel, ForkNumber fork) except -1:
    return _storage.immedsync(rel, fork)


cdef int smgr_registersync(SMgrRelation rel, ForkNumber fork) except -1:
    return _storage.registersync(rel, fork)


cdef void smgr_release(SMgrRelation rel) noexcept:
    cdef int fork
    for fork in range(MAX_FORKNUM + 1):
        _storage.close(rel, fork)
        rel.cached_nblocks[fork] = InvalidBlockNumber
    rel.target_block = InvalidBlockNumber


cdef void smgr_release_locator(const RelFileLocator *locator, int backend) noexcept:
    cdef SMgrRelation rel = _buckets[_bucket(locator, backend)]
    while rel != NULL:
        if (rel.locator.relNumber == locator.relNumber and rel.locator.dbOid == locator.dbOid
                and rel.locator.spcOid == locator.spcOid and rel.backend == backend):
            smgr_release(rel)
            return
        rel = rel.hash_next


cdef void smgr_release_all() noexcept:
    cdef int i
    cdef SMgrRelation rel
    for i in range(NBUCKETS):
        rel = _buckets[i]
        while rel != NULL:
            smgr_release(rel)
            rel = rel.hash_next


cdef void smgr_destroy_all() noexcept:
    """Close and forget every handle: nobody may hold one. For the ends of jobs in background processes."""
    cdef int i
    cdef SMgrRelation rel
    cdef SMgrRelation following
    global _nhandles
    for i in range(NBUCKETS):
        rel = _buckets[i]
        while rel != NULL:
            following = rel.hash_next
            smgr_release(rel)
            free(rel)
            rel = following
        _buckets[i] = NULL
    _nhandles = 0


cdef str relation_path(const RelFileLocator *locator, int backend, ForkNumber fork):
    """The path of a fork's first segment, relative to the data directory (GetRelationPath)."""
    return path_of(locator.spcOid, locator.dbOid, locator.relNumber, backend, fork)


def path_of(spc: int, db: int, rel: int, backend: int = -1, fork: int = 0) -> str:
    """The path of a fork's first segment, relative to the data directory."""
    name = str(rel) if backend < 0 else f"t{backend}_{rel}"
    if fork > 0:
        name += "_" + FORK_NAMES[fork]
    return f"{database_path(spc, db)}/{name}"


def database_path(spc: int, db: int) -> str:
    """The directory of a database in a tablespace (GetDatabasePath)."""
    if spc == GLOBALTABLESPACE_OID:
        return "global"
    if spc == DEFAULTTABLESPACE_OID:
        return f"base/{db}"
    return f"pg_tblspc/{spc}/{TABLESPACE_VERSION_DIRECTORY}/{db}"


# For Python: DDL, recovery, tools and tests. Locators are (tablespace, database, relation number).

cdef SMgrRelation _open(tuple locator, int backend) except NULL:
    cdef RelFileLocator native
    native.spcOid, native.dbOid, native.relNumber = locator
    return smgr_open(&native, backend)


def create(locator: tuple[int, int, int], fork: int = 0, backend: int = -1, bint is_redo=False) -> None:
    """Create the file of a fork."""
    smgr_create(_open(locator, backend), fork, is_redo)


def exists(locator: tuple[int, int, int], fork: int = 0, backend: int = -1) -> bool:
    """Whether the fork has a file."""
    return bool(smgr_exists(_open(locator, backend), fork))


def nblocks(locator: tuple[int, int, int], fork: int = 0, backend: int = -1) -> int:
    """Length of the fork in blocks."""
    return smgr_nblocks(_open(locator, backend), fork)


def unlink(locator: tuple[int, int, int], backend: int = -1, bint is_redo=False) -> None:
    """Drop the relation's buffers and files."""
    cdef SMgrRelation rel = _open(locator, backend)
    cdef RelFileLocator native = rel.locator
    smgr_unlink(&native, backend, is_redo)


def extend(locator: tuple[int, int, int], fork: int, block: int, page: bytes, backend: int = -1,
           bint skip_fsync=False) -> None:
    """Add a block, not through the buffer pool."""
    smgr_extend(_open(locator, backend), fork, block, <const char *> page, skip_fsync)


def read(locator: tuple[int, int, int], fork: int, block: int, backend: int = -1) -> bytes:
    """Read a block, not through the buffer pool."""
    cdef char[8192] page
    smgr_read(_open(locator, backend), fork, block, page)
    return page[:8192]


def write(locator: tuple[int, int, int], fork: int, block: int, page: bytes, backend: int = -1,
          bint skip_fsync=False) -> None:
    """Write a block, not through the buffer pool."""
    smgr_write(_open(locator, backend), fork, block, <const char *> page, skip_fsync)


def zero_extend(locator: tuple[int, int, int], fork: int, block: int, nblocks: int, backend: int = -1) -> None:
    """Add blocks of zeroes."""
    smgr_zero_extend(_open(locator, backend), fork, block, nblocks, False)


def truncate(locator: tuple[int, int, int], fork: int, nblocks: int, backend: int = -1) -> None:
    """Cut a fork and drop the buffers beyond."""
    cdef SMgrRelation rel = _open(locator, backend)
    cdef ForkNumber native_fork = fork
    cdef BlockNumber old = <BlockNumber> smgr_nblocks(rel, fork)
    cdef BlockNumber new = nblocks
    smgr_truncate(rel, &native_fork, 1, &old, &new)


def immedsync(locator: tuple[int, int, int], fork: int = 0, backend: int = -1) -> None:
    """fsync a fork now."""
    smgr_immedsync(_open(locator, backend), fork)


def release_all() -> None:
    """Close all relation files of this process."""
    smgr_release_all()


def destroy_all() -> None:
    """Close and forget all handles of this process."""
    smgr_destroy_all()


def set_in_recovery(recovering: bool) -> None:
    """Whether this process replays WAL."""
    global smgr_in_recovery
    smgr_in_recovery = recovering


def in_recovery() -> bool:
    """Whether this process replays WAL."""
    return smgr_in_recovery
