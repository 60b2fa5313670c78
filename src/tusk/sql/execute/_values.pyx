"""ValuesScan: rows of expressions."""

from libc.stdint cimport uint16_t
from tusk._types cimport Datum
from tusk.memory._context cimport MemoryContext
from tusk.sql.execute._batch cimport Batch, RowShape
from tusk.sql.execute._state cimport EState, Expr, PlanState, eval_scalar, shape_of_targetlist
from tusk.types._kernel cimport BATCH_ROWS, Vector
from tusk.types._kernel_datum cimport copy_datum

from tusk.sql.execute.expression_types import of
from tusk.sql.execute.program import Compiler
from tusk.sql.execute._state import register_node


cdef class ValuesState(PlanState):
    """ValuesScan: the expressions of each list are evaluated as rows are asked for."""

    cdef list lists
    cdef int position
    cdef Batch scan

    def __init__(self, object plan, EState estate):
        cdef int c
        values = Compiler(self, estate)
        self.lists = [values.compile_list(row) for row in plan.values_lists]
        compiler = Compiler(self, estate)
        first = plan.values_lists[0]
        types = [of(e)[0] for e in first]
        compiler.relation_columns = lambda: [(i + 1, of(e)[0], of(e)[1], of(e)[2]) for i, e in enumerate(first)]
        self.scan = Batch(RowShape(types))
        for c in range(len(types)):
            self.scan.lanes(c)
        self.qual = compiler.qual(plan.qual)
        self.targets = compiler.targets(plan.targetlist)
        self.shape = shape_of_targetlist(plan.targetlist)
        self.result = Batch(self.shape)

    cdef int open(self) except -1:
        self.position = 0
        return PlanState.open(self)

    cdef int rescan(self, object changed) except -1:
        self.position = 0
        return PlanState.rescan(self, changed)

    cdef Batch produce(self):
        cdef int n, c, total = len(self.lists)
        cdef bint isnull
        cdef Datum value
        cdef Expr expr
        cdef const uint16_t *sel = NULL
        cdef uint16_t *keep
        cdef Vector *v
        while self.position < total:
            self.ctx.reset()
            n = 0
            while self.position < total and n < self.batch_limit:
                c = 0
                for expr in <list> self.lists[self.position]:
                    value = eval_scalar(expr, self.ctx, &isnull)
                    v = &self.scan.cols[c]
                    v.nulls[n] = isnull
                    # A register may be used again before this batch is consumed, but by-reference results are in
                    # the arena or live with the plan.
                    v.values[n] = value
                    c += 1
                n += 1
                self.position += 1
            self.scan.select_all(n)
            self.ctx.scan = self.scan
            sel = NULL
            if self.qual is not None:
                keep = self.result.selection()
                n = self.qual.filter(self.ctx, NULL, n, keep)
                sel = keep
                if n == 0:
                    continue
            return self.project(self.scan.nrows, sel, n)
        return None


register_node("ValuesScan", ValuesState)
