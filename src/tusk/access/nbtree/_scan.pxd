# cython: language_level=3
"""Scans of b-trees (nbtsearch.c's second half, nbtree.c)."""

from libc.stdint cimport uint16_t, uint32_t
from tusk._types cimport BlockNumber, ItemPointerData, Lsn, OffsetNumber
from tusk.access._index cimport IndexScan
from tusk.access._tuple cimport IndexTupleData
from tusk.access.nbtree._scankeys cimport BTScanKeys

cdef packed struct BTScanItem:      # 10 bytes
    ItemPointerData tid
    OffsetNumber offset             # on the page, when it was read
    uint16_t tupleoff               # of the copy in the workspace

cdef struct BTScanPos:              # matching items of one page
    bint valid
    int buf                         # pinned, or 0
    BlockNumber block
    BlockNumber next
    BlockNumber prev
    Lsn lsn
    bint more_left
    bint more_right
    bint backward                   # how it was read
    bint descend                    # arrays: the next page is not the neighbour
    int first
    int last
    int current
    int nexttuple
    BTScanItem items[1358]

cdef class BTScan(IndexScan):
    cdef BTScanKeys quals
    cdef BTScanPos *pos
    cdef BTScanPos *mark
    cdef int mark_current           # marked item of the current page, -1: mark holds the page
    cdef char *workspace            # copies of tuples, with want_itup
    cdef char *mark_workspace
    cdef int *killed
    cdef int nkilled
    cdef bint drop_pin
    cdef int ended                  # 1: at the end going forward, 2: going backward

    cdef int first_page(self, bint backward) except -1
    cdef int descend(self, bint backward) except -1
    cdef int next_page(self, bint backward) except -1
    cdef int walk(self, bint backward) except -1
    cdef int read_page(self, int buf, OffsetNumber offset, bint backward) except -1
    cdef int lock_left(self, BlockNumber block, BlockNumber last) except -1
    cdef int save_item(self, int i, OffsetNumber offset, const IndexTupleData *itup) except -1
    cdef int leave_page(self) except -1
    cdef int kill_items(self) except -1
    cdef int give(self) except -1
    cdef int save_posting(self, int i, int n, OffsetNumber offset, const IndexTupleData *itup, bint backward) except -1
    cdef int keep_mark(self) except -1
