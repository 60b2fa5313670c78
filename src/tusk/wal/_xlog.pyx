# cython: language_level=3
"""Inserting, writing and flushing WAL: the counterpart of the busy half of xlog.c.

Insertion: take one of eight insertion locks (shared-nothing, so that eight records are copied at a time), reserve
space under a spinlock, copy the record into the WAL buffers, let go. Flushing: wait until every insertion before the
wanted point has been copied, then write and sync under WALWriteLock; whoever waits for that lock looks again when it
becomes free, as somebody else has usually flushed its WAL too (group commit).

Lock order: insertion lock, then WALBufMappingLock, then WALWriteLock; the spinlocks are innermost.

Over a thousand lines in one module: insertion, buffers and flushing share this process's cached positions on the
hottest path of every write, and as globals of one module they cost a load each.
"""

import os
import time

from libc.errno cimport EINTR, ENOSPC, errno
from libc.string cimport memcpy, memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec
from posix.unistd cimport close, fdatasync, fsync, pwrite, usleep

from tusk.memory._atomics cimport (
    atomic_compare_exchange_u64,
    atomic_fetch_add_u64,
    atomic_load_acquire_u64,
    atomic_read_u64,
    atomic_store_release_u64,
    full_barrier,
    read_barrier,
    spin_lock,
    spin_unlock,
    write_barrier,
)
from tusk.memory._critical cimport critical_end, critical_start
from tusk.memory._latch cimport set_latch
from tusk.memory._lwlock cimport (
    LW_EXCLUSIVE,
    WALBufMappingLock,
    WALWriteLock,
    lwlock_acquire,
    lwlock_acquire_or_wait,
    lwlock_conditional_acquire,
    lwlock_release,
    lwlock_release_clear_var,
    lwlock_update_var,
    lwlock_wait_for_var,
    main_lock,
)
from tusk.memory._process cimport MyProcNumber, ProcGlobal, proc_count
from tusk.memory._wait cimport wait_end, wait_start
from tusk.stats._pending cimport (
    IOCONTEXT_NORMAL, IOOBJECT_WAL, IOOP_FSYNC, IOOP_WRITE, count_io, io_pending, set_wal_counts,
    track_wal_io_timing)
from tusk.wal._crc32c cimport CRC32C_INIT, crc32c_update
from tusk.wal._record cimport (
    RM_XLOG_ID,
    XLOG_BLCKSZ,
    XLOG_CHECKPOINT_REDO,
    XLOG_MARK_UNIMPORTANT,
    XLOG_PAGE_MAGIC,
    XLOG_SWITCH,
    XLP_BKP_REMOVABLE,
    XLP_FIRST_IS_CONTRECORD,
    XLP_FIRST_IS_OVERWRITE_CONTRECORD,
    XLP_LONG_HEADER,
    XLogLongPageHeaderData,
    XLogPageHeaderData,
    XLogRecord,
)
from tusk.wal._waits cimport WAIT_EVENT_WAL_SYNC, WAIT_EVENT_WAL_WRITE
from tusk.wal._xlogctl cimport (
    NUM_XLOGINSERT_LOCKS,
    RECOVERY_STATE_DONE,
    WAL_SYNC_METHOD_FDATASYNC,
    WAL_SYNC_METHOD_FSYNC,
    WAL_SYNC_METHOD_FSYNC_WRITETHROUGH,
    WAL_SYNC_METHOD_OPEN,
    WAL_SYNC_METHOD_OPEN_DSYNC,
    XLogCtl,
    byte_pos_to_end_lsn,
    byte_pos_to_lsn,
    lsn_to_byte_pos,
    segment_offset,
    under_postmaster,
    wal_segment_size,
    wal_settings,
)

from tusk.errors import Panic, Severity, SqlError, errcode, report
from tusk.wal import segments
from tusk.wal.controlfile import format_lsn

memset(&pg_wal_usage, 0, sizeof(pg_wal_usage))
set_wal_counts(&pg_wal_usage)

# This process's view of shared values; each may lag behind.
cdef Lsn redo_rec_ptr = 0
cdef bint do_page_writes = False
cdef Lsn flushed_upto = 0
cdef Lsn written_upto = 0
cdef bint local_recovery_in_progress = True
cdef int local_insert_allowed = -1          # -1: as recovery says; 0: no; 1: yes

cdef Lsn proc_last_rec_ptr = 0
cdef Lsn xact_last_rec_end = 0

cdef int my_lock_no = 0
cdef int lock_to_try = -1
cdef bint holding_all_locks = False

cdef int open_fd = -1
cdef unsigned long long open_segno = 0
cdef uint32_t open_timeline = 0
cdef int open_method = -1

cdef unsigned long long cached_page = 0
cdef char *cached_address = NULL

FLUSH_MARK_FILE = "pg_wal/flush_mark"

cdef uint64_t system_identifier = 0
cdef double last_background_flush = 0.0


# ---------------------------------------------------------------- insertion locks

cdef int insertion_lock() except -1:
    """Take an insertion lock, preferring the last one used; after a wait move on to another."""
    global my_lock_no, lock_to_try
    if lock_to_try == -1:
        lock_to_try = (MyProcNumber if MyProcNumber > 0 else 0) % NUM_XLOGINSERT_LOCKS
    my_lock_no = lock_to_try
    if lwlock_acquire(&XLogCtl.insert_locks[my_lock_no].lock, LW_EXCLUSIVE) == 0:
        lock_to_try = (lock_to_try + 1) % NUM_XLOGINSERT_LOCKS
    return 0


cdef int insertion_unlock() except -1:
    if holding_all_locks:
        return insertion_unlock_all()
    lwlock_release_clear_var(&XLogCtl.insert_locks[my_lock_no].lock, &XLogCtl.insert_locks[my_lock_no].insertingAt, 0)
    return 0


cdef int insertion_lock_all() except -1:
    """All insertion locks. All but the last say that they insert nothing before the end of time, so that whoever waits
    for insertions waits for the last one only."""
    global holding_all_locks
    cdef int i
    for i in range(NUM_XLOGINSERT_LOCKS - 1):
        lwlock_acquire(&XLogCtl.insert_locks[i].lock, LW_EXCLUSIVE)
        lwlock_update_var(&XLogCtl.insert_locks[i].lock, &XLogCtl.insert_locks[i].insertingAt, <uint64_t> -1)
    lwlock_acquire(&XLogCtl.insert_locks[NUM_XLOGINSERT_LOCKS - 1].lock, LW_EXCLUSIVE)
    holding_all_locks = True
    return 0


cdef int insertion_unlock_all() except -1:
    global holding_all_locks
    cdef int i
    for i in range(NUM_XLOGINSERT_LOCKS):
        lwlock_release_clear_var(&XLogCtl.insert_locks[i].lock, &XLogCtl.insert_locks[i].insertingAt, 0)
    holding_all_locks = False
    return 0


cdef void say_inserting_at(Lsn lsn) noexcept:
    """Tell waiters that everything of ours before `lsn` is copied, before we may wait ourselves."""
    cdef int i = NUM_XLOGINSERT_LOCKS - 1 if holding_all_locks else my_lock_no
    lwlock_update_var(&XLogCtl.insert_locks[i].lock, &XLogCtl.insert_locks[i].insertingAt, lsn)


# ---------------------------------------------------------------- reservation

cdef inline void reserve(uint32_t nbytes, Lsn *start, Lsn *end, Lsn *prev) noexcept nogil:
    """Reserve room for a record of nbytes (ReserveXLogInsertLocation)."""
    cdef uint64_t start_pos, end_pos, prev_pos, size = (<uint64_t> nbytes + 7) & ~(<uint64_t> 7)
    spin_lock(&XLogCtl.insertpos_lck)
    start_pos = XLogCtl.CurrBytePos
    end_pos = start_pos + size
    prev_pos = XLogCtl.PrevBytePos
    XLogCtl.CurrBytePos = end_pos
    XLogCtl.PrevBytePos = start_pos
    spin_unlock(&XLogCtl.insertpos_lck)
    start[0] = byte_pos_to_lsn(start_pos)
    end[0] = byte_pos_to_end_lsn(end_pos)
    prev[0] = byte_pos_to_lsn(prev_pos)


cdef bint reserve_switch(Lsn *start, Lsn *end, Lsn *prev) noexcept nogil:
    """Reserve the rest of the segment for an XLOG_SWITCH; False when we are at a segment's start already."""
    cdef uint64_t start_pos, end_pos, prev_pos, left
    cdef Lsn at
    spin_lock(&XLogCtl.insertpos_lck)
    start_pos = XLogCtl.CurrBytePos
    at = byte_pos_to_end_lsn(start_pos)
    if segment_offset(at) == 0:
        spin_unlock(&XLogCtl.insertpos_lck)
        start[0] = end[0] = at
        return False
    end_pos = start_pos + sizeof(XLogRecord)
    prev_pos = XLogCtl.PrevBytePos
    start[0] = byte_pos_to_lsn(start_pos)
    end[0] = byte_pos_to_end_lsn(end_pos)
    left = wal_segment_size - segment_offset(end[0])
    if left != wal_segment_size:
        end[0] += left
        end_pos = lsn_to_byte_pos(end[0])
    XLogCtl.CurrBytePos = end_pos
    XLogCtl.PrevBytePos = start_pos
    spin_unlock(&XLogCtl.insertpos_lck)
    prev[0] = byte_pos_to_lsn(prev_pos)
    return True


# ---------------------------------------------------------------- insertion

cdef void get_full_page_write_info(Lsn *redo, bint *page_writes) noexcept:
    redo[0] = redo_rec_ptr
    page_writes[0] = do_page_writes


cdef Lsn insert_record(XLogRecData *rdata, int nrdata, Lsn fpw_lsn, uint8_t flags, int num_fpi) except? 0:
    global redo_rec_ptr, do_page_writes, proc_last_rec_ptr, xact_last_rec_end
    cdef XLogRecord *rechdr = <XLogRecord *> rdata[0].data
    cdef uint8_t info = rechdr.xl_info & 0xF0
    cdef bint is_switch = rechdr.xl_rmid == RM_XLOG_ID and info == XLOG_SWITCH
    cdef bint is_redo_point = rechdr.xl_rmid == RM_XLOG_ID and info == XLOG_CHECKPOINT_REDO
    cdef bint inserted = True
    cdef bint had_page_writes = do_page_writes
    cdef Lsn start = 0, end = 0, prev = 0

    if not xlog_insert_allowed():
        raise SqlError(errcode.INTERNAL_ERROR, "cannot make new WAL entries during recovery")

    critical_start()
    if is_switch or is_redo_point:
        # A switch must have the segment to itself; a redo point may have no insertion under way across it.
        insertion_lock_all()
    else:
        insertion_lock()

    if not is_switch and not is_redo_point:
        # A checkpoint may have begun since the caller looked: then the pages need images after all.
        if redo_rec_ptr != XLogCtl.InsertRedoRecPtr:
            redo_rec_ptr = XLogCtl.InsertRedoRecPtr
        do_page_writes = XLogCtl.fullPageWrites or XLogCtl.runningBackups > 0
        if do_page_writes and (not had_page_writes or (fpw_lsn != 0 and fpw_lsn <= redo_rec_ptr)):
            insertion_unlock()
            critical_end()
            return 0
    if is_switch:
        inserted = reserve_switch(&start, &end, &prev)
    else:
        reserve(rechdr.xl_tot_len, &start, &end, &prev)
        if is_redo_point:
            XLogCtl.InsertRedoRecPtr = start
            redo_rec_ptr = start

    if inserted:
        rechdr.xl_prev = prev
        rechdr.xl_crc = ~crc32c_update(rechdr.xl_crc, rechdr, 20)
        copy_record(rechdr.xl_tot_len, is_switch, rdata, nrdata, start, end)
        if not flags & XLOG_MARK_UNIMPORTANT:
            XLogCtl.insert_locks[NUM_XLOGINSERT_LOCKS - 1 if holding_all_locks else my_lock_no].lastImportantAt = start
    insertion_unlock()
    critical_end()

    if start // XLOG_BLCKSZ != end // XLOG_BLCKSZ:
        spin_lock(&XLogCtl.info_lck)
        if XLogCtl.rqstWrite < end:
            XLogCtl.rqstWrite = end
        spin_unlock(&XLogCtl.info_lck)

    if is_switch:
        xlog_flush(end)
        # The record ends where it would without the padding, except that the flush above waits for all of it.
        if inserted:
            end = start + sizeof(XLogRecord)
            if start // XLOG_BLCKSZ != end // XLOG_BLCKSZ:
                end += sizeof(XLogLongPageHeaderData) if segment_offset(end) < XLOG_BLCKSZ else 24

    proc_last_rec_ptr = start
    xact_last_rec_end = end
    if inserted:
        pg_wal_usage.wal_bytes += rechdr.xl_tot_len
        pg_wal_usage.wal_records += 1
        pg_wal_usage.wal_fpi += num_fpi
    return end


cdef int copy_record(uint32_t total, bint is_switch, XLogRecData *rdata, int nrdata, Lsn start, Lsn end) except -1:
    """Copy the pieces to their reserved place, writing the header of each page the record continues on."""
    cdef Lsn at = start
    cdef char *to = wal_buffer(at)
    cdef uint64_t free_bytes = XLOG_BLCKSZ - at % XLOG_BLCKSZ
    cdef uint32_t written = 0, nbytes
    cdef const char *data
    cdef XLogPageHeaderData *header
    cdef int i
    for i in range(nrdata):
        data = <const char *> rdata[i].data
        nbytes = rdata[i].len
        while nbytes > free_bytes:
            memcpy(to, data, free_bytes)
            data += free_bytes
            nbytes -= <uint32_t> free_bytes
            written += <uint32_t> free_bytes
            at += free_bytes
            header = <XLogPageHeaderData *> wal_buffer(at)
            header.xlp_rem_len = total - written
            header.xlp_info |= XLP_FIRST_IS_CONTRECORD
            free_bytes = 40 if segment_offset(at) == 0 else 24
            to = <char *> header + free_bytes
            at += free_bytes
            free_bytes = XLOG_BLCKSZ - free_bytes
        memcpy(to, data, nbytes)
        to += nbytes
        at += nbytes
        free_bytes -= nbytes
        written += nbytes
    if is_switch and segment_offset(at) != 0:
        # The rest of the segment is zeroes. Pages we pass get initialised, then only their headers stay.
        memset(to, 0, free_bytes)
        at += free_bytes
        while at < end:
            say_inserting_at(at)
            to = wal_buffer(at)
            # Differs from the usual page header only in being zero: readers stop at the switch record.
            memset(to, 0, 24)
            at += XLOG_BLCKSZ
    return 0


# ---------------------------------------------------------------- WAL buffers

cdef inline int buffer_index(Lsn lsn) noexcept nogil:
    return <int> ((lsn // XLOG_BLCKSZ) % <uint64_t> (XLogCtl.XLogCacheBlck + 1))


cdef char *wal_buffer(Lsn lsn) except NULL:
    """Where the byte `lsn` lies in the WAL buffers; makes the page if it is not there (GetXLogBuffer)."""
    global cached_page, cached_address
    cdef int i
    cdef Lsn wanted_end, found, first
    if lsn // XLOG_BLCKSZ == cached_page and cached_address != NULL:
        return cached_address + lsn % XLOG_BLCKSZ
    i = buffer_index(lsn)
    wanted_end = lsn + XLOG_BLCKSZ - lsn % XLOG_BLCKSZ
    found = atomic_load_acquire_u64(&XLogCtl.xlblocks[i])
    if found != wanted_end:
        # The position is stated as the page's start if we are at its first record byte: waiting for us up to there
        # is enough for someone who wants the previous page written.
        first = lsn
        if lsn % XLOG_BLCKSZ == 24 and segment_offset(lsn) > XLOG_BLCKSZ:
            first = lsn - 24
        elif lsn % XLOG_BLCKSZ == 40 and segment_offset(lsn) < XLOG_BLCKSZ:
            first = lsn - 40
        say_inserting_at(first)
        advance_buffers(lsn, False)
        found = atomic_load_acquire_u64(&XLogCtl.xlblocks[i])
        if found != wanted_end:
            raise Panic(errcode.INTERNAL_ERROR, f"could not find WAL buffer for {format_lsn(lsn)}")
    cached_page = lsn // XLOG_BLCKSZ
    cached_address = XLogCtl.pages + <size_t> i * XLOG_BLCKSZ
    return cached_address + lsn % XLOG_BLCKSZ


cdef int advance_buffers(Lsn upto, bint opportunistic) except -1:
    """Initialise WAL buffer pages up to the one with `upto`, writing out what they hold if need be; opportunistic:
    as many as need no write (AdvanceXLInsertBuffer)."""
    cdef int next_index
    cdef Lsn old_end, new_start, new_end
    cdef char *page
    cdef XLogPageHeaderData *header
    cdef XLogLongPageHeaderData *long_header
    lwlock_acquire(main_lock(WALBufMappingLock), LW_EXCLUSIVE)
    while upto >= XLogCtl.InitializedUpTo or opportunistic:
        next_index = buffer_index(XLogCtl.InitializedUpTo)
        old_end = atomic_read_u64(&XLogCtl.xlblocks[next_index])
        if atomic_load_acquire_u64(&XLogCtl.logWriteResult) < old_end:
            if opportunistic:
                break
            spin_lock(&XLogCtl.info_lck)
            if XLogCtl.rqstWrite < old_end:
                XLogCtl.rqstWrite = old_end
            spin_unlock(&XLogCtl.info_lck)
            refresh_results()
            if written_upto < old_end:
                # Not written yet: do it ourselves, without holding up those whose page is there already.
                lwlock_release(main_lock(WALBufMappingLock))
                wait_for_insertions(old_end)
                lwlock_acquire(main_lock(WALWriteLock), LW_EXCLUSIVE)
                refresh_results()
                if written_upto >= old_end:
                    lwlock_release(main_lock(WALWriteLock))
                else:
                    write_wal(old_end, 0, False)
                    lwlock_release(main_lock(WALWriteLock))
                    pg_wal_usage.wal_buffers_full += 1
                lwlock_acquire(main_lock(WALBufMappingLock), LW_EXCLUSIVE)
                continue
        new_start = XLogCtl.InitializedUpTo
        new_end = new_start + XLOG_BLCKSZ
        page = XLogCtl.pages + <size_t> next_index * XLOG_BLCKSZ
        # Readers without a lock must not take the half-made page for the old or the new one.
        atomic_store_release_u64(&XLogCtl.xlblocks[next_index], 0)
        full_barrier()
        memset(page, 0, XLOG_BLCKSZ)
        header = <XLogPageHeaderData *> page
        header.xlp_magic = XLOG_PAGE_MAGIC
        header.xlp_tli = XLogCtl.InsertTimeLineID
        header.xlp_pageaddr = new_start
        if XLogCtl.runningBackups == 0:
            header.xlp_info |= XLP_BKP_REMOVABLE
        if segment_offset(new_start) == 0:
            long_header = <XLogLongPageHeaderData *> page
            long_header.xlp_sysid = system_identifier
            long_header.xlp_seg_size = <uint32_t> wal_segment_size
            long_header.xlp_xlog_blcksz = XLOG_BLCKSZ
            header.xlp_info |= XLP_LONG_HEADER
        write_barrier()
        atomic_store_release_u64(&XLogCtl.xlblocks[next_index], new_end)
        XLogCtl.InitializedUpTo = new_end
    lwlock_release(main_lock(WALBufMappingLock))
    return 0


cdef Lsn wait_for_insertions(Lsn upto) except? 0:
    """Wait until all WAL before `upto` is copied; returns up to where it is (WaitXLogInsertionsToFinish)."""
    cdef uint64_t finished = atomic_load_acquire_u64(&XLogCtl.logInsertResult)
    cdef uint64_t reserved, inserting, seen
    cdef int i
    if upto <= finished:
        return finished
    spin_lock(&XLogCtl.insertpos_lck)
    reserved = XLogCtl.CurrBytePos
    spin_unlock(&XLogCtl.insertpos_lck)
    reserved = byte_pos_to_end_lsn(reserved)
    if upto > reserved:
        report(Severity.LOG, f"request to flush past end of generated WAL; request {format_lsn(upto)}, current position "
                             f"{format_lsn(reserved)}")
        upto = reserved
    finished = reserved
    for i in range(NUM_XLOGINSERT_LOCKS):
        inserting = 0
        while True:
            if lwlock_wait_for_var(&XLogCtl.insert_locks[i].lock, &XLogCtl.insert_locks[i].insertingAt, inserting,
                                   &inserting) == 1:
                inserting = 0
                break
            if inserting >= upto:
                break
        if inserting != 0 and inserting < finished:
            finished = inserting
    seen = atomic_read_u64(&XLogCtl.logInsertResult)
    while seen < finished:
        if atomic_compare_exchange_u64(&XLogCtl.logInsertResult, &seen, finished):
            return finished
    return seen


# ---------------------------------------------------------------- writing and flushing

cdef inline void refresh_results() noexcept nogil:
    """Flush is read first: it never passes write, so the pair is consistent enough."""
    global flushed_upto, written_upto
    flushed_upto = atomic_load_acquire_u64(&XLogCtl.logFlushResult)
    read_barrier()
    written_upto = atomic_load_acquire_u64(&XLogCtl.logWriteResult)


cdef int close_segment() except -1:
    global open_fd
    if open_fd >= 0:
        close(open_fd)
        open_fd = -1
    return 0


cdef int open_for_write(unsigned long long segno, bint create) except -1:
    """Make `segno` the open segment of this process."""
    global open_fd, open_segno, open_timeline, open_method
    close_segment()
    open_segno = segno
    open_timeline = XLogCtl.InsertTimeLineID
    open_method = wal_settings.wal_sync_method
    if create:
        open_fd = segments.init_segment(segno, open_timeline)
    else:
        open_fd = segments.open_segment(segno, open_timeline)
    return 0


cdef int64_t _now_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <int64_t> now.tv_sec * 1000000000 + now.tv_nsec


cdef int sync_segment() except -1:
    """Make the open segment durable in the way of wal_sync_method; failure is a PANIC (issue_xlog_fsync)."""
    cdef int rc = 0
    cdef int64_t begin = 0
    if not wal_settings.fsync:
        return 0
    if (open_method == WAL_SYNC_METHOD_OPEN or open_method == WAL_SYNC_METHOD_OPEN_DSYNC):
        return 0
    if track_wal_io_timing:
        begin = _now_ns()
    wait_start(WAIT_EVENT_WAL_SYNC)
    if open_method == WAL_SYNC_METHOD_FSYNC:
        rc = fsync(open_fd)
    elif open_method == WAL_SYNC_METHOD_FDATASYNC:
        rc = fdatasync(open_fd)
    else:
        rc = fsync(open_fd)
    wait_end()
    count_io(IOOBJECT_WAL, IOCONTEXT_NORMAL, IOOP_FSYNC, 1, 0)
    if begin:
        io_pending.times[IOOBJECT_WAL][IOCONTEXT_NORMAL][IOOP_FSYNC] += _now_ns() - begin
    if rc != 0:
        error = os.strerror(errno)
        call = "fdatasync" if open_method == WAL_SYNC_METHOD_FDATASYNC else "fsync"
        name = segments.segment_name(open_timeline, open_segno)
        raise Panic(errcode.IO_ERROR, f'could not {call} file "{name}": {error}')
    return 0


cdef int write_wal(Lsn write_upto, Lsn flush_upto, bint flexible) except -1:
    """Write WAL buffers up to write_upto and sync up to flush_upto. WALWriteLock is held and everything before
    write_upto is copied. flexible: stopping early at a convenient boundary is fine (XLogWrite)."""
    global written_upto, flushed_upto
    cdef int index, start_index = 0, npages = 0
    cdef uint64_t start_offset = 0
    cdef Lsn page_end
    cdef bint partial, last, finishing
    cdef char *data
    cdef size_t left
    cdef ssize_t done
    cdef int64_t begin = 0
    refresh_results()
    index = buffer_index(written_upto)
    while written_upto < write_upto:
        page_end = atomic_load_acquire_u64(&XLogCtl.xlblocks[index])
        if written_upto >= page_end:
            raise Panic(errcode.INTERNAL_ERROR,
                        f"xlog write request {format_lsn(write_upto)} is past end of log {format_lsn(page_end)}")
        written_upto = page_end
        partial = write_upto < page_end
        if open_fd < 0 or (page_end - 1) // wal_segment_size != open_segno or open_method != wal_settings.wal_sync_method:
            if open_fd >= 0 and open_method != wal_settings.wal_sync_method:
                sync_segment()
            open_for_write((page_end - 1) // wal_segment_size, True)
        if npages == 0:
            start_index = index
            start_offset = segment_offset(page_end - XLOG_BLCKSZ)
        npages += 1
        last = write_upto <= page_end
        finishing = not partial and start_offset + <uint64_t> npages * XLOG_BLCKSZ >= wal_segment_size
        if last or index == XLogCtl.XLogCacheBlck or finishing:
            data = XLogCtl.pages + <size_t> start_index * XLOG_BLCKSZ
            left = <size_t> npages * XLOG_BLCKSZ
            while left > 0:
                if track_wal_io_timing:
                    begin = _now_ns()
                wait_start(WAIT_EVENT_WAL_WRITE)
                done = pwrite(open_fd, data, left, start_offset)
                wait_end()
                if begin:
                    io_pending.times[IOOBJECT_WAL][IOCONTEXT_NORMAL][IOOP_WRITE] += _now_ns() - begin
                if done <= 0:
                    if done < 0 and errno == EINTR:
                        continue
                    error = os.strerror(errno if done < 0 else ENOSPC)
                    name = segments.segment_name(open_timeline, open_segno)
                    raise Panic(errcode.DISK_FULL if done == 0 or errno == ENOSPC else errcode.IO_ERROR,
                                f'could not write to log file "{name}" at offset {start_offset}, length {left}: {error}')
                count_io(IOOBJECT_WAL, IOCONTEXT_NORMAL, IOOP_WRITE, 1, done)
                data += done
                left -= <size_t> done
                start_offset += <uint64_t> done
            npages = 0
            if finishing:
                sync_segment()
                flushed_upto = page_end
                XLogCtl.lastSegSwitchTime = <int64_t> time.time()
                XLogCtl.lastSegSwitchLSN = page_end
                if wal_settings.archiving:
                    segments.notify_archiver(open_timeline, open_segno)
                if under_postmaster() and segment_full_hook is not None:
                    segment_full_hook(open_segno)
        if partial:
            written_upto = write_upto
            break
        index = 0 if index == XLogCtl.XLogCacheBlck else index + 1
        if flexible and npages == 0:
            break
    if flushed_upto < flush_upto and flushed_upto < written_upto:
        if open_fd < 0 or (written_upto - 1) // wal_segment_size != open_segno:
            open_for_write((written_upto - 1) // wal_segment_size, False)
        sync_segment()
        flushed_upto = written_upto
    spin_lock(&XLogCtl.info_lck)
    if XLogCtl.rqstWrite < written_upto:
        XLogCtl.rqstWrite = written_upto
    if XLogCtl.rqstFlush < flushed_upto:
        XLogCtl.rqstFlush = flushed_upto
    spin_unlock(&XLogCtl.info_lck)
    # Write before flush: see refresh_results.
    atomic_store_release_u64(&XLogCtl.logWriteResult, written_upto)
    write_barrier()
    atomic_store_release_u64(&XLogCtl.logFlushResult, flushed_upto)
    if flushed_upto > marked_upto:
        write_mark(flushed_upto)
    return 0


# ---------------------------------------------------------------- the flush mark

# PostgreSQL takes any invalid record for the end of WAL. To tell damage in the middle from a torn end, the flush
# position is kept in a small file beside the segments: written after each flush, synced only now and then, so what
# it says is always true, and after the death of a process it is exact.

cdef struct FlushMark:
    uint64_t system_identifier
    Lsn flushed_upto
    uint32_t timeline
    uint32_t crc

cdef Lsn marked_upto = 0
cdef int mark_fd = -1


cdef int write_mark(Lsn upto) except -1:
    global marked_upto, mark_fd
    cdef FlushMark mark
    if mark_fd < 0:
        mark_fd = os.open(FLUSH_MARK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    mark.system_identifier = system_identifier
    mark.flushed_upto = upto
    mark.timeline = XLogCtl.InsertTimeLineID
    mark.crc = ~crc32c_update(CRC32C_INIT, &mark, 20)
    if pwrite(mark_fd, &mark, sizeof(FlushMark), 0) != sizeof(FlushMark):
        raise Panic(errcode.IO_ERROR, f'could not write file "{FLUSH_MARK_FILE}": {os.strerror(errno)}')
    marked_upto = upto
    return 0


def set_flush_mark(lsn: int) -> None:
    """Set the mark, durably: at the end of recovery it may have to go back."""
    write_mark(lsn)
    if wal_settings.fsync:
        os.fsync(mark_fd)


def read_flush_mark(directory: str = "pg_wal") -> int:
    """The position known to have been flushed, 0 if there is no valid mark of this cluster."""
    cdef FlushMark mark
    cdef bytes data
    try:
        with open(os.path.join(directory, os.path.basename(FLUSH_MARK_FILE)), "rb") as file:
            data = file.read(sizeof(FlushMark))
    except FileNotFoundError:
        return 0
    if len(data) != sizeof(FlushMark):
        return 0
    memcpy(&mark, <const char *> data, sizeof(FlushMark))
    if mark.system_identifier != system_identifier or mark.crc != <uint32_t> ~crc32c_update(CRC32C_INIT, &mark, 20):
        return 0
    return mark.flushed_upto


cdef bint others_are_active(int wanted) noexcept nogil:
    """Whether at least `wanted` other transactions with an xid run and do not wait for a lock
    (MinimumActiveBackends); unlocked, a guess is enough."""
    cdef int i, n = 0
    if wanted == 0:
        return True
    for i in range(proc_count()):
        if (i != MyProcNumber and ProcGlobal.allProcs[i].xid != 0 and ProcGlobal.allProcs[i].pid != 0
                and ProcGlobal.allProcs[i].waitLock == NULL):
            n += 1
            if n >= wanted:
                return True
    return False


cdef int xlog_flush(Lsn upto) except -1:
    cdef Lsn request, insert_upto
    cdef Lsn before
    if not xlog_insert_allowed():
        # Replay: the WAL that a page depends on comes from files. (Archive recovery raises minRecoveryPoint here.)
        return 0
    if upto <= flushed_upto:
        return 0
    refresh_results()
    if upto <= flushed_upto:
        return 0
    before = flushed_upto
    critical_start()
    request = upto
    while True:
        refresh_results()
        if upto <= flushed_upto:
            break
        spin_lock(&XLogCtl.info_lck)
        if request < XLogCtl.rqstWrite:
            request = XLogCtl.rqstWrite
        spin_unlock(&XLogCtl.info_lck)
        insert_upto = wait_for_insertions(request)
        if not lwlock_acquire_or_wait(main_lock(WALWriteLock), LW_EXCLUSIVE):
            # The lock is free now, and most likely its last holder flushed our WAL with its own.
            continue
        refresh_results()
        if upto <= flushed_upto:
            lwlock_release(main_lock(WALWriteLock))
            break
        if wal_settings.commit_delay > 0 and wal_settings.fsync and others_are_active(wal_settings.commit_siblings):
            usleep(wal_settings.commit_delay)
            insert_upto = wait_for_insertions(insert_upto)
        write_wal(insert_upto, insert_upto, False)
        lwlock_release(main_lock(WALWriteLock))
        break
    critical_end()
    if flush_hook is not None and flushed_upto > before:
        flush_hook(flushed_upto)
    if flushed_upto < upto:
        raise SqlError(errcode.INTERNAL_ERROR,
                       f"xlog flush request {format_lsn(upto)} is not satisfied --- flushed only to "
                       f"{format_lsn(flushed_upto)}")
    return 0


cdef bint xlog_background_flush() except? 1:
    global last_background_flush
    cdef Lsn write_upto, flush_upto
    cdef bint flexible = True
    cdef double now
    cdef long long blocks
    if recovery_in_progress():
        return False
    spin_lock(&XLogCtl.info_lck)
    write_upto = XLogCtl.rqstWrite
    spin_unlock(&XLogCtl.info_lck)
    write_upto -= write_upto % XLOG_BLCKSZ
    refresh_results()
    if write_upto <= flushed_upto:
        # No whole page is pending: at least make asynchronous commits durable.
        spin_lock(&XLogCtl.info_lck)
        write_upto = XLogCtl.asyncXactLSN
        spin_unlock(&XLogCtl.info_lck)
        flexible = False
    if write_upto <= flushed_upto:
        # An idle walwriter must not keep a removed segment's space.
        if open_fd >= 0 and written_upto > 0 and (written_upto - 1) // wal_segment_size != open_segno:
            close_segment()
        return False
    now = time.monotonic()
    blocks = <long long> (write_upto // XLOG_BLCKSZ) - <long long> (flushed_upto // XLOG_BLCKSZ)
    if wal_settings.wal_writer_flush_after == 0 or last_background_flush == 0.0:
        flush_upto = write_upto
    elif (now - last_background_flush) * 1000.0 >= wal_settings.wal_writer_delay:
        flush_upto = write_upto
    elif blocks >= wal_settings.wal_writer_flush_after:
        flush_upto = write_upto
    else:
        flush_upto = 0
    if flush_upto:
        last_background_flush = now
    critical_start()
    wait_for_insertions(write_upto)
    lwlock_acquire(main_lock(WALWriteLock), LW_EXCLUSIVE)
    refresh_results()
    if write_upto > written_upto or flush_upto > flushed_upto:
        write_wal(write_upto, flush_upto, flexible)
    lwlock_release(main_lock(WALWriteLock))
    critical_end()
    if flush_hook is not None:
        flush_hook(flushed_upto)
    # With the pages written, prepare empty ones for those who insert.
    advance_buffers(0, True)
    return True


cdef bint xlog_needs_flush(Lsn lsn) noexcept nogil:
    if not xlog_insert_allowed():
        return False
    if lsn <= flushed_upto:
        return False
    refresh_results()
    return lsn > flushed_upto


cdef void xlog_set_async_xact_lsn(Lsn lsn) noexcept:
    cdef Lsn request = lsn
    cdef bint sleeping
    cdef long long blocks
    spin_lock(&XLogCtl.info_lck)
    sleeping = XLogCtl.WalWriterSleeping != 0
    if XLogCtl.asyncXactLSN < lsn:
        XLogCtl.asyncXactLSN = lsn
    spin_unlock(&XLogCtl.info_lck)
    if not sleeping:
        # An awake walwriter comes round by itself; hurry it only when a lot has gathered.
        request -= request % XLOG_BLCKSZ
        refresh_results()
        if request <= flushed_upto:
            return
        blocks = <long long> (request // XLOG_BLCKSZ) - <long long> (flushed_upto // XLOG_BLCKSZ)
        if wal_settings.wal_writer_flush_after != 0 and blocks < wal_settings.wal_writer_flush_after:
            return
    if ProcGlobal != NULL and ProcGlobal.walwriterProc >= 0:
        set_latch(ProcGlobal.walwriterProc)


# ---------------------------------------------------------------- positions and state

cdef Lsn get_proc_last_rec_ptr() noexcept nogil:
    return proc_last_rec_ptr


cdef Lsn get_xact_last_rec_end() noexcept nogil:
    return xact_last_rec_end


cdef void set_xact_last_rec_end(Lsn lsn) noexcept nogil:
    global xact_last_rec_end
    xact_last_rec_end = lsn


cdef Lsn get_insert_lsn() noexcept nogil:
    cdef uint64_t position
    spin_lock(&XLogCtl.insertpos_lck)
    position = XLogCtl.CurrBytePos
    spin_unlock(&XLogCtl.insertpos_lck)
    return byte_pos_to_lsn(position)


cdef Lsn get_write_lsn() noexcept nogil:
    refresh_results()
    return written_upto


cdef Lsn get_flush_lsn() noexcept nogil:
    refresh_results()
    return flushed_upto


cdef Lsn get_redo_rec_ptr() noexcept nogil:
    global redo_rec_ptr
    cdef Lsn lsn
    spin_lock(&XLogCtl.info_lck)
    lsn = XLogCtl.RedoRecPtr
    spin_unlock(&XLogCtl.info_lck)
    if redo_rec_ptr < lsn:
        redo_rec_ptr = lsn
    return redo_rec_ptr


cdef Lsn get_last_important_lsn() except? 0:
    """Start of the newest record that is not marked unimportant (GetLastImportantRecPtr)."""
    cdef Lsn newest = 0
    cdef int i
    for i in range(NUM_XLOGINSERT_LOCKS):
        lwlock_acquire(&XLogCtl.insert_locks[i].lock, LW_EXCLUSIVE)
        if XLogCtl.insert_locks[i].lastImportantAt > newest:
            newest = XLogCtl.insert_locks[i].lastImportantAt
        lwlock_release(&XLogCtl.insert_locks[i].lock)
    return newest


cdef bint recovery_in_progress() noexcept nogil:
    global local_recovery_in_progress
    if not local_recovery_in_progress:
        return False
    if XLogCtl == NULL:
        return False
    if XLogCtl.SharedRecoveryState == RECOVERY_STATE_DONE:
        # What the startup process wrote before it said so must be seen after it.
        full_barrier()
        local_recovery_in_progress = False
        get_redo_rec_ptr()
        return False
    return True


cdef bint xlog_insert_allowed() noexcept nogil:
    global local_insert_allowed
    if local_insert_allowed >= 0:
        return local_insert_allowed == 1
    if XLogCtl == NULL or recovery_in_progress():
        return False
    local_insert_allowed = 1
    return True


cdef int wal_level() noexcept nogil:
    return wal_settings.wal_level


cdef bint xlog_is_needed() noexcept nogil:
    return wal_settings.wal_level >= WAL_LEVEL_REPLICA


cdef bint xlog_standby_info_active() noexcept nogil:
    return wal_settings.wal_level >= WAL_LEVEL_REPLICA


cdef bint xlog_logical_info_active() noexcept nogil:
    return wal_settings.wal_level >= WAL_LEVEL_LOGICAL


cdef bint xlog_hint_bit_is_needed() noexcept nogil:
    return wal_settings.data_checksums or wal_settings.wal_log_hints


cdef Lsn get_fake_lsn_for_unlogged_rel() noexcept nogil:
    return atomic_fetch_add_u64(&XLogCtl.unloggedLSN, 1)


# ---------------------------------------------------------------- for Python

# Called with a segment number when the segment is full: asks for a checkpoint if it is time (set by checkpoint code).
segment_full_hook = None
# Called with the flush position after each flush (walsender wake-up).
flush_hook = None


def set_segment_full_hook(function) -> None:
    """`function(segno)` is called, under WALWriteLock, when a segment has been filled and synced."""
    global segment_full_hook
    segment_full_hook = function


def set_flush_hook(function) -> None:
    """`function(lsn)` is called after WAL was flushed up to lsn."""
    global flush_hook
    flush_hook = function


def set_system_identifier(identifier: int) -> None:
    """The identifier that goes into long page headers."""
    global system_identifier
    system_identifier = identifier


def flush(lsn: int) -> None:
    """Return when all WAL before `lsn` is durable."""
    xlog_flush(lsn)


def background_flush() -> bool:
    """One round of the walwriter; False when there was nothing to do."""
    return xlog_background_flush()


def insert_lsn() -> int:
    """End of the reserved WAL (pg_current_wal_insert_lsn)."""
    return get_insert_lsn()


def write_lsn() -> int:
    """End of the WAL written to files (pg_current_wal_lsn)."""
    return get_write_lsn()


def flush_lsn() -> int:
    """End of the durable WAL (pg_current_wal_flush_lsn)."""
    return get_flush_lsn()


def redo_lsn() -> int:
    """Redo pointer of the running or last checkpoint."""
    return get_redo_rec_ptr()


def last_important_lsn() -> int:
    """Start of the newest important record."""
    return get_last_important_lsn()


def last_record_lsn() -> int:
    """Start of this process's last record (ProcLastRecPtr)."""
    return proc_last_rec_ptr


def is_in_recovery() -> bool:
    """Whether the server still replays WAL (pg_is_in_recovery)."""
    return recovery_in_progress()


def usage() -> tuple:
    """(wal_records, wal_fpi, wal_bytes, wal_buffers_full) of this process."""
    return (pg_wal_usage.wal_records, pg_wal_usage.wal_fpi, pg_wal_usage.wal_bytes, pg_wal_usage.wal_buffers_full)


def set_insert_allowed(allowed: int) -> int:
    """Override for this process: 1 yes, 0 no, -1 as recovery says. Returns the old value (LocalSetXLogInsertAllowed)."""
    global local_insert_allowed, redo_rec_ptr, do_page_writes
    old = local_insert_allowed
    local_insert_allowed = allowed
    if allowed == 1:
        get_redo_rec_ptr()
        do_page_writes = XLogCtl.fullPageWrites or XLogCtl.runningBackups > 0
    return old


def after_fork() -> None:
    """Forget what belongs to the parent: its open segment and its cached positions."""
    global open_fd, lock_to_try, cached_address, xact_last_rec_end, proc_last_rec_ptr, local_recovery_in_progress
    global local_insert_allowed, redo_rec_ptr, do_page_writes, mark_fd
    if open_fd >= 0:
        close(open_fd)
        open_fd = -1
    lock_to_try = -1
    cached_address = NULL
    xact_last_rec_end = 0
    proc_last_rec_ptr = 0
    local_recovery_in_progress = True
    local_insert_allowed = -1
    if mark_fd >= 0:
        close(mark_fd)
        mark_fd = -1
    pg_wal_usage.wal_records = pg_wal_usage.wal_fpi = pg_wal_usage.wal_buffers_full = 0
    pg_wal_usage.wal_bytes = 0
    reset_local_positions()


cdef void reset_local_positions() noexcept:
    global flushed_upto, written_upto, redo_rec_ptr
    flushed_upto = written_upto = redo_rec_ptr = 0
    if XLogCtl != NULL:
        refresh_results()


def close_open_segment() -> None:
    """Close this process's WAL file, if one is open (a segment may have been replaced)."""
    close_segment()


def set_walwriter_sleeping(sleeping: bool) -> None:
    """Whether asynchronous commits must wake the walwriter (SetWalWriterSleeping)."""
    spin_lock(&XLogCtl.info_lck)
    XLogCtl.WalWriterSleeping = sleeping
    spin_unlock(&XLogCtl.info_lck)


def start_insertion(end_of_log: int, last_record: int, last_page: bytes, timeline: int, prev_timeline: int) -> None:
    """Set the shared positions so that the next record follows the last one read (part of StartupXLOG).

    `last_page` holds the bytes before end_of_log of its page, empty when end_of_log is a page boundary.
    """
    global written_upto, flushed_upto, cached_address
    cdef int index
    cdef Lsn end = end_of_log, page_start
    cdef char *page
    cdef const char *source
    cdef int i
    XLogCtl.InsertTimeLineID = timeline
    XLogCtl.PrevTimeLineID = prev_timeline
    XLogCtl.PrevBytePos = lsn_to_byte_pos(last_record)
    XLogCtl.CurrBytePos = lsn_to_byte_pos(end)
    for i in range(XLogCtl.XLogCacheBlck + 1):
        XLogCtl.xlblocks[i] = 0
    if end % XLOG_BLCKSZ:
        page_start = end - end % XLOG_BLCKSZ
        index = buffer_index(page_start)
        page = XLogCtl.pages + <size_t> index * XLOG_BLCKSZ
        memset(page, 0, XLOG_BLCKSZ)
        source = last_page
        memcpy(page, source, end % XLOG_BLCKSZ)
        XLogCtl.xlblocks[index] = page_start + XLOG_BLCKSZ
        XLogCtl.InitializedUpTo = page_start + XLOG_BLCKSZ
    else:
        XLogCtl.InitializedUpTo = end
    XLogCtl.logInsertResult = end
    XLogCtl.logWriteResult = end
    XLogCtl.logFlushResult = end
    XLogCtl.rqstWrite = end
    XLogCtl.rqstFlush = end
    written_upto = flushed_upto = end
    cached_address = NULL
    full_barrier()


def set_redo_pointers(redo: int) -> None:
    """Initial redo pointer, before WAL is written."""
    global redo_rec_ptr
    XLogCtl.RedoRecPtr = redo
    XLogCtl.InsertRedoRecPtr = redo
    redo_rec_ptr = redo


def publish_redo_pointer() -> int:
    """Copy the redo pointer of a beginning checkpoint to where everyone reads it; returns it."""
    spin_lock(&XLogCtl.info_lck)
    XLogCtl.RedoRecPtr = XLogCtl.InsertRedoRecPtr
    spin_unlock(&XLogCtl.info_lck)
    return get_redo_rec_ptr()


def take_shutdown_redo_point() -> int:
    """For a shutdown or end-of-recovery checkpoint: the redo point is where its record will start, as nobody else
    inserts; sets and returns it."""
    global redo_rec_ptr
    cdef Lsn at
    insertion_lock_all()
    at = byte_pos_to_lsn(XLogCtl.CurrBytePos)
    XLogCtl.InsertRedoRecPtr = at
    redo_rec_ptr = at
    insertion_unlock_all()
    return at


def set_recovery_done() -> None:
    """All processes may write WAL from now on."""
    spin_lock(&XLogCtl.info_lck)
    XLogCtl.SharedRecoveryState = RECOVERY_STATE_DONE
    spin_unlock(&XLogCtl.info_lck)


def set_shared_full_page_writes(on: bool) -> None:
    """Change the shared full_page_writes with nobody inserting."""
    global do_page_writes
    insertion_lock_all()
    XLogCtl.fullPageWrites = on
    insertion_unlock_all()
    do_page_writes = XLogCtl.fullPageWrites or XLogCtl.runningBackups > 0


def shared_full_page_writes() -> bool:
    """The full_page_writes in force."""
    return XLogCtl.fullPageWrites != 0


def set_timeline(timeline: int, previous: int) -> None:
    """The timeline that new WAL belongs to."""
    XLogCtl.InsertTimeLineID = timeline
    XLogCtl.PrevTimeLineID = previous


def insert_timeline() -> int:
    """The timeline that new WAL belongs to."""
    return XLogCtl.InsertTimeLineID


def previous_timeline() -> int:
    """The timeline that ours came from."""
    return XLogCtl.PrevTimeLineID


def mark_overwrite_page(page: int) -> None:
    """Say on the page, which is not written yet, that the record continued there was given up."""
    cdef XLogPageHeaderData *header
    insertion_lock()
    header = <XLogPageHeaderData *> wal_buffer(page)
    header.xlp_info |= XLP_FIRST_IS_OVERWRITE_CONTRECORD
    insertion_unlock()


def read_from_buffers(lsn: int, nbytes: int) -> bytes:
    """WAL bytes still in the buffers, from lsn on; fewer (or none) when pages have left (WALReadFromBuffers)."""
    cdef Lsn at = lsn, upto = lsn + nbytes, end
    cdef int index
    cdef uint64_t n
    chunks = []
    if at >= atomic_load_acquire_u64(&XLogCtl.logInsertResult):
        return b""
    upto = min(upto, atomic_load_acquire_u64(&XLogCtl.logInsertResult))
    while at < upto:
        index = buffer_index(at)
        end = at - at % XLOG_BLCKSZ + XLOG_BLCKSZ
        if atomic_load_acquire_u64(&XLogCtl.xlblocks[index]) != end:
            break
        n = min(end, upto) - at
        chunk = (XLogCtl.pages + <size_t> index * XLOG_BLCKSZ + at % XLOG_BLCKSZ)[:n]
        read_barrier()
        if atomic_read_u64(&XLogCtl.xlblocks[index]) != end:
            break
        chunks.append(chunk)
        at += n
    return b"".join(chunks)


def note_async_commit(lsn: int) -> None:
    """An asynchronous commit record ends at `lsn` (XLogSetAsyncXactLSN)."""
    xlog_set_async_xact_lsn(lsn)
