"""Batches made of Python values."""

from tusk.types._kernel cimport BATCH_ROWS, Vector
from tusk.types._kernel_datum cimport DatumType, python_to_datum


cdef Batch batch_of_rows(RowShape shape, list rows, MemoryContext context, Batch reuse):
    """At most BATCH_ROWS rows (sequences of Python values) as a batch; by-reference values live in context."""
    cdef Batch batch = reuse if reuse is not None else Batch(shape)
    cdef int i, c, n = len(rows)
    cdef Vector *v
    cdef DatumType t
    for c in range(shape.ncols):
        v = batch.lanes(c)
        t = shape.type(c)
        for i in range(n):
            value = rows[i][c]
            if value is None:
                v.nulls[i] = 1
                v.values[i] = 0
            else:
                v.nulls[i] = 0
                v.values[i] = python_to_datum(value, t, context)
    batch.select_all(n)
    return batch


def make_batch(RowShape shape, list rows, MemoryContext context, Batch reuse=None):
    """batch_of_rows for Python."""
    return batch_of_rows(shape, rows, context, reuse)
