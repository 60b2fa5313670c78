# cython: language_level=3
"""Types of plancache.py, for the fast path of the wire protocol."""

from libc.stdint cimport int64_t

cdef int64_t _now
cdef int64_t _invalid_all
cdef int64_t _last_change
cdef int64_t _renamed
cdef dict _relation_changes

cpdef int64_t names_changed_at() noexcept

cdef class PlanSource:
    cdef public object raw
    cdef public str text
    cdef public list param_types
    cdef public bint fixed_parameters
    cdef public list queries
    cdef public frozenset relations
    cdef public object search_path
    cdef public int64_t analyzed_at
    cdef public int64_t checked_at
    cdef public list generic
    cdef public int64_t generic_plans
    cdef public int64_t custom_plans
    cdef public int cursor_options
    cdef public list executors
    cdef public dict described
    cdef public list locks

    cdef bint _is_current(self) except -1
    cpdef list ready_plans(self)
