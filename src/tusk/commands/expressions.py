"""Expressions of data definition: defaults, checks, generation and index expressions, and what they refer to.

`cook_*` turn raw expressions into analysed ones (heap.c's cookDefault and cookConstraint); `references` finds the
objects a tree needs, for pg_depend (find_expr_references_walker).
"""

from __future__ import annotations

from typing import Any

from tusk.catalog import cache as c
from tusk.catalog import objectaddress as oa
from tusk.catalog.cache import lookup
from tusk.catalog.names import format_type
from tusk.catalog.objectaddress import ObjectAddress
from tusk.errors import SqlError, errcode
from tusk.sql.analyze.coerce import coerce_to_boolean, coerce_to_target_type
from tusk.sql.analyze.collate import assign_expr_collations
from tusk.sql.analyze.expressions import transform_expr
from tusk.sql.analyze.rangetable import add_open_relation, add_to_query
from tusk.sql.analyze.relations import relation_info
from tusk.sql.analyze.state import ExprKind, ParseState
from tusk.sql.nodes import enums, nodefuncs, parsetree, primitives, read_node_tree, write_node_tree
from tusk.sql.nodes.base import Node, children

_AccessShareLock = 1
DEFAULT_COLLATION = 100
# Constants of these types name objects that the expression needs (find_expr_references_walker).
_REG_CLASSES = {
    2202: oa.PROC, 24: oa.PROC, 2203: oa.OPERATOR, 2204: oa.OPERATOR, 2205: oa.CLASS, 2206: oa.TYPE,
    4191: oa.COLLATION, 3734: oa.TS_CONFIG, 3769: oa.TS_DICT, 4089: oa.NAMESPACE,
}  # fmt: skip
_REG_CACHES = {
    oa.PROC: c.PROCOID, oa.OPERATOR: c.OPEROID, oa.CLASS: c.RELOID, oa.TYPE: c.TYPEOID, oa.COLLATION: c.COLLOID,
    oa.TS_CONFIG: c.TSCONFIGOID, oa.TS_DICT: c.TSDICTOID, oa.NAMESPACE: c.NAMESPACEOID,
}  # fmt: skip
_REGROLE = 4096


def state_for(relid: int, text: str | None, *, name: str | None = None) -> ParseState:
    """A parse state in which the columns of one relation can be named."""
    pstate = ParseState(text=text)
    item = add_open_relation(pstate, relation_info(relid), _AccessShareLock, None, False, True, refname=name)
    add_to_query(pstate, item, False, True, True)
    return pstate


def cook_default(
    pstate: ParseState, raw: Any, type_oid: int, typmod: int, name: str, generated: str = ""
) -> Any:
    """A default or generation expression as its column takes it (cookDefault)."""
    kind = ExprKind.GENERATED_COLUMN if generated else ExprKind.COLUMN_DEFAULT
    expr = transform_expr(pstate, raw, kind)
    if generated:
        if contains_mutable_functions(expr):
            raise SqlError(errcode.INVALID_OBJECT_DEFINITION, "generation expression is not immutable")
        if generated == "v":
            _check_virtual(pstate, expr, type_oid)
    if type_oid:
        source = nodefuncs.expr_type(expr)
        coerced = coerce_to_target_type(
            pstate, expr, source, type_oid, typmod, enums.COERCION_ASSIGNMENT, enums.COERCE_IMPLICIT_CAST, -1
        )
        if coerced is None:
            what = "generation" if generated else "default"
            del what
            raise SqlError(
                errcode.DATATYPE_MISMATCH,
                f'column "{name}" is of type {format_type(type_oid)} but default expression is of type '
                f"{format_type(source)}",
                hint="You will need to rewrite or cast the expression.",
            )
        expr = coerced
    assign_expr_collations(pstate, expr)
    return expr


def _check_virtual(pstate: ParseState, expr: Any, type_oid: int) -> None:
    if type_oid >= 16384:
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED, "virtual generated column cannot have a user-defined type",
            detail="Virtual generated columns that make use of user-defined types are not yet supported.",
        )

    def visit(node: Node) -> bool:
        kind = type(node).__name__
        function = node.funcid if kind == "FuncExpr" else nodefuncs.function_of(node) if hasattr(node, "opno") else 0
        if function >= 16384:
            raise SqlError(
                errcode.FEATURE_NOT_SUPPORTED, "generation expression uses user-defined function",
                detail="Virtual generated columns that make use of user-defined functions are not yet supported.",
            )
        return False

    from tusk.sql.nodes.base import walk

    walk(expr, visit)
    del pstate


def contains_mutable_functions(tree: Any) -> bool:
    """Whether a tree, once planned, calls anything not immutable (contain_mutable_functions_after_planning)."""
    from tusk.sql.plan import fold_constants

    return nodefuncs.contains_volatile(fold_constants(None, tree), "i")


def cook_check(pstate: ParseState, raw: Any, relname: str) -> Any:
    """A CHECK condition of a table (cookConstraint)."""
    expr = transform_expr(pstate, raw, ExprKind.CHECK_CONSTRAINT)
    expr = coerce_to_boolean(pstate, expr, "CHECK")
    assign_expr_collations(pstate, expr)
    if len(pstate.rtable) != 1:
        raise SqlError(
            errcode.INVALID_COLUMN_REFERENCE, f'only table "{relname}" can be referenced in check constraint'
        )
    return expr


def tree_text(tree: Any) -> str:
    """The tree as pg_node_tree text."""
    return write_node_tree(tree)


def tree_of(text: str) -> Any:
    """The tree that a pg_node_tree text describes."""
    return read_node_tree(text)


class _Finder:
    """Collects what a tree refers to."""

    def __init__(self, rtables: list[list[Any]]) -> None:
        self.rtables = rtables
        self.found: dict[ObjectAddress, None] = {}

    def add(self, classid: int, objid: int, subid: int = 0) -> None:
        """Note an object."""
        if objid:
            self.found[ObjectAddress(classid, objid, subid)] = None

    def collation(self, oid: int) -> None:
        """Note a collation, unless it is the default one."""
        if oid and oid != DEFAULT_COLLATION:
            self.add(oa.COLLATION, oid)

    def column(self, rte: Any, attnum: int) -> None:
        """Note a column of a range table entry."""
        if rte.rtekind == enums.RTE_RELATION:
            # A whole-row reference needs no column in particular; the table is noted with the query itself.
            if attnum:
                self.add(oa.CLASS, rte.relid, attnum)
            else:
                self.add(oa.CLASS, rte.relid)
        elif rte.rtekind == enums.RTE_FUNCTION:
            before = 0
            for function in rte.functions:
                if before < attnum <= before + function.funccolcount:
                    row_type = lookup(c.TYPEOID, nodefuncs.expr_type(function.funcexpr))
                    if row_type is not None and row_type.typrelid:
                        self.add(oa.CLASS, row_type.typrelid, attnum - before)
                    break
                before += function.funccolcount

    def walk(self, node: Any) -> None:
        """Visit a node or list."""
        if type(node) is list:
            for item in node:
                self.walk(item)
            return
        if not isinstance(node, Node):
            return
        if isinstance(node, parsetree.Query):
            self.query(node)
            return
        visit = _VISITORS.get(type(node))
        if visit is not None:
            visit(self, node)
        for child in children(node):
            self.walk(child)

    def query(self, query: Any) -> None:
        """A query: its tables, then everything in it."""
        self.rtables.append(query.rtable)
        try:
            for rte in query.rtable:
                if rte.rtekind == enums.RTE_RELATION:
                    self.add(oa.CLASS, rte.relid)
                elif rte.rtekind == enums.RTE_JOIN:
                    # Merged columns are named nowhere else.
                    for var in rte.joinaliasvars[: rte.joinmergedcols]:
                        self.walk(var)
                elif rte.rtekind in (enums.RTE_VALUES, enums.RTE_CTE, enums.RTE_TABLEFUNC):
                    for oid in rte.coltypes:
                        self.add(oa.TYPE, oid)
                    for oid in rte.colcollations:
                        self.collation(oid)
            if query.commandType in (enums.CMD_INSERT, enums.CMD_UPDATE) and query.resultRelation:
                target = query.rtable[query.resultRelation - 1]
                for entry in query.targetList:
                    if not entry.resjunk:
                        self.column(target, entry.resno)
            for oid in query.constraintDeps:
                self.add(oa.CONSTRAINT, oid)
            for child in children(query):
                self.walk_query_part(child)
        finally:
            self.rtables.pop()

    def walk_query_part(self, part: Any) -> None:
        """A field of a query; of range table entries only what is theirs alone."""
        if type(part) is list and part and isinstance(part[0], parsetree.RangeTblEntry):
            for rte in part:
                if rte.rtekind == enums.RTE_SUBQUERY:
                    self.walk(rte.subquery)
                elif rte.rtekind not in (enums.RTE_JOIN, enums.RTE_GROUP):
                    for child in children(rte):
                        self.walk(child)
            return
        self.walk(part)


def _var(finder: _Finder, var: Any) -> None:
    if var.varlevelsup < len(finder.rtables):
        rtable = finder.rtables[-1 - var.varlevelsup]
        if 0 < var.varno <= len(rtable):
            finder.column(rtable[var.varno - 1], var.varattno)


def _const(finder: _Finder, const: Any) -> None:
    finder.add(oa.TYPE, const.consttype)
    finder.collation(const.constcollid)
    if const.constisnull:
        return
    if const.consttype == _REGROLE:
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED, "constant of the type regrole cannot be used here"
        )
    classid = _REG_CLASSES.get(const.consttype)
    if classid is not None and lookup(_REG_CACHES[classid], const.constvalue) is not None:
        finder.add(classid, const.constvalue)


def _operator(finder: _Finder, node: Any) -> None:
    finder.add(oa.OPERATOR, node.opno)


def _type_result(finder: _Finder, node: Any) -> None:
    finder.add(oa.TYPE, node.resulttype)
    finder.collation(node.resultcollid)


def _sort_clause(finder: _Finder, node: Any) -> None:
    finder.add(oa.OPERATOR, node.eqop)
    finder.add(oa.OPERATOR, node.sortop)


def _window_clause(finder: _Finder, node: Any) -> None:
    finder.add(oa.PROC, node.startInRangeFunc)
    finder.add(oa.PROC, node.endInRangeFunc)
    finder.collation(node.inRangeColl)


def _row_compare(finder: _Finder, node: Any) -> None:
    for oid in node.opnos:
        finder.add(oa.OPERATOR, oid)
    for oid in node.opfamilies:
        finder.add(oa.OPFAMILY, oid)


def _param(finder: _Finder, node: Any) -> None:
    finder.add(oa.TYPE, node.paramtype)
    finder.collation(node.paramcollid)


def _field_select(finder: _Finder, node: Any) -> None:
    row = lookup(c.TYPEOID, nodefuncs.expr_type(node.arg))
    if row is not None and row.typrelid:
        finder.add(oa.CLASS, row.typrelid, node.fieldnum)
    else:
        finder.add(oa.TYPE, node.resulttype)
    finder.collation(node.resultcollid)


def _range_function(finder: _Finder, node: Any) -> None:
    for oid in node.funccoltypes:
        finder.add(oa.TYPE, oid)
    for oid in node.funccolcollations:
        finder.collation(oid)


def _set_operation(finder: _Finder, node: Any) -> None:
    for clause in node.groupClauses:
        _sort_clause(finder, clause)
    for oid in node.colTypes:
        finder.add(oa.TYPE, oid)


_VISITORS: dict[type, Any] = {
    primitives.Var: _var, primitives.Const: _const, primitives.Param: _param,
    primitives.FuncExpr: lambda f, n: f.add(oa.PROC, n.funcid),
    primitives.OpExpr: _operator, primitives.DistinctExpr: _operator, primitives.NullIfExpr: _operator,
    primitives.ScalarArrayOpExpr: _operator,
    primitives.Aggref: lambda f, n: f.add(oa.PROC, n.aggfnoid),
    primitives.WindowFunc: lambda f, n: f.add(oa.PROC, n.winfnoid),
    primitives.SubscriptingRef: lambda f, n: f.add(oa.TYPE, n.refrestype) if n.refrestype not in (
        n.refcontainertype, n.refelemtype) else None,
    primitives.FieldSelect: _field_select,
    primitives.RelabelType: _type_result, primitives.CoerceViaIO: _type_result,
    primitives.ArrayCoerceExpr: _type_result,
    primitives.ConvertRowtypeExpr: lambda f, n: f.add(oa.TYPE, n.resulttype),
    primitives.CollateExpr: lambda f, n: f.collation(n.collOid),
    primitives.RowExpr: lambda f, n: f.add(oa.TYPE, n.row_typeid),
    primitives.RowCompareExpr: _row_compare,
    primitives.CoerceToDomain: _type_result,
    primitives.NextValueExpr: lambda f, n: f.add(oa.CLASS, n.seqid),
    parsetree.SortGroupClause: _sort_clause, parsetree.WindowClause: _window_clause,
    parsetree.RangeTblFunction: _range_function, parsetree.SetOperationStmt: _set_operation,
}


def references(tree: Any, relid: int = 0) -> list[ObjectAddress]:
    """What an expression over one relation (varno 1), or a query, refers to."""
    rtable = [parsetree.RangeTblEntry(rtekind=enums.RTE_RELATION, relid=relid)] if relid else []
    finder = _Finder([rtable])
    finder.walk(tree)
    found = list(finder.found)
    # A reference to a column says more than one to its whole relation; PostgreSQL keeps only the columns.
    with_columns = {address[:2] for address in found if address.subid}
    return [a for a in found if a.subid or a[:2] not in with_columns]


def column_names_in(tree: Any, relid: int) -> list[str]:
    """Names of the columns of one relation that an expression uses, each once."""
    numbers: dict[int, None] = {}

    def visit(node: Any) -> None:
        if isinstance(node, primitives.Var) and node.varlevelsup == 0 and node.varattno > 0:
            numbers[node.varattno] = None
        if isinstance(node, Node):
            for child in children(node):
                visit(child)
        elif type(node) is list:
            for item in node:
                visit(item)

    visit(tree)
    return [lookup(c.ATTNUM, relid, number).attname for number in numbers]


def has_whole_row_var(tree: Any) -> bool:
    """Whether a tree refers to a row as a whole."""
    if isinstance(tree, primitives.Var):
        return tree.varlevelsup == 0 and tree.varattno == 0
    if isinstance(tree, Node):
        return any(has_whole_row_var(child) for child in children(tree))
    return type(tree) is list and any(has_whole_row_var(item) for item in tree)


