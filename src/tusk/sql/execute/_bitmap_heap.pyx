"""BitmapHeapScan: the rows that a bitmap names, in the order of their pages."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from tusk._types cimport MAIN_FORK, BlockNumber, ItemPointerData, OffsetNumber, tid_offset, tid_set
from tusk.access._tuple cimport HeapTupleData, HeapTupleHeaderData
from tusk.access.heap._scan cimport heap_hot_search_buffer, heap_page_visible_tuples
from tusk.memory._interrupts cimport check_for_interrupts
from tusk.sql.execute._batch cimport Batch
from tusk.sql.execute._bitmap cimport WHOLE_PAGE, TidBitmap
from tusk.sql.execute._scan cimport ScanState
from tusk.sql.execute._state cimport EState
from tusk.storage._buffer cimport (
    BUFFER_LOCK_SHARE, BUFFER_LOCK_UNLOCK, RBM_NORMAL, lock_buffer, read_buffer, relation_nblocks, release_buffer)
from tusk.types._kernel cimport BATCH_ROWS

from tusk.sql.execute._state import register_node

cdef enum:
    MAX_TUPLES_PER_PAGE = 291


cdef class BitmapHeapScanState(ScanState):
    """BitmapHeapScan."""

    cdef TidBitmap bitmap
    cdef int64_t at
    cdef long long exact_pages, lossy_pages
    cdef long long nblocks

    def __init__(self, object plan, EState estate):
        self.prepare_scan(plan, plan.bitmapqualorig)

    cdef int open(self) except -1:
        self.bitmap = None
        self.exact_pages = self.lossy_pages = 0
        return ScanState.open(self)

    cdef int close(self) except -1:
        self.bitmap = None
        if self.instrument is not None:
            self.instrument.details["Exact Heap Blocks"] = self.exact_pages
            self.instrument.details["Lossy Heap Blocks"] = self.lossy_pages
        return ScanState.close(self)

    cdef int rescan(self, object changed) except -1:
        self.drop_pins()
        self.bitmap = None
        return ScanState.rescan(self, changed)

    cdef bint next_page(self) except -1:
        """Add the visible rows of the next page of the bitmap; answers whether they need a recheck."""
        cdef TidBitmap bitmap = self.bitmap
        cdef uint64_t tid = bitmap.tids[self.at]
        cdef BlockNumber block = <BlockNumber> (tid >> 16)
        cdef int buf = 0, i, n
        cdef OffsetNumber offsets[MAX_TUPLES_PER_PAGE]
        cdef HeapTupleHeaderData *headers[MAX_TUPLES_PER_PAGE]
        cdef uint32_t lengths[MAX_TUPLES_PER_PAGE]
        cdef ItemPointerData pointer
        cdef HeapTupleData tup
        if block >= self.nblocks:
            while self.at < bitmap.n and bitmap.tids[self.at] >> 16 == block:
                self.at += 1
            return False
        if tid & WHOLE_PAGE == WHOLE_PAGE:
            self.at += 1
            self.lossy_pages += 1
            n = heap_page_visible_tuples(self.rel, self.estate.snapshot, block, &buf, offsets, headers, lengths)
            for i in range(n):
                self.add_tuple(headers[i], block, offsets[i])
            self.rel.counts.tuples_fetched += n
            self.keep_pin(buf)
            return True
        self.exact_pages += 1
        buf = read_buffer(&self.rel.rd_locator, self.rel.relpersistence, MAIN_FORK, block, RBM_NORMAL, NULL)
        self.keep_pin(buf)
        lock_buffer(buf, BUFFER_LOCK_SHARE)
        try:
            while self.at < bitmap.n and bitmap.tids[self.at] >> 16 == block:
                tid_set(&pointer, block, <OffsetNumber> (bitmap.tids[self.at] & 0xFFFF))
                self.at += 1
                if heap_hot_search_buffer(&pointer, self.rel, buf, self.estate.snapshot, &tup, NULL, True):
                    self.add_tuple(tup.t_data, block, tid_offset(&pointer))
                    self.rel.counts.tuples_fetched += 1
        finally:
            lock_buffer(buf, BUFFER_LOCK_UNLOCK)
        return bitmap.recheck

    cdef Batch produce(self):
        cdef Batch out
        cdef bint recheck
        if self.estate.epq is not None and self.rti in self.estate.epq:
            return self.epq_batch()
        if self.bitmap is None:
            self.bitmap = self.left.make_bitmap()
            self.at = 0
            self.nblocks = relation_nblocks(&self.rel.rd_locator, self.rel.relpersistence, MAIN_FORK)
        while self.at < self.bitmap.n:
            self.drop_pins()
            self.ntuples = 0
            recheck = False
            while self.at < self.bitmap.n:
                if self.next_page():
                    recheck = True
                if self.ntuples > self.batch_limit - MAX_TUPLES_PER_PAGE or self.npins >= self.pin_limit:
                    break
            out = self.finish_batch(recheck)
            if out is not None:
                return out
            check_for_interrupts()
        return None


register_node("BitmapHeapScan", BitmapHeapScanState)
