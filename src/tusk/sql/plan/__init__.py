"""Plans: cost-based choice of how to carry out a query."""

from tusk.sql.plan.fold import fold_constants, set_evaluator
from tusk.sql.plan.planner import plan

__all__ = ["fold_constants", "plan", "set_evaluator"]
