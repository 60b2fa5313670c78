"""Limit: OFFSET, LIMIT and FETCH FIRST ... WITH TIES."""

from libc.stdint cimport int64_t, uint16_t
from tusk._types cimport Datum
from tusk.sql.execute._batch cimport Batch, batch_row
from tusk.sql.execute._keys cimport Keys, make_equality_keys
from tusk.sql.execute._rowstore cimport RowStore
from tusk.sql.execute._sort cimport SortState
from tusk.sql.execute._state cimport EState, Expr, PlanState, eval_scalar
from tusk.types._kernel cimport BATCH_ROWS, Vector

from tusk.errors import SqlError, errcode
from tusk.sql.execute._state import register_node
from tusk.sql.execute.program import Compiler
from tusk.sql.nodes import enums


cdef class LimitState(PlanState):
    """Limit."""

    cdef Expr offset_expr, count_expr
    cdef int64_t offset, count
    cdef bint no_count, with_ties, ready, done
    cdef int64_t position
    cdef Keys keys
    cdef RowStore last              # WITH TIES: the last row counted

    def __init__(self, object plan, EState estate):
        compiler = Compiler(self, estate)
        self.offset_expr = compiler.compile(plan.limitOffset) if plan.limitOffset is not None else None
        self.count_expr = compiler.compile(plan.limitCount) if plan.limitCount is not None else None
        self.shape = self.left.shape
        self.result = Batch(self.shape)
        self.with_ties = plan.limitOption == enums.LIMIT_OPTION_WITH_TIES
        if self.with_ties:
            columns = [i - 1 for i in plan.uniqColIdx[: plan.uniqNumCols]]
            self.keys = make_equality_keys(columns, plan.uniqOperators, plan.uniqCollations,
                                           [self.shape.types[c] for c in columns])
            self.last = RowStore(self.shape)

    cdef int compute(self) except -1:
        cdef bint isnull
        cdef Datum value
        self.ready = True
        self.done = False
        self.position = 0
        self.offset = 0
        self.no_count = True
        if self.offset_expr is not None:
            value = eval_scalar(self.offset_expr, self.ctx, &isnull)
            if not isnull:
                self.offset = <int64_t> value
                if self.offset < 0:
                    raise SqlError(errcode.INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE, "OFFSET must not be negative")
        if self.count_expr is not None:
            value = eval_scalar(self.count_expr, self.ctx, &isnull)
            if not isnull:
                self.count = <int64_t> value
                self.no_count = False
                if self.count < 0:
                    raise SqlError(errcode.INVALID_ROW_COUNT_IN_LIMIT_CLAUSE, "LIMIT must not be negative")
        if not self.no_count and not self.with_ties and self.count < 0x7FFFFFFF - self.offset:
            push_bound(self.left, self.offset + self.count)
        else:
            push_bound(self.left, 0)
        return 0

    cdef int open(self) except -1:
        self.ready = False
        return PlanState.open(self)

    cdef int rescan(self, object changed) except -1:
        self.ready = False
        return PlanState.rescan(self, changed)

    cdef Batch produce(self):
        cdef Batch batch, out = self.result
        cdef int first, n, i
        cdef int64_t end
        cdef uint16_t *sel
        if not self.ready:
            self.compute()
        if self.done:
            return None
        if not self.no_count and self.count == 0:
            self.done = True
            return None
        end = self.offset + self.count
        while True:
            if not self.no_count and self.position >= end and not self.with_ties:
                self.done = True
                return None
            batch = self.left.next()
            if batch is None:
                self.done = True
                return None
            if self.position + batch.nsel <= self.offset:
                self.position += batch.nsel
                continue
            first = <int> (self.offset - self.position) if self.position < self.offset else 0
            n = batch.nsel - first
            if not self.no_count and self.position + batch.nsel > end:
                n = <int> (end - self.position) - first
                if n < 0:
                    n = 0
            if self.with_ties and not self.no_count and self.position + batch.nsel >= end:
                n = self.extend(batch, first, n, end)
            self.position += batch.nsel
            if n <= 0:
                if self.done:
                    return None
                continue
            for i in range(batch.ncols):
                out.cols[i] = batch.cols[i]
            out.nrows = batch.nrows
            out.nsel = n
            if first == 0 and n == batch.nsel:
                out.sel = batch.sel
            elif batch.sel != NULL:
                out.sel = batch.sel + first
            else:
                sel = out.selection()
                for i in range(n):
                    sel[i] = <uint16_t> (first + i)
                out.sel = sel
            return out

    cdef int extend(self, Batch batch, int first, int n, int64_t end) except -1:
        """How many rows from first on to give out when those equal to the last one counted belong to them."""
        cdef int k, last, row
        cdef Vector *mine[32]
        cdef Vector *theirs[32]
        for k in range(self.keys.nkeys):
            mine[k] = &batch.cols[self.keys.keys[k].column]
        k = first + n
        if self.position < end:             # the last counted row is in this batch
            last = batch_row(batch, <int> (end - self.position) - 1)
            while k < batch.nsel and self.keys.equal_rows(mine, last, mine, batch_row(batch, k)):
                k += 1
            if k == batch.nsel:
                self.last.clear()
                self.remember(batch, last)
        else:
            for row in range(self.keys.nkeys):
                theirs[row] = &self.last.chunk(0).cols[self.keys.keys[row].column]
            k = first
            while k < batch.nsel and self.keys.equal_rows(theirs, 0, mine, batch_row(batch, k)):
                k += 1
        if k < batch.nsel:
            self.done = True
        return k - first

    cdef int remember(self, Batch batch, int row) except -1:
        cdef uint16_t one[1]
        one[0] = <uint16_t> row
        self.last.append(batch, one, 1)
        return 0


cdef int push_bound(PlanState node, int64_t bound) except -1:
    """Tell the child how many rows are wanted at most (0: all)."""
    cdef int limit = BATCH_ROWS if bound == 0 or bound > BATCH_ROWS else <int> bound
    if isinstance(node, SortState):
        (<SortState> node).bound = bound
    node.set_batch_limit(limit if limit > 0 else 1)
    return 0


register_node("Limit", LimitState)
