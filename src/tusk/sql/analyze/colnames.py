"""Names for output columns that have none (FigureColname)."""

from __future__ import annotations

from typing import Any

from tusk.sql.analyze.state import ParseState
from tusk.sql.nodes import enums
from tusk.sql.nodes.literals import String
from tusk.sql.nodes.parsetree import (
    A_ArrayExpr,
    A_Expr,
    A_Indirection,
    CollateClause,
    ColumnRef,
    FuncCall,
    JsonArrayAgg,
    JsonArrayConstructor,
    JsonArrayQueryConstructor,
    JsonFuncExpr,
    JsonObjectAgg,
    JsonObjectConstructor,
    JsonParseExpr,
    JsonScalarExpr,
    JsonSerializeExpr,
    TypeCast,
    XmlSerialize,
)
from tusk.sql.nodes.primitives import (
    CaseExpr,
    CoalesceExpr,
    GroupingFunc,
    MergeSupportFunc,
    MinMaxExpr,
    RowExpr,
    SQLValueFunction,
    SubLink,
    XmlExpr,
)

_FIXED: dict[type, str] = {
    GroupingFunc: "grouping",
    MergeSupportFunc: "merge_action",
    A_ArrayExpr: "array",
    RowExpr: "row",
    CoalesceExpr: "coalesce",
    XmlSerialize: "xmlserialize",
    JsonParseExpr: "json",
    JsonScalarExpr: "json_scalar",
    JsonSerializeExpr: "json_serialize",
    JsonObjectConstructor: "json_object",
    JsonArrayConstructor: "json_array",
    JsonArrayQueryConstructor: "json_array",
    JsonObjectAgg: "json_objectagg",
    JsonArrayAgg: "json_arrayagg",
}
_VALUE_FUNCTIONS = {
    enums.SVFOP_CURRENT_DATE: "current_date",
    enums.SVFOP_CURRENT_TIME: "current_time",
    enums.SVFOP_CURRENT_TIME_N: "current_time",
    enums.SVFOP_CURRENT_TIMESTAMP: "current_timestamp",
    enums.SVFOP_CURRENT_TIMESTAMP_N: "current_timestamp",
    enums.SVFOP_LOCALTIME: "localtime",
    enums.SVFOP_LOCALTIME_N: "localtime",
    enums.SVFOP_LOCALTIMESTAMP: "localtimestamp",
    enums.SVFOP_LOCALTIMESTAMP_N: "localtimestamp",
    enums.SVFOP_CURRENT_ROLE: "current_role",
    enums.SVFOP_CURRENT_USER: "current_user",
    enums.SVFOP_USER: "user",
    enums.SVFOP_SESSION_USER: "session_user",
    enums.SVFOP_CURRENT_CATALOG: "current_catalog",
    enums.SVFOP_CURRENT_SCHEMA: "current_schema",
}
_XML = {
    enums.IS_XMLCONCAT: "xmlconcat",
    enums.IS_XMLELEMENT: "xmlelement",
    enums.IS_XMLFOREST: "xmlforest",
    enums.IS_XMLPARSE: "xmlparse",
    enums.IS_XMLPI: "xmlpi",
    enums.IS_XMLROOT: "xmlroot",
    enums.IS_XMLSERIALIZE: "xmlserialize",
}
_JSON_FUNCTIONS = {
    enums.JSON_EXISTS_OP: "json_exists",
    enums.JSON_QUERY_OP: "json_query",
    enums.JSON_VALUE_OP: "json_value",
}


def figure_colname(pstate: ParseState | None, node: Any) -> str:
    """A name for the column, ``?column?`` if nothing suggests one."""
    return _figure(pstate, node)[0] or "?column?"


def figure_index_colname(node: Any) -> str | None:
    """A name for an index expression, or None (FigureIndexColname)."""
    return _figure(None, node)[0]


def _figure(pstate: ParseState | None, node: Any) -> tuple[str | None, int]:
    """(name, strength): 2 is a good name, 1 a fallback that an outer node may better."""
    kind = type(node)
    if kind in _FIXED:
        return _FIXED[kind], 2
    if kind is ColumnRef or kind is A_Indirection:
        steps = node.fields if kind is ColumnRef else node.indirection
        for step in reversed(steps):
            if isinstance(step, String):
                return step.sval, 2
        return (None, 0) if kind is ColumnRef else _figure(pstate, node.arg)
    if kind is FuncCall:
        return node.funcname[-1].sval, 2
    if kind is A_Expr:
        return ("nullif", 2) if node.kind == enums.AEXPR_NULLIF else (None, 0)
    if kind is TypeCast:
        name, strength = _figure(pstate, node.arg)
        if strength <= 1 and node.typeName is not None:
            return node.typeName.names[-1].sval, 1
        return name, strength
    if kind is CollateClause:
        return _figure(pstate, node.arg)
    if kind is SubLink:
        return _sublink(pstate, node)
    if kind is CaseExpr:
        name, strength = _figure(pstate, node.defresult)
        return ("case", 1) if strength <= 1 else (name, strength)
    if kind is MinMaxExpr:
        return ("greatest" if node.op == enums.IS_GREATEST else "least"), 2
    if kind is SQLValueFunction:
        return _VALUE_FUNCTIONS[node.op], 2
    if kind is XmlExpr:
        return (_XML[node.op], 2) if node.op in _XML else (None, 0)
    if kind is JsonFuncExpr:
        return (_JSON_FUNCTIONS[node.op], 2) if node.op in _JSON_FUNCTIONS else (None, 0)
    return None, 0


def _sublink(pstate: ParseState | None, node: SubLink) -> tuple[str | None, int]:
    if node.subLinkType == enums.EXISTS_SUBLINK:
        return "exists", 2
    if node.subLinkType == enums.ARRAY_SUBLINK:
        return "array", 2
    if node.subLinkType == enums.EXPR_SUBLINK and pstate is not None:
        query = pstate.sublink_queries.get(id(node))
        if query is not None and query.targetList and query.targetList[0].resname:
            return query.targetList[0].resname, 2
    return None, 0
