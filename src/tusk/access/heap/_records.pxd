# cython: language_level=3
"""WAL records of the heap: info codes, flags and layouts of access/heapam_xlog.h."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from tusk._types cimport CommandId, ItemPointerData, OffsetNumber, Oid, RelFileLocator, TransactionId

cdef enum:                              # RM_HEAP_ID
    XLOG_HEAP_INSERT = 0x00
    XLOG_HEAP_DELETE = 0x10
    XLOG_HEAP_UPDATE = 0x20
    XLOG_HEAP_TRUNCATE = 0x30
    XLOG_HEAP_HOT_UPDATE = 0x40
    XLOG_HEAP_CONFIRM = 0x50
    XLOG_HEAP_LOCK = 0x60
    XLOG_HEAP_INPLACE = 0x70
    XLOG_HEAP_OPMASK = 0x70
    XLOG_HEAP_INIT_PAGE = 0x80

cdef enum:                              # RM_HEAP2_ID
    XLOG_HEAP2_REWRITE = 0x00
    XLOG_HEAP2_PRUNE_ON_ACCESS = 0x10
    XLOG_HEAP2_PRUNE_VACUUM_SCAN = 0x20
    XLOG_HEAP2_PRUNE_VACUUM_CLEANUP = 0x30
    XLOG_HEAP2_VISIBLE = 0x40
    XLOG_HEAP2_MULTI_INSERT = 0x50
    XLOG_HEAP2_LOCK_UPDATED = 0x60
    XLOG_HEAP2_NEW_CID = 0x70

cdef enum:
    XLH_INSERT_ALL_VISIBLE_CLEARED = 0x01
    XLH_INSERT_LAST_IN_MULTI = 0x02
    XLH_INSERT_IS_SPECULATIVE = 0x04
    XLH_INSERT_CONTAINS_NEW_TUPLE = 0x08
    XLH_INSERT_ON_TOAST_RELATION = 0x10
    XLH_INSERT_ALL_FROZEN_SET = 0x20

    XLH_UPDATE_OLD_ALL_VISIBLE_CLEARED = 0x01
    XLH_UPDATE_NEW_ALL_VISIBLE_CLEARED = 0x02
    XLH_UPDATE_CONTAINS_OLD_TUPLE = 0x04
    XLH_UPDATE_CONTAINS_OLD_KEY = 0x08
    XLH_UPDATE_CONTAINS_NEW_TUPLE = 0x10
    XLH_UPDATE_PREFIX_FROM_OLD = 0x20
    XLH_UPDATE_SUFFIX_FROM_OLD = 0x40

    XLH_DELETE_ALL_VISIBLE_CLEARED = 0x01
    XLH_DELETE_CONTAINS_OLD_TUPLE = 0x02
    XLH_DELETE_CONTAINS_OLD_KEY = 0x04
    XLH_DELETE_IS_SUPER = 0x08
    XLH_DELETE_IS_PARTITION_MOVE = 0x10

    XLH_LOCK_ALL_FROZEN_CLEARED = 0x01

    XLHL_XMAX_IS_MULTI = 0x01
    XLHL_XMAX_LOCK_ONLY = 0x02
    XLHL_XMAX_EXCL_LOCK = 0x04
    XLHL_XMAX_KEYSHR_LOCK = 0x08
    XLHL_KEYS_UPDATED = 0x10

    XLHP_IS_CATALOG_REL = 0x02
    XLHP_CLEANUP_LOCK = 0x04
    XLHP_HAS_CONFLICT_HORIZON = 0x08
    XLHP_HAS_FREEZE_PLANS = 0x10
    XLHP_HAS_REDIRECTIONS = 0x20
    XLHP_HAS_DEAD_ITEMS = 0x40
    XLHP_HAS_NOW_UNUSED_ITEMS = 0x80

    XLH_FREEZE_XVAC = 0x02
    XLH_INVALID_XVAC = 0x04

    XLH_TRUNCATE_CASCADE = 0x01
    XLH_TRUNCATE_RESTART_SEQS = 0x02

cdef packed struct xl_heap_header:          # 5 bytes
    uint16_t t_infomask2
    uint16_t t_infomask
    uint8_t t_hoff

cdef packed struct xl_heap_insert:          # 3
    OffsetNumber offnum
    uint8_t flags

cdef packed struct xl_heap_delete:          # 8
    TransactionId xmax
    OffsetNumber offnum
    uint8_t infobits_set
    uint8_t flags

cdef packed struct xl_heap_update:          # 14
    TransactionId old_xmax
    OffsetNumber old_offnum
    uint8_t old_infobits_set
    uint8_t flags
    TransactionId new_xmax
    OffsetNumber new_offnum

cdef packed struct xl_heap_lock:            # 8; xl_heap_lock_updated too
    TransactionId xmax
    OffsetNumber offnum
    uint8_t infobits_set
    uint8_t flags

cdef packed struct xl_heap_confirm:
    OffsetNumber offnum

cdef packed struct xl_heap_multi_insert:    # 4, then the offsets unless the page is initialised
    uint8_t flags
    uint8_t pad
    uint16_t ntuples

cdef packed struct xl_multi_insert_tuple:   # 7, at even addresses
    uint16_t datalen
    uint16_t t_infomask2
    uint16_t t_infomask
    uint8_t t_hoff

cdef packed struct xl_heap_inplace:         # 20, then nmsgs invalidation messages of 16 bytes
    OffsetNumber offnum
    uint16_t pad
    Oid dbId
    Oid tsId
    uint8_t relcacheInitFileInval
    uint8_t pad2[3]
    int32_t nmsgs

cdef packed struct xl_heap_visible:         # 5
    TransactionId snapshotConflictHorizon
    uint8_t flags

cdef packed struct xl_heap_prune:           # 2, then the horizon, unaligned
    uint8_t reason                          # never set: the info code says it
    uint8_t flags

cdef packed struct xlhp_freeze_plan:        # 12: one byte of padding after frzflags
    TransactionId xmax
    uint16_t t_infomask2
    uint16_t t_infomask
    uint8_t frzflags
    uint8_t pad
    uint16_t ntuples

cdef packed struct xl_heap_new_cid:         # 34
    TransactionId top_xid
    CommandId cmin
    CommandId cmax
    CommandId combocid
    RelFileLocator target_locator
    ItemPointerData target_tid

cdef packed struct xl_heap_truncate:        # 9 used, then relids at 12
    Oid dbId
    uint32_t nrelids
    uint8_t flags
    uint8_t pad[3]
