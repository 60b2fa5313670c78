"""Hash and HashJoin: the inner rows in a hash table, probed a batch at a time.

When the inner rows outgrow hash_mem, both sides are split into partitions by their hash values; the first stays in
memory, the others wait in temporary files for their turn.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset
from tusk._types cimport Datum
from tusk.memory._interrupts cimport check_for_interrupts
from tusk.sql.execute._batch cimport Batch, RowShape, batch_row
from tusk.sql.execute._join cimport JoinState
from tusk.sql.execute._keys cimport KEY_INT, Keys, key_equal
from tusk.sql.execute._rowstore cimport Chunk, RowStore, store_null, store_value
from tusk.sql.execute._state cimport EState, Expr, PlanState
from tusk.types._kernel cimport BATCH_ROWS, Vector
from tusk.types._kernel_datum cimport DatumType

from tusk.sql.execute import _keys, support
from tusk.sql.execute._state import register_node
from tusk.sql.execute.program import Compiler
from tusk.sql.nodes import enums

cdef int JOIN_INNER = enums.JOIN_INNER
cdef int JOIN_LEFT = enums.JOIN_LEFT
cdef int JOIN_SEMI = enums.JOIN_SEMI
cdef int JOIN_ANTI = enums.JOIN_ANTI
cdef int JOIN_RIGHT = enums.JOIN_RIGHT
cdef int JOIN_FULL = enums.JOIN_FULL
cdef int JOIN_RIGHT_SEMI = enums.JOIN_RIGHT_SEMI
cdef int JOIN_RIGHT_ANTI = enums.JOIN_RIGHT_ANTI
cdef enum:
    MAX_KEYS = 32
    MAX_PARTITIONS = 1024


cdef class HashState(PlanState):
    """Hash: passes its child's rows on; the join builds the table."""

    def __init__(self, object plan, EState estate):
        self.shape = self.left.shape

    cdef Batch produce(self):
        return self.left.next()


cdef class HashJoinState(JoinState):
    """HashJoin."""

    cdef list outer_exprs, inner_exprs
    cdef int nkeys
    cdef Keys keys, inner_keys
    cdef RowShape inner_shape
    cdef int inner_columns                  # of the inner rows; then come those keys that are no plain columns
    cdef int key_places[MAX_KEYS]           # column of the store that holds key i
    cdef RowStore store
    cdef uint32_t *hashes                   # of each stored row
    cdef int32_t *chain                     # next row with the same bucket, -1: none
    cdef int32_t *buckets
    cdef uint32_t mask
    cdef uint8_t *inner_matched
    cdef list inner_parts, outer_parts      # RowStores of the partitions, None where it is in memory
    cdef int nparts, part
    cdef bint built
    cdef Batch ob, spilled                  # current outer batch; window over a partition's outer rows
    cdef int64_t spilled_at
    cdef uint32_t outer_hashes[BATCH_ROWS]
    cdef uint8_t outer_matched[BATCH_ROWS]
    cdef uint16_t lanes_sel[BATCH_ROWS]     # outer lanes being probed
    cdef int nlanes, at                     # position among them
    cdef int32_t next_row                   # in the chain of the lane at `at`; -2: chain not begun
    cdef Vector *okeys[MAX_KEYS]
    cdef int64_t pair_rows[BATCH_ROWS]      # inner row of each pair put
    cdef uint16_t pair_lanes[BATCH_ROWS]
    cdef int fill_lane                      # next outer lane to give out unmatched, -1: not that far
    cdef int64_t fill_row                   # next inner row, -1
    cdef bint part_done

    def __init__(self, object plan, EState estate):
        cdef int i
        self.prepare(plan, self.left.shape, self.right.shape)
        compiler = Compiler(self, estate)
        self.outer_exprs = compiler.compile_list(plan.hashkeys)
        inner = Compiler(self, estate)
        # The Hash node's keys are over its own child's rows (OUTER_VAR).
        self.inner_exprs = inner.compile_list(plan.righttree.hashkeys)
        self.nkeys = len(self.outer_exprs)
        shape = self.right.shape
        self.inner_columns = shape.ncols
        types = list(shape.type_oids)
        for i in range(self.nkeys):
            self.key_places[i] = len(types)
            types.append((<Expr> self.inner_exprs[i]).type.oid)
        self.inner_shape = RowShape(types)
        self.keys, self.inner_keys = _keys.join_keys(
            plan.hashoperators, plan.hashcollations, [e.type for e in self.outer_exprs],
            [e.type for e in self.inner_exprs])
        self.store = RowStore(self.inner_shape)
        self.spilled = Batch(self.left.shape)

    def __dealloc__(self):
        # No method call: when building a child fails the method table is not there yet.
        free(self.hashes)
        free(self.chain)
        free(self.buckets)
        free(self.inner_matched)

    cdef void free_table(self) noexcept:
        free(self.hashes)
        free(self.chain)
        free(self.buckets)
        free(self.inner_matched)
        self.hashes = NULL
        self.chain = self.buckets = NULL
        self.inner_matched = NULL

    cdef int restart(self) except -1:
        self.free_table()
        self.store.clear()
        self.inner_parts = self.outer_parts = None
        self.nparts = 1
        self.part = 0
        self.built = self.part_done = False
        self.ob = None
        self.nlanes = self.at = 0
        self.next_row = -2
        self.fill_lane = -1
        self.fill_row = -1
        self.npairs = 0
        return 0

    cdef int open(self) except -1:
        self.restart()
        return JoinState.open(self)

    cdef int close(self) except -1:
        self.restart()
        return JoinState.close(self)

    cdef int rescan(self, object changed) except -1:
        if self.built and self.nparts == 1 and not (changed & self.plan.righttree.allParam):
            # The table can be used again.
            if self.instrument is not None:
                self.instrument.end_loop()
            for subplan in self.initplans:
                subplan.rearm(changed)
            self.part = 0
            self.part_done = False
            self.ob = None
            self.nlanes = self.at = 0
            self.next_row = -2
            self.fill_lane = -1
            self.fill_row = -1
            self.npairs = 0
            if self.inner_matched != NULL:
                memset(self.inner_matched, 0, self.store.nrows + 1)
            self.left.rescan(changed)
            return 0
        self.restart()
        return JoinState.rescan(self, changed)

    cdef int build(self) except -1:
        """Read the inner side."""
        cdef Batch batch, wide = Batch(self.inner_shape)
        cdef Expr expr
        cdef int c, i, k, n, row
        cdef uint16_t keep[BATCH_ROWS]
        cdef Vector *keys[MAX_KEYS]
        cdef size_t limit = support.hash_mem_bytes()
        cdef bint keep_nulls = self.fill_inner
        cdef const uint16_t *sel
        self.built = True
        while True:
            batch = self.right.next()
            if batch is None:
                break
            self.ctx.outer = batch
            for c in range(self.inner_columns):
                wide.cols[c] = batch.cols[c]
            i = 0
            for expr in self.inner_exprs:
                keys[i] = expr.eval(self.ctx, batch.sel, batch.nsel)
                wide.cols[self.key_places[i]] = keys[i][0]
                i += 1
            sel = batch.sel
            n = batch.nsel
            if not keep_nulls:
                n = 0
                for k in range(batch.nsel):
                    row = batch_row(batch, k)
                    for i in range(self.nkeys):
                        if keys[i].nulls[row]:
                            break
                    else:
                        keep[n] = <uint16_t> row
                        n += 1
                sel = keep
            if self.nparts > 1:
                self.distribute_inner(wide, sel, n)
            else:
                self.store.append(wide, sel, n)
                if self.store.memory() + self.store.nrows * 16 > limit:
                    self.split()
            self.ctx.reset()
        self.make_table()
        if self.instrument is not None:
            self.instrument.details["Hash Batches"] = self.nparts
            self.instrument.details["Hash Memory"] = (self.store.memory() + 1023) // 1024
        return 0

    cdef int split(self) except -1:
        """The table gets too large: go on with partitions."""
        cdef RowStore whole = self.store
        cdef Batch window = Batch(self.inner_shape)
        cdef int i
        self.nparts = 64
        self.store = RowStore(self.inner_shape)
        self.inner_parts = [None] + [RowStore(self.inner_shape, 65536) for _ in range(self.nparts - 1)]
        self.outer_parts = [None] + [RowStore(self.left.shape, 65536) for _ in range(self.nparts - 1)]
        for i in range(whole.nchunks):
            whole.fill(window, i, 0)
            self.distribute_inner(window, NULL, window.nsel)
        return 0

    cdef int distribute_inner(self, Batch wide, const uint16_t *sel, int n) except -1:
        cdef Vector *keys[MAX_KEYS]
        cdef uint32_t hashes[BATCH_ROWS]
        cdef uint16_t one[1]
        cdef int i, k, p
        for i in range(self.nkeys):
            keys[i] = &wide.cols[self.key_places[i]]
        self.inner_keys.hash_rows(keys, sel, n, hashes)
        for k in range(n):
            one[0] = <uint16_t> (k if sel == NULL else sel[k])
            p = (hashes[k] >> 20) & (self.nparts - 1)
            if p == 0:
                self.store.append(wide, one, 1)
            else:
                (<RowStore> self.inner_parts[p]).append(wide, one, 1)
        return 0

    cdef int make_table(self) except -1:
        """Hash what is in self.store."""
        cdef int64_t n = self.store.nrows, r
        cdef uint32_t size = 16
        cdef Vector *keys[MAX_KEYS]
        cdef Chunk *chunk
        cdef int c, i
        self.free_table()
        while size < n + n / 2 and size < 0x40000000:
            size *= 2
        self.mask = size - 1
        self.hashes = <uint32_t *> malloc((n + 1) * sizeof(uint32_t))
        self.chain = <int32_t *> malloc((n + 1) * sizeof(int32_t))
        self.buckets = <int32_t *> malloc(size * sizeof(int32_t))
        if self.hashes == NULL or self.chain == NULL or self.buckets == NULL:
            raise MemoryError
        memset(self.buckets, 0xFF, size * sizeof(int32_t))
        for c in range(self.store.nchunks):
            check_for_interrupts()
            chunk = self.store.chunk(c)
            for i in range(self.nkeys):
                keys[i] = &chunk.cols[self.key_places[i]]
            self.inner_keys.hash_rows(keys, NULL, chunk.nrows, self.hashes + c * BATCH_ROWS)
        for r in range(n - 1, -1, -1):
            self.chain[r] = self.buckets[self.hashes[r] & self.mask]
            self.buckets[self.hashes[r] & self.mask] = <int32_t> r
        if self.fill_inner or self.jointype == JOIN_RIGHT_SEMI:
            self.inner_matched = <uint8_t *> calloc(n + 1, 1)
            if self.inner_matched == NULL:
                raise MemoryError
        return 0

    cdef int next_outer(self) except -1:
        """The next outer batch of this partition, its keys evaluated; 0 at its end."""
        cdef Expr expr
        cdef int i, k, row, p
        cdef RowStore part
        cdef uint16_t one[1]
        while True:
            if self.part == 0:
                self.ob = self.left.next()
                if self.ob is None:
                    return 0
                if self.ob.nsel == 0:
                    continue
            else:
                part = self.outer_parts[self.part]
                if self.spilled_at >= part.nrows:
                    self.ob = None
                    return 0
                part.fill(self.spilled, <int> (self.spilled_at >> 10), 0)
                self.spilled_at += self.spilled.nsel
                self.ob = self.spilled
            self.ctx.outer = self.ob
            i = 0
            for expr in self.outer_exprs:
                self.okeys[i] = expr.eval(self.ctx, self.ob.sel, self.ob.nsel)
                i += 1
            self.keys.hash_rows(self.okeys, self.ob.sel, self.ob.nsel, self.outer_hashes)
            self.nlanes = 0
            for k in range(self.ob.nsel):
                row = batch_row(self.ob, k)
                p = (self.outer_hashes[k] >> 20) & (self.nparts - 1)
                if p != self.part and self.part == 0:
                    one[0] = <uint16_t> row
                    (<RowStore> self.outer_parts[p]).append(self.ob, one, 1)
                    continue
                self.lanes_sel[self.nlanes] = <uint16_t> row
                self.outer_hashes[self.nlanes] = self.outer_hashes[k]
                self.outer_matched[self.nlanes] = 0
                self.nlanes += 1
            self.at = 0
            self.next_row = -2
            self.fill_lane = -1
            if self.nlanes:
                return 1

    cdef int probe(self) except -1:
        """Put pairs until the view is full or the outer batch is through."""
        cdef int lane, i
        cdef int32_t r
        cdef uint32_t h
        cdef RowStore store = self.store
        cdef bint first_only = self.single and self.joinqual is None
        while self.at < self.nlanes:
            lane = self.lanes_sel[self.at]
            h = self.outer_hashes[self.at]
            if self.next_row == -2:
                self.next_row = self.buckets[h & self.mask]
                for i in range(self.nkeys):
                    if self.okeys[i].nulls[lane]:
                        self.next_row = -1
                        break
            r = self.next_row
            if self.single and self.outer_matched[self.at]:
                r = -1
            while r >= 0:
                if self.hashes[r] == h and self.keys_equal(lane, r):
                    if self.jointype == JOIN_RIGHT_SEMI and self.inner_matched[r]:
                        r = self.chain[r]
                        continue
                    if self.npairs >= BATCH_ROWS:
                        self.next_row = r
                        return 0
                    self.pair_rows[self.npairs] = r
                    self.pair_lanes[self.npairs] = <uint16_t> self.at
                    self.put_outer(self.ob, lane)
                    self.put_inner_stored(store, r)
                    if first_only:
                        r = -1
                        break
                r = self.chain[r]
            self.next_row = -2
            self.at += 1
        return 0

    cdef int keys_equal(self, int lane, int64_t r) except -1:
        cdef int i
        for i in range(self.nkeys):
            if store_null(self.store, self.key_places[i], r):
                return 0
            if not _key_equal(self.keys, i, self.okeys[i].values[lane],
                              store_value(self.store, self.key_places[i], r)):
                return 0
        return 1

    cdef Batch pairs_done(self):
        """Check the pairs put against the join qual, note what matched, and give out what the join type wants."""
        cdef int n = self.npairs, k, i, m = 0
        cdef uint16_t *keep
        cdef int type = self.jointype
        cdef const uint16_t *sel = NULL
        cdef uint16_t passed[BATCH_ROWS]
        if n == 0:
            return None
        self.npairs = 0
        self.oview.select_all(n)
        self.iview.select_all(n)
        self.ctx.outer = self.oview
        self.ctx.inner = self.iview
        if self.joinqual is not None:
            m = self.joinqual.filter(self.ctx, NULL, n, passed)
        else:
            for k in range(n):
                passed[k] = <uint16_t> k
            m = n
        keep = self.result.selection()
        n = 0
        for k in range(m):
            i = passed[k]
            if type == JOIN_SEMI or self.single:
                if self.outer_matched[self.pair_lanes[i]]:
                    continue
            elif type == JOIN_RIGHT_SEMI:
                if self.inner_matched[self.pair_rows[i]]:
                    continue
            self.outer_matched[self.pair_lanes[i]] = 1
            if self.inner_matched != NULL:
                self.inner_matched[self.pair_rows[i]] = 1
            if type == JOIN_ANTI or type == JOIN_RIGHT_ANTI:
                continue
            keep[n] = <uint16_t> i
            n += 1
        if n and self.qual is not None:
            n = self.qual.filter(self.ctx, keep, n, keep)
        if n == 0:
            return None
        return self.project(self.oview.nrows, keep, n)

    cdef Batch produce(self):
        cdef Batch out
        cdef RowStore part
        self.ctx.reset()
        if not self.built:
            # Without inner rows most joins have no result, and the outer side need not be read.
            self.build()
            if self.store.nrows == 0 and self.nparts == 1 and not self.fill_outer:
                self.part = self.nparts
        while True:
            if self.part >= self.nparts:
                return None
            if self.fill_row >= 0:
                out = self.fill_inner_rows()
                if out is not None:
                    return out
                continue
            if self.part_done:
                self.next_part()
                continue
            if self.ob is None:
                if not self.next_outer():
                    if self.fill_inner:
                        self.fill_row = 0
                        continue
                    self.next_part()
                    continue
            if self.at < self.nlanes:
                self.probe()
                out = self.pairs_done()
                if out is not None:
                    return out
                continue
            if self.fill_outer:
                if self.fill_lane < 0:
                    self.fill_lane = 0
                while self.fill_lane < self.nlanes:
                    if not self.outer_matched[self.fill_lane]:
                        self.put_outer(self.ob, self.lanes_sel[self.fill_lane])
                        self.null_inner()
                    self.fill_lane += 1
                out = self.emit()
                self.ob = None
                if out is not None:
                    return out
                continue
            self.ob = None

    cdef Batch fill_inner_rows(self):
        """Inner rows that nothing matched."""
        while self.fill_row < self.store.nrows and self.npairs < BATCH_ROWS:
            if not self.inner_matched[self.fill_row]:
                self.null_outer()
                self.put_inner_stored(self.store, self.fill_row)
            self.fill_row += 1
        if self.fill_row >= self.store.nrows:
            self.fill_row = -1
            self.part_done = True
        return self.emit()

    cdef int next_part(self) except -1:
        """Load the next partition."""
        cdef RowStore part
        cdef Batch window
        cdef int i
        self.part += 1
        self.part_done = False
        if self.part >= self.nparts:
            return 0
        part = self.inner_parts[self.part]
        self.inner_parts[self.part] = None
        self.store.clear()
        window = Batch(self.inner_shape)
        for i in range(part.nchunks):
            part.fill(window, i, 0)
            self.store.append(window, NULL, window.nsel)
        self.make_table()
        self.spilled_at = 0
        self.ob = None
        return 0


cdef inline int _key_equal(Keys keys, int i, Datum a, Datum b) except -1:
    if keys.keys[i].kind == KEY_INT:
        return a == b
    return key_equal(&keys.keys[i], a, b)


register_node("Hash", HashState)
register_node("HashJoin", HashJoinState)
