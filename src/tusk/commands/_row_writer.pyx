"""Rows into a table, many at a time.

The writer gathers formed tuples and hands them to heap_multi_insert; index entries and AFTER ROW triggers follow for
each. Constraints are checked and stored generated columns computed before a row is formed.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from tusk._types cimport Datum, tid_block, tid_offset
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport HeapTupleData
from tusk.access.heap._heap cimport heap_multi_insert, make_bulk_insert_state, release_bulk_insert_pin
from tusk.memory._interrupts cimport check_for_interrupts
from tusk.sql.execute._batch cimport Batch, batch_row
from tusk.sql.execute._result_relation cimport ResultRelation
from tusk.sql.execute._state cimport EState
from tusk.transaction._xact cimport get_current_command_id
from tusk.types._kernel cimport Vector
from tusk.types._kernel_datum cimport datum_type, python_to_datum

from tusk.sql.execute import triggers
from tusk.sql.nodes import PlannedStmt, enums

cdef enum:
    MAX_TUPLES = 1000
    MAX_BYTES = 65535

INSERT_SKIP_FSM, INSERT_FROZEN = 2, 4


cdef class RowWriter:
    """``RowWriter(rel)``, then `add_values` or `add_batch`, at last `finish`; `close` in any case.

    ``check`` false skips constraints and generated columns: rows of a rewrite that computed them. ``indexes`` false
    leaves indexes and triggers alone.
    """

    def __cinit__(self, Relation rel, int options=0, bint check=True, bint indexes=True):
        self.rel = rel
        self.options = options
        self.check = check
        self.estate = EState(PlannedStmt(commandType=enums.CMD_INSERT))
        self.result = ResultRelation(self.estate, rel)
        self.ctx = self.result.ctx
        self.tuples = <HeapTupleData **> malloc(MAX_TUPLES * sizeof(HeapTupleData *))
        self.lines = <int64_t *> malloc(MAX_TUPLES * sizeof(int64_t))
        if self.tuples == NULL or self.lines == NULL:
            raise MemoryError
        self.row_triggers = []
        if indexes:
            self.result.open_indexes(False)
            self.has_indexes = len(self.result.indexes) > 0
            self.row_triggers = triggers.row_triggers(rel, enums.CMD_INSERT, enums.ONCONFLICT_NONE)
        self.estate.triggers = triggers.statement_queue(self.estate)
        self.bistate = make_bulk_insert_state()

    def __dealloc__(self):
        cdef int i
        for i in range(self.ntuples):
            free(self.tuples[i])
        free(self.tuples)
        free(self.lines)

    @property
    def result_relation(self):
        """What compiles expressions over the row."""
        return self.result

    def prepare(self):
        """Make the row once all expressions over it are compiled; called before the first row."""
        self.result.prepare_rows()
        self.cid = get_current_command_id(True)

    cdef int add(self) except -1:
        cdef HeapTupleData *tup
        if self.check:
            if self.result.generated:
                self.result.compute_generated()
            self.result.check_constraints()
        tup = self.result.form()
        self.tuples[self.ntuples] = tup
        self.lines[self.ntuples] = self.line
        self.ntuples += 1
        self.nbytes += tup.t_len
        self.processed += 1
        if self.ntuples >= MAX_TUPLES or self.nbytes >= MAX_BYTES:
            self.flush()
        return 0

    cpdef int flush(self) except -1:
        """Store what is gathered."""
        cdef int i, n = self.ntuples
        cdef HeapTupleData *tup
        if n == 0:
            return 0
        check_for_interrupts()
        try:
            heap_multi_insert(self.rel, self.tuples, n, self.cid, self.options, self.bistate)
            for i in range(n):
                tup = self.tuples[i]
                if self.has_indexes:
                    self.failed_line = self.lines[i]
                    self.ctx.reset()
                    self.result.load(self.result.row, tup)
                    self.result.insert_entries(&tup.t_self, False, False, None)
                if self.row_triggers:
                    triggers.after_insert(self.estate, self.rel, self.row_triggers,
                                          (tid_block(&tup.t_self), tid_offset(&tup.t_self)))
            self.failed_line = 0
        finally:
            for i in range(n):
                free(self.tuples[i])
            self.ntuples = 0
            self.nbytes = 0
        return 0

    def add_values(self, values):
        """A row of Python values, one for each attribute."""
        cdef int i
        cdef Vector *v
        self.ctx.reset()
        for i in range(self.rel.desc.natts):
            v = &self.result.row.cols[i]
            value = values[i]
            v.nulls[0] = value is None
            if value is not None:
                v.values[0] = python_to_datum(value, datum_type(self.rel.desc.attrs[i].atttypid), self.ctx.arena)
        self.add()

    def add_batch(self, Batch batch, places=None):
        """The rows of a batch; ``places`` gives for each attribute its column in the batch, -1 for null."""
        cdef int k, i, row, place
        cdef int natts = self.rel.desc.natts
        cdef Vector *v
        cdef list order = list(range(natts)) if places is None else list(places)
        for k in range(batch.nsel):
            row = batch_row(batch, k)
            self.ctx.reset()
            for i in range(natts):
                place = order[i]
                v = &self.result.row.cols[i]
                if place < 0:
                    v.nulls[0] = 1
                else:
                    v.values[0] = batch.cols[place].values[row]
                    v.nulls[0] = batch.cols[place].nulls[row]
            self.add()

    def finish(self):
        """Store the rest and fire AFTER triggers; returns how many rows there were."""
        self.flush()
        triggers.fire_statement(self.estate)
        return self.processed

    def close(self):
        """Give back pins and indexes."""
        if not self.closed:
            self.closed = True
            release_bulk_insert_pin(self.bistate)
            if self.result.indexes is not None:
                self.result.close_indexes()
