"""SubqueryScan: a subquery's rows behind a qual and a target list of their own."""

from libc.stdint cimport uint16_t
from tusk.sql.execute._batch cimport Batch
from tusk.sql.execute._state cimport EState, PlanState, build_plan, shape_of_targetlist

from tusk.sql.execute._state import register_node
from tusk.sql.execute.program import Compiler


cdef class SubqueryScanState(PlanState):
    """SubqueryScan."""

    def __init__(self, object plan, EState estate):
        self.left = build_plan(plan.subplan, estate)
        compiler = Compiler(self, estate)
        shape = self.left.shape
        compiler.relation_columns = lambda: [
            (i + 1, t.oid, shape.typmods[i], shape.collations[i])
            for i, t in enumerate(shape.types) if not plan.subplan.targetlist[i].resjunk]
        self.qual = compiler.qual(plan.qual)
        self.targets = compiler.targets(plan.targetlist)
        self.shape = shape_of_targetlist(plan.targetlist)
        self.result = Batch(self.shape)

    @property
    def column_names(self):
        """Names of the subquery's columns."""
        return list(self.left.shape.names)

    cdef int set_batch_limit(self, int limit) except -1:
        PlanState.set_batch_limit(self, limit)
        if self.qual is None:
            self.left.set_batch_limit(limit)
        return 0

    cdef Batch produce(self):
        cdef Batch batch
        cdef const uint16_t *sel
        cdef uint16_t *keep
        cdef int n
        while True:
            batch = self.left.next()
            if batch is None:
                return None
            self.ctx.reset()
            self.ctx.scan = batch
            sel = batch.sel
            n = batch.nsel
            if self.qual is not None:
                keep = self.result.selection()
                n = self.qual.filter(self.ctx, sel, n, keep)
                if self.instrument is not None:
                    self.instrument.nfiltered1 += batch.nsel - n
                sel = keep
            if n == 0:
                continue
            return self.project(batch.nrows, sel, n)


register_node("SubqueryScan", SubqueryScanState)
