"""From the chosen path to plan nodes (optimizer/plan/createplan.c).

Expressions still name base relations here; `setrefs` makes them refer to child plans.
"""

from __future__ import annotations

from typing import Any

from tusk.catalog import cache as c
from tusk.catalog.cache import lookup
from tusk.errors import feature_not_supported
from tusk.sql.nodes import (
    Agg,
    Append,
    BitmapHeapScan,
    BitmapIndexScan,
    BitmapOr,
    CteScan,
    FunctionScan,
    Group,
    GroupingFunc,
    Hash,
    HashJoin,
    IndexOnlyScan,
    IndexScan,
    Limit,
    LockRows,
    Material,
    MergeJoin,
    ModifyTable,
    NestLoop,
    NestLoopParam,
    OpExpr,
    ProjectSet,
    RecursiveUnion,
    Result,
    SampleScan,
    SeqScan,
    SetOp,
    Sort,
    SubqueryScan,
    TargetEntry,
    TidScan,
    Unique,
    ValuesScan,
    Var,
    WindowAgg,
    WorkTableScan,
    enums,
    walk,
)
from tusk.sql.nodes.make import make_int4_const, make_target
from tusk.sql.nodes.nodefuncs import expr_collation, expr_type
from tusk.sql.plan import pathkeys as order
from tusk.sql.plan.aggregates import settle_aggregates
from tusk.sql.plan.exprs import pull_relids, replace_vars
from tusk.sql.plan.modify import make_modify_table
from tusk.sql.plan.relation_info import type_width
from tusk.sql.plan.scans import owner_recursion
from tusk.sql.plan.structures import IndexInfo, Path, PathKey, Root, fingerprint
from tusk.sql.plan.subselect import make_exec_param

_NO_PROJECTION = (
    Append, Material, Sort, Unique, SetOp, LockRows, Limit, RecursiveUnion, Hash, ModifyTable, ProjectSet,
)  # fmt: skip


def make_plan(root: Root, path: Path) -> Any:
    """The plan of a query level, with its initplans."""
    plan = _create(root, path)
    plan.initPlan = plan.initPlan + root.init_plans
    return plan


def _create(root: Root, path: Path) -> Any:
    plan = _MAKERS[path.kind](root, path)
    plan.startup_cost = path.startup
    plan.total_cost = path.total
    plan.plan_rows = path.rows
    plan.disabled_nodes = path.disabled
    plan.plan_width = sum(type_width(expr_type(entry.expr), -1) for entry in plan.targetlist)
    return plan


# Targets


def _rel_target(path: Path) -> list[TargetEntry]:
    return [make_target(var, number, None) for number, var in enumerate(path.rel.target, 1)]


def _target(path: Path) -> list[TargetEntry]:
    return path.target if path.target is not None else _rel_target(path)


def _can_project(plan: Any) -> bool:
    return not isinstance(plan, _NO_PROJECTION)


def _same_exprs(first: list[TargetEntry], second: list[TargetEntry]) -> bool:
    return len(first) == len(second) and all(
        fingerprint(a.expr) == fingerprint(b.expr) for a, b in zip(first, second, strict=True)
    )


def _project(root: Root, path: Path) -> Any:
    plan = _create(root, path.children[0])
    assert path.target is not None
    return put_target(root, plan, path.target)


def put_target(root: Root, plan: Any, target: list[TargetEntry]) -> Any:
    """The plan computing a target list: itself where it can, else under a Result."""
    if _can_project(plan) or _same_exprs(plan.targetlist, target):
        plan.targetlist = _outer_params(root, target)
        return plan
    return Result(
        targetlist=_outer_params(root, target), lefttree=plan, startup_cost=plan.startup_cost,
        total_cost=plan.total_cost, plan_rows=plan.plan_rows,
    )  # fmt: skip


def column_of(plan: Any, expr: Any) -> int:
    """The position of an expression in a plan's target list, 0 if it is not there."""
    key = fingerprint(expr)
    for entry in plan.targetlist:
        if fingerprint(entry.expr) == key:
            return int(entry.resno)
    return 0


def _ensure_columns(root: Root, plan: Any, exprs: list[Any]) -> tuple[Any, list[int]]:
    """The plan with all expressions among its columns, and where they are."""
    missing = [expr for expr in exprs if not column_of(plan, expr)]
    if missing:
        target = [_entry_copy(entry) for entry in plan.targetlist]
        known: set[Any] = set()
        for expr in missing:
            if fingerprint(expr) not in known:
                known.add(fingerprint(expr))
                target.append(make_target(expr, len(target) + 1, None, True))
        plan = put_target(root, plan, target)
    return plan, [column_of(plan, expr) for expr in exprs]


def _entry_copy(entry: TargetEntry) -> TargetEntry:
    return TargetEntry(
        expr=entry.expr, resno=entry.resno, resname=entry.resname, ressortgroupref=entry.ressortgroupref,
        resorigtbl=entry.resorigtbl, resorigcol=entry.resorigcol, resjunk=entry.resjunk,
    )  # fmt: skip


def _outer_params(root: Root, tree: Any) -> Any:
    """Replace columns of relations on the outer side of enclosing nested loops by parameters."""
    if not root.current_outer:
        return tree

    def replace_one(var: Var, _depth: int) -> Any:
        if not root.current_outer >> var.varno & 1:
            return None
        return make_exec_param(nestloop_param(root, var), var.vartype, var.vartypmod, var.varcollid)

    return replace_vars(tree, replace_one)


def nestloop_param(root: Root, expr: Any) -> int:
    """The parameter through which a nested loop hands on a value of its outer side."""
    key = fingerprint(expr)
    for known, param_id in root.nestloop_params:
        if fingerprint(known) == key:
            return param_id
    param_id = root.glob.new_param(expr_type(expr))
    root.nestloop_params.append((expr, param_id))
    return param_id


# Scans


def _scan_quals(root: Root, path: Path, used: set[int]) -> list[Any]:
    """The conditions a scan still has to test, cheap ones first."""
    quals = [clause.expr for clause in path.rel.restrictions if id(clause) not in used]
    return _outer_params(root, quals)  # type: ignore[no-any-return]


def _scan(root: Root, path: Path, kind: Any, **fields: Any) -> Any:
    return kind(
        targetlist=_outer_params(root, _target(path)), qual=_scan_quals(root, path, set()),
        scanrelid=path.rel.rtindex, **fields,
    )  # fmt: skip


def _seqscan(root: Root, path: Path) -> Any:
    return _scan(root, path, SeqScan)


def _samplescan(root: Root, path: Path) -> Any:
    return _scan(root, path, SampleScan, tablesample=_outer_params(root, path.rel.rte.tablesample))


def _functionscan(root: Root, path: Path) -> Any:
    rte = path.rel.rte
    return _scan(
        root, path, FunctionScan, functions=_outer_params(root, rte.functions), funcordinality=rte.funcordinality
    )


def _valuesscan(root: Root, path: Path) -> Any:
    return _scan(root, path, ValuesScan, values_lists=_outer_params(root, path.rel.rte.values_lists))


def _ctescan(root: Root, path: Path) -> Any:
    plan_id = path.info["plan_id"]
    owner = path.info["owner"]
    subplan = next(plan for plan in owner.init_plans if plan.plan_id == plan_id)
    return _scan(root, path, CteScan, ctePlanId=plan_id, cteParam=subplan.setParam[0])


def _worktablescan(root: Root, path: Path) -> Any:
    return _scan(root, path, WorkTableScan, wtParam=owner_recursion(root, path.rel.rte).work_table_param)


def _result(root: Root, path: Path) -> Any:
    return Result(targetlist=_outer_params(root, _target(path)), resconstantqual=_scan_quals(root, path, set()) or None)


def _gate(root: Root, path: Path) -> Any:
    plan = _create(root, path.children[0])
    return Result(
        targetlist=[_entry_copy(entry) for entry in plan.targetlist], lefttree=plan,
        resconstantqual=_outer_params(root, path.info["quals"]),
    )  # fmt: skip


def _subqueryscan(root: Root, path: Path) -> Any:
    sub_root = path.rel.subroot
    assert sub_root is not None
    for expr, param_id in path.info["params"]:
        if root.current_outer & pull_relids(expr):
            root.nestloop_params.append((expr, param_id))
        else:
            raise AssertionError("lateral reference is not supplied by a nested loop")
    sub_plan = make_plan(sub_root, path.children[0])
    return _scan(root, path, SubqueryScan, subplan=sub_plan)


def _tidscan(root: Root, path: Path) -> Any:
    used = {id(clause) for clause in path.info["used"]}
    return TidScan(
        targetlist=_outer_params(root, _target(path)), qual=_scan_quals(root, path, used), scanrelid=path.rel.rtindex,
        tidquals=_outer_params(root, path.info["tidquals"]),
    )  # fmt: skip


def _index_expr(root: Root, index: IndexInfo, rtindex: int, column: int) -> Var:
    """The index's own column, as index conditions name it."""
    del root, rtindex
    return Var(
        varno=enums.INDEX_VAR, varattno=column + 1, vartype=index.opcintypes[column], vartypmod=-1,
        varcollid=index.collations[column], location=-1,
    )  # fmt: skip


def _index_quals(root: Root, path: Path) -> tuple[list[Any], list[Any]]:
    """(conditions on index columns, the same as they were written)."""
    index: IndexInfo = path.info["index"]
    quals, originals = [], []
    ordered = sorted(path.info["clauses"], key=lambda item: item.column)
    for item in ordered:
        original = _outer_params(root, item.expr)
        originals.append(original)
        column = _index_expr(root, index, path.rel.rtindex, item.column)
        kind: Any = type(original)
        copy = kind.__new__(kind)
        for name, _, _ in original.FIELDS:
            setattr(copy, name, getattr(original, name))
        if hasattr(original, "args"):
            copy.args = [column, *original.args[1:]]
        else:
            copy.arg = column
        quals.append(copy)
    return quals, originals


def _indexscan(root: Root, path: Path) -> Any:
    quals, originals = _index_quals(root, path)
    used = {id(item.clause) for item in path.info["clauses"]}
    direction = enums.BackwardScanDirection if path.info["backward"] else enums.ForwardScanDirection
    return IndexScan(
        targetlist=_outer_params(root, _target(path)), qual=_scan_quals(root, path, used), scanrelid=path.rel.rtindex,
        indexid=path.info["index"].oid, indexqual=quals, indexqualorig=originals, indexorderdir=direction,
    )  # fmt: skip


def _indexonlyscan(root: Root, path: Path) -> Any:
    index: IndexInfo = path.info["index"]
    quals, originals = _index_quals(root, path)
    used = {id(item.clause) for item in path.info["clauses"]}
    direction = enums.BackwardScanDirection if path.info["backward"] else enums.ForwardScanDirection
    columns = []
    by_attno = {var.varattno: var for var in path.rel.target}
    for number, key in enumerate(index.keys):
        if key:
            source = by_attno.get(key)
            stored = index.opcintypes[number] if number < index.nkeys else 0
            expr: Any = Var(
                varno=path.rel.rtindex, varattno=key, vartype=source.vartype if source else stored or 23,
                vartypmod=source.vartypmod if source else -1, varcollid=source.varcollid if source else 0,
                varnosyn=path.rel.rtindex, varattnosyn=key, location=-1,
            )  # fmt: skip
        else:
            expr = index.column_expr(number)
        columns.append(make_target(expr, number + 1, None))
    return IndexOnlyScan(
        targetlist=_outer_params(root, _target(path)), qual=_scan_quals(root, path, used), scanrelid=path.rel.rtindex,
        indexid=index.oid, indexqual=quals, recheckqual=originals, indextlist=columns, indexorderdir=direction,
    )  # fmt: skip


def _bitmapindexscan(root: Root, path: Path) -> Any:
    quals, originals = _index_quals(root, path)
    return BitmapIndexScan(
        scanrelid=path.rel.rtindex, indexid=path.info["index"].oid, indexqual=quals, indexqualorig=originals
    )


def _bitmapor(root: Root, path: Path) -> Any:
    return BitmapOr(bitmapplans=[_create(root, child) for child in path.children])


def _bitmapheapscan(root: Root, path: Path) -> Any:
    bitmap = _create(root, path.children[0])
    used = {id(clause) for clause in path.info["used"]}
    if "or_qual" in path.info:
        recheck = [_outer_params(root, path.info["or_qual"])]
    else:
        recheck = [_outer_params(root, item.expr) for item in path.info["recheck"]]
    return BitmapHeapScan(
        targetlist=_outer_params(root, _target(path)), qual=_scan_quals(root, path, used), lefttree=bitmap,
        scanrelid=path.rel.rtindex, bitmapqualorig=recheck,
    )  # fmt: skip


# Joins


def _nestloop(root: Root, path: Path) -> Any:
    left_path, right_path = path.children
    left = _create(root, left_path)
    saved_outer = root.current_outer
    root.current_outer |= left_path.rel.relids
    right = _create(root, right_path)
    root.current_outer = saved_outer
    supplied: list[NestLoopParam] = []
    still: list[tuple[Any, int]] = []
    for expr, param_id in root.nestloop_params:
        if pull_relids(expr) & left_path.rel.relids and not pull_relids(expr) & saved_outer:
            supplied.append(NestLoopParam(paramno=param_id, paramval=expr))
        else:
            still.append((expr, param_id))
    root.nestloop_params = still
    exprs = [param.paramval for param in supplied]
    left, _ = _ensure_columns(root, left, exprs)
    return NestLoop(
        targetlist=_outer_params(root, _target(path)), lefttree=left, righttree=right,
        jointype=path.info["jointype"], inner_unique=path.info["unique"],
        joinqual=_outer_params(root, path.info["joinqual"]),
        qual=_outer_params(root, path.info["otherqual"]), nestParams=supplied,
    )  # fmt: skip


def _turned(clause: tuple[Any, bool]) -> OpExpr:
    """The clause with the outer side's operand on the left."""
    expr, swap = clause
    if not swap:
        return expr  # type: ignore[no-any-return]
    operator = lookup(c.OPEROID, expr.opno)
    commuted = lookup(c.OPEROID, operator.oprcom)
    return OpExpr(
        opno=int(operator.oprcom), opfuncid=int(commuted.oprcode), opresulttype=expr.opresulttype,
        opcollid=expr.opcollid, inputcollid=expr.inputcollid, args=[expr.args[1], expr.args[0]],
        location=expr.location,
    )  # fmt: skip


def _hashjoin(root: Root, path: Path) -> Any:
    left_path, right_path = path.children
    left, right = _create(root, left_path), _create(root, right_path)
    clauses = [_outer_params(root, _turned(clause)) for clause in path.info["hashclauses"]]
    inner_keys = [clause.args[1] for clause in clauses]
    hashed = Hash(
        targetlist=[_entry_copy(entry) for entry in right.targetlist], lefttree=right, hashkeys=inner_keys,
        startup_cost=right.total_cost, total_cost=right.total_cost, plan_rows=right.plan_rows,
        plan_width=right.plan_width, disabled_nodes=right.disabled_nodes,
    )  # fmt: skip
    return HashJoin(
        targetlist=_outer_params(root, _target(path)), lefttree=left, righttree=hashed,
        jointype=path.info["jointype"], inner_unique=path.info["unique"],
        joinqual=_outer_params(root, path.info["joinqual"]),
        qual=_outer_params(root, path.info["otherqual"]), hashclauses=clauses,
        hashoperators=[clause.opno for clause in clauses], hashcollations=[clause.inputcollid for clause in clauses],
        hashkeys=[clause.args[0] for clause in clauses],
    )  # fmt: skip


def _mergejoin(root: Root, path: Path) -> Any:
    left_path, right_path = path.children
    left, right = _create(root, left_path), _create(root, right_path)
    clauses = [_outer_params(root, _turned(clause)) for clause in path.info["mergeclauses"]]
    keys: list[PathKey] = path.info["keys"]
    if not isinstance(right, (Material, Sort)):
        right = Material(
            targetlist=[_entry_copy(entry) for entry in right.targetlist], lefttree=right,
            startup_cost=right.startup_cost, total_cost=right.total_cost, plan_rows=right.plan_rows,
            plan_width=right.plan_width, disabled_nodes=right.disabled_nodes,
        )  # fmt: skip
    return MergeJoin(
        targetlist=_outer_params(root, _target(path)), lefttree=left, righttree=right,
        jointype=path.info["jointype"], inner_unique=path.info["unique"],
        joinqual=_outer_params(root, path.info["joinqual"]),
        qual=_outer_params(root, path.info["otherqual"]), mergeclauses=clauses,
        mergeFamilies=[key.opfamily for key in keys], mergeCollations=[clause.inputcollid for clause in clauses],
        mergeReversals=[False] * len(keys), mergeNullsFirst=[False] * len(keys),
    )  # fmt: skip


def _material(root: Root, path: Path) -> Any:
    plan = _create(root, path.children[0])
    return Material(targetlist=[_entry_copy(entry) for entry in plan.targetlist], lefttree=plan)


# Order and grouping


def _sort(root: Root, path: Path) -> Any:
    plan = _create(root, path.children[0])
    keys: list[PathKey] = path.info["keys"]
    plan, columns = _ensure_columns(root, plan, [_key_expr(plan, key) for key in keys])
    types = {entry.resno: expr_type(entry.expr) for entry in plan.targetlist}
    return Sort(
        targetlist=[_entry_copy(entry) for entry in plan.targetlist], lefttree=plan, numCols=len(keys),
        sortColIdx=columns,
        sortOperators=[
            order.ordering_operator(key.opfamily, types[column], key.descending)
            for key, column in zip(keys, columns, strict=True)
        ],
        collations=[key.collation for key in keys], nullsFirst=[key.nulls_first for key in keys],
    )  # fmt: skip


def _key_expr(plan: Any, key: PathKey) -> Any:
    """The expression in the plan's columns that a key stands for; its own where there is none."""
    if column_of(plan, key.expr):
        return key.expr
    for entry in plan.targetlist:
        if fingerprint(entry.expr) == key.key:
            return entry.expr
    return key.expr


def _clause_columns(root: Root, plan: Any, clauses: list[Any], target: list[TargetEntry]) -> tuple[Any, list[int]]:
    """Where the columns of SortGroupClauses are in a plan's output."""
    by_ref = {entry.ressortgroupref: entry.expr for entry in target if entry.ressortgroupref}
    own = {entry.ressortgroupref: entry for entry in plan.targetlist if entry.ressortgroupref}
    columns: list[int] = []
    exprs: list[Any] = []
    for clause in clauses:
        if clause.tleSortGroupRef in own:
            exprs.append(own[clause.tleSortGroupRef].expr)
        else:
            exprs.append(by_ref[clause.tleSortGroupRef])
    plan, columns = _ensure_columns(root, plan, exprs)
    for number, clause in enumerate(clauses):
        if clause.tleSortGroupRef in own:
            columns[number] = own[clause.tleSortGroupRef].resno
    return plan, columns


def _collations(plan: Any, columns: list[int]) -> list[int]:
    by_number = {entry.resno: entry for entry in plan.targetlist}
    return [expr_collation(by_number[column].expr) for column in columns]


def _agg(root: Root, path: Path) -> Any:
    plan = _create(root, path.children[0])
    clauses = path.info["clauses"]
    plan, columns = _clause_columns(root, plan, clauses, root.target)
    node = Agg(
        targetlist=path.target, qual=path.info["having"], lefttree=plan, aggstrategy=path.info["strategy"],
        aggsplit=enums.AGGSPLIT_SIMPLE, numCols=len(columns), grpColIdx=columns,
        grpOperators=[clause.eqop for clause in clauses], grpCollations=_collations(plan, columns),
        numGroups=int(min(path.rows, 2**62)),
    )  # fmt: skip
    settle_aggregates(node)
    return node


def _minmax(root: Root, path: Path) -> Any:
    del root
    return Result(targetlist=path.target, resconstantqual=path.info["having"] or None)


def _group(root: Root, path: Path) -> Any:
    plan = _create(root, path.children[0])
    clauses = path.info["clauses"]
    plan, columns = _clause_columns(root, plan, clauses, root.target)
    return Group(
        targetlist=path.target, qual=path.info["having"], lefttree=plan, numCols=len(columns), grpColIdx=columns,
        grpOperators=[clause.eqop for clause in clauses], grpCollations=_collations(plan, columns),
    )  # fmt: skip


def _grouping_sets(root: Root, path: Path) -> Any:
    """AGG_MIXED: the empty set as a plain phase on top, each other set hashed in the chain."""
    plan = _create(root, path.children[0])
    by_ref = path.info["clauses"]
    sets = path.info["sets"]
    map_clauses = list(by_ref.values())
    plan, positions = _clause_columns(root, plan, map_clauses, root.target)
    where = {clause.tleSortGroupRef: column for clause, column in zip(map_clauses, positions, strict=True)}
    if not all(by_ref[ref].hashable for refs in sets for ref in refs):
        raise feature_not_supported("GROUPING SETS over columns that cannot be hashed")
    hashed = [_hashed_set(plan, refs, by_ref, where, path) for refs in sets if refs]
    empty: list[list[Any]] = [[] for refs in sets if not refs]
    if empty:
        top = Agg(
            aggstrategy=enums.AGG_MIXED if hashed else enums.AGG_PLAIN, aggsplit=enums.AGGSPLIT_SIMPLE,
            groupingSets=empty, chain=hashed, numGroups=len(empty),
        )  # fmt: skip
    else:
        top = hashed[0]
        top.chain = hashed[1:]
    top.targetlist, top.qual, top.lefttree = path.target or [], path.info["having"], plan
    settle_aggregates(top)
    _settle_grouping_functions(top, where)
    return top


def _hashed_set(plan: Any, refs: list[int], by_ref: dict[int, Any], where: dict[int, int], path: Path) -> Any:
    columns = [where[ref] for ref in refs]
    return Agg(
        aggstrategy=enums.AGG_HASHED, aggsplit=enums.AGGSPLIT_SIMPLE, numCols=len(columns), grpColIdx=columns,
        grpOperators=[by_ref[ref].eqop for ref in refs], grpCollations=_collations(plan, columns),
        groupingSets=[list(range(len(columns)))], numGroups=int(min(path.rows, 2**62)),
    )  # fmt: skip


def _settle_grouping_functions(plan: Any, where: dict[int, int]) -> None:
    """GROUPING(): its arguments as columns of the input."""
    def visit(node: Any) -> None:
        if type(node) is GroupingFunc:
            node.cols = [where[ref] for ref in node.refs]

    walk([[entry.expr for entry in plan.targetlist], plan.qual], visit)


def _windowagg(root: Root, path: Path) -> Any:
    plan = _create(root, path.children[0])
    window = path.info["window"]
    plan, partition = _clause_columns(root, plan, window.partitionClause, root.target)
    plan, ordering = _clause_columns(root, plan, window.orderClause, root.target)
    return WindowAgg(
        targetlist=path.target, lefttree=plan, winname=window.name or f"w{window.winref}", winref=window.winref,
        partNumCols=len(partition), partColIdx=partition,
        partOperators=[clause.eqop for clause in window.partitionClause], partCollations=_collations(plan, partition),
        ordNumCols=len(ordering), ordColIdx=ordering, ordOperators=[clause.eqop for clause in window.orderClause],
        ordCollations=_collations(plan, ordering), frameOptions=window.frameOptions, startOffset=window.startOffset,
        endOffset=window.endOffset, startInRangeFunc=window.startInRangeFunc, endInRangeFunc=window.endInRangeFunc,
        inRangeColl=window.inRangeColl, inRangeAsc=window.inRangeAsc, inRangeNullsFirst=window.inRangeNullsFirst,
        topWindow=path.info["top"],
    )  # fmt: skip


def _projectset(root: Root, path: Path) -> Any:
    plan = _create(root, path.children[0])
    return ProjectSet(targetlist=_outer_params(root, path.target), lefttree=plan)


def _unique(root: Root, path: Path) -> Any:
    plan = _create(root, path.children[0])
    clauses = path.info["clauses"]
    plan, columns = _clause_columns(root, plan, clauses, path.target or root.target)
    return Unique(
        targetlist=[_entry_copy(entry) for entry in plan.targetlist], lefttree=plan, numCols=len(columns),
        uniqColIdx=columns, uniqOperators=[clause.eqop for clause in clauses],
        uniqCollations=_collations(plan, columns),
    )  # fmt: skip


# Sets


def _positional(path: Path, plans: list[Any]) -> list[TargetEntry]:
    """Columns of a node whose children agree by position: Vars that `setrefs` takes for the child's columns."""
    return [_entry_copy(entry) for entry in path.target or plans[0].targetlist]


def _append(root: Root, path: Path) -> Any:
    plans = [_create(root, child) for child in path.children]
    return Append(
        targetlist=_positional(path, plans), appendplans=plans, first_partial_plan=len(plans), part_prune_index=-1
    )


def _setop(root: Root, path: Path) -> Any:
    left, right = (_create(root, child) for child in path.children)
    clauses = path.info["clauses"]
    columns = [clause.tleSortGroupRef for clause in clauses]
    operators = [clause.eqop for clause in clauses]
    if path.info["strategy"] == enums.SETOP_SORTED:
        operators = [clause.sortop for clause in clauses]
    return SetOp(
        targetlist=_positional(path, [left]), lefttree=left, righttree=right, cmd=path.info["command"],
        strategy=path.info["strategy"], numCols=len(columns), cmpColIdx=columns, cmpOperators=operators,
        cmpCollations=_collations(left, columns), cmpNullsFirst=[clause.nulls_first for clause in clauses],
        numGroups=int(path.rows),
    )  # fmt: skip


def _recursiveunion(root: Root, path: Path) -> Any:
    left, right = (_create(root, child) for child in path.children)
    clauses = path.info["clauses"]
    columns = [clause.tleSortGroupRef for clause in clauses]
    return RecursiveUnion(
        targetlist=_positional(path, [left]), lefttree=left, righttree=right, wtParam=path.info["param"],
        numCols=len(columns), dupColIdx=columns, dupOperators=[clause.eqop for clause in clauses],
        dupCollations=_collations(left, columns), numGroups=int(path.rows),
    )  # fmt: skip


# The top


def _lockrows(root: Root, path: Path) -> Any:
    plan = _create(root, path.children[0])
    return LockRows(
        targetlist=[_entry_copy(entry) for entry in plan.targetlist], lefttree=plan, rowMarks=root.row_marks,
        epqParam=root.glob.new_param(2281),
    )  # fmt: skip


def _limit(root: Root, path: Path) -> Any:
    plan = _create(root, path.children[0])
    node = Limit(
        targetlist=[_entry_copy(entry) for entry in plan.targetlist], lefttree=plan,
        limitOffset=root.parse.limitOffset, limitCount=root.parse.limitCount, limitOption=root.parse.limitOption,
    )  # fmt: skip
    if root.parse.limitOption == enums.LIMIT_OPTION_WITH_TIES:
        clauses = root.parse.sortClause
        plan, columns = _clause_columns(root, plan, clauses, root.target)
        node.uniqNumCols, node.uniqColIdx = len(columns), columns
        node.uniqOperators = [clause.eqop for clause in clauses]
        node.uniqCollations = _collations(plan, columns)
    return node


def _limit_one(root: Root, path: Path) -> Any:
    plan = _create(root, path.children[0])
    one = make_int4_const(1)
    one.consttype, one.constlen = 20, 8
    return Limit(targetlist=[_entry_copy(entry) for entry in plan.targetlist], lefttree=plan, limitCount=one)


def _modifytable(root: Root, path: Path) -> Any:
    plan = _create(root, path.children[0])
    return make_modify_table(root, plan)


_MAKERS = {
    "Project": _project, "SeqScan": _seqscan, "SampleScan": _samplescan, "FunctionScan": _functionscan,
    "ValuesScan": _valuesscan, "CteScan": _ctescan, "WorkTableScan": _worktablescan, "Result": _result,
    "Gate": _gate, "SubqueryScan": _subqueryscan, "TidScan": _tidscan, "IndexScan": _indexscan,
    "IndexOnlyScan": _indexonlyscan, "BitmapIndexScan": _bitmapindexscan, "BitmapOr": _bitmapor,
    "BitmapHeapScan": _bitmapheapscan, "NestLoop": _nestloop, "HashJoin": _hashjoin, "MergeJoin": _mergejoin,
    "Material": _material, "Sort": _sort, "Agg": _agg, "Group": _group, "MinMax": _minmax,
    "GroupingSets": _grouping_sets,
    "WindowAgg": _windowagg, "ProjectSet": _projectset, "Unique": _unique, "Append": _append, "SetOp": _setop,
    "RecursiveUnion": _recursiveunion, "LockRows": _lockrows, "Limit": _limit, "Limit1": _limit_one,
    "ModifyTable": _modifytable,
}  # fmt: skip
