# cython: language_level=3
"""PostgreSQL's own compression format (common/pg_lzcompress.h), as used for full-page images."""

from libc.stdint cimport int32_t

# Compressed bytes into dest (room for nbytes + 4); -1 when it does not save a quarter.
cdef int32_t pglz_compress(const void *source, int32_t nbytes, void *dest) noexcept nogil
# Bytes written to dest, -1 when the data is broken or does not fill raw_bytes exactly.
cdef int32_t pglz_decompress(const void *source, int32_t nbytes, void *dest, int32_t raw_bytes) noexcept nogil
