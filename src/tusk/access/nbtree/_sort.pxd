# cython: language_level=3
"""Sorting index tuples, in memory or in runs on disk."""

from libc.stdint cimport uint32_t
from tusk._types cimport Datum
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport IndexTupleData

cdef struct SortItem:
    IndexTupleData *itup
    Datum first                     # leading column
    bint isnull
    int run                         # merging: where it comes from

cdef class TupleSorter:
    cdef Relation rel
    cdef size_t limit               # bytes
    cdef size_t used
    cdef list blocks                # memory of tuples
    cdef char *block
    cdef size_t block_left
    cdef SortItem *items
    cdef Py_ssize_t nitems
    cdef Py_ssize_t room
    cdef Py_ssize_t position
    cdef object file
    cdef list runs                  # (offset, bytes) in the file
    cdef list readers               # merging: per run [buffer, position, file offset, bytes left]
    cdef SortItem *heap
    cdef int nheap
    cdef IndexTupleData *given
    cdef readonly long long ntuples
    cdef readonly int nspilled

    cdef int put(self, const IndexTupleData *itup) except -1
    cdef int finish(self) except -1
    cdef IndexTupleData *next(self) except? NULL        # valid until the next call; NULL at the end
    cdef int compare(self, const SortItem *a, const SortItem *b) except? -2
    cdef int sort(self) except -1
    cdef int spill(self) except -1
    cdef int load(self, int run, SortItem *item) except -1
    cdef int sift(self, int i) except -1
    cdef void clear(self) noexcept

# Keys only (not TIDs): -1, 0, 1 in index order.
cdef int compare_index_keys(Relation rel, const IndexTupleData *a, const IndexTupleData *b, int from_column,
                            bint *anynull) except? -2
