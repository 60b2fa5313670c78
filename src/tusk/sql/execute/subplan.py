"""Subplans in expressions; see _subplan."""

from tusk.sql.execute._subplan import compile_subplan

__all__ = ["compile_subplan"]
