"""What this process has counted and not yet added to the shared statistics (pgstat_relation.c, pgstat_xact.c in kind).

Counting is an addition to memory of the process. Once a second at most, between transactions, what has been counted
goes to the shared entries. Rows inserted, updated and deleted are kept by subtransaction until it is known whether
they stay.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from tusk._types cimport Oid, RelFileLocator
from tusk.memory._process cimport MyProc, MyProcNumber
from tusk.stats._store cimport (
    PGSTAT_KIND_BACKEND, PGSTAT_KIND_DATABASE, PGSTAT_KIND_FUNCTION, PGSTAT_KIND_IO, PGSTAT_KIND_RELATION,
    PGSTAT_KIND_SLRU, PGSTAT_KIND_WAL, StatsEntryRef, drop_stats_entry, find_stats_entry, lock_fixed_stats,
    lock_stats_entry, stats_now, unlock_fixed_stats, unlock_stats_entry)

from tusk.config import on_assign
from tusk.stats import _store

cdef extern from "<time.h>" nogil:
    ctypedef long time_t
    cdef struct timespec:
        time_t tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec *now)

cdef enum:
    CLOCK_MONOTONIC_COARSE = 6
    MIN_INTERVAL_MS = 1000          # between two flushes that nobody forced
    IO_WORDS = 360

# Positions in the shared entries: structs of pgstat.h
cdef enum:
    TAB_NUMSCANS = 0                # of a table: sequential scans; of an index: index scans
    TAB_LASTSCAN
    TAB_RETURNED
    TAB_FETCHED
    TAB_INSERTED
    TAB_UPDATED
    TAB_DELETED
    TAB_HOT_UPDATED
    TAB_NEWPAGE_UPDATED
    TAB_LIVE
    TAB_DEAD
    TAB_MOD_SINCE_ANALYZE
    TAB_INS_SINCE_VACUUM
    TAB_BLOCKS_FETCHED
    TAB_BLOCKS_HIT

cdef enum:
    DB_XACT_COMMIT = 0
    DB_XACT_ROLLBACK
    DB_BLOCKS_FETCHED
    DB_BLOCKS_HIT
    DB_RETURNED
    DB_FETCHED
    DB_INSERTED
    DB_UPDATED
    DB_DELETED
    DB_LAST_AUTOVAC
    DB_CONFLICTS                    # six of them
    DB_TEMP_FILES = 16
    DB_TEMP_BYTES
    DB_DEADLOCKS
    DB_CHECKSUM_FAILURES
    DB_LAST_CHECKSUM_FAILURE
    DB_BLK_READ_TIME
    DB_BLK_WRITE_TIME
    DB_SESSIONS
    DB_SESSION_TIME
    DB_ACTIVE_TIME
    DB_IDLE_IN_TRANSACTION_TIME
    DB_SESSIONS_ABANDONED
    DB_SESSIONS_FATAL
    DB_SESSIONS_KILLED
    DB_WORKERS_TO_LAUNCH
    DB_WORKERS_LAUNCHED

cdef struct DropItem:               # xl_xact_stats_item, and whether it is for a commit or an abort
    int32_t kind
    Oid dboid
    uint32_t objid_low
    uint32_t objid_high

cdef struct XactLevel:
    TableXact *first
    DropItem *at_commit
    int n_at_commit
    DropItem *at_abort
    int n_at_abort

cdef struct FunctionCounts:
    Oid oid
    int64_t calls
    int64_t total_ns
    int64_t self_ns

discarded_counts.sink = True
cdef TableXact _discarded_xact
cdef RelationCounts **_oid_buckets = NULL
cdef uint32_t _oid_mask = 0
cdef uint32_t _nrelations = 0
cdef XactLevel *_levels = NULL
cdef int _nlevels = 0
cdef TableXact *_free_xacts = NULL
cdef Oid _database = 0
cdef bint _track_counts = True
cdef int64_t _last_flush_ms = 0
cdef bint _force_next = False
cdef int64_t _session_reported = 0  # when session_time was last added; 0: this is no client's session
cdef int _session_end = 0
cdef WalCounts _wal_flushed
cdef StatsEntryRef _database_ref
cdef StatsEntryRef _backend_ref
cdef bint _backend_tracked = False
cdef FunctionCounts *_functions = NULL
cdef int _nfunctions = 0
cdef bint _snapshot_kept = False
_forget_snapshot = None


# Relations


cdef inline uint32_t _hash(uint32_t number) noexcept nogil:
    return number * <uint32_t> 2654435761 >> 8


cdef bint _grow_tables() noexcept:
    """Both tables twice as long; False without memory."""
    cdef uint32_t size = (_oid_mask + 1) * 2 if _oid_buckets != NULL else 512
    cdef RelationCounts **by_oid = <RelationCounts **> calloc(size, sizeof(void *))
    cdef RelationCounts **by_locator = <RelationCounts **> calloc(size, sizeof(void *))
    cdef RelationCounts *counts
    cdef RelationCounts *following
    cdef uint32_t i, at
    global _oid_buckets, _oid_mask, locator_buckets, locator_mask
    if by_oid == NULL or by_locator == NULL:
        free(by_oid)
        free(by_locator)
        return False
    if _oid_buckets != NULL:
        for i in range(_oid_mask + 1):
            counts = _oid_buckets[i]
            while counts != NULL:
                following = counts.next_by_oid
                at = _hash(counts.relid) & (size - 1)
                counts.next_by_oid = by_oid[at]
                by_oid[at] = counts
                if counts.locator.relNumber != 0:
                    at = _hash(counts.locator.relNumber) & (size - 1)
                    counts.next_by_locator = by_locator[at]
                    by_locator[at] = counts
                counts = following
        free(_oid_buckets)
        free(locator_buckets)
    _oid_buckets, locator_buckets = by_oid, by_locator
    _oid_mask = locator_mask = size - 1
    return True


cdef RelationCounts *_find_relation(Oid relid, bint shared) noexcept nogil:
    cdef RelationCounts *counts
    if _oid_buckets == NULL:
        return NULL
    counts = _oid_buckets[_hash(relid) & _oid_mask]
    while counts != NULL and (counts.relid != relid or counts.shared != shared):
        counts = counts.next_by_oid
    return counts


cdef RelationCounts *use_relation_counts(Oid relid, bint shared, const RelFileLocator *locator) noexcept:
    """See the .pxd. Without memory, counts are given up."""
    cdef RelationCounts *counts = _find_relation(relid, shared)
    global _nrelations
    if counts == NULL:
        if _oid_buckets == NULL or _nrelations > _oid_mask:
            if not _grow_tables() and _oid_buckets == NULL:
                return &discarded_counts
        counts = <RelationCounts *> calloc(1, sizeof(RelationCounts))
        if counts == NULL:
            return &discarded_counts
        counts.relid = relid
        counts.shared = shared
        counts.next_by_oid = _oid_buckets[_hash(relid) & _oid_mask]
        _oid_buckets[_hash(relid) & _oid_mask] = counts
        _nrelations += 1
    counts.users += 1
    set_counts_locator(counts, locator)
    return counts


cdef void leave_relation_counts(RelationCounts *counts) noexcept:
    """A descriptor is gone; the next flush frees counts that nobody uses."""
    if not counts.sink and counts.users > 0:
        counts.users -= 1


cdef void _unlink_locator(RelationCounts *counts) noexcept:
    cdef RelationCounts **link
    if counts.locator.relNumber == 0:
        return
    link = &locator_buckets[_hash(counts.locator.relNumber) & locator_mask]
    while link[0] != NULL and link[0] != counts:
        link = &link[0].next_by_locator
    if link[0] == counts:
        link[0] = counts.next_by_locator
    counts.locator.relNumber = 0


cdef void set_counts_locator(RelationCounts *counts, const RelFileLocator *locator) noexcept:
    """Reads of blocks of this file count for the relation from now on."""
    cdef uint32_t at
    if counts.sink or (locator.relNumber == counts.locator.relNumber and locator.dbOid == counts.locator.dbOid
                       and locator.spcOid == counts.locator.spcOid):
        return
    _unlink_locator(counts)
    if locator.relNumber == 0:
        return
    counts.locator = locator[0]
    at = _hash(locator.relNumber) & locator_mask
    counts.next_by_locator = locator_buckets[at]
    locator_buckets[at] = counts


cdef void push_table_xact(RelationCounts *counts) noexcept nogil:
    """Begin to count the rows of the current level of transactions."""
    cdef TableXact *trans = NULL
    global _free_xacts
    if counts.trans == &_discarded_xact:
        counts.trans = NULL
    if not counts.sink and 0 < stats_nest_level <= _nlevels:
        trans = _free_xacts
        if trans != NULL:
            _free_xacts = trans.next
            memset(trans, 0, sizeof(TableXact))
        else:
            trans = <TableXact *> calloc(1, sizeof(TableXact))
    if trans == NULL:
        # Outside of a transaction, or without memory: the caller needs a place to count in all the same.
        if counts.trans == NULL:
            memset(&_discarded_xact, 0, sizeof(TableXact))
            _discarded_xact.nest_level = stats_nest_level
            counts.trans = &_discarded_xact
        return
    trans.nest_level = stats_nest_level
    trans.parent = counts
    trans.upper = counts.trans
    trans.next = _levels[stats_nest_level - 1].first
    _levels[stats_nest_level - 1].first = trans
    counts.trans = trans


cdef void _release_xact(TableXact *trans) noexcept nogil:
    global _free_xacts
    trans.next = _free_xacts
    _free_xacts = trans


cdef void _save_before(TableXact *trans, bint is_drop) noexcept nogil:
    if not trans.truncdropped or is_drop:
        trans.inserted_before = trans.inserted
        trans.updated_before = trans.updated
        trans.deleted_before = trans.deleted
        trans.truncdropped = True
    trans.inserted = trans.updated = trans.deleted = 0


cdef void _restore_before(TableXact *trans) noexcept nogil:
    if trans.truncdropped:
        trans.inserted = trans.inserted_before
        trans.updated = trans.updated_before
        trans.deleted = trans.deleted_before


def count_truncate(Oid relid, bint shared) -> None:
    """The current (sub)transaction has emptied the table (pgstat_count_truncate)."""
    cdef RelationCounts *counts = _find_relation(relid, shared)
    if counts != NULL and stats_nest_level > 0:
        _save_before(table_xact(counts), False)


# Transactions


cdef void stats_xact_start() noexcept nogil:
    """A top-level transaction begins."""
    global stats_nest_level
    stats_nest_level = 0
    stats_subxact_start()


cdef void stats_subxact_start() noexcept nogil:
    """One level deeper."""
    global stats_nest_level, _levels, _nlevels
    cdef XactLevel *levels
    if stats_nest_level >= _nlevels:
        levels = <XactLevel *> realloc(_levels, (_nlevels + 16) * sizeof(XactLevel))
        if levels != NULL:
            _levels = levels
            memset(_levels + _nlevels, 0, 16 * sizeof(XactLevel))
            _nlevels += 16
    stats_nest_level += 1


cdef int _add_item(DropItem **items, int *n, const DropItem *item) except -1:
    cdef DropItem *grown
    if n[0] & (n[0] - 1) == 0 or items[0] == NULL:
        grown = <DropItem *> realloc(items[0], max(1, n[0] * 2) * sizeof(DropItem))
        if grown == NULL:
            raise MemoryError
        items[0] = grown
    items[0][n[0]] = item[0]
    n[0] += 1
    return 0


cdef int _execute(DropItem *items, int n) except -1:
    cdef int i
    for i in range(n):
        drop_stats_entry(items[i].kind, items[i].dboid,
                         <uint64_t> items[i].objid_high << 32 | items[i].objid_low)
    return 0


cdef void _clear(XactLevel *level) noexcept:
    free(level.at_commit)
    free(level.at_abort)
    memset(level, 0, sizeof(XactLevel))


cdef int stats_subxact_end(bint is_commit) except -1:
    """The current subtransaction ends: its rows go to the one around it, or are dead."""
    global stats_nest_level
    cdef int nest_level = stats_nest_level
    cdef XactLevel *level
    cdef XactLevel *outer
    cdef TableXact *trans
    cdef TableXact *following
    cdef TableXact *upper
    cdef int i
    if nest_level <= 1:
        return 0
    stats_nest_level = nest_level - 1
    if nest_level > _nlevels:
        return 0
    level = &_levels[nest_level - 1]
    outer = &_levels[nest_level - 2]
    trans = level.first
    while trans != NULL:
        following = trans.next
        upper = trans.upper
        if is_commit and (upper == NULL or upper.nest_level != nest_level - 1):
            # Nothing was counted out there: this count moves out.
            trans.nest_level = nest_level - 1
            trans.next = outer.first
            outer.first = trans
        else:
            if is_commit:
                if trans.truncdropped:
                    _save_before(upper, False)
                    upper.inserted = trans.inserted
                    upper.updated = trans.updated
                    upper.deleted = trans.deleted
                else:
                    upper.inserted += trans.inserted
                    upper.updated += trans.updated
                    upper.deleted += trans.deleted
            else:
                _add_aborted(trans)
            trans.parent.trans = upper
            _release_xact(trans)
        trans = following
    level.first = NULL
    if is_commit:
        for i in range(level.n_at_commit):
            _add_item(&outer.at_commit, &outer.n_at_commit, &level.at_commit[i])
        for i in range(level.n_at_abort):
            _add_item(&outer.at_abort, &outer.n_at_abort, &level.at_abort[i])
    elif level.n_at_abort:
        _execute(level.at_abort, level.n_at_abort)
    if level.at_commit != NULL or level.at_abort != NULL:
        _clear(level)
    return 0


cdef void _add_aborted(TableXact *trans) noexcept nogil:
    """What was tried counts; rows that were written are dead."""
    cdef RelationCounts *counts = trans.parent
    _restore_before(trans)
    counts.tuples_inserted += trans.inserted
    counts.tuples_updated += trans.updated
    counts.tuples_deleted += trans.deleted
    counts.delta_dead += trans.inserted + trans.updated


cdef int stats_xact_dropped(bint is_commit, char **items) except -1:
    """See the .pxd; the memory stays ours until the transaction has ended."""
    cdef XactLevel *level
    if stats_nest_level < 1 or stats_nest_level > _nlevels:
        return 0
    level = &_levels[stats_nest_level - 1]
    items[0] = <char *> (level.at_commit if is_commit else level.at_abort)
    return level.n_at_commit if is_commit else level.n_at_abort


cdef int stats_xact_end(bint is_commit) except -1:
    """The top-level transaction has ended (AtEOXact_PgStat)."""
    global stats_nest_level
    cdef TableXact *trans
    cdef TableXact *following
    cdef RelationCounts *counts
    cdef XactLevel *level
    while stats_nest_level > 1:
        stats_subxact_end(is_commit)
    if stats_nest_level == 0:
        return 0
    if is_commit:
        database_counts.xact_commit += 1
    else:
        database_counts.xact_rollback += 1
    stats_nest_level = 0
    if _nlevels > 0:
        level = &_levels[0]
        trans = level.first
        level.first = NULL
        while trans != NULL:
            following = trans.next
            counts = trans.parent
            if is_commit:
                counts.tuples_inserted += trans.inserted
                counts.tuples_updated += trans.updated
                counts.tuples_deleted += trans.deleted
                if trans.truncdropped:
                    counts.truncdropped = 1
                    counts.delta_live = counts.delta_dead = 0
                counts.delta_live += trans.inserted - trans.deleted
                counts.delta_dead += trans.updated + trans.deleted
                counts.changed += trans.inserted + trans.updated + trans.deleted
            else:
                _add_aborted(trans)
            counts.trans = NULL
            _release_xact(trans)
            trans = following
        if level.at_commit != NULL or level.at_abort != NULL:
            if is_commit:
                _execute(level.at_commit, level.n_at_commit)
            else:
                _execute(level.at_abort, level.n_at_abort)
            _clear(level)
    if _snapshot_kept:
        clear_snapshot()
    return 0


cdef int stats_drop_redo(const char *items, int n) except -1:
    """Replay of a commit or abort record."""
    return _execute(<DropItem *> items, n)


def created(int kind, Oid dboid, uint64_t objid) -> None:
    """An object is made by this transaction: forget its statistics if it aborts (pgstat_create_transactional)."""
    drop_stats_entry(kind, dboid, objid)
    _note(kind, dboid, objid, False)


def dropped(int kind, Oid dboid, uint64_t objid) -> None:
    """An object is dropped by this transaction: forget its statistics if it commits (pgstat_drop_transactional)."""
    cdef RelationCounts *counts
    _note(kind, dboid, objid, True)
    if kind == PGSTAT_KIND_RELATION:
        counts = _find_relation(<Oid> objid, dboid == 0)
        if counts != NULL and counts.trans != NULL and counts.trans.nest_level == stats_nest_level:
            _save_before(counts.trans, True)


cdef int _note(int kind, Oid dboid, uint64_t objid, bint at_commit) except -1:
    cdef DropItem item
    cdef XactLevel *level
    if stats_nest_level < 1 or stats_nest_level > _nlevels:
        return 0
    level = &_levels[stats_nest_level - 1]
    item.kind = kind
    item.dboid = dboid
    item.objid_low = <uint32_t> objid
    item.objid_high = <uint32_t> (objid >> 32)
    if at_commit:
        return _add_item(&level.at_commit, &level.n_at_commit, &item)
    return _add_item(&level.at_abort, &level.n_at_abort, &item)


# Flushing


cdef int64_t _coarse_ms() noexcept nogil:
    """A clock that costs next to nothing, good to a few milliseconds."""
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now)
    return <int64_t> now.tv_sec * 1000 + now.tv_nsec // 1000000


cdef int flush_stats(bint force) except -1:
    """See the .pxd."""
    global _last_flush_ms, _force_next
    cdef int64_t now_ms
    if stats_nest_level != 0 or MyProcNumber < 0:
        return 0
    now_ms = _coarse_ms()
    if not force and not _force_next and now_ms - _last_flush_ms < MIN_INTERVAL_MS:
        return 1
    _last_flush_ms = now_ms
    _force_next = False
    _flush_all()
    return 0


cdef inline bint _all_zero(const int64_t *words, int n) noexcept nogil:
    cdef int64_t any = 0
    cdef int i
    for i in range(n):
        any |= words[i]
    return any == 0


cdef int _flush_all() except -1:
    cdef int64_t now = stats_now()
    _flush_relations(now)
    _flush_database(now)
    if _nfunctions:
        _flush_functions()
    _flush_io()
    _flush_wal()
    _flush_slru()
    return 0


cdef int _flush_relations(int64_t now) except -1:
    """Every relation that has counts; descriptors that are gone give up theirs."""
    cdef int64_t totals[2][7]
    cdef StatsEntryRef shared_ref
    cdef RelationCounts **link
    cdef RelationCounts *counts
    cdef uint32_t i
    cdef int j
    global _nrelations
    memset(totals, 0, sizeof(totals))
    if _oid_buckets == NULL:
        return 0
    for i in range(_oid_mask + 1):
        link = &_oid_buckets[i]
        while link[0] != NULL:
            counts = link[0]
            if not _all_zero(&counts.seq_scans, 15):
                if _track_counts:
                    _flush_relation(counts, now, totals[1 if counts.shared else 0])
                memset(&counts.seq_scans, 0, 15 * sizeof(int64_t))
            if counts.users == 0 and (counts.trans == NULL or counts.trans == &_discarded_xact):
                link[0] = counts.next_by_oid
                _unlink_locator(counts)
                free(counts)
                _nrelations -= 1
                continue
            link = &counts.next_by_oid
    for j in range(2):
        if _all_zero(totals[j], 7):
            continue
        if j == 1:
            find_stats_entry(PGSTAT_KIND_DATABASE, 0, 0, True, &shared_ref)
            _add_database_totals(&shared_ref, totals[j])
        elif _database != 0:
            _find_database()
            _add_database_totals(&_database_ref, totals[j])
    return 0


cdef int _find_database() except -1:
    """Make sure that _database_ref is good, and not of an entry that was dropped."""
    if _database_ref.entry == NULL or _database_ref.entry.generation != _database_ref.generation:
        find_stats_entry(PGSTAT_KIND_DATABASE, _database, 0, True, &_database_ref)
    return 0


cdef int _add_database_totals(StatsEntryRef *ref, const int64_t *totals) except -1:
    cdef int64_t *entry = lock_stats_entry(ref)
    cdef int i
    if entry == NULL:
        return 0
    for i in range(7):
        entry[DB_BLOCKS_FETCHED + i] += totals[i]
    unlock_stats_entry(ref)
    return 0


cdef int _flush_relation(RelationCounts *counts, int64_t now, int64_t *totals) except -1:
    cdef int64_t *entry
    if counts.ref.entry == NULL and not find_stats_entry(
            PGSTAT_KIND_RELATION, 0 if counts.shared else _database, counts.relid, True, &counts.ref):
        return 0
    entry = lock_stats_entry(&counts.ref)
    if entry != NULL:
        if counts.seq_scans or counts.index_scans:
            entry[TAB_NUMSCANS] += counts.seq_scans + counts.index_scans
            entry[TAB_LASTSCAN] = max(entry[TAB_LASTSCAN], now)
        entry[TAB_RETURNED] += counts.tuples_returned
        entry[TAB_FETCHED] += counts.tuples_fetched
        entry[TAB_INSERTED] += counts.tuples_inserted
        entry[TAB_UPDATED] += counts.tuples_updated
        entry[TAB_DELETED] += counts.tuples_deleted
        entry[TAB_HOT_UPDATED] += counts.tuples_hot_updated
        entry[TAB_NEWPAGE_UPDATED] += counts.tuples_newpage_updated
        if counts.truncdropped:
            entry[TAB_LIVE] = entry[TAB_DEAD] = entry[TAB_INS_SINCE_VACUUM] = 0
        entry[TAB_LIVE] = max(0, entry[TAB_LIVE] + counts.delta_live)
        entry[TAB_DEAD] = max(0, entry[TAB_DEAD] + counts.delta_dead)
        entry[TAB_MOD_SINCE_ANALYZE] += counts.changed
        entry[TAB_INS_SINCE_VACUUM] += counts.tuples_inserted
        entry[TAB_BLOCKS_FETCHED] += counts.blocks_fetched
        entry[TAB_BLOCKS_HIT] += counts.blocks_hit
        unlock_stats_entry(&counts.ref)
    totals[0] += counts.blocks_fetched
    totals[1] += counts.blocks_hit
    totals[2] += counts.tuples_returned
    totals[3] += counts.tuples_fetched
    totals[4] += counts.tuples_inserted
    totals[5] += counts.tuples_updated
    totals[6] += counts.tuples_deleted
    return 0


cdef int _flush_database(int64_t now) except -1:
    cdef int64_t *entry
    cdef int i
    if _database == 0:
        return 0
    if _session_reported == 0 and _all_zero(<int64_t *> &database_counts, sizeof(DatabaseCounts) // 8):
        return 0
    _find_database()
    entry = lock_stats_entry(&_database_ref)
    if entry != NULL:
        entry[DB_XACT_COMMIT] += database_counts.xact_commit
        entry[DB_XACT_ROLLBACK] += database_counts.xact_rollback
        entry[DB_BLK_READ_TIME] += database_counts.block_read_ns // 1000
        entry[DB_BLK_WRITE_TIME] += database_counts.block_write_ns // 1000
        if _session_reported != 0:
            entry[DB_SESSION_TIME] += now - _session_reported
            entry[DB_ACTIVE_TIME] += database_counts.active_us
            entry[DB_IDLE_IN_TRANSACTION_TIME] += database_counts.idle_in_transaction_us
        for i in range(6):
            entry[DB_CONFLICTS + i] += database_counts.conflicts[i]
        entry[DB_TEMP_FILES] += database_counts.temp_files
        entry[DB_TEMP_BYTES] += database_counts.temp_bytes
        entry[DB_DEADLOCKS] += database_counts.deadlocks
        entry[DB_WORKERS_TO_LAUNCH] += database_counts.workers_to_launch
        entry[DB_WORKERS_LAUNCHED] += database_counts.workers_launched
        unlock_stats_entry(&_database_ref)
    _note_session_time(now)
    memset(&database_counts, 0, sizeof(DatabaseCounts))
    return 0


cdef void _note_session_time(int64_t now) noexcept nogil:
    global _session_reported
    if _session_reported != 0:
        _session_reported = now


cdef int _flush_functions() except -1:
    cdef StatsEntryRef ref
    cdef int64_t *entry
    cdef int i
    global _nfunctions
    for i in range(_nfunctions):
        if find_stats_entry(PGSTAT_KIND_FUNCTION, _database, _functions[i].oid, True, &ref):
            entry = lock_stats_entry(&ref)
            if entry != NULL:
                entry[0] += _functions[i].calls
                entry[1] += _functions[i].total_ns // 1000
                entry[2] += _functions[i].self_ns // 1000
                unlock_stats_entry(&ref)
    _nfunctions = 0
    return 0


cdef int _add_io(int64_t *target) except -1:
    cdef int64_t *mine = <int64_t *> &io_pending
    cdef int i
    for i in range(240):
        target[i] += mine[i]
    for i in range(240, IO_WORDS):
        target[i] += mine[i] // 1000
    return 0


cdef int _flush_io() except -1:
    cdef int64_t *entry
    cdef int kind
    if _all_zero(<int64_t *> &io_pending, IO_WORDS) or MyProc == NULL:
        return 0
    kind = MyProc.backend_type
    if not 0 <= kind < 18:
        return 0
    entry = lock_fixed_stats(PGSTAT_KIND_IO)
    if entry != NULL:
        _add_io(entry + 1 + kind * IO_WORDS)
        unlock_fixed_stats(PGSTAT_KIND_IO)
    if _backend_tracked:
        entry = lock_stats_entry(&_backend_ref)
        if entry != NULL:
            _add_io(entry + 1)
            unlock_stats_entry(&_backend_ref)
    memset(&io_pending, 0, sizeof(IoCounts))
    return 0


cdef int _flush_wal() except -1:
    cdef int64_t *entry
    cdef int64_t difference[4]
    cdef int i
    global _wal_flushed
    if wal_counts == NULL:
        return 0
    difference[0] = wal_counts.wal_records - _wal_flushed.wal_records
    difference[1] = wal_counts.wal_fpi - _wal_flushed.wal_fpi
    difference[2] = <int64_t> (wal_counts.wal_bytes - _wal_flushed.wal_bytes)
    difference[3] = wal_counts.wal_buffers_full - _wal_flushed.wal_buffers_full
    if _all_zero(difference, 4):
        return 0
    entry = lock_fixed_stats(PGSTAT_KIND_WAL)
    if entry != NULL:
        for i in range(4):
            entry[i] += difference[i]
        unlock_fixed_stats(PGSTAT_KIND_WAL)
    if _backend_tracked:
        entry = lock_stats_entry(&_backend_ref)
        if entry != NULL:
            for i in range(4):
                entry[1 + IO_WORDS + i] += difference[i]
            unlock_stats_entry(&_backend_ref)
    _wal_flushed = wal_counts[0]
    return 0


cdef int _flush_slru() except -1:
    cdef int64_t *entry
    cdef int i, j
    if _all_zero(&slru_pending[0][0], 56):
        return 0
    entry = lock_fixed_stats(PGSTAT_KIND_SLRU)
    if entry != NULL:
        for i in range(8):
            for j in range(7):
                entry[i * 8 + j] += slru_pending[i][j]
        unlock_fixed_stats(PGSTAT_KIND_SLRU)
    memset(slru_pending, 0, sizeof(slru_pending))
    return 0


cdef void set_wal_counts(WalCounts *counts) noexcept:
    """See the .pxd."""
    global wal_counts
    wal_counts = counts
    _wal_flushed.wal_records = counts.wal_records
    _wal_flushed.wal_fpi = counts.wal_fpi
    _wal_flushed.wal_bytes = counts.wal_bytes
    _wal_flushed.wal_buffers_full = counts.wal_buffers_full


def wal_counts_address() -> int:
    """Where wal counts, for `_usage`; 0 until it has said so."""
    return <uintptr_t> wal_counts


# For Python

DATABASE, RELATION, FUNCTION = PGSTAT_KIND_DATABASE, PGSTAT_KIND_RELATION, PGSTAT_KIND_FUNCTION


def begin_process(bint tracked) -> None:
    """A new process with a slot: nothing is counted yet; ``tracked`` processes have an entry of their own."""
    global _backend_tracked, _last_flush_ms, _session_reported, _session_end, stats_nest_level, _wal_flushed, _database
    cdef uint32_t i
    cdef RelationCounts *counts
    memset(&database_counts, 0, sizeof(DatabaseCounts))
    memset(&io_pending, 0, sizeof(IoCounts))
    memset(slru_pending, 0, sizeof(slru_pending))
    if _oid_buckets != NULL:
        for i in range(_oid_mask + 1):
            counts = _oid_buckets[i]
            while counts != NULL:
                if not _all_zero(&counts.seq_scans, 15):
                    memset(&counts.seq_scans, 0, 15 * sizeof(int64_t))
                counts = counts.next_by_oid
    if wal_counts != NULL:
        _wal_flushed = wal_counts[0]
    stats_nest_level = 0
    _session_reported = 0
    _session_end = 0
    _database = 0
    _database_ref.entry = NULL
    _backend_ref.entry = NULL
    _last_flush_ms = 0
    _backend_tracked = tracked and MyProcNumber >= 0
    if _backend_tracked:
        drop_stats_entry(PGSTAT_KIND_BACKEND, 0, MyProcNumber)
        find_stats_entry(PGSTAT_KIND_BACKEND, 0, MyProcNumber, True, &_backend_ref)


cdef void set_stats_database(Oid database) noexcept:
    """Relations that are not shared are this database's."""
    global _database
    _database = database
    _database_ref.entry = NULL


def begin_session() -> None:
    """A client's session in the database starts (pgstat_report_connect)."""
    global _session_reported
    _session_reported = stats_now()
    _store.change_entry(PGSTAT_KIND_DATABASE, _database, 0, {<int> DB_SESSIONS: 1}, {})


# How a session ended, for sessions_abandoned, sessions_fatal, sessions_killed
ENDED_ABANDONED, ENDED_FATAL, ENDED_KILLED = DB_SESSIONS_ABANDONED, DB_SESSIONS_FATAL, DB_SESSIONS_KILLED


def note_session_end(int how) -> None:
    """The session is about to end in this way (ENDED_*); the first to say so is right (pgStatSessionEndCause)."""
    global _session_end
    if not _session_end:
        _session_end = how


def end_process() -> None:
    """Flush all and forget the process's own entry, while it still has its slot."""
    global _backend_tracked
    if MyProcNumber < 0:
        return
    if stats_nest_level:
        stats_xact_end(False)
    flush_stats(True)
    if _session_end and _session_reported:
        _store.change_entry(PGSTAT_KIND_DATABASE, _database, 0, {_session_end: 1}, {})
    if _backend_tracked:
        drop_stats_entry(PGSTAT_KIND_BACKEND, 0, MyProcNumber)
        _backend_tracked = False


def flush(bint force=False) -> bool:
    """Add what was counted to the shared statistics (pgstat_report_stat); whether something is left for later."""
    return bool(flush_stats(force))


def force_next_flush() -> None:
    """The next chance to flush is taken, however short ago the last one was."""
    global _force_next
    _force_next = True


def count_database(str name, int64_t amount=1) -> None:
    """Add to a count of my database: deadlocks, temp_files, temp_bytes."""
    if name == "deadlocks":
        database_counts.deadlocks += amount
    elif name == "temp_files":
        database_counts.temp_files += amount
    elif name == "temp_bytes":
        database_counts.temp_bytes += amount
    else:
        raise KeyError(name)


def count_conflict(int which) -> None:
    """A query was cancelled by recovery: 0 tablespace, 1 lock, 2 snapshot, 3 logical slot, 4 buffer pin, 5 deadlock."""
    database_counts.conflicts[which] += 1


def count_function(Oid function, int64_t total_ns, int64_t self_ns) -> None:
    """A call of a function has ended (pgstat_end_function_usage)."""
    cdef int i
    cdef FunctionCounts *grown
    global _functions, _nfunctions
    for i in range(_nfunctions):
        if _functions[i].oid == function:
            break
    else:
        i = _nfunctions
        grown = <FunctionCounts *> realloc(_functions, (i + 1) * sizeof(FunctionCounts))
        if grown == NULL:
            return
        _functions = grown
        memset(&_functions[i], 0, sizeof(FunctionCounts))
        _functions[i].oid = function
        _nfunctions += 1
    _functions[i].calls += 1
    _functions[i].total_ns += total_ns
    _functions[i].self_ns += self_ns


def pending_function(Oid function) -> tuple[int, int, int] | None:
    """(calls, total, self nanoseconds) that are not flushed yet: find_funcstat_entry."""
    cdef int i
    for i in range(_nfunctions):
        if _functions[i].oid == function:
            return _functions[i].calls, _functions[i].total_ns, _functions[i].self_ns
    return None


def pending_relation(Oid relid, bint shared=False) -> dict[str, int] | None:
    """What is counted and not flushed, rows of unfinished transactions included: pg_stat_get_xact_*."""
    cdef RelationCounts *counts = _find_relation(relid, shared)
    cdef TableXact *trans
    if counts == NULL:
        return None
    found = {
        "numscans": counts.seq_scans + counts.index_scans, "tuples_returned": counts.tuples_returned,
        "tuples_fetched": counts.tuples_fetched, "tuples_inserted": counts.tuples_inserted,
        "tuples_updated": counts.tuples_updated, "tuples_deleted": counts.tuples_deleted,
        "tuples_hot_updated": counts.tuples_hot_updated,
        "tuples_newpage_updated": counts.tuples_newpage_updated, "blocks_fetched": counts.blocks_fetched,
        "blocks_hit": counts.blocks_hit,
    }
    trans = counts.trans
    while trans != NULL and trans != &_discarded_xact:
        found["tuples_inserted"] += trans.inserted
        found["tuples_updated"] += trans.updated
        found["tuples_deleted"] += trans.deleted
        trans = trans.upper
    return found


def changed_here(Oid relid, bint shared=False) -> tuple[int, int]:
    """(live, dead) rows that the unfinished transaction will add when it commits: what ANALYZE must not count twice."""
    cdef RelationCounts *counts = _find_relation(relid, shared)
    cdef TableXact *trans
    cdef int64_t live = 0
    cdef int64_t dead = 0
    if counts == NULL:
        return 0, 0
    trans = counts.trans
    while trans != NULL and trans != &_discarded_xact:
        live += trans.inserted - trans.deleted
        dead += trans.updated + trans.deleted
        trans = trans.upper
    return live, dead + counts.delta_dead     # written by subtransactions that have aborted


def on_forget_snapshot(function) -> None:
    """`function()` is called at the end of a transaction that kept a snapshot of the statistics."""
    global _forget_snapshot
    _forget_snapshot = function


def keep_snapshot() -> None:
    """A snapshot is kept: to be forgotten with the transaction."""
    global _snapshot_kept
    _snapshot_kept = True


def clear_snapshot() -> None:
    """Forget it."""
    global _snapshot_kept
    _snapshot_kept = False
    if _forget_snapshot is not None:
        _forget_snapshot()


def count_io_of(int target, int context, int operation, int64_t count, int64_t nbytes=0, int64_t nanoseconds=0) -> None:
    """Count I/O from Python (pgstat_count_io_op)."""
    count_io(target, context, operation, count, nbytes)
    io_pending.times[target][context][operation] += nanoseconds


def _set_track_counts(value: bool) -> None:
    """What was counted while it was off must not be flushed when it is on, and the other way round."""
    global _track_counts
    if bool(value) != _track_counts and MyProcNumber >= 0:
        _flush_relations(stats_now())
    _track_counts = value


def _set_wal_timing(value: bool) -> None:
    global track_wal_io_timing
    track_wal_io_timing = value


on_assign("track_counts")(_set_track_counts)
on_assign("track_wal_io_timing")(_set_wal_timing)
