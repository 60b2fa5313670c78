"""LockRows: SELECT ... FOR UPDATE and its weaker kin."""

from libc.stdint cimport uint16_t
from tusk._types cimport ItemPointerData
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport HeapTupleData
from tusk.access.heap._heap cimport (
    LockTupleExclusive, LockTupleKeyShare, LockTupleNoKeyExclusive, LockTupleShare, TM_Deleted, TM_FailureData,
    TM_Invisible, TM_Ok, TM_SelfModified, TM_Updated, TM_WouldBlock)
from tusk.access.heap._lock_tuple cimport table_tuple_lock
from tusk.memory._interrupts cimport check_for_interrupts
from tusk.sql.execute._batch cimport Batch, batch_row
from tusk.sql.execute._recheck cimport Recheck
from tusk.sql.execute._rowstore cimport RowStore
from tusk.sql.execute._scan cimport EpqTuple, make_epq_tuple
from tusk.sql.execute._state cimport EState, PlanState
from tusk.storage._buffer cimport release_buffer
from tusk.transaction._xact cimport get_current_command_id, isolation_uses_xact_snapshot

from tusk.errors import SqlError, errcode
from tusk.sql.execute import _recheck
from tusk.sql.execute._state import register_node
from tusk.sql.nodes import enums

MODES = {
    enums.ROW_MARK_EXCLUSIVE: LockTupleExclusive, enums.ROW_MARK_NOKEYEXCLUSIVE: LockTupleNoKeyExclusive,
    enums.ROW_MARK_SHARE: LockTupleShare, enums.ROW_MARK_KEYSHARE: LockTupleKeyShare,
}


cdef class LockRowsState(PlanState):
    """LockRows."""

    cdef list marks                     # (rti, place of ctid, lock mode, wait policy)
    cdef Recheck recheck
    cdef RowStore locked
    cdef Batch input
    cdef int at                         # the first row of the input that has not been looked at

    def __init__(self, object plan, EState estate):
        self.shape = self.left.shape
        self.result = Batch(self.shape)
        self.locked = RowStore(self.shape)
        self.marks = []
        for mark in plan.rowMarks:
            if mark.isParent:
                continue
            if mark.markType in MODES:
                place = _recheck.find_junk(plan.lefttree.targetlist, f"ctid{mark.rowmarkId}")
                self.marks.append((mark.rti, place, MODES[mark.markType], int(mark.waitPolicy)))

        self.recheck = Recheck(estate, plan.lefttree, list(plan.rowMarks))

    cdef int open(self) except -1:
        self.locked.clear()
        self.input = None
        self.estate.output_cid = get_current_command_id(True)
        return PlanState.open(self)

    cdef int close(self) except -1:
        self.recheck.end()
        self.locked.clear()
        return PlanState.close(self)

    cdef int rescan(self, object changed) except -1:
        self.input = None
        return PlanState.rescan(self, changed)

    cdef Batch produce(self):
        """No more rows are locked than are asked for: the rest of the input waits for the next call."""
        while True:
            self.locked.clear()
            if self.input is None or self.at >= self.input.nsel:
                self.input = self.left.next()
                self.at = 0
                if self.input is None:
                    return None
            while self.at < self.input.nsel and self.locked.nrows < self.batch_limit:
                check_for_interrupts()
                self.lock_row(batch_row(self.input, self.at))
                self.at += 1
            if self.locked.nrows:
                self.locked.fill(self.result, 0, 0)
                return self.result

    cdef int lock_row(self, int row) except -1:
        """Lock the tuples of one row; keep the row, or what became of it, unless it is gone."""
        cdef int rti, place, mode, policy, status, buf
        cdef Relation rel
        cdef ItemPointerData tid
        cdef HeapTupleData tup
        cdef TM_FailureData tmfd
        cdef Batch found
        cdef uint16_t one[1]
        cdef EpqTuple held
        replaced = {}
        changed = False
        for rti, place, mode, policy in self.marks:
            if self.input.cols[place].nulls[row]:
                replaced[rti] = None
                continue
            rel = self.estate.relation(rti)
            tid = (<ItemPointerData *> self.input.cols[place].values[row])[0]
            buf = 0
            status = table_tuple_lock(rel, &tid, &tup, self.estate.output_cid, mode, policy, True,
                                      not isolation_uses_xact_snapshot(), &buf, &tmfd)
            if status == TM_Ok:
                tup.t_tableOid = rel.rd_id
                held = make_epq_tuple(rel, &tup)
                release_buffer(buf)
                replaced[rti] = held
                if tmfd.traversed:
                    changed = True
                continue
            if buf:
                release_buffer(buf)
            if status == TM_WouldBlock:
                return 0                # SKIP LOCKED
            if status == TM_SelfModified:
                return 0
            if status == TM_Updated:
                raise SqlError(errcode.T_R_SERIALIZATION_FAILURE,
                               "could not serialize access due to concurrent update")
            if status == TM_Deleted:
                if isolation_uses_xact_snapshot():
                    raise SqlError(errcode.T_R_SERIALIZATION_FAILURE,
                                   "could not serialize access due to concurrent update")
                return 0
            raise SqlError(errcode.INTERNAL_ERROR, f"unexpected table_tuple_lock status: {status}")
        if not changed:
            one[0] = <uint16_t> row
            self.locked.append(self.input, one, 1)
            return 0
        found = self.recheck.run(replaced, self.input, row)
        if found is not None:
            one[0] = <uint16_t> batch_row(found, 0)
            self.locked.append(found, one, 1)
        return 0


register_node("LockRows", LockRowsState)
