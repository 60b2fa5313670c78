"""Descending a b-tree by a key, moving right where a page was split meanwhile (Lehman and Yao; nbtsearch.c)."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from tusk._types cimport BlockNumber, Datum, ItemPointerData, OffsetNumber
from tusk.access._compare cimport Comparator, lookup_comparator
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport INDEX_NULL_MASK, IndexTupleData, fetch_att, index_getattr
from tusk.access._tupdesc cimport Attribute
from tusk.access.nbtree._layout cimport *
from tusk.access.nbtree._page cimport *
from tusk.storage._buffer cimport (
    BUFFER_LOCK_EXCLUSIVE, BUFFER_LOCK_UNLOCK, buffer_block, buffer_page, lock_buffer, unlock_release_buffer,
)
from tusk.storage._page cimport page_get_item, page_get_item_id, page_get_max_offset


cdef finish_split_fn finish_split_hook = NULL


cdef int bt_mkscankey(Relation rel, const IndexTupleData *itup, BTScanInsert *key) except -1:
    """For a leaf or pivot tuple; attributes that a pivot lacks are left out."""
    cdef int i
    cdef int natts = bt_natts(itup, rel.indnatts) if itup != NULL else 0
    cdef uint8_t isnull
    key.allequalimage = bt_allequalimage(rel)
    key.anynullkeys = False
    key.nextkey = False
    key.backward = False
    key.keysz = rel.indnkeyatts if rel.indnkeyatts < natts or itup == NULL else natts
    key.scantid = bt_heap_tid(itup) if itup != NULL else NULL
    for i in range(key.keysz):
        key.keys[i].attno = <int16_t> (i + 1)
        key.keys[i].cmp = rel.keys[i].cmp
        isnull = 1
        key.keys[i].argument = 0
        if itup != NULL:
            key.keys[i].argument = index_getattr(itup, i + 1, &rel.desc.c, &isnull)
        key.keys[i].flags = <int16_t> ((rel.keys[i].indoption & 1) * KEY_DESC + (rel.keys[i].indoption & 2) * 2)
        if isnull:
            key.keys[i].flags |= KEY_ISNULL
            key.anynullkeys = True
    if rel.indnullsnotdistinct:
        key.anynullkeys = False
    bt_classify(rel, key)
    return 0


# Comparators of integers, recognised by their addresses: by far the most frequent keys.
cdef Comparator _int4, _int8, _oid
lookup_comparator("btint4cmp", 0, &_int4)
lookup_comparator("btint8cmp", 0, &_int8)
lookup_comparator("btoidcmp", 0, &_oid)


cdef void bt_classify(Relation rel, BTScanInsert *key) noexcept nogil:
    key.fast = FAST_NONE
    if key.keysz == 0 or key.keys[0].flags != 0:
        return                              # null, descending or nulls first
    if key.keys[0].cmp.fn == _int4.fn:
        key.fast = FAST_INT4
    elif key.keys[0].cmp.fn == _int8.fn:
        key.fast = FAST_INT8
    elif key.keys[0].cmp.fn == _oid.fn:
        key.fast = FAST_OID


cdef inline int fast_compare(const BTScanInsert *key, const IndexTupleData *itup) noexcept nogil:
    """The key's first column against that of a tuple that has it, at the start of its data."""
    cdef const char *data = <const char *> itup + 8
    cdef int64_t a, b
    if key.fast == FAST_INT4:
        a = <int32_t> key.keys[0].argument
        b = (<const int32_t *> data)[0]
    elif key.fast == FAST_INT8:
        a = <int64_t> key.keys[0].argument
        b = (<const int64_t *> data)[0]
    else:
        a = <uint32_t> key.keys[0].argument
        b = (<const uint32_t *> data)[0]
    return (a > b) - (a < b)


cdef int bt_compare(Relation rel, const BTScanInsert *key, const char *page, OffsetNumber offset) except? -2:
    cdef const BTPageOpaqueData *opaque = bt_opaque(page)
    cdef const IndexTupleData *itup
    cdef const BTKey *k
    cdef const Attribute *att
    cdef const ItemPointerData *tid
    cdef int i
    cdef int n
    cdef int ntupatts
    cdef int result
    cdef uint8_t isnull
    cdef Datum datum
    if not opaque.btpo_flags & BTP_LEAF and offset == p_firstdatakey(opaque):
        return 1                            # minus infinity
    itup = <const IndexTupleData *> page_get_item(page, page_get_item_id(page, offset))
    ntupatts = bt_natts(itup, rel.indnatts)
    n = ntupatts if ntupatts < key.keysz else key.keysz
    i = 0
    if key.fast and n and not itup.t_info & INDEX_NULL_MASK:
        result = fast_compare(key, itup)
        if result:
            return result
        i = 1
    while i < n:
        k = &key.keys[i]
        att = &rel.desc.attrs[i]
        if not itup.t_info & INDEX_NULL_MASK and att.attcacheoff >= 0:
            datum = fetch_att(<const char *> itup + 8 + att.attcacheoff, att.attbyval, att.attlen)
            isnull = 0
        else:
            datum = index_getattr(itup, i + 1, &rel.desc.c, &isnull)
        if k.flags & KEY_ISNULL:
            if isnull:
                i += 1
                continue
            result = -1 if k.flags & KEY_NULLS_FIRST else 1
        elif isnull:
            result = 1 if k.flags & KEY_NULLS_FIRST else -1
        else:
            result = k.cmp.fn(datum, k.argument, k.cmp.state)
            if result == 0:
                i += 1
                continue
            # The comparator was asked about the column's value; the answer is about the key.
            if k.flags & KEY_DESC:
                result = 1 if result > 0 else -1
            else:
                result = -1 if result > 0 else 1
        return result
    if key.keysz > ntupatts:
        return 1                            # truncated attributes are minus infinity
    tid = bt_heap_tid(itup)
    if key.scantid == NULL:
        # All attributes equal and the TID truncated away: matches can only be to the right. A backward scan must
        # look to the left of such a pivot all the same when it wants the items before an equal key.
        if not key.backward and key.keysz == ntupatts and tid == NULL:
            return 1
        return 0
    if tid == NULL:
        return 1
    result = tid_compare(key.scantid, tid)
    if result <= 0 or not bt_is_posting(itup):
        return -1 if result < 0 else (1 if result > 0 else 0)
    return 1 if tid_compare(key.scantid, bt_max_heap_tid(itup)) > 0 else 0


cdef OffsetNumber bt_binsrch(Relation rel, const BTScanInsert *key, const char *page) except? 0xFFFF:
    """On a leaf, the first item at or (nextkey) after the key, or the one before that for backward scans; on an upper
    page, the last item before it: the child to visit."""
    cdef const BTPageOpaqueData *opaque = bt_opaque(page)
    cdef int low = p_firstdatakey(opaque)
    cdef int high = page_get_max_offset(page)
    cdef int mid
    cdef int c
    cdef int limit = 0 if key.nextkey else 1
    cdef const IndexTupleData *itup
    if high < low:
        return <OffsetNumber> low
    high += 1
    if not opaque.btpo_flags & BTP_LEAF:
        low += 1                            # minus infinity is before everything
    if key.fast:
        while high > low:
            mid = low + ((high - low) >> 1)
            itup = <const IndexTupleData *> page_get_item(page, page_get_item_id(page, <OffsetNumber> mid))
            c = 0
            if not itup.t_info & INDEX_NULL_MASK:
                c = fast_compare(key, itup)
            if c == 0:
                c = bt_compare(rel, key, page, <OffsetNumber> mid)
            if c >= limit:
                low = mid + 1
            else:
                high = mid
    while high > low:
        mid = low + ((high - low) >> 1)
        if bt_compare(rel, key, page, <OffsetNumber> mid) >= limit:
            low = mid + 1
        else:
            high = mid
    if opaque.btpo_flags & BTP_LEAF and not key.backward:
        return <OffsetNumber> low
    return <OffsetNumber> (low - 1)


cdef int bt_moveright(
    Relation rel, Relation heap, const BTScanInsert *key, int buf, bint forupdate, BTStack *stack, int depth,
    int access,
) except 0:
    """Step right until the page's high key is above the key."""
    cdef char *page
    cdef BTPageOpaqueData *opaque
    cdef BlockNumber block
    cdef int limit = 0 if key.nextkey else 1
    while True:
        page = buffer_page(buf)
        opaque = bt_opaque(page)
        if opaque.btpo_next == P_NONE:
            break
        if forupdate and p_incomplete_split(opaque):
            block = buffer_block(buf)
            if access == BT_READ:
                lock_buffer(buf, BUFFER_LOCK_UNLOCK)
                lock_buffer(buf, BUFFER_LOCK_EXCLUSIVE)
            if p_incomplete_split(opaque):
                finish_split_hook(rel, heap, buf, stack, depth)
            else:
                unlock_release_buffer(buf)
            buf = bt_getbuf(rel, block, access)
            continue
        if p_ignore(opaque) or bt_compare(rel, key, page, P_HIKEY) >= limit:
            buf = bt_relandgetbuf(rel, buf, opaque.btpo_next, access)
            continue
        break
    if p_ignore(opaque):
        unlock_release_buffer(buf)
        raise index_corrupted(f'fell off the end of index "{rel.name}"')
    return buf


cdef int bt_search(Relation rel, Relation heap, const BTScanInsert *key, int access, BTStack *stack) except -1:
    cdef int buf = bt_getroot(rel, heap, access)
    cdef int page_access = BT_READ
    cdef char *page
    cdef BTPageOpaqueData *opaque
    cdef OffsetNumber offset
    cdef BlockNumber child
    stack.depth = 0
    if buf == 0:
        return 0
    while True:
        buf = bt_moveright(rel, heap, key, buf, access == BT_WRITE, stack, stack.depth, page_access)
        page = buffer_page(buf)
        opaque = bt_opaque(page)
        if p_isleaf(opaque):
            break
        offset = bt_binsrch(rel, key, page)
        child = bt_down_link(<IndexTupleData *> page_get_item(page, page_get_item_id(page, offset)))
        if stack.depth == 32:
            unlock_release_buffer(buf)
            raise index_corrupted(f'index "{rel.name}" is deeper than a b-tree can be')
        stack.entries[stack.depth].block = buffer_block(buf)
        stack.entries[stack.depth].offset = offset
        stack.depth += 1
        if opaque.btpo_level == 1 and access == BT_WRITE:
            page_access = BT_WRITE
        buf = bt_relandgetbuf(rel, buf, child, page_access)
    if access == BT_WRITE and page_access == BT_READ:
        # The root is a leaf: it was locked for reading only, and may have been split when we have it for writing.
        lock_buffer(buf, BUFFER_LOCK_UNLOCK)
        lock_buffer(buf, BUFFER_LOCK_EXCLUSIVE)
        buf = bt_moveright(rel, heap, key, buf, True, stack, stack.depth, BT_WRITE)
    return buf


cdef int bt_get_true_root(Relation rel) except -1:
    """The root proper, not the fast root, locked for reading; 0 when there is none (_bt_gettrueroot)."""
    cdef int buf = bt_getbuf(rel, BTREE_METAPAGE, BT_READ)
    cdef BTMetaPageData *meta = bt_checked_meta(rel, buf)
    cdef BlockNumber block = meta.btm_root
    cdef uint32_t level = meta.btm_level
    cdef BTPageOpaqueData *opaque
    if block == P_NONE:
        unlock_release_buffer(buf)
        return 0
    while True:
        buf = bt_relandgetbuf(rel, buf, block, BT_READ)
        opaque = bt_opaque(buffer_page(buf))
        if not p_ignore(opaque):
            break
        if p_rightmost(opaque):
            unlock_release_buffer(buf)
            raise index_corrupted(f'no live root page found in index "{rel.name}"')
        block = opaque.btpo_next
    if opaque.btpo_level != level:
        found = opaque.btpo_level
        unlock_release_buffer(buf)
        raise index_corrupted(f'root page {block} of index "{rel.name}" has level {found}, expected {level}')
    return buf


cdef int bt_get_endpoint(Relation rel, uint32_t level, bint rightmost) except -1:
    cdef int buf = bt_getroot(rel, None, BT_READ) if level == 0 else bt_get_true_root(rel)
    cdef char *page
    cdef BTPageOpaqueData *opaque
    cdef OffsetNumber offset
    cdef BlockNumber block
    if buf == 0:
        return 0
    while True:
        page = buffer_page(buf)
        opaque = bt_opaque(page)
        # A page being deleted has handed its keys to the right; a split may have added pages to the right.
        while p_ignore(opaque) or (rightmost and not p_rightmost(opaque)):
            block = opaque.btpo_next
            if block == P_NONE:
                unlock_release_buffer(buf)
                raise index_corrupted(f'fell off the end of index "{rel.name}"')
            buf = bt_relandgetbuf(rel, buf, block, BT_READ)
            page = buffer_page(buf)
            opaque = bt_opaque(page)
        if opaque.btpo_level == level:
            return buf
        if opaque.btpo_level < level:
            unlock_release_buffer(buf)
            raise index_corrupted(f'btree level {level} not found in index "{rel.name}"')
        offset = page_get_max_offset(page) if rightmost else p_firstdatakey(opaque)
        block = bt_down_link(<IndexTupleData *> page_get_item(page, page_get_item_id(page, offset)))
        buf = bt_relandgetbuf(rel, buf, block, BT_READ)
