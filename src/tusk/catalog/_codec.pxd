# cython: language_level=3
"""Rows of the catalogs' row classes to and from tuples."""

from libc.stdint cimport uint8_t
from tusk._types cimport Datum, ItemPointerData
from tusk.access._tupdesc cimport TupleDesc
from tusk.access._tuple cimport HeapTupleHeaderData

cdef class RowCodec:
    cdef readonly str catalog
    cdef readonly object row_class
    cdef readonly TupleDesc desc
    cdef tuple slots
    cdef int natts
    cdef uint8_t *kinds
    cdef Datum *values          # of the last encode
    cdef uint8_t *nulls
    cdef char *arena
    cdef size_t arena_used
    cdef size_t arena_size
    cdef list spilled           # buffers that did not fit the arena

    # Fills values and nulls from a row; by-reference Datums stay valid until the next encode.
    cdef int encode(self, object row) except -1
    # One Python value to a Datum, in the arena (call reset_arena before a series of these).
    cdef int encode_value(self, int attnum, object value, Datum *datum) except -1
    cdef void reset_arena(self) noexcept
    cdef char *room(self, size_t nbytes) except NULL
    cdef object decode(self, HeapTupleHeaderData *tup, const ItemPointerData *tid)
    cdef object decode_some(self, HeapTupleHeaderData *tup, tuple attnums)
    cdef object decode_value(self, int attnum, Datum datum)
    cdef char *encode_array(self, int kind, object value) except NULL
    cpdef bytes form(self, object row)
    cpdef object parse(self, bytes tup)

cpdef RowCodec codec_of(str catalog)
# Set by access: detoast one external or compressed varlena into bytes with a plain header.
ctypedef object (*detoast_fn)(const void *value)
cdef detoast_fn detoast_hook
