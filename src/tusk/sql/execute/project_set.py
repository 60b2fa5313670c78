"""ProjectSet: set-returning functions in the target list; they advance together, ended ones give nulls."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from tusk.sql.execute._state import PythonNode, register_node
from tusk.sql.execute._vectors import make_batch
from tusk.sql.execute.program import Compiler
from tusk.sql.execute.set_functions import SetCall, returns_set
from tusk.types.values import Record

BATCH_ROWS = 1024


class ProjectSetState(PythonNode):
    """ProjectSet."""

    def __init__(self, plan: Any, estate: Any) -> None:
        compiler = Compiler(self, estate)
        self.sets: list[tuple[int, SetCall]] = []
        self.plain: list[tuple[int, Any]] = []
        for place, entry in enumerate(plan.targetlist):
            if returns_set(entry.expr):
                self.sets.append((place, SetCall(compiler, entry.expr, 1)))
            else:
                self.plain.append((place, compiler.compile(entry.expr)))
        self.width = len(plan.targetlist)
        self.set_targets([])
        self.pending: Iterator[list[Any]] | None = None

    def opening(self) -> None:
        self.pending = None
        self.done = False

    def rescanning(self, changed: frozenset[int]) -> bool:
        self.opening()
        return False

    def expand(self, batch: Any) -> Iterator[list[Any]]:
        """The result rows for one input batch (None: one row without columns)."""
        if batch is None:
            count = 1

            def values_of(expr: Any) -> list[Any]:
                return [expr.scalar(self.context)]
        else:
            count = len(batch)

            def values_of(expr: Any) -> list[Any]:
                found: list[Any] = expr.batch_values(self.context, batch)
                return found

        plain = [(place, values_of(expr)) for place, expr in self.plain]
        arguments = [[values_of(arg) for arg in call.args] for _, call in self.sets]
        for k in range(count):
            template: list[Any] = [None] * self.width
            for place, values in plain:
                template[place] = values[k]
            streams = [
                call.rows([column[k] for column in columns])
                for (_, call), columns in zip(self.sets, arguments, strict=True)
            ]
            for parts in zip_longest(*streams):
                row = list(template)
                for (place, call), part in zip(self.sets, parts, strict=True):
                    row[place] = self.value_of(call, part, place)
                yield row

    def value_of(self, call: SetCall, part: Any, place: int) -> Any:
        """A function's row as one value."""
        if part is None:
            return None
        if not call.composite:
            return part[0]
        return Record(self.shape.types[place].oid, call.row_typmod, tuple(part))

    def produce_batch(self) -> Any:
        rows: list[Any] = []
        while True:
            if self.pending is None:
                if self.done:
                    break
                batch = None
                if self.children:
                    batch = self.children[0].next_batch()
                    if batch is None:
                        self.done = True
                        break
                else:
                    self.done = True
                self.reset_context()
                self.context.set_batches(outer=batch)
                self.pending = self.expand(batch)
            for row in self.pending:
                rows.append(row)
                if len(rows) == BATCH_ROWS:
                    return self.emit(rows)
            self.pending = None
            if rows:
                return self.emit(rows)
        return None

    def emit(self, rows: list[Any]) -> Any:
        """Rows as a batch."""
        return make_batch(self.shape, rows, self.context.memory)


register_node("ProjectSet", ProjectSetState)
