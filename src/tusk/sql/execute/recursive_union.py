"""RecursiveUnion and WorkTableScan: WITH RECURSIVE."""

from __future__ import annotations

from typing import Any

from tusk.sql.execute import support
from tusk.sql.execute._batch import Batch
from tusk.sql.execute._rowstore import RowStore
from tusk.sql.execute._state import PythonNode, register_node
from tusk.sql.execute._subplan import normaliser
from tusk.sql.execute._vectors import make_batch
from tusk.sql.execute.program import Compiler


class RecursiveUnionState(PythonNode):
    """RecursiveUnion: the right plan runs over the rows the last round found, until a round finds none."""

    def __init__(self, plan: Any, estate: Any) -> None:
        self.set_targets([], None)
        self.left_node, self.right_node = self.children
        estate.work_tables[plan.wtParam] = self
        self.columns = [i - 1 for i in plan.dupColIdx[: plan.numCols]]
        self.normalisers = [normaliser(self.shape.types[c].base) for c in self.columns]
        self.working = RowStore(self.shape, support.work_mem_bytes())
        self.next_round = RowStore(self.shape, support.work_mem_bytes())
        self.opening()

    def opening(self) -> None:
        self.recursing = False
        self.seen: set[Any] = set()
        self.working.forget()
        self.next_round.forget()
        self.generation = 0

    def rescanning(self, changed: frozenset[int]) -> bool:
        self.opening()
        self.left_node.rescan_node(changed)
        self.right_node.rescan_node(changed | {self.plan.wtParam})
        return True

    def fresh(self, batch: Any) -> Any:
        """The batch without rows that were found before (UNION)."""
        if not self.columns:
            return batch
        kept = []
        for row in batch.rows():
            key = tuple(
                row[c] if row[c] is None or norm is None else norm(row[c])
                for c, norm in zip(self.columns, self.normalisers, strict=True)
            )
            if key not in self.seen:
                self.seen.add(key)
                kept.append(row)
        if len(kept) == len(batch):
            return batch
        return make_batch(self.shape, kept, self.context.memory) if kept else None

    def produce_batch(self) -> Any:
        self.reset_context()
        while True:
            batch = (self.right_node if self.recursing else self.left_node).next_batch()
            if batch is not None:
                batch = self.fresh(batch)
                if batch is None:
                    continue
                self.next_round.add(batch)
                return batch
            if self.next_round.nrows == 0:
                return None
            self.recursing = True
            self.working, self.next_round = self.next_round, self.working
            self.next_round.forget()
            self.generation += 1
            self.right_node.rescan_node(frozenset({self.plan.wtParam}))


class WorkTableScanState(PythonNode):
    """WorkTableScan: the rows that the last round found."""

    def __init__(self, plan: Any, estate: Any) -> None:
        compiler = Compiler(self, estate)
        rte = estate.rtable[plan.scanrelid - 1]
        compiler.relation_columns = lambda: [
            (i + 1, oid, typmod, collation)
            for i, (oid, typmod, collation) in enumerate(
                zip(rte.coltypes, rte.coltypmods, rte.colcollations, strict=True)
            )
        ]
        qual = compiler.qual(plan.qual)
        self.set_targets(compiler.targets(plan.targetlist), qual)
        self.position = 0
        self.window: Any = None

    def opening(self) -> None:
        self.position = 0

    def rescanning(self, changed: frozenset[int]) -> bool:
        self.position = 0
        return False

    def produce_batch(self) -> Any:
        union = self.estate.work_tables[self.plan.wtParam]
        if self.window is None:
            self.window = Batch(union.shape)
        while union.working.read(self.window, self.position):
            self.position += len(self.window)
            self.reset_context()
            self.context.set_batches(scan=self.window)
            found = self.filter_project(self.window)
            if found is not None:
                return found
        return None


register_node("RecursiveUnion", RecursiveUnionState)
register_node("WorkTableScan", WorkTableScanState)
