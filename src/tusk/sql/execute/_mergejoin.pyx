"""MergeJoin: two inputs sorted by the join keys are walked side by side."""

from libc.stdint cimport uint8_t, uint16_t
from libc.string cimport memset
from tusk._types cimport Datum
from tusk.sql.execute._batch cimport Batch, RowShape, batch_row
from tusk.sql.execute._join cimport JoinState
from tusk.sql.execute._keys cimport Keys, make_sort_keys
from tusk.sql.execute._rowstore cimport RowStore
from tusk.sql.execute._state cimport EState, Expr, ExprContext, PlanState
from tusk.types._kernel cimport BATCH_ROWS, Vector

from tusk.sql.execute import _keys, support
from tusk.sql.execute._state import register_node
from tusk.sql.execute.program import Compiler, btree_operator
from tusk.sql.nodes import enums

cdef int JOIN_SEMI = enums.JOIN_SEMI
cdef int JOIN_ANTI = enums.JOIN_ANTI
cdef int JOIN_RIGHT_ANTI = enums.JOIN_RIGHT_ANTI
cdef int JOIN_RIGHT_SEMI = enums.JOIN_RIGHT_SEMI
cdef enum:
    MAX_KEYS = 32


cdef class Side:
    """One sorted input: its current row and the values of its keys."""

    cdef PlanState node
    cdef list exprs
    cdef ExprContext ctx
    cdef Batch batch
    cdef int position, row
    cdef bint ended
    cdef bint is_outer
    cdef Vector *keys[MAX_KEYS]

    def __init__(self, PlanState node, list exprs, ExprContext ctx, bint is_outer):
        self.node = node
        self.exprs = exprs
        self.ctx = ctx
        self.is_outer = is_outer

    cdef int restart(self) except -1:
        self.batch = None
        self.ended = False
        self.position = 0
        return 0

    cdef int advance(self) except -1:
        """To the next row; 0 at the end."""
        cdef Expr expr
        cdef int i
        if self.ended:
            return 0
        self.position += 1
        while self.batch is None or self.position >= self.batch.nsel:
            self.batch = self.node.next()
            if self.batch is None:
                self.ended = True
                return 0
            self.position = 0
            if self.batch.nsel == 0:
                continue
            self.ctx.reset()
            if self.is_outer:
                self.ctx.outer = self.batch
            else:
                self.ctx.inner = self.batch
            i = 0
            for expr in self.exprs:
                self.keys[i] = expr.eval(self.ctx, self.batch.sel, self.batch.nsel)
                i += 1
        self.row = batch_row(self.batch, self.position)
        return 1

    cdef bint has_null(self, int nkeys) noexcept:
        cdef int i
        for i in range(nkeys):
            if self.keys[i].nulls[self.row]:
                return True
        return False


cdef class MergeJoinState(JoinState):
    """MergeJoin. Inner rows with equal keys are kept as a group, which every outer row with these keys meets."""

    cdef Side outer, inner
    cdef Keys keys
    cdef int nkeys
    cdef RowStore group, group_key
    cdef Batch window               # over a chunk of the group
    cdef bint in_group, started
    cdef int chunk                  # of the group, being joined with the current outer row
    cdef bint row_active, matched
    cdef bint skip_rest             # this outer row needs no more matches
    cdef bint outer_pending         # go to the next outer row before anything else
    cdef uint16_t keep[BATCH_ROWS]
    cdef int nkeep, kept
    cdef bytearray group_matched
    cdef int fill_at                # next group row to be given out unmatched; -1: none

    def __init__(self, object plan, EState estate):
        self.prepare(plan, self.left.shape, self.right.shape)
        compiler = Compiler(self, estate)
        lefts = [compiler.compile(clause.args[0]) for clause in plan.mergeclauses]
        rights = [compiler.compile(clause.args[1]) for clause in plan.mergeclauses]
        self.nkeys = len(lefts)
        self.outer = Side(self.left, lefts, type(self.ctx)(estate, "merge outer"), True)
        self.inner = Side(self.right, rights, type(self.ctx)(estate, "merge inner"), False)
        self.keys = _keys.merge_keys(plan.mergeFamilies, plan.mergeCollations, plan.mergeReversals,
                                     plan.mergeNullsFirst, [e.type for e in lefts], [e.type for e in rights])
        self.group = RowStore(self.right.shape)
        self.group_key = RowStore(RowShape([e.type.oid for e in rights]))
        self.window = Batch(self.right.shape)

    cdef int restart(self) except -1:
        self.outer.restart()
        self.inner.restart()
        self.in_group = self.started = self.row_active = self.outer_pending = False
        self.nkeep = self.kept = self.npairs = 0
        self.fill_at = -1
        self.group.clear()
        return 0

    cdef int open(self) except -1:
        self.restart()
        return JoinState.open(self)

    cdef int close(self) except -1:
        self.restart()
        return JoinState.close(self)

    cdef int rescan(self, object changed) except -1:
        self.restart()
        return JoinState.rescan(self, changed)

    cdef int group_compare(self) except? -2:
        """The current outer row against the group's key."""
        cdef Vector *columns[MAX_KEYS]
        cdef int i
        for i in range(self.nkeys):
            columns[i] = &self.group_key.chunk(0).cols[i]
        return self.keys.compare_rows(self.outer.keys, self.outer.row, columns, 0)

    cdef int collect_group(self) except -1:
        """Take the inner rows equal to the current one."""
        cdef uint16_t one[1]
        cdef Vector *columns[MAX_KEYS]
        cdef int i
        self.group.clear()
        self.group_key.clear()
        self.group_key.append_row(self.inner.keys, self.inner.row)
        for i in range(self.nkeys):
            columns[i] = &self.group_key.chunk(0).cols[i]
        while True:
            one[0] = <uint16_t> self.inner.row
            self.group.append(self.inner.batch, one, 1)
            if not self.inner.advance() or self.inner.has_null(self.nkeys):
                break
            if self.keys.compare_rows(columns, 0, self.inner.keys, self.inner.row) != 0:
                break
        self.in_group = True
        if self.fill_inner or self.jointype == JOIN_RIGHT_SEMI:
            self.group_matched = bytearray(self.group.nrows)
        return 0

    cdef int unmatched_outer(self) except -1:
        if self.fill_outer:
            self.put_outer(self.outer.batch, self.outer.row)
            self.null_inner()
        return 0

    cdef Batch produce(self):
        cdef Batch out
        cdef int order, i
        self.ctx.reset()
        if not self.started:
            self.started = True
            self.outer.advance()
            self.inner.advance()
        while True:
            while self.kept < self.nkeep and self.npairs < BATCH_ROWS:
                i = self.keep[self.kept]
                self.kept += 1
                if self.jointype == JOIN_RIGHT_SEMI:
                    if self.group_matched[(self.chunk - 1) * BATCH_ROWS + i]:
                        continue
                if self.group_matched is not None and (self.fill_inner or self.jointype == JOIN_RIGHT_SEMI):
                    self.group_matched[(self.chunk - 1) * BATCH_ROWS + i] = 1
                if self.jointype == JOIN_RIGHT_ANTI:
                    continue
                self.put_outer(self.outer.batch, self.outer.row)
                self.put_inner(self.window, i, True)
            if self.npairs == BATCH_ROWS:
                out = self.emit()
                if out is not None:
                    return out
                continue
            if self.fill_at >= 0:
                # Group rows that no outer row matched.
                while self.fill_at < self.group.nrows and self.npairs < BATCH_ROWS:
                    if not self.group_matched[self.fill_at]:
                        self.null_outer()
                        self.group.fill(self.window, self.fill_at >> 10, 0)
                        self.put_inner(self.window, self.fill_at & 1023, True)
                    self.fill_at += 1
                if self.fill_at >= self.group.nrows:
                    self.fill_at = -1
                continue
            if self.row_active:
                if self.chunk < self.group.nchunks and not self.skip_rest:
                    self.group.fill(self.window, self.chunk, 0)
                    self.chunk += 1
                    self.kept = 0
                    self.nkeep = self.match(self.outer.batch, self.outer.row, self.window, self.keep)
                    if self.nkeep:
                        self.matched = True
                        if self.jointype == JOIN_ANTI:
                            self.nkeep = 0
                            self.skip_rest = True
                        elif self.single:
                            self.nkeep = 1
                            self.skip_rest = True
                    continue
                self.row_active = False
                if not self.matched:
                    self.unmatched_outer()
                if not self.step_outer():
                    out = self.emit()
                    if out is not None:
                        self.outer_pending = True
                        return out
                    self.outer.advance()
                continue
            if self.outer_pending:
                self.outer_pending = False
                self.outer.advance()
            if self.in_group:
                if not self.outer.ended and not self.outer.has_null(self.nkeys) and self.group_compare() == 0:
                    self.row_active = True
                    self.matched = self.skip_rest = False
                    self.chunk = 0
                    continue
                self.in_group = False
                if self.fill_inner:
                    self.fill_at = 0
                    continue
            if self.outer.ended and (self.inner.ended or not self.fill_inner):
                if self.npairs:
                    out = self.emit()
                    if out is not None:
                        return out
                return None
            if self.inner.ended and not self.fill_outer:
                if self.npairs:
                    out = self.emit()
                    if out is not None:
                        return out
                return None
            if self.outer.ended:
                order = 1
            elif self.inner.ended:
                order = -1
            elif self.outer.has_null(self.nkeys):
                order = -1
            elif self.inner.has_null(self.nkeys):
                order = 1
            else:
                order = self.keys.compare_rows(self.outer.keys, self.outer.row, self.inner.keys, self.inner.row)
            if order == 0:
                self.collect_group()
                continue
            if order < 0:
                self.unmatched_outer()
                if not self.step_outer():
                    out = self.emit()
                    if out is not None:
                        self.outer_pending = True
                        return out
                    self.outer.advance()
                continue
            if self.fill_inner:
                self.null_outer()
                self.put_inner(self.inner.batch, self.inner.row, True)
            self.inner.advance()

    cdef int step_outer(self) except -1:
        """Go to the next outer row, if pairs put so far need not be given out first (they point into the batch)."""
        if self.npairs and self.outer.position + 1 >= self.outer.batch.nsel:
            return 0
        self.outer.advance()
        return 1


register_node("MergeJoin", MergeJoinState)
