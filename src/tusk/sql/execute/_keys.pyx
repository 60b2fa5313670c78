"""Comparing, grouping and hashing by key columns (see _keys.pxd).

Keys come from the operators the planner names: a "<" or ">" of a btree family for sorting, an "=" for grouping and
hashing. The common types are compared in line; others through the comparators of access, the rest in Python.
"""

from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, strncmp
from tusk.access._compare cimport (
    Comparator, collation_is_c, compare_bytes, compare_float8, compare_numeric, detoast_malloc_hook, lookup_comparator)
from tusk.access._hash cimport Hasher, lookup_hasher
from tusk.access._varlena cimport varatt_needs_detoast, vardata_any, varsize_any, varsize_any_exhdr
from tusk.types._kernel_datum cimport DatumType, datum_float4, datum_float8, datum_to_python, datum_type

from tusk.catalog.cache import AMOPOPID, AMPROCNUM, OPEROID, PROCOID, lookup, lookup_list
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.sql.execute import support
from tusk.types.compare import family_of
from tusk.types.compare import hasher as hash_function

cdef extern from "string.h":
    size_t strnlen(const char *text, size_t most) noexcept nogil

_INT = frozenset((16, 20, 21, 23, 1082, 1083, 1114, 1184, 790))
_UINT32 = frozenset((26, 24, 2202, 2203, 2204, 2205, 2206, 4096, 4089, 3734, 3769, 4191, 28, 29))


cdef int kind_of(DatumType type, object collation):
    cdef int oid = type.base
    if oid in _INT:
        return KEY_INT
    if oid in _UINT32:
        return KEY_UINT32
    if oid == 700:
        return KEY_FLOAT4
    if oid == 701:
        return KEY_FLOAT8
    if oid == 17:
        return KEY_BYTES
    if oid in (25, 1043):
        if collation and collation_is_c(collation):
            return KEY_BYTES
        return KEY_TEXT if collation and support.is_deterministic(collation) else KEY_OTHER
    if oid == 1700:
        return KEY_NUMERIC
    if oid == 1042:
        return KEY_BPCHAR if collation and support.is_deterministic(collation) else KEY_OTHER
    if oid == 19:
        return KEY_NAME
    return KEY_OTHER


cdef class PythonCompare:
    """A comparison (or equality) of Python values as a comparator of Datums."""

    cdef object call
    cdef DatumType left, right
    cdef bint is_equality

    def __init__(self, call, DatumType left, DatumType right, bint is_equality):
        self.call = call
        self.left = left
        self.right = right
        self.is_equality = is_equality


cdef int python_compare(Datum a, Datum b, void *state) except? -2:
    cdef PythonCompare c = <PythonCompare> state
    result = c.call(datum_to_python(a, c.left), datum_to_python(b, c.right))
    if c.is_equality:
        return 0 if result else 1
    return (result > 0) - (result < 0)


cdef class PythonHash:
    """A hash of Python values that agrees with SQL's equality."""

    cdef object call
    cdef DatumType type

    def __init__(self, call, DatumType type):
        self.call = call
        self.type = type


cdef int set_comparator(KeyInfo *key, object funcid, DatumType left, DatumType right, object collation,
                        list held) except -1:
    """Let key.compare be the btree support function funcid."""
    cdef Comparator cmp
    row = lookup(PROCOID, funcid)
    try:
        held.append(lookup_comparator(row.prosrc, collation, &cmp))
    except SqlError as error:
        if error.sqlstate != errcode.FEATURE_NOT_SUPPORTED:
            raise
        call = support.function_over_values(funcid, (left.oid, right.oid), 23, collation)
        state = PythonCompare(call, left, right, False)
        held.append(state)
        key.compare = python_compare
        key.state = <void *> state
        return 0
    key.compare = cmp.fn
    key.state = cmp.state
    return 0


def btree_members(operator):
    """(family, strategy, left type, right type) of every btree family an operator is in."""
    return [(row.amopfamily, row.amopstrategy, row.amoplefttype, row.amoprighttype)
            for row in lookup_list(AMOPOPID, operator) if row.amopmethod == 403 and row.amoppurpose == "s"]


cdef int fill_key(KeyInfo *key, object column, DatumType type, object collation) except -1:
    key.column = column
    key.kind = kind_of(type, collation)
    key.typlen = type.typlen
    key.typbyval = type.typbyval
    key.bytewise = True
    if key.kind == KEY_BPCHAR or key.kind == KEY_NAME:
        key.bytewise = collation_is_c(collation or 950)
    return 0


cdef Keys make_sort_keys(object columns, object operators, object collations, object nulls_first, object types):
    """Keys to sort by; columns are positions from 0, types their DatumTypes."""
    cdef Keys keys = Keys(len(columns))
    cdef int i
    cdef DatumType type
    for i in range(keys.nkeys):
        type = types[i]
        fill_key(&keys.keys[i], columns[i], type, collations[i])
        members = [m for m in btree_members(operators[i]) if m[1] in (1, 5)]
        if not members:
            raise SqlError(errcode.INTERNAL_ERROR, f"operator {operators[i]} is not a valid ordering operator")
        family, strategy, left, right = members[0]
        keys.keys[i].desc = strategy == 5
        keys.keys[i].nulls_first = nulls_first[i]
        proc = lookup(AMPROCNUM, family, left, right, 1)
        set_comparator(&keys.keys[i], proc.amproc, type, type, collations[i], keys.held)
    return keys


cdef Keys make_equality_keys(object columns, object operators, object collations, object types):
    """Keys to group or hash by."""
    cdef Keys keys = Keys(len(columns))
    cdef int i
    cdef DatumType type
    for i in range(keys.nkeys):
        type = types[i]
        fill_key(&keys.keys[i], columns[i], type, collations[i])
        members = [m for m in btree_members(operators[i]) if m[1] == 3]
        if members:
            family, strategy, left, right = members[0]
            proc = lookup(AMPROCNUM, family, left, left, 1)
            set_comparator(&keys.keys[i], proc.amproc, type, type, collations[i], keys.held)
        else:
            funcid = lookup(OPEROID, operators[i]).oprcode
            call = support.function_over_values(funcid, (type.oid, type.oid), 16, collations[i])
            state = PythonCompare(call, type, type, True)
            keys.held.append(state)
            keys.keys[i].compare = python_compare
            keys.keys[i].state = <void *> state
        if keys.keys[i].kind == KEY_OTHER:
            set_hasher(&keys.keys[i], type, collations[i], keys.held)
    return keys


cdef int set_hasher(KeyInfo *key, DatumType type, object collation, list held) except -1:
    """The hash function of the type's default hash operator class: it agrees with equality in the whole family."""
    cdef Hasher found
    name = family_of(type.oid)[1]
    if name and (name not in ("hashtext", "hashbpchar", "hashname")
                 or (collation and support.is_deterministic(collation))):
        held.append(lookup_hasher(name, collation, &found))
        key.hash = found.fn
        key.hash_state = found.state
        return 0
    hasher = PythonHash(None, type)
    held.append(hasher)
    key.hasher = <void *> hasher
    return 0


cdef int plain_compare(const KeyInfo *key, Datum a, Datum b, bint equality) except? -2:
    """Three-way comparison of varlenas of which one has to be detoasted first."""
    cdef Datum x = a, y = b
    cdef void *p = NULL
    cdef void *q = NULL
    if detoast_malloc_hook == NULL:
        raise feature_not_supported("compressed or external values without access.toast loaded")
    try:
        if varatt_needs_detoast(<void *> a):
            p = detoast_malloc_hook(<void *> a)
            x = <Datum> p
        if varatt_needs_detoast(<void *> b):
            q = detoast_malloc_hook(<void *> b)
            y = <Datum> q
        return (0 if key_equal(key, x, y) else 1) if equality else key_compare(key, x, y)
    finally:
        free(p)
        free(q)


cdef int compare_blank_padded(Datum a, Datum b) noexcept:
    cdef const char *left = vardata_any(<void *> a)
    cdef const char *right = vardata_any(<void *> b)
    cdef Py_ssize_t nleft = varsize_any_exhdr(<void *> a), nright = varsize_any_exhdr(<void *> b)
    if nleft == nright and memcmp(left, right, nleft) == 0:
        return 0
    while nleft > 0 and left[nleft - 1] == c' ':
        nleft -= 1
    while nright > 0 and right[nright - 1] == c' ':
        nright -= 1
    return compare_bytes(left, nleft, right, nright)


cdef int key_compare(const KeyInfo *key, Datum a, Datum b) except? -2:
    """Three-way comparison of two values that are not null, ascending."""
    cdef int kind = key.kind
    cdef uint32_t size
    if kind == KEY_INT:
        return (<int64_t> a > <int64_t> b) - (<int64_t> a < <int64_t> b)
    if kind == KEY_UINT32:
        return (<uint32_t> a > <uint32_t> b) - (<uint32_t> a < <uint32_t> b)
    if kind == KEY_FLOAT8:
        return compare_float8(datum_float8(a), datum_float8(b))
    if kind == KEY_FLOAT4:
        return compare_float8(datum_float4(a), datum_float4(b))
    if kind == KEY_BYTES or kind == KEY_NUMERIC or (kind == KEY_BPCHAR and key.bytewise):
        if varatt_needs_detoast(<void *> a) or varatt_needs_detoast(<void *> b):
            return plain_compare(key, a, b, False)
        if kind == KEY_BYTES:
            return compare_bytes(vardata_any(<void *> a), varsize_any_exhdr(<void *> a),
                                 vardata_any(<void *> b), varsize_any_exhdr(<void *> b))
        if kind == KEY_BPCHAR:
            return compare_blank_padded(a, b)
        return compare_numeric(a, b)
    if kind == KEY_NAME and key.bytewise:
        return strncmp(<char *> a, <char *> b, 64)
    if kind == KEY_TEXT or kind == KEY_BPCHAR:
        # In whatever collation: the same bytes are the same string.
        if not varatt_needs_detoast(<void *> a) and not varatt_needs_detoast(<void *> b):
            size = varsize_any_exhdr(<void *> a)
            if size == varsize_any_exhdr(<void *> b) and \
                    memcmp(vardata_any(<void *> a), vardata_any(<void *> b), size) == 0:
                return 0
    return key.compare(a, b, key.state)


cdef int key_equal(const KeyInfo *key, Datum a, Datum b) except -1:
    """Whether two values that are not null are equal."""
    cdef int kind = key.kind
    cdef uint32_t size
    if kind == KEY_INT:
        return a == b
    if kind == KEY_UINT32:
        return <uint32_t> a == <uint32_t> b
    if kind == KEY_BYTES or kind == KEY_TEXT or kind == KEY_BPCHAR:
        if varatt_needs_detoast(<void *> a) or varatt_needs_detoast(<void *> b):
            return plain_compare(key, a, b, True) == 0
        if kind == KEY_BPCHAR:
            return compare_blank_padded(a, b) == 0
        size = varsize_any_exhdr(<void *> a)
        return size == varsize_any_exhdr(<void *> b) and \
            memcmp(vardata_any(<void *> a), vardata_any(<void *> b), size) == 0
    if kind == KEY_NAME:
        return strncmp(<char *> a, <char *> b, 64) == 0
    return key_compare(key, a, b) == 0


cdef uint64_t key_prefix(const KeyInfo *key, Datum value, bint *decisive) noexcept:
    """A number that orders like the value (ascending), as far as it goes; decisive: equal numbers are equal values."""
    cdef int kind = key.kind
    cdef uint64_t bits
    cdef double d
    cdef uint8_t head[8]
    cdef uint32_t size
    cdef const char *p
    cdef int i
    decisive[0] = True
    if kind == KEY_INT:
        return <uint64_t> value ^ (<uint64_t> 1 << 63)
    if kind == KEY_UINT32:
        return <uint32_t> value
    if kind == KEY_FLOAT8 or kind == KEY_FLOAT4:
        d = datum_float8(value) if kind == KEY_FLOAT8 else <double> datum_float4(value)
        if d != d:
            return ~<uint64_t> 0
        if d == 0:
            d = 0.0
        memcpy(&bits, &d, 8)
        return ~bits if bits >> 63 else bits | (<uint64_t> 1 << 63)
    decisive[0] = False
    if kind == KEY_BYTES or (kind == KEY_BPCHAR and key.bytewise):
        if varatt_needs_detoast(<void *> value):
            return 0
        size = varsize_any_exhdr(<void *> value)
        p = vardata_any(<void *> value)
        if kind == KEY_BPCHAR:
            while size > 0 and p[size - 1] == c' ':
                size -= 1
    elif kind == KEY_NAME and key.bytewise:
        p = <const char *> value
        size = <uint32_t> strnlen(p, 8)
    else:
        return 0
    bits = 0
    for i in range(8):
        bits = bits << 8
        if <uint32_t> i < size:
            bits |= <uint8_t> p[i]
    return bits


cdef inline uint64_t mix(uint64_t h) noexcept:
    h ^= h >> 32
    h *= <uint64_t> 0xd6e8feb86659fd93
    h ^= h >> 32
    h *= <uint64_t> 0xd6e8feb86659fd93
    h ^= h >> 32
    return h


cdef uint64_t mix_bytes(const char *p, size_t size) noexcept:
    cdef uint64_t h = <uint64_t> 0x9E3779B97F4A7C15 ^ size, w
    while size >= 8:
        memcpy(&w, p, 8)
        h = (h ^ w) * <uint64_t> 0xd6e8feb86659fd93
        h ^= h >> 29
        p += 8
        size -= 8
    if size:
        w = 0
        memcpy(&w, p, size)
        h = (h ^ w) * <uint64_t> 0xd6e8feb86659fd93
        h ^= h >> 29
    return mix(h)


cdef uint64_t hash_plain(const KeyInfo *key, Datum value) noexcept:
    """Of a varlena at hand."""
    cdef const char *p = vardata_any(<void *> value)
    cdef uint32_t size = varsize_any_exhdr(<void *> value)
    cdef uint8_t header
    if key.kind == KEY_BPCHAR:
        while size > 0 and p[size - 1] == c' ':
            size -= 1
    elif key.kind == KEY_NUMERIC:
        # Equal values differ in display scale and header form only: the digits tell.
        if size < 2:
            return 0
        header = <uint8_t> p[1]
        if (header & 0xC0) == 0xC0:
            return mix_bytes(p, 2)
        if header & 0x80:
            return mix_bytes(p + 2, size - 2)
        return mix_bytes(p + 4, size - 4) if size > 4 else mix_bytes(p, 0)
    return mix_bytes(p, size)


cdef uint64_t key_hash(const KeyInfo *key, Datum value) except? 7:
    cdef int kind = key.kind
    cdef double d
    cdef void *plain
    cdef uint64_t bits
    cdef PythonHash hasher
    if kind == KEY_INT:
        return mix(<uint64_t> value)
    if kind == KEY_UINT32:
        return mix(<uint32_t> value)
    if kind == KEY_FLOAT8 or kind == KEY_FLOAT4:
        d = datum_float8(value) if kind == KEY_FLOAT8 else <double> datum_float4(value)
        if d != d:
            return 42
        if d == 0:
            d = 0.0
        memcpy(&bits, &d, 8)
        return mix(bits)
    if kind == KEY_BYTES or kind == KEY_TEXT or kind == KEY_BPCHAR or kind == KEY_NUMERIC:
        if varatt_needs_detoast(<void *> value):
            if detoast_malloc_hook == NULL:
                raise feature_not_supported("compressed or external values without access.toast loaded")
            plain = detoast_malloc_hook(<void *> value)
            bits = hash_plain(key, <Datum> plain)
            free(plain)
            return bits
        return hash_plain(key, value)
    if kind == KEY_NAME:
        return mix_bytes(<char *> value, strnlen(<char *> value, 64))
    if key.hash != NULL:
        return mix(key.hash(value, 0, False, key.hash_state))
    hasher = <PythonHash> key.hasher
    if hasher.call is None:
        hasher.call = hash_function(hasher.type.base)
    return mix(<uint64_t> (hasher.call(datum_to_python(value, hasher.type)) & 0x7FFFFFFFFFFFFFFF))


cdef class Keys:
    """``Keys(n)``: filled by make_sort_keys or make_equality_keys."""

    def __cinit__(self, int n):
        self.nkeys = n
        self.held = []
        self.keys = <KeyInfo *> calloc(n + 1, sizeof(KeyInfo))
        if self.keys == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.keys)

    cdef int compare_rows(self, Vector **a, int arow, Vector **b, int brow) except? -2:
        cdef int i, order
        cdef const KeyInfo *key
        cdef bint anull, bnull
        for i in range(self.nkeys):
            key = &self.keys[i]
            anull = a[i].nulls[arow]
            bnull = b[i].nulls[brow]
            if anull or bnull:
                if anull and bnull:
                    continue
                return -1 if anull == key.nulls_first else 1
            order = key_compare(key, a[i].values[arow], b[i].values[brow])
            if order:
                return (-1 if order > 0 else 1) if key.desc else (1 if order > 0 else -1)
        return 0

    cdef int equal_rows(self, Vector **a, int arow, Vector **b, int brow) except -1:
        cdef int i
        for i in range(self.nkeys):
            if a[i].nulls[arow] or b[i].nulls[brow]:
                if a[i].nulls[arow] and b[i].nulls[brow]:
                    continue
                return 0
            if not key_equal(&self.keys[i], a[i].values[arow], b[i].values[brow]):
                return 0
        return 1

    cdef int hash_rows(self, Vector **cols, const uint16_t *sel, int n, uint32_t *hashes) except -1:
        cdef int i, k, row
        cdef uint64_t h
        cdef const KeyInfo *key
        for i in range(self.nkeys):
            key = &self.keys[i]
            for k in range(n):
                row = k if sel == NULL else sel[k]
                h = 0x51 if cols[i].nulls[row] else key_hash(key, cols[i].values[row])
                if i == 0:
                    hashes[k] = <uint32_t> (h ^ (h >> 32))
                else:
                    hashes[k] = <uint32_t> mix(h + (<uint64_t> hashes[k] << 32 | hashes[k]))
        return 0


def join_keys(operators, collations, left_types, right_types):
    """(keys of the left side, keys of the right side) of a hash join: the first compare a left value with a right one;
    each hashes its own side, and the hashes agree."""
    cdef Keys keys = Keys(len(operators)), others
    cdef DatumType left, right
    cdef int i
    others = keys
    for i in range(keys.nkeys):
        left, right = left_types[i], right_types[i]
        fill_key(&keys.keys[i], i, left, collations[i])
        if keys.keys[i].kind == kind_of(right, collations[i]) and keys.keys[i].kind != KEY_OTHER:
            continue
        others = Keys(keys.nkeys)
    for i in range(keys.nkeys):
        left, right = left_types[i], right_types[i]
        if others is not keys:
            fill_key(&others.keys[i], i, right, collations[i])
        if keys.keys[i].kind == kind_of(right, collations[i]) and keys.keys[i].kind != KEY_OTHER:
            continue
        members = [m for m in btree_members(operators[i]) if m[1] == 3]
        keys.keys[i].kind = KEY_OTHER
        others.keys[i].kind = KEY_OTHER
        set_hasher(&keys.keys[i], left, collations[i], keys.held)
        set_hasher(&others.keys[i], right, collations[i], others.held)
        if members:
            set_comparator(&keys.keys[i], support.family_procedure(members[0][0], members[0][2], members[0][3]), left,
                           right, collations[i], keys.held)
        else:
            call = support.function_over_values(lookup(OPEROID, operators[i]).oprcode, (left.oid, right.oid), 16,
                                                collations[i])
            state = PythonCompare(call, left, right, True)
            keys.held.append(state)
            keys.keys[i].compare = python_compare
            keys.keys[i].state = <void *> state
    return keys, others


def merge_keys(families, collations, reversals, nulls_first, left_types, right_types):
    """Keys that compare rows of one input of a merge join with rows of the other."""
    cdef Keys keys = Keys(len(families))
    cdef DatumType left, right
    cdef int i
    for i in range(keys.nkeys):
        left, right = left_types[i], right_types[i]
        fill_key(&keys.keys[i], i, left, collations[i])
        if keys.keys[i].kind != kind_of(right, collations[i]):
            keys.keys[i].kind = KEY_OTHER
        keys.keys[i].desc = reversals[i]
        keys.keys[i].nulls_first = nulls_first[i]
        set_comparator(&keys.keys[i], support.family_procedure(families[i], left.base, right.base), left, right,
                       collations[i], keys.held)
    return keys


def sort_keys(columns, operators, collations, nulls_first, types):
    """make_sort_keys for Python."""
    return make_sort_keys(columns, operators, collations, nulls_first, types)


def equality_keys(columns, operators, collations, types):
    """make_equality_keys for Python."""
    return make_equality_keys(columns, operators, collations, types)
