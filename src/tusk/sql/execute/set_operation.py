"""SetOp: INTERSECT and EXCEPT, by counting equal rows of both inputs."""

from __future__ import annotations

from typing import Any

from tusk.sql.execute._state import PythonNode, register_node
from tusk.sql.execute._subplan import normaliser
from tusk.sql.execute._vectors import make_batch
from tusk.sql.nodes import enums

BATCH_ROWS = 1024


class SetOpState(PythonNode):
    """SetOp. Result rows come in the order in which the left input first had them."""

    def __init__(self, plan: Any, estate: Any) -> None:
        self.left_node, self.right_node = self.children
        self.set_targets([])
        self.columns = [i - 1 for i in plan.cmpColIdx[: plan.numCols]]
        self.normalisers = [normaliser(self.shape.types[c].base) for c in self.columns]
        self.opening()

    def opening(self) -> None:
        self.rows: Any = None

    def rescanning(self, changed: frozenset[int]) -> bool:
        self.rows = None
        return False

    def key_of(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        """What makes rows equal."""
        return tuple(
            row[c] if row[c] is None or norm is None else norm(row[c])
            for c, norm in zip(self.columns, self.normalisers, strict=True)
        )

    def count(self) -> list[tuple[Any, ...]]:
        """Read both inputs; the result rows."""
        counts: dict[tuple[Any, ...], list[Any]] = {}
        while (batch := self.left_node.next_batch()) is not None:
            for row in batch.rows():
                entry = counts.setdefault(self.key_of(row), [row, 0, 0])
                entry[1] += 1
        while counts and (batch := self.right_node.next_batch()) is not None:
            for row in batch.rows():
                found = counts.get(self.key_of(row))
                if found is not None:
                    found[2] += 1
        result = []
        for row, left, right in counts.values():
            match self.plan.cmd:
                case enums.SETOPCMD_INTERSECT:
                    times = 1 if right else 0
                case enums.SETOPCMD_INTERSECT_ALL:
                    times = min(left, right)
                case enums.SETOPCMD_EXCEPT:
                    times = 0 if right else 1
                case _:
                    times = max(left - right, 0)
            result += [row] * times
        return result

    def produce_batch(self) -> Any:
        if self.rows is None:
            self.rows = self.count()
            self.position = 0
        self.reset_context()
        part = self.rows[self.position : self.position + BATCH_ROWS]
        self.position += len(part)
        return make_batch(self.shape, part, self.context.memory) if part else None


register_node("SetOp", SetOpState)
