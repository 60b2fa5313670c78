# cython: language_level=3
"""Getting at the bytes of compressed and external values (access/detoast.h)."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint32_t
from tusk.access._varlena cimport varatt_external
from tusk.memory._context cimport MemoryContext

# A plain value (4-byte header); in the context, or the argument itself if it is one already.
cdef char *detoast_datum(const void *value, MemoryContext context) except NULL
# The same, but a 1-byte header is left as it is: for readers that use vardata_any and varsize_any_exhdr.
cdef char *detoast_datum_packed(const void *value, MemoryContext context) except NULL
# length -1: to the end. Only the chunks and the compressed prefix needed are read.
cdef char *detoast_slice(const void *value, int32_t offset, int32_t length, MemoryContext context) except NULL
# malloc'ed plain copies (free() them).
cdef char *detoast_malloc(const void *value) except NULL
# An external value's stored bytes: plain or compressed in line.
cdef char *detoast_external_malloc(const void *value) except NULL
# Size without header once detoasted; size as stored.
cdef size_t toast_raw_size(const void *value) noexcept nogil
cdef size_t toast_stored_size(const void *value) noexcept nogil

# Reads bytes [offset, offset + length) of what is stored under a toast pointer into out; set by _toaster.
ctypedef int (*fetch_chunks_fn)(const varatt_external *pointer, int32_t offset, int32_t length, char *out) except -1
cdef fetch_chunks_fn fetch_chunks_hook
