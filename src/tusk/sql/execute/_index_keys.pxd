# cython: language_level=3
"""Scan keys from index conditions."""

from tusk._types cimport Datum
from tusk.access._index cimport ScanKeyData
from tusk.access._relation cimport Relation
from tusk.memory._context cimport MemoryContext
from tusk.sql.execute._state cimport EState, ExprContext
from tusk.types._kernel_datum cimport DatumType

cdef class IndexKeys:
    """The conditions of one index scan: compiled once, evaluated at each (re)scan."""
    cdef ScanKeyData *keys
    cdef readonly int nkeys
    cdef list specs
    cdef list held
    cdef MemoryContext context

    # Evaluates the arguments; 0 when a null makes the scan empty.
    cdef int evaluate(self, ExprContext ctx) except -1
    cdef Datum keep(self, Datum value, DatumType type) except? 0
