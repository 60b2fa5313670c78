"""Query trees to the queries that run: views, rules, defaults."""

from tusk.sql.rewrite.rewriter import rewrite

__all__ = ["rewrite"]
