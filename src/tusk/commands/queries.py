"""Queries that commands run for themselves: checks of rows, rewrites of tables, CREATE TABLE AS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tusk.catalog._tuples import command_counter_increment
from tusk.sql import analyze, execute, plan, rewrite
from tusk.sql.parse import parse
from tusk.transaction import _snapshot as snapshots


@contextmanager
def fresh_snapshot(*, latest: bool = False) -> Iterator[Any]:
    """An active snapshot that sees everything this transaction has done so far."""
    command_counter_increment()
    snapshot = snapshots.latest_snapshot() if latest else snapshots.transaction_snapshot()
    snapshots.push_active(snapshot)
    try:
        snapshots.update_active_command_id()
        registered = snapshots.register(snapshots.required_snapshot())
        try:
            yield registered
        finally:
            snapshots.unregister(registered)
    finally:
        snapshots.pop_active()


def analyzed(text: str, param_types: list[int] | None = None) -> Any:
    """The Query of a single statement."""
    return analyze.analyze(parse(text)[0], text, param_types or [])


def planned(query: Any, text: str = "", parameters: Any = None) -> Any:
    """The plan of a Query that is rewritten to one query."""
    queries = rewrite.rewrite(query)
    return plan.plan(queries[0], text, 0, parameters)


def rows_of(query: Any, parameters: Any = None, *, limit: int = 0) -> list[tuple[Any, ...]]:
    """Run a Query; its rows as Python values."""
    return list(iterate(query, parameters, limit=limit))


def iterate(query: Any, parameters: Any = None, *, limit: int = 0) -> Iterator[tuple[Any, ...]]:
    """Run a Query and yield its rows."""
    for batch in batches(query, parameters, limit=limit):
        yield from batch.rows()


def batches(query: Any, parameters: Any = None, *, limit: int = 0) -> Iterator[Any]:
    """Run a Query and yield its batches."""
    executor = execute.Executor(planned(query))
    with fresh_snapshot(latest=True) as snapshot:
        executor.start(parameters, snapshot)
        try:
            yield from executor.run(limit)
            executor.finish()
        finally:
            executor.end()


def run_text(text: str, param_types: list[int] | None = None, parameters: Any = None, *, limit: int = 0) -> list[Any]:
    """Run one statement given as text; its rows."""
    return rows_of(analyzed(text, param_types), parameters, limit=limit)
