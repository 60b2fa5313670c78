# cython: language_level=3
"""Critical sections: between start and end nothing may fail; an error there is a PANIC (miscadmin.h)."""

from libc.stdint cimport uint32_t

cdef uint32_t CritSectionCount


cdef inline void critical_start() noexcept nogil:
    global CritSectionCount
    CritSectionCount += 1


cdef inline void critical_end() noexcept nogil:
    global CritSectionCount
    CritSectionCount -= 1
