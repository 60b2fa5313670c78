# cython: language_level=3
"""WAL layouts and constants (access/xlogrecord.h, access/xlog_internal.h, access/rmgrlist.h)."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from tusk._types cimport Lsn, TransactionId

cdef enum:
    XLOG_BLCKSZ = 8192
    XLOG_PAGE_MAGIC = 0xD118

    XLP_FIRST_IS_CONTRECORD = 0x0001
    XLP_LONG_HEADER = 0x0002
    XLP_BKP_REMOVABLE = 0x0004
    XLP_FIRST_IS_OVERWRITE_CONTRECORD = 0x0008
    XLP_ALL_FLAGS = 0x000F

    SizeOfXLogShortPHD = 24
    SizeOfXLogLongPHD = 40
    SizeOfXLogRecord = 24
    XLogRecordMaxSize = 1069547520

    XLR_INFO_MASK = 0x0F
    XLR_RMGR_INFO_MASK = 0xF0
    XLR_SPECIAL_REL_UPDATE = 0x01
    XLR_CHECK_CONSISTENCY = 0x02

    BKPIMAGE_HAS_HOLE = 0x01
    BKPIMAGE_APPLY = 0x02
    BKPIMAGE_COMPRESS_PGLZ = 0x04
    BKPIMAGE_COMPRESS_LZ4 = 0x08
    BKPIMAGE_COMPRESS_ZSTD = 0x10
    BKPIMAGE_COMPRESSED = 0x1C

    BKPBLOCK_FORK_MASK = 0x0F
    BKPBLOCK_FLAG_MASK = 0xF0
    BKPBLOCK_HAS_IMAGE = 0x10
    BKPBLOCK_HAS_DATA = 0x20
    BKPBLOCK_WILL_INIT = 0x40
    BKPBLOCK_SAME_REL = 0x80

    XLR_MAX_BLOCK_ID = 32
    XLR_BLOCK_ID_DATA_SHORT = 255
    XLR_BLOCK_ID_DATA_LONG = 254
    XLR_BLOCK_ID_ORIGIN = 253
    XLR_BLOCK_ID_TOPLEVEL_XID = 252

    SizeOfXLogRecordBlockHeader = 4
    SizeOfXLogRecordBlockImageHeader = 5
    SizeOfXLogRecordBlockCompressHeader = 2

cdef enum:                          # flags of xlog_set_record_flags()
    XLOG_INCLUDE_ORIGIN = 0x01
    XLOG_MARK_UNIMPORTANT = 0x02

cdef enum:                          # access/rmgrlist.h
    RM_XLOG_ID = 0
    RM_XACT_ID = 1
    RM_SMGR_ID = 2
    RM_CLOG_ID = 3
    RM_DBASE_ID = 4
    RM_TBLSPC_ID = 5
    RM_MULTIXACT_ID = 6
    RM_RELMAP_ID = 7
    RM_STANDBY_ID = 8
    RM_HEAP2_ID = 9
    RM_HEAP_ID = 10
    RM_BTREE_ID = 11
    RM_HASH_ID = 12
    RM_GIN_ID = 13
    RM_GIST_ID = 14
    RM_SEQ_ID = 15
    RM_SPGIST_ID = 16
    RM_BRIN_ID = 17
    RM_COMMIT_TS_ID = 18
    RM_REPLORIGIN_ID = 19
    RM_GENERIC_ID = 20
    RM_LOGICALMSG_ID = 21
    RM_MAX_BUILTIN_ID = 21

cdef enum:                          # info of the XLOG resource manager (catalog/pg_control.h)
    XLOG_CHECKPOINT_SHUTDOWN = 0x00
    XLOG_CHECKPOINT_ONLINE = 0x10
    XLOG_NOOP = 0x20
    XLOG_NEXTOID = 0x30
    XLOG_SWITCH = 0x40
    XLOG_BACKUP_END = 0x50
    XLOG_PARAMETER_CHANGE = 0x60
    XLOG_RESTORE_POINT = 0x70
    XLOG_FPW_CHANGE = 0x80
    XLOG_END_OF_RECOVERY = 0x90
    XLOG_FPI_FOR_HINT = 0xA0
    XLOG_FPI = 0xB0
    XLOG_OVERWRITE_CONTRECORD = 0xD0
    XLOG_CHECKPOINT_REDO = 0xE0

cdef struct XLogRecord:             # 24 bytes; the 2 bytes after xl_rmid are zero
    uint32_t xl_tot_len
    TransactionId xl_xid
    Lsn xl_prev
    uint8_t xl_info
    uint8_t xl_rmid
    uint16_t xl_pad
    uint32_t xl_crc

cdef struct XLogPageHeaderData:     # 24 bytes with the padding at its end
    uint16_t xlp_magic
    uint16_t xlp_info
    uint32_t xlp_tli
    Lsn xlp_pageaddr
    uint32_t xlp_rem_len
    uint32_t xlp_pad

cdef struct XLogLongPageHeaderData: # 40 bytes
    XLogPageHeaderData std
    uint64_t xlp_sysid
    uint32_t xlp_seg_size
    uint32_t xlp_xlog_blcksz
