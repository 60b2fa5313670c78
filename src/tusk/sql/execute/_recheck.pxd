# cython: language_level=3
"""EvalPlanQual: running a plan again for one row combination, with newer row versions put in."""

from tusk.sql.execute._batch cimport Batch
from tusk.sql.execute._state cimport EState, PlanState

cdef class Recheck:
    cdef EState parent
    cdef EState estate
    cdef PlanState top
    cdef object plan
    cdef list marks                     # (rti, column of its ctid in the plan's rows, mark type)
    cdef bint running

    # The plan's row with the tuples of `replaced` ({rti: EpqTuple}) and the other relations' rows of lane `row` of
    # the batch; None when the quals no longer hold. Valid until the next call or `end`.
    cdef int begin(self) except -1
    cdef Batch run(self, dict replaced, Batch batch, int row)
    cdef int end(self) except -1
