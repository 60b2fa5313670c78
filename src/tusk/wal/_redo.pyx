# cython: language_level=3
"""Replaying records: buffers for redo routines, the table of resource managers, pages that turned out missing.

All of it runs in the startup process, alone; nothing here takes locks beyond the buffers' own.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

from tusk._types cimport BLCKSZ, INIT_FORK, BlockNumber, ForkNumber, Lsn, Oid, RelFileLocator, TransactionId
from tusk.storage._buffer cimport (
    BUFFER_LOCK_EXCLUSIVE,
    EB_PERFORMING_RECOVERY,
    EB_SKIP_EXTENSION_LOCK,
    RBM_NORMAL,
    RBM_NORMAL_NO_LOG,
    RBM_ZERO_AND_CLEANUP_LOCK,
    RBM_ZERO_AND_LOCK,
    RELPERSISTENCE_PERMANENT,
    buffer_page,
    extend_relation_to,
    flush_one_buffer,
    lock_buffer,
    lock_buffer_for_cleanup,
    mark_buffer_dirty,
    read_buffer,
    release_buffer,
    unlock_release_buffer,
)
from tusk.storage._page cimport page_get_lsn, page_is_new, page_set_lsn
from tusk.storage._smgr cimport SMgrRelation, relation_path, smgr_create, smgr_nblocks, smgr_open
from tusk.wal._pglz cimport pglz_decompress
from tusk.wal._record cimport *

from collections.abc import Callable

import lz4.block
import zstandard

from tusk.errors import Fatal, Panic, Severity, SqlError, errcode, report
from tusk.wal.controlfile import format_lsn

cdef RedoRoutine redo_routines[256]
cdef MaskRoutine mask_routines[256]
cdef RmgrPhaseRoutine startup_routines[256]
cdef RmgrPhaseRoutine cleanup_routines[256]
cdef bint replaying = False
cdef AdvanceXidHook advance_xid_hook = NULL

memset(redo_routines, 0, sizeof(redo_routines))
memset(mask_routines, 0, sizeof(mask_routines))
memset(startup_routines, 0, sizeof(startup_routines))
memset(cleanup_routines, 0, sizeof(cleanup_routines))

# (spc, db, rel, fork, block) -> whether the page exists but is all zeroes. A later drop or truncation must explain it.
invalid_pages: dict = {}
ignore_invalid_pages = False
reached_consistency = False


cdef void register_redo(uint8_t rmid, RedoRoutine redo, MaskRoutine mask) noexcept:
    redo_routines[rmid] = redo
    mask_routines[rmid] = mask


cdef void register_rmgr_phases(uint8_t rmid, RmgrPhaseRoutine startup, RmgrPhaseRoutine cleanup) noexcept:
    startup_routines[rmid] = startup
    cleanup_routines[rmid] = cleanup


cdef void set_advance_xid_hook(AdvanceXidHook hook) noexcept:
    global advance_xid_hook
    advance_xid_hook = hook


cdef bint in_recovery() noexcept nogil:
    return replaying


cdef class DecodedRecord:
    """A record taken apart; the pointers are valid until the reader's next record."""

    def __cinit__(self) -> None:
        self.max_block_id = -1

    def __dealloc__(self) -> None:
        free(self.storage)

    cdef int make_room(self, size_t nbytes) except -1:
        cdef void *room
        if nbytes > self.storage_size:
            room = realloc(self.storage, 2 * nbytes)
            if room == NULL:
                raise MemoryError
            self.storage = <char *> room
            self.storage_size = 2 * nbytes
        return 0

    cdef int read_buffer_for_redo(self, uint8_t block_id, int *buf) except -1:
        return self.read_buffer_for_redo_extended(block_id, RBM_NORMAL, False, buf)

    cdef int init_buffer_for_redo(self, uint8_t block_id) except 0:
        cdef int buf = 0
        self.read_buffer_for_redo_extended(block_id, RBM_ZERO_AND_LOCK, False, &buf)
        return buf

    cdef int read_buffer_for_redo_extended(self, uint8_t block_id, int mode, bint cleanup_lock, int *buf) except -1:
        cdef DecodedBlock *block = &self.blocks[block_id]
        cdef bint zeroes = mode == RBM_ZERO_AND_LOCK or mode == RBM_ZERO_AND_CLEANUP_LOCK
        cdef bint will_init
        cdef char *page
        buf[0] = 0
        if not self.has_block(block_id):
            raise Panic(errcode.DATA_CORRUPTED, f"failed to locate backup block with ID {block_id} in WAL record")
        will_init = block.flags & BKPBLOCK_WILL_INIT != 0
        if will_init and not zeroes:
            raise Panic(errcode.INTERNAL_ERROR,
                        "block with WILL_INIT flag in WAL record must be zeroed by redo routine")
        if not will_init and zeroes:
            raise Panic(errcode.INTERNAL_ERROR,
                        "block to be initialized in redo routine must be marked with WILL_INIT flag in the WAL record")
        if block.apply_image:
            buf[0] = read_buffer_extended(&block.locator, block.fork, block.block,
                                          RBM_ZERO_AND_CLEANUP_LOCK if cleanup_lock else RBM_ZERO_AND_LOCK)
            page = buffer_page(buf[0])
            self.restore_block_image(block_id, page)
            if not page_is_new(page):
                page_set_lsn(page, self.end_lsn)
            mark_buffer_dirty(buf[0])
            # An init fork is copied over an unlogged relation's main file right after recovery, not through buffers.
            if block.fork == INIT_FORK:
                flush_one_buffer(buf[0])
            return BLK_RESTORED
        buf[0] = read_buffer_extended(&block.locator, block.fork, block.block, mode)
        if buf[0] == 0:
            return BLK_NOTFOUND
        if not zeroes:
            if cleanup_lock:
                lock_buffer_for_cleanup(buf[0])
            else:
                lock_buffer(buf[0], BUFFER_LOCK_EXCLUSIVE)
        if self.end_lsn <= page_get_lsn(buffer_page(buf[0])):
            return BLK_DONE
        return BLK_NEEDS_REDO

    cdef int restore_block_image(self, uint8_t block_id, char *page) except -1:
        cdef DecodedBlock *block = &self.blocks[block_id]
        cdef char unpacked[8192]
        cdef const char *source = block.image
        cdef uint32_t raw = BLCKSZ - block.hole_length
        cdef bint ok = True
        cdef bytes plain
        if not self.has_block(block_id) or not block.has_image:
            raise SqlError(errcode.DATA_CORRUPTED, f"could not restore image at {format_lsn(self.lsn)} with invalid block "
                                                   f"{block_id} specified")
        if block.hole_offset + block.hole_length > BLCKSZ:
            ok = False
        elif block.bimg_info & BKPIMAGE_COMPRESS_PGLZ:
            ok = pglz_decompress(source, block.bimg_len, unpacked, <int32_t> raw) >= 0
            source = unpacked
        elif block.bimg_info & (BKPIMAGE_COMPRESS_LZ4 | BKPIMAGE_COMPRESS_ZSTD):
            try:
                if block.bimg_info & BKPIMAGE_COMPRESS_LZ4:
                    plain = lz4.block.decompress(source[:block.bimg_len], uncompressed_size=raw)
                else:
                    plain = zstandard.ZstdDecompressor().decompress(source[:block.bimg_len], max_output_size=raw)
            except (lz4.block.LZ4BlockError, zstandard.ZstdError):
                ok = False
            else:
                ok = len(plain) == raw
                if ok:
                    memcpy(unpacked, <const char *> plain, raw)
                source = unpacked
        if not ok:
            raise SqlError(errcode.DATA_CORRUPTED, f"could not decompress image at {format_lsn(self.lsn)}, block {block_id}")
        if block.hole_length == 0:
            memcpy(page, source, BLCKSZ)
        else:
            memcpy(page, source, block.hole_offset)
            memset(page + block.hole_offset, 0, block.hole_length)
            memcpy(page + block.hole_offset + block.hole_length, source + block.hole_offset,
                   BLCKSZ - block.hole_offset - block.hole_length)
        return 0

    # -- for Python: descriptions and tests

    @property
    def start(self) -> int:
        """LSN of the record."""
        return self.lsn

    @property
    def end(self) -> int:
        """LSN after the record."""
        return self.end_lsn

    @property
    def rmid(self) -> int:
        """Resource manager id."""
        return self.header.xl_rmid

    @property
    def xl_info(self) -> int:
        """All flag bits."""
        return self.header.xl_info

    @property
    def xid(self) -> int:
        """Transaction id, 0 if none."""
        return self.header.xl_xid

    @property
    def prev(self) -> int:
        """LSN of the record before."""
        return self.header.xl_prev

    @property
    def total_length(self) -> int:
        """Bytes with header."""
        return self.header.xl_tot_len

    @property
    def crc(self) -> int:
        """Stored CRC."""
        return self.header.xl_crc

    @property
    def replication_origin(self) -> int:
        """Replication origin id, 0 if none."""
        return self.origin

    @property
    def data(self) -> bytes:
        """Main data."""
        return self.main_data[:self.main_data_len] if self.main_data_len else b""

    @property
    def nblocks(self) -> int:
        """Highest block id + 1."""
        return self.max_block_id + 1

    def fpi_bytes(self) -> int:
        """Bytes of full-page images in the record."""
        cdef int i
        total = 0
        for i in range(self.max_block_id + 1):
            if self.blocks[i].in_use and self.blocks[i].has_image:
                total += self.blocks[i].bimg_len
        return total

    def block(self, int i) -> dict | None:
        """Block reference `i` as a dict, None when it is not in use."""
        cdef DecodedBlock *b = &self.blocks[i]
        if i > self.max_block_id or not b.in_use:
            return None
        return {
            "spc": b.locator.spcOid, "db": b.locator.dbOid, "rel": b.locator.relNumber, "fork": b.fork, "block": b.block,
            "flags": b.flags, "has_image": bool(b.has_image), "apply_image": bool(b.apply_image),
            "hole_offset": b.hole_offset, "hole_length": b.hole_length, "bimg_len": b.bimg_len, "bimg_info": b.bimg_info,
            "has_data": bool(b.has_data), "data": b.data[:b.data_len] if b.has_data else b"",
        }

    def image(self, int i) -> bytes:
        """The restored full-page image of block `i`."""
        cdef char page[8192]
        self.restore_block_image(<uint8_t> i, page)
        return page[:8192]


# ---------------------------------------------------------------- buffers

cdef int read_buffer_extended(const RelFileLocator *locator, ForkNumber fork, BlockNumber block, int mode) except? 0:
    cdef SMgrRelation rel = smgr_open(locator, -1)
    cdef int buf
    # The file may be gone because the relation is dropped later in the WAL: then replay goes into a new one.
    if rel.num_open[fork] == 0:
        smgr_create(rel, fork, True)
    if block < smgr_nblocks(rel, fork):
        buf = read_buffer(locator, RELPERSISTENCE_PERMANENT, fork, block, mode, NULL)
    else:
        if mode == RBM_NORMAL:
            note_invalid_page(locator, fork, block, False)
            return 0
        if mode == RBM_NORMAL_NO_LOG:
            return 0
        buf = extend_relation_to(locator, RELPERSISTENCE_PERMANENT, fork, NULL,
                                 EB_PERFORMING_RECOVERY | EB_SKIP_EXTENSION_LOCK, block + 1, mode)
    if mode == RBM_NORMAL and page_is_new(buffer_page(buf)):
        release_buffer(buf)
        note_invalid_page(locator, fork, block, True)
        return 0
    return buf


# ---------------------------------------------------------------- missing pages

cdef int note_invalid_page(const RelFileLocator *locator, ForkNumber fork, BlockNumber block, bint present) except -1:
    """Remember a page that the WAL changes but the disk lacks. Legal only if it is dropped or cut off later."""
    path = relation_path(locator, -1, fork)
    what = (f"page {block} of relation {path} is uninitialized" if present
            else f"page {block} of relation {path} does not exist")
    if reached_consistency:
        report(Severity.WARNING, what)
        if not ignore_invalid_pages:
            raise Panic(errcode.INTERNAL_ERROR, "WAL contains references to invalid pages",
                        context=None)
    invalid_pages.setdefault((locator.spcOid, locator.dbOid, locator.relNumber, fork, block), bool(present))
    return 0


cdef int xlog_drop_relation(const RelFileLocator *locator, ForkNumber fork) except -1:
    """The relation's fork is gone: missing pages of it are explained."""
    return xlog_truncate_relation(locator, fork, 0)


cdef int xlog_truncate_relation(const RelFileLocator *locator, ForkNumber fork, BlockNumber nblocks) except -1:
    cdef Oid spc = locator.spcOid, db = locator.dbOid, rel = locator.relNumber
    if invalid_pages:
        for key in [k for k in invalid_pages if k[:4] == (spc, db, rel, fork) and k[4] >= nblocks]:
            del invalid_pages[key]
    return 0


cdef int xlog_drop_database(Oid database) except -1:
    if invalid_pages:
        for key in [k for k in invalid_pages if k[1] == database]:
            del invalid_pages[key]
    return 0


def check_invalid_pages() -> None:
    """At the point of consistency every missing page must have been explained (XLogCheckInvalidPages)."""
    cdef RelFileLocator locator
    if not invalid_pages:
        return
    for (spc, db, rel, fork, block), present in invalid_pages.items():
        locator.spcOid, locator.dbOid, locator.relNumber = spc, db, rel
        path = relation_path(&locator, -1, fork)
        report(Severity.WARNING, f"page {block} of relation {path} "
                                 f"{'is uninitialized' if present else 'does not exist'}")
    if not ignore_invalid_pages:
        raise Panic(errcode.INTERNAL_ERROR, "WAL contains references to invalid pages")
    invalid_pages.clear()


def set_reached_consistency(reached: bool) -> None:
    """From now on a missing page is an error at once."""
    global reached_consistency
    reached_consistency = reached


# ---------------------------------------------------------------- the loop's parts

cdef int apply_record(DecodedRecord record) except -1:
    """Replay one record."""
    cdef uint8_t rmid = record.header.xl_rmid
    if record.header.xl_xid != 0 and advance_xid_hook != NULL:
        advance_xid_hook(record.header.xl_xid)
    if redo_routines[rmid] == NULL:
        raise Fatal(errcode.FEATURE_NOT_SUPPORTED, f"replay of WAL records of resource manager {rmid} is not supported yet")
    redo_routines[rmid](record)
    if record.header.xl_info & XLR_CHECK_CONSISTENCY:
        verify_consistency(record)
    return 0


cdef int verify_consistency(DecodedRecord record) except -1:
    """Compare the pages after replay with the images that wal_consistency_checking put into the record."""
    cdef DecodedBlock *block
    cdef char replayed[8192]
    cdef char wanted[8192]
    cdef int i, buf
    cdef MaskRoutine mask = mask_routines[record.header.xl_rmid]
    for i in range(record.max_block_id + 1):
        block = &record.blocks[i]
        # An image that was applied equals the page already.
        if not block.in_use or not block.has_image or block.apply_image:
            continue
        buf = read_buffer_extended(&block.locator, block.fork, block.block, RBM_NORMAL_NO_LOG)
        if buf == 0:
            continue
        lock_buffer(buf, BUFFER_LOCK_EXCLUSIVE)
        memcpy(replayed, buffer_page(buf), BLCKSZ)
        unlock_release_buffer(buf)
        if page_get_lsn(replayed) > record.end_lsn:
            continue
        record.restore_block_image(<uint8_t> i, wanted)
        if mask != NULL:
            mask(replayed, block.block)
            mask(wanted, block.block)
        if memcmp(replayed, wanted, BLCKSZ) != 0:
            raise Fatal(errcode.INTERNAL_ERROR,
                        f"inconsistent page found, rel {block.locator.spcOid}/{block.locator.dbOid}/"
                        f"{block.locator.relNumber}, forknum {block.fork}, blkno {block.block}")
    return 0


def run_startup_routines() -> None:
    """Before the first record: resource managers that keep state across records make it (RmgrStartup)."""
    global replaying
    cdef int i
    replaying = True
    for i in range(256):
        if startup_routines[i] != NULL:
            startup_routines[i]()


def run_cleanup_routines() -> None:
    """After the last record: they drop it (RmgrCleanup)."""
    cdef int i
    for i in range(256):
        if cleanup_routines[i] != NULL:
            cleanup_routines[i]()


def set_replaying(value: bool) -> None:
    """Whether this process replays WAL (InRecovery)."""
    global replaying
    replaying = value


_python_redo: dict = {}


cdef int call_python_redo(DecodedRecord record) except -1:
    _python_redo[record.header.xl_rmid](record)
    return 0


def register_python_redo(rmid: int, function: Callable[[DecodedRecord], None]) -> None:
    """Have a Python function replay the records of a resource manager whose records are rare (Database, RelMap, ...)."""
    _python_redo[rmid] = function
    register_redo(<uint8_t> rmid, call_python_redo, NULL)


def rmgr_has_mask(rmid: int) -> bool:
    """Whether wal_consistency_checking knows this resource manager."""
    return mask_routines[<int> rmid] != NULL


def rmgr_has_redo(rmid: int) -> bool:
    """Whether a redo routine is registered."""
    return redo_routines[<int> rmid] != NULL
