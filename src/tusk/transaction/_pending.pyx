# cython: language_level=3
"""Relation files made and removed by transactions (PostgreSQL's catalog/storage.c).

A new file exists at once and is removed if the transaction aborts; a dropped one stays until commit. What is to be
removed is in the commit or abort record, so that replay removes it too.
"""

from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from tusk._types cimport FSM_FORK, INIT_FORK, MAIN_FORK, VISIBILITYMAP_FORK, Lsn
from tusk.memory._critical cimport critical_end, critical_start
from tusk.memory._process cimport DELAY_CHKPT_COMPLETE, DELAY_CHKPT_START, MyProc, MyProcNumber
from tusk.storage._buffer cimport drop_relation_all_buffers
from tusk.storage._freespace cimport free_space_map_prepare_truncate, free_space_map_vacuum_range
from tusk.storage._smgr cimport (
    SMgrRelation,
    smgr_create,
    smgr_exists,
    smgr_nblocks,
    smgr_open,
    smgr_truncate,
    smgr_unlink,
)
from tusk.storage._visibilitymap cimport visibilitymap_prepare_truncate
from tusk.transaction._state cimport CurrentTransactionState
from tusk.wal._insert cimport xlog_begin_insert, xlog_insert, xlog_register_data
from tusk.wal._record cimport RM_SMGR_ID, XLR_SPECIAL_REL_UPDATE
from tusk.wal._redo cimport DecodedRecord, register_redo, xlog_drop_relation, xlog_truncate_relation
from tusk.wal._xlog cimport xlog_flush

from tusk.errors import Panic, errcode

cdef enum:
    XLOG_SMGR_CREATE = 0x10
    XLOG_SMGR_TRUNCATE = 0x20
    SMGR_TRUNCATE_HEAP = 1
    SMGR_TRUNCATE_VM = 2
    SMGR_TRUNCATE_FSM = 4
    SMGR_TRUNCATE_ALL = 7
    NO_BLOCK = 0xFFFFFFFF

cdef struct xl_smgr_create:
    RelFileLocator rlocator
    int32_t forkNum

cdef struct xl_smgr_truncate:
    BlockNumber blkno
    RelFileLocator rlocator
    int32_t flags

cdef struct PendingDelete:
    PendingDelete *next
    RelFileLocator locator
    int backend
    bint at_commit
    int nest_level

cdef PendingDelete *pending = NULL
_smgr_invalidation = None


def set_smgr_invalidation(function) -> None:
    """``function(spc, db, rel, backend)`` tells other processes to close a removed or truncated relation's files."""
    global _smgr_invalidation
    _smgr_invalidation = function


cdef int _invalidate(const RelFileLocator *locator, int backend) except -1:
    if _smgr_invalidation is not None:
        _smgr_invalidation(locator.spcOid, locator.dbOid, locator.relNumber, backend)
    return 0


cdef int _add(const RelFileLocator *locator, int backend, bint at_commit) except -1:
    global pending
    cdef PendingDelete *entry = <PendingDelete *> malloc(sizeof(PendingDelete))
    if entry == NULL:
        raise MemoryError
    entry.locator = locator[0]
    entry.backend = backend
    entry.at_commit = at_commit
    entry.nest_level = CurrentTransactionState.nestingLevel
    entry.next = pending
    pending = entry
    return 0


cdef int relation_create_storage(const RelFileLocator *locator, char persistence, bint register_delete) except -1:
    """Make the main fork of a new relation, logged unless unlogged or temporary (RelationCreateStorage)."""
    cdef int backend = MyProcNumber if persistence == c't' else -1
    cdef SMgrRelation rel = smgr_open(locator, backend)
    smgr_create(rel, MAIN_FORK, False)
    if persistence == c'p':
        log_smgr_create(locator, MAIN_FORK)
    if register_delete:
        _add(locator, backend, False)
    return 0


cdef int log_smgr_create(const RelFileLocator *locator, ForkNumber fork) except -1:
    """Also for the init fork of an unlogged relation."""
    cdef xl_smgr_create rec
    rec.rlocator = locator[0]
    rec.forkNum = fork
    xlog_begin_insert()
    xlog_register_data(&rec, sizeof(rec))
    xlog_insert(RM_SMGR_ID, XLOG_SMGR_CREATE | XLR_SPECIAL_REL_UPDATE)
    return 0


cdef int relation_drop_storage(const RelFileLocator *locator, int backend) except -1:
    """Remove the files when this transaction commits."""
    return _add(locator, backend, True)


cdef int relation_preserve_storage(const RelFileLocator *locator, bint at_commit) except -1:
    """Do not remove the files after all (a relation map entry now names them)."""
    global pending
    cdef PendingDelete *entry = pending
    cdef PendingDelete *prev = NULL
    cdef PendingDelete *following
    while entry != NULL:
        following = entry.next
        if entry.at_commit == at_commit and entry.locator.relNumber == locator.relNumber \
                and entry.locator.dbOid == locator.dbOid and entry.locator.spcOid == locator.spcOid:
            if prev == NULL:
                pending = following
            else:
                prev.next = following
            free(entry)
        else:
            prev = entry
        entry = following
    return 0


cdef int relation_truncate(const RelFileLocator *locator, char persistence, BlockNumber nblocks) except -1:
    """Cut a relation and its maps to ``nblocks`` heap pages at once; not undone by abort (RelationTruncate).

    The caller holds an access exclusive lock. A checkpoint must not fall between the record and the truncation.
    """
    cdef int backend = MyProcNumber if persistence == c't' else -1
    cdef SMgrRelation rel = smgr_open(locator, backend)
    cdef ForkNumber forks[3]
    cdef BlockNumber old[3]
    cdef BlockNumber new[3]
    cdef int n = 0
    cdef bint maps = False, fsm_cut = False
    cdef long long cut
    cdef xl_smgr_truncate rec
    cdef Lsn lsn
    forks[n] = MAIN_FORK
    old[n] = <BlockNumber> smgr_nblocks(rel, MAIN_FORK)
    new[n] = nblocks
    n += 1
    if smgr_exists(rel, FSM_FORK):
        cut = free_space_map_prepare_truncate(locator, persistence, nblocks)
        if cut != NO_BLOCK:
            forks[n] = FSM_FORK
            old[n] = <BlockNumber> smgr_nblocks(rel, FSM_FORK)
            new[n] = <BlockNumber> cut
            n += 1
            fsm_cut = True
        maps = True
    if smgr_exists(rel, VISIBILITYMAP_FORK):
        cut = visibilitymap_prepare_truncate(locator, persistence, nblocks)
        if cut != NO_BLOCK:
            forks[n] = VISIBILITYMAP_FORK
            old[n] = <BlockNumber> smgr_nblocks(rel, VISIBILITYMAP_FORK)
            new[n] = <BlockNumber> cut
            n += 1
        maps = True
    MyProc.delayChkptFlags |= DELAY_CHKPT_START | DELAY_CHKPT_COMPLETE
    try:
        critical_start()
        if persistence == c'p':
            rec.blkno = nblocks
            rec.rlocator = locator[0]
            rec.flags = SMGR_TRUNCATE_ALL
            xlog_begin_insert()
            xlog_register_data(&rec, sizeof(rec))
            lsn = xlog_insert(RM_SMGR_ID, XLOG_SMGR_TRUNCATE | XLR_SPECIAL_REL_UPDATE)
            # A heap shorter than its visibility map says must not survive a crash: flush before cutting.
            if maps:
                xlog_flush(lsn)
        smgr_truncate(rel, forks, n, old, new)
        critical_end()
    finally:
        MyProc.delayChkptFlags &= ~(DELAY_CHKPT_START | DELAY_CHKPT_COMPLETE)
    _invalidate(locator, backend)
    if fsm_cut:
        free_space_map_vacuum_range(locator, persistence, nblocks, NO_BLOCK)
    return 0


cdef bint have_pending() noexcept nogil:
    return pending != NULL


cdef int pending_deletes(bint for_commit, int nest_level, RelFileLocator **locators) except -1:
    """Locators for the commit or abort record (temporary ones excluded); the caller frees them."""
    cdef int n = 0
    cdef PendingDelete *entry = pending
    locators[0] = NULL
    while entry != NULL:
        if entry.nest_level >= nest_level and entry.at_commit == for_commit and entry.backend == -1:
            n += 1
        entry = entry.next
    if n == 0:
        return 0
    locators[0] = <RelFileLocator *> malloc(n * sizeof(RelFileLocator))
    if locators[0] == NULL:
        raise MemoryError
    n = 0
    entry = pending
    while entry != NULL:
        if entry.nest_level >= nest_level and entry.at_commit == for_commit and entry.backend == -1:
            locators[0][n] = entry.locator
            n += 1
        entry = entry.next
    return n


cdef int do_pending_deletes(bint is_commit, int nest_level) except -1:
    """After the end of a (sub)transaction: remove what was to be removed in this case, forget the rest of its level."""
    global pending
    cdef PendingDelete *entry = pending
    cdef PendingDelete *prev = NULL
    cdef PendingDelete *following
    while entry != NULL:
        following = entry.next
        if entry.nest_level < nest_level:
            prev = entry
        else:
            # Unlinked from the list first: if removing fails, it must not be tried again and again.
            if prev == NULL:
                pending = following
            else:
                prev.next = following
            try:
                if entry.at_commit == is_commit:
                    _remove_files(&entry.locator, entry.backend, False)
            finally:
                free(entry)
        entry = following
    return 0


cdef int _remove_files(const RelFileLocator *locator, int backend, bint is_redo) except -1:
    drop_relation_all_buffers(locator, backend)
    smgr_unlink(locator, backend, is_redo)
    if not is_redo:
        _invalidate(locator, backend)
    return 0


cdef int at_sub_commit_pending(int nest_level) noexcept:
    """The parent takes over."""
    cdef PendingDelete *entry = pending
    while entry != NULL:
        if entry.nest_level >= nest_level:
            entry.nest_level = nest_level - 1
        entry = entry.next
    return 0


cdef int forget_pending() noexcept:
    global pending
    cdef PendingDelete *entry
    while pending != NULL:
        entry = pending
        pending = entry.next
        free(entry)
    return 0


cdef int drop_relation_files_redo(const char *locators, int nrels) except -1:
    """Replay of a commit or abort that removed files (DropRelationFiles)."""
    cdef RelFileLocator locator
    cdef int i, fork
    for i in range(nrels):
        memcpy(&locator, locators + i * sizeof(RelFileLocator), sizeof(RelFileLocator))
        for fork in range(MAIN_FORK, INIT_FORK + 1):
            xlog_drop_relation(&locator, fork)
        _remove_files(&locator, -1, True)
    return 0


cdef int _redo(DecodedRecord record) except -1:
    cdef xl_smgr_create create
    cdef xl_smgr_truncate trunc
    cdef SMgrRelation rel
    cdef ForkNumber forks[3]
    cdef BlockNumber old[3]
    cdef BlockNumber new[3]
    cdef int n = 0
    cdef long long cut
    cdef bint fsm_cut = False
    if record.info() == XLOG_SMGR_CREATE:
        memcpy(&create, record.main_data, sizeof(create))
        rel = smgr_open(&create.rlocator, -1)
        smgr_create(rel, create.forkNum, True)
        return 0
    if record.info() != XLOG_SMGR_TRUNCATE:
        raise Panic(errcode.INTERNAL_ERROR, f"smgr_redo: unknown op code {record.info()}")
    memcpy(&trunc, record.main_data, sizeof(trunc))
    rel = smgr_open(&trunc.rlocator, -1)
    # Later records may drop it: then it is not on disk any more, but what is replayed here must find it.
    smgr_create(rel, MAIN_FORK, True)
    xlog_flush(record.end_lsn)
    if trunc.flags & SMGR_TRUNCATE_HEAP:
        forks[n] = MAIN_FORK
        old[n] = <BlockNumber> smgr_nblocks(rel, MAIN_FORK)
        new[n] = trunc.blkno
        n += 1
        xlog_truncate_relation(&trunc.rlocator, MAIN_FORK, trunc.blkno)
    if trunc.flags & SMGR_TRUNCATE_FSM and smgr_exists(rel, FSM_FORK):
        cut = free_space_map_prepare_truncate(&trunc.rlocator, c'p', trunc.blkno)
        if cut != NO_BLOCK:
            forks[n] = FSM_FORK
            old[n] = <BlockNumber> smgr_nblocks(rel, FSM_FORK)
            new[n] = <BlockNumber> cut
            n += 1
            fsm_cut = True
    if trunc.flags & SMGR_TRUNCATE_VM and smgr_exists(rel, VISIBILITYMAP_FORK):
        cut = visibilitymap_prepare_truncate(&trunc.rlocator, c'p', trunc.blkno)
        if cut != NO_BLOCK:
            forks[n] = VISIBILITYMAP_FORK
            old[n] = <BlockNumber> smgr_nblocks(rel, VISIBILITYMAP_FORK)
            new[n] = <BlockNumber> cut
            n += 1
    if n > 0:
        critical_start()
        smgr_truncate(rel, forks, n, old, new)
        critical_end()
    if fsm_cut:
        free_space_map_vacuum_range(&trunc.rlocator, c'p', trunc.blkno, NO_BLOCK)
    return 0


register_redo(RM_SMGR_ID, _redo, NULL)


# Doors for Python code.

cdef RelFileLocator _locator(tuple fields) except *:
    cdef RelFileLocator locator
    locator.spcOid, locator.dbOid, locator.relNumber = fields
    return locator


def create_storage(locator: tuple, persistence: str, register_delete: bool = True) -> None:
    """``locator``: (tablespace, database, file number)."""
    cdef RelFileLocator loc = _locator(locator)
    relation_create_storage(&loc, <char> ord(persistence), register_delete)


def create_fork(locator: tuple, fork: int, log: bool) -> None:
    """Another fork of a relation made by this transaction: the init fork of an unlogged one."""
    cdef RelFileLocator loc = _locator(locator)
    smgr_create(smgr_open(&loc, -1), fork, False)
    if log:
        log_smgr_create(&loc, fork)


def drop_storage(locator: tuple, backend: int = -1) -> None:
    cdef RelFileLocator loc = _locator(locator)
    relation_drop_storage(&loc, backend)


def preserve_storage(locator: tuple, at_commit: bool) -> None:
    cdef RelFileLocator loc = _locator(locator)
    relation_preserve_storage(&loc, at_commit)


def truncate(locator: tuple, persistence: str, nblocks: int) -> None:
    cdef RelFileLocator loc = _locator(locator)
    relation_truncate(&loc, <char> ord(persistence), nblocks)
