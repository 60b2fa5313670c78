"""WITH: common table expressions, recursive ones included (parse_cte.c's business)."""

from __future__ import annotations

from typing import Any

from tusk.catalog.cache import OPEROID, lookup
from tusk.catalog.names import format_type
from tusk.catalog.oids import TEXTOID, UNKNOWNOID
from tusk.errors import SqlError, errcode
from tusk.sql.analyze import lookup as lk
from tusk.sql.analyze.coerce import coerce_to_common_type, select_common_type, select_common_typmod
from tusk.sql.analyze.collate import select_common_collation
from tusk.sql.analyze.expressions import transform_expr
from tusk.sql.analyze.state import ExprKind, ParseState
from tusk.sql.nodes import enums
from tusk.sql.nodes.base import Node, children, replace
from tusk.sql.nodes.literals import String
from tusk.sql.nodes.nodefuncs import expr_collation, expr_location, expr_type, expr_typmod
from tusk.sql.nodes.parsetree import CommonTableExpr, Query, SelectStmt, WithClause
from tusk.sql.nodes.primitives import JoinExpr, RangeTblRef, RangeVar, SubLink


def transform_with(pstate: ParseState, clause: WithClause) -> list[CommonTableExpr]:
    """Analyse WITH, making its items visible to this level; returns them in processing order."""
    items = [
        replace(cte, cterecursive=False, cterefcount=0, aliascolnames=list(cte.aliascolnames)) for cte in clause.ctes
    ]
    names: set[str] = set()
    for cte in items:
        if cte.ctename in names:
            raise pstate.error(
                errcode.DUPLICATE_ALIAS, f'WITH query name "{cte.ctename}" specified more than once', cte.location
            )
        names.add(cte.ctename or "")
        if not isinstance(cte.ctequery, SelectStmt):
            pstate.has_modifying_cte = True
    if clause.recursive:
        items = _dependency_order(pstate, items)
        for cte in items:
            if cte.cterecursive:
                _check_recursion(pstate, cte)
        pstate.ctenamespace = [*pstate.ctenamespace, *items]
        for cte in items:
            _analyze(pstate, cte)
    else:
        pstate.future_ctes = list(items)
        for cte in items:
            _analyze(pstate, cte)
            pstate.ctenamespace = [*pstate.ctenamespace, cte]
            pstate.future_ctes = pstate.future_ctes[1:]
    return pstate.ctenamespace


def cte_targets(cte: CommonTableExpr) -> list[Any]:
    """The output columns of an analysed WITH item (GetCTETargetList)."""
    query = cte.ctequery
    return query.targetList if query.commandType == enums.CMD_SELECT else query.returningList  # type: ignore[no-any-return]


def _analyze(pstate: ParseState, cte: CommonTableExpr) -> None:
    from tusk.sql.analyze.statements import parse_sub_analyze

    if cte.cycle_clause is not None:
        cte.cycle_clause = _cycle_marks(pstate, cte.cycle_clause)
    query = parse_sub_analyze(cte.ctequery, pstate, cte, False, True)
    cte.ctequery = query
    if not isinstance(query, Query) or query.utilityStmt is not None:
        raise SqlError(errcode.INTERNAL_ERROR, "unexpected utility statement in WITH")
    if query.commandType != enums.CMD_SELECT and pstate.parent is not None:
        raise pstate.error(
            errcode.FEATURE_NOT_SUPPORTED,
            "WITH clause containing a data-modifying statement must be at the top level",
            cte.location,
        )
    query.canSetTag = False
    if not cte.cterecursive:
        describe_cte(pstate, cte, cte_targets(cte))
    else:
        _check_types(pstate, cte)
    if cte.search_clause is not None or cte.cycle_clause is not None:
        _check_search_and_cycle(pstate, cte)


def _check_types(pstate: ParseState, cte: CommonTableExpr) -> None:
    targets = [target for target in cte_targets(cte) if not target.resjunk]
    for number, target in enumerate(targets):
        expr = target.expr
        type_oid, typmod, collation = (
            cte.ctecoltypes[number],
            cte.ctecoltypmods[number],
            cte.ctecolcollations[number],
        )
        if expr_type(expr) != type_oid or expr_typmod(expr) != typmod:
            raise pstate.error(
                errcode.DATATYPE_MISMATCH,
                f'recursive query "{cte.ctename}" column {number + 1} has type '
                f"{format_type(type_oid, typmod)} in non-recursive term but type "
                f"{format_type(expr_type(expr), expr_typmod(expr))} overall",
                expr_location(expr),
                hint="Cast the output of the non-recursive term to the correct type.",
            )
        if expr_collation(expr) != collation:
            raise pstate.error(
                errcode.COLLATION_MISMATCH,
                f'recursive query "{cte.ctename}" column {number + 1} has collation '
                f'"{lk.collation_name(collation)}" in non-recursive term but collation '
                f'"{lk.collation_name(expr_collation(expr))}" overall',
                expr_location(expr),
                hint="Use the COLLATE clause to set the collation of the non-recursive term.",
            )


# SEARCH and CYCLE -----------------------------------------------------------------------------------------------------


def _cycle_marks(pstate: ParseState, clause: Any) -> Any:
    """The CYCLE clause with its two marks analysed; the item's query may refer to the column of marks."""
    clause = replace(clause)
    value = transform_expr(pstate, clause.cycle_mark_value, ExprKind.CYCLE_MARK)
    default = transform_expr(pstate, clause.cycle_mark_default, ExprKind.CYCLE_MARK)
    common, _ = select_common_type(pstate, [value, default], "CYCLE")
    value = coerce_to_common_type(pstate, value, common, "CYCLE/SET/TO")
    default = coerce_to_common_type(pstate, default, common, "CYCLE/SET/DEFAULT")
    clause.cycle_mark_value, clause.cycle_mark_default = value, default
    clause.cycle_mark_type = common
    clause.cycle_mark_typmod = select_common_typmod([value, default], common)
    clause.cycle_mark_collation = select_common_collation(pstate, [value, default], True)
    equality = lk.type_operators(common).eq
    if not equality:
        raise SqlError(
            errcode.UNDEFINED_FUNCTION, f"could not identify an equality operator for type {format_type(common)}"
        )
    negator = lookup(OPEROID, equality).oprnegate
    if not negator:
        raise SqlError(
            errcode.UNDEFINED_FUNCTION, f"could not identify an inequality operator for type {format_type(common)}"
        )
    clause.cycle_mark_neop = negator
    return clause


def _check_search_and_cycle(pstate: ParseState, cte: CommonTableExpr) -> None:
    """What PostgreSQL asks of an item with SEARCH or CYCLE (analyzeCTE)."""
    if not cte.cterecursive:
        raise pstate.error(errcode.SYNTAX_ERROR, "WITH query is not recursive", cte.location)
    union = cte.ctequery.setOperations
    for side, name in ((union.larg, "left"), (union.rarg, "right")):
        if not isinstance(side, RangeTblRef):
            raise SqlError(
                errcode.FEATURE_NOT_SUPPORTED,
                f"with a SEARCH or CYCLE clause, the {name} side of the UNION must be a SELECT",
            )
    columns = {name.sval for name in cte.ctecolnames}
    search, cycle = cte.search_clause, cte.cycle_clause

    def refuse(code: str, text: str, location: int) -> None:
        raise pstate.error(code, text, location)

    def look(names: list[Any], kind: str, location: int) -> None:
        seen: set[str] = set()
        for name in names:
            if name.sval not in columns:
                refuse(errcode.SYNTAX_ERROR, f'{kind} column "{name.sval}" not in WITH query column list', location)
            if name.sval in seen:
                refuse(errcode.DUPLICATE_COLUMN, f'{kind} column "{name.sval}" specified more than once', location)
            seen.add(name.sval)

    def unused(name: str, what: str, location: int) -> None:
        if name in columns:
            refuse(
                errcode.SYNTAX_ERROR, f'{what} column name "{name}" already used in WITH query column list', location
            )

    if search is not None:
        look(search.search_col_list, "search", search.location)
        unused(search.search_seq_column, "search sequence", search.location)
    if cycle is not None:
        look(cycle.cycle_col_list, "cycle", cycle.location)
        unused(cycle.cycle_mark_column, "cycle mark", cycle.location)
        unused(cycle.cycle_path_column, "cycle path", cycle.location)
        if cycle.cycle_mark_column == cycle.cycle_path_column:
            refuse(
                errcode.SYNTAX_ERROR, "cycle mark column name and cycle path column name are the same", cycle.location
            )
    if search is not None and cycle is not None:
        for name, what in ((cycle.cycle_mark_column, "mark"), (cycle.cycle_path_column, "path")):
            if search.search_seq_column == name:
                refuse(
                    errcode.SYNTAX_ERROR,
                    f"search sequence column name and cycle {what} column name are the same",
                    search.location,
                )


def describe_cte(pstate: ParseState, cte: CommonTableExpr, targets: list[Any]) -> None:
    """Set the item's column names and types from its output columns (analyzeCTETargetList)."""
    given = len(cte.aliascolnames)
    visible = [target for target in targets if not target.resjunk]
    cte.ctecolnames = list(cte.aliascolnames) + [String(sval=target.resname) for target in visible[given:]]
    cte.ctecoltypes, cte.ctecoltypmods, cte.ctecolcollations = [], [], []
    for target in visible:
        type_oid, typmod = expr_type(target.expr), expr_typmod(target.expr)
        collation = expr_collation(target.expr)
        if cte.cterecursive and type_oid == UNKNOWNOID:
            type_oid, typmod, collation = TEXTOID, -1, collation or lk.DEFAULT_COLLATION
        cte.ctecoltypes.append(type_oid)
        cte.ctecoltypmods.append(typmod)
        cte.ctecolcollations.append(collation)
    if len(visible) < given:
        raise pstate.error(
            errcode.INVALID_COLUMN_REFERENCE,
            f'WITH query "{cte.ctename}" has {len(visible)} columns available but {given} columns specified',
            cte.location,
        )


# Dependencies ---------------------------------------------------------------------------------------------------------


def _references(tree: Any, names: set[str], found: set[str]) -> None:
    """Collect which of the names a raw tree refers to, inner WITH items hiding outer ones."""
    if type(tree) is list:
        for item in tree:
            _references(item, names, found)
        return
    if not isinstance(tree, Node):
        return
    if isinstance(tree, RangeVar):
        if not tree.schemaname and tree.relname in names:
            found.add(tree.relname or "")
        return
    clause = getattr(tree, "withClause", None)
    if isinstance(clause, WithClause):
        inner = names - {cte.ctename for cte in clause.ctes}
        if clause.recursive:
            for cte in clause.ctes:
                _references(cte.ctequery, inner, found)
        else:
            visible = set(names)
            for cte in clause.ctes:
                _references(cte.ctequery, visible, found)
                visible.discard(cte.ctename)
        for child in children(tree):
            if child is not clause:
                _references(child, inner, found)
        return
    for child in children(tree):
        _references(child, names, found)


def _dependency_order(pstate: ParseState, items: list[CommonTableExpr]) -> list[CommonTableExpr]:
    names = {cte.ctename or "" for cte in items}
    needs: dict[str, set[str]] = {}
    for cte in items:
        found: set[str] = set()
        _references(cte.ctequery, names, found)
        name = cte.ctename or ""
        if name in found:
            cte.cterecursive = True
            found.discard(name)
        needs[name] = found
    ordered: list[CommonTableExpr] = []
    remaining = list(items)
    while remaining:
        done = {cte.ctename for cte in ordered}
        ready = next((cte for cte in remaining if needs[cte.ctename or ""] <= done), None)
        if ready is None:
            raise pstate.error(
                errcode.FEATURE_NOT_SUPPORTED,
                "mutual recursion between WITH items is not implemented",
                remaining[0].location,
            )
        ordered.append(ready)
        # The items that depend on nothing still open keep the order in which they were written.
        remaining = [cte for cte in remaining if cte is not ready]
    return ordered


# Well-formed recursion ------------------------------------------------------------------------------------------------

_CONTEXTS = {
    "nonrecursive": "within its non-recursive term",
    "sublink": "within a subquery",
    "outer": "within an outer join",
    "intersect": "within INTERSECT",
    "except": "within EXCEPT",
}


def _check_recursion(pstate: ParseState, cte: CommonTableExpr) -> None:
    statement = cte.ctequery
    name = cte.ctename
    if not isinstance(statement, SelectStmt):
        raise pstate.error(
            errcode.INVALID_RECURSION,
            f'recursive query "{name}" must not contain data-modifying statements',
            cte.location,
        )
    if statement.op != enums.SETOP_UNION:
        raise pstate.error(
            errcode.INVALID_RECURSION,
            f'recursive query "{name}" does not have the form non-recursive-term UNION [ALL] recursive-term',
            cte.location,
        )
    if statement.withClause is not None:
        for inner in statement.withClause.ctes:
            if not isinstance(inner.ctequery, SelectStmt):
                raise pstate.error(
                    errcode.INVALID_RECURSION,
                    f'recursive query "{name}" must not contain data-modifying statements',
                    inner.location,
                )
    check = _Recursion(pstate, name or "")
    check.look(statement.larg, "nonrecursive")
    check.look(statement.rarg, "")
    if statement.withClause is not None:
        check.look(statement.withClause.ctes, "sublink")
    for clause, what in (
        (statement.sortClause, "ORDER BY"),
        (statement.limitOffset, "OFFSET"),
        (statement.limitCount, "LIMIT"),
    ):
        if clause:
            raise pstate.error(
                errcode.FEATURE_NOT_SUPPORTED,
                f"{what} in a recursive query is not implemented",
                expr_location(clause),
            )
    if statement.lockingClause:
        raise pstate.error(errcode.FEATURE_NOT_SUPPORTED, "FOR UPDATE/SHARE in a recursive query is not implemented")


class _Recursion:
    """Finds where a recursive item refers to itself, and refuses what has no meaning."""

    def __init__(self, pstate: ParseState, name: str) -> None:
        self.pstate = pstate
        self.name = name
        self.count = 0

    def look(self, tree: Any, context: str) -> None:
        if type(tree) is list:
            for item in tree:
                self.look(item, context)
        elif isinstance(tree, RangeVar):
            self._reference(tree, context)
        elif isinstance(tree, SelectStmt):
            self._select(tree, context)
        elif isinstance(tree, WithClause):
            for cte in tree.ctes:
                self.look(cte.ctequery, context)
        elif isinstance(tree, JoinExpr):
            left = context or ("outer" if tree.jointype in (enums.JOIN_RIGHT, enums.JOIN_FULL) else "")
            right = context or ("outer" if tree.jointype in (enums.JOIN_LEFT, enums.JOIN_FULL) else "")
            self.look(tree.larg, left)
            self.look(tree.rarg, right)
            self.look(tree.quals, context)
        elif isinstance(tree, SubLink):
            self.look(tree.testexpr, context)
            self.look(tree.subselect, context or "sublink")
        elif isinstance(tree, Node):
            for child in children(tree):
                self.look(child, context)

    def _reference(self, node: RangeVar, context: str) -> None:
        if node.schemaname or node.relname != self.name:
            return
        if context:
            raise self.pstate.error(
                errcode.INVALID_RECURSION,
                f'recursive reference to query "{self.name}" must not appear {_CONTEXTS[context]}',
                node.location,
            )
        self.count += 1
        if self.count > 1:
            raise self.pstate.error(
                errcode.INVALID_RECURSION,
                f'recursive reference to query "{self.name}" must not appear more than once',
                node.location,
            )

    def _select(self, node: SelectStmt, context: str) -> None:
        clause = node.withClause
        if clause is not None:
            hidden = any(cte.ctename == self.name for cte in clause.ctes)
            self.look(clause, context)
            if hidden:
                return
        if node.op == enums.SETOP_NONE:
            for child in children(node):
                if child is not clause:
                    self.look(child, context)
            return
        if node.op == enums.SETOP_UNION:
            self.look(node.larg, context)
            self.look(node.rarg, context)
        elif node.op == enums.SETOP_INTERSECT:
            self.look(node.larg, context or ("intersect" if node.all else ""))
            self.look(node.rarg, context or ("intersect" if node.all else ""))
        else:
            self.look(node.larg, context or ("except" if node.all else ""))
            self.look(node.rarg, context or "except")
        for part in (node.sortClause, node.limitOffset, node.limitCount, node.lockingClause):
            self.look(part, context)
