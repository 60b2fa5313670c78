"""Tables being changed (see _result_relation.pxd): used by ModifyTable, COPY FROM and the like.

Expressions of checks, generated columns, index columns and predicates are compiled once for the statement; all see
the row as a batch of one lane whose column k is attribute k + 1. System columns come after the attributes.
"""

from libc.stdlib cimport free
from libc.string cimport memset
from tusk._types cimport InvalidTransactionId, TransactionId, tid_block, tid_offset
from tusk.access._index cimport (
    SK_ISNULL, SK_SEARCHNULL, UNIQUE_CHECK_NO, UNIQUE_CHECK_PARTIAL, UNIQUE_CHECK_YES, IndexScan, ScanKeyData,
    index_beginscan, index_endscan, index_getnext, index_insert, index_rescan, init_scan_key)
from tusk.access._relation cimport indexes_of
from tusk.access._tuple cimport (
    INDEX_MAX_KEYS, heap_deform_tuple, heap_form_tuple_malloc, heap_getsysattr)
from tusk.catalog._relcache cimport relation_close, relation_open
from tusk.sql.execute._batch cimport RowShape
from tusk.sql.execute._state cimport eval_scalar
from tusk.transaction._lock cimport (
    XLTW_InsertIndex, speculative_insertion_wait, xact_lock_table_wait)
from tusk.transaction._snapshot cimport Snapshot, make_dirty_snapshot
from tusk.types._kernel cimport Vector
from tusk.types._kernel_datum cimport DatumType, datum_to_python, datum_type, detoast

from tusk.catalog.cache import NAMESPACEOID, lookup
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.sql.execute import support
from tusk.sql.execute.program import Compiler
from tusk.sql.nodes.nodetext import read_node_tree
from tusk.sql.plan.virtual import expand_in_tree, virtual_columns

SYSTEM_TYPES = {-1: 27, -2: 28, -3: 29, -4: 28, -5: 29, -6: 26}
RowExclusiveLock = 3
BTREE_EQUAL = 3


def parsed_tree(relation, key, text):
    """The node tree of a stored expression, kept with the relation's other information."""
    cache = relation.extra.parsed
    found = cache.get(("tree", key))
    if found is None:
        found = read_node_tree(text)
        cache["tree", key] = found
    return found


cdef class IndexTarget:
    """``IndexTarget(index, exprs, predicate, check)``."""


cdef class ResultRelation:
    """``ResultRelation(estate, rel)``."""

    def __init__(self, EState estate, Relation rel, view_checks=()):
        cdef int i
        self.estate = estate
        self.rel = rel
        self.ctx = ExprContext(estate, "row")
        self.columns = {i + 1: i for i in range(rel.desc.natts)}
        info = rel.extra
        compiler = self.compiler()
        self.checks = []
        self.generated = []
        self.triggers = []
        self.virtual_not_null = []
        if info is not None:
            virtual = virtual_columns(rel)
            for check in info.checks:
                if check.ccenforced:
                    tree = expand_in_tree(parsed_tree(rel, ("check", check.ccname), check.ccbin), virtual)
                    self.checks.append((check.ccname, compiler.compile(as_expression(tree))))
            for attno, tree in virtual.items():
                if rel.desc.attrs[<int> attno - 1].attnotnull:
                    self.virtual_not_null.append((attno - 1, compiler.compile(tree)))
            for i in range(rel.desc.natts):
                if rel.desc.attrs[i].attgenerated == c's':
                    tree = parsed_tree(rel, ("default", i + 1), info.defaults[i + 1])
                    self.generated.append((i + 1, compiler.compile(tree)))
            self.triggers = list(info.triggers)
        self.any_not_null = False
        for i in range(rel.desc.natts):
            if rel.desc.attrs[i].attnotnull:
                self.any_not_null = True
        self.view_checks = [
            (option.kind, option.relname, option.polname, compiler.qual(option.qual)) for option in view_checks]

    def compiler(self):
        """A compiler whose scan side is the row."""
        compiler = Compiler(self, self.estate, self.columns)
        rel = self.rel
        compiler.relation_columns = lambda: relation_columns_of(rel)
        return compiler

    @property
    def context(self):
        """The expression context."""
        return self.ctx

    @property
    def column_names(self):
        """Names of the columns."""
        return list(self.rel.desc.names)

    cdef int prepare_rows(self) except -1:
        """Make the row batches, once every expression over them has been compiled."""
        cdef Relation rel = self.rel
        if self.prepared:
            return 0
        types = [0] * len(self.columns)
        for attno, column in self.columns.items():
            if attno < 0:
                types[column] = SYSTEM_TYPES[attno]
            else:
                types[column] = 23 if rel.desc.attrs[attno - 1].attisdropped else rel.desc.attrs[attno - 1].atttypid
        shape = RowShape(types)
        self.row = Batch(shape)
        self.old = Batch(shape)
        self.row.lanes_all()
        self.old.lanes_all()
        self.row.select_all(1)
        self.old.select_all(1)
        self.prepared = True
        return 0

    cdef int open_indexes(self, bint speculative) except -1:
        cdef IndexTarget target
        cdef Relation index
        cdef int i
        self.indexes = []
        for oid in self.rel.index_oids:
            index = relation_open(oid, RowExclusiveLock)
            target = IndexTarget()
            target.index = index
            if not index.indisready:
                relation_close(index, 0)
                continue
            compiler = self.compiler()
            if index.index_expressions:
                trees = list(parsed_tree(index, "exprs", index.index_expressions[0]))
            else:
                trees = []
            target.exprs = [compiler.compile(trees.pop(0)) if attno == 0 else None for attno in index.indkey]
            if index.index_predicate:
                target.predicate = compiler.qual(parsed_tree(index, "predicate", index.index_predicate[0]))
            target.unique_check = UNIQUE_CHECK_NO
            if index.indisunique:
                target.unique_check = UNIQUE_CHECK_YES if index.indimmediate else UNIQUE_CHECK_PARTIAL
            target.types = [datum_type(index.desc.attrs[i].atttypid) for i in range(index.indnatts)]
            self.indexes.append(target)
        return 0

    def index_relations(self):
        """The open indexes."""
        return [(<IndexTarget> target).index for target in self.indexes or ()]

    def close_indexes(self):
        """Give the indexes back; the locks stay."""
        cdef IndexTarget target
        for target in self.indexes or ():
            relation_close(target.index, 0)
        self.indexes = None

    cdef int load(self, Batch row, HeapTupleData *tup) except -1:
        cdef Datum values[1664]
        cdef uint8_t nulls[1664]
        cdef int i, n = self.rel.desc.natts
        heap_deform_tuple(tup.t_data, &self.rel.desc.c, n, values, nulls)
        for i in range(n):
            row.cols[i].values[0] = values[i]
            row.cols[i].nulls[0] = nulls[i]
        self.set_system(row, tup)
        return 0

    cdef int set_system(self, Batch row, HeapTupleData *tup) except -1:
        """The system columns that somebody asked for."""
        cdef int attno, column
        if len(self.columns) == self.rel.desc.natts:
            return 0
        for attno, column in self.columns.items():
            if attno < 0:
                row.cols[column].values[0] = heap_getsysattr(tup, attno, &row.cols[column].nulls[0])
                if attno == -6:
                    row.cols[column].values[0] = self.rel.rd_id
                    row.cols[column].nulls[0] = 0
        return 0

    cdef int compute_generated(self) except -1:
        cdef int attno
        cdef Expr expr
        cdef bint isnull
        cdef Datum value
        if self.generated:
            self.ctx.scan = self.row
            for attno, expr in self.generated:
                value = eval_scalar(expr, self.ctx, &isnull)
                self.row.cols[attno - 1].values[0] = value
                self.row.cols[attno - 1].nulls[0] = isnull
        return 0

    def describe_row(self):
        """The row for messages: (a, b, null), long values cut."""
        cdef int i
        cdef Vector *v
        shown = []
        for i in range(self.rel.desc.natts):
            if self.rel.desc.attrs[i].attisdropped:
                continue
            v = &self.row.cols[i]
            if v.nulls[0]:
                shown.append("virtual" if self.rel.desc.attrs[i].attgenerated == c'v' else "null")
                continue
            text = support.text_output(self.rel.desc.attrs[i].atttypid)(
                datum_to_python(v.values[0], self.row.shape.type(i)))
            data = text.encode("utf-8", "surrogateescape")
            if len(data) > 64:
                text = data[:64].decode("utf-8", "ignore") + "..."
            shown.append(text)
        return "(" + ", ".join(shown) + ")"

    def schema_name(self):
        """The schema's name, for error fields."""
        row = lookup(NAMESPACEOID, self.rel.namespace)
        return None if row is None else row.nspname

    def null_in(self, int i):
        """23502 for a column."""
        name = self.rel.desc.names[i]
        return SqlError(
            errcode.NOT_NULL_VIOLATION,
            f'null value in column "{name}" of relation "{self.rel.name}" violates not-null constraint',
            detail=f"Failing row contains {self.describe_row()}.", schema=self.schema_name(), table=self.rel.name,
            column=name)

    cdef int check_constraints(self) except -1:
        cdef int i
        cdef Expr expr
        cdef bint isnull
        cdef Datum value
        if self.any_not_null:
            for i in range(self.rel.desc.natts):
                if self.rel.desc.attrs[i].attnotnull and self.row.cols[i].nulls[0] and \
                        self.rel.desc.attrs[i].attgenerated != c'v':
                    raise self.null_in(i)
        if self.virtual_not_null:
            self.ctx.scan = self.row
            for place, expr in self.virtual_not_null:
                eval_scalar(expr, self.ctx, &isnull)
                if isnull:
                    raise self.null_in(place)
        if self.checks:
            self.ctx.scan = self.row
            for name, expr in self.checks:
                value = eval_scalar(expr, self.ctx, &isnull)
                if value == 0 and not isnull:
                    raise SqlError(
                        errcode.CHECK_VIOLATION,
                        f'new row for relation "{self.rel.name}" violates check constraint "{name}"',
                        detail=f"Failing row contains {self.describe_row()}.", schema=self.schema_name(),
                        table=self.rel.name, constraint=name)
        return 0

    def check_view_options(self):
        """WITH CHECK OPTION of the views that led here."""
        cdef Expr expr
        cdef bint isnull
        cdef Datum value
        self.ctx.scan = self.row
        for kind, name, policy, expr in self.view_checks:
            if expr is None:
                continue
            value = eval_scalar(expr, self.ctx, &isnull)
            if value == 0 or isnull:
                if kind == 0:
                    raise SqlError(errcode.WITH_CHECK_OPTION_VIOLATION,
                                   f'new row violates check option for view "{name}"',
                                   detail=f"Failing row contains {self.describe_row()}.")
                raise SqlError(errcode.INSUFFICIENT_PRIVILEGE,
                               f'new row violates row-level security policy for table "{name}"')

    cdef HeapTupleData *form(self) except NULL:
        cdef Datum values[1664]
        cdef uint8_t nulls[1664]
        cdef int i, n = self.rel.desc.natts
        for i in range(n):
            values[i] = self.row.cols[i].values[0]
            nulls[i] = self.row.cols[i].nulls[0]
        return heap_form_tuple_malloc(self.rel.desc, values, nulls)

    cdef int index_values(self, IndexTarget target, Datum *values, uint8_t *nulls) except -1:
        cdef int i, attno
        cdef Expr expr
        cdef bint isnull
        for i in range(target.index.indnatts):
            attno = target.index.indkey[i]
            if attno > 0:
                values[i] = self.row.cols[attno - 1].values[0]
                nulls[i] = self.row.cols[attno - 1].nulls[0]
            elif attno < 0:
                raise feature_not_supported("index on a system column")
            else:
                expr = target.exprs[i]
                values[i] = eval_scalar(expr, self.ctx, &isnull)
                nulls[i] = isnull
        return 0

    cdef int insert_entries(self, const ItemPointerData *tid, bint only_summarizing, bint unchanged, set arbiters) \
            except -1:
        cdef IndexTarget target
        cdef Datum values[INDEX_MAX_KEYS]
        cdef uint8_t nulls[INDEX_MAX_KEYS]
        cdef bint isnull
        cdef int conflict = 0, check
        self.ctx.scan = self.row
        for target in self.indexes:
            if only_summarizing and target.index.am_oid != 3580:
                continue
            if target.predicate is not None:
                if eval_scalar(target.predicate, self.ctx, &isnull) == 0 or isnull:
                    continue
            self.index_values(target, values, nulls)
            check = target.unique_check
            if arbiters is not None and target.index.indisunique and target.index.rd_id in arbiters:
                check = UNIQUE_CHECK_PARTIAL
            if not index_insert(target.index, values, nulls, tid, self.rel, check, unchanged):
                if arbiters is not None and target.index.rd_id in arbiters:
                    conflict = 1
                else:
                    self.estate.triggers.recheck_unique(self.rel, target.index, (tid_block(tid), tid_offset(tid)))
        return conflict

    cdef int find_conflict(self, list arbiters, ItemPointerData *conflict, const ItemPointerData *own) except -1:
        cdef IndexTarget target
        cdef Datum values[INDEX_MAX_KEYS]
        cdef uint8_t nulls[INDEX_MAX_KEYS]
        cdef ScanKeyData keys[INDEX_MAX_KEYS]
        cdef Snapshot dirty
        cdef IndexScan scan
        cdef HeapTupleData *tup
        cdef int i
        cdef bint isnull, any_null
        cdef TransactionId wait_for
        cdef ItemPointerData at
        self.ctx.scan = self.row
        for target in self.indexes:
            if not target.index.indisunique or (arbiters and target.index.rd_id not in arbiters):
                continue
            if not target.index.indimmediate:
                if arbiters:
                    raise SqlError(
                        errcode.OBJECT_NOT_IN_PREREQUISITE_STATE,
                        "ON CONFLICT does not support deferrable unique constraints/exclusion constraints as arbiters",
                        schema=self.schema_name(), table=self.rel.name, constraint=target.index.name)
                continue
            if target.predicate is not None:
                if eval_scalar(target.predicate, self.ctx, &isnull) == 0 or isnull:
                    continue
            self.index_values(target, values, nulls)
            any_null = False
            for i in range(target.index.indnkeyatts):
                if nulls[i]:
                    any_null = True
                    if not target.index.indnullsnotdistinct:
                        break
                    memset(&keys[i], 0, sizeof(ScanKeyData))
                    keys[i].sk_attno = <short> (i + 1)
                    keys[i].sk_flags = SK_ISNULL | SK_SEARCHNULL
                    continue
                if (<DatumType> target.types[i]).typlen == -1:
                    values[i] = detoast(values[i], self.ctx.arena)
                init_scan_key(&keys[i], target.index, i + 1, BTREE_EQUAL, values[i])
            if any_null and not target.index.indnullsnotdistinct:
                continue
            while True:
                dirty = make_dirty_snapshot()
                wait_for = InvalidTransactionId
                scan = index_beginscan(self.rel, target.index, dirty)
                try:
                    index_rescan(scan, keys, target.index.indnkeyatts)
                    while True:
                        tup = index_getnext(scan, False)
                        if tup == NULL:
                            break
                        if own != NULL and tid_block(&tup.t_self) == tid_block(own) and \
                                tid_offset(&tup.t_self) == tid_offset(own):
                            continue
                        wait_for = dirty.xmin if dirty.xmin != InvalidTransactionId else dirty.xmax
                        at = tup.t_self
                        conflict[0] = at
                        break
                finally:
                    index_endscan(scan)
                if tup == NULL:
                    break
                if wait_for == InvalidTransactionId:
                    return 1
                if own != NULL:
                    return 1            # both are speculative: the caller takes its own back and tries again
                if dirty.speculativeToken:
                    speculative_insertion_wait(wait_for, dirty.speculativeToken)
                else:
                    xact_lock_table_wait(wait_for, self.rel.name, &at, XLTW_InsertIndex)
        return 0


def as_expression(tree):
    """A stored check: a list is implicitly ANDed."""
    return tree[0] if isinstance(tree, list) and len(tree) == 1 else tree


def relation_columns_of(Relation rel):
    """(number, type, typmod, collation) of a relation's columns; type 0: dropped."""
    return [(i + 1, 0 if rel.desc.attrs[i].attisdropped else rel.desc.attrs[i].atttypid, rel.desc.attrs[i].atttypmod,
             rel.desc.attrs[i].attcollation) for i in range(rel.desc.natts)]
