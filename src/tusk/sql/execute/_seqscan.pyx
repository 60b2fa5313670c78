"""SeqScan: every visible row of a table, in the order of its pages."""

from libc.stdint cimport int64_t
from tusk.access.heap._scan cimport HeapScan, begin_heap_scan
from tusk.memory._interrupts cimport check_for_interrupts
from tusk.sql.execute._batch cimport Batch
from tusk.sql.execute._scan cimport ScanState
from tusk.sql.execute._state cimport EState
from tusk.storage._buffer cimport incr_buffer_ref
from tusk.types._kernel cimport BATCH_ROWS

from tusk.sql.execute._state import register_node

cdef enum:
    MAX_TUPLES_PER_PAGE = 291


cdef class SeqScanState(ScanState):
    """SeqScan. A batch spans as many pages as fit, each pinned until the next batch is asked for."""

    cdef HeapScan heap
    cdef bint at_end

    def __init__(self, object plan, EState estate):
        self.prepare_scan(plan, None)

    cdef int open(self) except -1:
        self.heap = None
        self.at_end = False
        return ScanState.open(self)

    cdef int close(self) except -1:
        if self.heap is not None:
            self.heap.end()
            self.heap = None
        return ScanState.close(self)

    cdef int rescan(self, object changed) except -1:
        self.drop_pins()
        self.at_end = False
        if self.heap is not None:
            self.heap.rescan()
        return ScanState.rescan(self, changed)

    cdef Batch produce(self):
        cdef HeapScan heap
        cdef Batch out
        cdef int i, most
        if self.estate.epq is not None and self.rti in self.estate.epq:
            return self.epq_batch()
        if self.heap is None:
            self.heap = begin_heap_scan(self.rel, self.estate.snapshot)
        heap = self.heap
        most = self.batch_limit - MAX_TUPLES_PER_PAGE
        while not self.at_end:
            self.drop_pins()
            self.ntuples = 0
            while True:
                if not heap.next_page():
                    self.at_end = True
                    break
                if heap.ntuples == 0:
                    check_for_interrupts()
                    continue
                for i in range(heap.ntuples):
                    self.add_tuple(heap.headers[i], heap.block, heap.offsets[i])
                incr_buffer_ref(heap.buf)
                self.keep_pin(heap.buf)
                if self.ntuples > most or self.npins >= 32 or self.npins >= self.pin_limit:
                    break
            out = self.finish_batch(False)
            if out is not None:
                return out
            check_for_interrupts()
        return None


register_node("SeqScan", SeqScanState)
