"""WHERE, LIMIT, GROUP BY, ORDER BY, DISTINCT, WINDOW."""

from __future__ import annotations

from typing import Any

from tusk.catalog.cache import AMPROCNUM, lookup_list
from tusk.catalog.names import format_type
from tusk.catalog.oids import INT8OID, TEXTOID, UNKNOWNOID
from tusk.errors import SqlError, errcode
from tusk.sql.analyze import lookup as lk
from tusk.sql.analyze.coerce import (
    IMPLICIT,
    IMPLICIT_CAST,
    can_coerce_type,
    coerce_to_boolean,
    coerce_to_specific_type,
    coerce_type,
)
from tusk.sql.analyze.expressions import transform_expr
from tusk.sql.analyze.joins import locate_var_of_level
from tusk.sql.analyze.operators import compatible_operator, sort_group_operators
from tusk.sql.analyze.rangetable import column_to_var
from tusk.sql.analyze.state import ExprKind, ParseState, kind_name, position_of_errors
from tusk.sql.analyze.targets import transform_target_entry
from tusk.sql.nodes import enums, nodefuncs
from tusk.sql.nodes.base import copy_tree, equal, replace
from tusk.sql.nodes.literals import Integer, String
from tusk.sql.nodes.nodefuncs import (
    expr_collation,
    expr_location,
    expr_type,
    locate_agg_of_level,
    locate_windowfunc,
    strip_implicit_coercions,
)
from tusk.sql.nodes.parsetree import A_Const, ColumnRef, GroupingSet, SortBy, SortGroupClause, WindowClause, WindowDef
from tusk.sql.nodes.primitives import RowExpr, TargetEntry

BTINRANGE_PROC = 3


def transform_where(pstate: ParseState, clause: Any, kind: ExprKind, name: str) -> Any:
    """A condition, or None (transformWhereClause)."""
    if clause is None:
        return None
    return coerce_to_boolean(pstate, transform_expr(pstate, clause, kind), name)


def _check_var_free(pstate: ParseState, node: Any, name: str) -> None:
    location = locate_var_of_level(node, 0)
    if location is not None:
        raise pstate.error(errcode.INVALID_COLUMN_REFERENCE, f"argument of {name} must not contain variables", location)


def transform_limit(pstate: ParseState, clause: Any, kind: ExprKind, name: str, option: int) -> Any:
    """LIMIT or OFFSET as bigint (transformLimitClause)."""
    if clause is None:
        return None
    expr = coerce_to_specific_type(pstate, transform_expr(pstate, clause, kind), INT8OID, name)
    _check_var_free(pstate, expr, name)
    if (
        kind == ExprKind.LIMIT
        and option == enums.LIMIT_OPTION_WITH_TIES
        and isinstance(clause, A_Const)
        and clause.isnull
    ):
        raise SqlError(
            errcode.INVALID_ROW_COUNT_IN_LIMIT_CLAUSE,
            "row count cannot be null in FETCH FIRST ... WITH TIES clause",
        )
    return expr


# Target list entries that sort and group ------------------------------------------------------------------------------


def _check_92(pstate: ParseState, target: TargetEntry, kind: ExprKind) -> None:
    if kind != ExprKind.GROUP_BY:
        return
    if pstate.has_aggs:
        location = locate_agg_of_level(target.expr, 0)
        if location is not None:
            raise pstate.error(
                errcode.GROUPING_ERROR, f"aggregate functions are not allowed in {kind_name(kind)}", location
            )
    if pstate.has_windowfuncs:
        location = locate_windowfunc(target.expr)
        if location is not None:
            raise pstate.error(
                errcode.WINDOWING_ERROR, f"window functions are not allowed in {kind_name(kind)}", location
            )


def find_target_92(pstate: ParseState, node: Any, targets: list[TargetEntry], kind: ExprKind) -> TargetEntry:
    """The output column that a name, a position or an expression means; added junk if new
    (findTargetlistEntrySQL92)."""
    if isinstance(node, ColumnRef) and len(node.fields) == 1 and isinstance(node.fields[0], String):
        name = node.fields[0].sval
        if kind == ExprKind.GROUP_BY and column_to_var(pstate, name or "", True, node.location) is not None:
            name = None
        if name is not None:
            found = None
            for target in targets:
                if not target.resjunk and target.resname == name:
                    if found is None:
                        found = target
                    elif not equal(found.expr, target.expr):
                        raise pstate.error(
                            errcode.AMBIGUOUS_COLUMN, f'{kind_name(kind)} "{name}" is ambiguous', node.location
                        )
            if found is not None:
                _check_92(pstate, found, kind)
                return found
    if isinstance(node, A_Const):
        if not isinstance(node.val, Integer):
            raise pstate.error(errcode.SYNTAX_ERROR, f"non-integer constant in {kind_name(kind)}", node.location)
        wanted = node.val.ival
        visible = [target for target in targets if not target.resjunk]
        if 1 <= wanted <= len(visible):
            _check_92(pstate, visible[wanted - 1], kind)
            return visible[wanted - 1]
        raise pstate.error(
            errcode.INVALID_COLUMN_REFERENCE,
            f"{kind_name(kind)} position {wanted} is not in select list",
            node.location,
        )
    return find_target_99(pstate, node, targets, kind)


def find_target_99(pstate: ParseState, node: Any, targets: list[TargetEntry], kind: ExprKind) -> TargetEntry:
    """The output column equal to an expression; added junk if new (findTargetlistEntrySQL99)."""
    expr = transform_expr(pstate, node, kind)
    for target in targets:
        if equal(expr, strip_implicit_coercions(target.expr)):
            return target
    target = transform_target_entry(pstate, node, expr, kind, None, True)
    targets.append(target)
    return target


def assign_sort_ref(target: TargetEntry, targets: list[TargetEntry]) -> int:
    """The entry's sort/group reference, made if it has none (assignSortGroupRef)."""
    if not target.ressortgroupref:
        target.ressortgroupref = max((each.ressortgroupref for each in targets), default=0) + 1
    return target.ressortgroupref


def in_sort_list(target: TargetEntry, sortop: int, clauses: list[SortGroupClause]) -> bool:
    """Whether a list sorts (by this operator or its commutator) or groups by the entry (targetIsInSortList)."""
    ref = target.ressortgroupref
    return bool(ref) and any(
        clause.tleSortGroupRef == ref
        and (not sortop or sortop == clause.sortop or sortop == lk.commutator(clause.sortop))
        for clause in clauses
    )


def _settle_unknown(pstate: ParseState, target: TargetEntry) -> int:
    type_oid = expr_type(target.expr)
    if type_oid == UNKNOWNOID:
        target.expr = coerce_type(pstate, target.expr, type_oid, TEXTOID, -1, IMPLICIT, IMPLICIT_CAST, -1)
        type_oid = TEXTOID
    return type_oid


def add_to_sort_list(
    pstate: ParseState, target: TargetEntry, clauses: list[SortGroupClause], targets: list[TargetEntry], sort: SortBy
) -> list[SortGroupClause]:
    """One ORDER BY item (addTargetToSortList)."""
    type_oid = _settle_unknown(pstate, target)
    location = sort.location if sort.location >= 0 else expr_location(sort.node)
    with position_of_errors(pstate, location):
        if sort.sortby_dir == enums.SORTBY_USING:
            names = nodefuncs.string_list(sort.useOp)
            sortop = compatible_operator(pstate, names, type_oid, type_oid, False, -1).oid
            eqop, reverse = lk.equality_op_for_ordering_op(sortop)
            if not eqop:
                raise SqlError(
                    errcode.WRONG_OBJECT_TYPE,
                    f"operator {names[-1]} is not a valid ordering operator",
                    hint='Ordering operators must be "<" or ">" members of btree operator families.',
                )
            hashable = lk.op_hashjoinable(eqop, type_oid)
        else:
            reverse = sort.sortby_dir == enums.SORTBY_DESC
            operators = sort_group_operators(type_oid, not reverse, True, reverse)
            sortop, eqop, hashable = operators.gt if reverse else operators.lt, operators.eq, operators.hashable
    if not in_sort_list(target, sortop, clauses):
        nulls_first = reverse
        if sort.sortby_nulls != enums.SORTBY_NULLS_DEFAULT:
            nulls_first = sort.sortby_nulls == enums.SORTBY_NULLS_FIRST
        clauses.append(
            SortGroupClause(
                tleSortGroupRef=assign_sort_ref(target, targets),
                eqop=eqop,
                sortop=sortop,
                reverse_sort=reverse,
                nulls_first=nulls_first,
                hashable=hashable,
            )
        )
    return clauses


def add_to_group_list(
    pstate: ParseState, target: TargetEntry, clauses: list[SortGroupClause], targets: list[TargetEntry], location: int
) -> list[SortGroupClause]:
    """One item of GROUP BY or DISTINCT with default semantics (addTargetToGroupList)."""
    type_oid = _settle_unknown(pstate, target)
    if not in_sort_list(target, 0, clauses):
        with position_of_errors(pstate, location):
            operators = sort_group_operators(type_oid, False, True, False)
        clauses.append(
            SortGroupClause(
                tleSortGroupRef=assign_sort_ref(target, targets),
                eqop=operators.eq,
                sortop=operators.lt,
                hashable=operators.hashable,
            )
        )
    return clauses


def target_of(clause: SortGroupClause, targets: list[TargetEntry]) -> TargetEntry:
    """The entry a sort clause refers to (get_sortgroupclause_tle)."""
    for target in targets:
        if target.ressortgroupref == clause.tleSortGroupRef:
            return target
    raise SqlError(errcode.INTERNAL_ERROR, "ORDER/GROUP BY expression not found in targetlist")


def transform_sort(
    pstate: ParseState, items: list[SortBy], targets: list[TargetEntry], kind: ExprKind, sql99: bool
) -> list[SortGroupClause]:
    """ORDER BY; may append junk entries (transformSortClause)."""
    clauses: list[SortGroupClause] = []
    find = find_target_99 if sql99 else find_target_92
    for item in items:
        target = find(pstate, item.node, targets, kind)
        add_to_sort_list(pstate, target, clauses, targets, item)
    return clauses


# GROUP BY -------------------------------------------------------------------------------------------------------------


def _flatten(node: Any, top: bool, seen: list[bool]) -> Any:
    """Unpack implicit rows and nested GROUPING SETS; [] for an empty set at the top (flatten_grouping_sets)."""
    if type(node) is list:
        result: list[Any] = []
        for item in node:
            flat = _flatten(item, top, seen)
            if flat == [] and type(flat) is list:
                continue
            result += flat if type(flat) is list else [flat]
        return result
    if isinstance(node, RowExpr) and node.row_format == enums.COERCE_IMPLICIT_CAST:
        return _flatten(node.args, False, [])
    if isinstance(node, GroupingSet):
        seen.append(True)
        if top and node.kind == enums.GROUPING_SET_EMPTY:
            return []
        content: list[Any] = []
        for item in node.content:
            flat = _flatten(item, False, [])
            if isinstance(item, GroupingSet) and item.kind == enums.GROUPING_SET_SETS:
                content += flat
            else:
                content.append(flat)
        if top or node.kind != enums.GROUPING_SET_SETS:
            return GroupingSet(kind=node.kind, content=content, location=node.location)
        return content
    return node


class _Grouping:
    """What transforming GROUP BY works on."""

    def __init__(
        self, pstate: ParseState, targets: list[TargetEntry], sort: list[SortGroupClause], kind: ExprKind, sql99: bool
    ) -> None:
        self.pstate = pstate
        self.targets = targets
        self.sort = sort
        self.kind = kind
        self.find = find_target_99 if sql99 else find_target_92
        self.flat: list[SortGroupClause] = []

    def expression(self, node: Any, seen: set[int], top: bool) -> int:
        """The reference of one expression; 0 if this list has it already."""
        target = self.find(self.pstate, node, self.targets, self.kind)
        ref = target.ressortgroupref
        found = False
        if ref:
            if ref in seen:
                return 0
            if in_sort_list(target, 0, self.flat):
                return ref
            for clause in self.sort:
                if clause.tleSortGroupRef == ref:
                    copy = replace(clause)
                    if not top:
                        copy.nulls_first = False
                    self.flat.append(copy)
                    found = True
                    break
        if not found:
            add_to_group_list(self.pstate, target, self.flat, self.targets, expr_location(node))
        return target.ressortgroupref

    def expressions(self, nodes: list[Any]) -> list[int]:
        refs: list[int] = []
        for node in nodes:
            ref = self.expression(node, set(refs), False)
            if ref:
                refs.append(ref)
        return refs

    def grouping_set(self, node: GroupingSet) -> GroupingSet:
        content = []
        for item in node.content:
            if type(item) is list:
                content.append(_simple(self.expressions(item), expr_location(item)))
            elif isinstance(item, GroupingSet):
                content.append(self.grouping_set(item))
            else:
                content.append(_simple([self.expression(item, set(), False)], expr_location(item)))
        if node.kind == enums.GROUPING_SET_CUBE and len(content) > 12:
            raise self.pstate.error(errcode.TOO_MANY_COLUMNS, "CUBE is limited to 12 elements", node.location)
        return GroupingSet(kind=node.kind, content=content, location=node.location)


def _simple(refs: list[int], location: int) -> GroupingSet:
    return GroupingSet(kind=enums.GROUPING_SET_SIMPLE, content=refs, location=location)


def transform_group(
    pstate: ParseState,
    items: list[Any],
    targets: list[TargetEntry],
    sort: list[SortGroupClause],
    kind: ExprKind,
    sql99: bool,
) -> tuple[list[SortGroupClause], list[GroupingSet]]:
    """(group clauses, grouping sets) of GROUP BY or PARTITION BY (transformGroupClause)."""
    has_sets: list[bool] = []
    flat = _flatten(items, True, has_sets)
    if not flat and has_sets:
        flat = [GroupingSet(kind=enums.GROUPING_SET_EMPTY, location=expr_location(items))]
    work = _Grouping(pstate, targets, sort, kind, sql99)
    sets: list[GroupingSet] = []
    seen: set[int] = set()
    for item in flat:
        if isinstance(item, GroupingSet):
            sets.append(item if item.kind == enums.GROUPING_SET_EMPTY else work.grouping_set(item))
        else:
            ref = work.expression(item, seen, True)
            if ref:
                seen.add(ref)
                if has_sets:
                    sets.append(_simple([ref], expr_location(item)))
    return work.flat, sets


# DISTINCT -------------------------------------------------------------------------------------------------------------


def transform_distinct(
    pstate: ParseState, targets: list[TargetEntry], sort: list[SortGroupClause], is_aggregate: bool
) -> list[SortGroupClause]:
    """SELECT DISTINCT: the ORDER BY items, then all other columns (transformDistinctClause)."""
    result: list[SortGroupClause] = []
    for clause in sort:
        target = target_of(clause, targets)
        if target.resjunk:
            raise pstate.error(
                errcode.INVALID_COLUMN_REFERENCE,
                "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list"
                if is_aggregate
                else "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
                expr_location(target.expr),
            )
        result.append(replace(clause))
    for target in targets:
        if not target.resjunk:
            add_to_group_list(pstate, target, result, targets, expr_location(target.expr))
    if not result:
        raise SqlError(
            errcode.SYNTAX_ERROR,
            "an aggregate with DISTINCT must have at least one argument"
            if is_aggregate
            else "SELECT DISTINCT must have at least one column",
        )
    return result


def transform_distinct_on(
    pstate: ParseState, items: list[Any], targets: list[TargetEntry], sort: list[SortGroupClause]
) -> list[SortGroupClause]:
    """SELECT DISTINCT ON (transformDistinctOnClause)."""
    found = [find_target_92(pstate, item, targets, ExprKind.DISTINCT_ON) for item in items]
    refs = [assign_sort_ref(target, targets) for target in found]
    message = "SELECT DISTINCT ON expressions must match initial ORDER BY expressions"
    result: list[SortGroupClause] = []
    skipped = False
    for clause in sort:
        if clause.tleSortGroupRef in refs:
            if skipped:
                raise pstate.error(
                    errcode.INVALID_COLUMN_REFERENCE,
                    message,
                    expr_location(items[refs.index(clause.tleSortGroupRef)]),
                )
            result.append(replace(clause))
        else:
            skipped = True
    for item, target in zip(items, found, strict=True):
        if in_sort_list(target, 0, result):
            continue
        if skipped:
            raise pstate.error(errcode.INVALID_COLUMN_REFERENCE, message, expr_location(item))
        add_to_group_list(pstate, target, result, targets, expr_location(item))
    return result


# WINDOW ---------------------------------------------------------------------------------------------------------------


def transform_windows(pstate: ParseState, targets: list[TargetEntry]) -> list[WindowClause]:
    """The windows of WINDOW and OVER, in order (transformWindowDefinitions)."""
    result: list[WindowClause] = []
    for number, definition in enumerate(pstate.windowdefs, 1):
        result.append(_window(pstate, definition, number, result, targets))
    return result


def _window(
    pstate: ParseState, definition: WindowDef, number: int, known: list[WindowClause], targets: list[TargetEntry]
) -> WindowClause:
    def wrong(message: str, hint: str | None = None, code: str = errcode.WINDOWING_ERROR) -> SqlError:
        return pstate.error(code, message, definition.location, hint=hint)

    if definition.name and any(each.name == definition.name for each in known):
        raise wrong(f'window "{definition.name}" is already defined')
    base = None
    if definition.refname:
        base = next((each for each in known if each.name == definition.refname), None)
        if base is None:
            raise wrong(f'window "{definition.refname}" does not exist', code=errcode.UNDEFINED_OBJECT)
    order = transform_sort(pstate, definition.orderClause, targets, ExprKind.WINDOW_ORDER, True)
    partition, _ = transform_group(pstate, definition.partitionClause, targets, order, ExprKind.WINDOW_PARTITION, True)
    result = WindowClause(
        name=definition.name,
        refname=definition.refname,
        partitionClause=partition,
        orderClause=order,
        frameOptions=definition.frameOptions,
        winref=number,
    )
    if base is not None:
        name = definition.refname
        if partition:
            raise wrong(f'cannot override PARTITION BY clause of window "{name}"')
        result.partitionClause = copy_tree(base.partitionClause)
        if order and base.orderClause:
            raise wrong(f'cannot override ORDER BY clause of window "{name}"')
        if not order:
            result.orderClause, result.copiedOrder = copy_tree(base.orderClause), True
        if base.frameOptions != enums.FRAMEOPTION_DEFAULTS:
            message = f'cannot copy window "{name}" because it has a frame clause'
            if definition.name or order or definition.frameOptions != enums.FRAMEOPTION_DEFAULTS:
                raise wrong(message)
            raise wrong(message, "Omit the parentheses in this OVER clause.")
    family = intype = 0
    options = result.frameOptions
    if options & enums.FRAMEOPTION_RANGE and options & (enums.FRAMEOPTION_START_OFFSET | enums.FRAMEOPTION_END_OFFSET):
        if len(result.orderClause) != 1:
            raise wrong("RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column")
        clause = result.orderClause[0]
        key = target_of(clause, targets).expr
        properties = lk.ordering_op_properties(clause.sortop)
        if properties is None:
            raise SqlError(errcode.INTERNAL_ERROR, f"operator {clause.sortop} is not a valid ordering operator")
        family, intype, _ = properties
        result.inRangeColl = expr_collation(key)
        result.inRangeAsc = not clause.reverse_sort
        result.inRangeNullsFirst = clause.nulls_first
    if options & enums.FRAMEOPTION_GROUPS and not result.orderClause:
        raise wrong("GROUPS mode requires an ORDER BY clause")
    result.startOffset, result.startInRangeFunc = _frame_offset(pstate, options, family, intype, definition.startOffset)
    result.endOffset, result.endInRangeFunc = _frame_offset(pstate, options, family, intype, definition.endOffset)
    return result


def _frame_offset(pstate: ParseState, options: int, family: int, intype: int, clause: Any) -> tuple[Any, int]:
    if clause is None:
        return None, 0
    function = 0
    if options & enums.FRAMEOPTION_ROWS:
        name = "ROWS"
        node = coerce_to_specific_type(
            pstate, transform_expr(pstate, clause, ExprKind.WINDOW_FRAME_ROWS), INT8OID, name
        )
    elif options & enums.FRAMEOPTION_RANGE:
        name = "RANGE"
        node = transform_expr(pstate, clause, ExprKind.WINDOW_FRAME_RANGE)
        own = expr_type(node)
        preferred = own if own != UNKNOWNOID else intype
        procs = [row for row in lookup_list(AMPROCNUM, family, intype) if row.amprocnum == BTINRANGE_PROC]
        fitting = [row for row in procs if can_coerce_type([own], [row.amprocrighttype], IMPLICIT)]
        exact = [row for row in fitting if row.amprocrighttype == preferred]
        fitting = exact[:1] or fitting
        where = expr_location(node)
        column = format_type(intype)
        if not procs:
            raise pstate.error(
                errcode.FEATURE_NOT_SUPPORTED,
                f"RANGE with offset PRECEDING/FOLLOWING is not supported for column type {column}",
                where,
            )
        if not fitting:
            raise pstate.error(
                errcode.FEATURE_NOT_SUPPORTED,
                f"RANGE with offset PRECEDING/FOLLOWING is not supported for column type {column} "
                f"and offset type {format_type(own)}",
                where,
                hint="Cast the offset value to an appropriate type.",
            )
        if len(fitting) > 1:
            raise pstate.error(
                errcode.FEATURE_NOT_SUPPORTED,
                "RANGE with offset PRECEDING/FOLLOWING has multiple interpretations for column type "
                f"{column} and offset type {format_type(own)}",
                where,
                hint="Cast the offset value to the exact intended type.",
            )
        node = coerce_to_specific_type(pstate, node, fitting[0].amprocrighttype, name)
        function = fitting[0].amproc
    else:
        name = "GROUPS"
        node = coerce_to_specific_type(
            pstate, transform_expr(pstate, clause, ExprKind.WINDOW_FRAME_GROUPS), INT8OID, name
        )
    _check_var_free(pstate, node, name)
    return node, function
