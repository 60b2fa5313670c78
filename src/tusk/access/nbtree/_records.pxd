# cython: language_level=3
"""WAL records of b-trees (access/nbtxlog.h). The first block of every record is the page that changed."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from tusk._types cimport BlockNumber, OffsetNumber, Oid, RelFileLocator, TransactionId

cdef enum:
    XLOG_BTREE_INSERT_LEAF = 0x00
    XLOG_BTREE_INSERT_UPPER = 0x10
    XLOG_BTREE_INSERT_META = 0x20
    XLOG_BTREE_SPLIT_L = 0x30
    XLOG_BTREE_SPLIT_R = 0x40
    XLOG_BTREE_INSERT_POST = 0x50
    XLOG_BTREE_DEDUP = 0x60
    XLOG_BTREE_DELETE = 0x70
    XLOG_BTREE_UNLINK_PAGE = 0x80
    XLOG_BTREE_UNLINK_PAGE_META = 0x90
    XLOG_BTREE_NEWROOT = 0xA0
    XLOG_BTREE_MARK_PAGE_HALFDEAD = 0xB0
    XLOG_BTREE_VACUUM = 0xC0
    XLOG_BTREE_REUSE_PAGE = 0xD0
    XLOG_BTREE_META_CLEANUP = 0xE0

    # Bytes that are logged, less than sizeof where the last member is followed by padding.
    SizeOfBtreeInsert = 2
    SizeOfBtreeSplit = 10
    SizeOfBtreeDedup = 2
    SizeOfBtreeReusePage = 25
    SizeOfBtreeVacuum = 4
    SizeOfBtreeDelete = 9
    SizeOfBtreeMarkPageHalfDead = 20
    SizeOfBtreeUnlinkPage = 36
    SizeOfBtreeNewroot = 8

cdef struct xl_btree_metadata:          # 28 bytes, padding included, as data of the metapage
    uint32_t version
    BlockNumber root
    uint32_t level
    BlockNumber fastroot
    uint32_t fastlevel
    uint32_t last_cleanup_num_delpages
    uint8_t allequalimage

cdef struct xl_btree_insert:            # 0: page, with the tuple (INSERT_POST: uint16 place in the posting list first)
    OffsetNumber offnum                 # 1: child whose split this completes, 2: metapage

cdef struct xl_btree_split:             # 0: left page, with the new item and its high key; 1: right page, its items
    uint32_t level                      # 2: old right sibling, 3: child whose split this completes
    OffsetNumber firstrightoff
    OffsetNumber newitemoff
    uint16_t postingoff

cdef struct BTDedupInterval:
    OffsetNumber baseoff
    uint16_t nitems

cdef struct xl_btree_dedup:             # 0: page, with the intervals
    uint16_t nintervals

cdef struct xl_btree_reuse_page:
    RelFileLocator locator
    BlockNumber block
    uint64_t snapshotConflictHorizon
    uint8_t isCatalogRel

cdef struct xl_btree_vacuum:            # 0: page, with deleted offsets, updated offsets, an xl_btree_update for each
    uint16_t ndeleted
    uint16_t nupdated

cdef struct xl_btree_delete:
    TransactionId snapshotConflictHorizon
    uint16_t ndeleted
    uint16_t nupdated
    uint8_t isCatalogRel

cdef struct xl_btree_mark_page_halfdead:    # 0: leaf, 1: parent of the subtree
    OffsetNumber poffset
    BlockNumber leafblk
    BlockNumber leftblk
    BlockNumber rightblk
    BlockNumber topparent

cdef struct xl_btree_unlink_page:       # 0: page, 1: left, 2: right sibling, 3: leaf if another page, 4: metapage
    BlockNumber leftsib
    BlockNumber rightsib
    uint32_t level
    uint64_t safexid
    BlockNumber leafleftsib
    BlockNumber leafrightsib
    BlockNumber leaftopparent

cdef struct xl_btree_newroot:           # 0: root, with its items, 1: left child, 2: metapage
    BlockNumber rootblk
    uint32_t level
