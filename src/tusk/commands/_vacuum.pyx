"""VACUUM of a heap: pruning, freezing, index cleanup, the maps; and the sample that ANALYZE looks at (vacuumlazy.c).

One pass over the pages prunes and freezes them and gathers dead line pointers; then the indexes lose their entries,
and a second pass over the pages with dead ones frees these. Pages that the visibility map calls all-visible are passed
over, unless their rows must be frozen.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport bsearch, free, malloc, realloc
from libc.string cimport memcpy
from tusk._types cimport (
    MAIN_FORK, BlockNumber, Datum, ItemPointerData, MultiXactId, OffsetNumber, TransactionId, tid_block, tid_offset, tid_set,
)
from tusk.access._index cimport IndexMethod, IndexVacuumStats, index_method_of
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport HeapTupleHeaderData, datum_size, heap_deform_tuple
from tusk.access.heap._prune cimport (
    HEAP_PAGE_PRUNE_FREEZE, HEAP_PAGE_PRUNE_MARK_UNUSED_NOW, PRUNE_VACUUM_SCAN, PruneFreezeResult, VacuumCutoffs,
    heap_page_prune_and_freeze, heap_vacuum_page_items,
)
from tusk.access.heap._scan cimport heap_page_visible_tuples, vis_kind
from tusk.memory._interrupts cimport check_for_interrupts
from tusk.storage._buffer cimport (
    BAS_VACUUM, RBM_NORMAL, BufferAccessStrategy, buffer_page, free_access_strategy, get_access_strategy, lock_buffer_for_cleanup,
    mark_buffer_dirty, read_buffer, relation_nblocks, release_buffer, unlock_release_buffer,
)
from tusk.storage._freespace cimport free_space_map_vacuum, record_page_with_free_space
from tusk.storage._page cimport (
    PD_ALL_VISIBLE, page_get_heap_free_space, page_is_new, page_set_flag,
)
from tusk.storage._visibilitymap cimport (
    VISIBILITYMAP_ALL_FROZEN, VISIBILITYMAP_ALL_VISIBLE, visibilitymap_count, visibilitymap_get_status,
    visibilitymap_pin, visibilitymap_set,
)
from tusk.transaction._multixact cimport get_oldest_multixact_id
from tusk.transaction._procarray cimport get_oldest_non_removable_transaction_id
from tusk.transaction._snapshot cimport Snapshot, global_vis_test_for
from tusk.transaction._transam cimport transaction_id_precedes
from tusk.transaction._varsup cimport read_next_full_transaction_id
from tusk.types._kernel_datum cimport DatumType, datum_to_python, datum_type

cdef enum:
    SKIP_PAGES_THRESHOLD = 32
    FirstNormal = 3


cdef int compare_tids(const void *a, const void *b) noexcept nogil:
    cdef uint64_t left = (<const uint64_t *> a)[0]
    cdef uint64_t right = (<const uint64_t *> b)[0]
    return (left > right) - (left < right)


cdef inline uint64_t tid_number(BlockNumber block, OffsetNumber offset) noexcept nogil:
    return (<uint64_t> block << 16) | offset


cdef int is_dead(const ItemPointerData *tid, void *arg) except -1:
    cdef HeapVacuum state = <HeapVacuum> arg
    cdef uint64_t wanted = tid_number(tid_block(tid), tid_offset(tid))
    return bsearch(&wanted, state.dead, state.ndead, sizeof(uint64_t), compare_tids) != NULL


cdef class HeapVacuum:
    """``HeapVacuum(rel, indexes, ...)``, then `run`. The results are attributes."""

    cdef Relation rel
    cdef list indexes
    cdef VacuumCutoffs cutoffs
    cdef bint aggressive, skip_pages
    cdef uint64_t *dead                 # (block, offset) in ascending order: pages are visited in order
    cdef int64_t ndead, room, max_dead
    cdef BufferAccessStrategy strategy
    cdef readonly BlockNumber pages, scanned_pages, nonempty_pages
    cdef readonly int64_t live, recently_dead, removed, frozen
    cdef readonly int num_index_scans
    cdef readonly bint skipped_all_visible
    cdef TransactionId new_frozen
    cdef MultiXactId new_minmulti
    cdef dict index_stats

    def __init__(self, Relation rel, list indexes, int64_t freeze_min_age, bint aggressive, bint skip_pages,
                 int64_t max_dead):
        cdef TransactionId next_xid = <TransactionId> read_next_full_transaction_id()
        self.rel = rel
        self.indexes = indexes
        self.aggressive = aggressive
        self.skip_pages = skip_pages
        self.max_dead = max_dead
        self.cutoffs.relfrozenxid = rel.relfrozenxid if rel.relfrozenxid else FirstNormal
        self.cutoffs.relminmxid = rel.relminmxid if rel.relminmxid else 1
        self.cutoffs.OldestXmin = get_oldest_non_removable_transaction_id(vis_kind(rel))
        self.cutoffs.OldestMxact = get_oldest_multixact_id()
        self.cutoffs.FreezeLimit = <TransactionId> (next_xid - freeze_min_age)
        if self.cutoffs.FreezeLimit < FirstNormal:
            self.cutoffs.FreezeLimit = FirstNormal
        if transaction_id_precedes(self.cutoffs.OldestXmin, self.cutoffs.FreezeLimit):
            self.cutoffs.FreezeLimit = self.cutoffs.OldestXmin
        self.cutoffs.MultiXactCutoff = self.cutoffs.OldestMxact
        self.new_frozen = self.cutoffs.OldestXmin
        self.new_minmulti = self.cutoffs.OldestMxact
        self.strategy = get_access_strategy(BAS_VACUUM)
        self.index_stats = {}

    def __dealloc__(self):
        free(self.dead)
        if self.strategy != NULL:
            free_access_strategy(self.strategy)

    @property
    def oldest_xmin(self):
        """What was removable: older than this."""
        return self.cutoffs.OldestXmin

    @property
    def new_relfrozenxid(self):
        """What may be put in pg_class; meaningful unless pages were skipped that are not frozen."""
        return self.new_frozen

    @property
    def new_relminmxid(self):
        """The same for multixacts."""
        return self.new_minmulti

    def results_of_indexes(self):
        """{oid: (pages, entries, is an estimate)}."""
        return self.index_stats

    cdef int remember(self, BlockNumber block, const OffsetNumber *offsets, int n) except -1:
        cdef void *grown
        cdef int i
        if self.ndead + n > self.room:
            self.room = max(2 * self.room, self.ndead + n, 1024)
            grown = realloc(self.dead, self.room * sizeof(uint64_t))
            if grown == NULL:
                raise MemoryError
            self.dead = <uint64_t *> grown
        for i in range(n):
            self.dead[self.ndead] = tid_number(block, offsets[i])
            self.ndead += 1
        return 0

    def run(self):
        """Vacuum the table and its indexes."""
        cdef BlockNumber block
        cdef int vm_buf = 0
        cdef uint8_t status
        self.pages = relation_nblocks(&self.rel.rd_locator, self.rel.relpersistence, MAIN_FORK)
        block = 0
        try:
            while block < self.pages:
                check_for_interrupts()
                if self.skip_pages and block + 1 < self.pages:
                    status = visibilitymap_get_status(&self.rel.rd_locator, self.rel.relpersistence, block, &vm_buf)
                    if status & VISIBILITYMAP_ALL_FROZEN:
                        block += 1
                        continue
                    if status & VISIBILITYMAP_ALL_VISIBLE and not self.aggressive and self.run_of_visible(block, &vm_buf):
                        self.skipped_all_visible = True
                        block += 1
                        continue
                if self.ndead >= self.max_dead:
                    self.vacuum_indexes()
                self.scan_page(block, &vm_buf)
                block += 1
        finally:
            if vm_buf:
                release_buffer(vm_buf)
        if self.ndead:
            self.vacuum_indexes()
        self.cleanup_indexes()
        free_space_map_vacuum(&self.rel.rd_locator, self.rel.relpersistence)

    cdef bint run_of_visible(self, BlockNumber block, int *vm_buf) except -1:
        """Whether enough all-visible pages follow that passing over them is worth it."""
        cdef BlockNumber i
        cdef BlockNumber first = block
        cdef int n = 0
        while first > 0 and n < SKIP_PAGES_THRESHOLD:
            if not visibilitymap_get_status(&self.rel.rd_locator, self.rel.relpersistence, first - 1, vm_buf) & \
                    VISIBILITYMAP_ALL_VISIBLE:
                break
            first -= 1
            n += 1
        for i in range(first, first + SKIP_PAGES_THRESHOLD):
            if i >= self.pages or not visibilitymap_get_status(
                    &self.rel.rd_locator, self.rel.relpersistence, i, vm_buf) & VISIBILITYMAP_ALL_VISIBLE:
                return False
        return True

    cdef int scan_page(self, BlockNumber block, int *vm_buf) except -1:
        cdef PruneFreezeResult result
        cdef OffsetNumber off_loc = 0
        cdef int buf, flags = HEAP_PAGE_PRUNE_FREEZE
        cdef size_t space
        cdef uint8_t bits, old
        cdef char *page
        if not self.indexes:
            flags |= HEAP_PAGE_PRUNE_MARK_UNUSED_NOW
        visibilitymap_pin(&self.rel.rd_locator, self.rel.relpersistence, block, vm_buf)
        buf = read_buffer(&self.rel.rd_locator, self.rel.relpersistence, MAIN_FORK, block, RBM_NORMAL, self.strategy)
        lock_buffer_for_cleanup(buf)
        self.scanned_pages += 1
        page = buffer_page(buf)
        if page_is_new(page):
            unlock_release_buffer(buf)
            return 0
        heap_page_prune_and_freeze(self.rel, buf, global_vis_test_for(vis_kind(self.rel)), flags, &self.cutoffs,
                                   &result, PRUNE_VACUUM_SCAN, &off_loc, &self.new_frozen, &self.new_minmulti)
        self.live += result.live_tuples
        self.recently_dead += result.recently_dead_tuples
        self.removed += result.ndeleted
        self.frozen += result.nfrozen
        if result.hastup:
            self.nonempty_pages = block + 1
        if result.lpdead_items:
            self.remember(block, result.deadoffsets, result.lpdead_items)
        if result.all_visible and not result.lpdead_items:
            self.set_visible(buf, block, vm_buf[0], result.all_frozen, result.vm_conflict_horizon)
        if not result.lpdead_items:
            space = page_get_heap_free_space(page)
            unlock_release_buffer(buf)
            record_page_with_free_space(&self.rel.rd_locator, self.rel.relpersistence, block, space)
        else:
            unlock_release_buffer(buf)
        return 0

    cdef int set_visible(self, int buf, BlockNumber block, int vm_buf, bint all_frozen, TransactionId horizon) except -1:
        cdef uint8_t bits = VISIBILITYMAP_ALL_VISIBLE
        cdef uint8_t old
        cdef int pinned = vm_buf
        if all_frozen:
            bits |= VISIBILITYMAP_ALL_FROZEN
        old = visibilitymap_get_status(&self.rel.rd_locator, self.rel.relpersistence, block, &pinned)
        if (old & bits) == bits:
            return 0
        page_set_flag(buffer_page(buf), PD_ALL_VISIBLE)
        mark_buffer_dirty(buf)
        visibilitymap_set(&self.rel.rd_locator, self.rel.relpersistence, block, buf, 0, vm_buf, horizon, bits)
        return 0

    cdef int vacuum_indexes(self) except -1:
        """Take the gathered rows' entries out of the indexes, then free their line pointers."""
        cdef IndexVacuumStats stats
        cdef Relation index
        for index in self.indexes:
            check_for_interrupts()
            stats = self.stats_of(index)
            index_method_of(index).bulk_delete(index, self.rel, is_dead, <void *> self, &stats)
            self.keep(index, &stats)
        self.num_index_scans += 1
        self.second_pass()
        self.ndead = 0
        return 0

    cdef IndexVacuumStats stats_of(self, Relation index) except *:
        cdef IndexVacuumStats stats
        known = self.index_stats.get(index.rd_id)
        stats.num_pages = known[0] if known else 0
        stats.estimated_count = known[2] if known else False
        stats.num_index_tuples = known[1] if known else 0
        stats.tuples_removed = known[3] if known else 0
        stats.pages_newly_deleted = known[4] if known else 0
        stats.pages_deleted = known[5] if known else 0
        stats.pages_free = known[6] if known else 0
        return stats

    cdef int keep(self, Relation index, IndexVacuumStats *stats) except -1:
        self.index_stats[index.rd_id] = (
            stats.num_pages, stats.num_index_tuples, bool(stats.estimated_count), stats.tuples_removed,
            stats.pages_newly_deleted, stats.pages_deleted, stats.pages_free)
        return 0

    cdef int cleanup_indexes(self) except -1:
        cdef IndexVacuumStats stats
        cdef Relation index
        for index in self.indexes:
            scanned = index.rd_id in self.index_stats
            stats = self.stats_of(index)
            if index_method_of(index).vacuum_cleanup(index, self.rel, &stats, scanned) or scanned:
                self.keep(index, &stats)
        return 0

    cdef int second_pass(self) except -1:
        """Dead line pointers become unused (lazy_vacuum_heap_rel)."""
        cdef int64_t i = 0, first
        cdef BlockNumber block
        cdef OffsetNumber offsets[2048]
        cdef PruneFreezeResult result
        cdef OffsetNumber off_loc = 0
        cdef TransactionId frozen
        cdef MultiXactId multi
        cdef int n, buf, vm_buf = 0
        cdef size_t space
        try:
            while i < self.ndead:
                check_for_interrupts()
                block = <BlockNumber> (self.dead[i] >> 16)
                n = 0
                while i < self.ndead and (self.dead[i] >> 16) == block:
                    offsets[n] = <OffsetNumber> (self.dead[i] & 0xFFFF)
                    n += 1
                    i += 1
                visibilitymap_pin(&self.rel.rd_locator, self.rel.relpersistence, block, &vm_buf)
                buf = read_buffer(&self.rel.rd_locator, self.rel.relpersistence, MAIN_FORK, block, RBM_NORMAL,
                                  self.strategy)
                lock_buffer_for_cleanup(buf)
                heap_vacuum_page_items(self.rel, buf, vm_buf, offsets, n)
                # Look again: with its dead items gone the page may be all-visible.
                frozen = self.new_frozen
                multi = self.new_minmulti
                heap_page_prune_and_freeze(self.rel, buf, global_vis_test_for(vis_kind(self.rel)),
                                           HEAP_PAGE_PRUNE_FREEZE, &self.cutoffs, &result, PRUNE_VACUUM_SCAN, &off_loc,
                                           &frozen, &multi)
                if result.all_visible and not result.lpdead_items:
                    self.set_visible(buf, block, vm_buf, result.all_frozen, result.vm_conflict_horizon)
                space = page_get_heap_free_space(buffer_page(buf))
                unlock_release_buffer(buf)
                record_page_with_free_space(&self.rel.rd_locator, self.rel.relpersistence, block, space)
        finally:
            if vm_buf:
                release_buffer(vm_buf)
        return 0

    def visible_counts(self):
        """(all-visible, all-frozen) pages by the map now."""
        return map_counts(self.rel)


def map_counts(Relation rel):
    """(all-visible, all-frozen) pages by the visibility map."""
    cdef BlockNumber visible = 0, frozen = 0
    visibilitymap_count(&rel.rd_locator, rel.relpersistence, &visible, &frozen)
    return int(visible), int(frozen)


def relation_pages(Relation rel):
    """Blocks of the main fork."""
    return int(relation_nblocks(&rel.rd_locator, rel.relpersistence, MAIN_FORK))


cdef uint64_t random_next(uint64_t *state) noexcept nogil:
    """xorshift64*: choosing a sample needs no better."""
    cdef uint64_t x = state[0]
    x ^= x >> 12
    x ^= x << 25
    x ^= x >> 27
    state[0] = x
    return x * 2685821657736338717ULL


def sample_rows(Relation rel, Snapshot snapshot, int target_rows, uint64_t seed, list columns):
    """A random sample of a table's rows: (values by column, widths by column, rows in the sample, estimated live rows).

    ``columns`` are attribute numbers. Values of a column are Python values, None for NULL, in the order of their
    places in the table. At most target_rows random blocks are read (Knuth's algorithm S), and of their rows a random
    reservoir is kept (Vitter's algorithm R).
    """
    cdef BlockNumber nblocks = relation_nblocks(&rel.rd_locator, rel.relpersistence, MAIN_FORK)
    cdef BlockNumber block, left, wanted
    cdef uint64_t state = seed | 1
    cdef OffsetNumber offsets[291]
    cdef HeapTupleHeaderData *headers[291]
    cdef uint32_t lengths[291]
    cdef char **kept = <char **> malloc(target_rows * sizeof(char *))
    cdef int64_t *places = <int64_t *> malloc(target_rows * sizeof(int64_t))
    cdef int64_t seen = 0, slot
    cdef int n, i, j, buf = 0, nkept = 0
    cdef BlockNumber read = 0
    cdef char *copy
    cdef Datum values[1664]
    cdef uint8_t nulls[1664]
    cdef int attnum
    cdef DatumType kind
    if kept == NULL or places == NULL:
        raise MemoryError
    wanted = nblocks if nblocks < <BlockNumber> target_rows else <BlockNumber> target_rows
    try:
        for block in range(nblocks):
            if wanted == read:
                break
            left = nblocks - block
            if left > wanted - read and random_next(&state) % left >= wanted - read:
                continue
            read += 1
            check_for_interrupts()
            n = heap_page_visible_tuples(rel, snapshot, block, &buf, offsets, headers, lengths)
            for i in range(n):
                seen += 1
                if nkept < target_rows:
                    slot = nkept
                    nkept += 1
                else:
                    slot = <int64_t> (random_next(&state) % <uint64_t> seen)
                    if slot >= target_rows:
                        continue
                    free(kept[slot])
                copy = <char *> malloc(lengths[i])
                if copy == NULL:
                    raise MemoryError
                memcpy(copy, headers[i], lengths[i])
                kept[slot] = copy
                places[slot] = <int64_t> ((<uint64_t> block << 16) | offsets[i])
        order = sorted(range(nkept), key=lambda k: places[k])
        by_column = [[] for _ in columns]
        widths = [0] * len(columns)
        kinds = [datum_type(rel.desc.attrs[a - 1].atttypid) for a in columns]
        for i in order:
            heap_deform_tuple(<HeapTupleHeaderData *> kept[i], &rel.desc.c, rel.desc.natts, values, nulls)
            for j in range(len(columns)):
                attnum = columns[j]
                if nulls[attnum - 1]:
                    by_column[j].append(None)
                    continue
                kind = <DatumType> kinds[j]
                if rel.desc.attrs[attnum - 1].attlen == -1:
                    widths[j] += datum_size(values[attnum - 1], False, -1)
                by_column[j].append(datum_to_python(values[attnum - 1], kind))
    finally:
        if buf:
            release_buffer(buf)
        for i in range(nkept):
            free(kept[i])
        free(kept)
        free(places)
    estimated = float(seen) if read == nblocks else (float(seen) / read * nblocks if read else 0.0)
    return by_column, widths, nkept, estimated, int(nblocks)
