"""IndexOnlyScan: columns straight from the index where the visibility map says that every row of a page is visible."""

from libc.stdint cimport uint16_t
from libc.string cimport memcpy, strlen
from tusk._types cimport BlockNumber, Datum, tid_block
from tusk.access._index cimport (
    IndexScan, index_beginscan, index_endscan, index_fetch_heap, index_getnext_tid, index_rescan)
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport index_getattr
from tusk.memory._interrupts cimport check_for_interrupts
from tusk.sql.execute._batch cimport Batch, RowShape
from tusk.sql.execute._index_keys cimport IndexKeys
from tusk.sql.execute._state cimport EState, Expr, PlanState, shape_of_targetlist
from tusk.storage._buffer cimport release_buffer
from tusk.storage._visibilitymap cimport VISIBILITYMAP_ALL_VISIBLE, visibilitymap_get_status
from tusk.types._kernel cimport BATCH_ROWS, Vector
from tusk.types._kernel_datum cimport copy_datum

from tusk.errors import feature_not_supported
from tusk.sql.execute import hooks
from tusk.sql.execute._state import register_node
from tusk.sql.execute.program import Compiler
from tusk.sql.nodes import enums


cdef class IndexOnlyScanState(PlanState):
    """IndexOnlyScan."""

    cdef Relation rel, index
    cdef object index_oid
    cdef int rti
    cdef IndexKeys keys
    cdef IndexScan scan_of_index
    cdef bint backward, started, empty, at_end
    cdef Batch scan
    cdef list columns               # (index attribute, column, is a name stored as cstring)
    cdef int vmbuf
    cdef int next_limit
    cdef long long heap_fetches
    cdef Expr recheck

    def __init__(self, object plan, EState estate):
        cdef int column
        if plan.indexorderby:
            raise feature_not_supported("ordering operators in index scans")
        self.rti = plan.scanrelid
        self.index_oid = plan.indexid
        self.backward = plan.indexorderdir == enums.BackwardScanDirection
        places = {}
        compiler = Compiler(self, estate, places)
        self.qual = compiler.qual(plan.qual)
        self.targets = compiler.targets(plan.targetlist)
        self.recheck = compiler.qual(plan.recheckqual)
        self.shape = shape_of_targetlist(plan.targetlist)
        self.result = Batch(self.shape)
        index = hooks.open_relation(plan.indexid)
        try:
            self.keys = IndexKeys(index, plan.indexqual, Compiler(self, estate), estate)
            types = [0] * len(places)
            self.columns = []
            for attno, column in places.items():
                stored = (<Relation> index).desc.attrs[attno - 1].atttypid
                wanted = plan.indextlist[attno - 1].expr
                oid = getattr(wanted, "vartype", stored)
                is_name = stored == 2275 and oid == 19
                types[column] = 19 if is_name else stored
                self.columns.append((attno, column, is_name))
        finally:
            hooks.close_relation(index)
        self.scan = Batch(RowShape(types))
        self.scan.lanes_all()

    cdef int open(self) except -1:
        self.started = self.empty = self.at_end = False
        self.scan_of_index = None
        self.vmbuf = 0
        self.heap_fetches = 0
        self.rel = self.estate.relation(self.rti)
        self.index = hooks.open_relation(self.index_oid)
        return PlanState.open(self)

    cdef int close(self) except -1:
        if self.scan_of_index is not None:
            index_endscan(self.scan_of_index)
            self.scan_of_index = None
        if self.vmbuf:
            release_buffer(self.vmbuf)
            self.vmbuf = 0
        if self.index is not None:
            hooks.close_relation(self.index)
            self.index = None
        self.rel = None
        if self.instrument is not None:
            self.instrument.details["Heap Fetches"] = self.heap_fetches
        return PlanState.close(self)

    cdef int rescan(self, object changed) except -1:
        self.started = self.empty = self.at_end = False
        return PlanState.rescan(self, changed)

    cdef int take(self, int lane) except -1:
        """Copy the columns of the present index tuple."""
        cdef int attno, column
        cdef bint is_name
        cdef Vector *v
        cdef Datum value
        cdef char *name
        for attno, column, is_name in self.columns:
            v = &self.scan.cols[column]
            value = index_getattr(self.scan_of_index.itup, attno, &self.index.desc.c, &v.nulls[lane])
            if v.nulls[lane]:
                continue
            if is_name:
                name = <char *> self.ctx.arena.alloc_zero(64)
                memcpy(name, <char *> value, strlen(<char *> value))
                v.values[lane] = <Datum> name
            elif self.scan.shape.typbyvals[column]:
                v.values[lane] = value
            else:
                v.values[lane] = copy_datum(value, self.scan.shape.typlens[column], False, self.ctx.arena)
        return 0

    cdef Batch produce(self):
        cdef IndexScan scan
        cdef int n, m, limit
        cdef const uint16_t *sel
        cdef uint16_t *keep
        if self.estate.epq is not None and self.rti in self.estate.epq:
            raise feature_not_supported("recheck of an index-only scan")
        if not self.started:
            self.started = True
            self.next_limit = 32
            if not self.keys.evaluate(self.ctx):
                self.empty = True
                return None
            if self.scan_of_index is None:
                self.scan_of_index = index_beginscan(self.rel, self.index, self.estate.snapshot)
                self.scan_of_index.want_itup = True
            index_rescan(self.scan_of_index, self.keys.keys, self.keys.nkeys)
        if self.empty:
            return None
        scan = self.scan_of_index
        while not self.at_end:
            self.ctx.reset()
            n = 0
            limit = self.next_limit if self.next_limit < self.batch_limit else self.batch_limit
            while n < limit:
                if not index_getnext_tid(scan, self.backward):
                    self.at_end = True
                    break
                if not visibilitymap_get_status(&self.rel.rd_locator, self.rel.relpersistence,
                                                tid_block(&scan.heaptid), &self.vmbuf) & VISIBILITYMAP_ALL_VISIBLE:
                    self.heap_fetches += 1
                    if index_fetch_heap(scan) == NULL:
                        continue
                self.take(n)
                n += 1
            if self.next_limit < BATCH_ROWS:
                self.next_limit *= 4
            if n == 0:
                continue
            self.scan.select_all(n)
            self.ctx.scan = self.scan
            sel = NULL
            m = n
            if self.qual is not None:
                keep = self.result.selection()
                m = self.qual.filter(self.ctx, NULL, n, keep)
                sel = keep
                if self.instrument is not None:
                    self.instrument.nfiltered1 += n - m
            if m:
                return self.project(n, sel, m)
            check_for_interrupts()
        return None


register_node("IndexOnlyScan", IndexOnlyScanState)
