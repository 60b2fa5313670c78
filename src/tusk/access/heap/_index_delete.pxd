# cython: language_level=3
"""Which rows that index entries point to are dead to everybody (heap_index_delete_tuples)."""

from libc.stdint cimport int16_t, uint8_t
from tusk._types cimport ItemPointerData, OffsetNumber, TransactionId
from tusk.access._relation cimport Relation

cdef struct IndexDelete:            # one TID of an index entry (TM_IndexDelete, TM_IndexStatus)
    ItemPointerData tid
    int16_t id                      # position in the index page's order
    OffsetNumber idxoffnum          # of its entry on the index page
    uint8_t knowndeletable          # in: the index says so; out: it is
    uint8_t promising               # bottom-up: has duplicates, so probably old versions
    int16_t freespace               # bottom-up: what its removal would bring

cdef struct IndexDeleteOp:
    bint bottomup
    int bottomupfreespace           # enough of it and the search ends
    int ndeltids                    # bottom-up: those behind were not looked at
    IndexDelete *deltids            # comes back sorted by TID

# Sets knowndeletable; returns the newest transaction whose versions go: conflicts with standbys' snapshots.
cdef TransactionId heap_index_delete_tuples(Relation rel, IndexDeleteOp *op) except? 0xFFFFFFFF
