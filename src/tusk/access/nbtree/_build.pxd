# cython: language_level=3
"""Building a b-tree from sorted index tuples, level by level."""

from libc.stdint cimport uint32_t
from tusk._types cimport BlockNumber, ItemPointerData, OffsetNumber
from tusk.access._compare cimport Comparator
from tusk.access._tuple cimport IndexTupleData
from tusk.access._tupdesc cimport TupleDesc

cdef class PageSink:
    """Where finished pages go. Each block is put once; order is not ascending (block 0 comes last)."""
    cdef int put(self, BlockNumber block, char *page) except -1
    cdef int finish(self, BlockNumber nblocks) except -1

cdef class MemorySink(PageSink):
    cdef public list pages

cdef struct BuildLevel:
    char page[8192]
    BlockNumber block
    IndexTupleData *lowkey
    OffsetNumber lastoff
    uint32_t lastextra
    uint32_t level
    uint32_t full                   # a page with less free space than this is full

cdef class BTBuilder:
    cdef TupleDesc desc             # of the index, all columns
    cdef int nkeyatts
    cdef Comparator *comparators    # of the key columns; NULL: equal means equal bytes
    cdef bint allequalimage
    cdef bint deduplicate
    cdef int fillfactor
    cdef PageSink sink
    cdef BlockNumber npages
    cdef BuildLevel *levels[32]
    cdef int nlevels
    # pending posting list
    cdef IndexTupleData *base
    cdef ItemPointerData *htids
    cdef int nhtids
    cdef int nitems
    cdef uint32_t basetupsize
    cdef readonly object index_name

    cdef int add(self, const IndexTupleData *itup) except -1    # in index order, ties by heap TID
    cdef BlockNumber finish(self) except 0                      # number of blocks; the sink has them all
    cdef void _new_page(self, BuildLevel *state) noexcept
    cdef BuildLevel *_new_level(self, uint32_t level) except NULL
    cdef int _add_to_level(self, int i_level, const IndexTupleData *itup, uint32_t truncextra) except -1
    cdef int _start_pending(self, const IndexTupleData *itup) except -1
    cdef int _finish_pending(self) except -1
    cdef int _keep_natts(self, const IndexTupleData *lastleft, const IndexTupleData *firstright,
                         bint by_image) except -1

# A pivot tuple that separates lastleft from firstright, malloc'ed (_bt_truncate).
cdef IndexTupleData *bt_truncate(TupleDesc desc, int nkeyatts, Comparator *comparators,
                                 const IndexTupleData *lastleft, const IndexTupleData *firstright) except NULL
cdef IndexTupleData *bt_form_posting(const IndexTupleData *base, const ItemPointerData *htids, int nhtids) except NULL
cdef void bt_init_metapage(char *page, BlockNumber root, uint32_t level, bint allequalimage) noexcept nogil
cdef int bt_keep_natts(TupleDesc desc, int nkeyatts, Comparator *comparators, const IndexTupleData *lastleft,
                       const IndexTupleData *firstright) except -1
