"""The sample of a table that ANALYZE looks at (analyze.c's acquire_sample_rows)."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from tusk._types cimport MAIN_FORK, BlockNumber, Datum, OffsetNumber
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport HeapTupleHeaderData, datum_size, heap_deform_tuple
from tusk.access.heap._scan cimport heap_page_visible_tuples
from tusk.memory._interrupts cimport check_for_interrupts
from tusk.storage._buffer cimport relation_nblocks, release_buffer
from tusk.transaction._snapshot cimport Snapshot
from tusk.types._kernel_datum cimport DatumType, datum_to_python, datum_type


cdef uint64_t random_next(uint64_t *state) noexcept nogil:
    """xorshift64*: choosing a sample needs no better."""
    cdef uint64_t x = state[0]
    x ^= x >> 12
    x ^= x << 25
    x ^= x >> 27
    state[0] = x
    return x * 2685821657736338717ULL


def sample_rows(Relation rel, Snapshot snapshot, int target_rows, uint64_t seed, list columns):
    """A random sample of a table's rows: (values by column, widths by column, rows in the sample, estimated live rows).

    ``columns`` are attribute numbers. Values of a column are Python values, None for NULL, in the order of their
    places in the table. At most target_rows random blocks are read (Knuth's algorithm S), and of their rows a random
    reservoir is kept (Vitter's algorithm R).
    """
    cdef BlockNumber nblocks = relation_nblocks(&rel.rd_locator, rel.relpersistence, MAIN_FORK)
    cdef BlockNumber block, left, wanted
    cdef uint64_t state = seed | 1
    cdef OffsetNumber offsets[291]
    cdef HeapTupleHeaderData *headers[291]
    cdef uint32_t lengths[291]
    cdef char **kept = <char **> malloc(target_rows * sizeof(char *))
    cdef int64_t *places = <int64_t *> malloc(target_rows * sizeof(int64_t))
    cdef int64_t seen = 0, slot
    cdef int n, i, j, buf = 0, nkept = 0
    cdef BlockNumber read = 0
    cdef char *copy
    cdef Datum values[1664]
    cdef uint8_t nulls[1664]
    cdef int attnum
    cdef DatumType kind
    if kept == NULL or places == NULL:
        raise MemoryError
    wanted = nblocks if nblocks < <BlockNumber> target_rows else <BlockNumber> target_rows
    try:
        for block in range(nblocks):
            if wanted == read:
                break
            left = nblocks - block
            if left > wanted - read and random_next(&state) % left >= wanted - read:
                continue
            read += 1
            check_for_interrupts()
            n = heap_page_visible_tuples(rel, snapshot, block, &buf, offsets, headers, lengths)
            for i in range(n):
                seen += 1
                if nkept < target_rows:
                    slot = nkept
                    nkept += 1
                else:
                    slot = <int64_t> (random_next(&state) % <uint64_t> seen)
                    if slot >= target_rows:
                        continue
                    free(kept[slot])
                copy = <char *> malloc(lengths[i])
                if copy == NULL:
                    raise MemoryError
                memcpy(copy, headers[i], lengths[i])
                kept[slot] = copy
                places[slot] = <int64_t> ((<uint64_t> block << 16) | offsets[i])
        order = sorted(range(nkept), key=lambda k: places[k])
        by_column = [[] for _ in columns]
        widths = [0] * len(columns)
        kinds = [datum_type(rel.desc.attrs[a - 1].atttypid) for a in columns]
        for i in order:
            heap_deform_tuple(<HeapTupleHeaderData *> kept[i], &rel.desc.c, rel.desc.natts, values, nulls)
            for j in range(len(columns)):
                attnum = columns[j]
                if nulls[attnum - 1]:
                    by_column[j].append(None)
                    continue
                kind = <DatumType> kinds[j]
                if rel.desc.attrs[attnum - 1].attlen == -1:
                    widths[j] += datum_size(values[attnum - 1], False, -1)
                by_column[j].append(datum_to_python(values[attnum - 1], kind))
    finally:
        if buf:
            release_buffer(buf)
        for i in range(nkept):
            free(kept[i])
        free(kept)
        free(places)
    estimated = float(seen) if read == nblocks else (float(seen) / read * nblocks if read else 0.0)
    return by_column, widths, nkept, estimated, int(nblocks)
