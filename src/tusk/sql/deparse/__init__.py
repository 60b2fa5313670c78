"""Query trees and expressions back to SQL, as PostgreSQL prints them (ruleutils.c)."""

from tusk.sql.deparse import calls, clauses, constants, documents, expressions, precedence, queries, variables
from tusk.sql.deparse.expression import deparse_expression
from tusk.sql.deparse.plans import PlanNames, plan_expression
from tusk.sql.deparse.writer import render_query

__all__ = [
    "PlanNames", "calls", "clauses", "constants", "deparse_expression", "documents", "expressions", "plan_expression",
    "precedence", "queries", "render_query", "variables",
]  # fmt: skip
