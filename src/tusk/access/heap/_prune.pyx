"""Pruning: taking dead row versions off a page without touching indexes, and freezing along the way.

A HOT chain is reached through its first line pointer only, so its dead members can go: the first pointer becomes a
redirection to the first live member, or dead when there is none (an index entry still points to it), and the pointers
of dead heap-only members become unused. Everything is decided first, then done and logged in one critical section.
The page needs a cleanup lock, since others may hold pointers to tuples that move (README rule 7).
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.stdlib cimport qsort
from libc.string cimport memset
from tusk._types cimport (
    BLCKSZ, InvalidTransactionId, Lsn, MultiXactId, OffsetNumber, TransactionId, tid_offset, tid_set,
)
from tusk.access._relation cimport (
    Relation, relation_is_accessible_in_logical_decoding, relation_needs_wal,
)
from tusk.access._tuple cimport (
    HeapTupleData, HeapTupleHeaderData, tuple_is_heap_only, tuple_is_hot_updated, tuple_xmin, xmin_committed,
    xmin_invalid,
)
from tusk.access.heap._freeze cimport (
    HeapPageFreeze, HeapTupleFreeze, execute_freeze, pre_freeze_checks, prepare_freeze_tuple,
)
from tusk.access.heap._records cimport *
from tusk.access.heap._scan cimport vis_kind
from tusk.access.heap._visibility cimport (
    HEAPTUPLE_DEAD, HEAPTUPLE_DELETE_IN_PROGRESS, HEAPTUPLE_INSERT_IN_PROGRESS, HEAPTUPLE_LIVE,
    HEAPTUPLE_RECENTLY_DEAD, tuple_satisfies_vacuum_horizon, tuple_update_xid,
)
from tusk.errors import SqlError, errcode
from tusk.memory._critical cimport critical_end, critical_start
from tusk.storage._buffer cimport (
    BUFFER_LOCK_UNLOCK, buffer_block, buffer_page, conditional_lock_buffer_for_cleanup, lock_buffer,
    mark_buffer_dirty, mark_buffer_dirty_hint,
)
from tusk.storage._page cimport (
    PD_PAGE_FULL, ItemIdData, PageHeaderData, item_id_get_length, item_id_get_redirect, item_id_is_dead,
    item_id_is_normal, item_id_is_redirected, item_id_is_used, item_id_set_dead, item_id_set_redirect,
    item_id_set_unused, page_clear_flag, page_get_heap_free_space, page_get_item, page_get_item_id, page_get_lsn,
    page_get_max_offset, page_has_flag, page_header, page_repair_fragmentation, page_set_lsn,
    page_truncate_line_pointer_array,
)
from tusk.storage cimport _visibilitymap
from tusk.storage._visibilitymap cimport VISIBILITYMAP_XLOG_CATALOG_REL
from tusk.transaction._snapshot cimport (
    GlobalVisState, global_vis_test_for, global_vis_test_is_removable_xid, transaction_id_did_commit,
)
from tusk.transaction._transam cimport (
    transaction_id_follows, transaction_id_is_normal, transaction_id_precedes, transaction_id_retreat,
)
from tusk.wal._insert cimport (
    REGBUF_NO_IMAGE, REGBUF_STANDARD, xlog_begin_insert, xlog_check_buffer_needs_backup, xlog_insert,
    xlog_register_buf_data, xlog_register_buffer, xlog_register_data,
)
from tusk.wal._record cimport RM_HEAP2_ID
from tusk.wal._xlog cimport recovery_in_progress, xlog_hint_bit_is_needed
from tusk._types cimport RelFileLocator

cdef enum:
    MAX_TUPLES = 291

cdef struct PruneState:
    GlobalVisState *vistest
    const VacuumCutoffs *cutoffs
    bint mark_unused_now
    bint freeze
    TransactionId new_prune_xid
    TransactionId latest_xid_removed
    int nredirected
    int ndead
    int nunused
    int nfrozen
    OffsetNumber redirected[582]
    OffsetNumber nowdead[291]
    OffsetNumber nowunused[291]
    HeapTupleFreeze frozen[291]
    HeapPageFreeze pagefrz
    uint8_t processed[292]
    signed char htsv[292]
    bint all_visible
    bint all_frozen
    TransactionId visibility_cutoff_xid
    PruneFreezeResult *result


cdef int heap_page_prune_opt(Relation rel, int buf) except -1:
    cdef char *page = buffer_page(buf)
    cdef TransactionId prune_xid = page_header(page).pd_prune_xid
    cdef GlobalVisState *vistest
    cdef uint32_t min_free
    cdef PruneFreezeResult result
    cdef OffsetNumber off_loc = 0
    if prune_xid == InvalidTransactionId or recovery_in_progress():
        return 0
    vistest = global_vis_test_for(vis_kind(rel))
    if not global_vis_test_is_removable_xid(vistest, prune_xid):
        return 0
    min_free = <uint32_t> (BLCKSZ * (100 - rel.fillfactor) // 100)
    if min_free < BLCKSZ // 10:
        min_free = BLCKSZ // 10
    if not page_has_flag(page, PD_PAGE_FULL) and page_get_heap_free_space(page) >= min_free:
        return 0
    if not conditional_lock_buffer_for_cleanup(buf):
        return 0
    # Looked at without a lock before.
    if page_has_flag(page, PD_PAGE_FULL) or page_get_heap_free_space(page) < min_free:
        heap_page_prune_and_freeze(rel, buf, vistest, 0, NULL, &result, PRUNE_ON_ACCESS, &off_loc, NULL, NULL)
    lock_buffer(buf, BUFFER_LOCK_UNLOCK)
    return 0


cdef void record_prunable(PruneState *s, TransactionId xid) noexcept:
    if s.new_prune_xid == InvalidTransactionId or transaction_id_precedes(xid, s.new_prune_xid):
        s.new_prune_xid = xid


cdef void record_unused(PruneState *s, OffsetNumber offset, bint was_normal) noexcept:
    s.processed[offset] = 1
    s.nowunused[s.nunused] = offset
    s.nunused += 1
    s.result.ndeleted += was_normal


cdef void record_dead_or_unused(PruneState *s, OffsetNumber offset, bint was_normal) noexcept:
    if s.mark_unused_now:
        record_unused(s, offset, was_normal)
        return
    s.processed[offset] = 1
    s.nowdead[s.ndead] = offset
    s.ndead += 1
    s.result.deadoffsets[s.result.lpdead_items] = offset
    s.result.lpdead_items += 1
    s.result.ndeleted += was_normal


cdef void record_redirect(PruneState *s, OffsetNumber offset, OffsetNumber target, bint was_normal) noexcept:
    s.processed[offset] = 1
    s.redirected[2 * s.nredirected] = offset
    s.redirected[2 * s.nredirected + 1] = target
    s.nredirected += 1
    s.result.ndeleted += was_normal
    s.result.hastup = True


cdef int record_unchanged(PruneState *s, char *page, OffsetNumber offset) except -1:
    """A tuple that stays: count it, see whether everybody sees it, plan its freezing."""
    cdef HeapTupleHeaderData *tup = <HeapTupleHeaderData *> page_get_item(page, page_get_item_id(page, offset))
    cdef int state = s.htsv[offset]
    cdef TransactionId xmin
    cdef bint totally = False
    s.processed[offset] = 1
    s.result.hastup = True
    if state == HEAPTUPLE_LIVE:
        s.result.live_tuples += 1
        if s.all_visible:
            xmin = tuple_xmin(tup)
            if not xmin_committed(tup) or not transaction_id_precedes(xmin, s.cutoffs.OldestXmin):
                s.all_visible = False
            elif transaction_id_is_normal(xmin) and transaction_id_follows(xmin, s.visibility_cutoff_xid):
                s.visibility_cutoff_xid = xmin
    else:
        s.all_visible = False
        if state == HEAPTUPLE_RECENTLY_DEAD:
            s.result.recently_dead_tuples += 1
            record_prunable(s, tuple_update_xid(tup))
        elif state == HEAPTUPLE_DELETE_IN_PROGRESS:
            s.result.live_tuples += 1
            record_prunable(s, tuple_update_xid(tup))
        elif state != HEAPTUPLE_INSERT_IN_PROGRESS:
            raise SqlError(errcode.INTERNAL_ERROR, f"unexpected HeapTupleSatisfiesVacuum result {state}")
    if s.freeze:
        if prepare_freeze_tuple(tup, s.cutoffs, &s.pagefrz, &s.frozen[s.nfrozen], &totally):
            s.frozen[s.nfrozen].offset = offset
            s.nfrozen += 1
        if not totally:
            s.all_frozen = False
    return 0


cdef int advance_conflict_horizon(PruneState *s, HeapTupleHeaderData *tup) except -1:
    """A version goes: standbys whose snapshots may see it must be told (its deleter's id)."""
    cdef TransactionId xmax
    if xmin_committed(tup) or (not xmin_invalid(tup) and transaction_id_did_commit(tup.t_xmin)):
        xmax = tuple_update_xid(tup)
        if xmax != tuple_xmin(tup) and transaction_id_follows(xmax, s.latest_xid_removed):
            s.latest_xid_removed = xmax
    return 0


cdef int prune_chain(PruneState *s, char *page, OffsetNumber root, OffsetNumber max_offset) except -1:
    """Decide about the chain that begins at a root line pointer (heap_prune_chain)."""
    cdef OffsetNumber chain[MAX_TUPLES]
    cdef int n = 0
    cdef int ndead = 0
    cdef int i
    cdef int state
    cdef OffsetNumber offset = root
    cdef TransactionId prior_xmax = InvalidTransactionId
    cdef ItemIdData *root_lp = page_get_item_id(page, root)
    cdef ItemIdData *lp
    cdef HeapTupleHeaderData *tup
    cdef bint complete = False
    while 1 <= offset <= max_offset and not s.processed[offset]:
        lp = page_get_item_id(page, offset)
        if not item_id_is_used(lp) or item_id_is_dead(lp):
            break
        if item_id_is_redirected(lp):
            if n > 0:
                break
            chain[n] = offset
            n += 1
            offset = <OffsetNumber> item_id_get_redirect(lp)
            continue
        tup = <HeapTupleHeaderData *> page_get_item(page, lp)
        if prior_xmax != InvalidTransactionId and tuple_xmin(tup) != prior_xmax:
            break
        chain[n] = offset
        n += 1
        state = s.htsv[offset]
        if state == HEAPTUPLE_DEAD:
            ndead = n
            advance_conflict_horizon(s, tup)
        elif state != HEAPTUPLE_RECENTLY_DEAD:
            complete = True
            break
        if not tuple_is_hot_updated(tup):
            complete = True
            break
        offset = tid_offset(&tup.t_ctid)
        prior_xmax = tuple_update_xid(tup)
    if not complete and item_id_is_redirected(root_lp) and n < 2:
        # A redirection to nothing.
        record_dead_or_unused(s, root, False)
        return 0
    if ndead == 0:
        i = 0
        if item_id_is_redirected(root_lp):
            s.processed[root] = 1
            s.result.hastup = True
            i = 1
        while i < n:
            record_unchanged(s, page, chain[i])
            i += 1
    elif ndead == n:
        record_dead_or_unused(s, root, item_id_is_normal(root_lp))
        for i in range(1, n):
            record_unused(s, chain[i], True)
    else:
        record_redirect(s, root, chain[ndead], item_id_is_normal(root_lp))
        for i in range(1, ndead):
            record_unused(s, chain[i], True)
        for i in range(ndead, n):
            record_unchanged(s, page, chain[i])
    return 0


cdef int classify(PruneState *s, Relation rel, int buf, OffsetNumber max_offset, OffsetNumber *off_loc) except -1:
    """Decide about every line pointer of the page."""
    cdef char *page = buffer_page(buf)
    cdef OffsetNumber roots[MAX_TUPLES]
    cdef OffsetNumber heap_only[MAX_TUPLES]
    cdef int nroots = 0
    cdef int nheap_only = 0
    cdef int i
    cdef OffsetNumber offset
    cdef ItemIdData *lp
    cdef HeapTupleData tup
    cdef TransactionId dead_after
    cdef int state
    tup.t_tableOid = rel.rd_id
    offset = max_offset
    # Backwards: that is the order in which tuples usually lie in memory.
    while offset >= 1:
        off_loc[0] = offset
        lp = page_get_item_id(page, offset)
        s.htsv[offset] = -1
        if not item_id_is_used(lp):
            s.processed[offset] = 1
        elif item_id_is_dead(lp):
            if s.mark_unused_now:
                record_unused(s, offset, False)
            else:
                s.processed[offset] = 1
                s.result.deadoffsets[s.result.lpdead_items] = offset
                s.result.lpdead_items += 1
        elif item_id_is_redirected(lp):
            roots[nroots] = offset
            nroots += 1
        else:
            tup.t_data = <HeapTupleHeaderData *> page_get_item(page, lp)
            tup.t_len = item_id_get_length(lp)
            tid_set(&tup.t_self, buffer_block(buf), offset)
            state = tuple_satisfies_vacuum_horizon(&tup, buf, &dead_after)
            if state == HEAPTUPLE_RECENTLY_DEAD:
                if s.cutoffs != NULL and transaction_id_precedes(dead_after, s.cutoffs.OldestXmin):
                    state = HEAPTUPLE_DEAD
                elif global_vis_test_is_removable_xid(s.vistest, dead_after):
                    state = HEAPTUPLE_DEAD
            s.htsv[offset] = <signed char> state
            if tuple_is_heap_only(tup.t_data):
                heap_only[nheap_only] = offset
                nheap_only += 1
            else:
                roots[nroots] = offset
                nroots += 1
        offset -= 1
    i = nroots - 1
    while i >= 0:
        off_loc[0] = roots[i]
        if not s.processed[roots[i]]:
            prune_chain(s, page, roots[i], max_offset)
        i -= 1
    i = nheap_only - 1
    while i >= 0:
        offset = heap_only[i]
        off_loc[0] = offset
        i -= 1
        if s.processed[offset]:
            continue
        if s.htsv[offset] != HEAPTUPLE_DEAD:
            record_unchanged(s, page, offset)
            continue
        # Left behind by an aborted HOT update: nothing leads to it.
        tup.t_data = <HeapTupleHeaderData *> page_get_item(page, page_get_item_id(page, offset))
        if tuple_is_hot_updated(tup.t_data):
            raise SqlError(errcode.INTERNAL_ERROR, f"dead heap-only tuple ({buffer_block(buf)}, {offset}) is not "
                                                   "linked to from any HOT chain")
        advance_conflict_horizon(s, tup.t_data)
        record_unused(s, offset, True)
    off_loc[0] = 0
    return 0


cdef int heap_page_prune_and_freeze(
    Relation rel, int buf, GlobalVisState *vistest, int options, const VacuumCutoffs *cutoffs,
    PruneFreezeResult *result, int reason, OffsetNumber *off_loc, TransactionId *new_relfrozenxid,
    MultiXactId *new_relminmxid,
) except -1:
    cdef PruneState s
    cdef char *page = buffer_page(buf)
    cdef OffsetNumber max_offset = page_get_max_offset(page)
    cdef Lsn lsn_before = page_get_lsn(page)
    cdef bint hint_fpi, do_prune, do_hint, do_freeze
    cdef TransactionId conflict = InvalidTransactionId
    cdef int i
    memset(result, 0, sizeof(PruneFreezeResult))
    s.vistest = vistest
    s.cutoffs = cutoffs
    s.mark_unused_now = (options & HEAP_PAGE_PRUNE_MARK_UNUSED_NOW) != 0
    s.freeze = (options & HEAP_PAGE_PRUNE_FREEZE) != 0
    s.new_prune_xid = InvalidTransactionId
    s.latest_xid_removed = InvalidTransactionId
    s.visibility_cutoff_xid = InvalidTransactionId
    s.nredirected = s.ndead = s.nunused = s.nfrozen = 0
    s.all_visible = s.all_frozen = s.freeze
    s.result = result
    memset(s.processed, 0, sizeof(s.processed))
    if s.freeze:
        s.pagefrz.freeze_required = False
        s.pagefrz.FreezePageRelfrozenXid = s.pagefrz.NoFreezePageRelfrozenXid = new_relfrozenxid[0]
        s.pagefrz.FreezePageRelminMxid = s.pagefrz.NoFreezePageRelminMxid = new_relminmxid[0]
    classify(&s, rel, buf, max_offset, off_loc)
    hint_fpi = page_get_lsn(page) != lsn_before         # setting a hint bit wrote a full-page image

    do_prune = s.nredirected > 0 or s.ndead > 0 or s.nunused > 0
    do_hint = page_header(page).pd_prune_xid != s.new_prune_xid or page_has_flag(page, PD_PAGE_FULL)
    do_freeze = False
    if s.freeze:
        if s.pagefrz.freeze_required:
            do_freeze = True
        elif s.all_visible and s.all_frozen and s.nfrozen > 0 and relation_needs_wal(rel):
            # Freezing early costs little when a full-page image is written anyhow.
            if hint_fpi:
                do_freeze = True
            elif do_prune:
                do_freeze = xlog_check_buffer_needs_backup(buf)
            elif do_hint:
                do_freeze = xlog_hint_bit_is_needed() and xlog_check_buffer_needs_backup(buf)
    if do_freeze:
        pre_freeze_checks(page, s.frozen, s.nfrozen)
        if s.all_visible and s.all_frozen:
            conflict = s.visibility_cutoff_xid
        else:
            conflict = transaction_id_retreat(cutoffs.OldestXmin)
    elif s.nfrozen > 0:
        s.all_frozen = False
        s.nfrozen = 0

    critical_start()
    if do_hint:
        page_header(page).pd_prune_xid = s.new_prune_xid
        page_clear_flag(page, PD_PAGE_FULL)
        if not do_freeze and not do_prune:
            mark_buffer_dirty_hint(buf, True)
    if do_prune or do_freeze:
        if do_prune:
            heap_page_prune_execute(buf, False, s.redirected, s.nredirected, s.nowdead, s.ndead, s.nowunused,
                                    s.nunused)
        if do_freeze:
            for i in range(s.nfrozen):
                execute_freeze(
                    <HeapTupleHeaderData *> page_get_item(page, page_get_item_id(page, s.frozen[i].offset)),
                    s.frozen[i].xmax, s.frozen[i].t_infomask, s.frozen[i].t_infomask2)
        mark_buffer_dirty(buf)
        if relation_needs_wal(rel):
            if s.latest_xid_removed != InvalidTransactionId and (
                    conflict == InvalidTransactionId or transaction_id_follows(s.latest_xid_removed, conflict)):
                conflict = s.latest_xid_removed
            log_prune_and_freeze(rel, buf, conflict, True, reason, s.frozen, s.nfrozen, s.redirected, s.nredirected,
                                 s.nowdead, s.ndead, s.nowunused, s.nunused)
    critical_end()

    result.nnewlpdead = s.ndead
    result.nfrozen = s.nfrozen
    # Dead line pointers stay until vacuum's second pass: the page is not all-visible with them.
    result.all_visible = s.all_visible and result.lpdead_items == 0
    result.all_frozen = result.all_visible and s.all_frozen
    result.vm_conflict_horizon = InvalidTransactionId if result.all_frozen else s.visibility_cutoff_xid
    if s.freeze:
        if s.nfrozen > 0:
            new_relfrozenxid[0] = s.pagefrz.FreezePageRelfrozenXid
            new_relminmxid[0] = s.pagefrz.FreezePageRelminMxid
        else:
            new_relfrozenxid[0] = s.pagefrz.NoFreezePageRelfrozenXid
            new_relminmxid[0] = s.pagefrz.NoFreezePageRelminMxid
    return 0


cdef int heap_page_prune_execute(
    int buf, bint lp_truncate_only, const OffsetNumber *redirected, int nredirected, const OffsetNumber *nowdead,
    int ndead, const OffsetNumber *nowunused, int nunused,
) except -1:
    """Do what was decided; used by redo too. With lp_truncate_only no tuple moves: no cleanup lock is needed."""
    cdef char *page = buffer_page(buf)
    cdef int i
    for i in range(nredirected):
        item_id_set_redirect(page_get_item_id(page, redirected[2 * i]), redirected[2 * i + 1])
    for i in range(ndead):
        item_id_set_dead(page_get_item_id(page, nowdead[i]))
    for i in range(nunused):
        item_id_set_unused(page_get_item_id(page, nowunused[i]))
    if lp_truncate_only:
        page_truncate_line_pointer_array(page)
    else:
        page_repair_fragmentation(page)
    return 0


cdef int compare_plans(const void *a, const void *b) noexcept nogil:
    """Equal plans together, offsets ascending within."""
    cdef const HeapTupleFreeze *x = <const HeapTupleFreeze *> a
    cdef const HeapTupleFreeze *y = <const HeapTupleFreeze *> b
    if x.xmax != y.xmax:
        return -1 if x.xmax < y.xmax else 1
    if x.t_infomask2 != y.t_infomask2:
        return -1 if x.t_infomask2 < y.t_infomask2 else 1
    if x.t_infomask != y.t_infomask:
        return -1 if x.t_infomask < y.t_infomask else 1
    if x.frzflags != y.frzflags:
        return -1 if x.frzflags < y.frzflags else 1
    return -1 if x.offset < y.offset else 1


cdef int make_freeze_plans(
    HeapTupleFreeze *tuples, int n, xlhp_freeze_plan *plans, OffsetNumber *offsets,
) noexcept:
    """Group tuples that become the same: most pages need one plan for all."""
    cdef int i
    cdef int nplans = 0
    qsort(tuples, n, sizeof(HeapTupleFreeze), compare_plans)
    for i in range(n):
        if nplans == 0 or plans[nplans - 1].xmax != tuples[i].xmax \
                or plans[nplans - 1].t_infomask2 != tuples[i].t_infomask2 \
                or plans[nplans - 1].t_infomask != tuples[i].t_infomask \
                or plans[nplans - 1].frzflags != tuples[i].frzflags:
            plans[nplans].xmax = tuples[i].xmax
            plans[nplans].t_infomask2 = tuples[i].t_infomask2
            plans[nplans].t_infomask = tuples[i].t_infomask
            plans[nplans].frzflags = tuples[i].frzflags
            plans[nplans].pad = 0
            plans[nplans].ntuples = 0
            nplans += 1
        plans[nplans - 1].ntuples += 1
        offsets[i] = tuples[i].offset
    return nplans


cdef int log_prune_and_freeze(
    Relation rel, int buf, TransactionId conflict, bint cleanup_lock, int reason, HeapTupleFreeze *frozen,
    int nfrozen, const OffsetNumber *redirected, int nredirected, const OffsetNumber *nowdead, int ndead,
    const OffsetNumber *nowunused, int nunused,
) except -1:
    """Write an XLOG_HEAP2_PRUNE_* record; in a critical section."""
    cdef xl_heap_prune rec
    cdef uint16_t plans_header[2]
    cdef uint16_t redirect_count, dead_count, unused_count
    cdef xlhp_freeze_plan plans[MAX_TUPLES]
    cdef OffsetNumber offsets[MAX_TUPLES]
    cdef uint8_t info = XLOG_HEAP2_PRUNE_ON_ACCESS
    cdef int nplans
    cdef Lsn lsn
    rec.reason = 0
    rec.flags = 0
    xlog_begin_insert()
    xlog_register_buffer(0, buf, REGBUF_STANDARD)
    if nfrozen > 0:
        rec.flags |= XLHP_HAS_FREEZE_PLANS
        nplans = make_freeze_plans(frozen, nfrozen, plans, offsets)
        plans_header[0] = <uint16_t> nplans
        plans_header[1] = 0
        xlog_register_buf_data(0, plans_header, 4)
        xlog_register_buf_data(0, plans, nplans * sizeof(xlhp_freeze_plan))
    if nredirected > 0:
        rec.flags |= XLHP_HAS_REDIRECTIONS
        redirect_count = <uint16_t> nredirected
        xlog_register_buf_data(0, &redirect_count, 2)
        xlog_register_buf_data(0, redirected, 4 * nredirected)
    if ndead > 0:
        rec.flags |= XLHP_HAS_DEAD_ITEMS
        dead_count = <uint16_t> ndead
        xlog_register_buf_data(0, &dead_count, 2)
        xlog_register_buf_data(0, nowdead, 2 * ndead)
    if nunused > 0:
        rec.flags |= XLHP_HAS_NOW_UNUSED_ITEMS
        unused_count = <uint16_t> nunused
        xlog_register_buf_data(0, &unused_count, 2)
        xlog_register_buf_data(0, nowunused, 2 * nunused)
    if nfrozen > 0:
        xlog_register_buf_data(0, offsets, 2 * nfrozen)
    if relation_is_accessible_in_logical_decoding(rel):
        rec.flags |= XLHP_IS_CATALOG_REL
    if conflict != InvalidTransactionId:
        rec.flags |= XLHP_HAS_CONFLICT_HORIZON
    if cleanup_lock:
        rec.flags |= XLHP_CLEANUP_LOCK
    xlog_register_data(&rec, sizeof(rec))
    if conflict != InvalidTransactionId:
        xlog_register_data(&conflict, 4)
    if reason == PRUNE_VACUUM_SCAN:
        info = XLOG_HEAP2_PRUNE_VACUUM_SCAN
    elif reason == PRUNE_VACUUM_CLEANUP:
        info = XLOG_HEAP2_PRUNE_VACUUM_CLEANUP
    lsn = xlog_insert(RM_HEAP2_ID, info)
    page_set_lsn(buffer_page(buf), lsn)
    return 0


cdef int heap_vacuum_page_items(Relation rel, int buf, int vm_buf, const OffsetNumber *dead, int ndead) except -1:
    """Second pass of vacuum over a page, exclusively locked: line pointers that no index refers to any more."""
    cdef char *page = buffer_page(buf)
    cdef int i
    for i in range(ndead):
        if not item_id_is_dead(page_get_item_id(page, dead[i])):
            raise SqlError(errcode.INTERNAL_ERROR, "line pointer to be reused is not dead")
    critical_start()
    for i in range(ndead):
        item_id_set_unused(page_get_item_id(page, dead[i]))
    page_truncate_line_pointer_array(page)
    mark_buffer_dirty(buf)
    if relation_needs_wal(rel):
        log_prune_and_freeze(rel, buf, InvalidTransactionId, False, PRUNE_VACUUM_CLEANUP, NULL, 0, NULL, 0, NULL, 0,
                             dead, ndead)
    critical_end()
    return 0


cdef Lsn log_heap_visible(
    const RelFileLocator *locator, int heap_buffer, int vm_buffer, TransactionId cutoff_xid, uint8_t flags,
) except 0:
    """The record of setting visibility map bits; the map's page is block 0, the heap's block 1."""
    cdef xl_heap_visible rec
    cdef uint8_t heap_flags = REGBUF_STANDARD
    rec.snapshotConflictHorizon = cutoff_xid
    rec.flags = flags
    if not xlog_hint_bit_is_needed():
        heap_flags |= REGBUF_NO_IMAGE
    xlog_begin_insert()
    xlog_register_data(&rec, sizeof(rec))
    xlog_register_buffer(0, vm_buffer, 0)
    xlog_register_buffer(1, heap_buffer, heap_flags)
    return xlog_insert(RM_HEAP2_ID, XLOG_HEAP2_VISIBLE)


_visibilitymap.log_heap_visible_hook = log_heap_visible
