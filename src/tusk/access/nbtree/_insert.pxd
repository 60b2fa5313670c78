# cython: language_level=3
"""Insertion into b-trees (nbtinsert.c)."""

from libc.stdint cimport uint32_t
from tusk._types cimport ItemPointerData, OffsetNumber
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport IndexTupleData
from tusk.access.nbtree._search cimport BTScanInsert, BTStack

cdef struct BTInsertState:
    IndexTupleData *itup
    uint32_t itemsz                 # aligned
    BTScanInsert *key
    int buf                         # leaf being looked at, locked exclusively
    bint bounds_valid               # low and stricthigh bound where the key belongs on that leaf
    OffsetNumber low
    OffsetNumber stricthigh
    int postingoff                  # place within the posting list at the found offset; -1: that tuple is dead

# 1; or 0 with UNIQUE_CHECK_PARTIAL when there may be a duplicate. itup carries the heap TID, and may be changed.
cdef int bt_doinsert(Relation rel, IndexTupleData *itup, int check_unique, bint index_unchanged,
                     Relation heap) except -1
cdef int bt_check_third_page(Relation rel, Relation heap, const IndexTupleData *itup, uint32_t itemsz) except -1
cdef OffsetNumber bt_binsrch_insert(Relation rel, BTInsertState *state) except? 0xFFFF
# The parent's entry for child, its page locked exclusively, or 0; updates entries[depth - 1] of the stack.
cdef int bt_getstackbuf(Relation rel, Relation heap, BTStack *stack, int depth, uint32_t child) except -1
cdef int bt_finish_split(Relation rel, Relation heap, int lbuf, BTStack *stack, int depth) except -1
# posting with newitem's TID in place of one of its own, malloc'ed; newitem gets the last TID of posting.
cdef IndexTupleData *bt_swap_posting(IndexTupleData *newitem, const IndexTupleData *posting, int postingoff) except NULL
