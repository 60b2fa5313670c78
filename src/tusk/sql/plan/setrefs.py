"""The last step: expressions refer to child plans, range tables become one, parameters are accounted for
(optimizer/plan/setrefs.c, finalize_plan of subselect.c)."""

from __future__ import annotations

from typing import Any

from tusk.errors import SqlError, errcode
from tusk.sql.nodes import (
    Agg,
    Aggref,
    Append,
    BitmapHeapScan,
    BitmapIndexScan,
    BitmapOr,
    Const,
    CteScan,
    FunctionScan,
    Group,
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
    Param,
    PlannedStmt,
    PlanRowMark,
    ProjectSet,
    Query,
    RecursiveUnion,
    Result,
    SampleScan,
    SeqScan,
    SetOp,
    Sort,
    SubPlan,
    SubqueryScan,
    TargetEntry,
    TidScan,
    Unique,
    ValuesScan,
    Var,
    WindowAgg,
    WorkTableScan,
    enums,
    replace,
)
from tusk.sql.nodes.base import Node
from tusk.sql.nodes.nodefuncs import expr_collation, expr_type, expr_typmod, function_of
from tusk.sql.plan.create_plan import make_plan
from tusk.sql.plan.structures import Root, fingerprint

_OPERATORS = ("OpExpr", "DistinctExpr", "NullIfExpr", "ScalarArrayOpExpr")
_SCANS = (SeqScan, SampleScan, TidScan, FunctionScan, ValuesScan, CteScan, WorkTableScan)


class _Level:
    """Fixing the plans of one query level: its place in the common range table."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self.offset = len(root.glob.final_rtable)

    def enter(self) -> None:
        """Append this level's range table and permissions to the statement's."""
        glob = self.root.glob
        first_permission = len(glob.final_perminfos)
        for rte in self.root.parse.rtable:
            copy = replace(rte, subquery=None) if rte.rtekind == enums.RTE_SUBQUERY and not rte.relid else replace(rte)
            copy.joinaliasvars, copy.groupexprs = [], []
            if copy.perminfoindex:
                copy.perminfoindex += first_permission
            if copy.rtekind == enums.RTE_RELATION:
                glob.relation_oids.add(copy.relid)
            glob.final_rtable.append(copy)
        glob.final_perminfos.extend(self.root.parse.rteperminfos)

    # Expressions

    def scan_expr(self, tree: Any) -> Any:
        """An expression over a scanned tuple: only the range table offset changes."""
        return self._fix(tree, None)

    def upper_expr(self, tree: Any, columns: dict[Any, TargetEntry], varno: int) -> Any:
        """An expression over a child's output."""
        return self._fix(tree, [(columns, varno)])

    def join_expr(self, tree: Any, outer: dict[Any, TargetEntry], inner: dict[Any, TargetEntry]) -> Any:
        """An expression over both children's output."""
        return self._fix(tree, [(outer, enums.OUTER_VAR), (inner, enums.INNER_VAR)])

    def _fix(self, tree: Any, sources: list[tuple[dict[Any, TargetEntry], int]] | None) -> Any:
        if type(tree) is list:
            return [self._fix(item, sources) for item in tree]
        kind: Any = type(tree)
        if not issubclass(kind, Node):
            return tree
        if sources is not None and kind is not Const and kind is not Param:
            found = self._lookup(tree, sources)
            if found is not None:
                return found
        if kind is Var:
            if sources is not None and tree.varno > 0 and tree.varreturningtype == 0 and not self._may_scan(tree):
                raise SqlError(errcode.INTERNAL_ERROR, "variable not found in subplan target list")
            return self._scan_var(tree)
        if kind is SubPlan:
            return self._subplan(tree, sources)
        copy = kind.__new__(kind)
        for name, field, _ in tree.FIELDS:
            value = getattr(tree, name)
            if value is not None and field in ("node", "list"):
                value = self._fix(value, sources)
            setattr(copy, name, value)
        if kind.__name__ in _OPERATORS and copy.opfuncid == 0:
            copy.opfuncid = function_of(tree)
        return copy

    def _lookup(self, tree: Any, sources: list[tuple[dict[Any, TargetEntry], int]]) -> Var | None:
        key = fingerprint(tree)
        for columns, varno in sources:
            entry = columns.get(key)
            if entry is not None:
                source = entry.expr if type(entry.expr) is Var else None
                own = tree if type(tree) is Var else None
                return Var(
                    varno=varno, varattno=entry.resno, vartype=expr_type(tree), vartypmod=expr_typmod(tree),
                    varcollid=expr_collation(tree),
                    varnosyn=(own.varnosyn or own.varno) + self.offset if own is not None and own.varno > 0 else 0,
                    varattnosyn=(own.varattnosyn or own.varattno) if own is not None else 0,
                    location=getattr(source, "location", -1),
                )  # fmt: skip
        return None

    def _may_scan(self, var: Var) -> bool:
        """Whether a column may be read other than from a child: RETURNING and ON CONFLICT see the target's own."""
        parse = self.root.parse
        return parse.commandType != enums.CMD_SELECT and var.varno == parse.resultRelation

    def _scan_var(self, var: Var) -> Var:
        special = var.varno in (enums.INDEX_VAR, enums.OUTER_VAR, enums.INNER_VAR, enums.ROWID_VAR)
        varno = var.varno if special or var.varno <= 0 else var.varno + self.offset
        return Var(
            varno=varno, varattno=var.varattno, vartype=var.vartype, vartypmod=var.vartypmod, varcollid=var.varcollid,
            varnullingrels=frozenset(), varlevelsup=0, varreturningtype=var.varreturningtype,
            varnosyn=varno if varno > 0 else 0, varattnosyn=var.varattno, location=var.location,
        )  # fmt: skip

    def _subplan(self, node: SubPlan, sources: Any) -> SubPlan:
        copy = replace(node)
        copy.testexpr = self._fix(node.testexpr, sources)
        copy.args = self._fix(node.args, sources)
        return copy

    # Plans

    def plan(self, node: Any) -> Any:
        """Fix a plan tree in place and return it (it may be replaced by a child)."""
        if node is None:
            return None
        glob = self.root.glob
        node.initPlan = [self._subplan(item, None) for item in node.initPlan]
        kind = type(node)
        if kind is SubqueryScan:
            return self._subquery_scan(node)
        node.plan_node_id = glob.last_plan_node_id
        glob.last_plan_node_id += 1
        if kind in _SCANS:
            self._scan(node)
            if kind is SampleScan:
                node.tablesample = self.scan_expr(node.tablesample)
        elif kind in (IndexScan, IndexOnlyScan):
            self._index_scan(node)
        elif kind is BitmapIndexScan:
            node.scanrelid += self.offset
            node.indexqual = self.scan_expr(node.indexqual)
            node.indexqualorig = self.scan_expr(node.indexqualorig)
        elif kind is BitmapOr:
            node.bitmapplans = [self.plan(child) for child in node.bitmapplans]
        elif kind is BitmapHeapScan:
            self._scan(node)
            node.bitmapqualorig = self.scan_expr(node.bitmapqualorig)
            node.lefttree = self.plan(node.lefttree)
        elif kind in (NestLoop, HashJoin, MergeJoin):
            self._join(node)
        elif kind is ModifyTable:
            self._modify_table(node)
        elif kind is Append:
            node.appendplans = [self.plan(child) for child in node.appendplans]
            self._by_position(node, node.appendplans[0])
        elif kind in (SetOp, RecursiveUnion):
            node.lefttree, node.righttree = self.plan(node.lefttree), self.plan(node.righttree)
            self._by_position(node, node.lefttree)
        elif kind is Result and node.lefttree is None:
            node.targetlist = self.scan_expr(node.targetlist)
            node.qual = self.scan_expr(node.qual)
            node.resconstantqual = self.scan_expr(node.resconstantqual)
        else:
            self._upper(node)
        return node

    def _scan(self, node: Any) -> None:
        node.scanrelid += self.offset
        node.targetlist = self.scan_expr(node.targetlist)
        node.qual = self.scan_expr(node.qual)
        for name in ("tidquals", "functions", "values_lists"):
            if hasattr(node, name):
                setattr(node, name, self.scan_expr(getattr(node, name)))

    def _index_scan(self, node: Any) -> None:
        node.scanrelid += self.offset
        node.indexqual = self.scan_expr(node.indexqual)
        if type(node) is IndexScan:
            node.targetlist = self.scan_expr(node.targetlist)
            node.qual = self.scan_expr(node.qual)
            node.indexqualorig = self.scan_expr(node.indexqualorig)
            return
        columns = _columns(node.indextlist)
        node.targetlist = self.upper_expr(node.targetlist, columns, enums.INDEX_VAR)
        node.qual = self.upper_expr(node.qual, columns, enums.INDEX_VAR)
        node.recheckqual = self.upper_expr(node.recheckqual, columns, enums.INDEX_VAR)
        node.indextlist = self.scan_expr(node.indextlist)

    def _subquery_scan(self, node: SubqueryScan) -> Any:
        sub_root = self.root.rels[node.scanrelid].subroot
        assert sub_root is not None
        level = _Level(sub_root)
        level.enter()
        plan_id = self.root.glob.last_plan_node_id
        self.root.glob.last_plan_node_id += 1
        node.subplan = level.plan(node.subplan)
        if self._is_trivial(node):
            child = node.subplan
            for own, entry in zip(node.targetlist, child.targetlist, strict=False):
                entry.resname, entry.resorigtbl, entry.resorigcol = own.resname, own.resorigtbl, own.resorigcol
                entry.resjunk = own.resjunk
                entry.ressortgroupref = own.ressortgroupref
            child.initPlan = node.initPlan + child.initPlan
            return child
        node.plan_node_id = plan_id
        node.scanrelid += self.offset
        node.targetlist = self.scan_expr(node.targetlist)
        node.qual = self.scan_expr(node.qual)
        return node

    @staticmethod
    def _is_trivial(node: SubqueryScan) -> bool:
        """Whether the scan neither filters nor computes: the columns of the subquery as they are."""
        visible = node.subplan.targetlist
        if node.qual or len(node.targetlist) != len(visible):
            return False
        return all(
            type(entry.expr) is Var and entry.expr.varattno == child.resno and entry.expr.varno == node.scanrelid
            and entry.resno == child.resno and not child.resjunk
            for entry, child in zip(node.targetlist, visible, strict=True)
        )  # fmt: skip

    def _join(self, node: Any) -> None:
        outer, inner = _columns(node.lefttree.targetlist), _columns(node.righttree.targetlist)
        node.lefttree, node.righttree = self.plan(node.lefttree), self.plan(node.righttree)
        node.targetlist = self.join_expr(node.targetlist, outer, inner)
        node.joinqual = self.join_expr(node.joinqual, outer, inner)
        node.qual = self.join_expr(node.qual, outer, inner)
        if type(node) is NestLoop:
            for param in node.nestParams:
                param.paramval = self.upper_expr(param.paramval, outer, enums.OUTER_VAR)
        elif type(node) is HashJoin:
            node.hashclauses = self.join_expr(node.hashclauses, outer, inner)
            node.hashkeys = self.upper_expr(node.hashkeys, outer, enums.OUTER_VAR)
        else:
            node.mergeclauses = self.join_expr(node.mergeclauses, outer, inner)

    def _upper(self, node: Any) -> None:
        """Nodes with one child: everything they compute refers to its output."""
        columns = _columns(node.lefttree.targetlist)
        node.lefttree = self.plan(node.lefttree)
        varno = enums.OUTER_VAR
        if type(node) is Hash:
            node.hashkeys = self.upper_expr(node.hashkeys, columns, varno)
        node.targetlist = self.upper_expr(node.targetlist, columns, varno)
        node.qual = self.upper_expr(node.qual, columns, varno)
        match node:
            case Result():
                node.resconstantqual = self.scan_expr(node.resconstantqual)
            case Limit():
                node.limitOffset, node.limitCount = self.scan_expr(node.limitOffset), self.scan_expr(node.limitCount)
            case WindowAgg():
                node.startOffset, node.endOffset = self.scan_expr(node.startOffset), self.scan_expr(node.endOffset)
            case LockRows():
                node.rowMarks = self._marks(node.rowMarks)
            case Agg() | Group() | Material() | Sort() | Unique() | ProjectSet() | Hash():
                return
            case _:
                raise AssertionError(type(node).__name__)

    def _by_position(self, node: Any, child: Any) -> None:
        """Columns of an Append or SetOp: the first child's, by position."""
        del child
        for entry in node.targetlist:
            entry.expr = Var(
                varno=enums.OUTER_VAR, varattno=entry.resno, vartype=expr_type(entry.expr),
                vartypmod=expr_typmod(entry.expr), varcollid=expr_collation(entry.expr), location=-1,
            )  # fmt: skip

    def _marks(self, marks: list[PlanRowMark]) -> list[PlanRowMark]:
        fixed = [replace(mark, rti=mark.rti + self.offset, prti=mark.prti + self.offset) for mark in marks]
        for mark in fixed:
            self.root.glob.row_marks[mark.rowmarkId - 1] = mark
        return fixed

    def _modify_table(self, node: ModifyTable) -> None:
        columns = _columns(node.lefttree.targetlist)
        node.lefttree = self.plan(node.lefttree)
        target = node.resultRelations[0]
        own = {key: entry for key, entry in columns.items() if not _is_var_of(entry.expr, target)}
        node.returningLists = [self.upper_expr(items, own, enums.OUTER_VAR) for items in node.returningLists]
        node.targetlist = node.returningLists[0] if node.returningLists else []
        for actions in node.mergeActionLists:
            for action in actions:
                action.targetList = self.upper_expr(action.targetList, own, enums.OUTER_VAR)
                action.qual = self.upper_expr(action.qual, own, enums.OUTER_VAR)
        node.mergeJoinConditions = [self.upper_expr(items, own, enums.OUTER_VAR) for items in node.mergeJoinConditions]
        node.withCheckOptionLists = [self.scan_expr(items) for items in node.withCheckOptionLists]
        if node.exclRelRTI:
            excluded = {
                fingerprint(Var(varno=node.exclRelRTI, varattno=entry.resno)): entry for entry in node.exclRelTlist
            }
            node.onConflictSet = self.upper_expr(node.onConflictSet, excluded, enums.INNER_VAR)
            node.onConflictWhere = self.upper_expr(node.onConflictWhere, excluded, enums.INNER_VAR)
            node.exclRelTlist = self.scan_expr(node.exclRelTlist)
            node.exclRelRTI += self.offset
        node.nominalRelation += self.offset
        node.resultRelations = [rtindex + self.offset for rtindex in node.resultRelations]
        node.rowMarks = self._marks(node.rowMarks)
        self.root.glob.result_relations += node.resultRelations


def _is_var_of(expr: Any, rtindex: int) -> bool:
    return type(expr) is Var and expr.varno == rtindex


def _columns(target: list[TargetEntry]) -> dict[Any, TargetEntry]:
    """Expressions of a target list by fingerprint; constants are computed again rather than fetched."""
    found: dict[Any, TargetEntry] = {}
    for entry in target:
        if type(entry.expr) is Const or type(entry.expr) is Param:
            continue
        found.setdefault(fingerprint(entry.expr), entry)
    return found


# Parameters


def _own_params(tree: Any) -> set[int]:
    """PARAM_EXEC ids an expression reads, through SubPlans' arguments too."""
    found: set[int] = set()

    def look(node: Any) -> None:
        if type(node) is list:
            for item in node:
                look(item)
        elif isinstance(node, Node):
            if type(node) is Param:
                if node.paramkind == enums.PARAM_EXEC:
                    found.add(node.paramid)
                return
            if type(node) is SubPlan:
                look(node.testexpr)
                look(node.args)
                found.difference_update(node.paramIds)
                return
            for name, field, _ in node.FIELDS:
                if field in ("node", "list"):
                    look(getattr(node, name))

    look(tree)
    return found


_CHILD_FIELDS = ("lefttree", "righttree", "subplan")
_CHILD_LISTS = ("appendplans", "bitmapplans")
_SKIPPED = {*_CHILD_FIELDS, *_CHILD_LISTS, "initPlan", "rowMarks", "chain"}


def _finalize(plan: Any, glob: Any, sub_ext: list[frozenset[int]]) -> set[int]:
    """Compute extParam and allParam, bottom up; returns allParam (finalize_plan)."""
    if plan is None:
        return set()
    own: set[int] = set()
    for init in plan.initPlan:
        for param_id in init.setParam:
            glob.init_externals[param_id] = sub_ext[init.plan_id - 1]
    for name, field, _ in plan.FIELDS:
        if field in ("node", "list") and name not in _SKIPPED:
            own |= _own_params(getattr(plan, name))
    own |= _subplan_externals(plan, sub_ext)
    if type(plan) is Agg:
        inputs = _aggregates_of(plan)
        plan.aggParams = frozenset(_own_params(inputs))
        for param_id in [param for param in plan.aggParams if param in glob.init_externals]:
            plan.aggParams |= glob.init_externals[param_id]
    if type(plan) is CteScan:
        own.add(plan.cteParam)
    elif type(plan) is WorkTableScan:
        own.add(plan.wtParam)
    elif type(plan) in (LockRows, ModifyTable):
        own.discard(plan.epqParam)
    # What an initplan depends on changes the nodes that read its result.
    for param_id in [param for param in own if param in glob.init_externals]:
        own |= glob.init_externals[param_id]
    below: set[int] = set()
    for name in _CHILD_FIELDS:
        child = getattr(plan, name, None)
        if child is not None:
            found = _finalize(child, glob, sub_ext)
            if type(plan) is NestLoop and name == "righttree":
                found = found - {param.paramno for param in plan.nestParams}
            if type(plan) is RecursiveUnion:
                found = found - {plan.wtParam}
            below |= found
    for name in _CHILD_LISTS:
        for child in getattr(plan, name, ()):
            below |= _finalize(child, glob, sub_ext)
    everything = own | below
    set_here: set[int] = set()
    for init in plan.initPlan:
        everything |= set(sub_ext[init.plan_id - 1])
        set_here |= set(init.setParam)
    plan.allParam = frozenset(everything | set_here)
    plan.extParam = frozenset(everything - set_here)
    return everything - set_here


def _aggregates_of(plan: Any) -> list[Any]:
    """What the aggregates of an Agg node compute on each input row."""
    found: list[Any] = []

    def look(node: Any) -> None:
        if type(node) is list:
            for item in node:
                look(item)
        elif isinstance(node, Node):
            if type(node) is Aggref:
                found.extend((node.aggdirectargs, node.args, node.aggfilter))
                return
            for name, field, _ in node.FIELDS:
                if field in ("node", "list"):
                    look(getattr(node, name))

    look(plan.targetlist)
    look(plan.qual)
    return found


def _subplan_externals(plan: Any, sub_ext: list[frozenset[int]]) -> set[int]:
    """What the SubPlans in a node's expressions read from outside, apart from what they are handed."""
    found: set[int] = set()

    def look(node: Any) -> None:
        if type(node) is list:
            for item in node:
                look(item)
        elif isinstance(node, Node):
            if type(node) is SubPlan:
                found.update(sub_ext[node.plan_id - 1] - set(node.parParam))
                look(node.args)
                look(node.testexpr)
                return
            for name, field, _ in node.FIELDS:
                if field in ("node", "list"):
                    look(getattr(node, name))

    for name, field, _ in plan.FIELDS:
        if field in ("node", "list") and name not in _SKIPPED:
            look(getattr(plan, name))
    return found


def finish_statement(root: Root, tree: Any, query: Query) -> PlannedStmt:
    """Fix all plans of a statement and wrap them up."""
    glob = root.glob
    made = 0
    plans: list[Any] = []
    # Making a subplan's plan may register none, but planning is over: the list is complete.
    while made < len(glob.subplans):
        plans.append(make_plan(glob.subroots[made], glob.subplans[made]))
        made += 1
    level = _Level(root)
    level.enter()
    fixed = level.plan(tree)
    fixed_subplans: list[Any] = []
    for sub_root, sub_plan in zip(glob.subroots, plans, strict=True):
        sub_level = _Level(sub_root)
        sub_level.enter()
        fixed_subplans.append(sub_level.plan(sub_plan))
    externals: list[frozenset[int]] = []
    for sub_plan in fixed_subplans:
        # A subplan may use only those planned before it, or its own children, which were registered earlier.
        while len(externals) < len(fixed_subplans):
            externals.append(frozenset())
        index = fixed_subplans.index(sub_plan)
        externals[index] = frozenset(_finalize(sub_plan, glob, externals))
    _finalize(fixed, glob, externals)
    return PlannedStmt(
        commandType=query.commandType, queryId=query.queryId, hasReturning=bool(query.returningList),
        hasModifyingCTE=query.hasModifyingCTE, canSetTag=query.canSetTag, planTree=fixed, rtable=glob.final_rtable,
        permInfos=glob.final_perminfos, resultRelations=glob.result_relations, subplans=fixed_subplans,
        rowMarks=[mark for mark in glob.row_marks if mark is not None], relationOids=sorted(glob.relation_oids),
        paramExecTypes=glob.param_types, stmt_location=query.stmt_location, stmt_len=query.stmt_len,
        unprunableRelids=frozenset(
            index + 1 for index, rte in enumerate(glob.final_rtable) if rte.rtekind == enums.RTE_RELATION
        ),
    )  # fmt: skip
