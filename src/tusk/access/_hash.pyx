"""Hash values of each built-in type, as its hash support functions define them (access/hash, common/hashfn.h).

The values are facts that live on disk (hash indexes, hash partitioning): Bob Jenkins' lookup3 with PostgreSQL's
initial value, and per type the bytes that are hashed.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy
from tusk._types cimport Datum, Oid
from tusk.access cimport _compare
from tusk.access._compare cimport collation_is_c
from tusk.access._varlena cimport load_u32, varatt_needs_detoast, vardata_any, varsize_any_exhdr
from tusk.errors import feature_not_supported


cdef inline uint32_t rot(uint32_t x, int k) noexcept nogil:
    return (x << k) | (x >> (32 - k))


cdef struct Words:
    uint32_t a
    uint32_t b
    uint32_t c


cdef inline void mix(Words *w) noexcept nogil:
    w.a -= w.c
    w.a ^= rot(w.c, 4)
    w.c += w.b
    w.b -= w.a
    w.b ^= rot(w.a, 6)
    w.a += w.c
    w.c -= w.b
    w.c ^= rot(w.b, 8)
    w.b += w.a
    w.a -= w.c
    w.a ^= rot(w.c, 16)
    w.c += w.b
    w.b -= w.a
    w.b ^= rot(w.a, 19)
    w.a += w.c
    w.c -= w.b
    w.c ^= rot(w.b, 4)
    w.b += w.a


cdef inline void finish(Words *w) noexcept nogil:
    w.c ^= w.b
    w.c -= rot(w.b, 14)
    w.a ^= w.c
    w.a -= rot(w.c, 11)
    w.b ^= w.a
    w.b -= rot(w.a, 25)
    w.c ^= w.b
    w.c -= rot(w.b, 16)
    w.a ^= w.c
    w.a -= rot(w.c, 4)
    w.b ^= w.a
    w.b -= rot(w.a, 14)
    w.c ^= w.b
    w.c -= rot(w.b, 24)


cdef inline void begin(Words *w, uint32_t nbytes, uint64_t seed) noexcept nogil:
    w.a = w.b = w.c = <uint32_t> 0x9E3779B9 + nbytes + <uint32_t> 3923095
    if seed:
        w.a += <uint32_t> (seed >> 32)
        w.b += <uint32_t> seed
        mix(w)


cdef inline void absorb(Words *w, const unsigned char *key, Py_ssize_t nbytes) noexcept nogil:
    """All bytes; the lowest byte of the last c is left to the length."""
    cdef int i
    while nbytes >= 12:
        w.a += load_u32(key)
        w.b += load_u32(key + 4)
        w.c += load_u32(key + 8)
        mix(w)
        key += 12
        nbytes -= 12
    for i in range(<int> nbytes):
        if i < 4:
            w.a += <uint32_t> key[i] << (8 * i)
        elif i < 8:
            w.b += <uint32_t> key[i] << (8 * (i - 4))
        else:
            w.c += <uint32_t> key[i] << (8 * (i - 7))
    finish(w)


cdef uint32_t hash_bytes(const unsigned char *key, Py_ssize_t nbytes) noexcept nogil:
    cdef Words w
    begin(&w, <uint32_t> nbytes, 0)
    absorb(&w, key, nbytes)
    return w.c


cdef uint64_t hash_bytes_extended(const unsigned char *key, Py_ssize_t nbytes, uint64_t seed) noexcept nogil:
    cdef Words w
    begin(&w, <uint32_t> nbytes, seed)
    absorb(&w, key, nbytes)
    return (<uint64_t> w.b << 32) | w.c


cdef uint32_t hash_uint32(uint32_t key) noexcept nogil:
    cdef Words w
    begin(&w, 4, 0)
    w.a += key
    finish(&w)
    return w.c


cdef uint64_t hash_uint32_extended(uint32_t key, uint64_t seed) noexcept nogil:
    cdef Words w
    begin(&w, 4, seed)
    w.a += key
    finish(&w)
    return (<uint64_t> w.b << 32) | w.c


cdef inline uint64_t of_bytes(const void *key, Py_ssize_t n, uint64_t seed, bint extended) noexcept nogil:
    if extended:
        return hash_bytes_extended(<const unsigned char *> key, n, seed)
    return hash_bytes(<const unsigned char *> key, n)


cdef inline uint64_t of_uint32(uint32_t key, uint64_t seed, bint extended) noexcept nogil:
    return hash_uint32_extended(key, seed) if extended else hash_uint32(key)


cdef inline uint64_t of_int64(int64_t key, uint64_t seed, bint extended) noexcept nogil:
    """Values that fit int4 hash like it."""
    cdef uint32_t low = <uint32_t> key
    cdef uint32_t high = <uint32_t> (<uint64_t> key >> 32)
    return of_uint32(low ^ (high if key >= 0 else ~high), seed, extended)


cdef uint64_t hashint2(Datum v, uint64_t seed, bint extended, void *state) except? 0x1234567887654321:
    return of_uint32(<uint32_t> <int32_t> <int16_t> v, seed, extended)


cdef uint64_t hashint4(Datum v, uint64_t seed, bint extended, void *state) except? 0x1234567887654321:
    return of_uint32(<uint32_t> v, seed, extended)


cdef uint64_t hashint8(Datum v, uint64_t seed, bint extended, void *state) except? 0x1234567887654321:
    return of_int64(<int64_t> v, seed, extended)


cdef uint64_t hashchar(Datum v, uint64_t seed, bint extended, void *state) except? 0x1234567887654321:
    return of_uint32(<uint32_t> <int32_t> <signed char> v, seed, extended)


cdef uint64_t hashbool(Datum v, uint64_t seed, bint extended, void *state) except? 0x1234567887654321:
    return of_uint32(<uint32_t> (<uint8_t> v != 0), seed, extended)


cdef inline uint64_t of_double(double key, uint64_t seed, bint extended) noexcept nogil:
    cdef uint64_t nan = 0x7FF8000000000000
    if key == 0:
        return seed if extended else 0
    if key != key:
        memcpy(&key, &nan, 8)
    return of_bytes(&key, 8, seed, extended)


cdef uint64_t hashfloat4(Datum v, uint64_t seed, bint extended, void *state) except? 0x1234567887654321:
    cdef uint32_t bits = <uint32_t> v
    cdef float f
    memcpy(&f, &bits, 4)
    return of_double(f, seed, extended)


cdef uint64_t hashfloat8(Datum v, uint64_t seed, bint extended, void *state) except? 0x1234567887654321:
    cdef double f
    memcpy(&f, &v, 8)
    return of_double(f, seed, extended)


cdef uint64_t hashname(Datum v, uint64_t seed, bint extended, void *state) except? 0x1234567887654321:
    cdef const char *s = <const char *> v
    cdef int n = 0
    while n < 64 and s[n]:
        n += 1
    return of_bytes(s, n, seed, extended)


cdef uint64_t fixed6(Datum v, uint64_t seed, bint extended, void *state) except? 0x1234567887654321:
    return of_bytes(<const char *> v, 6, seed, extended)


cdef uint64_t fixed8(Datum v, uint64_t seed, bint extended, void *state) except? 0x1234567887654321:
    return of_bytes(<const char *> v, 8, seed, extended)


cdef uint64_t fixed16(Datum v, uint64_t seed, bint extended, void *state) except? 0x1234567887654321:
    return of_bytes(<const char *> v, 16, seed, extended)


cdef uint64_t timetz_hash(Datum v, uint64_t seed, bint extended, void *state) except? 0x1234567887654321:
    cdef int64_t us
    cdef uint32_t zone
    memcpy(&us, <const char *> v, 8)
    memcpy(&zone, <const char *> v + 8, 4)
    return of_int64(us, seed, extended) ^ of_uint32(zone, seed, extended)


cdef uint64_t interval_hash(Datum v, uint64_t seed, bint extended, void *state) except? 0x1234567887654321:
    """The low 64 bits of the span in microseconds, a month counted as 30 days."""
    cdef int64_t us
    cdef int32_t days, months
    memcpy(&us, <const char *> v, 8)
    memcpy(&days, <const char *> v + 8, 4)
    memcpy(&months, <const char *> v + 12, 4)
    cdef uint64_t span = <uint64_t> us + <uint64_t> (<int64_t> months * 30 + days) * <uint64_t> 86400000000
    return of_int64(<int64_t> span, seed, extended)


cdef uint64_t hash_aclitem(Datum v, uint64_t seed, bint extended, void *state) except? 0x1234567887654321:
    cdef uint64_t privileges
    memcpy(&privileges, <const char *> v + 8, 8)
    cdef uint32_t total = <uint32_t> (privileges + load_u32(<const char *> v) + load_u32(<const char *> v + 4))
    if extended and seed:
        return hash_uint32_extended(total, seed)
    return total


# -- Variable-length types: *out points to data at hand, *mine to what must be freed --

cdef int at_hand(Datum v, const char **out, char **mine) except -1:
    mine[0] = NULL
    out[0] = <const char *> v
    if varatt_needs_detoast(<const char *> v):
        if _compare.detoast_malloc_hook == NULL:
            raise feature_not_supported("hashing compressed or external values without access.toast loaded")
        mine[0] = _compare.detoast_malloc_hook(<const char *> v)
        out[0] = mine[0]
    return 0


cdef uint64_t hashvarlena(Datum v, uint64_t seed, bint extended, void *state) except? 0x1234567887654321:
    cdef const char *p
    cdef char *mine
    at_hand(v, &p, &mine)
    cdef uint64_t h = of_bytes(vardata_any(p), varsize_any_exhdr(p), seed, extended)
    free(mine)
    return h


cdef uint64_t hashbpchar(Datum v, uint64_t seed, bint extended, void *state) except? 0x1234567887654321:
    cdef const char *p
    cdef char *mine
    at_hand(v, &p, &mine)
    cdef const char *s = vardata_any(p)
    cdef Py_ssize_t n = varsize_any_exhdr(p)
    while n > 0 and s[n - 1] == c' ':
        n -= 1
    cdef uint64_t h = of_bytes(s, n, seed, extended)
    free(mine)
    return h


cdef uint64_t hashoidvector(Datum v, uint64_t seed, bint extended, void *state) except? 0x1234567887654321:
    cdef const char *p
    cdef char *mine
    at_hand(v, &p, &mine)
    cdef const char *s = vardata_any(p)
    cdef uint64_t h = of_bytes(s + 20, <Py_ssize_t> load_u32(s + 12) * 4, seed, extended)
    free(mine)
    return h


cdef uint64_t hashinet(Datum v, uint64_t seed, bint extended, void *state) except? 0x1234567887654321:
    cdef const char *p
    cdef char *mine
    at_hand(v, &p, &mine)
    cdef const char *s = vardata_any(p)
    cdef uint64_t h = of_bytes(s, 6 if s[0] == 2 else 18, seed, extended)
    free(mine)
    return h


cdef uint64_t numeric_hash_of(const char *v, uint64_t seed, bint extended) noexcept nogil:
    """The digits without zeros at the ends, mixed with the weight of the first."""
    cdef const char *p = vardata_any(v)
    cdef int n = <int> varsize_any_exhdr(v)
    cdef uint16_t header, digit
    cdef int16_t weight
    cdef int first = 0
    cdef int ndigits
    memcpy(&header, p, 2)
    if header & 0xC000 == 0xC000:
        return seed if extended else 0
    if header & 0x8000:
        weight = <int16_t> ((header & 0x003F) - (64 if header & 0x0040 else 0))
        p += 2
        ndigits = (n - 2) // 2
    else:
        memcpy(&weight, p + 2, 2)
        p += 4
        ndigits = (n - 4) // 2
    while first < ndigits:
        memcpy(&digit, p + 2 * first, 2)
        if digit:
            break
        first += 1
        weight -= 1
    if first == ndigits:
        return seed - 1 if extended else 0xFFFFFFFF
    while True:
        memcpy(&digit, p + 2 * (ndigits - 1), 2)
        if digit:
            break
        ndigits -= 1
    if extended:
        return hash_bytes_extended(<const unsigned char *> p + 2 * first, 2 * (ndigits - first), seed) ^ \
            <uint64_t> <int64_t> weight
    return <uint32_t> (hash_bytes(<const unsigned char *> p + 2 * first, 2 * (ndigits - first)) ^
                       <uint32_t> <int32_t> weight)


cdef uint64_t hash_numeric(Datum v, uint64_t seed, bint extended, void *state) except? 0x1234567887654321:
    cdef const char *p
    cdef char *mine
    at_hand(v, &p, &mine)
    cdef uint64_t h = numeric_hash_of(p, seed, extended)
    free(mine)
    return h


# -- The table --

cdef hash_fn functions[48]
cdef int nfunctions = 0
_index = {}
_factories = {}


cdef add(str prosrc, hash_fn fn):
    global nfunctions
    functions[nfunctions] = fn
    _index[prosrc] = nfunctions
    nfunctions += 1


add("hashint2", hashint2)
add("hashint4", hashint4)
add("hashint8", hashint8)
add("hashchar", hashchar)
add("hashbool", hashbool)
add("hashoid", hashint4)
add("hashenum", hashint4)
add("hashxid", hashint4)
add("hashcid", hashint4)
add("hashdate", hashint4)
add("hashxid8", hashint8)
add("pg_lsn_hash", hashint8)
add("time_hash", hashint8)
add("timestamp_hash", hashint8)
add("timestamptz_hash", hashint8)
add("hashfloat4", hashfloat4)
add("hashfloat8", hashfloat8)
add("hashname", hashname)
add("hashtid", fixed6)
add("hashmacaddr", fixed6)
add("hashmacaddr8", fixed8)
add("uuid_hash", fixed16)
add("timetz_hash", timetz_hash)
add("interval_hash", interval_hash)
add("hash_aclitem", hash_aclitem)
add("hashtext", hashvarlena)
add("hashbytea", hashvarlena)
add("hashvarlena", hashvarlena)
add("hashbpchar", hashbpchar)
add("hashoidvector", hashoidvector)
add("hashinet", hashinet)
add("hash_numeric", hash_numeric)


cdef class NativeHasher:
    """A hash function in Cython of another package."""


cdef uint64_t call_python(Datum value, uint64_t seed, bint extended, void *state) except? 0x1234567887654321:
    """A hash function written in Python: state is the callable."""
    return (<object> state)(value, seed if extended else None)


def register_hasher(str prosrc, factory):
    """Have ``factory(collation)`` make the hash function of that name: a callable over a Datum (an int) and the seed
    (None for the 32-bit function)."""
    _factories[prosrc] = factory


cdef object lookup_hasher(str prosrc, Oid collation, Hasher *out):
    """See _hash.pxd. Deterministic collations do not change the hash of a string."""
    found = _index.get(prosrc)
    out.state = NULL
    if found is not None:
        if prosrc in ("hashtext", "hashbpchar"):
            collation_is_c(collation)       # raises when there is none
        out.fn = functions[<int> found]
        return None
    factory = _factories.get(prosrc)
    if factory is None:
        raise feature_not_supported(f'hash function "{prosrc}"')
    function = factory(collation)
    out.fn = (<NativeHasher> function).fn if isinstance(function, NativeHasher) else call_python
    out.state = <void *> function
    return function


def hash_datum(str prosrc, value, seed=None, Oid collation=950):
    """Hash a raw datum (int for by-value types, bytes for the others), with a seed by the extended function."""
    cdef Hasher hasher
    keep = lookup_hasher(prosrc, collation, &hasher)
    cdef Datum v = <Datum> <int64_t> value if isinstance(value, int) else <Datum> <const char *> (<bytes> value)
    return hasher.fn(v, 0 if seed is None else seed, seed is not None, hasher.state)
