"""The vectorised executor: plans to batches of rows."""

from tusk.sql.execute._executor import Executor, execute
from tusk.sql.execute.constant import evaluate_expression

__all__ = ["Executor", "evaluate_expression", "execute"]
