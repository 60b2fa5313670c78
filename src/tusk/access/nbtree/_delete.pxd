# cython: language_level=3
"""Deleting entries from a leaf (nbtpage.c's and nbtinsert.c's _bt_del*, nbtdedup.c's bottom-up deletion)."""

from libc.stdint cimport uint16_t, uint32_t
from tusk._types cimport OffsetNumber
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport IndexTupleData
from tusk.access.nbtree._insert cimport BTInsertState

cdef struct BTVacuumPosting:            # a posting list that loses some of its TIDs
    IndexTupleData *itup                # the old tuple, on the page; becomes the new one, malloc'ed
    OffsetNumber offset
    uint16_t ndeletedtids
    uint16_t *deletetids                # positions in the list, ascending; malloc'ed

# Make room for a tuple on a full leaf (_bt_delete_or_dedup_one_page).
cdef int bt_delete_or_dedup_one_page(Relation rel, Relation heap, BTInsertState *state, bint simple_only,
                                     bint checking_unique, bint uniquedup, bint index_unchanged) except -1
# A posting list tuple without some of its TIDs, malloc'ed.
cdef IndexTupleData *bt_update_posting(const IndexTupleData *itup, const uint16_t *deletetids, int ndeleted) except NULL
# VACUUM's deletion; the buffer has a cleanup lock.
cdef int bt_delitems_vacuum(Relation rel, int buf, const OffsetNumber *deletable, int ndeletable,
                            BTVacuumPosting *updatable, int nupdatable) except -1
