# cython: language_level=3
"""Handing out transaction ids and object ids (PostgreSQL's varsup.c)."""

from tusk._types cimport FirstNormalTransactionId
from tusk.memory._atomics cimport write_barrier
from tusk.memory._lwlock cimport LW_EXCLUSIVE, LW_SHARED, OidGenLock, XidGenLock, lwlock_acquire, lwlock_release, main_lock
from tusk.memory._process cimport PGPROC_MAX_CACHED_SUBXIDS, MyProc, ProcGlobal
from tusk.transaction._clog cimport extend_clog
from tusk.transaction._commit_ts cimport extend_commit_ts
from tusk.transaction._state cimport IsUnderPostmaster
from tusk.transaction._subtrans cimport extend_subtrans
from tusk.transaction._transam cimport (
    FirstNormalObjectId,
    transaction_id_follows_or_equals,
    transaction_id_precedes,
)
from tusk.wal._insert cimport xlog_begin_insert, xlog_insert, xlog_register_data
from tusk.wal._record cimport RM_XLOG_ID, XLOG_NEXTOID
from tusk.wal._redo cimport in_recovery, set_advance_xid_hook
from tusk.wal._xlog cimport recovery_in_progress

from tusk.config import settings
from tusk.errors import Severity, SqlError, errcode, report

cdef enum:
    VAR_OID_PREFETCH = 8192

_OLD_THINGS = ("\nYou might also need to commit or roll back old prepared transactions, or drop stale replication slots.")
_signal_autovacuum = None


def set_autovacuum_signal(function) -> None:
    """Have ``function`` called when ids run so low that the autovacuum launcher must start workers."""
    global _signal_autovacuum
    _signal_autovacuum = function


def signal_autovacuum() -> None:
    """Ask for an autovacuum launcher, if this process can."""
    if _signal_autovacuum is not None:
        _signal_autovacuum()


cdef _database(Oid oid):
    name = None
    if database_name_hook != NULL:
        name = database_name_hook(oid)
    return f'"{name}"' if name is not None else f"with OID {oid}"


cdef inline FullTransactionId _advance(FullTransactionId fxid) noexcept nogil:
    fxid += 1
    if <TransactionId> fxid < FirstNormalTransactionId and fxid >= FirstNormalTransactionId:
        fxid = (fxid & ~(<uint64_t> 0xFFFFFFFF)) | FirstNormalTransactionId
    return fxid


cdef int _check_limits(TransactionId xid) except -1:
    """Slow path: the id is beyond the point where autovacuum must run."""
    cdef TransactionId warn, stop, wrap
    cdef Oid db
    warn = TransamVariables.xidWarnLimit
    stop = TransamVariables.xidStopLimit
    wrap = TransamVariables.xidWrapLimit
    db = TransamVariables.oldestXidDB
    lwlock_release(main_lock(XidGenLock))
    if IsUnderPostmaster and xid % 65536 == 0 and _signal_autovacuum is not None:
        _signal_autovacuum()
    if IsUnderPostmaster and transaction_id_follows_or_equals(xid, stop):
        raise SqlError(
            errcode.PROGRAM_LIMIT_EXCEEDED,
            "database is not accepting commands that assign new transaction IDs to avoid wraparound data loss in "
            f"database {_database(db)}",
            hint="Execute a database-wide VACUUM in that database." + _OLD_THINGS,
        )
    if transaction_id_follows_or_equals(xid, warn):
        report(
            Severity.WARNING,
            f"database {_database(db)} must be vacuumed within {<TransactionId> (wrap - xid)} transactions",
            hint="To avoid transaction ID assignment failures, execute a database-wide VACUUM in that database."
            + _OLD_THINGS,
        )
    lwlock_acquire(main_lock(XidGenLock), LW_EXCLUSIVE)
    return 0


cdef FullTransactionId get_new_transaction_id(bint is_sub_xact) except 0:
    """Hand out the next id and show it in this process's slot before the lock is given up.

    The order matters to takers of snapshots: an id is never past ``nextXid`` without being in the process array.
    """
    cdef FullTransactionId fxid
    cdef TransactionId xid
    cdef int count
    if recovery_in_progress():
        raise SqlError(errcode.INTERNAL_ERROR, "cannot assign TransactionIds during recovery")
    lwlock_acquire(main_lock(XidGenLock), LW_EXCLUSIVE)
    fxid = TransamVariables.nextXid
    xid = <TransactionId> fxid
    if transaction_id_follows_or_equals(xid, TransamVariables.xidVacLimit):
        _check_limits(xid)
        fxid = TransamVariables.nextXid
        xid = <TransactionId> fxid
    extend_clog(xid)
    extend_commit_ts(xid)
    extend_subtrans(xid)
    TransamVariables.nextXid = _advance(fxid)
    if MyProc != NULL:
        if not is_sub_xact:
            ProcGlobal.xids[MyProc.pgxactoff] = xid
            MyProc.xid = xid
        else:
            count = MyProc.subxidStatus.count
            if count < PGPROC_MAX_CACHED_SUBXIDS:
                MyProc.subxids[count] = xid
                write_barrier()
                MyProc.subxidStatus.count = count + 1
                ProcGlobal.subxidStates[MyProc.pgxactoff].count = count + 1
            else:
                MyProc.subxidStatus.overflowed = 1
                ProcGlobal.subxidStates[MyProc.pgxactoff].overflowed = 1
    lwlock_release(main_lock(XidGenLock))
    return fxid


cdef FullTransactionId read_next_full_transaction_id() noexcept:
    cdef FullTransactionId fxid
    try:
        lwlock_acquire(main_lock(XidGenLock), LW_SHARED)
        fxid = TransamVariables.nextXid
        lwlock_release(main_lock(XidGenLock))
    except BaseException:
        return TransamVariables.nextXid
    return fxid


cdef int advance_next_full_transaction_id_past_xid(TransactionId xid) except -1:
    """Replay: ``xid`` was handed out once, so the counter must be past it."""
    cdef TransactionId next_xid = <TransactionId> TransamVariables.nextXid
    cdef uint64_t epoch
    cdef FullTransactionId fxid
    if not transaction_id_follows_or_equals(xid, next_xid):
        return 0
    xid += 1
    if xid < FirstNormalTransactionId:
        xid = FirstNormalTransactionId
    epoch = TransamVariables.nextXid >> 32
    if xid < next_xid:
        epoch += 1
    fxid = (epoch << 32) | xid
    lwlock_acquire(main_lock(XidGenLock), LW_EXCLUSIVE)
    TransamVariables.nextXid = fxid
    lwlock_release(main_lock(XidGenLock))
    return 0


set_advance_xid_hook(advance_next_full_transaction_id_past_xid)


cdef int set_transaction_id_limit(TransactionId oldest_datfrozenxid, Oid oldest_datoid) except -1:
    """Recompute where warnings, refusals and forced vacuums begin (SetTransactionIdLimit)."""
    cdef TransactionId wrap, stop, warn, vac, current
    wrap = oldest_datfrozenxid + (<TransactionId> 0xFFFFFFFF >> 1)
    if wrap < FirstNormalTransactionId:
        wrap += FirstNormalTransactionId
    stop = wrap - 3000000
    if stop < FirstNormalTransactionId:
        stop -= FirstNormalTransactionId
    warn = wrap - 40000000
    if warn < FirstNormalTransactionId:
        warn -= FirstNormalTransactionId
    vac = oldest_datfrozenxid + <TransactionId> settings.autovacuum_freeze_max_age
    if vac < FirstNormalTransactionId:
        vac += FirstNormalTransactionId
    lwlock_acquire(main_lock(XidGenLock), LW_EXCLUSIVE)
    TransamVariables.oldestXid = oldest_datfrozenxid
    TransamVariables.xidVacLimit = vac
    TransamVariables.xidWarnLimit = warn
    TransamVariables.xidStopLimit = stop
    TransamVariables.xidWrapLimit = wrap
    TransamVariables.oldestXidDB = oldest_datoid
    current = <TransactionId> TransamVariables.nextXid
    lwlock_release(main_lock(XidGenLock))
    report(Severity.DEBUG1, f"transaction ID wrap limit is {wrap}, limited by database with OID {oldest_datoid}")
    if IsUnderPostmaster and not in_recovery() and transaction_id_follows_or_equals(current, vac) \
            and _signal_autovacuum is not None:
        _signal_autovacuum()
    if transaction_id_follows_or_equals(current, warn) and not in_recovery():
        report(
            Severity.WARNING,
            f"database {_database(oldest_datoid)} must be vacuumed within "
            f"{<TransactionId> (wrap - current)} transactions",
            hint="To avoid XID assignment failures, execute a database-wide VACUUM in that database." + _OLD_THINGS,
        )
    return 0


cdef int _log_next_oid(Oid next_oid) except -1:
    cdef Oid data = next_oid
    xlog_begin_insert()
    xlog_register_data(&data, sizeof(data))
    # Not flushed: the page that uses the oid cannot reach the disk before this record does.
    xlog_insert(RM_XLOG_ID, XLOG_NEXTOID)
    return 0


cdef Oid get_new_object_id() except 0:
    """The next value of the oid counter; the caller looks whether it is free in its catalog."""
    cdef Oid result
    if recovery_in_progress():
        raise SqlError(errcode.INTERNAL_ERROR, "cannot assign OIDs during recovery")
    lwlock_acquire(main_lock(OidGenLock), LW_EXCLUSIVE)
    if TransamVariables.nextOid < FirstNormalObjectId:
        if IsUnderPostmaster:
            TransamVariables.nextOid = FirstNormalObjectId      # wrapped around
            TransamVariables.oidCount = 0
        elif TransamVariables.nextOid < 10000:
            # initdb hands out 10000 to 16383; after a wraparound that range is taken.
            TransamVariables.nextOid = FirstNormalObjectId
            TransamVariables.oidCount = 0
    if TransamVariables.oidCount == 0:
        _log_next_oid(TransamVariables.nextOid + VAR_OID_PREFETCH)
        TransamVariables.oidCount = VAR_OID_PREFETCH
    result = TransamVariables.nextOid
    TransamVariables.nextOid += 1
    TransamVariables.oidCount -= 1
    lwlock_release(main_lock(OidGenLock))
    return result


def new_object_id() -> int:
    """Python door to get_new_object_id()."""
    return get_new_object_id()


def next_full_transaction_id() -> int:
    return read_next_full_transaction_id()


def next_oid() -> int:
    return TransamVariables.nextOid


def set_next_object_id(oid: int, count: int = 0) -> None:
    """Bootstrap, start-up and replay: the next oid to hand out."""
    lwlock_acquire(main_lock(OidGenLock), LW_EXCLUSIVE)
    TransamVariables.nextOid = oid
    TransamVariables.oidCount = count
    lwlock_release(main_lock(OidGenLock))


def oid_for_checkpoint(shutdown: bool) -> int:
    """Online, the prefetched oids count as used: they may be on disk already."""
    lwlock_acquire(main_lock(OidGenLock), LW_SHARED)
    oid = TransamVariables.nextOid + (0 if shutdown else TransamVariables.oidCount)
    lwlock_release(main_lock(OidGenLock))
    return oid


def set_next_full_transaction_id(fxid: int) -> None:
    """Start-up, replay and tests."""
    lwlock_acquire(main_lock(XidGenLock), LW_EXCLUSIVE)
    TransamVariables.nextXid = fxid
    lwlock_release(main_lock(XidGenLock))


def set_limits(oldest_xid: int, oldest_xid_db: int) -> None:
    """Python door to set_transaction_id_limit()."""
    set_transaction_id_limit(oldest_xid, oldest_xid_db)


def commit_ts_range() -> tuple:
    """(oldest, newest) id with a commit time, 0 if none."""
    return TransamVariables.oldestCommitTsXid, TransamVariables.newestCommitTsXid


def limits() -> dict:
    """The counters and limits, for checkpoints, pg_control_checkpoint() and tests."""
    return {
        "next_xid": TransamVariables.nextXid,
        "next_oid": TransamVariables.nextOid,
        "oldest_xid": TransamVariables.oldestXid,
        "oldest_xid_db": TransamVariables.oldestXidDB,
        "vac_limit": TransamVariables.xidVacLimit,
        "warn_limit": TransamVariables.xidWarnLimit,
        "stop_limit": TransamVariables.xidStopLimit,
        "wrap_limit": TransamVariables.xidWrapLimit,
        "latest_completed_xid": TransamVariables.latestCompletedXid,
    }
