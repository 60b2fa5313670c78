"""Portals: a query being executed, in one go or in pieces (utils/portal.h, tcop/pquery.h).

Strategies are PostgreSQL's: a plain query runs incrementally; a data-modifying query with RETURNING, and a utility
that returns rows, run to completion at the first fetch and their rows are kept; anything else runs at once.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from tusk.commands import utility
from tusk.commands.completion import command_tag, with_row_count
from tusk.commands.destination import Collect, DestReceiver, Discard, ResultColumn
from tusk.errors import SqlError, errcode
from tusk.sql import execute
from tusk.sql.nodes import (
    CMD_SELECT,
    CMD_UTILITY,
    CURSOR_OPT_NO_SCROLL,
    CURSOR_OPT_SCROLL,
    PlannedStmt,
    enums,
)
from tusk.sql.nodes.nodefuncs import expr_type, expr_typmod
from tusk.transaction import _snapshot as snapshots
from tusk.transaction import xact

FORWARD, BACKWARD = 1, -1
FETCH_ALL = 0x7FFFFFFFFFFFFFFF  # howMany of FETCH ALL, as the grammar has it


class Strategy(Enum):
    """How a portal's statements are run."""

    ONE_SELECT = 1
    ONE_RETURNING = 2
    ONE_MOD_WITH = 3
    UTIL_SELECT = 4
    MULTI_QUERY = 5


def choose_strategy(plans: list[Any], session: Any) -> Strategy:
    """ChoosePortalStrategy over planned statements (utility ones wrapped in PlannedStmt)."""
    main = [plan for plan in plans if plan.canSetTag]
    if len(plans) == 1:
        only = plans[0]
        if only.commandType == CMD_SELECT and only.canSetTag:
            return Strategy.ONE_MOD_WITH if only.hasModifyingCTE else Strategy.ONE_SELECT
        if only.commandType == CMD_UTILITY:
            if utility.result_columns(only.utilityStmt, session) is not None:
                return Strategy.UTIL_SELECT
            return Strategy.MULTI_QUERY
    if len(main) == 1 and main[0].hasReturning:
        return Strategy.ONE_RETURNING
    return Strategy.MULTI_QUERY


def plan_columns(plan: PlannedStmt) -> list[ResultColumn]:
    """The columns of a plan's visible targets."""
    tree = plan.planTree
    return [
        ResultColumn(
            target.resname or "?column?",
            expr_type(target.expr),
            expr_typmod(target.expr),
            target.resorigtbl,
            target.resorigcol,
        )
        for target in tree.targetlist
        if not target.resjunk
    ]


class Portal:
    """One portal. States: new, started (``run`` may be called), finished, failed."""

    def __init__(
        self, name: str, plans: list[Any], text: str, session: Any, *, parameters: Any = None, cursor_options: int = 0,
        source: Any = None,
    ) -> None:  # fmt: skip
        self.name = name
        self.plans = plans
        self.text = text
        self.session = session
        self.parameters = parameters
        self.cursor_options = cursor_options
        # For the log: the prepared statement, and the types of its parameters.
        self.statement_name = ""
        self.parameter_types: list[int] = []
        # Its executors and descriptions serve this portal only while it runs the source's own plan.
        self._source = source if source is not None and plans is source.generic else None
        known: Any = self._source.described.get("portal") if self._source is not None else None
        if known is None:
            tag = command_tag(plans[0]) if plans else ""
            if source is not None and source.raw is not None and not any(plan.canSetTag for plan in plans):
                tag = command_tag(source.raw)
            known = (choose_strategy(plans, session), tag)
            if self._source is not None:
                self._source.described["portal"] = known
        self.strategy: Any
        self.tag: str
        self.strategy, self.tag = known
        self.formats: list[int] = []
        self.created_in = xact.current_subtransaction_id()
        self.creation_time = xact.statement_start_timestamp()
        self.is_holdable = False
        # Of a declared cursor: (relation, place of its TID in the plan's rows), for WHERE CURRENT OF.
        self.row_ids: list[tuple[int, int]] = []
        self.visible = True
        self.at_start = True
        self.at_end = False
        self.position = 0
        self.done = False
        self.failed = False
        self.running = False
        self._executor: Any = None
        self._held: list[tuple[Any, ...]] | None = None
        self._snapshot: Any = None

    # Shape

    def columns(self) -> list[ResultColumn] | None:
        """What Describe says; None for no rows."""
        if self._source is None:
            return self._columns()
        described: dict[Any, Any] = self._source.described
        if "columns" not in described:
            described["columns"] = self._columns()
        return described["columns"]  # type: ignore[no-any-return]

    @property
    def described(self) -> dict[Any, Any] | None:
        """Where descriptions of the result may be kept as long as the plan lives; None for a plan of one use."""
        return self._source.described if self._source is not None else None

    def _columns(self) -> list[ResultColumn] | None:
        match self.strategy:
            case Strategy.ONE_SELECT | Strategy.ONE_MOD_WITH:
                return plan_columns(self.plans[0])
            case Strategy.ONE_RETURNING:
                return plan_columns(next(plan for plan in self.plans if plan.canSetTag))
            case Strategy.UTIL_SELECT:
                return utility.result_columns(self.plans[0].utilityStmt, self.session)
        return None

    # Running

    def start(self) -> None:
        """Begin a plain query: take its snapshot and set up the executor (PortalStart)."""
        if self.strategy is not Strategy.ONE_SELECT or self._executor is not None or self._held is not None:
            return
        plan = self.plans[0]
        snapshots.push_active(snapshots.transaction_snapshot())
        try:
            self._snapshot = snapshots.register(snapshots.required_snapshot())
            self._executor = self._take_executor(plan)
            self._executor.start(self.parameters, self._snapshot)
        finally:
            snapshots.pop_active()

    def _take_executor(self, plan: PlannedStmt) -> Any:
        """An idle executor of the cached plan, or a new one."""
        if self._source is not None and not self.cursor_options and self._source.executors:
            return self._source.executors.pop()
        return execute.Executor(plan, self.text, bool(self.cursor_options & CURSOR_OPT_SCROLL), self.row_ids)

    def current_rows(self) -> list[tuple[int, Any]] | None:
        """(relation, TID) of the row the cursor stands on, TIDs None where it stands on none; None if it is held."""
        if self._executor is None:
            return None
        current: list[tuple[int, Any]] | None = self._executor.current
        return current if current is not None else [(relation, None) for relation, _ in self.row_ids]

    def _give_back(self, executor: Any) -> None:
        """Keep an executor that ended well for the next execution of the same plan."""
        if (
            self._source is not None
            and self.plans is self._source.generic
            and not self.cursor_options
            and len(self._source.executors) < 2
        ):
            self._source.executors.append(executor)

    def run(self, limit: int, destination: DestReceiver, *, is_top_level: bool = True) -> str | None:
        """Run forward until ``limit`` rows (0: all) have gone to the receiver.

        Returns the completion tag, or None where the limit was reached first (PortalSuspended).
        """
        self._check_runnable()
        self.running = True
        try:
            if self.strategy is Strategy.ONE_SELECT:
                return self._run_select(limit, destination)
            if self.strategy is Strategy.MULTI_QUERY:
                if self.done:
                    raise SqlError(
                        errcode.OBJECT_NOT_IN_PREREQUISITE_STATE, f'portal "{self.name}" cannot be run'
                    )
                tag = self._run_multi(destination, is_top_level)
                self.done = True
                return tag
            if self._held is None:
                self._fill(is_top_level)
            return self._run_held(limit, destination)
        except BaseException:
            self.failed = True
            raise
        finally:
            self.running = False

    def _check_runnable(self) -> None:
        if self.failed or self.running:
            raise SqlError(errcode.OBJECT_NOT_IN_PREREQUISITE_STATE, f'portal "{self.name}" cannot be run')

    def _run_select(self, limit: int, destination: DestReceiver) -> str | None:
        if self._held is not None:
            return self._run_held(limit, destination)
        self.start()
        columns = self.columns()
        assert columns is not None
        destination.startup(columns)
        nrows = self._pull(limit, FORWARD, destination)
        destination.shutdown()
        if limit and nrows == limit:
            return None
        return with_row_count(self._completion_tag(), nrows)

    def _completion_tag(self) -> str:
        return "SELECT" if self.tag.startswith("SELECT") else self.tag

    def _pull(self, limit: int, direction: int, destination: DestReceiver) -> int:
        """Let the executor run; keeps the portal's position."""
        if (self.at_end and direction == FORWARD) or (self.at_start and direction == BACKWARD):
            return 0
        nrows = 0
        snapshots.push_active(self._snapshot)
        try:
            for batch in self._executor.run(limit, direction):
                nrows += len(batch)
                destination.receive(batch)
        finally:
            snapshots.pop_active()
        complete = not limit or nrows < limit
        if direction == FORWARD:
            if nrows:
                self.at_start = False
            self.at_end = complete
            self.position += nrows + (1 if complete else 0)
        else:
            if nrows and self.at_end:
                self.at_end = False
            if complete:
                self.at_start, self.at_end = True, False
                self.position = 0
            else:
                self.position -= nrows
        return nrows

    def _fill(self, is_top_level: bool) -> None:
        """Run statements whose rows are kept (FillPortalStore)."""
        collected = Collect()
        if self.strategy is Strategy.UTIL_SELECT:
            self.tag = self._run_utility(self.plans[0], collected, is_top_level)
        else:
            self.tag = self._run_multi(collected, is_top_level)
        self._held = collected.rows

    def _run_held(self, limit: int, destination: DestReceiver) -> str | None:
        """Hand out kept rows."""
        assert self._held is not None
        columns = self.columns()
        destination.startup(columns or [])
        start = max(0, self.position if not self.at_start else 0)
        stop = min(len(self._held), start + limit) if limit else len(self._held)
        destination.receive_rows(self._held[start:stop])
        destination.shutdown()
        self.at_start = False
        self.position = stop
        if limit and stop - start == limit:
            return None
        self.at_end = True
        if self.strategy is Strategy.ONE_SELECT:
            return with_row_count("SELECT", stop - start)
        return self.tag

    def _run_multi(self, destination: DestReceiver, is_top_level: bool) -> str:
        """Run all statements (PortalRunMulti); the one that sets the tag gives the rows and the tag."""
        tag = ""
        for index, plan in enumerate(self.plans):
            # What a rule added has its rows shown in the simple protocol alone.
            is_shown = plan.canSetTag or getattr(destination, "with_description", False)
            receiver = destination if is_shown else Discard()
            if plan.commandType == CMD_UTILITY:
                done = self._run_utility(plan, receiver, is_top_level)
            else:
                done = self._run_plan(plan, receiver)
            if plan.canSetTag:
                tag = done
            if index + 1 < len(self.plans):
                xact.command_counter_increment()
        if tag or any(plan.canSetTag for plan in self.plans):
            return tag or self.tag
        # Rules have replaced the command: it did nothing itself.
        return with_row_count(self.tag, 0) if self.tag else ""

    def _run_plan(self, plan: PlannedStmt, destination: DestReceiver) -> str:
        snapshots.push_active(snapshots.transaction_snapshot())
        executor: Any = None
        try:
            snapshots.update_active_command_id()
            single = len(self.plans) == 1
            executor = self._take_executor(plan) if single else execute.Executor(plan, self.text)
            executor.start(self.parameters, snapshots.active_snapshot())
            returns_rows = plan.hasReturning or plan.commandType == CMD_SELECT
            if returns_rows:
                destination.startup(plan_columns(plan))
            nrows = 0
            for batch in executor.run(0, FORWARD):
                nrows += len(batch)
                if returns_rows:
                    destination.receive(batch)
            if returns_rows:
                destination.shutdown()
            executor.finish()
            processed = executor.processed if plan.commandType != CMD_SELECT else nrows
            executor.end()
            if single:
                self._give_back(executor)
            executor = None
            return with_row_count(self.tag if single else command_tag(plan), processed)
        finally:
            if executor is not None:
                executor.end()
            snapshots.pop_active()

    def _run_utility(self, plan: PlannedStmt, destination: DestReceiver, is_top_level: bool) -> str:
        statement = plan.utilityStmt
        context = utility.UtilityContext(
            self.text, destination, self.session, self.parameters, is_top_level, plan.stmt_location, plan.stmt_len
        )
        pushed = utility.needs_snapshot(statement)
        if pushed:
            snapshots.push_active(snapshots.transaction_snapshot())
        depth_ok = False
        try:
            tag = utility.process_utility(statement, context)
            depth_ok = True
            return tag
        finally:
            # VACUUM and the like end the transaction, and the snapshot with it.
            if pushed and depth_ok and snapshots.is_active_set():
                snapshots.pop_active()

    # Cursors

    def fetch(self, direction: Any, count: int, destination: DestReceiver) -> int:
        """FETCH and MOVE (PortalRunFetch); ``count`` may be FETCH_ALL. Returns the number of rows."""
        self._check_runnable()
        self.running = True
        try:
            if self.strategy is not Strategy.ONE_SELECT and self._held is None:
                self._fill(False)
            else:
                self.start()
            destination.startup(self.columns() or [])
            nrows = self._fetch(direction, count, destination)
            destination.shutdown()
            return nrows
        except BaseException:
            self.failed = True
            raise
        finally:
            self.running = False

    def _fetch(self, direction: Any, count: int, destination: DestReceiver) -> int:
        match direction:
            case enums.FETCH_FORWARD:
                if count < 0:
                    direction, count = enums.FETCH_BACKWARD, -count
            case enums.FETCH_BACKWARD:
                if count < 0:
                    direction, count = enums.FETCH_FORWARD, -count
            case enums.FETCH_ABSOLUTE:
                return self._fetch_absolute(count, destination)
            case enums.FETCH_RELATIVE:
                return self._fetch_relative(count, destination)
        forward = direction == enums.FETCH_FORWARD
        if count == 0:
            return self._refetch(destination)
        limit = 0 if count == FETCH_ALL else count
        return self._step(limit, FORWARD if forward else BACKWARD, destination)

    def _refetch(self, destination: DestReceiver) -> int:
        """Count 0: the current row once more."""
        on_row = not self.at_start and not self.at_end
        if not on_row:
            return 0
        if isinstance(destination, Discard):
            return 1
        self._step(1, BACKWARD, Discard())
        return self._step(1, FORWARD, destination)

    def _fetch_absolute(self, count: int, destination: DestReceiver) -> int:
        if count > 0:
            if self.at_end or count - 1 < self.position:
                self._rewind()
                skip = count - 1
            else:
                skip = count - 1 - self.position
            if skip and self._step(skip, FORWARD, Discard()) < skip:
                return 0
            return self._step(1, FORWARD, destination)
        if count < 0:
            self._step(0, FORWARD, Discard())
            if -count > 1:
                self._step(-count - 1, BACKWARD, Discard())
            return self._step(1, BACKWARD, destination)
        self._rewind()
        return 0

    def _fetch_relative(self, count: int, destination: DestReceiver) -> int:
        if count > 0:
            if count > 1:
                self._step(count - 1, FORWARD, Discard())
            return self._step(1, FORWARD, destination)
        if count < 0:
            if count < -1:
                self._step(-count - 1, BACKWARD, Discard())
            return self._step(1, BACKWARD, destination)
        return self._refetch(destination)

    def _rewind(self) -> None:
        if self.at_start:
            return
        self._check_scroll()
        if self._held is None:
            self._executor.rewind()
        self.at_start, self.at_end, self.position = True, False, 0

    def _check_scroll(self) -> None:
        if self.cursor_options & CURSOR_OPT_NO_SCROLL or not self.cursor_options & CURSOR_OPT_SCROLL:
            raise SqlError(
                errcode.OBJECT_NOT_IN_PREREQUISITE_STATE,
                "cursor can only scan forward",
                hint="Declare it with SCROLL option to enable backward scan.",
            )

    def _step(self, limit: int, direction: int, destination: DestReceiver) -> int:
        if direction == BACKWARD:
            self._check_scroll()
        if self._held is None:
            return self._pull(limit, direction, destination)
        return self._step_held(limit, direction, destination)

    def _step_held(self, limit: int, direction: int, destination: DestReceiver) -> int:
        """Move over kept rows; ``position`` counts rows passed, len + 1 is past the end."""
        assert self._held is not None
        size = len(self._held)
        if direction == FORWARD:
            start = min(self.position, size)
            stop = min(size, start + limit) if limit else size
            rows = self._held[start:stop]
            self.at_end = not limit or len(rows) < limit
            self.position = stop + (1 if self.at_end else 0)
            self.at_start = self.position == 0
        else:
            top = min(self.position, size + 1) - 1
            bottom = max(0, top - limit) if limit else 0
            rows = self._held[bottom:top][::-1]
            complete = not limit or len(rows) < limit
            self.position = 0 if complete else bottom + 1
            if complete:
                self.at_start = True
            self.at_end = False
        destination.receive_rows(rows)
        return len(rows)

    def persist(self) -> None:
        """Keep all rows beyond the transaction: WITH HOLD at commit (PersistHoldablePortal)."""
        if self.strategy is Strategy.ONE_SELECT and self._held is None:
            self.start()
            collected = Collect()
            position, at_start, at_end = self.position, self.at_start, self.at_end
            if not self.at_start and self.cursor_options & CURSOR_OPT_SCROLL:
                self._executor.rewind()
                self.at_start, self.at_end = True, False
            elif not self.at_start:
                position, at_start = 0, True
            self._pull(0, FORWARD, collected)
            self._close_executor()
            self._held = collected.rows
            self.position, self.at_start, self.at_end = position, at_start, at_end
        elif self._held is None:
            self._fill(False)
        self.created_in = 0

    def close(self, *, is_abort: bool = False) -> None:
        """Release everything; the executor's end is skipped only where the transaction has failed."""
        if is_abort:
            self.failed = True
        self._close_executor(is_abort=is_abort)
        self._held = None

    def _close_executor(self, *, is_abort: bool = False) -> None:
        executor, self._executor = self._executor, None
        snapshot, self._snapshot = self._snapshot, None
        if executor is not None:
            if not is_abort and not self.failed:
                executor.finish()
            executor.end()
            if not self.failed:
                self._give_back(executor)
        if snapshot is not None and not is_abort:
            snapshots.unregister(snapshot)
