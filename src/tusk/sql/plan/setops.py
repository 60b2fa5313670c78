"""UNION, INTERSECT, EXCEPT, and the recursive union of WITH RECURSIVE (optimizer/prep/prepunion.c)."""

from __future__ import annotations

from typing import Any

from tusk.config import settings
from tusk.errors import SqlError, errcode
from tusk.sql.analyze.coerce import coerce_to_common_type
from tusk.sql.nodes import FuncExpr, RangeTblRef, SetOperationStmt, TargetEntry, Var, enums
from tusk.sql.nodes.make import make_target
from tusk.sql.nodes.nodefuncs import expr_collation, expr_type, expr_typmod
from tusk.sql.plan import cost
from tusk.sql.plan.joins import sort_path
from tusk.sql.plan.pathkeys import pathkeys_for_clauses
from tusk.sql.plan.structures import Path, Rel, Root

_planner: Any = None


def set_query_planner(planner: Any) -> None:
    """``planner(root, query, tuple_fraction, **) -> (sub root, path)``."""
    global _planner
    _planner = planner


def plan_set_operations(root: Root) -> Path:
    """The path of a query whose body is a tree of set operations; its target is the query's columns."""
    top = root.parse.setOperations
    leftmost = top
    while type(leftmost) is SetOperationStmt:
        leftmost = leftmost.larg
    names = [entry.resname for entry in root.rte(leftmost.rtindex).subquery.targetList if not entry.resjunk]
    if root.has_recursion:
        return _recursive_union(root, top, names)
    return _node(root, top, names)


def _node(root: Root, node: Any, names: list[str | None]) -> Path:
    if type(node) is RangeTblRef:
        return _leaf(root, node)
    if node.op == enums.SETOP_UNION:
        return _union(root, node, names)
    return _intersect_or_except(root, node, names)


def _leaf(root: Root, ref: RangeTblRef) -> Path:
    rte = root.rte(ref.rtindex)
    rel = Rel(relids=1 << ref.rtindex, rtindex=ref.rtindex, rte=rte)
    root.rels[ref.rtindex] = rel
    saved, root.plan_params = root.plan_params, []
    sub_root, path = _planner(root, rte.subquery, root.tuple_fraction)
    if root.plan_params:
        raise SqlError(errcode.INTERNAL_ERROR, "unexpected outer reference in set operation subquery")
    root.plan_params = saved
    rel.subroot = sub_root
    rel.rows = rel.tuples = path.rows
    target = [
        make_target(_column(ref.rtindex, entry), number, entry.resname)
        for number, entry in enumerate((e for e in sub_root.target if not e.resjunk), 1)
    ]
    return Path(
        "SubqueryScan", rel, path.rows, path.startup, path.total + settings.cpu_tuple_cost * 0.1 * path.rows, [], 0,
        [path], {"params": []}, target, path.disabled,
    )  # fmt: skip


def _column(rtindex: int, entry: TargetEntry) -> Var:
    return Var(
        varno=rtindex, varattno=entry.resno, vartype=expr_type(entry.expr), vartypmod=expr_typmod(entry.expr),
        varcollid=expr_collation(entry.expr), varnosyn=rtindex, varattnosyn=entry.resno, location=-1,
    )  # fmt: skip


def _output_target(node: SetOperationStmt, child: list[TargetEntry], names: list[str | None]) -> list[TargetEntry]:
    """The columns of a set operation: the child's, under the set operation's types, by position."""
    entries = []
    for number, _entry in enumerate(child):
        expr = Var(
            varno=0, varattno=number + 1, vartype=node.colTypes[number], vartypmod=node.colTypmods[number],
            varcollid=node.colCollations[number], location=-1,
        )  # fmt: skip
        entries.append(make_target(expr, number + 1, names[number]))
        entries[-1].ressortgroupref = number + 1
    return entries


def _coerced(path: Path, node: SetOperationStmt, names: list[str | None]) -> Path:
    """A child whose columns have the set operation's types: the analyzer coerces only literals."""
    assert path.target is not None
    target: list[TargetEntry] = []
    changed = False
    for number, entry in enumerate(path.target):
        expr = entry.expr
        if expr_type(expr) != node.colTypes[number]:
            expr = coerce_to_common_type(None, expr, node.colTypes[number], "UNION/INTERSECT/EXCEPT")
            changed = True
        target.append(make_target(expr, number + 1, names[number]))
    if not changed:
        return path
    return Path("Project", path.rel, path.rows, path.startup, path.total, [], 0, [path], {}, target, path.disabled)


def _flatten_union(root: Root, node: Any, top: SetOperationStmt, names: list[str | None]) -> list[Path]:
    """The arms of nested UNIONs of the same kind and types."""
    if (
        type(node) is SetOperationStmt
        and node.op == enums.SETOP_UNION
        and (node.all == top.all or node.all)
        and node.colTypes == top.colTypes
        and node.colCollations == top.colCollations
    ):
        return _flatten_union(root, node.larg, top, names) + _flatten_union(root, node.rarg, top, names)
    return [_coerced(_node(root, node, names), top, names)]


def _union(root: Root, node: SetOperationStmt, names: list[str | None]) -> Path:
    arms = _flatten_union(root, node, node, names)
    rows = sum(arm.rows for arm in arms)
    rel = Rel(relids=0, rows=rows, width=max(arm.rel.width for arm in arms))
    target = _output_target(node, arms[0].target or [], names)
    total = sum(arm.total for arm in arms) + settings.cpu_tuple_cost * 0.5 * rows
    path = Path(
        "Append", rel, rows, arms[0].startup, total, [], 0, arms, {}, target, sum(arm.disabled for arm in arms)
    )
    return path if node.all else _unique(root, node, path)


def _clauses(node: SetOperationStmt) -> list[Any]:
    """The set operation's grouping clauses with references that the output target carries."""
    for number, clause in enumerate(node.groupClauses):
        clause.tleSortGroupRef = number + 1
    return node.groupClauses


def _unique(root: Root, node: SetOperationStmt, path: Path) -> Path:
    clauses = _clauses(node)
    if not clauses:
        # No columns at all: every row is the same.
        return Path("Limit1", path.rel, 1, path.startup, path.total, [], 0, [path], {}, path.target, path.disabled)
    assert path.target is not None
    groups = max(1.0, path.rows)
    options: list[Path] = []
    if all(clause.hashable for clause in clauses):
        startup, total = cost.aggregate("hashed", path.startup, path.total, path.rows, groups, len(clauses), 0.0)
        disabled = path.disabled + (0 if settings.enable_hashagg else cost.DISABLED)
        options.append(
            Path("Agg", path.rel, groups, startup, total, [], 0, [path],
                 {"strategy": enums.AGG_HASHED, "clauses": clauses, "having": [], "groups": groups},
                 path.target, disabled)
        )  # fmt: skip
    if all(clause.sortop for clause in clauses):
        keys = pathkeys_for_clauses(root, clauses, path.target)
        ordered = sort_path(path, keys, -1.0)
        options.append(
            Path("Unique", path.rel, groups, ordered.startup,
                 ordered.total + settings.cpu_operator_cost * len(clauses) * ordered.rows, keys, 0, [ordered],
                 {"clauses": clauses}, path.target, ordered.disabled)
        )  # fmt: skip
    if not options:
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED,
            "could not implement UNION",
            detail="Some of the datatypes only support hashing, while others only support sorting.",
        )
    return min(options, key=lambda option: (option.disabled, option.total))


def _intersect_or_except(root: Root, node: SetOperationStmt, names: list[str | None]) -> Path:
    left = _coerced(_node(root, node.larg, names), node, names)
    right = _coerced(_node(root, node.rarg, names), node, names)
    is_except = node.op == enums.SETOP_EXCEPT
    if not is_except and right.rows < left.rows:
        left, right = right, left
    clauses = _clauses(node)
    target = _output_target(node, left.target or [], names)
    commands = {
        (True, True): enums.SETOPCMD_EXCEPT_ALL, (True, False): enums.SETOPCMD_EXCEPT,
        (False, True): enums.SETOPCMD_INTERSECT_ALL, (False, False): enums.SETOPCMD_INTERSECT,
    }  # fmt: skip
    rows = left.rows if is_except else min(left.rows, right.rows)
    rel = Rel(relids=0, rows=rows, width=left.rel.width)
    total = left.total + right.total + settings.cpu_operator_cost * len(clauses) * (left.rows + right.rows)
    info = {"command": commands[is_except, bool(node.all)], "clauses": clauses}
    if all(clause.hashable for clause in clauses) and settings.enable_hashagg:
        info["strategy"] = enums.SETOP_HASHED
        return Path("SetOp", rel, rows, total, total, [], 0, [left, right], info, target)
    for side in (left, right):
        for number, entry in enumerate(side.target or []):
            entry.ressortgroupref = number + 1
    keys = [pathkeys_for_clauses(root, clauses, side.target or []) for side in (left, right)]
    info["strategy"] = enums.SETOP_SORTED
    children = [sort_path(side, order, -1.0) for side, order in zip((left, right), keys, strict=True)]
    return Path("SetOp", rel, rows, total, total, [], 0, children, info, target)


def _recursive_union(root: Root, node: SetOperationStmt, names: list[str | None]) -> Path:
    """The non-recursive term once, then the recursive one until it adds nothing."""
    root.work_table_param = root.glob.new_param(2281)
    left = _coerced(_node(root, node.larg, names), node, names)
    root.nonrecursive_rows = left.rows
    right = _coerced(_node(root, node.rarg, names), node, names)
    target = _output_target(node, left.target or [], names)
    rows = left.rows + right.rows * 10
    total = left.total + right.total * 10 + settings.cpu_tuple_cost * rows
    clauses = [] if node.all else _clauses(node)
    if clauses and not all(clause.hashable for clause in clauses):
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED,
            "could not implement recursive UNION",
            detail="All column datatypes must be hashable.",
        )
    rel = Rel(relids=0, rows=rows, width=left.rel.width)
    info = {"param": root.work_table_param, "clauses": clauses}
    return Path("RecursiveUnion", rel, rows, left.startup, total, [], 0, [left, right], info, target)


def final_target(root: Root, path: Path) -> list[TargetEntry]:
    """The query's target list over a set operation: its sort references, its names."""
    assert path.target is not None
    entries = []
    for entry, source in zip((e for e in root.parse.targetList if not e.resjunk), path.target, strict=True):
        expr = source.expr
        if isinstance(entry.expr, FuncExpr):
            expr = entry.expr
        copy = make_target(expr, entry.resno, entry.resname)
        copy.ressortgroupref = entry.ressortgroupref
        entries.append(copy)
    return entries
