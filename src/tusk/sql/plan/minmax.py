"""MIN and MAX read from one end of an index (optimizer/plan/planagg.c)."""

from __future__ import annotations

from typing import Any

from tusk.catalog import cache as c
from tusk.catalog.cache import lookup
from tusk.sql.nodes import (
    Aggref,
    FromExpr,
    NullTest,
    RangeTblRef,
    SortGroupClause,
    SubPlan,
    TargetEntry,
    copy_tree,
    enums,
    replace,
)
from tusk.sql.nodes.make import make_int4_const
from tusk.sql.nodes.nodefuncs import contains_volatile, mutate_levels
from tusk.sql.plan.exprs import and_list, contains_subplan
from tusk.sql.plan.pathkeys import equality_operator, ordering_of
from tusk.sql.plan.structures import Path, Root, fingerprint
from tusk.sql.plan.subselect import make_exec_param, register_subplan

_level_planner: Any = None


def set_level_planner(plan_level: Any) -> None:
    """``plan_level(root) -> path`` plans a query level whose expressions are prepared; installed by `planner`."""
    global _level_planner
    _level_planner = plan_level


def min_max_path(
    root: Root, path: Path, aggs: list[Aggref], output: list[TargetEntry], having: list[Any]
) -> Path | None:
    """A Result over one initplan for each aggregate, None where an index cannot answer them all; ``path`` is what an
    Agg would cost."""
    parse = root.parse
    if (
        not aggs
        or parse.cteList
        or parse.hasWindowFuncs
        or parse.hasTargetSRFs
        or parse.sortClause
        or parse.distinctClause
        or parse.rowMarks
        or not _one_table(root)
    ):
        return None
    found: dict[Any, tuple[Root, Path, Any]] = {}
    total = 0.0
    for agg in aggs:
        operator = _sort_operator(agg)
        if not operator:
            return None
        key = _key(agg)
        if key in found:
            continue
        made = _one_end(root, agg.args[0].expr, operator)
        if made is None:
            return None
        found[key] = (*made, agg)
        total += made[1].total
    if total >= path.total:
        return None
    params: dict[Any, Any] = {}
    for key, (sub_root, sub_path, agg) in found.items():
        type_oid, typmod, collation = agg.aggtype, -1, agg.aggcollid
        plan_id = register_subplan(root, sub_root, sub_path)
        param_id = root.glob.new_param(type_oid)
        root.init_plans.append(
            SubPlan(
                subLinkType=enums.EXPR_SUBLINK, plan_id=plan_id, plan_name=f"InitPlan {plan_id}", setParam=[param_id],
                firstColType=type_oid, firstColTypmod=typmod, firstColCollation=collation,
                startup_cost=sub_path.startup, per_call_cost=sub_path.total,
            )  # fmt: skip
        )
        params[key] = make_exec_param(param_id, type_oid, typmod, collation)

    def change(node: Any, _level: int) -> Any:
        return params.get(_key(node)) if type(node) is Aggref else None

    return Path(
        "MinMax", path.rel, 1, total, total, [], path.outer_rels, [], {"having": mutate_levels(having, change)},
        mutate_levels(output, change), path.disabled,
    )  # fmt: skip


def _key(agg: Aggref) -> Any:
    return (agg.aggfnoid, fingerprint(agg.args[0].expr)) if agg.args else None


def _one_table(root: Root) -> bool:
    items = root.parse.jointree.fromlist
    while len(items) == 1 and type(items[0]) is FromExpr:
        items = items[0].fromlist
    if len(items) != 1 or type(items[0]) is not RangeTblRef:
        return False
    rte = root.rte(items[0].rtindex)
    return rte.rtekind == enums.RTE_RELATION and rte.tablesample is None


def _sort_operator(agg: Aggref) -> int:
    """The operator whose first value the aggregate is, 0 for other aggregates."""
    if len(agg.args) != 1 or agg.aggorder or agg.aggfilter is not None or agg.agglevelsup:
        return 0
    expr = agg.args[0].expr
    if contains_volatile(expr) or contains_subplan(expr):
        return 0
    return int(lookup(c.AGGFNOID, agg.aggfnoid).aggsortop)


def _one_end(root: Root, expr: Any, operator: int) -> tuple[Root, Path] | None:
    """``SELECT expr ... WHERE expr IS NOT NULL ORDER BY expr LIMIT 1``, if an index gives the order."""
    family, type_oid, descending = ordering_of(operator)
    query = replace(root.parse)
    query.rtable = [replace(rte) for rte in root.parse.rtable]
    query.hasAggs, query.havingQual = False, None
    query.targetList = [TargetEntry(expr=copy_tree(expr), resno=1, resname=None, ressortgroupref=1)]
    query.sortClause = [
        SortGroupClause(
            tleSortGroupRef=1, eqop=equality_operator(family, type_oid), sortop=operator, nulls_first=descending,
            hashable=False,
        )  # fmt: skip
    ]
    one = make_int4_const(1)
    one.consttype, one.constlen = 20, 8
    query.limitCount, query.limitOffset, query.limitOption = one, None, enums.LIMIT_OPTION_COUNT
    jointree = root.parse.jointree
    not_null = NullTest(arg=copy_tree(expr), nulltesttype=enums.IS_NOT_NULL, argisrow=False, location=-1)
    query.jointree = FromExpr(fromlist=jointree.fromlist, quals=[*and_list(copy_tree(jointree.quals)), not_null])
    sub_root = Root(parse=query, glob=root.glob, level=root.level, parent=root.parent)
    path = _level_planner(sub_root)
    return None if _sorts(path) else (sub_root, path)


def _sorts(path: Path) -> bool:
    return path.kind == "Sort" or any(_sorts(child) for child in path.children)
