# cython: language_level=3
"""Cost-based delay of VACUUM and ANALYZE, and the ring of buffers they read through (commands/vacuum.h)."""

from tusk.memory._interrupts cimport InterruptPending
from tusk.storage._buffer cimport BufferAccessStrategy

cdef bint vacuum_cost_active
cdef bint vacuum_failsafe_active            # set by the failsafe of heap vacuum: no delay, no ring any more

cdef int vacuum_delay_slow() except -1

# The ring of the running VACUUM or ANALYZE; NULL outside of one and where no ring is wanted.
cdef BufferAccessStrategy vacuum_strategy() noexcept
cdef void stop_vacuum_cost() noexcept


cdef inline int vacuum_delay_point() except -1:
    """Serve interrupts, and sleep when enough work was done; nothing but a buffer pin may be held."""
    if InterruptPending or vacuum_cost_active:
        return vacuum_delay_slow()
    return 0
