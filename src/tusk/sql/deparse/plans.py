"""Expressions of a finished plan, for EXPLAIN: variables are named through the plan nodes below and above."""

from __future__ import annotations

from typing import Any

from tusk.sql.deparse.expression import deparse_expression
from tusk.sql.deparse.namespaces import Namespace, choose_entry_names, name_simple
from tusk.sql.deparse.variables import set_plan
from tusk.sql.nodes.plantree import ModifyTable


class PlanNames:
    """The names of one plan's range table, chosen once: unique, and only for the entries that the plan uses.

    ``used`` None names all entries.
    """

    def __init__(self, planned_stmt: Any, used: frozenset[int] | None = None) -> None:
        namespace = Namespace(planned_stmt.rtable)
        namespace.rtable_names = choose_entry_names(planned_stmt.rtable, [], used)
        namespace.subplans = planned_stmt.subplans
        namespace.appendrels = {info.child_relid: info for info in planned_stmt.appendRelations}
        name_simple(namespace)
        self._namespace = namespace

    def name_of(self, rtindex: int) -> str | None:
        """The alias chosen for a range table entry."""
        return self._namespace.rtable_names[rtindex - 1]

    def expression(
        self, expr: Any, plan: Any, ancestors: list[Any], *, prefix: bool = False, show_implicit: bool = False
    ) -> str:
        """An expression of a plan node; ``ancestors`` are the nodes and SubPlans above it, nearest first."""
        namespace = self._namespace.copy()
        namespace.ancestors = list(ancestors)
        set_plan(namespace, plan)
        if type(plan) is ModifyTable:
            namespace.old_alias = plan.returningOldAlias or "old"
            namespace.new_alias = plan.returningNewAlias or "new"
        return deparse_expression(expr, [namespace], prefix=prefix, show_implicit=show_implicit)


def plan_expression(
    expr: Any, planned_stmt: Any, plan: Any, ancestors: list[Any], *, prefix: bool = False, show_implicit: bool = False
) -> str:
    """One expression of a plan; use `PlanNames` for many."""
    return PlanNames(planned_stmt).expression(expr, plan, ancestors, prefix=prefix, show_implicit=show_implicit)
