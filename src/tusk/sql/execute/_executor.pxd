# cython: language_level=3
"""Running a PlannedStmt."""

from libc.stdint cimport int64_t
from tusk.sql.execute._batch cimport Batch, RowShape
from tusk.sql.execute._rowstore cimport RowStore
from tusk.sql.execute._state cimport EState, ParamSlot, PlanState
from tusk.transaction._snapshot cimport Snapshot

cdef class Executor:
    cdef readonly object stmt
    cdef readonly EState estate
    cdef readonly PlanState top
    cdef readonly RowShape shape            # of the visible columns
    cdef readonly list columns
    cdef bint is_select
    cdef tuple written                      # relations that a read-only transaction must not start this on
    cdef list visible                       # their places in the plan's rows; None: all, in order
    cdef Batch out
    cdef readonly bint running
    cdef readonly bint finished
    cdef bint at_end
    cdef bint scrollable
    cdef RowStore store                     # of a scrollable cursor
    cdef int64_t position                   # rows before the cursor
    cdef Batch held                         # a batch of which rows are left
    cdef int held_from
    cdef Batch window
    cdef RowShape full_shape                # of the visible columns and the TIDs after them
    cdef Batch seen                         # a batch without its TIDs, and that batch, whose selection it uses
    cdef Batch seen_of
    cdef list row_ids                       # relations whose TIDs follow the visible columns
    cdef readonly list current              # of the last row handed out: (relation, tid or None)

    # The slot of a parameter, or None where the plan does not use it.
    cdef ParamSlot parameter(self, int number)
    # As start(), with parameters that are in their slots already.
    cdef int begin(self, Snapshot snapshot, bint permissions) except -1
    cdef Batch pull(self)
    cpdef Batch next_batch(self, int64_t limit=*)
    cdef Batch without_row_ids(self, Batch batch)
    cdef Batch scroll_forward(self, int64_t limit)
    cpdef int finish(self) except -1
    cpdef int end(self) except -1
