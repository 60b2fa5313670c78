# cython: language_level=3
"""Reading heap tuples: by TID, along a HOT chain, and page by page."""

from libc.stdint cimport uint8_t, uint32_t
from tusk._types cimport BlockNumber, ItemPointerData, OffsetNumber
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport HeapTupleData, HeapTupleHeaderData
from tusk.storage._buffer cimport BufferAccessStrategy
from tusk.transaction._snapshot cimport Snapshot

# heap_fetch: tup.t_self given. 1 when visible: *buf pinned, tup filled; 0: not visible (with keep_buf, *buf stays
# pinned and tup filled if there is a tuple at all; else *buf is 0).
cdef int heap_fetch(Relation rel, Snapshot snapshot, HeapTupleData *tup, int *buf, bint keep_buf) except -1

# heap_hot_search_buffer: the visible member of the HOT chain at *tid, in a pinned and locked buffer; *tid and tup are
# set to it. all_dead (may be NULL): whether every member is dead to everyone.
cdef int heap_hot_search_buffer(ItemPointerData *tid, Relation rel, int buf, Snapshot snapshot, HeapTupleData *tup,
                                bint *all_dead, bint first_call) except -1

# What an index scan does for each TID it finds: keeps the last heap page pinned between calls.
cdef class IndexFetch:
    cdef Relation rel
    cdef int buf                    # pinned, or 0
    cdef BlockNumber block
    cdef HeapTupleData tup          # result: valid while the pin is kept
    cdef bint call_again            # non-MVCC snapshots: more versions may follow in the chain
    cdef bint all_dead
    # 1: tup is the visible version for *tid (which is set to it), 0: none
    cdef int fetch(self, ItemPointerData *tid, Snapshot snapshot, bint want_all_dead) except -1
    cdef int reset(self) except -1

cdef int index_fetch_tuple(IndexFetch state, ItemPointerData *tid, Snapshot snapshot, bint want_all_dead) except -1

cdef class HeapScan:
    cdef readonly Relation rel
    cdef readonly Snapshot snapshot
    cdef BufferAccessStrategy strategy
    cdef readonly BlockNumber nblocks
    cdef BlockNumber start_block        # where it starts; it wraps around at the relation's end
    cdef long long total                # blocks to visit
    cdef long long position             # of the current block: 0 .. total - 1; -1 before, total after
    cdef long long read_until           # positions before it have been read ahead
    cdef readonly BlockNumber block     # current
    cdef int buf                        # current page, pinned; 0 when there is none
    cdef bint inited
    cdef bint sync_scan
    cdef int ntuples                    # visible tuples of the current page
    cdef int index                      # the one given out last by next_tuple
    cdef OffsetNumber offsets[291]
    cdef HeapTupleHeaderData *headers[291]
    cdef uint32_t lengths[291]
    cdef HeapTupleData current

    # Next page with visible tuples: fills ntuples, offsets, headers, lengths (valid until the next call). 0 at the end.
    cdef int next_page(self) except -1
    cdef int load_page(self, int step) except -1
    # One tuple at a time, NULL at the end; turns around where it is. After an end it starts anew at that end.
    cdef HeapTupleData *next_tuple(self, bint backward=*) except? NULL
    cdef int rescan(self) except -1
    cdef int end(self) except -1
    cdef int set_limits(self, BlockNumber start, BlockNumber nblocks) except -1

cdef HeapScan begin_heap_scan(Relation rel, Snapshot snapshot, bint allow_strat=*, bint allow_sync=*)

# Visible tuples of one block, pruning it first when that pays (bitmap and TID range scans). *buf: pinned, the caller's
# to release; may come in as the buffer pinned before (released when it is another block).
cdef int heap_page_visible_tuples(Relation rel, Snapshot snapshot, BlockNumber block, int *buf,
                                  OffsetNumber *offsets, HeapTupleHeaderData **headers, uint32_t *lengths) except -1

cdef int vis_kind(Relation rel) noexcept        # VISHORIZON_*
