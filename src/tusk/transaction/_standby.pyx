# cython: language_level=3
"""Records for standbys: who runs, who holds access exclusive locks (PostgreSQL's standby.c)."""

from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from tusk._types cimport Lsn, Oid, TransactionId
from tusk.wal._insert cimport xlog_begin_insert, xlog_insert, xlog_register_data, xlog_set_record_flags
from tusk.wal._record cimport RM_STANDBY_ID, XLOG_MARK_UNIMPORTANT
from tusk.wal._redo cimport DecodedRecord, register_redo
from tusk.wal._xlog cimport xlog_set_async_xact_lsn

from tusk.errors import Panic, errcode
from tusk.transaction import _lock, _procarray

cdef enum:
    XLOG_STANDBY_LOCK = 0x00
    XLOG_RUNNING_XACTS = 0x10
    XLOG_INVALIDATIONS = 0x20

cdef struct xl_running_xacts:
    int32_t xcnt
    int32_t subxcnt
    uint8_t subxid_overflow
    uint8_t pad[3]
    TransactionId nextXid
    TransactionId oldestRunningXid
    TransactionId latestCompletedXid

cdef struct xl_standby_lock:
    TransactionId xid
    Oid dbOid
    Oid relOid


def log_access_exclusive_locks(locks: list) -> None:
    """One record with [(xid, database, relation)]."""
    cdef int32_t n = len(locks)
    cdef int i
    cdef xl_standby_lock *array = <xl_standby_lock *> malloc(max(1, n) * sizeof(xl_standby_lock))
    if array == NULL:
        raise MemoryError
    try:
        for i in range(n):
            array[i].xid, array[i].dbOid, array[i].relOid = locks[i]
        xlog_begin_insert()
        xlog_register_data(&n, sizeof(n))
        xlog_register_data(array, n * sizeof(xl_standby_lock))
        xlog_set_record_flags(XLOG_MARK_UNIMPORTANT)
        xlog_insert(RM_STANDBY_ID, XLOG_STANDBY_LOCK)
    finally:
        free(array)


def log_standby_snapshot() -> int:
    """Log the access exclusive locks and the running transactions; returns the record's end.

    The locks are read first: whoever of their holders ended meanwhile is not among the running ones.
    """
    cdef xl_running_xacts rec
    cdef TransactionId *xids
    cdef Lsn lsn
    cdef int i, n
    locks = _lock.running_transaction_locks()
    if locks:
        log_access_exclusive_locks(locks)
    top, sub, overflowed, next_xid, oldest, latest = _procarray.running_transactions()
    try:
        ids = top + sub
        n = len(ids)
        memset(&rec, 0, sizeof(rec))
        rec.xcnt = len(top)
        rec.subxcnt = len(sub)
        rec.subxid_overflow = overflowed
        rec.nextXid = next_xid
        rec.oldestRunningXid = oldest
        rec.latestCompletedXid = latest
        xids = <TransactionId *> malloc(max(1, n) * sizeof(TransactionId))
        if xids == NULL:
            raise MemoryError
        try:
            for i in range(n):
                xids[i] = ids[i]
            xlog_begin_insert()
            xlog_set_record_flags(XLOG_MARK_UNIMPORTANT)
            xlog_register_data(&rec, sizeof(rec))
            if n > 0:
                xlog_register_data(xids, n * sizeof(TransactionId))
            lsn = xlog_insert(RM_STANDBY_ID, XLOG_RUNNING_XACTS)
        finally:
            free(xids)
    finally:
        _procarray.release_running_transactions()
    xlog_set_async_xact_lsn(lsn)
    return lsn


cdef int _redo(DecodedRecord record) except -1:
    """Nothing of this matters to crash recovery; a hot standby is not built yet."""
    cdef uint8_t info = record.info()
    if info != XLOG_STANDBY_LOCK and info != XLOG_RUNNING_XACTS and info != XLOG_INVALIDATIONS:
        raise Panic(errcode.INTERNAL_ERROR, f"standby_redo: unknown op code {info}")
    return 0


register_redo(RM_STANDBY_ID, _redo, NULL)
