# cython: language_level=3
"""What every process is doing."""

from libc.stdint cimport int64_t

cdef enum:
    ACTIVITY_IDLE = 2
    ACTIVITY_RUNNING = 3
    ACTIVITY_IDLEINTRANSACTION = 4
    ACTIVITY_IDLEINTRANSACTION_ABORTED = 6

# Change the state at a time (microseconds from 2000); a query (not NULL) also changes the text and query_start. Becoming
# idle is the time to flush what was counted.
cdef int report_state(int state, const char *query, Py_ssize_t length, int64_t now) except -1
cpdef bint late_flush_wanted() noexcept
