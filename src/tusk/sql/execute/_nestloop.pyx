"""NestLoop: the inner plan is run for each outer row, which it may know through parameters."""

from libc.stdint cimport uint16_t
from tusk._types cimport Datum
from tusk.sql.execute._batch cimport Batch, batch_row
from tusk.sql.execute._join cimport JoinState
from tusk.sql.execute._state cimport EState, Expr, ParamSlot, PlanState
from tusk.types._kernel cimport BATCH_ROWS, Vector

from tusk.errors import feature_not_supported
from tusk.sql.execute._state import register_node
from tusk.sql.execute.program import Compiler
from tusk.sql.nodes import enums

cdef int JOIN_INNER = enums.JOIN_INNER
cdef int JOIN_LEFT = enums.JOIN_LEFT
cdef int JOIN_SEMI = enums.JOIN_SEMI
cdef int JOIN_ANTI = enums.JOIN_ANTI


cdef class NestLoopState(JoinState):
    """NestLoop."""

    cdef list params                # (ParamSlot, Expr over the outer batch)
    cdef object changed
    cdef Batch ob, ib
    cdef int next_outer, row
    cdef bint active, matched, done
    cdef uint16_t keep[BATCH_ROWS]
    cdef int nkeep, kept

    def __init__(self, object plan, EState estate):
        if plan.jointype not in (enums.JOIN_INNER, enums.JOIN_LEFT, enums.JOIN_SEMI, enums.JOIN_ANTI):
            raise feature_not_supported("nested loop join of this type")
        self.prepare(plan, self.left.shape, self.right.shape)
        compiler = Compiler(self, estate)
        self.params = [(estate.exec_params[p.paramno], compiler.compile(p.paramval)) for p in plan.nestParams]
        self.changed = frozenset(p.paramno for p in plan.nestParams)

    cdef int restart(self) except -1:
        self.ob = self.ib = None
        self.next_outer = 0
        self.active = self.done = False
        self.nkeep = self.kept = 0
        self.npairs = 0
        return 0

    cdef int open(self) except -1:
        self.restart()
        return JoinState.open(self)

    cdef int close(self) except -1:
        self.restart()
        return JoinState.close(self)

    cdef int rescan(self, object changed) except -1:
        self.restart()
        if self.instrument is not None:
            self.instrument.end_loop()
        for subplan in self.initplans:
            subplan.rearm(changed)
        # The inner plan is rescanned for each outer row anyhow, but must know of changed parameters.
        self.left.rescan(changed)
        self.right.rescan(changed)
        return 0

    cdef int start_inner(self) except -1:
        """Run the inner plan for outer row self.row."""
        cdef uint16_t one[1]
        cdef ParamSlot slot
        cdef Expr expr
        cdef Vector *v
        if self.params:
            one[0] = <uint16_t> self.row
            self.ctx.outer = self.ob
            for slot, expr in self.params:
                v = expr.eval(self.ctx, one, 1)
                slot.set(v.values[self.row], v.nulls[self.row])
        self.right.rescan(self.changed)
        self.active = True
        self.matched = False
        return 0

    cdef Batch produce(self):
        cdef Batch out
        self.ctx.reset()
        while True:
            # Matches of the current pair of row and batch that did not fit yet.
            while self.kept < self.nkeep and self.npairs < BATCH_ROWS:
                self.put_outer(self.ob, self.row)
                self.put_inner(self.ib, self.keep[self.kept], True)
                self.kept += 1
            if self.npairs >= self.batch_limit:
                out = self.emit()
                if out is not None:
                    return out
                continue
            if not self.active:
                if self.ob is None or self.next_outer >= self.ob.nsel:
                    if self.npairs:
                        out = self.emit()
                        if out is not None:
                            return out
                    if self.done:
                        return None
                    self.ob = self.left.next()
                    self.next_outer = 0
                    if self.ob is None:
                        self.done = True
                        return None
                    continue
                self.row = batch_row(self.ob, self.next_outer)
                self.next_outer += 1
                self.start_inner()
            self.ib = self.right.next()
            if self.ib is None:
                self.active = False
                if not self.matched and self.fill_outer:
                    self.put_outer(self.ob, self.row)
                    self.null_inner()
                continue
            if self.ib.nsel == 0:
                continue
            self.kept = 0
            self.nkeep = self.match(self.ob, self.row, self.ib, self.keep)
            if self.nkeep:
                self.matched = True
                if self.jointype == JOIN_ANTI:
                    self.nkeep = 0
                    self.active = False
                elif self.single:
                    self.nkeep = 1
                    self.active = False


register_node("NestLoop", NestLoopState)
