"""VACUUM of b-trees.

The index is read in block order, each leaf under a cleanup lock: a scan that holds a pin may be about to visit the rows
of entries it has noted. A leaf that has become empty is deleted in two steps. First it is marked half-dead and its
entry leaves the parent (with it go parents that would be left without children); then each page of that branch is
unlinked from its siblings, top down. Deleted pages stay readable, so that scans on their way to them find the right
sibling, and are recycled when no transaction of that time is left.
"""

from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memset
from tusk._types cimport BLCKSZ, MAIN_FORK, BlockNumber, InvalidBlockNumber, ItemPointerData, Lsn, OffsetNumber
from tusk.access._index cimport IndexVacuumStats, tid_is_dead
from tusk.access._relation cimport Relation, relation_needs_wal
from tusk.access._tuple cimport IndexTupleData, index_tuple_size
from tusk.access._vacuum_cost cimport vacuum_delay_point, vacuum_strategy
from tusk.access.heap._scan cimport vis_kind
from tusk.access.nbtree._cycle cimport bt_end_vacuum, bt_start_vacuum
from tusk.access.nbtree._delete cimport BTVacuumPosting, bt_delitems_vacuum
from tusk.access.nbtree._insert cimport bt_getstackbuf
from tusk.access.nbtree._layout cimport *
from tusk.access.nbtree._page cimport *
from tusk.access.nbtree._records cimport *
from tusk.access.nbtree._search cimport BTScanInsert, BTStack, bt_mkscankey, bt_search
from tusk.memory._critical cimport critical_end, critical_start
from tusk.memory._interrupts cimport InterruptPending, check_for_interrupts
from tusk.storage._buffer cimport (
    BUFFER_LOCK_EXCLUSIVE, BUFFER_LOCK_SHARE, BUFFER_LOCK_UNLOCK, RBM_NORMAL, buffer_block, buffer_page, lock_buffer,
    lock_buffer_for_cleanup, mark_buffer_dirty, mark_buffer_dirty_hint, read_ahead, read_buffer, relation_nblocks,
    release_buffer, unlock_release_buffer,
)
from tusk.storage._freespace cimport free_space_map_vacuum, record_page_with_free_space
from tusk.storage._page cimport (
    page_get_item, page_get_item_id, page_get_max_offset, page_header, page_index_tuple_delete,
    page_index_tuple_overwrite, page_is_new, page_set_lsn,
)
from tusk.transaction._snapshot cimport (
    get_oldest_non_removable_transaction_id, global_vis_test_for, global_vis_test_is_removable_full_xid,
)
from tusk.transaction._varsup cimport read_next_full_transaction_id
from tusk.wal._insert cimport (
    REGBUF_STANDARD, REGBUF_WILL_INIT, xlog_begin_insert, xlog_insert, xlog_register_buf_data, xlog_register_buffer,
    xlog_register_data,
)
from tusk.wal._record cimport RM_BTREE_ID

from tusk.errors import Panic, Severity, errcode, report

cdef enum:
    READ_AHEAD_BLOCKS = 16

cdef struct Pending:
    BlockNumber block
    uint64_t safexid

cdef class Vacuum:
    """The state of one pass over an index."""

    cdef Relation rel
    cdef Relation heap
    cdef tid_is_dead is_dead
    cdef void *arg
    cdef IndexVacuumStats *stats
    cdef uint16_t cycleid
    cdef Pending *pending           # deleted by this pass: perhaps recyclable at its end
    cdef int npending
    cdef int pending_room
    cdef bint was_split             # the leaf just visited was split during this pass

    def __dealloc__(self):
        free(self.pending)

    cdef int run(self) except -1:
        """Visit every page, those added meanwhile too (btvacuumscan)."""
        cdef Relation rel = self.rel
        cdef BlockNumber block = BTREE_METAPAGE + 1
        cdef BlockNumber nblocks, ahead
        self.stats.num_pages = 0
        self.stats.num_index_tuples = 0
        self.stats.pages_deleted = 0
        self.stats.pages_free = 0
        if self.heap is not None:
            get_oldest_non_removable_transaction_id(vis_kind(self.heap))    # what can be recycled is seen as such
        while True:
            nblocks = <BlockNumber> relation_nblocks(&rel.rd_locator, rel.relpersistence, MAIN_FORK)
            self.stats.num_pages = nblocks
            if block >= nblocks:
                break
            ahead = block
            while block < nblocks:
                vacuum_delay_point()
                if block == ahead:
                    ahead = nblocks if nblocks - block < READ_AHEAD_BLOCKS else block + READ_AHEAD_BLOCKS
                    read_ahead(&rel.rd_locator, rel.relpersistence, MAIN_FORK, block, <int> (ahead - block),
                               vacuum_strategy())
                self.visit(block)
                block += 1
        self.finish_pending()
        if self.stats.pages_free > 0:
            free_space_map_vacuum(&rel.rd_locator, rel.relpersistence)
        return 0

    cdef int record_free(self, BlockNumber block) except -1:
        return record_page_with_free_space(&self.rel.rd_locator, self.rel.relpersistence, block, BLCKSZ - 1)

    cdef int visit(self, BlockNumber scanblk) except -1:
        """One page, and those that a split moved its entries to behind our back (btvacuumpage)."""
        cdef Relation rel = self.rel
        cdef BlockNumber block = scanblk
        cdef BlockNumber back
        cdef int buf
        cdef char *page
        cdef BTPageOpaqueData *opaque
        cdef bint try_delete
        while block != P_NONE:
            back = P_NONE
            try_delete = False
            buf = read_buffer(&rel.rd_locator, rel.relpersistence, MAIN_FORK, block, RBM_NORMAL,
                              vacuum_strategy())
            lock_buffer(buf, BUFFER_LOCK_SHARE)
            page = buffer_page(buf)
            opaque = NULL
            if not page_is_new(page):
                bt_checkpage(rel, buf)
                opaque = bt_opaque(page)
            if block != scanblk:
                # Right halves of splits keep the cycle id until they are visited.
                if opaque == NULL or not p_isleaf(opaque) or p_ishalfdead(opaque):
                    unlock_release_buffer(buf)
                    report(Severity.LOG, f'right sibling {block} of scanblkno {scanblk} unexpectedly in an '
                                         f'inconsistent state in index "{rel.name}"', sqlstate=errcode.INDEX_CORRUPTED)
                    return 0
                if opaque.btpo_cycleid != self.cycleid or p_isdeleted(opaque):
                    unlock_release_buffer(buf)
                    return 0
            if opaque == NULL or bt_page_is_recyclable(self.heap, page):
                self.record_free(block)
                self.stats.pages_deleted += 1
                self.stats.pages_free += 1
            elif p_isdeleted(opaque):
                self.stats.pages_deleted += 1
            elif p_ishalfdead(opaque):
                try_delete = True           # a deletion that was interrupted
            elif p_isleaf(opaque):
                lock_buffer(buf, BUFFER_LOCK_UNLOCK)
                lock_buffer_for_cleanup(buf)
                try_delete = self.clean_leaf(buf, block == scanblk)
                if self.was_split and opaque.btpo_next != P_NONE and opaque.btpo_next < scanblk:
                    back = opaque.btpo_next
                if self.cycleid != 0 and opaque.btpo_cycleid == self.cycleid:
                    opaque.btpo_cycleid = 0
                    mark_buffer_dirty_hint(buf, True)
            if try_delete:
                self.delete_page(buf, scanblk)
            else:
                unlock_release_buffer(buf)
            block = back
        return 0

    cdef bint clean_leaf(self, int buf, bint counted) except -1:
        """Remove the dead entries of a leaf; True when it is empty."""
        cdef char *page = buffer_page(buf)
        cdef BTPageOpaqueData *opaque = bt_opaque(page)
        cdef OffsetNumber minoff = p_firstdatakey(opaque)
        cdef OffsetNumber maxoff = page_get_max_offset(page)
        cdef OffsetNumber deletable[1024]
        cdef BTVacuumPosting updatable[1024]
        cdef uint16_t positions[2048]
        cdef int ndeletable = 0
        cdef int nupdatable = 0
        cdef int ndead = 0
        cdef int nlive = 0
        cdef int i, p, n, count
        cdef IndexTupleData *itup
        # A deletion resets the cycle id; what it said is needed for turning back.
        self.was_split = self.cycleid != 0 and opaque.btpo_cycleid == self.cycleid and \
            not opaque.btpo_flags & BTP_SPLIT_END
        if self.is_dead == NULL:
            if minoff <= maxoff:
                self.stats.num_index_tuples += maxoff - minoff + 1
            return minoff > maxoff and counted
        try:
            for i in range(minoff, maxoff + 1):
                itup = <IndexTupleData *> page_get_item(page, page_get_item_id(page, <OffsetNumber> i))
                if not bt_is_posting(itup):
                    if self.is_dead(&itup.t_tid, self.arg):
                        deletable[ndeletable] = <OffsetNumber> i
                        ndeletable += 1
                        ndead += 1
                    else:
                        nlive += 1
                    continue
                count = bt_nposting(itup)
                n = 0
                for p in range(count):
                    if self.is_dead(bt_posting(itup) + p, self.arg):
                        positions[n] = <uint16_t> p
                        n += 1
                ndead += n
                nlive += count - n
                if n == count:
                    deletable[ndeletable] = <OffsetNumber> i
                    ndeletable += 1
                elif n:
                    updatable[nupdatable].itup = itup
                    updatable[nupdatable].offset = <OffsetNumber> i
                    updatable[nupdatable].ndeletedtids = <uint16_t> n
                    updatable[nupdatable].deletetids = <uint16_t *> malloc(2 * n)
                    if updatable[nupdatable].deletetids == NULL:
                        raise MemoryError
                    memcpy(updatable[nupdatable].deletetids, positions, 2 * n)
                    nupdatable += 1
            if ndeletable or nupdatable:
                bt_delitems_vacuum(self.rel, buf, deletable, ndeletable, updatable, nupdatable)
                self.stats.tuples_removed += ndead
        finally:
            for i in range(nupdatable):
                free(updatable[i].deletetids)
        self.stats.num_index_tuples += nlive
        # A page met while turning back is not deleted: its neighbours are those of another place.
        return nlive == 0 and counted

    # -- Page deletion --

    cdef int delete_page(self, int leafbuf, BlockNumber scanblk) except -1:
        """Delete an empty leaf, and then right siblings that are empty too; lets go of the buffer (_bt_pagedel)."""
        cdef Relation rel = self.rel
        cdef char *page
        cdef BTPageOpaqueData *opaque
        cdef BlockNumber rightsib, leftsib, leafblk
        cdef bint rightsib_empty
        cdef BTStack stack
        cdef bint have_stack = False
        cdef BTScanInsert key
        cdef IndexTupleData *highkey = NULL
        cdef uint32_t size
        cdef int sleafbuf
        try:
            # Whatever lock it came with: from here on it is an exclusive one.
            lock_buffer(leafbuf, BUFFER_LOCK_UNLOCK)
            lock_buffer(leafbuf, BUFFER_LOCK_EXCLUSIVE)
            while True:
                page = buffer_page(leafbuf)
                opaque = bt_opaque(page)
                leafblk = buffer_block(leafbuf)
                if not p_isleaf(opaque) or p_isdeleted(opaque):
                    if p_ishalfdead(opaque):
                        report(Severity.LOG, f'index "{rel.name}" contains a half-dead internal page',
                               sqlstate=errcode.INDEX_CORRUPTED,
                               hint="This can be caused by an interrupted VACUUM in version 9.3 or older, before "
                                    "upgrade. Please REINDEX it.")
                    unlock_release_buffer(leafbuf)
                    return 0
                # The last page of a level stays, and so does one that is not empty any more or was just split.
                if p_rightmost(opaque) or p_isroot(opaque) or p_incomplete_split(opaque) or \
                        p_firstdatakey(opaque) <= page_get_max_offset(page):
                    unlock_release_buffer(leafbuf)
                    return 0
                if not p_ishalfdead(opaque):
                    if not have_stack:
                        # The way down to this page, by its high key. No lock may be held meanwhile.
                        size = index_tuple_size(<IndexTupleData *> page_get_item(page, page_get_item_id(page, P_HIKEY)))
                        highkey = <IndexTupleData *> malloc(size)
                        if highkey == NULL:
                            raise MemoryError
                        memcpy(highkey, page_get_item(page, page_get_item_id(page, P_HIKEY)), size)
                        leftsib = opaque.btpo_prev
                        lock_buffer(leafbuf, BUFFER_LOCK_UNLOCK)
                        # The entry of a page whose left sibling's split is incomplete is missing in the parent.
                        if leftsib != P_NONE and self.left_split(leftsib, leafblk):
                            release_buffer(leafbuf)
                            return 0
                        bt_mkscankey(rel, highkey, &key)
                        key.backward = True
                        sleafbuf = bt_search(rel, None, &key, BT_READ, &stack)
                        unlock_release_buffer(sleafbuf)
                        have_stack = True
                        lock_buffer(leafbuf, BUFFER_LOCK_EXCLUSIVE)
                        continue
                    if not self.mark_half_dead(leafbuf, &stack):
                        unlock_release_buffer(leafbuf)
                        return 0
                rightsib_empty = False
                while p_ishalfdead(opaque):
                    if not self.unlink_half_dead(leafbuf, scanblk, &rightsib_empty):
                        release_buffer(leafbuf)
                        return 0
                rightsib = opaque.btpo_next
                unlock_release_buffer(leafbuf)
                if InterruptPending:
                    check_for_interrupts()
                # One descent serves a run of empty pages.
                if not rightsib_empty:
                    return 0
                leafbuf = bt_getbuf(rel, rightsib, BT_WRITE)
        finally:
            free(highkey)

    cdef bint left_split(self, BlockNumber leftsib, BlockNumber target) except -1:
        """Whether target is the right half of an incomplete split (_bt_leftsib_splitflag)."""
        cdef int buf
        cdef BTPageOpaqueData *opaque
        cdef bint result
        if leftsib == P_NONE:
            return False
        buf = bt_getbuf(self.rel, leftsib, BT_READ)
        opaque = bt_opaque(buffer_page(buf))
        result = opaque.btpo_next == target and p_incomplete_split(opaque)
        unlock_release_buffer(buf)
        return result

    cdef int mark_half_dead(self, int leafbuf, BTStack *stack) except -1:
        """The first step: take the branch out of its parent. 0 if it may not be (_bt_mark_page_halfdead)."""
        cdef Relation rel = self.rel
        cdef char *page = buffer_page(leafbuf)
        cdef BTPageOpaqueData *opaque = bt_opaque(page)
        cdef BlockNumber leafblk = buffer_block(leafbuf)
        cdef BlockNumber rightsib = opaque.btpo_next
        cdef BlockNumber child = leafblk
        cdef BlockNumber topparent = leafblk
        cdef BlockNumber topparentright = rightsib
        cdef BlockNumber leftsib
        cdef int depth = stack.depth
        cdef int pbuf
        cdef int buf
        cdef char *ppage
        cdef BTPageOpaqueData *popaque
        cdef OffsetNumber poffset
        cdef IndexTupleData *itup
        cdef IndexTupleData trunctuple
        cdef xl_btree_mark_page_halfdead record
        cdef Lsn lsn
        cdef bint half_dead
        # The right sibling takes over the key space: it must have an entry in the parent itself.
        buf = bt_getbuf(rel, rightsib, BT_READ)
        half_dead = p_ishalfdead(bt_opaque(buffer_page(buf)))
        unlock_release_buffer(buf)
        if half_dead:
            return 0
        # Up to the first ancestor that keeps another child: pages with one child go along.
        while True:
            if depth <= 0:
                return 0
            pbuf = bt_getstackbuf(rel, self.heap, stack, depth, child)
            if pbuf == 0:
                report(Severity.LOG, f'failed to re-find parent key in index "{rel.name}" for deletion target page '
                                     f'{child}', sqlstate=errcode.INDEX_CORRUPTED)
                return 0
            poffset = stack.entries[depth - 1].offset
            ppage = buffer_page(pbuf)
            popaque = bt_opaque(ppage)
            if poffset < page_get_max_offset(ppage):
                break
            # The last child's key space has no sibling under the same parent to go to.
            if poffset > p_firstdatakey(popaque) or p_rightmost(popaque):
                unlock_release_buffer(pbuf)
                return 0
            topparent = stack.entries[depth - 1].block
            topparentright = popaque.btpo_next
            leftsib = popaque.btpo_prev
            unlock_release_buffer(pbuf)
            if self.left_split(leftsib, topparent):
                return 0
            child = topparent
            depth -= 1
        itup = <IndexTupleData *> page_get_item(ppage, page_get_item_id(ppage, poffset))
        if bt_down_link(itup) != topparent or bt_down_link(<IndexTupleData *> page_get_item(
                ppage, page_get_item_id(ppage, poffset + 1))) != topparentright:
            block = buffer_block(pbuf)
            unlock_release_buffer(pbuf)
            unlock_release_buffer(leafbuf)
            raise index_corrupted(f'right sibling {topparentright} of block {topparent} is not next child of block '
                                  f'{block} in index "{rel.name}"')
        critical_start()
        # The entry gets the right sibling's link, and that one's own entry goes: its separator is not needed any more.
        bt_set_down_link(itup, topparentright)
        page_index_tuple_delete(ppage, poffset + 1)
        opaque.btpo_flags |= BTP_HALF_DEAD
        memset(&trunctuple, 0, sizeof(trunctuple))
        trunctuple.t_info = sizeof(IndexTupleData)
        bt_set_down_link(&trunctuple, topparent if topparent != leafblk else InvalidBlockNumber)
        bt_set_natts(&trunctuple, 0, False)
        if not page_index_tuple_overwrite(page, P_HIKEY, &trunctuple, sizeof(trunctuple)):
            raise Panic(errcode.INDEX_CORRUPTED, "could not overwrite high key in half-dead page")
        mark_buffer_dirty(pbuf)
        mark_buffer_dirty(leafbuf)
        if relation_needs_wal(rel):
            record.poffset = poffset
            record.leafblk = leafblk
            record.topparent = topparent if topparent != leafblk else InvalidBlockNumber
            record.leftblk = opaque.btpo_prev
            record.rightblk = opaque.btpo_next
            xlog_begin_insert()
            xlog_register_buffer(0, leafbuf, REGBUF_WILL_INIT)
            xlog_register_buffer(1, pbuf, REGBUF_STANDARD)
            xlog_register_data(&record, SizeOfBtreeMarkPageHalfDead)
            lsn = xlog_insert(RM_BTREE_ID, XLOG_BTREE_MARK_PAGE_HALFDEAD)
            page_set_lsn(ppage, lsn)
            page_set_lsn(page, lsn)
        critical_end()
        unlock_release_buffer(pbuf)
        return 1

    cdef int unlink_half_dead(self, int leafbuf, BlockNumber scanblk, bint *rightsib_empty) except -1:
        """The second step, for the topmost page of the branch that is left. The leaf stays locked; 0, with the leaf
        only pinned, if that page's left sibling cannot be found (_bt_unlink_halfdead_page)."""
        cdef Relation rel = self.rel
        cdef BlockNumber leafblk = buffer_block(leafbuf)
        cdef char *leafpage = buffer_page(leafbuf)
        cdef BTPageOpaqueData *leafopaque = bt_opaque(leafpage)
        cdef IndexTupleData *leafhikey = <IndexTupleData *> page_get_item(leafpage, page_get_item_id(leafpage, P_HIKEY))
        cdef BlockNumber target = bt_down_link(leafhikey)
        cdef BlockNumber leafleft = leafopaque.btpo_prev
        cdef BlockNumber leafright = leafopaque.btpo_next
        cdef BlockNumber leftsib, rightsib, nextchild
        cdef uint32_t level
        cdef int buf, rbuf
        cdef int lbuf = 0
        cdef int metabuf = 0
        cdef char *page
        cdef BTPageOpaqueData *opaque
        cdef BTPageOpaqueData *other
        cdef BTMetaPageData *meta = NULL
        cdef bint right_is_last
        cdef uint64_t safexid
        cdef xl_btree_unlink_page record
        cdef xl_btree_metadata metadata
        cdef Lsn lsn
        cdef uint16_t info
        lock_buffer(leafbuf, BUFFER_LOCK_UNLOCK)
        if InterruptPending:
            check_for_interrupts()
        if target != InvalidBlockNumber:
            buf = bt_getbuf(rel, target, BT_READ)
            opaque = bt_opaque(buffer_page(buf))
            leftsib = opaque.btpo_prev
            level = opaque.btpo_level
            lock_buffer(buf, BUFFER_LOCK_UNLOCK)
            # Locks go from left to right on a level, and the leaf of an upper page first.
            lock_buffer(leafbuf, BUFFER_LOCK_EXCLUSIVE)
        else:
            target = leafblk
            buf = leafbuf
            leftsib = leafleft
            level = 0
        if leftsib != P_NONE:
            lbuf = bt_getbuf(rel, leftsib, BT_WRITE)
            other = bt_opaque(buffer_page(lbuf))
            while p_isdeleted(other) or other.btpo_next != target:
                # Split since: move right. If it was deleted, its left neighbour is ours now: try again another time.
                if p_rightmost(other) or p_isdeleted(other):
                    unlock_release_buffer(lbuf)
                    report(Severity.LOG, f'valid left sibling for deletion target could not be located: left sibling '
                                         f'{leftsib} of target {target} with leafblkno {leafblk} and scanblkno '
                                         f'{scanblk} on level {level} of index "{rel.name}"',
                           sqlstate=errcode.INDEX_CORRUPTED)
                    if target != leafblk:
                        release_buffer(buf)
                        lock_buffer(leafbuf, BUFFER_LOCK_UNLOCK)
                    return 0
                leftsib = other.btpo_next
                lbuf = bt_relandgetbuf(rel, lbuf, leftsib, BT_WRITE)
                other = bt_opaque(buffer_page(lbuf))
        lock_buffer(buf, BUFFER_LOCK_EXCLUSIVE)
        page = buffer_page(buf)
        opaque = bt_opaque(page)
        if p_rightmost(opaque) or p_isroot(opaque) or p_isdeleted(opaque):
            raise index_corrupted(f'target page changed status unexpectedly in block {target} of index "{rel.name}"')
        if opaque.btpo_prev != leftsib:
            raise index_corrupted(f'target page left link unexpectedly changed from {leftsib} to {opaque.btpo_prev} in '
                                  f'block {target} of index "{rel.name}"')
        if target == leafblk:
            if p_firstdatakey(opaque) <= page_get_max_offset(page) or not p_isleaf(opaque) or not p_ishalfdead(opaque):
                raise index_corrupted(f'target leaf page changed status unexpectedly in block {target} of index '
                                      f'"{rel.name}"')
            nextchild = InvalidBlockNumber
        else:
            if p_firstdatakey(opaque) != page_get_max_offset(page) or p_isleaf(opaque):
                raise index_corrupted(f'target internal page on level {level} changed status unexpectedly in block '
                                      f'{target} of index "{rel.name}"')
            nextchild = bt_down_link(<IndexTupleData *> page_get_item(
                page, page_get_item_id(page, p_firstdatakey(opaque))))
            if nextchild == leafblk:
                nextchild = InvalidBlockNumber
        rightsib = opaque.btpo_next
        rbuf = bt_getbuf(rel, rightsib, BT_WRITE)
        other = bt_opaque(buffer_page(rbuf))
        if other.btpo_prev != target:
            raise index_corrupted(f"right sibling's left-link doesn't match: right sibling {rightsib} of target "
                                  f'{target} with leafblkno {leafblk} and scanblkno {scanblk} spuriously links to '
                                  f'non-target {other.btpo_prev} on level {level} of index "{rel.name}"')
        right_is_last = p_rightmost(other)
        rightsib_empty[0] = p_firstdatakey(other) > page_get_max_offset(buffer_page(rbuf))
        if leftsib == P_NONE and right_is_last:
            # The right sibling will be alone on its level: it may become the fast root.
            metabuf = bt_getbuf(rel, BTREE_METAPAGE, BT_WRITE)
            meta = bt_checked_meta(rel, metabuf)
            if meta.btm_fastlevel > level + 1:
                unlock_release_buffer(metabuf)
                metabuf = 0
        safexid = read_next_full_transaction_id()
        critical_start()
        if lbuf:
            bt_opaque(buffer_page(lbuf)).btpo_next = rightsib
            mark_buffer_dirty(lbuf)
        other.btpo_prev = leftsib
        mark_buffer_dirty(rbuf)
        if target != leafblk:
            bt_set_down_link(leafhikey, nextchild)
            bt_set_natts(leafhikey, 0, False)
            mark_buffer_dirty(leafbuf)
        opaque.btpo_flags &= <uint16_t> (~BTP_HALF_DEAD & 0xFFFF)
        opaque.btpo_flags |= BTP_DELETED | BTP_HAS_FULLXID
        page_header(page).pd_lower = 24 + 8
        page_header(page).pd_upper = page_header(page).pd_special
        (<uint64_t *> (page + 24))[0] = safexid
        opaque.btpo_cycleid = 0
        mark_buffer_dirty(buf)
        if metabuf:
            meta.btm_fastroot = rightsib
            meta.btm_fastlevel = level
            mark_buffer_dirty(metabuf)
        if relation_needs_wal(rel):
            memset(&record, 0, sizeof(record))
            record.leftsib = leftsib
            record.rightsib = rightsib
            record.level = level
            record.safexid = safexid
            record.leafleftsib = leafleft
            record.leafrightsib = leafright
            record.leaftopparent = nextchild
            xlog_begin_insert()
            xlog_register_buffer(0, buf, REGBUF_WILL_INIT)
            if lbuf:
                xlog_register_buffer(1, lbuf, REGBUF_STANDARD)
            xlog_register_buffer(2, rbuf, REGBUF_STANDARD)
            if target != leafblk:
                xlog_register_buffer(3, leafbuf, REGBUF_WILL_INIT)
            xlog_register_data(&record, SizeOfBtreeUnlinkPage)
            info = XLOG_BTREE_UNLINK_PAGE
            if metabuf:
                info = XLOG_BTREE_UNLINK_PAGE_META
                bt_fill_metadata(&metadata, meta)
                xlog_register_buffer(4, metabuf, REGBUF_WILL_INIT | REGBUF_STANDARD)
                xlog_register_buf_data(4, &metadata, sizeof(metadata))
            lsn = xlog_insert(RM_BTREE_ID, <unsigned char> info)
            if metabuf:
                page_set_lsn(buffer_page(metabuf), lsn)
            page_set_lsn(buffer_page(rbuf), lsn)
            page_set_lsn(page, lsn)
            if lbuf:
                page_set_lsn(buffer_page(lbuf), lsn)
            if target != leafblk:
                page_set_lsn(leafpage, lsn)
        critical_end()
        if metabuf:
            unlock_release_buffer(metabuf)
        if lbuf:
            unlock_release_buffer(lbuf)
        unlock_release_buffer(rbuf)
        if target != leafblk:
            unlock_release_buffer(buf)
        self.stats.pages_newly_deleted += 1
        if target <= scanblk:
            self.stats.pages_deleted += 1
        self.add_pending(target, safexid)
        return 1

    # -- Recycling --

    cdef int add_pending(self, BlockNumber block, uint64_t safexid) except -1:
        cdef void *room
        if self.npending == self.pending_room:
            self.pending_room = self.pending_room * 2 + 64
            room = realloc(self.pending, self.pending_room * sizeof(Pending))
            if room == NULL:
                raise MemoryError
            self.pending = <Pending *> room
        self.pending[self.npending].block = block
        self.pending[self.npending].safexid = safexid
        self.npending += 1
        return 0

    cdef int finish_pending(self) except -1:
        """Pages deleted by this pass that can be recycled by now: nobody is left who was there before."""
        cdef int i
        cdef int kind
        if self.npending == 0 or self.heap is None:
            return 0
        kind = vis_kind(self.heap)
        get_oldest_non_removable_transaction_id(kind)       # brings the horizon up to date
        for i in range(self.npending):
            if not global_vis_test_is_removable_full_xid(global_vis_test_for(kind), self.pending[i].safexid):
                break                       # later ones were deleted later
            self.record_free(self.pending[i].block)
            self.stats.pages_free += 1
        return 0


cdef Vacuum new_vacuum(Relation rel, Relation heap, tid_is_dead is_dead, void *arg, IndexVacuumStats *stats):
    cdef Vacuum vacuum = Vacuum.__new__(Vacuum)
    vacuum.rel = rel
    vacuum.heap = heap
    vacuum.is_dead = is_dead
    vacuum.arg = arg
    vacuum.stats = stats
    return vacuum


cdef int bt_bulk_delete(Relation rel, Relation heap, tid_is_dead is_dead, void *arg, IndexVacuumStats *stats) except -1:
    cdef Vacuum vacuum = new_vacuum(rel, heap, is_dead, arg, stats)
    vacuum.cycleid = bt_start_vacuum(rel)
    try:
        vacuum.run()
    finally:
        bt_end_vacuum(rel)
    return 0


cdef bint needs_cleanup(Relation rel) except -1:
    """Whether the deleted pages of an earlier pass are worth a pass for recycling (_bt_vacuum_needs_cleanup)."""
    cdef int metabuf = bt_getbuf(rel, BTREE_METAPAGE, BT_READ)
    cdef BTMetaPageData *meta = bt_checked_meta(rel, metabuf)
    cdef uint32_t ndeleted = meta.btm_last_cleanup_num_delpages
    unlock_release_buffer(metabuf)
    return ndeleted > 0 and ndeleted > relation_nblocks(&rel.rd_locator, rel.relpersistence, MAIN_FORK) // 20


cdef int set_cleanup_info(Relation rel, uint32_t ndeleted) except -1:
    """Note how many pages wait for recycling in the metapage (_bt_set_cleanup_info)."""
    cdef int metabuf = bt_getbuf(rel, BTREE_METAPAGE, BT_READ)
    cdef BTMetaPageData *meta = bt_checked_meta(rel, metabuf)
    cdef xl_btree_metadata metadata
    cdef Lsn lsn
    if meta.btm_last_cleanup_num_delpages == ndeleted:
        unlock_release_buffer(metabuf)
        return 0
    lock_buffer(metabuf, BUFFER_LOCK_UNLOCK)
    lock_buffer(metabuf, BUFFER_LOCK_EXCLUSIVE)
    critical_start()
    meta.btm_last_cleanup_num_delpages = ndeleted
    meta.btm_last_cleanup_num_heap_tuples = -1.0
    mark_buffer_dirty(metabuf)
    if relation_needs_wal(rel):
        bt_fill_metadata(&metadata, meta)
        xlog_begin_insert()
        xlog_register_buffer(0, metabuf, REGBUF_WILL_INIT | REGBUF_STANDARD)
        xlog_register_buf_data(0, &metadata, sizeof(metadata))
        lsn = xlog_insert(RM_BTREE_ID, XLOG_BTREE_META_CLEANUP)
        page_set_lsn(buffer_page(metabuf), lsn)
    critical_end()
    unlock_release_buffer(metabuf)
    return 0


cdef int bt_vacuum_cleanup(Relation rel, Relation heap, IndexVacuumStats *stats, bint scanned) except -1:
    cdef Vacuum vacuum
    if not scanned:
        if not needs_cleanup(rel):
            return 0
        vacuum = new_vacuum(rel, heap, NULL, NULL, stats)
        vacuum.run()
        stats.estimated_count = True        # posting lists count as one
    set_cleanup_info(rel, stats.pages_deleted - stats.pages_free)
    return 1


# -- For tests and tools --

cdef int in_set(const ItemPointerData *tid, void *arg) except -1:
    return (((<BlockNumber> tid.bi_hi << 16) | tid.bi_lo), tid.ip_posid) in <object> arg


def vacuum_entries(Relation index, Relation heap, dead):
    """Remove the entries of these TIDs ((block, offset) pairs) and clean up; what happened, as a dict."""
    cdef IndexVacuumStats stats
    cdef bint scanned = False
    memset(&stats, 0, sizeof(stats))
    gone = set(dead)
    if gone:
        bt_bulk_delete(index, heap, in_set, <void *> gone, &stats)
        scanned = True
    bt_vacuum_cleanup(index, heap, &stats, scanned)
    return stats
