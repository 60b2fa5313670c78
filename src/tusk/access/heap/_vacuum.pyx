"""VACUUM of a heap and its indexes (vacuumlazy.c).

The first pass prunes and freezes page after page and gathers dead line pointers. When there are no more pages, or no
more room for dead line pointers, the indexes lose the entries that point to them, and a second pass over these pages
makes them unused. Pages that the visibility map calls all-frozen, or all-visible unless the vacuum is aggressive, are
passed over; a share of the all-visible ones is read all the same, to freeze them before they must be. In the end empty
pages at the end of the file are given back, if nobody is in the way.

The caller holds ShareUpdateExclusiveLock on the table and RowExclusiveLock on its indexes.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset
from tusk._types cimport (
    BLCKSZ, MAIN_FORK, BlockNumber, InvalidBlockNumber, InvalidTransactionId, ItemPointerData, MultiXactId,
    OffsetNumber, TransactionId, tid_block, tid_offset, tid_set,
)
from tusk.access._index cimport IndexMethod, IndexVacuumStats, index_method_of
from tusk.access._relation cimport Relation, relation_needs_wal
from tusk.access._tuple cimport (
    HEAP_XMAX_IS_MULTI, HeapTupleData, HeapTupleHeaderData, tuple_xmin, xmin_committed,
)
from tusk.access._vacuum_cost cimport (
    stop_vacuum_cost, vacuum_delay_point, vacuum_failsafe_active, vacuum_strategy,
)
from tusk.access cimport _vacuum_cost
from tusk.access.heap._dead_items cimport (
    DeadItems, dead_items_add, dead_items_has, dead_items_of, dead_items_reset,
)
from tusk.access.heap._freeze cimport tuple_should_freeze
from tusk.access.heap._prune cimport (
    HEAP_PAGE_PRUNE_FREEZE, HEAP_PAGE_PRUNE_MARK_UNUSED_NOW, PRUNE_VACUUM_SCAN, PruneFreezeResult, VacuumCutoffs,
    heap_page_prune_and_freeze, heap_vacuum_page_items,
)
from tusk.access.heap._scan cimport vis_kind
from tusk.access.heap._visibility cimport (
    HEAPTUPLE_DEAD, HEAPTUPLE_DELETE_IN_PROGRESS, HEAPTUPLE_INSERT_IN_PROGRESS, HEAPTUPLE_LIVE,
    HEAPTUPLE_RECENTLY_DEAD, tuple_satisfies_vacuum,
)
from tusk.memory._critical cimport critical_end, critical_start
from tusk.memory._interrupts cimport check_for_interrupts
from tusk.memory._latch cimport WL_LATCH_SET, reset_latch, wait_latch
from tusk.stats._progress cimport progress_update_param
from tusk.storage._buffer cimport (
    BUFFER_LOCK_EXCLUSIVE, BUFFER_LOCK_SHARE, BUFFER_LOCK_UNLOCK, RBM_NORMAL, buffer_page,
    conditional_lock_buffer_for_cleanup, lock_buffer, lock_buffer_for_cleanup, mark_buffer_dirty, read_ahead,
    read_buffer, relation_nblocks, release_buffer, unlock_release_buffer,
)
from tusk.storage._freespace cimport (
    free_space_map_vacuum_range, get_recorded_free_space, record_page_with_free_space,
)
from tusk.storage._page cimport (
    PD_ALL_VISIBLE, ItemIdData, item_id_get_length, item_id_is_dead, item_id_is_normal, item_id_is_redirected,
    item_id_is_used, page_clear_flag, page_get_heap_free_space, page_get_item, page_get_item_id, page_get_lsn,
    page_get_max_offset, page_has_flag, page_is_new, page_set_flag,
)
from tusk.storage._visibilitymap cimport (
    VISIBILITYMAP_ALL_FROZEN, VISIBILITYMAP_ALL_VISIBLE, VISIBILITYMAP_VALID_BITS, visibilitymap_clear,
    visibilitymap_count, visibilitymap_get_status, visibilitymap_pin, visibilitymap_set,
)
from tusk.transaction._lock cimport (
    AccessExclusiveLock, LOCKTAG, conditional_lock_relation_oid, lock_has_waiters, tag_relation, unlock_relation_oid,
)
from tusk.transaction._multixact cimport read_next_multixact_id
from tusk.transaction._pending cimport relation_truncate
from tusk.transaction._snapshot cimport get_oldest_non_removable_transaction_id, global_vis_test_for
from tusk.transaction._transam cimport (
    multixact_id_precedes, transaction_id_follows, transaction_id_is_normal, transaction_id_precedes,
)
from tusk.transaction._varsup cimport read_next_full_transaction_id
from tusk.wal._insert cimport log_newpage_buffer

import random
import time

from tusk.config import settings
from tusk.errors import Severity, SqlError, errcode, report

cdef enum:
    SKIP_PAGES_THRESHOLD = 32           # shorter runs are read: it keeps the kernel's read-ahead going
    EAGER_SCAN_REGION_SIZE = 4096
    FAILSAFE_EVERY_PAGES = 524288       # 4 GB
    VACUUM_FSM_EVERY_PAGES = 1048576    # 8 GB
    READ_AHEAD_BLOCKS = 16
    TRUNCATE_MINIMUM = 1000
    TRUNCATE_FRACTION = 16
    TRUNCATE_LOCK_WAIT_MS = 50
    TRUNCATE_LOCK_TRIES = 100           # five seconds
    TRUNCATE_CHECK_BLOCKS = 32
    BYPASS_MAX_MEMORY = 33554432
    WAIT_EVENT_VACUUM_TRUNCATE = 0x09000008

cdef enum:                              # progress.Vacuum and its phases
    PROGRESS_PHASE = 0
    PROGRESS_TOTAL_BLOCKS = 1
    PROGRESS_BLOCKS_SCANNED = 2
    PROGRESS_BLOCKS_VACUUMED = 3
    PROGRESS_INDEX_VACUUMS = 4
    PROGRESS_MAX_DEAD_BYTES = 5
    PROGRESS_DEAD_BYTES = 6
    PROGRESS_DEAD_IDS = 7
    PROGRESS_INDEXES_TOTAL = 8
    PROGRESS_INDEXES_PROCESSED = 9
    PHASE_SCAN_HEAP = 1
    PHASE_VACUUM_INDEX = 2
    PHASE_VACUUM_HEAP = 3
    PHASE_INDEX_CLEANUP = 4
    PHASE_TRUNCATE = 5
    PHASE_FINAL = 6

_EAGER_SUCCESS_RATE = 0.2
_BYPASS_THRESHOLD = 0.02
_TRUNCATE_CHECK_SECONDS = 0.02


cdef int is_dead(const ItemPointerData *tid, void *arg) except -1:
    return dead_items_has(<DeadItems *> arg, tid_block(tid), tid_offset(tid))


def horizon(Relation rel):
    """The oldest id whose deletions somebody may still not see (GetOldestNonRemovableTransactionId)."""
    return get_oldest_non_removable_transaction_id(vis_kind(rel))


def map_counts(Relation rel):
    """(all-visible, all-frozen) pages by the visibility map."""
    cdef BlockNumber visible = 0, frozen = 0
    visibilitymap_count(&rel.rd_locator, rel.relpersistence, &visible, &frozen)
    return int(visible), int(frozen)


def relation_pages(Relation rel):
    """Blocks of the main fork."""
    return int(relation_nblocks(&rel.rd_locator, rel.relpersistence, MAIN_FORK))


cdef bint page_is_empty(const char *page) noexcept nogil:
    return page_get_max_offset(page) == 0


cdef bint needs_freezing_some_day(const HeapTupleHeaderData *tup) noexcept nogil:
    """Whether an id in the tuple is one to look up (heap_tuple_needs_eventual_freeze)."""
    return transaction_id_is_normal(tuple_xmin(tup)) or (
        tup.t_xmax != 0 if tup.t_infomask & HEAP_XMAX_IS_MULTI else transaction_id_is_normal(tup.t_xmax))


cdef class IndexResult:
    """What became of one index."""

    cdef readonly Relation index
    cdef IndexVacuumStats stats
    cdef readonly bint scanned, known

    @property
    def pages(self):
        """Blocks of the index."""
        return self.stats.num_pages

    @property
    def tuples(self):
        """Its entries."""
        return self.stats.num_index_tuples

    @property
    def estimated(self):
        """Whether `tuples` is only a guess."""
        return bool(self.stats.estimated_count)

    @property
    def newly_deleted(self):
        """Pages this vacuum deleted."""
        return self.stats.pages_newly_deleted

    @property
    def deleted(self):
        """Pages that are deleted."""
        return self.stats.pages_deleted

    @property
    def free(self):
        """Pages that may be used again."""
        return self.stats.pages_free


cdef class HeapVacuum:
    """``HeapVacuum(rel, indexes, cutoffs...)``; set the attributes, then `run`. The results are attributes."""

    cdef readonly Relation rel
    cdef list indexes
    cdef readonly list results              # an IndexResult for each index
    cdef VacuumCutoffs cutoffs
    cdef public bint aggressive, skip_with_map, verbose
    cdef public bint do_index_vacuuming, do_index_cleanup, do_truncate, consider_bypass
    cdef public double eager_failure_rate
    cdef public int64_t max_dead_memory
    cdef public str full_name               # database.schema.table, for messages
    cdef DeadItems dead
    cdef readonly BlockNumber pages, original_pages, removed_pages, scanned_pages, nonempty_pages
    cdef readonly BlockNumber eager_scanned_pages, frozen_tuple_pages, lpdead_item_pages, missed_dead_pages
    cdef readonly BlockNumber new_visible_pages, new_visible_frozen_pages, new_frozen_pages
    cdef readonly int64_t live, recently_dead, missed_dead, removed, frozen, lpdead_items
    cdef readonly int num_index_scans
    cdef readonly bint skipped_all_visible
    cdef TransactionId new_frozen
    cdef MultiXactId new_minmulti
    # Where the scan is.
    cdef BlockNumber current, next_unskippable, read_until, next_fsm_block
    cdef bint next_unskippable_visible, next_unskippable_eager
    cdef bint current_visible, current_eager
    cdef int skip_map_buffer
    cdef uint32_t eager_fails_left, eager_max_fails
    cdef BlockNumber eager_successes_left, next_eager_region

    def __init__(self, Relation rel, list indexes, oldest_xmin, oldest_mxact, freeze_limit, multixact_cutoff):
        cdef IndexResult result
        self.rel = rel
        self.indexes = indexes
        self.results = []
        for index in indexes:
            result = IndexResult.__new__(IndexResult)
            result.index = index
            memset(&result.stats, 0, sizeof(IndexVacuumStats))
            self.results.append(result)
        self.cutoffs.relfrozenxid = rel.form.relfrozenxid
        self.cutoffs.relminmxid = rel.form.relminmxid
        self.cutoffs.OldestXmin = oldest_xmin
        self.cutoffs.OldestMxact = oldest_mxact
        self.cutoffs.FreezeLimit = freeze_limit
        self.cutoffs.MultiXactCutoff = multixact_cutoff
        self.new_frozen = oldest_xmin
        self.new_minmulti = oldest_mxact
        self.skip_with_map = True
        self.do_index_vacuuming = self.do_index_cleanup = self.do_truncate = self.consider_bypass = True
        self.max_dead_memory = 64 << 20
        self.full_name = rel.name
        self.pages = self.original_pages = <BlockNumber> relation_nblocks(
            &rel.rd_locator, rel.relpersistence, MAIN_FORK)
        self.next_unskippable = InvalidBlockNumber
        self.current = InvalidBlockNumber
        self.next_eager_region = InvalidBlockNumber

    def __dealloc__(self):
        dead_items_reset(&self.dead)

    @property
    def oldest_xmin(self):
        """What was removable: older than this."""
        return self.cutoffs.OldestXmin

    @property
    def old_relfrozenxid(self):
        """pg_class's before."""
        return self.cutoffs.relfrozenxid

    @property
    def old_relminmxid(self):
        """pg_class's before."""
        return self.cutoffs.relminmxid

    @property
    def new_relfrozenxid(self):
        """What may be put in pg_class; 0 if pages were passed over that are not frozen."""
        return 0 if self.skipped_all_visible else self.new_frozen

    @property
    def new_relminmxid(self):
        """The same for multixacts."""
        return 0 if self.skipped_all_visible else self.new_minmulti

    def run(self):
        """Vacuum the table and its indexes."""
        try:
            self.plan_eager_scan()
            self.check_failsafe()
            self.scan_heap()
        finally:
            if self.skip_map_buffer:
                release_buffer(self.skip_map_buffer)
                self.skip_map_buffer = 0
            dead_items_reset(&self.dead)

    def truncate_if_worthwhile(self):
        """Give empty pages at the end back (should_attempt_truncation, lazy_truncate_heap)."""
        cdef BlockNumber freeable = self.pages - self.nonempty_pages
        if self.do_truncate and not vacuum_failsafe_active and freeable > 0 and (
                freeable >= TRUNCATE_MINIMUM or freeable >= self.pages // TRUNCATE_FRACTION):
            self.set_phase(PHASE_TRUNCATE)
            self.truncate_heap()
        self.set_phase(PHASE_FINAL)

    cdef int set_phase(self, int phase) except -1:
        progress_update_param(PROGRESS_PHASE, phase)
        return 0

    def say(self, text, level=Severity.DEBUG2):
        """What only VERBOSE shows."""
        report(Severity.INFO if self.verbose else level, text)

    # -- The first pass --

    cdef int plan_eager_scan(self) except -1:
        """How many all-visible pages to read and freeze ahead of need (heap_vacuum_eager_scan_setup)."""
        cdef BlockNumber visible = 0, frozen = 0
        cdef bint old = False
        if self.eager_failure_rate == 0 or self.aggressive or self.pages < 2 * EAGER_SCAN_REGION_SIZE:
            return 0
        # If nothing of the table is old enough to be frozen, reading it would be in vain.
        if transaction_id_is_normal(self.cutoffs.relfrozenxid) and \
                not transaction_id_precedes(self.cutoffs.FreezeLimit, self.cutoffs.relfrozenxid):
            old = True
        if not old and self.cutoffs.relminmxid and \
                not multixact_id_precedes(self.cutoffs.MultiXactCutoff, self.cutoffs.relminmxid):
            old = True
        if not old:
            return 0
        visibilitymap_count(&self.rel.rd_locator, self.rel.relpersistence, &visible, &frozen)
        self.eager_successes_left = <BlockNumber> (_EAGER_SUCCESS_RATE * (visible - frozen))
        if self.eager_successes_left == 0:
            return 0
        # Regions begin at a random place, so that it is not always the same pages that are tried.
        self.next_eager_region = <BlockNumber> random.randrange(EAGER_SCAN_REGION_SIZE)
        self.eager_max_fails = <uint32_t> (self.eager_failure_rate * EAGER_SCAN_REGION_SIZE)
        self.eager_fails_left = <uint32_t> (
            self.eager_max_fails * (1 - <double> self.next_eager_region / EAGER_SCAN_REGION_SIZE))
        return 0

    cdef bint find_next_unskippable(self) except -1:
        """The next page that must be read; whether all-visible ones that are not all-frozen lie before it."""
        cdef BlockNumber block = self.next_unskippable + 1      # from InvalidBlockNumber: 0
        cdef bint skips_visible = False
        cdef int bits
        self.next_unskippable_eager = False
        while True:
            bits = visibilitymap_get_status(&self.rel.rd_locator, self.rel.relpersistence, block,
                                            &self.skip_map_buffer)
            self.next_unskippable_visible = (bits & VISIBILITYMAP_ALL_VISIBLE) != 0
            if self.next_eager_region != InvalidBlockNumber and block >= self.next_eager_region:
                self.eager_fails_left = self.eager_max_fails
                self.next_eager_region += EAGER_SCAN_REGION_SIZE
            # The last page is always read: whether it is empty decides about truncation.
            if not self.next_unskippable_visible or block == self.pages - 1 or not self.skip_with_map:
                break
            if not bits & VISIBILITYMAP_ALL_FROZEN:
                if self.aggressive:
                    break
                if self.eager_fails_left > 0:
                    self.next_unskippable_eager = True
                    break
                skips_visible = True
            block += 1
        self.next_unskippable = block
        return skips_visible

    cdef bint next_block(self) except -1:
        """Move `current` on (heap_vac_scan_next_block); False at the end."""
        cdef BlockNumber block = self.current + 1
        cdef bint skips_visible
        if block >= self.pages:
            return False
        if self.next_unskippable == InvalidBlockNumber or block > self.next_unskippable:
            skips_visible = self.find_next_unskippable()
            if self.next_unskippable - block >= SKIP_PAGES_THRESHOLD:
                block = self.next_unskippable
                if skips_visible:
                    self.skipped_all_visible = True
        self.current = block
        if block < self.next_unskippable:
            self.current_visible = True
            self.current_eager = False
        else:
            self.current_visible = self.next_unskippable_visible
            self.current_eager = self.next_unskippable_eager
        return True

    cdef int read_page(self, BlockNumber block, BlockNumber last) except -1:
        """Pin a page; pages up to `last` will be wanted too."""
        cdef int n
        if block >= self.read_until and last > block:
            n = READ_AHEAD_BLOCKS
            if n > <int> (last - block):
                n = <int> (last - block)
            read_ahead(&self.rel.rd_locator, self.rel.relpersistence, MAIN_FORK, block, n, vacuum_strategy())
            self.read_until = block + n
        return read_buffer(&self.rel.rd_locator, self.rel.relpersistence, MAIN_FORK, block, RBM_NORMAL,
                           vacuum_strategy())

    cdef int scan_heap(self) except -1:
        cdef int vm_buf = 0
        cdef int buf
        cdef bint cleanup, has_dead, page_frozen
        cdef int ndeleted
        cdef size_t space
        cdef BlockNumber block, last
        self.set_phase(PHASE_SCAN_HEAP)
        progress_update_param(PROGRESS_TOTAL_BLOCKS, self.pages)
        progress_update_param(PROGRESS_MAX_DEAD_BYTES, self.max_dead_memory)
        try:
            while self.next_block():
                block = self.current
                vacuum_delay_point()
                if self.scanned_pages > 0 and self.scanned_pages % FAILSAFE_EVERY_PAGES == 0:
                    self.check_failsafe()
                if self.dead.nitems > 0 and self.dead.memory > self.max_dead_memory:
                    if vm_buf:
                        release_buffer(vm_buf)
                        vm_buf = 0
                    self.consider_bypass = False
                    self.vacuum_gathered()
                    free_space_map_vacuum_range(&self.rel.rd_locator, self.rel.relpersistence, self.next_fsm_block,
                                                block + 1)
                    self.next_fsm_block = block
                    self.set_phase(PHASE_SCAN_HEAP)
                # Read ahead where pages follow one another without a gap to be skipped.
                last = self.next_unskippable + 1
                if not self.next_unskippable_visible and not self.rel_is_mostly_visible():
                    last = self.pages
                buf = self.read_page(block, last)
                self.scanned_pages += 1
                if self.current_eager:
                    self.eager_scanned_pages += 1
                progress_update_param(PROGRESS_BLOCKS_SCANNED, block)
                visibilitymap_pin(&self.rel.rd_locator, self.rel.relpersistence, block, &vm_buf)
                cleanup = conditional_lock_buffer_for_cleanup(buf)
                if not cleanup:
                    lock_buffer(buf, BUFFER_LOCK_SHARE)
                if self.scan_new_or_empty(buf, block, not cleanup, vm_buf):
                    continue
                has_dead = page_frozen = False
                ndeleted = 0
                if not cleanup and not self.scan_without_pruning(buf, block, &has_dead):
                    # Something must be frozen: wait until nobody looks at the page.
                    lock_buffer(buf, BUFFER_LOCK_UNLOCK)
                    lock_buffer_for_cleanup(buf)
                    cleanup = True
                if cleanup:
                    ndeleted = self.scan_and_prune(buf, block, vm_buf, &has_dead, &page_frozen)
                    if self.current_eager:
                        self.account_eager(page_frozen)
                if not self.indexes or not self.do_index_vacuuming or not has_dead:
                    space = page_get_heap_free_space(buffer_page(buf))
                    unlock_release_buffer(buf)
                    record_page_with_free_space(&self.rel.rd_locator, self.rel.relpersistence, block, space)
                    if cleanup and not self.indexes and ndeleted > 0 and \
                            block - self.next_fsm_block >= VACUUM_FSM_EVERY_PAGES:
                        free_space_map_vacuum_range(&self.rel.rd_locator, self.rel.relpersistence,
                                                    self.next_fsm_block, block)
                        self.next_fsm_block = block
                else:
                    # The second pass will record it.
                    unlock_release_buffer(buf)
        finally:
            if vm_buf:
                release_buffer(vm_buf)
        progress_update_param(PROGRESS_BLOCKS_SCANNED, self.pages)
        if self.dead.nitems > 0:
            self.vacuum_gathered()
        if self.pages > self.next_fsm_block:
            free_space_map_vacuum_range(&self.rel.rd_locator, self.rel.relpersistence, self.next_fsm_block, self.pages)
        if self.indexes and self.do_index_cleanup:
            self.cleanup_indexes()
        return 0

    cdef bint rel_is_mostly_visible(self) noexcept:
        """Reading ahead pays only if the pages read are looked at; a guess from pg_class."""
        return self.rel.form.relallvisible * 2 > self.rel.form.relpages

    cdef int account_eager(self, bint page_frozen) except -1:
        if not page_frozen:
            if self.eager_fails_left > 0:
                self.eager_fails_left -= 1
            return 0
        if self.eager_successes_left > 0:
            self.eager_successes_left -= 1
        if self.eager_successes_left == 0:
            if self.eager_max_fails > 0:
                self.say(f"disabling eager scanning after freezing {self.eager_scanned_pages} eagerly scanned blocks of "
                         f'relation "{self.full_name}"')
            self.eager_fails_left = 0
            self.next_eager_region = InvalidBlockNumber
            self.eager_max_fails = 0
        return 0

    cdef bint scan_new_or_empty(self, int buf, BlockNumber block, bint shared, int vm_buf) except -1:
        """Pages without any line pointer; True if it was one, and let go (lazy_scan_new_or_empty)."""
        cdef char *page = buffer_page(buf)
        cdef size_t space
        if page_is_new(page):
            # Left behind by a crash after the extension: let it be found.
            unlock_release_buffer(buf)
            if get_recorded_free_space(&self.rel.rd_locator, self.rel.relpersistence, block) == 0:
                record_page_with_free_space(&self.rel.rd_locator, self.rel.relpersistence, block, BLCKSZ - 24)
            return True
        if not page_is_empty(page):
            return False
        if shared:
            lock_buffer(buf, BUFFER_LOCK_UNLOCK)
            lock_buffer(buf, BUFFER_LOCK_EXCLUSIVE)
            if not page_is_empty(page):
                # Filled meanwhile: it goes the usual way, under the lock that was asked for.
                lock_buffer(buf, BUFFER_LOCK_UNLOCK)
                lock_buffer(buf, BUFFER_LOCK_SHARE)
                return False
        if not page_has_flag(page, PD_ALL_VISIBLE):
            critical_start()
            mark_buffer_dirty(buf)
            # Replay of the map's record reads the page: it must have been logged once.
            if relation_needs_wal(self.rel) and page_get_lsn(page) == 0:
                log_newpage_buffer(buf, True)
            page_set_flag(page, PD_ALL_VISIBLE)
            visibilitymap_set(&self.rel.rd_locator, self.rel.relpersistence, block, buf, 0, vm_buf,
                              InvalidTransactionId, VISIBILITYMAP_ALL_VISIBLE | VISIBILITYMAP_ALL_FROZEN)
            critical_end()
            self.new_visible_pages += 1
            self.new_visible_frozen_pages += 1
        space = page_get_heap_free_space(page)
        unlock_release_buffer(buf)
        record_page_with_free_space(&self.rel.rd_locator, self.rel.relpersistence, block, space)
        return True

    cdef int scan_and_prune(self, int buf, BlockNumber block, int vm_buf, bint *has_dead,
                            bint *page_frozen) except -1:
        """One page under a cleanup lock (lazy_scan_prune); how many tuples were removed."""
        cdef PruneFreezeResult result
        cdef OffsetNumber off_loc = 0
        cdef int flags = HEAP_PAGE_PRUNE_FREEZE
        cdef char *page = buffer_page(buf)
        cdef uint8_t bits
        if not self.indexes:
            flags |= HEAP_PAGE_PRUNE_MARK_UNUSED_NOW
        heap_page_prune_and_freeze(self.rel, buf, global_vis_test_for(vis_kind(self.rel)), flags, &self.cutoffs,
                                   &result, PRUNE_VACUUM_SCAN, &off_loc, &self.new_frozen, &self.new_minmulti)
        if result.nfrozen > 0:
            self.frozen_tuple_pages += 1
        if result.lpdead_items > 0:
            self.lpdead_item_pages += 1
            self.remember(block, result.deadoffsets, result.lpdead_items)
        self.removed += result.ndeleted
        self.frozen += result.nfrozen
        self.lpdead_items += result.lpdead_items
        self.live += result.live_tuples
        self.recently_dead += result.recently_dead_tuples
        if result.hastup:
            self.nonempty_pages = block + 1
        has_dead[0] = result.lpdead_items > 0
        if not self.current_visible and result.all_visible:
            bits = VISIBILITYMAP_ALL_VISIBLE
            if result.all_frozen:
                bits |= VISIBILITYMAP_ALL_FROZEN
            page_frozen[0] = self.set_visible(buf, block, vm_buf, result.vm_conflict_horizon, bits)
        elif self.current_visible and not page_has_flag(page, PD_ALL_VISIBLE) and \
                self.map_bits(block, vm_buf) != 0:
            report(Severity.WARNING,
                   f'page is not marked all-visible but visibility map bit is set in relation "{self.rel.name}" page '
                   f"{block}")
            visibilitymap_clear(block, vm_buf, VISIBILITYMAP_VALID_BITS)
        elif result.lpdead_items > 0 and page_has_flag(page, PD_ALL_VISIBLE):
            report(Severity.WARNING,
                   f'page containing LP_DEAD items is marked as all-visible in relation "{self.rel.name}" page {block}')
            page_clear_flag(page, PD_ALL_VISIBLE)
            mark_buffer_dirty(buf)
            visibilitymap_clear(block, vm_buf, VISIBILITYMAP_VALID_BITS)
        elif self.current_visible and result.all_visible and result.all_frozen and \
                not self.map_bits(block, vm_buf) & VISIBILITYMAP_ALL_FROZEN:
            page_frozen[0] = self.set_visible(buf, block, vm_buf, InvalidTransactionId,
                                              VISIBILITYMAP_ALL_VISIBLE | VISIBILITYMAP_ALL_FROZEN)
        return result.ndeleted

    cdef int remember(self, BlockNumber block, const OffsetNumber *offsets, int n) except -1:
        dead_items_add(&self.dead, block, offsets, n)
        progress_update_param(PROGRESS_DEAD_IDS, self.dead.nitems)
        progress_update_param(PROGRESS_DEAD_BYTES, self.dead.memory)
        return 0

    cdef int map_bits(self, BlockNumber block, int vm_buf) except -1:
        cdef int pinned = vm_buf
        return visibilitymap_get_status(&self.rel.rd_locator, self.rel.relpersistence, block, &pinned)

    cdef bint set_visible(self, int buf, BlockNumber block, int vm_buf, TransactionId conflict, uint8_t bits) except -1:
        """Set the map's bits for a page; whether it became all-frozen."""
        cdef int old
        cdef bint frozen = (bits & VISIBILITYMAP_ALL_FROZEN) != 0
        # Even if the flag is set already: the page's checksum must be right on disk before the map says so.
        page_set_flag(buffer_page(buf), PD_ALL_VISIBLE)
        mark_buffer_dirty(buf)
        old = visibilitymap_set(&self.rel.rd_locator, self.rel.relpersistence, block, buf, 0, vm_buf, conflict, bits)
        if not old & VISIBILITYMAP_ALL_VISIBLE:
            self.new_visible_pages += 1
            self.new_visible_frozen_pages += frozen
        elif frozen and not old & VISIBILITYMAP_ALL_FROZEN:
            self.new_frozen_pages += 1
        else:
            return False
        return frozen

    cdef bint scan_without_pruning(self, int buf, BlockNumber block, bint *has_dead) except -1:
        """A page that somebody else has pinned: only count (lazy_scan_noprune). False if it must be frozen now."""
        cdef char *page = buffer_page(buf)
        cdef OffsetNumber maxoff = page_get_max_offset(page)
        cdef OffsetNumber dead[291]
        cdef OffsetNumber offset
        cdef int ndead = 0, live = 0, recent = 0, missed = 0
        cdef int state
        cdef bint hastup = False
        cdef ItemIdData *lp
        cdef HeapTupleData tup
        cdef TransactionId frozen = self.new_frozen
        cdef MultiXactId minmulti = self.new_minmulti
        tup.t_tableOid = self.rel.rd_id
        for offset in range(1, maxoff + 1):
            lp = page_get_item_id(page, offset)
            if not item_id_is_used(lp):
                continue
            if item_id_is_redirected(lp):
                hastup = True
                continue
            if item_id_is_dead(lp):
                dead[ndead] = offset
                ndead += 1
                continue
            hastup = True
            tup.t_data = <HeapTupleHeaderData *> page_get_item(page, lp)
            tup.t_len = item_id_get_length(lp)
            tid_set(&tup.t_self, block, offset)
            if tuple_should_freeze(tup.t_data, &self.cutoffs, &frozen, &minmulti) and self.aggressive:
                return False
            state = tuple_satisfies_vacuum(&tup, self.cutoffs.OldestXmin, buf)
            if state == HEAPTUPLE_LIVE or state == HEAPTUPLE_DELETE_IN_PROGRESS:
                live += 1
            elif state == HEAPTUPLE_DEAD:
                missed += 1
            elif state == HEAPTUPLE_RECENTLY_DEAD:
                recent += 1
            elif state != HEAPTUPLE_INSERT_IN_PROGRESS:
                raise SqlError(errcode.INTERNAL_ERROR, "unexpected HeapTupleSatisfiesVacuum result")
        self.new_frozen = frozen
        self.new_minmulti = minmulti
        if not self.indexes:
            # Without a cleanup lock they could not be made unused.
            if ndead > 0:
                hastup = True
                missed += ndead
        elif ndead > 0:
            self.lpdead_item_pages += 1
            self.remember(block, dead, ndead)
            self.lpdead_items += ndead
        self.live += live
        self.recently_dead += recent
        self.missed_dead += missed
        if missed > 0:
            self.missed_dead_pages += 1
        if hastup:
            self.nonempty_pages = block + 1
        has_dead[0] = ndead > 0
        return True

    # -- Indexes and the second pass --

    cdef int vacuum_gathered(self) except -1:
        """Remove what was gathered from the indexes and the heap, unless it is too little to bother (lazy_vacuum)."""
        if self.do_index_vacuuming:
            if self.consider_bypass and self.pages > 0 and \
                    self.lpdead_item_pages < <BlockNumber> (self.pages * _BYPASS_THRESHOLD) and self.dead.memory < BYPASS_MAX_MEMORY:
                # So few that the dead line pointers may wait for the next vacuum.
                self.do_index_vacuuming = False
            elif self.vacuum_indexes():
                self.second_pass()
        dead_items_reset(&self.dead)
        progress_update_param(PROGRESS_DEAD_IDS, 0)
        progress_update_param(PROGRESS_DEAD_BYTES, 0)
        return 0

    cdef bint vacuum_indexes(self) except -1:
        cdef IndexResult result
        if self.check_failsafe():
            return False
        self.set_phase(PHASE_VACUUM_INDEX)
        progress_update_param(PROGRESS_INDEXES_TOTAL, len(self.results))
        for number, result in enumerate(self.results):
            index_method_of(result.index).bulk_delete(result.index, self.rel, is_dead, &self.dead, &result.stats)
            result.scanned = result.known = True
            progress_update_param(PROGRESS_INDEXES_PROCESSED, number + 1)
            if self.check_failsafe():
                # The heap's line pointers may go only once no index refers to them.
                self.count_index_scan()
                return False
        self.count_index_scan()
        return True

    cdef int count_index_scan(self) except -1:
        self.num_index_scans += 1
        progress_update_param(PROGRESS_INDEXES_TOTAL, 0)
        progress_update_param(PROGRESS_INDEXES_PROCESSED, 0)
        progress_update_param(PROGRESS_INDEX_VACUUMS, self.num_index_scans)
        return 0

    cdef int cleanup_indexes(self) except -1:
        cdef IndexResult result
        self.set_phase(PHASE_INDEX_CLEANUP)
        progress_update_param(PROGRESS_INDEXES_TOTAL, len(self.results))
        for number, result in enumerate(self.results):
            if index_method_of(result.index).vacuum_cleanup(result.index, self.rel, &result.stats, result.scanned):
                result.known = True
            progress_update_param(PROGRESS_INDEXES_PROCESSED, number + 1)
        progress_update_param(PROGRESS_INDEXES_TOTAL, 0)
        progress_update_param(PROGRESS_INDEXES_PROCESSED, 0)
        return 0

    cdef int second_pass(self) except -1:
        """Dead line pointers become unused (lazy_vacuum_heap_rel)."""
        cdef int64_t i
        cdef BlockNumber block
        cdef OffsetNumber offsets[291]
        cdef int n, buf
        cdef int vm_buf = 0
        cdef size_t space
        cdef bint all_frozen
        cdef TransactionId cutoff
        self.set_phase(PHASE_VACUUM_HEAP)
        try:
            for i in range(self.dead.nblocks):
                vacuum_delay_point()
                block = self.dead.blocks[i]
                n = dead_items_of(&self.dead, i, offsets)
                progress_update_param(PROGRESS_BLOCKS_VACUUMED, block)
                visibilitymap_pin(&self.rel.rd_locator, self.rel.relpersistence, block, &vm_buf)
                buf = read_buffer(&self.rel.rd_locator, self.rel.relpersistence, MAIN_FORK, block, RBM_NORMAL,
                                  vacuum_strategy())
                lock_buffer(buf, BUFFER_LOCK_EXCLUSIVE)
                heap_vacuum_page_items(self.rel, buf, vm_buf, offsets, n)
                # With its dead items gone the page may be all-visible.
                if self.page_is_all_visible(buf, block, &cutoff, &all_frozen):
                    if all_frozen:
                        self.set_visible(buf, block, vm_buf, InvalidTransactionId,
                                         VISIBILITYMAP_ALL_VISIBLE | VISIBILITYMAP_ALL_FROZEN)
                    else:
                        self.set_visible(buf, block, vm_buf, cutoff, VISIBILITYMAP_ALL_VISIBLE)
                space = page_get_heap_free_space(buffer_page(buf))
                unlock_release_buffer(buf)
                record_page_with_free_space(&self.rel.rd_locator, self.rel.relpersistence, block, space)
        finally:
            if vm_buf:
                release_buffer(vm_buf)
        return 0

    cdef bint page_is_all_visible(self, int buf, BlockNumber block, TransactionId *cutoff, bint *all_frozen) except -1:
        """Whether everybody sees every tuple of a page (heap_page_is_all_visible)."""
        cdef char *page = buffer_page(buf)
        cdef OffsetNumber maxoff = page_get_max_offset(page)
        cdef OffsetNumber offset
        cdef ItemIdData *lp
        cdef HeapTupleData tup
        cdef TransactionId xmin
        cutoff[0] = InvalidTransactionId
        all_frozen[0] = True
        tup.t_tableOid = self.rel.rd_id
        for offset in range(1, maxoff + 1):
            lp = page_get_item_id(page, offset)
            if not item_id_is_used(lp) or item_id_is_redirected(lp):
                continue
            if item_id_is_dead(lp):
                return False
            tup.t_data = <HeapTupleHeaderData *> page_get_item(page, lp)
            tup.t_len = item_id_get_length(lp)
            tid_set(&tup.t_self, block, offset)
            if tuple_satisfies_vacuum(&tup, self.cutoffs.OldestXmin, buf) != HEAPTUPLE_LIVE or \
                    not xmin_committed(tup.t_data):
                return False
            xmin = tuple_xmin(tup.t_data)
            if not transaction_id_precedes(xmin, self.cutoffs.OldestXmin):
                return False
            if transaction_id_is_normal(xmin) and transaction_id_follows(xmin, cutoff[0]):
                cutoff[0] = xmin
            if all_frozen[0] and needs_freezing_some_day(tup.t_data):
                all_frozen[0] = False
        return True

    # -- Failsafe --

    cdef bint check_failsafe(self) except -1:
        """Whether the table is so old that only freezing counts any more (lazy_check_wraparound_failsafe)."""
        cdef TransactionId xid_limit
        cdef MultiXactId multi_limit
        if vacuum_failsafe_active:
            return True
        age = max(int(settings.vacuum_failsafe_age), int(int(settings.autovacuum_freeze_max_age) * 1.05))
        xid_limit = <TransactionId> ((read_next_full_transaction_id() - <uint64_t> age) & 0xFFFFFFFF)
        if not transaction_id_is_normal(xid_limit):
            xid_limit = 3
        age = max(int(settings.vacuum_multixact_failsafe_age),
                  int(int(settings.autovacuum_multixact_freeze_max_age) * 1.05))
        multi_limit = <MultiXactId> ((<uint64_t> read_next_multixact_id() + (1 << 32) - <uint64_t> age) & 0xFFFFFFFF)
        if multi_limit < 1:
            multi_limit = 1
        if not (transaction_id_is_normal(self.cutoffs.relfrozenxid)
                and transaction_id_precedes(self.cutoffs.relfrozenxid, xid_limit)) \
                and not (self.cutoffs.relminmxid and multixact_id_precedes(self.cutoffs.relminmxid, multi_limit)):
            return False
        _vacuum_cost.vacuum_failsafe_active = True
        self.do_index_vacuuming = self.do_index_cleanup = self.do_truncate = False
        report(
            Severity.WARNING,
            f'bypassing nonessential maintenance of table "{self.full_name}" as a failsafe after '
            f"{self.num_index_scans} index scans",
            detail="The table's relfrozenxid or relminmxid is too far in the past.",
            hint='Consider increasing configuration parameter "maintenance_work_mem" or "autovacuum_work_mem".\n'
                 "You might also need to consider other ways for VACUUM to keep up with the allocation of transaction "
                 "IDs.",
        )
        stop_vacuum_cost()
        return True

    # -- Truncation --

    cdef int truncate_heap(self) except -1:
        cdef BlockNumber new_pages
        cdef int tries
        cdef bint waiter = False
        while True:
            # Do not stand in a queue: whoever comes after us would have to wait too.
            tries = 0
            while not conditional_lock_relation_oid(self.rel.lock_db(), self.rel.rd_id, AccessExclusiveLock):
                check_for_interrupts()
                tries += 1
                if tries > TRUNCATE_LOCK_TRIES:
                    self.say(f'"{self.rel.name}": stopping truncate due to conflicting lock request')
                    return 0
                if wait_latch(TRUNCATE_LOCK_WAIT_MS, WAIT_EVENT_VACUUM_TRUNCATE) & WL_LATCH_SET:
                    reset_latch()
            try:
                new_pages = <BlockNumber> relation_nblocks(&self.rel.rd_locator, self.rel.relpersistence, MAIN_FORK)
                if new_pages != self.pages:
                    return 0                    # somebody uses the new pages already
                waiter = False
                new_pages = self.count_nondeletable(&waiter)
                if new_pages >= self.pages:
                    return 0
                relation_truncate(&self.rel.rd_locator, self.rel.relpersistence, new_pages)
            finally:
                unlock_relation_oid(self.rel.lock_db(), self.rel.rd_id, AccessExclusiveLock)
            self.removed_pages += self.pages - new_pages
            self.say(f'table "{self.rel.name}": truncated {self.pages} to {new_pages} pages')
            self.pages = new_pages
            if not (new_pages > self.nonempty_pages and waiter):
                return 0

    cdef BlockNumber count_nondeletable(self, bint *waiter) except? 0xFFFFFFFF:
        """How many pages must stay, looking from the end; gives up early if somebody waits (count_nondeletable_pages)."""
        cdef BlockNumber block = self.pages
        cdef LOCKTAG tag = tag_relation(self.rel.lock_db(), self.rel.rd_id)
        cdef OffsetNumber offset
        cdef int buf
        cdef char *page
        cdef bint used
        begun = time.monotonic()
        while block > self.nonempty_pages:
            if block % TRUNCATE_CHECK_BLOCKS == 0:
                now = time.monotonic()
                if now - begun >= _TRUNCATE_CHECK_SECONDS:
                    begun = now
                    if lock_has_waiters(&tag, AccessExclusiveLock):
                        self.say(f'table "{self.rel.name}": suspending truncate due to conflicting lock request')
                        waiter[0] = True
                        return block
            check_for_interrupts()
            block -= 1
            buf = read_buffer(&self.rel.rd_locator, self.rel.relpersistence, MAIN_FORK, block, RBM_NORMAL,
                              vacuum_strategy())
            lock_buffer(buf, BUFFER_LOCK_SHARE)
            page = buffer_page(buf)
            used = False
            if not page_is_new(page):
                for offset in range(1, page_get_max_offset(page) + 1):
                    # Dead ones count: index entries may point to them.
                    if item_id_is_used(page_get_item_id(page, offset)):
                        used = True
                        break
            unlock_release_buffer(buf)
            if used:
                return block + 1
        return self.nonempty_pages
