# cython: language_level=3
"""Shared counters and the transaction stack of this process: what the rest of the package stands on."""

from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec

from tusk._types cimport FirstNormalTransactionId
from tusk.memory._process cimport MyProc
from tusk.stats._pending cimport set_stats_database
from tusk.transaction._transam cimport transaction_id_precedes

from tusk.memory._segment import declare_area

cdef int64_t POSTGRES_EPOCH_US = 946684800000000

TransactionXmin = FirstNormalTransactionId
RecentXmin = FirstNormalTransactionId
CurrentTransactionState = &TopTransactionStateData


def _size(settings):
    return sizeof(TransamVariablesData)


def _attach(address):
    global TransamVariables
    TransamVariables = <TransamVariablesData *> <size_t> address


def _init(address, size):
    TransamVariables.xactCompletionCount = 1


declare_area("TransamVariables", _size, _init, _attach)


cdef bint transaction_id_is_current(TransactionId xid) noexcept nogil:
    """Whether ``xid`` is this transaction or one of its committed or running parts."""
    cdef TransactionStateData *s = CurrentTransactionState
    cdef int low, high, middle
    cdef TransactionId probe
    if xid < FirstNormalTransactionId:
        return False
    while s != NULL:
        if s.state != TRANS_ABORT and s.fullTransactionId != 0:
            if <TransactionId> s.fullTransactionId == xid:
                return True
            low = 0
            high = s.nChildXids - 1
            while low <= high:
                middle = low + (high - low) // 2
                probe = s.childXids[middle]
                if probe == xid:
                    return True
                if transaction_id_precedes(probe, xid):
                    low = middle + 1
                else:
                    high = middle - 1
        s = s.parent
    return False


cdef int64_t get_current_timestamp() noexcept nogil:
    """Microseconds since 2000-01-01 UTC."""
    cdef timespec now
    clock_gettime(CLOCK_REALTIME, &now)
    return <int64_t> now.tv_sec * 1000000 + now.tv_nsec // 1000 - POSTGRES_EPOCH_US


def set_my_database(oid: int, tablespace: int) -> None:
    """The database this process works in, for commit records and horizons."""
    global MyDatabaseId, MyDatabaseTableSpace
    MyDatabaseId = oid
    MyDatabaseTableSpace = tablespace
    set_stats_database(oid)
    # Takers of strong locks look for weak ones in the slots of this database's processes.
    if MyProc != NULL:
        MyProc.databaseId = oid


def my_database() -> int:
    return MyDatabaseId


def set_under_postmaster(value: bool) -> None:
    """False in initdb and single-process tools: limits that need other processes do not apply."""
    global IsUnderPostmaster
    IsUnderPostmaster = value
