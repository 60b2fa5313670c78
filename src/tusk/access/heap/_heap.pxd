# cython: language_level=3
"""Changing heap tuples (access/heapam.h): insert, update, delete, and what they tell about concurrent changes."""

from libc.stdint cimport uint8_t
from tusk._types cimport BlockNumber, CommandId, ItemPointerData, TransactionId
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport HeapTupleData
from tusk.storage._buffer cimport BufferAccessStrategy
from tusk.transaction._snapshot cimport Snapshot

cdef enum:                          # TM_Result
    TM_Ok = 0
    TM_Invisible = 1
    TM_SelfModified = 2
    TM_Updated = 3
    TM_Deleted = 4
    TM_BeingModified = 5
    TM_WouldBlock = 6

cdef enum:                          # LockTupleMode
    LockTupleKeyShare = 0
    LockTupleShare = 1
    LockTupleNoKeyExclusive = 2
    LockTupleExclusive = 3

cdef enum:                          # TU_UpdateIndexes
    TU_None = 0
    TU_All = 1
    TU_Summarizing = 2

cdef enum:                          # options of heap_insert
    HEAP_INSERT_SKIP_FSM = 0x0002
    HEAP_INSERT_FROZEN = 0x0004
    HEAP_INSERT_NO_LOGICAL = 0x0008
    HEAP_INSERT_SPECULATIVE = 0x0010

cdef struct TM_FailureData:
    ItemPointerData ctid            # the next version, or the tuple itself when deleted
    TransactionId xmax
    CommandId cmax                  # with TM_SelfModified only
    bint traversed

cdef class BulkInsertState:
    cdef BufferAccessStrategy strategy      # a bulk-write ring
    cdef int current_buf            # pinned, or 0
    cdef BlockNumber next_free      # extended already, not used yet: [next_free, last_free]
    cdef BlockNumber last_free
    cdef int already_extended_by

cdef BulkInsertState make_bulk_insert_state()
cdef int release_bulk_insert_pin(BulkInsertState state) except -1

# Set by `catalog`: a tuple of a catalog changed (CacheInvalidateHeapTuple); newtup is NULL unless updated.
ctypedef int (*invalidate_fn)(Relation rel, HeapTupleData *tup, HeapTupleData *newtup) except -1
cdef invalidate_fn invalidate_heap_tuple_hook

# Set by access.toast at import: move wide attributes out of line. The first returns tup itself or a malloc'ed tuple
# (the caller frees it); the second deletes what a deleted tuple had out of line.
ctypedef HeapTupleData *(*toast_insert_fn)(Relation rel, HeapTupleData *tup, HeapTupleData *old, int options) except NULL
ctypedef int (*toast_delete_fn)(Relation rel, HeapTupleData *old, bint is_speculative) except -1
cdef toast_insert_fn toast_insert_hook
cdef toast_delete_fn toast_delete_hook

# For other modules of this package.
cdef inline bint is_toastable(Relation rel) noexcept:
    return rel.relkind == c'r' or rel.relkind == c'm'

cdef int log_new_cid(Relation rel, HeapTupleData *tup) except -1
cdef HeapTupleData *replica_identity_tuple(Relation rel, HeapTupleData *tup, bint key_required, bint *copied) except? NULL

# The tuple is toasted where needed, gets its header, and its t_self. tup itself stays as it is otherwise.
cdef int heap_insert(Relation rel, HeapTupleData *tup, CommandId cid, int options, BulkInsertState bistate) except -1
cdef int heap_multi_insert(Relation rel, HeapTupleData **tuples, int ntuples, CommandId cid, int options,
                           BulkInsertState bistate) except -1
cdef int heap_delete(Relation rel, const ItemPointerData *tid, CommandId cid, Snapshot crosscheck, bint wait,
                     TM_FailureData *tmfd, bint changing_partition) except -1
# heap_update and simple_heap_update are in heap._update.
# Catalog convenience: an unexpected concurrent change raises.
cdef int simple_heap_delete(Relation rel, const ItemPointerData *tid) except -1

cdef int heap_finish_speculative(Relation rel, const ItemPointerData *tid) except -1
cdef int heap_abort_speculative(Relation rel, const ItemPointerData *tid) except -1

cdef int ensure_indexed_attrs(Relation rel) except -1
cdef int fill_failure(HeapTupleData *tup, int result, TM_FailureData *tmfd) except -1
