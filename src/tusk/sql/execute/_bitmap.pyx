"""BitmapIndexScan, BitmapAnd, BitmapOr: sets of TIDs that a BitmapHeapScan then fetches page by page."""

from libc.stdlib cimport free, malloc, qsort, realloc
from tusk._types cimport tid_block, tid_offset
from tusk.access._index cimport IndexScan, index_beginscan_bitmap, index_endscan, index_rescan
from tusk.access._relation cimport Relation
from tusk.sql.execute._batch cimport Batch, RowShape
from tusk.sql.execute._index_keys cimport IndexKeys
from tusk.sql.execute._state cimport EState, PlanState, build_plan

from tusk.errors import SqlError, errcode
from tusk.sql.execute import hooks, support
from tusk.sql.execute._state import register_node
from tusk.sql.execute.program import Compiler


cdef int compare_tids(const void *a, const void *b) noexcept nogil:
    cdef uint64_t x = (<const uint64_t *> a)[0], y = (<const uint64_t *> b)[0]
    return (x > y) - (x < y)


cdef class TidBitmap:
    """``TidBitmap(limit)``: limit in TIDs."""

    def __init__(self, int64_t limit=0):
        self.limit = limit if limit > 1024 else 1024

    def __dealloc__(self):
        free(self.tids)

    cdef int append(self, uint64_t tid) except -1:
        cdef uint64_t *grown
        if self.n == self.room:
            if self.n >= self.limit:
                self.finish()
                if self.n > self.limit / 2:
                    self.go_lossy()
            if self.n == self.room:
                self.room = 256 if self.room == 0 else self.room * 2
                grown = <uint64_t *> realloc(self.tids, self.room * sizeof(uint64_t))
                if grown == NULL:
                    raise MemoryError
                self.tids = grown
        self.tids[self.n] = tid
        self.n += 1
        return 0

    cdef int add(self, const ItemPointerData *tids, int n) except -1:
        cdef int i
        for i in range(n):
            self.append(<uint64_t> tid_block(&tids[i]) << 16 | tid_offset(&tids[i]))
        return 0

    def go_lossy(self):
        """Keep whole pages only."""
        cdef int64_t i
        self.lossy = True
        for i in range(self.n):
            self.tids[i] |= WHOLE_PAGE
        self.finish()

    cdef int finish(self) except -1:
        """Sort, each once; a whole page swallows its tuples."""
        cdef int64_t i, m = 0, j
        qsort(self.tids, self.n, sizeof(uint64_t), compare_tids)
        for i in range(self.n):
            if m and self.tids[m - 1] == self.tids[i]:
                continue
            if self.tids[i] & WHOLE_PAGE == WHOLE_PAGE:
                while m and self.tids[m - 1] >> 16 == self.tids[i] >> 16:
                    m -= 1
            self.tids[m] = self.tids[i]
            m += 1
        self.n = m
        return 0

    def union(self, TidBitmap other):
        """Add another one's members."""
        cdef int64_t i
        for i in range(other.n):
            self.append(other.tids[i])
        self.lossy = self.lossy or other.lossy
        self.recheck = self.recheck or other.recheck
        self.finish()

    def intersect(self, TidBitmap other):
        """Keep what both have; a whole page in one leaves the other's tuples of it, to be checked again."""
        cdef int64_t i = 0, j = 0, m = 0
        cdef uint64_t a, b
        cdef uint64_t *out = <uint64_t *> malloc((self.n + other.n + 1) * sizeof(uint64_t))
        if out == NULL:
            raise MemoryError
        while i < self.n and j < other.n:
            a = self.tids[i]
            b = other.tids[j]
            if a == b:
                out[m] = a
                m += 1
                i += 1
                j += 1
            elif a >> 16 == b >> 16 and (a & WHOLE_PAGE == WHOLE_PAGE or b & WHOLE_PAGE == WHOLE_PAGE):
                if a & WHOLE_PAGE == WHOLE_PAGE:
                    out[m] = b
                    j += 1
                else:
                    out[m] = a
                    i += 1
                m += 1
                self.recheck = True
            elif a < b:
                i += 1
            else:
                j += 1
        free(self.tids)
        self.tids = out
        self.n = m
        self.room = m
        self.lossy = self.lossy or other.lossy
        self.recheck = self.recheck or other.recheck

    def __len__(self):
        return self.n

    @property
    def is_lossy(self):
        """Whether it holds whole pages."""
        return self.lossy


cdef int collect(void *arg, const ItemPointerData *tids, int ntids, bint recheck) except -1:
    cdef TidBitmap bitmap = <TidBitmap> arg
    if recheck:
        bitmap.recheck = True
    bitmap.add(tids, ntids)
    return 0


cdef class BitmapState(PlanState):
    """Base of the nodes that make bitmaps instead of rows."""

    cdef TidBitmap bitmap(self):
        raise NotImplementedError

    def make_bitmap(self):
        """The bitmap, counted for EXPLAIN."""
        cdef TidBitmap found
        if self.instrument is None:
            return self.bitmap()
        self.instrument.buffers.begin()
        found = self.bitmap()
        self.instrument.buffers.end()
        self.instrument.stop(0, found.n)
        return found


cdef class BitmapIndexScanState(BitmapState):
    """BitmapIndexScan."""

    cdef Relation index
    cdef object index_oid
    cdef IndexKeys keys

    def __init__(self, object plan, EState estate):
        self.index_oid = plan.indexid
        self.shape = RowShape([])
        index = hooks.open_relation(plan.indexid)
        try:
            self.keys = IndexKeys(index, plan.indexqual, Compiler(self, estate), estate)
        finally:
            hooks.close_relation(index)

    cdef int open(self) except -1:
        self.index = hooks.open_relation(self.index_oid)
        return PlanState.open(self)

    cdef int close(self) except -1:
        if self.index is not None:
            hooks.close_relation(self.index)
            self.index = None
        return PlanState.close(self)

    cdef TidBitmap bitmap(self):
        cdef TidBitmap found = TidBitmap(support.work_mem_bytes() // 8)
        cdef IndexScan scan
        if not self.keys.evaluate(self.ctx):
            return found
        scan = index_beginscan_bitmap(self.index, self.estate.snapshot)
        try:
            index_rescan(scan, self.keys.keys, self.keys.nkeys)
            self.index.counts.tuples_returned += scan.get_bitmap(collect, <void *> found)
        finally:
            index_endscan(scan)
        found.finish()
        return found


cdef class BitmapCombineState(BitmapState):
    """BitmapAnd and BitmapOr."""

    cdef readonly list plans
    cdef bint is_and

    def __init__(self, object plan, EState estate):
        self.plans = [build_plan(child, estate) for child in plan.bitmapplans]
        self.is_and = type(plan).__name__ == "BitmapAnd"
        self.shape = RowShape([])

    @property
    def children(self):
        """The plans combined."""
        return self.plans

    cdef int open(self) except -1:
        cdef PlanState child
        for child in self.plans:
            child.open()
        return PlanState.open(self)

    cdef int close(self) except -1:
        cdef PlanState child
        for child in self.plans:
            child.close()
        return PlanState.close(self)

    cdef int rescan(self, object changed) except -1:
        cdef PlanState child
        for child in self.plans:
            child.rescan(changed)
        return PlanState.rescan(self, changed)

    cdef TidBitmap bitmap(self):
        found = None
        for child in self.plans:
            part = child.make_bitmap()
            if found is None:
                found = part
            elif self.is_and:
                found.intersect(part)
            else:
                found.union(part)
            if self.is_and and len(found) == 0:
                break
        return found


register_node("BitmapIndexScan", BitmapIndexScanState)
register_node("BitmapAnd", BitmapCombineState)
register_node("BitmapOr", BitmapCombineState)
