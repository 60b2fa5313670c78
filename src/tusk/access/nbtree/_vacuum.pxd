# cython: language_level=3
"""VACUUM of b-trees: removal of entries, deletion and recycling of pages (nbtree.c, nbtpage.c's second half)."""

from libc.stdint cimport uint16_t, uint32_t, uint64_t
from tusk._types cimport BlockNumber, ItemPointerData
from tusk.access._index cimport IndexVacuumStats, tid_is_dead
from tusk.access._relation cimport Relation

cdef int bt_bulk_delete(Relation rel, Relation heap, tid_is_dead is_dead, void *arg, IndexVacuumStats *stats) except -1
# stats come from bt_bulk_delete if it ran (scanned); 1 if the index was read now.
cdef int bt_vacuum_cleanup(Relation rel, Relation heap, IndexVacuumStats *stats, bint scanned) except -1
