"""Checking a b-tree's structure (what contrib/amcheck's bt_index_parent_check checks).

The index is read whole; nobody may change it meanwhile (the caller holds a share lock on the table). Checked are: links
between pages of a level, the order of items, separators against items on both sides and against the pages below,
posting lists, line pointers, leftovers of splits and deletions, and that every TID is there once. With a heap: that
every row that is visible to the snapshot has its entry.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy
from tusk._types cimport (
    BLCKSZ, MAIN_FORK, BlockNumber, Datum, ItemPointerData, OffsetNumber, maxalign, tid_block, tid_offset,
)
from tusk.access._index cimport IndexFormer
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport (
    IndexTupleData, index_form_tuple_into, index_getattr, index_tuple_form_size, index_tuple_size,
)
from tusk.access.heap._build_scan cimport IndexBuildScan, begin_index_build_scan
from tusk.access.nbtree._layout cimport *
from tusk.access.nbtree._page cimport *
from tusk.access.nbtree._search cimport BTScanInsert, BTStack, bt_compare, bt_mkscankey, bt_search, tid_compare
from tusk.storage._buffer cimport (
    BUFFER_LOCK_SHARE, RBM_NORMAL, buffer_page, lock_buffer, read_buffer, relation_nblocks, unlock_release_buffer,
)
from tusk.storage._page cimport (
    ItemIdData, item_id_get_length, item_id_get_offset, item_id_has_storage, item_id_is_redirected, item_id_is_used,
    page_get_item, page_get_item_id, page_get_max_offset, page_header, page_is_new,
)

from tusk.errors import SqlError, errcode


cdef class Checker:
    """The state of one check."""

    cdef Relation rel
    cdef char *pages
    cdef BlockNumber nblocks
    cdef uint8_t *seen
    cdef long long nentries
    cdef long long nleaves
    cdef long long nhalfdead
    cdef long long nincomplete
    cdef long long npostings
    cdef set tids

    def __cinit__(self, Relation rel):
        cdef BlockNumber block
        cdef int buf
        self.rel = rel
        self.tids = set()
        self.nblocks = <BlockNumber> relation_nblocks(&rel.rd_locator, rel.relpersistence, MAIN_FORK)
        self.pages = <char *> malloc(<size_t> self.nblocks * BLCKSZ + 1)
        self.seen = <uint8_t *> calloc(self.nblocks + 1, 1)
        if self.pages == NULL or self.seen == NULL:
            raise MemoryError
        for block in range(self.nblocks):
            buf = read_buffer(&rel.rd_locator, rel.relpersistence, MAIN_FORK, block, RBM_NORMAL, NULL)
            lock_buffer(buf, BUFFER_LOCK_SHARE)
            memcpy(self.pages + <size_t> block * BLCKSZ, buffer_page(buf), BLCKSZ)
            unlock_release_buffer(buf)

    def __dealloc__(self):
        free(self.pages)
        free(self.seen)

    cdef object bad(self, str message, BlockNumber block, int offset=0):
        where = f"block {block}" + (f" offset {offset}" if offset else "")
        return SqlError(errcode.INDEX_CORRUPTED, f'{message} in index "{self.rel.name}"', detail=f"At {where}.")

    cdef char *page(self, BlockNumber block) except NULL:
        cdef char *page
        if block >= self.nblocks:
            raise self.bad("link beyond the end", block)
        page = self.pages + <size_t> block * BLCKSZ
        if page_is_new(page):
            raise self.bad("link to a zero page", block)
        if page_header(page).pd_special != BLCKSZ - sizeof(BTPageOpaqueData):
            raise self.bad("corrupted page", block)
        return page

    cdef int check_items(self, BlockNumber block) except -1:
        """Line pointers and tuples of a page by themselves."""
        cdef char *page = self.page(block)
        cdef BTPageOpaqueData *opaque = bt_opaque(page)
        cdef int maxoff = page_get_max_offset(page)
        cdef int i, n, p
        cdef ItemIdData *line
        cdef IndexTupleData *itup
        cdef ItemPointerData *tids
        cdef bint leaf = p_isleaf(opaque)
        cdef uint32_t size
        for i in range(1, maxoff + 1):
            line = page_get_item_id(page, <OffsetNumber> i)
            if not item_id_is_used(line) or item_id_is_redirected(line) or not item_id_has_storage(line):
                raise self.bad("invalid line pointer storage", block, i)
            if item_id_get_offset(line) < page_header(page).pd_upper or \
                    item_id_get_offset(line) + item_id_get_length(line) > page_header(page).pd_special:
                raise self.bad("line pointer points past the page's items", block, i)
            itup = <IndexTupleData *> page_get_item(page, line)
            size = index_tuple_size(itup)
            if maxalign(size) != maxalign(item_id_get_length(line)):
                raise self.bad("index tuple size does not equal lp_len", block, i)
            if leaf and i >= p_firstdatakey(opaque):
                if bt_is_pivot(itup):
                    raise self.bad("pivot tuple among a leaf's items", block, i)
                if not bt_is_posting(itup):
                    self.note(&itup.t_tid, block, i)
                    continue
                n = bt_nposting(itup)
                tids = bt_posting(itup)
                if n < 2 or bt_posting_offset(itup) + n * sizeof(ItemPointerData) > size:
                    raise self.bad("posting list does not fit its tuple", block, i)
                self.npostings += 1
                for p in range(n):
                    if p and tid_compare(&tids[p - 1], &tids[p]) >= 0:
                        raise self.bad("posting list contains misplaced TID", block, i)
                    self.note(&tids[p], block, i)
            elif not bt_is_pivot(itup):
                raise self.bad("pivot tuple expected", block, i)
        return 0

    cdef int note(self, const ItemPointerData *tid, BlockNumber block, int offset) except -1:
        key = (<long long> tid_block(tid) << 16) | tid_offset(tid)
        if key in self.tids:
            raise self.bad(f"TID ({tid_block(tid)},{tid_offset(tid)}) is there twice", block, offset)
        self.tids.add(key)
        self.nentries += 1
        return 0

    cdef int check_order(self, BlockNumber block) except -1:
        """Items ascend, and are not beyond the high key."""
        cdef char *page = self.page(block)
        cdef BTPageOpaqueData *opaque = bt_opaque(page)
        cdef int first = p_firstdatakey(opaque)
        cdef int maxoff = page_get_max_offset(page)
        cdef int i, c
        cdef IndexTupleData *itup
        cdef BTScanInsert key
        cdef ItemPointerData last
        for i in range(first, maxoff + 1):
            if not p_isleaf(opaque) and i == first:
                continue                                # minus infinity
            itup = <IndexTupleData *> page_get_item(page, page_get_item_id(page, <OffsetNumber> i))
            bt_mkscankey(self.rel, itup, &key)
            if i < maxoff:
                c = bt_compare(self.rel, &key, page, <OffsetNumber> (i + 1))
                if c > 0 or (c == 0 and key.scantid != NULL):
                    raise self.bad("item order invariant violated", block, i)
            if first == P_FIRSTKEY:
                if bt_is_posting(itup):
                    last = bt_max_heap_tid(itup)[0]
                    key.scantid = &last
                c = bt_compare(self.rel, &key, page, P_HIKEY)
                if c > 0 or (c == 0 and key.scantid != NULL and not p_isleaf(opaque)):
                    raise self.bad("high key invariant violated", block, i)
        return 0

    cdef int check_lower(self, BlockNumber block, const IndexTupleData *bound) except -1:
        """All of a page's items are above a separator (a pivot tuple)."""
        cdef char *page = self.page(block)
        cdef BTPageOpaqueData *opaque = bt_opaque(page)
        cdef int i, c
        cdef BTScanInsert key
        bt_mkscankey(self.rel, bound, &key)
        for i in range(p_firstdatakey(opaque), page_get_max_offset(page) + 1):
            if not p_isleaf(opaque) and i == p_firstdatakey(opaque):
                continue
            # A separator without a TID or all columns is below all that it is a prefix of.
            c = bt_compare(self.rel, &key, page, <OffsetNumber> i)
            if c > 0 or (c == 0 and key.scantid != NULL):
                raise self.bad("down-link lower bound invariant violated", block, i)
        return 0

    cdef bint same_key(self, const IndexTupleData *a, const IndexTupleData *b) except? -1:
        """Two pivots with the same key (their links differ)."""
        cdef uint32_t size = index_tuple_size(a)
        cdef uint32_t i
        if size != index_tuple_size(b) or a.t_info != b.t_info or a.t_tid.ip_posid != b.t_tid.ip_posid:
            return False
        for i in range(sizeof(IndexTupleData), size):
            if (<const char *> a)[i] != (<const char *> b)[i]:
                return False
        return True

    cdef BlockNumber check_level(self, BlockNumber leftmost, uint32_t level, bint is_root) except? 0xFFFFFFFF:
        """A level from left to right; returns the leftmost page of the level below (P_NONE for leaves)."""
        cdef BlockNumber block = leftmost
        cdef BlockNumber prev = P_NONE
        cdef BlockNumber below = P_NONE
        cdef BlockNumber child
        cdef char *page
        cdef char *cpage
        cdef BTPageOpaqueData *opaque
        cdef BTPageOpaqueData *copaque
        cdef int i, first, maxoff
        cdef IndexTupleData *itup
        cdef const IndexTupleData *upper
        cdef const IndexTupleData *high = NULL
        while block != P_NONE:
            page = self.page(block)
            opaque = bt_opaque(page)
            if self.seen[block]:
                raise self.bad("page is linked twice", block)
            self.seen[block] = 1
            if opaque.btpo_flags & BTP_DELETED:
                raise self.bad("deleted page is linked", block)
            if opaque.btpo_level != level:
                raise self.bad(f"level {opaque.btpo_level} page among those of level {level}", block)
            if p_isleaf(opaque) != (level == 0):
                raise self.bad("leaf flag does not suit the level", block)
            if opaque.btpo_prev != prev:
                raise self.bad(f"left link is {opaque.btpo_prev} instead of {prev}", block)
            if is_root and not (p_isroot(opaque) and p_rightmost(opaque)):
                raise self.bad("the root has a sibling or no root flag", block)
            if high != NULL:
                self.check_lower(block, high)
            high = NULL
            if p_ishalfdead(opaque):
                self.nhalfdead += 1
            else:
                self.check_items(block)
                self.check_order(block)
                if not p_rightmost(opaque):
                    high = <IndexTupleData *> page_get_item(page, page_get_item_id(page, P_HIKEY))
            if p_incomplete_split(opaque):
                self.nincomplete += 1
            if level == 0:
                self.nleaves += 1
            elif not p_ishalfdead(opaque):
                first = p_firstdatakey(opaque)
                maxoff = page_get_max_offset(page)
                if maxoff < first:
                    raise self.bad("upper page has no down-links", block)
                for i in range(first, maxoff + 1):
                    itup = <IndexTupleData *> page_get_item(page, page_get_item_id(page, <OffsetNumber> i))
                    child = bt_down_link(itup)
                    if i == first and prev == P_NONE:
                        below = child
                    cpage = self.page(child)
                    copaque = bt_opaque(cpage)
                    if copaque.btpo_level != level - 1:
                        raise self.bad(f"down-link to block {child} of level {copaque.btpo_level}", block, i)
                    if p_isdeleted(copaque):
                        raise self.bad(f"down-link to deleted block {child}", block, i)
                    if i > first:
                        if bt_natts(itup, self.rel.indnatts) < 1:
                            raise self.bad("down-link without a key", block, i)
                        self.check_lower(child, itup)
                    # The child's high key is the next separator here, unless its split was left incomplete.
                    if p_ishalfdead(copaque) or p_incomplete_split(copaque) or p_incomplete_split(opaque):
                        continue
                    upper = NULL
                    if i < maxoff:
                        upper = <IndexTupleData *> page_get_item(page, page_get_item_id(page, <OffsetNumber> (i + 1)))
                    elif not p_rightmost(opaque):
                        upper = <IndexTupleData *> page_get_item(page, page_get_item_id(page, P_HIKEY))
                    if upper == NULL:
                        if not p_rightmost(copaque):
                            raise self.bad(f"rightmost down-link leads to block {child}, not the rightmost", block, i)
                    elif p_rightmost(copaque):
                        raise self.bad(f"down-link to rightmost block {child} has a right neighbour", block, i)
                    elif self.nhalfdead == 0 and not self.same_key(
                            upper, <IndexTupleData *> page_get_item(cpage, page_get_item_id(cpage, P_HIKEY))):
                        raise self.bad(f"high key of child {child} differs from the separator", block, i)
            prev = block
            block = opaque.btpo_next
        return below

    cdef int check_tree(self) except -1:
        cdef char *page
        cdef BTMetaPageData *meta
        cdef BlockNumber block
        cdef BlockNumber root
        cdef uint32_t level
        if self.nblocks == 0:
            raise self.bad("no metapage", 0)
        page = self.page(0)
        meta = bt_meta(page)
        if not bt_opaque(page).btpo_flags & BTP_META or meta.btm_magic != BTREE_MAGIC:
            raise self.bad("not a b-tree metapage", 0)
        if meta.btm_version != BTREE_VERSION:
            raise self.bad(f"version {meta.btm_version}", 0)
        self.seen[0] = 1
        root = meta.btm_root
        level = meta.btm_level
        if root == P_NONE:
            return 0
        if meta.btm_fastlevel > level:
            raise self.bad("fast root above the root", 0)
        # The level of the half-dead leaves' parents may have lost links to them: look for these first.
        for block in range(1, self.nblocks):
            page = self.pages + <size_t> block * BLCKSZ
            if not page_is_new(page) and p_ishalfdead(bt_opaque(page)):
                self.nhalfdead = 1
        block = root
        while True:
            block = self.check_level(block, level, level == meta.btm_level)
            if level == 0:
                break
            level -= 1
        for block in range(1, self.nblocks):
            page = self.pages + <size_t> block * BLCKSZ
            if not self.seen[block] and not page_is_new(page) and not p_isdeleted(bt_opaque(page)):
                raise self.bad("page is not linked", block)
        return 0

    cdef int check_targets(self, list kinds, bint unique) except -1:
        """Every entry leads to a line pointer that an index may lead to; keys of a unique index are unique.

        ``kinds`` are the HeapChecker's of the table: see there. Leaves are taken from left to right.
        """
        cdef BlockNumber block = bt_meta(self.page(0)).btm_root
        cdef char *page
        cdef BTPageOpaqueData *opaque
        cdef IndexTupleData *itup
        cdef IndexTupleData *last = NULL
        cdef ItemPointerData *tids
        cdef BTScanInsert key
        cdef int i, p, n, live
        cdef long long live_of_key = 0
        if block == P_NONE:
            return 0
        page = self.page(block)
        while not p_isleaf(bt_opaque(page)):
            itup = <IndexTupleData *> page_get_item(
                page, page_get_item_id(page, <OffsetNumber> p_firstdatakey(bt_opaque(page))))
            block = bt_down_link(itup)
            page = self.page(block)
        while block != P_NONE:
            page = self.page(block)
            opaque = bt_opaque(page)
            for i in range(p_firstdatakey(opaque), page_get_max_offset(page) + 1):
                if p_ishalfdead(opaque):
                    break
                itup = <IndexTupleData *> page_get_item(page, page_get_item_id(page, <OffsetNumber> i))
                tids = &itup.t_tid
                n = 1
                if bt_is_posting(itup):
                    tids = bt_posting(itup)
                    n = bt_nposting(itup)
                live = 0
                for p in range(n):
                    live += self.check_target(kinds, &tids[p], block, i)
                if not unique:
                    continue
                bt_mkscankey(self.rel, itup, &key)
                key.scantid = NULL
                if key.anynullkeys and not self.rel.indnullsnotdistinct:
                    last = NULL
                    continue
                # Equal to the item before, wherever that is: two leaves or neighbours on one.
                if last == NULL or self.differs(last, itup):
                    live_of_key = 0
                live_of_key += live
                last = itup
                if live_of_key > 1:
                    raise self.bad("two live rows with the same key in unique", block, i)
            block = opaque.btpo_next
        return 0

    cdef bint differs(self, IndexTupleData *a, IndexTupleData *b) except? -1:
        """The key columns of two leaf items differ."""
        cdef int i, c
        cdef Datum x, y
        cdef uint8_t xnull, ynull
        for i in range(self.rel.indnkeyatts):
            x = index_getattr(a, i + 1, &self.rel.desc.c, &xnull)
            y = index_getattr(b, i + 1, &self.rel.desc.c, &ynull)
            if xnull or ynull:
                if xnull != ynull:
                    return True
                continue
            c = self.rel.keys[i].cmp.fn(x, y, self.rel.keys[i].cmp.state)
            if c != 0:
                return True
        return False

    cdef int check_target(self, list kinds, const ItemPointerData *tid, BlockNumber block, int offset) except -1:
        """1 if the entry leads to a live row."""
        cdef BlockNumber heap_block = tid_block(tid)
        cdef OffsetNumber heap_offset = tid_offset(tid)
        cdef bytes page
        cdef int kind
        if heap_block >= <BlockNumber> len(kinds):
            raise self.bad(f"entry for TID ({heap_block},{heap_offset}) beyond the end of the table", block, offset)
        page = kinds[heap_block]
        if page is None:
            return 0                        # a page that cannot be read
        if heap_offset < 1 or heap_offset >= len(page):
            raise self.bad(f"entry for TID ({heap_block},{heap_offset}) beyond the line pointers of its page", block,
                           offset)
        kind = page[heap_offset]
        if kind == 0:
            raise self.bad(f"entry for TID ({heap_block},{heap_offset}), an unused line pointer,", block, offset)
        if kind == 2:
            raise self.bad(f"entry for TID ({heap_block},{heap_offset}), a heap-only tuple,", block, offset)
        return kind == 3

    cdef int check_heap(self, Relation heap, IndexFormer former) except -1:
        """Every row that anybody may see has an entry with its values (heapallindexed)."""
        cdef IndexBuildScan scan = begin_index_build_scan(heap, False, None)
        cdef Datum values[32]
        cdef uint8_t nulls[32]
        cdef char room[BLCKSZ]
        cdef uint32_t size
        cdef IndexTupleData *itup = <IndexTupleData *> room
        cdef BTScanInsert key
        cdef BTStack stack
        cdef int buf, i
        cdef char *page
        cdef bint found
        cdef int maxoff
        try:
            while scan.next():
                if not former.form(&scan.tup, values, nulls):
                    continue
                size = index_tuple_form_size(&self.rel.desc.c, values, nulls)
                index_form_tuple_into(&self.rel.desc.c, values, nulls, itup, size)
                itup.t_tid = scan.tid
                bt_mkscankey(self.rel, itup, &key)
                buf = bt_search(self.rel, heap, &key, BT_READ, &stack)
                found = False
                if buf:
                    page = buffer_page(buf)
                    maxoff = page_get_max_offset(page)
                    for i in range(p_firstdatakey(bt_opaque(page)), maxoff + 1):
                        if bt_compare(self.rel, &key, page, <OffsetNumber> i) == 0:
                            found = True
                            break
                    unlock_release_buffer(buf)
                if not found:
                    raise SqlError(
                        errcode.DATA_CORRUPTED,
                        f'heap tuple ({tid_block(&scan.tid)},{tid_offset(&scan.tid)}) from table "{heap.name}" lacks '
                        f'matching index tuple within index "{self.rel.name}"')
        finally:
            scan.end()
        return 0


def check_index(Relation index, Relation heap=None, IndexFormer former=None, list kinds=None):
    """Check the structure, and with a heap that all of its rows are there. Raises XX002, or returns counts.

    With the ``kinds`` of a HeapChecker also that every entry leads to a row. As each TID is there once and each row has
    its entry, the entry of a live row then has the row's key.
    """
    cdef Checker checker = Checker(index)
    cdef BTMetaPageData *meta
    checker.check_tree()
    if kinds is not None:
        checker.check_targets(kinds, index.indisunique and index.indisvalid)
    if heap is not None:
        checker.check_heap(heap, former if former is not None else IndexFormer(heap, index))
    meta = bt_meta(checker.pages)
    return {"blocks": checker.nblocks, "levels": meta.btm_level + 1 if meta.btm_root else 0,
            "leaves": checker.nleaves, "entries": checker.nentries, "posting_lists": checker.npostings,
            "half_dead": checker.nhalfdead, "incomplete_splits": checker.nincomplete}
