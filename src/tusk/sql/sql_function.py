"""Functions in SQL: bodies parsed or read once, planned once, run as queries (executor/functions.c).

A body is either stored text (``prosrc``) or a stored tree (``prosqlbody``); its parameters are PARAM_EXTERN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tusk.catalog.cache import TYPEOID, lookup
from tusk.catalog.oids import RECORDOID
from tusk.errors import SqlError, feature_not_supported
from tusk.sql.execute._executor import Executor
from tusk.sql.nodes import CMD_SELECT, CMD_UTILITY, PlannedStmt
from tusk.sql.plan import plan
from tusk.sql.plan.inline import SQL_LANGUAGE, function_queries
from tusk.sql.rewrite import rewrite
from tusk.transaction import _snapshot as snapshots
from tusk.transaction import xact
from tusk.types.values import Record


class SqlFunction:
    """One function for one set of argument types, ready to be called."""

    def __init__(self, row: Any, argument_types: tuple[int, ...], result_type: int) -> None:
        if row.prolang != SQL_LANGUAGE:
            raise feature_not_supported(f"function {row.proname} in a language other than SQL")
        self.row = row
        self.types = list(argument_types)
        self.result_type = result_type
        self.name = str(row.proname)
        self._plans: list[PlannedStmt] | None = None
        self._idle: dict[int, list[Executor]] = {}

    def _prepare(self) -> list[PlannedStmt]:
        if self._plans is None:
            plans: list[PlannedStmt] = []
            for query in function_queries(self.row, self.types):
                if query.commandType == CMD_UTILITY:
                    raise feature_not_supported(f"utility statements in SQL functions ({self.name})")
                plans += [plan(rewritten, self.row.prosrc or "", 0, None) for rewritten in rewrite(query)]
            self._plans = plans
        return self._plans

    def rows(self, arguments: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        """Run the body; yields the rows of its last statement."""
        try:
            plans = self._prepare()
            for number, planned in enumerate(plans):
                is_last = number + 1 == len(plans)
                yield from self._run(planned, arguments, is_last)
        except SqlError as error:
            error.add_context(f'SQL function "{self.name}" statement 1')
            raise

    def _run(self, planned: PlannedStmt, arguments: tuple[Any, ...], is_last: bool) -> Iterator[tuple[Any, ...]]:
        is_volatile = self.row.provolatile == "v"
        if is_volatile:
            xact.command_counter_increment()
            snapshots.push_active(snapshots.transaction_snapshot())
        # Compiled once; a call within the call needs one of its own.
        idle = self._idle.setdefault(id(planned), [])
        executor = idle.pop() if idle else Executor(planned, self.row.prosrc or "")
        executor.start(list(arguments), snapshots.active_snapshot())
        try:
            for batch in executor.run():
                if is_last and (planned.commandType == CMD_SELECT or planned.hasReturning):
                    yield from batch.rows()
            executor.finish()
        finally:
            executor.end()
            idle.append(executor)
            if is_volatile:
                snapshots.pop_active()


def scalar_function(
    row: Any, argument_types: tuple[int, ...], result_type: int, collation: int, estate: Any
) -> Callable[..., Any]:
    """A callable for a function that returns one value: its body's first row, NULL without rows."""
    del collation, estate
    function = SqlFunction(row, argument_types, result_type)
    is_composite = _is_composite(result_type)

    def call(*arguments: Any) -> Any:
        for values in function.rows(arguments):
            return _as_result(values, result_type, is_composite)
        return None

    return call


def set_function(
    row: Any, argument_types: tuple[int, ...], result_type: int, collation: int, estate: Any
) -> Callable[..., Any]:
    """A callable for a set-returning function: its body's rows."""
    del collation, estate
    function = SqlFunction(row, argument_types, result_type)

    def call(*arguments: Any) -> Iterator[Any]:
        for values in function.rows(arguments):
            yield values if len(values) > 1 else values[0]

    return call


def _is_composite(type_oid: int) -> bool:
    row = lookup(TYPEOID, type_oid)
    return type_oid == RECORDOID or (row is not None and row.typtype == "c")


def _as_result(values: tuple[Any, ...], result_type: int, is_composite: bool) -> Any:
    if is_composite and not (len(values) == 1 and isinstance(values[0], Record)):
        return Record(result_type, -1, values)
    return values[0] if values else None
