# cython: language_level=3
"""Comparison and hashing of Datums by the prosrc names of their support functions.

A comparator is a C function and a state pointer; the state stays alive as long as the `ComparatorState` does (None
for most). Comparators written in Python raise; native ones never do. A result is negative, 0 or positive, never -2
when it stands for an error without an exception set.
"""

from libc.stdint cimport int32_t, uint32_t, uint64_t
from tusk._types cimport Datum, Oid

ctypedef int (*compare_fn)(Datum a, Datum b, void *state) except? -2
ctypedef uint32_t (*hash_fn)(Datum value, void *state) except? 0xFFFFFFFF
ctypedef uint64_t (*hash_extended_fn)(Datum value, uint64_t seed, void *state) except? 0xFFFFFFFFFFFFFFFF

cdef struct Comparator:
    compare_fn fn
    void *state

cdef struct Hasher:
    hash_fn fn
    hash_extended_fn extended
    void *state

cdef enum:
    C_COLLATION_OID = 950
    DEFAULT_COLLATION_OID = 100
    POSIX_COLLATION_OID = 951

# Look up by prosrc ("btint4cmp"); fills *out, returns the object that keeps out.state alive (None when there is no
# state). collation matters for text types; raises 42P22 when it is needed and 0. Unknown names: feature_not_supported.
cdef object lookup_comparator(str prosrc, Oid collation, Comparator *out)
cdef object lookup_hasher(str prosrc, Oid collation, Hasher *out)

# lookup3 of PostgreSQL (hash_bytes, hash_bytes_extended, hash_uint32 ...).
cdef uint32_t hash_bytes(const unsigned char *key, Py_ssize_t nbytes) noexcept nogil
cdef uint64_t hash_bytes_extended(const unsigned char *key, Py_ssize_t nbytes, uint64_t seed) noexcept nogil
cdef uint32_t hash_uint32(uint32_t key) noexcept nogil
cdef uint64_t hash_uint32_extended(uint32_t key, uint64_t seed) noexcept nogil

# For kernels that know their types.
cdef int compare_numeric(Datum a, Datum b) noexcept nogil
cdef int compare_bytes(const char *a, Py_ssize_t alen, const char *b, Py_ssize_t blen) noexcept nogil
cdef int compare_float8(double a, double b) noexcept nogil
