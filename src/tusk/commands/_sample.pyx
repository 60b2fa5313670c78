"""The sample of a table that ANALYZE looks at (analyze.c's acquire_sample_rows)."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from tusk._types cimport MAIN_FORK, BlockNumber, Datum, OffsetNumber, tid_set
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport (
    HeapTupleData, HeapTupleHeaderData, datum_size, heap_deform_tuple, tuple_xmin)
from tusk.access.heap._scan cimport vis_kind
from tusk.access.heap._visibility cimport (
    HEAPTUPLE_DEAD, HEAPTUPLE_DELETE_IN_PROGRESS, HEAPTUPLE_INSERT_IN_PROGRESS, HEAPTUPLE_LIVE,
    HEAPTUPLE_RECENTLY_DEAD, tuple_satisfies_vacuum, tuple_update_xid)
from tusk.memory._interrupts cimport check_for_interrupts
from tusk.stats._progress cimport progress_update_param
from tusk.storage._buffer cimport (
    BAS_VACUUM, BUFFER_LOCK_SHARE, BUFFER_LOCK_UNLOCK, RBM_NORMAL, BufferAccessStrategy, buffer_page,
    free_access_strategy, get_access_strategy, lock_buffer, read_buffer, relation_nblocks, release_buffer)
from tusk.storage._page cimport (
    ItemIdData, item_id_get_length, item_id_is_dead, item_id_is_normal, page_get_item, page_get_item_id,
    page_get_max_offset)
from tusk.transaction._snapshot cimport get_oldest_non_removable_transaction_id
from tusk.transaction._xact cimport transaction_id_is_current
from tusk.types._kernel_datum cimport DatumType, datum_to_python, datum_type


cdef enum:                          # progress of ANALYZE
    BLOCKS_TOTAL = 1
    BLOCKS_DONE = 2


cdef int _classify(
    Relation rel, int buf, BlockNumber block, uint32_t oldest_xmin, OffsetNumber *offsets,
    HeapTupleHeaderData **headers, uint32_t *lengths, int64_t *dead,
) except -1:
    """The rows of a pinned page that ANALYZE counts as live, and how many are dead (heapam_scan_analyze_next_tuple).

    What this transaction changed counts as if it had committed; what others are at, as if they had aborted.
    """
    cdef char *page = buffer_page(buf)
    cdef OffsetNumber offset
    cdef ItemIdData *lp
    cdef HeapTupleData tup
    cdef int n = 0
    cdef int state
    cdef bint live
    tup.t_tableOid = rel.rd_id
    for offset in range(1, page_get_max_offset(page) + 1):
        lp = page_get_item_id(page, offset)
        if not item_id_is_normal(lp):
            dead[0] += item_id_is_dead(lp)
            continue
        tup.t_data = <HeapTupleHeaderData *> page_get_item(page, lp)
        tup.t_len = item_id_get_length(lp)
        tid_set(&tup.t_self, block, offset)
        state = tuple_satisfies_vacuum(&tup, oldest_xmin, buf)
        live = state == HEAPTUPLE_LIVE
        if state == HEAPTUPLE_DEAD or state == HEAPTUPLE_RECENTLY_DEAD:
            dead[0] += 1
        elif state == HEAPTUPLE_INSERT_IN_PROGRESS:
            live = transaction_id_is_current(tuple_xmin(tup.t_data))
        elif state == HEAPTUPLE_DELETE_IN_PROGRESS:
            live = not transaction_id_is_current(tuple_update_xid(tup.t_data))
            dead[0] += not live
        if live:
            offsets[n] = offset
            headers[n] = tup.t_data
            lengths[n] = tup.t_len
            n += 1
    return n


cdef uint64_t random_next(uint64_t *state) noexcept nogil:
    """xorshift64*: choosing a sample needs no better."""
    cdef uint64_t x = state[0]
    x ^= x >> 12
    x ^= x << 25
    x ^= x >> 27
    state[0] = x
    return x * 2685821657736338717ULL


def sample_rows(Relation rel, int target_rows, uint64_t seed, list columns):
    """A random sample of a table's rows: (values by column, widths by column, rows in the sample, estimated live rows,
    estimated dead rows, pages of the table, pages read).

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
    cdef int64_t dead = 0
    cdef uint32_t oldest_xmin = get_oldest_non_removable_transaction_id(vis_kind(rel))
    cdef BufferAccessStrategy strategy = get_access_strategy(BAS_VACUUM)
    cdef BlockNumber read = 0
    cdef char *copy
    cdef Datum values[1664]
    cdef uint8_t nulls[1664]
    cdef int attnum
    cdef DatumType kind
    if kept == NULL or places == NULL:
        raise MemoryError
    wanted = nblocks if nblocks < <BlockNumber> target_rows else <BlockNumber> target_rows
    progress_update_param(BLOCKS_TOTAL, wanted)
    try:
        for block in range(nblocks):
            if wanted == read:
                break
            left = nblocks - block
            if left > wanted - read and random_next(&state) % left >= wanted - read:
                continue
            read += 1
            check_for_interrupts()
            buf = read_buffer(&rel.rd_locator, rel.relpersistence, MAIN_FORK, block, RBM_NORMAL, strategy)
            lock_buffer(buf, BUFFER_LOCK_SHARE)
            n = _classify(rel, buf, block, oldest_xmin, offsets, headers, lengths, &dead)
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
            lock_buffer(buf, BUFFER_LOCK_UNLOCK)
            release_buffer(buf)
            buf = 0
            progress_update_param(BLOCKS_DONE, read)
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
        free_access_strategy(strategy)
        for i in range(nkept):
            free(kept[i])
        free(kept)
        free(places)
    estimated = float(seen) if read == nblocks else (float(seen) / read * nblocks if read else 0.0)
    estimated_dead = float(dead) if read == nblocks else (float(dead) / read * nblocks if read else 0.0)
    return by_column, widths, nkept, float(int(estimated + 0.5)), float(int(estimated_dead + 0.5)), int(nblocks), int(read)
