"""Compiled expressions: variables, constants, parameters, function calls, logic and conditionals.

A compiled expression owns the register its result goes to; evaluating it again overwrites the register. Lanes that
are not selected are undefined.
"""

from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from tusk._types cimport Datum
from tusk.access._varlena cimport varatt_needs_detoast
from tusk.memory._context cimport MemoryContext
from tusk.sql.execute._batch cimport Batch
from tusk.sql.execute._state cimport (
    SIDE_AGG, SIDE_INNER, SIDE_NEW, SIDE_OLD, SIDE_OUTER, SIDE_SCAN, EState, dense_rows)
from tusk.types._kernel cimport BATCH_ROWS, KERNEL_DETOASTED, KERNEL_OK, KERNEL_REDO, raise_kernel_error
from tusk.types._kernel_datum cimport DatumType, datum_to_python, datum_type, detoast, python_to_datum

from tusk.errors import SqlError, errcode


cdef class VarExpr(Expr):
    """``VarExpr(side, column, type, typmod, collation)``: a column of an input batch."""

    def __init__(self, int side, int column, DatumType type, typmod=-1, collation=0):
        self.side = side
        self.column = column
        self.type = type
        self.typmod = typmod
        self.collation = collation

    cdef Vector *eval(self, ExprContext ctx, const uint16_t *sel, int n) except NULL:
        cdef Batch batch
        if self.side == SIDE_SCAN:
            batch = ctx.scan
        elif self.side == SIDE_OUTER:
            batch = ctx.outer
        elif self.side == SIDE_INNER:
            batch = ctx.inner
        elif self.side == SIDE_AGG:
            batch = ctx.aggs
        elif self.side == SIDE_NEW:
            batch = ctx.new
        else:
            batch = ctx.old
        if batch is None:
            raise SqlError(errcode.INTERNAL_ERROR, f"variable {self.column + 1} has no input of kind {self.side}")
        return &batch.cols[self.column]


cdef class ConstExpr(Expr):
    """``ConstExpr(value, type, typmod, collation)``: the same value in every lane, filled in as far as needed."""

    def __init__(self, object value, DatumType type, typmod=-1, collation=0):
        self.type = type
        self.typmod = typmod
        self.collation = collation
        self.value = value
        self.is_const = True
        self.lanes()
        self.filled = 1
        self.out.nulls[0] = value is None
        self.out.values[0] = 0
        if value is not None:
            if not type.typbyval:
                self.context = MemoryContext("constant")
            self.out.values[0] = python_to_datum(value, type, self.context)

    cdef Vector *eval(self, ExprContext ctx, const uint16_t *sel, int n) except NULL:
        cdef int i, dense = dense_rows(sel, n)
        for i in range(self.filled, dense):
            self.out.values[i] = self.out.values[0]
            self.out.nulls[i] = self.out.nulls[0]
        if dense > self.filled:
            self.filled = dense
        return &self.out


cdef class ParamExpr(Expr):
    """``ParamExpr(slot, typmod, collation)``: the present value of a parameter in every lane."""

    def __init__(self, ParamSlot slot, typmod=-1, collation=0, DatumType type=None):
        self.slot = slot
        self.type = type if type is not None else slot.type
        self.typmod = typmod
        self.collation = collation
        self.lanes()

    cdef Vector *eval(self, ExprContext ctx, const uint16_t *sel, int n) except NULL:
        cdef int i, dense = dense_rows(sel, n)
        cdef ParamSlot slot = self.slot
        if slot.pending is not None:
            slot.pending.compute()
        if slot.version != self.version:
            self.version = slot.version
            self.filled = 0
        for i in range(self.filled, dense):
            self.out.values[i] = slot.value
            self.out.nulls[i] = slot.isnull
        if dense > self.filled:
            self.filled = dense
        return &self.out


cdef class Placeholder(Expr):
    """``Placeholder(type)``: shows the vector that somebody points it to."""

    def __init__(self, DatumType type, typmod=-1, collation=0):
        self.type = type
        self.typmod = typmod
        self.collation = collation

    cdef Vector *eval(self, ExprContext ctx, const uint16_t *sel, int n) except NULL:
        return self.source


cdef class BatchPlaceholder(Expr):
    """``BatchPlaceholder(type, batch)``: the first column of a batch that is refilled between evaluations."""

    cdef Batch batch

    def __init__(self, DatumType type, Batch batch):
        self.type = type
        self.typmod = -1
        self.batch = batch

    cdef Vector *eval(self, ExprContext ctx, const uint16_t *sel, int n) except NULL:
        return &self.batch.cols[0]


cdef class FlagExpr(Expr):
    """``FlagExpr(bool_type)``: a truth value that somebody sets between evaluations of one row."""

    cdef public bint value

    def __init__(self, DatumType type):
        self.type = type
        self.typmod = -1
        self.lanes()

    cdef Vector *eval(self, ExprContext ctx, const uint16_t *sel, int n) except NULL:
        self.out.values[0] = self.value
        self.out.nulls[0] = 0
        return &self.out


cdef class RelabelExpr(Expr):
    """``RelabelExpr(arg, type, typmod, collation)``: the same Datums under another type."""

    cdef Expr arg

    def __init__(self, Expr arg, DatumType type, typmod=-1, collation=0):
        self.arg = arg
        self.type = type
        self.typmod = typmod
        self.collation = collation
        self.is_const = arg.is_const

    cdef Vector *eval(self, ExprContext ctx, const uint16_t *sel, int n) except NULL:
        return self.arg.eval(ctx, sel, n)


cdef class CallExpr(Expr):
    """``CallExpr(function, call_context, args, strict, type, ...)``: function is a BuiltinFunction or a callable."""

    def __init__(self, object function, object call_context, list args, bint strict, DatumType type, typmod=-1,
                 collation=0):
        self.function = function
        self.call_context = call_context
        self.args = args
        self.strict = strict
        self.type = type
        self.typmod = typmod
        self.collation = collation

    cdef Vector *eval(self, ExprContext ctx, const uint16_t *sel, int n) except NULL:
        cdef Vector *vectors[64]
        cdef Vector **args = vectors
        cdef int a = 0
        cdef Expr arg
        if len(self.args) > 64:
            args = <Vector **> ctx.arena.alloc(len(self.args) * sizeof(Vector *))
        for arg in self.args:
            args[a] = arg.eval(ctx, sel, n)
            a += 1
        return self.apply(args, ctx, sel, n, self.lanes())

    cdef Vector *apply(self, Vector **args, ExprContext ctx, const uint16_t *sel, int n, Vector *out) except NULL:
        cdef int k, i, a, nargs = len(self.args)
        cdef bint isnull, strict = self.strict
        cdef object call = self.function
        cdef object context = self.call_context
        cdef list values
        cdef DatumType t
        cdef list types = [(<Expr> e).type for e in self.args]
        for k in range(n):
            i = k if sel == NULL else sel[k]
            values = [] if context is None else [context]
            isnull = False
            for a in range(nargs):
                if args[a].nulls[i]:
                    if strict:
                        isnull = True
                        break
                    values.append(None)
                else:
                    values.append(datum_to_python(args[a].values[i], <DatumType> types[a]))
            if isnull:
                out.nulls[i] = 1
                continue
            value = call(*values)
            if value is None:
                out.nulls[i] = 1
                out.values[i] = 0
            else:
                out.nulls[i] = 0
                out.values[i] = python_to_datum(value, self.type, ctx.arena)
        return out


cdef class BodyExpr(Expr):
    """``BodyExpr(args, placeholders, body, strict, type, ...)``: a function whose body is an expression over its
    arguments, computed in place of a call."""

    cdef list args, placeholders
    cdef Expr body
    cdef bint strict

    def __init__(self, list args, list placeholders, Expr body, bint strict, DatumType type, typmod=-1, collation=0):
        self.args = args
        self.placeholders = placeholders
        self.body = body
        self.strict = strict
        self.type = type
        self.typmod = typmod
        self.collation = collation

    cdef Vector *eval(self, ExprContext ctx, const uint16_t *sel, int n) except NULL:
        cdef Vector *out
        cdef Vector *v
        cdef uint16_t kept[BATCH_ROWS]
        cdef int k, i, m = n
        cdef const uint16_t *rows = sel
        cdef Expr arg
        cdef Placeholder shown
        for arg, shown in zip(self.args, self.placeholders):
            shown.source = arg.eval(ctx, sel, n)
        if self.strict:
            for shown in self.placeholders:
                v = shown.source
                i = 0
                for k in range(m):
                    if not v.nulls[k if rows == NULL else rows[k]]:
                        kept[i] = <uint16_t> (k if rows == NULL else rows[k])
                        i += 1
                if i < m:
                    rows = kept
                    m = i
            if m < n:
                out = self.lanes()
                for k in range(n):
                    out.nulls[k if sel == NULL else sel[k]] = 1
                if m:
                    v = self.body.eval(ctx, rows, m)
                    for k in range(m):
                        out.nulls[rows[k]] = v.nulls[rows[k]]
                        out.values[rows[k]] = v.values[rows[k]]
                return out
        return self.body.eval(ctx, sel, n)


cdef list pythons(Expr expr, ExprContext ctx, const uint16_t *sel, int n):
    """Python values for the selected rows, in their order."""
    cdef Vector *v = expr.eval(ctx, sel, n)
    cdef int k, i
    found = []
    for k in range(n):
        i = k if sel == NULL else sel[k]
        found.append(None if v.nulls[i] else datum_to_python(v.values[i], expr.type))
    return found


cdef class StoreExpr(Expr):
    """``StoreExpr(base, subscripts, parts, store, type, ...)``: a value with parts of it replaced.

    Each part is (fetch, placeholder, new): fetch(value, *subscripts) gives the part as it is, which the placeholder
    shows to the expression of the new one. store(value, subscripts, news) makes the whole.
    """

    cdef Expr base
    cdef list subscripts, parts
    cdef object store

    def __init__(self, Expr base, list subscripts, list parts, object store, DatumType type, typmod=-1, collation=0):
        self.base = base
        self.subscripts = subscripts
        self.parts = parts
        self.store = store
        self.type = type
        self.typmod = typmod
        self.collation = collation

    cdef Vector *eval(self, ExprContext ctx, const uint16_t *sel, int n) except NULL:
        cdef Vector *out = self.lanes()
        cdef Vector *v
        cdef BatchPlaceholder shown
        cdef int k, i
        bases = pythons(self.base, ctx, sel, n)
        columns = [pythons(e, ctx, sel, n) for e in self.subscripts]
        subscripts = list(zip(*columns)) if columns else [()] * n
        news = []
        for fetch, placeholder, new in self.parts:
            shown = placeholder
            v = shown.batch.lanes(0)
            for k in range(n):
                i = k if sel == NULL else sel[k]
                old = fetch(bases[k], *subscripts[k])
                v.nulls[i] = old is None
                v.values[i] = 0 if old is None else python_to_datum(old, shown.type, ctx.arena)
            news.append(pythons(new, ctx, sel, n))
        for k in range(n):
            i = k if sel == NULL else sel[k]
            value = self.store(bases[k], subscripts[k], [column[k] for column in news])
            out.nulls[i] = value is None
            out.values[i] = 0 if value is None else python_to_datum(value, self.type, ctx.arena)
        return out


cdef class KernelExpr(Expr):
    """``KernelExpr(kernel, fallback, args, type, ...)``: a function computed by its vector kernel."""

    def __init__(self, Kernel kernel, CallExpr fallback, list args, DatumType type, typmod=-1, collation=0):
        cdef int a
        self.kernel = kernel
        self.fallback = fallback
        self.args = args
        self.nargs = len(args)
        self.arg0 = args[0]
        self.arg1 = args[1] if self.nargs > 1 else None
        self.type = type
        self.typmod = typmod
        self.collation = collation
        for a in range(self.nargs):
            self.varlena[a] = (<Expr> args[a]).type.typlen == -1 and kernel.flags & KERNEL_DETOASTED
            if (<Expr> args[a]).type.typlen == -1 and not kernel.flags & KERNEL_DETOASTED:
                self.varlena[a] = True
        self.lanes()

    def __dealloc__(self):
        cdef int a
        for a in range(KERNEL_MAX_ARGS):
            free(self.plain[a].values)

    cdef Vector *detoasted(self, int a, Vector *v, ExprContext ctx, const uint16_t *sel, int n) except NULL:
        """v, or a copy with every value at hand."""
        cdef int k, i, first = -1
        cdef Vector *p
        for k in range(n):
            i = k if sel == NULL else sel[k]
            if not v.nulls[i] and varatt_needs_detoast(<void *> v.values[i]):
                first = k
                break
        if first < 0:
            return v
        p = &self.plain[a]
        if p.values == NULL:
            p.values = <Datum *> malloc(BATCH_ROWS * (sizeof(Datum) + 1))
            if p.values == NULL:
                raise MemoryError
            p.nulls = <unsigned char *> (p.values + BATCH_ROWS)
        for k in range(n):
            i = k if sel == NULL else sel[k]
            p.nulls[i] = v.nulls[i]
            if not v.nulls[i]:
                p.values[i] = detoast(v.values[i], ctx.arena)
        return p

    cdef Vector *eval(self, ExprContext ctx, const uint16_t *sel, int n) except NULL:
        cdef KernelCall call
        cdef int status, a, k, i, m
        cdef uint16_t redo[BATCH_ROWS]
        call.args[0] = self.arg0.eval(ctx, sel, n)
        if self.nargs > 1:
            call.args[1] = self.arg1.eval(ctx, sel, n)
            for a in range(2, self.nargs):
                call.args[a] = (<Expr> self.args[a]).eval(ctx, sel, n)
        for a in range(self.nargs):
            if self.varlena[a]:
                call.args[a] = self.detoasted(a, call.args[a], ctx, sel, n)
        call.out = &self.out
        call.sel = sel
        call.n = n
        call.room_bytes = self.kernel.room_bytes
        if call.room_bytes:
            call.room = <char *> ctx.arena.alloc(<size_t> call.room_bytes * n)
        status = self.kernel.fn(&call)
        if status == KERNEL_OK:
            return &self.out
        if status == KERNEL_REDO:
            m = 0
            for k in range(n):
                i = k if sel == NULL else sel[k]
                if self.out.nulls[i] == 2:
                    redo[m] = <uint16_t> i
                    m += 1
            self.fallback.apply(call.args, ctx, redo, m, &self.out)
            return &self.out
        raise_kernel_error(status)


cdef class AndExpr(Expr):
    """``AndExpr(args)``; with ``is_or`` the dual: a later argument sees only rows that are still undecided."""

    cdef list args
    cdef bint is_or
    cdef uint16_t undecided[BATCH_ROWS]

    def __init__(self, list args, bint is_or, DatumType type):
        self.args = args
        self.is_or = is_or
        self.type = type

    cdef Vector *eval(self, ExprContext ctx, const uint16_t *sel, int n) except NULL:
        cdef Vector *out = self.lanes()
        cdef Vector *v
        cdef int k, i, m = n, left
        cdef Datum deciding = 1 if self.is_or else 0
        cdef Expr arg
        for k in range(n):
            i = k if sel == NULL else sel[k]
            self.undecided[k] = <uint16_t> i
            out.values[i] = 1 - deciding
            out.nulls[i] = 0
        for arg in self.args:
            if m == 0:
                break
            v = arg.eval(ctx, self.undecided, m)
            left = 0
            for k in range(m):
                i = self.undecided[k]
                if v.nulls[i]:
                    out.nulls[i] = 1
                elif (v.values[i] != 0) == deciding:
                    out.nulls[i] = 0
                    out.values[i] = deciding
                    continue
                self.undecided[left] = <uint16_t> i
                left += 1
            m = left
        return out

    cdef int filter(self, ExprContext ctx, const uint16_t *sel, int n, uint16_t *keep) except -1:
        cdef Expr arg
        if self.is_or:
            return Expr.filter(self, ctx, sel, n, keep)
        for arg in self.args:
            n = arg.filter(ctx, sel, n, keep)
            if n == 0:
                return 0
            sel = keep
        return n


cdef class NotExpr(Expr):
    """``NotExpr(arg)``."""

    cdef Expr arg

    def __init__(self, Expr arg, DatumType type):
        self.arg = arg
        self.type = type

    cdef Vector *eval(self, ExprContext ctx, const uint16_t *sel, int n) except NULL:
        cdef Vector *v = self.arg.eval(ctx, sel, n)
        cdef Vector *out = self.lanes()
        cdef int k, i
        for k in range(n):
            i = k if sel == NULL else sel[k]
            out.values[i] = v.values[i] == 0
            out.nulls[i] = v.nulls[i]
        return out


cdef class CaseExpr(Expr):
    """``CaseExpr(test, placeholder, whens, default)``: whens are (condition, result) pairs; test may be None."""

    cdef Expr test
    cdef Placeholder placeholder
    cdef list whens
    cdef Expr default
    cdef uint16_t undecided[BATCH_ROWS]
    cdef uint16_t taken[BATCH_ROWS]

    def __init__(self, test: Expr | None, placeholder: Placeholder | None, list whens, Expr default, DatumType type,
                 typmod=-1, collation=0):
        self.test = test
        self.placeholder = placeholder
        self.whens = whens
        self.default = default
        self.type = type
        self.typmod = typmod
        self.collation = collation

    cdef Vector *eval(self, ExprContext ctx, const uint16_t *sel, int n) except NULL:
        cdef Vector *out = self.lanes()
        cdef Vector *v
        cdef int k, i, m = n, left, ntaken
        cdef Expr condition, result
        if self.test is not None:
            self.placeholder.source = self.test.eval(ctx, sel, n)
        for k in range(n):
            self.undecided[k] = <uint16_t> (k if sel == NULL else sel[k])
        for condition, result in self.whens:
            if m == 0:
                return out
            v = condition.eval(ctx, self.undecided, m)
            left = ntaken = 0
            for k in range(m):
                i = self.undecided[k]
                if v.values[i] != 0 and not v.nulls[i]:
                    self.taken[ntaken] = <uint16_t> i
                    ntaken += 1
                else:
                    self.undecided[left] = <uint16_t> i
                    left += 1
            m = left
            if ntaken:
                copy_lanes(out, result.eval(ctx, self.taken, ntaken), self.taken, ntaken)
        if m:
            copy_lanes(out, self.default.eval(ctx, self.undecided, m), self.undecided, m)
        return out


cdef void copy_lanes(Vector *out, Vector *v, const uint16_t *sel, int n) noexcept:
    cdef int k, i
    for k in range(n):
        i = sel[k]
        out.values[i] = v.values[i]
        out.nulls[i] = v.nulls[i]


cdef class CoalesceExpr(Expr):
    """``CoalesceExpr(args)``: the first argument that is not null; later ones see only rows without a value."""

    cdef list args
    cdef uint16_t undecided[BATCH_ROWS]

    def __init__(self, list args, DatumType type, typmod=-1, collation=0):
        self.args = args
        self.type = type
        self.typmod = typmod
        self.collation = collation

    cdef Vector *eval(self, ExprContext ctx, const uint16_t *sel, int n) except NULL:
        cdef Vector *out = self.lanes()
        cdef Vector *v
        cdef int k, i, m = n, left
        cdef Expr arg
        for k in range(n):
            self.undecided[k] = <uint16_t> (k if sel == NULL else sel[k])
        for arg in self.args:
            if m == 0:
                break
            v = arg.eval(ctx, self.undecided, m)
            left = 0
            for k in range(m):
                i = self.undecided[k]
                out.values[i] = v.values[i]
                out.nulls[i] = v.nulls[i]
                if v.nulls[i]:
                    self.undecided[left] = <uint16_t> i
                    left += 1
            m = left
        return out


cdef class NullTestExpr(Expr):
    """``NullTestExpr(arg, is_null)`` for scalars."""

    cdef Expr arg
    cdef bint is_null

    def __init__(self, Expr arg, bint is_null, DatumType type):
        self.arg = arg
        self.is_null = is_null
        self.type = type

    cdef Vector *eval(self, ExprContext ctx, const uint16_t *sel, int n) except NULL:
        cdef Vector *v = self.arg.eval(ctx, sel, n)
        cdef Vector *out = self.lanes()
        cdef int k, i
        for k in range(n):
            i = k if sel == NULL else sel[k]
            out.values[i] = (v.nulls[i] != 0) == self.is_null
            out.nulls[i] = 0
        return out


cdef class BooleanTestExpr(Expr):
    """``BooleanTestExpr(arg, when_true, when_false, when_null)``: IS [NOT] TRUE, FALSE, UNKNOWN."""

    cdef Expr arg
    cdef bint when_true, when_false, when_null

    def __init__(self, Expr arg, bint when_true, bint when_false, bint when_null, DatumType type):
        self.arg = arg
        self.when_true = when_true
        self.when_false = when_false
        self.when_null = when_null
        self.type = type

    cdef Vector *eval(self, ExprContext ctx, const uint16_t *sel, int n) except NULL:
        cdef Vector *v = self.arg.eval(ctx, sel, n)
        cdef Vector *out = self.lanes()
        cdef int k, i
        for k in range(n):
            i = k if sel == NULL else sel[k]
            if v.nulls[i]:
                out.values[i] = self.when_null
            else:
                out.values[i] = self.when_true if v.values[i] != 0 else self.when_false
            out.nulls[i] = 0
        return out


cdef class DistinctExpr(Expr):
    """``DistinctExpr(left, right, equality, left_slot, right_slot)``: IS DISTINCT FROM, or NULLIF with ``nullif``.

    equality is the compiled "=" over two placeholders.
    """

    cdef Expr left, right, equality
    cdef Placeholder left_slot, right_slot
    cdef bint nullif
    cdef uint16_t both[BATCH_ROWS]

    def __init__(self, Expr left, Expr right, Expr equality, Placeholder left_slot, Placeholder right_slot,
                 bint nullif, DatumType type, typmod=-1, collation=0):
        self.left = left
        self.right = right
        self.equality = equality
        self.left_slot = left_slot
        self.right_slot = right_slot
        self.nullif = nullif
        self.type = type
        self.typmod = typmod
        self.collation = collation

    cdef Vector *eval(self, ExprContext ctx, const uint16_t *sel, int n) except NULL:
        cdef Vector *out = self.lanes()
        cdef Vector *a = self.left.eval(ctx, sel, n)
        cdef Vector *b = self.right.eval(ctx, sel, n)
        cdef Vector *v
        cdef int k, i, m = 0
        for k in range(n):
            i = k if sel == NULL else sel[k]
            if not a.nulls[i] and not b.nulls[i]:
                self.both[m] = <uint16_t> i
                m += 1
            elif self.nullif:
                out.values[i] = a.values[i]
                out.nulls[i] = a.nulls[i]
            else:
                out.values[i] = a.nulls[i] != b.nulls[i]
                out.nulls[i] = 0
        if m:
            self.left_slot.source = a
            self.right_slot.source = b
            v = self.equality.eval(ctx, self.both, m)
            for k in range(m):
                i = self.both[k]
                if self.nullif:
                    out.values[i] = a.values[i]
                    out.nulls[i] = v.values[i] != 0 and not v.nulls[i]
                else:
                    out.values[i] = v.values[i] == 0 or v.nulls[i]
                    out.nulls[i] = 0
        return out


cdef class ArrayOpExpr(Expr):
    """``ArrayOpExpr(scalar, array, test, left_slot, right_slot, is_any, ...)``: scalar op ANY/ALL (array).

    test is the compiled operator over two placeholders. When the array is the same for all rows, one vector
    operation is done for each element, on the rows that are still undecided; integer equality with many elements is
    looked up in a set instead.
    """

    cdef Expr scalar, array, test
    cdef Placeholder left_slot, right_slot
    cdef bint is_any, uniform, int_equality, strict
    cdef DatumType element
    cdef object cached_key, cached_set
    cdef bint cached_null
    cdef Vector item
    cdef uint16_t undecided[BATCH_ROWS]

    def __init__(self, Expr scalar, Expr array, Expr test, Placeholder left_slot, Placeholder right_slot, bint is_any,
                 bint uniform, bint int_equality, bint strict, DatumType element, DatumType type):
        self.scalar = scalar
        self.array = array
        self.test = test
        self.left_slot = left_slot
        self.right_slot = right_slot
        self.is_any = is_any
        self.uniform = uniform
        self.int_equality = int_equality
        self.strict = strict
        self.element = element
        self.type = type
        self.item.values = <Datum *> malloc(BATCH_ROWS * (sizeof(Datum) + 1))
        if self.item.values == NULL:
            raise MemoryError
        self.item.nulls = <unsigned char *> (self.item.values + BATCH_ROWS)

    def __dealloc__(self):
        free(self.item.values)

    cdef Vector *eval(self, ExprContext ctx, const uint16_t *sel, int n) except NULL:
        cdef Vector *out = self.lanes()
        cdef Vector *a = self.scalar.eval(ctx, sel, n)
        cdef Vector *arr
        cdef int k, i, j
        cdef uint16_t one[1]
        if n == 0:
            return out
        if self.uniform:
            arr = self.array.eval(ctx, sel, n)
            self.search(a, arr, sel[0] if sel != NULL else 0, ctx, sel, n)
            return out
        arr = self.array.eval(ctx, sel, n)
        for k in range(n):
            one[0] = <uint16_t> (k if sel == NULL else sel[k])
            self.search(a, arr, one[0], ctx, one, 1)
        return out

    cdef int search(self, Vector *a, Vector *arr, int lane, ExprContext ctx, const uint16_t *sel, int n) except -1:
        """Fill the result for the rows of sel with the array in one lane of arr."""
        cdef Vector *out = &self.out
        cdef Vector *v
        cdef int k, i, m, left
        cdef Datum datum
        cdef bint deciding = self.is_any
        if arr.nulls[lane]:
            for k in range(n):
                out.nulls[k if sel == NULL else sel[k]] = 1
            return 0
        value = datum_to_python(arr.values[lane], self.array.type)
        elements = value.elements
        if self.int_equality and len(elements) > 8:
            if self.cached_key != elements:
                self.cached_key = elements
                self.cached_set = frozenset(e for e in elements if e is not None)
                self.cached_null = None in elements
            members = self.cached_set
            for k in range(n):
                i = k if sel == NULL else sel[k]
                if a.nulls[i]:
                    out.nulls[i] = 1
                    continue
                out.values[i] = datum_to_python(a.values[i], self.scalar.type) in members
                out.nulls[i] = self.cached_null and not out.values[i]
            return 0
        m = 0
        for k in range(n):
            i = k if sel == NULL else sel[k]
            if a.nulls[i] and self.strict and elements:
                out.nulls[i] = 1
                continue
            out.nulls[i] = 0
            out.values[i] = not deciding
            self.undecided[m] = <uint16_t> i
            m += 1
        self.left_slot.source = a
        self.right_slot.source = &self.item
        for element in elements:
            if m == 0:
                break
            if element is None and self.strict:
                for k in range(m):
                    out.nulls[self.undecided[k]] = 1
                continue
            datum = 0 if element is None else python_to_datum(element, self.element, ctx.arena)
            for k in range(m):
                self.item.values[self.undecided[k]] = datum
                self.item.nulls[self.undecided[k]] = element is None
            v = self.test.eval(ctx, self.undecided, m)
            left = 0
            for k in range(m):
                i = self.undecided[k]
                if v.nulls[i]:
                    out.nulls[i] = 1
                elif (v.values[i] != 0) == deciding:
                    out.nulls[i] = 0
                    out.values[i] = deciding
                    continue
                self.undecided[left] = <uint16_t> i
                left += 1
            m = left
        return 0


cdef class DomainExpr(Expr):
    """``DomainExpr(arg, check, type)``: passes arg's values on after ``check(value)`` of each."""

    cdef Expr arg
    cdef object check

    def __init__(self, Expr arg, object check, DatumType type, typmod=-1, collation=0):
        self.arg = arg
        self.check = check
        self.type = type
        self.typmod = typmod
        self.collation = collation

    cdef Vector *eval(self, ExprContext ctx, const uint16_t *sel, int n) except NULL:
        cdef Vector *v = self.arg.eval(ctx, sel, n)
        cdef int k, i
        for k in range(n):
            i = k if sel == NULL else sel[k]
            self.check(None if v.nulls[i] else datum_to_python(v.values[i], self.arg.type))
        return v
