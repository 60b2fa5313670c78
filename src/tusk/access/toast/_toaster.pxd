# cython: language_level=3
"""Moving wide attributes out of line, and back (access/heaptoast.h)."""

from libc.stdint cimport int32_t
from tusk._types cimport Datum
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport HeapTupleData
from tusk.access._varlena cimport varatt_external

# tup itself, or a malloc'ed tuple that fits; old: the version being updated, whose values no longer used are deleted.
cdef HeapTupleData *toast_insert_or_update(Relation rel, HeapTupleData *tup, HeapTupleData *old,
                                           int options) except NULL
cdef int toast_delete(Relation rel, HeapTupleData *old, bint is_speculative) except -1
# A malloc'ed copy of the tuple with every external value fetched and compressed ones plain (toast_flatten_tuple).
cdef HeapTupleData *toast_flatten_tuple(Relation rel, const HeapTupleData *tup) except NULL
