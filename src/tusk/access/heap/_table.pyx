"""Heap tables from Python: rows as lists of raw datums (None, int for by-value types, bytes as in memory otherwise).

For tests, tools and code that is not hot. TIDs are (block, offset). Nothing here touches indexes.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from tusk._types cimport (
    BLCKSZ, MAIN_FORK, BlockNumber, Datum, InvalidBlockNumber, ItemPointerData, MultiXactId, OffsetNumber,
    TransactionId, tid_block, tid_offset, tid_set,
)
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport (
    MaxTupleAttributeNumber, HeapTupleData, HeapTupleHeaderData, datum_size, heap_deform_tuple,
    heap_form_tuple_malloc,
)
from tusk.access._tupdesc cimport TupleDesc
from tusk.access.heap._heap cimport (
    HEAP_INSERT_SPECULATIVE, TM_FailureData, BulkInsertState, heap_abort_speculative, heap_delete,
    heap_finish_speculative, heap_insert, heap_multi_insert, make_bulk_insert_state, release_bulk_insert_pin,
)
from tusk.access.heap._lock_tuple cimport heap_lock_tuple, table_tuple_lock
from tusk.access.heap._prune cimport (
    HEAP_PAGE_PRUNE_FREEZE, PRUNE_ON_ACCESS, PRUNE_VACUUM_SCAN, PruneFreezeResult, VacuumCutoffs,
    heap_page_prune_and_freeze, heap_page_prune_opt, heap_vacuum_page_items,
)
from tusk.access.heap._scan cimport (
    HeapScan, IndexFetch, begin_heap_scan, heap_fetch, heap_page_visible_tuples, vis_kind,
)
from tusk.access.heap._update cimport heap_update
from tusk.storage._buffer cimport (
    BUFFER_LOCK_SHARE, BUFFER_LOCK_UNLOCK, RBM_NORMAL, buffer_page, lock_buffer, lock_buffer_for_cleanup,
    read_buffer, relation_nblocks, release_buffer, unlock_release_buffer,
)
from tusk.storage._page cimport PD_ALL_VISIBLE, page_set_flag
from tusk.storage._visibilitymap cimport (
    VISIBILITYMAP_ALL_FROZEN, VISIBILITYMAP_ALL_VISIBLE, visibilitymap_get_status, visibilitymap_pin,
    visibilitymap_set,
)
from tusk.storage._buffer cimport mark_buffer_dirty
from tusk.transaction cimport _snapshot
from tusk.transaction._snapshot cimport Snapshot, get_transaction_snapshot, global_vis_test_for
from tusk.transaction._xact cimport get_current_command_id

RESULTS = ("ok", "invisible", "self_modified", "updated", "deleted", "being_modified", "would_block")
UPDATE_INDEXES = ("none", "all", "summarizing")
LOCK_MODES = {"key share": 0, "share": 1, "no key update": 2, "update": 3}
WAIT_POLICIES = {"block": 0, "skip": 1, "error": 2}


cdef HeapTupleData *form(TupleDesc desc, object values) except NULL:
    cdef Datum datums[MaxTupleAttributeNumber]
    cdef uint8_t nulls[MaxTupleAttributeNumber]
    cdef int i
    if len(values) != desc.natts:
        raise ValueError(f"{len(values)} values for {desc.natts} attributes")
    for i in range(desc.natts):
        value = values[i]
        nulls[i] = value is None
        datums[i] = 0
        if value is not None:
            datums[i] = <Datum> <int64_t> value if desc.attrs[i].attbyval else <Datum> <const char *> (<bytes> value)
    return heap_form_tuple_malloc(desc, datums, nulls)


cdef list deform(TupleDesc desc, const HeapTupleHeaderData *tup):
    cdef Datum datums[MaxTupleAttributeNumber]
    cdef uint8_t nulls[MaxTupleAttributeNumber]
    cdef int i
    cdef list out = []
    heap_deform_tuple(tup, &desc.c, desc.natts, datums, nulls)
    for i in range(desc.natts):
        if nulls[i]:
            out.append(None)
        elif desc.attrs[i].attbyval:
            out.append(<int64_t> datums[i])
        else:
            out.append((<const char *> datums[i])[:datum_size(datums[i], False, desc.attrs[i].attlen)])
    return out


cdef tuple tid_tuple(const ItemPointerData *tid):
    return (tid_block(tid), tid_offset(tid))


cdef ItemPointerData tid_of(tuple tid):
    cdef ItemPointerData out
    tid_set(&out, tid[0], tid[1])
    return out


cdef dict failure(const TM_FailureData *tmfd):
    return {"ctid": tid_tuple(&tmfd.ctid), "xmax": tmfd.xmax, "cmax": tmfd.cmax}


def insert_row(Relation rel, values, int options=0):
    """Insert a row; its TID."""
    cdef HeapTupleData *tup = form(rel.desc, values)
    try:
        heap_insert(rel, tup, get_current_command_id(True), options, None)
        return tid_tuple(&tup.t_self)
    finally:
        free(tup)


def insert_rows(Relation rel, rows, int options=0):
    """Insert many rows at once; their TIDs."""
    cdef int n = len(rows)
    cdef int i
    cdef HeapTupleData **tuples = <HeapTupleData **> malloc(n * sizeof(HeapTupleData *))
    cdef BulkInsertState state = make_bulk_insert_state()
    for i in range(n):
        tuples[i] = form(rel.desc, rows[i])
    try:
        heap_multi_insert(rel, tuples, n, get_current_command_id(True), options, state)
        return [tid_tuple(&tuples[i].t_self) for i in range(n)]
    finally:
        release_bulk_insert_pin(state)
        for i in range(n):
            free(tuples[i])
        free(tuples)


def insert_speculative(Relation rel, values, uint32_t token):
    """Insert a row that others know to be tentative; its TID."""
    cdef HeapTupleData *tup = form(rel.desc, values)
    try:
        tid_set(&tup.t_data.t_ctid, token, 0xFFFE)
        heap_insert(rel, tup, get_current_command_id(True), HEAP_INSERT_SPECULATIVE, None)
        return tid_tuple(&tup.t_self)
    finally:
        free(tup)


def finish_speculative(Relation rel, tuple tid, bint succeeded):
    """Make a tentative row an ordinary one, or take it back."""
    cdef ItemPointerData where = tid_of(tid)
    if succeeded:
        heap_finish_speculative(rel, &where)
    else:
        heap_abort_speculative(rel, &where)


def delete_row(Relation rel, tuple tid, bint wait=True):
    """Delete a row version: ("ok", None), or what came of it and who is in the way."""
    cdef ItemPointerData where = tid_of(tid)
    cdef TM_FailureData tmfd
    cdef int result = heap_delete(rel, &where, get_current_command_id(True), None, wait, &tmfd, False)
    return RESULTS[result], failure(&tmfd) if result else None


def update_row(Relation rel, tuple tid, values, bint wait=True):
    """Replace a row version: ("ok", new tid, which indexes need entries), or (result, None, failure)."""
    cdef ItemPointerData where = tid_of(tid)
    cdef TM_FailureData tmfd
    cdef int lockmode = 0
    cdef int update_indexes = 0
    cdef int result
    cdef HeapTupleData *tup = form(rel.desc, values)
    try:
        result = heap_update(rel, &where, tup, get_current_command_id(True), None, wait, &tmfd, &lockmode,
                             &update_indexes)
        if result:
            return RESULTS[result], None, failure(&tmfd)
        return "ok", tid_tuple(&tup.t_self), UPDATE_INDEXES[update_indexes]
    finally:
        free(tup)


def lock_row(Relation rel, tuple tid, str mode="update", str wait_policy="block", bint follow=False):
    """Lock a row version: (result, failure or None)."""
    cdef HeapTupleData tup
    cdef TM_FailureData tmfd
    cdef int buf = 0
    cdef int result
    tup.t_self = tid_of(tid)
    result = heap_lock_tuple(rel, &tup, get_current_command_id(True), LOCK_MODES[mode], WAIT_POLICIES[wait_policy],
                             follow, &buf, &tmfd)
    release_buffer(buf)
    return RESULTS[result], failure(&tmfd) if result else None


def lock_latest(Relation rel, tuple tid, str mode="update", str wait_policy="block"):
    """Lock the newest version of a row (READ COMMITTED): (result, its tid and values or None)."""
    cdef HeapTupleData tup
    cdef ItemPointerData where = tid_of(tid)
    cdef TM_FailureData tmfd
    cdef int buf = 0
    cdef int result = table_tuple_lock(rel, &where, &tup, get_current_command_id(True), LOCK_MODES[mode],
                                       WAIT_POLICIES[wait_policy], True, True, &buf, &tmfd)
    try:
        return RESULTS[result], (tid_tuple(&tup.t_self), deform(rel.desc, tup.t_data)) if result == 0 else None
    finally:
        if buf:
            release_buffer(buf)


def scan_rows(Relation rel, Snapshot snapshot=None, bint backward=False):
    """All visible rows: [(tid, values)]."""
    cdef HeapScan scan
    cdef HeapTupleData *tup
    if snapshot is None:
        snapshot = get_transaction_snapshot()
        snapshot.curcid = get_current_command_id(False)
    scan = begin_heap_scan(rel, snapshot)
    out = []
    try:
        while True:
            tup = scan.next_tuple(backward)
            if tup == NULL:
                return out
            out.append((tid_tuple(&tup.t_self), deform(rel.desc, tup.t_data)))
    finally:
        scan.end()


def count_rows(Relation rel, Snapshot snapshot=None):
    """How many rows are visible, by pages."""
    cdef HeapScan scan = begin_heap_scan(rel, snapshot if snapshot is not None else get_transaction_snapshot())
    cdef long long n = 0
    while scan.next_page():
        n += scan.ntuples
    scan.end()
    return n


def fetch_row(Relation rel, tuple tid, Snapshot snapshot=None):
    """The values of a row version if it is visible, else None."""
    cdef HeapTupleData tup
    cdef int buf = 0
    tup.t_self = tid_of(tid)
    if not heap_fetch(rel, snapshot if snapshot is not None else get_transaction_snapshot(), &tup, &buf, False):
        return None
    try:
        return deform(rel.desc, tup.t_data)
    finally:
        release_buffer(buf)


def fetch_by_index(Relation rel, tuple tid, Snapshot snapshot=None):
    """What an index entry with this TID leads to: (tid, values, all dead)."""
    cdef IndexFetch state = IndexFetch(rel)
    cdef ItemPointerData where = tid_of(tid)
    if snapshot is None:
        snapshot = get_transaction_snapshot()
    try:
        if not state.fetch(&where, snapshot, True):
            return None, None, bool(state.all_dead)
        return tid_tuple(&where), deform(rel.desc, state.tup.t_data), False
    finally:
        state.reset()


def page_rows(Relation rel, BlockNumber block, Snapshot snapshot=None):
    """The offsets of the visible rows of a block."""
    cdef OffsetNumber offsets[291]
    cdef HeapTupleHeaderData *headers[291]
    cdef uint32_t lengths[291]
    cdef int buf = 0
    cdef int n = heap_page_visible_tuples(rel, snapshot if snapshot is not None else get_transaction_snapshot(),
                                          block, &buf, offsets, headers, lengths)
    release_buffer(buf)
    return [offsets[i] for i in range(n)]


def read_page(Relation rel, BlockNumber block):
    """The bytes of a block as they are in the pool."""
    cdef int buf = read_buffer(&rel.rd_locator, rel.relpersistence, MAIN_FORK, block, RBM_NORMAL, NULL)
    lock_buffer(buf, BUFFER_LOCK_SHARE)
    page = buffer_page(buf)[:BLCKSZ]
    unlock_release_buffer(buf)
    return page


def prune_page(Relation rel, BlockNumber block, bint opportunistic=False):
    """Prune a block: how many tuples went (None when opportunistic)."""
    cdef PruneFreezeResult result
    cdef OffsetNumber off_loc = 0
    cdef int buf = read_buffer(&rel.rd_locator, rel.relpersistence, MAIN_FORK, block, RBM_NORMAL, NULL)
    if opportunistic:
        heap_page_prune_opt(rel, buf)
        release_buffer(buf)
        return None
    lock_buffer_for_cleanup(buf)
    heap_page_prune_and_freeze(rel, buf, global_vis_test_for(vis_kind(rel)), 0, NULL, &result, PRUNE_ON_ACCESS,
                               &off_loc, NULL, NULL)
    unlock_release_buffer(buf)
    return result.ndeleted


def vacuum_page(
    Relation rel, BlockNumber block, TransactionId oldest_xmin, TransactionId freeze_limit, MultiXactId oldest_multi=1,
    bint second_pass=False,
):
    """What vacuum does to a page: prune and freeze, reclaim dead line pointers if no index is left that has them
    (second_pass), mark it in the visibility map. A dict of what happened."""
    cdef PruneFreezeResult result
    cdef VacuumCutoffs cutoffs
    cdef OffsetNumber off_loc = 0
    cdef TransactionId frozen_xid = oldest_xmin
    cdef MultiXactId min_multi = oldest_multi
    cdef int vm_buf = 0
    cdef int flags = 0
    cdef int buf
    cutoffs.relfrozenxid = rel.relfrozenxid if rel.relfrozenxid else 3
    cutoffs.relminmxid = rel.relminmxid if rel.relminmxid else 1
    cutoffs.OldestXmin = oldest_xmin
    cutoffs.OldestMxact = oldest_multi
    cutoffs.FreezeLimit = freeze_limit
    cutoffs.MultiXactCutoff = oldest_multi
    visibilitymap_pin(&rel.rd_locator, rel.relpersistence, block, &vm_buf)
    buf = read_buffer(&rel.rd_locator, rel.relpersistence, MAIN_FORK, block, RBM_NORMAL, NULL)
    lock_buffer_for_cleanup(buf)
    heap_page_prune_and_freeze(rel, buf, global_vis_test_for(vis_kind(rel)), HEAP_PAGE_PRUNE_FREEZE, &cutoffs,
                               &result, PRUNE_VACUUM_SCAN, &off_loc, &frozen_xid, &min_multi)
    if second_pass and result.lpdead_items:
        heap_vacuum_page_items(rel, buf, vm_buf, result.deadoffsets, result.lpdead_items)
    if result.all_visible:
        flags = VISIBILITYMAP_ALL_VISIBLE
        if result.all_frozen:
            flags |= VISIBILITYMAP_ALL_FROZEN
        page_set_flag(buffer_page(buf), PD_ALL_VISIBLE)
        mark_buffer_dirty(buf)
        visibilitymap_set(&rel.rd_locator, rel.relpersistence, block, buf, 0, vm_buf, result.vm_conflict_horizon,
                          <uint8_t> flags)
    unlock_release_buffer(buf)
    release_buffer(vm_buf)
    return {"deleted": result.ndeleted, "frozen": result.nfrozen, "live": result.live_tuples,
            "lpdead": result.lpdead_items, "all_visible": bool(result.all_visible),
            "all_frozen": bool(result.all_frozen), "relfrozenxid": frozen_xid}


def visibility_status(Relation rel, BlockNumber block):
    """The visibility map's bits of a block."""
    cdef int vm_buf = 0
    cdef int bits = visibilitymap_get_status(&rel.rd_locator, rel.relpersistence, block, &vm_buf)
    if vm_buf:
        release_buffer(vm_buf)
    return bits


def benchmark(Relation rel, values, int n):
    """Nanoseconds per insertion, HOT-or-not update, fetch by TID and fetch as an index does, over n rows."""
    from time import perf_counter_ns
    cdef HeapTupleData *tup = form(rel.desc, values)
    cdef ItemPointerData *tids = <ItemPointerData *> malloc(n * sizeof(ItemPointerData))
    cdef IndexFetch state = IndexFetch(rel)
    cdef HeapTupleData found
    cdef TM_FailureData tmfd
    cdef int lockmode = 0
    cdef int update_indexes = 0
    cdef int buf = 0
    cdef int i
    cdef HeapScan scan
    cdef long long nrows = 0
    cdef Snapshot snapshot = get_transaction_snapshot()
    out = {}
    begin = perf_counter_ns()
    for i in range(n):
        heap_insert(rel, tup, 0, 0, None)
        tids[i] = tup.t_self
    out["insert"] = (perf_counter_ns() - begin) / n
    snapshot.curcid = 1
    begin = perf_counter_ns()
    for i in range(n):
        found.t_self = tids[i]
        heap_fetch(rel, snapshot, &found, &buf, False)
        release_buffer(buf)
    out["fetch"] = (perf_counter_ns() - begin) / n
    begin = perf_counter_ns()
    for i in range(n):
        state.fetch(&tids[(i * 7919) % n], snapshot, True)
    out["index fetch"] = (perf_counter_ns() - begin) / n
    state.reset()
    begin = perf_counter_ns()
    scan = begin_heap_scan(rel, snapshot)
    while scan.next_page():
        nrows += scan.ntuples
    scan.end()
    out["scan"] = (perf_counter_ns() - begin) / max(nrows, 1)
    begin = perf_counter_ns()
    for i in range(n):
        heap_update(rel, &tids[i], tup, 1, None, True, &tmfd, &lockmode, &update_indexes)
    out["update"] = (perf_counter_ns() - begin) / n
    free(tids)
    free(tup)
    return out


def relation_blocks(Relation rel):
    """How many blocks the table has."""
    return relation_nblocks(&rel.rd_locator, rel.relpersistence, MAIN_FORK)
