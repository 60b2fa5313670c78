"""Base of the scans of tables (see _scan.pxd).

Columns are taken from the tuples in two steps: first those that the qual looks at; those of the target list only from
the rows that pass. By-reference values stay in the page, which is pinned until the next batch is made.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy
from tusk._types cimport TransactionId, tid_set
from tusk.access._deform cimport deform_columns
from tusk.access._tuple cimport heap_getsysattr
from tusk.sql.execute._batch cimport RowShape, batch_row
from tusk.sql.execute._state cimport EState, shape_of_targetlist
from tusk.storage._buffer cimport NBuffers, release_buffer
from tusk.types._kernel cimport Vector
from tusk.types._kernel_datum cimport DatumType, datum_type

from tusk.errors import SqlError, errcode
from tusk.sql.execute.program import Compiler

SYSTEM_TYPES = {-1: 27, -2: 28, -3: 29, -4: 28, -5: 29, -6: 26}


cdef class EpqTuple:
    """A row version outside of its page."""


cdef EpqTuple make_epq_tuple(Relation rel, const HeapTupleData *tup):
    """A copy of a tuple."""
    cdef EpqTuple out = EpqTuple()
    cdef bytes image = (<char *> tup.t_data)[:tup.t_len]
    out.memory = image
    out.tup = tup[0]
    out.tup.t_data = <HeapTupleHeaderData *> <char *> image
    out.rel = rel
    return out


cdef int make_set(ColumnSet *out, object pairs) except -1:
    """pairs: (attribute number, column), for attributes from 1."""
    cdef int i
    pairs = sorted(pairs)
    out.n = len(pairs)
    out.attnums = <int16_t *> calloc(out.n + 1, sizeof(int16_t))
    out.columns = <int *> calloc(out.n + 1, sizeof(int))
    out.values = <Datum **> calloc(out.n + 1, sizeof(Datum *))
    out.nulls = <uint8_t **> calloc(out.n + 1, sizeof(uint8_t *))
    if out.attnums == NULL or out.columns == NULL or out.values == NULL or out.nulls == NULL:
        raise MemoryError
    for i in range(out.n):
        out.attnums[i] = pairs[i][0]
        out.columns[i] = pairs[i][1]
    return 0


cdef int point_set(ColumnSet *columns, Batch batch) except -1:
    """Where the columns' lanes are."""
    cdef int i
    cdef Vector *v
    for i in range(columns.n):
        v = batch.lanes(columns.columns[i])
        columns.values[i] = v.values
        columns.nulls[i] = v.nulls
    return 0


cdef void free_set(ColumnSet *columns) noexcept:
    free(columns.attnums)
    free(columns.columns)
    free(columns.values)
    free(columns.nulls)


def relation_columns(Relation rel):
    """(number, type, typmod, collation) of a relation's columns; type 0: dropped."""
    return [(i + 1, 0 if rel.desc.attrs[i].attisdropped else rel.desc.attrs[i].atttypid, rel.desc.attrs[i].atttypmod,
             rel.desc.attrs[i].attcollation) for i in range(rel.desc.natts)]


cdef class ScanState(PlanState):
    """Base of SeqScan, IndexScan, BitmapHeapScan, TidScan and their kin."""

    def __dealloc__(self):
        free_set(&self.qual_set)
        free_set(&self.rest_set)
        free_set(&self.all_set)

    cdef int prepare_scan(self, object plan, object recheck) except -1:
        cdef Relation rel
        self.rti = plan.scanrelid
        rel = self.estate.relation(self.rti)
        columns = {}
        compiler = Compiler(self, self.estate, columns)
        compiler.relation_columns = lambda: relation_columns(rel)
        self.qual = compiler.qual(plan.qual)
        nqual = len(columns)
        self.targets = compiler.targets(plan.targetlist)
        nall = len(columns)
        if recheck:
            self.recheck = compiler.qual(recheck)
        self.shape = shape_of_targetlist(plan.targetlist)
        self.result = Batch(self.shape)
        types = [0] * len(columns)
        for attno, column in columns.items():
            types[column] = SYSTEM_TYPES[attno] if attno < 0 else rel.desc.attrs[attno - 1].atttypid
        self.scan = Batch(RowShape(types))
        self.system_columns = [(a, c) for a, c in columns.items() if a < 0]
        make_set(&self.qual_set, [(a, c) for a, c in columns.items() if a > 0 and c < nqual])
        make_set(&self.rest_set, [(a, c) for a, c in columns.items() if a > 0 and nqual <= c < nall])
        make_set(&self.all_set, [(a, c) for a, c in columns.items() if a > 0])
        point_set(&self.qual_set, self.scan)
        point_set(&self.rest_set, self.scan)
        point_set(&self.all_set, self.scan)
        for attno, column in self.system_columns:
            self.scan.lanes(column)
        return 0

    @property
    def column_names(self):
        """Names of the relation's columns."""
        return list(self.estate.relation(self.rti).desc.names)

    @property
    def relation_object(self):
        """The relation scanned."""
        return self.rel

    cdef int open(self) except -1:
        self.rel = self.estate.relation(self.rti)
        if self.rel.relkind == c'm' and not self.rel.form.relispopulated:
            raise SqlError(
                errcode.OBJECT_NOT_IN_PREREQUISITE_STATE,
                f'materialized view "{self.rel.name}" has not been populated',
                hint="Use the REFRESH MATERIALIZED VIEW command.")
        self.ntuples = 0
        self.npins = 0
        self.epq_done = False
        # Never hold a large part of the pool.
        self.pin_limit = MAX_PINS if NBuffers >= 8 * MAX_PINS else max(NBuffers // 16, 1)
        return PlanState.open(self)

    cdef int close(self) except -1:
        self.drop_pins()
        self.rel = None
        return PlanState.close(self)

    cdef int rescan(self, object changed) except -1:
        self.epq_done = False
        return PlanState.rescan(self, changed)

    cdef int drop_pins(self) noexcept:
        cdef int i
        for i in range(self.npins):
            release_buffer(self.pins[i])
        self.npins = 0
        return 0

    cdef int keep_pin(self, int buf) except -1:
        """Take over a pin until the next batch."""
        self.pins[self.npins] = buf
        self.npins += 1
        return 0

    cdef void add_tuple(self, HeapTupleHeaderData *header, BlockNumber block, int offset) noexcept:
        self.headers[self.ntuples] = header
        tid_set(&self.tids[self.ntuples], block, <uint16_t> offset)
        self.ntuples += 1

    cdef int fill_system(self) except -1:
        """The system columns of all tuples."""
        cdef int i, attno, column
        cdef Vector *v
        cdef HeapTupleData tup
        tup.t_tableOid = self.rel.rd_id
        tup.t_len = 0
        for attno, column in self.system_columns:
            v = &self.scan.cols[column]
            if attno == -1:
                for i in range(self.ntuples):
                    v.values[i] = <Datum> &self.tids[i]
                    v.nulls[i] = 0
                continue
            for i in range(self.ntuples):
                tup.t_self = self.tids[i]
                tup.t_data = self.headers[i]
                v.values[i] = heap_getsysattr(&tup, attno, &v.nulls[i])
        return 0

    cdef Batch finish_batch(self, bint check_again):
        cdef int n = self.ntuples, m, k
        cdef const uint16_t *sel = NULL
        cdef uint16_t *keep
        cdef HeapTupleHeaderData *chosen[BATCH_ROWS]
        if n == 0:
            return None
        self.ctx.reset()
        self.scan.select_all(n)
        self.ctx.scan = self.scan
        if self.system_columns:
            self.fill_system()
        if check_again:
            deform_columns(&self.rel.desc.c, self.headers, n, self.all_set.attnums, self.all_set.n, self.all_set.values,
                           self.all_set.nulls)
            keep = self.result.selection()
            m = n
            if self.recheck is not None:
                m = self.recheck.filter(self.ctx, NULL, n, keep)
                sel = keep
            if m and self.qual is not None:
                m = self.qual.filter(self.ctx, sel, m, keep)
                sel = keep
            if m == 0:
                return None
            return self.project(n, sel, m)
        if self.qual is None:
            deform_columns(&self.rel.desc.c, self.headers, n, self.rest_set.attnums, self.rest_set.n,
                           self.rest_set.values, self.rest_set.nulls)
            return self.project(n, NULL, n)
        deform_columns(&self.rel.desc.c, self.headers, n, self.qual_set.attnums, self.qual_set.n,
                       self.qual_set.values, self.qual_set.nulls)
        keep = self.result.selection()
        m = self.qual.filter(self.ctx, NULL, n, keep)
        if self.instrument is not None:
            self.instrument.nfiltered1 += n - m
        if m == 0:
            return None
        if self.rest_set.n and m < n / 4 and not self.system_columns:
            # Few are left: go on with these alone.
            for k in range(m):
                chosen[k] = self.headers[keep[k]]
            deform_columns(&self.rel.desc.c, chosen, m, self.all_set.attnums, self.all_set.n, self.all_set.values,
                           self.all_set.nulls)
            self.scan.select_all(m)
            return self.project(m, NULL, m)
        deform_columns(&self.rel.desc.c, self.headers, n, self.rest_set.attnums, self.rest_set.n,
                       self.rest_set.values, self.rest_set.nulls)
        return self.project(n, keep, m)

    cdef Batch epq_batch(self):
        """The one row that stands for this relation in a recheck."""
        cdef EpqTuple tup
        cdef Batch batch
        if self.epq_done:
            return None
        self.epq_done = True
        tup = self.estate.epq[self.rti]
        if tup is None:
            return None
        self.ntuples = 1
        self.headers[0] = tup.tup.t_data
        self.tids[0] = tup.tup.t_self
        return self.finish_batch(True)
