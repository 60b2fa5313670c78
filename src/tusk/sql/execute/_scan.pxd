# cython: language_level=3
"""What the scans of tables share: tuples on pinned pages become batches of the columns that are needed."""

from libc.stdint cimport int16_t, uint8_t, uint16_t, uint32_t
from tusk._types cimport BlockNumber, Datum, ItemPointerData, Oid
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport HeapTupleData, HeapTupleHeaderData
from tusk.sql.execute._batch cimport Batch
from tusk.sql.execute._state cimport Expr, PlanState
from tusk.types._kernel cimport BATCH_ROWS

cdef enum:
    MAX_PINS = 128

cdef struct ColumnSet:              # attributes to be taken out of tuples together
    int n
    int16_t *attnums                # ascending
    int *columns                    # of the scan batch
    Datum **values
    uint8_t **nulls

cdef class EpqTuple:
    """The row version that stands for a relation while a plan is checked again (EvalPlanQual)."""
    cdef HeapTupleData tup
    cdef object memory              # bytes that hold it
    cdef Relation rel
    cdef object row                 # for relations without tuples: a tuple of Python values

cdef class ScanState(PlanState):
    cdef int rti
    cdef Relation rel
    cdef Batch scan
    cdef ColumnSet qual_set         # what the qual looks at
    cdef ColumnSet rest_set         # what only the target list needs
    cdef ColumnSet all_set
    cdef Expr recheck               # the index conditions, to be checked again in some cases
    cdef list system_columns        # (attribute number, column)
    cdef HeapTupleHeaderData *headers[BATCH_ROWS]
    cdef ItemPointerData tids[BATCH_ROWS]
    cdef int ntuples
    cdef int pins[MAX_PINS]
    cdef int npins
    cdef int pin_limit
    cdef bint epq_done
    cdef bint identity              # the target list is the scan batch

    cdef int prepare_scan(self, object plan, object recheck) except -1
    cdef int drop_pins(self) noexcept
    cdef int keep_pin(self, int buf) except -1
    cdef void add_tuple(self, HeapTupleHeaderData *header, BlockNumber block, int offset) noexcept
    # Turns headers[0 .. ntuples-1] into the result: filter, project. None when no row is left.
    cdef Batch finish_batch(self, bint check_again)
    cdef int fill_system(self) except -1
    cdef Batch epq_batch(self)

cdef EpqTuple make_epq_tuple(Relation rel, const HeapTupleData *tup)
