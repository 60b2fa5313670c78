"""Base of the joins (see _join.pxd).

Pairs of matching rows are collected in two views, which hold the columns that the target list and the quals use; a
full view is filtered, projected and given out. A pair is put as: put_outer or null_outer, then put_inner or null_inner,
which completes it.
"""

from libc.stdlib cimport calloc, free
from tusk.sql.execute._batch cimport RowShape
from tusk.sql.execute._rowstore cimport store_null, store_value
from tusk.sql.execute._state cimport EState, dense_rows, shape_of_targetlist
from tusk.types._kernel cimport Vector
from tusk.types._kernel_datum cimport copy_datum

from tusk.sql.execute.program import Compiler
from tusk.sql.nodes import enums

JOINS_FILLING_OUTER = (enums.JOIN_LEFT, enums.JOIN_ANTI, enums.JOIN_FULL)
JOINS_FILLING_INNER = (enums.JOIN_RIGHT, enums.JOIN_RIGHT_ANTI, enums.JOIN_FULL)


cdef int *column_list(object columns) except NULL:
    cdef int *out = <int *> calloc(len(columns) + 1, sizeof(int))
    cdef int i = 0
    if out == NULL:
        raise MemoryError
    for column in sorted(columns):
        out[i] = column
        i += 1
    out[i] = -1
    return out


cdef class JoinState(PlanState):
    """Base of NestLoop, HashJoin and MergeJoin."""

    def __dealloc__(self):
        free(self.ocols)
        free(self.icols)
        free(self.jcols)

    cdef int prepare(self, object plan, object left_shape, object right_shape) except -1:
        compiler = Compiler(self, self.estate)
        joins = Compiler(self, self.estate)
        cdef int c
        self.jointype = plan.jointype
        self.qual = compiler.qual(plan.qual)
        self.targets = compiler.targets(plan.targetlist)
        self.joinqual = joins.qual(plan.joinqual)
        self.joinqual_outer = bool(joins.outer_used)
        self.jcols = column_list(joins.outer_used)
        # A hash join evaluates its join qual over the views.
        self.ocols = column_list(compiler.outer_used | joins.outer_used)
        self.icols = column_list(compiler.inner_used | joins.inner_used)
        self.oview = Batch(<RowShape> left_shape)
        self.iview = Batch(<RowShape> right_shape)
        self.broadcast = Batch(<RowShape> left_shape)
        for c in compiler.outer_used | joins.outer_used:
            self.oview.lanes(c)
        for c in compiler.inner_used | joins.inner_used:
            self.iview.lanes(c)
        for c in joins.outer_used:
            self.broadcast.lanes(c)
        self.shape = shape_of_targetlist(plan.targetlist)
        self.result = Batch(self.shape)
        self.single = plan.inner_unique or self.jointype == enums.JOIN_SEMI
        self.fill_outer = self.jointype in JOINS_FILLING_OUTER
        self.fill_inner = self.jointype in JOINS_FILLING_INNER
        return 0

    cdef int match(self, Batch ob, int r, Batch ib, uint16_t *keep) except -1:
        cdef int k, c, dense
        cdef int *col
        cdef Vector *v
        if self.joinqual is None:
            for k in range(ib.nsel):
                keep[k] = <uint16_t> k if ib.sel == NULL else ib.sel[k]
            return ib.nsel
        if self.joinqual_outer:
            dense = dense_rows(ib.sel, ib.nsel)
            col = self.jcols
            while col[0] >= 0:
                c = col[0]
                v = &self.broadcast.cols[c]
                for k in range(dense):
                    v.values[k] = ob.cols[c].values[r]
                    v.nulls[k] = ob.cols[c].nulls[r]
                col += 1
        self.ctx.outer = self.broadcast
        self.ctx.inner = ib
        return self.joinqual.filter(self.ctx, ib.sel, ib.nsel, keep)

    cdef int put_outer(self, Batch ob, int r) except -1:
        cdef int *col = self.ocols
        cdef int n = self.npairs
        while col[0] >= 0:
            self.oview.cols[col[0]].values[n] = ob.cols[col[0]].values[r]
            self.oview.cols[col[0]].nulls[n] = ob.cols[col[0]].nulls[r]
            col += 1
        return 0

    cdef int put_inner(self, Batch ib, int r, bint copy) except -1:
        cdef int *col = self.icols
        cdef int n = self.npairs, c
        cdef Vector *v
        while col[0] >= 0:
            c = col[0]
            v = &self.iview.cols[c]
            v.nulls[n] = ib.cols[c].nulls[r]
            if not v.nulls[n]:
                if copy and not ib.shape.typbyvals[c]:
                    v.values[n] = copy_datum(ib.cols[c].values[r], ib.shape.typlens[c], False, self.ctx.arena)
                else:
                    v.values[n] = ib.cols[c].values[r]
            col += 1
        self.npairs += 1
        return 0

    cdef int put_inner_stored(self, RowStore store, int64_t row) except -1:
        cdef int *col = self.icols
        cdef int n = self.npairs, c
        while col[0] >= 0:
            c = col[0]
            self.iview.cols[c].values[n] = store_value(store, c, row)
            self.iview.cols[c].nulls[n] = store_null(store, c, row)
            col += 1
        self.npairs += 1
        return 0

    cdef int null_outer(self) except -1:
        cdef int *col = self.ocols
        while col[0] >= 0:
            self.oview.cols[col[0]].nulls[self.npairs] = 1
            col += 1
        return 0

    cdef int null_inner(self) except -1:
        cdef int *col = self.icols
        while col[0] >= 0:
            self.iview.cols[col[0]].nulls[self.npairs] = 1
            col += 1
        self.npairs += 1
        return 0

    cdef Batch emit(self):
        cdef int n = self.npairs, total = self.npairs
        cdef const uint16_t *sel = NULL
        cdef uint16_t *keep
        self.npairs = 0
        if n == 0:
            return None
        self.ctx.outer = self.oview
        self.ctx.inner = self.iview
        self.oview.select_all(n)
        self.iview.select_all(n)
        if self.qual is not None:
            keep = self.result.selection()
            n = self.qual.filter(self.ctx, NULL, n, keep)
            sel = keep
            if self.instrument is not None:
                self.instrument.nfiltered2 += total - n
            if n == 0:
                return None
        return self.project(total, sel, n)
