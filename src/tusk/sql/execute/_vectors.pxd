# cython: language_level=3
"""Building vectors and batches of Python values: for nodes and functions written in Python."""

from tusk.memory._context cimport MemoryContext
from tusk.sql.execute._batch cimport Batch, RowShape

cdef Batch batch_of_rows(RowShape shape, list rows, MemoryContext context, Batch reuse)
