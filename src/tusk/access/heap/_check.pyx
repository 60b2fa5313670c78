"""Checking a table's pages (what contrib/amcheck's verify_heapam and contrib/pg_visibility check, and a little more).

Nobody may change the table meanwhile and no transaction may be running: what the commit log does not call committed is
aborted. Pages are read past the buffer pool, so that a page which the pool would refuse can be spoken of. Pages with a
wrong checksum are passed over; whoever reads the files whole reports them.

Checked are: page headers; line pointers, and that no two tuples overlap; tuple headers and the lengths of values; xmin
and xmax against the range of ids and the commit log, and multixacts against their members; update chains within a page;
the visibility map's bits; and that each value stored out of line has all its chunks.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free
from libc.string cimport memset
from tusk._types cimport (
    BLCKSZ, MAIN_FORK, BlockNumber, Datum, OffsetNumber, TransactionId, maxalign, tid_block, tid_offset,
)
from tusk.access._relation cimport Relation
from tusk.access._tupdesc cimport Attribute
from tusk.access._tuple cimport *
from tusk.access._varlena cimport *
from tusk.storage._page cimport (
    LP_DEAD, LP_NORMAL, LP_REDIRECT, LP_UNUSED, ItemIdData, SizeOfPageHeaderData,
    item_id_get_flags, item_id_get_length, item_id_get_offset, item_id_get_redirect, page_get_item, page_get_item_id,
    page_get_max_offset, page_header, page_is_all_visible, page_is_new, page_is_verified,
)
from tusk.storage._smgr cimport smgr_nblocks, smgr_open, smgr_read
from tusk.storage._visibilitymap cimport HEAPBLOCKS_PER_VM_PAGE
from tusk.transaction._multixact cimport (
    MultiXactMember, MultiXactStatusNoKeyUpdate, get_multixact_id_members,
)
from tusk.transaction._snapshot cimport transaction_id_did_commit
from tusk.transaction._transam cimport transaction_id_precedes
from tusk.errors import SqlError

cdef enum:
    VM_FORK = 2
    TOAST_MAX_CHUNK_SIZE = 1996
    # What a line pointer is to an index (HeapChecker.kinds)
    TARGET_UNUSED = 0
    TARGET_OK = 1               # an entry may point here
    TARGET_HEAP_ONLY = 2        # reached from its root only
    TARGET_LIVE = 3             # the root of a live row
    # What became of a transaction
    XID_INVALID = 0
    XID_COMMITTED = 1
    XID_ABORTED = 2
    XID_BAD = 3                 # outside the range; reported


cdef class HeapChecker:
    """One table. `ids` has next_xid, oldest_xid (of the commit log), next_multi, oldest_multi."""

    cdef Relation rel
    cdef bint checksums
    cdef TransactionId next_xid, oldest_xid, relfrozenxid
    cdef uint32_t next_multi, oldest_multi, relminmxid
    cdef readonly list problems             # (block, offset or 0, message)
    cdef readonly list kinds                # of each page: bytes, indexed by offset number
    cdef readonly list pointers             # (block, offset, attribute, value id, stored size, raw size) of live rows
    cdef readonly long long live
    cdef BlockNumber block
    cdef OffsetNumber maxoff
    cdef char *page
    # Of the tuples of a page, by offset number
    cdef uint8_t valid[292]                 # the header can be trusted
    cdef uint8_t xmin_state[292]
    cdef uint8_t xmax_state[292]            # of the updater; XID_INVALID where there is none
    cdef TransactionId updater[292]
    cdef OffsetNumber predecessor[292]

    def __init__(self, Relation rel, ids, bint checksums):
        self.rel = rel
        self.checksums = checksums
        self.next_xid = ids["next_xid"] & 0xFFFFFFFF
        self.oldest_xid = ids["oldest_xid"]
        self.next_multi = ids["next_multi"]
        self.oldest_multi = ids["oldest_multi"]
        if rel.form is not None:
            self.relfrozenxid = rel.form.relfrozenxid
            self.relminmxid = rel.form.relminmxid
        self.problems = []
        self.kinds = []
        self.pointers = []

    cdef int bad(self, int offset, str message) except -1:
        self.problems.append((self.block, offset, message))
        return 0

    # Transactions

    cdef int xid_state(self, TransactionId xid, int offset, str what, bint frozen) except -1:
        """What became of a transaction. Ids out of range are reported."""
        if xid == 0:
            return XID_INVALID
        if xid < 3:
            return XID_COMMITTED
        if not transaction_id_precedes(xid, self.next_xid):
            self.bad(offset, f"{what} {xid} equals or exceeds next valid transaction ID {self.next_xid}")
            return XID_BAD
        if frozen:
            return XID_COMMITTED
        if self.relfrozenxid >= 3 and transaction_id_precedes(xid, self.relfrozenxid):
            self.bad(offset, f"{what} {xid} precedes relation freeze threshold {self.relfrozenxid}")
            return XID_BAD
        if transaction_id_precedes(xid, self.oldest_xid):
            self.bad(offset, f"{what} {xid} precedes oldest valid transaction ID {self.oldest_xid}")
            return XID_BAD
        return XID_COMMITTED if transaction_id_did_commit(xid) else XID_ABORTED

    cdef int multi_updater(self, const HeapTupleHeaderData *tup, int offset, TransactionId *updater) except -1:
        """Look at the members of xmax; 0 if the multixact is out of range, which is reported."""
        cdef MultiXactMember *members = NULL
        cdef uint32_t multi = tup.t_xmax
        cdef int n, i, updaters = 0
        updater[0] = 0
        if multi == 0:
            self.bad(offset, "multitransaction ID is invalid")
            return 0
        if <int32_t> (multi - self.next_multi) >= 0:
            self.bad(offset, f"multitransaction ID {multi} equals or exceeds next valid multitransaction ID "
                             f"{self.next_multi}")
            return 0
        if self.relminmxid and <int32_t> (multi - self.relminmxid) < 0:
            self.bad(offset, f"multitransaction ID {multi} precedes relation minimum multitransaction ID threshold "
                             f"{self.relminmxid}")
            return 0
        if <int32_t> (multi - self.oldest_multi) < 0:
            if xmax_is_locked_only(tup.t_infomask):
                return 1                    # its members are gone and do not matter
            self.bad(offset, f"multitransaction ID {multi} precedes oldest valid multitransaction ID threshold "
                             f"{self.oldest_multi}")
            return 0
        try:
            n = get_multixact_id_members(multi, &members, False, xmax_is_locked_only(tup.t_infomask))
        except SqlError as error:
            self.bad(offset, f"multitransaction ID {multi} cannot be read: {error.message}")
            return 0
        if n < 0:
            self.bad(offset, f"multitransaction ID {multi} has no members")
            return 0
        for i in range(n):
            if members[i].status >= MultiXactStatusNoKeyUpdate:
                updaters += 1
                updater[0] = members[i].xid
        free(members)
        if updaters > 1:
            self.bad(offset, f"multitransaction ID {multi} has {updaters} updating members")
        if updaters and xmax_is_locked_only(tup.t_infomask):
            self.bad(offset, f"multitransaction ID {multi} is marked as lock-only but has an updating member")
        return 1

    # Tuples

    cdef int check_header(self, int offset, const HeapTupleHeaderData *tup, uint32_t length) except -1:
        """Whether the header makes sense by itself."""
        cdef int natts = tuple_natts(tup)
        cdef uint32_t expected = <uint32_t> maxalign(SizeofHeapTupleHeader)
        cdef bint fine = True
        if length < SizeofHeapTupleHeader:
            self.bad(offset, f"line pointer length {length} is less than the minimum tuple header size "
                             f"{SizeofHeapTupleHeader}")
            return 0
        if tup.t_infomask & HEAP_HASNULL:
            expected = <uint32_t> maxalign(SizeofHeapTupleHeader + (natts + 7) // 8)
        if tup.t_hoff > length:
            self.bad(offset, f"data begins at offset {tup.t_hoff} beyond the tuple length {length}")
            fine = False
        elif tup.t_hoff != expected:
            nulls = "has nulls" if tup.t_infomask & HEAP_HASNULL else "no nulls"
            self.bad(offset, f"tuple data should begin at byte {expected}, but actually begins at byte {tup.t_hoff} "
                             f"({natts} attributes, {nulls})")
            fine = False
        if natts > self.rel.desc.natts:
            self.bad(offset, f"number of attributes {natts} exceeds maximum {self.rel.desc.natts} expected for table")
            fine = False
        if tup.t_infomask & HEAP_XMAX_COMMITTED and tup.t_infomask & HEAP_XMAX_IS_MULTI:
            self.bad(offset, "multixact should not be marked committed")
        if tup.t_infomask2 & HEAP_KEYS_UPDATED and xmax_is_locked_only(tup.t_infomask) and \
                not tup.t_infomask & HEAP_XMAX_INVALID and tup.t_infomask & HEAP_XMAX_LOCK_ONLY and \
                not tup.t_infomask & HEAP_XMAX_EXCL_LOCK:
            self.bad(offset, "tuple is marked as only locked, but also claims key columns were updated")
        if tup.t_infomask2 & HEAP_HOT_UPDATED and tup.t_xmax == 0 and not tup.t_infomask & HEAP_XMAX_INVALID:
            self.bad(offset, "tuple has been HOT updated, but xmax is 0")
        if tup.t_infomask & HEAP_HASOID_OLD:
            self.bad(offset, "tuple has an old-style object id")
        if tup.t_infomask & HEAP_MOVED:
            self.bad(offset, "tuple was moved by an old-style VACUUM FULL")
        return fine

    cdef int check_xids(self, int offset, const HeapTupleHeaderData *tup) except -1:
        """xmin and xmax: in range, and as the hint bits say."""
        cdef int state
        cdef TransactionId updater = 0
        state = self.xid_state(tup.t_xmin, offset, "xmin", xmin_frozen(tup))
        if state == XID_INVALID:
            self.bad(offset, "xmin is invalid")
            state = XID_BAD
        if not xmin_frozen(tup):
            if xmin_committed(tup) and state == XID_ABORTED:
                self.bad(offset, f"xmin {tup.t_xmin} is marked committed, but the commit log says that it is not")
            elif xmin_invalid(tup) and state == XID_COMMITTED:
                self.bad(offset, f"xmin {tup.t_xmin} is marked aborted, but the commit log says that it committed")
        self.xmin_state[offset] = state
        state = XID_INVALID
        if tup.t_infomask & HEAP_XMAX_IS_MULTI and not tup.t_infomask & HEAP_XMAX_INVALID:
            if not self.multi_updater(tup, offset, &updater):
                state = XID_BAD
        elif not tup.t_infomask & HEAP_XMAX_IS_MULTI and tup.t_xmax:
            updater = tup.t_xmax
        if updater:
            if tup.t_infomask & HEAP_XMAX_INVALID and not transaction_id_precedes(updater, self.next_xid):
                state = XID_BAD
                self.bad(offset, f"xmax {updater} equals or exceeds next valid transaction ID {self.next_xid}")
            elif tup.t_infomask & HEAP_XMAX_INVALID:
                # Whatever it is, it does not count; but a committed deleter must not be called off.
                if not xmax_is_locked_only(tup.t_infomask) and updater >= 3 and \
                        not transaction_id_precedes(updater, self.oldest_xid) and transaction_id_did_commit(updater):
                    self.bad(offset, f"xmax {updater} is marked aborted, but the commit log says that it committed")
                updater = 0
            else:
                state = self.xid_state(updater, offset, "xmax", False)
                if xmax_is_locked_only(tup.t_infomask):
                    state = XID_INVALID
                    updater = 0
                elif tup.t_infomask & HEAP_XMAX_COMMITTED and state == XID_ABORTED:
                    self.bad(offset, f"xmax {updater} is marked committed, but the commit log says that it is not")
        elif tup.t_infomask & HEAP_XMAX_COMMITTED:
            self.bad(offset, "xmax is marked committed, but there is none")
        self.xmax_state[offset] = state
        self.updater[offset] = updater
        return 0

    cdef int check_values(self, int offset, const HeapTupleHeaderData *tup, uint32_t length, bint is_live) except -1:
        """Values lie within the tuple; pointers to values out of line are remembered if the row is live."""
        cdef int natts = tuple_natts(tup)
        cdef const uint8_t *bits = tuple_bits(tup)
        cdef const char *data = <const char *> tup + tup.t_hoff
        cdef uint32_t room = length - tup.t_hoff
        cdef uint32_t at = 0
        cdef uint32_t size
        cdef int i
        cdef Attribute *att
        cdef varatt_external external
        for i in range(natts):
            att = &self.rel.desc.attrs[i]
            if tup.t_infomask & HEAP_HASNULL and att_isnull(i, bits):
                continue
            if att.attlen == -1:
                if at >= room:
                    self.bad(offset, f"attribute {i + 1} with length -1 starts at offset {tup.t_hoff + at} beyond "
                                     f"total tuple length {length}")
                    return 0
                # A zero byte is padding before a four-byte header; anything else begins the value.
                if data[at] == 0:
                    at = (at + att.attalignby - 1) & ~<uint32_t> (att.attalignby - 1)
                if at >= room or (not <uint8_t> data[at] & 1 and at + 4 > room) or \
                        (<uint8_t> data[at] == 1 and at + TOAST_POINTER_SIZE > room):
                    self.bad(offset, f"attribute {i + 1} with length -1 starts at offset {tup.t_hoff + at} beyond "
                                     f"total tuple length {length}")
                    return 0
                size = varsize_any(data + at)
                if varatt_is_external(data + at):
                    if <uint8_t> data[at + 1] != VARTAG_ONDISK:
                        self.bad(offset, f"toasted attribute {i + 1} has unexpected TOAST tag {<uint8_t> data[at + 1]}")
                        return 0
                    varatt_external_get(data + at, &external)
                    self.check_external(offset, i + 1, tup, &external, is_live)
                elif size == 0 or (not <uint8_t> data[at] & 1 and size < 4):
                    self.bad(offset, f"attribute {i + 1} has an invalid length {size}")
                    return 0
                elif varatt_is_compressed(data + at) and \
                        (size < VARHDRSZ_COMPRESSED or
                         vardata_compressed_method(data + at) >= TOAST_INVALID_COMPRESSION_ID):
                    self.bad(offset, f"attribute {i + 1} is compressed by an unknown method")
            else:
                at = (at + att.attalignby - 1) & ~<uint32_t> (att.attalignby - 1)
                if att.attlen > 0:
                    size = <uint32_t> att.attlen
                else:
                    size = 0
                    while at + size < room and data[at + size]:
                        size += 1
                    size += 1
            if at + size > room:
                self.bad(offset, f"attribute {i + 1} with length {att.attlen} ends at offset {tup.t_hoff + at + size} "
                                 f"beyond total tuple length {length}")
                return 0
            at += size
        return 1

    cdef int check_external(self, int offset, int attnum, const HeapTupleHeaderData *tup, varatt_external *external,
                            bint is_live) except -1:
        cdef uint32_t size = varatt_external_extsize(external)
        if external.va_rawsize < VARHDRSZ or external.va_rawsize > 0x3FFFFFFF:
            self.bad(offset, f"toast value {external.va_valueid} rawsize {external.va_rawsize} exceeds limit "
                             "1073741823")
        if size > <uint32_t> external.va_rawsize - VARHDRSZ:
            self.bad(offset, f"toast value {external.va_valueid} external size {size} exceeds maximum expected for "
                             f"rawsize {external.va_rawsize}")
        if varatt_external_is_compressed(external) and \
                external.va_extinfo >> VARLENA_EXTSIZE_BITS >= TOAST_INVALID_COMPRESSION_ID:
            self.bad(offset, f"toast value {external.va_valueid} has invalid compression method id "
                             f"{external.va_extinfo >> VARLENA_EXTSIZE_BITS}")
        if not tup.t_infomask & HEAP_HASEXTERNAL:
            self.bad(offset, f"toast value {external.va_valueid} is external but tuple header flag HEAP_HASEXTERNAL "
                             "not set")
        if not self.rel.reltoastrelid:
            self.bad(offset, f"toast value {external.va_valueid} is external but relation has no toast relation")
        elif is_live:
            if external.va_toastrelid != self.rel.reltoastrelid:
                self.bad(offset, f"toast value {external.va_valueid} is in toast relation {external.va_toastrelid}, "
                                 f"not in the table's, {self.rel.reltoastrelid}")
            self.pointers.append((self.block, offset, attnum, external.va_valueid, size, external.va_rawsize))
        return 0

    # Pages

    cdef int check_line_pointers(self, uint8_t *kinds) except -1:
        """Line pointers by themselves and against each other; sets `valid` for those whose tuple may be read."""
        cdef int i
        cdef ItemIdData *line
        cdef ItemIdData *target
        cdef uint32_t offset, length
        cdef uint16_t lower = page_header(self.page).pd_lower
        cdef uint16_t upper = page_header(self.page).pd_upper
        spans = []
        for i in range(1, self.maxoff + 1):
            line = page_get_item_id(self.page, <OffsetNumber> i)
            offset = item_id_get_offset(line)
            length = item_id_get_length(line)
            if item_id_get_flags(line) == LP_UNUSED:
                if length:
                    self.bad(i, "unused line pointer has storage")
                continue
            if item_id_get_flags(line) == LP_DEAD:
                kinds[i] = TARGET_OK
                continue
            if item_id_get_flags(line) == LP_REDIRECT:
                kinds[i] = TARGET_OK
                if length:
                    self.bad(i, "line pointer redirection has storage")
                if offset < 1 or offset > self.maxoff:
                    self.bad(i, f"line pointer redirection to item at offset {offset} is out of range "
                                f"1..{self.maxoff}")
                    continue
                target = page_get_item_id(self.page, <OffsetNumber> offset)
                if item_id_get_flags(target) == LP_UNUSED:
                    self.bad(i, f"redirected line pointer points to an unused item at offset {offset}")
                elif item_id_get_flags(target) == LP_DEAD:
                    self.bad(i, f"redirected line pointer points to a dead item at offset {offset}")
                elif item_id_get_flags(target) == LP_REDIRECT:
                    self.bad(i, f"redirected line pointer points to another redirected line pointer at offset "
                                f"{offset}")
                continue
            kinds[i] = TARGET_OK
            if offset != maxalign(offset):
                self.bad(i, f"line pointer to page offset {offset} is not maximally aligned")
            elif offset < upper or offset < lower or offset + length > BLCKSZ:
                self.bad(i, f"line pointer to page offset {offset} with length {length} lies outside of "
                            f"{upper}..{BLCKSZ}")
            elif length < SizeofHeapTupleHeader:
                self.bad(i, f"line pointer length {length} is less than the minimum tuple header size "
                            f"{SizeofHeapTupleHeader}")
            else:
                self.valid[i] = 1
                spans.append((offset, length, i))
        spans.sort()
        for i in range(1, len(spans)):
            if spans[i - 1][0] + spans[i - 1][1] > spans[i][0]:
                self.bad(spans[i][2], f"tuple overlaps the one at offset {spans[i - 1][2]}")
        return 0

    cdef int check_chains(self, uint8_t *kinds) except -1:
        """Update chains within the page: successors, roots of heap-only tuples."""
        cdef int i, following
        cdef ItemIdData *line
        cdef HeapTupleHeaderData *tup
        cdef HeapTupleHeaderData *successor
        memset(self.predecessor, 0, sizeof(self.predecessor))
        for i in range(1, self.maxoff + 1):
            line = page_get_item_id(self.page, <OffsetNumber> i)
            if item_id_get_flags(line) == LP_REDIRECT:
                following = <int> item_id_get_redirect(line)
                if following < 1 or following > self.maxoff or not self.valid[following]:
                    continue
                successor = <HeapTupleHeaderData *> page_get_item(
                    self.page, page_get_item_id(self.page, <OffsetNumber> following))
                if not tuple_is_heap_only(successor):
                    self.bad(i, f"redirected line pointer points to a non-heap-only tuple at offset {following}")
                if self.predecessor[following]:
                    self.bad(i, f"redirect line pointer points to offset {following}, but offset "
                                f"{self.predecessor[following]} also points there")
                self.predecessor[following] = <OffsetNumber> i
                continue
            if not self.valid[i]:
                continue
            tup = <HeapTupleHeaderData *> page_get_item(self.page, line)
            if tuple_is_speculative(tup):
                if self.xmin_state[i] == XID_COMMITTED:
                    self.bad(i, "tuple of a committed transaction has a speculative insertion token")
                continue
            if tuple_moved_partitions(tup):
                continue
            following = tid_offset(&tup.t_ctid)
            if following == 0:
                self.bad(i, "tuple points to offset 0")
                continue
            if tid_block(&tup.t_ctid) != self.block or following == i or self.updater[i] == 0:
                if tup.t_infomask2 & HEAP_HOT_UPDATED and self.xmax_state[i] == XID_COMMITTED:
                    self.bad(i, "tuple has been HOT updated, but its update chain leaves the page")
                continue
            if following > self.maxoff or not self.valid[following]:
                # An aborted successor may have been pruned away. A committed one may not, without this tuple.
                if self.xmax_state[i] == XID_COMMITTED and tup.t_infomask2 & HEAP_HOT_UPDATED:
                    self.bad(i, f"tuple has been HOT updated, but there is no tuple at offset {following}")
                continue
            successor = <HeapTupleHeaderData *> page_get_item(
                self.page, page_get_item_id(self.page, <OffsetNumber> following))
            if successor.t_xmin != self.updater[i]:
                if self.xmax_state[i] == XID_COMMITTED and tup.t_infomask2 & HEAP_HOT_UPDATED:
                    self.bad(i, f"tuple with updater {self.updater[i]} has a successor at offset {following} with "
                                f"differing xmin {successor.t_xmin}")
                continue
            if tup.t_infomask2 & HEAP_HOT_UPDATED and not tuple_is_heap_only(successor):
                self.bad(i, f"tuple was HOT updated, but its successor at offset {following} is not heap-only")
            if not tup.t_infomask2 & HEAP_HOT_UPDATED and tuple_is_heap_only(successor):
                self.bad(i, f"tuple was not HOT updated, but its successor at offset {following} is heap-only")
            if self.xmin_state[i] == XID_ABORTED and self.xmin_state[following] == XID_COMMITTED:
                self.bad(i, f"tuple was inserted by an aborted transaction, but its successor at offset {following} "
                            "was committed")
            if self.predecessor[following]:
                self.bad(i, f"tuple points to new version at offset {following}, but offset "
                            f"{self.predecessor[following]} also points there")
            self.predecessor[following] = <OffsetNumber> i
        for i in range(1, self.maxoff + 1):
            if not self.valid[i]:
                continue
            tup = <HeapTupleHeaderData *> page_get_item(self.page, page_get_item_id(self.page, <OffsetNumber> i))
            if tuple_is_heap_only(tup):
                kinds[i] = TARGET_HEAP_ONLY
                if not self.predecessor[i] and self.is_live(i):
                    self.bad(i, "tuple is heap-only and live, but not reached from any other")
            elif self.predecessor[i] and not kinds[i]:
                kinds[i] = TARGET_OK
        for i in range(1, self.maxoff + 1):
            if self.valid[i] and self.is_live(i):
                following = self.root(i)
                if following and kinds[following] != TARGET_HEAP_ONLY:
                    if kinds[following] == TARGET_LIVE:
                        self.bad(i, f"the chain that begins at offset {following} has two live tuples")
                    kinds[following] = TARGET_LIVE
        return 0

    cdef int root(self, int offset) noexcept:
        """Where the chain of a heap-only tuple begins; 0 for none."""
        cdef int steps = 0
        cdef ItemIdData *line
        cdef HeapTupleHeaderData *tup
        while steps <= self.maxoff:
            line = page_get_item_id(self.page, <OffsetNumber> offset)
            if item_id_get_flags(line) == LP_REDIRECT:
                return offset
            tup = <HeapTupleHeaderData *> page_get_item(self.page, line)
            if not tuple_is_heap_only(tup):
                return offset
            offset = self.predecessor[offset]
            if offset == 0:
                return 0
            steps += 1
        return 0

    cdef bint is_live(self, int offset) noexcept:
        return self.xmin_state[offset] == XID_COMMITTED and self.xmax_state[offset] != XID_COMMITTED and \
            self.xmax_state[offset] != XID_BAD

    cdef int check_page(self, int map_bits) except -1:
        """One page, whose checksum and header are right."""
        cdef int i
        cdef uint8_t kinds[292]
        cdef ItemIdData *line
        cdef HeapTupleHeaderData *tup
        self.maxoff = page_get_max_offset(self.page)
        if self.maxoff > MaxHeapTuplesPerPage or page_header(self.page).pd_special != BLCKSZ or \
                page_header(self.page).pd_lower < SizeOfPageHeaderData:
            self.bad(0, f"page header is not a heap page's: {self.maxoff} line pointers, special space at "
                        f"{page_header(self.page).pd_special}")
            self.kinds.append(b"\0")
            return 0
        memset(kinds, 0, sizeof(kinds))
        memset(self.valid, 0, sizeof(self.valid))
        memset(self.xmin_state, 0, sizeof(self.xmin_state))
        memset(self.xmax_state, 0, sizeof(self.xmax_state))
        memset(self.updater, 0, sizeof(self.updater))
        self.check_line_pointers(kinds)
        for i in range(1, self.maxoff + 1):
            if not self.valid[i]:
                continue
            line = page_get_item_id(self.page, <OffsetNumber> i)
            tup = <HeapTupleHeaderData *> page_get_item(self.page, line)
            self.valid[i] = self.check_header(i, tup, item_id_get_length(line))
            if not self.valid[i]:
                continue
            self.check_xids(i, tup)
            # Nobody reads the values of a row whose insertion does not count; they must be in order all the same.
            self.check_values(i, tup, item_id_get_length(line), self.is_live(i))
            self.live += self.is_live(i)
        self.check_chains(kinds)
        self.check_map_bits(map_bits)
        self.kinds.append((<char *> kinds)[:self.maxoff + 1])
        return 0

    cdef int check_map_bits(self, int bits) except -1:
        """Pages that are called all-visible or all-frozen are (pg_check_visible, pg_check_frozen)."""
        cdef int i
        cdef HeapTupleHeaderData *tup
        cdef ItemIdData *line
        if bits & 2 and not bits & 1:
            self.bad(0, "page is all-frozen in the visibility map, but not all-visible")
        if bits and not page_is_all_visible(self.page):
            self.bad(0, "page is all-visible in the visibility map, but its own flag says that it is not")
        if not bits and not page_is_all_visible(self.page):
            return 0
        for i in range(1, self.maxoff + 1):
            line = page_get_item_id(self.page, <OffsetNumber> i)
            if item_id_get_flags(line) == LP_DEAD:
                self.bad(i, "line pointer is dead on an all-visible page")
                continue
            if not self.valid[i]:
                continue
            tup = <HeapTupleHeaderData *> page_get_item(self.page, line)
            if self.xmin_state[i] == XID_ABORTED:
                self.bad(i, "tuple of an aborted transaction on an all-visible page")
            elif self.xmax_state[i] == XID_COMMITTED:
                self.bad(i, "deleted tuple on an all-visible page")
            elif bits & 2:
                if not xmin_frozen(tup) and tup.t_xmin >= 3:
                    self.bad(i, f"tuple with xmin {tup.t_xmin} that is not frozen on an all-frozen page")
                elif tup.t_xmax and not tup.t_infomask & HEAP_XMAX_INVALID:
                    self.bad(i, f"tuple with xmax {tup.t_xmax} on an all-frozen page")
        return 0

    cpdef run(self):
        """Check all pages."""
        cdef char page[BLCKSZ]
        cdef char map_page[BLCKSZ]
        cdef BlockNumber nblocks, block, map_nblocks = 0
        cdef long long loaded = -1
        cdef int bits
        cdef BlockNumber within
        smgr = smgr_open(&self.rel.rd_locator, -1)
        nblocks = <BlockNumber> smgr_nblocks(smgr, MAIN_FORK)
        if self.has_map():
            map_nblocks = <BlockNumber> smgr_nblocks(smgr, VM_FORK)
        self.page = page
        for block in range(nblocks):
            self.block = block
            bits = 0
            if block // HEAPBLOCKS_PER_VM_PAGE < map_nblocks:
                if <long long> (block // HEAPBLOCKS_PER_VM_PAGE) != loaded:
                    loaded = block // HEAPBLOCKS_PER_VM_PAGE
                    smgr_read(smgr, VM_FORK, <BlockNumber> loaded, map_page)
                    if page_is_verified(map_page, <BlockNumber> loaded, self.checksums):
                        memset(map_page, 0, BLCKSZ)
                within = block % HEAPBLOCKS_PER_VM_PAGE
                bits = ((<uint8_t> map_page[SizeOfPageHeaderData + within // 4]) >> (within % 4 * 2)) & 3
            smgr_read(smgr, MAIN_FORK, block, page)
            if page_is_verified(page, block, self.checksums):
                self.kinds.append(None)
            elif page_is_new(page):
                if bits:
                    self.bad(0, "empty page is all-visible in the visibility map")
                self.kinds.append(b"\0")
            else:
                self.check_page(bits)
        self.check_map_end(map_nblocks, nblocks)
        return self

    def has_map(self):
        """Whether there is a visibility map."""
        from tusk.storage import _smgr

        return _smgr.exists(self.rel.locator, VM_FORK)

    def check_map_end(self, map_nblocks, nblocks):
        """No bits for pages that are not there."""
        from tusk.storage import _page, _smgr

        for number in range(map_nblocks):
            page = _smgr.read(self.rel.locator, VM_FORK, number)
            if page.count(0) == BLCKSZ or _page.verify(page, number, self.checksums):
                continue
            first = number * HEAPBLOCKS_PER_VM_PAGE
            for at in range(SizeOfPageHeaderData, BLCKSZ):
                if page[at] == 0:
                    continue
                for within in range(4):
                    block = first + (at - SizeOfPageHeaderData) * 4 + within
                    if block >= nblocks and page[at] >> (2 * within) & 3:
                        self.problems.append((block, 0, "visibility map has bits for a page beyond the end"))
                        return


def check_heap(Relation rel, ids, checksums=True):
    """Check a table; returns the HeapChecker with its findings."""
    return HeapChecker(rel, ids, checksums).run()


def toast_values(Relation toast, kinds):
    """{value id: [(chunk number, size), ...]} of the live chunks of a TOAST table.

    ``kinds`` are the HeapChecker's of the TOAST table, which has found nothing wrong with its pages.
    """
    cdef char page[BLCKSZ]
    cdef BlockNumber block
    cdef int i
    cdef ItemIdData *line
    cdef HeapTupleHeaderData *tup
    cdef Datum values[3]
    cdef uint8_t nulls[3]
    found = {}
    smgr = smgr_open(&toast.rd_locator, -1)
    for block in range(len(kinds)):
        if not kinds[block]:
            continue
        smgr_read(smgr, MAIN_FORK, block, page)
        for i in range(1, page_get_max_offset(page) + 1):
            if kinds[block][i] != TARGET_LIVE:
                continue
            line = page_get_item_id(page, <OffsetNumber> i)
            if item_id_get_flags(line) != LP_NORMAL:
                continue
            tup = <HeapTupleHeaderData *> page_get_item(page, line)
            heap_deform_tuple(tup, &toast.desc.c, 3, values, nulls)
            if nulls[0] or nulls[1] or nulls[2]:
                continue
            found.setdefault(<uint32_t> values[0], []).append(
                (<int32_t> values[1], varsize_any_exhdr(<void *> values[2])))
    return found


def check_toast(pointers, values):
    """Problems (block, offset, message) of pointers whose values are not complete."""
    problems = []
    for block, offset, attnum, value_id, size, _ in pointers:
        chunks = values.get(value_id)
        if chunks is None:
            problems.append((block, offset, f"toast value {value_id} of attribute {attnum} not found in toast table"))
            continue
        chunks.sort()
        last = (size - 1) // TOAST_MAX_CHUNK_SIZE if size else -1
        expected = [(i, TOAST_MAX_CHUNK_SIZE) for i in range(last)]
        if last >= 0:
            expected.append((last, size - last * TOAST_MAX_CHUNK_SIZE))
        if chunks == expected:
            continue
        for have, want in zip(chunks, expected, strict=False):
            if have != want:
                problems.append((block, offset, f"toast value {value_id} has chunk {have[0]} of size {have[1]}, but "
                                                f"expected chunk {want[0]} of size {want[1]}"))
                break
        else:
            problems.append((block, offset, f"toast value {value_id} was expected to end at chunk {last}, but ended at "
                                            f"chunk {len(chunks) - 1}"))
    return problems
