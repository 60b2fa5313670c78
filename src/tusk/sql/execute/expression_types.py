"""Type, type modifier and collation of expression nodes (nodes/nodeFuncs.h: exprType, exprTypmod, exprCollation)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tusk.catalog.cache import TYPEOID, lookup
from tusk.sql.nodes import enums

Typed = tuple[int, int, int]
BOOLOID, INT4OID, INT8OID, TEXTOID, NAMEOID, RECORDOID, XMLOID, DATEOID = 16, 23, 20, 25, 19, 2249, 142, 1082


def _sublink(node: Any) -> Typed:
    kind = node.subLinkType
    if kind in (enums.SubLinkType.EXPR_SUBLINK, enums.SubLinkType.ARRAY_SUBLINK):
        if kind == enums.SubLinkType.ARRAY_SUBLINK:
            row = lookup(TYPEOID, node.firstColType)
            return (row.typarray, node.firstColTypmod, node.firstColCollation)
        return (node.firstColType, node.firstColTypmod, node.firstColCollation)
    if kind == enums.SubLinkType.MULTIEXPR_SUBLINK:
        return (RECORDOID, -1, 0)
    return (BOOLOID, -1, 0)


def _subscript(node: Any) -> Typed:
    return (node.refrestype, node.reftypmod, node.refcollid)


def _first(nodes: list[Any]) -> int:
    typmods = {of(node)[1] for node in nodes}
    return typmods.pop() if len(typmods) == 1 else -1


def _bool(_node: Any) -> Typed:
    return (BOOLOID, -1, 0)


def _func_typmod(node: Any) -> int:
    """The typmod of a length coercion call is its second argument (exprIsLengthCoercion)."""
    if node.funcformat in (enums.CoercionForm.COERCE_EXPLICIT_CAST, enums.CoercionForm.COERCE_IMPLICIT_CAST):
        args = node.args
        if 2 <= len(args) <= 3:
            second = args[1]
            if type(second).__name__ == "Const" and second.consttype == INT4OID and not second.constisnull:
                return int(second.constvalue)
    return -1


def _sqlvalue(node: Any) -> Typed:
    return (node.type, node.typmod, 950 if node.type == NAMEOID else 0)


OF: dict[str, Callable[[Any], Typed]] = {
    "Var": lambda n: (n.vartype, n.vartypmod, n.varcollid),
    "Const": lambda n: (n.consttype, n.consttypmod, n.constcollid),
    "Param": lambda n: (n.paramtype, n.paramtypmod, n.paramcollid),
    "Aggref": lambda n: (n.aggtype, -1, n.aggcollid),
    "GroupingFunc": lambda n: (INT4OID, -1, 0),
    "WindowFunc": lambda n: (n.wintype, -1, n.wincollid),
    "MergeSupportFunc": lambda n: (n.msftype, -1, n.msfcollid),
    "SubscriptingRef": _subscript,
    "FuncExpr": lambda n: (n.funcresulttype, _func_typmod(n), n.funccollid),
    "NamedArgExpr": lambda n: of(n.arg),
    "OpExpr": lambda n: (n.opresulttype, -1, n.opcollid),
    "DistinctExpr": lambda n: (n.opresulttype, -1, n.opcollid),
    "NullIfExpr": lambda n: (n.opresulttype, of(n.args[0])[1], n.opcollid),
    "ScalarArrayOpExpr": _bool,
    "BoolExpr": _bool,
    "SubLink": _bool,
    "SubPlan": _sublink,
    "AlternativeSubPlan": lambda n: of(n.subplans[0]),
    "FieldSelect": lambda n: (n.resulttype, n.resulttypmod, n.resultcollid),
    "FieldStore": lambda n: (n.resulttype, -1, 0),
    "RelabelType": lambda n: (n.resulttype, n.resulttypmod, n.resultcollid),
    "CoerceViaIO": lambda n: (n.resulttype, -1, n.resultcollid),
    "ArrayCoerceExpr": lambda n: (n.resulttype, n.resulttypmod, n.resultcollid),
    "ConvertRowtypeExpr": lambda n: (n.resulttype, -1, 0),
    "CollateExpr": lambda n: (*of(n.arg)[:2], n.collOid),
    "CaseExpr": lambda n: (n.casetype, _first([w.result for w in n.args] + [n.defresult]), n.casecollid),
    "CaseTestExpr": lambda n: (n.typeId, n.typeMod, n.collation),
    "ArrayExpr": lambda n: (n.array_typeid, _first(n.elements) if n.elements else -1, n.array_collid),
    "RowExpr": lambda n: (n.row_typeid, -1, 0),
    "RowCompareExpr": _bool,
    "CoalesceExpr": lambda n: (n.coalescetype, _first(n.args), n.coalescecollid),
    "MinMaxExpr": lambda n: (n.minmaxtype, _first(n.args), n.minmaxcollid),
    "SQLValueFunction": _sqlvalue,
    "XmlExpr": lambda n: (n.type, n.typmod, 0),
    "JsonValueExpr": lambda n: of(n.formatted_expr or n.raw_expr),
    "JsonConstructorExpr": lambda n: (n.returning.typid, n.returning.typmod, 0),
    "JsonIsPredicate": _bool,
    "NullTest": _bool,
    "BooleanTest": _bool,
    "CoerceToDomain": lambda n: (n.resulttype, n.resulttypmod, n.resultcollid),
    "CoerceToDomainValue": lambda n: (n.typeId, n.typeMod, n.collation),
    "SetToDefault": lambda n: (n.typeId, n.typeMod, n.collation),
    "CurrentOfExpr": _bool,
    "NextValueExpr": lambda n: (n.typeId, -1, 0),
    "InferenceElem": lambda n: of(n.expr),
    "ReturningExpr": lambda n: of(n.retexpr),
    "TargetEntry": lambda n: of(n.expr),
}


def of(node: Any) -> Typed:
    """(type, typmod, collation) of an expression."""
    return OF[type(node).__name__](node)
