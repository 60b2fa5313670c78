"""Queries the server runs for itself: checks and actions of foreign keys. Plans are kept by their text."""

from __future__ import annotations

from typing import Any

from tusk.sql.execute import triggers
from tusk.sql.execute._executor import Executor
from tusk.sql.execute.referential import set_query_runner
from tusk.sql.nodes import CMD_SELECT
from tusk.sql.parse import parse
from tusk.sql.plancache import PlanSource
from tusk.transaction import _snapshot as snapshots
from tusk.transaction import xact

MAX_SOURCES = 500
_REPEATABLE_READ = 2
_sources: dict[tuple[str, tuple[int, ...]], PlanSource] = {}


def run_query(text: str, types: list[int], values: list[Any], latest: bool) -> int:
    """Run one statement, without checking the user's privileges; returns the rows it found or changed."""
    key = (text, tuple(types))
    source = _sources.get(key)
    if source is None:
        if len(_sources) >= MAX_SOURCES:
            _sources.clear()
        source = _sources[key] = PlanSource(parse(text)[0], text, types, fixed_parameters=True)
    xact.command_counter_increment()
    crosscheck = None
    if latest and xact.isolation_level() >= _REPEATABLE_READ:
        # What the transaction does not see must be found, but not changed: that is 40001.
        crosscheck = snapshots.transaction_snapshot()
        snapshots.push_active(snapshots.latest_snapshot())
    else:
        snapshots.push_active(snapshots.transaction_snapshot())
    try:
        snapshots.update_active_command_id()
        plans = source.ready_plans() or source.plans()
        processed = 0
        for planned in plans:
            processed = _run(source, planned, values, crosscheck)
        return processed
    finally:
        snapshots.pop_active()


def _run(source: PlanSource, planned: Any, values: list[Any], crosscheck: Any) -> int:
    executor = source.executors.pop() if source.executors else Executor(planned, source.text)
    executor.start(values, snapshots.active_snapshot(), crosscheck, permissions=False)
    try:
        nrows = 0
        for batch in executor.run():
            nrows += len(batch)
        executor.finish()
        processed = nrows if planned.commandType == CMD_SELECT else int(executor.processed)
    finally:
        executor.end()
    if source.generic is not None and len(source.generic) == 1 and source.generic[0] is planned:
        source.executors.append(executor)
    return processed


def install() -> None:
    """Join foreign keys, deferred triggers and transactions."""
    set_query_runner(run_query)
    xact.on_pre_commit(triggers.fire_deferred, triggers.deferred_events)
    xact.on_commit(triggers.forget_deferred, triggers.deferred_events, triggers.deferral)
    xact.on_abort(triggers.forget_deferred)
    xact.on_subabort(triggers.forget_subtransaction)
