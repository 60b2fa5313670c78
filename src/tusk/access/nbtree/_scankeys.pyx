"""What a b-tree scan has to fulfil.

Keys are kept by column. As long as all columns before have an equality key, a key is *required*: the first tuple (in
the scan's direction) that lies beyond it ends the scan. An array of an equality (``= ANY``) among them makes the scan
go through the combinations of elements in index order: when a tuple lies beyond the current element, the array is moved
to the first element that is not before the tuple, and tuples before that are skipped, or a new descent leads there.
"""

from libc.stdint cimport int16_t, uint8_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove, memset
from tusk._types cimport Datum
from tusk.access._compare cimport Comparator, lookup_comparator
from tusk.access._index cimport (
    SK_ISNULL, SK_ROW_END, SK_ROW_HEADER, SK_SEARCHARRAY, SK_SEARCHNOTNULL, SK_SEARCHNULL, ScanKeyData,
)
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport INDEX_NULL_MASK, IndexTupleData, fetch_att, index_getattr
from tusk.access._tupdesc cimport Attribute
from tusk.access.nbtree._search cimport KEY_DESC, KEY_ISNULL, BTKey, BTScanInsert, bt_classify

cdef enum:
    LESS = 1
    LESS_EQUAL = 2
    EQUAL = 3
    GREATER_EQUAL = 4
    GREATER = 5

# Orders of argument types that may stand on the other side of a cross-type operator.
_ORDERS = {20: "btint8cmp", 21: "btint2cmp", 23: "btint4cmp", 19: "btnamecmp", 25: "bttextcmp", 26: "btoidcmp",
           700: "btfloat4cmp", 701: "btfloat8cmp", 1082: "date_cmp", 1114: "timestamp_cmp", 1184: "timestamp_cmp"}


cdef inline bint holds(int result, int strategy) noexcept nogil:
    """Whether column <strategy> argument, from how they compare."""
    if strategy == EQUAL:
        return result == 0
    if strategy == LESS:
        return result < 0
    if strategy == LESS_EQUAL:
        return result <= 0
    if strategy == GREATER_EQUAL:
        return result >= 0
    return result > 0


cdef inline bint is_equality(const BTScanKey *k) noexcept nogil:
    return k.kind == ISNULL_KEY or k.kind == ARRAY_KEY or (k.kind == COMPARE_KEY and k.strategy == EQUAL)


cdef int sort_elems(Datum *elems, int n, Comparator cmp, bint desc) except -1:
    """Merge sort in index order, and removal of duplicates; returns how many are left."""
    cdef Datum *scratch
    cdef int width = 1
    cdef int i, j, k, left, mid, right, c
    if n < 2:
        return n
    scratch = <Datum *> malloc(n * sizeof(Datum))
    if scratch == NULL:
        raise MemoryError
    try:
        while width < n:
            left = 0
            while left < n:
                mid = left + width if left + width < n else n
                right = left + 2 * width if left + 2 * width < n else n
                i = left
                j = mid
                for k in range(left, right):
                    if i < mid and j < right:
                        c = cmp.fn(elems[i], elems[j], cmp.state)
                        if desc:
                            c = -1 if c > 0 else (1 if c < 0 else 0)
                    else:
                        c = -1 if i < mid else 1
                    if c <= 0:
                        scratch[k] = elems[i]
                        i += 1
                    else:
                        scratch[k] = elems[j]
                        j += 1
                left = right
            memcpy(elems, scratch, n * sizeof(Datum))
            width *= 2
        k = 1
        for i in range(1, n):
            if cmp.fn(elems[k - 1], elems[i], cmp.state) != 0:
                elems[k] = elems[i]
                k += 1
    finally:
        free(scratch)
    return k


cdef class BTScanKeys:
    """The keys of one scan."""

    def __cinit__(self, Relation rel):
        self.rel = rel
        self.held = []

    def __dealloc__(self):
        self.release()
        free(self.keys)

    cdef void release(self) noexcept:
        cdef int i
        for i in range(self.nkeys):
            free(self.keys[i].elems)
        self.nkeys = 0
        self.narrays = 0

    cdef int add(self, const ScanKeyData *k) except -1:
        cdef BTScanKey *key = &self.keys[self.nkeys]
        cdef int col = k.sk_attno - 1
        cdef Comparator own = self.rel.keys[col].cmp
        cdef const ScanKeyData *member
        cdef int attno
        memset(key, 0, sizeof(BTScanKey))
        key.attno = k.sk_attno
        key.strategy = <uint8_t> k.sk_strategy
        key.desc = self.rel.keys[col].indoption & 1
        key.nulls_first = (self.rel.keys[col].indoption & 2) != 0
        key.argument = k.sk_argument
        key.cmp = k.sk_cmp if k.sk_cmp.fn != NULL else own
        key.same_type = k.sk_cmp.fn == NULL or (k.sk_cmp.fn == own.fn and k.sk_cmp.state == own.state)
        if k.sk_flags & SK_SEARCHNULL:
            key.kind = ISNULL_KEY
            key.strategy = EQUAL
        elif k.sk_flags & SK_SEARCHNOTNULL:
            # Not null is a bound: below the nulls at the end, or above those at the start.
            key.kind = NOTNULL_KEY
            key.order = GREATER if key.nulls_first else LESS
            key.strategy = <uint8_t> (6 - key.order) if key.desc else key.order
        elif k.sk_flags & SK_ROW_HEADER:
            key.kind = ROW_KEY
            key.members = k.sk_members
            key.row_exact = True
            if k.sk_members.sk_flags & SK_ISNULL:
                self.qual_ok = False
            member = k.sk_members
            attno = k.sk_attno
            while True:
                if member.sk_attno != attno or (self.rel.keys[member.sk_attno - 1].indoption & 1) != key.desc:
                    key.row_exact = False
                if member.sk_flags & SK_ROW_END:
                    break
                member += 1
                attno += 1
        elif k.sk_flags & SK_ISNULL:
            self.qual_ok = False                # operators are strict
        elif k.sk_flags & SK_SEARCHARRAY:
            key.kind = ARRAY_KEY
            key.nelems = k.sk_nelems
            if key.nelems == 0:
                self.qual_ok = False
            key.elems = <Datum *> malloc((key.nelems + 1) * sizeof(Datum))
            if key.elems == NULL:
                raise MemoryError
            if key.nelems:
                memcpy(key.elems, k.sk_elems, key.nelems * sizeof(Datum))
            if key.same_type:
                key.elem_cmp = own
            elif k.sk_subtype in _ORDERS:
                self.held.append(lookup_comparator(_ORDERS[k.sk_subtype], k.sk_collation, &key.elem_cmp))
            if key.elem_cmp.fn != NULL:
                key.nelems = sort_elems(key.elems, key.nelems, key.elem_cmp, key.desc)
                if key.strategy != EQUAL and key.nelems:
                    # Any of several bounds: the widest one says it all.
                    if (key.strategy in (LESS, LESS_EQUAL)) != (key.desc != 0):
                        key.argument = key.elems[key.nelems - 1]
                    else:
                        key.argument = key.elems[0]
                    key.kind = COMPARE_KEY
                    free(key.elems)
                    key.elems = NULL
            else:
                key.kind = MEMBER_KEY
        if key.order == 0:
            key.order = <uint8_t> (6 - key.strategy) if key.desc else key.strategy
        self.nkeys += 1
        return 0

    cdef int prepare(self, const ScanKeyData *keys, int nkeys) except -1:
        """Sort by column, drop what is redundant, find contradictions, and see which keys are required."""
        cdef int col, i
        cdef void *room
        self.release()
        self.qual_ok = True
        if self.held:
            self.held = []
        if nkeys > self.room:
            room = realloc(self.keys, nkeys * sizeof(BTScanKey))
            if room == NULL:
                raise MemoryError
            self.keys = <BTScanKey *> room
            self.room = nkeys
        for col in range(1, self.rel.indnkeyatts + 1):
            for i in range(nkeys):
                if keys[i].sk_attno == col:
                    self.add(&keys[i])
            if self.nkeys == nkeys:
                break
        if self.qual_ok and self.nkeys > 1:
            self.reduce()
        if self.qual_ok:
            self.mark_required()
        return 0

    cdef int reduce(self) except -1:
        """Compare the keys of each column with one another, as far as their arguments can be compared."""
        cdef int i, j, c, n, m, p
        cdef BTScanKey *a
        cdef BTScanKey *b
        cdef Comparator cmp
        cdef bint drop_a, drop_b
        i = 0
        while i < self.nkeys:
            j = i + 1
            while j < self.nkeys and self.keys[j].attno == self.keys[i].attno:
                a = &self.keys[i]
                b = &self.keys[j]
                cmp = self.rel.keys[a.attno - 1].cmp
                drop_a = False
                drop_b = False
                if a.kind == ISNULL_KEY or b.kind == ISNULL_KEY:
                    if a.kind == b.kind:
                        drop_b = True
                    else:
                        self.qual_ok = False        # everything else needs a value
                        return 0
                elif b.kind == NOTNULL_KEY and a.kind != ROW_KEY:
                    drop_b = True
                elif a.kind == NOTNULL_KEY and b.kind != ROW_KEY:
                    drop_a = True
                elif not a.same_type or not b.same_type or a.kind in (ROW_KEY, MEMBER_KEY) or \
                        b.kind in (ROW_KEY, MEMBER_KEY, NOTNULL_KEY):
                    pass
                elif a.kind == ARRAY_KEY or b.kind == ARRAY_KEY:
                    # Elements that the other key rules out go.
                    if a.kind != ARRAY_KEY:
                        a, b = b, a
                        drop_a = True
                    else:
                        drop_b = True
                    m = 0
                    for n in range(a.nelems):
                        if b.kind == ARRAY_KEY:
                            c = 1
                            for p in range(b.nelems):
                                if cmp.fn(a.elems[n], b.elems[p], cmp.state) == 0:
                                    c = 0
                                    break
                            if c:
                                continue
                        elif not holds(cmp.fn(a.elems[n], b.argument, cmp.state), b.strategy):
                            continue
                        a.elems[m] = a.elems[n]
                        m += 1
                    a.nelems = m
                    if m == 0:
                        self.qual_ok = False
                        return 0
                elif a.strategy == EQUAL or b.strategy == EQUAL:
                    if a.strategy == EQUAL:
                        if not holds(cmp.fn(a.argument, b.argument, cmp.state), b.strategy):
                            self.qual_ok = False
                            return 0
                        drop_b = True
                    else:
                        if not holds(cmp.fn(b.argument, a.argument, cmp.state), a.strategy):
                            self.qual_ok = False
                            return 0
                        drop_a = True
                elif (a.strategy < EQUAL) == (b.strategy < EQUAL):
                    # Two bounds on one side: the tighter one stays.
                    c = cmp.fn(a.argument, b.argument, cmp.state)
                    if c == 0:
                        drop_b = a.strategy in (LESS, GREATER)
                        drop_a = not drop_b
                    elif a.strategy < EQUAL:
                        drop_a = c > 0
                        drop_b = not drop_a
                    else:
                        drop_a = c < 0
                        drop_b = not drop_a
                if drop_a:
                    free(self.keys[i].elems)
                    memmove(&self.keys[i], &self.keys[i + 1], (self.nkeys - i - 1) * sizeof(BTScanKey))
                    self.nkeys -= 1
                    j = i + 1
                elif drop_b:
                    free(self.keys[j].elems)
                    memmove(&self.keys[j], &self.keys[j + 1], (self.nkeys - j - 1) * sizeof(BTScanKey))
                    self.nkeys -= 1
                else:
                    j += 1
            i += 1
        return 0

    cdef int mark_required(self) except -1:
        cdef int i = 0
        cdef int col = 1
        cdef bint prefix = True
        cdef bint equality
        cdef BTScanKey *k
        self.monotone = True
        self.narrays = 0
        while i < self.nkeys:
            k = &self.keys[i]
            if k.attno != col:
                prefix = False
                col = k.attno
            equality = False
            while i < self.nkeys and self.keys[i].attno == col:
                k = &self.keys[i]
                if k.kind == ARRAY_KEY and (not prefix or equality):
                    k.kind = MEMBER_KEY
                if prefix and k.kind != MEMBER_KEY:
                    if is_equality(k):
                        k.required_fwd = True
                        k.required_bwd = True
                        equality = True
                    elif k.order < EQUAL:
                        k.required_fwd = True
                    else:
                        k.required_bwd = True
                if k.kind == ARRAY_KEY:
                    self.narrays += 1
                if k.kind in (ARRAY_KEY, MEMBER_KEY, ROW_KEY) or not prefix:
                    self.monotone = False
                i += 1
            prefix = prefix and equality
            col += 1
        return 0

    cdef int start_arrays(self, bint backward) noexcept:
        cdef int i
        for i in range(self.nkeys):
            if self.keys[i].kind == ARRAY_KEY:
                self.keys[i].cur = self.keys[i].nelems - 1 if backward else 0
        return 0

    cdef int advance_before(self, int i_key, bint backward) noexcept:
        """Move the last array before key i_key to its next element, with carry, and those after it to their start.
        0 when there is no further combination."""
        cdef int i, j
        cdef BTScanKey *k
        for i in range(i_key - 1, -1, -1):
            k = &self.keys[i]
            if k.kind != ARRAY_KEY:
                continue
            if (k.cur > 0) if backward else (k.cur < k.nelems - 1):
                k.cur += -1 if backward else 1
                for j in range(i + 1, self.nkeys):
                    if self.keys[j].kind == ARRAY_KEY:
                        self.keys[j].cur = self.keys[j].nelems - 1 if backward else 0
                return 1
        return 0

    cdef bint passed(self, int i_key, bint backward) noexcept:
        """A required key failed for good: go on with the next combination of array elements, or end. Returns False."""
        if self.narrays and self.advance_before(i_key, backward):
            self.behind = True
        else:
            self.more = False
        return False

    cdef bint check_array(self, BTScanKey *k, int i_key, Datum value, bint isnull, bint backward) except? -1:
        cdef int c, low, high, mid, j
        if isnull:
            # Nulls lie before or after all elements.
            if (k.nulls_first != 0) == backward:
                return self.passed(i_key, backward)
            self.behind = True
            return False
        c = k.cmp.fn(value, k.elems[k.cur], k.cmp.state)
        if c == 0:
            return True
        if (c > 0) == ((k.desc != 0) == backward):      # beyond the element
            # First element that is not before the tuple, in the scan's direction.
            if backward:
                low = 0
                high = k.cur                            # invariant: elements from high on are passed
                while low < high:
                    mid = (low + high) >> 1
                    c = k.cmp.fn(value, k.elems[mid], k.cmp.state)
                    if k.desc:
                        c = -1 if c > 0 else (1 if c < 0 else 0)
                    if c >= 0:
                        low = mid + 1
                    else:
                        high = mid
                low -= 1
                if low < 0:
                    return self.passed(i_key, backward)
            else:
                low = k.cur + 1
                high = k.nelems
                while low < high:
                    mid = (low + high) >> 1
                    c = k.cmp.fn(value, k.elems[mid], k.cmp.state)
                    if k.desc:
                        c = -1 if c > 0 else (1 if c < 0 else 0)
                    if c > 0:
                        low = mid + 1
                    else:
                        high = mid
                if low == k.nelems:
                    return self.passed(i_key, backward)
            k.cur = low
            for j in range(i_key + 1, self.nkeys):
                if self.keys[j].kind == ARRAY_KEY:
                    self.keys[j].cur = self.keys[j].nelems - 1 if backward else 0
            if k.cmp.fn(value, k.elems[low], k.cmp.state) == 0:
                return True
        self.behind = True
        return False

    cdef bint check_row(self, BTScanKey *k, int i_key, const IndexTupleData *itup, int natts, bint backward) except? -1:
        cdef const ScanKeyData *m = k.members
        cdef Comparator cmp
        cdef uint8_t isnull
        cdef Datum value
        cdef int c = 0
        cdef bint first = True
        cdef bint required = k.required_bwd if backward else k.required_fwd
        while True:
            if m.sk_attno > natts:
                return True                             # a pivot that ends here: cannot tell
            value = index_getattr(itup, m.sk_attno, &self.rel.desc.c, &isnull)
            if isnull:
                if first and (k.required_fwd or k.required_bwd) and (k.nulls_first != 0) == backward:
                    return self.passed(i_key, backward)
                return False
            if m.sk_flags & SK_ISNULL:
                # Equal up to here, and then unknown: a tuple beyond that prefix may still be found.
                return False
            cmp = m.sk_cmp if m.sk_cmp.fn != NULL else self.rel.keys[m.sk_attno - 1].cmp
            c = cmp.fn(value, m.sk_argument, cmp.state)
            if c or m.sk_flags & SK_ROW_END:
                break
            first = False
            m += 1
        if holds(c, k.strategy):
            return True
        if required and (k.row_exact or first):
            return self.passed(i_key, backward)
        return False

    cdef bint check(self, const IndexTupleData *itup, int natts, bint backward) except? -1:
        cdef int i, j, c
        cdef BTScanKey *k
        cdef const Attribute *att
        cdef Datum value
        cdef uint8_t isnull
        cdef bint found
        self.more = True
        self.behind = False
        for i in range(self.nkeys):
            k = &self.keys[i]
            if k.attno > natts:
                continue                                # truncated: nothing known
            if k.kind == ROW_KEY:
                if not self.check_row(k, i, itup, natts, backward):
                    return False
                continue
            att = &self.rel.desc.attrs[k.attno - 1]
            if not itup.t_info & INDEX_NULL_MASK and att.attcacheoff >= 0:
                value = fetch_att(<const char *> itup + 8 + att.attcacheoff, att.attbyval, att.attlen)
                isnull = 0
            else:
                value = index_getattr(itup, k.attno, &self.rel.desc.c, &isnull)
            if k.kind == ARRAY_KEY:
                if not self.check_array(k, i, value, isnull, backward):
                    return False
                continue
            if k.kind == ISNULL_KEY:
                if isnull:
                    continue
                if k.required_fwd and (k.nulls_first != 0) != backward:
                    return self.passed(i, backward)
                self.behind = k.required_fwd
                return False
            if isnull:
                # No comparison holds for nulls. They lie at one end: beyond the keys, or before them.
                if (k.required_fwd or k.required_bwd) and (k.nulls_first != 0) == backward:
                    return self.passed(i, backward)
                self.behind = k.required_fwd and k.required_bwd
                return False
            if k.kind == NOTNULL_KEY:
                continue
            if k.kind == MEMBER_KEY:
                found = False
                for j in range(k.nelems):
                    if holds(k.cmp.fn(value, k.elems[j], k.cmp.state), k.strategy):
                        found = True
                        break
                if not found:
                    return False
                continue
            c = k.cmp.fn(value, k.argument, k.cmp.state)
            if holds(c, k.strategy):
                continue
            if k.strategy == EQUAL and k.required_fwd:
                if (c > 0) == ((k.desc != 0) == backward):
                    return self.passed(i, backward)
                self.behind = True
                return False
            if k.required_bwd if backward else k.required_fwd:
                return self.passed(i, backward)
            return False
        return True

    cdef int boundary(self, BTScanInsert *key, bint backward) except -1:
        cdef int i = 0
        cdef int col = 1
        cdef BTScanKey *k
        cdef BTScanKey *chosen
        cdef BTKey *out
        cdef int order = EQUAL
        cdef bint bounded
        cdef const ScanKeyData *m
        cdef Comparator cmp
        key.keysz = 0
        key.scantid = NULL
        key.anynullkeys = False
        while i < self.nkeys and self.keys[i].attno == col and order == EQUAL:
            chosen = NULL
            bounded = False
            while i < self.nkeys and self.keys[i].attno == col:
                k = &self.keys[i]
                if is_equality(k):
                    if chosen == NULL or chosen.order != EQUAL or chosen.kind == ROW_KEY:
                        chosen = k
                elif k.kind == MEMBER_KEY:
                    bounded = True
                elif (k.order > EQUAL) != backward and k.kind != NOTNULL_KEY:
                    if chosen == NULL:
                        chosen = k
                else:
                    bounded = True                      # not null, or a bound at the other end: no nulls
                if k.kind == NOTNULL_KEY:
                    bounded = True
                i += 1
            out = &key.keys[key.keysz]
            out.attno = <int16_t> col
            out.cmp = self.rel.keys[col - 1].cmp
            out.argument = 0
            out.flags = <int16_t> ((self.rel.keys[col - 1].indoption & 1) * KEY_DESC +
                                   (self.rel.keys[col - 1].indoption & 2) * 2)
            if chosen == NULL:
                # The scan begins where the nulls end, if they come first and no key lets them through.
                if not bounded or ((self.rel.keys[col - 1].indoption & 2) != 0) == backward:
                    break
                out.flags |= KEY_ISNULL
                order = LESS if backward else GREATER
                key.keysz += 1
                break
            if chosen.kind == ROW_KEY:
                order = chosen.order
                m = chosen.members
                while True:
                    out = &key.keys[key.keysz]
                    cmp = m.sk_cmp
                    out.cmp = cmp if cmp.fn != NULL else self.rel.keys[m.sk_attno - 1].cmp
                    out.attno = m.sk_attno
                    out.argument = m.sk_argument
                    out.flags = <int16_t> ((self.rel.keys[m.sk_attno - 1].indoption & 1) * KEY_DESC +
                                           (self.rel.keys[m.sk_attno - 1].indoption & 2) * 2)
                    key.keysz += 1
                    if m.sk_flags & SK_ROW_END:
                        break
                    m += 1
                    if m.sk_attno != key.keysz + 1 or m.sk_flags & SK_ISNULL or \
                            (self.rel.keys[m.sk_attno - 1].indoption & 1) != chosen.desc:
                        # The rest of the row cannot be used: equal first members must be looked at.
                        if order == LESS:
                            order = LESS_EQUAL
                        elif order == GREATER:
                            order = GREATER_EQUAL
                        break
                break
            out.cmp = chosen.cmp
            out.argument = chosen.elems[chosen.cur] if chosen.kind == ARRAY_KEY else chosen.argument
            if chosen.kind == ISNULL_KEY:
                out.flags |= KEY_ISNULL
            order = EQUAL if is_equality(chosen) else chosen.order
            key.keysz += 1
            col += 1
        if key.keysz == 0:
            return 0
        key.backward = backward
        if order == EQUAL:
            key.nextkey = backward
        else:
            key.nextkey = order == LESS_EQUAL or order == GREATER
        bt_classify(self.rel, key)
        return key.keysz
