"""Timing of b-tree operations without SQL; see bench_nbtree.py."""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from tusk._types cimport Datum, ItemPointerData, tid_set
from tusk.access._index cimport (
    IndexScan, ScanKeyData, index_beginscan, index_endscan, index_getnext_tid, index_insert, index_rescan,
    init_scan_key,
)
from tusk.access._relation cimport Relation
from tusk.transaction._snapshot cimport get_transaction_snapshot

from time import perf_counter_ns


def time_inserts(Relation index, Relation heap, int n, int stride):
    """Nanoseconds per insertion of n int4 keys: (i * stride) mod n."""
    cdef Datum value
    cdef uint8_t isnull = 0
    cdef ItemPointerData tid
    cdef int64_t i
    begin = perf_counter_ns()
    for i in range(n):
        value = <Datum> ((i * stride) % n)
        tid_set(&tid, <uint32_t> (i // 200), <unsigned short> (i % 200 + 1))
        index_insert(index, &value, &isnull, &tid, heap, 0, False)
    return (perf_counter_ns() - begin) / n


def time_lookups(Relation index, Relation heap, int n, int lookups):
    """Nanoseconds per point lookup with a reused scan."""
    cdef IndexScan scan = index_beginscan(heap, index, get_transaction_snapshot())
    cdef ScanKeyData key
    cdef int64_t i
    cdef long long found = 0
    init_scan_key(&key, index, 1, 3, 0)
    begin = perf_counter_ns()
    for i in range(lookups):
        key.sk_argument = <Datum> ((i * 7919) % n)
        index_rescan(scan, &key, 1)
        while index_getnext_tid(scan, False):
            found += 1
    taken = (perf_counter_ns() - begin) / lookups
    index_endscan(scan)
    assert found == lookups, found
    return taken


def time_scan(Relation index, Relation heap, bint backward):
    """Nanoseconds per entry of a full scan."""
    cdef IndexScan scan = index_beginscan(heap, index, get_transaction_snapshot())
    cdef long long found = 0
    begin = perf_counter_ns()
    index_rescan(scan, NULL, 0)
    while index_getnext_tid(scan, backward):
        found += 1
    taken = (perf_counter_ns() - begin) / max(found, 1)
    index_endscan(scan)
    return taken
