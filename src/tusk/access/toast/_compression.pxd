# cython: language_level=3
"""Compressing single values with pglz or lz4 (access/toast_compression.h)."""

from libc.stdint cimport int32_t

# A malloc'ed value compressed in line, or NULL (no exception) when that saves too little. method: c'p', c'l', or 0 for
# default_toast_compression. The argument is plain (1- or 4-byte header).
cdef char *toast_compress(const void *value, char method) except? NULL
# Decompress the first `wanted` bytes (at most rawsize) of a value compressed in line into out.
cdef int toast_decompress_into(const void *value, char *out, int32_t wanted) except -1
# How many compressed bytes surely hold the first `wanted` raw bytes, for pglz.
cdef int32_t pglz_maximum_compressed_size(int32_t wanted, int32_t total) noexcept nogil
