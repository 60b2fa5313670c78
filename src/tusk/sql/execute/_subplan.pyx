"""Subplans: those computed once at most (initplans), those run for each row, and those kept in a hash table."""

from libc.stdint cimport uint16_t, uint64_t
from tusk._types cimport Datum
from tusk.memory._context cimport MemoryContext
from tusk.sql.execute._batch cimport Batch, batch_row
from tusk.sql.execute._expr cimport ParamExpr
from tusk.sql.execute._state cimport EState, Expr, ExprContext, ParamSlot, PlanState, build_plan
from tusk.types._kernel cimport BATCH_ROWS, Vector
from tusk.types._kernel_datum cimport DatumType, copy_datum, datum_to_python, datum_type, python_to_datum

from tusk.catalog.cache import TYPEOID, lookup
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.sql.execute import _state, expression_types
from tusk.sql.nodes import enums
from tusk.types.records import columns_of
from tusk.types.values import Array

cdef int EXISTS = enums.EXISTS_SUBLINK
cdef int ALL = enums.ALL_SUBLINK
cdef int ANY = enums.ANY_SUBLINK
cdef int ROWCOMPARE = enums.ROWCOMPARE_SUBLINK
cdef int EXPR = enums.EXPR_SUBLINK
cdef int MULTIEXPR = enums.MULTIEXPR_SUBLINK
cdef int ARRAY = enums.ARRAY_SUBLINK
cdef int CTE = enums.CTE_SUBLINK


cdef PlanState subplan_state(EState estate, int plan_id):
    """The state of PlannedStmt.subplans[plan_id - 1]."""
    cdef PlanState state = estate.subplans[plan_id - 1]
    if state is None:
        state = build_plan(estate.stmt.subplans[plan_id - 1], estate)
        estate.subplans[plan_id - 1] = state
    return state


def subplan_of(EState estate, int plan_id):
    """subplan_state for Python."""
    return subplan_state(estate, plan_id)


def too_many_rows():
    """21000."""
    return SqlError(errcode.CARDINALITY_VIOLATION, "more than one row returned by a subquery used as an expression")


cdef object collect_array(PlanState state, object element_type):
    """The first column of all rows as an array."""
    cdef Batch batch
    cdef int k
    elements = []
    while True:
        batch = state.next()
        if batch is None:
            break
        for k in range(batch.nsel):
            elements.append(batch.value(k, 0))
    row = lookup(TYPEOID, element_type)
    if row.typelem and row.typlen == -1 and row.typcategory == "A":
        present = [a for a in elements if a is not None]
        if not present:
            return Array(row.typelem, (), (), ())
        dims, bounds = present[0].dims, present[0].lower_bounds
        if len(present) != len(elements) or any(a.dims != dims for a in present):
            raise SqlError(errcode.ARRAY_SUBSCRIPT_ERROR,
                           "cannot accumulate arrays of different dimensionality")
        return Array(row.typelem, (len(present), *dims), (1, *bounds), tuple([e for a in present for e in a.elements]))
    return Array.of(element_type, elements)


cdef class InitPlan:
    """One entry of Plan.initPlan: computed when one of its parameters is first asked for."""

    cdef readonly object node
    cdef readonly PlanState state
    cdef EState estate
    cdef bint started
    cdef object changed
    cdef readonly list slots

    def __init__(self, object node, EState estate):
        self.node = node
        self.estate = estate
        self.state = subplan_state(estate, node.plan_id)
        self.slots = [estate.exec_params[i] for i in node.setParam]

    def arm(self):
        """At the start of an execution."""
        cdef ParamSlot slot
        self.started = False
        self.changed = frozenset()
        if self.node.subLinkType == CTE:
            return
        for slot in self.slots:
            slot.pending = self
            slot.version += 1

    def rearm(self, changed):
        """Compute again if it depends on a changed parameter."""
        cdef ParamSlot slot
        mine = self.state.plan.extParam & changed
        if not mine:
            return
        if self.node.subLinkType == CTE:
            store = self.estate.cte_stores.get(self.node.plan_id)
            if store is not None:
                store.restart(mine)
            return
        if self.started:
            self.changed = self.changed | mine
        for slot in self.slots:
            slot.pending = self
            slot.version += 1

    def compute(self):
        """Run the plan and set the parameters."""
        cdef ParamSlot slot
        cdef Batch batch
        cdef PlanState state = self.state
        cdef int kind = self.node.subLinkType
        cdef int row, i
        for slot in self.slots:
            slot.pending = None
        if self.started:
            state.rescan(self.changed)
            self.changed = frozenset()
        self.started = True
        if kind == ARRAY:
            (<ParamSlot> self.slots[0]).set_python(collect_array(state, self.node.firstColType))
            return
        if kind != EXPR and kind != ROWCOMPARE and kind != EXISTS:
            raise feature_not_supported(f"initplan of kind {kind}")
        while True:
            batch = state.next()
            if batch is None or batch.nsel:
                break
        if kind == EXISTS:
            (<ParamSlot> self.slots[0]).set(1 if batch is not None else 0, False)
            return
        if batch is None:
            for slot in self.slots:
                slot.set(0, True)
            return
        row = batch_row(batch, 0)
        i = 0
        for slot in self.slots:
            slot.set(batch.cols[i].values[row], batch.cols[i].nulls[row])
            i += 1
        if batch.nsel > 1:
            raise too_many_rows()
        while True:
            batch = state.next()
            if batch is None:
                return
            if batch.nsel:
                raise too_many_rows()


def build_initplans(state, plan, estate):
    """Prepare plan.initPlan."""
    state.initplans = [InitPlan(node, estate) for node in plan.initPlan]


_state.set_initplan_builder(build_initplans)

_BPCHAR, _FLOAT8, _FLOAT4, _NUMERIC, _INTERVAL, _JSONB = 1042, 701, 700, 1700, 1186, 3802
_DAY = 86400000000


def _of_json(tree):
    """A hashable that tells JSON values apart as jsonb's equality does."""
    if isinstance(tree, dict):
        return ("object", *[(key, _of_json(value)) for key, value in tree.items()])
    if isinstance(tree, list):
        return ("array", *map(_of_json, tree))
    return (type(tree).__name__, tree)


def _of_array(element):
    if element is None:
        return lambda value: (value.dims, value.lower_bounds, value.elements)
    return lambda value: (value.dims, value.lower_bounds,
                          tuple([None if e is None else element(e) for e in value.elements]))


def _of_record(value):
    norms = [None if c.is_dropped else normaliser(datum_type(c.type_oid).base) for c in columns_of(value)]
    return tuple([v if v is None or norm is None else norm(v) for v, norm in zip(value.values, norms)])


def normaliser(type_oid):
    """A function that makes Python values hashable so that SQL-equal ones are equal; None when they are as they are."""
    if type_oid == _BPCHAR:
        return lambda value: value.rstrip(" ")
    if type_oid in (_FLOAT4, _FLOAT8):
        return lambda value: "NaN" if value != value else value
    if type_oid == _NUMERIC:
        return lambda value: "NaN" if value.is_nan() else value
    if type_oid == _INTERVAL:
        return lambda value: (value.months * 30 + value.days) * _DAY + value.us
    if type_oid in (650, 869):
        return lambda value: (value.address, value.masklen)
    if type_oid == _JSONB:
        return lambda value: _of_json(value.tree)
    if type_oid < 16384 and type_oid in (16, 17, 18, 19, 20, 21, 23, 25, 26, 1043, 1082, 1083, 1114, 1184, 2950):
        return None
    if type_oid == 2287:
        return _of_array(_of_record)
    row = lookup(TYPEOID, type_oid)
    if row is not None and (row.typtype == "c" or type_oid == 2249):
        return _of_record
    if row is not None and row.typelem and row.typlen == -1 and row.typcategory == "A":
        return _of_array(normaliser(datum_type(row.typelem).base))
    return None


cdef class SubPlanExpr(Expr):
    """``SubPlanExpr(compiler, node)``: a subplan run for each row it is evaluated for."""

    cdef readonly object node
    cdef readonly PlanState state
    cdef EState estate
    cdef int kind
    cdef list args
    cdef list par_slots
    cdef list sub_slots             # parameters that stand for the subquery's columns in test
    cdef Expr test
    cdef object changed
    cdef MemoryContext keep
    cdef list lefts                 # hashed: the expressions compared with the columns
    cdef object table
    cdef list null_rows
    cdef bint ready
    cdef list normalisers
    cdef readonly list columns      # MULTIEXPR: a register per column
    cdef object done_for            # MULTIEXPR: the context and batch the registers are of
    cdef uint64_t done_stamp

    def __init__(self, compiler, node):
        self.node = node
        self.estate = compiler.estate
        self.kind = node.subLinkType
        self.state = subplan_state(self.estate, node.plan_id)
        oid, self.typmod, self.collation = expression_types.of(node)
        self.type = datum_type(oid)
        self.args = compiler.compile_list(node.args)
        self.par_slots = [self.estate.exec_params[i] for i in node.parParam]
        self.changed = frozenset(node.parParam)
        self.sub_slots = [self.estate.exec_params[i] for i in node.paramIds]
        if node.testexpr is not None:
            if node.useHashTable:
                self.lefts = []
                self.normalisers = []
                for clause in self.clauses(node.testexpr):
                    left = compiler.compile(clause.args[0])
                    self.lefts.append(left)
                    self.normalisers.append(normaliser((<Expr> left).type.base))
            else:
                self.test = compiler.compile(node.testexpr)
        if self.kind == MULTIEXPR:
            self.columns = [MultiColumn(self.estate.exec_params[i], self) for i in node.setParam]
        self.lanes()

    @staticmethod
    def clauses(test):
        """The comparisons of a hashed test."""
        return test.args if type(test).__name__ == "BoolExpr" else [test]

    def forget(self):
        """A new execution begins."""
        self.ready = False
        self.done_for = None
        self.table = None
        self.null_rows = None

    cdef int start_row(self, Vector **args, int i) except -1:
        cdef ParamSlot slot
        cdef int a = 0
        for slot in self.par_slots:
            slot.set(args[a].values[i], args[a].nulls[i])
            a += 1
        self.state.rescan(self.changed)
        return 0

    cdef Vector *eval(self, ExprContext ctx, const uint16_t *sel, int n) except NULL:
        cdef Vector *args[64]
        cdef int a = 0, k, i
        cdef Expr arg
        if self.lefts is not None:
            return self.probe(ctx, sel, n)
        if self.kind == MULTIEXPR:
            if self.done_for is ctx and self.done_stamp == ctx.stamp:
                return &self.out
            self.done_for = ctx
            self.done_stamp = ctx.stamp
        if len(self.args) > 64:
            raise feature_not_supported("subplan with more than 64 arguments")
        for arg in self.args:
            args[a] = arg.eval(ctx, sel, n)
            a += 1
        for k in range(n):
            i = k if sel == NULL else sel[k]
            self.start_row(args, i)
            if self.kind == EXISTS:
                self.exists(i)
            elif self.kind == EXPR:
                self.scalar(ctx, i)
            elif self.kind == ARRAY:
                self.out.values[i] = python_to_datum(collect_array(self.state, self.node.firstColType), self.type,
                                                     ctx.arena)
                self.out.nulls[i] = 0
            elif self.kind == MULTIEXPR:
                self.multi(ctx, i)
            else:
                self.compare(ctx, i)
        return &self.out

    cdef int exists(self, int i) except -1:
        cdef Batch batch
        while True:
            batch = self.state.next()
            if batch is None or batch.nsel:
                break
        self.out.values[i] = batch is not None
        self.out.nulls[i] = 0
        return 0

    cdef int scalar(self, ExprContext ctx, int i) except -1:
        cdef Batch batch
        cdef int row
        cdef bint found = False
        self.out.nulls[i] = 1
        self.out.values[i] = 0
        while True:
            batch = self.state.next()
            if batch is None:
                return 0
            if batch.nsel == 0:
                continue
            if found or batch.nsel > 1:
                raise too_many_rows()
            found = True
            row = batch_row(batch, 0)
            self.out.nulls[i] = batch.cols[0].nulls[row]
            if not self.out.nulls[i]:
                self.out.values[i] = copy_datum(batch.cols[0].values[row], self.type.typlen, self.type.typbyval,
                                                ctx.arena)

    cdef int multi(self, ExprContext ctx, int i) except -1:
        cdef Batch batch
        cdef MultiColumn column
        cdef int row, c = 0
        cdef bint found = False
        for column in self.columns:
            column.lanes()
            column.out.nulls[i] = 1
        self.out.nulls[i] = 1
        while True:
            batch = self.state.next()
            if batch is None:
                return 0
            if batch.nsel == 0:
                continue
            if found or batch.nsel > 1:
                raise too_many_rows()
            found = True
            row = batch_row(batch, 0)
            for column in self.columns:
                column.out.nulls[i] = batch.cols[c].nulls[row]
                if not column.out.nulls[i]:
                    column.out.values[i] = copy_datum(batch.cols[c].values[row], column.type.typlen,
                                                      column.type.typbyval, ctx.arena)
                c += 1

    cdef int compare(self, ExprContext ctx, int i) except -1:
        """ANY, ALL and row comparison, row by row."""
        cdef Batch batch
        cdef Vector *v
        cdef ParamSlot slot
        cdef uint16_t one[1]
        cdef int k, row, c
        cdef bint found = False
        cdef bint is_any = self.kind == ANY
        one[0] = <uint16_t> i
        self.out.nulls[i] = 0
        self.out.values[i] = self.kind == ALL
        while True:
            batch = self.state.next()
            if batch is None:
                break
            for k in range(batch.nsel):
                row = batch_row(batch, k)
                c = 0
                for slot in self.sub_slots:
                    slot.set(batch.cols[c].values[row], batch.cols[c].nulls[row])
                    c += 1
                v = self.test.eval(ctx, one, 1)
                if self.kind == ROWCOMPARE:
                    if found:
                        raise too_many_rows()
                    found = True
                    self.out.values[i] = v.values[i]
                    self.out.nulls[i] = v.nulls[i]
                elif v.nulls[i]:
                    self.out.nulls[i] = 1
                elif (v.values[i] != 0) == is_any:
                    self.out.values[i] = is_any
                    self.out.nulls[i] = 0
                    return 0
        if self.kind == ROWCOMPARE and not found:
            self.out.nulls[i] = 1
        return 0

    cdef int build(self) except -1:
        """Read the subquery into the table."""
        cdef Batch batch
        cdef int k, c
        cdef int ncols = len(self.lefts)
        self.table = set()
        self.null_rows = []
        if self.ready:
            self.state.rescan(frozenset())
        while True:
            batch = self.state.next()
            if batch is None:
                break
            for k in range(batch.nsel):
                key = []
                has_null = False
                for c in range(ncols):
                    value = batch.value(k, c)
                    if value is None:
                        has_null = True
                    elif self.normalisers[c] is not None:
                        value = self.normalisers[c](value)
                    key.append(value)
                if not has_null:
                    self.table.add(key[0] if ncols == 1 else tuple(key))
                else:
                    self.null_rows.append(tuple(key))
        self.ready = True
        return 0

    cdef Vector *probe(self, ExprContext ctx, const uint16_t *sel, int n) except NULL:
        cdef Vector *out = &self.out
        cdef Vector *v
        cdef int k, i, c, ncols = len(self.lefts)
        cdef Expr left
        cdef bint unknown_false = self.node.unknownEqFalse
        if self.table is None:
            self.build()
        columns = []
        for c in range(ncols):
            left = self.lefts[c]
            v = left.eval(ctx, sel, n)
            column = []
            for k in range(n):
                i = k if sel == NULL else sel[k]
                if v.nulls[i]:
                    column.append(None)
                else:
                    value = datum_to_python(v.values[i], left.type)
                    if self.normalisers[c] is not None:
                        value = self.normalisers[c](value)
                    column.append(value)
            columns.append(column)
        table = self.table
        keys = columns[0] if ncols == 1 else list(zip(*columns))
        for k in range(n):
            i = k if sel == NULL else sel[k]
            key = keys[k]
            out.nulls[i] = 0
            if key is None or (ncols > 1 and None in key):
                out.values[i] = 0
                if (table or self.null_rows) and not unknown_false:
                    if ncols == 1 or self.could_match(key):
                        out.nulls[i] = 1
            elif key in table:
                out.values[i] = 1
            else:
                out.values[i] = 0
                if self.null_rows and not unknown_false:
                    if ncols == 1 or self.could_match(key):
                        out.nulls[i] = 1
        return out

    def could_match(self, key):
        """Whether a row equals key where neither is null."""
        rows = list(self.null_rows)
        if None in key:
            rows.extend(self.table)
        for row in rows:
            if all(a is None or b is None or a == b for a, b in zip(row, key)):
                return True
        return False


cdef class MultiColumn(Expr):
    """A column that a MULTIEXPR subplan computes for each row."""

    cdef SubPlanExpr owner

    def __init__(self, ParamSlot slot, SubPlanExpr owner):
        self.type = slot.type
        self.typmod = -1
        self.owner = owner
        self.lanes()

    cdef Vector *eval(self, ExprContext ctx, const uint16_t *sel, int n) except NULL:
        self.owner.eval(ctx, sel, n)
        return &self.out


def compile_subplan(compiler, node):
    """The compiled form of a SubPlan in an expression."""
    expr = SubPlanExpr(compiler, node)
    compiler.estate.subplan_exprs.append(expr)
    return expr
