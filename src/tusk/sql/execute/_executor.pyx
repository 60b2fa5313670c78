"""Running a PlannedStmt from start to end (executor/execMain.h).

An Executor compiles the plan when it is made, and can be started again after ``end``: a prepared statement keeps one
and pays for compilation once.
"""

from libc.stdint cimport int64_t, uint16_t
from tusk._types cimport Oid
from tusk.sql.execute._batch cimport Batch, RowShape
from tusk.sql.execute._rowstore cimport RowStore
from tusk.sql.execute._state cimport EState, ParamSlot, PlanState, build_plan
from tusk.sql.execute._subplan import SubPlanExpr
from tusk.transaction._snapshot cimport Snapshot
from tusk.transaction._state cimport XactReadOnly

from tusk.errors import SqlError, errcode
from tusk.sql.execute import nodes as _nodes  # noqa: F401  # registers the plan nodes
from tusk.sql.execute import _index_support, referential, triggers  # noqa: F401  # register
from tusk.sql.execute.permissions import check_permissions, refuse_writing, written_relations
from tusk.sql.nodes import enums

FORWARD, BACKWARD = 1, -1

cdef int CMD_SELECT = enums.CMD_SELECT

class Column:
    """What RowDescription says of a result column."""

    __slots__ = ("name", "type_oid", "typmod", "collation", "table_oid", "table_column")

    def __init__(self, name, type_oid, typmod, collation, table_oid, table_column):
        self.name = name
        self.type_oid = type_oid
        self.typmod = typmod
        self.collation = collation
        self.table_oid = table_oid
        self.table_column = table_column


cdef class Executor:
    """``Executor(stmt)``, then ``start(params, snapshot)``, ``next_batch()`` or ``run()``, ``finish()``, ``end()``."""

    def __init__(self, object stmt, str source_text="", bint scrollable=False, list row_ids=None):
        """row_ids: (relation, place of its TID in the plan's rows) for a cursor that WHERE CURRENT OF may name."""
        self.stmt = stmt
        self.is_select = stmt.commandType == CMD_SELECT
        self.estate = EState(stmt)
        self.estate.source_text = source_text
        self.written = written_relations(stmt.permInfos)
        self.scrollable = scrollable
        self.top = build_plan(stmt.planTree, self.estate)
        targetlist = self.top.plan.targetlist
        if type(self.top.plan).__name__ == "ModifyTable":
            targetlist = self.top.plan.returningLists[0] if self.top.plan.returningLists else []
        places = [i for i, entry in enumerate(targetlist) if not entry.resjunk]
        shape = self.top.shape
        self.columns = [
            Column(targetlist[i].resname if targetlist[i].resname is not None else "?column?", shape.types[i].oid,
                   shape.typmods[i], shape.collations[i], targetlist[i].resorigtbl, targetlist[i].resorigcol)
            for i in places
        ]
        self.shape = RowShape([c.type_oid for c in self.columns], [c.typmod for c in self.columns],
                              [c.collation for c in self.columns], [c.name for c in self.columns])
        self.visible = None if len(places) == len(targetlist) else places
        self.full_shape = self.shape
        if row_ids:
            self.row_ids = [relation for relation, _ in row_ids]
            self.visible = places + [place for _, place in row_ids]
            self.full_shape = RowShape([shape.types[i].oid for i in self.visible],
                                       [shape.typmods[i] for i in self.visible],
                                       [shape.collations[i] for i in self.visible])
            self.seen = Batch(self.shape)
            # Rows are locked as they are fetched.
            self.top.set_batch_limit(1 if stmt.rowMarks else 1024)
        self.out = Batch(self.full_shape)

    def start(self, object params=None, Snapshot snapshot=None, object crosscheck=None, bint instrument=False,
              object output_cid=None, bint read_only=False, bint permissions=True):
        """Begin an execution. params: Python values of $1, $2, ...; the snapshot stays the caller's to keep alive."""
        cdef EState estate = self.estate
        cdef ParamSlot slot
        if self.running:
            raise SqlError(errcode.INTERNAL_ERROR, "executor is running already")
        estate.crosscheck = crosscheck
        estate.instrument = instrument
        estate.read_only = read_only
        if output_cid is not None:
            estate.output_cid = output_cid
        for number, slot in estate.extern_by_id.items():
            if params is None or number > len(params):
                raise SqlError(errcode.UNDEFINED_OBJECT, f"no value found for parameter {number}")
            slot.set_python(params[number - 1])
        self.begin(snapshot, permissions)

    cdef ParamSlot parameter(self, int number):
        return self.estate.extern_by_id.get(number)

    cdef int begin(self, Snapshot snapshot, bint permissions) except -1:
        cdef EState estate = self.estate
        cdef PlanState state
        estate.snapshot = snapshot
        estate.processed = 0
        if XactReadOnly and self.written:
            refuse_writing(self.stmt, self.written)
        if permissions and self.stmt.permInfos:
            check_permissions(self.stmt.permInfos)
        self.running = True
        self.finished = False
        self.at_end = False
        self.position = 0
        self.held = None
        for expr in estate.subplan_exprs:
            expr.forget()
        for state in estate.subplans:
            if state is not None:
                state.open()
        self.top.open()
        return 0

    cdef Batch pull(self):
        """The next batch of visible columns from the plan, or None."""
        cdef Batch batch
        cdef int i, place
        while not self.at_end:
            batch = self.top.next()
            if batch is None:
                self.at_end = True
                return None
            if batch.nsel == 0:
                continue
            if self.visible is None:
                return batch
            i = 0
            for place in self.visible:
                self.out.cols[i] = batch.cols[place]
                i += 1
            self.out.nrows = batch.nrows
            self.out.nsel = batch.nsel
            self.out.sel = batch.sel
            return self.out
        return None

    cpdef Batch next_batch(self, int64_t limit=0):
        """The next rows, at most limit (0: as many as come at once); None at the end. Valid until the next call."""
        cdef Batch batch
        cdef Batch part
        if self.scrollable:
            return self.scroll_forward(limit)
        if self.held is not None:
            batch = self.held
            part = batch.slice(self.held_from, batch.nsel if limit == 0 or limit > batch.nsel else <int> limit)
            self.held_from += part.nsel
            if self.held_from >= batch.nsel:
                self.held = None
        else:
            batch = self.pull()
            if batch is None:
                return None
            part = batch
            if limit and batch.nsel > limit:
                part = batch.slice(0, <int> limit)
                self.held = batch
                self.held_from = <int> limit
        if self.is_select:
            self.estate.processed += part.nsel
        return part if self.row_ids is None else self.without_row_ids(part)

    cdef Batch without_row_ids(self, Batch batch):
        """The visible columns of a batch; the TIDs of its last row, where the cursor now stands, are noted."""
        cdef int i
        cdef Batch seen = self.seen
        self.seen_of = batch
        self.current = [(relation, batch.value(batch.nsel - 1, self.shape.ncols + i))
                        for i, relation in enumerate(self.row_ids)]
        for i in range(seen.ncols):
            seen.cols[i] = batch.cols[i]
        seen.nrows = batch.nrows
        seen.nsel = batch.nsel
        seen.sel = batch.sel
        return seen

    cdef Batch scroll_forward(self, int64_t limit):
        cdef Batch batch
        if self.store is None:
            self.store = RowStore(self.full_shape)
            self.window = Batch(self.full_shape)
        while self.position >= self.store.nrows:
            batch = self.pull()
            if batch is None:
                self.position = self.store.nrows + 1
                return None
            self.store.append(batch, batch.sel, batch.nsel)
        self.store.fill(self.window, <int> (self.position >> 10), <int> (self.position & 1023))
        batch = self.window
        if limit and batch.nsel > limit:
            batch = batch.slice(0, <int> limit)
        self.position += batch.nsel
        self.estate.processed += batch.nsel
        return batch if self.row_ids is None else self.without_row_ids(batch)

    def scroll_backward(self, int64_t limit=0):
        """Rows before the cursor, nearest first, as a list of one-row positions: a batch in reverse order."""
        cdef int64_t first
        if self.store is None or self.position <= 0:
            return None
        if self.position > self.store.nrows:
            self.position = self.store.nrows + 1
        # The row at position - 1 is the one the cursor stands on; the ones before it are asked for.
        return self._backward(limit)

    def _backward(self, int64_t limit):
        cdef int64_t at = self.position - 2
        cdef Batch batch
        cdef uint16_t *sel
        if at < 0:
            self.position = 0
            return None
        self.store.fill(self.window, <int> (at >> 10), 0)
        batch = self.window
        sel = batch.selection()
        n = 0
        while at >= 0 and (at >> 10) == ((self.position - 2) >> 10) and (limit == 0 or n < limit):
            sel[n] = <uint16_t> (at & 1023)
            n += 1
            at -= 1
        batch.sel = sel
        batch.nsel = n
        self.position = at + 2
        self.estate.processed += n
        return batch if self.row_ids is None else self.without_row_ids(batch)

    def rewind(self):
        """Back to before the first row."""
        self.held = None
        if self.scrollable:
            self.position = 0
            return
        self.at_end = False
        self.top.rescan(frozenset())

    def run(self, int64_t limit=0, int direction=FORWARD):
        """Batches, at most limit rows in all (0: everything)."""
        cdef Batch batch
        cdef int64_t left = limit
        while True:
            batch = self.next_batch(left) if direction == FORWARD else self.scroll_backward(left)
            if batch is None:
                return
            yield batch
            if limit:
                left -= batch.nsel
                if left <= 0:
                    return

    cpdef int finish(self) except -1:
        """Complete what must be completed (data-modifying CTEs) and fire AFTER triggers; call it once all rows that are
        wanted have been taken."""
        cdef PlanState state
        if self.finished:
            return 0
        self.finished = True
        for state in self.estate.auxiliary_modifies:
            while state.next() is not None:
                pass
        if self.estate.triggers is not None:
            triggers.fire_statement(self.estate)
        return 0

    cpdef int end(self) except -1:
        """Release what the execution holds. The executor can be started again."""
        cdef PlanState state
        if not self.running:
            self.estate.close_relations()       # compiling may have opened them
            return 0
        self.running = False
        try:
            self.top.close()
            for state in self.estate.subplans:
                if state is not None:
                    state.close()
        finally:
            self.estate.close_relations()
            if self.estate.cte_stores:
                self.estate.cte_stores.clear()
            self.estate.snapshot = None
            self.estate.triggers = None
            self.held = None
            self.store = None
            self.window = None
        return 0

    @property
    def processed(self):
        """Rows returned or modified, for the command tag."""
        return self.estate.processed

    def all_rows(self):
        """Everything as Python tuples; runs to the end."""
        rows = []
        for batch in self.run():
            rows.extend(batch.rows())
        return rows


def execute(stmt, params=None, snapshot=None, **options):
    """Run a plan from start to end: (rows as Python tuples, number processed)."""
    executor = Executor(stmt)
    executor.start(params, snapshot, **options)
    try:
        rows = executor.all_rows()
        executor.finish()
        return rows, executor.processed
    finally:
        executor.end()
