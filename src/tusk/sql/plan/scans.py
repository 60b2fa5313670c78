"""Paths for base relations: sequential, index, index-only, bitmap and TID scans, and the scans of functions, VALUES,
CTEs and subqueries (optimizer/path/allpaths.c, indxpath.c)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tusk.catalog import cache as c
from tusk.catalog.cache import lookup
from tusk.config import settings
from tusk.sql.nodes import Const, CurrentOfExpr, NullTest, OpExpr, Query, ScalarArrayOpExpr, Var, copy_tree, enums
from tusk.sql.nodes.nodefuncs import contains_volatile, expr_collation, expr_type, function_of, walk_levels
from tusk.sql.plan import cost
from tusk.sql.plan.exprs import (
    and_list,
    contains_subplan,
    contains_window_function,
    or_list,
    pull_relids,
    pull_vars,
    replace_vars,
    strip_relabel,
)
from tusk.sql.plan.fold import estimate_expression
from tusk.sql.plan.pathkeys import index_pathkeys, useful_prefix
from tusk.sql.plan.selectivity import clauses_selectivity, column_stats
from tusk.sql.plan.structures import Clause, IndexInfo, Path, Rel, Root, fingerprint

_planner: Any = None
_FUZZ = 1.01
_SYSTEM_HANDLER = 3314


def set_query_planner(planner: Any) -> None:
    """``planner(root, query, tuple_fraction) -> (sub root, path)``; installed by the module that needs this one."""
    global _planner
    _planner = planner


def add_path(rel: Rel, path: Path) -> None:
    """Keep a path unless one at least as good in every respect is there; drop those it beats."""
    kept: list[Path] = []
    for old in rel.paths:
        if _dominates(old, path):
            return
        if not _dominates(path, old):
            kept.append(old)
    kept.append(path)
    rel.paths = kept


def _dominates(first: Path, second: Path) -> bool:
    if first.disabled != second.disabled:
        return first.disabled < second.disabled and _covers(first, second)
    if first.total > second.total * _FUZZ:
        return False
    if first.rel.consider_startup and first.startup > second.startup * _FUZZ:
        return False
    return _covers(first, second)


def worth_adding(
    rel: Rel, disabled: int, startup: float, total: float, keys: list[Any], outer_rels: int
) -> bool:
    """Whether a path of such a cost has a chance against those that are there (add_path_precheck)."""
    for old in rel.paths:
        if old.disabled > disabled or old.outer_rels != outer_rels or len(old.pathkeys) < len(keys):
            continue
        if old.disabled == disabled and (
            old.total > total * 1.0 or rel.consider_startup and old.startup > startup * _FUZZ
        ):
            continue
        if all(a.same(b) for a, b in zip(old.pathkeys, keys, strict=False)):
            return False
    return True


def _covers(first: Path, second: Path) -> bool:
    if first.outer_rels & ~second.outer_rels or first.rows > second.rows * 1.0001:
        return False
    if len(first.pathkeys) < len(second.pathkeys):
        return False
    return all(a.same(b) for a, b in zip(first.pathkeys, second.pathkeys, strict=False))


def set_base_paths(root: Root, rel: Rel) -> None:
    """Estimate a base relation and make its paths."""
    kind = rel.rte.rtekind
    match kind:
        case enums.RTE_RELATION:
            rel.rows = max(1.0, round(rel.tuples * clauses_selectivity(root, rel.restrictions)))
            _relation_paths(root, rel)
        case enums.RTE_SUBQUERY:
            _subquery_path(root, rel)
        case enums.RTE_FUNCTION:
            _function_path(root, rel)
        case enums.RTE_VALUES:
            count = len(rel.rte.values_lists)
            _simple_path(root, rel, "ValuesScan", count, settings.cpu_operator_cost)
        case enums.RTE_CTE:
            _cte_path(root, rel)
        case enums.RTE_RESULT:
            rel.tuples = 1
            _simple_path(root, rel, "Result", 1, 0)
        case _:
            raise AssertionError(kind)


def _quals(rel: Rel) -> list[Any]:
    return [clause.expr for clause in rel.restrictions]


def _simple_path(root: Root, rel: Rel, kind: str, tuples: float, per_row: float, *, startup: float = 0.0) -> None:
    rel.tuples = max(1.0, tuples)
    rel.rows = max(1.0, round(rel.tuples * clauses_selectivity(root, rel.restrictions)))
    qual_startup, qual_row = cost.eval_cost(_quals(rel))
    begin = startup + qual_startup
    total = begin + (settings.cpu_tuple_cost + per_row + qual_row) * rel.tuples
    add_path(rel, Path(kind, rel, rel.rows, begin, total, outer_rels=rel.lateral))


def _function_path(root: Root, rel: Rel) -> None:
    rows = 0.0
    expense = 0.0
    for item in rel.rte.functions:
        call = item.funcexpr
        rows = max(rows, call_rows(call))
        expense += sum(cost.eval_cost(call))
    rel.lateral = _lateral_relids(root, rel.rte.functions)
    _simple_path(root, rel, "FunctionScan", rows, 0, startup=expense)


def call_rows(call: Any) -> float:
    """How many rows a call is expected to return."""
    if getattr(call, "funcretset", False):
        return _series_rows(call) or float(lookup(c.PROCOID, call.funcid).prorows)
    if getattr(call, "opretset", False):
        return float(lookup(c.PROCOID, function_of(call)).prorows)
    return 1.0


def _series_rows(call: Any) -> float:
    row = lookup(c.PROCOID, call.funcid)
    if row is None or row.prosrc not in ("generate_series_int4", "generate_series_int8", "generate_series_step_int4",
                                         "generate_series_step_int8"):  # fmt: skip
        if row is not None and row.prosrc == "array_unnest":
            return 10.0
        return 0.0
    values: list[Any] = [getattr(arg, "constvalue", None) for arg in call.args]
    if any(not isinstance(value, int) for value in values):
        return 0.0
    step = values[2] if len(values) > 2 else 1
    return max(0.0, (values[1] - values[0]) // step + 1) if step else 0.0


def _lateral_relids(root: Root, tree: Any) -> int:
    return pull_relids(tree) & root.all_baserels


def _cte_path(root: Root, rel: Rel) -> None:
    rte = rel.rte
    owner = root
    for _ in range(rte.ctelevelsup):
        assert owner.parent is not None
        owner = owner.parent
    index = next(i for i, cte in enumerate(owner.parse.cteList) if cte.ctename == rte.ctename)
    if rte.self_reference:
        rows = max(1.0, owner_recursion(root, rte).nonrecursive_rows * 10)
        _simple_path(root, rel, "WorkTableScan", rows, settings.cpu_tuple_cost)
        return
    _, path = owner.cte_paths[index]
    rel.rte = rte
    _simple_path(root, rel, "CteScan", path.rows, settings.cpu_tuple_cost)
    rel.paths[-1].info["plan_id"] = owner.cte_plans[index]
    rel.paths[-1].info["owner"] = owner


def owner_recursion(root: Root, rte: Any) -> Root:
    """The level that plans the recursive union a self-reference belongs to: the one that has a work table."""
    owner: Root | None = root
    while owner is not None:
        if owner.work_table_param >= 0:
            return owner
        owner = owner.parent
    raise AssertionError(f"no recursive union for {rte.ctename}")


# Subqueries


def _subquery_path(root: Root, rel: Rel) -> None:
    rte = rel.rte
    query: Query = copy_tree(rte.subquery)
    rel.lateral = _subquery_lateral(root, rel.rtindex, query)
    if rel.restrictions and not rte.security_barrier:
        rel.restrictions = [
            clause for clause in rel.restrictions if not _push_down(root, rel.rtindex, query, clause)
        ]
    saved, root.plan_params = root.plan_params, []
    fraction = root.tuple_fraction if len(root.rels) == 1 and not root.parse.groupClause else 0.0
    sub_root, path = _planner(root, query, fraction)
    params, root.plan_params = root.plan_params, saved
    rel.subroot = sub_root
    rel.tuples = path.rows
    rel.rows = max(1.0, round(path.rows * clauses_selectivity(root, rel.restrictions)))
    qual_startup, qual_row = cost.eval_cost(_quals(rel))
    total = path.total + qual_startup + (settings.cpu_tuple_cost * 0.1 + qual_row) * path.rows
    keys = _outer_pathkeys(rel, sub_root, path)
    add_path(
        rel,
        Path(
            "SubqueryScan", rel, rel.rows, path.startup + qual_startup, total, pathkeys=keys, outer_rels=rel.lateral,
            children=[path], info={"params": params},
        ),
    )  # fmt: skip


def _outer_pathkeys(rel: Rel, sub_root: Root, path: Path) -> list[Any]:
    """The subquery's order in terms of its output columns."""
    from_columns = {
        fingerprint(target.expr): target for target in sub_root.target if not target.resjunk
    }
    keys = []
    for key in path.pathkeys:
        target = from_columns.get(key.key)
        if target is None:
            break
        expr = Var(
            varno=rel.rtindex, varattno=target.resno, vartype=expr_type(target.expr), vartypmod=-1,
            varcollid=expr_collation(target.expr), location=-1,
        )  # fmt: skip
        keys.append(type(key)(fingerprint(expr), expr, key.opfamily, key.descending, key.nulls_first, key.collation))
    return keys


def _subquery_lateral(root: Root, rtindex: int, query: Query) -> int:
    relids = 0

    def visit(node: Any, depth: int) -> None:
        nonlocal relids
        if type(node) is Var and node.varlevelsup == depth:
            relids |= 1 << node.varno

    walk_levels(query, visit)
    return relids & root.all_baserels & ~(1 << rtindex)


def _push_down(root: Root, rtindex: int, query: Query, clause: Clause) -> bool:
    """Test a condition inside the subquery where that means the same (subquery_push_qual)."""
    if (
        query.setOperations is not None
        or query.limitCount is not None
        or query.limitOffset is not None
        or query.distinctClause
        or query.hasWindowFuncs
        or query.hasTargetSRFs
        or query.groupingSets
        or query.hasModifyingCTE
        or query.commandType != enums.CMD_SELECT
        or contains_volatile(clause.expr)
        or contains_subplan(clause.expr)
    ):
        return False
    targets = {target.resno: target for target in query.targetList}
    for var in pull_vars(clause.expr):
        if var.varno != rtindex or var.varattno <= 0:
            return False
        target = targets.get(var.varattno)
        if target is None or contains_volatile(target.expr) or contains_window_function(target.expr):
            return False

    def replace_one(var: Var, _depth: int) -> Any:
        return copy_tree(targets[var.varattno].expr)

    pushed = replace_vars(clause.expr, replace_one)
    if query.hasAggs or query.groupClause or query.havingQual is not None:
        query.havingQual = [*and_list(query.havingQual), pushed]
    else:
        query.jointree.quals = [*and_list(query.jointree.quals), pushed]
    return True


# Tables


def _sample_path(root: Root, rel: Rel, sample: Any) -> None:
    """TABLESAMPLE: the method says how many pages it reads and how many rows it gives."""
    percent = estimate_expression(root, sample.args[0])
    share = 0.1
    if type(percent) is Const and not percent.constisnull and 0 <= percent.constvalue <= 100:
        share = percent.constvalue / 100.0
    by_block = sample.tsmhandler == _SYSTEM_HANDLER
    pages = max(1.0, float(round(rel.pages * share))) if by_block else rel.pages
    tuples = max(1.0, float(round(rel.tuples * share)))
    rel.rows = max(1.0, float(round(rel.rows * share)))
    page_cost = settings.random_page_cost if by_block else settings.seq_page_cost
    startup, per_row = cost.eval_cost(_quals(rel))
    total = startup + page_cost * pages + (settings.cpu_tuple_cost + per_row) * tuples
    add_path(rel, Path("SampleScan", rel, rel.rows, startup, total))


def _relation_paths(root: Root, rel: Rel) -> None:
    tablesample = rel.rte.tablesample
    if tablesample is not None:
        _sample_path(root, rel, tablesample)
        return
    startup, total = cost.seqscan(rel.pages, rel.tuples, _quals(rel))
    disabled = 0 if settings.enable_seqscan else cost.DISABLED
    add_path(rel, Path("SeqScan", rel, rel.rows, startup, total, disabled=disabled))
    if _current_of_path(root, rel):
        return
    _tid_path(root, rel)
    for index in rel.indexes:
        if index.predicate and not _implies(rel, index.predicate):
            continue
        _index_paths(root, rel, index)
    _bitmap_or_paths(root, rel)


def _implies(rel: Rel, predicate: list[Any]) -> bool:
    """Whether the relation's conditions guarantee a partial index's predicate."""
    known = {fingerprint(clause.expr) for clause in rel.restrictions}
    strict_columns = {
        (var.varattno)
        for clause in rel.restrictions
        if type(clause.expr) is OpExpr and lookup(c.PROCOID, function_of(clause.expr)).proisstrict
        for var in pull_vars(clause.expr)
    }
    for part in predicate:
        if fingerprint(part) in known:
            continue
        if type(part) is NullTest and part.nulltesttype == enums.IS_NOT_NULL and type(part.arg) is Var and (
            part.arg.varattno in strict_columns
        ):
            continue
        return False
    return True


def _current_of_path(root: Root, rel: Rel) -> bool:
    """WHERE CURRENT OF can be had from a TID scan only: it is then the one path."""
    clause = next((item for item in rel.restrictions if type(item.expr) is CurrentOfExpr), None)
    if clause is None:
        return False
    startup, per_row = cost.eval_cost([item.expr for item in rel.restrictions if item is not clause])
    total = startup + settings.random_page_cost + settings.cpu_tuple_cost + per_row
    rel.rows = 1
    rel.paths = [Path("TidScan", rel, 1, startup, total, info={"tidquals": [clause.expr], "used": [clause]})]
    return True


def _tid_path(root: Root, rel: Rel) -> None:
    for clause in rel.restrictions:
        quals = _tid_quals(clause.expr, rel.rtindex)
        if not quals:
            continue
        count = 10 if any(type(qual) is ScalarArrayOpExpr for qual in quals) else len(quals)
        startup, per_row = cost.eval_cost(_quals(rel))
        total = startup + count * (settings.random_page_cost + settings.cpu_tuple_cost + per_row)
        disabled = 0 if settings.enable_tidscan else cost.DISABLED
        add_path(
            rel,
            Path("TidScan", rel, min(rel.rows, count), startup, total, info={"tidquals": quals, "used": [clause]},
                 disabled=disabled),
        )  # fmt: skip


def _tid_quals(expr: Any, rtindex: int) -> list[Any]:
    found: list[Any] = []
    for part in or_list(expr):
        if type(part) is OpExpr and part.opno == 387 and len(part.args) == 2:
            for own, other in (part.args, part.args[::-1]):
                if type(own) is Var and own.varattno == -1 and own.varno == rtindex and not pull_relids(other):
                    found.append(part)
                    break
            else:
                return []
        elif type(part) is ScalarArrayOpExpr and part.opno == 387 and part.useOr:
            own, other = part.args
            if not (type(own) is Var and own.varattno == -1 and own.varno == rtindex) or pull_relids(other):
                return []
            found.append(part)
        else:
            return []
    return found


@dataclass(slots=True, eq=False)
class IndexClause:
    """A condition that an index column can serve; ``expr`` has the column on its left."""

    column: int
    expr: Any
    clause: Clause
    strategy: int                   # 1 < 2 <= 3 = 4 >= 5 >; 0: IS NULL, 6: = ANY, 7: IS NOT NULL


def _index_paths(root: Root, rel: Rel, index: IndexInfo) -> None:
    plain = match_clauses(rel, index, rel.restrictions, 0)
    _one_index_path(root, rel, index, plain, 0)
    by_outer: dict[int, list[IndexClause]] = {}
    for clause in rel.joins:
        if not clause.can_join or clause.outer_join and not _inner_side(root, rel, clause):
            continue
        outer = clause.required & ~rel.relids
        for found in match_clauses(rel, index, [clause], outer):
            sources = (clause.left | clause.right) & ~rel.relids & root.all_baserels
            by_outer.setdefault(sources, []).append(found)
    combined: dict[int, list[IndexClause]] = dict(by_outer)
    if len(by_outer) > 1:
        union = 0
        everything: list[IndexClause] = []
        for outer, clauses in by_outer.items():
            union |= outer
            everything += clauses
        combined.setdefault(union, everything)
    for outer, clauses in combined.items():
        more = [item for other, items in by_outer.items() if other != outer and not other & ~outer for item in items]
        unique = {id(item): item for item in [*clauses, *more]}
        _one_index_path(root, rel, index, plain + list(unique.values()), outer | rel.lateral)


def _inner_side(root: Root, rel: Rel, clause: Clause) -> bool:
    """An outer join's clause may drive an index on its nullable side only."""
    for info in root.outer_joins:
        if info.marker == clause.outer_join:
            if info.jointype == enums.JOIN_SEMI and info.semi_operators:
                return True     # for the inner join with the right side made unique
            return bool(rel.relids & info.syn_right) and info.jointype != enums.JOIN_FULL
    return False


def match_clauses(rel: Rel, index: IndexInfo, clauses: list[Clause], outer: int) -> list[IndexClause]:
    """The conditions that columns of the index can serve."""
    found = []
    for clause in clauses:
        for column in range(index.nkeys):
            matched = _match(rel, index, column, clause)
            if matched is not None:
                found.append(matched)
                break
    return found


def _matches_column(rel: Rel, index: IndexInfo, column: int, operand: Any) -> bool:
    node = strip_relabel(operand)
    if index.keys[column]:
        return (
            type(node) is Var and node.varno == rel.rtindex and node.varattno == index.keys[column]
            and node.varlevelsup == 0
        )  # fmt: skip
    expression = index.column_expr(column)
    return bool(fingerprint(node) == fingerprint(strip_relabel(expression)))


def _match(rel: Rel, index: IndexInfo, column: int, clause: Clause) -> IndexClause | None:
    expr = clause.expr
    if type(expr) is OpExpr and len(expr.args) == 2:
        left, right = expr.args
        if _matches_column(rel, index, column, left) and not pull_relids(right) & rel.relids:
            return _op_clause(index, column, clause, expr)
        if _matches_column(rel, index, column, right) and not pull_relids(left) & rel.relids:
            operator = lookup(c.OPEROID, expr.opno)
            if not operator.oprcom:
                return None
            commuted = lookup(c.OPEROID, operator.oprcom)
            turned = OpExpr(
                opno=int(operator.oprcom), opfuncid=int(commuted.oprcode), opresulttype=expr.opresulttype,
                opcollid=expr.opcollid, inputcollid=expr.inputcollid, args=[right, left], location=expr.location,
            )  # fmt: skip
            return _op_clause(index, column, clause, turned)
        return None
    if type(expr) is ScalarArrayOpExpr and expr.useOr:
        own, array = expr.args
        if _matches_column(rel, index, column, own) and not pull_relids(array) & rel.relids:
            if contains_volatile(array) or not _collation_fits(index, column, expr.inputcollid):
                return None
            row = lookup(c.AMOPOPID, expr.opno, "s", index.opfamilies[column])
            return IndexClause(column, expr, clause, 6) if row is not None and row.amopstrategy == 3 else None
    if type(expr) is NullTest and not expr.argisrow and _matches_column(rel, index, column, expr.arg):
        return IndexClause(column, expr, clause, 0 if expr.nulltesttype == enums.IS_NULL else 7)
    return None


def _collation_fits(index: IndexInfo, column: int, collation: int) -> bool:
    return not index.collations[column] or index.collations[column] == collation


def _op_clause(index: IndexInfo, column: int, clause: Clause, expr: OpExpr) -> IndexClause | None:
    if contains_volatile(expr.args[1]) or not _collation_fits(index, column, expr.inputcollid):
        return None
    row = lookup(c.AMOPOPID, expr.opno, "s", index.opfamilies[column])
    return None if row is None else IndexClause(column, expr, clause, int(row.amopstrategy))


def _boundary(index: IndexInfo, clauses: list[IndexClause]) -> list[IndexClause]:
    """The clauses that bound the scan: equalities of a prefix and what bounds the next column."""
    used: list[IndexClause] = []
    for column in range(index.nkeys):
        here = [item for item in clauses if item.column == column]
        used += here
        if not any(item.strategy in (0, 3, 6) for item in here):
            break
    return used


def _one_index_path(root: Root, rel: Rel, index: IndexInfo, clauses: list[IndexClause], outer: int) -> None:
    keys = index_pathkeys(root, rel, index)
    forward = useful_prefix(root, rel, keys)
    backward_keys = index_pathkeys(root, rel, index, backward=True)
    backward = useful_prefix(root, rel, backward_keys)
    index_only = settings.enable_indexonlyscan and _covers_needed(rel, index)
    if not clauses and not forward and not backward and not index_only:
        return
    bounds = _boundary(index, clauses)
    parts = [item.clause for item in {id(b.clause): b for b in bounds}.values()]
    selectivity = clauses_selectivity(root, parts) if parts else 1.0
    if index.predicate:
        selectivity *= index.tuples / rel.tuples if rel.tuples else 1.0
    equal_all = index.unique and {b.column for b in bounds if b.strategy == 3} == set(range(index.nkeys))
    if equal_all:
        selectivity = min(selectivity, 1.0 / max(1.0, rel.tuples))
    num_scans = 1.0
    for item in bounds:
        if item.strategy == 6:
            num_scans *= _array_length(item.expr.args[1])
    used = {id(item.clause) for item in clauses}
    remaining = [clause.expr for clause in rel.restrictions if id(clause) not in used]
    all_parts = [clause for clause in rel.restrictions if id(clause) not in used]
    rows = max(1.0, round(rel.tuples * selectivity * clauses_selectivity(root, all_parts)))
    if not outer:
        rows = min(rows, rel.rows) if clauses else rel.rows
    loops = _outer_rows(root, outer) if outer else 1.0
    startup, total, index_total = cost.index_scan(
        index_pages=index.pages, index_tuples=max(1.0, index.tuples), tree_height=index.tree_height,
        heap_pages=rel.pages, selectivity=selectivity, heap_tuples=rel.tuples,
        correlation=_correlation(root, rel, index),
        index_only_fraction=rel.all_visible_fraction if index_only else 0.0, qual_cost=cost.eval_cost(remaining),
        nindexquals=len(bounds), num_scans=num_scans, loop_count=loops,
    )  # fmt: skip
    kind = "IndexOnlyScan" if index_only else "IndexScan"
    switched_on = settings.enable_indexonlyscan if index_only else settings.enable_indexscan
    disabled = 0 if switched_on else cost.DISABLED
    info = {"index": index, "clauses": clauses, "backward": False}
    ordered = [] if num_scans > 1 and any(item.strategy == 6 and item.column > 0 for item in bounds) else forward
    add_path(rel, Path(kind, rel, rows, startup, total, ordered, outer, info=info, disabled=disabled))
    if backward and not forward:
        info = {"index": index, "clauses": clauses, "backward": True}
        add_path(rel, Path(kind, rel, rows, startup, total, backward, outer, info=info, disabled=disabled))
    if clauses and settings.enable_bitmapscan:
        _bitmap_path(root, rel, index, clauses, outer, index_total, selectivity, rows, remaining)


def _bitmap_path(
    root: Root, rel: Rel, index: IndexInfo, clauses: list[IndexClause], outer: int, index_total: float,
    selectivity: float, rows: float, remaining: list[Any],
) -> None:  # fmt: skip
    begin, total = cost.bitmap_heap_scan(index_total, selectivity, rel.pages, rel.tuples, cost.eval_cost(remaining))
    child = Path("BitmapIndexScan", rel, rel.tuples * selectivity, 0, index_total,
                 info={"index": index, "clauses": clauses})  # fmt: skip
    used = [item.clause for item in clauses]
    add_path(
        rel, Path("BitmapHeapScan", rel, rows, begin, total, [], outer, [child], {"used": used, "recheck": clauses})
    )


def _bitmap_or_paths(root: Root, rel: Rel) -> None:
    """``a = 1 OR b = 2`` by the union of two bitmaps."""
    if not settings.enable_bitmapscan:
        return
    for clause in rel.restrictions:
        arms = or_list(clause.expr)
        if len(arms) < 2:
            continue
        children: list[Path] = []
        for arm in arms:
            parts = [Clause(expr=part, required=rel.relids) for part in and_list(arm)]
            best = _best_arm(root, rel, parts)
            if best is None:
                break
            children.append(best)
        else:
            selectivity = min(1.0, sum(child.rows for child in children) / max(1.0, rel.tuples))
            index_total = sum(child.total for child in children)
            bitmap = Path("BitmapOr", rel, selectivity * rel.tuples, 0, index_total, children=children)
            remaining = [other.expr for other in rel.restrictions if other is not clause]
            begin, total = cost.bitmap_heap_scan(
                index_total, selectivity, rel.pages, rel.tuples, cost.eval_cost([*remaining, clause.expr])
            )
            add_path(
                rel,
                Path("BitmapHeapScan", rel, rel.rows, begin, total, children=[bitmap],
                     info={"used": [], "recheck": [], "or_qual": clause.expr}),
            )  # fmt: skip


def _best_arm(root: Root, rel: Rel, parts: list[Clause]) -> Path | None:
    best: Path | None = None
    for index in rel.indexes:
        if index.predicate:
            continue
        clauses = match_clauses(rel, index, parts, 0)
        bounds = _boundary(index, clauses)
        if not any(item.column == 0 for item in bounds):
            continue
        selectivity = clauses_selectivity(root, [item.clause for item in bounds])
        _, _, index_total = cost.index_scan(
            index_pages=index.pages, index_tuples=max(1.0, index.tuples), tree_height=index.tree_height,
            heap_pages=rel.pages, selectivity=selectivity, heap_tuples=rel.tuples, correlation=0.0,
            index_only_fraction=0.0, qual_cost=(0.0, 0.0), nindexquals=len(bounds), num_scans=1.0, loop_count=1.0,
        )  # fmt: skip
        path = Path(
            "BitmapIndexScan", rel, rel.tuples * selectivity, 0, index_total, info={"index": index, "clauses": clauses}
        )
        if best is None or path.total < best.total:
            best = path
    return best


def _array_length(array: Any) -> float:
    elements = getattr(array, "elements", None)
    if elements is None and type(array).__name__ == "Const" and array.constvalue is not None:
        elements = getattr(array.constvalue, "elements", None)
    return float(max(1, len(elements))) if elements is not None else 10.0


def _outer_rows(root: Root, outer: int) -> float:
    rows = [rel.rows for rtindex, rel in root.rels.items() if outer >> rtindex & 1]
    return max(1.0, min(rows, default=1.0))


def _correlation(root: Root, rel: Rel, index: IndexInfo) -> float:
    if not index.keys[0]:
        return 0.0
    stats = column_stats(root, Var(varno=rel.rtindex, varattno=index.keys[0]))
    value = stats.correlation if stats is not None else 0.0
    if index.descending[0]:
        value = -value
    return value * 0.75 if index.nkeys > 1 else value


def _covers_needed(rel: Rel, index: IndexInfo) -> bool:
    """Whether all columns that are used stand in the index."""
    stored = {key for key in index.keys if key}
    if 0 in index.keys and any(key == 0 for key in index.keys[: index.nkeys]) and not stored:
        return False
    needed = set(rel.needed)
    for clause in rel.restrictions:
        needed |= {var.varattno for var in pull_vars(clause.expr) if var.varno == rel.rtindex}
    if any(attno <= 0 for attno in needed):
        return False
    if any(expr_type(var) == 19 for var in rel.target):
        return False    # a name is stored in an index as a cstring: read it from the table
    return needed <= stored
