# cython: language_level=3
"""Transaction ids compared modulo 2^32 and their 64-bit form (access/transam.h); everything inline."""

from tusk._types cimport FirstNormalTransactionId, FullTransactionId, InvalidTransactionId, TransactionId, int32_t, uint32_t, uint64_t

cdef enum:
    FirstGenbkiObjectId = 10000
    FirstUnpinnedObjectId = 12000
    FirstNormalObjectId = 16384

cdef enum:
    PROCARRAY_MAXCACHED_SUBXIDS = 64

cdef inline bint transaction_id_is_valid(TransactionId xid) noexcept nogil:
    return xid != InvalidTransactionId

cdef inline bint transaction_id_is_normal(TransactionId xid) noexcept nogil:
    return xid >= FirstNormalTransactionId

cdef inline bint transaction_id_precedes(TransactionId a, TransactionId b) noexcept nogil:
    if a < FirstNormalTransactionId or b < FirstNormalTransactionId:
        return a < b
    return <int32_t> (a - b) < 0

cdef inline bint transaction_id_precedes_or_equals(TransactionId a, TransactionId b) noexcept nogil:
    if a < FirstNormalTransactionId or b < FirstNormalTransactionId:
        return a <= b
    return <int32_t> (a - b) <= 0

cdef inline bint transaction_id_follows(TransactionId a, TransactionId b) noexcept nogil:
    if a < FirstNormalTransactionId or b < FirstNormalTransactionId:
        return a > b
    return <int32_t> (a - b) > 0

cdef inline bint transaction_id_follows_or_equals(TransactionId a, TransactionId b) noexcept nogil:
    if a < FirstNormalTransactionId or b < FirstNormalTransactionId:
        return a >= b
    return <int32_t> (a - b) >= 0

cdef inline TransactionId transaction_id_advance(TransactionId xid) noexcept nogil:
    xid += 1
    return xid if xid >= FirstNormalTransactionId else <TransactionId> FirstNormalTransactionId

cdef inline TransactionId transaction_id_retreat(TransactionId xid) noexcept nogil:
    xid -= 1
    while xid < FirstNormalTransactionId:
        xid -= 1
    return xid

cdef inline TransactionId transaction_id_older(TransactionId a, TransactionId b) noexcept nogil:
    """The older of two ids, an invalid one being ignored."""
    if a == InvalidTransactionId:
        return b
    if b == InvalidTransactionId:
        return a
    return a if transaction_id_precedes(a, b) else b

cdef inline TransactionId xid_from_full(FullTransactionId fxid) noexcept nogil:
    return <TransactionId> fxid

cdef inline uint32_t epoch_from_full(FullTransactionId fxid) noexcept nogil:
    return <uint32_t> (fxid >> 32)

cdef inline FullTransactionId full_from_epoch_and_xid(uint32_t epoch, TransactionId xid) noexcept nogil:
    return (<uint64_t> epoch << 32) | xid

cdef inline FullTransactionId full_xid_relative_to(FullTransactionId rel, TransactionId xid) noexcept nogil:
    """The 64-bit id of ``xid``, known to be within 2^31 of ``rel``."""
    return rel + <uint64_t> <int32_t> (xid - <TransactionId> rel)

cdef inline bint multixact_id_precedes(uint32_t a, uint32_t b) noexcept nogil:
    return <int32_t> (a - b) < 0

cdef inline bint multixact_id_precedes_or_equals(uint32_t a, uint32_t b) noexcept nogil:
    return <int32_t> (a - b) <= 0
