"""The entry to planning: one query level after the other, down and up (optimizer/plan/planner.c)."""

from __future__ import annotations

from typing import Any

from tusk.errors import feature_not_supported
from tusk.sql.nodes import FromExpr, PlannedStmt, Query, copy_tree, enums
from tusk.sql.plan import minmax, prepjointree, scans, setops, subselect
from tusk.sql.plan.create_plan import make_plan
from tusk.sql.plan.exprs import and_list, contains_agg, contains_subplan, is_volatile
from tusk.sql.plan.fold import fold_constants, set_inliner
from tusk.sql.plan.inline import inlined
from tusk.sql.plan.joins import join_all
from tusk.sql.plan.jointree import add_base_rels, deconstruct, finish_base_rels, note_lateral_references
from tusk.sql.plan.merge import merge_to_join
from tusk.sql.plan.multiexpr import split_multiexpr
from tusk.sql.plan.pathkeys import pathkeys_for_clauses
from tusk.sql.plan.removal import remove_useless_joins
from tusk.sql.plan.scans import set_base_paths
from tusk.sql.plan.setrefs import finish_statement
from tusk.sql.plan.structures import Global, Path, Rel, Root
from tusk.sql.plan.targets import need_target, preprocess_target
from tusk.sql.plan.upper import finish_path, limit_estimates, plan_upper
from tusk.sql.plan.virtual import expand_virtual_columns


def plan(query: Query, text: str, cursor_options: int = 0, params: Any = None) -> PlannedStmt:
    """The plan of a rewritten, non-utility query (standard_planner). The query is not changed."""
    glob = Global(text=text, bound_params=params)
    fraction = 0.0
    if cursor_options & enums.CURSOR_OPT_FAST_PLAN:
        fraction = 0.1
    root, path = plan_query(glob, expand_virtual_columns(copy_tree(query)), None, fraction)
    tree = make_plan(root, path)
    return finish_statement(root, tree, query)


def plan_query(
    glob: Global, query: Query, parent: Root | None, tuple_fraction: float, *, has_recursion: bool = False
) -> tuple[Root, Path]:
    """Plan one level (subquery_planner); returns its state and its best path."""
    root = Root(
        parse=query, glob=glob, level=parent.level + 1 if parent else 1, parent=parent,
        tuple_fraction=tuple_fraction, has_recursion=has_recursion,
    )  # fmt: skip
    if query.commandType == enums.CMD_MERGE:
        merge_to_join(query)
    if query.commandType in (enums.CMD_UPDATE, enums.CMD_INSERT, enums.CMD_MERGE):
        split_multiexpr(query)
    if query.cteList:
        subselect.process_ctes(root)
    prepjointree.remove_useless_results(root)
    if query.hasSubLinks:
        prepjointree.pull_up_sublinks(root)
    prepjointree.pull_up_subqueries(root)
    prepjointree.flatten_join_aliases(root)
    prepjointree.flatten_group_expressions(query)
    _preprocess_expressions(root)
    _having_to_where(root)
    prepjointree.reduce_outer_joins(root)
    path = _grouping_planner(root)
    root.final_path = path
    return root, path


def _sub(parent: Root, query: Query, fraction: float, *, has_recursion: bool = False) -> tuple[Root, Path]:
    return plan_query(parent.glob, query, parent, fraction, has_recursion=has_recursion)


subselect.set_subquery_planner(_sub)
set_inliner(inlined)
scans.set_query_planner(_sub)
setops.set_query_planner(_sub)
minmax.set_level_planner(lambda root: _grouping_planner(root))


def _expression(root: Root, tree: Any, *, is_qual: bool = False) -> Any:
    """Fold, plan sublinks, replace outer references (preprocess_expression)."""
    if tree is None or tree == []:
        return tree
    tree = fold_constants(root, tree)
    if root.parse.hasSubLinks:
        if is_qual:
            tree = and_list(tree)
        tree = subselect.process_sublinks(root, tree, is_qual=is_qual)
    if root.level > 1:
        tree = subselect.replace_outer_references(root, tree)
    return tree


def _preprocess_expressions(root: Root) -> None:
    query = root.parse
    query.targetList = _expression(root, query.targetList)
    query.returningList = _expression(root, query.returningList)
    _jointree(root, query.jointree)
    query.havingQual = _expression(root, query.havingQual, is_qual=True)
    query.limitOffset = _expression(root, query.limitOffset)
    query.limitCount = _expression(root, query.limitCount)
    for window in query.windowClause:
        window.startOffset = _expression(root, window.startOffset)
        window.endOffset = _expression(root, window.endOffset)
    if query.onConflict is not None:
        conflict = query.onConflict
        conflict.arbiterElems = _expression(root, conflict.arbiterElems)
        conflict.arbiterWhere = _expression(root, conflict.arbiterWhere, is_qual=True)
        conflict.onConflictSet = _expression(root, conflict.onConflictSet)
        conflict.onConflictWhere = _expression(root, conflict.onConflictWhere, is_qual=True)
    query.mergeJoinCondition = _expression(root, query.mergeJoinCondition, is_qual=True)
    for action in query.mergeActionList:
        action.targetList = _expression(root, action.targetList)
        action.qual = _expression(root, action.qual, is_qual=True)
    for rte in query.rtable:
        match rte.rtekind:
            case enums.RTE_FUNCTION:
                rte.functions = _expression(root, rte.functions)
            case enums.RTE_VALUES:
                rte.values_lists = _expression(root, rte.values_lists)
            case enums.RTE_TABLEFUNC:
                raise feature_not_supported("XMLTABLE and JSON_TABLE")
            case enums.RTE_RELATION if rte.tablesample is not None:
                rte.tablesample = _expression(root, rte.tablesample)
            case enums.RTE_RELATION if rte.securityQuals:
                raise feature_not_supported("row security")


def _jointree(root: Root, node: Any) -> None:
    kind = type(node)
    if kind is FromExpr:
        for item in node.fromlist:
            _jointree(root, item)
        node.quals = _expression(root, node.quals, is_qual=True)
    elif kind.__name__ == "JoinExpr":
        _jointree(root, node.larg)
        _jointree(root, node.rarg)
        node.quals = _expression(root, node.quals, is_qual=True)


def _having_to_where(root: Root) -> None:
    """HAVING conditions on the grouping columns alone are better tested before grouping."""
    query = root.parse
    conditions = and_list(query.havingQual)
    if not conditions:
        return
    kept = []
    for condition in conditions:
        movable = not (contains_agg(condition) or is_volatile(condition) or contains_subplan(condition))
        if movable and query.groupClause and not query.groupingSets:
            query.jointree.quals = [*and_list(query.jointree.quals), condition]
        else:
            kept.append(condition)
    query.havingQual = kept or None
    if not kept and not query.groupClause:
        query.hasAggs = True


def _grouping_planner(root: Root) -> Path:
    query = root.parse
    count, offset = limit_estimates(root)
    if count > 0:
        root.limit_tuples = count + offset
        if root.tuple_fraction <= 0 or root.tuple_fraction > count + offset:
            root.tuple_fraction = count + offset
    if query.setOperations is not None:
        return _over_set_operation(root)
    _early_rels(root)
    preprocess_target(root)
    joined = _query_planner(root)
    return plan_upper(root, joined)


def _over_set_operation(root: Root) -> Path:
    """ORDER BY and LIMIT over a set operation, whose columns are its output."""
    path = setops.plan_set_operations(root)
    root.target = setops.final_target(root, path)
    path.target = root.target
    query = root.parse
    keys = pathkeys_for_clauses(root, query.sortClause, root.target)
    if query.rowMarks:
        raise feature_not_supported("FOR UPDATE with UNION, INTERSECT or EXCEPT")
    saved = query.hasTargetSRFs
    query.hasTargetSRFs = False
    done = finish_path(root, path, root.target, False, [], keys, keep_target=True)
    query.hasTargetSRFs = saved
    return done


def _early_rels(root: Root) -> None:
    add_base_rels(root, root.parse.jointree)


def _query_planner(root: Root) -> Rel:
    """Join everything in FROM (query_planner)."""
    need_target(root, [entry.expr for entry in root.target])
    query = root.parse
    if query.havingQual:
        need_target(root, query.havingQual)
    for window in query.windowClause:
        need_target(root, [window.startOffset, window.endOffset])
    note_lateral_references(root)
    joinlist = deconstruct(root)
    remove_useless_joins(root, joinlist)
    finish_base_rels(root)
    for rel in root.rels.values():
        set_base_paths(root, rel)
    return join_all(root, joinlist)
