"""Bodies follow within minutes."""
from tusk.errors import feature_not_supported

cdef object lookup_comparator(str prosrc, Oid collation, Comparator *out):
    raise feature_not_supported(f"comparison function \"{prosrc}\"")
cdef object lookup_hasher(str prosrc, Oid collation, Hasher *out):
    raise feature_not_supported(f"hash function \"{prosrc}\"")
cdef uint32_t hash_bytes(const unsigned char *key, Py_ssize_t nbytes) noexcept nogil:
    return 0
cdef uint64_t hash_bytes_extended(const unsigned char *key, Py_ssize_t nbytes, uint64_t seed) noexcept nogil:
    return 0
cdef uint32_t hash_uint32(uint32_t key) noexcept nogil:
    return 0
cdef uint64_t hash_uint32_extended(uint32_t key, uint64_t seed) noexcept nogil:
    return 0
cdef int compare_numeric(Datum a, Datum b) noexcept nogil:
    return 0
cdef int compare_bytes(const char *a, Py_ssize_t alen, const char *b, Py_ssize_t blen) noexcept nogil:
    return 0
cdef int compare_float8(double a, double b) noexcept nogil:
    return 0
