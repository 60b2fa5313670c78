"""Building a b-tree from the rows of its table: scan, sort, load (nbtsort.c)."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset
from tusk._types cimport BLCKSZ, MAIN_FORK, BlockNumber, Datum, ForkNumber
from tusk.access._index cimport IndexFormer
from tusk.access._relation cimport Relation, relation_needs_wal
from tusk.access._tuple cimport (
    IndexTupleData, index_form_tuple_into, index_tuple_form_size, index_tuple_size,
)
from tusk.access.heap._build_scan cimport IndexBuildScan, begin_index_build_scan
from tusk.access.nbtree._build cimport BTBuilder, PageSink, bt_init_metapage
from tusk.access.nbtree._insert cimport bt_check_third_page
from tusk.access.nbtree._layout cimport *
from tusk.access.nbtree._sort cimport TupleSorter, compare_index_keys
from tusk.memory._critical cimport critical_end, critical_start
from tusk.memory._interrupts cimport InterruptPending, check_for_interrupts
from tusk.stats._progress cimport progress_update_param
from tusk.storage._buffer cimport (
    EB_SKIP_EXTENSION_LOCK, RBM_ZERO_AND_LOCK, buffer_page, extend_relation_by,
    mark_buffer_dirty, read_buffer, relation_nblocks, release_buffer,
    unlock_release_buffer,
)
from tusk.wal._insert cimport log_newpages

from tusk.access.nbtree.keys import duplicated_key_error
from tusk.config import settings
from tusk.errors import SqlError, errcode

# Set by `catalog`: (index) -> whether all key columns' operator classes say that equal values are the same bytes.
_find_equal_image = None


def set_equal_image_finder(function):
    """Name the function that calls the operator classes' support function 4 (equalimage)."""
    global _find_equal_image
    _find_equal_image = function


# Types whose built-in operator class promises that equal values have equal bytes.
_IMAGE_TYPES = frozenset({
    16, 17, 18, 19, 20, 21, 23, 25, 26, 27, 30, 774, 790, 829, 869, 1042, 1082, 1083, 1114, 1184, 1266, 1560, 1562,
    2950, 3220, 3500, 5069,
})


cdef bint equal_image_keys(Relation rel) except -1:
    """_bt_allequalimage: may the index merge equal keys? Never with INCLUDE columns."""
    cdef int i
    if rel.indnatts != rel.indnkeyatts:
        return False
    if _find_equal_image is not None:
        return bool(_find_equal_image(rel))
    for i in range(rel.indnkeyatts):
        if rel.keys[i].opcintype not in _IMAGE_TYPES:
            return False
    return True


cdef enum:                          # progress of CREATE INDEX: parameters, and values of the first
    SUBPHASE = 10
    TUPLES_TOTAL = 11
    TUPLES_DONE = 12
    TABLE_SCAN = 2
    SORT = 3
    LOAD = 5


cdef class RelationSink(PageSink):
    """Puts finished pages into a relation that has none, through the buffer pool, and logs them."""

    def __init__(self, Relation rel, ForkNumber fork=MAIN_FORK, bint log=True):
        self.rel = rel
        self.fork = fork
        self.log = log

    cdef int put(self, BlockNumber block, char *page) except -1:
        cdef int extended[64]
        cdef BlockNumber first
        cdef int i, n, buf
        # Pages of upper levels come later than their numbers: leave room for them.
        while self.nblocks <= block:
            n = <int> (block + 1 - self.nblocks)
            n = extend_relation_by(&self.rel.rd_locator, self.rel.relpersistence, self.fork, NULL,
                                   EB_SKIP_EXTENSION_LOCK, n if n < 64 else 64, extended, &first)
            for i in range(n):
                release_buffer(extended[i])
            self.nblocks = first + n
        buf = read_buffer(&self.rel.rd_locator, self.rel.relpersistence, self.fork, block, RBM_ZERO_AND_LOCK, NULL)
        memcpy(buffer_page(buf), page, BLCKSZ)
        if not self.log:
            mark_buffer_dirty(buf)
            unlock_release_buffer(buf)
            return 0
        self.buffers[self.nwaiting] = buf
        self.blocks[self.nwaiting] = block
        self.pages[self.nwaiting] = buffer_page(buf)
        self.nwaiting += 1
        if self.nwaiting == 32:
            self.flush()
        if InterruptPending:
            check_for_interrupts()
        return 0

    cdef int flush(self) except -1:
        """Log the pages that wait, and let them go."""
        cdef int i
        if self.nwaiting == 0:
            return 0
        critical_start()
        for i in range(self.nwaiting):
            mark_buffer_dirty(self.buffers[i])
        log_newpages(&self.rel.rd_locator, self.fork, self.nwaiting, self.blocks, self.pages, True)
        critical_end()
        for i in range(self.nwaiting):
            unlock_release_buffer(self.buffers[i])
        self.nwaiting = 0
        return 0

    cdef int finish(self, BlockNumber nblocks) except -1:
        return self.flush()


cdef int bt_build_empty(Relation rel, ForkNumber fork, bint allequalimage) except -1:
    """Write the metapage of an empty index (btbuildempty). The init fork of unlogged indexes is always logged."""
    cdef char page[BLCKSZ]
    cdef RelationSink sink = RelationSink(rel, fork, relation_needs_wal(rel) or fork != MAIN_FORK)
    memset(page, 0, BLCKSZ)
    bt_init_metapage(page, P_NONE, 0, allequalimage)
    sink.put(BTREE_METAPAGE, page)
    return sink.finish(1)


def build_empty(Relation rel, int fork=MAIN_FORK):
    """An empty index in a fork that has no pages."""
    bt_build_empty(rel, fork, equal_image_keys(rel))


def build_index(Relation heap, Relation index, IndexFormer former=None):
    """Fill an index that has no pages: (rows of the table, entries, whether a HOT chain is broken) (btbuild)."""
    cdef IndexBuildScan scan
    cdef TupleSorter sorter
    cdef BTBuilder builder
    cdef RelationSink sink
    cdef Datum values[32]
    cdef uint8_t nulls[32]
    cdef char *room = NULL
    cdef uint32_t room_size = 0
    cdef uint32_t size
    cdef IndexTupleData *itup
    cdef IndexTupleData *last = NULL
    cdef uint32_t last_size = 0
    cdef bint dead
    cdef bint anynull
    cdef int64_t nloaded = 0
    cdef bint unique = index.indisunique
    cdef bint equalimage = equal_image_keys(index)
    cdef int c
    if relation_nblocks(&index.rd_locator, index.relpersistence, MAIN_FORK) != 0:
        raise SqlError(errcode.INTERNAL_ERROR, f'index "{index.name}" already contains data')
    if former is None:
        former = IndexFormer(heap, index)
    sorter = TupleSorter(index, <size_t> settings.maintenance_work_mem * 1024)
    scan = begin_index_build_scan(heap, unique, None)
    progress_update_param(SUBPHASE, TABLE_SCAN)
    try:
        while scan.next():
            if InterruptPending:
                check_for_interrupts()
            if not former.form(&scan.tup, values, nulls):
                continue                            # a partial index does not want it
            size = index_tuple_form_size(&index.desc.c, values, nulls)
            if size > room_size:
                free(room)
                room_size = size * 2
                room = <char *> malloc(room_size)
                if room == NULL:
                    raise MemoryError
            itup = <IndexTupleData *> room
            index_form_tuple_into(&index.desc.c, values, nulls, itup, size)
            itup.t_tid = scan.tid
            if size > BTMaxItemSize:
                bt_check_third_page(index, heap, itup, size)
            if not scan.alive:
                # Not to be looked at for uniqueness; the bit has no other meaning before tuples are on a page.
                itup.t_info |= INDEX_ALT_TID_MASK
            sorter.put(itup)
        progress_update_param(SUBPHASE, SORT)
        sorter.finish()
        progress_update_param(SUBPHASE, LOAD)
        progress_update_param(TUPLES_TOTAL, sorter.ntuples)
        sink = RelationSink(index, MAIN_FORK, relation_needs_wal(index))
        builder = BTBuilder(sink, index.desc, index.indnkeyatts, equalimage, unique, index.fillfactor,
                            index.deduplicate_items, index.name, index)
        while True:
            itup = sorter.next()
            if itup == NULL:
                break
            dead = (itup.t_info & INDEX_ALT_TID_MASK) != 0
            itup.t_info &= <uint16_t> (~INDEX_ALT_TID_MASK & 0xFFFF)
            if unique and not dead:
                if last != NULL:
                    anynull = False
                    c = compare_index_keys(index, last, itup, 0, &anynull)
                    if c == 0 and (not anynull or index.indnullsnotdistinct):
                        raise duplicated_key_error(index, heap, (<char *> itup)[:index_tuple_size(itup)])
                if last_size < index_tuple_size(itup):
                    free(last)
                    last = NULL
                    last_size = index_tuple_size(itup) * 2
                    last = <IndexTupleData *> malloc(last_size)
                    if last == NULL:
                        raise MemoryError
                memcpy(last, itup, index_tuple_size(itup))
            builder.add(itup)
            nloaded += 1
            if nloaded % 1024 == 0:
                progress_update_param(TUPLES_DONE, nloaded)
        progress_update_param(TUPLES_DONE, nloaded)
        builder.finish()
    finally:
        scan.end()
        free(room)
        free(last)
    return scan.reltuples, float(sorter.ntuples), bool(scan.broken_hot_chain)
