"""The columns of composite values: of types, of functions with OUT parameters, of anonymous records."""

from __future__ import annotations

from typing import Any, NamedTuple

from tusk.catalog.oids import RECORDOID, VOIDOID
from tusk.sql.analyze import lookup as lk
from tusk.sql.analyze.polymorphic import enforce_generic_types
from tusk.sql.analyze.relations import relation_info
from tusk.sql.nodes.nodefuncs import expr_collation, expr_type, expr_typmod, function_of
from tusk.sql.nodes.primitives import Const, FuncExpr, OpExpr, RowExpr

SCALAR, COMPOSITE, COMPOSITE_DOMAIN, RECORD, OTHER = "scalar", "composite", "composite domain", "record", "other"


class Column(NamedTuple):
    """A column of a row type."""

    name: str
    type_oid: int
    typmod: int
    collation: int
    dropped: bool = False


def relation_columns(relation: int) -> list[Column]:
    """The columns of a relation's row type, dropped ones included."""
    return [
        Column(a.attname, a.atttypid, a.atttypmod, a.attcollation, a.attisdropped)
        for a in relation_info(relation).attributes
    ]


def _class_of(type_oid: int) -> str:
    row = lk.type_row(type_oid)
    if row.typtype == "c":
        return COMPOSITE
    if row.typtype == "d":
        return COMPOSITE_DOMAIN if lk.base_type_class(type_oid) == "c" else SCALAR
    if row.typtype == "p":
        if type_oid == RECORDOID:
            return RECORD
        return SCALAR if type_oid in (VOIDOID, 2275) else OTHER
    return SCALAR


def function_output_columns(row: Any, arg_types: list[int] | None) -> list[Column] | None:
    """The columns that OUT parameters give a function, None if it has fewer than two and returns no record.

    Polymorphic ones are resolved from the actual types of the call's input arguments (build_function_result_tupdesc).
    """
    if row.proallargtypes is None or row.proargmodes is None or row.prorettype != RECORDOID:
        return None
    names = row.proargnames or ("",) * len(row.proallargtypes)
    outputs = [
        (name, type_oid)
        for name, type_oid, mode in zip(names, row.proallargtypes, row.proargmodes, strict=True)
        if mode in "obt"
    ]
    if len(outputs) < 2 and row.prokind != "p":
        return None
    columns = []
    for number, (name, type_oid) in enumerate(outputs, 1):
        if type_oid in lk.POLYMORPHIC:
            if arg_types is None:
                return None
            type_oid = enforce_generic_types(list(arg_types), list(row.proargtypes), type_oid)
        columns.append(Column(name or f"column{number}", type_oid, -1, lk.type_collation(type_oid)))
    return columns


def type_columns(type_oid: int) -> tuple[str, int, list[Column] | None]:
    """(class, type, columns) of a type."""
    kind = _class_of(type_oid)
    if kind in (COMPOSITE, COMPOSITE_DOMAIN):
        return kind, type_oid, relation_columns(lk.type_or_domain_relid(type_oid))
    return kind, type_oid, None


def expr_result_type(expr: Any) -> tuple[str, int, list[Column] | None]:
    """(class, type, columns) of an expression's result (get_expr_result_type)."""
    if isinstance(expr, (FuncExpr, OpExpr)):
        if isinstance(expr, FuncExpr):
            function, result = expr.funcid, expr.funcresulttype
        else:
            function, result = function_of(expr), expr.opresulttype
        row = lk.proc_row(function)
        args = [expr_type(arg) for arg in expr.args]
        columns = function_output_columns(row, args[: len(row.proargtypes)])
        if columns is not None:
            return COMPOSITE, RECORDOID, columns
        return type_columns(result)
    if isinstance(expr, RowExpr) and expr.row_typeid == RECORDOID:
        names = [name.sval for name in expr.colnames] or [f"f{i}" for i in range(1, len(expr.args) + 1)]
        return (
            COMPOSITE,
            RECORDOID,
            [
                Column(name, expr_type(arg), expr_typmod(arg), expr_collation(arg))
                for name, arg in zip(names, expr.args, strict=False)
            ],
        )
    if isinstance(expr, Const) and expr.consttype == RECORDOID and not expr.constisnull:
        from tusk.types.registry import services

        found = services.row_columns(RECORDOID, expr.constvalue.typmod)
        if found is not None:
            return COMPOSITE, RECORDOID, [Column(c.name, c.type_oid, c.typmod, c.collation) for c in found]
    return type_columns(expr_type(expr))
