# cython: language_level=3
"""Bodies follow."""

from tusk.wal._record cimport XLogRecord

cdef class DecodedRecord:
    cdef int read_buffer_for_redo(self, uint8_t block_id, int *buf) except -1:
        raise NotImplementedError
    cdef int read_buffer_for_redo_extended(self, uint8_t block_id, int mode, bint cleanup_lock, int *buf) except -1:
        raise NotImplementedError
    cdef int init_buffer_for_redo(self, uint8_t block_id) except 0:
        raise NotImplementedError
    cdef int restore_block_image(self, uint8_t block_id, char *page) except -1:
        raise NotImplementedError

cdef void register_redo(uint8_t rmid, RedoRoutine redo, MaskRoutine mask) noexcept:
    pass

cdef void register_rmgr_phases(uint8_t rmid, RmgrPhaseRoutine startup, RmgrPhaseRoutine cleanup) noexcept:
    pass

cdef int read_buffer_extended(const RelFileLocator *locator, ForkNumber fork, BlockNumber block, int mode) except? 0:
    raise NotImplementedError

cdef int xlog_drop_relation(const RelFileLocator *locator, ForkNumber fork) except -1:
    raise NotImplementedError

cdef int xlog_drop_database(Oid database) except -1:
    raise NotImplementedError

cdef int xlog_truncate_relation(const RelFileLocator *locator, ForkNumber fork, BlockNumber nblocks) except -1:
    raise NotImplementedError

cdef bint in_recovery() noexcept nogil:
    return 0

cdef void set_advance_xid_hook(AdvanceXidHook hook) noexcept:
    pass
