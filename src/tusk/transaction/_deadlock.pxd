# cython: language_level=3
"""Looking for deadlocks (storage/lock.h, DeadLockState)."""

from tusk.memory._process cimport PGPROC

cdef enum:
    DS_NOT_YET_CHECKED = 0
    DS_NO_DEADLOCK = 1
    DS_SOFT_DEADLOCK = 2
    DS_HARD_DEADLOCK = 3

# All partition locks are held exclusively. After DS_SOFT_DEADLOCK the queues in `rearranged_locks` have a new order.
cdef int dead_lock_check(PGPROC *proc) except -1
cdef list rearranged_locks
