# cython: language_level=3
"""Hashing of Datums by the prosrc names of hash support functions, with PostgreSQL's hash values."""

from libc.stdint cimport uint32_t, uint64_t
from tusk._types cimport Datum, Oid

ctypedef uint64_t (*hash_fn)(Datum value, uint64_t seed, bint extended, void *state) except? 0x1234567887654321

cdef struct Hasher:
    hash_fn fn                  # of both support functions: 32-bit result with extended false (seed ignored)
    void *state

# What a factory (register_hasher) may return instead of a Python callable: its state is the object itself.
cdef class NativeHasher:
    cdef hash_fn fn
    cdef void *data

# By prosrc of support function 1 ("hashint4"); returns what keeps out.state alive. Errors as lookup_comparator.
cdef object lookup_hasher(str prosrc, Oid collation, Hasher *out)

cdef uint32_t hash_bytes(const unsigned char *key, Py_ssize_t nbytes) noexcept nogil
cdef uint64_t hash_bytes_extended(const unsigned char *key, Py_ssize_t nbytes, uint64_t seed) noexcept nogil
cdef uint32_t hash_uint32(uint32_t key) noexcept nogil
cdef uint64_t hash_uint32_extended(uint32_t key, uint64_t seed) noexcept nogil
