# cython: language_level=3
"""Page caches for the small transaction logs (PostgreSQL's slru.c): pg_xact, pg_subtrans, pg_multixact, pg_commit_ts.

Runs in every process attached to shared memory. Lock order: bank lock, then slot lock; the bank lock is given up
before I/O and taken again after it, which is why a caller must look again at what it knew.
"""

import os

from libc.errno cimport ENOENT, errno
from libc.stdint cimport int16_t
from libc.stdio cimport snprintf
from libc.string cimport memset
from posix.fcntl cimport O_CREAT, O_RDWR, open as c_open
from posix.unistd cimport close as c_close, fsync as c_fsync, pread as c_pread, pwrite as c_pwrite

from tusk._types cimport BLCKSZ
from tusk.memory._atomics cimport atomic_read_u64, atomic_write_u64
from tusk.memory._lwlock cimport (
    LW_EXCLUSIVE,
    LW_SHARED,
    lwlock_acquire,
    lwlock_conditional_acquire,
    lwlock_initialize,
    lwlock_release,
)
from tusk.memory._wait cimport wait_end, wait_start
from tusk.memory._wait_events cimport (
    WAIT_EVENT_SLRU_FLUSH_SYNC,
    WAIT_EVENT_SLRU_READ,
    WAIT_EVENT_SLRU_SYNC,
    WAIT_EVENT_SLRU_WRITE,
)
from tusk.stats._pending cimport slru_pending
from tusk.wal._redo cimport in_recovery
from tusk.wal._xlog cimport xlog_flush

from tusk.storage._sync cimport SYNC_FORGET_REQUEST, SYNC_REQUEST, FileTag, register_sync_request

from tusk.errors import Panic, Severity, SqlError, errcode, report

# pg_stat_slru; what is not named there is "other"
_STATS_ROWS = {
    b"commit_timestamp": 0, b"multixact_member": 1, b"multixact_offset": 2, b"notify": 3, b"serializable": 4,
    b"subtransaction": 5, b"transaction": 6,
}

cdef enum:                          # counters of slru_pending
    SLRU_ZEROED = 0
    SLRU_HIT = 1
    SLRU_READ = 2
    SLRU_WRITTEN = 3
    SLRU_EXISTS = 4
    SLRU_FLUSH = 5
    SLRU_TRUNCATE = 6

cdef enum:
    PAGE_EMPTY = 0
    PAGE_READ_IN_PROGRESS = 1
    PAGE_VALID = 2
    PAGE_WRITE_IN_PROGRESS = 3

# What failed in physical I/O, with the errno it left.
cdef enum:
    IO_OK = 0
    IO_OPEN_FAILED = 1
    IO_SEEK_FAILED = 2
    IO_READ_FAILED = 3
    IO_WRITE_FAILED = 4
    IO_FSYNC_FAILED = 5
    IO_CLOSE_FAILED = 6


cdef int last_errno = 0


cdef size_t _align(size_t n) noexcept nogil:
    return (n + 127) & ~(<size_t> 127)


cdef size_t slru_shmem_size(int nslots, int lsns_per_page) noexcept:
    """Bytes for a cache of ``nslots`` (a multiple of 16)."""
    cdef size_t nbanks = nslots // SLRU_BANK_SIZE
    return (_align(64) + _align(nslots) * 2 + _align(nslots * 8) + _align(nslots * 4) + _align(nbanks * 4)
            + <size_t> nslots * 128 + nbanks * 128 + _align(<size_t> nslots * lsns_per_page * 8)
            + <size_t> nslots * BLCKSZ + 8192)


cdef int slru_autotune_buffers(int divisor, int max_buffers, int nbuffers) noexcept:
    """Slots for a setting of 0: a part of shared_buffers, a multiple of the bank size."""
    cdef int wanted = nbuffers // divisor
    wanted -= wanted % SLRU_BANK_SIZE
    max_buffers -= max_buffers % SLRU_BANK_SIZE
    return min(max_buffers, max(<int> SLRU_BANK_SIZE, wanted))


cdef int slru_attach(SlruCtl *ctl, void *base, int nslots, int lsns_per_page, const char *name, const char *directory,
                     int sync_handler, bint long_segment_names, page_precedes_fn precedes) except -1:
    """Fill the process's view of a cache at ``base``; ``name`` and ``directory`` must live for ever."""
    cdef char *at = <char *> base
    cdef size_t nbanks = nslots // SLRU_BANK_SIZE
    ctl.num_slots = nslots
    ctl.nbanks = <int> nbanks
    ctl.lsns_per_page = lsns_per_page
    ctl.latest_page_number = <uint64_t *> at
    at += _align(64)
    ctl.status = <uint8_t *> at
    at += _align(nslots)
    ctl.dirty = <uint8_t *> at
    at += _align(nslots)
    ctl.page_number = <int64_t *> at
    at += _align(nslots * 8)
    ctl.lru_count = <int32_t *> at
    at += _align(nslots * 4)
    ctl.bank_cur_lru_count = <int32_t *> at
    at += _align(nbanks * 4)
    ctl.buffer_locks = at
    at += <size_t> nslots * 128
    ctl.bank_locks = at
    at += nbanks * 128
    ctl.group_lsn = <Lsn *> at if lsns_per_page > 0 else NULL
    at += _align(<size_t> nslots * lsns_per_page * 8)
    at = <char *> ((<size_t> at + 4095) & ~(<size_t> 4095))
    ctl.pages = at
    ctl.name = name
    ctl.dir = directory
    ctl.sync_handler = sync_handler
    ctl.long_segment_names = long_segment_names
    ctl.page_precedes = precedes
    ctl.stats_index = _STATS_ROWS.get(<bytes> name, 7)
    return 0


cdef int slru_initialize(SlruCtl *ctl, int buffer_tranche, int bank_tranche) except -1:
    """Empty the cache (the area is zeroed) and set up its locks."""
    cdef int i
    for i in range(ctl.num_slots):
        lwlock_initialize(<LWLock *> (ctl.buffer_locks + 128 * i), buffer_tranche)
        ctl.status[i] = PAGE_EMPTY
        ctl.dirty[i] = 0
        ctl.lru_count[i] = 0
    for i in range(ctl.nbanks):
        lwlock_initialize(<LWLock *> (ctl.bank_locks + 128 * i), bank_tranche)
        ctl.bank_cur_lru_count[i] = 0
    atomic_write_u64(ctl.latest_page_number, 0)
    return 0


cdef void slru_set_latest_page(SlruCtl *ctl, int64_t pageno) noexcept nogil:
    """Name the page at the end of the log: it is never evicted."""
    atomic_write_u64(ctl.latest_page_number, <uint64_t> pageno)


cdef inline LWLock *_buffer_lock(SlruCtl *ctl, int slotno) noexcept nogil:
    return <LWLock *> (ctl.buffer_locks + 128 * slotno)


cdef inline void _recently_used(SlruCtl *ctl, int slotno) noexcept nogil:
    cdef int bank = slotno // SLRU_BANK_SIZE
    cdef int32_t count = ctl.bank_cur_lru_count[bank]
    if count != ctl.lru_count[slotno]:
        count += 1
        ctl.bank_cur_lru_count[bank] = count
        ctl.lru_count[slotno] = count


cdef int _file_name(SlruCtl *ctl, char *path, int64_t segno) noexcept nogil:
    if ctl.long_segment_names:
        return snprintf(path, 128, "%s/%015llX", ctl.dir, <unsigned long long> segno)
    return snprintf(path, 128, "%s/%04X", ctl.dir, <unsigned int> segno)


cdef int _physical_read(SlruCtl *ctl, int64_t pageno, int slotno) noexcept nogil:
    global last_errno
    cdef int64_t segno = pageno // SLRU_PAGES_PER_SEGMENT
    cdef int64_t offset = (pageno % SLRU_PAGES_PER_SEGMENT) * BLCKSZ
    cdef char path[128]
    cdef int fd
    cdef Py_ssize_t got
    _file_name(ctl, path, segno)
    fd = c_open(path, O_RDWR)
    if fd < 0:
        last_errno = errno
        if last_errno != ENOENT or not in_recovery():
            return IO_OPEN_FAILED
        # Replay may look at a page that a later truncation removed: it does not matter what it held.
        memset(slru_page(ctl, slotno), 0, BLCKSZ)
        with gil:
            report(Severity.LOG, f'file "{path.decode()}" doesn\'t exist, reading as zeroes')
        return IO_OK
    wait_start(WAIT_EVENT_SLRU_READ)
    got = c_pread(fd, slru_page(ctl, slotno), BLCKSZ, offset)
    wait_end()
    if got != BLCKSZ:
        last_errno = errno if got < 0 else 0
        c_close(fd)
        return IO_READ_FAILED
    if c_close(fd) != 0:
        last_errno = errno
        return IO_CLOSE_FAILED
    return IO_OK


cdef int _flush_wal_for(SlruCtl *ctl, int slotno) except -1 nogil:
    """Write-ahead rule for pages that hold asynchronous commits."""
    cdef Lsn newest = 0
    cdef int i
    cdef Lsn *lsns
    if ctl.group_lsn == NULL:
        return 0
    lsns = ctl.group_lsn + <size_t> slotno * ctl.lsns_per_page
    for i in range(ctl.lsns_per_page):
        if lsns[i] > newest:
            newest = lsns[i]
    if newest != 0:
        with gil:
            try:
                xlog_flush(newest)
            except BaseException as error:
                # The slot is marked as being written and nobody would finish it: crash rather than hang others.
                raise Panic(getattr(error, "sqlstate", errcode.INTERNAL_ERROR), str(error)) from error
    return 0


cdef int _request_sync(SlruCtl *ctl, int64_t segno) except -1 nogil:
    cdef FileTag tag
    memset(&tag, 0, sizeof(tag))
    tag.handler = <int16_t> ctl.sync_handler
    tag.segno = <uint64_t> segno
    with gil:
        return register_sync_request(&tag, SYNC_REQUEST, False)


cdef int _physical_write(SlruCtl *ctl, int64_t pageno, int slotno) except -1 nogil:
    global last_errno
    cdef int64_t segno = pageno // SLRU_PAGES_PER_SEGMENT
    cdef int64_t offset = (pageno % SLRU_PAGES_PER_SEGMENT) * BLCKSZ
    cdef char path[128]
    cdef int fd
    cdef Py_ssize_t put
    _flush_wal_for(ctl, slotno)
    _file_name(ctl, path, segno)
    fd = c_open(path, O_RDWR | O_CREAT, 0o600)
    if fd < 0:
        last_errno = errno
        return IO_OPEN_FAILED
    wait_start(WAIT_EVENT_SLRU_WRITE)
    put = c_pwrite(fd, slru_page(ctl, slotno), BLCKSZ, offset)
    wait_end()
    if put != BLCKSZ:
        last_errno = errno if put < 0 and errno != 0 else 28    # as if the disk were full
        c_close(fd)
        return IO_WRITE_FAILED
    if ctl.sync_handler >= 0:
        if not _request_sync(ctl, segno):
            wait_start(WAIT_EVENT_SLRU_SYNC)
            if c_fsync(fd) != 0:
                last_errno = errno
                wait_end()
                c_close(fd)
                return IO_FSYNC_FAILED
            wait_end()
    if c_close(fd) != 0:
        last_errno = errno
        return IO_CLOSE_FAILED
    return IO_OK


def _sqlstate_for_errno(int number):
    """errcode_for_file_access(): the SQLSTATE for a failed file operation."""
    import errno as numbers
    if number in (numbers.EPERM, numbers.EACCES, numbers.EROFS):
        return errcode.INSUFFICIENT_PRIVILEGE
    if number == numbers.ENOENT:
        return errcode.UNDEFINED_FILE
    if number == numbers.EEXIST:
        return errcode.DUPLICATE_FILE
    if number in (numbers.ENOTDIR, numbers.EISDIR, numbers.ENOTEMPTY):
        return errcode.WRONG_OBJECT_TYPE
    if number == numbers.ENOSPC:
        return errcode.DISK_FULL
    if number in (numbers.ENFILE, numbers.EMFILE):
        return errcode.INSUFFICIENT_RESOURCES
    if number == numbers.EIO:
        return errcode.IO_ERROR
    return errcode.INTERNAL_ERROR


cdef int _report_io_error(SlruCtl *ctl, int64_t pageno, TransactionId xid, int cause) except -1:
    cdef char path[128]
    cdef int64_t offset = (pageno % SLRU_PAGES_PER_SEGMENT) * BLCKSZ
    _file_name(ctl, path, pageno // SLRU_PAGES_PER_SEGMENT)
    name = path.decode()
    why = os.strerror(last_errno)
    if cause == IO_OPEN_FAILED:
        detail = f'Could not open file "{name}": {why}.'
    elif cause == IO_SEEK_FAILED:
        detail = f'Could not seek in file "{name}" to offset {offset}: {why}.'
    elif cause == IO_READ_FAILED:
        detail = (f'Could not read from file "{name}" at offset {offset}: {why}.' if last_errno
                  else f'Could not read from file "{name}" at offset {offset}: read too few bytes.')
    elif cause == IO_WRITE_FAILED:
        detail = (f'Could not write to file "{name}" at offset {offset}: {why}.' if last_errno
                  else f'Could not write to file "{name}" at offset {offset}: wrote too few bytes.')
    elif cause == IO_FSYNC_FAILED:
        # After a failed fsync the kernel may have dropped the pages: only the WAL still knows.
        raise Panic(_sqlstate_for_errno(last_errno), f"could not access status of transaction {xid}",
                    detail=f'Could not fsync file "{name}": {why}.')
    else:
        detail = f'Could not close file "{name}": {why}.'
    raise SqlError(_sqlstate_for_errno(last_errno), f"could not access status of transaction {xid}", detail=detail)


cdef int _wait_io(SlruCtl *ctl, int slotno) except -1 nogil:
    """Wait for the I/O on a slot; the bank lock is held exclusively at entry and at exit, not in between."""
    cdef LWLock *bank = <LWLock *> (ctl.bank_locks + 128 * (slotno // SLRU_BANK_SIZE))
    lwlock_release(bank)
    lwlock_acquire(_buffer_lock(ctl, slotno), LW_SHARED)
    lwlock_release(_buffer_lock(ctl, slotno))
    lwlock_acquire(bank, LW_EXCLUSIVE)
    if ctl.status[slotno] == PAGE_READ_IN_PROGRESS or ctl.status[slotno] == PAGE_WRITE_IN_PROGRESS:
        # Whoever did the I/O may have failed and left the status behind: nobody holds the slot's lock then.
        if lwlock_conditional_acquire(_buffer_lock(ctl, slotno), LW_SHARED):
            if ctl.status[slotno] == PAGE_READ_IN_PROGRESS:
                ctl.status[slotno] = PAGE_EMPTY
            else:
                ctl.status[slotno] = PAGE_VALID
                ctl.dirty[slotno] = 1
            lwlock_release(_buffer_lock(ctl, slotno))
    return 0


cdef int _select_slot(SlruCtl *ctl, int64_t pageno) except -1 nogil:
    """A slot that holds ``pageno``, is empty, or holds a clean page to throw out (SlruSelectLRUPage)."""
    cdef int bank, first, i, best_valid, best_invalid, delta
    cdef int32_t cur
    cdef int best_valid_delta, best_invalid_delta
    cdef int64_t best_valid_page, best_invalid_page, latest
    while True:
        bank = <int> (pageno % ctl.nbanks)
        first = bank * SLRU_BANK_SIZE
        for i in range(first, first + SLRU_BANK_SIZE):
            if ctl.status[i] != PAGE_EMPTY and ctl.page_number[i] == pageno:
                return i
        best_valid = best_invalid = first
        best_valid_delta = best_invalid_delta = -1
        best_valid_page = best_invalid_page = 0
        ctl.bank_cur_lru_count[bank] += 1
        cur = ctl.bank_cur_lru_count[bank]
        latest = <int64_t> atomic_read_u64(ctl.latest_page_number)
        for i in range(first, first + SLRU_BANK_SIZE):
            if ctl.status[i] == PAGE_EMPTY:
                return i
            delta = cur - ctl.lru_count[i]
            if delta < 0:
                # Counts that ran ahead (lost updates under a shared lock) are pulled back.
                ctl.lru_count[i] = cur
                delta = 0
            if ctl.page_number[i] == latest:
                continue
            if ctl.status[i] == PAGE_VALID:
                if delta > best_valid_delta or (delta == best_valid_delta
                                                and ctl.page_precedes(ctl.page_number[i], best_valid_page)):
                    best_valid = i
                    best_valid_delta = delta
                    best_valid_page = ctl.page_number[i]
            elif delta > best_invalid_delta or (delta == best_invalid_delta
                                                and ctl.page_precedes(ctl.page_number[i], best_invalid_page)):
                best_invalid = i
                best_invalid_delta = delta
                best_invalid_page = ctl.page_number[i]
        if best_valid_delta < 0:
            _wait_io(ctl, best_invalid)
            continue
        if not ctl.dirty[best_valid]:
            return best_valid
        slru_write_page(ctl, best_valid)


cdef int slru_zero_page(SlruCtl *ctl, int64_t pageno) except -1 nogil:
    """Make a zeroed, dirty page in the cache and return its slot."""
    cdef int slotno = _select_slot(ctl, pageno)
    ctl.page_number[slotno] = pageno
    ctl.status[slotno] = PAGE_VALID
    ctl.dirty[slotno] = 1
    slru_pending[ctl.stats_index][SLRU_ZEROED] += 1
    _recently_used(ctl, slotno)
    memset(slru_page(ctl, slotno), 0, BLCKSZ)
    _zero_lsns(ctl, slotno)
    slru_set_latest_page(ctl, pageno)
    return slotno


cdef void _zero_lsns(SlruCtl *ctl, int slotno) noexcept nogil:
    if ctl.group_lsn != NULL:
        memset(ctl.group_lsn + <size_t> slotno * ctl.lsns_per_page, 0, ctl.lsns_per_page * sizeof(Lsn))


cdef int slru_read_page(SlruCtl *ctl, int64_t pageno, bint write_ok, TransactionId xid) except -1 nogil:
    """The slot with ``pageno``, read in if need be. ``write_ok``: a page being written may be had."""
    cdef LWLock *bank = slru_bank_lock(ctl, pageno)
    cdef int slotno, cause
    while True:
        slotno = _select_slot(ctl, pageno)
        if ctl.page_number[slotno] == pageno and ctl.status[slotno] != PAGE_EMPTY:
            if ctl.status[slotno] == PAGE_READ_IN_PROGRESS or (
                    ctl.status[slotno] == PAGE_WRITE_IN_PROGRESS and not write_ok):
                _wait_io(ctl, slotno)
                continue
            _recently_used(ctl, slotno)
            slru_pending[ctl.stats_index][SLRU_HIT] += 1
            return slotno
        ctl.page_number[slotno] = pageno
        ctl.status[slotno] = PAGE_READ_IN_PROGRESS
        ctl.dirty[slotno] = 0
        lwlock_acquire(_buffer_lock(ctl, slotno), LW_EXCLUSIVE)
        lwlock_release(bank)
        cause = _physical_read(ctl, pageno, slotno)
        _zero_lsns(ctl, slotno)
        lwlock_acquire(bank, LW_EXCLUSIVE)
        ctl.status[slotno] = PAGE_VALID if cause == IO_OK else PAGE_EMPTY
        lwlock_release(_buffer_lock(ctl, slotno))
        if cause != IO_OK:
            with gil:
                lwlock_release(bank)
                _report_io_error(ctl, pageno, xid, cause)
        _recently_used(ctl, slotno)
        slru_pending[ctl.stats_index][SLRU_READ] += 1
        return slotno


cdef int slru_read_page_read_only(SlruCtl *ctl, int64_t pageno, TransactionId xid) except -1 nogil:
    """As slru_read_page for a reader; takes the bank lock, shared when the page is there."""
    cdef LWLock *bank = slru_bank_lock(ctl, pageno)
    cdef int first = <int> (pageno % ctl.nbanks) * SLRU_BANK_SIZE
    cdef int slotno
    lwlock_acquire(bank, LW_SHARED)
    for slotno in range(first, first + SLRU_BANK_SIZE):
        if ctl.status[slotno] != PAGE_EMPTY and ctl.page_number[slotno] == pageno \
                and ctl.status[slotno] != PAGE_READ_IN_PROGRESS:
            _recently_used(ctl, slotno)
            slru_pending[ctl.stats_index][SLRU_HIT] += 1
            return slotno
    lwlock_release(bank)
    lwlock_acquire(bank, LW_EXCLUSIVE)
    return slru_read_page(ctl, pageno, True, xid)


cdef int slru_write_page(SlruCtl *ctl, int slotno) except -1 nogil:
    """Write a dirty page; the bank lock is given up meanwhile."""
    cdef int64_t pageno = ctl.page_number[slotno]
    cdef LWLock *bank = slru_bank_lock(ctl, pageno)
    cdef int cause
    while ctl.status[slotno] == PAGE_WRITE_IN_PROGRESS and ctl.page_number[slotno] == pageno:
        _wait_io(ctl, slotno)
    if not ctl.dirty[slotno] or ctl.status[slotno] != PAGE_VALID or ctl.page_number[slotno] != pageno:
        return 0
    ctl.status[slotno] = PAGE_WRITE_IN_PROGRESS
    ctl.dirty[slotno] = 0
    lwlock_acquire(_buffer_lock(ctl, slotno), LW_EXCLUSIVE)
    lwlock_release(bank)
    slru_pending[ctl.stats_index][SLRU_WRITTEN] += 1
    cause = _physical_write(ctl, pageno, slotno)
    lwlock_acquire(bank, LW_EXCLUSIVE)
    if cause != IO_OK:
        ctl.dirty[slotno] = 1
    ctl.status[slotno] = PAGE_VALID
    lwlock_release(_buffer_lock(ctl, slotno))
    if cause != IO_OK:
        with gil:
            lwlock_release(bank)
            _report_io_error(ctl, pageno, 0, cause)
    return 0


cdef int slru_write_all(SlruCtl *ctl, bint allow_redirtied) except -1:
    """Write every dirty page (checkpoints); return how many."""
    cdef int slotno, written = 0
    cdef LWLock *bank
    slru_pending[ctl.stats_index][SLRU_FLUSH] += 1
    for slotno in range(ctl.num_slots):
        bank = <LWLock *> (ctl.bank_locks + 128 * (slotno // SLRU_BANK_SIZE))
        if ctl.status[slotno] == PAGE_EMPTY:
            continue
        lwlock_acquire(bank, LW_EXCLUSIVE)
        if ctl.status[slotno] != PAGE_EMPTY:
            if ctl.dirty[slotno]:
                written += 1
            slru_write_page(ctl, slotno)
        lwlock_release(bank)
    if ctl.sync_handler >= 0:
        _fsync_path(ctl.dir)
    return written


cdef int _fsync_path(const char *path) except -1:
    fd = os.open(path.decode(), os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    return 0


cdef int slru_truncate(SlruCtl *ctl, int64_t cutoff_page) except -1:
    """Forget and delete the segments that lie wholly before ``cutoff_page``."""
    cdef int slotno
    cdef LWLock *bank
    cdef int64_t latest = <int64_t> atomic_read_u64(ctl.latest_page_number)
    slru_pending[ctl.stats_index][SLRU_TRUNCATE] += 1
    if ctl.page_precedes(latest, cutoff_page):
        report(Severity.LOG, f'could not truncate directory "{ctl.dir.decode()}": apparent wraparound')
        return 0
    for slotno in range(ctl.num_slots):
        bank = <LWLock *> (ctl.bank_locks + 128 * (slotno // SLRU_BANK_SIZE))
        lwlock_acquire(bank, LW_EXCLUSIVE)
        while ctl.status[slotno] != PAGE_EMPTY and ctl.page_precedes(ctl.page_number[slotno], cutoff_page):
            if ctl.status[slotno] == PAGE_VALID and not ctl.dirty[slotno]:
                ctl.status[slotno] = PAGE_EMPTY
            elif ctl.status[slotno] == PAGE_VALID:
                slru_write_page(ctl, slotno)
            else:
                _wait_io(ctl, slotno)
        lwlock_release(bank)
    for segno in slru_segments(ctl):
        if _may_delete_segment(ctl, segno, cutoff_page):
            _unlink_segment(ctl, segno)
    return 0


cdef bint _may_delete_segment(SlruCtl *ctl, int64_t segno, int64_t cutoff_page) noexcept:
    cdef int64_t first = segno * SLRU_PAGES_PER_SEGMENT
    return ctl.page_precedes(first, cutoff_page) and ctl.page_precedes(first + SLRU_PAGES_PER_SEGMENT - 1, cutoff_page)


cdef int _unlink_segment(SlruCtl *ctl, int64_t segno) except -1:
    cdef char path[128]
    cdef FileTag tag
    _file_name(ctl, path, segno)
    if ctl.sync_handler >= 0:
        memset(&tag, 0, sizeof(tag))
        tag.handler = <int16_t> ctl.sync_handler
        tag.segno = <uint64_t> segno
        register_sync_request(&tag, SYNC_FORGET_REQUEST, True)
    try:
        os.unlink(path.decode())
    except FileNotFoundError:
        return 0
    return 0


cdef int slru_delete_segment(SlruCtl *ctl, int64_t segno) except -1:
    """Drop one segment whatever it holds (multixact members)."""
    cdef int slotno
    cdef LWLock *bank
    for slotno in range(ctl.num_slots):
        bank = <LWLock *> (ctl.bank_locks + 128 * (slotno // SLRU_BANK_SIZE))
        lwlock_acquire(bank, LW_EXCLUSIVE)
        while ctl.status[slotno] != PAGE_EMPTY and ctl.page_number[slotno] // SLRU_PAGES_PER_SEGMENT == segno:
            if ctl.status[slotno] == PAGE_VALID:
                ctl.status[slotno] = PAGE_EMPTY
                ctl.dirty[slotno] = 0
            else:
                _wait_io(ctl, slotno)
        lwlock_release(bank)
    return _unlink_segment(ctl, segno)


cdef int slru_page_physically_exists(SlruCtl *ctl, int64_t pageno) except -1:
    """Whether the page is on disk in full (1 or 0)."""
    cdef char path[128]
    cdef int64_t end = (pageno % SLRU_PAGES_PER_SEGMENT + 1) * BLCKSZ
    slru_pending[ctl.stats_index][SLRU_EXISTS] += 1
    _file_name(ctl, path, pageno // SLRU_PAGES_PER_SEGMENT)
    try:
        return os.stat(path.decode()).st_size >= end
    except FileNotFoundError:
        return 0


cdef int slru_sync_segment(SlruCtl *ctl, int64_t segno) except -1:
    """Make a segment durable for the checkpointer; FileNotFoundError when it was removed."""
    cdef char path[128]
    _file_name(ctl, path, segno)
    wait_start(WAIT_EVENT_SLRU_FLUSH_SYNC)
    try:
        _fsync_path(path)
    finally:
        wait_end()
    return 0


cdef list slru_segments(SlruCtl *ctl):
    """Numbers of the segment files there are, sorted."""
    cdef list found = []
    cdef tuple digits = (4, 5, 6)
    if ctl.long_segment_names:
        digits = (15, 15)
    try:
        names = os.listdir(ctl.dir.decode())
    except FileNotFoundError:
        return found
    for name in names:
        if len(name) in digits and all(c in "0123456789ABCDEF" for c in name):
            found.append(int(name, 16))
    return sorted(found)


def remove_all_segments(directory: str) -> None:
    """Delete the files of a log that is switched off."""
    for name in os.listdir(directory):
        if len(name) >= 4 and all(c in "0123456789ABCDEF" for c in name):
            os.unlink(os.path.join(directory, name))
