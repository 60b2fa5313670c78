# cython: language_level=3
"""Sets of TIDs."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint64_t
from tusk._types cimport ItemPointerData

cdef enum:
    WHOLE_PAGE = 0xFFFF             # offset that stands for every tuple of the page, to be checked again

cdef class TidBitmap:
    """TIDs as block << 16 | offset, sorted once complete; beyond its limit whole pages."""
    cdef uint64_t *tids
    cdef int64_t n
    cdef int64_t room
    cdef int64_t limit
    cdef bint lossy
    cdef bint recheck               # some TIDs must be checked against the index condition

    cdef int add(self, const ItemPointerData *tids, int n) except -1
    cdef int finish(self) except -1
    cdef int append(self, uint64_t tid) except -1
