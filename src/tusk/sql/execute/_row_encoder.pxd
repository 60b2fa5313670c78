# cython: language_level=3
"""Batches as DataRow messages."""

from tusk.sql.execute._batch cimport Batch
from tusk.types._kernel_output cimport OutBuffer, output_fn

cdef enum:
    MAX_COLUMNS = 1664

cdef class RowEncoder:
    cdef int ncols
    cdef list types
    cdef list formats
    cdef output_fn fns[MAX_COLUMNS]
    cdef OutBuffer out
    cdef object convert

    cdef int by_codec(self, OutBuffer *out, int column, object value) except -1
    # Append the messages of a batch's rows.
    cdef int encode_into(self, Batch batch, OutBuffer *out) except -1
