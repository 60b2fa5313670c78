"""Sublinks to SubPlans and initplans, outer references to parameters, CTEs (optimizer/plan/subselect.c)."""

from __future__ import annotations

from typing import Any

from tusk.catalog import cache as c
from tusk.catalog.cache import lookup
from tusk.sql.nodes import (
    BoolExpr,
    OpExpr,
    Param,
    Query,
    SubLink,
    SubPlan,
    Var,
    copy_tree,
    enums,
)
from tusk.sql.nodes.base import Node
from tusk.sql.nodes.nodefuncs import (
    contains_volatile,
    expr_collation,
    expr_type,
    expr_typmod,
    function_of,
    increment_sublevels_up,
    walk_levels,
)
from tusk.sql.plan.exprs import and_list
from tusk.sql.plan.structures import Root, fingerprint


def make_exec_param(param_id: int, type_oid: int, typmod: int = -1, collation: int = 0) -> Param:
    """A Param that the executor fills while it runs."""
    return Param(
        paramkind=enums.PARAM_EXEC, paramid=param_id, paramtype=type_oid, paramtypmod=typmod, paramcollid=collation,
        location=-1,
    )  # fmt: skip


def replace_outer_references(root: Root, tree: Any) -> Any:
    """Replace what belongs to outer query levels by parameters (SS_replace_correlation_vars)."""
    if type(tree) is list:
        return [replace_outer_references(root, item) for item in tree]
    if not isinstance(tree, Node):
        return tree
    kind = type(tree)
    if kind is Var and tree.varlevelsup > 0:
        return _outer_param(root, tree, tree.varlevelsup)
    if kind.__name__ in ("Aggref", "GroupingFunc") and tree.agglevelsup > 0:
        return _outer_param(root, tree, tree.agglevelsup)
    if kind is Query:
        return tree
    copy = kind.__new__(kind)
    for name, field, _ in tree.FIELDS:
        value = getattr(tree, name)
        if value is not None and field in ("node", "list"):
            value = replace_outer_references(root, value)
        setattr(copy, name, value)
    return copy


def _outer_param(root: Root, expr: Any, levels: int) -> Any:
    owner: Root | None = root
    for _ in range(levels):
        assert owner is not None
        owner = owner.parent
    assert owner is not None
    own = increment_sublevels_up(expr, -levels, levels)
    key = fingerprint(own)
    for known, param_id in owner.plan_params:
        if fingerprint(known) == key:
            return make_exec_param(param_id, expr_type(expr), expr_typmod(expr), expr_collation(expr))
    param_id = root.glob.new_param(expr_type(expr))
    owner.plan_params.append((own, param_id))
    return make_exec_param(param_id, expr_type(expr), expr_typmod(expr), expr_collation(expr))


def process_sublinks(root: Root, tree: Any, *, is_qual: bool) -> Any:
    """Plan every sublink of an expression and put SubPlans or Params in their places (SS_process_sublinks)."""
    if type(tree) is list:
        return [process_sublinks(root, item, is_qual=is_qual) for item in tree]
    if not isinstance(tree, Node):
        return tree
    if type(tree) is SubLink:
        testexpr = process_sublinks(root, tree.testexpr, is_qual=False)
        return _make_subplan(root, tree, testexpr, is_qual)
    if type(tree) is Query:
        return tree
    below_qual = is_qual and type(tree) is BoolExpr and tree.boolop != enums.NOT_EXPR
    copy = type(tree).__new__(type(tree))
    for name, field, _ in tree.FIELDS:
        value = getattr(tree, name)
        if value is not None and field in ("node", "list"):
            value = process_sublinks(root, value, is_qual=below_qual)
        setattr(copy, name, value)
    return copy


def _make_subplan(root: Root, link: SubLink, testexpr: Any, is_qual: bool) -> Any:
    query = copy_tree(link.subselect)
    kind = link.subLinkType
    if kind == enums.EXISTS_SUBLINK:
        _trim_exists(query)
    if kind == enums.EXISTS_SUBLINK:
        fraction = 1.0
    elif kind in (enums.ALL_SUBLINK, enums.ANY_SUBLINK):
        fraction = 0.5
    else:
        fraction = 0.0
    saved, root.plan_params = root.plan_params, []
    sub_root, path = _plan_subquery(root, query, fraction)
    plan_params, root.plan_params = root.plan_params, saved
    return build_subplan(root, sub_root, path, plan_params, link, testexpr, unknown_is_false=is_qual)


def _trim_exists(query: Query) -> None:
    if query.commandType != enums.CMD_SELECT or query.setOperations or query.hasAggs or query.groupingSets:
        return
    if query.hasWindowFuncs or query.hasTargetSRFs or query.havingQual or query.rowMarks or query.groupClause:
        return
    if query.limitCount is None and query.limitOffset is None:
        query.targetList = []
        query.distinctClause = []
        query.sortClause = []
        query.hasDistinctOn = False


# Installed by `planner`, which needs this module itself.
_plan_subquery: Any = None


def set_subquery_planner(plan_subquery: Any) -> None:
    """``plan_subquery(root, query, tuple_fraction) -> (sub root, cheapest path)``."""
    global _plan_subquery
    _plan_subquery = plan_subquery


def _result_column(sub_root: Root) -> Any:
    return next(target for target in sub_root.target if not target.resjunk).expr


def build_subplan(
    root: Root,
    sub_root: Root,
    path: Any,
    plan_params: list[tuple[Any, int]],
    link: SubLink,
    testexpr: Any,
    *,
    unknown_is_false: bool,
) -> Any:
    """A SubPlan for a planned sublink, or a Param where it became an initplan (build_subplan)."""
    kind = link.subLinkType
    columns = [target.expr for target in sub_root.target if not target.resjunk]
    first = columns[0] if columns else None
    plan = SubPlan(
        subLinkType=kind,
        firstColType=expr_type(first) if first is not None else 2278,
        firstColTypmod=expr_typmod(first) if first is not None else -1,
        firstColCollation=expr_collation(first) if first is not None else 0,
        unknownEqFalse=unknown_is_false,
        startup_cost=path.startup,
        per_call_cost=path.total,
    )
    for expr, param_id in plan_params:
        plan.parParam.append(param_id)
        plan.args.append(process_sublinks(root, replace_outer_references(root, expr), is_qual=False))
    plan.plan_id = register_subplan(root, sub_root, path)
    correlated = bool(plan.parParam)
    result: Any = plan
    if not correlated and kind in (enums.EXISTS_SUBLINK, enums.EXPR_SUBLINK, enums.ARRAY_SUBLINK):
        type_oid, typmod, collation = _scalar_type(kind, first)
        param_id = root.glob.new_param(type_oid)
        plan.setParam = [param_id]
        root.init_plans.append(plan)
        result = make_exec_param(param_id, type_oid, typmod, collation)
    elif not correlated and kind == enums.ROWCOMPARE_SUBLINK:
        ids = [root.glob.new_param(expr_type(column)) for column in columns]
        plan.setParam = ids
        root.init_plans.append(plan)
        result = _replace_sublink_params(testexpr, ids)
    elif testexpr is not None:
        ids = [root.glob.new_param(expr_type(column)) for column in columns]
        plan.paramIds = ids
        plan.testexpr = _replace_sublink_params(testexpr, ids)
        if kind == enums.ANY_SUBLINK and not correlated and _is_hashable(plan.testexpr):
            plan.useHashTable = True
    plan.plan_name = f"{'InitPlan' if result is not plan else 'SubPlan'} {plan.plan_id}"
    return result


def _scalar_type(kind: Any, first: Any) -> tuple[int, int, int]:
    if kind == enums.EXISTS_SUBLINK:
        return 16, -1, 0
    type_oid = expr_type(first)
    if kind == enums.ARRAY_SUBLINK:
        row = lookup(c.TYPEOID, type_oid)
        return int(row.typarray) or type_oid, expr_typmod(first), expr_collation(first)
    return type_oid, expr_typmod(first), expr_collation(first)


def _replace_sublink_params(testexpr: Any, ids: list[int]) -> Any:
    def change(node: Any) -> Any:
        if type(node) is Param and node.paramkind == enums.PARAM_SUBLINK:
            return make_exec_param(ids[node.paramid - 1], node.paramtype, node.paramtypmod, node.paramcollid)
        if isinstance(node, Node):
            copy = type(node).__new__(type(node))
            for name, field, _ in node.FIELDS:
                value = getattr(node, name)
                if value is not None and field in ("node", "list"):
                    value = change(value)
                setattr(copy, name, value)
            return copy
        if type(node) is list:
            return [change(item) for item in node]
        return node

    return change(testexpr)


def _is_hashable(testexpr: Any) -> bool:
    """Whether every comparison of the test is a strict hashable equality with the sub-select on the right."""
    if testexpr is None or contains_volatile(testexpr):
        return False
    for clause in and_list(testexpr):
        if type(clause) is not OpExpr or len(clause.args) != 2:
            return False
        operator = lookup(c.OPEROID, clause.opno)
        if not operator.oprcanhash or not lookup(c.PROCOID, function_of(clause)).proisstrict:
            return False
        if not _is_exec_param(clause.args[1]):
            return False
    return True


def _is_exec_param(node: Any) -> bool:
    while type(node).__name__ == "RelabelType":
        node = node.arg
    return type(node) is Param and node.paramkind == enums.PARAM_EXEC


def register_subplan(root: Root, sub_root: Root, path: Any) -> int:
    """Give a subquery its place in the statement's list of subplans; returns its number, from 1."""
    root.glob.subplans.append(path)
    root.glob.subroots.append(sub_root)
    return len(root.glob.subplans)


# CTEs


def process_ctes(root: Root) -> None:
    """Plan each WITH query that is worth a plan of its own; inline the others (SS_process_ctes)."""
    for index, cte in enumerate(root.parse.cteList):
        query = cte.ctequery
        if cte.cterefcount == 0 and query.commandType == enums.CMD_SELECT:
            root.cte_plans.append(-1)
            continue
        if _may_inline(cte, query):
            _inline_cte(root, cte)
            root.cte_plans.append(-1)
            continue
        saved, root.plan_params = root.plan_params, []
        sub_root, path = _plan_subquery(root, copy_tree(query), 0.0, has_recursion=cte.cterecursive)
        root.plan_params = saved + [p for p in root.plan_params if p not in saved]
        plan_id = register_subplan(root, sub_root, path)
        param_id = root.glob.new_param(2281)
        plan = SubPlan(
            subLinkType=enums.CTE_SUBLINK, plan_id=plan_id, plan_name=f"CTE {cte.ctename}", setParam=[param_id],
            firstColType=2278, startup_cost=path.startup, per_call_cost=path.total,
        )  # fmt: skip
        root.init_plans.append(plan)
        root.cte_plans.append(plan_id)
        root.cte_paths[index] = (sub_root, path)


def _may_inline(cte: Any, query: Query) -> bool:
    if cte.ctematerialized == enums.CTEMaterializeAlways or cte.cterecursive:
        return False
    if cte.cterefcount != 1 and cte.ctematerialized != enums.CTEMaterializeNever:
        return False
    if query.commandType != enums.CMD_SELECT or query.rowMarks or query.hasModifyingCTE:
        return False
    return not contains_volatile(query) and not _has_outer_self_reference(query)


def _has_outer_self_reference(query: Query) -> bool:
    def visit(node: Any, _level: int) -> Any:
        return True if type(node).__name__ == "RangeTblEntry" and node.self_reference else None

    return walk_levels(query, visit)


def _inline_cte(root: Root, cte: Any) -> None:
    """Turn the references to a CTE into subqueries."""

    def visit(query: Query, levels: int) -> None:
        for rte in query.rtable:
            if rte.rtekind == enums.RTE_CTE and rte.ctename == cte.ctename and rte.ctelevelsup == levels:
                body = copy_tree(cte.ctequery)
                rte.subquery = increment_sublevels_up(body, levels, 1) if levels else body
                rte.rtekind = enums.RTE_SUBQUERY
                rte.security_barrier = False
                rte.coltypes, rte.coltypmods, rte.colcollations = [], [], []
            elif rte.subquery is not None:
                visit(rte.subquery, levels + 1)
        for later in query.cteList:
            if later is not cte:
                visit(later.ctequery, levels + 1)
        _visit_sublinks(query, lambda inner, depth: visit(inner, levels + depth))

    visit(root.parse, 0)


def _visit_sublinks(query: Query, visit: Any) -> None:
    """Call ``visit(query, 1)`` on the sub-selects of sublinks in a query's own expressions."""

    def look(node: Any) -> None:
        if type(node) is list:
            for item in node:
                look(item)
            return
        if not isinstance(node, Node):
            return
        if type(node) is SubLink:
            look(node.testexpr)
            visit(node.subselect, 1)
            return
        if type(node) is Query:
            return
        for name, field, _ in node.FIELDS:
            if field in ("node", "list"):
                look(getattr(node, name))

    for name, field, _ in query.FIELDS:
        if field in ("node", "list") and name != "cteList":
            look(getattr(query, name))
