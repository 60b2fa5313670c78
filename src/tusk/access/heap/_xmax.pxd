# cython: language_level=3
"""What goes into xmax when several transactions lock or change one tuple."""

from libc.stdint cimport uint8_t, uint16_t
from tusk._types cimport CommandId, ItemPointerData, TransactionId
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport (
    HEAP_LOCK_MASK, HEAP_XMAX_EXCL_LOCK, HEAP_XMAX_IS_MULTI, HEAP_XMAX_KEYSHR_LOCK, HEAP_XMAX_LOCK_ONLY,
    HEAP_XMAX_SHR_LOCK, HeapTupleData, HeapTupleHeaderData,
)

cdef struct NewXmax:
    TransactionId xmax
    uint16_t infomask
    uint16_t infomask2

cdef inline bint xmax_infomask_changed(uint16_t new_infomask, uint16_t old_infomask) noexcept nogil:
    return ((new_infomask ^ old_infomask) & (HEAP_XMAX_IS_MULTI | HEAP_XMAX_LOCK_ONLY | HEAP_LOCK_MASK)) != 0

cdef inline bint xmax_is_shr_locked(uint16_t infomask) noexcept nogil:
    return (infomask & HEAP_LOCK_MASK) == HEAP_XMAX_SHR_LOCK

cdef inline bint xmax_is_excl_locked(uint16_t infomask) noexcept nogil:
    return (infomask & HEAP_LOCK_MASK) == HEAP_XMAX_EXCL_LOCK

cdef inline bint xmax_is_keyshr_locked(uint16_t infomask) noexcept nogil:
    return (infomask & HEAP_LOCK_MASK) == HEAP_XMAX_KEYSHR_LOCK

cdef int lock_mode_of_status(int status) noexcept nogil         # LockTuple*
cdef int hwlock_of_mode(int mode) noexcept nogil                # heavyweight lock mode
cdef int status_for_lock(int mode, bint is_update) noexcept nogil
cdef uint8_t compute_infobits(uint16_t infomask, uint16_t infomask2) noexcept nogil
cdef int multixact_hint_bits(TransactionId multi, uint16_t *infomask, uint16_t *infomask2) except -1
cdef int compute_new_xmax(TransactionId xmax, uint16_t old_infomask, uint16_t old_infomask2, TransactionId add_xid,
                          int mode, bint is_update, NewXmax *out) except -1
cdef int multixact_conflicts(TransactionId multi, uint16_t infomask, int mode, bint *current_is_member) except -1
# Waits for the members that conflict; *remaining: how many still run afterwards. 0 only with nowait: would block.
cdef int multixact_wait(TransactionId multi, int status, uint16_t infomask, bint nowait, Relation rel,
                        const ItemPointerData *tid, int oper, int *remaining) except -1
# The heavyweight tuple lock that queues waiters: 0 only with LockWaitSkip; raises 55P03 with LockWaitError.
cdef int acquire_tuple_lock(Relation rel, const ItemPointerData *tid, int mode, int wait_policy, bint *have) except -1
cdef int release_tuple_lock(Relation rel, const ItemPointerData *tid, int mode) except -1
cdef int update_xmax_hint_bits(HeapTupleHeaderData *tup, int buf, TransactionId xid) except -1
cdef int adjust_cmax(const HeapTupleHeaderData *tup, CommandId *cmax, bint *iscombo) except -1
