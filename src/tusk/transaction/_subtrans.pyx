# cython: language_level=3
"""The parent of each running subtransaction: pg_subtrans, 2048 ids a page, not needed after a crash."""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from tusk._types cimport BLCKSZ, FirstNormalTransactionId, InvalidTransactionId
from tusk.memory._lwlock cimport (
    LW_EXCLUSIVE,
    LWTRANCHE_SUBTRANS_BUFFER,
    LWTRANCHE_SUBTRANS_SLRU,
    LWLock,
    lwlock_acquire,
    lwlock_release,
)
from tusk.transaction._slru cimport (
    SlruCtl,
    slru_attach,
    slru_autotune_buffers,
    slru_bank_lock,
    slru_initialize,
    slru_page,
    slru_read_page,
    slru_read_page_read_only,
    slru_set_dirty,
    slru_set_latest_page,
    slru_shmem_size,
    slru_truncate,
    slru_write_all,
    slru_write_page,
    slru_zero_page,
)
from tusk.transaction._state cimport TransactionXmin, TransamVariables
from tusk.transaction._transam cimport transaction_id_precedes, transaction_id_retreat

from tusk.errors import SqlError, errcode
from tusk.memory._segment import declare_area

cdef enum:
    XACTS_PER_PAGE = 2048

cdef SlruCtl ctl
cdef int nslots = 0


cdef bint _page_precedes(int64_t a, int64_t b) noexcept nogil:
    cdef TransactionId xa = <TransactionId> (a * XACTS_PER_PAGE) + FirstNormalTransactionId + 1
    cdef TransactionId xb = <TransactionId> (b * XACTS_PER_PAGE) + FirstNormalTransactionId + 1
    return transaction_id_precedes(xa, xb) and transaction_id_precedes(xa, xb + XACTS_PER_PAGE - 1)


def _size(settings):
    global nslots
    wanted = settings.subtransaction_buffers
    nslots = slru_autotune_buffers(512, 1024, settings.shared_buffers) if wanted == 0 else max(16, wanted - wanted % 16)
    return slru_shmem_size(nslots, 0)


def _attach(address):
    slru_attach(&ctl, <void *> <size_t> address, nslots, 0, b"subtransaction", b"pg_subtrans", -1, False,
                _page_precedes)


def _init(address, size):
    slru_initialize(&ctl, LWTRANCHE_SUBTRANS_BUFFER, LWTRANCHE_SUBTRANS_SLRU)


declare_area("subtransaction", _size, _init, _attach)


cdef int sub_trans_set_parent(TransactionId xid, TransactionId parent) except -1 nogil:
    """Record the immediate parent of a new subtransaction."""
    cdef int64_t pageno = xid // XACTS_PER_PAGE
    cdef LWLock *bank = slru_bank_lock(&ctl, pageno)
    cdef int slotno
    cdef TransactionId *entry
    lwlock_acquire(bank, LW_EXCLUSIVE)
    slotno = slru_read_page(&ctl, pageno, True, xid)
    entry = <TransactionId *> slru_page(&ctl, slotno) + xid % XACTS_PER_PAGE
    if entry[0] != parent:
        entry[0] = parent
        slru_set_dirty(&ctl, slotno)
    lwlock_release(bank)
    return 0


cdef TransactionId sub_trans_get_parent(TransactionId xid) except? 0xffffffff nogil:
    """The immediate parent, or 0."""
    cdef int64_t pageno = xid // XACTS_PER_PAGE
    cdef int slotno
    cdef TransactionId parent
    if xid < FirstNormalTransactionId:
        return InvalidTransactionId
    slotno = slru_read_page_read_only(&ctl, pageno, xid)
    parent = (<TransactionId *> slru_page(&ctl, slotno))[xid % XACTS_PER_PAGE]
    lwlock_release(slru_bank_lock(&ctl, pageno))
    return parent


cdef TransactionId sub_trans_get_topmost_transaction(TransactionId xid) except? 0xffffffff nogil:
    """The outermost known ancestor: at least as new as TransactionXmin, which is as far as the log reaches."""
    cdef TransactionId parent = xid, previous = xid
    while parent != InvalidTransactionId:
        previous = parent
        if transaction_id_precedes(parent, TransactionXmin):
            break
        parent = sub_trans_get_parent(parent)
        # A parent is older than its children; anything else would loop for ever.
        if parent != InvalidTransactionId and not transaction_id_precedes(parent, previous):
            with gil:
                raise SqlError(errcode.INTERNAL_ERROR,
                               f"pg_subtrans contains invalid entry: xid {previous} points to parent xid {parent}")
    return previous


cdef int extend_subtrans(TransactionId newest) except -1 nogil:
    """Make the page of a new id exist; called with XidGenLock held. Not logged: a restart begins empty."""
    cdef int64_t pageno
    cdef LWLock *bank
    if newest % XACTS_PER_PAGE != 0 and newest != FirstNormalTransactionId:
        return 0
    pageno = newest // XACTS_PER_PAGE
    bank = slru_bank_lock(&ctl, pageno)
    lwlock_acquire(bank, LW_EXCLUSIVE)
    slru_zero_page(&ctl, pageno)
    lwlock_release(bank)
    return 0


def bootstrap() -> None:
    """Write the first page, zeroed, for a new cluster."""
    cdef LWLock *bank = slru_bank_lock(&ctl, 0)
    lwlock_acquire(bank, LW_EXCLUSIVE)
    slru_write_page(&ctl, slru_zero_page(&ctl, 0))
    lwlock_release(bank)


def startup(oldest_active_xid: int) -> None:
    """Zero every page that a running transaction may use (StartupSUBTRANS)."""
    cdef int64_t last_page = -1
    cdef int64_t pageno = <TransactionId> oldest_active_xid // XACTS_PER_PAGE
    cdef int64_t end = <TransactionId> TransamVariables.nextXid // XACTS_PER_PAGE
    cdef LWLock *bank
    while True:
        bank = slru_bank_lock(&ctl, pageno)
        lwlock_acquire(bank, LW_EXCLUSIVE)
        slru_zero_page(&ctl, pageno)
        lwlock_release(bank)
        if pageno == end:
            break
        pageno += 1
        if pageno > 0xFFFFFFFF // XACTS_PER_PAGE:
            pageno = 0


def checkpoint(flags: int = 0) -> int:
    """Write dirty pages; only to keep the cache clean, nothing depends on it."""
    return slru_write_all(&ctl, True)


def truncate(oldest_xact: int) -> None:
    """Forget what no running transaction can ask for (TruncateSUBTRANS)."""
    cdef TransactionId xid = transaction_id_retreat(<TransactionId> oldest_xact)
    slru_truncate(&ctl, xid // XACTS_PER_PAGE)


def parent_of(xid: int) -> int:
    return sub_trans_get_parent(xid)


def set_parent(xid: int, parent: int) -> None:
    sub_trans_set_parent(xid, parent)


def topmost(xid: int) -> int:
    return sub_trans_get_topmost_transaction(xid)
