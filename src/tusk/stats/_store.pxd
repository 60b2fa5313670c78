# cython: language_level=3
"""The shared statistics: entries by (kind, database, object) and the kinds that exist once."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from tusk._types cimport Oid
from tusk.memory._lwlock cimport LWLock

cdef enum:                          # utils/pgstat_kind.h
    PGSTAT_KIND_DATABASE = 1
    PGSTAT_KIND_RELATION = 2
    PGSTAT_KIND_FUNCTION = 3
    PGSTAT_KIND_REPLSLOT = 4
    PGSTAT_KIND_SUBSCRIPTION = 5
    PGSTAT_KIND_BACKEND = 6
    PGSTAT_KIND_ARCHIVER = 7
    PGSTAT_KIND_BGWRITER = 8
    PGSTAT_KIND_CHECKPOINTER = 9
    PGSTAT_KIND_IO = 10
    PGSTAT_KIND_SLRU = 11
    PGSTAT_KIND_WAL = 12
    PGSTAT_KINDS = 13

cdef struct StatsEntry:             # followed by the counters of its kind, 8 bytes each
    LWLock lock
    uint32_t kind
    Oid dboid
    uint64_t objid
    uint32_t next                   # of the hash chain or the free list; 0: none
    uint32_t generation             # raised when the entry is dropped: whoever remembers it sees that it is another
    uint64_t reserved

cdef struct StatsEntryRef:          # what a process remembers of an entry
    StatsEntry *entry               # NULL: not looked up
    uint32_t generation

cdef inline int64_t *entry_counters(StatsEntry *entry) noexcept nogil:
    return <int64_t *> (entry + 1)

# Finds the entry, or with `create` makes it. False: there is none, or no room for it.
cdef bint find_stats_entry(int kind, Oid dboid, uint64_t objid, bint create, StatsEntryRef *ref) except -1
# The counters, locked exclusively until unlock_stats_entry; NULL where the entry has been dropped.
cdef int64_t *lock_stats_entry(StatsEntryRef *ref) except? NULL
cdef int unlock_stats_entry(StatsEntryRef *ref) except -1
cdef int drop_stats_entry(int kind, Oid dboid, uint64_t objid) except -1
# The counters of a kind that exists once, locked exclusively until unlock_fixed_stats; NULL without shared memory.
cdef int64_t *lock_fixed_stats(int kind) except? NULL
cdef int unlock_fixed_stats(int kind) except -1
cdef int64_t stats_now() noexcept nogil     # microseconds from 2000-01-01
