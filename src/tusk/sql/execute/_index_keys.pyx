"""Scan keys from the index conditions of a plan: column op expression, column op ANY (array), IS [NOT] NULL, and row
comparisons. The left side is an index column (INDEX_VAR)."""

from libc.stdint cimport uint16_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset
from tusk._types cimport Datum
from tusk.access._compare cimport Comparator, lookup_comparator
from tusk.access._index cimport (
    SK_ISNULL, SK_ROW_END, SK_ROW_HEADER, SK_ROW_MEMBER, SK_SEARCHARRAY, SK_SEARCHNOTNULL, SK_SEARCHNULL)
from tusk.sql.execute._state cimport Expr, eval_scalar
from tusk.types._kernel_datum cimport DatumType, copy_datum, datum_to_python, datum_type, detoast, python_to_datum

from tusk.catalog.cache import AMOPOPID, AMPROCNUM, PROCOID, TYPEOID, lookup
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.sql.nodes import enums

cdef enum:
    SPEC_SCALAR = 0
    SPEC_ARRAY = 1
    SPEC_NULL = 2
    SPEC_ROW = 3


cdef class Spec:
    """How one key gets its argument."""

    cdef int kind
    cdef Expr expr
    cdef DatumType element          # of an array's elements
    cdef list exprs                 # of a row comparison


cdef int set_operator(ScanKeyData *key, Relation index, int attno, object opno, object collation, list held) except -1:
    """Strategy, argument type and comparator of an operator of the column's family."""
    cdef Comparator cmp
    family = index.keys[attno - 1].opfamily
    row = lookup(AMOPOPID, opno, "s", family)
    if row is None:
        raise SqlError(errcode.INTERNAL_ERROR, f"operator {opno} is not a member of opfamily {family}")
    key.sk_attno = <short> attno
    key.sk_strategy = <uint16_t> row.amopstrategy
    key.sk_subtype = row.amoprighttype
    key.sk_collation = collation
    if row.amoplefttype != row.amoprighttype or row.amoplefttype != index.keys[attno - 1].opcintype or \
            (collation and collation != index.keys[attno - 1].collation):
        proc = lookup(AMPROCNUM, family, row.amoplefttype, row.amoprighttype, 1)
        if proc is None:
            raise SqlError(errcode.INTERNAL_ERROR,
                           f"missing support function 1({row.amoplefttype},{row.amoprighttype}) in opfamily {family}")
        held.append(lookup_comparator(lookup(PROCOID, proc.amproc).prosrc, collation, &cmp))
        key.sk_cmp = cmp
    return 0


cdef class IndexKeys:
    """``IndexKeys(index, quals, compiler, estate)``."""

    def __init__(self, Relation index, object quals, object compiler, EState estate):
        cdef int i, j
        cdef Spec spec
        cdef ScanKeyData *key
        cdef ScanKeyData *member
        self.context = MemoryContext("index keys", parent=estate.context)
        self.held = []
        self.specs = []
        self.nkeys = len(quals)
        self.keys = <ScanKeyData *> calloc(self.nkeys + 1, sizeof(ScanKeyData))
        if self.keys == NULL:
            raise MemoryError
        for i in range(self.nkeys):
            qual = quals[i]
            key = &self.keys[i]
            spec = Spec()
            name = type(qual).__name__
            if name == "OpExpr":
                spec.kind = SPEC_SCALAR
                set_operator(key, index, qual.args[0].varattno, qual.opno, qual.inputcollid, self.held)
                spec.expr = compiler.compile(qual.args[1])
            elif name == "ScalarArrayOpExpr":
                spec.kind = SPEC_ARRAY
                set_operator(key, index, qual.args[0].varattno, qual.opno, qual.inputcollid, self.held)
                key.sk_flags = SK_SEARCHARRAY
                spec.expr = compiler.compile(qual.args[1])
                # The family may be declared over a pseudo-type: the array tells what its elements are.
                spec.element = datum_type(lookup(TYPEOID, spec.expr.type.base).typelem)
            elif name == "NullTest":
                spec.kind = SPEC_NULL
                key.sk_attno = qual.arg.varattno
                key.sk_flags = SK_ISNULL | (SK_SEARCHNULL if qual.nulltesttype == enums.IS_NULL else SK_SEARCHNOTNULL)
            elif name == "RowCompareExpr":
                spec.kind = SPEC_ROW
                spec.exprs = [compiler.compile(e) for e in qual.rargs]
                key.sk_members = <ScanKeyData *> calloc(len(qual.largs), sizeof(ScanKeyData))
                key.sk_flags = SK_ROW_HEADER
                for j in range(len(qual.largs)):
                    member = &key.sk_members[j]
                    set_operator(member, index, qual.largs[j].varattno, qual.opnos[j], qual.inputcollids[j], self.held)
                    member.sk_flags = SK_ROW_MEMBER
                member.sk_flags |= SK_ROW_END
                key.sk_attno = key.sk_members[0].sk_attno
                key.sk_strategy = <uint16_t> qual.cmptype
            else:
                raise feature_not_supported(f"index condition {name}")
            self.specs.append(spec)

    def __dealloc__(self):
        cdef int i
        if self.keys != NULL:
            for i in range(self.nkeys):
                free(self.keys[i].sk_members)
        free(self.keys)

    cdef int evaluate(self, ExprContext ctx) except -1:
        cdef int i, j, n
        cdef Spec spec
        cdef ScanKeyData *key
        cdef bint isnull
        cdef Datum value
        cdef Expr expr
        if self.context._blocks != NULL or self.context._large != NULL:
            self.context.reset()
        for i in range(self.nkeys):
            spec = self.specs[i]
            key = &self.keys[i]
            if spec.kind == SPEC_NULL:
                continue
            if spec.kind == SPEC_ROW:
                for j in range(len(spec.exprs)):
                    expr = spec.exprs[j]
                    value = eval_scalar(expr, ctx, &isnull)
                    if isnull:
                        if j == 0:
                            return 0
                        key.sk_members[j].sk_flags |= SK_ISNULL
                    else:
                        key.sk_members[j].sk_flags &= ~SK_ISNULL
                        key.sk_members[j].sk_argument = self.keep(value, expr.type)
                continue
            value = eval_scalar(spec.expr, ctx, &isnull)
            if isnull:
                return 0
            if spec.kind == SPEC_SCALAR:
                key.sk_argument = value if spec.expr.type.typbyval else self.keep(value, spec.expr.type)
                continue
            elements = [e for e in datum_to_python(value, spec.expr.type).elements if e is not None]
            n = len(elements)
            if n == 0:
                return 0
            key.sk_nelems = n
            key.sk_elems = <Datum *> self.context.alloc(n * sizeof(Datum))
            for j in range(n):
                key.sk_elems[j] = python_to_datum(elements[j], spec.element, self.context)
        return 1

    cdef Datum keep(self, Datum value, DatumType type) except? 0:
        """A copy at hand for as long as the scan runs."""
        if type.typbyval:
            return value
        if type.typlen == -1:
            value = detoast(value, self.context)
        return copy_datum(value, type.typlen, False, self.context)
