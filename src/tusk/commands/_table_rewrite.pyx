"""Copying a table's rows into its new file, changed on the way (ALTER TABLE), and rows of expression indexes.

The old file is read through a Relation made by hand: its descriptor is the one the rows were written with.
"""

from libc.stdint cimport uint8_t
from tusk._types cimport Datum
from tusk.access._index cimport IndexFormer
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport HeapTupleData
from tusk.access._tupdesc cimport TupleDesc
from tusk.access.heap._scan cimport HeapScan, begin_heap_scan
from tusk.commands._row_writer cimport RowWriter
from tusk.memory._interrupts cimport check_for_interrupts
from tusk.sql.execute._result_relation cimport IndexTarget, ResultRelation
from tusk.sql.execute._state cimport EState, Expr, eval_scalar
from tusk.transaction._snapshot cimport Snapshot

from tusk.access._index import set_index_former
from tusk.sql.execute._result_relation import parsed_tree
from tusk.sql.nodes import PlannedStmt, enums


def old_relation(Relation rel, TupleDesc desc):
    """A table as it was: this descriptor, the file that rel has now."""
    cdef Relation old = Relation(
        rel.rd_id, (rel.rd_locator.spcOid, rel.rd_locator.dbOid, rel.rd_locator.relNumber), rel.name, desc,
        chr(rel.relkind), chr(rel.relpersistence), rel.namespace)
    old.rd_backend = rel.rd_backend
    return old


cdef class Rewriter:
    """``Rewriter(old, writer)``; `add_expression` for each column that gets a new value; then `run`."""

    cdef Relation old
    cdef RowWriter writer
    cdef EState estate
    cdef ResultRelation source
    cdef list places                    # per new attribute: attribute of the old row, from 0, or -1
    cdef list expressions               # (attribute number from 0, Expr)

    def __init__(self, Relation old, RowWriter writer):
        cdef int i
        self.old = old
        self.writer = writer
        self.estate = EState(PlannedStmt(commandType=enums.CMD_SELECT))
        self.source = ResultRelation(self.estate, old)
        self.expressions = []
        new = writer.rel.desc
        self.places = [
            i if i < old.desc.natts and not new.attrs[i].attisdropped else -1 for i in range(new.natts)
        ]

    def add_expression(self, int attnum, tree):
        """The value of a column (from 1), computed from the old row."""
        self.expressions.append((attnum - 1, self.source.compiler().compile(tree)))

    def run(self, Snapshot snapshot):
        """Copy all visible rows; returns how many."""
        cdef HeapScan scan
        cdef HeapTupleData *tup
        cdef ResultRelation target = self.writer.result
        cdef int i, place, n = len(self.places)
        cdef int attno
        cdef Expr expr
        cdef bint isnull
        cdef Datum value
        self.source.prepare_rows()
        self.source.ctx.scan = self.source.row
        scan = begin_heap_scan(self.old, snapshot)
        try:
            while True:
                tup = scan.next_tuple()
                if tup == NULL:
                    break
                check_for_interrupts()
                self.source.ctx.reset()
                self.writer.ctx.reset()
                self.source.load(self.source.row, tup)
                for i in range(n):
                    place = self.places[i]
                    if place < 0:
                        target.row.cols[i].nulls[0] = 1
                    else:
                        target.row.cols[i].values[0] = self.source.row.cols[place].values[0]
                        target.row.cols[i].nulls[0] = self.source.row.cols[place].nulls[0]
                for attno, expr in self.expressions:
                    value = eval_scalar(expr, self.source.ctx, &isnull)
                    target.row.cols[attno].values[0] = value
                    target.row.cols[attno].nulls[0] = isnull
                self.writer.add()
        finally:
            scan.end()
        return self.writer.finish()


cdef class ExpressionFormer(IndexFormer):
    """Index entries of an index with expressions or a predicate, while it is built."""

    cdef EState estate
    cdef ResultRelation rows
    cdef IndexTarget target

    def __init__(self, Relation heap, Relation index):
        self.estate = EState(PlannedStmt(commandType=enums.CMD_SELECT))
        self.rows = ResultRelation(self.estate, heap)
        self.target = IndexTarget()
        self.target.index = index
        compiler = self.rows.compiler()
        trees = list(parsed_tree(index, "exprs", index.index_expressions[0])) if index.index_expressions else []
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


set_index_former(ExpressionFormer)
