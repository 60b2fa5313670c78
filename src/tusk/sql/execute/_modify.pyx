"""ModifyTable: INSERT, UPDATE, DELETE, MERGE with RETURNING, ON CONFLICT and rechecks of concurrently changed rows.

Rows are changed one by one. Each table has a ResultRelation, whose one-lane row batch all its expressions look at.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free
from tusk._types cimport CommandId, Datum, ItemPointerData, Oid, TransactionId, tid_block, tid_offset, tid_set
from tusk.access._relation cimport ATTR_KEY, Relation
from tusk.access._tuple cimport HeapTupleData, HeapTupleHeaderData
from tusk.access.heap._heap cimport (
    HEAP_INSERT_SPECULATIVE, LockTupleExclusive, LockTupleNoKeyExclusive, TM_Deleted, TM_FailureData, TM_Invisible,
    TM_Ok, TM_SelfModified, TM_Updated, TU_All, TU_None, TU_Summarizing, ensure_indexed_attrs, heap_abort_speculative,
    heap_delete, heap_finish_speculative, heap_insert)
from tusk.access.heap._lock_tuple cimport table_tuple_lock
from tusk.access.heap._scan cimport heap_fetch
from tusk.access.heap._update cimport heap_update
from tusk.memory._interrupts cimport check_for_interrupts
from tusk.sql.execute._batch cimport Batch, RowShape, batch_row
from tusk.sql.execute._recheck cimport Recheck
from tusk.sql.execute._result_relation cimport ResultRelation
from tusk.sql.execute._rowstore cimport RowStore
from tusk.sql.execute._scan cimport EpqTuple, make_epq_tuple
from tusk.sql.execute._state cimport EState, Expr, ExprContext, PlanState, eval_scalar, shape_of_targetlist
from tusk.storage._buffer cimport release_buffer
from tusk.transaction._lock cimport (
    LockWaitBlock, speculative_insertion_lock_acquire, speculative_insertion_lock_release)
from tusk.transaction._snapshot cimport SnapshotAny
from tusk.transaction._xact cimport (
    get_current_command_id, get_current_transaction_id, isolation_uses_xact_snapshot, transaction_id_is_current)
from tusk.types._kernel cimport BATCH_ROWS, Vector
from tusk.types._kernel_datum cimport DatumType

from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.sql.execute import _recheck, triggers
from tusk.sql.execute._expr import CallExpr, ConstExpr, FlagExpr
from tusk.sql.execute._state import register_node
from tusk.sql.nodes import enums
from tusk.types._kernel_datum import type_of

cdef int CMD_INSERT = enums.CMD_INSERT
cdef int CMD_UPDATE = enums.CMD_UPDATE
cdef int CMD_DELETE = enums.CMD_DELETE
cdef int CMD_MERGE = enums.CMD_MERGE
cdef int CMD_NOTHING = enums.CMD_NOTHING
cdef int MATCHED = enums.MERGE_WHEN_MATCHED
cdef int NOT_MATCHED_BY_SOURCE = enums.MERGE_WHEN_NOT_MATCHED_BY_SOURCE
cdef int NOT_MATCHED_BY_TARGET = enums.MERGE_WHEN_NOT_MATCHED_BY_TARGET
cdef int CONFLICT_NONE = enums.ONCONFLICT_NONE
cdef int CONFLICT_NOTHING = enums.ONCONFLICT_NOTHING
cdef int CONFLICT_UPDATE = enums.ONCONFLICT_UPDATE


def serialization_failure(what):
    """40001."""
    return SqlError(errcode.T_R_SERIALIZATION_FAILURE, f"could not serialize access due to concurrent {what}")


cdef class MergeChoice:
    """One WHEN clause of MERGE."""

    cdef int kind, command
    cdef Expr qual
    cdef list values                    # compiled: INSERT all columns, UPDATE those of attnos
    cdef list attnos


cdef class Target:
    """One result relation with what this statement does to it."""

    cdef ResultRelation result
    cdef Relation rel
    cdef int rti
    cdef list update_attnos             # UPDATE: attributes set, in the order of the plan's columns
    cdef list returning                 # compiled list, or None
    cdef Recheck recheck
    cdef list conflict_attnos
    cdef list conflict_targets          # compiled
    cdef Expr conflict_where
    cdef list row_triggers              # AFTER ROW triggers for the operation
    cdef bint has_triggers
    cdef object old_exists, new_exists
    cdef list merge_choices
    cdef Expr merge_present             # whether the plan's row has a source row; None: it always has


cdef class ModifyTableState(PlanState):
    """ModifyTable."""

    cdef int operation
    cdef list targets_of                # Target per result relation
    cdef int ctid_place, tableoid_place
    cdef RowStore returned
    cdef Batch window
    cdef int64_t returned_at
    cdef Batch input
    cdef int next_row
    cdef bint done, can_set_tag
    cdef int on_conflict
    cdef list arbiters
    cdef set arbiter_set
    cdef object subplan_list
    cdef int nvalues                    # columns of the subplan that are values
    cdef bint has_returning
    cdef Batch again                    # the plan's row after a recheck
    cdef bint merging
    cdef bint merge_again               # the row changed meanwhile: choose an action for what is in `again`
    cdef bint merge_gone                # the row was deleted meanwhile
    cdef readonly str merge_action      # what merge_action() says in RETURNING

    def __init__(self, object plan, EState estate):
        cdef Target target
        self.operation = plan.operation
        self.merging = self.operation == CMD_MERGE
        self.can_set_tag = plan.canSetTag
        self.on_conflict = plan.onConflictAction
        self.arbiters = list(plan.arbiterIndexes)
        self.arbiter_set = set(self.arbiters)
        self.subplan_list = plan.lefttree.targetlist
        self.ctid_place = _recheck.find_junk(self.subplan_list, "ctid")
        self.tableoid_place = _recheck.find_junk(self.subplan_list, "tableoid")
        self.nvalues = len([entry for entry in self.subplan_list if not entry.resjunk])
        self.has_returning = bool(plan.returningLists)
        self.shape = shape_of_targetlist(plan.returningLists[0]) if plan.returningLists else RowShape([])
        self.result = Batch(self.shape)
        self.window = Batch(self.shape)
        self.returned = RowStore(self.shape)
        self.targets_of = []
        for i in range(len(plan.resultRelations)):
            self.targets_of.append(self.make_target(plan, i))
        if not plan.canSetTag:
            estate.auxiliary_modifies.insert(0, self)

    def make_target(self, plan, i):
        """Compile what belongs to one result relation."""
        cdef Target target = Target()
        cdef Relation rel
        target.rti = plan.resultRelations[i]
        rel = self.estate.relation(target.rti)
        check_relation(rel, self.operation)
        options = plan.withCheckOptionLists[i] if plan.withCheckOptionLists else ()
        target.result = ResultRelation(self.estate, rel, options)
        if self.operation == CMD_UPDATE:
            target.update_attnos = list(plan.updateColnosLists[i])
        target.recheck = Recheck(self.estate, plan.lefttree, plan.rowMarks)
        if plan.returningLists:
            compiler = target.result.compiler()
            target.old_exists = ConstExpr(self.operation != CMD_INSERT, type_of(16))
            target.new_exists = ConstExpr(self.operation != CMD_DELETE, type_of(16))
            if self.on_conflict == CONFLICT_UPDATE or self.merging:
                target.old_exists = FlagExpr(type_of(16))
            if self.merging:
                target.new_exists = FlagExpr(type_of(16))
                compiler.merge_action = lambda: CallExpr(lambda: self.merge_action, None, [], False, type_of(25), -1, 100)
            compiler.returning_exists = lambda retold: target.old_exists if retold else target.new_exists
            target.returning = compiler.targets(plan.returningLists[i])
        if self.merging:
            compiler = target.result.compiler()
            target.merge_choices = [self.make_choice(compiler, action) for action in plan.mergeActionLists[i]]
            target.merge_present = compiler.qual(plan.mergeJoinConditions[i])
        if self.on_conflict == CONFLICT_UPDATE:
            compiler = target.result.compiler()
            target.conflict_attnos = list(plan.onConflictCols)
            target.conflict_targets = [compiler.compile(entry.expr) for entry in plan.onConflictSet]
            target.conflict_where = compiler.qual(plan.onConflictWhere)
        return target

    def make_choice(self, compiler, action):
        """Compile a WHEN clause."""
        cdef MergeChoice choice = MergeChoice()
        choice.kind = action.matchKind
        choice.command = action.commandType
        choice.qual = compiler.qual(action.qual)
        choice.values = [compiler.compile(entry.expr) for entry in action.targetList if not entry.resjunk]
        choice.attnos = list(action.updateColnos or ())
        return choice

    @property
    def result_relations(self):
        """The tables changed, for EXPLAIN."""
        return [(<Target> t).rti for t in self.targets_of]

    cdef int open(self) except -1:
        cdef Target target
        self.done = False
        self.input = None
        self.next_row = 0
        self.returned.clear()
        self.returned_at = 0
        self.estate.output_cid = get_current_command_id(True)
        if self.estate.triggers is None:
            self.estate.triggers = triggers.statement_queue(self.estate)
        for target in self.targets_of:
            target.rel = self.estate.relation(target.rti)
            target.result.rel = target.rel
            target.result.open_indexes(self.on_conflict != CONFLICT_NONE)
            target.result.prepare_rows()
            target.row_triggers = triggers.row_triggers(target.rel, CMD_MERGE if self.merging else self.operation,
                                                         self.on_conflict)
            target.has_triggers = bool(target.row_triggers)
        return PlanState.open(self)

    cdef int close(self) except -1:
        cdef Target target
        for target in self.targets_of:
            target.recheck.end()
            target.result.close_indexes()
            target.rel = None
        self.returned.clear()
        return PlanState.close(self)

    cdef int rescan(self, object changed) except -1:
        raise feature_not_supported("rescan of ModifyTable")

    cdef Batch produce(self):
        cdef int row
        if self.has_returning and self.returned_at < self.returned.nrows:
            return self.give_returned()
        self.returned.clear()
        self.returned_at = 0
        while not self.done:
            if self.input is None or self.next_row >= self.input.nsel:
                self.input = self.left.next()
                self.next_row = 0
                if self.input is None:
                    self.done = True
                    triggers.end_of_modify(self.estate, [(<Target> t).rel for t in self.targets_of],
                                           CMD_MERGE if self.merging else self.operation)
                    break
                continue
            row = batch_row(self.input, self.next_row)
            self.next_row += 1
            self.one_row(row)
            if self.has_returning and self.returned.nrows >= self.batch_limit:
                return self.give_returned()
        if self.returned.nrows > self.returned_at:
            return self.give_returned()
        return None

    cdef Batch give_returned(self):
        self.returned.fill(self.window, <int> (self.returned_at >> 10), <int> (self.returned_at & 1023))
        self.returned_at += self.window.nsel
        return self.window

    cdef int one_row(self, int row) except -1:
        cdef Target target = self.targets_of[0]
        cdef ItemPointerData tid
        cdef Vector *v
        check_for_interrupts()
        if len(self.targets_of) > 1 and self.tableoid_place >= 0:
            oid = <Oid> self.input.cols[self.tableoid_place].values[row]
            for target in self.targets_of:
                if target.rel.rd_id == oid:
                    break
        target.result.ctx.reset()
        if self.merging:
            return self.merge_row(target, self.input, row)
        if self.operation == CMD_INSERT:
            self.insert(target, self.input, row)
            return 0
        v = &self.input.cols[self.ctid_place]
        if self.ctid_place < 0 or v.nulls[row]:
            raise SqlError(errcode.INTERNAL_ERROR, "ctid is NULL")
        tid = (<ItemPointerData *> v.values[row])[0]
        if self.operation == CMD_UPDATE:
            self.update(target, self.input, row, &tid)
        else:
            self.delete(target, self.input, row, &tid)
        return 0

    # -- INSERT ----------------------------------------------------------------------------------------------------

    cdef int insert(self, Target target, Batch batch, int row) except -1:
        cdef ResultRelation result = target.result
        cdef int i, n = target.rel.desc.natts
        cdef Vector *v
        for i in range(n):
            v = &result.row.cols[i]
            if i < self.nvalues:
                v.values[0] = batch.cols[i].values[row]
                v.nulls[0] = batch.cols[i].nulls[row]
            else:
                v.nulls[0] = 1
        return self.insert_row(target, batch, row)

    cdef int insert_row(self, Target target, Batch batch, int row) except -1:
        """Check and store result.row."""
        cdef ResultRelation result = target.result
        cdef HeapTupleData *tup
        cdef ItemPointerData conflict
        cdef uint32_t token
        cdef bint failed
        result.compute_generated()
        if target.result.view_checks:
            result.check_view_options()
        result.check_constraints()
        if self.on_conflict != CONFLICT_NONE:
            while True:
                if result.find_conflict(self.arbiters, &conflict, NULL):
                    if self.on_conflict == CONFLICT_NOTHING:
                        self.check_conflict_visible(target, &conflict)
                        if self.instrument is not None:
                            self.instrument.nfiltered2 += 1
                        return 0
                    if self.conflict_update(target, batch, row, &conflict):
                        return 0
                    continue
                token = speculative_insertion_lock_acquire(get_current_transaction_id())
                tup = result.form()
                try:
                    tid_set(&tup.t_data.t_ctid, token, 0xFFFE)
                    heap_insert(target.rel, tup, self.estate.output_cid, HEAP_INSERT_SPECULATIVE, None)
                    failed = result.insert_entries(&tup.t_self, False, False, self.all_arbiters(target))
                    if failed:
                        # Some index has an equal key in sight: another one's, or this row's twin is being inserted.
                        failed = result.find_conflict(self.arbiters, &conflict, &tup.t_self)
                    if failed:
                        heap_abort_speculative(target.rel, &tup.t_self)
                    else:
                        heap_finish_speculative(target.rel, &tup.t_self)
                    speculative_insertion_lock_release(get_current_transaction_id())
                    if failed:
                        continue
                    self.inserted(target, tup, batch, row)
                finally:
                    free(tup)
                return 0
        tup = result.form()
        try:
            heap_insert(target.rel, tup, self.estate.output_cid, 0, None)
            if result.indexes:
                result.insert_entries(&tup.t_self, False, False, None)
            self.inserted(target, tup, batch, row)
        finally:
            free(tup)
        return 0

    cdef set all_arbiters(self, Target target):
        """The indexes whose conflicts are handled: those named, else every unique one."""
        if self.arbiters:
            return self.arbiter_set
        return {index.rd_id for index in target.result.index_relations() if index.indisunique}

    cdef int inserted(self, Target target, HeapTupleData *tup, Batch batch, int row) except -1:
        if self.can_set_tag:
            self.estate.processed += 1
        if target.has_triggers:
            triggers.after_insert(self.estate, target.rel, target.row_triggers,
                                  (tid_block(&tup.t_self), tid_offset(&tup.t_self)))
        if target.returning is not None:
            tup.t_tableOid = target.rel.rd_id
            target.result.set_system(target.result.row, tup)
            self.nullify(target.result.old)
            if self.on_conflict == CONFLICT_UPDATE:
                target.old_exists.value = False
            self.project_returning(target, target.result.row, batch, row)
        return 0

    cdef int nullify(self, Batch row) except -1:
        cdef int i
        for i in range(row.ncols):
            row.cols[i].nulls[0] = 1
        return 0

    cdef int check_conflict_visible(self, Target target, ItemPointerData *tid) except -1:
        """DO NOTHING may pass over a row this transaction cannot see only at READ COMMITTED."""
        cdef HeapTupleData tup
        cdef int buf = 0
        if not isolation_uses_xact_snapshot():
            return 0
        tup.t_self = tid[0]
        if heap_fetch(target.rel, self.estate.snapshot, &tup, &buf, True):
            release_buffer(buf)
            return 0
        if buf:
            mine = transaction_id_is_current(tup.t_data.t_xmin)
            release_buffer(buf)
            if not mine:
                raise serialization_failure("update")
        return 0

    cdef int conflict_update(self, Target target, Batch batch, int row, ItemPointerData *tid) except -1:
        """ON CONFLICT DO UPDATE; 0: the row went away, try again."""
        cdef ResultRelation result = target.result
        cdef HeapTupleData tup
        cdef TM_FailureData tmfd
        cdef int buf = 0, status, i, attno
        cdef Expr expr
        cdef Datum values[1664]
        cdef uint8_t nulls[1664]
        cdef bint isnull
        cdef int mode = self.lock_mode(target, target.conflict_attnos)
        cdef EpqTuple held
        status = table_tuple_lock(target.rel, tid, &tup, self.estate.output_cid, mode, LockWaitBlock, False, False, &buf,
                                  &tmfd)
        if status == TM_Invisible:
            raise SqlError(
                errcode.CARDINALITY_VIOLATION, "ON CONFLICT DO UPDATE command cannot affect row a second time",
                hint="Ensure that no rows proposed for insertion within the same command have duplicate constrained "
                     "values.")
        if status == TM_SelfModified:
            raise SqlError(errcode.INTERNAL_ERROR, "unexpected self-updated tuple")
        if status == TM_Updated or status == TM_Deleted:
            if isolation_uses_xact_snapshot():
                raise serialization_failure("update" if status == TM_Updated else "delete")
            return 0
        if status != TM_Ok:
            raise SqlError(errcode.INTERNAL_ERROR, f"unrecognized table_tuple_lock status: {status}")
        tup.t_tableOid = target.rel.rd_id
        held = make_epq_tuple(target.rel, &tup)
        release_buffer(buf)
        self.check_conflict_visible(target, tid)
        result.load(result.old, &held.tup)
        result.ctx.scan = result.old
        result.ctx.inner = result.row
        if target.conflict_where is not None:
            if eval_scalar(target.conflict_where, result.ctx, &isnull) == 0 or isnull:
                if self.instrument is not None:
                    self.instrument.nfiltered1 += 1
                return 1
        i = 0
        for expr in target.conflict_targets:
            values[i] = eval_scalar(expr, result.ctx, &isnull)
            nulls[i] = isnull
            i += 1
        for i in range(target.rel.desc.natts):
            result.row.cols[i].values[0] = result.old.cols[i].values[0]
            result.row.cols[i].nulls[0] = result.old.cols[i].nulls[0]
        i = 0
        for attno in target.conflict_attnos:
            result.row.cols[attno - 1].values[0] = values[i]
            result.row.cols[attno - 1].nulls[0] = nulls[i]
            i += 1
        if self.on_conflict == CONFLICT_UPDATE and target.returning is not None:
            target.old_exists.value = True
        self.write_update(target, batch, row, tid)
        return 1

    cdef int lock_mode(self, Target target, list attnos) except -1:
        """The row lock an update of these attributes takes (ExecUpdateLockMode)."""
        cdef int i
        ensure_indexed_attrs(target.rel)
        for i in range(target.rel.n_indexed_attrs):
            if target.rel.indexed_attrs[i].kinds & ATTR_KEY and target.rel.indexed_attrs[i].attnum in attnos:
                return LockTupleExclusive
        return LockTupleNoKeyExclusive

    # -- UPDATE ----------------------------------------------------------------------------------------------------

    cdef int fetch_old(self, Target target, ItemPointerData *tid) except -1:
        """Load the row at tid into result.old, by copy."""
        cdef HeapTupleData tup
        cdef HeapTupleData copy
        cdef int buf = 0
        cdef char *room
        tup.t_self = tid[0]
        if not heap_fetch(target.rel, SnapshotAny, &tup, &buf, False):
            raise SqlError(errcode.INTERNAL_ERROR, "failed to fetch tuple being updated")
        try:
            room = target.result.ctx.arena.copy_bytes(tup.t_data, tup.t_len)
        finally:
            release_buffer(buf)
        copy = tup
        copy.t_data = <HeapTupleHeaderData *> room
        copy.t_tableOid = target.rel.rd_id
        return target.result.load(target.result.old, &copy)

    cdef int take_values(self, Target target, Batch batch, int row) except -1:
        """The new row: the old one with the plan's values put in."""
        cdef ResultRelation result = target.result
        cdef int i, place = 0, attno
        for i in range(target.rel.desc.natts):
            result.row.cols[i].values[0] = result.old.cols[i].values[0]
            result.row.cols[i].nulls[0] = result.old.cols[i].nulls[0]
        for attno in target.update_attnos:
            result.row.cols[attno - 1].values[0] = batch.cols[place].values[row]
            result.row.cols[attno - 1].nulls[0] = batch.cols[place].nulls[row]
            place += 1
        return 0

    cdef int update(self, Target target, Batch batch, int row, ItemPointerData *tid) except -1:
        self.fetch_old(target, tid)
        self.take_values(target, batch, row)
        return self.write_update(target, batch, row, tid)

    cdef int write_update(self, Target target, Batch batch, int row, ItemPointerData *tid) except -1:
        """Check and store result.row as the new version of the row at tid."""
        cdef ResultRelation result = target.result
        cdef HeapTupleData *tup
        cdef TM_FailureData tmfd
        cdef int status, lockmode, update_indexes
        cdef ItemPointerData at = tid[0]
        while True:
            result.compute_generated()
            if result.view_checks:
                result.check_view_options()
            result.check_constraints()
            tup = result.form()
            try:
                status = heap_update(target.rel, &at, tup, self.estate.output_cid, self.estate.crosscheck, True, &tmfd,
                                     &lockmode, &update_indexes)
                if status == TM_Ok:
                    if update_indexes != TU_None and result.indexes:
                        result.insert_entries(&tup.t_self, update_indexes == TU_Summarizing, False, None)
                    if self.can_set_tag:
                        self.estate.processed += 1
                    if target.has_triggers:
                        triggers.after_update(
                            self.estate, target.rel, target.row_triggers, (tid_block(&at), tid_offset(&at)),
                            (tid_block(&tup.t_self), tid_offset(&tup.t_self)))
                    if target.returning is not None:
                        tup.t_tableOid = target.rel.rd_id
                        result.set_system(result.row, tup)
                        self.project_returning(target, result.row, batch, row)
                    return 0
            finally:
                free(tup)
            if not self.changed_meanwhile(target, status, &tmfd, &at, lockmode, batch, row):
                return 0
            if self.merging:
                self.merge_again = True
                return 0
            if self.operation == CMD_INSERT:
                raise SqlError(errcode.INTERNAL_ERROR, "unexpected concurrent update of a locked row")
            batch = self.again
            row = batch_row(batch, 0)
            self.fetch_old(target, &at)
            self.take_values(target, batch, row)

    cdef int changed_meanwhile(self, Target target, int status, TM_FailureData *tmfd, ItemPointerData *at, int lockmode,
                               Batch batch, int row) except -1:
        """The row was changed by somebody: 1 when its newest version (now locked, at *at) is to be tried."""
        cdef HeapTupleData tup
        cdef int buf = 0
        cdef Batch found
        cdef EpqTuple held
        what = "update" if self.operation == CMD_UPDATE else "delete"
        if status == TM_SelfModified:
            if tmfd.cmax != self.estate.output_cid:
                raise SqlError(
                    errcode.TRIGGERED_DATA_CHANGE_VIOLATION,
                    f"tuple to be {what}d was already modified by an operation triggered by the current command",
                    hint="Consider using an AFTER trigger instead of a BEFORE trigger to propagate changes to other "
                         "rows.")
            if self.merging:
                raise second_time()
            return 0
        if status == TM_Deleted:
            if isolation_uses_xact_snapshot():
                raise serialization_failure("delete")
            self.merge_gone = True
            return 0
        if status != TM_Updated:
            raise SqlError(errcode.INTERNAL_ERROR, f"unrecognized table_tuple_{what} status: {status}")
        if isolation_uses_xact_snapshot():
            raise serialization_failure("update")
        # Lock the newest version and see whether it still qualifies.
        status = table_tuple_lock(target.rel, at, &tup, self.estate.output_cid, lockmode, LockWaitBlock, True, True,
                                  &buf, tmfd)
        if status == TM_Deleted:
            self.merge_gone = True
            return 0
        if status == TM_SelfModified:
            if tmfd.cmax != self.estate.output_cid:
                raise SqlError(
                    errcode.TRIGGERED_DATA_CHANGE_VIOLATION,
                    f"tuple to be {what}d was already modified by an operation triggered by the current command",
                    hint="Consider using an AFTER trigger instead of a BEFORE trigger to propagate changes to other "
                         "rows.")
            if self.merging:
                raise second_time()
            return 0
        if status != TM_Ok:
            raise SqlError(errcode.INTERNAL_ERROR, f"unexpected table_tuple_lock status: {status}")
        tup.t_tableOid = target.rel.rd_id
        held = make_epq_tuple(target.rel, &tup)
        release_buffer(buf)
        at[0] = tup.t_self
        found = target.recheck.run({target.rti: held}, batch, row)
        if found is None:
            return 0
        self.again = found
        return 1

    # -- DELETE ----------------------------------------------------------------------------------------------------

    cdef int delete(self, Target target, Batch batch, int row, ItemPointerData *tid) except -1:
        cdef ResultRelation result = target.result
        cdef TM_FailureData tmfd
        cdef int status
        cdef ItemPointerData at = tid[0]
        while True:
            status = heap_delete(target.rel, &at, self.estate.output_cid, self.estate.crosscheck, True, &tmfd, False)
            if status == TM_Ok:
                break
            if not self.changed_meanwhile(target, status, &tmfd, &at, LockTupleExclusive, batch, row):
                return 0
            if self.merging:
                self.merge_again = True
                return 0
            batch = self.again
            row = batch_row(batch, 0)
        if self.can_set_tag:
            self.estate.processed += 1
        if target.has_triggers:
            triggers.after_delete(self.estate, target.rel, target.row_triggers, (tid_block(&at), tid_offset(&at)))
        if target.returning is not None:
            self.fetch_old(target, &at)
            self.nullify(result.row)
            self.project_returning(target, result.old, batch, row)
        return 0

    # -- MERGE -----------------------------------------------------------------------------------------------------

    cdef int merge_row(self, Target target, Batch batch, int row) except -1:
        """Find the WHEN clause for a joined row and do what it says; again when the target row changes meanwhile."""
        cdef ResultRelation result = target.result
        cdef MergeChoice choice
        cdef ItemPointerData tid
        cdef Vector *v
        cdef int kind
        cdef bint isnull
        while True:
            result.ctx.outer = one_lane(batch, row)
            result.ctx.scan = result.old
            v = &batch.cols[self.ctid_place]
            kind = NOT_MATCHED_BY_TARGET
            if not v.nulls[row]:
                tid = (<ItemPointerData *> v.values[row])[0]
                self.fetch_old(target, &tid)
                kind = MATCHED
                if target.merge_present is not None:
                    if eval_scalar(target.merge_present, result.ctx, &isnull) == 0 or isnull:
                        kind = NOT_MATCHED_BY_SOURCE
            else:
                self.nullify(result.old)
            self.merge_again = self.merge_gone = False
            choice = self.choose(target, kind)
            if choice is None:
                return 0
            self.merge_one(target, choice, batch, row, &tid)
            if self.merge_gone:
                # Without its row the source row is not matched any more.
                if kind == NOT_MATCHED_BY_SOURCE:
                    return 0
                self.nullify(result.old)
                choice = self.choose(target, NOT_MATCHED_BY_TARGET)
                if choice is not None:
                    self.merge_one(target, choice, batch, row, &tid)
                return 0
            if not self.merge_again:
                return 0
            batch = self.again
            row = batch_row(batch, 0)

    cdef MergeChoice choose(self, Target target, int kind):
        """The first clause of a kind whose condition holds."""
        cdef MergeChoice choice
        cdef bint isnull
        for choice in target.merge_choices:
            if choice.kind != kind:
                continue
            if choice.qual is not None and (eval_scalar(choice.qual, target.result.ctx, &isnull) == 0 or isnull):
                continue
            return choice
        return None

    cdef int merge_one(self, Target target, MergeChoice choice, Batch batch, int row, ItemPointerData *tid) except -1:
        cdef ResultRelation result = target.result
        cdef Datum values[1664]
        cdef uint8_t nulls[1664]
        cdef Expr expr
        cdef bint isnull
        cdef int i, attno
        if choice.command == CMD_NOTHING:
            return 0
        self.operation = choice.command
        if target.returning is not None:
            target.old_exists.value = choice.command != CMD_INSERT
            target.new_exists.value = choice.command != CMD_DELETE
            self.merge_action = ("DELETE" if choice.command == CMD_DELETE
                                 else "INSERT" if choice.command == CMD_INSERT else "UPDATE")
        if choice.command == CMD_DELETE:
            return self.delete(target, batch, row, tid)
        i = 0
        for expr in choice.values:
            values[i] = eval_scalar(expr, result.ctx, &isnull)
            nulls[i] = isnull
            i += 1
        for i in range(target.rel.desc.natts):
            result.row.cols[i].values[0] = result.old.cols[i].values[0]
            result.row.cols[i].nulls[0] = result.old.cols[i].nulls[0]
        if choice.command == CMD_INSERT:
            for i in range(len(choice.values)):
                result.row.cols[i].values[0] = values[i]
                result.row.cols[i].nulls[0] = nulls[i]
            return self.insert_row(target, batch, row)
        i = 0
        for attno in choice.attnos:
            result.row.cols[attno - 1].values[0] = values[i]
            result.row.cols[attno - 1].nulls[0] = nulls[i]
            i += 1
        return self.write_update(target, batch, row, tid)

    # -- RETURNING -------------------------------------------------------------------------------------------------

    cdef int project_returning(self, Target target, Batch scan, Batch batch, int row) except -1:
        cdef ExprContext ctx = target.result.ctx
        cdef Expr expr
        cdef Vector *columns[1664]
        cdef int i = 0
        ctx.scan = scan
        ctx.old = target.result.old
        ctx.new = target.result.row
        ctx.outer = one_lane(batch, row)
        for expr in target.returning:
            columns[i] = expr.eval(ctx, NULL, 1)
            i += 1
        return self.returned.append_row(columns, 0)


cdef Batch one_lane(Batch batch, int row):
    """The subplan's columns as a batch of one lane, to stand beside the row of the table."""
    cdef Batch outer = Batch(batch.shape)
    cdef int i
    for i in range(batch.ncols):
        outer.cols[i].values = batch.cols[i].values + row
        outer.cols[i].nulls = batch.cols[i].nulls + row
    outer.select_all(1)
    return outer


def second_time():
    """21000."""
    return SqlError(errcode.CARDINALITY_VIOLATION, "MERGE command cannot affect row a second time",
                    hint="Ensure that not more than one source row matches any one target row.")


def check_relation(Relation rel, operation):
    """Refuse what cannot be changed (CheckValidResultRel)."""
    kind = chr(rel.relkind)
    if kind == "r":
        return
    if kind == "S":
        raise SqlError(errcode.WRONG_OBJECT_TYPE, f'cannot change sequence "{rel.name}"')
    if kind == "t":
        raise SqlError(errcode.WRONG_OBJECT_TYPE, f'cannot change TOAST relation "{rel.name}"')
    if kind == "m":
        raise SqlError(errcode.WRONG_OBJECT_TYPE, f'cannot change materialized view "{rel.name}"')
    if kind == "v":
        raise feature_not_supported("INSTEAD OF triggers")
    raise feature_not_supported(f'changing relation "{rel.name}" of kind {kind}')


register_node("ModifyTable", ModifyTableState)
