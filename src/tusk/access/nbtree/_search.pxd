# cython: language_level=3
"""Descending a b-tree (nbtsearch.c's first half): keys to search by, and the way from the root to a leaf."""

from libc.stdint cimport int16_t, uint8_t, uint32_t
from tusk._types cimport BlockNumber, Datum, ItemPointerData, OffsetNumber
from tusk.access._compare cimport Comparator
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport IndexTupleData
from tusk.access._tupdesc cimport TupleDesc, TupleDescData

cdef enum:
    KEY_ISNULL = 1
    KEY_DESC = 2
    KEY_NULLS_FIRST = 4

cdef enum:                          # BTScanInsert.fast
    FAST_NONE = 0
    FAST_INT4 = 1
    FAST_INT8 = 2
    FAST_OID = 3

cdef struct BTKey:                  # one column's value to search for
    Comparator cmp                  # column value against argument
    Datum argument
    int16_t attno
    int16_t flags

cdef struct BTScanInsert:           # what decides the way down (BTScanInsertData)
    bint allequalimage
    bint anynullkeys                # no unique check: nulls are distinct
    bint nextkey                    # look for the first item > key, not >= key
    bint backward                   # a backward scan starts here
    const ItemPointerData *scantid  # tie-breaker, or NULL
    int fast                        # how to compare the first column without a call: FAST_*, see bt_classify
    int keysz
    BTKey keys[32]

cdef struct BTStackEntry:
    BlockNumber block
    OffsetNumber offset

cdef struct BTStack:                # entries[depth - 1] is the parent of the leaf
    int depth
    BTStackEntry entries[32]

cdef inline int tid_compare(const ItemPointerData *a, const ItemPointerData *b) noexcept nogil:
    cdef uint32_t x = (<uint32_t> a.bi_hi << 16) | a.bi_lo
    cdef uint32_t y = (<uint32_t> b.bi_hi << 16) | b.bi_lo
    if x != y:
        return -1 if x < y else 1
    return <int> a.ip_posid - <int> b.ip_posid

# A key that leads to where itup belongs; itup must outlive it. itup NULL: all columns null.
cdef int bt_mkscankey(Relation rel, const IndexTupleData *itup, BTScanInsert *key) except -1
# Sets key.fast from the first column's comparator; to be called when the keys are filled.
cdef void bt_classify(Relation rel, BTScanInsert *key) noexcept nogil
# Key against the item: -1, 0, 1. Minus infinity items are below everything.
cdef int bt_compare(Relation rel, const BTScanInsert *key, const char *page, OffsetNumber offset) except? -2
cdef OffsetNumber bt_binsrch(Relation rel, const BTScanInsert *key, const char *page) except? 0xFFFF
# Leaf where the key belongs, pinned and locked as access says; 0 for an empty index with BT_READ.
cdef int bt_search(Relation rel, Relation heap, const BTScanInsert *key, int access, BTStack *stack) except -1
cdef int bt_moveright(Relation rel, Relation heap, const BTScanInsert *key, int buf, bint forupdate, BTStack *stack,
                      int depth, int access) except 0
# The first or last page of a level, locked for reading; 0 for an empty index.
cdef int bt_get_endpoint(Relation rel, uint32_t level, bint rightmost) except -1

# Set by _insert: completes a split that somebody left behind; buf is locked exclusively and let go of.
# depth: entries of the stack above buf's level, -1 when there is no stack.
ctypedef int (*finish_split_fn)(Relation rel, Relation heap, int buf, BTStack *stack, int depth) except -1
cdef finish_split_fn finish_split_hook
