# cython: language_level=3
"""The layout of a page, with inline accessors (storage/bufpage.h, storage/itemid.h)."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from tusk._types cimport BLCKSZ, BlockNumber, InvalidOffsetNumber, Lsn, OffsetNumber, TransactionId

cdef enum:
    PD_HAS_FREE_LINES = 0x0001
    PD_PAGE_FULL = 0x0002
    PD_ALL_VISIBLE = 0x0004
    PD_VALID_FLAG_BITS = 0x0007
    PG_PAGE_LAYOUT_VERSION = 4
    PG_DATA_CHECKSUM_VERSION = 1
    SizeOfPageHeaderData = 24

cdef enum:                      # lp_flags
    LP_UNUSED = 0
    LP_NORMAL = 1
    LP_REDIRECT = 2
    LP_DEAD = 3

cdef enum:                      # flags of page_add_item
    PAI_OVERWRITE = 1
    PAI_IS_HEAP = 2

cdef enum:
    MaxHeapTuplesPerPage = 291  # (8192 - 24) / (maxalign(23) + 4)
    MaxIndexTuplesPerPage = 407 # (8192 - 24) / (maxalign(8 + 1) + 4)

ctypedef uint32_t ItemIdData    # lp_off: 15 low bits, lp_flags: 2, lp_len: 15 high bits

cdef struct PageHeaderData:
    uint32_t pd_lsn_hi          # xlogid
    uint32_t pd_lsn_lo          # xrecoff
    uint16_t pd_checksum
    uint16_t pd_flags
    uint16_t pd_lower
    uint16_t pd_upper
    uint16_t pd_special
    uint16_t pd_pagesize_version
    TransactionId pd_prune_xid


# Line pointers

cdef inline uint32_t item_id_get_offset(const ItemIdData *item) noexcept nogil:
    return item[0] & 0x7FFF


cdef inline uint32_t item_id_get_flags(const ItemIdData *item) noexcept nogil:
    return (item[0] >> 15) & 3


cdef inline uint32_t item_id_get_length(const ItemIdData *item) noexcept nogil:
    return item[0] >> 17


cdef inline uint32_t item_id_get_redirect(const ItemIdData *item) noexcept nogil:
    return item[0] & 0x7FFF


cdef inline bint item_id_is_used(const ItemIdData *item) noexcept nogil:
    return item_id_get_flags(item) != LP_UNUSED


cdef inline bint item_id_is_normal(const ItemIdData *item) noexcept nogil:
    return item_id_get_flags(item) == LP_NORMAL


cdef inline bint item_id_is_redirected(const ItemIdData *item) noexcept nogil:
    return item_id_get_flags(item) == LP_REDIRECT


cdef inline bint item_id_is_dead(const ItemIdData *item) noexcept nogil:
    return item_id_get_flags(item) == LP_DEAD


cdef inline bint item_id_has_storage(const ItemIdData *item) noexcept nogil:
    return item_id_get_length(item) != 0


cdef inline void item_id_set(ItemIdData *item, uint32_t offset, uint32_t flags, uint32_t length) noexcept nogil:
    item[0] = offset | (flags << 15) | (length << 17)


cdef inline void item_id_set_unused(ItemIdData *item) noexcept nogil:
    item[0] = 0


cdef inline void item_id_set_normal(ItemIdData *item, uint32_t offset, uint32_t length) noexcept nogil:
    item_id_set(item, offset, LP_NORMAL, length)


cdef inline void item_id_set_redirect(ItemIdData *item, uint32_t link) noexcept nogil:
    item_id_set(item, link, LP_REDIRECT, 0)


cdef inline void item_id_set_dead(ItemIdData *item) noexcept nogil:
    item_id_set(item, 0, LP_DEAD, 0)


cdef inline void item_id_mark_dead(ItemIdData *item) noexcept nogil:
    """Dead, but keeping its storage: a hint in indexes."""
    item[0] = item[0] | (LP_DEAD << 15)


# The page

cdef inline PageHeaderData *page_header(const char *page) noexcept nogil:
    return <PageHeaderData *> page


cdef inline bint page_is_new(const char *page) noexcept nogil:
    return (<const PageHeaderData *> page).pd_upper == 0


cdef inline bint page_is_empty(const char *page) noexcept nogil:
    return (<const PageHeaderData *> page).pd_lower <= SizeOfPageHeaderData


cdef inline ItemIdData *page_get_item_id(const char *page, OffsetNumber offset) noexcept nogil:
    return <ItemIdData *> (page + SizeOfPageHeaderData) + (offset - 1)


cdef inline char *page_get_item(const char *page, const ItemIdData *item) noexcept nogil:
    return <char *> page + item_id_get_offset(item)


cdef inline char *page_get_contents(const char *page) noexcept nogil:
    return <char *> page + SizeOfPageHeaderData


cdef inline char *page_get_special_pointer(const char *page) noexcept nogil:
    return <char *> page + (<const PageHeaderData *> page).pd_special


cdef inline uint32_t page_get_special_size(const char *page) noexcept nogil:
    return BLCKSZ - (<const PageHeaderData *> page).pd_special


cdef inline OffsetNumber page_get_max_offset(const char *page) noexcept nogil:
    cdef uint16_t lower = (<const PageHeaderData *> page).pd_lower
    if lower <= SizeOfPageHeaderData:
        return 0
    return <OffsetNumber> ((lower - SizeOfPageHeaderData) >> 2)


cdef inline Lsn page_get_lsn(const char *page) noexcept nogil:
    return ((<Lsn> (<const PageHeaderData *> page).pd_lsn_hi) << 32) | (<const PageHeaderData *> page).pd_lsn_lo


cdef inline void page_set_lsn(char *page, Lsn lsn) noexcept nogil:
    (<PageHeaderData *> page).pd_lsn_hi = <uint32_t> (lsn >> 32)
    (<PageHeaderData *> page).pd_lsn_lo = <uint32_t> lsn


cdef inline bint page_has_flag(const char *page, uint16_t flag) noexcept nogil:
    return ((<const PageHeaderData *> page).pd_flags & flag) != 0


cdef inline void page_set_flag(char *page, uint16_t flag) noexcept nogil:
    (<PageHeaderData *> page).pd_flags |= flag


cdef inline void page_clear_flag(char *page, uint16_t flag) noexcept nogil:
    (<PageHeaderData *> page).pd_flags &= <uint16_t> (~flag & 0xFFFF)


cdef inline bint page_is_all_visible(const char *page) noexcept nogil:
    return page_has_flag(page, PD_ALL_VISIBLE)


cdef inline void page_set_prunable(char *page, TransactionId xid) noexcept nogil:
    """Note that a tuple deleted by xid may be pruned once no snapshot sees it: keeps the oldest xid."""
    cdef TransactionId old = (<PageHeaderData *> page).pd_prune_xid
    if old < 3 or <int32_t> (xid - old) < 0:
        (<PageHeaderData *> page).pd_prune_xid = xid


cdef inline uint32_t page_get_exact_free_space(const char *page) noexcept nogil:
    """Bytes between the line pointers and the tuples (PageGetExactFreeSpace)."""
    cdef int space = <int> (<const PageHeaderData *> page).pd_upper - <int> (<const PageHeaderData *> page).pd_lower
    return <uint32_t> space if space > 0 else 0


cdef inline uint32_t page_get_free_space(const char *page) noexcept nogil:
    """Room for a tuple, its line pointer already subtracted (PageGetFreeSpace)."""
    cdef uint32_t space = page_get_exact_free_space(page)
    return space - 4 if space >= 4 else 0


cdef inline uint32_t page_get_free_space_for_multiple_tuples(const char *page, int ntuples) noexcept nogil:
    cdef uint32_t space = page_get_exact_free_space(page)
    cdef uint32_t pointers = 4 * <uint32_t> ntuples
    return space - pointers if space >= pointers else 0


# Operations. `page` is locked exclusively, or private.

cdef void page_init(char *page, uint32_t page_size, uint32_t special_size) noexcept nogil
# The offset number used, 0 if it does not fit or `offset` cannot be used. Raises XX001 on a broken header.
cdef int page_add_item(char *page, const void *item, uint32_t size, OffsetNumber offset, int flags) except -1
cdef uint32_t page_get_heap_free_space(const char *page) noexcept nogil
cdef int page_repair_fragmentation(char *page) except -1
cdef void page_truncate_line_pointer_array(char *page) noexcept nogil
cdef int page_index_tuple_delete(char *page, OffsetNumber offset) except -1
cdef int page_index_multi_delete(char *page, const OffsetNumber *offsets, int noffsets) except -1
cdef int page_index_tuple_delete_no_compact(char *page, OffsetNumber offset) except -1
# 1 if done, 0 if the new tuple does not fit.
cdef int page_index_tuple_overwrite(char *page, OffsetNumber offset, const void *item, uint32_t size) except -1
cdef void page_restore_temp(const char *temp_page, char *page) noexcept nogil
cdef void page_get_temp_copy_special(const char *page, char *temp_page) noexcept nogil
cdef uint16_t page_checksum(const char *page, BlockNumber block) noexcept nogil
cdef void page_set_checksum(char *page, BlockNumber block) noexcept nogil
# 0: fine; bit 1: checksum differs; bit 2: header is not sane.
cdef int page_is_verified(const char *page, BlockNumber block, bint checksums) noexcept nogil
