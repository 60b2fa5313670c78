"""Requests to fsync or unlink files at the next checkpoint (storage/sync.h).

Writers register a segment file when they have written to it. The checkpointer, or a process that runs alone, keeps the
table of pending requests; the others hand theirs over through a queue in shared memory, and fsync themselves when it is
full. Each request carries the cycle it came in: a checkpoint handles those that were there when it began.
"""

import os
from collections.abc import Callable
from typing import Any

from libc.stdint cimport int32_t, uint32_t, uintptr_t
from libc.string cimport memcmp, memmove

from tusk.memory._atomics cimport spin_lock, spin_unlock
from tusk.memory._critical cimport critical_end, critical_start
from tusk.memory._latch cimport set_latch
from tusk.memory._lwlock cimport CheckpointerCommLock, LW_EXCLUSIVE, lwlock_acquire, lwlock_release, main_lock
from tusk.memory._process cimport ProcGlobal
from tusk.memory._wait cimport wait_end, wait_start
from tusk.memory._wait_events cimport WAIT_EVENT_REGISTER_SYNC_REQUEST

from tusk.config import on_assign
from tusk.errors import Panic, Severity, report
from tusk.memory import _latch
from tusk.memory._segment import declare_area
from tusk.storage.files import sqlstate_for_file_access

cdef enum:
    MAX_CHECKPOINT_REQUESTS = 10000000
    FSYNCS_PER_ABSORB = 10
    UNLINKS_PER_ABSORB = 10

cdef struct SyncRequest:
    int32_t kind
    int32_t padding
    FileTag tag

cdef struct CheckpointerArea:
    int32_t checkpointer_pid
    uint32_t lock                   # spinlock over the counters
    int32_t started                 # advance with each checkpoint
    int32_t done
    int32_t failed
    int32_t flags                   # CHECKPOINT_* asked for
    int32_t nrequests
    int32_t max_requests
    uint64_t full_queue_fsyncs

cdef CheckpointerArea *_area = NULL
cdef SyncRequest *_queue = NULL
cdef bint _forward = False          # hand requests to the checkpointer
cdef int _max_requests = 0
fsync_enabled = True

# handler, fork, tablespace, database, relation, segment
_Tag = tuple[int, int, int, int, int, int]


class _Pending:
    __slots__ = ("cancelled", "cycle")

    def __init__(self, cycle: int) -> None:
        self.cycle = cycle
        self.cancelled = False


_pending: dict[_Tag, _Pending] = {}
_unlinks: dict[_Tag, _Pending] = {}
_sync_cycle = 0
_checkpoint_cycle = 0
_handlers: dict[int, tuple[Callable[[_Tag], str], Callable[[_Tag], None] | None]] = {}


def _size(settings: Any) -> int:
    global _max_requests
    _max_requests = min(settings.shared_buffers, MAX_CHECKPOINT_REQUESTS)
    return sizeof(CheckpointerArea) + _max_requests * sizeof(SyncRequest)


def _attach(address: int) -> None:
    global _area, _queue
    _area = <CheckpointerArea *> <uintptr_t> address
    _queue = <SyncRequest *> (<char *> _area + sizeof(CheckpointerArea))


def _init(address: int, size: int) -> None:
    _area.max_requests = _max_requests


declare_area("Checkpointer Data", _size, _init, _attach)


def register_handler(handler: int, path_of: Callable[[_Tag], str],
                     matches: Callable[[_Tag], None] | None = None) -> None:
    """Register how the files of a SYNC_HANDLER_* are named. The tag is (handler, fork, spc, db, rel, segment)."""
    _handlers[handler] = (path_of, matches)


def init_sync(forward: bool) -> None:
    """Choose this process's role: hand over to the checkpointer, or keep its own table (InitSync)."""
    global _forward
    _forward = forward
    _pending.clear()
    _unlinks.clear()


cdef _Tag_of(const FileTag *tag):
    return (tag.handler, tag.forknum, tag.rlocator.spcOid, tag.rlocator.dbOid, tag.rlocator.relNumber, tag.segno)


cdef int register_sync_request(const FileTag *tag, int request, bint retry_on_error) except -1:
    if not _forward:
        remember(_Tag_of(tag), request)
        return 1
    while True:
        if _enqueue(tag, request):
            return 1
        if not retry_on_error:
            return 0
        # Forgets and unlinks must arrive: wait for the checkpointer to make room.
        _latch.wait(10, WAIT_EVENT_REGISTER_SYNC_REQUEST)


cdef int _enqueue(const FileTag *tag, int request) except -1:
    cdef bint queued = False
    cdef bint half_full = False
    if not lwlock_acquire(main_lock(CheckpointerCommLock), LW_EXCLUSIVE):
        pass
    if _area.nrequests < _area.max_requests or _compact_queue():
        _queue[_area.nrequests].kind = request
        _queue[_area.nrequests].padding = 0
        _queue[_area.nrequests].tag = tag[0]
        _area.nrequests += 1
        queued = True
    else:
        _area.full_queue_fsyncs += 1
    half_full = _area.nrequests >= _area.max_requests // 2
    lwlock_release(main_lock(CheckpointerCommLock))
    if half_full and ProcGlobal.checkpointerProc >= 0:
        set_latch(ProcGlobal.checkpointerProc)
    return queued


cdef bint _compact_queue() except -1:
    """Drop requests that a later one repeats; true if that made room. The lock is held."""
    cdef int i
    cdef int kept = 0
    last: dict[bytes, int] = {}
    for i in range(_area.nrequests):
        last[(<char *> &_queue[i])[:sizeof(SyncRequest)]] = i
    if len(last) == _area.nrequests:
        return False
    for i in range(_area.nrequests):
        if last[(<char *> &_queue[i])[:sizeof(SyncRequest)]] == i:
            _queue[kept] = _queue[i]
            kept += 1
    _area.nrequests = kept
    return True


def absorb_sync_requests() -> None:
    """Checkpointer: take the queue over into the table (AbsorbSyncRequests)."""
    cdef int i
    if _area == NULL or _forward:
        return
    lwlock_acquire(main_lock(CheckpointerCommLock), LW_EXCLUSIVE)
    # The queue is emptied before its entries are remembered; losing one there must be a PANIC.
    critical_start()
    requests = [(_Tag_of(&_queue[i].tag), _queue[i].kind) for i in range(_area.nrequests)]
    _area.nrequests = 0
    lwlock_release(main_lock(CheckpointerCommLock))
    for tag, kind in requests:
        remember(tag, kind)
    critical_end()


def remember(tag: _Tag, kind: int) -> None:
    """Enter a request into this process's table (RememberSyncRequest)."""
    if kind == SYNC_REQUEST:
        entry = _pending.get(tag)
        if entry is None or entry.cancelled:
            _pending[tag] = _Pending(_sync_cycle)
    elif kind == SYNC_UNLINK_REQUEST:
        _unlinks[tag] = _Pending(_checkpoint_cycle)
    elif kind == SYNC_FORGET_REQUEST:
        entry = _pending.get(tag)
        if entry is not None:
            entry.cancelled = True
    elif kind == SYNC_FILTER_REQUEST:
        for table in (_pending, _unlinks):
            for other, entry in table.items():
                # Only relation files are filtered, by database.
                if other[0] == tag[0] == SYNC_HANDLER_MD and other[3] == tag[3]:
                    entry.cancelled = True
    else:
        raise ValueError(kind)


def register(tag: _Tag, kind: int = SYNC_REQUEST, bint retry_on_error=False) -> bool:
    """Register a request from Python (RegisterSyncRequest); False if the queue is full."""
    cdef FileTag native
    native.handler, native.forknum = tag[0], tag[1]
    native.rlocator.spcOid, native.rlocator.dbOid, native.rlocator.relNumber = tag[2], tag[3], tag[4]
    native.segno = tag[5]
    return bool(register_sync_request(&native, kind, retry_on_error))


def fsync_tag(tag: _Tag) -> str:
    path = _handlers[tag[0]][0](tag)
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return path


def process_sync_requests(fsync: Callable[[_Tag], str] = fsync_tag) -> int:
    """fsync every file that was written before now (ProcessSyncRequests); returns how many. PANIC if one fails."""
    global _sync_cycle
    absorb_sync_requests()
    cycle = _sync_cycle
    _sync_cycle += 1
    nsynced = 0
    countdown = FSYNCS_PER_ABSORB
    for tag in [tag for tag, entry in _pending.items() if entry.cycle <= cycle]:
        entry = _pending.get(tag)
        if entry is None or entry.cycle > cycle:
            continue
        if not fsync_enabled:
            del _pending[tag]
            continue
        countdown -= 1
        if countdown <= 0:
            absorb_sync_requests()
            countdown = FSYNCS_PER_ABSORB
        for attempt in (0, 1):
            if _pending[tag].cancelled:
                break
            try:
                fsync(tag)
                nsynced += 1
                break
            except OSError as error:
                # The file may have been dropped meanwhile: then a request to forget it is in the queue.
                absorb_sync_requests()
                if _pending[tag].cancelled:
                    break
                if attempt == 1 or error.errno != 2:
                    path = error.filename or _handlers[tag[0]][0](tag)
                    raise Panic(sqlstate_for_file_access(error.errno),
                                f'could not fsync file "{path}": {os.strerror(error.errno)}') from error
        del _pending[tag]
    return nsynced


def sync_pre_checkpoint() -> None:
    """Before a checkpoint's redo pointer is determined: unlinks requested from now on wait for the next one."""
    global _checkpoint_cycle
    absorb_sync_requests()
    _checkpoint_cycle += 1


def sync_post_checkpoint() -> None:
    """After the checkpoint record: unlink what was dropped before the checkpoint began."""
    countdown = UNLINKS_PER_ABSORB
    for tag in [tag for tag, entry in _unlinks.items() if entry.cycle < _checkpoint_cycle]:
        entry = _unlinks.pop(tag)
        if entry.cancelled:
            continue
        path = _handlers[tag[0]][0](tag)
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass        # the database may have been dropped with all its files
        except OSError as error:
            report(Severity.WARNING, f'could not remove file "{path}": {error.strerror}',
                   sqlstate=sqlstate_for_file_access(error.errno))
        countdown -= 1
        if countdown <= 0:
            absorb_sync_requests()
            countdown = UNLINKS_PER_ABSORB


def forget_database_sync_requests(database: int) -> None:
    """Forget all requests for a database that is being dropped (ForgetDatabaseSyncRequests)."""
    register((SYNC_HANDLER_MD, 0, 0, database, 0, 0), SYNC_FILTER_REQUEST, True)


def pending_count() -> tuple[int, int]:
    """(fsyncs, unlinks) in this process's table."""
    return sum(not e.cancelled for e in _pending.values()), sum(not e.cancelled for e in _unlinks.values())


def queue_length() -> int:
    """Requests in the shared queue."""
    return _area.nrequests if _area != NULL else 0


# The checkpointer's counters live in the same area, as in PostgreSQL.

def announce_checkpointer(pid: int) -> None:
    """The checkpointer runs (0: stopped)."""
    _area.checkpointer_pid = pid


def checkpointer_pid() -> int:
    """Process id of the checkpointer, 0 if there is none."""
    return _area.checkpointer_pid if _area != NULL else 0


def checkpoint_counters() -> tuple[int, int, int, int]:
    """(started, done, failed, flags asked for), read together."""
    spin_lock(&_area.lock)
    result = (_area.started, _area.done, _area.failed, _area.flags)
    spin_unlock(&_area.lock)
    return result


def request_checkpoint_flags(flags: int) -> tuple[int, int]:
    """Ask for a checkpoint: adds to the flags; returns (failed, started) as they were."""
    spin_lock(&_area.lock)
    result = (_area.failed, _area.started)
    _area.flags |= <int32_t> flags
    spin_unlock(&_area.lock)
    return result


def begin_checkpoint() -> int:
    """Checkpointer: take the flags and count a start; returns the flags."""
    spin_lock(&_area.lock)
    flags = _area.flags
    _area.flags = 0
    _area.started += 1
    spin_unlock(&_area.lock)
    return flags


def end_checkpoint(success: bool) -> None:
    """Checkpointer: the checkpoint counted last is done, or has failed."""
    spin_lock(&_area.lock)
    _area.done = _area.started
    if not success:
        _area.failed += 1
    spin_unlock(&_area.lock)


def set_fsync(enabled: bool) -> None:
    """The setting ``fsync``."""
    global fsync_enabled
    fsync_enabled = bool(enabled)


on_assign("fsync")(set_fsync)
