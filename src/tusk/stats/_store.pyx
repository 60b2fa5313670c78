"""The shared statistics: a hash table of entries in growing shared memory, and the kinds that exist once.

Locks: `table.lock` (PgStatsHash) protects chains, free lists and the size of the memory; the lock of an entry
(PgStatsData) its counters. Order: table, then entry; never two entries. Entries of one kind are reused for the same
kind only, with a higher generation, so that a remembered pointer never leads astray.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy, memset
from posix.mman cimport MAP_FAILED, MAP_SHARED, PROT_READ, PROT_WRITE, mmap

from tusk._types cimport Oid
from tusk.memory._lwlock cimport (
    LW_EXCLUSIVE, LW_SHARED, LWTRANCHE_PGSTATS_DATA, LWTRANCHE_PGSTATS_HASH, LWLock, lwlock_acquire,
    lwlock_initialize, lwlock_release)

import os

from tusk.errors import SqlError, errcode
from tusk.memory._segment import declare_area

cdef extern from "<sys/mman.h>" nogil:
    enum:
        MAP_NORESERVE

cdef extern from "<fcntl.h>" nogil:
    int posix_fallocate(int fd, long offset, long length)

cdef extern from "<time.h>" nogil:
    ctypedef long time_t
    cdef struct timespec:
        time_t tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec *now)

cdef enum:
    ARENA_RESERVE = 1 << 30         # address space; memory comes in steps
    ARENA_STEP = 256 * 1024
    FIRST_BUCKETS = 1024
    UNIT = 8                        # offsets are in units of 8 bytes, so that 32 bits do
    CLOCK_REALTIME = 0
    IO_WORDS = 3 * 3 * 5 * 8        # bytes, counts, times [object][context][operation]
    BACKEND_NUM_TYPES = 18
    NUM_SLRUS = 8

cdef struct StatsTable:
    LWLock lock
    uint64_t size                   # bytes of the arena that exist
    uint64_t used
    uint32_t nbuckets
    uint32_t buckets                # offset of uint32_t[nbuckets]
    uint64_t nentries
    uint32_t free_lists[PGSTAT_KINDS]
    LWLock fixed_locks[PGSTAT_KINDS]

# Words of 8 bytes in an entry, in the order of the structs of pgstat.h. Archiver: two names of 41 bytes stand in it.
cdef int _words[PGSTAT_KINDS]
_words[:] = [0, 33, 27, 3, 9, 0, 1 + IO_WORDS + 4, 17, 4, 11, 1 + BACKEND_NUM_TYPES * IO_WORDS, NUM_SLRUS * 8, 5]
cdef int _fixed_offset[PGSTAT_KINDS]
FIRST_FIXED_KIND = PGSTAT_KIND_ARCHIVER
KIND_NAMES = (
    "invalid", "database", "relation", "function", "replslot", "subscription", "backend", "archiver", "bgwriter",
    "checkpointer", "io", "slru", "wal",
)
# Where an entry says when it was reset; -1: it does not.
_RESET_WORD = {1: 32, 2: -1, 3: -1, 4: 8, 6: 0, 7: 16, 8: 3, 9: 10, 10: 0, 12: 4}

cdef StatsTable *table = NULL
cdef int64_t *_fixed = NULL
cdef char *_arena = NULL
cdef int _arena_fd = -1


cdef int _fixed_words() noexcept:
    cdef int at = 0
    cdef int kind
    for kind in range(PGSTAT_KIND_ARCHIVER, PGSTAT_KINDS):
        _fixed_offset[kind] = at
        at += _words[kind]
    return at


_FIXED_WORDS = _fixed_words()


def _attach(address: int) -> None:
    global table, _fixed
    table = <StatsTable *> <uintptr_t> address
    _fixed = <int64_t *> (<char *> table + (sizeof(StatsTable) + 63) // 64 * 64)


def _initialize(address: int, size: int) -> None:
    """Postmaster: at start, and again after a crash, when what was counted is given up."""
    global _arena, _arena_fd
    cdef void *base
    cdef int kind
    if _arena == NULL:
        _arena_fd = os.memfd_create("tusk-statistics", os.MFD_CLOEXEC)
        base = mmap(NULL, ARENA_RESERVE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, _arena_fd, 0)
        if base == MAP_FAILED:
            raise SqlError(errcode.OUT_OF_MEMORY, "could not map shared memory for statistics")
        _arena = <char *> base
    os.ftruncate(_arena_fd, 0)
    memset(table, 0, sizeof(StatsTable))
    lwlock_initialize(&table.lock, LWTRANCHE_PGSTATS_HASH)
    for kind in range(PGSTAT_KINDS):
        lwlock_initialize(&table.fixed_locks[kind], LWTRANCHE_PGSTATS_DATA)
    table.used = UNIT               # offset 0 means none
    table.buckets = _allocate(FIRST_BUCKETS * sizeof(uint32_t))
    if table.buckets == 0:
        raise SqlError(errcode.OUT_OF_MEMORY, "could not allocate shared memory for statistics")
    table.nbuckets = FIRST_BUCKETS
    _stamp_fixed(stats_now())


declare_area("Shared Memory Stats",
             lambda settings: (sizeof(StatsTable) + 63) // 64 * 64 + _FIXED_WORDS * 8, _initialize, _attach)


cdef int64_t stats_now() noexcept nogil:
    """Microseconds from 2000-01-01."""
    cdef timespec now
    clock_gettime(CLOCK_REALTIME, &now)
    return (<int64_t> now.tv_sec - 946684800) * 1000000 + now.tv_nsec // 1000


cdef uint32_t _allocate(uint64_t size) noexcept nogil:
    """Zeroed room in the arena, as an offset; 0 where there is none. Table locked."""
    cdef uint64_t at = table.used
    cdef uint64_t wanted
    size = (size + UNIT - 1) // UNIT * UNIT
    if at + size > table.size:
        wanted = (at + size + ARENA_STEP - 1) // ARENA_STEP * ARENA_STEP
        if wanted > ARENA_RESERVE or posix_fallocate(_arena_fd, 0, <long> wanted) != 0:
            return 0
        table.size = wanted
    table.used = at + size
    return <uint32_t> (at // UNIT)


cdef inline StatsEntry *_at(uint32_t offset) noexcept nogil:
    return <StatsEntry *> (_arena + <uint64_t> offset * UNIT)


cdef inline uint32_t *_bucket(int kind, Oid dboid, uint64_t objid) noexcept nogil:
    cdef uint64_t h = (objid ^ (<uint64_t> dboid << 32) ^ (<uint64_t> kind << 58)) * <uint64_t> 0x9E3779B97F4A7C15
    return <uint32_t *> (_arena + <uint64_t> table.buckets * UNIT) + ((h >> 32) & (table.nbuckets - 1))


cdef StatsEntry *_find(int kind, Oid dboid, uint64_t objid) noexcept nogil:
    """Table locked in any mode."""
    cdef uint32_t at = _bucket(kind, dboid, objid)[0]
    cdef StatsEntry *entry
    while at != 0:
        entry = _at(at)
        if entry.objid == objid and entry.dboid == dboid and entry.kind == <uint32_t> kind:
            return entry
        at = entry.next
    return NULL


cdef void _grow() noexcept nogil:
    """Twice the buckets, where there is room for them."""
    cdef uint32_t nold = table.nbuckets
    cdef uint32_t old = table.buckets
    cdef uint32_t offset = _allocate(<uint64_t> nold * 2 * sizeof(uint32_t))
    cdef uint32_t *buckets = <uint32_t *> (_arena + <uint64_t> old * UNIT)
    cdef uint32_t *target
    cdef uint32_t i, at, following
    if offset == 0:
        return
    table.buckets = offset
    table.nbuckets = nold * 2
    for i in range(nold):
        at = buckets[i]
        while at != 0:
            following = _at(at).next
            target = _bucket(_at(at).kind, _at(at).dboid, _at(at).objid)
            _at(at).next = target[0]
            target[0] = at
            at = following


cdef StatsEntry *_insert(int kind, Oid dboid, uint64_t objid) noexcept nogil:
    """A new entry with all counters 0; NULL without room. Table locked exclusively."""
    cdef uint32_t at = table.free_lists[kind]
    cdef uint32_t generation
    cdef uint32_t *bucket
    cdef StatsEntry *entry
    if at != 0:
        entry = _at(at)
        table.free_lists[kind] = entry.next
    else:
        at = _allocate(sizeof(StatsEntry) + _words[kind] * 8)
        if at == 0:
            return NULL
        entry = _at(at)
        lwlock_initialize(&entry.lock, LWTRANCHE_PGSTATS_DATA)
    # Someone who remembers the former entry may hold its lock just now, to find out that it is gone: leave that alone.
    generation = entry.generation
    entry.kind = kind
    entry.dboid = dboid
    entry.objid = objid
    entry.generation = generation
    memset(entry_counters(entry), 0, _words[kind] * 8)
    if table.nentries >= table.nbuckets:
        _grow()
    bucket = _bucket(kind, dboid, objid)
    entry.next = bucket[0]
    bucket[0] = at
    table.nentries += 1
    return entry


cdef bint find_stats_entry(int kind, Oid dboid, uint64_t objid, bint create, StatsEntryRef *ref) except -1:
    """Fill ref; see the .pxd."""
    cdef StatsEntry *entry
    ref.entry = NULL
    if table == NULL:
        return False
    lwlock_acquire(&table.lock, LW_SHARED)
    entry = _find(kind, dboid, objid)
    if entry != NULL:
        ref.entry = entry
        ref.generation = entry.generation
    lwlock_release(&table.lock)
    if entry != NULL or not create:
        return entry != NULL
    lwlock_acquire(&table.lock, LW_EXCLUSIVE)
    entry = _find(kind, dboid, objid)
    if entry == NULL:
        entry = _insert(kind, dboid, objid)
    if entry != NULL:
        ref.entry = entry
        ref.generation = entry.generation
    lwlock_release(&table.lock)
    return entry != NULL


cdef int64_t *lock_stats_entry(StatsEntryRef *ref) except? NULL:
    """See the .pxd."""
    if ref.entry == NULL:
        return NULL
    lwlock_acquire(&ref.entry.lock, LW_EXCLUSIVE)
    if ref.entry.generation != ref.generation:
        lwlock_release(&ref.entry.lock)
        ref.entry = NULL
        return NULL
    return entry_counters(ref.entry)


cdef int unlock_stats_entry(StatsEntryRef *ref) except -1:
    lwlock_release(&ref.entry.lock)
    return 0


cdef int _drop_at(uint32_t *link) except -1:
    """Take out the entry that a chain's link points to. Table locked exclusively."""
    cdef uint32_t at = link[0]
    cdef StatsEntry *entry = _at(at)
    link[0] = entry.next
    lwlock_acquire(&entry.lock, LW_EXCLUSIVE)
    entry.generation += 1
    lwlock_release(&entry.lock)
    entry.next = table.free_lists[entry.kind]
    table.free_lists[entry.kind] = at
    table.nentries -= 1
    return 0


cdef int drop_stats_entry(int kind, Oid dboid, uint64_t objid) except -1:
    """Forget an object; 1 if there was an entry. Dropping a database drops all that is in it."""
    cdef uint32_t *link
    cdef int found = 0
    if table == NULL:
        return 0
    if kind == PGSTAT_KIND_DATABASE:
        return drop_database(dboid)
    lwlock_acquire(&table.lock, LW_EXCLUSIVE)
    link = _bucket(kind, dboid, objid)
    while link[0] != 0:
        if _at(link[0]).objid == objid and _at(link[0]).dboid == dboid and _at(link[0]).kind == <uint32_t> kind:
            _drop_at(link)
            found = 1
            break
        link = &_at(link[0]).next
    lwlock_release(&table.lock)
    return found


cdef int64_t *lock_fixed_stats(int kind) except? NULL:
    """See the .pxd."""
    if table == NULL:
        return NULL
    lwlock_acquire(&table.fixed_locks[kind], LW_EXCLUSIVE)
    return _fixed + _fixed_offset[kind]


cdef int unlock_fixed_stats(int kind) except -1:
    lwlock_release(&table.fixed_locks[kind])
    return 0


cdef void _stamp_fixed(int64_t now) noexcept:
    cdef int i
    for kind in range(PGSTAT_KIND_ARCHIVER, PGSTAT_KINDS):
        if kind in _RESET_WORD:
            _fixed[_fixed_offset[kind] + <int> _RESET_WORD[kind]] = now
    for i in range(NUM_SLRUS):
        _fixed[_fixed_offset[PGSTAT_KIND_SLRU] + i * 8 + 7] = now


# For Python


def exists() -> bool:
    """Whether there is shared memory to count in."""
    return table != NULL


def now() -> int:
    """Microseconds from 2000-01-01."""
    return stats_now()


def drop_entry(int kind, Oid dboid, uint64_t objid) -> bool:
    """Forget an object."""
    return bool(drop_stats_entry(kind, dboid, objid))


def drop_database(Oid dboid) -> int:
    """Forget all of a database; returns how many entries that were."""
    return _drop_where(dboid, False)


def drop_all() -> int:
    """Forget all entries (after a crash), and all fixed ones."""
    cdef int kind
    count = _drop_where(0, True)
    for kind in range(PGSTAT_KIND_ARCHIVER, PGSTAT_KINDS):
        lock_fixed_stats(kind)
        memset(_fixed + _fixed_offset[kind], 0, _words[kind] * 8)
        unlock_fixed_stats(kind)
    _stamp_fixed(stats_now())
    return count


def _drop_where(Oid dboid, bint everything) -> int:
    cdef uint32_t *link
    cdef uint32_t i
    cdef int count = 0
    if table == NULL:
        return 0
    lwlock_acquire(&table.lock, LW_EXCLUSIVE)
    for i in range(table.nbuckets):
        link = <uint32_t *> (_arena + <uint64_t> table.buckets * UNIT) + i
        while link[0] != 0:
            if everything or _at(link[0]).dboid == dboid:
                _drop_at(link)
                count += 1
            else:
                link = &_at(link[0]).next
    lwlock_release(&table.lock)
    return count


cdef tuple _tuple_of(const int64_t *counters, int n):
    cdef int i
    return tuple([counters[i] for i in range(n)])


def read_entry(int kind, Oid dboid, uint64_t objid) -> tuple[int, ...] | None:
    """A copy of an object's counters, None without an entry."""
    cdef int64_t copy[512]
    cdef StatsEntry *entry
    if table == NULL:
        return None
    lwlock_acquire(&table.lock, LW_SHARED)
    entry = _find(kind, dboid, objid)
    if entry != NULL:
        lwlock_acquire(&entry.lock, LW_SHARED)
        memcpy(copy, entry_counters(entry), _words[kind] * 8)
        lwlock_release(&entry.lock)
    lwlock_release(&table.lock)
    return None if entry == NULL else _tuple_of(copy, _words[kind])


def read_all() -> dict[tuple[int, int, int], bytes]:
    """All entries by (kind, database, object), their counters as bytes."""
    cdef StatsEntry *entry
    cdef uint32_t i, at
    cdef dict found = {}
    if table == NULL:
        return found
    lwlock_acquire(&table.lock, LW_SHARED)
    for i in range(table.nbuckets):
        at = (<uint32_t *> (_arena + <uint64_t> table.buckets * UNIT))[i]
        while at != 0:
            entry = _at(at)
            lwlock_acquire(&entry.lock, LW_SHARED)
            found[entry.kind, entry.dboid, entry.objid] = \
                (<char *> entry_counters(entry))[:_words[entry.kind] * 8]
            lwlock_release(&entry.lock)
            at = entry.next
    lwlock_release(&table.lock)
    return found


def write_entry(int kind, Oid dboid, uint64_t objid, bytes counters) -> None:
    """Set an entry's counters (from the file); makes the entry."""
    cdef StatsEntryRef ref
    cdef int64_t *target
    if len(counters) != _words[kind] * 8:
        raise ValueError("size of a statistics entry")
    if not find_stats_entry(kind, dboid, objid, True, &ref):
        return
    target = lock_stats_entry(&ref)
    if target != NULL:
        memcpy(target, <const char *> counters, _words[kind] * 8)
        unlock_stats_entry(&ref)


def change_entry(int kind, Oid dboid, uint64_t objid, dict add, dict assign, bint create=True) -> bool:
    """Add to some counters of an entry and set others, by their position."""
    cdef StatsEntryRef ref
    cdef int64_t *target
    if not find_stats_entry(kind, dboid, objid, create, &ref):
        return False
    target = lock_stats_entry(&ref)
    if target == NULL:
        return False
    try:
        for index, value in add.items():
            target[<int> index] += <int64_t> value
        for index, value in assign.items():
            target[<int> index] = <int64_t> value
    finally:
        unlock_stats_entry(&ref)
    return True


def reset_entry(int kind, Oid dboid, uint64_t objid, int64_t when) -> bool:
    """All counters of an object 0, and the time of it where the kind has one."""
    cdef StatsEntryRef ref
    cdef int64_t *target
    if not find_stats_entry(kind, dboid, objid, False, &ref):
        return False
    target = lock_stats_entry(&ref)
    if target == NULL:
        return False
    memset(target, 0, _words[kind] * 8)
    word = _RESET_WORD.get(kind, -1)
    if word >= 0:
        target[<int> word] = when
    unlock_stats_entry(&ref)
    return True


def reset_database(Oid dboid, int64_t when) -> None:
    """Everything in a database 0, its own row included (pgstat_reset_counters)."""
    for kind, database, objid in read_all():
        if database == dboid:
            reset_entry(kind, database, objid, when)


def words(int kind) -> int:
    """How many counters an entry of this kind has."""
    return _words[kind]


def read_fixed(int kind) -> bytes:
    """A copy of a kind that exists once."""
    if table == NULL:
        return b"\0" * (_words[kind] * 8)
    lwlock_acquire(&table.fixed_locks[kind], LW_SHARED)
    copy = (<char *> (_fixed + _fixed_offset[kind]))[:_words[kind] * 8]
    lwlock_release(&table.fixed_locks[kind])
    return copy


def write_fixed(int kind, bytes counters) -> None:
    """Set a kind that exists once (from the file)."""
    if len(counters) != _words[kind] * 8:
        raise ValueError("size of fixed statistics")
    if lock_fixed_stats(kind) != NULL:
        memcpy(_fixed + _fixed_offset[kind], <const char *> counters, _words[kind] * 8)
        unlock_fixed_stats(kind)


def add_fixed(int kind, changes) -> None:
    """Add to counters of a kind that exists once: (position, amount) pairs."""
    cdef int64_t *target = lock_fixed_stats(kind)
    if target == NULL:
        return
    try:
        for index, amount in changes:
            target[<int> index] += <int64_t> amount
    finally:
        unlock_fixed_stats(kind)


def reset_fixed(int kind, int64_t when, int part=-1) -> None:
    """All 0; of the SLRUs only one with ``part``."""
    cdef int64_t *target = lock_fixed_stats(kind)
    cdef int i
    if target == NULL:
        return
    if kind == PGSTAT_KIND_SLRU:
        for i in range(NUM_SLRUS):
            if part < 0 or part == i:
                memset(target + i * 8, 0, 64)
                target[i * 8 + 7] = when
    else:
        memset(target, 0, _words[kind] * 8)
        target[<int> _RESET_WORD[kind]] = when
    unlock_fixed_stats(kind)


def memory_usage() -> tuple[int, int, int]:
    """(bytes taken from the system, bytes in use, entries)."""
    if table == NULL:
        return 0, 0, 0
    return table.size, table.used, table.nentries
