"""Result: one row of expressions, or the child's rows projected, behind a condition that is checked once."""

from libc.stdint cimport uint16_t
from tusk.sql.execute._batch cimport Batch
from tusk.sql.execute._state cimport EState, Expr, PlanState, eval_scalar, shape_of_targetlist

from tusk.sql.execute.program import Compiler
from tusk.sql.execute._state import register_node


cdef class ResultState(PlanState):
    """Result."""

    cdef Expr constant
    cdef bint done, checked
    cdef bint identity

    def __init__(self, object plan, EState estate):
        compiler = Compiler(self, estate)
        self.constant = compiler.qual(plan.resconstantqual)
        self.qual = compiler.qual(plan.qual)
        self.targets = compiler.targets(plan.targetlist)
        self.shape = shape_of_targetlist(plan.targetlist)
        self.result = Batch(self.shape)

    cdef int open(self) except -1:
        self.done = self.checked = False
        return PlanState.open(self)

    cdef int rescan(self, object changed) except -1:
        self.done = self.checked = False
        return PlanState.rescan(self, changed)

    cdef int set_batch_limit(self, int limit) except -1:
        PlanState.set_batch_limit(self, limit)
        if self.left is not None and self.qual is None:
            self.left.set_batch_limit(limit)
        return 0

    cdef Batch produce(self):
        cdef bint isnull
        cdef Batch batch
        cdef const uint16_t *sel
        cdef uint16_t *keep
        cdef int n
        if self.done:
            return None
        self.ctx.reset()
        if self.constant is not None and not self.checked:
            self.checked = True
            if eval_scalar(self.constant, self.ctx, &isnull) == 0 or isnull:
                self.done = True
                return None
        while True:
            if self.left is None:
                self.done = True
                sel = NULL
                n = 1
            else:
                batch = self.left.next()
                if batch is None:
                    self.done = True
                    return None
                self.ctx.reset()
                self.ctx.outer = batch
                sel = batch.sel
                n = batch.nsel
                if n == 0:
                    continue
            if self.qual is not None:
                keep = self.result.selection()
                n = self.qual.filter(self.ctx, sel, n, keep)
                sel = keep
                if n == 0:
                    if self.left is None:
                        return None
                    continue
            return self.project(1 if self.left is None else batch.nrows, sel, n)


register_node("Result", ResultState)
