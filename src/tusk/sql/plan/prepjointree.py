"""Making the FROM clause flat: sublinks become joins, simple subqueries dissolve, outer joins weaken
(optimizer/prep/prepjointree.c).

All functions change the Query they are given: the planner works on its own copy.
"""

from __future__ import annotations

from typing import Any

from tusk.sql.nodes import (
    Alias,
    BoolExpr,
    Const,
    FromExpr,
    JoinExpr,
    Param,
    Query,
    RangeTblRef,
    RowExpr,
    String,
    SubLink,
    Var,
    copy_tree,
    enums,
)
from tusk.sql.nodes.make import make_rte, make_var_from_target
from tusk.sql.nodes.nodefuncs import contains_volatile, increment_sublevels_up, mutate_levels, walk_levels
from tusk.sql.plan.exprs import (
    and_list,
    contains_set,
    contains_subplan,
    nonnullable_relids,
    pull_relids,
    replace_vars,
)
from tusk.sql.plan.structures import Root


def jointree_relids(node: Any) -> int:
    """All range table indexes below a jointree node, joins included."""
    if type(node) is RangeTblRef:
        return 1 << node.rtindex
    if type(node) is FromExpr:
        found = 0
        for item in node.fromlist:
            found |= jointree_relids(item)
        return found
    return jointree_relids(node.larg) | jointree_relids(node.rarg) | (1 << node.rtindex if node.rtindex else 0)


# Sublinks to semi joins


def pull_up_sublinks(root: Root) -> None:
    """Turn EXISTS and = ANY at the top of WHERE and of inner ON clauses into semi and anti joins."""
    tree, _ = _sublinks_in(root, root.parse.jointree)
    root.parse.jointree = tree if type(tree) is FromExpr else FromExpr(fromlist=[tree])


def _sublinks_in(root: Root, node: Any) -> tuple[Any, int]:
    if type(node) is RangeTblRef:
        return node, 1 << node.rtindex
    if type(node) is FromExpr:
        items, relids = [], 0
        for item in node.fromlist:
            new, below = _sublinks_in(root, item)
            items.append(new)
            relids |= below
        tree: Any = FromExpr(fromlist=items, quals=None)
        holder = [tree]
        left = _pull_from_quals(root, node.quals, holder, relids)
        tree.quals = left
        top = holder[0]
        return (top if top is tree else FromExpr(fromlist=[top])), relids
    left_tree, left_relids = _sublinks_in(root, node.larg)
    right_tree, right_relids = _sublinks_in(root, node.rarg)
    node.larg, node.rarg = left_tree, right_tree
    relids = left_relids | right_relids | (1 << node.rtindex if node.rtindex else 0)
    if node.jointype == enums.JOIN_INNER:
        holder = [node]
        node.quals = _pull_from_quals(root, node.quals, holder, relids)
        return holder[0], relids
    if node.jointype == enums.JOIN_LEFT:
        holder = [node.rarg]
        node.quals = _pull_from_quals(root, node.quals, holder, right_relids)
        node.rarg = holder[0]
    return node, relids


def _pull_from_quals(root: Root, quals: Any, holder: list[Any], available: int) -> Any:
    """Pull what can be pulled out of the conditions; ``holder[0]`` grows the joins. Returns what is left."""
    kept = []
    for qual in and_list(quals):
        join = None
        if type(qual) is SubLink:
            join = _convert(root, qual, available, negated=False)
        elif type(qual) is BoolExpr and qual.boolop == enums.NOT_EXPR and type(qual.args[0]) is SubLink:
            join = _convert(root, qual.args[0], available, negated=True)
        if join is None:
            kept.append(qual)
            continue
        join.larg = holder[0]
        holder[0] = join
    if not kept:
        return None
    return kept[0] if len(kept) == 1 else BoolExpr(boolop=enums.AND_EXPR, args=kept)


def _convert(root: Root, link: SubLink, available: int, *, negated: bool) -> JoinExpr | None:
    if link.subLinkType == enums.ANY_SUBLINK and not negated:
        return _convert_any(root, link, available)
    if link.subLinkType == enums.EXISTS_SUBLINK:
        return _convert_exists(root, link, available, negated=negated)
    return None


def _refers_up(tree: Any) -> bool:
    """Whether a query refers to the level just above it."""
    return bool(pull_vars_up(tree))


def pull_vars_up(query: Query) -> list[Var]:
    """Vars in a query that belong to its parent."""
    found: list[Var] = []

    def visit(node: Any, depth: int) -> None:
        if type(node) is Var and node.varlevelsup == depth:
            found.append(node)

    walk_levels(query, visit)
    return found


def _convert_any(root: Root, link: SubLink, available: int) -> JoinExpr | None:
    subquery = link.subselect
    if contains_volatile(link.testexpr) or subquery.commandType != enums.CMD_SELECT:
        return None
    upper = pull_relids(link.testexpr)
    if not upper or upper & ~available:
        return None
    lateral = _refers_up(subquery)
    if any(not (1 << var.varno) & available for var in pull_vars_up(subquery)):
        return None
    columns = [target for target in subquery.targetList if not target.resjunk]
    rte = make_rte(
        enums.RTE_SUBQUERY,
        Alias(aliasname="ANY_subquery", colnames=[]),
        alias=Alias(aliasname="ANY_subquery", colnames=[]),
        subquery=subquery,
        lateral=lateral,
        inFromCl=False,
    )
    root.parse.rtable.append(rte)
    rtindex = len(root.parse.rtable)
    by_param = {index + 1: make_var_from_target(rtindex, target) for index, target in enumerate(columns)}

    def change(node: Any, _level: int) -> Any:
        if type(node) is Param and node.paramkind == enums.PARAM_SUBLINK:
            return by_param[node.paramid]
        return None

    quals = mutate_levels(link.testexpr, change)
    return JoinExpr(jointype=enums.JOIN_SEMI, rarg=RangeTblRef(rtindex=rtindex), quals=quals)


def _simplify_exists(query: Query) -> bool:
    """Drop what does not matter to EXISTS; False where the query is too complex to dissolve."""
    if (
        query.commandType != enums.CMD_SELECT
        or query.setOperations
        or query.hasAggs
        or query.groupingSets
        or query.hasWindowFuncs
        or query.hasTargetSRFs
        or query.hasModifyingCTE
        or query.havingQual
        or query.limitOffset
        or query.rowMarks
        or query.cteList
    ):
        return False
    if query.limitCount is not None:
        limit = query.limitCount
        if type(limit) is not Const or (not limit.constisnull and limit.constvalue <= 0):
            return False
        query.limitCount = None
    query.targetList = []
    query.groupClause = []
    query.windowClause = []
    query.distinctClause = []
    query.sortClause = []
    query.hasDistinctOn = False
    return True


def _convert_exists(root: Root, link: SubLink, available: int, *, negated: bool) -> JoinExpr | None:
    query: Query = copy_tree(link.subselect)
    if not _simplify_exists(query) or query.hasGroupRTE:
        return None
    if len(query.jointree.fromlist) == 0:
        return None
    where = query.jointree.quals
    query.jointree.quals = None
    if _refers_up(query):
        return None
    if contains_volatile(where) or where is None:
        return None
    up_before = Query(jointree=FromExpr(quals=where), commandType=enums.CMD_SELECT)
    upper = 0
    for var in pull_vars_up(up_before):
        upper |= 1 << var.varno
    if not upper or upper & ~available:
        return None
    offset = len(root.parse.rtable)
    entries = _absorb_permissions(root.parse, query)
    for entry in entries:
        _adjust_entry(entry, offset)
    root.parse.rtable.extend(entries)
    body = increment_sublevels_up(offset_vars(query.jointree, offset), -1, 1)
    where = increment_sublevels_up(offset_vars(where, offset), -1, 1)
    if contains_subplan(where):
        root.parse.hasSubLinks = True
    below = body.fromlist[0] if len(body.fromlist) == 1 and body.quals is None else body
    return JoinExpr(
        jointype=enums.JOIN_ANTI if negated else enums.JOIN_SEMI, rarg=below, quals=where
    )


def _absorb_permissions(parent: Query, child: Query) -> list[Any]:
    """The child's range table entries, pointing to permissions that now stand in the parent."""
    start = len(parent.rteperminfos)
    for rte in child.rtable:
        if rte.perminfoindex:
            rte.perminfoindex += start
    parent.rteperminfos.extend(child.rteperminfos)
    return child.rtable


def offset_vars(tree: Any, offset: int) -> Any:
    """A copy in which level-0 range table references are ``offset`` higher."""

    def change(node: Any, level: int) -> Any:
        kind = type(node)
        if kind is Var:
            if node.varlevelsup != level:
                return node
            copy = copy_tree(node)
            copy.varno += offset
            if copy.varnosyn:
                copy.varnosyn += offset
            copy.varnullingrels = frozenset(rtindex + offset for rtindex in node.varnullingrels)
            return copy
        if level == 0 and kind is RangeTblRef:
            return RangeTblRef(rtindex=node.rtindex + offset)
        if level == 0 and kind is JoinExpr:
            return JoinExpr(
                jointype=node.jointype, isNatural=node.isNatural, larg=mutate_levels(node.larg, change),
                rarg=mutate_levels(node.rarg, change), usingClause=node.usingClause,
                quals=mutate_levels(node.quals, change),
                rtindex=node.rtindex + offset if node.rtindex else 0, alias=node.alias,
            )  # fmt: skip
        return None

    return mutate_levels(tree, change)


# Subqueries


def pull_up_subqueries(root: Root) -> None:
    """Dissolve simple subqueries into their parent."""
    tree = _pull_up(root, root.parse.jointree, nullable=False, below_outer=0)
    root.parse.jointree = tree if type(tree) is FromExpr else FromExpr(fromlist=[tree])


def _pull_up(root: Root, node: Any, *, nullable: bool, below_outer: int) -> Any:
    if type(node) is RangeTblRef:
        rte = root.rte(node.rtindex)
        if rte.rtekind == enums.RTE_SUBQUERY and _is_simple(rte) and (not nullable or _all_plain(rte.subquery)):
            return _dissolve(root, node, rte, nullable=nullable)
        return node
    if type(node) is FromExpr:
        node.fromlist = [_pull_up(root, item, nullable=nullable, below_outer=below_outer) for item in node.fromlist]
        return node
    left_nullable = nullable or node.jointype in (enums.JOIN_RIGHT, enums.JOIN_FULL)
    right_nullable = nullable or node.jointype in (
        enums.JOIN_LEFT, enums.JOIN_FULL, enums.JOIN_SEMI, enums.JOIN_ANTI,
    )  # fmt: skip
    node.larg = _pull_up(root, node.larg, nullable=left_nullable, below_outer=below_outer)
    node.rarg = _pull_up(root, node.rarg, nullable=right_nullable, below_outer=below_outer)
    return node


def _is_simple(rte: Any) -> bool:
    query = rte.subquery
    return not (
        query.commandType != enums.CMD_SELECT
        or query.setOperations
        or query.hasAggs
        or query.hasWindowFuncs
        or query.hasTargetSRFs
        or query.groupClause
        or query.groupingSets
        or query.havingQual
        or query.sortClause
        or query.distinctClause
        or query.limitOffset
        or query.limitCount
        or query.hasForUpdate
        or query.cteList
        or rte.security_barrier
        or rte.lateral
        or not query.jointree.fromlist
        or contains_volatile([target.expr for target in query.targetList])
        or contains_set([target.expr for target in query.targetList])
    )


def _all_plain(query: Query) -> bool:
    """Below an outer join only plain columns may be pulled up: anything else must become NULL as a whole."""
    shown = [target.expr for target in query.targetList if not target.resjunk]
    if any(type(expr) is not Var or expr.varlevelsup for expr in shown):
        return False
    return query.jointree.quals is None and len(query.jointree.fromlist) == 1


def _dissolve(root: Root, ref: RangeTblRef, rte: Any, *, nullable: bool) -> Any:
    parent, query = root.parse, copy_tree(rte.subquery)
    offset = len(parent.rtable)
    sub_root = Root(parse=query, glob=root.glob, level=root.level + 1, parent=root)
    if query.hasSubLinks:
        pull_up_sublinks(sub_root)
    pull_up_subqueries(sub_root)
    flatten_join_aliases(sub_root)
    flatten_group_expressions(query)
    targets = {target.resno: target.expr for target in query.targetList}
    moved = {
        resno: increment_sublevels_up(offset_vars(expr, offset), -1, 1) for resno, expr in targets.items()
    }
    tree = increment_sublevels_up(offset_vars(query.jointree, offset), -1, 1)
    entries = _absorb_permissions(parent, query)
    for entry in entries:
        _adjust_entry(entry, offset)
    parent.rtable.extend(entries)
    parent.hasSubLinks = parent.hasSubLinks or query.hasSubLinks
    rtindex = ref.rtindex

    def replace_one(var: Var, depth: int) -> Any:
        if var.varno != rtindex:
            return None
        if var.varattno == 0:
            return _whole_row(rte, moved, depth)
        expr = moved[var.varattno]
        return _with_nulling(increment_sublevels_up(expr, depth) if depth else expr, var.varnullingrels, depth)

    _replace_in_query(parent, replace_one)
    # The entry stays for its permissions and its place, but nothing scans it any more.
    rte.subquery = None
    rte.rtekind = enums.RTE_RESULT
    return tree if len(tree.fromlist) != 1 or tree.quals is not None else tree.fromlist[0]


def _whole_row(rte: Any, moved: dict[int, Any], depth: int) -> Any:
    from_columns = [moved[resno] for resno in sorted(moved)]
    fields = [increment_sublevels_up(expr, depth) if depth else expr for expr in from_columns]
    return _row_expr(fields, [name.sval for name in rte.eref.colnames])


def _row_expr(fields: list[Any], names: list[str]) -> Any:
    from_names = names[: len(fields)]
    return RowExpr(
        args=fields, row_typeid=2249, row_format=enums.COERCE_IMPLICIT_CAST,
        colnames=[String(sval=name) for name in from_names], location=-1,
    )  # fmt: skip


def _with_nulling(expr: Any, nulling: frozenset[int], depth: int) -> Any:
    """The expression with its Vars marked as nullable by further outer joins."""
    if not nulling:
        return expr

    def mark(var: Var, _depth: int) -> Any:
        copy = copy_tree(var)
        copy.varnullingrels = var.varnullingrels | nulling
        return copy

    return replace_vars(expr, mark, depth)


def _adjust_entry(entry: Any, offset: int) -> None:
    """Move the references inside a range table entry that moved up one level."""
    for name in (
        "functions", "values_lists", "tablefunc", "joinaliasvars", "groupexprs", "securityQuals", "tablesample",
    ):  # fmt: skip
        value = getattr(entry, name)
        if value:
            setattr(entry, name, increment_sublevels_up(offset_vars(value, offset), -1, 1))
    if entry.subquery is not None:
        up_one = _offset_level_one(entry.subquery, offset)
        entry.subquery = increment_sublevels_up(up_one, -1, 2)
    if entry.rtekind == enums.RTE_CTE and entry.ctelevelsup > 0:
        entry.ctelevelsup -= 1


def _offset_level_one(query: Query, offset: int) -> Query:
    """References of a subquery to its parent's range table, which has grown below them."""

    def change(node: Any, level: int) -> Any:
        if type(node) is Var:
            if node.varlevelsup != level:
                return node
            copy = copy_tree(node)
            copy.varno += offset
            copy.varnullingrels = frozenset(rtindex + offset for rtindex in node.varnullingrels)
            return copy
        return None

    return mutate_levels(query, change)  # type: ignore[no-any-return]


def _replace_in_query(query: Query, replace_one: Any) -> None:
    """Replace level-0 Vars everywhere in a query."""
    for name in (
        "targetList", "returningList", "havingQual", "limitOffset", "limitCount", "onConflict", "mergeActionList",
        "mergeJoinCondition", "windowClause", "setOperations",
    ):  # fmt: skip
        value = getattr(query, name)
        if value:
            setattr(query, name, replace_vars(value, replace_one))
    _replace_in_jointree(query.jointree, replace_one)
    for entry in query.rtable:
        for name in ("functions", "values_lists", "joinaliasvars", "groupexprs", "tablefunc", "securityQuals"):
            value = getattr(entry, name)
            if value:
                setattr(entry, name, replace_vars(value, replace_one))
        if entry.subquery is not None:
            entry.subquery = replace_vars(entry.subquery, replace_one)
    for cte in query.cteList:
        cte.ctequery = replace_vars(cte.ctequery, replace_one)


def _replace_in_jointree(node: Any, replace_one: Any) -> None:
    """Replace in the conditions of a jointree, whose nodes stay the same: a recursion over them may be under way."""
    if type(node) is RangeTblRef:
        return
    if type(node) is FromExpr:
        for item in node.fromlist:
            _replace_in_jointree(item, replace_one)
    else:
        _replace_in_jointree(node.larg, replace_one)
        _replace_in_jointree(node.rarg, replace_one)
    node.quals = replace_vars(node.quals, replace_one)


# Aliases


def flatten_join_aliases(root: Root) -> None:
    """Replace references to a join's merged columns by what they stand for."""
    query = root.parse
    joins = {index + 1: rte for index, rte in enumerate(query.rtable) if rte.rtekind == enums.RTE_JOIN}
    if not joins:
        return

    def replace_one(var: Var, depth: int) -> Any:
        rte = joins.get(var.varno)
        if rte is None:
            return None
        if var.varattno == 0:
            fields = [expand(expr) for expr in rte.joinaliasvars if expr is not None]
            names = [name.sval for name in rte.eref.colnames]
            row = _row_expr(fields, names)
            return increment_sublevels_up(row, depth) if depth else row
        expr = expand(rte.joinaliasvars[var.varattno - 1])
        if depth:
            expr = increment_sublevels_up(expr, depth)
        return _with_nulling(expr, var.varnullingrels, depth)

    def expand(expr: Any) -> Any:
        return replace_vars(expr, replace_one)

    _replace_in_query(query, replace_one)


def flatten_group_expressions(query: Query) -> None:
    """Replace references to the grouping step's columns by the grouping expressions (flatten_group_exprs)."""
    if not query.hasGroupRTE:
        return
    groups = {index + 1: rte for index, rte in enumerate(query.rtable) if rte.rtekind == enums.RTE_GROUP}

    def replace_one(var: Var, depth: int) -> Any:
        rte = groups.get(var.varno)
        if rte is None:
            return None
        expr = rte.groupexprs[var.varattno - 1]
        return increment_sublevels_up(expr, depth) if depth else expr

    query.targetList = replace_vars(query.targetList, replace_one)
    query.havingQual = replace_vars(query.havingQual, replace_one)
    query.hasGroupRTE = False


# Outer joins


def reduce_outer_joins(root: Root) -> None:
    """An outer join whose NULL rows a condition above throws away is an inner one."""
    removed: set[int] = set()
    tree = _reduce(root, root.parse.jointree, 0, removed)
    root.parse.jointree = tree
    if removed:
        gone = frozenset(removed)

        def unmark(var: Var, _depth: int) -> Any:
            if not var.varnullingrels & gone:
                return None
            copy = copy_tree(var)
            copy.varnullingrels = var.varnullingrels - gone
            return copy

        _replace_in_query(root.parse, unmark)


def _reduce(root: Root, node: Any, nonnullable: int, removed: set[int]) -> Any:
    if type(node) is RangeTblRef:
        return node
    if type(node) is FromExpr:
        here = nonnullable | nonnullable_relids(and_list(node.quals))
        node.fromlist = [_reduce(root, item, here, removed) for item in node.fromlist]
        return node
    left, right = jointree_relids(node.larg), jointree_relids(node.rarg)
    jointype = node.jointype
    if jointype == enums.JOIN_FULL:
        if nonnullable & left and nonnullable & right:
            jointype = enums.JOIN_INNER
        elif nonnullable & left:
            jointype = enums.JOIN_LEFT
        elif nonnullable & right:
            jointype = enums.JOIN_RIGHT
    elif jointype == enums.JOIN_LEFT and nonnullable & right or jointype == enums.JOIN_RIGHT and nonnullable & left:
        jointype = enums.JOIN_INNER
    if jointype == enums.JOIN_RIGHT:
        node.larg, node.rarg = node.rarg, node.larg
        left, right = right, left
        jointype = enums.JOIN_LEFT
    if jointype == enums.JOIN_INNER and node.jointype != enums.JOIN_INNER and node.rtindex:
        removed.add(node.rtindex)
    node.jointype = jointype
    own = nonnullable_relids(and_list(node.quals))
    match jointype:
        case enums.JOIN_INNER:
            below_left = below_right = nonnullable | own
        case enums.JOIN_LEFT | enums.JOIN_ANTI:
            below_left, below_right = nonnullable, own
        case enums.JOIN_SEMI:
            below_left, below_right = nonnullable | own, nonnullable | own
        case _:
            below_left = below_right = 0
    node.larg = _reduce(root, node.larg, below_left, removed)
    node.rarg = _reduce(root, node.rarg, below_right, removed)
    return node


def remove_useless_results(root: Root) -> None:
    """A FROM list of nothing but a condition needs one row to come from: give an empty query its RTE_RESULT."""
    tree = root.parse.jointree
    if not tree.fromlist:
        root.parse.rtable.append(make_rte(enums.RTE_RESULT, Alias(aliasname="*RESULT*", colnames=[])))
        tree.fromlist = [RangeTblRef(rtindex=len(root.parse.rtable))]


