# cython: language_level=3
"""Sequence relations: one tuple on one page (commands/sequence.h)."""

from libc.stdint cimport int64_t
from tusk.access._relation cimport Relation

cdef struct SequenceState:
    int64_t last_value
    int64_t log_cnt
    bint is_called

cdef struct SequenceBounds:
    int64_t increment
    int64_t minimum
    int64_t maximum
    int64_t cache
    bint cycle

cdef int sequence_create(Relation rel, int64_t last_value, bint is_called) except -1
cdef int sequence_read(Relation rel, SequenceState *out) except -1
# The next value; *cached_until is the last of the `cache` values this backend may give out by itself.
cdef int sequence_nextval(Relation rel, const SequenceBounds *bounds, int64_t *result,
                          int64_t *cached_until) except -1
cdef int sequence_setval(Relation rel, int64_t value, bint is_called) except -1
