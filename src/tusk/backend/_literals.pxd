# cython: language_level=3
"""Taking the literals out of a query's text."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t, uint32_t

cdef enum:
    MAX_LITERALS = 64
    MAX_TEXT = 4096

cdef struct Literal:
    uint32_t type               # INT4OID, INT8OID, NUMERICOID; 0: in quotes, of any type
    const char *data
    int32_t length

cdef class Normalizer:
    cdef char text[MAX_TEXT + 8 * MAX_LITERALS]
    cdef size_t size
    cdef Literal literals[MAX_LITERALS]
    cdef int nliterals
    cdef char scratch[MAX_TEXT]         # quoted literals without their doubled quotes

    # 1 if the text qualifies: then text[:size] has $1, $2, ... for the literals. They point into sql or scratch.
    cdef bint run(self, const char *sql, size_t length) noexcept nogil
    # What texts of the same shape have in common.
    cdef bytes key(self)
