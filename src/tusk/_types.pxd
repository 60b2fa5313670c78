# cython: language_level=3
"""The integer types that PostgreSQL's formats are made of (c.h, postgres_ext.h, storage/*.h)."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

ctypedef uint32_t Oid
ctypedef uint32_t BlockNumber       # from 0
ctypedef uint16_t OffsetNumber      # from 1
ctypedef uint32_t TransactionId
ctypedef uint64_t FullTransactionId
ctypedef uint32_t MultiXactId
ctypedef uint32_t CommandId
ctypedef uint64_t Lsn               # byte position in the WAL
ctypedef uint64_t Datum             # a by-value value, or the address of a by-reference one
ctypedef int ForkNumber

cdef enum:
    BLCKSZ = 8192
    RELSEG_SIZE = 131072            # blocks in one segment file
    MAXALIGN = 8

    MAIN_FORK = 0
    FSM_FORK = 1
    VISIBILITYMAP_FORK = 2
    INIT_FORK = 3

cdef enum:
    InvalidOid = 0
    InvalidTransactionId = 0
    BootstrapTransactionId = 1
    FrozenTransactionId = 2
    FirstNormalTransactionId = 3
    FirstCommandId = 0
    InvalidOffsetNumber = 0
    FirstOffsetNumber = 1

cdef extern from *:
    """
    #define TUSK_INVALID_BLOCK ((uint32_t) 0xFFFFFFFFu)
    #define TUSK_MAXALIGN(n) (((uint64_t) (n) + 7) & ~((uint64_t) 7))
    """
    const BlockNumber InvalidBlockNumber "TUSK_INVALID_BLOCK"
    uint64_t maxalign "TUSK_MAXALIGN"(uint64_t nbytes) noexcept nogil

cdef packed struct ItemPointerData: # 6 bytes: storage/itemptr.h
    uint16_t bi_hi
    uint16_t bi_lo
    uint16_t ip_posid

cdef struct RelFileLocator:         # storage/relfilelocator.h
    Oid spcOid
    Oid dbOid
    Oid relNumber

cdef inline BlockNumber tid_block(const ItemPointerData *tid) noexcept nogil:
    return (<BlockNumber> tid.bi_hi << 16) | tid.bi_lo

cdef inline OffsetNumber tid_offset(const ItemPointerData *tid) noexcept nogil:
    return tid.ip_posid

cdef inline void tid_set(ItemPointerData *tid, BlockNumber block, OffsetNumber offset) noexcept nogil:
    tid.bi_hi = <uint16_t> (block >> 16)
    tid.bi_lo = <uint16_t> (block & 0xFFFF)
    tid.ip_posid = offset
