"""How far commands are: the shared array behind pg_stat_progress_* (utils/backend_progress.h).

An entry belongs to a process slot and is written by its process only, without a lock, under the same protocol as in
`_activity`: an odd change count says that a write is under way.
"""

from libc.stdint cimport int64_t, uint32_t, uintptr_t
from libc.string cimport memset

from tusk._types cimport Oid
from tusk.memory._atomics cimport atomic_read_u32, atomic_write_u32, cpu_relax, read_barrier, write_barrier
from tusk.memory._process cimport MyProcNumber, proc_count

from tusk.config import on_assign
from tusk.memory._process import _slot_counts
from tusk.memory._segment import declare_area

cdef struct ProgressEntry:
    uint32_t changecount
    int command
    Oid relation
    int64_t params[PGSTAT_NUM_PROGRESS_PARAM]

cdef ProgressEntry *_entries = NULL
cdef bint _enabled = True


def _attach(address: int) -> None:
    global _entries
    _entries = <ProgressEntry *> <uintptr_t> address


declare_area("Backend Progress Array", lambda settings: sum(_slot_counts(settings)[0]) * sizeof(ProgressEntry), None,
             _attach)


def _set_enabled(value: bool) -> None:
    global _enabled
    _enabled = value


on_assign("track_activities")(_set_enabled)


cdef inline ProgressEntry *_begin(bint needs_command) noexcept nogil:
    """My entry with its count made odd; NULL where nothing is to be written."""
    cdef ProgressEntry *entry
    if _entries == NULL or MyProcNumber < 0:
        return NULL
    entry = &_entries[MyProcNumber]
    if needs_command and (not _enabled or entry.command == PROGRESS_COMMAND_INVALID):
        return NULL
    atomic_write_u32(&entry.changecount, entry.changecount + 1)
    write_barrier()
    return entry


cdef inline void _end(ProgressEntry *entry) noexcept nogil:
    write_barrier()
    atomic_write_u32(&entry.changecount, entry.changecount + 1)


cdef void progress_start_command(int command, Oid relation) noexcept nogil:
    """A command begins on a relation; its parameters are 0."""
    cdef ProgressEntry *entry
    if not _enabled:
        return
    entry = _begin(False)
    if entry == NULL:
        return
    entry.command = command
    entry.relation = relation
    memset(entry.params, 0, sizeof(entry.params))
    _end(entry)


cdef void progress_update_param(int index, int64_t value) noexcept nogil:
    """Set one parameter."""
    cdef ProgressEntry *entry = _begin(True)
    if entry == NULL:
        return
    entry.params[index] = value
    _end(entry)


cdef void progress_update_multi(int n, const int *indexes, const int64_t *values) noexcept nogil:
    """Set several at once, so that a reader sees all or none of the changes."""
    cdef ProgressEntry *entry = _begin(True)
    cdef int i
    if entry == NULL:
        return
    for i in range(n):
        entry.params[indexes[i]] = values[i]
    _end(entry)


cdef void progress_incr_param(int index, int64_t increment) noexcept nogil:
    """Add to one parameter."""
    cdef ProgressEntry *entry = _begin(True)
    if entry == NULL:
        return
    entry.params[index] += increment
    _end(entry)


cdef void progress_end_command() noexcept nogil:
    """No command is under way any more: at its end, and at every abort of a transaction."""
    cdef ProgressEntry *entry
    if _entries == NULL or MyProcNumber < 0 or _entries[MyProcNumber].command == PROGRESS_COMMAND_INVALID:
        return
    entry = _begin(False)
    entry.command = PROGRESS_COMMAND_INVALID
    entry.relation = 0
    _end(entry)


def start_command(int command, Oid relation) -> None:
    """Begin to report a command (pgstat_progress_start_command)."""
    progress_start_command(command, relation)


def update_param(int index, int64_t value) -> None:
    """Set a parameter (pgstat_progress_update_param)."""
    assert 0 <= index < PGSTAT_NUM_PROGRESS_PARAM
    progress_update_param(index, value)


def update_multi(values: dict[int, int]) -> None:
    """Set several parameters at once (pgstat_progress_update_multi_param)."""
    cdef int indexes[PGSTAT_NUM_PROGRESS_PARAM]
    cdef int64_t numbers[PGSTAT_NUM_PROGRESS_PARAM]
    cdef int n = 0
    for index, value in values.items():
        assert 0 <= index < PGSTAT_NUM_PROGRESS_PARAM
        indexes[n] = index
        numbers[n] = value
        n += 1
    progress_update_multi(n, indexes, numbers)


def incr_param(int index, int64_t increment=1) -> None:
    """Add to a parameter (pgstat_progress_incr_param)."""
    assert 0 <= index < PGSTAT_NUM_PROGRESS_PARAM
    progress_incr_param(index, increment)


def current_command() -> int:
    """The command under way in this process, 0 for none."""
    if _entries == NULL or MyProcNumber < 0:
        return PROGRESS_COMMAND_INVALID
    return _entries[MyProcNumber].command


def end_command() -> None:
    """The command is over (pgstat_progress_end_command)."""
    progress_end_command()


def read_progress(int procno) -> tuple[int, int, tuple[int, ...]] | None:
    """(command, relation, parameters) of a slot, None where no command is under way."""
    cdef ProgressEntry copy
    cdef ProgressEntry *entry
    cdef uint32_t before
    if _entries == NULL or not 0 <= procno < <int> proc_count():
        return None
    entry = &_entries[procno]
    while True:
        before = atomic_read_u32(&entry.changecount)
        read_barrier()
        copy = entry[0]
        read_barrier()
        if before % 2 == 0 and atomic_read_u32(&entry.changecount) == before:
            break
        cpu_relax()
    if copy.command == PROGRESS_COMMAND_INVALID:
        return None
    return copy.command, copy.relation, tuple([copy.params[i] for i in range(PGSTAT_NUM_PROGRESS_PARAM)])
