"""IndexScan: rows of a table in the order of an index."""

from tusk._types cimport Oid, tid_block, tid_offset
from tusk.access._index cimport (
    IndexScan, index_beginscan, index_endscan, index_getnext, index_rescan)
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport HeapTupleData
from tusk.catalog._relcache cimport relation_close, relation_open
from tusk.memory._interrupts cimport check_for_interrupts
from tusk.sql.execute._batch cimport Batch
from tusk.sql.execute._index_keys cimport IndexKeys
from tusk.sql.execute._scan cimport ScanState
from tusk.sql.execute._state cimport EState
from tusk.storage._buffer cimport incr_buffer_ref
from tusk.transaction._lock cimport AccessShareLock
from tusk.types._kernel cimport BATCH_ROWS

from tusk.errors import feature_not_supported
from tusk.sql.execute import hooks
from tusk.sql.execute._state import register_node
from tusk.sql.execute.program import Compiler
from tusk.sql.nodes import enums


cdef class IndexScanState(ScanState):
    """IndexScan."""

    cdef Relation index
    cdef Oid index_oid
    cdef IndexKeys keys
    cdef IndexScan scan_of_index
    cdef bint backward, started, empty, at_end
    cdef int next_limit             # batches grow: a scan that is left early should not have fetched much

    def __init__(self, object plan, EState estate):
        if plan.indexorderby:
            raise feature_not_supported("ordering operators in index scans")
        self.prepare_scan(plan, plan.indexqualorig)
        self.index_oid = plan.indexid
        self.backward = plan.indexorderdir == enums.BackwardScanDirection
        index = hooks.open_relation(plan.indexid)
        try:
            self.keys = IndexKeys(index, plan.indexqual, Compiler(self, estate), estate)
        finally:
            hooks.close_relation(index)

    cdef int open(self) except -1:
        self.started = self.empty = self.at_end = False
        self.scan_of_index = None
        self.index = relation_open(self.index_oid, AccessShareLock)
        return ScanState.open(self)

    cdef int close(self) except -1:
        self.drop_pins()
        if self.scan_of_index is not None:
            index_endscan(self.scan_of_index)
            self.scan_of_index = None
        if self.index is not None:
            relation_close(self.index, 0)
            self.index = None
        return ScanState.close(self)

    cdef int rescan(self, object changed) except -1:
        self.drop_pins()
        self.started = self.empty = self.at_end = False
        return ScanState.rescan(self, changed)

    cdef int start(self) except -1:
        self.started = True
        self.next_limit = 32
        if not self.keys.evaluate(self.ctx):
            self.empty = True
            return 0
        if self.scan_of_index is None:
            self.scan_of_index = index_beginscan(self.rel, self.index, self.estate.snapshot)
        index_rescan(self.scan_of_index, self.keys.keys, self.keys.nkeys)
        return 0

    cdef Batch produce(self):
        cdef HeapTupleData *tup
        cdef IndexScan scan
        cdef Batch out
        cdef int last, limit
        if self.estate.epq is not None and self.rti in self.estate.epq:
            return self.epq_batch()
        if not self.started:
            self.start()
        if self.empty:
            return None
        scan = self.scan_of_index
        while not self.at_end:
            self.drop_pins()
            self.ntuples = 0
            last = 0
            limit = self.next_limit if self.next_limit < self.batch_limit else self.batch_limit
            while self.ntuples < limit:
                tup = index_getnext(scan, self.backward)
                if tup == NULL:
                    self.at_end = True
                    break
                if scan.fetch.buf != last:
                    if self.npins >= self.pin_limit - 1 and self.npins:
                        limit = self.ntuples + 1
                    last = scan.fetch.buf
                    incr_buffer_ref(last)
                    self.keep_pin(last)
                self.add_tuple(tup.t_data, tid_block(&tup.t_self), tid_offset(&tup.t_self))
            if self.next_limit < BATCH_ROWS:
                self.next_limit *= 4
            out = self.finish_batch(scan.recheck)
            if out is not None:
                return out
            check_for_interrupts()
        return None


register_node("IndexScan", IndexScanState)
