# cython: language_level=3
"""Sorting rows: see _sort.pyx."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from tusk.memory._context cimport MemoryContext
from tusk.sql.execute._batch cimport Batch, RowShape
from tusk.sql.execute._keys cimport Keys
from tusk.sql.execute._rowstore cimport RowStore
from tusk.sql.execute._state cimport PlanState
from tusk.types._kernel cimport Vector

cdef struct SortItem:
    uint64_t prefix
    uint32_t row
    uint32_t null               # sorts before (0) or after (1) the others by the first key

cdef class Run:
    cdef RowStore store
    cdef int64_t position

cdef class Sorter:
    """Takes batches in, gives them back in order; spills sorted runs beyond its memory."""
    cdef readonly RowShape shape
    cdef Keys keys
    cdef RowStore store
    cdef SortItem *items
    cdef int64_t nitems
    cdef size_t limit
    cdef int64_t bound          # only the first so many rows are wanted; 0: all
    cdef list runs
    cdef list cursors
    cdef readonly int64_t position
    cdef bint sorted
    cdef Batch out
    cdef bint decisive
    cdef RowStore merged
    cdef readonly str method
    cdef readonly int64_t space

    cdef int add(self, Batch batch) except -1
    cdef int finish(self) except -1
    cdef Batch fetch(self, int most)
    cdef int clear(self) except -1
    cdef int order(self) except -1
    cdef int dump(self) except -1
    cdef int compare(self, const SortItem *a, const SortItem *b) except? -2
    cdef int merge_sort(self, SortItem *items, SortItem *spare, int64_t n) except -1
    cdef int trim(self) except -1
    cdef Batch fetch_merged(self, int most)
    cdef int copy_sorted(self, RowStore target, int64_t most) except -1
    cdef Batch out_of_merge(self)
    cdef int key_columns(self, Run run, Vector **columns) except -1

cdef class SortState(PlanState):
    cdef Sorter sorter
    cdef public int64_t bound
    cdef bint done
