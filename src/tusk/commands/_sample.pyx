"""The sample of a table that ANALYZE looks at, and the order of a column's values in it (analyze.c).

Rows are kept as they lie on their pages. A column of a type with a native comparison is sorted as Datums; only the few
values that end up in pg_statistic become Python values.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memcpy
from tusk._types cimport MAIN_FORK, BlockNumber, Datum, Oid, OffsetNumber, tid_set
from tusk.access._compare cimport Comparator, detoast_malloc_hook, lookup_comparator
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport (
    HeapTupleData, HeapTupleHeaderData, datum_size, heap_deform_tuple, tuple_xmin,
)
from tusk.access._vacuum_cost cimport vacuum_delay_point, vacuum_strategy
from tusk.access._varlena cimport varatt_is_compressed, varatt_is_external, varsize_any
from tusk.access.heap._scan cimport vis_kind
from tusk.access.heap._visibility cimport (
    HEAPTUPLE_DEAD, HEAPTUPLE_DELETE_IN_PROGRESS, HEAPTUPLE_INSERT_IN_PROGRESS, HEAPTUPLE_LIVE,
    HEAPTUPLE_RECENTLY_DEAD, tuple_satisfies_vacuum, tuple_update_xid,
)
from tusk.memory._interrupts cimport check_for_interrupts
from tusk.stats._progress cimport progress_update_param
from tusk.storage._buffer cimport (
    BUFFER_LOCK_SHARE, RBM_NORMAL, buffer_page, lock_buffer, read_ahead, read_buffer, relation_nblocks,
    unlock_release_buffer,
)
from tusk.storage._page cimport (
    ItemIdData, item_id_get_length, item_id_is_dead, item_id_is_normal, page_get_item, page_get_item_id,
    page_get_max_offset,
)
from tusk.transaction._snapshot cimport get_oldest_non_removable_transaction_id
from tusk.transaction._xact cimport transaction_id_is_current
from tusk.types._kernel_datum cimport DatumType, datum_to_python, datum_type

cdef enum:
    WIDTH_THRESHOLD = 1024              # wider values are counted but not looked at
    PROGRESS_BLOCKS_TOTAL = 1
    PROGRESS_BLOCKS_DONE = 2

cdef struct Item:
    Datum value
    int32_t place                       # among the values that are looked at, in the order of the rows

ctypedef int (*compare_t)(const void *, const void *) noexcept nogil

cdef Comparator sorting                 # of the sort that runs: there is one at a time
cdef object sort_error = None           # qsort knows no errors: the first one waits here for the end of the sort


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


cdef int compare_items(const void *a, const void *b) noexcept:
    """By value, then by place, so that equal values stay in the order of the rows."""
    global sort_error
    cdef const Item *left = <const Item *> a
    cdef const Item *right = <const Item *> b
    cdef int result
    if sort_error is not None:
        return 0
    try:
        result = sorting.fn(left.value, right.value, sorting.state)
    except BaseException as error:
        sort_error = error
        return 0
    if result:
        return result
    return -1 if left.place < right.place else 1


cdef int compare_int64(const void *a, const void *b) noexcept nogil:
    cdef const Item *left = <const Item *> a
    cdef const Item *right = <const Item *> b
    if <int64_t> left.value != <int64_t> right.value:
        return -1 if <int64_t> left.value < <int64_t> right.value else 1
    return -1 if left.place < right.place else 1


cdef class SortedColumn:
    """A column's values in order, grouped by equality."""

    cdef Item *items
    cdef char **copies                  # detoasted ones
    cdef int ncopies
    cdef DatumType kind
    cdef readonly int count             # values in `items`
    cdef readonly int nulls, wide
    cdef readonly int64_t width_total   # of all that are not null
    cdef readonly int distinct, multiple
    cdef readonly double product        # the sum of rank times place
    cdef readonly list tracked          # (first, count) of the most common, at most `target`, commonest first

    def __dealloc__(self):
        cdef int i
        for i in range(self.ncopies):
            free(self.copies[i])
        free(self.copies)
        free(self.items)

    def value(self, int rank):
        """A value as Python's."""
        return datum_to_python(self.items[rank].value, self.kind)

    cdef int group(self, int target, Comparator *cmp) except -1:
        cdef int i, j, first = 0
        cdef int n = 0
        cdef int same
        cdef int *firsts = <int *> malloc((target + 1) * sizeof(int))
        cdef int *counts = <int *> malloc((target + 1) * sizeof(int))
        if firsts == NULL or counts == NULL:
            raise MemoryError
        try:
            for i in range(self.count):
                self.product += <double> i * self.items[i].place
                same = 0
                if i + 1 < self.count:
                    same = cmp.fn(self.items[i].value, self.items[i + 1].value, cmp.state) == 0
                if same:
                    continue
                self.distinct += 1
                if i > first:
                    self.multiple += 1
                    if n < target or (n > 0 and i + 1 - first > counts[n - 1]):
                        if n < target:
                            n += 1
                        j = n - 1
                        while j > 0 and i + 1 - first > counts[j - 1]:
                            counts[j] = counts[j - 1]
                            firsts[j] = firsts[j - 1]
                            j -= 1
                        counts[j] = i + 1 - first
                        firsts[j] = first
                first = i + 1
            self.tracked = [(firsts[i], counts[i]) for i in range(n)]
        finally:
            free(firsts)
            free(counts)
        return 0


cdef class Sample:
    """``sample_rows(...)`` makes it: rows in the order of their places in the table."""

    cdef Relation rel
    cdef char **kept
    cdef readonly int rows              # in the sample
    cdef readonly double estimated      # live rows of the table
    cdef readonly double dead
    cdef readonly int blocks, blocks_read

    def __dealloc__(self):
        cdef int i
        for i in range(self.rows):
            free(self.kept[i])
        free(self.kept)

    def values(self, int attnum):
        """(the column's values as Python's, their width all in all)."""
        cdef Datum values[1664]
        cdef uint8_t nulls[1664]
        cdef int i
        cdef int64_t width = 0
        cdef DatumType kind = datum_type(self.rel.desc.attrs[attnum - 1].atttypid)
        cdef int length = self.rel.desc.attrs[attnum - 1].attlen
        found = []
        for i in range(self.rows):
            heap_deform_tuple(<HeapTupleHeaderData *> self.kept[i], &self.rel.desc.c, attnum, values, nulls)
            if nulls[attnum - 1]:
                found.append(None)
                continue
            if length == -1:
                width += datum_size(values[attnum - 1], False, -1)
            found.append(datum_to_python(values[attnum - 1], kind))
        return found, width

    def sorted_column(self, int attnum, str prosrc, Oid collation, int target):
        """The column in the order of a native comparison."""
        global sorting, sort_error
        cdef SortedColumn column = SortedColumn.__new__(SortedColumn)
        cdef Datum values[1664]
        cdef uint8_t nulls[1664]
        cdef int i
        cdef int length = self.rel.desc.attrs[attnum - 1].attlen
        cdef Datum value
        cdef Comparator cmp
        cdef char *plain
        state = lookup_comparator(prosrc, collation, &cmp)
        column.kind = datum_type(self.rel.desc.attrs[attnum - 1].atttypid)
        column.items = <Item *> malloc((self.rows + 1) * sizeof(Item))
        if length == -1:
            column.copies = <char **> malloc((self.rows + 1) * sizeof(char *))
            if column.copies == NULL:
                raise MemoryError
        if column.items == NULL:
            raise MemoryError
        for i in range(self.rows):
            heap_deform_tuple(<HeapTupleHeaderData *> self.kept[i], &self.rel.desc.c, attnum, values, nulls)
            if nulls[attnum - 1]:
                column.nulls += 1
                continue
            value = values[attnum - 1]
            if length == -1:
                column.width_total += varsize_any(<void *> value)
                if varatt_is_external(<void *> value) or varatt_is_compressed(<void *> value):
                    plain = detoast_malloc_hook(<void *> value)
                    column.copies[column.ncopies] = plain
                    column.ncopies += 1
                    value = <Datum> plain
                if varsize_any(<void *> value) > WIDTH_THRESHOLD:
                    column.wide += 1
                    continue
            column.items[column.count].value = value
            column.items[column.count].place = column.count
            column.count += 1
        check_for_interrupts()
        sorting = cmp
        sort_error = None
        if prosrc in ("btint4cmp", "btint8cmp", "btint2cmp", "date_cmp", "timestamp_cmp"):
            qsort(column.items, column.count, sizeof(Item), compare_int64)
        else:
            # The GIL is held all the time, which qsort's declaration does not know.
            qsort(column.items, column.count, sizeof(Item), <compare_t> <void *> compare_items)
        if sort_error is not None:
            failure, sort_error = sort_error, None
            raise failure
        column.group(target, &cmp)
        del state
        return column


def sample_rows(Relation rel, int target_rows, uint64_t seed):
    """A random sample of a table's rows.

    At most target_rows random blocks are read (Knuth's algorithm S), and of their rows a random reservoir is kept
    (Vitter's algorithm R).
    """
    cdef Sample sample = Sample.__new__(Sample)
    cdef BlockNumber nblocks = <BlockNumber> relation_nblocks(&rel.rd_locator, rel.relpersistence, MAIN_FORK)
    cdef BlockNumber block, left, wanted, ahead = 0
    cdef uint64_t state = seed | 1
    cdef OffsetNumber offsets[291]
    cdef HeapTupleHeaderData *headers[291]
    cdef uint32_t lengths[291]
    cdef char **kept
    cdef int64_t *places
    cdef int64_t seen = 0, slot
    cdef int64_t dead = 0
    cdef uint32_t oldest_xmin = get_oldest_non_removable_transaction_id(vis_kind(rel))
    cdef int n, i, buf = 0, nkept = 0
    cdef BlockNumber read = 0
    cdef char *copy
    sample.rel = rel
    kept = sample.kept = <char **> malloc(target_rows * sizeof(char *))
    places = <int64_t *> malloc(target_rows * sizeof(int64_t))
    if kept == NULL or places == NULL:
        raise MemoryError
    wanted = nblocks if nblocks < <BlockNumber> target_rows else <BlockNumber> target_rows
    progress_update_param(PROGRESS_BLOCKS_TOTAL, wanted)
    try:
        for block in range(nblocks):
            if wanted == read:
                break
            left = nblocks - block
            if left > wanted - read and random_next(&state) % left >= wanted - read:
                continue
            if wanted == nblocks and block >= ahead:
                # Every page is wanted: as few reads as possible.
                ahead = min(nblocks, block + 16)
                read_ahead(&rel.rd_locator, rel.relpersistence, MAIN_FORK, block, <int> (ahead - block),
                           vacuum_strategy())
            read += 1
            vacuum_delay_point()
            buf = read_buffer(&rel.rd_locator, rel.relpersistence, MAIN_FORK, block, RBM_NORMAL, vacuum_strategy())
            lock_buffer(buf, BUFFER_LOCK_SHARE)
            n = _classify(rel, buf, block, oldest_xmin, offsets, headers, lengths, &dead)
            progress_update_param(PROGRESS_BLOCKS_DONE, read)
            for i in range(n):
                seen += 1
                if nkept < target_rows:
                    slot = nkept
                else:
                    slot = <int64_t> (random_next(&state) % <uint64_t> seen)
                    if slot >= target_rows:
                        continue
                copy = <char *> malloc(lengths[i])
                if copy == NULL:
                    raise MemoryError
                memcpy(copy, headers[i], lengths[i])
                if slot == nkept:
                    nkept += 1
                    sample.rows = nkept
                else:
                    free(kept[slot])
                kept[slot] = copy
                places[slot] = <int64_t> ((<uint64_t> block << 16) | offsets[i])
            unlock_release_buffer(buf)
            buf = 0
        sort_by_place(kept, places, nkept)
    finally:
        if buf:
            unlock_release_buffer(buf)
        free(places)
    if read:
        sample.estimated = <int64_t> (<double> seen / read * nblocks + 0.5)
        sample.dead = <int64_t> (<double> dead / read * nblocks + 0.5)
    sample.blocks = <int> nblocks
    sample.blocks_read = <int> read
    return sample


cdef struct Placed:
    int64_t place
    char *row


cdef int compare_places(const void *a, const void *b) noexcept nogil:
    cdef int64_t left = (<const Placed *> a).place
    cdef int64_t right = (<const Placed *> b).place
    return (left > right) - (left < right)


cdef int sort_by_place(char **kept, const int64_t *places, int n) except -1:
    cdef Placed *all = <Placed *> malloc((n + 1) * sizeof(Placed))
    cdef int i
    if all == NULL:
        raise MemoryError
    for i in range(n):
        all[i].place = places[i]
        all[i].row = kept[i]
    qsort(all, n, sizeof(Placed), compare_places)
    for i in range(n):
        kept[i] = all[i].row
    free(all)
    return 0
