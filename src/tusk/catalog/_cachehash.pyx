"""Hash values of syscache keys, as invalidation messages in the WAL carry them (CatalogCacheComputeHashValue).

They must be PostgreSQL's: a standby of either kind finds its cached rows by them.
"""

from libc.stdint cimport int8_t, int16_t, int32_t, uint32_t
from tusk.access._hash cimport hash_bytes


cdef inline uint32_t murmurhash32(uint32_t h) noexcept nogil:
    h ^= h >> 16
    h *= <uint32_t> 2246822507
    h ^= h >> 13
    h *= <uint32_t> 3266489909
    h ^= h >> 16
    return h


cdef inline uint32_t rotate_left(uint32_t word, int n) noexcept nogil:
    return (word << n) | (word >> (32 - n)) if n else word


def key_hash(tuple types, tuple key):
    """The hash of a key: types are the key columns' type names."""
    cdef uint32_t result = 0, one
    cdef int i
    cdef bytes data
    for i in range(len(types)):
        kind = types[i]
        value = key[i]
        if value is None:
            one = 0
        elif kind == "name" or kind == "text":
            data = (<str> value).encode()
            one = hash_bytes(<const unsigned char *> <const char *> data, len(data))
        elif kind == "oidvector":
            data = b"".join([int(oid).to_bytes(4, "little") for oid in value])
            one = hash_bytes(<const unsigned char *> <const char *> data, len(data))
        elif kind == "char":
            one = murmurhash32(<uint32_t> <int32_t> <int8_t> (ord(value) if value else 0))
        elif kind == "bool":
            one = murmurhash32(1 if value else 0)
        else:
            one = murmurhash32(<uint32_t> <long> value)
        result ^= rotate_left(one, 8 * i)
    return result
