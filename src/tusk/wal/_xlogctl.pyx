# cython: language_level=3
"""The shared area "XLOG Ctl": WAL buffers and the state around them; settings copied for C code.

The postmaster reads the control file (for the segment size) before the shared segment is sized, so
`set_wal_segment_size` comes first; `reset` gives the area its initial state, start-up fills in the positions.
"""

from libc.stdint cimport uint64_t, uintptr_t
from libc.string cimport memset

from tusk.memory._atomics cimport atomic_read_u64, full_barrier, spin_lock, spin_unlock
from tusk.memory._latch cimport set_latch
from tusk.memory._lwlock cimport (
    LW_EXCLUSIVE,
    LWTRANCHE_WAL_INSERT,
    ControlFileLock,
    lwlock_acquire,
    lwlock_initialize,
    lwlock_release,
    main_lock,
)
from tusk.memory._process cimport MyProcNumber, ProcGlobal, proc_by_number, proc_count

from tusk.config import on_assign, on_check
from tusk.errors import SqlError, errcode
from tusk.memory import _segment
from tusk.wal.rmgr import RMGR_NAMES

cdef XLogCtlData *XLogCtl = NULL
cdef uint64_t wal_segment_size = 16 * 1024 * 1024
cdef WalSettings wal_settings

memset(&wal_settings, 0, sizeof(wal_settings))
wal_settings.fsync = True
wal_settings.wal_sync_method = WAL_SYNC_METHOD_FDATASYNC
wal_settings.full_page_writes = True
wal_settings.wal_level = 1
wal_settings.wal_writer_delay = 200
wal_settings.wal_writer_flush_after = 128
wal_settings.commit_siblings = 5
wal_settings.wal_init_zero = True
wal_settings.checkpoint_segments = 33

cdef int n_buffers = 512

SYNC_METHODS = {
    "fsync": WAL_SYNC_METHOD_FSYNC,
    "fdatasync": WAL_SYNC_METHOD_FDATASYNC,
    "open_sync": WAL_SYNC_METHOD_OPEN,
    "fsync_writethrough": WAL_SYNC_METHOD_FSYNC_WRITETHROUGH,
    "open_datasync": WAL_SYNC_METHOD_OPEN_DSYNC,
}
COMPRESSION_METHODS = {
    "off": WAL_COMPRESSION_NONE,
    "pglz": WAL_COMPRESSION_PGLZ,
    "on": WAL_COMPRESSION_PGLZ,
    "lz4": WAL_COMPRESSION_LZ4,
    "zstd": WAL_COMPRESSION_ZSTD,
}
WAL_LEVELS = {"minimal": 0, "replica": 1, "logical": 2}

# Other values of GUC names that Python code here reads, with PostgreSQL's defaults.
python_settings = {
    "max_wal_size": 1024,
    "min_wal_size": 80,
    "wal_keep_size": 0,
    "wal_recycle": True,
    "checkpoint_completion_target": 0.9,
    "checkpoint_timeout": 300,
    "checkpoint_warning": 30,
    "log_checkpoints": True,
    "archive_mode": "off",
}


cdef bint under_postmaster() noexcept nogil:
    return wal_settings.under_postmaster or (
        ProcGlobal != NULL and ProcGlobal.checkpointerProc >= 0 and ProcGlobal.checkpointerProc != MyProcNumber)


def set_wal_segment_size(size_bytes: int) -> None:
    """The size of a WAL segment, from the control file; before the shared segment is made."""
    global wal_segment_size
    wal_segment_size = size_bytes
    _update_checkpoint_segments()


def get_wal_segment_size() -> int:
    """Bytes in a WAL segment."""
    return wal_segment_size


def _update_checkpoint_segments() -> None:
    """WAL a checkpoint may be apart so that max_wal_size holds one and a part of the next (CalculateCheckpointSegments)."""
    cdef double target
    segments = python_settings["max_wal_size"] // (wal_segment_size // (1024 * 1024))
    target = segments / (1.0 + python_settings["checkpoint_completion_target"])
    wal_settings.checkpoint_segments = max(1, int(target))


def configure(**values) -> None:
    """Take over settings by GUC name and native value; unknown names are an error."""
    for name, value in values.items():
        if name == "fsync":
            wal_settings.fsync = value
        elif name == "wal_sync_method":
            wal_settings.wal_sync_method = SYNC_METHODS[value]
        elif name == "full_page_writes":
            wal_settings.full_page_writes = value
        elif name == "wal_compression":
            wal_settings.wal_compression = COMPRESSION_METHODS[value]
        elif name == "wal_log_hints":
            wal_settings.wal_log_hints = value
        elif name == "wal_level":
            wal_settings.wal_level = WAL_LEVELS[value]
        elif name == "commit_delay":
            wal_settings.commit_delay = value
        elif name == "commit_siblings":
            wal_settings.commit_siblings = value
        elif name == "wal_writer_delay":
            wal_settings.wal_writer_delay = value
        elif name == "wal_writer_flush_after":
            wal_settings.wal_writer_flush_after = value
        elif name == "wal_init_zero":
            wal_settings.wal_init_zero = value
        elif name == "under_postmaster":
            wal_settings.under_postmaster = value
        elif name == "data_checksums":
            wal_settings.data_checksums = value
        elif name == "wal_consistency_checking":
            _set_consistency_checking(value)
        elif name == "wal_buffers":
            pass                        # read once, when the area is sized
        elif name in python_settings:
            python_settings[name] = value
            if name == "archive_mode":
                wal_settings.archiving = value != "off"
            _update_checkpoint_segments()
        else:
            raise KeyError(name)


def _set_consistency_checking(ids) -> None:
    """`ids`: resource manager ids whose records carry images to compare after replay."""
    memset(wal_settings.consistency_checking, 0, sizeof(wal_settings.consistency_checking))
    for rmid in ids:
        wal_settings.consistency_checking[<int> rmid] = 1


def choose_wal_buffers(wal_buffers: int, shared_buffers: int) -> int:
    """WAL buffer pages: -1 asks for 1/32 of shared_buffers, at most a segment (XLOGChooseNumBuffers)."""
    if wal_buffers == -1:
        return max(8, min(shared_buffers // 32, wal_segment_size // 8192))
    return max(4, wal_buffers)


cdef uint64_t round_up(uint64_t value, uint64_t alignment) noexcept nogil:
    return (value + alignment - 1) // alignment * alignment


cdef uint64_t pages_offset(int nbuffers) noexcept nogil:
    """Where the WAL pages start: after the struct, the locks and the array of page addresses."""
    cdef uint64_t offset = round_up(sizeof(XLogCtlData), 128) + NUM_XLOGINSERT_LOCKS * sizeof(WALInsertLock)
    return round_up(offset + nbuffers * sizeof(uint64_t), 8192)


def area_size(settings) -> int:
    """Bytes of the area for these settings; the pages are aligned within it, hence one page more."""
    global n_buffers
    n_buffers = choose_wal_buffers(settings.wal_buffers, settings.shared_buffers)
    return pages_offset(n_buffers) + <uint64_t> n_buffers * 8192 + 8192


def attach(address: int) -> None:
    """Set this process's pointer to the area."""
    global XLogCtl
    XLogCtl = <XLogCtlData *> <uintptr_t> address


def reset(address: int, size: int) -> None:
    """Give the area its state before start-up (XLOGShmemInit)."""
    global XLogCtl
    cdef char *base = <char *> <uintptr_t> address
    cdef int i
    XLogCtl = <XLogCtlData *> base
    memset(base, 0, pages_offset(n_buffers))
    base += round_up(sizeof(XLogCtlData), 128)
    XLogCtl.insert_locks = <WALInsertLock *> base
    for i in range(NUM_XLOGINSERT_LOCKS):
        lwlock_initialize(&XLogCtl.insert_locks[i].lock, LWTRANCHE_WAL_INSERT)
    XLogCtl.xlblocks = <uint64_t *> (base + NUM_XLOGINSERT_LOCKS * sizeof(WALInsertLock))
    XLogCtl.pages = <char *> <uintptr_t> round_up(<uint64_t> <uintptr_t> (<char *> XLogCtl + pages_offset(n_buffers)), 8192)
    XLogCtl.XLogCacheBlck = n_buffers - 1
    XLogCtl.SharedRecoveryState = RECOVERY_STATE_CRASH
    XLogCtl.unloggedLSN = 1000


_segment.declare_area("XLOG Ctl", area_size, reset, attach)


def shared_state() -> dict:
    """Positions and flags of the shared state, by PostgreSQL's names, for tests, views and debugging."""
    return {
        "insert": byte_pos_to_end_lsn(XLogCtl.CurrBytePos),
        "previous": byte_pos_to_lsn(XLogCtl.PrevBytePos),
        "write": atomic_read_u64(&XLogCtl.logWriteResult),
        "flush": atomic_read_u64(&XLogCtl.logFlushResult),
        "redo": XLogCtl.RedoRecPtr,
        "initialized_upto": XLogCtl.InitializedUpTo,
        "async_xact_lsn": XLogCtl.asyncXactLSN,
        "timeline": XLogCtl.InsertTimeLineID,
        "recovery_state": XLogCtl.SharedRecoveryState,
        "full_page_writes": bool(XLogCtl.fullPageWrites),
        "running_backups": XLogCtl.runningBackups,
        "last_removed_segment": XLogCtl.lastRemovedSegNo,
        "buffers": XLogCtl.XLogCacheBlck + 1,
        "replayed_upto": XLogCtl.replayed_upto,
    }


class control_file_lock:
    """Holds ControlFileLock exclusively; without shared memory (tools, tests) it does nothing."""

    def __enter__(self) -> None:
        if XLogCtl != NULL:
            lwlock_acquire(main_lock(ControlFileLock), LW_EXCLUSIVE)

    def __exit__(self, *exc_info: object) -> None:
        if XLogCtl != NULL:
            lwlock_release(main_lock(ControlFileLock))


def install_segments_active() -> bool:
    """Whether new segments may be put in place (off while a standby's receiver is writing them)."""
    return XLogCtl == NULL or XLogCtl.InstallXLogFileSegmentActive != 0


def set_install_segments_active(active: bool) -> None:
    """See `install_segments_active`; under ControlFileLock."""
    XLogCtl.InstallXLogFileSegmentActive = active


def set_last_removed_segment(segno: int) -> None:
    """Remember the newest segment that was removed or recycled (UpdateLastRemovedPtr)."""
    spin_lock(&XLogCtl.info_lck)
    if <uint64_t> segno > XLogCtl.lastRemovedSegNo:
        XLogCtl.lastRemovedSegNo = segno
    spin_unlock(&XLogCtl.info_lck)


def setting(name: str) -> object:
    """The value in force of a setting that WAL code reads, by GUC name."""
    if name in python_settings:
        return python_settings[name]
    if name == "wal_init_zero":
        return bool(wal_settings.wal_init_zero)
    if name == "fsync":
        return bool(wal_settings.fsync)
    if name == "wal_sync_method":
        return next(text for text, code in SYNC_METHODS.items() if code == wal_settings.wal_sync_method)
    if name == "wal_level":
        return wal_settings.wal_level
    if name == "full_page_writes":
        return bool(wal_settings.full_page_writes)
    if name == "wal_log_hints":
        return bool(wal_settings.wal_log_hints)
    if name == "wal_writer_delay":
        return wal_settings.wal_writer_delay
    if name == "data_checksums":
        return bool(wal_settings.data_checksums)
    if name == "under_postmaster":
        return bool(under_postmaster())
    raise KeyError(name)


def checkpoint_segments() -> int:
    """How many segments of WAL may pass before a checkpoint is asked for."""
    return wal_settings.checkpoint_segments


def delaying_transactions(flag: int) -> list:
    """(slot, local transaction id) of those that delay a checkpoint now (GetVirtualXIDsDelayingChkpt)."""
    cdef int i
    return [
        (i, proc_by_number(i).lxid)
        for i in range(proc_count())
        if proc_by_number(i).delayChkptFlags & <int> flag and proc_by_number(i).pid != 0
    ] if ProcGlobal != NULL else []


def still_delaying(flag: int, transactions: list) -> list:
    """Those of `transactions` that still do."""
    return [
        (i, lxid)
        for i, lxid in transactions
        if proc_by_number(i).delayChkptFlags & <int> flag and proc_by_number(i).lxid == lxid
    ]


def wake_waiters(*wait_events: int) -> None:
    """Set the latch of every process that has posted one of these wait events."""
    cdef int i
    full_barrier()
    if ProcGlobal != NULL:
        for i in range(proc_count()):
            if proc_by_number(i).pid != 0 and proc_by_number(i).wait_event_info in wait_events:
                set_latch(i)


# ---------------------------------------------------------------- settings

def _consistency_ids(text: str) -> list:
    from_names = {name.lower(): i for i, name in enumerate(RMGR_NAMES)}
    ids = []
    for name in (part.strip().lower() for part in text.split(",") if part.strip()):
        if name == "all":
            ids.extend(range(len(RMGR_NAMES)))
        elif name in from_names:
            ids.append(from_names[name])
    return ids


def _check_consistency_checking(text: str, source) -> str:
    for name in (part.strip() for part in text.split(",") if part.strip()):
        if name.lower() != "all" and name.lower() not in {known.lower() for known in RMGR_NAMES}:
            raise SqlError(errcode.INVALID_PARAMETER_VALUE,
                           f'invalid value for parameter "wal_consistency_checking": "{text}"',
                           detail=f'Unrecognized key word: "{name}".')
    return text


def _follow(name: str) -> None:
    on_assign(name)(lambda value: configure(**{name: value}))


for _name in (
    "fsync", "wal_sync_method", "full_page_writes", "wal_compression", "wal_log_hints", "wal_level", "commit_delay",
    "commit_siblings", "wal_writer_delay", "wal_writer_flush_after", "wal_init_zero", "max_wal_size", "min_wal_size",
    "wal_keep_size", "wal_recycle", "checkpoint_completion_target", "checkpoint_timeout", "checkpoint_warning",
    "log_checkpoints", "archive_mode",
):
    _follow(_name)
on_check("wal_consistency_checking")(_check_consistency_checking)
on_assign("wal_consistency_checking")(lambda text: configure(wal_consistency_checking=_consistency_ids(text)))


def checkpointer_slot() -> int:
    """Process slot of the checkpointer, -1 if it does not run."""
    return ProcGlobal.checkpointerProc if ProcGlobal != NULL else -1


def unlogged_lsn() -> int:
    """The counter of fake LSNs for unlogged relations."""
    return atomic_read_u64(&XLogCtl.unloggedLSN)


def set_unlogged_lsn(value: int) -> None:
    """Its value at start-up."""
    XLogCtl.unloggedLSN = value


def set_replayed_upto(lsn: int) -> None:
    """End of the last replayed record, for pg_last_wal_replay_lsn."""
    XLogCtl.replayed_upto = lsn
