# cython: language_level=3
"""Rows kept: chunks of 1024 in columns, in memory or, beyond a limit, in a temporary file (tuplestore)."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t
from tusk._types cimport Datum
from tusk.memory._context cimport MemoryContext
from tusk.sql.execute._batch cimport Batch, RowShape
from tusk.types._kernel cimport Vector

cdef struct Chunk:
    Vector *cols                # NULL: in the file
    int nrows
    int64_t offset              # in the file
    int64_t size

cdef class RowStore:
    cdef readonly RowShape shape
    cdef readonly int64_t nrows
    cdef Chunk *chunks
    cdef readonly int nchunks
    cdef int room
    cdef MemoryContext context          # of by-reference values in memory
    cdef size_t limit                   # 0: never spill
    cdef object file
    cdef int64_t file_end
    cdef int64_t lane_bytes
    cdef Chunk loaded                   # the last chunk read back
    cdef int loaded_index
    cdef MemoryContext loaded_context

    cdef int append(self, Batch batch, const uint16_t *sel, int n) except -1
    cdef int append_row(self, Vector **cols, int row) except -1
    # The lanes of chunk i (of up to 1024 rows); valid until another spilled chunk is read.
    cdef Chunk *chunk(self, int i) except NULL
    # Point batch at the rows of chunk i from `first` on.
    cdef int fill(self, Batch batch, int i, int first) except -1
    cdef size_t memory(self) noexcept
    cdef int clear(self) except -1
    cdef int spill(self) except -1
    cdef Chunk *_room_chunk(self) except NULL
    cdef void free_lanes(self, Chunk *chunk) noexcept
    cdef int make_lanes(self, Chunk *chunk) except -1
    cdef bytes pack_chunk(self, Chunk *chunk)

cdef inline Datum store_value(RowStore store, int column, int64_t row) noexcept:
    """Of a store that has not spilled."""
    return store.chunks[row >> 10].cols[column].values[row & 1023]

cdef inline uint8_t store_null(RowStore store, int column, int64_t row) noexcept:
    return store.chunks[row >> 10].cols[column].nulls[row & 1023]
