# cython: language_level=3
"""Heap, minimal and index tuples: layouts of htup_details.h and itup.h, forming and taking apart."""

from libc.stdint cimport int16_t, int32_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy
from tusk._types cimport CommandId, Datum, ItemPointerData, Oid, TransactionId
from tusk.access._tupdesc cimport Attribute, TupleDesc, TupleDescData

cdef enum:
    # t_infomask
    HEAP_HASNULL = 0x0001
    HEAP_HASVARWIDTH = 0x0002
    HEAP_HASEXTERNAL = 0x0004
    HEAP_HASOID_OLD = 0x0008
    HEAP_XMAX_KEYSHR_LOCK = 0x0010
    HEAP_COMBOCID = 0x0020
    HEAP_XMAX_EXCL_LOCK = 0x0040
    HEAP_XMAX_LOCK_ONLY = 0x0080
    HEAP_XMAX_SHR_LOCK = 0x0050
    HEAP_LOCK_MASK = 0x0050
    HEAP_XMIN_COMMITTED = 0x0100
    HEAP_XMIN_INVALID = 0x0200
    HEAP_XMIN_FROZEN = 0x0300
    HEAP_XMAX_COMMITTED = 0x0400
    HEAP_XMAX_INVALID = 0x0800
    HEAP_XMAX_IS_MULTI = 0x1000
    HEAP_UPDATED = 0x2000
    HEAP_MOVED_OFF = 0x4000
    HEAP_MOVED_IN = 0x8000
    HEAP_MOVED = 0xC000
    HEAP_XACT_MASK = 0xFFF0
    HEAP_XMAX_BITS = 0x1CD0         # COMMITTED | INVALID | IS_MULTI | LOCK_MASK | LOCK_ONLY
    # t_infomask2
    HEAP_NATTS_MASK = 0x07FF
    HEAP_KEYS_UPDATED = 0x2000
    HEAP_HOT_UPDATED = 0x4000
    HEAP_ONLY_TUPLE = 0x8000
    HEAP2_XACT_MASK = 0xE000
    # sizes
    SizeofHeapTupleHeader = 23
    MaxHeapTupleSize = 8160
    MinHeapTupleSize = 24
    MaxHeapTuplesPerPage = 291
    MaxTupleAttributeNumber = 1664
    MaxHeapAttributeNumber = 1600
    MINIMAL_TUPLE_OFFSET = 8
    SizeofMinimalTupleHeader = 15
    MINIMAL_TUPLE_DATA_OFFSET = 10
    # index tuples
    INDEX_SIZE_MASK = 0x1FFF
    INDEX_AM_RESERVED_BIT = 0x2000
    INDEX_VAR_MASK = 0x4000
    INDEX_NULL_MASK = 0x8000
    INDEX_MAX_KEYS = 32
    # special offsets in t_ctid
    SpecTokenOffsetNumber = 0xFFFE
    MovedPartitionsOffsetNumber = 0xFFFD
    # system attributes
    SelfItemPointerAttributeNumber = -1
    MinTransactionIdAttributeNumber = -2
    MinCommandIdAttributeNumber = -3
    MaxTransactionIdAttributeNumber = -4
    MaxCommandIdAttributeNumber = -5
    TableOidAttributeNumber = -6

cdef packed struct HeapTupleHeaderData:     # 23 bytes, then the null bitmap
    TransactionId t_xmin                    # of a composite Datum: varlena header
    TransactionId t_xmax                    # ... typmod
    CommandId t_cid                         # ... type oid
    ItemPointerData t_ctid
    uint16_t t_infomask2
    uint16_t t_infomask
    uint8_t t_hoff

cdef struct HeapTupleData:
    uint32_t t_len
    ItemPointerData t_self
    Oid t_tableOid
    HeapTupleHeaderData *t_data

cdef packed struct MinimalTupleData:        # a heap tuple without its first 18 bytes, length in front
    uint32_t t_len
    uint8_t mt_padding[6]
    uint16_t t_infomask2
    uint16_t t_infomask
    uint8_t t_hoff

cdef packed struct IndexTupleData:          # 8 bytes; a null bitmap of 4 bytes may follow
    ItemPointerData t_tid
    uint16_t t_info


cdef inline const uint8_t *tuple_bits(const HeapTupleHeaderData *tup) noexcept nogil:
    return <const uint8_t *> tup + SizeofHeapTupleHeader

cdef inline bint att_isnull(int att, const uint8_t *bits) noexcept nogil:
    return not (bits[att >> 3] & (1 << (att & 7)))

cdef inline int tuple_natts(const HeapTupleHeaderData *tup) noexcept nogil:
    return tup.t_infomask2 & HEAP_NATTS_MASK

cdef inline bint xmax_is_locked_only(uint16_t infomask) noexcept nogil:
    return (infomask & HEAP_XMAX_LOCK_ONLY) != 0 or \
        (infomask & (HEAP_XMAX_IS_MULTI | HEAP_LOCK_MASK)) == HEAP_XMAX_EXCL_LOCK

cdef inline bint xmax_locked_upgraded(uint16_t infomask) noexcept nogil:
    return (infomask & HEAP_XMAX_IS_MULTI) != 0 and (infomask & HEAP_XMAX_LOCK_ONLY) != 0 and \
        (infomask & (HEAP_XMAX_EXCL_LOCK | HEAP_XMAX_KEYSHR_LOCK)) == 0

cdef inline bint xmin_frozen(const HeapTupleHeaderData *tup) noexcept nogil:
    return (tup.t_infomask & HEAP_XMIN_FROZEN) == HEAP_XMIN_FROZEN

cdef inline bint xmin_committed(const HeapTupleHeaderData *tup) noexcept nogil:
    return (tup.t_infomask & HEAP_XMIN_COMMITTED) != 0

cdef inline bint xmin_invalid(const HeapTupleHeaderData *tup) noexcept nogil:
    return (tup.t_infomask & HEAP_XMIN_FROZEN) == HEAP_XMIN_INVALID

cdef inline TransactionId tuple_xmin(const HeapTupleHeaderData *tup) noexcept nogil:
    """t_xmin, or FrozenTransactionId when frozen."""
    return 2 if xmin_frozen(tup) else tup.t_xmin

cdef inline bint tuple_is_hot_updated(const HeapTupleHeaderData *tup) noexcept nogil:
    return (tup.t_infomask2 & HEAP_HOT_UPDATED) != 0 and (tup.t_infomask & HEAP_XMAX_INVALID) == 0 and \
        not xmin_invalid(tup)

cdef inline bint tuple_is_heap_only(const HeapTupleHeaderData *tup) noexcept nogil:
    return (tup.t_infomask2 & HEAP_ONLY_TUPLE) != 0

cdef inline bint tuple_is_speculative(const HeapTupleHeaderData *tup) noexcept nogil:
    return tup.t_ctid.ip_posid == SpecTokenOffsetNumber

cdef inline bint tuple_moved_partitions(const HeapTupleHeaderData *tup) noexcept nogil:
    return tup.t_ctid.ip_posid == MovedPartitionsOffsetNumber and \
        tup.t_ctid.bi_hi == 0xFFFF and tup.t_ctid.bi_lo == 0xFFFF

cdef inline HeapTupleHeaderData *minimal_tuple_header(MinimalTupleData *tup) noexcept nogil:
    """The heap tuple header that ends in this minimal tuple: its first 18 bytes are not there to be read."""
    return <HeapTupleHeaderData *> (<char *> tup - MINIMAL_TUPLE_OFFSET)

cdef inline uint32_t index_tuple_size(const IndexTupleData *itup) noexcept nogil:
    return itup.t_info & INDEX_SIZE_MASK

cdef inline uint32_t index_data_offset(uint16_t t_info) noexcept nogil:
    return 16 if t_info & INDEX_NULL_MASK else 8

cdef inline Datum fetch_att(const char *p, bint attbyval, int attlen) noexcept nogil:
    """The Datum at p; by-value integers sign-extended."""
    if not attbyval:
        return <Datum> p
    if attlen == 4:
        return <Datum> <long> (<const int32_t *> p)[0]
    if attlen == 8:
        return (<const Datum *> p)[0]
    if attlen == 2:
        return <Datum> <long> (<const int16_t *> p)[0]
    return <Datum> <long> (<const signed char *> p)[0]


# Sizes and filling; shared by heap, minimal and index tuples (heap_compute_data_size, heap_fill_tuple).
cdef size_t heap_compute_data_size(const TupleDescData *desc, const Datum *values, const uint8_t *nulls) noexcept nogil
cdef void heap_fill_tuple(const TupleDescData *desc, const Datum *values, const uint8_t *nulls, char *data,
                          uint16_t *infomask, uint8_t *bits) noexcept nogil

# Forming into room the caller has: first the size, then the filling. No allocation, cannot fail.
cdef uint32_t heap_tuple_size(const TupleDescData *desc, const Datum *values, const uint8_t *nulls) noexcept nogil
cdef void heap_form_tuple_into(TupleDesc desc, const Datum *values, const uint8_t *nulls, HeapTupleHeaderData *out,
                               uint32_t size) noexcept
cdef uint32_t minimal_tuple_size(const TupleDescData *desc, const Datum *values, const uint8_t *nulls) noexcept nogil
cdef void heap_form_minimal_tuple_into(const TupleDescData *desc, const Datum *values, const uint8_t *nulls,
                                       MinimalTupleData *out, uint32_t size) noexcept nogil
cdef uint32_t index_tuple_form_size(const TupleDescData *desc, const Datum *values,
                                    const uint8_t *nulls) noexcept nogil
cdef int index_form_tuple_into(const TupleDescData *desc, const Datum *values, const uint8_t *nulls,
                               IndexTupleData *out, uint32_t size) except -1

# Forming into malloc'd memory, which the caller frees with free(): HeapTupleData and header in one piece.
cdef HeapTupleData *heap_form_tuple_malloc(TupleDesc desc, const Datum *values, const uint8_t *nulls) except NULL
cdef HeapTupleData *heap_copy_tuple_malloc(const HeapTupleData *tup) except NULL
cdef IndexTupleData *index_form_tuple_malloc(TupleDesc desc, const Datum *values, const uint8_t *nulls) except NULL

# Taking apart. Values of by-reference types point into the tuple.
cdef void heap_deform_tuple(const HeapTupleHeaderData *tup, const TupleDescData *desc, int natts, Datum *values,
                            uint8_t *nulls) noexcept nogil
cdef Datum heap_getattr(const HeapTupleHeaderData *tup, int attnum, const TupleDescData *desc,
                        uint8_t *isnull) noexcept nogil
cdef Datum heap_getsysattr(const HeapTupleData *tup, int attnum, uint8_t *isnull) noexcept nogil
cdef bint heap_attisnull(const HeapTupleHeaderData *tup, int attnum, const TupleDescData *desc) noexcept nogil
cdef Datum index_getattr(const IndexTupleData *itup, int attnum, const TupleDescData *desc,
                         uint8_t *isnull) noexcept nogil
cdef void index_deform_tuple(const IndexTupleData *itup, const TupleDescData *desc, Datum *values,
                             uint8_t *nulls) noexcept nogil
cdef bint datum_is_equal(Datum a, Datum b, bint byval, int attlen) noexcept nogil
cdef size_t datum_size(Datum value, bint byval, int attlen) noexcept nogil

# Python values of test and catalog code: raw datums (None, int for by-value, bytes for by-reference).
cpdef bytes form_heap_tuple(TupleDesc desc, object values)
cpdef list deform_heap_tuple(TupleDesc desc, bytes tup)
