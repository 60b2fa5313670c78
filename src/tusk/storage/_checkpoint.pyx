"""Writing many buffers: checkpoints, sorted and spread over time, and the background writer's scan ahead of the sweep.

A checkpoint first marks every buffer that is dirty, then writes the marked ones in file order, the tablespaces taking
turns so that each is as far as the others. Who dirties a buffer later is left to the next checkpoint.
"""

from collections.abc import Callable
from typing import Any

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport qsort

from tusk._types cimport BlockNumber, Oid, RelFileLocator
from tusk.memory._atomics cimport atomic_exchange_u32, atomic_read_u32
from tusk.memory._lwlock cimport LW_SHARED, lwlock_acquire, lwlock_held_by_me, lwlock_release
from tusk.memory._process cimport MyProcNumber
from tusk.stats._pending cimport IOOP_WRITEBACK, count_io
from tusk.storage._buffer cimport (
    BM_CHECKPOINT_NEEDED,
    BM_DIRTY,
    BM_PERMANENT,
    BM_VALID,
    BUF_REFCOUNT_MASK,
    BUF_USAGECOUNT_MASK,
    CHECKPOINT_END_OF_RECOVERY,
    CHECKPOINT_FLUSH_UNLOGGED,
    CHECKPOINT_IS_SHUTDOWN,
    IOCONTEXT_NORMAL,
    IOOBJECT_RELATION,
    BufferDesc,
    BufferDescriptors,
    BufferTag,
    NBuffers,
    flush_buffer,
    lock_buffer_header,
    pin_locked,
    release_buffer,
    strategy_control,
    unlock_buffer_header,
)
from tusk.storage._smgr cimport smgr_open, smgr_writeback

from tusk.config import on_assign
from tusk.memory._segment import declare_area
from tusk.storage._buffer import set_backend_writeback_hook

cdef enum:
    BUF_WRITTEN = 1
    BUF_REUSABLE = 2
    MAX_WRITEBACK = 256
    SMOOTHING_SAMPLES = 16
    SCAN_WHOLE_POOL_MS = 120000

cdef struct SortItem:
    Oid tablespace
    Oid relation
    int32_t fork
    BlockNumber block
    int32_t buf_id

cdef SortItem *_items = NULL

cdef struct WritebackList:
    int max_pending             # in blocks; 0: leave it to the kernel
    int count
    BufferTag tags[MAX_WRITEBACK]

cdef WritebackList _checkpoint_writeback
cdef WritebackList _bgwriter_writeback
cdef WritebackList _backend_writeback
_pacing: Callable[[int, float], None] | None = None
_stats = {"buffers_written": 0, "buffers_clean": 0, "maxwritten_clean": 0, "buffers_alloc": 0}
# Settings of the background writer.
_lru_maxpages = 100
_lru_multiplier = 2.0
_delay_ms = 200


def _size(settings: Any) -> int:
    return settings.shared_buffers * sizeof(SortItem)


def _attach(address: int) -> None:
    global _items
    _items = <SortItem *> <uintptr_t> address


declare_area("Checkpoint BufferIds", _size, None, _attach)


def set_pacing(pacing: Callable[[int, float], None] | None) -> None:
    """Call this after each write of a checkpoint, with its flags and the fraction done (CheckpointWriteDelay)."""
    global _pacing
    _pacing = pacing


def configure(*, lru_maxpages: int | None = None, lru_multiplier: float | None = None, delay_ms: int | None = None,
              checkpoint_flush_after: int | None = None, bgwriter_flush_after: int | None = None,
              backend_flush_after: int | None = None) -> None:
    """Settings bgwriter_lru_maxpages, bgwriter_lru_multiplier, bgwriter_delay and the three flush_after, in blocks."""
    global _lru_maxpages, _lru_multiplier, _delay_ms
    if lru_maxpages is not None:
        _lru_maxpages = lru_maxpages
    if lru_multiplier is not None:
        _lru_multiplier = lru_multiplier
    if delay_ms is not None:
        _delay_ms = delay_ms
    if checkpoint_flush_after is not None:
        _checkpoint_writeback.max_pending = min(checkpoint_flush_after, MAX_WRITEBACK)
    if bgwriter_flush_after is not None:
        _bgwriter_writeback.max_pending = min(bgwriter_flush_after, MAX_WRITEBACK)
    if backend_flush_after is not None:
        if backend_flush_after < _backend_writeback.count:
            _issue_writebacks(&_backend_writeback)
        _backend_writeback.max_pending = min(backend_flush_after, MAX_WRITEBACK)
        set_backend_writeback_hook(<uintptr_t> &_schedule_backend_writeback if backend_flush_after else 0)


_checkpoint_writeback.max_pending = 32
_bgwriter_writeback.max_pending = 64


# Telling the kernel to start writing, in runs of neighbouring blocks

cdef int _compare_tags(const void *a, const void *b) noexcept nogil:
    cdef const BufferTag *x = <const BufferTag *> a
    cdef const BufferTag *y = <const BufferTag *> b
    if x.spcOid != y.spcOid:
        return -1 if x.spcOid < y.spcOid else 1
    if x.dbOid != y.dbOid:
        return -1 if x.dbOid < y.dbOid else 1
    if x.relNumber != y.relNumber:
        return -1 if x.relNumber < y.relNumber else 1
    if x.forkNum != y.forkNum:
        return -1 if x.forkNum < y.forkNum else 1
    if x.blockNum != y.blockNum:
        return -1 if x.blockNum < y.blockNum else 1
    return 0


cdef int _issue_writebacks(WritebackList *pending) except -1:
    cdef int i = 0
    cdef BlockNumber run
    cdef BufferTag *first
    cdef RelFileLocator locator
    qsort(pending.tags, pending.count, sizeof(BufferTag), _compare_tags)
    while i < pending.count:
        first = &pending.tags[i]
        run = 1
        i += 1
        while (i < pending.count and pending.tags[i].relNumber == first.relNumber
               and pending.tags[i].dbOid == first.dbOid and pending.tags[i].spcOid == first.spcOid
               and pending.tags[i].forkNum == first.forkNum
               and pending.tags[i].blockNum <= first.blockNum + run):
            run = pending.tags[i].blockNum - first.blockNum + 1
            i += 1
        locator.spcOid = first.spcOid
        locator.dbOid = first.dbOid
        locator.relNumber = first.relNumber
        smgr_writeback(smgr_open(&locator, -1), first.forkNum, first.blockNum, run)
    count_io(IOOBJECT_RELATION, IOCONTEXT_NORMAL, IOOP_WRITEBACK, pending.count, 0)
    pending.count = 0
    return 0


cdef int _schedule_writeback(WritebackList *pending, const BufferTag *tag) except -1:
    if pending.max_pending <= 0:
        return 0
    pending.tags[pending.count] = tag[0]
    pending.count += 1
    if pending.count >= pending.max_pending:
        _issue_writebacks(pending)
    return 0


cdef int _schedule_backend_writeback(const BufferTag *tag) except -1:
    """A buffer was written to make room for another."""
    return _schedule_writeback(&_backend_writeback, tag)


cdef int _sync_one(int buf_id, bint skip_recently_used, WritebackList *pending) except -1:
    """Write a buffer if it is dirty; BUF_* bits (SyncOneBuffer)."""
    cdef BufferDesc *desc = &BufferDescriptors[buf_id]
    cdef uint32_t state = lock_buffer_header(desc)
    cdef int result = 0
    cdef BufferTag tag
    if not state & BUF_REFCOUNT_MASK and not state & BUF_USAGECOUNT_MASK:
        result = BUF_REUSABLE
    elif skip_recently_used:
        unlock_buffer_header(desc, state)
        return 0
    if (state & (BM_VALID | BM_DIRTY)) != (BM_VALID | BM_DIRTY):
        unlock_buffer_header(desc, state)
        return result
    pin_locked(desc)
    try:
        lwlock_acquire(&desc.content_lock, LW_SHARED)
        try:
            flush_buffer(desc, NULL, IOCONTEXT_NORMAL)
        finally:
            if lwlock_held_by_me(&desc.content_lock):
                lwlock_release(&desc.content_lock)
        tag = desc.tag
    finally:
        release_buffer(buf_id + 1)
    _schedule_writeback(pending, &tag)
    return result | BUF_WRITTEN


# Checkpoints

cdef int _compare_items(const void *a, const void *b) noexcept nogil:
    cdef const SortItem *x = <const SortItem *> a
    cdef const SortItem *y = <const SortItem *> b
    if x.tablespace != y.tablespace:
        return -1 if x.tablespace < y.tablespace else 1
    if x.relation != y.relation:
        return -1 if x.relation < y.relation else 1
    if x.fork != y.fork:
        return -1 if x.fork < y.fork else 1
    if x.block != y.block:
        return -1 if x.block < y.block else 1
    return 0


cdef int checkpoint_buffers(int flags) except -1:
    cdef uint32_t mask = BM_DIRTY
    cdef uint32_t state
    cdef BufferDesc *desc
    cdef int nitems = 0
    cdef int written = 0
    cdef int done = 0
    cdef int i
    # Unlogged relations are emptied after a crash: only a clean shutdown needs their pages.
    if not flags & (CHECKPOINT_IS_SHUTDOWN | CHECKPOINT_END_OF_RECOVERY | CHECKPOINT_FLUSH_UNLOGGED):
        mask |= BM_PERMANENT
    for i in range(NBuffers):
        desc = &BufferDescriptors[i]
        state = lock_buffer_header(desc)
        if (state & mask) == mask:
            state |= BM_CHECKPOINT_NEEDED
            _items[nitems].tablespace = desc.tag.spcOid
            _items[nitems].relation = desc.tag.relNumber
            _items[nitems].fork = desc.tag.forkNum
            _items[nitems].block = desc.tag.blockNum
            _items[nitems].buf_id = i
            nitems += 1
        unlock_buffer_header(desc, state)
    if nitems == 0:
        return 0
    qsort(_items, nitems, sizeof(SortItem), _compare_items)
    # [next, end, size] of each tablespace's range
    ranges: list[list[int]] = []
    for i in range(nitems):
        if i == 0 or _items[i].tablespace != _items[i - 1].tablespace:
            ranges.append([i, i, 0])
        ranges[len(ranges) - 1][1] = i + 1
        ranges[len(ranges) - 1][2] += 1
    while ranges:
        # The one that has got least far.
        turn = ranges[0] if len(ranges) == 1 else min(ranges, key=_progress)
        i = turn[0]
        turn[0] += 1
        if turn[0] == turn[1]:
            ranges.remove(turn)
        done += 1
        desc = &BufferDescriptors[_items[i].buf_id]
        # It may have been written, or even dropped, meanwhile: the mark tells.
        if atomic_read_u32(&desc.state) & BM_CHECKPOINT_NEEDED:
            if _sync_one(_items[i].buf_id, False, &_checkpoint_writeback) & BUF_WRITTEN:
                written += 1
        if _pacing is not None:
            _pacing(flags, done / nitems)
    _issue_writebacks(&_checkpoint_writeback)
    _stats["buffers_written"] += written
    return written


def _progress(turn: list[int]) -> float:
    return 1.0 - (turn[1] - turn[0]) / turn[2]


# The background writer

cdef bint _saved = False
cdef int _previous_position = 0
cdef uint32_t _previous_passes = 0
cdef int _next_to_clean = 0
cdef uint32_t _next_passes = 0
cdef double _smoothed_alloc = 0
cdef double _smoothed_density = 10.0


cdef int bgwriter_sync() except -1:
    """Clean buffers ahead of the clock sweep, as many as are expected to be needed (BgBufferSync)."""
    global _saved, _previous_position, _previous_passes, _next_to_clean, _next_passes
    global _smoothed_alloc, _smoothed_density
    cdef uint32_t sweep = atomic_read_u32(&strategy_control.next_victim)
    cdef int position = sweep % <uint32_t> NBuffers
    cdef uint32_t passes = sweep // <uint32_t> NBuffers
    cdef int recent_alloc = atomic_exchange_u32(&strategy_control.num_allocs, 0)
    cdef int moved = 0                  # how far the sweep has come since the last round
    cdef int to_lap                     # how far this writer may go before it meets the sweep
    cdef int reusable_ahead, reusable, upcoming, at_least, to_scan, nwritten, state, scanned
    _stats["buffers_alloc"] += recent_alloc
    if _lru_maxpages <= 0:
        _saved = False
        return 1
    if _saved:
        moved = position - _previous_position + <int> (passes - _previous_passes) * NBuffers
        if <int32_t> (_next_passes - passes) > 0:
            to_lap = position - _next_to_clean
        elif _next_passes == passes and _next_to_clean >= position:
            to_lap = NBuffers - (_next_to_clean - position)
        else:
            # The sweep has overtaken: start again in front of it.
            _next_to_clean = position
            _next_passes = passes
            to_lap = NBuffers
    else:
        _next_to_clean = position
        _next_passes = passes
        to_lap = NBuffers
    _previous_position = position
    _previous_passes = passes
    _saved = True
    if moved > 0 and recent_alloc > 0:
        _smoothed_density += (<double> moved / recent_alloc - _smoothed_density) / SMOOTHING_SAMPLES
    reusable_ahead = <int> ((NBuffers - to_lap) / _smoothed_density)
    if _smoothed_alloc <= recent_alloc:
        _smoothed_alloc = recent_alloc      # rise at once, fall slowly
    else:
        _smoothed_alloc += (recent_alloc - _smoothed_alloc) / SMOOTHING_SAMPLES
    upcoming = <int> (_smoothed_alloc * <double> _lru_multiplier)
    if upcoming == 0:
        _smoothed_alloc = 0
    at_least = <int> (NBuffers / (<double> SCAN_WHOLE_POOL_MS / <double> _delay_ms))
    if upcoming < at_least + reusable_ahead:
        upcoming = at_least + reusable_ahead
    to_scan = to_lap
    nwritten = 0
    reusable = reusable_ahead
    while to_scan > 0 and reusable < upcoming:
        state = _sync_one(_next_to_clean, True, &_bgwriter_writeback)
        _next_to_clean += 1
        if _next_to_clean >= NBuffers:
            _next_to_clean = 0
            _next_passes += 1
        to_scan -= 1
        if state & BUF_WRITTEN:
            reusable += 1
            nwritten += 1
            if nwritten >= <int> _lru_maxpages:
                _stats["maxwritten_clean"] += 1
                break
        elif state & BUF_REUSABLE:
            reusable += 1
    _stats["buffers_clean"] += nwritten
    scanned = to_lap - to_scan
    if scanned > 0 and reusable > reusable_ahead:
        _smoothed_density += (<double> scanned / (reusable - reusable_ahead) - _smoothed_density) / SMOOTHING_SAMPLES
    return to_lap == 0 and recent_alloc == 0


# For Python.

def checkpoint(flags: int = 0) -> int:
    """Write all dirty buffers, paced; returns how many were written (CheckPointBuffers)."""
    return checkpoint_buffers(flags)


def bgwriter_round() -> bool:
    """One round of the background writer; true if it may hibernate."""
    return bool(bgwriter_sync())


def issue_bgwriter_writebacks() -> None:
    """Tell the kernel to start on what the background writer has written."""
    _issue_writebacks(&_bgwriter_writeback)


def notify_on_alloc() -> None:
    """Background writer: be woken by the next buffer allocation (StrategyNotifyBgWriter)."""
    strategy_control.bgwriter_procno = MyProcNumber


def cancel_notify() -> None:
    """Background writer: it is awake."""
    strategy_control.bgwriter_procno = -1


def take_stats() -> dict[str, int]:
    """Counters since the last call: buffers_written, buffers_clean, maxwritten_clean, buffers_alloc."""
    result = dict(_stats)
    for key in _stats:
        _stats[key] = 0
    return result


on_assign("bgwriter_lru_maxpages")(lambda value: configure(lru_maxpages=value))
on_assign("bgwriter_lru_multiplier")(lambda value: configure(lru_multiplier=value))
on_assign("bgwriter_delay")(lambda value: configure(delay_ms=value))
on_assign("checkpoint_flush_after")(lambda value: configure(checkpoint_flush_after=value))
on_assign("bgwriter_flush_after")(lambda value: configure(bgwriter_flush_after=value))
on_assign("backend_flush_after")(lambda value: configure(backend_flush_after=value))
