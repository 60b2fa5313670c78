# cython: language_level=3
"""Aggregate states: one for each group, in arrays."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from tusk._types cimport Datum
from tusk.memory._context cimport MemoryContext
from tusk.types._kernel cimport Vector
from tusk.types._kernel_datum cimport DatumType

cdef class AggState:
    cdef int64_t ngroups
    cdef int64_t room
    cdef readonly DatumType result_type
    cdef MemoryContext context          # what by-reference states live in

    cdef int grow(self, int64_t ngroups) except -1              # at least so many groups; new ones are initial
    cdef int resize(self, int64_t room) except -1
    # groups[k]: the group of the k-th selected row; NULL: all belong to group 0.
    cdef int update(self, const uint32_t *groups, const uint16_t *sel, int n, Vector **args) except -1
    cdef int result(self, int64_t group, Vector *out, int lane, MemoryContext context) except -1
    cdef int clear(self) except -1
    cdef size_t memory(self) noexcept
