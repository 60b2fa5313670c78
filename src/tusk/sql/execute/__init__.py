"""The vectorised executor: plans to batches of rows."""

from tusk.sql.execute._executor import Executor, execute, set_statement_hooks
from tusk.sql.execute.constant import evaluate_expression

__all__ = ["Executor", "evaluate_expression", "execute", "set_statement_hooks"]
