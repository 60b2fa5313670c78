"""The order of each built-in type, as its b-tree support function 1 defines it (catalog pg_amproc).

Every function takes two Datums that are not null. Variable-length ones may come with 1-byte headers, compressed or
external; the last two kinds are detoasted into memory of their own. What is not native here (jsonb, arrays, ranges,
records, comparisons that need a time zone) is registered by `types` with `register_comparator`.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, strlen, strncmp
from tusk._types cimport Datum, ItemPointerData, Oid, tid_block, tid_offset
from tusk.access._varlena cimport (
    load_u32, varatt_needs_detoast, vardata_any, varsize_any_exhdr,
)
from tusk.errors import SqlError, errcode, feature_not_supported

cdef extern from *:
    """
    #define _GNU_SOURCE 1
    #include <locale.h>
    #include <string.h>
    static int tusk_strcoll(const char *a, const char *b, void *loc) { return strcoll_l(a, b, (locale_t) loc); }
    static void *tusk_newlocale(const char *name) {
        return (void *) newlocale(LC_COLLATE_MASK | LC_CTYPE_MASK, name, (locale_t) 0);
    }
    """
    int tusk_strcoll(const char *a, const char *b, void *loc) noexcept nogil
    void *tusk_newlocale(const char *name) noexcept

cdef enum:
    DATEVAL_NOBEGIN = -2147483648
    DATEVAL_NOEND = 2147483647

cdef detoast_malloc_fn detoast_malloc_hook = NULL

cdef int64_t DT_NOBEGIN = <int64_t> (<uint64_t> 1 << 63)
cdef int64_t DT_NOEND = 0x7FFFFFFFFFFFFFFF
cdef int64_t USECS_PER_DAY = 86400000000
cdef int64_t END_TIMESTAMP_JULIAN_DAYS = 109203528 - 2451545      # first day that no timestamp has, from 2000-01-01


# -- Fixed-length types --

cdef int btint2cmp(Datum a, Datum b, void *state) except? -2:
    return <int> <int16_t> a - <int> <int16_t> b


cdef int btint4cmp(Datum a, Datum b, void *state) except? -2:
    return (<int32_t> a > <int32_t> b) - (<int32_t> a < <int32_t> b)


cdef int btint8cmp(Datum a, Datum b, void *state) except? -2:
    return (<int64_t> a > <int64_t> b) - (<int64_t> a < <int64_t> b)


cdef inline int order64(int64_t a, int64_t b) noexcept nogil:
    return (a > b) - (a < b)


cdef int btint24cmp(Datum a, Datum b, void *state) except? -2:
    return order64(<int16_t> a, <int32_t> b)


cdef int btint28cmp(Datum a, Datum b, void *state) except? -2:
    return order64(<int16_t> a, <int64_t> b)


cdef int btint42cmp(Datum a, Datum b, void *state) except? -2:
    return order64(<int32_t> a, <int16_t> b)


cdef int btint48cmp(Datum a, Datum b, void *state) except? -2:
    return order64(<int32_t> a, <int64_t> b)


cdef int btint82cmp(Datum a, Datum b, void *state) except? -2:
    return order64(<int64_t> a, <int16_t> b)


cdef int btint84cmp(Datum a, Datum b, void *state) except? -2:
    return order64(<int64_t> a, <int32_t> b)


cdef int btoidcmp(Datum a, Datum b, void *state) except? -2:
    return (<uint32_t> a > <uint32_t> b) - (<uint32_t> a < <uint32_t> b)


cdef int xid8cmp(Datum a, Datum b, void *state) except? -2:
    return (a > b) - (a < b)


cdef int btcharcmp(Datum a, Datum b, void *state) except? -2:
    return <int> <uint8_t> a - <int> <uint8_t> b


cdef int bttidcmp(Datum a, Datum b, void *state) except? -2:
    cdef const ItemPointerData *x = <const ItemPointerData *> a
    cdef const ItemPointerData *y = <const ItemPointerData *> b
    cdef uint32_t xb = tid_block(x)
    cdef uint32_t yb = tid_block(y)
    if xb != yb:
        return 1 if xb > yb else -1
    return <int> tid_offset(x) - <int> tid_offset(y)


cdef inline double float4_of(Datum d) noexcept nogil:
    cdef float f
    cdef uint32_t bits = <uint32_t> d
    memcpy(&f, &bits, 4)
    return f


cdef inline double float8_of(Datum d) noexcept nogil:
    cdef double f
    memcpy(&f, &d, 8)
    return f


cdef int compare_float8(double a, double b) noexcept nogil:
    """NaN equals itself and is greater than all else."""
    if a != a:
        return 0 if b != b else 1
    if b != b:
        return -1
    return (a > b) - (a < b)


cdef int btfloat4cmp(Datum a, Datum b, void *state) except? -2:
    return compare_float8(float4_of(a), float4_of(b))


cdef int btfloat8cmp(Datum a, Datum b, void *state) except? -2:
    return compare_float8(float8_of(a), float8_of(b))


cdef int btfloat48cmp(Datum a, Datum b, void *state) except? -2:
    return compare_float8(float4_of(a), float8_of(b))


cdef int btfloat84cmp(Datum a, Datum b, void *state) except? -2:
    return compare_float8(float8_of(a), float4_of(b))


cdef int order_date_timestamp(int32_t day, int64_t us) noexcept nogil:
    """A date against a timestamp without time zone; dates beyond the timestamps' range still compare rightly."""
    if day == DATEVAL_NOBEGIN:
        return 0 if us == DT_NOBEGIN else -1
    if day == DATEVAL_NOEND:
        return 0 if us == DT_NOEND else 1
    if day >= END_TIMESTAMP_JULIAN_DAYS:
        return -1 if us == DT_NOEND else 1
    return order64(<int64_t> day * USECS_PER_DAY, us)


cdef int date_cmp_timestamp(Datum a, Datum b, void *state) except? -2:
    return order_date_timestamp(<int32_t> a, <int64_t> b)


cdef int timestamp_cmp_date(Datum a, Datum b, void *state) except? -2:
    return -order_date_timestamp(<int32_t> b, <int64_t> a)


cdef int timetz_cmp(Datum a, Datum b, void *state) except? -2:
    """First by the instant, then by the zone (seconds west)."""
    cdef int64_t at, bt
    cdef int32_t az, bz
    memcpy(&at, <const char *> a, 8)
    memcpy(&az, <const char *> a + 8, 4)
    memcpy(&bt, <const char *> b, 8)
    memcpy(&bz, <const char *> b + 8, 4)
    cdef int c = order64(at + <int64_t> az * 1000000, bt + <int64_t> bz * 1000000)
    return c if c else order64(az, bz)


cdef int interval_cmp(Datum a, Datum b, void *state) except? -2:
    """A month counts 30 days, a day 24 hours; in days and the microseconds left, so that 64 bits do."""
    cdef int64_t at, bt, adays, bdays
    cdef int32_t ad, am, bd, bm
    memcpy(&at, <const char *> a, 8)
    memcpy(&ad, <const char *> a + 8, 4)
    memcpy(&am, <const char *> a + 12, 4)
    memcpy(&bt, <const char *> b, 8)
    memcpy(&bd, <const char *> b + 8, 4)
    memcpy(&bm, <const char *> b + 12, 4)
    adays = <int64_t> am * 30 + ad + at / USECS_PER_DAY
    bdays = <int64_t> bm * 30 + bd + bt / USECS_PER_DAY
    at %= USECS_PER_DAY
    bt %= USECS_PER_DAY
    if at < 0:
        at += USECS_PER_DAY
        adays -= 1
    if bt < 0:
        bt += USECS_PER_DAY
        bdays -= 1
    cdef int c = order64(adays, bdays)
    return c if c else order64(at, bt)


cdef int uuid_cmp(Datum a, Datum b, void *state) except? -2:
    return sign(memcmp(<const char *> a, <const char *> b, 16))


cdef int macaddr_cmp(Datum a, Datum b, void *state) except? -2:
    return sign(memcmp(<const char *> a, <const char *> b, 6))


cdef int macaddr8_cmp(Datum a, Datum b, void *state) except? -2:
    return sign(memcmp(<const char *> a, <const char *> b, 8))


cdef inline int sign(int c) noexcept nogil:
    return (c > 0) - (c < 0)


# -- Variable-length types --

cdef int compare_bytes(const char *a, Py_ssize_t alen, const char *b, Py_ssize_t blen) noexcept nogil:
    """Bytewise; a prefix comes first."""
    cdef int c = memcmp(a, b, alen if alen < blen else blen)
    if c:
        return 1 if c > 0 else -1
    return (alen > blen) - (alen < blen)


cdef int detoasted(compare_fn fn, Datum a, Datum b, void *state) except? -2:
    """Compare with the values that are not at hand fetched first."""
    cdef char *x = NULL
    cdef char *y = NULL
    if detoast_malloc_hook == NULL:
        raise feature_not_supported("comparing compressed or external values without access.toast loaded")
    try:
        if varatt_needs_detoast(<const char *> a):
            x = detoast_malloc_hook(<const char *> a)
            a = <Datum> x
        if varatt_needs_detoast(<const char *> b):
            y = detoast_malloc_hook(<const char *> b)
            b = <Datum> y
        return fn(a, b, state)
    finally:
        free(x)
        free(y)


cdef inline bint toasted(Datum a, Datum b) noexcept nogil:
    return varatt_needs_detoast(<const char *> a) or varatt_needs_detoast(<const char *> b)


cdef int byteacmp(Datum a, Datum b, void *state) except? -2:
    if toasted(a, b):
        return detoasted(byteacmp, a, b, state)
    cdef const char *x = <const char *> a
    cdef const char *y = <const char *> b
    return compare_bytes(vardata_any(x), varsize_any_exhdr(x), vardata_any(y), varsize_any_exhdr(y))


cdef inline Py_ssize_t blank_trimmed(const char *s, Py_ssize_t n) noexcept nogil:
    while n > 0 and s[n - 1] == c' ':
        n -= 1
    return n


cdef int bpchar_c_cmp(Datum a, Datum b, void *state) except? -2:
    if toasted(a, b):
        return detoasted(bpchar_c_cmp, a, b, state)
    cdef const char *x = vardata_any(<const char *> a)
    cdef const char *y = vardata_any(<const char *> b)
    return compare_bytes(x, blank_trimmed(x, varsize_any_exhdr(<const char *> a)),
                         y, blank_trimmed(y, varsize_any_exhdr(<const char *> b)))


cdef int collate(const char *a, Py_ssize_t alen, const char *b, Py_ssize_t blen, void *locale) except? -2:
    """By libc's rules, equal ones by bytes, as deterministic collations are."""
    cdef char room[1024]
    cdef char *copy = room
    cdef int c
    if alen == blen and memcmp(a, b, alen) == 0:
        return 0
    if alen + blen + 2 > 1024:
        copy = <char *> malloc(alen + blen + 2)
        if copy == NULL:
            raise MemoryError
    memcpy(copy, a, alen)
    copy[alen] = 0
    memcpy(copy + alen + 1, b, blen)
    copy[alen + 1 + blen] = 0
    c = tusk_strcoll(copy, copy + alen + 1, locale)
    if copy != room:
        free(copy)
    return sign(c) if c else compare_bytes(a, alen, b, blen)


cdef int text_libc_cmp(Datum a, Datum b, void *state) except? -2:
    if toasted(a, b):
        return detoasted(text_libc_cmp, a, b, state)
    cdef const char *x = <const char *> a
    cdef const char *y = <const char *> b
    return collate(vardata_any(x), varsize_any_exhdr(x), vardata_any(y), varsize_any_exhdr(y), state)


cdef int bpchar_libc_cmp(Datum a, Datum b, void *state) except? -2:
    if toasted(a, b):
        return detoasted(bpchar_libc_cmp, a, b, state)
    cdef const char *x = vardata_any(<const char *> a)
    cdef const char *y = vardata_any(<const char *> b)
    return collate(x, blank_trimmed(x, varsize_any_exhdr(<const char *> a)),
                   y, blank_trimmed(y, varsize_any_exhdr(<const char *> b)), state)


cdef inline Py_ssize_t name_length(const char *name) noexcept nogil:
    cdef Py_ssize_t n = 0
    while n < 64 and name[n]:
        n += 1
    return n


cdef int name_c_cmp(Datum a, Datum b, void *state) except? -2:
    return sign(strncmp(<const char *> a, <const char *> b, 64))


cdef int name_libc_cmp(Datum a, Datum b, void *state) except? -2:
    cdef const char *x = <const char *> a
    cdef const char *y = <const char *> b
    return collate(x, name_length(x), y, name_length(y), state)


cdef int nametext_c_cmp(Datum a, Datum b, void *state) except? -2:
    cdef const char *x = <const char *> a
    cdef const char *y = <const char *> b
    if varatt_needs_detoast(y):
        return -textname_detoasted(textname_c_cmp, b, a, state)
    return compare_bytes(x, name_length(x), vardata_any(y), varsize_any_exhdr(y))


cdef int textname_c_cmp(Datum a, Datum b, void *state) except? -2:
    if varatt_needs_detoast(<const char *> a):
        return textname_detoasted(textname_c_cmp, a, b, state)
    return -nametext_c_cmp(b, a, state)


cdef int textname_libc_cmp(Datum a, Datum b, void *state) except? -2:
    cdef const char *x = <const char *> a
    cdef const char *y = <const char *> b
    if varatt_needs_detoast(x):
        return textname_detoasted(textname_libc_cmp, a, b, state)
    return collate(vardata_any(x), varsize_any_exhdr(x), y, name_length(y), state)


cdef int nametext_libc_cmp(Datum a, Datum b, void *state) except? -2:
    return -textname_libc_cmp(b, a, state)


cdef int textname_detoasted(compare_fn fn, Datum a, Datum b, void *state) except? -2:
    """As `detoasted`, of the first value only: the second is no varlena."""
    if detoast_malloc_hook == NULL:
        raise feature_not_supported("comparing compressed or external values without access.toast loaded")
    cdef char *x = detoast_malloc_hook(<const char *> a)
    try:
        return fn(<Datum> x, b, state)
    finally:
        free(x)


cdef int bitcmp(Datum a, Datum b, void *state) except? -2:
    """By the bits, then by their number (an int32 in front of them)."""
    if toasted(a, b):
        return detoasted(bitcmp, a, b, state)
    cdef const char *x = vardata_any(<const char *> a)
    cdef const char *y = vardata_any(<const char *> b)
    cdef Py_ssize_t xn = varsize_any_exhdr(<const char *> a) - 4
    cdef Py_ssize_t yn = varsize_any_exhdr(<const char *> b) - 4
    cdef int c = memcmp(x + 4, y + 4, xn if xn < yn else yn)
    return sign(c) if c else order64(<int32_t> load_u32(x), <int32_t> load_u32(y))


cdef int btoidvectorcmp(Datum a, Datum b, void *state) except? -2:
    """First by the number of elements."""
    if toasted(a, b):
        return detoasted(btoidvectorcmp, a, b, state)
    cdef const char *x = vardata_any(<const char *> a)
    cdef const char *y = vardata_any(<const char *> b)
    cdef int32_t n = <int32_t> load_u32(x + 12)
    cdef int32_t m = <int32_t> load_u32(y + 12)
    cdef int32_t i
    cdef uint32_t p, q
    if n != m:
        return n - m if n - m != -2 else -1
    for i in range(n):
        p = load_u32(x + 20 + 4 * i)
        q = load_u32(y + 20 + 4 * i)
        if p != q:
            return 1 if p > q else -1
    return 0


cdef int compare_bits(const uint8_t *a, const uint8_t *b, int nbits) noexcept nogil:
    """The first nbits bits of two addresses."""
    cdef int whole = nbits // 8
    cdef int c = memcmp(a, b, whole)
    cdef int rest = nbits % 8
    cdef int x, y
    if c or rest == 0:
        return sign(c)
    x = a[whole] >> (8 - rest)
    y = b[whole] >> (8 - rest)
    return (x > y) - (x < y)


cdef int network_cmp(Datum a, Datum b, void *state) except? -2:
    """inet and cidr: family, the common network part, its length, the whole address."""
    if toasted(a, b):
        return detoasted(network_cmp, a, b, state)
    cdef const uint8_t *x = <const uint8_t *> vardata_any(<const char *> a)
    cdef const uint8_t *y = <const uint8_t *> vardata_any(<const char *> b)
    cdef int c
    if x[0] != y[0]:
        return 1 if x[0] > y[0] else -1
    c = compare_bits(x + 2, y + 2, x[1] if x[1] < y[1] else y[1])
    if c:
        return c
    if x[1] != y[1]:
        return 1 if x[1] > y[1] else -1
    return compare_bits(x + 2, y + 2, 32 if x[0] == 2 else 128)


# -- numeric --

cdef struct NumericView:
    int special             # 0, or 1 -Infinity, 2 +Infinity, 3 NaN
    int negative
    int weight
    int ndigits
    const char *digits      # int16 each, unaligned


cdef inline int digit_at(const NumericView *n, int i) noexcept nogil:
    cdef int16_t d
    memcpy(&d, n.digits + 2 * i, 2)
    return d


cdef void view_numeric(const char *v, NumericView *out) noexcept nogil:
    """Read a numeric's header (utils/numeric.c describes it: special, short or long form by the top two bits)."""
    cdef const char *p = vardata_any(v)
    cdef int n = <int> varsize_any_exhdr(v)
    cdef uint16_t header
    cdef int16_t weight
    memcpy(&header, p, 2)
    out.special = 0
    out.ndigits = 0
    if header & 0xC000 == 0xC000:
        out.special = 3 if header & 0xF000 == 0xC000 else (2 if header & 0xF000 == 0xD000 else 1)
        return
    if header & 0x8000:
        out.negative = (header & 0x2000) != 0
        out.weight = (header & 0x003F) - (64 if header & 0x0040 else 0)
        out.digits = p + 2
        out.ndigits = (n - 2) // 2
        return
    memcpy(&weight, p + 2, 2)
    out.negative = (header & 0xC000) == 0x4000
    out.weight = weight
    out.digits = p + 4
    out.ndigits = (n - 4) // 2


cdef int compare_magnitude(const NumericView *a, const NumericView *b) noexcept nogil:
    cdef int i = 0
    cdef int j = 0
    cdef int aw = a.weight
    cdef int bw = b.weight
    cdef int x, y
    while i < a.ndigits and digit_at(a, i) == 0:
        i += 1
        aw -= 1
    while j < b.ndigits and digit_at(b, j) == 0:
        j += 1
        bw -= 1
    if i == a.ndigits or j == b.ndigits:
        return (i < a.ndigits) - (j < b.ndigits)
    if aw != bw:
        return 1 if aw > bw else -1
    while i < a.ndigits or j < b.ndigits:
        x = digit_at(a, i) if i < a.ndigits else 0
        y = digit_at(b, j) if j < b.ndigits else 0
        if x != y:
            return 1 if x > y else -1
        i += 1
        j += 1
    return 0


cdef inline bint numeric_is_zero(const NumericView *n) noexcept nogil:
    cdef int i
    for i in range(n.ndigits):
        if digit_at(n, i):
            return False
    return True


cdef int compare_numeric(Datum a, Datum b) noexcept nogil:
    cdef NumericView x, y
    cdef int xs, ys
    view_numeric(<const char *> a, &x)
    view_numeric(<const char *> b, &y)
    if x.special or y.special:
        xs = rank_special(x.special)
        ys = rank_special(y.special)
        return (xs > ys) - (xs < ys)
    xs = 0 if numeric_is_zero(&x) else (-1 if x.negative else 1)
    ys = 0 if numeric_is_zero(&y) else (-1 if y.negative else 1)
    if xs != ys:
        return 1 if xs > ys else -1
    if xs == 0:
        return 0
    return compare_magnitude(&x, &y) if xs > 0 else compare_magnitude(&y, &x)


cdef inline int rank_special(int special) noexcept nogil:
    """-Infinity, finite, Infinity, NaN."""
    return 0 if special == 1 else (1 if special == 0 else special)


cdef int numeric_cmp(Datum a, Datum b, void *state) except? -2:
    if toasted(a, b):
        return detoasted(numeric_cmp, a, b, state)
    return compare_numeric(a, b)


# -- Collations --

cdef class Locale:
    """A libc locale; kept for the life of the process."""

    cdef void *handle
    cdef readonly str name

    def __cinit__(self, str name):
        self.name = name
        self.handle = tusk_newlocale(name.encode())
        if self.handle == NULL:
            raise SqlError(errcode.INVALID_PARAMETER_VALUE, f'could not create locale "{name}"')


_collations = {950: ("c", "C"), 951: ("c", "POSIX"), 962: ("c", "C"), 811: ("builtin", "C.UTF-8"),
               100: ("builtin", "C.UTF-8")}
_locales = {}
_find_collation = None


def set_default_collation(str provider, str locale):
    """What collation 100 means in this database: provider "c", "libc" (datcollate) or "builtin" (datlocale)."""
    _collations[100] = (provider, locale)


def set_collation_finder(finder):
    """Name the function (collation oid) -> (provider, locale) that reads pg_collation; set by `catalog`."""
    global _find_collation
    _find_collation = finder


def forget_collation(oid):
    """pg_collation's row changed."""
    if oid > 12000:
        _collations.pop(oid, None)


cdef Locale find_locale(Oid collation):
    """None for byte order."""
    if collation == 0:
        raise SqlError(errcode.INDETERMINATE_COLLATION,
                       "could not determine which collation to use for string comparison",
                       hint="Use the COLLATE clause to set the collation explicitly.")
    found = _collations.get(collation)
    if found is None:
        if _find_collation is None:
            raise SqlError(errcode.INTERNAL_ERROR, f"cache lookup failed for collation {collation}")
        found = _collations[collation] = _find_collation(collation)
    provider, name = found
    if provider in ("c", "builtin") or (provider == "libc" and name in ("C", "POSIX")):
        return None         # the built-in locales order by code point, which in UTF-8 is byte order
    if provider != "libc":
        raise feature_not_supported(f"collation provider \"{provider}\"")
    locale = _locales.get(name)
    if locale is None:
        locale = _locales[name] = Locale(name)
    return locale


cdef bint collation_is_c(Oid collation) except -1:
    return find_locale(collation) is None


# -- The table --

cdef struct Entry:
    compare_fn fn
    compare_fn libc         # NULL: no collation matters

cdef Entry entries[64]
cdef int nentries = 0
_index = {}


cdef add(str prosrc, compare_fn fn, compare_fn libc=NULL):
    global nentries
    entries[nentries].fn = fn
    entries[nentries].libc = libc
    _index[prosrc] = nentries
    nentries += 1


add("btint2cmp", btint2cmp)
add("btint4cmp", btint4cmp)
add("btint8cmp", btint8cmp)
add("btint24cmp", btint24cmp)
add("btint28cmp", btint28cmp)
add("btint42cmp", btint42cmp)
add("btint48cmp", btint48cmp)
add("btint82cmp", btint82cmp)
add("btint84cmp", btint84cmp)
add("btoidcmp", btoidcmp)
add("xid8cmp", xid8cmp)
add("pg_lsn_cmp", xid8cmp)
add("btcharcmp", btcharcmp)
add("btboolcmp", btcharcmp)
add("bttidcmp", bttidcmp)
add("btfloat4cmp", btfloat4cmp)
add("btfloat8cmp", btfloat8cmp)
add("btfloat48cmp", btfloat48cmp)
add("btfloat84cmp", btfloat84cmp)
add("date_cmp", btint4cmp)
add("time_cmp", btint8cmp)
add("timestamp_cmp", btint8cmp)
add("cash_cmp", btint8cmp)
add("date_cmp_timestamp", date_cmp_timestamp)
add("timestamp_cmp_date", timestamp_cmp_date)
add("timetz_cmp", timetz_cmp)
add("interval_cmp", interval_cmp)
add("uuid_cmp", uuid_cmp)
add("macaddr_cmp", macaddr_cmp)
add("macaddr8_cmp", macaddr8_cmp)
add("byteacmp", byteacmp)
add("bttext_pattern_cmp", byteacmp)
add("btbpchar_pattern_cmp", bpchar_c_cmp)
add("bttextcmp", byteacmp, text_libc_cmp)
add("bpcharcmp", bpchar_c_cmp, bpchar_libc_cmp)
add("btnamecmp", name_c_cmp, name_libc_cmp)
add("btnametextcmp", nametext_c_cmp, nametext_libc_cmp)
add("bttextnamecmp", textname_c_cmp, textname_libc_cmp)
add("bitcmp", bitcmp)
add("btoidvectorcmp", btoidvectorcmp)
add("network_cmp", network_cmp)
add("numeric_cmp", numeric_cmp)

_factories = {}


cdef class NativeComparator:
    """A comparator in Cython of another package."""


cdef int call_python(Datum a, Datum b, void *state) except? -2:
    """A comparator written in Python: state is the callable."""
    cdef object result = (<object> state)(a, b)
    return (result > 0) - (result < 0)


def register_comparator(str prosrc, factory):
    """Have ``factory(collation)`` make the comparator of that name: a callable over two Datums (ints: values, or
    addresses of values as stored) that returns a number below, at or above zero."""
    _factories[prosrc] = factory


cdef object lookup_comparator(str prosrc, Oid collation, Comparator *out):
    """See _compare.pxd."""
    cdef Entry entry
    cdef Locale locale
    found = _index.get(prosrc)
    if found is not None:
        entry = entries[<int> found]
        out.fn = entry.fn
        out.state = NULL
        if entry.libc != NULL:
            locale = find_locale(collation)
            if locale is not None:
                out.fn = entry.libc
                out.state = locale.handle
                return locale
        return None
    factory = _factories.get(prosrc)
    if factory is None:
        raise feature_not_supported(f'function "{prosrc}" as a btree comparison')
    function = factory(collation)
    out.fn = (<NativeComparator> function).fn if isinstance(function, NativeComparator) else call_python
    out.state = <void *> function
    return function


cdef int compare_strings(const char *a, Py_ssize_t alen, const char *b, Py_ssize_t blen, Oid collation) except? -2:
    cdef Locale locale = find_locale(collation)
    return compare_bytes(a, alen, b, blen) if locale is None else collate(a, alen, b, blen, locale.handle)


def comparator_names():
    """Every prosrc that can be looked up, sorted."""
    return sorted([*_index, *_factories])


def compare_datums(str prosrc, a, b, Oid collation=950):
    """Compare two raw datums (ints for by-value types, bytes for the others); for tests and tools."""
    cdef Comparator cmp
    keep = lookup_comparator(prosrc, collation, &cmp)
    cdef Datum x = <Datum> <int64_t> a if isinstance(a, int) else <Datum> <const char *> (<bytes> a)
    cdef Datum y = <Datum> <int64_t> b if isinstance(b, int) else <Datum> <const char *> (<bytes> b)
    return cmp.fn(x, y, cmp.state)
