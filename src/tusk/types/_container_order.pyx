"""Order and hash of values made of others: arrays, rows, jsonb and enums, over Datums as stored.

Their b-tree and hash support functions (pg_amproc) are registered here with `access`, which knows the plain types only.
What an element or column is compared by is looked up once and kept until the catalogs change.
"""

from libc.stdint cimport int16_t, int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp
from tusk._types cimport Datum, Oid
from tusk.access cimport _compare
from tusk.access._compare cimport (
    Comparator, NativeComparator, compare_fn, compare_numeric, compare_strings, lookup_comparator)
from tusk.access._hash cimport Hasher, NativeHasher, hash_bytes, hash_bytes_extended, hash_fn, lookup_hasher
from tusk.access._tupdesc cimport TupleDesc, make_tupdesc
from tusk.access._tuple cimport HeapTupleHeaderData, fetch_att, heap_deform_tuple
from tusk.access._varlena cimport load_u32, varatt_needs_detoast, vardata_any, varsize_any
from tusk.types._kernel_datum cimport DatumType, datum_type

from tusk.access._compare import register_comparator
from tusk.access._hash import register_hasher
from tusk.access._tupdesc import AttributeRow
from tusk.catalog import inval
from tusk.catalog.cache import ENUMOID, TYPEOID, lookup
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.types.compare import family_of, type_display
from tusk.types.registry import services

cdef enum:
    DATUM_TYPMOD = 4            # where a composite datum's header has its type (access/htup_details.h)
    DATUM_TYPEID = 8
    JB_COUNT = 0x0FFFFFFF       # utils/jsonb.h
    JB_SCALAR = 0x10000000
    JB_OBJECT = 0x20000000
    JB_ARRAY = 0x40000000
    JE_OFFSET = 0x80000000
    JE_TYPE = 0x70000000
    JE_LENGTH = 0x0FFFFFFF
    JE_STRING = 0
    JE_NUMERIC = 0x10000000
    JE_FALSE = 0x20000000
    JE_TRUE = 0x30000000
    JE_NULL = 0x40000000
    JE_CONTAINER = 0x50000000


ctypedef fused number:
    int
    uint32_t
    uint64_t
    Py_ssize_t


cdef class ElementOrder:
    """How values of one type and collation are read, compared and hashed."""

    cdef DatumType type
    cdef Oid oid, collation
    cdef int16_t typlen
    cdef bint typbyval
    cdef int alignby
    cdef Comparator cmp             # fn is NULL until it is asked for
    cdef Hasher hasher
    cdef object held, hash_held

    def __init__(self, Oid oid, Oid collation):
        self.oid = oid
        self.collation = collation
        self.type = datum_type(oid)
        self.typlen = self.type.typlen
        self.typbyval = self.type.typbyval
        self.alignby = {"c": 1, "s": 2, "i": 4, "d": 8}[self.type.typalign]
        self.cmp.fn = NULL
        self.hasher.fn = NULL

    cdef int compare(self, Datum a, Datum b) except? -2:
        if self.cmp.fn == NULL:
            name = family_of(self.oid)[0]
            if not name:
                raise SqlError(errcode.UNDEFINED_FUNCTION,
                               f"could not identify a comparison function for type {type_display(self.oid)}")
            self.held = lookup_comparator(name, self.collation, &self.cmp)
        return self.cmp.fn(a, b, self.cmp.state)

    cdef uint64_t hash(self, Datum value, uint64_t seed, bint extended) except? 0x1234567887654321:
        if self.hasher.fn == NULL:
            name = family_of(self.oid)[1]
            if not name:
                raise SqlError(errcode.UNDEFINED_FUNCTION, "could not identify a hash function for type "
                               f"{type_display(self.oid)}")
            self.hash_held = lookup_hasher(name, self.collation, &self.hasher)
        return self.hasher.fn(value, seed, extended, self.hasher.state)


cdef dict _elements = {}
cdef dict _rows = {}


cdef ElementOrder element_order(Oid oid, Oid collation):
    cdef ElementOrder found = _elements.get((oid, collation))
    if found is None:
        found = _elements[(oid, collation)] = ElementOrder(oid, collation)
    return found


def _forget(_which):
    _elements.clear()
    _rows.clear()


inval.on_relcache_change(_forget)
inval.on_syscache_change(TYPEOID, _forget)


cdef char *plain(Datum value) except NULL:
    """A malloc'ed copy of a compressed or external value."""
    if _compare.detoast_malloc_hook == NULL:
        raise feature_not_supported("comparing compressed or external values without access.toast loaded")
    return _compare.detoast_malloc_hook(<const char *> value)


cdef int detoasted(compare_fn fn, Datum a, Datum b, void *state) except? -2:
    """Compare with the values that are not at hand fetched first."""
    cdef char *x = NULL
    cdef char *y = NULL
    try:
        if varatt_needs_detoast(<const char *> a):
            x = plain(a)
            a = <Datum> x
        if varatt_needs_detoast(<const char *> b):
            y = plain(b)
            b = <Datum> y
        return fn(a, b, state)
    finally:
        free(x)
        free(y)


cdef uint64_t hash_detoasted(hash_fn fn, Datum value, uint64_t seed, bint extended, void *state) \
        except? 0x1234567887654321:
    cdef char *x = plain(value)
    try:
        return fn(<Datum> x, seed, extended, state)
    finally:
        free(x)


cdef inline bint toasted(Datum a, Datum b) noexcept nogil:
    return varatt_needs_detoast(<const char *> a) or varatt_needs_detoast(<const char *> b)


cdef inline int order(number a, number b) noexcept nogil:
    return (a > b) - (a < b)


# -- Enums --

cdef double enum_place(Oid label) except? -1.0:
    row = lookup(ENUMOID, label)
    if row is None:
        raise SqlError(errcode.INTERNAL_ERROR, f"cache lookup failed for enum {label}")
    return row.enumsortorder


cdef int enum_cmp(Datum a, Datum b, void *state) except? -2:
    """Even oids are in sort order; odd ones were given to labels added later, whose place is in the catalog."""
    cdef uint32_t x = <uint32_t> a, y = <uint32_t> b
    cdef double p, q
    if x == y:
        return 0
    if (x | y) & 1 == 0:
        return 1 if x > y else -1
    p = enum_place(x)
    q = enum_place(y)
    return (p > q) - (p < q)


# -- Arrays --

cdef struct ArrayView:
    const char *head            # as if it had a 4-byte header
    int ndim
    Oid element
    int nitems
    const uint8_t *bitmap       # NULL: no nulls
    const char *data


cdef void view_array(Datum value, ArrayView *out) noexcept nogil:
    """Read an array's header (utils/array.h)."""
    cdef const char *head = vardata_any(<const char *> value) - 4
    cdef int offset = <int> load_u32(head + 8)
    cdef int i
    out.head = head
    out.ndim = <int> load_u32(head + 4)
    out.element = load_u32(head + 12)
    out.nitems = 0 if out.ndim == 0 else 1
    for i in range(out.ndim):
        out.nitems *= <int> load_u32(head + 16 + 4 * i)
    out.bitmap = <const uint8_t *> (head + 16 + 8 * out.ndim) if offset else NULL
    out.data = head + (offset if offset else (16 + 8 * out.ndim + 7) & ~7)


cdef inline Datum next_element(const char *head, const char **at, ElementOrder kind) noexcept:
    """The element at a place, and the place moved behind it."""
    cdef const char *p = at[0]
    cdef Py_ssize_t offset = p - head
    cdef Datum value
    if kind.typlen != -1 or p[0] == 0 or not (<const uint8_t *> p)[0] & 1:
        offset = (offset + kind.alignby - 1) & ~(<Py_ssize_t> kind.alignby - 1)
        p = head + offset
    if kind.typbyval:
        value = fetch_att(p, True, kind.typlen)
        at[0] = p + kind.typlen
    else:
        value = <Datum> p
        if kind.typlen > 0:
            at[0] = p + kind.typlen
        elif kind.typlen == -1:
            at[0] = p + varsize_any(p)
        else:
            while p[0]:
                p += 1
            at[0] = p + 1
    return value


cdef int array_cmp(Datum a, Datum b, void *state) except? -2:
    """Element by element, nulls last; then number of elements, dimensions, lower bounds."""
    if toasted(a, b):
        return detoasted(array_cmp, a, b, state)
    cdef ArrayView x, y
    cdef const char *p
    cdef const char *q
    cdef int i, c
    cdef bint xnull, ynull
    cdef Datum u = 0, v = 0
    cdef Oid collation = <Oid> <size_t> (<NativeComparator> state).data
    view_array(a, &x)
    view_array(b, &y)
    if x.element != y.element:
        raise SqlError(errcode.DATATYPE_MISMATCH, "cannot compare arrays of different element types")
    cdef ElementOrder kind = element_order(x.element, collation)
    p = x.data
    q = y.data
    for i in range(min(x.nitems, y.nitems)):
        xnull = x.bitmap != NULL and not x.bitmap[i >> 3] >> (i & 7) & 1
        ynull = y.bitmap != NULL and not y.bitmap[i >> 3] >> (i & 7) & 1
        if not xnull:
            u = next_element(x.head, &p, kind)
        if not ynull:
            v = next_element(y.head, &q, kind)
        if xnull or ynull:
            if xnull != ynull:
                return 1 if xnull else -1
            continue
        c = kind.compare(u, v)
        if c:
            return 1 if c > 0 else -1
    if x.nitems != y.nitems:
        return 1 if x.nitems > y.nitems else -1
    if x.ndim != y.ndim:
        return 1 if x.ndim > y.ndim else -1
    for i in range(2 * x.ndim):
        c = order(<int32_t> load_u32(x.head + 16 + 4 * i), <int32_t> load_u32(y.head + 16 + 4 * i))
        if c:
            return c
    return 0


cdef uint64_t hash_array(Datum value, uint64_t seed, bint extended, void *state) except? 0x1234567887654321:
    if varatt_needs_detoast(<const char *> value):
        return hash_detoasted(hash_array, value, seed, extended, state)
    cdef ArrayView x
    cdef uint64_t result = 1, one
    cdef const char *p
    cdef int i
    view_array(value, &x)
    cdef ElementOrder kind = element_order(x.element, <Oid> <size_t> (<NativeHasher> state).data)
    p = x.data
    for i in range(x.nitems):
        if x.bitmap != NULL and not x.bitmap[i >> 3] >> (i & 7) & 1:
            one = 0
        else:
            one = kind.hash(next_element(x.head, &p, kind), seed, extended)
        result = (result << 5) - result + one
        if not extended:
            result = <uint32_t> result
    return result


# -- Rows --

cdef class RowOrder:
    """The columns of a row type."""

    cdef TupleDesc desc
    cdef list columns           # ElementOrder, None for a dropped one
    cdef int natts

    def __init__(self, Oid typeid, int32_t typmod):
        cdef DatumType type
        infos = services.row_columns(typeid, typmod)
        if infos is None:
            raise SqlError(errcode.UNDEFINED_OBJECT, "record type has not been registered")
        rows = []
        self.columns = []
        for info in infos:
            type = datum_type(info.type_oid if info.type_oid else 23)
            rows.append(AttributeRow(info.name, info.type_oid, type.typlen, type.typbyval, type.typalign,
                                     attcollation=info.collation, attisdropped=info.is_dropped))
            self.columns.append(None if info.is_dropped else element_order(info.type_oid, info.collation))
        self.desc = make_tupdesc(rows, typeid, typmod)
        self.natts = len(rows)


cdef RowOrder row_order(const char *head):
    """The row type that a composite datum names; head as if it had a 4-byte header."""
    cdef Oid typeid = load_u32(head + DATUM_TYPEID)
    cdef int32_t typmod = <int32_t> load_u32(head + DATUM_TYPMOD)
    cdef RowOrder found = _rows.get((typeid, typmod))
    if found is None:
        found = _rows[(typeid, typmod)] = RowOrder(typeid, typmod)
    return found


cdef int compare_rows(Datum a, Datum b, bint image) except? -2:
    cdef const char *x = vardata_any(<const char *> a) - 4
    cdef const char *y = vardata_any(<const char *> b) - 4
    cdef RowOrder left = row_order(x)
    cdef RowOrder right = row_order(y)
    cdef int n = left.natts + right.natts, i = 0, j = 0, k = 0, c
    cdef Datum *u = <Datum *> malloc(n * (sizeof(Datum) + 1) + 16)
    cdef Datum *v = u + left.natts
    cdef uint8_t *unulls
    cdef uint8_t *vnulls
    cdef ElementOrder one, other
    if u == NULL:
        raise MemoryError
    unulls = <uint8_t *> (u + n)
    vnulls = unulls + left.natts
    try:
        heap_deform_tuple(<const HeapTupleHeaderData *> x, &left.desc.c, left.natts, u, unulls)
        heap_deform_tuple(<const HeapTupleHeaderData *> y, &right.desc.c, right.natts, v, vnulls)
        while True:
            while i < left.natts and left.columns[i] is None:
                i += 1
            while j < right.natts and right.columns[j] is None:
                j += 1
            if i == left.natts or j == right.natts:
                break
            k += 1
            one = left.columns[i]
            other = right.columns[j]
            if one.oid != other.oid:
                raise SqlError(errcode.DATATYPE_MISMATCH,
                               f"cannot compare dissimilar column types {type_display(one.oid)} and "
                               f"{type_display(other.oid)} at record column {k}")
            if one.collation != other.collation and not image:
                one = element_order(one.oid, 0)
            if unulls[i] or vnulls[j]:
                if unulls[i] != vnulls[j]:
                    return 1 if unulls[i] else -1
            else:
                c = compare_images(u[i], v[j], one) if image else one.compare(u[i], v[j])
                if c:
                    return 1 if c > 0 else -1
            i += 1
            j += 1
        if i < left.natts or j < right.natts:
            raise SqlError(errcode.DATATYPE_MISMATCH,
                           "cannot compare record types with different numbers of columns")
        return 0
    finally:
        free(u)


cdef int compare_images(Datum a, Datum b, ElementOrder kind) except? -2:
    """By the bytes of the values."""
    cdef char *x = NULL
    cdef char *y = NULL
    cdef Py_ssize_t n, m
    cdef int c
    if kind.typbyval:
        return order(<uint64_t> a, <uint64_t> b)
    if kind.typlen > 0:
        return memcmp(<const char *> a, <const char *> b, kind.typlen)
    try:
        if varatt_needs_detoast(<const char *> a):
            x = plain(a)
            a = <Datum> x
        if varatt_needs_detoast(<const char *> b):
            y = plain(b)
            b = <Datum> y
        n = varsize_any(<const char *> a) - (vardata_any(<const char *> a) - <const char *> a)
        m = varsize_any(<const char *> b) - (vardata_any(<const char *> b) - <const char *> b)
        c = memcmp(vardata_any(<const char *> a), vardata_any(<const char *> b), min(n, m))
        return c if c else order(n, m)
    finally:
        free(x)
        free(y)


cdef int record_cmp(Datum a, Datum b, void *state) except? -2:
    """Column by column, nulls last."""
    if toasted(a, b):
        return detoasted(record_cmp, a, b, state)
    return compare_rows(a, b, False)


cdef int record_image_cmp(Datum a, Datum b, void *state) except? -2:
    if toasted(a, b):
        return detoasted(record_image_cmp, a, b, state)
    return compare_rows(a, b, True)


cdef uint64_t hash_record(Datum value, uint64_t seed, bint extended, void *state) except? 0x1234567887654321:
    if varatt_needs_detoast(<const char *> value):
        return hash_detoasted(hash_record, value, seed, extended, state)
    cdef const char *x = vardata_any(<const char *> value) - 4
    cdef RowOrder kind = row_order(x)
    cdef uint64_t result = 0, one
    cdef int i
    cdef Datum *u = <Datum *> malloc(kind.natts * (sizeof(Datum) + 1) + 16)
    cdef uint8_t *nulls
    if u == NULL:
        raise MemoryError
    nulls = <uint8_t *> (u + kind.natts)
    try:
        heap_deform_tuple(<const HeapTupleHeaderData *> x, &kind.desc.c, kind.natts, u, nulls)
        for i in range(kind.natts):
            if kind.columns[i] is None:
                continue
            one = 0 if nulls[i] else (<ElementOrder> kind.columns[i]).hash(u[i], seed, extended)
            result = (result << 5) - result + one
            if not extended:
                result = <uint32_t> result
        return result
    finally:
        free(u)


# -- jsonb --

cdef struct JsonView:
    uint32_t header
    int count
    int nentries
    const char *root            # the payload, which alignment counts from
    const char *entries
    const char *base            # the children's data


cdef void view_json(const char *root, const char *at, JsonView *out) noexcept nogil:
    at = root + ((at - root + 3) & ~<Py_ssize_t> 3)
    out.root = root
    out.header = load_u32(at)
    out.count = <int> (out.header & JB_COUNT)
    out.nentries = 2 * out.count if out.header & JB_OBJECT else out.count
    out.entries = at + 4
    out.base = out.entries + 4 * out.nentries


cdef inline uint32_t json_end(const JsonView *j, int i, uint32_t offset) noexcept nogil:
    """Where child i ends, which begins at offset."""
    cdef uint32_t entry = load_u32(j.entries + 4 * i)
    return entry & JE_LENGTH if entry & JE_OFFSET else offset + (entry & JE_LENGTH)


cdef inline int json_rank(uint32_t kind) noexcept nogil:
    """null, string, number, boolean, container."""
    if kind == JE_NULL:
        return 0
    if kind == JE_STRING:
        return 1
    if kind == JE_NUMERIC:
        return 2
    return 4 if kind == JE_CONTAINER else 3


cdef int compare_json_child(const JsonView *x, uint32_t xentry, uint32_t xstart, uint32_t xend,
                            const JsonView *y, uint32_t yentry, uint32_t ystart, uint32_t yend) except? -2:
    cdef uint32_t p = xentry & JE_TYPE, q = yentry & JE_TYPE
    cdef int c = order(json_rank(p), json_rank(q))
    cdef const char *a = x.base + xstart
    cdef const char *b = y.base + ystart
    if c:
        return c
    if p == JE_STRING:
        return compare_strings(a, xend - xstart, b, yend - ystart, _compare.DEFAULT_COLLATION_OID)
    if p == JE_NUMERIC:
        a = x.root + ((a - x.root + 3) & ~<Py_ssize_t> 3)
        b = y.root + ((b - y.root + 3) & ~<Py_ssize_t> 3)
        return compare_numeric(<Datum> a, <Datum> b)
    if p == JE_CONTAINER:
        return compare_json(x.root, a, y.root, b)
    return order(p, q)              # false is below true; nulls are equal


cdef int compare_json(const char *xroot, const char *a, const char *yroot, const char *b) except? -2:
    """Objects above arrays; the one with more members above; a scalar counts as an array of one, below a real one."""
    cdef JsonView x, y
    cdef int i, c
    cdef uint32_t xat = 0, yat = 0, xend, yend, xvalue = 0, yvalue = 0, xvend, yvend
    view_json(xroot, a, &x)
    view_json(yroot, b, &y)
    if (x.header ^ y.header) & JB_OBJECT:
        return 1 if x.header & JB_OBJECT else -1
    if x.count != y.count:
        return 1 if x.count > y.count else -1
    if (x.header ^ y.header) & JB_SCALAR:
        return -1 if x.header & JB_SCALAR else 1
    if x.header & JB_OBJECT:
        for i in range(x.count):
            xvalue = json_end(&x, i, xvalue)
            yvalue = json_end(&y, i, yvalue)
    for i in range(x.count):
        xend = json_end(&x, i, xat)
        yend = json_end(&y, i, yat)
        c = compare_json_child(&x, load_u32(x.entries + 4 * i), xat, xend, &y, load_u32(y.entries + 4 * i), yat, yend)
        if c:
            return c
        xat = xend
        yat = yend
        if x.header & JB_OBJECT:
            xvend = json_end(&x, x.count + i, xvalue)
            yvend = json_end(&y, y.count + i, yvalue)
            c = compare_json_child(&x, load_u32(x.entries + 4 * (x.count + i)), xvalue, xvend,
                                   &y, load_u32(y.entries + 4 * (y.count + i)), yvalue, yvend)
            if c:
                return c
            xvalue = xvend
            yvalue = yvend
    return 0


cdef int jsonb_cmp(Datum a, Datum b, void *state) except? -2:
    if toasted(a, b):
        return detoasted(jsonb_cmp, a, b, state)
    cdef const char *x = vardata_any(<const char *> a)
    cdef const char *y = vardata_any(<const char *> b)
    return compare_json(x, x, y, y)


cdef inline uint64_t rotate(uint64_t h) noexcept nogil:
    """One bit to the left, each half on its own."""
    cdef uint32_t low = <uint32_t> h, high = <uint32_t> (h >> 32)
    low = low << 1 | low >> 31
    high = high << 1 | high >> 31
    return <uint64_t> high << 32 | low


cdef uint64_t hash_json_child(const JsonView *j, int i, uint32_t start, uint32_t end, uint64_t seed, bint extended,
                              uint64_t h) except? 0x1234567887654321:
    cdef uint32_t kind = load_u32(j.entries + 4 * i) & JE_TYPE
    cdef const char *p = j.base + start
    cdef uint64_t one
    if kind == JE_CONTAINER:
        return hash_json(j.root, p, seed, extended, h)
    if kind == JE_STRING:
        if extended:
            one = hash_bytes_extended(<const unsigned char *> p, end - start, seed)
        else:
            one = hash_bytes(<const unsigned char *> p, end - start)
    elif kind == JE_NUMERIC:
        p = j.root + ((p - j.root + 3) & ~<Py_ssize_t> 3)
        one = _numeric.fn(<Datum> p, seed, extended, _numeric.state)
    elif kind == JE_NULL:
        one = seed + 1 if extended else 1
    elif extended and seed:
        one = _char.fn(<Datum> (kind == JE_TRUE), seed, True, _char.state)
    else:
        one = 2 if kind == JE_TRUE else 4
    return rotate(h) ^ one


cdef uint64_t hash_json(const char *root, const char *at, uint64_t seed, bint extended, uint64_t h) \
        except? 0x1234567887654321:
    cdef JsonView j
    cdef uint32_t key = 0, value = 0, end
    cdef uint64_t flag
    cdef int i
    view_json(root, at, &j)
    flag = JB_OBJECT if j.header & JB_OBJECT else JB_ARRAY
    h ^= (flag << 32 | flag) if extended else flag
    if j.header & JB_OBJECT:
        for i in range(j.count):
            value = json_end(&j, i, value)
    for i in range(j.count):
        end = json_end(&j, i, key)
        h = hash_json_child(&j, i, key, end, seed, extended, h)
        key = end
        if j.header & JB_OBJECT:
            end = json_end(&j, j.count + i, value)
            h = hash_json_child(&j, j.count + i, value, end, seed, extended, h)
            value = end
    return h


cdef uint64_t jsonb_hash(Datum value, uint64_t seed, bint extended, void *state) except? 0x1234567887654321:
    if varatt_needs_detoast(<const char *> value):
        return hash_detoasted(jsonb_hash, value, seed, extended, state)
    cdef const char *p = vardata_any(<const char *> value)
    cdef uint64_t h
    if load_u32(p) & JB_COUNT == 0:
        return seed if extended else 0
    h = hash_json(p, p, seed, extended, seed if extended else 0)
    return h if extended else <uint32_t> h


# -- Registration --

cdef Hasher _numeric, _char
lookup_hasher("hash_numeric", 0, &_numeric)
lookup_hasher("hashchar", 0, &_char)


cdef object comparator(compare_fn fn, Oid collation):
    cdef NativeComparator made = NativeComparator()
    made.fn = fn
    made.data = <void *> <size_t> collation
    return made


cdef object hasher(hash_fn fn, Oid collation):
    cdef NativeHasher made = NativeHasher()
    made.fn = fn
    made.data = <void *> <size_t> collation
    return made


def _array_comparator(collation):
    return comparator(array_cmp, collation)


def _record_comparator(collation):
    return comparator(record_cmp, collation)


def _image_comparator(collation):
    return comparator(record_image_cmp, collation)


def _enum_comparator(collation):
    return comparator(enum_cmp, collation)


def _jsonb_comparator(collation):
    return comparator(jsonb_cmp, collation)


def _array_hasher(collation):
    return hasher(hash_array, collation)


def _record_hasher(collation):
    return hasher(hash_record, collation)


def _jsonb_hasher(collation):
    return hasher(jsonb_hash, collation)


register_comparator("btarraycmp", _array_comparator)
register_comparator("btrecordcmp", _record_comparator)
register_comparator("btrecordimagecmp", _image_comparator)
register_comparator("enum_cmp", _enum_comparator)
register_comparator("jsonb_cmp", _jsonb_comparator)
register_hasher("hash_array", _array_hasher)
register_hasher("hash_record", _record_hasher)
register_hasher("jsonb_hash", _jsonb_hasher)
