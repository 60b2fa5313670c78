# cython: language_level=3
"""What redo routines see: the decoded record, its buffers, and the table of resource managers (access/xlogutils.h).

A resource manager registers its C routines at import:

    cdef int heap_redo(DecodedRecord record) except -1: ...
    register_redo(RM_HEAP_ID, heap_redo, heap_mask)

and a redo routine does, for each block:

    action = record.read_buffer_for_redo(0, &buf)       # buffer is pinned and exclusively locked unless BLK_NOTFOUND
    if action == BLK_NEEDS_REDO:
        page = buffer_page(buf); ...; page_set_lsn(page, record.end_lsn); mark_buffer_dirty(buf)
    if buf != 0: unlock_release_buffer(buf)
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

from tusk._types cimport BlockNumber, ForkNumber, Lsn, Oid, RelFileLocator, TransactionId
from tusk.wal._record cimport XLogRecord

cdef enum:
    BLK_NEEDS_REDO = 0
    BLK_DONE = 1
    BLK_RESTORED = 2
    BLK_NOTFOUND = 3

cdef struct DecodedBlock:
    bint in_use
    RelFileLocator locator
    ForkNumber fork
    BlockNumber block
    uint8_t flags                   # BKPBLOCK_*
    bint has_image
    bint apply_image
    const char *image
    uint16_t hole_offset
    uint16_t hole_length
    uint16_t bimg_len
    uint8_t bimg_info
    bint has_data
    const char *data
    uint16_t data_len

cdef class DecodedRecord:
    cdef XLogRecord header
    cdef Lsn lsn                    # start of the record
    cdef Lsn end_lsn                # first byte after it: the LSN its pages get
    cdef const char *main_data      # MAXALIGNed
    cdef uint32_t main_data_len
    cdef int max_block_id           # -1: none
    cdef uint16_t origin
    cdef TransactionId toplevel_xid
    cdef DecodedBlock blocks[33]
    cdef char *storage              # owns what the pointers point to
    cdef size_t storage_size
    cdef object kept                # bytes that images point into, for records not read from files
    cdef int make_room(self, size_t nbytes) except -1

    cdef inline uint8_t info(self) noexcept:
        """The resource manager's bits of xl_info."""
        return self.header.xl_info & 0xF0

    cdef inline bint has_block(self, int block_id) noexcept:
        return self.max_block_id >= block_id and self.blocks[block_id].in_use

    cdef inline bint has_image(self, int block_id) noexcept:
        return self.blocks[block_id].has_image

    cdef inline const char *block_data(self, int block_id, uint32_t *nbytes) noexcept:
        """Data registered for the block (MAXALIGNed), NULL and 0 when there is none."""
        if self.max_block_id < block_id or not self.blocks[block_id].has_data:
            nbytes[0] = 0
            return NULL
        nbytes[0] = self.blocks[block_id].data_len
        return self.blocks[block_id].data

    # XLogReadBufferForRedo: BLK_*; *buf is 0 with BLK_NOTFOUND.
    cdef int read_buffer_for_redo(self, uint8_t block_id, int *buf) except -1
    # XLogReadBufferForRedoExtended: mode is an RBM_* of storage._buffer.
    cdef int read_buffer_for_redo_extended(self, uint8_t block_id, int mode, bint cleanup_lock, int *buf) except -1
    # XLogInitBufferForRedo: a zeroed, locked buffer (block was registered with REGBUF_WILL_INIT).
    cdef int init_buffer_for_redo(self, uint8_t block_id) except 0
    # RestoreBlockImage into 8192 bytes at `page`.
    cdef int restore_block_image(self, uint8_t block_id, char *page) except -1

ctypedef int (*RedoRoutine)(DecodedRecord record) except -1
ctypedef void (*MaskRoutine)(char *page, BlockNumber block) noexcept
ctypedef int (*RmgrPhaseRoutine)() except -1

cdef void register_redo(uint8_t rmid, RedoRoutine redo, MaskRoutine mask) noexcept
cdef void register_rmgr_phases(uint8_t rmid, RmgrPhaseRoutine startup, RmgrPhaseRoutine cleanup) noexcept

# XLogReadBufferExtended: a pinned buffer, or 0 when the page does not exist (then noted as an invalid page).
cdef int read_buffer_extended(const RelFileLocator *locator, ForkNumber fork, BlockNumber block, int mode) except? 0
cdef int xlog_drop_relation(const RelFileLocator *locator, ForkNumber fork) except -1
cdef int xlog_drop_database(Oid database) except -1
cdef int xlog_truncate_relation(const RelFileLocator *locator, ForkNumber fork, BlockNumber nblocks) except -1

cdef bint in_recovery() noexcept nogil              # this process replays WAL

# Called for every replayed record with a transaction id (AdvanceNextFullTransactionIdPastXid); set by `transaction`.
ctypedef int (*AdvanceXidHook)(TransactionId xid) except -1
cdef void set_advance_xid_hook(AdvanceXidHook hook) noexcept

cdef int apply_record(DecodedRecord record) except -1
