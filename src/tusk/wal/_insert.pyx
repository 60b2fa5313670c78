# cython: language_level=3
"""Assembling WAL records from registered data and buffers: the counterpart of xloginsert.c.

One record is built at a time. `xlog_insert` lays out header, block headers and images each time it tries, since the
decision on full-page images can change under it when a checkpoint begins.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, malloc, realloc
from libc.string cimport memcpy, memset

from tusk._types cimport BLCKSZ, BlockNumber, ForkNumber, Lsn, RelFileLocator, TransactionId
from tusk.storage._buffer cimport (
    buffer_lsn_atomic,
    buffer_page,
    buffer_tag,
)
from tusk.storage cimport _buffer
from tusk.storage._page cimport PageHeaderData, SizeOfPageHeaderData, page_get_lsn, page_is_new, page_set_lsn
from tusk.wal._crc32c cimport CRC32C_INIT, crc32c_update
from tusk.wal._pglz cimport pglz_compress
from tusk.wal._record cimport *
from tusk.wal._xlog cimport (
    XLogRecData,
    get_full_page_write_info,
    get_redo_rec_ptr,
    insert_record,
    xlog_flush,
    xlog_hint_bit_is_needed,
    xlog_insert_allowed,
    xlog_needs_flush,
)
from tusk.wal._xlogctl cimport (
    WAL_COMPRESSION_LZ4,
    WAL_COMPRESSION_NONE,
    WAL_COMPRESSION_PGLZ,
    WAL_COMPRESSION_ZSTD,
    XLogCtl,
    wal_settings,
)

import lz4.block
import zstandard

from tusk.errors import SqlError, errcode

cdef enum:
    HEADER_SCRATCH = 4096               # 33 block headers of at most 30 bytes, and the record's own
    NUM_BLOCKS = 33
    BLOCK_RDATAS = 16                   # pieces of data a block starts with room for
    COMPRESS_BUFFER = 8192 + 512

cdef struct RegisteredBuffer:
    bint in_use
    uint8_t flags
    RelFileLocator locator
    ForkNumber fork
    BlockNumber block
    const char *page
    uint32_t data_len
    XLogRecData *rdata
    int nrdata
    int max_rdata
    char *compressed                    # room for a compressed image

cdef RegisteredBuffer blocks[NUM_BLOCKS]
cdef int n_blocks = 0                   # highest id in use + 1
cdef XLogRecData *main_rdata = NULL
cdef int n_main = 0
cdef int max_main = 0
cdef uint64_t main_len = 0
cdef uint8_t record_flags = 0
cdef bint begun = False
cdef char *scratch = <char *> calloc(1, HEADER_SCRATCH)
cdef XLogRecData *chain = NULL
cdef int max_chain = 0
cdef CurrentXidHook current_xid_hook = NULL

memset(blocks, 0, sizeof(blocks))


cdef void set_current_xid_hook(CurrentXidHook hook) noexcept:
    global current_xid_hook
    current_xid_hook = hook


cdef int xlog_ensure_record_space(int max_block_id, int ndatas) except -1:
    """Make room ahead of a critical section for unusually many blocks or pieces of data."""
    global main_rdata, max_main
    cdef void *room
    if max_block_id > XLR_MAX_BLOCK_ID:
        raise SqlError(errcode.INTERNAL_ERROR, "maximum number of WAL record block references exceeded")
    if ndatas > max_main:
        room = realloc(main_rdata, ndatas * sizeof(XLogRecData))
        if room == NULL:
            raise SqlError(errcode.OUT_OF_MEMORY, "out of memory")
        main_rdata = <XLogRecData *> room
        max_main = ndatas
    return 0


xlog_ensure_record_space(4, 64)


cdef int xlog_begin_insert() except -1:
    global begun
    if not xlog_insert_allowed():
        raise SqlError(errcode.INTERNAL_ERROR, "cannot make new WAL entries during recovery")
    if begun:
        raise SqlError(errcode.INTERNAL_ERROR, "XLogBeginInsert was already called")
    begun = True
    return 0


cdef void xlog_reset_insertion() noexcept:
    global n_blocks, n_main, main_len, record_flags, begun
    cdef int i
    for i in range(n_blocks):
        blocks[i].in_use = False
    n_blocks = 0
    n_main = 0
    main_len = 0
    record_flags = 0
    begun = False


cdef void xlog_set_record_flags(uint8_t flags) noexcept:
    global record_flags
    record_flags |= flags


cdef int xlog_register_data(const void *data, uint32_t nbytes) except -1:
    global n_main, main_len
    if n_main >= max_main:
        xlog_ensure_record_space(4, max_main * 2)
    main_rdata[n_main].data = data
    main_rdata[n_main].len = nbytes
    n_main += 1
    main_len += nbytes
    return 0


cdef int prepare_block(uint8_t block_id) except -1:
    global n_blocks
    cdef RegisteredBuffer *block
    if block_id > XLR_MAX_BLOCK_ID:
        raise SqlError(errcode.INTERNAL_ERROR, "too many registered buffers")
    block = &blocks[block_id]
    while n_blocks <= block_id:
        blocks[n_blocks].in_use = False
        n_blocks += 1
    if block.rdata == NULL:
        block.rdata = <XLogRecData *> malloc(BLOCK_RDATAS * sizeof(XLogRecData))
        block.compressed = <char *> malloc(COMPRESS_BUFFER)
        if block.rdata == NULL or block.compressed == NULL:
            raise SqlError(errcode.OUT_OF_MEMORY, "out of memory")
        block.max_rdata = BLOCK_RDATAS
    block.in_use = True
    block.data_len = 0
    block.nrdata = 0
    return 0


cdef int i_block
for i_block in range(5):
    prepare_block(<uint8_t> i_block)
xlog_reset_insertion()


cdef int xlog_register_buffer(uint8_t block_id, int buffer, uint8_t flags) except -1:
    cdef RegisteredBuffer *block
    prepare_block(block_id)
    block = &blocks[block_id]
    buffer_tag(buffer, &block.locator, &block.fork, &block.block)
    block.page = buffer_page(buffer)
    block.flags = flags
    return 0


cdef int xlog_register_block(uint8_t block_id, const RelFileLocator *locator, ForkNumber fork, BlockNumber block_number,
                             const void *page, uint8_t flags) except -1:
    cdef RegisteredBuffer *block
    prepare_block(block_id)
    block = &blocks[block_id]
    block.locator = locator[0]
    block.fork = fork
    block.block = block_number
    block.page = <const char *> page
    block.flags = flags
    return 0


cdef int xlog_register_buf_data(uint8_t block_id, const void *data, uint32_t nbytes) except -1:
    cdef RegisteredBuffer *block = &blocks[block_id]
    cdef void *room
    if block_id >= n_blocks or not block.in_use:
        raise SqlError(errcode.INTERNAL_ERROR, f"no block with id {block_id} registered with WAL insertion")
    if block.data_len + nbytes > 65535:
        raise SqlError(errcode.INTERNAL_ERROR, "too much WAL data",
                       detail=f"Registering more than maximum 65535 bytes allowed to block {block_id}: current "
                              f"{block.data_len} bytes, adding {nbytes} bytes.")
    if block.nrdata >= block.max_rdata:
        room = realloc(block.rdata, 2 * block.max_rdata * sizeof(XLogRecData))
        if room == NULL:
            raise SqlError(errcode.OUT_OF_MEMORY, "out of memory")
        block.rdata = <XLogRecData *> room
        block.max_rdata *= 2
    block.rdata[block.nrdata].data = data
    block.rdata[block.nrdata].len = nbytes
    block.nrdata += 1
    block.data_len += nbytes
    return 0


cdef int32_t compress_image(const char *page, uint16_t hole_offset, uint16_t hole_length, char *dest,
                            uint8_t *method) except? -2:
    """Compress a page without its hole into dest; its length, or -1 when that does not make it smaller."""
    cdef char joined[8192]
    cdef const char *source = page
    cdef int32_t raw = BLCKSZ - hole_length, extra = 0, n = -1
    cdef bytes packed
    if hole_length:
        memcpy(joined, page, hole_offset)
        memcpy(joined + hole_offset, page + hole_offset + hole_length, BLCKSZ - hole_offset - hole_length)
        source = joined
        extra = SizeOfXLogRecordBlockCompressHeader
    if wal_settings.wal_compression == WAL_COMPRESSION_PGLZ:
        n = pglz_compress(source, raw, dest)
        method[0] = BKPIMAGE_COMPRESS_PGLZ
    else:
        if wal_settings.wal_compression == WAL_COMPRESSION_LZ4:
            packed = lz4.block.compress(source[:raw], store_size=False)
            method[0] = BKPIMAGE_COMPRESS_LZ4
        else:
            packed = zstandard.ZstdCompressor(level=3).compress(source[:raw])
            method[0] = BKPIMAGE_COMPRESS_ZSTD
        if len(packed) < raw:
            n = <int32_t> len(packed)
            memcpy(dest, <const char *> packed, n)
    if n >= 0 and n + extra < raw:
        return n
    return -1


cdef inline void append(const void *data, uint32_t nbytes, int *n_chain) noexcept nogil:
    chain[n_chain[0]].data = data
    chain[n_chain[0]].len = nbytes
    n_chain[0] += 1


cdef int assemble(uint8_t rmid, uint8_t info, Lsn redo, bint page_writes, Lsn *fpw_lsn, int *num_fpi) except -1:
    """Lay the record out as a chain of pieces; returns how many (XLogRecordAssemble)."""
    global chain, max_chain
    cdef char *at = scratch + SizeOfXLogRecord
    cdef int n_chain = 1, i, j, wanted
    cdef uint64_t total = 0
    cdef RegisteredBuffer *block
    cdef RegisteredBuffer *previous = NULL
    cdef bint needs_backup, needs_data, include_image, same_rel
    cdef Lsn page_lsn
    cdef uint8_t fork_flags, bimg_info, method = 0
    cdef uint16_t hole_offset, hole_length, image_len, lower, upper, data_len
    cdef int32_t compressed
    cdef uint32_t crc, length
    cdef XLogRecord *header = <XLogRecord *> scratch
    cdef void *room

    wanted = 1 + n_main
    for i in range(n_blocks):
        if blocks[i].in_use:
            wanted += 2 + blocks[i].nrdata
    if wanted > max_chain:
        room = realloc(chain, 2 * wanted * sizeof(XLogRecData))
        if room == NULL:
            raise SqlError(errcode.OUT_OF_MEMORY, "out of memory")
        chain = <XLogRecData *> room
        max_chain = 2 * wanted

    if wal_settings.consistency_checking[rmid]:
        info |= XLR_CHECK_CONSISTENCY
    fpw_lsn[0] = 0
    num_fpi[0] = 0
    for i in range(n_blocks):
        block = &blocks[i]
        if not block.in_use:
            continue
        if block.flags & REGBUF_FORCE_IMAGE:
            needs_backup = True
        elif block.flags & REGBUF_NO_IMAGE:
            needs_backup = False
        elif not page_writes:
            needs_backup = False
        else:
            page_lsn = page_get_lsn(block.page)
            needs_backup = page_lsn <= redo
            if not needs_backup and (fpw_lsn[0] == 0 or page_lsn < fpw_lsn[0]):
                fpw_lsn[0] = page_lsn
        if block.data_len == 0:
            needs_data = False
        elif block.flags & REGBUF_KEEP_DATA:
            needs_data = True
        else:
            needs_data = not needs_backup
        fork_flags = <uint8_t> block.fork
        data_len = 0
        if block.flags & REGBUF_WILL_INIT == REGBUF_WILL_INIT:
            fork_flags |= BKPBLOCK_WILL_INIT
        include_image = needs_backup or info & XLR_CHECK_CONSISTENCY != 0
        hole_offset = hole_length = image_len = 0
        bimg_info = 0
        compressed = -1
        if include_image:
            if block.flags & REGBUF_STANDARD:
                lower = (<const PageHeaderData *> block.page).pd_lower
                upper = (<const PageHeaderData *> block.page).pd_upper
                if lower >= SizeOfPageHeaderData and upper > lower and upper <= BLCKSZ:
                    hole_offset = lower
                    hole_length = upper - lower
            if wal_settings.wal_compression != WAL_COMPRESSION_NONE:
                compressed = compress_image(block.page, hole_offset, hole_length, block.compressed, &method)
            fork_flags |= BKPBLOCK_HAS_IMAGE
            num_fpi[0] += 1
            if hole_length:
                bimg_info |= BKPIMAGE_HAS_HOLE
            if needs_backup:
                bimg_info |= BKPIMAGE_APPLY
            if compressed >= 0:
                bimg_info |= method
                image_len = <uint16_t> compressed
                append(block.compressed, image_len, &n_chain)
            else:
                image_len = BLCKSZ - hole_length
                if hole_length == 0:
                    append(block.page, BLCKSZ, &n_chain)
                else:
                    append(block.page, hole_offset, &n_chain)
                    append(block.page + hole_offset + hole_length, BLCKSZ - hole_offset - hole_length, &n_chain)
            total += image_len
        if needs_data:
            fork_flags |= BKPBLOCK_HAS_DATA
            data_len = <uint16_t> block.data_len
            total += data_len
            for j in range(block.nrdata):
                append(block.rdata[j].data, block.rdata[j].len, &n_chain)
        same_rel = (previous != NULL and previous.locator.relNumber == block.locator.relNumber
                    and previous.locator.dbOid == block.locator.dbOid and previous.locator.spcOid == block.locator.spcOid)
        previous = block
        if same_rel:
            fork_flags |= BKPBLOCK_SAME_REL
        at[0] = <char> i
        at[1] = <char> fork_flags
        memcpy(at + 2, &data_len, 2)
        at += SizeOfXLogRecordBlockHeader
        if include_image:
            memcpy(at, &image_len, 2)
            memcpy(at + 2, &hole_offset, 2)
            at[4] = <char> bimg_info
            at += SizeOfXLogRecordBlockImageHeader
            if bimg_info & BKPIMAGE_COMPRESSED and hole_length:
                memcpy(at, &hole_length, 2)
                at += SizeOfXLogRecordBlockCompressHeader
        if not same_rel:
            memcpy(at, &block.locator, sizeof(RelFileLocator))
            at += sizeof(RelFileLocator)
        memcpy(at, &block.block, 4)
        at += 4
    if main_len > 0:
        if main_len > 0xFFFFFFFF:
            raise SqlError(errcode.INTERNAL_ERROR, "too much WAL data",
                           detail=f"Main data length is {main_len} bytes for a maximum of 4294967295 bytes.")
        if main_len > 255:
            at[0] = <char> XLR_BLOCK_ID_DATA_LONG
            length = <uint32_t> main_len
            memcpy(at + 1, &length, 4)
            at += 5
        else:
            at[0] = <char> XLR_BLOCK_ID_DATA_SHORT
            at[1] = <char> <uint8_t> main_len
            at += 2
        for j in range(n_main):
            append(main_rdata[j].data, main_rdata[j].len, &n_chain)
        total += main_len
    chain[0].data = scratch
    chain[0].len = <uint32_t> (at - scratch)
    total += chain[0].len
    if total > XLogRecordMaxSize:
        raise SqlError(errcode.INTERNAL_ERROR, "oversized WAL record",
                       detail=f"WAL record would be {total} bytes (of maximum {XLogRecordMaxSize} bytes); rmid {rmid} "
                              f"flags {info}.")
    crc = crc32c_update(CRC32C_INIT, scratch + SizeOfXLogRecord, chain[0].len - SizeOfXLogRecord)
    for j in range(1, n_chain):
        crc = crc32c_update(crc, chain[j].data, chain[j].len)
    header.xl_xid = current_xid_hook() if current_xid_hook != NULL else 0
    header.xl_tot_len = <uint32_t> total
    header.xl_info = info
    header.xl_rmid = rmid
    header.xl_pad = 0
    header.xl_prev = 0
    header.xl_crc = crc
    return n_chain


cdef Lsn xlog_insert(uint8_t rmid, uint8_t info) except 0:
    """Insert the record begun; returns its end, the LSN that changed pages get."""
    cdef Lsn redo = 0, fpw_lsn = 0, end = 0
    cdef bint page_writes = False
    cdef int n, num_fpi = 0
    if not begun:
        raise SqlError(errcode.INTERNAL_ERROR, "XLogBeginInsert was not called")
    if info & ~(XLR_RMGR_INFO_MASK | XLR_SPECIAL_REL_UPDATE | XLR_CHECK_CONSISTENCY):
        raise SqlError(errcode.INTERNAL_ERROR, f"invalid xlog info mask {info:02X}")
    try:
        while end == 0:
            get_full_page_write_info(&redo, &page_writes)
            n = assemble(rmid, info, redo, page_writes, &fpw_lsn, &num_fpi)
            end = insert_record(chain, n, fpw_lsn, record_flags, num_fpi)
    finally:
        xlog_reset_insertion()
    return end


cdef bint xlog_check_buffer_needs_backup(int buffer) noexcept:
    """Whether logging a change of the buffer would take a full-page image, as far as this process knows."""
    cdef Lsn redo = 0
    cdef bint page_writes = False
    get_full_page_write_info(&redo, &page_writes)
    return page_writes and page_get_lsn(buffer_page(buffer)) <= redo


# ---------------------------------------------------------------- whole pages

cdef Lsn log_newpage(const RelFileLocator *locator, ForkNumber fork, BlockNumber block, void *page,
                     bint page_std) except 0:
    """Log a whole page that is not in shared buffers and set its LSN."""
    cdef Lsn end
    xlog_begin_insert()
    xlog_register_block(0, locator, fork, block, page, REGBUF_FORCE_IMAGE | (REGBUF_STANDARD if page_std else 0))
    end = xlog_insert(RM_XLOG_ID, XLOG_FPI)
    if not page_is_new(<char *> page):
        page_set_lsn(<char *> page, end)
    return end


cdef int log_newpages(const RelFileLocator *locator, ForkNumber fork, int npages, const BlockNumber *page_blocks,
                      void **pages, bint page_std) except -1:
    """Log many whole pages of one fork, 32 to a record, and set their LSNs."""
    cdef int i = 0, first, j
    cdef Lsn end
    while i < npages:
        first = i
        xlog_begin_insert()
        while i < npages and i - first < XLR_MAX_BLOCK_ID:
            xlog_register_block(<uint8_t> (i - first), locator, fork, page_blocks[i], pages[i],
                                REGBUF_FORCE_IMAGE | (REGBUF_STANDARD if page_std else 0))
            i += 1
        end = xlog_insert(RM_XLOG_ID, XLOG_FPI)
        for j in range(first, i):
            if not page_is_new(<char *> pages[j]):
                page_set_lsn(<char *> pages[j], end)
    return 0


cdef Lsn log_newpage_buffer(int buffer, bint page_std) except 0:
    """As log_newpage, for a buffer that is pinned, locked exclusively and dirty."""
    cdef RelFileLocator locator
    cdef ForkNumber fork
    cdef BlockNumber block
    buffer_tag(buffer, &locator, &fork, &block)
    return log_newpage(&locator, fork, block, buffer_page(buffer), page_std)


cdef Lsn save_buffer_for_hint(int buffer, bint buffer_std) except? 0:
    """A full-page image before the first hint-bit change of a page after the redo point (XLogSaveBufferForHint).

    The caller holds a share lock only, so others may set hints meanwhile: the image is made from a copy.
    """
    cdef Lsn redo, page_lsn
    cdef char copied[8192]
    cdef RelFileLocator locator
    cdef ForkNumber fork
    cdef BlockNumber block
    cdef const char *page
    cdef uint16_t lower, upper
    redo = get_redo_rec_ptr()
    page_lsn = buffer_lsn_atomic(buffer)
    if page_lsn > redo:
        return 0
    page = buffer_page(buffer)
    if buffer_std:
        lower = (<const PageHeaderData *> page).pd_lower
        upper = (<const PageHeaderData *> page).pd_upper
        memcpy(copied, page, lower)
        memcpy(copied + upper, page + upper, BLCKSZ - upper)
    else:
        memcpy(copied, page, BLCKSZ)
    buffer_tag(buffer, &locator, &fork, &block)
    xlog_begin_insert()
    xlog_register_block(0, &locator, fork, block, copied, REGBUF_FORCE_IMAGE | (REGBUF_STANDARD if buffer_std else 0))
    return xlog_insert(RM_XLOG_ID, XLOG_FPI_FOR_HINT)


cdef int hint_flush(Lsn upto) except -1:
    return xlog_flush(upto)


cdef Lsn hint_image(int buffer, bint buffer_std) except? 0xFFFFFFFFFFFFFFFF:
    return save_buffer_for_hint(buffer, buffer_std)


cdef int hint_needs_wal() noexcept nogil:
    if XLogCtl == NULL or not xlog_hint_bit_is_needed():
        return 0
    return 1 if xlog_insert_allowed() else 2


cdef bint lsn_needs_flush(Lsn upto) noexcept nogil:
    return xlog_needs_flush(upto)


_buffer.flush_wal_hook = hint_flush
_buffer.log_hint_hook = hint_image
_buffer.hint_needs_wal_hook = hint_needs_wal
_buffer.needs_flush_hook = lsn_needs_flush


# ---------------------------------------------------------------- for Python

def insert(rmid: int, info: int, data: bytes = b"", flags: int = 0) -> int:
    """Insert a record that touches no block; its end LSN."""
    cdef const char *raw = data
    xlog_begin_insert()
    if flags:
        xlog_set_record_flags(flags)
    if data:
        xlog_register_data(raw, <uint32_t> len(data))
    return xlog_insert(rmid, info)


def insert_with_pages(rmid: int, info: int, data: bytes, pages: list, flags: int = 0) -> int:
    """Insert a record with blocks given as (spc, db, rel, fork, block, page, regbuf flags, data): tests and tools."""
    cdef RelFileLocator locator
    cdef const char *raw = data
    cdef const char *page
    cdef const char *block_data
    xlog_begin_insert()
    if flags:
        xlog_set_record_flags(flags)
    if data:
        xlog_register_data(raw, <uint32_t> len(data))
    for i, (spc, db, rel, fork, block, content, regbuf, extra) in enumerate(pages):
        locator.spcOid = spc
        locator.dbOid = db
        locator.relNumber = rel
        page = content
        xlog_register_block(<uint8_t> i, &locator, fork, block, page, regbuf)
        if extra:
            block_data = extra
            xlog_register_buf_data(<uint8_t> i, block_data, <uint32_t> len(extra))
    return xlog_insert(rmid, info)


def switch_segment(mark_unimportant: bool = False) -> int:
    """Move on to the next WAL segment (RequestXLogSwitch); the end of what was used of the old one."""
    xlog_begin_insert()
    if mark_unimportant:
        xlog_set_record_flags(XLOG_MARK_UNIMPORTANT)
    return xlog_insert(RM_XLOG_ID, XLOG_SWITCH)


def reset_insertion() -> None:
    """Forget a record begun (after an error)."""
    xlog_reset_insertion()


def bench(int rounds, uint32_t nbytes) -> float:
    """Seconds per record of nbytes of main data, uncontended."""
    import time
    cdef char data[8192]
    cdef int i
    memset(data, 7, sizeof(data))
    start = time.perf_counter()
    for i in range(rounds):
        xlog_begin_insert()
        xlog_register_data(data, nbytes)
        xlog_insert(RM_XLOG_ID, XLOG_NOOP)
    return (time.perf_counter() - start) / rounds
