# cython: language_level=3
"""Building and inserting WAL records; what access methods call (access/xloginsert.h).

    xlog_begin_insert()
    xlog_register_data(&xlrec, sizeof(xlrec))
    xlog_register_buffer(0, buf, REGBUF_STANDARD)
    xlog_register_buf_data(0, tuple, length)
    lsn = xlog_insert(RM_HEAP_ID, XLOG_HEAP_INSERT)
    page_set_lsn(page, lsn)

Registered data is not copied: it must stay valid until xlog_insert. Buffers are pinned, exclusively locked and
marked dirty already, and all of it happens within a critical section.
"""

from libc.stdint cimport uint8_t, uint32_t

from tusk._types cimport BlockNumber, ForkNumber, Lsn, RelFileLocator, TransactionId

cdef enum:
    REGBUF_FORCE_IMAGE = 0x01
    REGBUF_NO_IMAGE = 0x02
    REGBUF_WILL_INIT = 0x06
    REGBUF_STANDARD = 0x08
    REGBUF_KEEP_DATA = 0x10
    REGBUF_NO_CHANGE = 0x20

# The transaction id that goes into record headers; set by `transaction` (0: none assigned).
ctypedef TransactionId (*CurrentXidHook)() noexcept nogil

cdef void set_current_xid_hook(CurrentXidHook hook) noexcept

cdef int xlog_begin_insert() except -1
cdef void xlog_set_record_flags(uint8_t flags) noexcept
cdef int xlog_ensure_record_space(int max_block_id, int ndatas) except -1
cdef int xlog_register_data(const void *data, uint32_t nbytes) except -1
cdef int xlog_register_buffer(uint8_t block_id, int buffer, uint8_t flags) except -1
cdef int xlog_register_block(uint8_t block_id, const RelFileLocator *locator, ForkNumber fork, BlockNumber block,
                             const void *page, uint8_t flags) except -1
cdef int xlog_register_buf_data(uint8_t block_id, const void *data, uint32_t nbytes) except -1
cdef Lsn xlog_insert(uint8_t rmid, uint8_t info) except 0
cdef void xlog_reset_insertion() noexcept
cdef bint xlog_check_buffer_needs_backup(int buffer) noexcept

cdef Lsn log_newpage(const RelFileLocator *locator, ForkNumber fork, BlockNumber block, void *page,
                     bint page_std) except 0
cdef int log_newpages(const RelFileLocator *locator, ForkNumber fork, int npages, const BlockNumber *blocks,
                      void **pages, bint page_std) except -1
cdef Lsn log_newpage_buffer(int buffer, bint page_std) except 0
# A full-page image for a hint-bit change when the page was not logged since the redo point; 0 when none was needed.
cdef Lsn save_buffer_for_hint(int buffer, bint buffer_std) except? 0
