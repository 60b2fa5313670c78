"""CteScan: rows of a WITH query, read once and kept for all who refer to it."""

from __future__ import annotations

from typing import Any

from tusk.sql.execute import support
from tusk.sql.execute._batch import Batch
from tusk.sql.execute._rowstore import RowStore
from tusk.sql.execute._state import PythonNode, register_node
from tusk.sql.execute._subplan import subplan_of
from tusk.sql.execute.program import Compiler


class CteStore:
    """The rows of one WITH query so far."""

    def __init__(self, state: Any) -> None:
        self.state = state
        self.store = RowStore(state.shape, support.work_mem_bytes())
        self.complete = False
        self.generation = 0

    def read(self, window: Any, position: int) -> bool:
        """Point window at rows from a position on, fetching more when needed."""
        while not self.store.read(window, position):
            if self.complete:
                return False
            batch = self.state.next_batch()
            if batch is None:
                self.complete = True
                return False
            self.store.add(batch)
        return True

    def restart(self, changed: frozenset[int]) -> None:
        """A parameter of the query changed."""
        self.state.rescan_node(changed)
        self.store.forget()
        self.complete = False
        self.generation += 1


class CteScanState(PythonNode):
    """CteScan."""

    def __init__(self, plan: Any, estate: Any) -> None:
        self.source = subplan_of(estate, plan.ctePlanId)
        self.window = Batch(self.source.shape)
        compiler = Compiler(self, estate)
        shape = self.source.shape
        compiler.relation_columns = lambda: [
            (i + 1, t.oid, shape.typmods[i], shape.collations[i]) for i, t in enumerate(shape.types)
        ]
        self.column_names = list(shape.names)
        qual = compiler.qual(plan.qual)
        self.set_targets(compiler.targets(plan.targetlist), qual)
        self.position = 0
        self.generation = 0

    def opening(self) -> None:
        self.position = 0

    def rescanning(self, changed: frozenset[int]) -> bool:
        self.position = 0
        return False

    def produce_batch(self) -> Any:
        stores = self.estate.cte_stores
        store = stores.get(self.plan.ctePlanId)
        if store is None:
            store = stores[self.plan.ctePlanId] = CteStore(self.source)
        while store.read(self.window, self.position):
            self.position += len(self.window)
            self.reset_context()
            self.context.set_batches(scan=self.window)
            found = self.filter_project(self.window)
            if found is not None:
                return found
        return None


register_node("CteScan", CteScanState)
