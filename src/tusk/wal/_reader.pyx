# cython: language_level=3
"""Reading WAL records from segment files, checking page headers, chain, and CRC: the counterpart of xlogreader.c.

Invalid data is the normal end of WAL: `read_into` says 0 and leaves the reason in `error`, in PostgreSQL's words,
which startup logs and pg_waldump prints.
"""

import os

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset
from posix.unistd cimport close, pread

from tusk._types cimport Lsn, RelFileLocator
from tusk.wal._crc32c cimport CRC32C_INIT, crc32c_update
from tusk.wal._record cimport *
from tusk.wal._redo cimport DecodedBlock, DecodedRecord

from tusk.wal.controlfile import format_lsn, segment_name

cdef enum:
    WINDOW_BYTES = 262144


cdef class WalReader:
    """Reads one timeline's records in order, from where `begin` puts it."""

    def __cinit__(self, directory: str, segment_size: int, timeline: int = 1, system_identifier: int = 0) -> None:
        self.directory = directory
        self.segment_size = segment_size
        self.timeline = timeline
        self.system_identifier = system_identifier
        self.error = ""
        self.fd = -1
        self.window = <char *> malloc(WINDOW_BYTES)
        self.assembly_size = 65536
        self.assembly = <char *> malloc(self.assembly_size)
        if self.window == NULL or self.assembly == NULL:
            raise MemoryError
        self.record = DecodedRecord()

    def __dealloc__(self) -> None:
        if self.fd >= 0:
            close(self.fd)
        free(self.window)
        free(self.assembly)

    def begin(self, lsn: int, stop_at: int = 0) -> None:
        """Read next the record that starts at `lsn`, or the first at or after it if lsn is a page boundary."""
        self.end_lsn = lsn
        self.read_lsn = 0
        self.prev_lsn = 0
        self.random_access = True
        self.stop_at = stop_at
        self.forget_window()

    def forget_window(self) -> None:
        """Drop what was read ahead: the files may have grown."""
        self.window_bytes = 0
        self.checked_page = <Lsn> -1

    def close(self) -> None:
        """Close the file."""
        if self.fd >= 0:
            close(self.fd)
            self.fd = -1
        self.forget_window()

    cdef int fail(self, Lsn at, str message) except -1:
        self.error = message
        self.error_lsn = at
        return 0

    cdef char *read_page(self, Lsn page, uint32_t wanted) except? NULL:
        """The page's bytes, its header checked; NULL (with `error`) if it cannot be read or is not valid."""
        cdef uint64_t segno = page // self.segment_size, offset = page % self.segment_size, n
        cdef ssize_t got
        cdef char *at
        if self.stop_at and page + wanted > self.stop_at:
            self.fail(page, "")
            return NULL
        if not (self.window_bytes and self.window_start <= page
                and page + XLOG_BLCKSZ <= self.window_start + self.window_bytes):
            if self.fd < 0 or segno != self.fd_segno:
                if self.fd >= 0:
                    close(self.fd)
                    self.fd = -1
                path = os.path.join(self.directory, segment_name(self.timeline, segno, self.segment_size))
                try:
                    self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                except FileNotFoundError:
                    self.fail(page, "")
                    return NULL
                except OSError as error:
                    self.fail(page, f'could not open file "{path}": {error.strerror}')
                    return NULL
                self.fd_segno = segno
            n = min(<uint64_t> WINDOW_BYTES, self.segment_size - offset)
            got = pread(self.fd, self.window, n, offset)
            if got > 0 and got % XLOG_BLCKSZ:
                # A file cut short within a page: what is there may still hold whole records.
                memset(self.window + got, 0, XLOG_BLCKSZ - got % XLOG_BLCKSZ)
                got += XLOG_BLCKSZ - got % XLOG_BLCKSZ
            if got < XLOG_BLCKSZ:
                self.window_bytes = 0
                name = segment_name(self.timeline, segno, self.segment_size)
                if got < 0:
                    self.fail(page, f"could not read from WAL segment {name}, LSN {format_lsn(page)}, offset {offset}")
                else:
                    self.fail(page, f"could not read from WAL segment {name}, LSN {format_lsn(page)}, offset {offset}: "
                                    f"read {got} of {XLOG_BLCKSZ}")
                return NULL
            self.window_start = page
            self.window_bytes = <uint64_t> got // XLOG_BLCKSZ * XLOG_BLCKSZ
        at = self.window + (page - self.window_start)
        if page != self.checked_page:
            # The first page of a segment tells whether the segment is what its name says: look there first.
            if offset != 0 and (self.checked_page == <Lsn> -1 or self.checked_page // self.segment_size != segno):
                if not self.check_first_page(segno):
                    return NULL
            if not self.check_page_header(page, at):
                return NULL
            self.checked_page = page
        return at

    cdef bint check_first_page(self, uint64_t segno) except -1:
        cdef char header[40]
        if pread(self.fd, header, 40, 0) != 40:
            self.fail(segno * self.segment_size, f"could not read from WAL segment "
                                                 f"{segment_name(self.timeline, segno, self.segment_size)}")
            return False
        return self.check_page_header(segno * self.segment_size, header)

    cdef bint check_page_header(self, Lsn page, const char *header) except -1:
        """Whether these are the header bytes that belong to the page (XLogReaderValidatePageHeader)."""
        cdef const XLogPageHeaderData *hdr = <const XLogPageHeaderData *> header
        cdef const XLogLongPageHeaderData *long_hdr = <const XLogLongPageHeaderData *> header
        cdef uint64_t offset = page % self.segment_size
        cdef str place
        cdef bint ok = (hdr.xlp_magic == XLOG_PAGE_MAGIC and hdr.xlp_info & ~XLP_ALL_FLAGS == 0
                        and hdr.xlp_pageaddr == page and (offset != 0 or hdr.xlp_info & XLP_LONG_HEADER != 0))
        if ok and hdr.xlp_info & XLP_LONG_HEADER:
            ok = ((self.system_identifier == 0 or long_hdr.xlp_sysid == self.system_identifier)
                  and long_hdr.xlp_seg_size == self.segment_size and long_hdr.xlp_xlog_blcksz == XLOG_BLCKSZ)
        if ok and self.latest_page < page and hdr.xlp_tli < self.latest_page_timeline:
            ok = False
        if ok:
            self.latest_page = page
            self.latest_page_timeline = hdr.xlp_tli
            return True
        place = (f"WAL segment {segment_name(self.timeline, page // self.segment_size, self.segment_size)}, "
                 f"LSN {format_lsn(page)}, offset {offset}")
        if hdr.xlp_magic != XLOG_PAGE_MAGIC:
            self.fail(page, f"invalid magic number {hdr.xlp_magic:04X} in {place}")
        elif hdr.xlp_info & ~XLP_ALL_FLAGS or (offset == 0 and not hdr.xlp_info & XLP_LONG_HEADER):
            self.fail(page, f"invalid info bits {hdr.xlp_info:04X} in {place}")
        elif hdr.xlp_info & XLP_LONG_HEADER and self.system_identifier and long_hdr.xlp_sysid != self.system_identifier:
            self.fail(page, "WAL file is from different database system: WAL file database system identifier is "
                            f"{long_hdr.xlp_sysid}, pg_control database system identifier is {self.system_identifier}")
        elif hdr.xlp_info & XLP_LONG_HEADER and long_hdr.xlp_seg_size != self.segment_size:
            self.fail(page, "WAL file is from different database system: incorrect segment size in page header")
        elif hdr.xlp_info & XLP_LONG_HEADER and long_hdr.xlp_xlog_blcksz != XLOG_BLCKSZ:
            self.fail(page, "WAL file is from different database system: incorrect XLOG_BLCKSZ in page header")
        elif hdr.xlp_pageaddr != page:
            self.fail(page, f"unexpected pageaddr {format_lsn(hdr.xlp_pageaddr)} in {place}")
        else:
            self.fail(page, f"out-of-sequence timeline ID {hdr.xlp_tli} (after {self.latest_page_timeline}) in {place}")
        return False

    cdef int check_record_header(self, Lsn at, const XLogRecord *header, bint random_access) except -1:
        """Whether a record header is plausible at this place (ValidXLogRecordHeader)."""
        if header.xl_tot_len < SizeOfXLogRecord:
            return self.fail(at, f"invalid record length at {format_lsn(at)}: expected at least {SizeOfXLogRecord}, got "
                                 f"{header.xl_tot_len}")
        if header.xl_rmid > RM_MAX_BUILTIN_ID and header.xl_rmid < 128:
            return self.fail(at, f"invalid resource manager ID {header.xl_rmid} at {format_lsn(at)}")
        if random_access:
            # Only known: it must lie before us.
            if not header.xl_prev < at:
                return self.fail(at, f"record with incorrect prev-link {format_lsn(header.xl_prev)} at {format_lsn(at)}")
        elif header.xl_prev != self.prev_lsn:
            return self.fail(at, f"record with incorrect prev-link {format_lsn(header.xl_prev)} at {format_lsn(at)}")
        return 1

    cdef int read_into(self) except -1:
        """Read the next record (XLogDecodeNextRecord)."""
        cdef Lsn at = self.end_lsn, page, first_page
        cdef char *data
        cdef const XLogPageHeaderData *hdr
        cdef XLogRecord *header
        cdef uint32_t in_page, header_size, total, got, rest, part, crc
        cdef bint random_access, header_checked
        cdef bint assembled
        cdef const char *raw
        self.error = ""
        self.aborted_record = 0
        self.missing_continuation = 0
        self.overwritten_record = 0
        while True:
            # A page boundary stands for the first record on that page.
            random_access = self.random_access
            assembled = False
            page = at - at % XLOG_BLCKSZ
            first_page = page
            in_page = <uint32_t> (at % XLOG_BLCKSZ)
            data = self.read_page(page, in_page + SizeOfXLogRecord if in_page else SizeOfXLogShortPHD)
            if data == NULL:
                return 0
            hdr = <const XLogPageHeaderData *> data
            header_size = SizeOfXLogLongPHD if hdr.xlp_info & XLP_LONG_HEADER else SizeOfXLogShortPHD
            if in_page == 0:
                at += header_size
                in_page = header_size
            elif in_page < header_size:
                return self.fail(at, f"invalid record offset at {format_lsn(at)}: expected at least {header_size}, got "
                                     f"{in_page}")
            if hdr.xlp_info & XLP_FIRST_IS_CONTRECORD and in_page == header_size:
                return self.fail(at, f"contrecord is requested by {format_lsn(at)}")
            header = <XLogRecord *> (data + in_page)
            total = header.xl_tot_len               # never spans pages: records are 8-byte aligned
            if in_page <= XLOG_BLCKSZ - SizeOfXLogRecord:
                if not self.check_record_header(at, header, random_access):
                    return 0
                header_checked = True
            else:
                if total < SizeOfXLogRecord:
                    return self.fail(at, f"invalid record length at {format_lsn(at)}: expected at least "
                                         f"{SizeOfXLogRecord}, got {total}")
                header_checked = False
            rest = XLOG_BLCKSZ - in_page
            if total > rest:
                # Put the record together from its pages.
                assembled = True
                if not self.make_room(XLOG_BLCKSZ * 2):
                    return 0
                memcpy(self.assembly, data + in_page, rest)
                got = rest
                while got < total:
                    page += XLOG_BLCKSZ
                    data = self.read_page(page, min(total - got + SizeOfXLogShortPHD, XLOG_BLCKSZ))
                    if data == NULL:
                        return self.abandon(at, page)
                    hdr = <const XLogPageHeaderData *> data
                    if hdr.xlp_info & XLP_FIRST_IS_OVERWRITE_CONTRECORD:
                        # The rest was never written; a later record, right here, says so.
                        self.overwritten_record = at
                        break
                    if not hdr.xlp_info & XLP_FIRST_IS_CONTRECORD:
                        self.fail(at, f"there is no contrecord flag at {format_lsn(at)}")
                        return self.abandon(at, page)
                    if hdr.xlp_rem_len == 0 or total != hdr.xlp_rem_len + got:
                        self.fail(at, f"invalid contrecord length {hdr.xlp_rem_len} (expected "
                                      f"{<long long> total - got}) at {format_lsn(at)}")
                        return self.abandon(at, page)
                    header_size = SizeOfXLogLongPHD if hdr.xlp_info & XLP_LONG_HEADER else SizeOfXLogShortPHD
                    part = min(total - got, XLOG_BLCKSZ - header_size)
                    if not self.make_room(<uint64_t> got + part):
                        return self.abandon(at, page)
                    memcpy(self.assembly + got, data + header_size, part)
                    got += part
                    if not header_checked:
                        header = <XLogRecord *> self.assembly
                        if not self.check_record_header(at, header, random_access):
                            return self.abandon(at, page)
                        header_checked = True
                if self.overwritten_record:
                    at = page
                    self.random_access = True
                    continue
                raw = self.assembly
                self.end_lsn_after = page + header_size + ((part + 7) & ~7)
            else:
                raw = data + in_page
                self.end_lsn_after = at + ((total + 7) & ~7)
            header = <XLogRecord *> raw
            crc = crc32c_update(CRC32C_INIT, raw + SizeOfXLogRecord, total - SizeOfXLogRecord)
            crc = ~crc32c_update(crc, raw, 20)
            if crc != header.xl_crc:
                self.fail(at, f"incorrect resource manager data checksum in record at {format_lsn(at)}")
                return self.abandon(at, page) if assembled else 0
            break
        self.record.lsn = at
        if header.xl_rmid == RM_XLOG_ID and header.xl_info & XLR_RMGR_INFO_MASK == XLOG_SWITCH:
            # The rest of the segment is padding.
            self.end_lsn_after += self.segment_size - 1
            self.end_lsn_after -= self.end_lsn_after % self.segment_size
        self.record.end_lsn = self.end_lsn_after
        if not self.parse(raw, total):
            return 0
        self.read_lsn = at
        self.prev_lsn = at
        self.end_lsn = self.end_lsn_after
        self.random_access = False
        return 1

    cdef int abandon(self, Lsn at, Lsn page) except -1:
        """Note a record whose continuation is missing, so that start-up can mark it as overwritten."""
        self.aborted_record = at
        self.missing_continuation = page
        return 0

    cdef bint make_room(self, uint64_t nbytes) except -1:
        cdef void *room
        if nbytes > self.assembly_size:
            room = realloc(self.assembly, max(nbytes, 2 * self.assembly_size))
            if room == NULL:
                self.fail(self.end_lsn, f"out of memory while trying to decode a record of length {nbytes}")
                return False
            self.assembly = <char *> room
            self.assembly_size = max(nbytes, 2 * self.assembly_size)
        return True

    cdef int parse(self, const char *raw, uint32_t nbytes) except -1:
        """Take a whole record apart into self.record (DecodeXLogRecord)."""
        cdef str message = decode_record(self.record, raw, nbytes)
        if message is not None:
            return self.fail(self.record.lsn, f"{message} at {format_lsn(self.record.lsn)}")
        return 1

    def read_record(self) -> DecodedRecord | None:
        """The next record, valid until the next call; None at the end of valid WAL, with the reason in `error`."""
        return self.record if self.read_into() else None

    def find_next_record(self, lsn: int) -> int:
        """The start of the first record at or after `lsn`, 0 if there is none (XLogFindNextRecord)."""
        cdef Lsn at = lsn, page
        cdef char *data
        cdef const XLogPageHeaderData *hdr
        cdef uint32_t header_size
        cdef uint64_t skip
        self.begin(lsn)
        page = at
        while True:
            page = at - at % XLOG_BLCKSZ
            data = self.read_page(page, XLOG_BLCKSZ)
            if data == NULL:
                return 0
            hdr = <const XLogPageHeaderData *> data
            header_size = SizeOfXLogLongPHD if hdr.xlp_info & XLP_LONG_HEADER else SizeOfXLogShortPHD
            if hdr.xlp_info & XLP_FIRST_IS_CONTRECORD:
                # Skip what is left of a record that began earlier.
                skip = (<uint64_t> hdr.xlp_rem_len + 7) & ~(<uint64_t> 7)
                if skip >= XLOG_BLCKSZ - header_size:
                    at = page + XLOG_BLCKSZ
                    continue
                at = page + header_size + skip
            else:
                at = page + header_size
            break
        self.begin(at)
        while self.read_into():
            if self.read_lsn >= <Lsn> lsn:
                at = self.read_lsn
                self.begin(at)
                return at
        return 0

    def page_bytes(self, lsn: int) -> bytes:
        """The bytes before `lsn` of its page (as read), for continuing it; empty at a page boundary."""
        cdef Lsn at = lsn
        cdef char *data
        if at % XLOG_BLCKSZ == 0:
            return b""
        data = self.read_page(at - at % XLOG_BLCKSZ, <uint32_t> (at % XLOG_BLCKSZ))
        if data == NULL:
            raise ValueError(self.error or f"no WAL at {format_lsn(lsn)}")
        return data[:at % XLOG_BLCKSZ]


cdef str decode_record(DecodedRecord record, const char *raw, uint32_t nbytes):
    """Fill `record` from the raw bytes, which must stay; None, or what is wrong with them.

    Images point into raw; main data and block data are copied so that they are aligned.
    """
    cdef const char *at = raw + SizeOfXLogRecord
    cdef const char *end = raw + nbytes
    cdef uint32_t remaining, datatotal = 0, length
    cdef int block_id, i
    cdef uint8_t fork_flags
    cdef uint16_t data_len, expected
    cdef DecodedBlock *block
    cdef RelFileLocator *rel = NULL
    cdef RelFileLocator last_rel
    cdef size_t wanted
    cdef char *to
    memcpy(&record.header, raw, SizeOfXLogRecord)
    for i in range(record.max_block_id + 1):
        record.blocks[i].in_use = False
    record.max_block_id = -1
    record.main_data = NULL
    record.main_data_len = 0
    record.origin = 0
    record.toplevel_xid = 0
    remaining = nbytes - SizeOfXLogRecord
    while remaining > datatotal:
        if end - at < 1:
            return "record with invalid length"
        block_id = <uint8_t> at[0]
        at += 1
        remaining -= 1
        if block_id == XLR_BLOCK_ID_DATA_SHORT:
            if remaining < 1:
                return "record with invalid length"
            record.main_data_len = <uint8_t> at[0]
            at += 1
            remaining -= 1
            datatotal += record.main_data_len
            break
        if block_id == XLR_BLOCK_ID_DATA_LONG:
            if remaining < 4:
                return "record with invalid length"
            memcpy(&length, at, 4)
            record.main_data_len = length
            at += 4
            remaining -= 4
            datatotal += length
            break
        if block_id == XLR_BLOCK_ID_ORIGIN:
            if remaining < 2:
                return "record with invalid length"
            memcpy(&record.origin, at, 2)
            at += 2
            remaining -= 2
            continue
        if block_id == XLR_BLOCK_ID_TOPLEVEL_XID:
            if remaining < 4:
                return "record with invalid length"
            memcpy(&record.toplevel_xid, at, 4)
            at += 4
            remaining -= 4
            continue
        if block_id > XLR_MAX_BLOCK_ID:
            return f"invalid block_id {block_id}"
        if block_id <= record.max_block_id:
            return f"out-of-order block_id {block_id}"
        for i in range(record.max_block_id + 1, block_id):
            record.blocks[i].in_use = False
        record.max_block_id = block_id
        block = &record.blocks[block_id]
        memset(block, 0, sizeof(DecodedBlock))
        block.in_use = True
        if remaining < 3:
            return "record with invalid length"
        fork_flags = <uint8_t> at[0]
        memcpy(&data_len, at + 1, 2)
        at += 3
        remaining -= 3
        block.fork = fork_flags & BKPBLOCK_FORK_MASK
        block.flags = fork_flags
        block.has_image = fork_flags & BKPBLOCK_HAS_IMAGE != 0
        block.has_data = fork_flags & BKPBLOCK_HAS_DATA != 0
        block.data_len = data_len
        if block.has_data and data_len == 0:
            return "BKPBLOCK_HAS_DATA set, but no data included"
        if not block.has_data and data_len != 0:
            return f"BKPBLOCK_HAS_DATA not set, but data length is {data_len}"
        datatotal += data_len
        if block.has_image:
            if remaining < 5:
                return "record with invalid length"
            memcpy(&block.bimg_len, at, 2)
            memcpy(&block.hole_offset, at + 2, 2)
            block.bimg_info = <uint8_t> at[4]
            at += 5
            remaining -= 5
            block.apply_image = block.bimg_info & BKPIMAGE_APPLY != 0
            if block.bimg_info & BKPIMAGE_COMPRESSED:
                if block.bimg_info & BKPIMAGE_HAS_HOLE:
                    if remaining < 2:
                        return "record with invalid length"
                    memcpy(&block.hole_length, at, 2)
                    at += 2
                    remaining -= 2
                else:
                    block.hole_length = 0
            else:
                block.hole_length = XLOG_BLCKSZ - block.bimg_len
            datatotal += block.bimg_len
            if block.bimg_info & BKPIMAGE_HAS_HOLE and (
                    block.hole_offset == 0 or block.hole_length == 0 or block.bimg_len == XLOG_BLCKSZ):
                return (f"BKPIMAGE_HAS_HOLE set, but hole offset {block.hole_offset} length {block.hole_length} block "
                        f"image length {block.bimg_len}")
            if not block.bimg_info & BKPIMAGE_HAS_HOLE and (block.hole_offset != 0 or block.hole_length != 0):
                return (f"BKPIMAGE_HAS_HOLE not set, but hole offset {block.hole_offset} length {block.hole_length}")
            if block.bimg_info & BKPIMAGE_COMPRESSED:
                if block.bimg_len == XLOG_BLCKSZ:
                    return f"BKPIMAGE_COMPRESSED set, but block image length {block.bimg_len}"
            elif not block.bimg_info & BKPIMAGE_HAS_HOLE and block.bimg_len != XLOG_BLCKSZ:
                return (f"neither BKPIMAGE_HAS_HOLE nor BKPIMAGE_COMPRESSED set, but block image length is "
                        f"{block.bimg_len}")
        if fork_flags & BKPBLOCK_SAME_REL:
            if rel == NULL:
                return "BKPBLOCK_SAME_REL set but no previous rel"
            block.locator = last_rel
        else:
            if remaining < sizeof(RelFileLocator):
                return "record with invalid length"
            memcpy(&last_rel, at, sizeof(RelFileLocator))
            rel = &last_rel
            block.locator = last_rel
            at += sizeof(RelFileLocator)
            remaining -= <uint32_t> sizeof(RelFileLocator)
        if remaining < 4:
            return "record with invalid length"
        memcpy(&block.block, at, 4)
        at += 4
        remaining -= 4
    if remaining != datatotal:
        return "record with invalid length"
    # Headers are consistent: hand out the data.
    wanted = record.main_data_len + 16
    for i in range(record.max_block_id + 1):
        if record.blocks[i].in_use:
            wanted += record.blocks[i].data_len + 8
    record.make_room(wanted)
    to = record.storage
    for i in range(record.max_block_id + 1):
        block = &record.blocks[i]
        if not block.in_use:
            continue
        if block.has_image:
            block.image = at
            at += block.bimg_len
        if block.has_data:
            memcpy(to, at, block.data_len)
            block.data = to
            at += block.data_len
            to += (block.data_len + 7) & ~7
    if record.main_data_len > 0:
        memcpy(to, at, record.main_data_len)
        record.main_data = to
    return None


def decode(raw: bytes, lsn: int = 0) -> DecodedRecord:
    """Decode one record from memory; ValueError with the reason if it is not valid. The bytes are kept."""
    record = DecodedRecord()
    record.lsn = lsn
    record.kept = raw
    message = decode_record(record, raw, <uint32_t> len(raw))
    if message is not None:
        raise ValueError(message)
    return record
