# cython: language_level=3
"""Who sees which tuple (access/heapam_visibility, storage/bufmgr hint bits)."""

from libc.stdint cimport uint16_t
from tusk._types cimport CommandId, TransactionId
from tusk.access._tuple cimport (
    HEAP_COMBOCID, HEAP_XMAX_INVALID, HEAP_XMIN_COMMITTED, HEAP_XMIN_FROZEN, HeapTupleData, HeapTupleHeaderData,
)
from tusk.transaction._combocid cimport get_real_cmax, get_real_cmin
from tusk.transaction._snapshot cimport GlobalVisState, Snapshot

cdef enum:                              # HTSV_Result
    HEAPTUPLE_DEAD = 0
    HEAPTUPLE_LIVE = 1
    HEAPTUPLE_RECENTLY_DEAD = 2
    HEAPTUPLE_INSERT_IN_PROGRESS = 3
    HEAPTUPLE_DELETE_IN_PROGRESS = 4

cdef inline CommandId tuple_cmin(const HeapTupleHeaderData *tup) noexcept nogil:
    return get_real_cmin(tup.t_cid) if tup.t_infomask & HEAP_COMBOCID else tup.t_cid

cdef inline CommandId tuple_cmax(const HeapTupleHeaderData *tup) noexcept nogil:
    return get_real_cmax(tup.t_cid) if tup.t_infomask & HEAP_COMBOCID else tup.t_cid

# All take a tuple in a pinned and locked (share will do) buffer, and may set hint bits there. buf 0: a tuple that is
# in no buffer; no hint bits then.
cdef int tuple_satisfies_visibility(HeapTupleData *tup, Snapshot snapshot, int buf) except -1
cdef int tuple_satisfies_mvcc(HeapTupleHeaderData *tup, Snapshot snapshot, int buf) except -1
cdef int tuple_satisfies_self(HeapTupleHeaderData *tup, int buf) except -1
cdef int tuple_satisfies_dirty(HeapTupleData *tup, Snapshot snapshot, int buf) except -1
# A TM_Result of heap._heap.
cdef int tuple_satisfies_update(HeapTupleData *tup, CommandId curcid, int buf) except -1
# An HTSV_Result; *dead_after is set with HEAPTUPLE_RECENTLY_DEAD: dead once no snapshot needs that xid.
cdef int tuple_satisfies_vacuum_horizon(HeapTupleData *tup, int buf, TransactionId *dead_after) except -1
cdef int tuple_satisfies_vacuum(HeapTupleData *tup, TransactionId oldest_xmin, int buf) except -1
# From hint bits alone.
cdef int tuple_is_surely_dead(HeapTupleHeaderData *tup, GlobalVisState *vistest) except -1

cdef int set_hint_bits(HeapTupleHeaderData *tup, int buf, uint16_t infomask, TransactionId xid) except -1
# xmax, or the updater of a multixact (0: none).
cdef TransactionId tuple_update_xid(const HeapTupleHeaderData *tup) except? 0xFFFFFFFF
cdef TransactionId multixact_update_xid(TransactionId xmax, uint16_t infomask) except? 0xFFFFFFFF
# Whether xmax only locks, perhaps by having aborted.
cdef int tuple_is_only_locked(const HeapTupleHeaderData *tup) except -1
