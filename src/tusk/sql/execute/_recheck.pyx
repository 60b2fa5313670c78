"""EvalPlanQual (see _recheck.pxd): after waiting for a concurrent update, does the newest version still qualify?"""

from tusk._types cimport ItemPointerData
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport HeapTupleData
from tusk.access.heap._scan cimport heap_fetch
from tusk.sql.execute._scan cimport make_epq_tuple
from tusk.sql.execute._state cimport ParamSlot, build_plan
from tusk.storage._buffer cimport release_buffer
from tusk.transaction._snapshot cimport SnapshotAny

from tusk.sql.nodes import enums


def find_junk(targetlist, name):
    """Place of a resjunk column by its name, or -1."""
    for i, entry in enumerate(targetlist):
        if entry.resjunk and entry.resname == name:
            return i
    return -1


cdef class Recheck:
    """``Recheck(parent, plan, row_marks)``: row_marks are the PlanRowMarks of relations that are not locked."""

    def __init__(self, EState parent, plan, row_marks):
        self.parent = parent
        self.plan = plan
        self.marks = []
        for mark in row_marks:
            if mark.isParent or mark.markType == enums.ROW_MARK_COPY:
                continue
            place = find_junk(plan.targetlist, f"ctid{mark.rowmarkId}")
            if place >= 0:
                self.marks.append((mark.rti, place))

    cdef int begin(self) except -1:
        cdef ParamSlot mine, theirs
        cdef PlanState state
        cdef EState estate
        cdef int i
        if self.estate is None:
            self.estate = estate = EState(self.parent.stmt)
            estate.epq = {}
            self.top = build_plan(self.plan, estate)
        estate = self.estate
        estate.snapshot = self.parent.snapshot
        estate.output_cid = self.parent.output_cid
        for number, mine in estate.extern_by_id.items():
            theirs = self.parent.extern_by_id.get(number)
            if theirs is not None:
                mine.set(theirs.value, theirs.isnull)
        for i in range(len(estate.exec_params)):
            theirs = self.parent.exec_params[i]
            if theirs.pending is not None:
                theirs.pending.compute()
            (<ParamSlot> estate.exec_params[i]).set(theirs.value, theirs.isnull)
        for expr in estate.subplan_exprs:
            expr.forget()
        for state in estate.subplans:
            if state is not None:
                state.open()
        self.top.open()
        self.running = True
        return 0

    cdef Batch run(self, dict replaced, Batch batch, int row):
        cdef HeapTupleData tup
        cdef Relation rel
        cdef int buf, rti, place
        cdef Batch found
        self.end()
        tuples = dict(replaced)
        for rti, place in self.marks:
            if rti in tuples:
                continue
            if batch.cols[place].nulls[row]:
                tuples[rti] = None
                continue
            rel = self.parent.relation(rti)
            tup.t_self = (<ItemPointerData *> batch.cols[place].values[row])[0]
            buf = 0
            if heap_fetch(rel, SnapshotAny, &tup, &buf, False):
                tuples[rti] = make_epq_tuple(rel, &tup)
                release_buffer(buf)
            else:
                tuples[rti] = None
        if self.estate is not None:
            self.estate.epq = tuples
            self.begin()
        else:
            self.begin()
            self.estate.epq = tuples
        while True:
            found = self.top.next()
            if found is None or found.nsel:
                return found

    cdef int end(self) except -1:
        """Release what the last run holds."""
        cdef PlanState state
        if self.running:
            self.running = False
            self.top.close()
            for state in self.estate.subplans:
                if state is not None:
                    state.close()
            self.estate.close_relations()
        return 0
