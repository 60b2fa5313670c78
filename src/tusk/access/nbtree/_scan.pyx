"""Scans: a page at a time.

A page is read under a share lock and all its matching TIDs are noted, so that the lock is held once per page. With an
MVCC snapshot the pin goes too; the page's LSN then tells whether entries may still be marked dead later on. The links
to the neighbours are those of that moment: stepping right is safe as it is, stepping left has to look whether the page
there was split meanwhile.
"""

from libc.stdint cimport uint16_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from tusk._types cimport MAIN_FORK, BlockNumber, ItemPointerData, OffsetNumber, maxalign
from tusk.access._index cimport IndexScan, tid_sink
from tusk.access._relation cimport relation_needs_wal
from tusk.access._tuple cimport INDEX_SIZE_MASK, IndexTupleData, index_tuple_size
from tusk.access.nbtree._layout cimport *
from tusk.access.nbtree._page cimport *
from tusk.access.nbtree._scankeys cimport BTScanKeys
from tusk.access.nbtree._search cimport BTScanInsert, BTStack, bt_binsrch, bt_get_endpoint, bt_search, tid_compare
from tusk.memory._interrupts cimport InterruptPending, check_for_interrupts
from tusk.storage._buffer cimport (
    BUFFER_LOCK_SHARE, BUFFER_LOCK_UNLOCK, RBM_NORMAL, buffer_block, buffer_lsn_atomic, buffer_page, incr_buffer_ref,
    lock_buffer, mark_buffer_dirty_hint, read_buffer, release_buffer, unlock_release_buffer,
)
from tusk.storage._page cimport (
    ItemIdData, item_id_is_dead, item_id_mark_dead, page_get_item, page_get_item_id, page_get_max_offset,
)
from tusk.transaction._snapshot cimport SNAPSHOT_MVCC

cdef enum:
    PRECHECK_MIN = 8                # fewer items than this are checked one by one


cdef class BTScan(IndexScan):
    """A b-tree scan."""

    def __dealloc__(self):
        if self.pos != NULL and self.pos.valid and self.pos.buf:
            release_buffer(self.pos.buf)
        if self.mark != NULL and self.mark.valid and self.mark.buf:
            release_buffer(self.mark.buf)
        free(self.pos)
        free(self.mark)
        free(self.workspace)
        free(self.mark_workspace)
        free(self.killed)

    cdef int rescan(self) except -1:
        if self.pos == NULL:
            self.pos = <BTScanPos *> malloc(sizeof(BTScanPos))
            if self.pos == NULL:
                raise MemoryError
            self.pos.valid = False
            self.quals = BTScanKeys(self.index)
        elif self.pos.valid:
            self.leave_page()
        if self.mark != NULL and self.mark.valid:
            if self.mark.buf:
                release_buffer(self.mark.buf)
            self.mark.valid = False
        self.mark_current = -1
        self.ended = 0
        if self.want_itup and self.workspace == NULL:
            self.workspace = <char *> malloc(8192 * 2)
            if self.workspace == NULL:
                raise MemoryError
        # An index-only scan must keep the pin: VACUUM may not make a page all-visible that it has entries of.
        self.drop_pin = not self.want_itup and self.heap is not None and self.snapshot is not None and \
            self.snapshot.kind == SNAPSHOT_MVCC and relation_needs_wal(self.index)
        self.recheck = False
        self.quals.prepare(self.keys, self.nkeys)
        return 0

    cdef int next_tid(self, bint backward) except -1:
        cdef BTScanPos *pos = self.pos
        cdef void *room
        if not self.quals.qual_ok:
            return 0
        if not pos.valid:
            if self.ended == (2 if backward else 1):
                return 0
            self.quals.start_arrays(backward)
            if not self.first_page(backward):
                self.ended = 2 if backward else 1
                return 0
            return self.give()
        if self.kill_prior_tuple:
            if self.killed == NULL:
                room = malloc(MaxTIDsPerBTreePage * sizeof(int))
                if room == NULL:
                    raise MemoryError
                self.killed = <int *> room
            if self.nkilled < MaxTIDsPerBTreePage:
                self.killed[self.nkilled] = pos.current
                self.nkilled += 1
        if backward:
            pos.current -= 1
            if pos.current >= pos.first:
                return self.give()
        else:
            pos.current += 1
            if pos.current <= pos.last:
                return self.give()
        if not self.next_page(backward):
            self.ended = 2 if backward else 1
            return 0
        return self.give()

    cdef int give(self) except -1:
        cdef BTScanItem *item = &self.pos.items[self.pos.current]
        self.heaptid = item.tid
        if self.want_itup:
            self.itup = <IndexTupleData *> (self.workspace + item.tupleoff)
        return 1

    cdef long long get_bitmap(self, tid_sink sink, void *arg) except -1:
        cdef ItemPointerData tids[1358]
        cdef long long n = 0
        cdef int i, count
        if not self.quals.qual_ok:
            return 0
        self.quals.start_arrays(False)
        if not self.first_page(False):
            return 0
        while True:
            count = 0
            for i in range(self.pos.first, self.pos.last + 1):
                tids[count] = self.pos.items[i].tid
                count += 1
            sink(arg, tids, count, False)
            n += count
            if not self.next_page(False):
                return n

    cdef int end(self) except -1:
        if self.pos != NULL and self.pos.valid:
            self.leave_page()
        if self.mark != NULL and self.mark.valid:
            if self.mark.buf:
                release_buffer(self.mark.buf)
            self.mark.valid = False
        self.mark_current = -1
        return 0

    # -- Marks --

    cdef int mark_position(self) except -1:
        if self.mark != NULL and self.mark.valid:
            if self.mark.buf:
                release_buffer(self.mark.buf)
            self.mark.valid = False
        # Copied only when the scan leaves the page: mostly it is restored before.
        self.mark_current = self.pos.current if self.pos.valid else -1
        return 0

    cdef int keep_mark(self) except -1:
        """The scan leaves the page that has the mark."""
        if self.mark == NULL:
            self.mark = <BTScanPos *> malloc(sizeof(BTScanPos))
            if self.mark == NULL:
                raise MemoryError
        memcpy(self.mark, self.pos, sizeof(BTScanPos) - sizeof(self.pos.items) +
               (self.pos.last + 1) * sizeof(BTScanItem))
        self.mark.current = self.mark_current
        if self.mark.buf:
            incr_buffer_ref(self.mark.buf)
        if self.want_itup:
            if self.mark_workspace == NULL:
                self.mark_workspace = <char *> malloc(8192 * 2)
                if self.mark_workspace == NULL:
                    raise MemoryError
            memcpy(self.mark_workspace, self.workspace, self.pos.nexttuple)
        self.mark_current = -1
        return 0

    cdef int restore_position(self) except -1:
        if self.mark_current >= 0:
            self.pos.current = self.mark_current
            return 0
        if self.pos.valid:
            self.leave_page()
        self.ended = 0
        if self.mark != NULL and self.mark.valid:
            memcpy(self.pos, self.mark, sizeof(BTScanPos) - sizeof(self.pos.items) +
                   (self.mark.last + 1) * sizeof(BTScanItem))
            if self.pos.buf:
                incr_buffer_ref(self.pos.buf)
            if self.want_itup:
                memcpy(self.workspace, self.mark_workspace, self.mark.nexttuple)
            # The scan finds its place among the arrays' elements from any page on, if they are at their start.
            self.quals.start_arrays(self.pos.backward)
            self.pos.descend = False
        return 0

    # -- From page to page --

    cdef int leave_page(self) except -1:
        """Forget the current page, marking the entries that turned out dead."""
        if self.nkilled:
            self.kill_items()
        if self.mark_current >= 0:
            self.keep_mark()
        if self.pos.buf:
            release_buffer(self.pos.buf)
            self.pos.buf = 0
        self.pos.valid = False
        return 0

    cdef int first_page(self, bint backward) except -1:
        """The first page that has matches, or 0 (_bt_first)."""
        return self.descend(backward) or self.walk(backward)

    cdef int descend(self, bint backward) except -1:
        """Read the page where the keys, with the arrays' current elements, say the scan begins; 1 if it has matches."""
        cdef BTScanInsert key
        cdef BTStack stack
        cdef int buf
        cdef char *page
        cdef OffsetNumber offset
        self.pos.valid = False
        self.pos.buf = 0
        self.nkilled = 0
        self.pos.backward = backward
        if InterruptPending:
            check_for_interrupts()
        self.pos.more_left = False
        self.pos.more_right = False
        self.pos.descend = False
        self.index.counts.index_scans += 1
        if self.quals.boundary(&key, backward):
            buf = bt_search(self.index, self.heap, &key, BT_READ, &stack)
            if buf == 0:
                return 0
            offset = bt_binsrch(self.index, &key, buffer_page(buf))
        else:
            buf = bt_get_endpoint(self.index, 0, backward)
            if buf == 0:
                return 0
            page = buffer_page(buf)
            offset = page_get_max_offset(page) if backward else p_firstdatakey(bt_opaque(page))
        self.pos.more_left = backward
        self.pos.more_right = not backward
        return self.read_page(buf, offset, backward)

    cdef int next_page(self, bint backward) except -1:
        """The current page is done: on to the next that has matches; 0 at the end (_bt_steppage)."""
        self.leave_page()
        if backward != self.pos.backward:
            # Turned round: there is more on that side than this page's reading says.
            if backward:
                self.pos.more_left = True
            else:
                self.pos.more_right = True
            self.pos.descend = False
            self.quals.start_arrays(backward)
            self.pos.backward = backward
        return self.walk(backward)

    cdef int walk(self, bint backward) except -1:
        """Read pages from the position's links on until one has matches."""
        cdef BTScanPos *pos = self.pos
        cdef int buf
        cdef BlockNumber block, last
        cdef BTPageOpaqueData *opaque
        while True:
            if pos.descend:
                # The next element of an array is further away.
                if self.descend(backward):
                    return 1
                continue
            if not (pos.more_left if backward else pos.more_right):
                return 0
            if InterruptPending:
                check_for_interrupts()
            block = pos.prev if backward else pos.next
            last = pos.block
            if block == P_NONE:
                return 0
            if backward:
                buf = self.lock_left(block, last)
                if buf == 0:
                    return 0
            else:
                buf = bt_getbuf(self.index, block, BT_READ)
            opaque = bt_opaque(buffer_page(buf))
            if p_ignore(opaque):
                pos.block = buffer_block(buf)
                pos.next = opaque.btpo_next
                pos.prev = opaque.btpo_prev
                unlock_release_buffer(buf)
                continue
            if self.read_page(buf, page_get_max_offset(buffer_page(buf)) if backward else p_firstdatakey(opaque),
                              backward):
                return 1

    cdef int lock_left(self, BlockNumber block, BlockNumber last) except -1:
        """Lock the page that is left of `last` now, when `block` was; 0 when there is none any more
        (_bt_lock_and_validate_left)."""
        cdef int buf, tries
        cdef BlockNumber at
        cdef BTPageOpaqueData *opaque
        while True:
            at = block
            buf = bt_getbuf(self.index, at, BT_READ)
            tries = 0
            while True:
                opaque = bt_opaque(buffer_page(buf))
                if not p_isdeleted(opaque) and opaque.btpo_next == last:
                    return buf
                tries += 1
                # A few splits may have come between; after more steps it is cheaper to ask `last` again.
                if p_rightmost(opaque) or tries > 4:
                    break
                at = opaque.btpo_next
                buf = bt_relandgetbuf(self.index, buf, at, BT_READ)
            buf = bt_relandgetbuf(self.index, buf, last, BT_READ)
            opaque = bt_opaque(buffer_page(buf))
            if p_isdeleted(opaque):
                # What lay left of it lies left of the page that took over its keys.
                while True:
                    if p_rightmost(opaque):
                        unlock_release_buffer(buf)
                        raise index_corrupted(f'fell off the end of index "{self.index.name}"')
                    last = opaque.btpo_next
                    buf = bt_relandgetbuf(self.index, buf, last, BT_READ)
                    opaque = bt_opaque(buffer_page(buf))
                    if not p_isdeleted(opaque):
                        break
            elif opaque.btpo_prev == block:
                unlock_release_buffer(buf)
                raise index_corrupted(f'could not find left sibling of block {last} in index "{self.index.name}"')
            block = opaque.btpo_prev
            unlock_release_buffer(buf)
            if block == P_NONE:
                return 0

    # -- Reading a page --

    cdef int save_item(self, int i, OffsetNumber offset, const IndexTupleData *itup) except -1:
        """Note a plain tuple."""
        cdef BTScanItem *item = &self.pos.items[i]
        cdef uint32_t size
        item.tid = itup.t_tid
        item.offset = offset
        if self.want_itup:
            size = index_tuple_size(itup)
            item.tupleoff = <uint16_t> self.pos.nexttuple
            memcpy(self.workspace + self.pos.nexttuple, itup, size)
            self.pos.nexttuple += <int> maxalign(size)
        return 0

    cdef int save_posting(self, int i, int n, OffsetNumber offset, const IndexTupleData *itup, bint backward) except -1:
        """Note the TIDs of a posting list in items i and on, in the list's order; one copy of the key serves all."""
        cdef BTScanItem *item
        cdef ItemPointerData *tids = bt_posting(itup)
        cdef uint32_t size
        cdef int j
        cdef uint16_t tupleoff = <uint16_t> self.pos.nexttuple
        cdef IndexTupleData *copy
        if self.want_itup:
            size = bt_posting_offset(itup)
            copy = <IndexTupleData *> (self.workspace + tupleoff)
            memcpy(copy, itup, size)
            copy.t_info = <uint16_t> ((copy.t_info & ~(INDEX_SIZE_MASK | INDEX_ALT_TID_MASK)) | size)
            self.pos.nexttuple += <int> maxalign(size)
        for j in range(n):
            item = &self.pos.items[i + j]
            item.tid = tids[j]
            item.offset = offset
            item.tupleoff = tupleoff
        return 0

    cdef int read_page(self, int buf, OffsetNumber offset, bint backward) except -1:
        """Note what matches on a locked page from offset on; the lock goes, and the pin unless it is needed.
        1 when there were matches (_bt_readpage)."""
        cdef BTScanPos *pos = self.pos
        cdef BTScanKeys quals = self.quals
        cdef char *page = buffer_page(buf)
        cdef BTPageOpaqueData *opaque = bt_opaque(page)
        cdef int minoff = p_firstdatakey(opaque)
        cdef int maxoff = page_get_max_offset(page)
        cdef int natts = self.index.indnatts
        cdef int i, n
        cdef int nitems = 0
        cdef ItemIdData *line
        cdef IndexTupleData *itup
        cdef bint check = quals.nkeys > 0
        cdef bint more = True
        cdef bint behind = False
        pos.block = buffer_block(buf)
        pos.next = opaque.btpo_next
        pos.prev = opaque.btpo_prev
        pos.lsn = buffer_lsn_atomic(buf)
        pos.nexttuple = 0
        pos.descend = False
        if not backward:
            i = offset if offset > minoff else minoff
            if check and quals.monotone and maxoff - i >= PRECHECK_MIN and \
                    quals.check(<IndexTupleData *> page_get_item(page, page_get_item_id(page, <OffsetNumber> i)),
                                natts, False) and \
                    quals.check(<IndexTupleData *> page_get_item(page, page_get_item_id(page, <OffsetNumber> maxoff)),
                                natts, False):
                check = False
            while i <= maxoff:
                line = page_get_item_id(page, <OffsetNumber> i)
                if self.ignore_killed_tuples and item_id_is_dead(line):
                    i += 1
                    continue
                itup = <IndexTupleData *> page_get_item(page, line)
                if check:
                    if quals.check(itup, natts, False):
                        behind = False
                    else:
                        behind = quals.behind
                        if not quals.more:
                            more = False
                            break
                        i += 1
                        continue
                if not bt_is_posting(itup):
                    self.save_item(nitems, <OffsetNumber> i, itup)
                    nitems += 1
                else:
                    n = bt_nposting(itup)
                    self.save_posting(nitems, n, <OffsetNumber> i, itup, False)
                    nitems += n
                i += 1
            # The high key may tell that the next page has nothing for us.
            if more and quals.nkeys and not behind and not p_rightmost(opaque):
                itup = <IndexTupleData *> page_get_item(page, page_get_item_id(page, P_HIKEY))
                if not quals.check(itup, bt_natts(itup, natts), False):
                    more = quals.more
                    behind = quals.behind
            if not more:
                pos.more_right = False
            pos.first = 0
            pos.last = nitems - 1
            pos.current = 0
        else:
            i = offset if offset < maxoff else maxoff
            nitems = MaxTIDsPerBTreePage
            if check and quals.monotone and i - minoff >= PRECHECK_MIN and \
                    quals.check(<IndexTupleData *> page_get_item(page, page_get_item_id(page, <OffsetNumber> i)),
                                natts, True) and \
                    quals.check(<IndexTupleData *> page_get_item(page, page_get_item_id(page, <OffsetNumber> minoff)),
                                natts, True):
                check = False
            while i >= minoff:
                line = page_get_item_id(page, <OffsetNumber> i)
                if self.ignore_killed_tuples and item_id_is_dead(line):
                    i -= 1
                    continue
                itup = <IndexTupleData *> page_get_item(page, line)
                if check:
                    if quals.check(itup, natts, True):
                        behind = False
                    else:
                        behind = quals.behind
                        if not quals.more:
                            more = False
                            break
                        i -= 1
                        continue
                if not bt_is_posting(itup):
                    nitems -= 1
                    self.save_item(nitems, <OffsetNumber> i, itup)
                else:
                    n = bt_nposting(itup)
                    nitems -= n
                    self.save_posting(nitems, n, <OffsetNumber> i, itup, True)
                i -= 1
            if not more:
                pos.more_left = False
            pos.first = nitems
            pos.last = MaxTIDsPerBTreePage - 1
            pos.current = MaxTIDsPerBTreePage - 1
        pos.descend = behind and more and quals.narrays > 0
        pos.valid = pos.first <= pos.last
        if pos.valid and not self.drop_pin:
            pos.buf = buf
            lock_buffer(buf, BUFFER_LOCK_UNLOCK)
        else:
            pos.buf = 0
            unlock_release_buffer(buf)
        return pos.valid

    # -- Entries found dead --

    cdef int kill_items(self) except -1:
        """Mark the entries whose rows the caller found dead to everybody; a hint (_bt_killitems)."""
        cdef BTScanPos *pos = self.pos
        cdef int n = self.nkilled
        cdef int buf = pos.buf
        cdef bint mine = False
        cdef char *page
        cdef BTPageOpaqueData *opaque
        cdef int i, j, p, nposting
        cdef OffsetNumber offset, maxoff
        cdef BTScanItem *item
        cdef ItemIdData *line
        cdef IndexTupleData *itup
        cdef bint marked = False
        cdef bint hit
        self.nkilled = 0
        if buf == 0:
            buf = read_buffer(&self.index.rd_locator, self.index.relpersistence, MAIN_FORK, pos.block, RBM_NORMAL, NULL)
            mine = True
        lock_buffer(buf, BUFFER_LOCK_SHARE)
        page = buffer_page(buf)
        # Without a pin VACUUM may have been here and the TIDs may be of other rows by now; then the LSN has moved on.
        if mine and buffer_lsn_atomic(buf) != pos.lsn:
            unlock_release_buffer(buf)
            return 0
        opaque = bt_opaque(page)
        maxoff = page_get_max_offset(page)
        for i in range(n):
            item = &pos.items[self.killed[i]]
            offset = item.offset
            if offset < p_firstdatakey(opaque):
                continue
            # Insertions may have moved it to the right.
            while offset <= maxoff:
                line = page_get_item_id(page, offset)
                itup = <IndexTupleData *> page_get_item(page, line)
                hit = False
                if bt_is_posting(itup):
                    # All of its rows must be dead.
                    nposting = bt_nposting(itup)
                    hit = True
                    for p in range(nposting):
                        hit = False
                        for j in range(n):
                            if tid_compare(&pos.items[self.killed[j]].tid, bt_posting(itup) + p) == 0:
                                hit = True
                                break
                        if not hit:
                            break
                elif tid_compare(&itup.t_tid, &item.tid) == 0:
                    hit = True
                if hit:
                    if not item_id_is_dead(line):
                        item_id_mark_dead(line)
                        marked = True
                    break
                if bt_is_posting(itup) and tid_compare(bt_posting(itup), &item.tid) <= 0 and \
                        tid_compare(bt_max_heap_tid(itup), &item.tid) >= 0:
                    break                   # it is in there, with others that live
                offset += 1
        if marked:
            opaque.btpo_flags |= BTP_HAS_GARBAGE
            mark_buffer_dirty_hint(buf, True)
        if mine:
            unlock_release_buffer(buf)
        else:
            lock_buffer(buf, BUFFER_LOCK_UNLOCK)
        return 0
