"""Base classes of the executor (see _state.pxd)."""

import time
from collections.abc import Callable

from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy
from tusk.access._varlena cimport VARHDRSZ, set_varsize
from tusk.catalog._relcache cimport relation_close, relation_open
from tusk.memory._interrupts cimport check_for_interrupts
from tusk.sql.execute._batch cimport batch_row
from tusk.stats._usage cimport Usage
from tusk.types._kernel cimport BATCH_ROWS
from tusk.types._kernel_datum cimport datum_length, datum_to_python, datum_type, python_to_datum

from tusk.errors import feature_not_supported
from tusk.sql.nodes.base import Node

cdef dict NODE_BUILDERS = {}
_now = time.perf_counter
cdef int AccessShareLock = 1


def register_node(str name, object builder):
    """Plan nodes of this class are run by what ``builder(plan, estate)`` makes."""
    NODE_BUILDERS[name] = builder


def expression_type(object node):
    """(type, typmod, collation) of an expression: exprType, exprTypmod, exprCollation."""
    from_node = EXPRESSION_TYPES.get(type(node).__name__)
    if from_node is None:
        raise feature_not_supported(f"expression node {type(node).__name__}")
    return from_node(node)


EXPRESSION_TYPES: dict[str, Callable[[Any], tuple[int, int, int]]] = {}
INITPLAN_BUILDER = None     # set by the module of subplans


def set_initplan_builder(builder):
    """builder(state, plan, estate) prepares plan.initPlan."""
    global INITPLAN_BUILDER
    INITPLAN_BUILDER = builder


cdef int dense_rows(const uint16_t *sel, int n) noexcept nogil:
    """How many lanes from 0 on the selected rows span."""
    if n == 0:
        return 0
    return n if sel == NULL else sel[n - 1] + 1


cdef class ExprContext:
    """``ExprContext(estate, name)``."""

    def __cinit__(self, EState estate, str name="ExprContext"):
        self.estate = estate
        self.arena = MemoryContext(name, parent=estate.context)

    cdef int reset(self) except -1:
        """Forget the results of the last batch."""
        if self.arena._blocks != NULL or self.arena._large != NULL:
            self.arena.reset()
        return 0

    @property
    def memory(self):
        """The arena."""
        return self.arena

    def set_batches(self, scan=None, outer=None, inner=None, old=None, new=None, aggs=None):
        """For nodes written in Python."""
        self.scan = scan
        self.outer = outer
        self.inner = inner
        self.old = old
        self.new = new
        self.aggs = aggs


cdef class Expr:
    """Base of compiled expressions."""

    def __dealloc__(self):
        free(self.out.values)

    cdef Vector *lanes(self) except NULL:
        """This expression's own register."""
        if self.out.values == NULL:
            self.out.values = <Datum *> malloc(BATCH_ROWS * (sizeof(Datum) + 1))
            if self.out.values == NULL:
                raise MemoryError
            self.out.nulls = <unsigned char *> (self.out.values + BATCH_ROWS)
        return &self.out

    cdef Vector *eval(self, ExprContext ctx, const uint16_t *sel, int n) except NULL:
        raise NotImplementedError

    cdef int filter(self, ExprContext ctx, const uint16_t *sel, int n, uint16_t *keep) except -1:
        cdef Vector *v = self.eval(ctx, sel, n)
        cdef int k, i, m = 0
        if sel == NULL:
            for i in range(n):
                keep[m] = <uint16_t> i
                m += (v.values[i] != 0) & (v.nulls[i] == 0)
        else:
            for k in range(n):
                i = sel[k]
                keep[m] = <uint16_t> i
                m += (v.values[i] != 0) & (v.nulls[i] == 0)
        return m

    def values(self, ExprContext ctx, int n):
        """Python values for rows 0 .. n-1; for nodes written in Python and tests."""
        cdef Vector *v = self.eval(ctx, NULL, n)
        cdef int i
        return [None if v.nulls[i] else datum_to_python(v.values[i], self.type) for i in range(n)]

    def batch_values(self, ExprContext ctx, Batch batch):
        """Python values for the selected rows of a batch that is already in the context."""
        cdef Vector *v
        cdef int k, i
        if batch.nsel == 0:
            return []
        v = self.eval(ctx, batch.sel, batch.nsel)
        found = []
        for k in range(batch.nsel):
            i = batch_row(batch, k)
            found.append(None if v.nulls[i] else datum_to_python(v.values[i], self.type))
        return found

    @property
    def constant(self):
        """Whether this is a Const."""
        return self.is_const

    def scalar(self, ExprContext ctx):
        """The Python value for one row."""
        return self.values(ctx, 1)[0]


cdef Datum eval_scalar(Expr expr, ExprContext ctx, bint *isnull) except? 0:
    """The value for row 0 of the context."""
    cdef Vector *v = expr.eval(ctx, NULL, 1)
    isnull[0] = v.nulls[0]
    return v.values[0]


cdef class ParamSlot:
    """``ParamSlot(type_oid)``: null at first."""

    def __cinit__(self, Oid type_oid):
        self.type = datum_type(type_oid)
        self.isnull = True
        self.version = 1

    def __dealloc__(self):
        free(self.buffer)

    cdef int set(self, Datum value, bint isnull) except -1:
        """Store a copy."""
        cdef size_t size
        self.version += 1
        self.pending = None
        self.isnull = isnull
        if isnull:
            return 0
        if self.type.typbyval:
            self.value = value
            return 0
        size = datum_length(value, self.type.typlen)
        self.make_room(size)
        memcpy(self.buffer, <void *> value, size)
        self.value = <Datum> self.buffer
        return 0

    cdef int make_room(self, size_t size) except -1:
        cdef char *grown
        if size > self.room:
            grown = <char *> malloc(size + 32)
            if grown == NULL:
                raise MemoryError
            free(self.buffer)
            self.buffer = grown
            self.room = size + 32
        return 0

    cdef int set_bytes(self, const char *data, size_t size) except -1:
        self.version += 1
        self.pending = None
        self.isnull = False
        self.make_room(size + VARHDRSZ)
        set_varsize(self.buffer, <uint32_t> (size + VARHDRSZ))
        memcpy(self.buffer + VARHDRSZ, data, size)
        self.value = <Datum> self.buffer
        return 0

    cdef int set_python(self, object value) except -1:
        cdef MemoryContext context
        if value is None:
            return self.set(0, True)
        if self.type.typbyval:
            return self.set(python_to_datum(value, self.type, None), False)
        context = MemoryContext("parameter")
        try:
            return self.set(python_to_datum(value, self.type, context), False)
        finally:
            context.delete()

    cdef object get_python(self):
        if self.isnull:
            return None
        return datum_to_python(self.value, self.type)

    def assign(self, value):
        """Set from a Python value."""
        self.set_python(value)

    def get(self):
        """The Python value."""
        return self.get_python()

    @property
    def pending_plan(self):
        """The initplan that is still to be run for this parameter."""
        return self.pending

    @pending_plan.setter
    def pending_plan(self, value):
        self.pending = value
        self.version += 1


cdef class Instrumentation:
    """Times and counts of one node, as EXPLAIN ANALYZE shows them."""

    def __cinit__(self):
        self.details = {}
        self.buffers = Usage()

    cdef int stop(self, double elapsed, int rows) except -1:
        self.counter += elapsed
        if not self.running:
            self.running = True
            self.firsttuple = self.counter
        self.tuplecount += rows
        return 0

    def end_loop(self):
        """Close the books of one scan (InstrEndLoop)."""
        if not self.running:
            return
        self.startup += self.firsttuple
        self.total += self.counter
        self.ntuples += self.tuplecount
        self.nloops += 1
        self.running = False
        self.counter = self.firsttuple = self.tuplecount = 0


cdef class EState:
    """``EState(stmt)``."""

    def __cinit__(self, object stmt, object parent=None):
        self.stmt = stmt
        self.context = MemoryContext("ExecutorState")
        self.extern_params = []
        self.extern_by_id = {}
        self.exec_params = [ParamSlot(oid or 2276) for oid in stmt.paramExecTypes]
        self.subplans = [None] * len(stmt.subplans)
        self.rtable = stmt.rtable
        self.relations = {}
        self.subplan_exprs = []
        self.nodes = []
        self.work_tables = {}
        self.cte_stores = {}
        self.row_marks = []
        self.auxiliary_modifies = []

    cdef ParamSlot extern_param(self, int paramid, Oid type):
        cdef ParamSlot slot = self.extern_by_id.get(paramid)
        if slot is None:
            slot = ParamSlot(type)
            self.extern_by_id[paramid] = slot
            self.extern_params.append(slot)
        return slot

    cdef ParamSlot exec_param(self, int paramid):
        return <ParamSlot> self.exec_params[paramid]

    cdef Relation relation(self, int rti):
        """The relation of a range table entry; opened at first use (its lock is taken by then)."""
        cdef Relation rel = self.relations.get(rti)
        if rel is None:
            rte = self.rtable[rti - 1]
            rel = relation_open(rte.relid, rte.rellockmode or AccessShareLock)
            self.relations[rti] = rel
        return rel

    def extern(self, int paramid, Oid type):
        """The slot of a parameter given from outside."""
        return self.extern_param(paramid, type)

    def get_relation(self, int rti):
        """The relation of a range table entry."""
        return self.relation(rti)

    cpdef int close_relations(self) except -1:
        """Give the relations back; locks stay until the end of the transaction."""
        for rel in self.relations.values():
            relation_close(rel, 0)
        self.relations.clear()
        return 0

    def param(self, int paramid):
        """The slot of an executor parameter."""
        return self.exec_params[paramid]

    @property
    def plan_states(self):
        """Every plan state."""
        return self.nodes


cdef RowShape shape_of_targetlist(object targetlist):
    """The row type that a target list makes."""
    types, typmods, collations, names = [], [], [], []
    for entry in targetlist:
        oid, typmod, collation = expression_type(entry.expr)
        types.append(oid)
        typmods.append(typmod)
        collations.append(collation)
        names.append(entry.resname if entry.resname is not None else "?column?")
    return RowShape(types, typmods, collations, names)


cdef PlanState build_plan(object plan, EState estate):
    """The plan state of a plan tree."""
    if plan is None:
        return None
    builder = NODE_BUILDERS.get(type(plan).__name__)
    if builder is None:
        raise feature_not_supported(f"plan node {type(plan).__name__}")
    cdef PlanState state = builder(plan, estate)
    estate.nodes.append(state)
    return state


def build(plan, estate):
    """build_plan for nodes written in Python."""
    return build_plan(plan, estate)


cdef class PlanState:
    """``PlanState(plan, estate)``: builds the children (lefttree, righttree); subclasses compile the rest."""

    def __cinit__(self, object plan, EState estate, *args):
        self.plan = plan
        self.estate = estate
        self.batch_limit = BATCH_ROWS
        self.initplans = []
        self.ctx = ExprContext(estate, type(plan).__name__)
        if plan.initPlan:
            INITPLAN_BUILDER(self, plan, estate)
        if plan.lefttree is not None:
            self.left = build_plan(plan.lefttree, estate)
        if plan.righttree is not None:
            self.right = build_plan(plan.righttree, estate)

    cdef Batch next(self):
        cdef Batch batch
        cdef double started
        cdef Usage usage
        check_for_interrupts()
        if self.instrument is None:
            return self.produce()
        usage = self.instrument.buffers
        usage.start()
        started = _now()
        batch = self.produce()
        usage.stop()
        self.instrument.stop(<double> _now() - started, 0 if batch is None else batch.nsel)
        return batch

    cdef Batch produce(self):
        raise NotImplementedError

    cdef int open(self) except -1:
        """Prepare for the first batch of an execution. Everything compiled stays from the last one."""
        if self.left is not None:
            self.left.open()
        if self.right is not None:
            self.right.open()
        if self.estate.instrument:
            self.instrument = Instrumentation()
        else:
            self.instrument = None
        self.opened = True
        for subplan in self.initplans:
            subplan.arm()
        return 0

    cdef int close(self) except -1:
        """Let go of everything that belongs to this execution."""
        if self.left is not None:
            self.left.close()
        if self.right is not None:
            self.right.close()
        if self.instrument is not None:
            self.instrument.end_loop()
        self.opened = False
        self.ctx.reset()
        return 0

    cdef int rescan(self, object changed) except -1:
        """Start over. ``changed``: ids of the parameters whose values are new, a frozenset."""
        if self.instrument is not None:
            self.instrument.end_loop()
        if changed:
            for subplan in self.initplans:
                subplan.rearm(changed)
        if self.left is not None:
            self.left.rescan(changed)
        if self.right is not None:
            self.right.rescan(changed)
        return 0

    cdef int mark(self) except -1:
        raise feature_not_supported(f"mark position in {type(self.plan).__name__}")

    cdef int restore(self) except -1:
        raise feature_not_supported(f"restore position in {type(self.plan).__name__}")

    cdef int set_batch_limit(self, int limit) except -1:
        self.batch_limit = limit if limit < BATCH_ROWS else BATCH_ROWS
        return 0

    cdef Batch project(self, int nrows, const uint16_t *sel, int nsel):
        cdef Batch result = self.result
        cdef Expr target
        cdef int i = 0
        self.ctx.stamp += 1
        result.nrows = nrows
        result.nsel = nsel
        result.sel = sel
        for target in self.targets:
            result.cols[i] = target.eval(self.ctx, sel, nsel)[0]
            i += 1
        return result

    # For nodes and callers written in Python.

    def next_batch(self):
        """The next batch, or None."""
        return self.next()

    def open_node(self):
        """See open."""
        self.open()

    def close_node(self):
        """See close."""
        self.close()

    def rescan_node(self, changed=frozenset()):
        """See rescan."""
        self.rescan(changed)

    def limit_batches(self, int limit):
        """See set_batch_limit."""
        self.set_batch_limit(limit)

    @property
    def context(self):
        """The expression context."""
        return self.ctx

    @property
    def children(self):
        """Child states, outer first; what EXPLAIN walks besides initplans and subplans."""
        return [child for child in (self.left, self.right) if child is not None]


cdef class PythonNode(PlanState):
    """Base of plan nodes written in Python: they define ``produce_batch`` and may extend ``opening``, ``closing`` and
    ``rescanning``; ``rescanning`` returns True when it has rescanned the children itself."""

    cdef Batch produce(self):
        return self.produce_batch()

    cdef int open(self) except -1:
        PlanState.open(self)
        self.opening()
        return 0

    cdef int close(self) except -1:
        self.closing()
        return PlanState.close(self)

    cdef int rescan(self, object changed) except -1:
        if self.instrument is not None:
            self.instrument.end_loop()
        if changed:
            for subplan in self.initplans:
                subplan.rearm(changed)
        if not self.rescanning(changed):
            if self.left is not None:
                self.left.rescan(changed)
            if self.right is not None:
                self.right.rescan(changed)
        return 0

    def opening(self):
        """Called when an execution starts."""

    def closing(self):
        """Called when it ends."""

    def rescanning(self, changed):
        """Called before the children are rescanned."""
        return False

    def set_targets(self, list targets, object qual=None, RowShape shape=None):
        """Tell the compiled target list and qual."""
        self.targets = targets
        self.qual = qual
        self.shape = shape if shape is not None else shape_of_targetlist(self.plan.targetlist)
        self.result = Batch(self.shape)

    def set_shape(self, RowShape shape):
        """The shape of batches that this node makes itself."""
        self.shape = shape

    def add_child(self, child):
        """Keep a child that is neither lefttree nor righttree of the plan."""
        if self.left is None:
            self.left = child
        else:
            self.right = child

    def filter_project(self, Batch batch):
        """Apply qual and target list to a batch that is in the context; None when no row is left."""
        cdef int n = batch.nsel
        cdef const uint16_t *sel = batch.sel
        cdef uint16_t *keep
        if n == 0:
            return None
        if self.qual is not None:
            keep = self.result.selection()
            n = self.qual.filter(self.ctx, sel, n, keep)
            if self.instrument is not None:
                self.instrument.nfiltered1 += batch.nsel - n
            if n == 0:
                return None
            sel = keep
        return self.project(batch.nrows, sel, n)

    def reset_context(self):
        """Forget the results of the last batch."""
        self.ctx.reset()
