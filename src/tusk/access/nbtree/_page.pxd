# cython: language_level=3
"""Reading, locking and allocating b-tree pages (nbtpage.c's first half)."""

from libc.stdint cimport uint16_t, uint32_t
from tusk._types cimport BlockNumber, OffsetNumber
from tusk.access._relation cimport Relation
from tusk.access.nbtree._layout cimport *
from tusk.access.nbtree._records cimport xl_btree_metadata

cdef enum:
    BT_READ = 1                     # BUFFER_LOCK_SHARE
    BT_WRITE = 2                    # BUFFER_LOCK_EXCLUSIVE

cdef inline bint p_leftmost(const BTPageOpaqueData *opaque) noexcept nogil:
    return opaque.btpo_prev == 0

cdef inline bint p_rightmost(const BTPageOpaqueData *opaque) noexcept nogil:
    return opaque.btpo_next == 0

cdef inline bint p_isleaf(const BTPageOpaqueData *opaque) noexcept nogil:
    return (opaque.btpo_flags & BTP_LEAF) != 0

cdef inline bint p_isroot(const BTPageOpaqueData *opaque) noexcept nogil:
    return (opaque.btpo_flags & BTP_ROOT) != 0

cdef inline bint p_isdeleted(const BTPageOpaqueData *opaque) noexcept nogil:
    return (opaque.btpo_flags & BTP_DELETED) != 0

cdef inline bint p_ishalfdead(const BTPageOpaqueData *opaque) noexcept nogil:
    return (opaque.btpo_flags & BTP_HALF_DEAD) != 0

cdef inline bint p_ignore(const BTPageOpaqueData *opaque) noexcept nogil:
    return (opaque.btpo_flags & (BTP_DELETED | BTP_HALF_DEAD)) != 0

cdef inline bint p_incomplete_split(const BTPageOpaqueData *opaque) noexcept nogil:
    return (opaque.btpo_flags & BTP_INCOMPLETE_SPLIT) != 0

cdef inline OffsetNumber p_firstdatakey(const BTPageOpaqueData *opaque) noexcept nogil:
    return P_HIKEY if opaque.btpo_next == 0 else P_FIRSTKEY

# Pinned and locked buffers. The page is checked to be a b-tree page.
cdef int bt_getbuf(Relation rel, BlockNumber block, int access) except 0
cdef int bt_relandgetbuf(Relation rel, int buf, BlockNumber block, int access) except 0
cdef int bt_checkpage(Relation rel, int buf) except -1
# A new, initialised page, locked exclusively: a recycled one or at the end of the file. heap may be None.
cdef int bt_allocbuf(Relation rel, Relation heap) except 0
cdef void bt_pageinit(char *page) noexcept
cdef BTMetaPageData *bt_checked_meta(Relation rel, int metabuf) except NULL
cdef int bt_allequalimage(Relation rel) except -1
# Level of the fast root as far as known without reading.
cdef uint32_t bt_rootheight(Relation rel) except? 0xFFFFFFFF
# The root (or fast root), pinned and locked for reading; 0 when there is none and access is BT_READ.
cdef int bt_getroot(Relation rel, Relation heap, int access) except -1
cdef void bt_fill_metadata(xl_btree_metadata *out, const BTMetaPageData *meta) noexcept nogil
cdef bint bt_page_is_recyclable(Relation heap, const char *page) except -1
cdef object index_corrupted(str message)
