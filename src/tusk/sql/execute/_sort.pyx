"""Sort: rows in order of their keys.

Rows are kept in columns; what is sorted are small items of a 64-bit prefix of the first key and the row's number. Most
comparisons are decided by the prefixes. Beyond work_mem, sorted runs go to temporary files and are merged; when only
the first rows are wanted, the others are thrown away now and then.
"""

from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from tusk.sql.execute._keys cimport KeyInfo, key_compare, key_prefix, make_sort_keys
from tusk.sql.execute._rowstore cimport Chunk, store_null, store_value
from tusk.sql.execute._state cimport EState, Expr
from tusk.types._kernel cimport BATCH_ROWS, Vector

from tusk.sql.execute import support
from tusk.sql.execute._state import register_node


cdef class Run:
    """A sorted run being read."""

    def __init__(self, RowStore store):
        self.store = store


cdef class Sorter:
    """``Sorter(shape, keys, limit, bound=0)``: limit in bytes."""

    def __init__(self, RowShape shape, Keys keys, size_t limit, int64_t bound=0):
        self.shape = shape
        self.keys = keys
        self.limit = limit
        self.bound = bound
        self.store = RowStore(shape)
        self.runs = []
        self.out = Batch(shape)
        self.method = "quicksort"

    def __dealloc__(self):
        free(self.items)

    cdef int clear(self) except -1:
        self.store.clear()
        self.runs = []
        self.cursors = None
        self.merged = None
        free(self.items)
        self.items = NULL
        self.nitems = 0
        self.position = 0
        self.sorted = False
        return 0

    cdef int add(self, Batch batch) except -1:
        self.store.append(batch, batch.sel, batch.nsel)
        if self.bound and self.store.nrows > 2 * self.bound + 4096:
            self.trim()
        elif self.limit and self.store.memory() + self.store.nrows * 2 * sizeof(SortItem) > self.limit:
            self.dump()
        return 0

    cdef int compare(self, const SortItem *a, const SortItem *b) except? -2:
        """The full comparison."""
        cdef int i, order
        cdef const KeyInfo *key
        cdef bint anull, bnull
        cdef RowStore store = self.store
        if a.null != b.null:
            return -1 if a.null < b.null else 1
        if a.prefix != b.prefix:
            return -1 if a.prefix < b.prefix else 1
        for i in range(self.keys.nkeys):
            if i == 0 and self.decisive:
                continue
            key = &self.keys.keys[i]
            anull = store_null(store, key.column, a.row)
            bnull = store_null(store, key.column, b.row)
            if anull or bnull:
                if anull and bnull:
                    continue
                return -1 if anull == key.nulls_first else 1
            order = key_compare(key, store_value(store, key.column, a.row), store_value(store, key.column, b.row))
            if order:
                return (-1 if order > 0 else 1) if key.desc else (1 if order > 0 else -1)
        return 0

    cdef int merge_sort(self, SortItem *items, SortItem *spare, int64_t n) except -1:
        """Stable; spare has room for n."""
        cdef int64_t half, i, j, k
        cdef SortItem held
        if n <= 8:
            for i in range(1, n):
                held = items[i]
                j = i
                while j > 0 and self.compare(&items[j - 1], &held) > 0:
                    items[j] = items[j - 1]
                    j -= 1
                items[j] = held
            return 0
        half = n / 2
        self.merge_sort(items, spare, half)
        self.merge_sort(items + half, spare, n - half)
        if self.compare(&items[half - 1], &items[half]) <= 0:
            return 0
        memcpy(spare, items, half * sizeof(SortItem))
        i = 0
        j = half
        k = 0
        if self.decisive and self.keys.nkeys == 1:
            while i < half and j < n:
                if spare[i].null < items[j].null or (spare[i].null == items[j].null
                                                     and spare[i].prefix <= items[j].prefix):
                    items[k] = spare[i]
                    i += 1
                else:
                    items[k] = items[j]
                    j += 1
                k += 1
        else:
            while i < half and j < n:
                if self.compare(&spare[i], &items[j]) <= 0:
                    items[k] = spare[i]
                    i += 1
                else:
                    items[k] = items[j]
                    j += 1
                k += 1
        if i < half:
            memcpy(items + k, spare + i, (half - i) * sizeof(SortItem))
        return 0

    cdef int order(self) except -1:
        """Sort what is in memory."""
        cdef int64_t i, n = self.store.nrows
        cdef SortItem *spare
        cdef Chunk *chunk
        cdef const KeyInfo *key = &self.keys.keys[0]
        cdef bint decisive, desc = key.desc
        cdef uint64_t prefix
        cdef int c, r
        cdef Vector *v
        free(self.items)
        self.items = <SortItem *> malloc((n + 1) * sizeof(SortItem))
        spare = <SortItem *> malloc((n + 1) * sizeof(SortItem))
        if self.items == NULL or spare == NULL:
            free(spare)
            raise MemoryError
        self.nitems = n
        self.decisive = True
        try:
            i = 0
            for c in range(self.store.nchunks):
                chunk = &self.store.chunks[c]
                v = &chunk.cols[key.column] if self.keys.nkeys else NULL
                for r in range(chunk.nrows):
                    self.items[i].row = <uint32_t> i
                    self.items[i].prefix = 0
                    self.items[i].null = 0
                    if v != NULL:
                        if v.nulls[r]:
                            self.items[i].null = 0 if key.nulls_first else 2
                        else:
                            self.items[i].null = 1
                            prefix = key_prefix(key, v.values[r], &decisive)
                            self.decisive = self.decisive and decisive
                            self.items[i].prefix = ~prefix if desc else prefix
                    i += 1
            if self.keys.nkeys:
                self.merge_sort(self.items, spare, n)
        finally:
            free(spare)
        return 0

    cdef int trim(self) except -1:
        """Keep only the first `bound` rows."""
        cdef RowStore kept = RowStore(self.shape)
        self.order()
        self.copy_sorted(kept, self.bound)
        self.store = kept
        self.method = "top-N heapsort"
        free(self.items)
        self.items = NULL
        return 0

    cdef int copy_sorted(self, RowStore target, int64_t most) except -1:
        """Append the rows in order to another store."""
        cdef int64_t done = 0
        cdef Batch batch
        self.position = 0
        while done < most:
            batch = self.fetch(<int> min(most - done, <int64_t> BATCH_ROWS))
            if batch is None:
                break
            target.append(batch, NULL, batch.nsel)
            done += batch.nsel
        self.position = 0
        return 0

    cdef int dump(self) except -1:
        """Write what is in memory as a sorted run."""
        cdef RowStore run = RowStore(self.shape, 1)
        self.order()
        self.copy_sorted(run, self.nitems)
        run.spill()
        self.runs.append(run)
        self.store.clear()
        free(self.items)
        self.items = NULL
        self.nitems = 0
        return 0

    cdef int finish(self) except -1:
        """All rows are in."""
        cdef RowStore run
        if self.runs:
            if self.store.nrows:
                self.dump()
            self.method = "external merge"
            self.space = sum([(<RowStore> run).file_end for run in self.runs])
            self.cursors = [Run(run) for run in self.runs]
            self.merged = RowStore(self.shape)
        else:
            self.space = self.store.memory()
            self.order()
        self.sorted = True
        self.position = 0
        return 0

    cdef Batch fetch(self, int most):
        """The next rows in order, or None; valid until the next call."""
        cdef Batch out = self.out
        cdef int n, c, i
        cdef Vector *v
        cdef RowStore store = self.store
        cdef SortItem *items
        if self.cursors is not None:
            return self.fetch_merged(most)
        n = <int> min(<int64_t> most, self.nitems - self.position)
        if n <= 0:
            return None
        items = self.items + self.position
        for c in range(self.shape.ncols):
            v = out.lanes(c)
            for i in range(n):
                v.values[i] = store_value(store, c, items[i].row)
                v.nulls[i] = store_null(store, c, items[i].row)
        self.position += n
        out.select_all(n)
        return out

    cdef Batch fetch_merged(self, int most):
        cdef Run run, best
        cdef Vector *a[64]
        cdef Vector *b[64]
        cdef int n = 0, i
        cdef Chunk *chunk
        cdef Vector **columns
        cdef list live = self.cursors
        self.merged.clear()
        while n < most and live:
            best = None
            for run in live:
                if best is None:
                    best = run
                    self.key_columns(best, b)
                    continue
                self.key_columns(run, a)
                if self.keys.compare_rows(a, <int> (run.position & 1023), b, <int> (best.position & 1023)) < 0:
                    best = run
                    for i in range(self.keys.nkeys):
                        b[i] = a[i]
            chunk = best.store.chunk(<int> (best.position >> 10))
            columns = <Vector **> self.merged.context.alloc(self.shape.ncols * sizeof(Vector *) + 8)
            for i in range(self.shape.ncols):
                columns[i] = &chunk.cols[i]
            self.merged.append_row(columns, <int> (best.position & 1023))
            best.position += 1
            if best.position >= best.store.nrows:
                live.remove(best)
            n += 1
        if n == 0:
            return None
        self.position += n
        self.merged.fill(self.out_of_merge(), 0, 0)
        return self.out

    cdef Batch out_of_merge(self):
        """The output batch; its columns point into the merge buffer, never at lanes of its own."""
        cdef int c
        for c in range(self.shape.ncols):
            if self.out.own[c]:
                self.out = Batch(self.shape)
                break
        return self.out

    cdef int key_columns(self, Run run, Vector **columns) except -1:
        cdef Chunk *chunk = run.store.chunk(<int> (run.position >> 10))
        cdef int i
        for i in range(self.keys.nkeys):
            columns[i] = &chunk.cols[self.keys.keys[i].column]
        return 0

    def rewind(self):
        """Start giving out from the first row again."""
        self.position = 0
        if self.cursors is not None:
            self.cursors = [Run(run) for run in self.runs]

    # For nodes written in Python.

    def put(self, Batch batch):
        """See add."""
        self.add(batch)

    def end_of_input(self):
        """See finish."""
        self.finish()

    def get(self, int most=BATCH_ROWS):
        """See fetch."""
        return self.fetch(most)

    def forget(self):
        """See clear."""
        self.clear()


cdef class SortState(PlanState):
    """Sort."""

    def __init__(self, object plan, EState estate):
        cdef Keys keys
        self.shape = self.left.shape
        self.result = None
        columns = [i - 1 for i in plan.sortColIdx[: plan.numCols]]
        keys = make_sort_keys(columns, plan.sortOperators, plan.collations, plan.nullsFirst,
                              [self.shape.types[c] for c in columns])
        self.sorter = Sorter(self.shape, keys, 0)

    cdef int open(self) except -1:
        self.done = False
        self.sorter.clear()
        self.sorter.limit = support.work_mem_bytes()
        return PlanState.open(self)

    cdef int close(self) except -1:
        self.sorter.clear()
        self.done = False
        return PlanState.close(self)

    cdef int rescan(self, object changed) except -1:
        if self.done and not (changed & self.plan.lefttree.allParam):
            if self.instrument is not None:
                self.instrument.end_loop()
            self.sorter.rewind()
            return 0
        self.done = False
        self.sorter.clear()
        return PlanState.rescan(self, changed)

    cdef Batch produce(self):
        cdef Batch batch
        if not self.done:
            self.sorter.bound = self.bound
            self.sorter.method = "quicksort"
            while True:
                batch = self.left.next()
                if batch is None:
                    break
                self.sorter.add(batch)
            self.sorter.finish()
            self.done = True
            if self.instrument is not None:
                self.instrument.details["Sort Method"] = self.sorter.method
                self.instrument.details["Sort Space Used"] = (self.sorter.space + 1023) // 1024
                self.instrument.details["Sort Space Type"] = "Disk" if self.sorter.runs else "Memory"
        return self.sorter.fetch(self.batch_limit)


register_node("Sort", SortState)
