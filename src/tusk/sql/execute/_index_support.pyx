"""What index methods ask of the executor: the values of expression and partial indexes while an index is built, and
index keys as text for error messages."""

from libc.stdint cimport uint8_t
from tusk._types cimport Datum
from tusk.access._index cimport IndexFormer
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport INDEX_MAX_KEYS, HeapTupleData, IndexTupleData, index_deform_tuple
from tusk.sql.execute._result_relation cimport IndexTarget, ResultRelation
from tusk.sql.execute._state cimport EState, eval_scalar
from tusk.types._kernel_datum cimport datum_to_python, datum_type

from tusk.access._index import set_index_former
from tusk.access.nbtree.keys import set_key_describer
from tusk.catalog import acl
from tusk.catalog.cache import NAMESPACEOID, RELOID, lookup
from tusk.catalog.session import session
from tusk.sql.deparse.indexes import index_definition
from tusk.sql.deparse.writer import PRETTY_INDENT, PRETTY_PAREN, PRETTY_SCHEMA
from tusk.sql.execute import support
from tusk.sql.execute._result_relation import parsed_tree
from tusk.sql.nodes import CMD_SELECT, PlannedStmt

ACL_SELECT = 2
_PRETTY = PRETTY_PAREN | PRETTY_INDENT | PRETTY_SCHEMA

cdef class ExpressionFormer(IndexFormer):
    """``ExpressionFormer(heap, index)``: evaluates an index's expressions and predicate over rows of the table."""

    cdef ResultRelation rows
    cdef IndexTarget target
    cdef EState estate

    def __init__(self, Relation heap, Relation index):
        self.estate = EState(PlannedStmt(commandType=CMD_SELECT, canSetTag=True))
        self.rows = ResultRelation(self.estate, heap)
        compiler = self.rows.compiler()
        trees = list(parsed_tree(index, "exprs", index.index_expressions[0])) if index.index_expressions else []
        self.target = IndexTarget()
        self.target.index = index
        self.target.exprs = [compiler.compile(trees.pop(0)) if attno == 0 else None for attno in index.indkey]
        if index.index_predicate:
            self.target.predicate = compiler.qual(parsed_tree(index, "predicate", index.index_predicate[0]))
        self.rows.prepare_rows()

    cdef int form(self, const HeapTupleData *tup, Datum *values, uint8_t *nulls) except -1:
        cdef bint isnull
        self.rows.ctx.reset()
        self.rows.load(self.rows.row, <HeapTupleData *> tup)
        self.rows.ctx.scan = self.rows.row
        if self.target.predicate is not None:
            if eval_scalar(self.target.predicate, self.rows.ctx, &isnull) == 0 or isnull:
                return 0
        self.rows.index_values(self.target, values, nulls)
        return self.fetch_external(values, nulls)


def describe_key(Relation index, bytes itup):
    """``(a, b)=(1, x)``, or None when the user may not read the columns (BuildIndexValueDescription)."""
    cdef Datum values[INDEX_MAX_KEYS]
    cdef uint8_t nulls[INDEX_MAX_KEYS]
    cdef int i
    role = session.current_user_id
    table = lookup(RELOID, index.heap_oid)
    if table is not None:
        if table.relrowsecurity and not acl.superuser():
            return None
        if not acl.class_aclcheck(index.heap_oid, role, ACL_SELECT):
            for i in range(index.indnkeyatts):
                if index.indkey[i] == 0 or not acl.attribute_aclcheck(
                        index.heap_oid, index.indkey[i], role, ACL_SELECT):
                    return None
    names = [index_definition(index.rd_id, _PRETTY, column=i + 1, attributes_only=True) for i in range(index.indnkeyatts)]
    index_deform_tuple(<const IndexTupleData *> <const char *> itup, &index.desc.c, values, nulls)
    shown = []
    for i in range(index.indnkeyatts):
        if nulls[i]:
            shown.append("null")
            continue
        # The operator class may store another type than the column's.
        oid = index.desc.attrs[i].atttypid
        shown.append(support.text_output(oid)(datum_to_python(values[i], datum_type(oid))))
    return f"({', '.join(names)})=({', '.join(shown)})"


def schema_name(Relation heap):
    """The schema of a table, for the error's fields."""
    row = lookup(NAMESPACEOID, heap.namespace)
    return row.nspname if row is not None else None


set_index_former(ExpressionFormer)
set_key_describer(describe_key, schema_name)
