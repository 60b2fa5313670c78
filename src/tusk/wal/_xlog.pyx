# cython: language_level=3
"""Bodies follow."""

cdef Lsn get_proc_last_rec_ptr() noexcept nogil:
    return 0

cdef Lsn get_xact_last_rec_end() noexcept nogil:
    return 0

cdef void set_xact_last_rec_end(Lsn lsn) noexcept nogil:
    pass

cdef int xlog_flush(Lsn upto) except -1:
    raise NotImplementedError

cdef bint xlog_background_flush() except -1:
    raise NotImplementedError

cdef bint xlog_needs_flush(Lsn lsn) noexcept:
    return 0

cdef void xlog_set_async_xact_lsn(Lsn lsn) noexcept:
    pass

cdef Lsn get_insert_lsn() noexcept nogil:
    return 0

cdef Lsn get_write_lsn() noexcept nogil:
    return 0

cdef Lsn get_flush_lsn() noexcept nogil:
    return 0

cdef Lsn get_redo_rec_ptr() noexcept nogil:
    return 0

cdef Lsn get_last_important_lsn() noexcept:
    return 0

cdef int request_xlog_switch(bint mark_unimportant) except -1:
    raise NotImplementedError

cdef bint recovery_in_progress() noexcept nogil:
    return 0

cdef bint xlog_insert_allowed() noexcept nogil:
    return 0

cdef int wal_level() noexcept nogil:
    return 0

cdef bint xlog_is_needed() noexcept nogil:
    return 0

cdef bint xlog_standby_info_active() noexcept nogil:
    return 0

cdef bint xlog_logical_info_active() noexcept nogil:
    return 0

cdef bint xlog_hint_bit_is_needed() noexcept nogil:
    return 0

cdef Lsn get_fake_lsn_for_unlogged_rel() noexcept nogil:
    return 0
