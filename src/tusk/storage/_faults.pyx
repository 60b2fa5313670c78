"""A storage layer that fails on purpose: it stands in front of the one in use and counts calls.

`inject` names an operation, the number of the call that fails, and the errno it fails with; with ``forever`` every
later call fails too. `refuse_writes` is another such layer: for who only wants to read.
"""

from tusk._types cimport BlockNumber, ForkNumber, RelFileLocator
from tusk.storage._smgr cimport SMgrRelation, SMgrVtable, relation_path, smgr_set_storage, smgr_storage

from tusk.storage.files import file_error

cdef SMgrVtable _faulty
cdef const SMgrVtable *_real = NULL
_calls: dict[str, int] = {}
_plan: tuple[str, int, int, bool] | None = None


cdef int _count(str operation, SMgrRelation rel, ForkNumber fork, BlockNumber block, int nblocks) except -1:
    number = _calls.get(operation, 0) + 1
    _calls[operation] = number
    if _plan is None or _plan[0] != operation or number < _plan[1] or (number > _plan[1] and not _plan[3]):
        return 0
    path = relation_path(&rel.locator, rel.backend, fork)
    if operation == "extend":
        raise file_error(_plan[2], f'could not extend file "{path}"', hint="Check free disk space.")
    if operation == "sync":
        raise file_error(_plan[2], f'could not fsync file "{path}"')
    if operation == "truncate":
        raise file_error(_plan[2], f'could not truncate file "{path}" to {block} blocks')
    raise file_error(_plan[2], f'could not {operation} blocks {block}..{block + nblocks - 1} in file "{path}"')


cdef int _extend(SMgrRelation rel, ForkNumber fork, BlockNumber block, const void *page, bint skip_fsync) except -1:
    _count("extend", rel, fork, block, 1)
    return _real.extend(rel, fork, block, page, skip_fsync)


cdef int _zero_extend(SMgrRelation rel, ForkNumber fork, BlockNumber block, int nblocks, bint skip_fsync) except -1:
    _count("extend", rel, fork, block, nblocks)
    return _real.zero_extend(rel, fork, block, nblocks, skip_fsync)


cdef int _readv(SMgrRelation rel, ForkNumber fork, BlockNumber block, void **pages, int nblocks) except -1:
    _count("read", rel, fork, block, nblocks)
    return _real.readv(rel, fork, block, pages, nblocks)


cdef int _writev(SMgrRelation rel, ForkNumber fork, BlockNumber block, const void **pages, int nblocks,
                 bint skip_fsync) except -1:
    _count("write", rel, fork, block, nblocks)
    return _real.writev(rel, fork, block, pages, nblocks, skip_fsync)


cdef int _truncate(SMgrRelation rel, ForkNumber fork, BlockNumber old_nblocks, BlockNumber nblocks) except -1:
    _count("truncate", rel, fork, nblocks, 1)
    return _real.truncate(rel, fork, old_nblocks, nblocks)


cdef int _immedsync(SMgrRelation rel, ForkNumber fork) except -1:
    _count("sync", rel, fork, 0, 1)
    return _real.immedsync(rel, fork)


def inject(operation: str, number: int, error_number: int, forever: bool = False) -> None:
    """Fail the `number`-th call of "read", "write", "extend", "truncate" or "sync" from now on."""
    global _real, _plan, _faulty
    if _real == NULL:
        _real = smgr_storage()
        _faulty = _real[0]
        _faulty.extend = _extend
        _faulty.zero_extend = _zero_extend
        _faulty.readv = _readv
        _faulty.writev = _writev
        _faulty.truncate = _truncate
        _faulty.immedsync = _immedsync
    smgr_set_storage(&_faulty)
    _calls.clear()
    _plan = (operation, number, error_number, forever)


cdef int _refuse(SMgrRelation rel, ForkNumber fork) except -1:
    raise RuntimeError(f'"{relation_path(&rel.locator, rel.backend, fork)}" was to be written, but is open for reading')


cdef int _refuse_create(SMgrRelation rel, ForkNumber fork, bint is_redo) except -1:
    return _refuse(rel, fork)


cdef int _refuse_unlink(const RelFileLocator *locator, int backend, ForkNumber fork, bint is_redo) except -1:
    raise RuntimeError(f'"{relation_path(locator, backend, fork)}" was to be removed, but is open for reading')


cdef int _refuse_extend(SMgrRelation rel, ForkNumber fork, BlockNumber block, const void *page,
                        bint skip_fsync) except -1:
    return _refuse(rel, fork)


cdef int _refuse_zero_extend(SMgrRelation rel, ForkNumber fork, BlockNumber block, int nblocks,
                             bint skip_fsync) except -1:
    return _refuse(rel, fork)


cdef int _refuse_writev(SMgrRelation rel, ForkNumber fork, BlockNumber block, const void **pages, int nblocks,
                        bint skip_fsync) except -1:
    return _refuse(rel, fork)


cdef int _refuse_truncate(SMgrRelation rel, ForkNumber fork, BlockNumber old_nblocks, BlockNumber nblocks) except -1:
    return _refuse(rel, fork)


def refuse_writes() -> None:
    """From now on relations can be read only, in this process and those forked from it."""
    global _faulty
    _faulty = smgr_storage()[0]
    _faulty.create = _refuse_create
    _faulty.unlink = _refuse_unlink
    _faulty.extend = _refuse_extend
    _faulty.zero_extend = _refuse_zero_extend
    _faulty.writev = _refuse_writev
    _faulty.truncate = _refuse_truncate
    smgr_set_storage(&_faulty)


def heal() -> dict[str, int]:
    """Put the real storage back; returns the number of calls of each operation since `inject`."""
    global _plan, _real
    _plan = None
    if _real != NULL:
        smgr_set_storage(_real)
        _real = NULL
    return dict(_calls)
