# cython: language_level=3
"""What a running plan consists of: expressions, their context, plan states and the state of the whole execution."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t
from tusk._types cimport CommandId, Datum, Oid
from tusk.access._relation cimport Relation
from tusk.memory._context cimport MemoryContext
from tusk.sql.execute._batch cimport Batch, RowShape
from tusk.transaction._snapshot cimport Snapshot
from tusk.types._kernel cimport Vector
from tusk.types._kernel_datum cimport DatumType

cdef enum:                              # ExprContext's batches
    SIDE_SCAN = 0
    SIDE_OUTER = 1
    SIDE_INNER = 2
    SIDE_OLD = 3                        # RETURNING old
    SIDE_NEW = 4
    SIDE_AGG = 5                        # results of aggregates or window functions

cdef class ExprContext:
    """Where an expression finds its input. All batches in use have the same lanes selected."""
    cdef Batch scan
    cdef Batch outer
    cdef Batch inner
    cdef Batch old
    cdef Batch new
    cdef Batch aggs
    cdef MemoryContext arena            # results live here until the node makes its next batch
    cdef EState estate
    cdef uint64_t stamp                 # changes with every batch projected

    cdef int reset(self) except -1

cdef class Expr:
    """A compiled expression: computes a vector for the selected rows of its context."""
    cdef readonly DatumType type
    cdef readonly int32_t typmod
    cdef readonly Oid collation
    cdef bint is_const
    cdef Vector out

    cdef Vector *lanes(self) except NULL
    cdef Vector *eval(self, ExprContext ctx, const uint16_t *sel, int n) except NULL
    # Rows for which the (boolean) expression is true, into keep (may be sel); returns how many.
    cdef int filter(self, ExprContext ctx, const uint16_t *sel, int n, uint16_t *keep) except -1

cdef class ParamSlot:
    """The present value of one parameter."""
    cdef Datum value
    cdef bint isnull
    cdef uint64_t version               # changes with the value
    cdef readonly DatumType type
    cdef object pending                 # an initplan (SubPlanRun) that is to compute it, or None
    cdef char *buffer
    cdef size_t room

    cdef int set(self, Datum value, bint isnull) except -1
    cdef int make_room(self, size_t size) except -1
    cdef int set_python(self, object value) except -1
    # A varlena of these bytes.
    cdef int set_bytes(self, const char *data, size_t size) except -1
    cdef object get_python(self)

cdef class Instrumentation:
    cdef public double startup
    cdef public double total
    cdef public double ntuples
    cdef public double nloops
    cdef public double nfiltered1
    cdef public double nfiltered2
    cdef public object details          # dict of what a node wants to tell EXPLAIN
    cdef bint running
    cdef double tuplecount
    cdef double firsttuple
    cdef double counter
    cdef public object buffers          # buffer usage counters, or None
    cdef int stop(self, double elapsed, int rows) except -1

cdef class EState:
    """One execution of a PlannedStmt; kept and reused with the plan's compiled expressions."""
    cdef readonly object stmt
    cdef public Snapshot snapshot
    cdef public Snapshot crosscheck
    cdef public CommandId output_cid
    cdef readonly MemoryContext context     # lives as long as the execution
    cdef readonly list extern_params        # ParamSlot per $n, from 0
    cdef readonly dict extern_by_id
    cdef readonly list exec_params          # ParamSlot per PARAM_EXEC id
    cdef readonly list subplans             # PlanState per PlannedStmt.subplans, None where unused
    cdef readonly list subplan_exprs        # compiled SubPlans, to be told of a new execution
    cdef readonly list rtable
    cdef dict relations                     # rti -> Relation, opened on demand
    cdef public int64_t processed
    cdef public bint instrument
    cdef public int eflags
    cdef public str source_text
    cdef public object query_env            # tuplestores by name (transition tables)
    cdef public list row_marks
    cdef public object epq                  # EvalPlanQual state when this is a recheck
    cdef list nodes                         # every PlanState, in order of building
    cdef public object work_tables          # RecursiveUnion states by wtParam
    cdef public object cte_stores           # CteScan stores by ctePlanId
    cdef public bint read_only
    cdef public object triggers             # AFTER-trigger queue
    cdef public object top_plan             # of an EvalPlanQual recheck etc.
    cdef public list auxiliary_modifies     # ModifyTable states of data-modifying CTEs

    cdef ParamSlot extern_param(self, int paramid, Oid type)
    cdef ParamSlot exec_param(self, int paramid)
    cdef Relation relation(self, int rti)
    cpdef int close_relations(self) except -1

cdef class PlanState:
    """A plan node at run time. ``produce`` is the node's own work; callers use ``next``."""
    cdef readonly object plan
    cdef readonly EState estate
    cdef readonly PlanState left
    cdef readonly PlanState right
    cdef readonly RowShape shape
    cdef Batch result
    cdef ExprContext ctx
    cdef Expr qual
    cdef list targets                   # compiled target list
    cdef bint passthrough               # the target list is the input as it is
    cdef public list initplans
    cdef public Instrumentation instrument
    cdef int batch_limit                # make batches of at most so many rows
    cdef bint opened

    cdef Batch next(self)               # None at the end
    cdef Batch produce(self)
    cdef int open(self) except -1
    cdef int close(self) except -1
    cdef int rescan(self, object changed) except -1
    cdef int mark(self) except -1
    cdef int restore(self) except -1
    cdef int set_batch_limit(self, int limit) except -1
    # The target list over what ctx holds; result has the lanes and selection given.
    cdef Batch project(self, int nrows, const uint16_t *sel, int nsel)

# Filled by the modules of plan nodes: plan class name -> callable(plan, estate) -> PlanState.
cdef dict NODE_BUILDERS
cdef PlanState build_plan(object plan, EState estate)
cdef RowShape shape_of_targetlist(object targetlist)
cdef Datum eval_scalar(Expr expr, ExprContext ctx, bint *isnull) except? 0
cdef int dense_rows(const uint16_t *sel, int n) noexcept nogil
