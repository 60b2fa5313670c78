"""The value of an expression without columns: constant folding, arguments of EXECUTE, LIMIT counts."""

from __future__ import annotations

from typing import Any

from tusk.sql.execute._executor import execute
from tusk.sql.nodes import CMD_SELECT, PlannedStmt, Result
from tusk.sql.nodes.make import make_target


def evaluate_expression(expr: Any) -> Any:
    """The Python value of an analysed expression; raises what evaluating it raises."""
    plan = Result(targetlist=[make_target(expr, 1, "value")])
    rows, _ = execute(PlannedStmt(commandType=CMD_SELECT, canSetTag=True, planTree=plan))
    return rows[0][0]
