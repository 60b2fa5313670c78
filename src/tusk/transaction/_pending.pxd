# cython: language_level=3
"""Files created or dropped by a transaction (catalog/storage.h, catalog/storage_xlog.h)."""

from tusk._types cimport BlockNumber, ForkNumber, RelFileLocator

# Creates the main fork now; it goes again if the transaction aborts. backend: -1, or a slot for temporary ones.
cdef int relation_create_storage(const RelFileLocator *locator, char persistence, bint register_delete) except -1
cdef int relation_drop_storage(const RelFileLocator *locator, int backend) except -1         # at commit
cdef int relation_preserve_storage(const RelFileLocator *locator, bint at_commit) except -1  # forget such a plan
cdef int log_smgr_create(const RelFileLocator *locator, ForkNumber fork) except -1
cdef int relation_truncate(const RelFileLocator *locator, char persistence, BlockNumber nblocks) except -1

cdef int pending_deletes(bint for_commit, int nest_level, RelFileLocator **locators) except -1   # malloc'ed
cdef int do_pending_deletes(bint is_commit, int nest_level) except -1
cdef int at_sub_commit_pending(int nest_level) noexcept
cdef int forget_pending() noexcept
cdef bint have_pending() noexcept nogil
cdef int drop_relation_files_redo(const char *locators, int nrels) except -1
