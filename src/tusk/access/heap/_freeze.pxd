# cython: language_level=3
"""Freezing: making tuples independent of the commit log."""

from libc.stdint cimport uint8_t, uint16_t
from tusk._types cimport MultiXactId, OffsetNumber, TransactionId
from tusk.access._tuple cimport HeapTupleHeaderData
from tusk.access.heap._prune cimport VacuumCutoffs

cdef enum:
    HEAP_FREEZE_CHECK_XMIN_COMMITTED = 0x01
    HEAP_FREEZE_CHECK_XMAX_ABORTED = 0x02

cdef struct HeapTupleFreeze:
    TransactionId xmax
    uint16_t t_infomask2
    uint16_t t_infomask
    uint8_t frzflags
    uint8_t checkflags
    OffsetNumber offset

cdef struct HeapPageFreeze:
    bint freeze_required
    TransactionId FreezePageRelfrozenXid        # what remains in the page if it is frozen
    MultiXactId FreezePageRelminMxid
    TransactionId NoFreezePageRelfrozenXid      # ... and if not
    MultiXactId NoFreezePageRelminMxid

# 1 when frz describes something to do; *totally_frozen: nothing to look up remains then.
cdef int prepare_freeze_tuple(const HeapTupleHeaderData *tup, const VacuumCutoffs *cutoffs, HeapPageFreeze *pagefrz,
                              HeapTupleFreeze *frz, bint *totally_frozen) except -1
cdef int tuple_should_freeze(const HeapTupleHeaderData *tup, const VacuumCutoffs *cutoffs, TransactionId *min_xid,
                             MultiXactId *min_mxid) except -1
cdef int pre_freeze_checks(char *page, const HeapTupleFreeze *tuples, int n) except -1
cdef inline void execute_freeze(HeapTupleHeaderData *tup, TransactionId xmax, uint16_t infomask,
                                uint16_t infomask2) noexcept nogil:
    tup.t_xmax = xmax
    tup.t_infomask = infomask
    tup.t_infomask2 = infomask2
