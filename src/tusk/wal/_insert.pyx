# cython: language_level=3
"""Bodies follow."""

cdef void set_current_xid_hook(CurrentXidHook hook) noexcept:
    pass

cdef int xlog_begin_insert() except -1:
    raise NotImplementedError

cdef void xlog_set_record_flags(uint8_t flags) noexcept:
    pass

cdef int xlog_ensure_record_space(int max_block_id, int ndatas) except -1:
    raise NotImplementedError

cdef int xlog_register_data(const void *data, uint32_t nbytes) except -1:
    raise NotImplementedError

cdef int xlog_register_buffer(uint8_t block_id, int buffer, uint8_t flags) except -1:
    raise NotImplementedError

cdef int xlog_register_block(uint8_t block_id, const RelFileLocator *locator, ForkNumber fork, BlockNumber block, const void *page, uint8_t flags) except -1:
    raise NotImplementedError

cdef int xlog_register_buf_data(uint8_t block_id, const void *data, uint32_t nbytes) except -1:
    raise NotImplementedError

cdef Lsn xlog_insert(uint8_t rmid, uint8_t info) except 0:
    raise NotImplementedError

cdef void xlog_reset_insertion() noexcept:
    pass

cdef bint xlog_check_buffer_needs_backup(int buffer) noexcept:
    return 0

cdef Lsn log_newpage(const RelFileLocator *locator, ForkNumber fork, BlockNumber block, void *page, bint page_std) except 0:
    raise NotImplementedError

cdef int log_newpages(const RelFileLocator *locator, ForkNumber fork, int npages, const BlockNumber *blocks, void **pages, bint page_std) except -1:
    raise NotImplementedError

cdef Lsn log_newpage_buffer(int buffer, bint page_std) except 0:
    raise NotImplementedError

cdef Lsn save_buffer_for_hint(int buffer, bint buffer_std) except? 0:
    raise NotImplementedError
