# cython: language_level=3
"""MultiXacts: ids that stand for several transactions that lock or update one tuple (PostgreSQL's multixact.c).

pg_multixact/offsets holds for each multixact where its members begin, pg_multixact/members the members themselves in
groups of four: a status byte each, then the four xids. Creating one sets its own offset and that of the next, so a
reader finds the end of its members. MultiXactGenLock protects the counters.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from tusk._types cimport BLCKSZ, InvalidTransactionId, Lsn, Oid
from tusk.memory._critical cimport critical_end, critical_start
from tusk.memory._interrupts cimport check_for_interrupts
from tusk.memory._latch cimport wait_latch
from tusk.memory._lwlock cimport (
    LW_EXCLUSIVE,
    LW_SHARED,
    LWTRANCHE_MULTIXACTMEMBER_BUFFER,
    LWTRANCHE_MULTIXACTMEMBER_SLRU,
    LWTRANCHE_MULTIXACTOFFSET_BUFFER,
    LWTRANCHE_MULTIXACTOFFSET_SLRU,
    LWLock,
    MultiXactGenLock,
    MultiXactTruncationLock,
    lwlock_acquire,
    lwlock_release,
    main_lock,
)
from tusk.memory._process cimport DELAY_CHKPT_START, MyProc, MyProcNumber
from tusk.memory._wait_events cimport WAIT_EVENT_MULTIXACT_CREATION
from tusk.storage._sync cimport SYNC_HANDLER_MULTIXACT_MEMBER, SYNC_HANDLER_MULTIXACT_OFFSET
from tusk.transaction._clog cimport transaction_id_did_commit
from tusk.transaction._procarray cimport transaction_id_is_in_progress
from tusk.transaction._slru cimport (
    SLRU_PAGES_PER_SEGMENT,
    SlruCtl,
    slru_attach,
    slru_bank_lock,
    slru_delete_segment,
    slru_initialize,
    slru_page,
    slru_page_physically_exists,
    slru_read_page,
    slru_read_page_read_only,
    slru_segments,
    slru_set_dirty,
    slru_set_latest_page,
    slru_shmem_size,
    slru_sync_segment,
    slru_truncate,
    slru_write_all,
    slru_write_page,
    slru_zero_page,
)
from tusk.transaction._state cimport IsUnderPostmaster, transaction_id_is_current
from tusk.transaction._transam cimport (
    multixact_id_precedes,
    multixact_id_precedes_or_equals,
    transaction_id_precedes,
)
from tusk.transaction._varsup cimport advance_next_full_transaction_id_past_xid, database_name_hook
from tusk.wal._insert cimport xlog_begin_insert, xlog_insert, xlog_register_data
from tusk.wal._record cimport RM_MULTIXACT_ID
from tusk.wal._redo cimport DecodedRecord, in_recovery, register_redo
from tusk.wal._xlog cimport recovery_in_progress, xlog_flush

from tusk.config import settings
from tusk.errors import Panic, Severity, SqlError, errcode, report
from tusk.transaction import _varsup
from tusk.memory._segment import declare_area

ctypedef uint32_t MultiXactOffset

cdef enum:
    OFFSETS_PER_PAGE = 2048
    GROUP_SIZE = 20
    MEMBERS_PER_PAGE = 1636             # 409 groups of 4
    MEMBERS_PER_SEGMENT = 52352
    MEMBER_SAFE_THRESHOLD = 0x7FFFFFFF
    MEMBER_DANGER_THRESHOLD = 0xC0000000
    XLOG_ZERO_OFF_PAGE = 0x00
    XLOG_ZERO_MEM_PAGE = 0x10
    XLOG_CREATE_ID = 0x20
    XLOG_TRUNCATE_ID = 0x30

cdef struct MultiXactStateData:
    MultiXactId nextMXact
    MultiXactOffset nextOffset
    uint32_t finishedStartup
    MultiXactId oldestMultiXactId
    Oid oldestMultiXactDB
    MultiXactOffset oldestOffset
    uint32_t oldestOffsetKnown
    MultiXactId multiVacLimit
    MultiXactId multiWarnLimit
    MultiXactId multiStopLimit
    MultiXactId multiWrapLimit
    MultiXactOffset offsetStopLimit
    uint32_t nslots
    MultiXactId per_backend[1]          # oldest member of each slot, then oldest visible of each slot

cdef packed struct xl_multixact_create:
    MultiXactId mid
    MultiXactOffset moff
    int32_t nmembers

cdef packed struct xl_multixact_truncate:
    Oid oldestMultiDB
    MultiXactId startTruncOff
    MultiXactId endTruncOff
    MultiXactOffset startTruncMemb
    MultiXactOffset endTruncMemb

cdef SlruCtl offsets
cdef SlruCtl members_ctl
cdef MultiXactStateData *shared
cdef int n_offset_slots = 0
cdef int n_member_slots = 0
cdef int n_procs = 0
cdef bint touched = False               # this transaction set one of its oldest ids, or cached something
cdef int64_t pre_initialized_page = -1  # replay: an offsets page made before its own record
cdef dict cache_by_members = {}         # (xid, status, ...) -> multi, of this transaction
cdef dict cache_by_multi = {}

_OLD_THINGS = "\nYou might also need to commit or roll back old prepared transactions, or drop stale replication slots."


cdef bint _offset_page_precedes(int64_t a, int64_t b) noexcept nogil:
    cdef MultiXactId ma = <MultiXactId> (a * OFFSETS_PER_PAGE) + 2
    cdef MultiXactId mb = <MultiXactId> (b * OFFSETS_PER_PAGE) + 2
    return multixact_id_precedes(ma, mb) and multixact_id_precedes(ma, mb + OFFSETS_PER_PAGE - 1)


cdef inline bint _offset_precedes(MultiXactOffset a, MultiXactOffset b) noexcept nogil:
    return <int32_t> (a - b) < 0


cdef bint _member_page_precedes(int64_t a, int64_t b) noexcept nogil:
    cdef MultiXactOffset oa = <MultiXactOffset> (a * MEMBERS_PER_PAGE)
    cdef MultiXactOffset ob = <MultiXactOffset> (b * MEMBERS_PER_PAGE)
    return _offset_precedes(oa, ob) and _offset_precedes(oa, ob + MEMBERS_PER_PAGE - 1)


def _offset_size(settings):
    global n_offset_slots
    n_offset_slots = max(16, settings.multixact_offset_buffers - settings.multixact_offset_buffers % 16)
    return slru_shmem_size(n_offset_slots, 0)


def _offset_attach(address):
    slru_attach(&offsets, <void *> <size_t> address, n_offset_slots, 0, b"multixact_offset", b"pg_multixact/offsets",
                SYNC_HANDLER_MULTIXACT_OFFSET, False, _offset_page_precedes)


def _offset_init(address, size):
    slru_initialize(&offsets, LWTRANCHE_MULTIXACTOFFSET_BUFFER, LWTRANCHE_MULTIXACTOFFSET_SLRU)


def _member_size(settings):
    global n_member_slots
    n_member_slots = max(16, settings.multixact_member_buffers - settings.multixact_member_buffers % 16)
    return slru_shmem_size(n_member_slots, 0)


def _member_attach(address):
    slru_attach(&members_ctl, <void *> <size_t> address, n_member_slots, 0, b"multixact_member",
                b"pg_multixact/members", SYNC_HANDLER_MULTIXACT_MEMBER, False, _member_page_precedes)


def _member_init(address, size):
    slru_initialize(&members_ctl, LWTRANCHE_MULTIXACTMEMBER_BUFFER, LWTRANCHE_MULTIXACTMEMBER_SLRU)


def _shared_size(settings):
    from tusk.memory._process import _slot_counts
    global n_procs
    n_procs = sum(_slot_counts(settings)[0])
    return sizeof(MultiXactStateData) + 2 * n_procs * sizeof(MultiXactId)


def _shared_attach(address):
    global shared
    shared = <MultiXactStateData *> <size_t> address


def _shared_init(address, size):
    shared.nslots = n_procs


declare_area("multixact_offset", _offset_size, _offset_init, _offset_attach)
declare_area("multixact_member", _member_size, _member_init, _member_attach)
declare_area("Shared MultiXact State", _shared_size, _shared_init, _shared_attach)


cdef inline MultiXactId *_oldest_member(int procno) noexcept nogil:
    return &shared.per_backend[procno]


cdef inline MultiXactId *_oldest_visible(int procno) noexcept nogil:
    return &shared.per_backend[shared.nslots + procno]


cdef inline MultiXactId _following(MultiXactId multi) noexcept nogil:
    multi += 1
    return multi if multi != 0 else <MultiXactId> FirstMultiXactId


cdef int _log_zero_page(int64_t pageno, uint8_t info) except -1:
    xlog_begin_insert()
    xlog_register_data(&pageno, sizeof(pageno))
    xlog_insert(RM_MULTIXACT_ID, info)
    return 0


cdef int _zero_page(SlruCtl *ctl, int64_t pageno, uint8_t info, bint log, bint write) except -1:
    cdef LWLock *bank = slru_bank_lock(ctl, pageno)
    cdef int slotno
    lwlock_acquire(bank, LW_EXCLUSIVE)
    slotno = slru_zero_page(ctl, pageno)
    if log:
        _log_zero_page(pageno, info)
    if write:
        slru_write_page(ctl, slotno)
    lwlock_release(bank)
    return 0


cdef int _extend_offsets(MultiXactId multi) except -1:
    """Make the page of ``multi`` exist, if it is the page's first."""
    if multi % OFFSETS_PER_PAGE == 0 or multi == FirstMultiXactId:
        _zero_page(&offsets, multi // OFFSETS_PER_PAGE, XLOG_ZERO_OFF_PAGE, not in_recovery(), False)
    return 0


cdef int _extend_members(MultiXactOffset offset, int64_t nmembers) except -1:
    """Make the pages exist that ``nmembers`` from ``offset`` on begin."""
    cdef int64_t step
    while nmembers > 0:
        if offset % MEMBERS_PER_PAGE == 0:
            _zero_page(&members_ctl, offset // MEMBERS_PER_PAGE, XLOG_ZERO_MEM_PAGE, not in_recovery(), False)
        step = MEMBERS_PER_PAGE - offset % MEMBERS_PER_PAGE
        # The last page before the counter wraps is shorter than the others.
        if offset + step > 0xFFFFFFFF:
            step = 0x100000000 - <int64_t> offset
        nmembers -= step
        offset = <MultiXactOffset> (offset + step)
    return 0


cdef _database(Oid oid):
    name = database_name_hook(oid) if database_name_hook != NULL else None
    return f'"{name}"' if name is not None else f"with OID {oid}"


cdef int _check_limits(MultiXactId multi) except -1:
    """Called with MultiXactGenLock held, which it gives up and takes again."""
    cdef MultiXactId warn = shared.multiWarnLimit
    cdef MultiXactId stop = shared.multiStopLimit
    cdef MultiXactId wrap = shared.multiWrapLimit
    cdef Oid db = shared.oldestMultiXactDB
    cdef uint32_t left = wrap - multi
    lwlock_release(main_lock(MultiXactGenLock))
    if IsUnderPostmaster and multi % 65536 == 0:
        _varsup.signal_autovacuum()
    if IsUnderPostmaster and not multixact_id_precedes(multi, stop):
        raise SqlError(
            errcode.PROGRAM_LIMIT_EXCEEDED,
            "database is not accepting commands that assign new MultiXactIds to avoid wraparound data loss in "
            f"database {_database(db)}",
            hint="Execute a database-wide VACUUM in that database." + _OLD_THINGS,
        )
    if not multixact_id_precedes(multi, warn):
        more = "MultiXactId is used" if left == 1 else "MultiXactIds are used"
        report(
            Severity.WARNING,
            f"database {_database(db)} must be vacuumed before {left} more {more}",
            hint="Execute a database-wide VACUUM in that database." + _OLD_THINGS,
        )
    lwlock_acquire(main_lock(MultiXactGenLock), LW_EXCLUSIVE)
    return 0


cdef MultiXactId _get_new(int nmembers, MultiXactOffset *offset) except 0:
    """Hand out an id and room for its members. Returns within a critical section: the record must follow."""
    cdef MultiXactId result
    cdef MultiXactOffset next_offset
    cdef int64_t wanted = nmembers
    if recovery_in_progress():
        raise SqlError(errcode.INTERNAL_ERROR, "cannot assign MultiXactIds during recovery")
    lwlock_acquire(main_lock(MultiXactGenLock), LW_EXCLUSIVE)
    if shared.nextMXact < FirstMultiXactId:
        shared.nextMXact = FirstMultiXactId
    if not multixact_id_precedes(shared.nextMXact, shared.multiVacLimit):
        _check_limits(shared.nextMXact)
        if shared.nextMXact < FirstMultiXactId:
            shared.nextMXact = FirstMultiXactId
    result = shared.nextMXact
    # This one's offset was made room for by its predecessor, or at start-up.
    _extend_offsets(_following(result))
    next_offset = shared.nextOffset
    if next_offset == 0:
        # 0 means "not set" in the offsets file, so the first place is left empty.
        offset[0] = 1
        wanted += 1
    else:
        offset[0] = next_offset
    if shared.oldestOffsetKnown and _would_wrap(shared.offsetStopLimit, next_offset, <uint32_t> wanted):
        left = shared.offsetStopLimit - next_offset - 1
        db = shared.oldestMultiXactDB
        lwlock_release(main_lock(MultiXactGenLock))
        members = "member" if left == 1 else "members"
        raise SqlError(
            errcode.PROGRAM_LIMIT_EXCEEDED,
            'multixact "members" limit exceeded',
            detail=f"This command would create a multixact with {wanted} members, but the remaining space is only "
            f"enough for {left} {members}.",
            hint=f"Execute a database-wide VACUUM in database with OID {db} with reduced "
            '"vacuum_multixact_freeze_min_age" and "vacuum_multixact_freeze_table_age" settings.',
        )
    _extend_members(next_offset, wanted)
    critical_start()
    shared.nextMXact = _following(result)
    shared.nextOffset = <MultiXactOffset> (next_offset + wanted)
    lwlock_release(main_lock(MultiXactGenLock))
    return result


cdef bint _would_wrap(MultiXactOffset boundary, MultiXactOffset start, uint32_t distance) noexcept nogil:
    """Whether start..start+distance passes ``boundary``, all modulo 2^32."""
    cdef MultiXactOffset finish = start + distance
    if finish < start:
        finish += 1
    if start < boundary:
        return finish >= boundary or finish < start
    return finish >= boundary and finish < start


cdef int _set_offset(MultiXactId multi, MultiXactOffset offset) except -1:
    cdef int64_t pageno = multi // OFFSETS_PER_PAGE
    cdef LWLock *bank = slru_bank_lock(&offsets, pageno)
    cdef int slotno
    cdef MultiXactOffset *entry
    lwlock_acquire(bank, LW_EXCLUSIVE)
    slotno = slru_read_page(&offsets, pageno, True, multi)
    entry = <MultiXactOffset *> slru_page(&offsets, slotno) + multi % OFFSETS_PER_PAGE
    if entry[0] != offset:
        entry[0] = offset
        slru_set_dirty(&offsets, slotno)
    lwlock_release(bank)
    return 0


cdef int _record_new(MultiXactId multi, MultiXactOffset offset, int nmembers, const MultiXactMember *members) except -1:
    """Write the members, then the offset of this multixact and of the next (its end)."""
    cdef int64_t pageno, previous = -1
    cdef LWLock *bank = NULL
    cdef int i, slotno = -1, shift
    cdef MultiXactOffset at = offset
    cdef char *group
    cdef uint32_t *flags
    cdef MultiXactOffset next_offset = offset + <uint32_t> nmembers
    for i in range(nmembers):
        pageno = at // MEMBERS_PER_PAGE
        if pageno != previous:
            if bank != NULL:
                lwlock_release(bank)
            bank = slru_bank_lock(&members_ctl, pageno)
            lwlock_acquire(bank, LW_EXCLUSIVE)
            slotno = slru_read_page(&members_ctl, pageno, True, multi)
            previous = pageno
        group = slru_page(&members_ctl, slotno) + (at % MEMBERS_PER_PAGE) // 4 * GROUP_SIZE
        (<TransactionId *> (group + 4))[at % 4] = members[i].xid
        flags = <uint32_t *> group
        shift = <int> (at % 4) * 8
        flags[0] = (flags[0] & ~(<uint32_t> 0xFF << shift)) | (<uint32_t> members[i].status << shift)
        slru_set_dirty(&members_ctl, slotno)
        at += 1
    if bank != NULL:
        lwlock_release(bank)
    _set_offset(multi, offset)
    if next_offset == 0:
        next_offset = 1
    _set_offset(_following(multi), next_offset)
    return 0


cdef tuple _key(int nmembers, const MultiXactMember *members):
    cdef int i
    return tuple(sorted([(members[i].xid, members[i].status) for i in range(nmembers)]))


cdef int _remember(MultiXactId multi, tuple key) except -1:
    global touched
    touched = True
    if len(cache_by_multi) >= 256:
        cache_by_multi.clear()
        cache_by_members.clear()
    cache_by_multi[multi] = key
    cache_by_members[key] = multi
    return 0


cdef MultiXactId multixact_id_create_from_members(int nmembers, MultiXactMember *members) except 0:
    """A multixact with these members (at most one of which updates); one made before in this transaction is reused."""
    cdef tuple key = _key(nmembers, members)
    cdef MultiXactId multi
    cdef MultiXactOffset offset = 0
    cdef xl_multixact_create rec
    cdef int i
    found = cache_by_members.get(key)
    if found is not None:
        return <MultiXactId> found
    if sum(1 for _, status in key if status >= MultiXactStatusNoKeyUpdate) > 1:
        raise SqlError(errcode.INTERNAL_ERROR, f"new multixact has more than one updating member: {key}")
    for i in range(nmembers):
        members[i].xid, members[i].status = key[i]
    multi = _get_new(nmembers, &offset)
    rec.mid = multi
    rec.moff = offset
    rec.nmembers = nmembers
    xlog_begin_insert()
    xlog_register_data(&rec, sizeof(rec))
    xlog_register_data(members, nmembers * sizeof(MultiXactMember))
    xlog_insert(RM_MULTIXACT_ID, XLOG_CREATE_ID)
    _record_new(multi, offset, nmembers, members)
    critical_end()
    _remember(multi, key)
    return multi


cdef MultiXactId multixact_id_create(TransactionId xid1, int status1, TransactionId xid2, int status2) except 0:
    """Two different transactions (or two locks of one)."""
    cdef MultiXactMember members[2]
    multixact_id_set_oldest_member()
    members[0].xid = xid1
    members[0].status = status1
    members[1].xid = xid2
    members[1].status = status2
    return multixact_id_create_from_members(2, members)


cdef MultiXactId multixact_id_expand(MultiXactId multi, TransactionId xid, int status) except 0:
    """A multixact with what still counts of ``multi`` and one member more; ``multi`` itself if it has it already."""
    cdef MultiXactMember *members = NULL
    cdef MultiXactMember *kept
    cdef MultiXactMember single
    cdef int i, n, nkept = 0
    cdef MultiXactId result
    n = get_multixact_id_members(multi, &members, False, False)
    if n < 0:
        # Too old to be running: only the new one counts.
        single.xid = xid
        single.status = status
        return multixact_id_create_from_members(1, &single)
    try:
        for i in range(n):
            if members[i].xid == xid and members[i].status == status:
                return multi
        kept = <MultiXactMember *> malloc((n + 1) * sizeof(MultiXactMember))
        if kept == NULL:
            raise MemoryError
        try:
            for i in range(n):
                if transaction_id_is_in_progress(members[i].xid) or (
                        members[i].status >= MultiXactStatusNoKeyUpdate and transaction_id_did_commit(members[i].xid)):
                    kept[nkept] = members[i]
                    nkept += 1
            kept[nkept].xid = xid
            kept[nkept].status = status
            nkept += 1
            result = multixact_id_create_from_members(nkept, kept)
        finally:
            free(kept)
    finally:
        free(members)
    return result


cdef int multixact_id_set_oldest_member() except -1:
    """Before this transaction's id may get into a multixact: none older than this can hold it."""
    global touched
    cdef MultiXactId *mine = _oldest_member(MyProcNumber)
    if mine[0] != 0:
        return 0
    touched = True
    lwlock_acquire(main_lock(MultiXactGenLock), LW_SHARED)
    mine[0] = shared.nextMXact if shared.nextMXact != 0 else <MultiXactId> FirstMultiXactId
    lwlock_release(main_lock(MultiXactGenLock))
    return 0


cdef int multixact_id_set_oldest_visible() except -1:
    """Before looking at multixacts: the oldest that may still have running members."""
    global touched
    cdef MultiXactId oldest, other
    cdef uint32_t i
    if _oldest_visible(MyProcNumber)[0] != 0:
        return 0
    touched = True
    lwlock_acquire(main_lock(MultiXactGenLock), LW_EXCLUSIVE)
    oldest = shared.nextMXact if shared.nextMXact != 0 else <MultiXactId> FirstMultiXactId
    for i in range(shared.nslots):
        other = _oldest_member(i)[0]
        if other != 0 and multixact_id_precedes(other, oldest):
            oldest = other
    _oldest_visible(MyProcNumber)[0] = oldest
    lwlock_release(main_lock(MultiXactGenLock))
    return 0


cdef MultiXactOffset _read_offset(MultiXactId multi) except? 0xffffffff:
    cdef int64_t pageno = multi // OFFSETS_PER_PAGE
    cdef int slotno = slru_read_page_read_only(&offsets, pageno, multi)
    cdef MultiXactOffset offset = (<MultiXactOffset *> slru_page(&offsets, slotno))[multi % OFFSETS_PER_PAGE]
    lwlock_release(slru_bank_lock(&offsets, pageno))
    return offset


cdef int get_multixact_id_members(MultiXactId multi, MultiXactMember **members, bint old_value,
                                  bint only_lockers) except -1:
    """See the .pxd. ``old_value``: it comes from before an upgrade and counts as ended."""
    cdef MultiXactId oldest, following
    cdef MultiXactOffset next_offset, offset, end
    cdef MultiXactId next_multi
    cdef int64_t pageno, previous = -1
    cdef LWLock *bank = NULL
    cdef int i, n = 0, length, slotno = -1
    cdef char *group
    cdef TransactionId xid
    members[0] = NULL
    if multi == InvalidMultiXactId or old_value:
        return -2
    found = cache_by_multi.get(multi)
    if found is not None:
        length = len(<tuple> found)
        members[0] = <MultiXactMember *> malloc(length * sizeof(MultiXactMember))
        if members[0] == NULL:
            raise MemoryError
        for i in range(length):
            members[0][i].xid, members[0][i].status = (<tuple> found)[i]
        return length
    multixact_id_set_oldest_visible()
    # Lockers that old have all ended; not worth a look at the disk.
    if only_lockers and multixact_id_precedes(multi, _oldest_visible(MyProcNumber)[0]):
        return -2
    lwlock_acquire(main_lock(MultiXactGenLock), LW_SHARED)
    oldest = shared.oldestMultiXactId
    next_multi = shared.nextMXact
    next_offset = shared.nextOffset
    lwlock_release(main_lock(MultiXactGenLock))
    if multixact_id_precedes(multi, oldest):
        raise SqlError(errcode.INTERNAL_ERROR, f"MultiXactId {multi} does no longer exist -- apparent wraparound")
    if not multixact_id_precedes(multi, next_multi):
        raise SqlError(errcode.INTERNAL_ERROR, f"MultiXactId {multi} has not been created yet -- apparent wraparound")
    following = _following(multi)
    while True:
        offset = _read_offset(multi)
        end = next_offset if following == next_multi else _read_offset(following)
        if offset != 0 and end != 0:
            break
        # Its creator has taken the id but not written the offset yet; it is in a critical section and will be quick.
        wait_latch(1, WAIT_EVENT_MULTIXACT_CREATION)
        check_for_interrupts()
        lwlock_acquire(main_lock(MultiXactGenLock), LW_SHARED)
        next_multi = shared.nextMXact
        next_offset = shared.nextOffset
        lwlock_release(main_lock(MultiXactGenLock))
    length = <int> (end - offset)
    if length <= 0:
        raise SqlError(errcode.DATA_CORRUPTED, f"MultiXact {multi} has an invalid number of members: {length}")
    members[0] = <MultiXactMember *> malloc(length * sizeof(MultiXactMember))
    if members[0] == NULL:
        raise MemoryError
    for i in range(length):
        pageno = offset // MEMBERS_PER_PAGE
        if pageno != previous:
            if bank != NULL:
                lwlock_release(bank)
            slotno = slru_read_page_read_only(&members_ctl, pageno, multi)
            bank = slru_bank_lock(&members_ctl, pageno)
            previous = pageno
        group = slru_page(&members_ctl, slotno) + (offset % MEMBERS_PER_PAGE) // 4 * GROUP_SIZE
        xid = (<TransactionId *> (group + 4))[offset % 4]
        if xid != InvalidTransactionId:         # the unused first place after a wraparound
            members[0][n].xid = xid
            members[0][n].status = ((<uint32_t *> group)[0] >> (<int> (offset % 4) * 8)) & 0xFF
            n += 1
        offset += 1
    if bank != NULL:
        lwlock_release(bank)
    _remember(multi, _key(n, members[0]))
    return n


cdef int multixact_id_is_running(MultiXactId multi, bint is_lock_only) except -1:
    """1 if any member still runs."""
    cdef MultiXactMember *members = NULL
    cdef int i, n = get_multixact_id_members(multi, &members, False, is_lock_only)
    cdef int result = 0
    if n <= 0:
        free(members)
        return 0
    try:
        for i in range(n):
            if transaction_id_is_current(members[i].xid):
                return 1
        for i in range(n):
            if transaction_id_is_in_progress(members[i].xid):
                return 1
    finally:
        free(members)
    return result


cdef MultiXactId read_next_multixact_id() noexcept nogil:
    return shared.nextMXact if shared.nextMXact != 0 else <MultiXactId> FirstMultiXactId


cdef MultiXactId get_oldest_multixact_id() except 0:
    """The oldest that any running transaction may be in or be looking at (GetOldestMultiXactId)."""
    cdef MultiXactId oldest, other
    cdef uint32_t i
    lwlock_acquire(main_lock(MultiXactGenLock), LW_SHARED)
    oldest = read_next_multixact_id()
    for i in range(2 * shared.nslots):
        other = shared.per_backend[i]
        if other != 0 and multixact_id_precedes(other, oldest):
            oldest = other
    lwlock_release(main_lock(MultiXactGenLock))
    return oldest


cdef int at_eoxact_multixact() except -1:
    """The transaction ended: it is in none and looks at none."""
    global touched
    if not touched:
        return 0
    touched = False
    _oldest_member(MyProcNumber)[0] = 0
    _oldest_visible(MyProcNumber)[0] = 0
    cache_by_multi.clear()
    cache_by_members.clear()
    return 0


# Start, checkpoints, limits, truncation.

def bootstrap() -> None:
    """The first pages of a new cluster."""
    _zero_page(&offsets, 0, 0, False, True)
    _zero_page(&members_ctl, 0, 0, False, True)


def set_next(next_multi: int, next_offset: int) -> None:
    """Start-up: the counters from the checkpoint (MultiXactSetNextMXact)."""
    lwlock_acquire(main_lock(MultiXactGenLock), LW_EXCLUSIVE)
    shared.nextMXact = next_multi
    shared.nextOffset = next_offset
    lwlock_release(main_lock(MultiXactGenLock))


cdef int _advance_next(MultiXactId multi, MultiXactOffset offset) except -1:
    lwlock_acquire(main_lock(MultiXactGenLock), LW_EXCLUSIVE)
    if multixact_id_precedes(shared.nextMXact, multi):
        shared.nextMXact = multi
    if _offset_precedes(shared.nextOffset, offset):
        shared.nextOffset = offset
    lwlock_release(main_lock(MultiXactGenLock))
    return 0


def advance_next(multi: int, offset: int) -> None:
    """Replay of a checkpoint."""
    _advance_next(multi, offset)


def advance_oldest(oldest: int, oldest_db: int) -> None:
    """Replay of a checkpoint (MultiXactAdvanceOldest)."""
    if multixact_id_precedes(shared.oldestMultiXactId, oldest):
        set_limits(oldest, oldest_db, False)


def startup() -> None:
    """Before replay (StartupMultiXact)."""
    slru_set_latest_page(&offsets, shared.nextMXact // OFFSETS_PER_PAGE)
    slru_set_latest_page(&members_ctl, shared.nextOffset // MEMBERS_PER_PAGE)


def trim() -> None:
    """After replay: clear what lies beyond the counters, and set the offset of the next one (TrimMultiXact)."""
    cdef MultiXactId multi = read_next_multixact_id()
    cdef MultiXactOffset offset = shared.nextOffset
    cdef int64_t pageno = multi // OFFSETS_PER_PAGE
    cdef LWLock *bank = slru_bank_lock(&offsets, pageno)
    cdef int slotno, entry
    cdef MultiXactOffset *at
    cdef char *group
    cdef char *page
    slru_set_latest_page(&offsets, pageno)
    entry = <int> (multi % OFFSETS_PER_PAGE)
    if not slru_page_physically_exists(&offsets, pageno) and (entry == 0 or multi == FirstMultiXactId):
        _zero_page(&offsets, pageno, 0, False, True)
    lwlock_acquire(bank, LW_EXCLUSIVE)
    slotno = slru_read_page(&offsets, pageno, True, multi)
    at = <MultiXactOffset *> slru_page(&offsets, slotno) + entry
    at[0] = offset if offset != 0 else 1
    memset(at + 1, 0, (OFFSETS_PER_PAGE - entry - 1) * sizeof(MultiXactOffset))
    slru_set_dirty(&offsets, slotno)
    lwlock_release(bank)
    pageno = offset // MEMBERS_PER_PAGE
    slru_set_latest_page(&members_ctl, pageno)
    if offset % MEMBERS_PER_PAGE != 0:
        bank = slru_bank_lock(&members_ctl, pageno)
        lwlock_acquire(bank, LW_EXCLUSIVE)
        slotno = slru_read_page(&members_ctl, pageno, True, multi)
        page = slru_page(&members_ctl, slotno)
        group = page + (offset % MEMBERS_PER_PAGE) // 4 * GROUP_SIZE
        # Members before `offset` of the same group stay; their flag bytes come first in the group.
        memset(group + 4 + (offset % 4) * 4, 0, BLCKSZ - (group + 4 + (offset % 4) * 4 - page))
        slru_set_dirty(&members_ctl, slotno)
        lwlock_release(bank)
    lwlock_acquire(main_lock(MultiXactGenLock), LW_EXCLUSIVE)
    shared.finishedStartup = 1
    lwlock_release(main_lock(MultiXactGenLock))
    set_limits(shared.oldestMultiXactId, shared.oldestMultiXactDB, True)


def set_limits(oldest: int, oldest_db: int, is_startup: bool) -> None:
    """Where warnings, refusals and forced vacuums begin (SetMultiXactIdLimit)."""
    cdef MultiXactId first = oldest
    cdef MultiXactId wrap = first + (<MultiXactId> 0xFFFFFFFF >> 1)
    cdef MultiXactId stop, warn, vac, current
    cdef MultiXactOffset start = 0
    cdef bint known = False
    if wrap < FirstMultiXactId:
        wrap += FirstMultiXactId
    stop = wrap - 3000000
    if stop < FirstMultiXactId:
        stop -= FirstMultiXactId
    warn = wrap - 40000000
    if warn < FirstMultiXactId:
        warn -= FirstMultiXactId
    vac = first + <MultiXactId> settings.autovacuum_multixact_freeze_max_age
    if vac < FirstMultiXactId:
        vac += FirstMultiXactId
    lwlock_acquire(main_lock(MultiXactGenLock), LW_EXCLUSIVE)
    shared.oldestMultiXactId = first
    shared.oldestMultiXactDB = oldest_db
    shared.multiVacLimit = vac
    shared.multiWarnLimit = warn
    shared.multiStopLimit = stop
    shared.multiWrapLimit = wrap
    lwlock_release(main_lock(MultiXactGenLock))
    report(Severity.DEBUG1, f"MultiXactId wrap limit is {wrap}, limited by database with OID {oldest_db}")
    if not shared.finishedStartup:
        return
    # How far members may go before they meet the oldest that is needed.
    if first == read_next_multixact_id():
        start = shared.nextOffset
        known = True
    elif slru_page_physically_exists(&offsets, first // OFFSETS_PER_PAGE):
        start = _read_offset(first)
        known = start != 0
    lwlock_acquire(main_lock(MultiXactGenLock), LW_EXCLUSIVE)
    if known:
        shared.oldestOffset = start
        shared.oldestOffsetKnown = 1
        shared.offsetStopLimit = start - start % MEMBERS_PER_SEGMENT - MEMBERS_PER_SEGMENT
    current = shared.nextMXact
    lwlock_release(main_lock(MultiXactGenLock))
    if not IsUnderPostmaster or in_recovery():
        return
    if multixact_id_precedes(vac, current) or (known and <uint32_t> (shared.nextOffset - start) > MEMBER_SAFE_THRESHOLD):
        _varsup.signal_autovacuum()
    if multixact_id_precedes(warn, current):
        left = wrap - current
        more = "MultiXactId is used" if left == 1 else "MultiXactIds are used"
        report(
            Severity.WARNING,
            f"database {_database(oldest_db)} must be vacuumed before {left} more {more}",
            hint="To avoid MultiXactId assignment failures, execute a database-wide VACUUM in that database."
            + _OLD_THINGS,
        )


def member_freeze_threshold() -> int:
    """autovacuum_multixact_freeze_max_age, less when members get scarce (MultiXactMemberFreezeThreshold)."""
    cdef uint32_t multixacts, members
    cdef double share
    limit = int(settings.autovacuum_multixact_freeze_max_age)
    lwlock_acquire(main_lock(MultiXactGenLock), LW_SHARED)
    multixacts = shared.nextMXact - shared.oldestMultiXactId
    members = shared.nextOffset - shared.oldestOffset
    known = shared.oldestOffsetKnown
    lwlock_release(main_lock(MultiXactGenLock))
    if not known:
        return 0
    if members <= MEMBER_SAFE_THRESHOLD:
        return limit
    share = <double> (members - MEMBER_SAFE_THRESHOLD) / (MEMBER_DANGER_THRESHOLD - MEMBER_SAFE_THRESHOLD)
    victims = int(multixacts * share)
    return 0 if victims > multixacts else min(multixacts - victims, limit)


def checkpoint_values() -> tuple:
    """(next multi, next offset, oldest multi, its database) for a checkpoint record."""
    lwlock_acquire(main_lock(MultiXactGenLock), LW_SHARED)
    values = (shared.nextMXact, shared.nextOffset, shared.oldestMultiXactId, shared.oldestMultiXactDB)
    lwlock_release(main_lock(MultiXactGenLock))
    return values


def checkpoint(flags: int = 0) -> int:
    """Write dirty pages."""
    return slru_write_all(&offsets, True) + slru_write_all(&members_ctl, True)


def sync_offsets(segno: int) -> None:
    slru_sync_segment(&offsets, segno)


def sync_members(segno: int) -> None:
    slru_sync_segment(&members_ctl, segno)


cdef int _truncate_members(MultiXactOffset start, MultiXactOffset end) except -1:
    cdef int64_t last = 0xFFFFFFFF // MEMBERS_PER_SEGMENT
    cdef int64_t segment = start // MEMBERS_PER_SEGMENT
    cdef int64_t stop = end // MEMBERS_PER_SEGMENT
    while segment != stop:
        slru_delete_segment(&members_ctl, segment)
        segment = 0 if segment == last else segment + 1
    return 0


cdef int _truncate_offsets(MultiXactId end) except -1:
    cdef MultiXactId previous = end - 1
    # One before, so that a page just begun is not taken for removable.
    if previous < FirstMultiXactId:
        previous = 0xFFFFFFFF
    slru_truncate(&offsets, previous // OFFSETS_PER_PAGE)
    return 0


def truncate(new_oldest: int, new_oldest_db: int) -> None:
    """Vacuum has frozen everything older than ``new_oldest``: remove it (TruncateMultiXact)."""
    cdef MultiXactId oldest = shared.oldestMultiXactId
    cdef MultiXactId end = new_oldest
    cdef MultiXactId first_on_disk
    cdef MultiXactOffset start_offset, end_offset
    cdef xl_multixact_truncate rec
    if multixact_id_precedes_or_equals(end, oldest):
        return
    lwlock_acquire(main_lock(MultiXactTruncationLock), LW_EXCLUSIVE)
    try:
        segments = slru_segments(&offsets)
        if not segments:
            return
        first_on_disk = min(segments, key=lambda s: <int32_t> (<uint32_t> (s * 65536) - oldest)) * 65536
        if first_on_disk < FirstMultiXactId:
            first_on_disk = FirstMultiXactId
        if multixact_id_precedes(oldest, first_on_disk):
            return
        start_offset = shared.nextOffset if oldest == shared.nextMXact else _read_offset(oldest)
        end_offset = shared.nextOffset if end == shared.nextMXact else _read_offset(end)
        rec.oldestMultiDB = new_oldest_db
        rec.startTruncOff = oldest
        rec.endTruncOff = end
        rec.startTruncMemb = start_offset
        rec.endTruncMemb = end_offset
        critical_start()
        MyProc.delayChkptFlags |= DELAY_CHKPT_START
        xlog_begin_insert()
        xlog_register_data(&rec, sizeof(rec))
        xlog_flush(xlog_insert(RM_MULTIXACT_ID, XLOG_TRUNCATE_ID))
        lwlock_acquire(main_lock(MultiXactGenLock), LW_EXCLUSIVE)
        shared.oldestMultiXactId = end
        shared.oldestMultiXactDB = new_oldest_db
        lwlock_release(main_lock(MultiXactGenLock))
        _truncate_members(start_offset, end_offset)
        _truncate_offsets(end)
        MyProc.delayChkptFlags &= ~DELAY_CHKPT_START
        critical_end()
    finally:
        lwlock_release(main_lock(MultiXactTruncationLock))


cdef int _redo(DecodedRecord record) except -1:
    global pre_initialized_page
    cdef uint8_t info = record.info()
    cdef int64_t pageno, next_page
    cdef xl_multixact_create create
    cdef xl_multixact_truncate trunc
    cdef const MultiXactMember *members
    cdef TransactionId newest
    cdef int i
    if info == XLOG_ZERO_OFF_PAGE or info == XLOG_ZERO_MEM_PAGE:
        memcpy(&pageno, record.main_data, sizeof(pageno))
        if info == XLOG_ZERO_MEM_PAGE:
            _zero_page(&members_ctl, pageno, 0, False, True)
        elif pageno != pre_initialized_page:
            _zero_page(&offsets, pageno, 0, False, True)
        else:
            pre_initialized_page = -1
    elif info == XLOG_CREATE_ID:
        memcpy(&create, record.main_data, sizeof(create))
        members = <const MultiXactMember *> (record.main_data + sizeof(create))
        # WAL of older minor releases makes the page of the next id only when that is created.
        next_page = _following(create.mid) // OFFSETS_PER_PAGE
        if next_page != create.mid // OFFSETS_PER_PAGE and not slru_page_physically_exists(&offsets, next_page):
            _zero_page(&offsets, next_page, 0, False, True)
            pre_initialized_page = next_page
        _record_new(create.mid, create.moff, create.nmembers, members)
        _advance_next(_following(create.mid), create.moff + <uint32_t> create.nmembers)
        newest = record.header.xl_xid
        for i in range(create.nmembers):
            if transaction_id_precedes(newest, members[i].xid):
                newest = members[i].xid
        advance_next_full_transaction_id_past_xid(newest)
    elif info == XLOG_TRUNCATE_ID:
        memcpy(&trunc, record.main_data, sizeof(trunc))
        lwlock_acquire(main_lock(MultiXactTruncationLock), LW_EXCLUSIVE)
        set_limits(trunc.endTruncOff, trunc.oldestMultiDB, False)
        _truncate_members(trunc.startTruncMemb, trunc.endTruncMemb)
        slru_set_latest_page(&offsets, trunc.endTruncOff // OFFSETS_PER_PAGE)
        _truncate_offsets(trunc.endTruncOff)
        lwlock_release(main_lock(MultiXactTruncationLock))
    else:
        raise Panic(errcode.INTERNAL_ERROR, f"multixact_redo: unknown op code {info}")
    return 0


register_redo(RM_MULTIXACT_ID, _redo, NULL)


# Doors for Python code.

def create(members: list) -> int:
    """A multixact of [(xid, status)], for tests."""
    cdef int i, n = len(members)
    cdef MultiXactMember *array = <MultiXactMember *> malloc(max(1, n) * sizeof(MultiXactMember))
    multixact_id_set_oldest_member()
    try:
        for i in range(n):
            array[i].xid, array[i].status = members[i]
        return multixact_id_create_from_members(n, array)
    finally:
        free(array)


def expand(multi: int, xid: int, status: int) -> int:
    multixact_id_set_oldest_member()
    return multixact_id_expand(multi, xid, status)


def get_members(multi: int, only_lockers: bool = False) -> list | None:
    """[(xid, status)] of a multixact (pg_get_multixact_members), None when it is too old."""
    cdef MultiXactMember *array = NULL
    cdef int i, n = get_multixact_id_members(multi, &array, False, only_lockers)
    if n < 0:
        return None
    result = [(array[i].xid, array[i].status) for i in range(n)]
    free(array)
    return result


def is_running(multi: int, is_lock_only: bool = False) -> bool:
    return bool(multixact_id_is_running(multi, is_lock_only))


def oldest() -> int:
    return get_oldest_multixact_id()


def forget_cache() -> None:
    """For tests: read from the pages."""
    cache_by_multi.clear()
    cache_by_members.clear()
