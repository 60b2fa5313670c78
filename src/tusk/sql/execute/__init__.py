"""The vectorised executor: plans to batches of rows."""

from tusk.sql.execute import _index_support, domain_values  # register with access and types
from tusk.sql.execute._executor import Executor, execute
from tusk.sql.execute.constant import evaluate_expression

__all__ = ["Executor", "_index_support", "domain_values", "evaluate_expression", "execute"]
