"""Shorthands that build nodes with the defaults everybody wants (makefuncs)."""

from __future__ import annotations

from typing import Any

from tusk.catalog.cache import TYPEOID, lookup
from tusk.catalog.oids import BOOLOID, INT4OID
from tusk.sql.nodes import enums
from tusk.sql.nodes.literals import String
from tusk.sql.nodes.nodefuncs import expr_collation, expr_type, expr_typmod
from tusk.sql.nodes.parsetree import RangeTblEntry, TypeName
from tusk.sql.nodes.primitives import (
    Alias,
    BoolExpr,
    Const,
    FuncExpr,
    OpExpr,
    RangeVar,
    RelabelType,
    TargetEntry,
    Var,
)


def make_alias(name: str, columns: list[Any] | None = None) -> Alias:
    """An Alias; the list of columns is copied."""
    return Alias(aliasname=name, colnames=list(columns or ()))


def make_var(
    varno: int, varattno: int, vartype: int, vartypmod: int, varcollid: int, varlevelsup: int = 0, location: int = -1
) -> Var:
    """A Var that was written where it points (varnosyn is varno)."""
    return Var(
        varno=varno,
        varattno=varattno,
        vartype=vartype,
        vartypmod=vartypmod,
        varcollid=varcollid,
        varlevelsup=varlevelsup,
        varnosyn=varno,
        varattnosyn=varattno,
        location=location,
    )


def make_var_from_target(varno: int, target: TargetEntry) -> Var:
    """A Var for an output column of range table entry ``varno``."""
    expr = target.expr
    return make_var(varno, target.resno, expr_type(expr), expr_typmod(expr), expr_collation(expr))


def make_const(
    type_oid: int, typmod: int, collation: int, value: Any, is_null: bool = False, location: int = -1
) -> Const:
    """A Const of a type, whose length and passing come from pg_type."""
    row = lookup(TYPEOID, type_oid)
    return Const(
        consttype=type_oid,
        consttypmod=typmod,
        constcollid=collation,
        constlen=row.typlen,
        constvalue=None if is_null else value,
        constisnull=is_null,
        constbyval=row.typbyval,
        location=location,
    )


def make_null_const(type_oid: int, typmod: int, collation: int) -> Const:
    """A NULL of a type."""
    return make_const(type_oid, typmod, collation, None, True)


def make_bool_const(value: bool, is_null: bool = False) -> Const:
    """TRUE, FALSE, or a boolean NULL."""
    return Const(
        consttype=BOOLOID,
        consttypmod=-1,
        constlen=1,
        constvalue=None if is_null else value,
        constisnull=is_null,
        constbyval=True,
    )


def make_int4_const(value: int) -> Const:
    """An integer constant."""
    return Const(consttype=INT4OID, consttypmod=-1, constlen=4, constvalue=value, constbyval=True)


def make_target(expr: Any, resno: int, resname: str | None, resjunk: bool = False) -> TargetEntry:
    """A TargetEntry without sort references or origin."""
    return TargetEntry(expr=expr, resno=resno, resname=resname, resjunk=resjunk)


def make_relabel(arg: Any, type_oid: int, typmod: int, collation: int, form: enums.CoercionForm) -> RelabelType:
    """A binary-compatible cast."""
    return RelabelType(arg=arg, resulttype=type_oid, resulttypmod=typmod, resultcollid=collation, relabelformat=form)


def make_func(
    function: int,
    result_type: int,
    args: list[Any],
    collation: int = 0,
    input_collation: int = 0,
    form: enums.CoercionForm = enums.COERCE_EXPLICIT_CALL,
) -> FuncExpr:
    """A call of a function that returns no set."""
    return FuncExpr(
        funcid=function,
        funcresulttype=result_type,
        funcformat=form,
        funccollid=collation,
        inputcollid=input_collation,
        args=args,
    )


def make_op(
    opno: int, function: int, result_type: int, left: Any, right: Any, collation: int = 0, input_collation: int = 0
) -> OpExpr:
    """An operator clause."""
    return OpExpr(
        opno=opno,
        opfuncid=function,
        opresulttype=result_type,
        opcollid=collation,
        inputcollid=input_collation,
        args=[left] if right is None else [left, right],
    )


def make_bool(kind: enums.BoolExprType, args: list[Any], location: int = -1) -> BoolExpr:
    """AND, OR or NOT."""
    return BoolExpr(boolop=kind, args=args, location=location)


def make_and_qual(first: Any, second: Any) -> Any:
    """Two conditions joined, either of which may be None (make_and_qual)."""
    if first is None:
        return second
    if second is None:
        return first
    return make_bool(enums.AND_EXPR, [first, second])


def make_range_var(schema: str | None, name: str, location: int = -1) -> RangeVar:
    """A table name with inheritance, permanent."""
    return RangeVar(schemaname=schema, relname=name, inh=True, relpersistence="p", location=location)


def make_type_name(names: list[str] | None, type_oid: int = 0, typmod: int = -1) -> TypeName:
    """A TypeName from a name or from an OID."""
    return TypeName(names=[String(sval=name) for name in names or ()], typeOid=type_oid, typemod=typmod, location=-1)


def system_type_name(name: str) -> TypeName:
    """A built-in type by name."""
    return make_type_name(["pg_catalog", name])


def make_rte(kind: enums.RTEKind, eref: Alias, **fields: Any) -> RangeTblEntry:
    """A range table entry."""
    return RangeTblEntry(rtekind=kind, eref=eref, **fields)
