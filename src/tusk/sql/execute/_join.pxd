# cython: language_level=3
"""What the three kinds of joins share: gathering pairs of rows into batches, join quals, null extension."""

from libc.stdint cimport int64_t, uint16_t
from tusk.sql.execute._batch cimport Batch
from tusk.sql.execute._rowstore cimport RowStore
from tusk.sql.execute._state cimport Expr, PlanState
from tusk.types._kernel cimport BATCH_ROWS

cdef class JoinState(PlanState):
    cdef readonly int jointype
    cdef Expr joinqual
    cdef bint joinqual_outer            # the join qual looks at outer columns
    cdef Batch oview                    # pairs found: used columns of the outer row
    cdef Batch iview                    # and of the inner
    cdef int npairs
    cdef int *ocols                     # used columns, -1 ends
    cdef int *icols
    cdef int *jcols                     # outer columns used by the join qual
    cdef Batch broadcast
    cdef bint single                    # one inner match per outer row is enough
    cdef bint fill_outer                # outer rows without a match come out with nulls
    cdef bint fill_inner

    cdef int prepare(self, object plan, object left_shape, object right_shape) except -1
    # Rows of the inner batch that match outer row r, into keep.
    cdef int match(self, Batch ob, int r, Batch ib, uint16_t *keep) except -1
    cdef int put_outer(self, Batch ob, int r) except -1
    cdef int put_inner(self, Batch ib, int r, bint copy) except -1
    cdef int put_inner_stored(self, RowStore store, int64_t row) except -1
    cdef int null_outer(self) except -1
    cdef int null_inner(self) except -1
    # Applies the other quals and the target list to the pairs; None when nothing is left. Empties the views.
    cdef Batch emit(self)
