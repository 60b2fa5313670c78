# cython: language_level=3
"""The commit log pg_xact: two bits for each transaction, and the WAL positions of asynchronous commits.

A page holds 32768 ids. For each group of 32 ids the cache remembers the highest WAL position of an asynchronous
commit in it; the page is written only after the WAL is flushed so far, and a hint bit for such a commit waits too.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy, memset

from tusk._types cimport BLCKSZ, BootstrapTransactionId, FirstNormalTransactionId, FrozenTransactionId, InvalidTransactionId
from tusk.memory._lwlock cimport LW_EXCLUSIVE, LWTRANCHE_XACT_BUFFER, LWTRANCHE_XACT_SLRU, LWLock, XactTruncationLock, lwlock_acquire, lwlock_release, main_lock
from tusk.storage._sync cimport SYNC_HANDLER_CLOG
from tusk.transaction._slru cimport (
    SlruCtl,
    slru_attach,
    slru_autotune_buffers,
    slru_bank_lock,
    slru_initialize,
    slru_page,
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
from tusk.transaction._state cimport TransactionXmin, TransamVariables
from tusk.transaction._subtrans cimport sub_trans_get_parent
from tusk.transaction._transam cimport (
    transaction_id_follows,
    transaction_id_is_normal,
    transaction_id_precedes,
)
from tusk.wal._insert cimport xlog_begin_insert, xlog_insert, xlog_register_data
from tusk.wal._record cimport RM_CLOG_ID
from tusk.wal._redo cimport DecodedRecord, in_recovery, register_redo
from tusk.wal._xlog cimport xlog_flush

from tusk.errors import Severity, report
from tusk.memory._segment import declare_area

cdef enum:
    CLOG_XACTS_PER_BYTE = 4
    CLOG_XACTS_PER_PAGE = 32768
    CLOG_XACTS_PER_LSN_GROUP = 32
    CLOG_LSNS_PER_PAGE = 1024
    CLOG_ZEROPAGE = 0x00
    CLOG_TRUNCATE = 0x10

cdef struct xl_clog_truncate:
    int64_t pageno
    TransactionId oldestXact
    Oid oldestXactDb

cdef SlruCtl ctl
cdef int nslots = 0


cdef bint _page_precedes(int64_t a, int64_t b) noexcept nogil:
    cdef TransactionId xa = <TransactionId> (a * CLOG_XACTS_PER_PAGE) + FirstNormalTransactionId + 1
    cdef TransactionId xb = <TransactionId> (b * CLOG_XACTS_PER_PAGE) + FirstNormalTransactionId + 1
    return transaction_id_precedes(xa, xb) and transaction_id_precedes(xa, xb + CLOG_XACTS_PER_PAGE - 1)


cdef inline int64_t _xid_page(TransactionId xid) noexcept nogil:
    return xid // CLOG_XACTS_PER_PAGE


def _nslots(settings):
    wanted = settings.transaction_buffers
    if wanted == 0:
        return slru_autotune_buffers(512, 1024, settings.shared_buffers)
    return max(16, wanted - wanted % 16)


def _size(settings):
    global nslots
    nslots = _nslots(settings)
    return slru_shmem_size(nslots, CLOG_LSNS_PER_PAGE)


def _attach(address):
    slru_attach(&ctl, <void *> <size_t> address, nslots, CLOG_LSNS_PER_PAGE, b"transaction", b"pg_xact",
                SYNC_HANDLER_CLOG, False, _page_precedes)


def _init(address, size):
    slru_initialize(&ctl, LWTRANCHE_XACT_BUFFER, LWTRANCHE_XACT_SLRU)
    forget_cached_status()


declare_area("transaction", _size, _init, _attach)


cdef int _set_page_status(TransactionId xid, int nsubxids, const TransactionId *subxids, int status, Lsn lsn,
                          int64_t pageno) except -1 nogil:
    """Set ids that all live on one page; ``xid`` may be invalid when only subtransactions are meant."""
    cdef LWLock *bank = slru_bank_lock(&ctl, pageno)
    cdef int slotno, i
    lwlock_acquire(bank, LW_EXCLUSIVE)
    # An asynchronous commit must not slip its LSN under a write in progress: wait for that to end.
    slotno = slru_read_page(&ctl, pageno, lsn == 0, xid)
    if xid != InvalidTransactionId:
        # A reader must never see a committed parent with a child that looks unfinished.
        if status == TRANSACTION_STATUS_COMMITTED:
            for i in range(nsubxids):
                _set_bits(subxids[i], TRANSACTION_STATUS_SUB_COMMITTED, lsn, slotno)
        _set_bits(xid, status, lsn, slotno)
    for i in range(nsubxids):
        _set_bits(subxids[i], status, lsn, slotno)
    slru_set_dirty(&ctl, slotno)
    lwlock_release(bank)
    return 0


cdef inline void _set_bits(TransactionId xid, int status, Lsn lsn, int slotno) noexcept nogil:
    cdef uint8_t *byte = <uint8_t *> slru_page(&ctl, slotno) + (xid % CLOG_XACTS_PER_PAGE) // CLOG_XACTS_PER_BYTE
    cdef int shift = <int> (xid % CLOG_XACTS_PER_BYTE) * 2
    cdef int current = (byte[0] >> shift) & 3
    cdef Lsn *group
    # Replay may meet the final state already on disk.
    if in_recovery() and status == TRANSACTION_STATUS_SUB_COMMITTED and current == TRANSACTION_STATUS_COMMITTED:
        return
    byte[0] = <uint8_t> ((byte[0] & ~(3 << shift)) | (status << shift))
    if lsn != 0:
        group = ctl.group_lsn + slotno * CLOG_LSNS_PER_PAGE + (xid % CLOG_XACTS_PER_PAGE) // CLOG_XACTS_PER_LSN_GROUP
        if group[0] < lsn:
            group[0] = lsn


cdef int _set_by_pages(int nsubxids, const TransactionId *subxids, int status, Lsn lsn) except -1 nogil:
    cdef int start = 0, i = 0
    cdef int64_t pageno
    while i < nsubxids:
        pageno = _xid_page(subxids[i])
        start = i
        while i < nsubxids and _xid_page(subxids[i]) == pageno:
            i += 1
        _set_page_status(InvalidTransactionId, i - start, subxids + start, status, lsn, pageno)
    return 0


cdef int clog_set_tree_status(TransactionId xid, int nsubxids, const TransactionId *subxids, int status,
                              Lsn lsn) except -1 nogil:
    """Record the end of a transaction and of its committed children, atomically for readers.

    ``subxids`` ascend. Children on other pages are marked sub-committed first: a reader then asks for the parent.
    """
    cdef int64_t pageno = _xid_page(xid)
    cdef int i, here
    for i in range(nsubxids):
        if _xid_page(subxids[i]) != pageno:
            break
    else:
        return _set_page_status(xid, nsubxids, subxids, status, lsn, pageno)
    here = i
    if status == TRANSACTION_STATUS_COMMITTED:
        _set_by_pages(nsubxids - here, subxids + here, TRANSACTION_STATUS_SUB_COMMITTED, lsn)
    _set_page_status(xid, here, subxids, status, lsn, pageno)
    return _set_by_pages(nsubxids - here, subxids + here, status, lsn)


cdef int clog_get_status(TransactionId xid, Lsn *lsn) except -1 nogil:
    """The two bits, and a WAL position before whose flush the commit is not durable (0: it is)."""
    cdef int64_t pageno = _xid_page(xid)
    cdef int slotno = slru_read_page_read_only(&ctl, pageno, xid)
    cdef uint8_t byte = (<uint8_t *> slru_page(&ctl, slotno))[(xid % CLOG_XACTS_PER_PAGE) // CLOG_XACTS_PER_BYTE]
    lsn[0] = ctl.group_lsn[slotno * CLOG_LSNS_PER_PAGE + (xid % CLOG_XACTS_PER_PAGE) // CLOG_XACTS_PER_LSN_GROUP]
    lwlock_release(slru_bank_lock(&ctl, pageno))
    return (byte >> ((xid % CLOG_XACTS_PER_BYTE) * 2)) & 3


cdef int extend_clog(TransactionId newest) except -1 nogil:
    """Make the page of a new id exist; called with XidGenLock held for every id."""
    cdef int64_t pageno
    cdef LWLock *bank
    if newest % CLOG_XACTS_PER_PAGE != 0 and newest != FirstNormalTransactionId:
        return 0
    pageno = _xid_page(newest)
    bank = slru_bank_lock(&ctl, pageno)
    lwlock_acquire(bank, LW_EXCLUSIVE)
    slru_zero_page(&ctl, pageno)
    if not in_recovery():
        with gil:
            xlog_begin_insert()
            xlog_register_data(&pageno, sizeof(pageno))
            xlog_insert(RM_CLOG_ID, CLOG_ZEROPAGE)
    lwlock_release(bank)
    return 0


cdef int truncate_clog(TransactionId oldest_xact, Oid oldest_xact_db) except -1:
    """Remove what precedes ``oldest_xact``, everything older being frozen (TruncateCLOG)."""
    cdef int64_t cutoff = _xid_page(oldest_xact)
    cdef xl_clog_truncate rec
    cdef Lsn lsn
    if not any(_page_precedes(segno * 32, cutoff) and _page_precedes(segno * 32 + 31, cutoff)
               for segno in slru_segments(&ctl)):
        return 0
    advance_oldest_clog_xid(oldest_xact)
    memset(&rec, 0, sizeof(rec))
    rec.pageno = cutoff
    rec.oldestXact = oldest_xact
    rec.oldestXactDb = oldest_xact_db
    xlog_begin_insert()
    xlog_register_data(&rec, sizeof(rec))
    lsn = xlog_insert(RM_CLOG_ID, CLOG_TRUNCATE)
    xlog_flush(lsn)
    slru_truncate(&ctl, cutoff)
    return 0


cdef int advance_oldest_clog_xid(TransactionId oldest) except -1:
    """Nobody may look up ids older than this from now on (AdvanceOldestClogXid)."""
    lwlock_acquire(main_lock(XactTruncationLock), LW_EXCLUSIVE)
    if transaction_id_precedes(TransamVariables.oldestClogXid, oldest):
        TransamVariables.oldestClogXid = oldest
    lwlock_release(main_lock(XactTruncationLock))
    return 0


cdef int _redo(DecodedRecord record) except -1:
    cdef int64_t pageno
    cdef xl_clog_truncate rec
    cdef LWLock *bank
    if record.info() == CLOG_ZEROPAGE:
        memcpy(&pageno, record.main_data, sizeof(pageno))
        bank = slru_bank_lock(&ctl, pageno)
        lwlock_acquire(bank, LW_EXCLUSIVE)
        slru_write_page(&ctl, slru_zero_page(&ctl, pageno))
        lwlock_release(bank)
    else:
        memcpy(&rec, record.main_data, sizeof(rec))
        advance_oldest_clog_xid(rec.oldestXact)
        slru_truncate(&ctl, rec.pageno)
    return 0


register_redo(RM_CLOG_ID, _redo, NULL)


def bootstrap() -> None:
    """Write the first page, zeroed, for a new cluster."""
    cdef LWLock *bank = slru_bank_lock(&ctl, 0)
    lwlock_acquire(bank, LW_EXCLUSIVE)
    slru_write_page(&ctl, slru_zero_page(&ctl, 0))
    lwlock_release(bank)


def startup() -> None:
    """Before replay: the counters are known (StartupCLOG)."""
    slru_set_latest_page(&ctl, _xid_page(<TransactionId> TransamVariables.nextXid))


def trim() -> None:
    """After replay: ids never handed out must read as running, whatever an earlier life left (TrimCLOG)."""
    cdef TransactionId xid = <TransactionId> TransamVariables.nextXid
    cdef int64_t pageno = _xid_page(xid)
    cdef LWLock *bank = slru_bank_lock(&ctl, pageno)
    cdef int slotno, byteno
    cdef uint8_t *byte
    if xid % CLOG_XACTS_PER_PAGE == 0:
        return                              # the page will be zeroed when it is needed
    lwlock_acquire(bank, LW_EXCLUSIVE)
    slotno = slru_read_page(&ctl, pageno, False, xid)
    byteno = <int> (xid % CLOG_XACTS_PER_PAGE) // CLOG_XACTS_PER_BYTE
    byte = <uint8_t *> slru_page(&ctl, slotno) + byteno
    byte[0] &= <uint8_t> ((1 << (<int> (xid % CLOG_XACTS_PER_BYTE) * 2)) - 1)
    memset(byte + 1, 0, BLCKSZ - byteno - 1)
    slru_set_dirty(&ctl, slotno)
    lwlock_release(bank)


def checkpoint(flags: int = 0) -> int:
    """Write dirty pages; return how many."""
    return slru_write_all(&ctl, True)


def truncate(oldest_xact: int, oldest_xact_db: int) -> None:
    """Python door to truncate_clog()."""
    truncate_clog(oldest_xact, oldest_xact_db)


def advance_oldest(oldest_xact: int) -> None:
    """Start-up: ids before this were truncated away."""
    advance_oldest_clog_xid(oldest_xact)


def sync_segment(segno: int) -> None:
    """Checkpointer: make a segment durable."""
    slru_sync_segment(&ctl, segno)


def status(xid: int) -> int:
    """The two bits of an id, for tests and pg_xact_status()."""
    cdef Lsn lsn
    return clog_get_status(xid, &lsn)


# access/transam.c

cdef TransactionId cached_xid = 0
cdef int cached_status = 0
cdef Lsn cached_lsn = 0


cdef inline int _fetch(TransactionId xid) except -1 nogil:
    """The status of any id, remembering the last final answer (TransactionLogFetch)."""
    global cached_xid, cached_status, cached_lsn
    cdef int status
    cdef Lsn lsn = 0
    if xid == cached_xid and xid != InvalidTransactionId:
        return cached_status
    if not transaction_id_is_normal(xid):
        return TRANSACTION_STATUS_ABORTED if xid == InvalidTransactionId else TRANSACTION_STATUS_COMMITTED
    status = clog_get_status(xid, &lsn)
    if status == TRANSACTION_STATUS_COMMITTED or status == TRANSACTION_STATUS_ABORTED:
        cached_xid = xid
        cached_status = status
        cached_lsn = lsn
    return status


cdef int transaction_id_did_commit(TransactionId xid) except -1 nogil:
    """1 if ``xid`` committed for good. Ask transaction_id_is_in_progress first: an answer of 0 may soon change."""
    cdef int status
    cdef TransactionId parent
    while True:
        status = _fetch(xid)
        if status != TRANSACTION_STATUS_SUB_COMMITTED:
            return status == TRANSACTION_STATUS_COMMITTED
        if transaction_id_precedes(xid, TransactionXmin):
            return 0                        # its parent must have crashed: no transaction that old runs
        parent = sub_trans_get_parent(xid)
        if parent == InvalidTransactionId:
            with gil:
                report(Severity.WARNING, f"no pg_subtrans entry for subcommitted XID {xid}")
            return 0
        xid = parent


cdef int transaction_id_did_abort(TransactionId xid) except -1 nogil:
    """1 if ``xid`` aborted explicitly; an id that crashed may read as 0."""
    cdef int status
    cdef TransactionId parent
    while True:
        status = _fetch(xid)
        if status != TRANSACTION_STATUS_SUB_COMMITTED:
            return status == TRANSACTION_STATUS_ABORTED
        if transaction_id_precedes(xid, TransactionXmin):
            return 1
        parent = sub_trans_get_parent(xid)
        if parent == InvalidTransactionId:
            with gil:
                report(Severity.WARNING, f"no pg_subtrans entry for subcommitted XID {xid}")
            return 1
        xid = parent


cdef int transaction_id_commit_tree(TransactionId xid, int nsubxids, const TransactionId *subxids) except -1:
    return clog_set_tree_status(xid, nsubxids, subxids, TRANSACTION_STATUS_COMMITTED, 0)


cdef int transaction_id_async_commit_tree(TransactionId xid, int nsubxids, const TransactionId *subxids,
                                          Lsn lsn) except -1:
    return clog_set_tree_status(xid, nsubxids, subxids, TRANSACTION_STATUS_COMMITTED, lsn)


cdef int transaction_id_abort_tree(TransactionId xid, int nsubxids, const TransactionId *subxids) except -1:
    return clog_set_tree_status(xid, nsubxids, subxids, TRANSACTION_STATUS_ABORTED, 0)


cdef TransactionId transaction_id_latest(TransactionId xid, int nsubxids, const TransactionId *subxids) noexcept nogil:
    """The newest of an id and its children (which ascend, but may have begun before the parent got its id)."""
    cdef int i
    cdef TransactionId newest = xid
    for i in range(nsubxids):
        if transaction_id_follows(subxids[i], newest):
            newest = subxids[i]
    return newest


cdef Lsn transaction_id_get_commit_lsn(TransactionId xid) except? 0xffffffffffffffff nogil:
    """WAL position that must be flushed before a hint bit may tell of this commit; 0: none."""
    cdef Lsn lsn = 0
    if xid == cached_xid:
        return cached_lsn
    if not transaction_id_is_normal(xid):
        return 0
    clog_get_status(xid, &lsn)
    return lsn


def did_commit(xid: int) -> bool:
    return bool(transaction_id_did_commit(xid))


def did_abort(xid: int) -> bool:
    return bool(transaction_id_did_abort(xid))


def commit_lsn(xid: int) -> int:
    """WAL position before whose flush the commit is not durable; 0 if it is."""
    return transaction_id_get_commit_lsn(xid)


def forget_cached_status() -> None:
    """Tests that reinitialise shared memory in one process."""
    global cached_xid
    cached_xid = 0
