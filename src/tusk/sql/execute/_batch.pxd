# cython: language_level=3
"""Batches: up to 1024 rows as column vectors with a selection vector."""

from libc.stdint cimport int16_t, int32_t, uint8_t, uint16_t
from tusk._types cimport Datum, Oid
from tusk.memory._context cimport MemoryContext
from tusk.types._kernel cimport BATCH_ROWS, Vector
from tusk.types._kernel_datum cimport DatumType

cdef class RowShape:
    """The types of a row's columns."""
    cdef readonly int ncols
    cdef readonly tuple types           # DatumType of each column
    cdef readonly tuple typmods
    cdef readonly tuple collations
    cdef readonly tuple names
    cdef int16_t *typlens
    cdef uint8_t *typbyvals

    cdef DatumType type(self, int column)

cdef class Batch:
    """Rows 0 .. nrows-1 in columns; those in sel (ascending), or all if sel is NULL, belong to the batch.

    Column k of row r is cols[k].values[r], null if cols[k].nulls[r]. What a node returns, and everything it points
    to, stays valid until the node is asked for the next batch, rescanned or ended.
    """
    cdef readonly RowShape shape
    cdef readonly int ncols
    cdef int nrows                      # lanes in use
    cdef int nsel                       # rows selected; nrows if sel is NULL
    cdef const uint16_t *sel
    cdef Vector *cols
    cdef uint16_t *own_sel              # BATCH_ROWS entries, made on demand: see selection()
    cdef uint8_t *own                   # which columns' lanes belong to this batch: see lanes()

    cdef uint16_t *selection(self) except NULL
    cdef Vector *lanes(self, int column) except NULL
    cdef int lanes_all(self) except -1
    cdef void select_all(self, int nrows) noexcept
    # The same lanes, other rows: those from position `first` of the selection, at most `count`.
    cdef Batch slice(self, int first, int count)
    cpdef object value(self, int k, int column)
    cpdef tuple row(self, int k)
    cpdef list rows(self)


cdef inline int batch_row(Batch batch, int k) noexcept:
    """The lane of the k-th selected row."""
    return k if batch.sel == NULL else batch.sel[k]
