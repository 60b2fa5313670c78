# cython: language_level=3
"""Writing many rows into a table: COPY FROM, CREATE TABLE AS, table rewrites."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t
from tusk._types cimport CommandId
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport HeapTupleData
from tusk.access.heap._heap cimport BulkInsertState
from tusk.sql.execute._batch cimport Batch
from tusk.sql.execute._result_relation cimport ResultRelation
from tusk.sql.execute._state cimport EState, ExprContext

cdef class RowWriter:
    cdef readonly Relation rel
    cdef EState estate
    cdef ResultRelation result          # result.row: the lanes of the row being written
    cdef ExprContext ctx                # ctx.arena holds values of the row being written
    cdef BulkInsertState bistate
    cdef HeapTupleData **tuples
    cdef int64_t *lines                 # the input line of each buffered tuple
    cdef int ntuples
    cdef size_t nbytes
    cdef int options
    cdef CommandId cid
    cdef bint check, has_indexes
    cdef list row_triggers
    cdef readonly int64_t processed
    cdef public int64_t line            # of the row being written
    cdef public int64_t failed_line     # of the row whose index entry failed, 0 if none
    cdef bint closed

    cdef int add(self) except -1        # the row in result.row's lanes
    cpdef int flush(self) except -1
