"""Aggregates, GROUPING and window functions: which query they belong to, where they may stand, and the check that
ungrouped columns do not escape the grouping step."""

from __future__ import annotations

from itertools import product
from typing import Any

from tusk.catalog.names import format_type
from tusk.errors import SqlError, errcode
from tusk.sql.analyze.functional import check_functional_grouping
from tusk.sql.analyze.rangetable import add_group, rte_attribute_name
from tusk.sql.analyze.state import ExprKind, ParseState, kind_name
from tusk.sql.nodes import enums
from tusk.sql.nodes.base import copy_tree, equal, replace
from tusk.sql.nodes.make import make_target, make_var
from tusk.sql.nodes.nodefuncs import (
    expr_location,
    expr_type,
    increment_sublevels_up,
    locate_agg_of_level,
    locate_windowfunc,
    mutate_levels,
    walk_levels,
)
from tusk.sql.nodes.parsetree import Query
from tusk.sql.nodes.primitives import (
    Aggref,
    Const,
    FuncExpr,
    GroupingFunc,
    OpExpr,
    Param,
    RowExpr,
    Var,
    WindowFunc,
)


def transform_aggregate_call(
    pstate: ParseState, aggregate: Aggref, args: list[Any], order: list[Any], distinct: bool
) -> None:
    """Arguments, ORDER BY and DISTINCT of an aggregate, then its level and place (transformAggregateCall)."""
    from tusk.sql.analyze.clauses import add_to_sort_list, target_of, transform_distinct, transform_sort

    targets: list[Any] = []
    sort: list[Any] = []
    distincts: list[Any] = []
    if aggregate.aggkind != "n":
        direct = len(args) - len(order)
        aggregate.aggdirectargs = args[:direct]
        for arg, item in zip(args[direct:], order, strict=True):
            target = make_target(arg, len(targets) + 1, None)
            targets.append(target)
            add_to_sort_list(pstate, target, sort, targets, item)
    else:
        targets = [make_target(arg, number, None) for number, arg in enumerate(args, 1)]
        saved = pstate.next_resno
        pstate.next_resno = len(targets) + 1
        sort = transform_sort(pstate, order, targets, ExprKind.ORDER_BY, True)
        if distinct:
            distincts = transform_distinct(pstate, targets, sort, True)
            for clause in distincts:
                if not clause.sortop:
                    expr = target_of(clause, targets).expr
                    raise pstate.error(
                        errcode.UNDEFINED_FUNCTION,
                        f"could not identify an ordering operator for type {format_type(expr_type(expr))}",
                        expr_location(expr),
                        detail="Aggregates with DISTINCT must be able to sort their inputs.",
                    )
        pstate.next_resno = saved
    aggregate.args, aggregate.aggorder, aggregate.aggdistinct = targets, sort, distincts
    aggregate.aggargtypes = [expr_type(arg) for arg in aggregate.aggdirectargs] + [
        expr_type(target.expr) for target in targets if not target.resjunk
    ]
    _check_level(pstate, aggregate)


def transform_grouping_func(pstate: ParseState, node: GroupingFunc) -> GroupingFunc:
    """GROUPING(...) (transformGroupingFunc)."""
    from tusk.sql.analyze.expressions import transform_expr

    if len(node.args) > 31:
        raise pstate.error(errcode.TOO_MANY_ARGUMENTS, "GROUPING must have fewer than 32 arguments", node.location)
    args = [transform_expr(pstate, arg, pstate.expr_kind) for arg in node.args]
    result = GroupingFunc(args=args, location=node.location)
    _check_level(pstate, result)
    return result


_AGG_OK = frozenset(
    (
        ExprKind.OTHER,
        ExprKind.HAVING,
        ExprKind.WINDOW_PARTITION,
        ExprKind.WINDOW_ORDER,
        ExprKind.SELECT_TARGET,
        ExprKind.ORDER_BY,
        ExprKind.DISTINCT_ON,
    )
)
_AGG_PLACES = {
    ExprKind.JOIN_ON: "JOIN conditions",
    ExprKind.JOIN_USING: "JOIN conditions",
    ExprKind.FROM_SUBSELECT: "FROM clause of their own query level",
    ExprKind.FROM_FUNCTION: "functions in FROM",
    ExprKind.POLICY: "policy expressions",
    ExprKind.WINDOW_FRAME_RANGE: "window RANGE",
    ExprKind.WINDOW_FRAME_ROWS: "window ROWS",
    ExprKind.WINDOW_FRAME_GROUPS: "window GROUPS",
    ExprKind.MERGE_WHEN: "MERGE WHEN conditions",
    ExprKind.CHECK_CONSTRAINT: "check constraints",
    ExprKind.DOMAIN_CHECK: "check constraints",
    ExprKind.COLUMN_DEFAULT: "DEFAULT expressions",
    ExprKind.FUNCTION_DEFAULT: "DEFAULT expressions",
    ExprKind.INDEX_EXPRESSION: "index expressions",
    ExprKind.INDEX_PREDICATE: "index predicates",
    ExprKind.STATS_EXPRESSION: "statistics expressions",
    ExprKind.ALTER_COL_TRANSFORM: "transform expressions",
    ExprKind.EXECUTE_PARAMETER: "EXECUTE parameters",
    ExprKind.TRIGGER_WHEN: "trigger WHEN conditions",
    ExprKind.PARTITION_BOUND: "partition bound",
    ExprKind.PARTITION_EXPRESSION: "partition key expressions",
    ExprKind.GENERATED_COLUMN: "column generation expressions",
    ExprKind.CALL_ARGUMENT: "CALL arguments",
    ExprKind.COPY_WHERE: "COPY FROM WHERE conditions",
}


def _check_level(pstate: ParseState, node: Any) -> None:
    """Find the query an aggregate belongs to, and whether it may stand there."""
    is_agg = isinstance(node, Aggref)
    level = _agg_level(pstate, node.aggdirectargs if is_agg else [], node.args, node.aggfilter if is_agg else None)
    node.agglevelsup = level
    owner = pstate
    for _ in range(level):
        assert owner.parent is not None
        owner = owner.parent
    owner.has_aggs = True
    kind = owner.expr_kind
    if kind in _AGG_OK:
        return
    what = "aggregate functions" if is_agg else "grouping operations"
    place = _AGG_PLACES.get(kind) or kind_name(kind)
    raise pstate.error(errcode.GROUPING_ERROR, f"{what} are not allowed in {place}", node.location)


class _Levels:
    """The least levels of variables and aggregates inside arguments; -1 for none."""

    def __init__(self, pstate: ParseState) -> None:
        self.pstate = pstate
        self.variable = -1
        self.aggregate = -1

    def look(self, tree: Any) -> None:
        walk_levels(tree, self._visit)

    def _visit(self, node: Any, level: int) -> Any:
        if isinstance(node, Var):
            up = node.varlevelsup - level
            if up >= 0 and (self.variable < 0 or up < self.variable):
                self.variable = up
        elif isinstance(node, (Aggref, GroupingFunc)):
            up = node.agglevelsup - level
            if up >= 0 and (self.aggregate < 0 or up < self.aggregate):
                self.aggregate = up
            if isinstance(node, Aggref):
                return "skip"
        elif level == 0:
            if (isinstance(node, FuncExpr) and node.funcretset) or (isinstance(node, OpExpr) and node.opretset):
                raise self.pstate.error(
                    errcode.FEATURE_NOT_SUPPORTED,
                    "aggregate function calls cannot contain set-returning function calls",
                    expr_location(node),
                    hint="You might be able to move the set-returning function into a LATERAL FROM item.",
                )
            if isinstance(node, WindowFunc):
                raise self.pstate.error(
                    errcode.GROUPING_ERROR,
                    "aggregate function calls cannot contain window function calls",
                    node.location,
                )
        return None


def _agg_level(pstate: ParseState, direct: list[Any], args: list[Any], condition: Any) -> int:
    levels = _Levels(pstate)
    levels.look(args)
    levels.look(condition)
    known = [level for level in (levels.variable, levels.aggregate) if level >= 0]
    level = min(known) if known else 0

    def nested(tree: Any) -> SqlError:
        return pstate.error(
            errcode.GROUPING_ERROR,
            "aggregate function calls cannot be nested",
            locate_agg_of_level(tree, level) or -1,
        )

    if level == levels.aggregate:
        raise nested([args, condition])
    if direct:
        inner = _Levels(pstate)
        inner.look(direct)
        if 0 <= inner.variable < level:
            from tusk.sql.analyze.joins import locate_var_of_level

            where = locate_var_of_level(direct, inner.variable)
            raise pstate.error(
                errcode.GROUPING_ERROR,
                "outer-level aggregate cannot contain a lower-level variable in its direct arguments",
                -1 if where is None else where,
            )
        if 0 <= inner.aggregate <= level:
            raise nested(direct)
    return level


_WINDOW_OK = frozenset((ExprKind.OTHER, ExprKind.SELECT_TARGET, ExprKind.ORDER_BY, ExprKind.DISTINCT_ON))
_WINDOW_PLACES = {
    **_AGG_PLACES,
    ExprKind.WINDOW_PARTITION: "window definitions",
    ExprKind.WINDOW_ORDER: "window definitions",
    ExprKind.WINDOW_FRAME_RANGE: "window definitions",
    ExprKind.WINDOW_FRAME_ROWS: "window definitions",
    ExprKind.WINDOW_FRAME_GROUPS: "window definitions",
}


def transform_window_call(pstate: ParseState, function: WindowFunc, definition: Any) -> None:
    """The window of a window function call, and whether one may stand here (transformWindowFuncCall)."""
    if pstate.has_windowfuncs:
        where = locate_windowfunc(function.args)
        if where is not None:
            raise pstate.error(errcode.WINDOWING_ERROR, "window function calls cannot be nested", where)
    kind = pstate.expr_kind
    if kind not in _WINDOW_OK:
        place = _WINDOW_PLACES.get(kind) or kind_name(kind)
        raise pstate.error(errcode.WINDOWING_ERROR, f"window functions are not allowed in {place}", function.location)
    if definition.name:
        for number, known in enumerate(pstate.windowdefs, 1):
            if known.name == definition.name:
                function.winref = number
                break
        else:
            raise pstate.error(
                errcode.UNDEFINED_OBJECT, f'window "{definition.name}" does not exist', definition.location
            )
    else:
        for number, known in enumerate(pstate.windowdefs, 1):
            if (
                known.refname == definition.refname
                and known.frameOptions == definition.frameOptions
                and equal(known.partitionClause, definition.partitionClause)
                and equal(known.orderClause, definition.orderClause)
                and equal(known.startOffset, definition.startOffset)
                and equal(known.endOffset, definition.endOffset)
            ):
                function.winref = number
                break
        else:
            pstate.windowdefs = [*pstate.windowdefs, definition]
            function.winref = len(pstate.windowdefs)
    pstate.has_windowfuncs = True


# Grouping sets --------------------------------------------------------------------------------------------------------


def _expand(node: Any) -> list[list[int]]:
    kind, content = node.kind, node.content
    if kind == enums.GROUPING_SET_EMPTY:
        return [[]]
    if kind == enums.GROUPING_SET_SIMPLE:
        return [list(content)]
    if kind == enums.GROUPING_SET_ROLLUP:
        return [[ref for part in content[:size] for ref in part.content] for size in range(len(content), -1, -1)]
    if kind == enums.GROUPING_SET_CUBE:
        return [
            [ref for i, part in enumerate(content) if mask >> i & 1 for ref in part.content]
            for mask in range(1 << len(content))
        ]
    return [refs for part in content for refs in _expand(part)]


def expand_grouping_sets(sets: list[Any], distinct: bool, limit: int = -1) -> list[list[int]] | None:
    """All grouping sets as lists of references, shortest first; None when there are more than the limit."""
    if not sets:
        return []
    expanded = [_expand(each) for each in sets]
    count = 1
    for each in expanded:
        count *= len(each)
        if 0 <= limit < count:
            return None
    result = []
    for parts in product(*expanded):
        refs: list[int] = []
        for part in parts:
            refs += [ref for ref in part if ref not in refs]
        result.append(refs)
    if distinct and len(result) > 1:
        result = [list(refs) for refs in sorted({tuple(sorted(refs)) for refs in result}, key=lambda r: (len(r), r))]
    else:
        result.sort(key=len)
    return result


# The check of a grouped query -----------------------------------------------------------------------------------------


def flatten_join_vars(query: Any, tree: Any) -> Any:
    """Replace Vars of joins by the columns they stand for (flatten_join_alias_vars)."""
    rtable = query.rtable

    def change(node: Any, level: int) -> Any:
        if not isinstance(node, Var) or node.varlevelsup != level:
            return None
        rte = rtable[node.varno - 1]
        if rte.rtekind != enums.RTE_JOIN:
            return node
        if node.varattno == 0:
            fields, names = [], []
            for expr, name in zip(rte.joinaliasvars, rte.eref.colnames, strict=True):
                if expr is None:
                    continue
                own = copy_tree(expr) if level == 0 else increment_sublevels_up(expr, level)
                if isinstance(own, Var):
                    own.location = node.location
                fields.append(mutate_levels(own, change, level))
                names.append(name)
            row = RowExpr(
                args=fields,
                row_typeid=node.vartype,
                row_format=enums.COERCE_IMPLICIT_CAST,
                colnames=names,
                location=node.location,
            )
            return _add_nulling(row, node)
        expr = rte.joinaliasvars[node.varattno - 1]
        new = copy_tree(expr) if level == 0 else increment_sublevels_up(expr, level)
        if isinstance(new, Var):
            new.location = node.location
        return _add_nulling(mutate_levels(new, change, level), node)

    return mutate_levels(tree, change)


def _add_nulling(new: Any, old: Var) -> Any:
    if not old.varnullingrels:
        return new

    def visit(node: Any, level: int) -> Any:
        if isinstance(node, Var) and node.varlevelsup == old.varlevelsup + level:
            node.varnullingrels = node.varnullingrels | old.varnullingrels
        return None

    walk_levels(new, visit)
    return new


class _Grouped:
    """The state of the check: acceptable grouping expressions, and what was proven dependent on them."""

    def __init__(self, pstate: ParseState, query: Query, clauses: list[Any], common: list[int]) -> None:
        self.pstate = pstate
        self.query = query
        self.clauses = clauses
        self.common = common
        self.has_expressions = any(not isinstance(target.expr, Var) for target in clauses)
        self.common_vars = [
            target.expr
            for target in clauses
            if isinstance(target.expr, Var) and (not query.groupingSets or target.ressortgroupref in common)
        ]
        self.dependent: set[int] = set()
        self.in_direct_args = False

    def var(self, number: int, ref: int, level: int) -> Var:
        item = self.pstate.grouping_nsitem
        assert item is not None
        column = item.columns[number - 1]
        var = make_var(column.varno, column.varattno, column.vartype, column.vartypmod, column.varcollid, level)
        var.varnosyn, var.varattnosyn = column.varnosyn, column.varattnosyn
        if self.query.groupingSets and ref not in self.common:
            var.varnullingrels = var.varnullingrels | {item.rtindex}
        return var

    def substitute(self, tree: Any) -> Any:
        """Replace grouping expressions by Vars of the grouping step; 42803 for other columns."""
        return mutate_levels(tree, self._change)

    def _change(self, node: Any, level: int) -> Any:
        if isinstance(node, Aggref):
            if node.agglevelsup == level:
                copy = replace(node)
                saved = self.in_direct_args
                self.in_direct_args = True
                copy.aggdirectargs = mutate_levels(node.aggdirectargs, self._change, level)
                self.in_direct_args = saved
                return copy
            return node if node.agglevelsup > level else None
        if isinstance(node, GroupingFunc):
            return node if node.agglevelsup >= level else None
        if self.has_expressions and level == 0:
            for number, target in enumerate(self.clauses, 1):
                if equal(node, target.expr):
                    return self.var(number, target.ressortgroupref, 0)
        if isinstance(node, (Const, Param)):
            return node
        if isinstance(node, Var):
            return self._variable(node, level)
        return None

    def _variable(self, node: Var, level: int) -> Any:
        if node.varlevelsup != level:
            return node
        if not self.has_expressions or level:
            for number, target in enumerate(self.clauses, 1):
                own = target.expr
                if (
                    isinstance(own, Var)
                    and own.varno == node.varno
                    and own.varattno == node.varattno
                    and own.varlevelsup == 0
                ):
                    return self.var(number, target.ressortgroupref, level)
        if node.varno in self.dependent:
            return node
        rte = self.pstate.rtable[node.varno - 1]
        if rte.rtekind == enums.RTE_RELATION and check_functional_grouping(
            rte.relid, node.varno, self.common_vars, self.query
        ):
            self.dependent.add(node.varno)
            return node
        name = f"{rte.eref.aliasname}.{rte_attribute_name(rte, node.varattno)}"
        if level:
            raise self.pstate.error(
                errcode.GROUPING_ERROR, f'subquery uses ungrouped column "{name}" from outer query', node.location
            )
        raise self.pstate.error(
            errcode.GROUPING_ERROR,
            f'column "{name}" must appear in the GROUP BY clause or be used in an aggregate function',
            node.location,
            detail=(
                "Direct arguments of an ordered-set aggregate must use only grouped columns."
                if self.in_direct_args
                else None
            ),
        )

    def finalize_grouping(self, tree: Any, has_joins: bool) -> None:
        """Resolve the arguments of GROUPING to sort references (finalize_grouping_exprs)."""

        def visit(node: Any, level: int) -> Any:
            if isinstance(node, Aggref):
                if node.agglevelsup == level:
                    walk_levels(node.aggdirectargs, visit, level)
                    return "skip"
                return "skip" if node.agglevelsup > level else None
            if isinstance(node, GroupingFunc):
                if node.agglevelsup == level:
                    node.refs = [self._grouping_ref(arg, level, has_joins) for arg in node.args]
                return "skip" if node.agglevelsup > level else None
            return None

        walk_levels(tree, visit)

    def _grouping_ref(self, expr: Any, level: int, has_joins: bool) -> int:
        if has_joins:
            expr = flatten_join_vars(self.query, expr) if level == 0 else expr
        for target in self.clauses:
            own = target.expr
            if isinstance(expr, Var):
                if (
                    expr.varlevelsup == level
                    and isinstance(own, Var)
                    and own.varno == expr.varno
                    and own.varattno == expr.varattno
                    and own.varlevelsup == 0
                ):
                    return target.ressortgroupref  # type: ignore[no-any-return]
            elif level == 0 and equal(expr, own):
                return target.ressortgroupref  # type: ignore[no-any-return]
        raise self.pstate.error(
            errcode.GROUPING_ERROR,
            "arguments to GROUPING must be grouping expressions of the associated query level",
            expr_location(expr),
        )


def check_aggregates(pstate: ParseState, query: Query) -> None:
    """Check a query that aggregates or groups, and let it refer to the grouping step (parseCheckAggregates)."""
    common: list[int] = []
    if query.groupingSets:
        sets = expand_grouping_sets(query.groupingSets, query.groupDistinct, 4096)
        if not sets:
            where = query.groupClause if query.groupClause else query.groupingSets
            raise pstate.error(
                errcode.STATEMENT_TOO_COMPLEX, "too many grouping sets present (maximum 4096)", expr_location(where)
            )
        common = sets[0]
        for refs in sets[1:]:
            common = [ref for ref in common if ref in refs]
        if len(sets) == 1 and query.groupClause:
            query.groupingSets = []
    has_joins = any(rte.rtekind == enums.RTE_JOIN for rte in pstate.rtable)
    self_reference = any(rte.rtekind == enums.RTE_CTE and rte.self_reference for rte in pstate.rtable)
    by_ref = {target.ressortgroupref: target for target in query.targetList if target.ressortgroupref}
    clauses: list[Any] = [
        by_ref[clause.tleSortGroupRef] for clause in query.groupClause if clause.tleSortGroupRef in by_ref
    ]
    if clauses:
        pstate.grouping_nsitem = add_group(pstate, clauses)
        query.rtable = pstate.rtable
        query.hasGroupRTE = True
    if has_joins:
        clauses = flatten_join_vars(query, clauses)
    work = _Grouped(pstate, query, clauses, common)
    for field in ("targetList", "havingQual"):
        clause: Any = getattr(query, field)
        work.finalize_grouping(clause, has_joins)
        if has_joins:
            clause = flatten_join_vars(query, clause)
        setattr(query, field, work.substitute(clause))
    if pstate.has_aggs and self_reference:
        raise pstate.error(
            errcode.INVALID_RECURSION,
            "aggregate functions are not allowed in a recursive query's recursive term",
            locate_agg_of_level([query.targetList, query.havingQual], 0) or -1,
        )
