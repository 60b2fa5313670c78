# cython: language_level=3
"""Interrupt flags set by signal handlers, and the points that serve them (miscadmin.h)."""

from libc.stdint cimport uint32_t

from tusk.memory._critical cimport CritSectionCount

cdef int InterruptPending
cdef int QueryCancelPending
cdef int ProcDiePending
cdef int ConfigReloadPending
cdef int ShutdownRequestPending
cdef int ProcSignalPending          # some ProcSignal flag of this process is set
cdef int CheckClientConnectionPending
cdef int ClientConnectionLost
cdef int TimeoutPending             # SIGALRM: the timeout manager has something to fire
cdef uint32_t InterruptHoldoffCount
cdef uint32_t QueryCancelHoldoffCount
# Wakes this process's own sleep from a signal handler; set by _latch.
cdef void (*set_latch_hook)() noexcept nogil

cdef int process_interrupts() except -1


cdef inline int check_for_interrupts() except -1:
    """Serve pending interrupts, if it is allowed here. May raise (cancel, terminate). Needs the GIL."""
    if InterruptPending:
        return process_interrupts()
    return 0


cdef inline bint interrupts_pending() noexcept nogil:
    """For loops without the GIL: leave and call check_for_interrupts."""
    return InterruptPending != 0


cdef inline bint interrupts_can_be_processed() noexcept nogil:
    return InterruptHoldoffCount == 0 and CritSectionCount == 0 and QueryCancelHoldoffCount == 0


cdef inline void hold_interrupts() noexcept nogil:
    global InterruptHoldoffCount
    InterruptHoldoffCount += 1


cdef inline void resume_interrupts() noexcept nogil:
    global InterruptHoldoffCount
    # Error recovery may have set it to 0 before the locks are released.
    if InterruptHoldoffCount > 0:
        InterruptHoldoffCount -= 1


cdef inline void hold_cancel_interrupts() noexcept nogil:
    global QueryCancelHoldoffCount
    QueryCancelHoldoffCount += 1


cdef inline void resume_cancel_interrupts() noexcept nogil:
    global QueryCancelHoldoffCount
    if QueryCancelHoldoffCount > 0:
        QueryCancelHoldoffCount -= 1
