"""Building a b-tree from sorted index tuples, level by level (nbtsort.c).

Tuples arrive in index order. Leaves are filled to the fillfactor, upper levels to 70 %; each page that fills up hands
its low key to the level above. Equal tuples of a non-unique index whose operator classes all call equality "image
equality" are merged into posting lists first. Finished pages go to a sink, which may write, log or keep them.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memmove, memset
from tusk._types cimport BLCKSZ, BlockNumber, Datum, ItemPointerData, OffsetNumber, maxalign
from tusk.access._compare cimport Comparator
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport (
    INDEX_SIZE_MASK, IndexTupleData, datum_is_equal, index_deform_tuple, index_form_tuple_into, index_getattr,
    index_tuple_form_size, index_tuple_size)
from tusk.access._tupdesc cimport TupleDesc, TupleDescData
from tusk.access.nbtree._layout cimport *
from tusk.storage._page cimport (
    ItemIdData, PageHeaderData, item_id_get_length, item_id_set_unused, page_add_item, page_get_free_space,
    page_get_item, page_get_item_id, page_get_max_offset, page_header, page_index_tuple_overwrite, page_init)

from tusk.errors import SqlError, errcode

cdef enum:
    INDEX_MAX_KEYS = 32
    MAX_POSTING_SIZE = 812          # a tenth of a page, aligned down, without the line pointer


cdef class PageSink:
    cdef int put(self, BlockNumber block, char *page) except -1:
        raise NotImplementedError

    cdef int finish(self, BlockNumber nblocks) except -1:
        return 0


cdef class MemorySink(PageSink):
    """Keeps the pages, as bytearrays in block order."""

    def __init__(self):
        self.pages = []

    cdef int put(self, BlockNumber block, char *page) except -1:
        while len(self.pages) <= <Py_ssize_t> block:
            self.pages.append(None)
        self.pages[block] = bytearray(page[:BLCKSZ])
        return 0


cdef void bt_init_metapage(char *page, BlockNumber root, uint32_t level, bint allequalimage) noexcept nogil:
    cdef BTMetaPageData *meta
    page_init(page, BLCKSZ, sizeof(BTPageOpaqueData))
    meta = bt_meta(page)
    meta.btm_magic = BTREE_MAGIC
    meta.btm_version = BTREE_VERSION
    meta.btm_root = root
    meta.btm_level = level
    meta.btm_fastroot = root
    meta.btm_fastlevel = level
    meta.btm_last_cleanup_num_delpages = 0
    meta.btm_last_cleanup_num_heap_tuples = -1.0
    meta.btm_allequalimage = allequalimage
    bt_opaque(page).btpo_flags = BTP_META
    page_header(page).pd_lower = 24 + sizeof(BTMetaPageData)


cdef IndexTupleData *copy_tuple(const IndexTupleData *itup) except NULL:
    cdef uint32_t size = index_tuple_size(itup)
    cdef IndexTupleData *copy = <IndexTupleData *> malloc(size)
    if copy == NULL:
        raise MemoryError
    memcpy(copy, itup, size)
    return copy


cdef IndexTupleData *bt_form_posting(const IndexTupleData *base, const ItemPointerData *htids,
                                     int nhtids) except NULL:
    """A tuple with the key of base and these heap TIDs, malloc'ed; plain when there is one TID."""
    cdef uint32_t keysize = bt_posting_offset(base) if bt_is_posting(base) else index_tuple_size(base)
    cdef uint32_t size = <uint32_t> maxalign(keysize + nhtids * 6) if nhtids > 1 else keysize
    cdef IndexTupleData *itup = <IndexTupleData *> calloc(1, size)
    if itup == NULL:
        raise MemoryError
    memcpy(itup, base, keysize)
    itup.t_info = <uint16_t> ((itup.t_info & ~INDEX_SIZE_MASK) | size)
    if nhtids > 1:
        bt_set_posting(itup, nhtids, keysize)
        memcpy(bt_posting(itup), htids, nhtids * 6)
    else:
        itup.t_info &= <uint16_t> (~INDEX_ALT_TID_MASK & 0xFFFF)
        itup.t_tid = htids[0]
    return itup


cdef int bt_keep_natts(TupleDesc desc, int nkeyatts, Comparator *comparators, const IndexTupleData *lastleft,
                       const IndexTupleData *firstright) except -1:
    """How many leading attributes a separator needs; nkeyatts + 1 when all are equal (_bt_keep_natts)."""
    cdef int i, result
    cdef uint8_t null1, null2
    cdef Datum d1, d2
    for i in range(nkeyatts):
        d1 = index_getattr(lastleft, i + 1, &desc.c, &null1)
        d2 = index_getattr(firstright, i + 1, &desc.c, &null2)
        if null1 != null2:
            return i + 1
        if null1:
            continue
        if comparators == NULL or comparators[i].fn == NULL:
            if not datum_is_equal(d1, d2, desc.attrs[i].attbyval, desc.attrs[i].attlen):
                return i + 1
        else:
            result = comparators[i].fn(d1, d2, comparators[i].state)
            if result != 0:
                return i + 1
    return nkeyatts + 1


cdef IndexTupleData *truncate_to(TupleDesc desc, const IndexTupleData *source, int leavenatts) except NULL:
    """A copy with the first leavenatts attributes only (index_truncate_tuple)."""
    cdef Datum values[INDEX_MAX_KEYS]
    cdef uint8_t nulls[INDEX_MAX_KEYS]
    cdef TupleDescData shorter = desc.c
    cdef uint32_t size
    cdef IndexTupleData *result
    if leavenatts == desc.natts:
        return copy_tuple(source)
    index_deform_tuple(source, &desc.c, values, nulls)
    shorter.natts = leavenatts
    size = index_tuple_form_size(&shorter, values, nulls)
    result = <IndexTupleData *> calloc(1, size)
    if result == NULL:
        raise MemoryError
    try:
        index_form_tuple_into(&shorter, values, nulls, result, size)
    except BaseException:
        free(result)
        raise
    result.t_tid = source.t_tid
    return result


cdef IndexTupleData *bt_truncate(TupleDesc desc, int nkeyatts, Comparator *comparators,
                                 const IndexTupleData *lastleft, const IndexTupleData *firstright) except NULL:
    cdef int keepnatts = bt_keep_natts(desc, nkeyatts, comparators, lastleft, firstright)
    cdef IndexTupleData *pivot = truncate_to(desc, firstright, keepnatts if keepnatts < nkeyatts else nkeyatts)
    cdef IndexTupleData *tidpivot
    cdef uint32_t size
    if bt_is_posting(pivot):
        size = <uint32_t> maxalign(bt_posting_offset(firstright))
        pivot.t_info = <uint16_t> ((pivot.t_info & ~INDEX_SIZE_MASK) | size)
    if keepnatts <= nkeyatts:
        bt_set_natts(pivot, keepnatts, False)
        return pivot
    size = <uint32_t> maxalign(index_tuple_size(pivot)) + 8
    tidpivot = <IndexTupleData *> calloc(1, size)
    if tidpivot == NULL:
        free(pivot)
        raise MemoryError
    memcpy(tidpivot, pivot, index_tuple_size(pivot))
    free(pivot)
    tidpivot.t_info = <uint16_t> ((tidpivot.t_info & ~INDEX_SIZE_MASK) | size)
    bt_set_natts(tidpivot, nkeyatts, True)
    memcpy(<char *> tidpivot + size - 6, bt_max_heap_tid(lastleft), 6)
    return tidpivot


cdef int add_item(char *page, const IndexTupleData *itup, uint32_t size, OffsetNumber offset,
                  bint newfirstdataitem) except -1:
    """Put a tuple on a page; the first data item of an upper page loses its key (_bt_sortaddtup)."""
    cdef IndexTupleData truncated
    if newfirstdataitem:
        truncated = itup[0]
        truncated.t_info = sizeof(IndexTupleData)
        bt_set_natts(&truncated, 0, False)
        itup = &truncated
        size = sizeof(IndexTupleData)
    if page_add_item(page, itup, size, offset, 0) == 0:
        raise RuntimeError("failed to add item to the index page")
    return 0


cdef class BTBuilder:
    """``BTBuilder(sink, desc, nkeyatts, allequalimage, unique)``; then `add` in order, and `finish`."""

    def __cinit__(self, PageSink sink, TupleDesc desc, int nkeyatts, bint allequalimage, bint unique,
                  int fillfactor=90, bint deduplicate_items=True, object index_name="", Relation index=None):
        cdef int i
        self.sink = sink
        self.desc = desc
        self.nkeyatts = nkeyatts
        self.allequalimage = allequalimage
        self.deduplicate = allequalimage and not unique and deduplicate_items
        self.fillfactor = fillfactor
        self.npages = 1
        self.index_name = index_name
        self.htids = <ItemPointerData *> malloc(MAX_POSTING_SIZE + 8)
        if self.htids == NULL:
            raise MemoryError
        if index is not None:
            self.comparators = <Comparator *> calloc(nkeyatts, sizeof(Comparator))
            if self.comparators == NULL:
                raise MemoryError
            for i in range(nkeyatts):
                self.comparators[i] = index.keys[i].cmp

    def __dealloc__(self):
        cdef int i
        for i in range(self.nlevels):
            free(self.levels[i].lowkey)
            free(self.levels[i])
        free(self.base)
        free(self.htids)
        free(self.comparators)

    def add_bytes(self, bytes itup):
        """`add` for Python callers."""
        self.add(<const IndexTupleData *> <const char *> itup)

    def finish_build(self):
        """`finish` for Python callers."""
        return self.finish()

    cdef int _keep_natts(self, const IndexTupleData *lastleft, const IndexTupleData *firstright,
                         bint by_image) except -1:
        return bt_keep_natts(self.desc, self.nkeyatts, NULL if by_image else self.comparators, lastleft, firstright)

    cdef BuildLevel *_new_level(self, uint32_t level) except NULL:
        cdef BuildLevel *state = <BuildLevel *> calloc(1, sizeof(BuildLevel))
        if state == NULL:
            raise MemoryError
        state.level = level
        self._new_page(state)
        state.lastoff = P_HIKEY
        state.full = BLCKSZ * (100 - (BTREE_NONLEAF_FILLFACTOR if level else self.fillfactor)) // 100
        self.levels[level] = state
        self.nlevels = level + 1
        return state

    cdef void _new_page(self, BuildLevel *state) noexcept:
        """An empty page with the high key's line pointer reserved."""
        cdef BTPageOpaqueData *opaque
        page_init(state.page, BLCKSZ, sizeof(BTPageOpaqueData))
        opaque = bt_opaque(state.page)
        opaque.btpo_level = state.level
        opaque.btpo_flags = 0 if state.level else BTP_LEAF
        page_header(state.page).pd_lower += sizeof(ItemIdData)
        state.block = self.npages
        self.npages += 1

    cdef int _add_to_level(self, int i_level, const IndexTupleData *itup, uint32_t truncextra) except -1:
        cdef BuildLevel *state = self.levels[i_level]
        cdef bint isleaf = state.level == 0
        cdef uint32_t space = page_get_free_space(state.page)
        cdef uint32_t size = <uint32_t> maxalign(index_tuple_size(itup))
        cdef uint32_t last_truncextra = state.lastextra
        cdef OffsetNumber last_off = state.lastoff
        cdef char old_page[8192]
        cdef BlockNumber old_block
        cdef ItemIdData *ii
        cdef ItemIdData *hii
        cdef IndexTupleData *oitup
        cdef IndexTupleData *lastleft
        cdef IndexTupleData *truncated
        state.lastextra = truncextra
        if size > BTMaxItemSize and isleaf:
            raise SqlError(
                errcode.PROGRAM_LIMIT_EXCEEDED,
                f'index row size {size} exceeds btree version 4 maximum {<int> BTMaxItemSize} '
                f'for index "{self.index_name}"',
                hint="Values larger than 1/3 of a buffer page cannot be indexed.\n"
                     "Consider a function index of an MD5 hash of the value, or use full text indexing.")
        if space < size + (8 if isleaf else 0) or (space + last_truncextra < state.full and last_off > P_FIRSTKEY):
            if last_off <= P_FIRSTKEY:
                raise RuntimeError("b-tree page cannot hold two items")
            memcpy(old_page, state.page, BLCKSZ)
            old_block = state.block
            self._new_page(state)
            # The last item moves on to be the first of the new page; in its old place it becomes the high key.
            ii = page_get_item_id(old_page, last_off)
            oitup = <IndexTupleData *> page_get_item(old_page, ii)
            add_item(state.page, oitup, item_id_get_length(ii), P_FIRSTKEY, not isleaf)
            hii = page_get_item_id(old_page, P_HIKEY)
            hii[0] = ii[0]
            item_id_set_unused(ii)
            page_header(old_page).pd_lower -= sizeof(ItemIdData)
            if isleaf:
                lastleft = <IndexTupleData *> page_get_item(old_page, page_get_item_id(old_page, last_off - 1))
                truncated = bt_truncate(self.desc, self.nkeyatts, self.comparators, lastleft, oitup)
                if not page_index_tuple_overwrite(old_page, P_HIKEY, truncated, index_tuple_size(truncated)):
                    free(truncated)
                    raise RuntimeError("failed to add high key to the index page")
                free(truncated)
                oitup = <IndexTupleData *> page_get_item(old_page, page_get_item_id(old_page, P_HIKEY))
            if self.nlevels == i_level + 1:
                self._new_level(state.level + 1)
            bt_set_down_link(state.lowkey, old_block)
            self._add_to_level(i_level + 1, state.lowkey, 0)
            free(state.lowkey)
            state.lowkey = NULL
            state.lowkey = copy_tuple(oitup)
            bt_opaque(old_page).btpo_next = state.block
            bt_opaque(state.page).btpo_prev = old_block
            self.sink.put(old_block, old_page)
            last_off = P_FIRSTKEY
        if last_off == P_HIKEY:
            # The first item of the level: its page's low key is minus infinity.
            state.lowkey = <IndexTupleData *> calloc(1, sizeof(IndexTupleData))
            if state.lowkey == NULL:
                raise MemoryError
            state.lowkey.t_info = sizeof(IndexTupleData)
            bt_set_natts(state.lowkey, 0, False)
        last_off += 1
        add_item(state.page, itup, size, last_off, not isleaf and last_off == P_FIRSTKEY)
        state.lastoff = last_off
        return 0

    cdef int _start_pending(self, const IndexTupleData *itup) except -1:
        free(self.base)
        self.base = NULL
        self.base = copy_tuple(itup)
        self.htids[0] = itup.t_tid
        self.nhtids = 1
        self.nitems = 1
        self.basetupsize = index_tuple_size(itup)
        return 0

    cdef int _finish_pending(self) except -1:
        cdef IndexTupleData *posting
        cdef uint32_t truncextra
        if self.nitems == 1:
            return self._add_to_level(0, self.base, 0)
        posting = bt_form_posting(self.base, self.htids, self.nhtids)
        truncextra = index_tuple_size(posting) - bt_posting_offset(posting)
        try:
            self._add_to_level(0, posting, truncextra)
        finally:
            free(posting)
        return 0

    cdef int add(self, const IndexTupleData *itup) except -1:
        if self.nlevels == 0:
            self._new_level(0)
            if self.deduplicate:
                return self._start_pending(itup)
        if not self.deduplicate:
            return self._add_to_level(0, itup, 0)
        if self._keep_natts(self.base, itup, True) > self.nkeyatts and \
                maxalign(self.basetupsize + (self.nhtids + 1) * 6) <= MAX_POSTING_SIZE:
            self.htids[self.nhtids] = itup.t_tid
            self.nhtids += 1
            self.nitems += 1
            return 0
        self._finish_pending()
        return self._start_pending(itup)

    cdef BlockNumber finish(self) except 0:
        cdef BlockNumber root = P_NONE
        cdef uint32_t root_level = 0
        cdef int i_level = 0
        cdef BuildLevel *state
        cdef PageHeaderData *header
        cdef OffsetNumber maxoff
        cdef char meta[8192]
        if self.deduplicate and self.nlevels:
            self._finish_pending()
        while i_level < self.nlevels:
            state = self.levels[i_level]
            if i_level + 1 == self.nlevels:
                bt_opaque(state.page).btpo_flags |= BTP_ROOT
                root = state.block
                root_level = state.level
            else:
                bt_set_down_link(state.lowkey, state.block)
                self._add_to_level(i_level + 1, state.lowkey, 0)
            # The rightmost page has no high key: the line pointers move up by one.
            header = page_header(state.page)
            maxoff = page_get_max_offset(state.page)
            memmove(page_get_item_id(state.page, 1), page_get_item_id(state.page, 2), (maxoff - 1) * sizeof(ItemIdData))
            page_get_item_id(state.page, maxoff)[0] = 0
            header.pd_lower -= sizeof(ItemIdData)
            self.sink.put(state.block, state.page)
            i_level += 1
        memset(meta, 0, BLCKSZ)
        bt_init_metapage(meta, root, root_level, self.allequalimage)
        self.sink.put(BTREE_METAPAGE, meta)
        self.sink.finish(self.npages)
        return self.npages
