# cython: language_level=3
"""Every tuple that a new index must have an entry for (table_index_build_scan)."""

from tusk._types cimport BlockNumber, ItemPointerData, OffsetNumber, TransactionId
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport HeapTupleData, HeapTupleHeaderData
from tusk.transaction._snapshot cimport Snapshot

cdef class IndexBuildScan:
    cdef Relation rel
    cdef Snapshot snapshot              # None: all that anybody may still see
    cdef bint unique                    # wait for those who insert or delete, to know for certain
    cdef TransactionId oldest_xmin
    cdef BlockNumber block
    cdef BlockNumber nblocks
    cdef int buf
    cdef int count                      # of the current page
    cdef int index
    cdef OffsetNumber offsets[291]
    cdef unsigned char alive_flags[291]
    cdef OffsetNumber roots[292]
    # Results of next():
    cdef HeapTupleData tup              # valid until the next call
    cdef ItemPointerData tid            # what the entry points to: the root of a HOT chain
    cdef bint alive                     # counts for uniqueness
    # Results at the end:
    cdef readonly double reltuples
    cdef readonly bint broken_hot_chain # older snapshots must not use the index (indcheckxmin)

    cdef int next(self) except -1       # 1, or 0 at the end
    cdef int load(self) except -1
    cdef int judge(self, HeapTupleData *tup, bint *index_it, bint *is_alive, TransactionId *wait) except -1
    cdef int end(self) except -1

# For each offset the offset of its HOT chain's first line pointer, 0 for none. The page is locked.
cdef int heap_get_root_tuples(const char *page, OffsetNumber *roots) except -1
cdef IndexBuildScan begin_index_build_scan(Relation rel, bint unique, Snapshot snapshot)
