"""Unique and Group: the first of neighbouring rows with equal keys."""

from libc.stdint cimport uint16_t
from tusk.sql.execute._batch cimport Batch, batch_row
from tusk.sql.execute._keys cimport Keys, make_equality_keys
from tusk.sql.execute._rowstore cimport RowStore
from tusk.sql.execute._state cimport EState, PlanState, shape_of_targetlist
from tusk.types._kernel cimport Vector

from tusk.sql.execute._state import register_node
from tusk.sql.execute.program import Compiler

cdef enum:
    MAX_KEYS = 64


cdef class UniqueState(PlanState):
    """Unique and Group over sorted input."""

    cdef Keys keys
    cdef RowStore last              # the last row given out, or rather one equal to it
    cdef bint is_group

    def __init__(self, object plan, EState estate):
        self.is_group = type(plan).__name__ == "Group"
        indexes = plan.grpColIdx if self.is_group else plan.uniqColIdx
        operators = plan.grpOperators if self.is_group else plan.uniqOperators
        collations = plan.grpCollations if self.is_group else plan.uniqCollations
        columns = [i - 1 for i in indexes[: plan.numCols]]
        self.keys = make_equality_keys(columns, operators, collations, [self.left.shape.types[c] for c in columns])
        self.last = RowStore(self.left.shape)
        if self.is_group:
            compiler = Compiler(self, estate)
            self.qual = compiler.qual(plan.qual)
            self.targets = compiler.targets(plan.targetlist)
            self.shape = shape_of_targetlist(plan.targetlist)
        else:
            self.shape = self.left.shape
        self.result = Batch(self.shape)

    cdef int open(self) except -1:
        self.last.clear()
        return PlanState.open(self)

    cdef int rescan(self, object changed) except -1:
        self.last.clear()
        return PlanState.rescan(self, changed)

    cdef Batch produce(self):
        cdef Batch batch, out = self.result
        cdef Vector *cols[MAX_KEYS]
        cdef Vector *kept[MAX_KEYS]
        cdef uint16_t *sel = out.selection()
        cdef uint16_t one[1]
        cdef int i, k, row, n, last
        while True:
            batch = self.left.next()
            if batch is None:
                return None
            if batch.nsel == 0:
                continue
            for i in range(self.keys.nkeys):
                cols[i] = &batch.cols[<int> self.keys.keys[i].column]
            n = 0
            last = -1
            for k in range(batch.nsel):
                row = batch_row(batch, k)
                if last >= 0:
                    if self.keys.equal_rows(cols, last, cols, row):
                        continue
                elif self.last.nrows:
                    for i in range(self.keys.nkeys):
                        kept[i] = &self.last.chunk(0).cols[<int> self.keys.keys[i].column]
                    if self.keys.equal_rows(kept, 0, cols, row):
                        continue
                sel[n] = <uint16_t> row
                n += 1
                last = row
            if n == 0:
                continue
            one[0] = <uint16_t> last
            self.last.clear()
            self.last.append(batch, one, 1)
            if self.is_group:
                self.ctx.reset()
                self.ctx.outer = batch
                if self.qual is not None:
                    n = self.qual.filter(self.ctx, sel, n, sel)
                    if n == 0:
                        continue
                return self.project(batch.nrows, sel, n)
            for i in range(batch.ncols):
                out.cols[i] = batch.cols[i]
            out.nrows = batch.nrows
            out.nsel = n
            out.sel = sel
            return out


register_node("Unique", UniqueState)
register_node("Group", UniqueState)
