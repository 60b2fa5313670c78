"""Cost-based delay of VACUUM and ANALYZE.

What a page costs is read off the buffer manager's counters, so that nothing is added to its fast path. The settings
are copied when a command begins; an autovacuum worker's change while it runs (`set_cost_refresh`).
"""

from libc.stdint cimport int64_t
from posix.time cimport nanosleep, timespec
from tusk.memory._interrupts cimport InterruptPending, check_for_interrupts
from tusk.memory._wait cimport wait_end, wait_start
from tusk.stats._progress cimport progress_incr_param
from tusk.storage._buffer cimport (
    BAS_VACUUM, BufferAccessStrategy, free_access_strategy, get_access_strategy_with_size, pgBufferUsage,
)

from collections.abc import Callable

cdef enum:
    WAIT_EVENT_VACUUM_DELAY = 0x09000007

vacuum_cost_active = False
vacuum_failsafe_active = False
cdef BufferAccessStrategy ring = NULL
cdef double delay_ms = 0
cdef int64_t cost_limit = 200
cdef int64_t cost_hit = 1
cdef int64_t cost_miss = 2
cdef int64_t cost_dirty = 20
cdef int64_t base_hit = 0
cdef int64_t base_read = 0
cdef int64_t base_dirtied = 0
cdef double slept_ms = 0
cdef bint track_timing = False
cdef int progress_index = -1
_refresh = None


cdef BufferAccessStrategy vacuum_strategy() noexcept:
    return ring


cdef void stop_vacuum_cost() noexcept:
    global vacuum_cost_active
    vacuum_cost_active = False


cdef void reset_balance() noexcept nogil:
    global base_hit, base_read, base_dirtied
    base_hit = pgBufferUsage.shared_blks_hit
    base_read = pgBufferUsage.shared_blks_read
    base_dirtied = pgBufferUsage.shared_blks_dirtied


cdef int64_t balance() noexcept nogil:
    return (pgBufferUsage.shared_blks_hit - base_hit) * cost_hit \
        + (pgBufferUsage.shared_blks_read - base_read) * cost_miss \
        + (pgBufferUsage.shared_blks_dirtied - base_dirtied) * cost_dirty


cdef int vacuum_delay_slow() except -1:
    cdef int64_t spent
    cdef double ms
    cdef timespec pause
    global slept_ms
    if InterruptPending:
        check_for_interrupts()
    if not vacuum_cost_active:
        return 0
    spent = balance()
    if spent < cost_limit:
        return 0
    ms = delay_ms * spent / cost_limit
    if ms > delay_ms * 4:
        ms = delay_ms * 4
    pause.tv_sec = <int64_t> (ms / 1000)
    pause.tv_nsec = <int64_t> ((ms - pause.tv_sec * 1000.0) * 1e6)
    wait_start(WAIT_EVENT_VACUUM_DELAY)
    with nogil:
        nanosleep(&pause, NULL)
    wait_end()
    slept_ms += ms
    if track_timing and progress_index >= 0:
        progress_incr_param(progress_index, <int64_t> (ms * 1e6))
    reset_balance()
    if _refresh is not None:
        _refresh()
    if InterruptPending:
        check_for_interrupts()
    return 0


def set_cost_refresh(function: Callable[[], None] | None) -> None:
    """Have ``function()`` called after each sleep: an autovacuum worker's share may have changed."""
    global _refresh
    _refresh = function


def set_costs(delay: float, limit: int, hit: int, miss: int, dirty: int) -> None:
    """Begin with these settings, or go on with them (VacuumUpdateCosts)."""
    global delay_ms, cost_limit, cost_hit, cost_miss, cost_dirty, vacuum_cost_active
    was = bool(vacuum_cost_active)
    delay_ms = delay
    cost_limit = limit
    cost_hit = hit
    cost_miss = miss
    cost_dirty = dirty
    vacuum_cost_active = delay > 0 and not vacuum_failsafe_active
    if not was:
        reset_balance()


def refresh() -> None:
    """Take the costs of an autovacuum worker from whoever works them out."""
    if _refresh is not None:
        _refresh()


def begin(ring_kb: int) -> None:
    """A VACUUM or ANALYZE begins, with a ring of this size (0: none)."""
    global ring, vacuum_failsafe_active, slept_ms
    end()
    vacuum_failsafe_active = False
    slept_ms = 0
    reset_balance()
    if ring_kb:
        ring = get_access_strategy_with_size(BAS_VACUUM, ring_kb)


def end() -> None:
    """It ended, one way or another."""
    global ring, vacuum_cost_active, vacuum_failsafe_active
    vacuum_cost_active = False
    vacuum_failsafe_active = False
    if ring != NULL:
        free_access_strategy(ring)
        ring = NULL


def new_table(track: bool, index: int) -> None:
    """A table's turn: the failsafe is decided anew. With track, delays are added to this parameter of its progress."""
    global vacuum_failsafe_active, track_timing, progress_index
    vacuum_failsafe_active = False
    track_timing = track
    progress_index = index


def failsafe_is_active() -> bool:
    """Whether the running table's vacuum dropped everything that is not essential."""
    return bool(vacuum_failsafe_active)


def delay_point() -> None:
    """vacuum_delay_point() for Python code."""
    vacuum_delay_slow()


def slept() -> float:
    """Milliseconds of delay since begin()."""
    return slept_ms
