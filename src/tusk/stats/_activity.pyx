"""What every process is doing: the shared array behind pg_stat_activity (utils/backend_status.h).

Each process writes only its own entry, without a lock: it makes ``changecount`` odd, writes, makes it even again; a
reader copies the entry and tries again if the count was odd or has changed meanwhile.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from libc.stdint cimport int32_t, int64_t, uint32_t, uintptr_t
from libc.string cimport memcpy, memset

from tusk._types cimport Oid
from tusk.memory._atomics cimport atomic_read_u32, atomic_write_u32, cpu_relax, read_barrier, write_barrier
from tusk.memory._process cimport MyProc, MyProcNumber, proc_by_number, proc_count
from tusk.stats._pending cimport database_counts, flush_stats

from tusk.config import on_assign
from tusk.config import settings as _settings
from tusk.memory._process import _slot_counts
from tusk.memory._segment import declare_area
from tusk.stats import _pending
from tusk.stats.backend_types import HAS_STATISTICS

cdef extern from "<time.h>" nogil:
    ctypedef long time_t
    cdef struct timespec:
        time_t tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec *now)

cdef enum:
    NAMEDATALEN = 64
    ADDRESS_LENGTH = 64
    CLOCK_REALTIME = 0

STATE_UNDEFINED, STATE_STARTING, STATE_IDLE, STATE_RUNNING, STATE_IDLEINTRANSACTION, STATE_FASTPATH, \
    STATE_IDLEINTRANSACTION_ABORTED, STATE_DISABLED = range(8)

# pg_stat_activity.state
STATE_NAMES = {
    STATE_STARTING: "starting",
    STATE_IDLE: "idle",
    STATE_RUNNING: "active",
    STATE_IDLEINTRANSACTION: "idle in transaction",
    STATE_FASTPATH: "fastpath function call",
    STATE_IDLEINTRANSACTION_ABORTED: "idle in transaction (aborted)",
    STATE_DISABLED: "disabled",
}

cdef enum:
    _IDLE = 2
    _RUNNING = 3
    _IN_TRANSACTION = 4
    _FASTPATH = 5
    _IN_ABORTED = 6
    _DISABLED = 7

cdef struct BackendStatus:
    uint32_t changecount
    int32_t procpid             # 0: entry is free
    int32_t backend_type
    int32_t state
    int64_t proc_start          # microseconds from 2000-01-01 UTC; 0: not known
    int64_t xact_start
    int64_t activity_start
    int64_t state_start
    Oid databaseid
    Oid userid
    int64_t query_id
    int32_t client_port         # -1: Unix socket
    uint32_t has_client
    char client_address[ADDRESS_LENGTH]
    char client_hostname[NAMEDATALEN]
    char appname[NAMEDATALEN]

cdef BackendStatus *_entries = NULL
cdef char *_activities = NULL
cdef int _activity_size = 1024
cdef bint _enabled = True           # track_activities
cdef bint _late_flush_wanted = False


def _size(settings: Any) -> int:
    return sum(_slot_counts(settings)[0]) * sizeof(BackendStatus)


def _attach(address: int) -> None:
    global _entries
    _entries = <BackendStatus *> <uintptr_t> address


def _activity_area_size(settings: Any) -> int:
    return sum(_slot_counts(settings)[0]) * settings.track_activity_query_size


def _attach_activities(address: int) -> None:
    global _activities, _activity_size
    _activities = <char *> <uintptr_t> address
    _activity_size = _settings.track_activity_query_size


declare_area("Backend Status Array", _size, None, _attach)
declare_area("Backend Activity Buffer", _activity_area_size, None, _attach_activities)


def _set_enabled(value: bool) -> None:
    global _enabled
    _enabled = value


on_assign("track_activities")(_set_enabled)


cdef int64_t _now() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_REALTIME, &now)
    return (<int64_t> now.tv_sec - 946684800) * 1000000 + now.tv_nsec // 1000


cdef inline void _begin(BackendStatus *entry) noexcept nogil:
    atomic_write_u32(&entry.changecount, entry.changecount + 1)
    write_barrier()


cdef inline void _end(BackendStatus *entry) noexcept nogil:
    write_barrier()
    atomic_write_u32(&entry.changecount, entry.changecount + 1)


cdef inline BackendStatus *_mine() noexcept nogil:
    if _entries == NULL or MyProcNumber < 0:
        return NULL
    return &_entries[MyProcNumber]


cdef void _store(char *target, int room, const char *text, Py_ssize_t size) noexcept nogil:
    """Store text cut to ``room`` - 1 bytes at a character's border, zero-terminated."""
    cdef Py_ssize_t length = size if size < room - 1 else room - 1
    while 0 < length < size and (text[length] & 0xC0) == 0x80:
        length -= 1
    memcpy(target, text, length)
    target[length] = 0


cdef int _store_bytes(char *target, int room, bytes text) except -1:
    _store(target, room, <const char *> text, len(text))
    return 0


def begin_status(backend_type: int, client_address: str | None, client_port: int, has_client: bool) -> None:
    """Enter this process into the array (pgstat_bestart_initial). After init_process."""
    cdef BackendStatus *entry = _mine()
    if entry == NULL:
        return
    address = (client_address or "").encode()
    _begin(entry)
    entry.procpid = os.getpid()
    entry.backend_type = backend_type
    entry.state = 1 if has_client else 0
    entry.proc_start = _now()
    entry.xact_start = entry.activity_start = entry.state_start = 0
    entry.databaseid = entry.userid = 0
    entry.query_id = 0
    entry.client_port = client_port
    entry.has_client = has_client
    _store_bytes(entry.client_address, ADDRESS_LENGTH, address)
    entry.client_hostname[0] = 0
    entry.appname[0] = 0
    _activities[MyProcNumber * _activity_size] = 0
    _end(entry)
    _pending.begin_process(backend_type in HAS_STATISTICS)


def end_status() -> None:
    """Leave the array: before release_process."""
    cdef BackendStatus *entry = _mine()
    if entry == NULL:
        return
    _pending.end_process()
    _begin(entry)
    entry.procpid = 0
    _end(entry)


def set_identity(database: int, user: int) -> None:
    """What is known after authentication (pgstat_bestart_final)."""
    cdef BackendStatus *entry = _mine()
    if entry == NULL:
        return
    _begin(entry)
    entry.databaseid = database
    entry.userid = user
    _end(entry)


def set_application_name(name: str) -> None:
    """application_name."""
    cdef BackendStatus *entry = _mine()
    if entry == NULL:
        return
    _begin(entry)
    _store_bytes(entry.appname, NAMEDATALEN, name.encode("utf-8", "replace"))
    _end(entry)


def set_client_hostname(name: str) -> None:
    """client_hostname, where log_hostname asked for a look-up."""
    cdef BackendStatus *entry = _mine()
    if entry == NULL:
        return
    _begin(entry)
    _store_bytes(entry.client_hostname, NAMEDATALEN, name.encode("utf-8", "replace"))
    _end(entry)


cdef int report_state(int state, const char *query, Py_ssize_t length, int64_t now) except -1:
    global _late_flush_wanted
    cdef BackendStatus *entry = _mine()
    if entry == NULL:
        return 0
    if not _enabled:
        _report_disabled(entry)
    else:
        if entry.state == _RUNNING or entry.state == _FASTPATH:
            database_counts.active_us += now - entry.state_start
        elif entry.state == _IN_TRANSACTION or entry.state == _IN_ABORTED:
            database_counts.idle_in_transaction_us += now - entry.state_start
        _write_activity(entry, state, query, length, now)
    if state == _IDLE:
        _late_flush_wanted = flush_stats(False) != 0
    return 0


def report_activity(state: int, query: bytes | None) -> None:
    """Change the state; a query (not None) also changes the text and query_start (pgstat_report_activity).

    Becoming idle is the time to flush what was counted.
    """
    if query is None:
        report_state(state, NULL, 0, _now())
    else:
        report_state(state, <const char *> query, len(query), _now())


cpdef bint late_flush_wanted() noexcept:
    """Whether something was left to flush when the process became idle: `late_flush` should be called in some seconds."""
    return _late_flush_wanted


def late_flush() -> None:
    """Flush what was left when the process became idle; does nothing inside a transaction."""
    global _late_flush_wanted
    _late_flush_wanted = False
    flush_stats(True)


cdef void _report_disabled(BackendStatus *entry) noexcept:
    """track_activities is off: show nothing, write nothing."""
    if entry.state == _DISABLED:
        return
    _begin(entry)
    entry.state = _DISABLED
    entry.state_start = entry.activity_start = entry.xact_start = 0
    entry.query_id = 0
    _activities[MyProcNumber * _activity_size] = 0
    _end(entry)


cdef void _write_activity(
    BackendStatus *entry, int state, const char *query, Py_ssize_t length, int64_t now,
) noexcept nogil:
    _begin(entry)
    if entry.state != state or query != NULL:
        entry.state = state
        entry.state_start = now
    if query != NULL:
        entry.activity_start = now
        entry.query_id = 0
        _store(_activities + MyProcNumber * _activity_size, _activity_size, query, length)
    _end(entry)


def report_xact_timestamp(int64_t microseconds) -> None:
    """Start of the current transaction, 0 outside of one."""
    cdef BackendStatus *entry = _mine()
    if entry == NULL or not _enabled:
        return
    _begin(entry)
    entry.xact_start = microseconds
    _end(entry)


@dataclass(slots=True)
class Activity:
    """A process as pg_stat_activity shows it; timestamps are microseconds from 2000-01-01 UTC, 0 is NULL."""

    procno: int
    pid: int
    backend_type: int
    state: int
    proc_start: int
    xact_start: int
    activity_start: int
    state_start: int
    database: int
    user: int
    query_id: int
    client_port: int
    has_client: bool
    client_address: str
    client_hostname: str
    application_name: str
    query: str
    wait_event_info: int
    xid: int
    xmin: int
    leader_pid: int


def read_activity(int procno) -> Activity | None:
    """A consistent copy of a slot's entry, None if it is free."""
    cdef BackendStatus copy
    cdef BackendStatus *entry = &_entries[procno]
    cdef uint32_t before
    cdef bytes text
    while True:
        before = atomic_read_u32(&entry.changecount)
        read_barrier()
        copy = entry[0]
        text = _activities[procno * _activity_size:procno * _activity_size + _activity_size]
        read_barrier()
        if before % 2 == 0 and atomic_read_u32(&entry.changecount) == before:
            break
        cpu_relax()
    if copy.procpid == 0:
        return None
    proc = proc_by_number(procno)
    leader = proc.lockGroupLeader.pid if proc.lockGroupLeader != NULL and proc.lockGroupLeader != proc else 0
    return Activity(
        procno, copy.procpid, copy.backend_type, copy.state, copy.proc_start, copy.xact_start, copy.activity_start,
        copy.state_start, copy.databaseid, copy.userid, copy.query_id, copy.client_port, bool(copy.has_client),
        (<bytes> copy.client_address).decode(), (<bytes> copy.client_hostname).decode("utf-8", "replace"),
        (<bytes> copy.appname).decode("utf-8", "replace"), text.split(b"\0", 1)[0].decode("utf-8", "replace"),
        proc.wait_event_info, proc.xid, proc.xmin, leader,
    )


def activities() -> Iterator[Activity]:
    """Every process in the array, by slot."""
    for procno in range(proc_count()):
        entry = read_activity(procno)
        if entry is not None:
            yield entry
