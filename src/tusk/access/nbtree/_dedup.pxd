# cython: language_level=3
"""Merging equal tuples of a leaf into posting lists (nbtdedup.c)."""

from libc.stdint cimport uint16_t, uint32_t
from tusk._types cimport ItemPointerData, OffsetNumber
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport IndexTupleData
from tusk.access.nbtree._records cimport BTDedupInterval

cdef struct BTDedupState:
    bint deduplicate                # still merging
    int nmaxitems                   # posting lists that reached the limit
    uint32_t maxpostingsize
    IndexTupleData *base            # of the pending posting list: on the page
    OffsetNumber baseoff
    uint32_t basetupsize            # without a posting list
    int nhtids
    int nitems
    uint32_t phystupsize            # room that the merged tuples take, line pointers included
    int nintervals
    ItemPointerData htids[2048]
    BTDedupInterval intervals[1024]

cdef void dedup_start(BTDedupState *state, IndexTupleData *base, OffsetNumber baseoff) noexcept
cdef bint dedup_save(BTDedupState *state, const IndexTupleData *itup) noexcept
# Puts the pending tuple at the end of newpage; returns the bytes saved.
cdef int dedup_finish(char *newpage, BTDedupState *state) except -1
cdef int bt_dedup_pass(Relation rel, int buf, const IndexTupleData *newitem, uint32_t newitemsz,
                       bint bottomup) except -1
