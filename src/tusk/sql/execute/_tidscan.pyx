"""TidScan and TidRangeScan: rows by their physical place."""

from libc.stdint cimport int64_t, uint32_t
from tusk._types cimport (
    MAIN_FORK, BlockNumber, ItemPointerData, OffsetNumber, TransactionId, tid_block, tid_offset, tid_set)
from tusk.access._tuple cimport (
    HEAP_XMAX_INVALID, HeapTupleData, HeapTupleHeaderData, tuple_moved_partitions, tuple_xmin)
from tusk.access.heap._scan cimport heap_fetch, heap_page_visible_tuples
from tusk.access.heap._visibility cimport tuple_is_only_locked, tuple_update_xid
from tusk.memory._interrupts cimport check_for_interrupts
from tusk.sql.execute._batch cimport Batch
from tusk.sql.execute._scan cimport ScanState
from tusk.sql.execute._state cimport EState
from tusk.storage._buffer cimport relation_nblocks, release_buffer
from tusk.transaction._snapshot cimport SnapshotAny
from tusk.types._kernel cimport BATCH_ROWS

from tusk.errors import feature_not_supported
from tusk.sql.execute._state import register_node
from tusk.sql.execute.program import Compiler
from tusk.types.registry import services

cdef enum:
    MAX_TUPLES_PER_PAGE = 291


cdef class TidScanState(ScanState):
    """TidScan: ctid = value, ctid = ANY (array), CURRENT OF cursor."""

    cdef list exprs                 # (Expr, is an array)
    cdef object cursor              # the name in CURRENT OF, or None
    cdef list places
    cdef int at

    def __init__(self, object plan, EState estate):
        self.prepare_scan(plan, [qual for qual in plan.tidquals if type(qual).__name__ != "CurrentOfExpr"])
        compiler = Compiler(self, estate)
        self.exprs = []
        for qual in plan.tidquals:
            kind = type(qual).__name__
            if kind == "OpExpr":
                value = qual.args[1] if is_ctid(qual.args[0]) else qual.args[0]
                self.exprs.append((compiler.compile(value), False))
            elif kind == "ScalarArrayOpExpr":
                self.exprs.append((compiler.compile(qual.args[1]), True))
            elif qual.cursor_name is None:
                raise feature_not_supported("WHERE CURRENT OF a parameter")
            else:
                self.cursor = qual.cursor_name

    cdef int open(self) except -1:
        self.places = None
        return ScanState.open(self)

    cdef int rescan(self, object changed) except -1:
        self.drop_pins()
        self.places = None
        return ScanState.rescan(self, changed)

    def find_places(self):
        """The TIDs asked for, in order, each once."""
        if self.cursor is not None:
            tid = services.call("cursor_row", self.cursor, self.rel.rd_id)
            return [self.latest(tid[0], tid[1])] if tid is not None else []
        wanted = set()
        for expr, is_array in self.exprs:
            value = expr.scalar(self.ctx)
            if value is None:
                continue
            for tid in (value.elements if is_array else (value,)):
                if tid is not None:
                    wanted.add((tid[0], tid[1]))
        return sorted(wanted)

    cdef tuple latest(self, BlockNumber block, OffsetNumber offset):
        """The place of the newest version that the snapshot sees of the row there (heap_get_latest_tid).

        The cursor may have seen an older version of it than this statement does.
        """
        cdef HeapTupleData tup
        cdef TransactionId xmax = 0
        cdef ItemPointerData at
        cdef int buf
        cdef bint more = True
        cdef tuple best = (block, offset)
        tid_set(&at, block, offset)
        while more:
            tup.t_self = at
            buf = 0
            if not heap_fetch(self.rel, SnapshotAny, &tup, &buf, False):
                break
            if xmax != 0 and tuple_xmin(tup.t_data) != xmax:
                release_buffer(buf)
                break       # the place has been used again: the chain ended there
            more = not (tup.t_data.t_infomask & HEAP_XMAX_INVALID
                        or tuple_is_only_locked(tup.t_data)
                        or tuple_moved_partitions(tup.t_data)
                        or (tid_block(&tup.t_data.t_ctid) == tid_block(&at)
                            and tid_offset(&tup.t_data.t_ctid) == tid_offset(&at)))
            at = tup.t_data.t_ctid
            if more:
                xmax = tuple_update_xid(tup.t_data)
            release_buffer(buf)
            buf = 0
            if heap_fetch(self.rel, self.estate.snapshot, &tup, &buf, False):
                best = (tid_block(&tup.t_self), tid_offset(&tup.t_self))
                release_buffer(buf)
        return best

    cdef Batch produce(self):
        cdef HeapTupleData tup
        cdef int buf
        cdef long long nblocks
        cdef Batch out
        if self.estate.epq is not None and self.rti in self.estate.epq:
            return self.epq_batch()
        if self.places is None:
            self.places = self.find_places()
            self.at = 0
        nblocks = relation_nblocks(&self.rel.rd_locator, self.rel.relpersistence, MAIN_FORK)
        while self.at < len(self.places):
            self.drop_pins()
            self.ntuples = 0
            while self.at < len(self.places) and self.npins < self.pin_limit and self.ntuples < self.batch_limit:
                block, offset = self.places[self.at]
                self.at += 1
                if block >= nblocks or offset == 0:
                    continue
                tid_set(&tup.t_self, block, offset)
                buf = 0
                if heap_fetch(self.rel, self.estate.snapshot, &tup, &buf, False):
                    self.keep_pin(buf)
                    self.add_tuple(tup.t_data, tid_block(&tup.t_self), tid_offset(&tup.t_self))
            out = self.finish_batch(False)
            if out is not None:
                return out
            check_for_interrupts()
        return None


def is_ctid(node):
    """Whether this is a ctid column."""
    return type(node).__name__ == "Var" and node.varattno == -1


cdef class TidRangeScanState(ScanState):
    """TidRangeScan: comparisons of ctid with values that limit the pages to read."""

    cdef list bounds                # (operator name, Expr)
    cdef long long block, last
    cdef bint started

    def __init__(self, object plan, EState estate):
        self.prepare_scan(plan, plan.tidrangequals)
        compiler = Compiler(self, estate)
        self.bounds = []
        for qual in plan.tidrangequals:
            flipped = not is_ctid(qual.args[0])
            sign = OPERATORS[qual.opno]
            if flipped:
                sign = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}[sign]
            self.bounds.append((sign, compiler.compile(qual.args[0 if flipped else 1])))

    cdef int open(self) except -1:
        self.started = False
        return ScanState.open(self)

    cdef int rescan(self, object changed) except -1:
        self.drop_pins()
        self.started = False
        return ScanState.rescan(self, changed)

    cdef Batch produce(self):
        cdef Batch out
        cdef int buf, i, n
        cdef OffsetNumber offsets[MAX_TUPLES_PER_PAGE]
        cdef HeapTupleHeaderData *headers[MAX_TUPLES_PER_PAGE]
        cdef uint32_t lengths[MAX_TUPLES_PER_PAGE]
        if self.estate.epq is not None and self.rti in self.estate.epq:
            return self.epq_batch()
        if not self.started:
            self.started = True
            self.block = 0
            self.last = relation_nblocks(&self.rel.rd_locator, self.rel.relpersistence, MAIN_FORK) - 1
            for sign, expr in self.bounds:
                value = expr.scalar(self.ctx)
                if value is None:
                    self.last = -1
                elif sign in (">", ">="):
                    self.block = max(self.block, value[0])
                else:
                    self.last = min(self.last, value[0])
        while self.block <= self.last:
            self.drop_pins()
            self.ntuples = 0
            while self.block <= self.last:
                buf = 0
                n = heap_page_visible_tuples(self.rel, self.estate.snapshot, <BlockNumber> self.block, &buf, offsets,
                                             headers, lengths)
                for i in range(n):
                    self.add_tuple(headers[i], <BlockNumber> self.block, offsets[i])
                self.rel.counts.tuples_returned += n
                self.keep_pin(buf)
                self.block += 1
                if self.ntuples > self.batch_limit - MAX_TUPLES_PER_PAGE or self.npins >= self.pin_limit:
                    break
            # Pages at the ends hold rows outside of the range.
            out = self.finish_batch(True)
            if out is not None:
                return out
            check_for_interrupts()
        return None


OPERATORS = {2799: "<", 2800: ">", 2801: "<=", 2802: ">="}

register_node("TidScan", TidScanState)
register_node("TidRangeScan", TidRangeScanState)
