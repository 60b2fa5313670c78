# cython: language_level=3
"""A table that is being changed: its row as a batch of one lane, constraints, generated columns, indexes."""

from libc.stdint cimport uint8_t, uint32_t
from tusk._types cimport Datum, ItemPointerData
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport HeapTupleData
from tusk.sql.execute._batch cimport Batch
from tusk.sql.execute._state cimport EState, Expr, ExprContext

cdef class IndexTarget:
    """An index that gets entries for new rows."""
    cdef Relation index
    cdef list exprs                     # Expr or None for each column
    cdef Expr predicate
    cdef int unique_check               # UNIQUE_CHECK_*
    cdef list types                     # DatumTypes of key columns

cdef class ResultRelation:
    cdef readonly Relation rel
    cdef EState estate
    cdef readonly ExprContext ctx
    cdef readonly dict columns          # attribute number -> column of the row batches
    cdef Batch row                      # the row being written, one lane
    cdef Batch old                      # the row before
    cdef list checks                    # (name, Expr)
    cdef list generated                 # (attribute number, Expr) of stored generated columns
    cdef bint any_not_null
    cdef list virtual_not_null          # (attribute index, Expr) of virtual columns that are NOT NULL
    cdef list indexes                   # IndexTarget
    cdef readonly list triggers         # pg_trigger rows
    cdef bint prepared
    cdef list view_checks               # (kind, name, policy, Expr)

    cdef int prepare_rows(self) except -1
    cdef int open_indexes(self, bint speculative) except -1
    cdef int compute_generated(self) except -1
    cdef int check_constraints(self) except -1
    # A malloc'ed tuple of self.row.
    cdef HeapTupleData *form(self) except NULL
    # Takes a tuple apart into a row batch; the tuple must stay where it is.
    cdef int load(self, Batch row, HeapTupleData *tup) except -1
    # Entries for the tuple at tid, whose values are in self.row. arbiters: OIDs of indexes that only note conflicts.
    # Answers 1 when an arbiter saw a conflict.
    cdef int insert_entries(self, const ItemPointerData *tid, bint only_summarizing, bint unchanged, set arbiters) \
        except -1
    # The place of a row that conflicts with self.row in one of the arbiters; 0: none.
    cdef int find_conflict(self, list arbiters, ItemPointerData *conflict, const ItemPointerData *own) except -1
    cdef int index_values(self, IndexTarget target, Datum *values, uint8_t *nulls) except -1
    cdef int set_system(self, Batch row, HeapTupleData *tup) except -1
