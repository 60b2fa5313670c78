# cython: language_level=3
"""The free space map (storage/freespace.h)."""

from tusk._types cimport BlockNumber, RelFileLocator
from tusk.storage._buffer cimport Buffer

# InvalidBlockNumber: nothing known to be large enough. The -1 of errors cannot be a block number.
cdef long long get_page_with_free_space(const RelFileLocator *locator, char persistence, size_t needed) except -1
cdef long long record_and_get_page_with_free_space(const RelFileLocator *locator, char persistence,
                                                   BlockNumber old_page, size_t old_available,
                                                   size_t needed) except -1
cdef int record_page_with_free_space(const RelFileLocator *locator, char persistence, BlockNumber heap_block,
                                     size_t available) except -1
# For redo.
cdef int xlog_record_page_with_free_space(const RelFileLocator *locator, BlockNumber heap_block,
                                          size_t available) except -1
cdef long get_recorded_free_space(const RelFileLocator *locator, char persistence, BlockNumber heap_block) except -1
cdef int free_space_map_vacuum(const RelFileLocator *locator, char persistence) except -1
cdef int free_space_map_vacuum_range(const RelFileLocator *locator, char persistence, BlockNumber start,
                                     BlockNumber end) except -1
# The FSM's new length for a heap truncated to nblocks, its last page already cleared; InvalidBlockNumber: none to cut.
cdef long long free_space_map_prepare_truncate(const RelFileLocator *locator, char persistence,
                                               BlockNumber nblocks) except -1

# Logs a full-page image of a map page whose tail was cut, if hints are WAL-logged; in a critical section.
ctypedef int (*log_fsm_truncate_fn)(Buffer buffer) except -1
cdef log_fsm_truncate_fn log_fsm_truncate_hook
