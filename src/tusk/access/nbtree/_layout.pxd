# cython: language_level=3
"""B-tree pages and tuples as on disk (access/nbtree.h), with inline readers and setters."""

from libc.stdint cimport int32_t, uint16_t, uint32_t, uint64_t
from tusk._types cimport BlockNumber, ItemPointerData, OffsetNumber
from tusk.access._tuple cimport INDEX_SIZE_MASK, IndexTupleData
from tusk.storage._page cimport page_get_special_pointer

cdef enum:
    BTREE_METAPAGE = 0
    BTREE_MAGIC = 0x053162
    BTREE_VERSION = 4
    BTREE_MIN_VERSION = 2
    BTREE_NOVAC_VERSION = 3
    P_NONE = 0
    P_HIKEY = 1
    P_FIRSTKEY = 2

    BTP_LEAF = 1
    BTP_ROOT = 2
    BTP_DELETED = 4
    BTP_META = 8
    BTP_HALF_DEAD = 16
    BTP_SPLIT_END = 32
    BTP_HAS_GARBAGE = 64
    BTP_INCOMPLETE_SPLIT = 128
    BTP_HAS_FULLXID = 256

    BTREE_MIN_FILLFACTOR = 10
    BTREE_DEFAULT_FILLFACTOR = 90
    BTREE_NONLEAF_FILLFACTOR = 70
    BTREE_SINGLEVAL_FILLFACTOR = 96

    BTMaxItemSize = 2704
    BTMaxItemSizeNoHeapTid = 2712
    MaxTIDsPerBTreePage = 1358

    # t_info and t_tid.ip_posid of pivot and posting tuples
    INDEX_ALT_TID_MASK = 0x2000
    BT_OFFSET_MASK = 0x0FFF
    BT_STATUS_OFFSET_MASK = 0xF000
    BT_PIVOT_HEAP_TID_ATTR = 0x1000
    BT_IS_POSTING = 0x2000

    BTORDER_PROC = 1
    BTSORTSUPPORT_PROC = 2
    BTINRANGE_PROC = 3
    BTEQUALIMAGE_PROC = 4

cdef struct BTPageOpaqueData:       # 16 bytes, special space
    BlockNumber btpo_prev
    BlockNumber btpo_next
    uint32_t btpo_level
    uint16_t btpo_flags
    uint16_t btpo_cycleid

cdef struct BTMetaPageData:         # 48 bytes, after the page header
    uint32_t btm_magic
    uint32_t btm_version
    BlockNumber btm_root
    uint32_t btm_level
    BlockNumber btm_fastroot
    uint32_t btm_fastlevel
    uint32_t btm_last_cleanup_num_delpages
    double btm_last_cleanup_num_heap_tuples
    bint btm_allequalimage          # a bool and three bytes of padding: the same bytes


cdef inline BTPageOpaqueData *bt_opaque(const char *page) noexcept nogil:
    return <BTPageOpaqueData *> page_get_special_pointer(page)


cdef inline BTMetaPageData *bt_meta(const char *page) noexcept nogil:
    return <BTMetaPageData *> (page + 24)


cdef inline bint bt_is_pivot(const IndexTupleData *itup) noexcept nogil:
    return (itup.t_info & INDEX_ALT_TID_MASK) != 0 and (itup.t_tid.ip_posid & BT_IS_POSTING) == 0


cdef inline bint bt_is_posting(const IndexTupleData *itup) noexcept nogil:
    return (itup.t_info & INDEX_ALT_TID_MASK) != 0 and (itup.t_tid.ip_posid & BT_IS_POSTING) != 0


cdef inline BlockNumber bt_down_link(const IndexTupleData *itup) noexcept nogil:
    return (<BlockNumber> itup.t_tid.bi_hi << 16) | itup.t_tid.bi_lo


cdef inline void bt_set_down_link(IndexTupleData *itup, BlockNumber block) noexcept nogil:
    itup.t_tid.bi_hi = <uint16_t> (block >> 16)
    itup.t_tid.bi_lo = <uint16_t> (block & 0xFFFF)


cdef inline int bt_natts(const IndexTupleData *itup, int natts) noexcept nogil:
    """Key attributes in a tuple of an index of natts attributes (BTreeTupleGetNAtts)."""
    return itup.t_tid.ip_posid & BT_OFFSET_MASK if bt_is_pivot(itup) else natts


cdef inline void bt_set_natts(IndexTupleData *itup, int nkeyatts, bint heaptid) noexcept nogil:
    itup.t_info |= INDEX_ALT_TID_MASK
    itup.t_tid.ip_posid = <OffsetNumber> (nkeyatts | (BT_PIVOT_HEAP_TID_ATTR if heaptid else 0))


cdef inline int bt_nposting(const IndexTupleData *itup) noexcept nogil:
    return itup.t_tid.ip_posid & BT_OFFSET_MASK


cdef inline uint32_t bt_posting_offset(const IndexTupleData *itup) noexcept nogil:
    return bt_down_link(itup)


cdef inline ItemPointerData *bt_posting(const IndexTupleData *itup) noexcept nogil:
    return <ItemPointerData *> (<char *> itup + bt_posting_offset(itup))


cdef inline void bt_set_posting(IndexTupleData *itup, int nhtids, uint32_t offset) noexcept nogil:
    itup.t_info |= INDEX_ALT_TID_MASK
    itup.t_tid.ip_posid = <OffsetNumber> (nhtids | BT_IS_POSTING)
    bt_set_down_link(itup, offset)


cdef inline ItemPointerData *bt_heap_tid(const IndexTupleData *itup) noexcept nogil:
    """The (first) heap TID, NULL in a pivot that has it truncated away."""
    if itup.t_info & INDEX_ALT_TID_MASK:
        if itup.t_tid.ip_posid & BT_IS_POSTING:
            return bt_posting(itup)
        if itup.t_tid.ip_posid & BT_PIVOT_HEAP_TID_ATTR:
            return <ItemPointerData *> (<char *> itup + (itup.t_info & INDEX_SIZE_MASK) - 6)
        return NULL
    return <ItemPointerData *> &itup.t_tid


cdef inline const ItemPointerData *bt_max_heap_tid(const IndexTupleData *itup) noexcept nogil:
    if bt_is_posting(itup):
        return bt_posting(itup) + (bt_nposting(itup) - 1)
    return &itup.t_tid
