"""Virtual generated columns: their expressions in the place of the columns (expand_virtual_generated_columns)."""

from __future__ import annotations

from typing import Any

from tusk.catalog._relcache import relation_close, relation_open
from tusk.sql.nodes import CaseExpr, CaseWhen, NullTest, Query, RowExpr, String, Var, copy_tree, enums
from tusk.sql.nodes.base import Node
from tusk.sql.nodes.make import make_null_const
from tusk.sql.nodes.nodefuncs import expr_collation, expr_type, expr_typmod, increment_sublevels_up, walk_query
from tusk.sql.nodes.nodetext import read_node_tree
from tusk.sql.nodes.primitives import ReturningExpr
from tusk.sql.plan.exprs import nonnullable_relids, replace_vars

_TID, _CTID = 27, -1


def virtual_columns(relation: Any) -> dict[int, Any]:
    """The expressions of a relation's virtual columns by attribute number, over Vars with varno 1."""
    if relation.extra is None:
        return {}
    found: dict[int, Any] = {}
    for attribute in relation.extra.attributes:
        if attribute.attnum > 0 and attribute.attgenerated == "v" and not attribute.attisdropped:
            found[attribute.attnum] = read_node_tree(relation.extra.defaults[attribute.attnum])
    return found


def expand_in_tree(tree: Any, columns: dict[int, Any]) -> Any:
    """A constraint's expression with its virtual columns replaced."""
    if not columns:
        return tree
    return replace_vars(tree, lambda var, _depth: copy_tree(columns[var.varattno]) if var.varattno in columns else None)


def expand_virtual_columns(query: Query) -> Query:
    """Replace the virtual columns of tables in a query and all its subqueries, in place."""

    def visit(node: Any, _level: int) -> Any:
        if type(node) is Query:
            _expand_level(node)
        return None

    _expand_level(query)
    walk_query(query, visit)
    return query


def _expand_level(query: Query) -> None:
    for rtindex, rte in enumerate(query.rtable, 1):
        if rte.rtekind != enums.RTE_RELATION or rte.relkind not in ("r", "p"):
            continue
        relation = relation_open(rte.relid, 0)
        try:
            columns = virtual_columns(relation)
            names = [(a.attnum, a) for a in relation.extra.attributes if a.attnum > 0] if columns else []
        finally:
            relation_close(relation, 0)
        if columns:
            _expand(query, rtindex, columns, names)


def _expand(query: Query, rtindex: int, columns: dict[int, Any], attributes: list[Any]) -> None:
    def at(var: Var, attno: int, type_oid: int, typmod: int, collation: int) -> Var:
        copy = copy_tree(var)
        copy.varattno = copy.varattnosyn = attno
        copy.vartype, copy.vartypmod, copy.varcollid = type_oid, typmod, collation
        return copy

    def expression(var: Var, depth: int) -> Any:
        tree = copy_tree(columns[var.varattno])

        def adapt(inner: Var, _depth: int) -> Any:
            inner.varno = inner.varnosyn = rtindex
            inner.varnullingrels = var.varnullingrels
            inner.varreturningtype = var.varreturningtype
            return inner

        tree = replace_vars(tree, adapt)
        if var.varnullingrels and not nonnullable_relids(_is_not_null(tree)):
            # Where the outer join has no row, the column is null, whatever the expression makes of nulls.
            address = at(var, _CTID, _TID, -1, 0)
            address.varlevelsup = 0
            test = NullTest(arg=address, nulltesttype=enums.IS_NULL, argisrow=False, location=-1)
            null = make_null_const(expr_type(tree), expr_typmod(tree), expr_collation(tree))
            tree = CaseExpr(
                casetype=expr_type(tree), casecollid=expr_collation(tree),
                args=[CaseWhen(expr=test, result=null, location=-1)], defresult=tree, location=-1,
            )  # fmt: skip
        if var.varreturningtype != enums.VAR_RETURNING_DEFAULT:
            is_old = var.varreturningtype == enums.VAR_RETURNING_OLD
            tree = ReturningExpr(retlevelsup=0, retold=is_old, retexpr=tree)
        return increment_sublevels_up(tree, depth) if depth else tree

    def replace_one(var: Var, depth: int) -> Any:
        if var.varno != rtindex:
            return None
        if var.varattno in columns:
            return expression(var, depth)
        if var.varattno != 0:
            return None
        fields: list[Any] = []
        for attno, attribute in attributes:
            if attribute.attisdropped:
                fields.append(make_null_const(23, -1, 0))
                continue
            part = at(var, attno, attribute.atttypid, attribute.atttypmod, attribute.attcollation)
            fields.append(expression(part, depth) if attno in columns else part)
        return RowExpr(
            args=fields, row_typeid=var.vartype, row_format=enums.COERCE_IMPLICIT_CAST,
            colnames=[String(sval=attribute.attname) for _, attribute in attributes], location=-1,
        )  # fmt: skip

    conflict = query.onConflict
    kept = None if conflict is None else conflict.exclRelTlist
    for name, kind, _ in query.FIELDS:
        value = getattr(query, name)
        if not value or kind not in ("node", "list") or name in ("rtable", "rteperminfos", "rowMarks"):
            continue
        if isinstance(value, (Node, list)):
            setattr(query, name, replace_vars(value, replace_one))
    for rte in query.rtable:
        for name in ("functions", "values_lists", "joinaliasvars", "groupexprs", "tablefunc", "subquery"):
            value = getattr(rte, name)
            if value:
                setattr(rte, name, replace_vars(value, replace_one))
    if query.onConflict is not None:
        query.onConflict.exclRelTlist = kept


def _is_not_null(tree: Any) -> NullTest:
    return NullTest(arg=tree, nulltesttype=enums.IS_NOT_NULL, argisrow=False, location=-1)
