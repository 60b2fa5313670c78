"""Functional dependency on a primary key: columns that GROUP BY need not name."""

from __future__ import annotations

from typing import Any

from tusk.sql.nodes.primitives import Var


def check_functional_grouping(relation: int, varno: int, grouping: list[Any], query: Any) -> bool:
    """Whether GROUP BY holds a table's whole primary key, which then is noted as a dependency of the query."""
    from tusk.sql.analyze.constraints import primary_key

    key = primary_key(relation)
    if key is None:
        return False
    constraint, columns = key
    grouped = {var.varattno for var in grouping if isinstance(var, Var) and var.varno == varno and var.varlevelsup == 0}
    if not set(columns) <= grouped:
        return False
    if constraint not in query.constraintDeps:
        query.constraintDeps.append(constraint)
    return True
