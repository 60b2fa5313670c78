# cython: language_level=3
"""Commit timestamps: pg_commit_ts, 10 bytes for each id (time, origin), 819 to a page.

Only its page creation and truncation is logged; the times come again from the commit records during replay.
"""

from libc.stdint cimport uint32_t
from libc.string cimport memcpy, memset

from tusk._types cimport FirstNormalTransactionId, InvalidTransactionId
from tusk.memory._lwlock cimport (
    LW_EXCLUSIVE,
    LW_SHARED,
    LWTRANCHE_COMMITTS_BUFFER,
    LWTRANCHE_COMMITTS_SLRU,
    CommitTsLock,
    LWLock,
    lwlock_acquire,
    lwlock_release,
    main_lock,
)
from tusk.storage._sync cimport SYNC_HANDLER_COMMIT_TS
from tusk.transaction._slru cimport (
    SlruCtl,
    slru_attach,
    slru_autotune_buffers,
    slru_bank_lock,
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
from tusk.transaction._state cimport TransamVariables
from tusk.transaction._transam cimport transaction_id_follows, transaction_id_is_normal, transaction_id_precedes
from tusk.wal._insert cimport xlog_begin_insert, xlog_insert, xlog_register_data
from tusk.wal._record cimport RM_COMMIT_TS_ID
from tusk.wal._redo cimport DecodedRecord, in_recovery, register_redo

from tusk.config import settings
from tusk.errors import SqlError, errcode
from tusk.memory._segment import declare_area

cdef enum:
    ENTRY_SIZE = 10
    XACTS_PER_PAGE = 819
    COMMIT_TS_ZEROPAGE = 0x00
    COMMIT_TS_TRUNCATE = 0x10

cdef packed struct CommitTimestampEntry:
    int64_t time
    uint16_t nodeid

cdef packed struct xl_commit_ts_truncate:
    int64_t pageno
    TransactionId oldestXid

cdef struct CommitTsShared:
    TransactionId xidLastCommit
    int64_t timeLastCommit
    uint16_t originLastCommit
    uint32_t active

cdef SlruCtl ctl
cdef CommitTsShared *shared
cdef int nslots = 0


cdef bint _page_precedes(int64_t a, int64_t b) noexcept nogil:
    cdef TransactionId xa = <TransactionId> (a * XACTS_PER_PAGE) + FirstNormalTransactionId + 1
    cdef TransactionId xb = <TransactionId> (b * XACTS_PER_PAGE) + FirstNormalTransactionId + 1
    return transaction_id_precedes(xa, xb) and transaction_id_precedes(xa, xb + XACTS_PER_PAGE - 1)


def _size(settings):
    global nslots
    wanted = settings.commit_timestamp_buffers
    nslots = slru_autotune_buffers(512, 1024, settings.shared_buffers) if wanted == 0 else max(16, wanted - wanted % 16)
    return slru_shmem_size(nslots, 0)


def _attach(address):
    slru_attach(&ctl, <void *> <size_t> address, nslots, 0, b"commit_timestamp", b"pg_commit_ts",
                SYNC_HANDLER_COMMIT_TS, False, _page_precedes)


def _init(address, size):
    slru_initialize(&ctl, LWTRANCHE_COMMITTS_BUFFER, LWTRANCHE_COMMITTS_SLRU)


def _shared_attach(address):
    global shared
    shared = <CommitTsShared *> <size_t> address


declare_area("commit_timestamp", _size, _init, _attach)
declare_area("CommitTs shared", lambda settings: sizeof(CommitTsShared), lambda address, size: None, _shared_attach)


cdef int extend_commit_ts(TransactionId newest) except -1 nogil:
    """Make the page of a new id exist, when times are kept."""
    cdef int64_t pageno
    cdef LWLock *bank
    if not shared.active:
        return 0
    if newest % XACTS_PER_PAGE != 0 and newest != FirstNormalTransactionId:
        return 0
    pageno = newest // XACTS_PER_PAGE
    bank = slru_bank_lock(&ctl, pageno)
    lwlock_acquire(bank, LW_EXCLUSIVE)
    slru_zero_page(&ctl, pageno)
    if not in_recovery():
        with gil:
            xlog_begin_insert()
            xlog_register_data(&pageno, sizeof(pageno))
            xlog_insert(RM_COMMIT_TS_ID, COMMIT_TS_ZEROPAGE)
    lwlock_release(bank)
    return 0


cdef int _set_one(TransactionId xid, int64_t timestamp, uint16_t origin) except -1:
    cdef int64_t pageno = xid // XACTS_PER_PAGE
    cdef LWLock *bank = slru_bank_lock(&ctl, pageno)
    cdef CommitTimestampEntry entry
    cdef int slotno
    entry.time = timestamp
    entry.nodeid = origin
    lwlock_acquire(bank, LW_EXCLUSIVE)
    slotno = slru_read_page(&ctl, pageno, True, xid)
    memcpy(slru_page(&ctl, slotno) + ENTRY_SIZE * (xid % XACTS_PER_PAGE), &entry, ENTRY_SIZE)
    slru_set_dirty(&ctl, slotno)
    lwlock_release(bank)
    return 0


cdef int commit_ts_set_tree(TransactionId xid, int nsubxids, const TransactionId *subxids, int64_t timestamp,
                            uint16_t origin) except -1:
    """Keep the commit time of a transaction and its children (TransactionTreeSetCommitTsData)."""
    cdef int i
    cdef TransactionId newest = xid
    if not shared.active:
        return 0
    for i in range(nsubxids):
        if transaction_id_follows(subxids[i], newest):
            newest = subxids[i]
    _set_one(xid, timestamp, origin)
    for i in range(nsubxids):
        _set_one(subxids[i], timestamp, origin)
    lwlock_acquire(main_lock(CommitTsLock), LW_EXCLUSIVE)
    shared.xidLastCommit = xid
    shared.timeLastCommit = timestamp
    shared.originLastCommit = origin
    if transaction_id_precedes(TransamVariables.newestCommitTsXid, newest):
        TransamVariables.newestCommitTsXid = newest
    lwlock_release(main_lock(CommitTsLock))
    return 0


cdef _not_active():
    return SqlError(errcode.OBJECT_NOT_IN_PREREQUISITE_STATE, "could not get commit timestamp data",
                    hint='Make sure the configuration parameter "track_commit_timestamp" is set.')


def get(xid: int):
    """(time, origin) of a committed transaction, or None when it is not known (pg_xact_commit_timestamp)."""
    cdef TransactionId id = xid
    cdef CommitTimestampEntry entry
    cdef TransactionId oldest, newest
    cdef int slotno
    if id == InvalidTransactionId:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f"cannot retrieve commit timestamp for transaction {id}")
    if not transaction_id_is_normal(id):
        return None
    lwlock_acquire(main_lock(CommitTsLock), LW_SHARED)
    if not shared.active:
        lwlock_release(main_lock(CommitTsLock))
        raise _not_active()
    if shared.xidLastCommit == id:
        found = (shared.timeLastCommit, shared.originLastCommit)
        lwlock_release(main_lock(CommitTsLock))
        return found
    oldest = TransamVariables.oldestCommitTsXid
    newest = TransamVariables.newestCommitTsXid
    lwlock_release(main_lock(CommitTsLock))
    if oldest == InvalidTransactionId or transaction_id_precedes(id, oldest) or transaction_id_precedes(newest, id):
        return None
    slotno = slru_read_page_read_only(&ctl, id // XACTS_PER_PAGE, id)
    memcpy(&entry, slru_page(&ctl, slotno) + ENTRY_SIZE * (id % XACTS_PER_PAGE), ENTRY_SIZE)
    lwlock_release(slru_bank_lock(&ctl, id // XACTS_PER_PAGE))
    return (entry.time, entry.nodeid) if entry.time != 0 else None


def latest():
    """(xid, time, origin) of the last commit (pg_last_committed_xact)."""
    lwlock_acquire(main_lock(CommitTsLock), LW_SHARED)
    try:
        if not shared.active:
            raise _not_active()
        return shared.xidLastCommit, shared.timeLastCommit, shared.originLastCommit
    finally:
        lwlock_release(main_lock(CommitTsLock))


def activate() -> None:
    """Begin to keep times: the page of the next id must exist, and nothing older is known."""
    cdef TransactionId xid = <TransactionId> TransamVariables.nextXid
    cdef int64_t pageno = xid // XACTS_PER_PAGE
    cdef LWLock *bank
    lwlock_acquire(main_lock(CommitTsLock), LW_EXCLUSIVE)
    if shared.active:
        lwlock_release(main_lock(CommitTsLock))
        return
    lwlock_release(main_lock(CommitTsLock))
    slru_set_latest_page(&ctl, pageno)
    lwlock_acquire(main_lock(CommitTsLock), LW_EXCLUSIVE)
    if TransamVariables.oldestCommitTsXid == InvalidTransactionId:
        TransamVariables.oldestCommitTsXid = TransamVariables.newestCommitTsXid = xid
    lwlock_release(main_lock(CommitTsLock))
    if not slru_page_physically_exists(&ctl, pageno):
        bank = slru_bank_lock(&ctl, pageno)
        lwlock_acquire(bank, LW_EXCLUSIVE)
        slru_write_page(&ctl, slru_zero_page(&ctl, pageno))
        lwlock_release(bank)
    lwlock_acquire(main_lock(CommitTsLock), LW_EXCLUSIVE)
    shared.active = 1
    lwlock_release(main_lock(CommitTsLock))


def deactivate() -> None:
    """Stop keeping times and remove what is there: it would have holes later."""
    lwlock_acquire(main_lock(CommitTsLock), LW_EXCLUSIVE)
    shared.active = 0
    shared.timeLastCommit = 0
    shared.xidLastCommit = 0
    TransamVariables.oldestCommitTsXid = 0
    TransamVariables.newestCommitTsXid = 0
    lwlock_release(main_lock(CommitTsLock))
    from tusk.transaction._slru import remove_all_segments
    remove_all_segments("pg_commit_ts")


def startup() -> None:
    """Before replay."""
    slru_set_latest_page(&ctl, <TransactionId> TransamVariables.nextXid // XACTS_PER_PAGE)
    if TransamVariables.oldestCommitTsXid != 0:
        # The primary kept times when this checkpoint was made; replay goes on keeping them.
        shared.active = 1


def complete_initialization() -> None:
    """After replay the setting of this server decides (CompleteCommitTsInitialization)."""
    if settings.track_commit_timestamp:
        activate()
    elif shared.active or slru_segments(&ctl):
        deactivate()


def parameter_change(new_value: bool) -> None:
    """Replay of a parameter change of the primary (CommitTsParameterChange)."""
    if new_value:
        activate()
    elif shared.active:
        deactivate()


def checkpoint(flags: int = 0) -> int:
    return slru_write_all(&ctl, True)


def sync_segment(segno: int) -> None:
    slru_sync_segment(&ctl, segno)


def truncate(oldest_xact: int) -> None:
    """Remove times of ids before ``oldest_xact`` (TruncateCommitTs)."""
    cdef xl_commit_ts_truncate rec
    cdef int64_t cutoff = <TransactionId> oldest_xact // XACTS_PER_PAGE
    if not any(_page_precedes(segno * 32, cutoff) and _page_precedes(segno * 32 + 31, cutoff)
               for segno in slru_segments(&ctl)):
        return
    rec.pageno = cutoff
    rec.oldestXid = oldest_xact
    xlog_begin_insert()
    xlog_register_data(&rec, sizeof(rec))
    xlog_insert(RM_COMMIT_TS_ID, COMMIT_TS_TRUNCATE)
    slru_truncate(&ctl, cutoff)


def set_limit(oldest_xact: int, newest_xact: int) -> None:
    """From a checkpoint record (SetCommitTsLimit)."""
    lwlock_acquire(main_lock(CommitTsLock), LW_EXCLUSIVE)
    if TransamVariables.oldestCommitTsXid != 0:
        if transaction_id_precedes(TransamVariables.oldestCommitTsXid, oldest_xact):
            TransamVariables.oldestCommitTsXid = oldest_xact
        if transaction_id_precedes(newest_xact, TransamVariables.newestCommitTsXid):
            TransamVariables.newestCommitTsXid = newest_xact
    else:
        TransamVariables.oldestCommitTsXid = oldest_xact
        TransamVariables.newestCommitTsXid = newest_xact
    lwlock_release(main_lock(CommitTsLock))


def advance_oldest(oldest_xact: int) -> None:
    lwlock_acquire(main_lock(CommitTsLock), LW_EXCLUSIVE)
    if TransamVariables.oldestCommitTsXid != 0 and transaction_id_precedes(
            TransamVariables.oldestCommitTsXid, oldest_xact):
        TransamVariables.oldestCommitTsXid = oldest_xact
    lwlock_release(main_lock(CommitTsLock))


cdef int _redo(DecodedRecord record) except -1:
    cdef int64_t pageno
    cdef xl_commit_ts_truncate rec
    cdef LWLock *bank
    if record.info() == COMMIT_TS_ZEROPAGE:
        memcpy(&pageno, record.main_data, sizeof(pageno))
        bank = slru_bank_lock(&ctl, pageno)
        lwlock_acquire(bank, LW_EXCLUSIVE)
        slru_write_page(&ctl, slru_zero_page(&ctl, pageno))
        lwlock_release(bank)
    else:
        memcpy(&rec, record.main_data, sizeof(rec))
        advance_oldest(rec.oldestXid)
        slru_set_latest_page(&ctl, rec.pageno)
        slru_truncate(&ctl, rec.pageno)
    return 0


register_redo(RM_COMMIT_TS_ID, _redo, NULL)
