"""FunctionScan: rows of one or several functions, side by side, with ordinality where asked for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, zip_longest
from typing import Any

from tusk.catalog.cache import PROCOID, lookup
from tusk.sql.execute._batch import Batch, RowShape
from tusk.sql.execute._rowstore import RowStore
from tusk.sql.execute._state import PythonNode, expression_type, register_node
from tusk.sql.execute._vectors import make_batch
from tusk.sql.execute.program import Compiler
from tusk.sql.execute.set_functions import SetCall, is_composite, out_columns, returns_set
from tusk.types.registry import ColumnInfo, services
from tusk.types.values import Record

BATCH_ROWS = 1024


class _Scalar:
    """A function that returns no set, as one row."""

    def __init__(self, compiler: Any, node: Any, ncolumns: int) -> None:
        self.expr = compiler.compile(node)
        self.args = [self.expr]
        self.ncolumns = ncolumns
        self.composite = is_composite(self.expr.type.oid)

    def rows(self, values: list[Any]) -> Iterator[tuple[Any, ...]]:
        """Its one row."""
        value = values[0]
        if not self.composite:
            yield (value,)
        elif value is None:
            yield (None,) * self.ncolumns
        else:
            yield tuple(value.values) if isinstance(value, Record) else tuple(value)


class FunctionScanState(PythonNode):
    """FunctionScan. Rows are kept, so that a rescan with the same parameters does not call again."""

    def __init__(self, plan: Any, estate: Any) -> None:
        arguments = Compiler(self, estate)
        self.calls: list[Any] = []
        types: list[int] = []
        self.params: frozenset[int] = frozenset()
        for function in plan.functions:
            infos = self.columns_of(function)
            self.calls.append(self.make_call(arguments, function, infos))
            types += [info.type_oid for info in infos]
            self.params |= frozenset(function.funcparams)
        if plan.funcordinality:
            types.append(20)
        self.ordinality = plan.funcordinality
        self.scan_shape = RowShape(types)
        self.store = RowStore(self.scan_shape)
        self.window = Batch(self.scan_shape)
        compiler = Compiler(self, estate)
        compiler.relation_columns = lambda: [(i + 1, oid, -1, 0) for i, oid in enumerate(types)]
        rte = estate.rtable[plan.scanrelid - 1]
        self.column_names = [name.sval for name in rte.eref.colnames] if rte.eref is not None else None
        qual = compiler.qual(plan.qual)
        self.set_targets(compiler.targets(plan.targetlist), qual)

    @staticmethod
    def make_call(compiler: Compiler, function: Any, infos: list[ColumnInfo]) -> Any:
        """The compiled call of one function."""
        if returns_set(function.funcexpr) or (function.funccoltypes and type(function.funcexpr).__name__ == "FuncExpr"):
            columns = infos if function.funccoltypes else None
            return SetCall(compiler, function.funcexpr, len(infos), columns)
        return _Scalar(compiler, function.funcexpr, len(infos))

    @staticmethod
    def columns_of(function: Any) -> list[ColumnInfo]:
        """Name and type of a function's columns."""
        from_expr = expression_type(function.funcexpr)
        if function.funccoltypes:
            return [
                ColumnInfo(getattr(name, "sval", str(name)), oid, typmod, collation)
                for name, oid, typmod, collation in zip(
                    function.funccolnames, function.funccoltypes, function.funccoltypmods, function.funccolcollations,
                    strict=True,
                )
            ]  # fmt: skip
        if is_composite(from_expr[0]) and from_expr[0] != 2249:
            return [
                ColumnInfo(c.name, 23 if c.is_dropped else c.type_oid, c.typmod, c.collation)
                for c in services.row_columns(from_expr[0]) or ()
            ]
        if from_expr[0] == 2249:
            return FunctionScanState.out_parameters(function.funcexpr)
        return [ColumnInfo("column", *from_expr)]

    @staticmethod
    def out_parameters(node: Any) -> list[ColumnInfo]:
        """Columns that OUT parameters declare."""
        types = [expression_type(arg)[0] for arg in node.args]
        return out_columns(lookup(PROCOID, node.funcid), 2249, types) or []

    def opening(self) -> None:
        self.restart()

    def closing(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget the rows."""
        self.store.forget()
        self.rows: Iterator[tuple[Any, ...]] | None = None
        self.position = 0
        self.complete = False

    def rescanning(self, changed: frozenset[int]) -> bool:
        if changed & self.params or changed & self.plan.allParam:
            self.restart()
        else:
            self.position = 0
        return False

    def all_rows(self) -> Iterator[tuple[Any, ...]]:
        """Rows of all functions side by side."""
        streams: list[Iterator[tuple[Any, ...]]] = []
        for call in self.calls:
            values = [arg.scalar(self.context) for arg in call.args]
            streams.append(call.rows(values))
        if len(streams) == 1 and not self.ordinality:
            return streams[0]
        return self.side_by_side(streams)

    def side_by_side(self, streams: list[Any]) -> Iterator[tuple[Any, ...]]:
        """The functions' rows joined, shorter ones filled with nulls; then the row number."""
        empty = [(None,) * call.ncolumns for call in self.calls]
        for number, parts in enumerate(zip_longest(*streams), 1):
            row: tuple[Any, ...] = ()
            for part, nothing in zip(parts, empty, strict=True):
                row += nothing if part is None else part
            yield (*row, number) if self.ordinality else row

    def produce_batch(self) -> Any:
        while True:
            while not self.store.read(self.window, self.position):
                if self.complete:
                    return None
                self.reset_context()
                if self.rows is None:
                    self.rows = self.all_rows()
                part = list(islice(self.rows, BATCH_ROWS))
                if len(part) < BATCH_ROWS:
                    self.complete = True
                if part:
                    self.store.add(make_batch(self.scan_shape, part, self.context.memory))
            self.position += len(self.window)
            self.reset_context()
            self.context.set_batches(scan=self.window)
            found = self.filter_project(self.window)
            if found is not None:
                return found


register_node("FunctionScan", FunctionScanState)
