"""What can be asked of any expression: type, typmod, collation, location; and walks that know query levels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tusk.catalog.cache import OPEROID, PROCOID, TYPEOID, lookup
from tusk.catalog.oids import BOOLOID, INT4OID, RECORDOID, TEXTOID, XMLOID
from tusk.sql.nodes import enums, literals, parsetree, primitives
from tusk.sql.nodes._trees import mutate_levels as mutate_levels
from tusk.sql.nodes._trees import walk_levels as walk_levels
from tusk.sql.nodes.base import Node, _new, children

DEFAULT_COLLATION_OID = 100
NAMEOID = 19
C_COLLATION_OID = 950


def _array_type(type_oid: int) -> int:
    row = lookup(TYPEOID, type_oid)
    return 0 if row is None else int(row.typarray)


def _first_target(query: Any) -> Any:
    assert isinstance(query, parsetree.Query), "SubLink of an untransformed query"
    return query.targetList[0].expr


def _sublink_type(node: Any) -> int:
    if node.subLinkType == enums.EXPR_SUBLINK:
        return expr_type(_first_target(node.subselect))
    if node.subLinkType == enums.ARRAY_SUBLINK:
        return _promoted_array(expr_type(_first_target(node.subselect)))
    if node.subLinkType == enums.MULTIEXPR_SUBLINK:
        return RECORDOID
    return BOOLOID


def _promoted_array(element: int) -> int:
    """The type of ARRAY(SELECT element): the array type, or the same type for an array already."""
    row = lookup(TYPEOID, element)
    if row is None:
        return 0
    if row.typarray:
        return int(row.typarray)
    return element if row.typelem and row.typlen == -1 and row.typsubscript == 6179 else 0


def _subplan_type(node: Any) -> int:
    if node.subLinkType == enums.EXPR_SUBLINK:
        return int(node.firstColType)
    if node.subLinkType == enums.ARRAY_SUBLINK:
        return _promoted_array(node.firstColType)
    if node.subLinkType == enums.MULTIEXPR_SUBLINK:
        return RECORDOID
    return BOOLOID


def _xml_type(node: Any) -> int:
    if node.op == enums.IS_DOCUMENT:
        return BOOLOID
    return TEXTOID if node.op == enums.IS_XMLSERIALIZE else XMLOID


def _bool(_node: Any) -> int:
    return BOOLOID


_TYPES: dict[type, Callable[[Any], int]] = {
    primitives.Var: lambda n: n.vartype,
    primitives.Const: lambda n: n.consttype,
    primitives.Param: lambda n: n.paramtype,
    primitives.Aggref: lambda n: n.aggtype,
    primitives.GroupingFunc: lambda _n: INT4OID,
    primitives.WindowFunc: lambda n: n.wintype,
    primitives.MergeSupportFunc: lambda n: n.msftype,
    primitives.SubscriptingRef: lambda n: n.refrestype,
    primitives.FuncExpr: lambda n: n.funcresulttype,
    primitives.NamedArgExpr: lambda n: expr_type(n.arg),
    primitives.OpExpr: lambda n: n.opresulttype,
    primitives.DistinctExpr: lambda n: n.opresulttype,
    primitives.NullIfExpr: lambda n: n.opresulttype,
    primitives.ScalarArrayOpExpr: _bool,
    primitives.BoolExpr: _bool,
    primitives.SubLink: _sublink_type,
    primitives.SubPlan: _subplan_type,
    primitives.AlternativeSubPlan: lambda n: expr_type(n.subplans[0]),
    primitives.FieldSelect: lambda n: n.resulttype,
    primitives.FieldStore: lambda n: n.resulttype,
    primitives.RelabelType: lambda n: n.resulttype,
    primitives.CoerceViaIO: lambda n: n.resulttype,
    primitives.ArrayCoerceExpr: lambda n: n.resulttype,
    primitives.ConvertRowtypeExpr: lambda n: n.resulttype,
    primitives.CollateExpr: lambda n: expr_type(n.arg),
    primitives.CaseExpr: lambda n: n.casetype,
    primitives.CaseTestExpr: lambda n: n.typeId,
    primitives.ArrayExpr: lambda n: n.array_typeid,
    primitives.RowExpr: lambda n: n.row_typeid,
    primitives.RowCompareExpr: _bool,
    primitives.CoalesceExpr: lambda n: n.coalescetype,
    primitives.MinMaxExpr: lambda n: n.minmaxtype,
    primitives.SQLValueFunction: lambda n: n.type,
    primitives.XmlExpr: _xml_type,
    primitives.JsonValueExpr: lambda n: expr_type(n.formatted_expr),
    primitives.JsonConstructorExpr: lambda n: n.returning.typid,
    primitives.JsonIsPredicate: _bool,
    primitives.JsonExpr: lambda n: n.returning.typid,
    primitives.NullTest: _bool,
    primitives.BooleanTest: _bool,
    primitives.CoerceToDomain: lambda n: n.resulttype,
    primitives.CoerceToDomainValue: lambda n: n.typeId,
    primitives.SetToDefault: lambda n: n.typeId,
    primitives.CurrentOfExpr: _bool,
    primitives.NextValueExpr: lambda n: n.typeId,
    primitives.InferenceElem: lambda n: expr_type(n.expr),
    primitives.ReturningExpr: lambda n: expr_type(n.retexpr),
    primitives.TargetEntry: lambda n: expr_type(n.expr),
}


def expr_type(node: Any) -> int:
    """The type of an expression's result (exprType); 0 for None."""
    if node is None:
        return 0
    return _TYPES[type(node)](node)


def _length_coercion_typmod(node: Any) -> int:
    """The typmod that a call of a length-coercion function gives its result, or -1."""
    if type(node) is primitives.FuncExpr:
        if node.funcformat not in (enums.COERCE_EXPLICIT_CAST, enums.COERCE_IMPLICIT_CAST):
            return -1
        if not 2 <= len(node.args) <= 3:
            return -1
        second = node.args[1]
        if type(second) is primitives.Const and second.consttype == INT4OID and not second.constisnull:
            return int(second.constvalue)
        return -1
    if type(node) is primitives.ArrayCoerceExpr:
        return int(node.resulttypmod)
    return -1


def _common_typmod(result_type: int, nodes: list[Any]) -> int:
    """The typmod that all of the nodes agree on, given that each has the result type; else -1."""
    typmod: int | None = None
    for node in nodes:
        if expr_type(node) != result_type:
            return -1
        own = expr_typmod(node)
        if own < 0 or (typmod is not None and typmod != own):
            return -1
        typmod = own
    return -1 if typmod is None else typmod


def _case_typmod(node: Any) -> int:
    if node.defresult is None:
        return -1
    return _common_typmod(node.casetype, [node.defresult, *(when.result for when in node.args)])


def _array_typmod(node: Any) -> int:
    if not node.elements:
        return -1
    expected = node.array_typeid if node.multidims else node.element_typeid
    return _common_typmod(expected, node.elements)


def _sublink_typmod(node: Any) -> int:
    if node.subLinkType in (enums.EXPR_SUBLINK, enums.ARRAY_SUBLINK):
        return expr_typmod(_first_target(node.subselect))
    return -1


_TYPMODS: dict[type, Callable[[Any], int]] = {
    primitives.Var: lambda n: n.vartypmod,
    primitives.Const: lambda n: n.consttypmod,
    primitives.Param: lambda n: n.paramtypmod,
    primitives.SubscriptingRef: lambda n: n.reftypmod,
    primitives.FuncExpr: _length_coercion_typmod,
    primitives.NamedArgExpr: lambda n: expr_typmod(n.arg),
    primitives.NullIfExpr: lambda n: expr_typmod(n.args[0]),
    primitives.SubLink: _sublink_typmod,
    primitives.SubPlan: lambda n: (
        n.firstColTypmod if n.subLinkType in (enums.EXPR_SUBLINK, enums.ARRAY_SUBLINK) else -1
    ),
    primitives.AlternativeSubPlan: lambda n: expr_typmod(n.subplans[0]),
    primitives.FieldSelect: lambda n: n.resulttypmod,
    primitives.RelabelType: lambda n: n.resulttypmod,
    primitives.ArrayCoerceExpr: lambda n: n.resulttypmod,
    primitives.CollateExpr: lambda n: expr_typmod(n.arg),
    primitives.CaseExpr: _case_typmod,
    primitives.CaseTestExpr: lambda n: n.typeMod,
    primitives.ArrayExpr: _array_typmod,
    primitives.CoalesceExpr: lambda n: _common_typmod(n.coalescetype, n.args),
    primitives.MinMaxExpr: lambda n: _common_typmod(n.minmaxtype, n.args),
    primitives.SQLValueFunction: lambda n: n.typmod,
    primitives.JsonValueExpr: lambda n: expr_typmod(n.formatted_expr),
    primitives.JsonConstructorExpr: lambda n: n.returning.typmod,
    primitives.JsonExpr: lambda n: n.returning.typmod,
    primitives.CoerceToDomain: lambda n: n.resulttypmod,
    primitives.CoerceToDomainValue: lambda n: n.typeMod,
    primitives.SetToDefault: lambda n: n.typeMod,
    primitives.ReturningExpr: lambda n: expr_typmod(n.retexpr),
}


def expr_typmod(node: Any) -> int:
    """The type modifier of an expression's result (exprTypmod); -1 when unknown."""
    if node is None:
        return -1
    ask = _TYPMODS.get(type(node))
    return -1 if ask is None else ask(node)


def length_coercion_typmod(node: Any) -> int | None:
    """The typmod a length-coercion call applies, or None when the node is none (exprIsLengthCoercion)."""
    if type(node) is primitives.FuncExpr:
        if node.funcformat not in (enums.COERCE_EXPLICIT_CAST, enums.COERCE_IMPLICIT_CAST):
            return None
        if not 2 <= len(node.args) <= 3:
            return None
        second = node.args[1]
        if type(second) is not primitives.Const or second.consttype != INT4OID or second.constisnull:
            return None
        return int(second.constvalue)
    if type(node) is primitives.ArrayCoerceExpr:
        return None if node.resulttypmod < 0 else int(node.resulttypmod)
    return None


def _sublink_collation(node: Any) -> int:
    if node.subLinkType in (enums.EXPR_SUBLINK, enums.ARRAY_SUBLINK):
        return expr_collation(_first_target(node.subselect))
    return 0


def _value_function_collation(node: Any) -> int:
    return C_COLLATION_OID if node.type == NAMEOID else 0


def _json_constructor_collation(node: Any) -> int:
    return expr_collation(node.coercion if node.coercion is not None else node.func)


_COLLATIONS: dict[type, Callable[[Any], int]] = {
    primitives.Var: lambda n: n.varcollid,
    primitives.Const: lambda n: n.constcollid,
    primitives.Param: lambda n: n.paramcollid,
    primitives.Aggref: lambda n: n.aggcollid,
    primitives.WindowFunc: lambda n: n.wincollid,
    primitives.MergeSupportFunc: lambda n: n.msfcollid,
    primitives.SubscriptingRef: lambda n: n.refcollid,
    primitives.FuncExpr: lambda n: n.funccollid,
    primitives.NamedArgExpr: lambda n: expr_collation(n.arg),
    primitives.OpExpr: lambda n: n.opcollid,
    primitives.DistinctExpr: lambda n: n.opcollid,
    primitives.NullIfExpr: lambda n: n.opcollid,
    primitives.SubLink: _sublink_collation,
    primitives.SubPlan: lambda n: (
        n.firstColCollation if n.subLinkType in (enums.EXPR_SUBLINK, enums.ARRAY_SUBLINK) else 0
    ),
    primitives.AlternativeSubPlan: lambda n: expr_collation(n.subplans[0]),
    primitives.FieldSelect: lambda n: n.resultcollid,
    primitives.RelabelType: lambda n: n.resultcollid,
    primitives.CoerceViaIO: lambda n: n.resultcollid,
    primitives.ArrayCoerceExpr: lambda n: n.resultcollid,
    primitives.CollateExpr: lambda n: n.collOid,
    primitives.CaseExpr: lambda n: n.casecollid,
    primitives.CaseTestExpr: lambda n: n.collation,
    primitives.ArrayExpr: lambda n: n.array_collid,
    primitives.CoalesceExpr: lambda n: n.coalescecollid,
    primitives.MinMaxExpr: lambda n: n.minmaxcollid,
    primitives.SQLValueFunction: _value_function_collation,
    primitives.XmlExpr: lambda n: DEFAULT_COLLATION_OID if n.op == enums.IS_XMLSERIALIZE else 0,
    primitives.JsonValueExpr: lambda n: expr_collation(n.formatted_expr),
    primitives.JsonConstructorExpr: _json_constructor_collation,
    primitives.JsonExpr: lambda n: n.collation,
    primitives.CoerceToDomain: lambda n: n.resultcollid,
    primitives.CoerceToDomainValue: lambda n: n.collation,
    primitives.SetToDefault: lambda n: n.collation,
    primitives.InferenceElem: lambda n: expr_collation(n.expr),
    primitives.ReturningExpr: lambda n: expr_collation(n.retexpr),
}


def expr_collation(node: Any) -> int:
    """The collation of an expression's result (exprCollation); 0 when it has none."""
    if node is None:
        return 0
    ask = _COLLATIONS.get(type(node))
    return 0 if ask is None else ask(node)


_INPUT_COLLATED = (
    primitives.Aggref,
    primitives.WindowFunc,
    primitives.FuncExpr,
    primitives.OpExpr,
    primitives.DistinctExpr,
    primitives.NullIfExpr,
    primitives.ScalarArrayOpExpr,
    primitives.MinMaxExpr,
)


def expr_input_collation(node: Any) -> int:
    """The collation a function or operator is to use for its inputs (exprInputCollation)."""
    return int(node.inputcollid) if isinstance(node, _INPUT_COLLATED) else 0


def expr_set_input_collation(node: Any, collation: int) -> None:
    """Set the input collation of nodes that have one (exprSetInputCollation)."""
    if isinstance(node, _INPUT_COLLATED):
        node.inputcollid = collation


_COLLATION_FIELDS: dict[type, str] = {
    primitives.Var: "varcollid",
    primitives.Const: "constcollid",
    primitives.Param: "paramcollid",
    primitives.Aggref: "aggcollid",
    primitives.WindowFunc: "wincollid",
    primitives.MergeSupportFunc: "msfcollid",
    primitives.SubscriptingRef: "refcollid",
    primitives.FuncExpr: "funccollid",
    primitives.OpExpr: "opcollid",
    primitives.DistinctExpr: "opcollid",
    primitives.NullIfExpr: "opcollid",
    primitives.FieldSelect: "resultcollid",
    primitives.RelabelType: "resultcollid",
    primitives.CoerceViaIO: "resultcollid",
    primitives.ArrayCoerceExpr: "resultcollid",
    primitives.CaseExpr: "casecollid",
    primitives.ArrayExpr: "array_collid",
    primitives.CoalesceExpr: "coalescecollid",
    primitives.MinMaxExpr: "minmaxcollid",
    primitives.CoerceToDomain: "resultcollid",
    primitives.CoerceToDomainValue: "collation",
    primitives.SetToDefault: "collation",
    primitives.JsonExpr: "collation",
}


def expr_set_collation(node: Any, collation: int) -> None:
    """Store the collation of an expression's result (exprSetCollation)."""
    field = _COLLATION_FIELDS.get(type(node))
    if field is not None:
        setattr(node, field, collation)
    elif isinstance(node, primitives.JsonValueExpr):
        expr_set_collation(node.formatted_expr, collation)
    elif isinstance(node, primitives.JsonConstructorExpr) and node.coercion is not None:
        expr_set_collation(node.coercion, collation)


def _leftmost(first: int, second: int) -> int:
    if first < 0:
        return second
    return first if second < 0 else min(first, second)


_OWN_THEN_ARGS = (
    primitives.FuncExpr,
    primitives.OpExpr,
    primitives.DistinctExpr,
    primitives.NullIfExpr,
    primitives.BoolExpr,
    primitives.ScalarArrayOpExpr,
    parsetree.FuncCall,
    primitives.XmlExpr,
)
_OWN_THEN_ARG = (
    primitives.RelabelType,
    primitives.CoerceViaIO,
    primitives.ArrayCoerceExpr,
    primitives.ConvertRowtypeExpr,
    primitives.NullTest,
    primitives.BooleanTest,
    primitives.CoerceToDomain,
    primitives.NamedArgExpr,
    parsetree.TypeCast,
    parsetree.CollateClause,
    primitives.CollateExpr,
)


def expr_location(node: Any) -> int:
    """Where an expression starts in the query text, or -1 (exprLocation)."""
    if node is None:
        return -1
    kind = type(node)
    if kind is list:
        for item in node:
            location = expr_location(item)
            if location >= 0:
                return location
        return -1
    if kind in _OWN_THEN_ARGS:
        return _leftmost(node.location, expr_location(node.args))
    if kind in _OWN_THEN_ARG:
        location = _leftmost(node.location, expr_location(node.arg))
        return _leftmost(location, node.typeName.location) if kind is parsetree.TypeCast else location
    if kind is parsetree.A_Expr:
        return _leftmost(node.location, expr_location(node.lexpr))
    if kind in (primitives.FieldSelect, primitives.FieldStore, parsetree.A_Indirection):
        return expr_location(node.arg)
    if kind is primitives.SubscriptingRef:
        return expr_location(node.refexpr)
    if kind is primitives.RowCompareExpr:
        return expr_location(node.largs)
    if kind is primitives.SubLink:
        return _leftmost(expr_location(node.testexpr), node.location)
    if kind is primitives.TargetEntry:
        return expr_location(node.expr)
    if kind is parsetree.ResTarget:
        return int(node.location)
    if kind is parsetree.MultiAssignRef:
        return expr_location(node.source)
    if kind is parsetree.SortBy:
        return expr_location(node.node)
    if kind is primitives.IntoClause:
        return expr_location(node.rel)
    if kind is primitives.JsonValueExpr:
        return expr_location(node.raw_expr)
    if kind is primitives.JsonExpr:
        return _leftmost(node.location, expr_location(node.formatted_expr))
    if kind is parsetree.JsonKeyValue:
        return expr_location(node.key)
    if kind is primitives.InferenceElem:
        return expr_location(node.expr)
    if kind is primitives.ReturningExpr:
        return expr_location(node.retexpr)
    location = getattr(node, "location", -1)
    return location if isinstance(location, int) else -1


def walk_query(query: Any, visit: Callable[[Any, int], Any]) -> bool:
    """`walk_levels` over the parts of a query itself, which are level 0 (query_tree_walker)."""
    return any(walk_levels(child, visit, 0) for child in children(query))


def mutate_query(query: Any, change: Callable[[Any, int], Any]) -> Any:
    """Rebuild a query, whose own parts are level 0 (query_tree_mutator)."""
    copy = _new(type(query))
    for name, kind, _ in query.FIELDS:
        value = getattr(query, name)
        if value is not None and kind in ("node", "list"):
            value = mutate_levels(value, change, 0)
        setattr(copy, name, value)
    return copy


def contains_aggs_of_level(tree: Any, wanted: int) -> bool:
    """Whether an aggregate or GROUPING of the query ``wanted`` levels up occurs (contain_aggs_of_level)."""
    return locate_agg_of_level(tree, wanted) is not None


def locate_agg_of_level(tree: Any, wanted: int) -> int | None:
    """The location of an aggregate of that level, None when there is none (locate_agg_of_level)."""
    found: list[int] = []

    def visit(node: Any, level: int) -> Any:
        if isinstance(node, (primitives.Aggref, primitives.GroupingFunc)) and node.agglevelsup == wanted + level:
            found.append(node.location)
            return True
        return None

    walk_levels(tree, visit)
    return found[0] if found else None


def locate_windowfunc(tree: Any) -> int | None:
    """The location of a window function of this query level, or None (locate_windowfunc)."""
    found: list[int] = []

    def visit(node: Any, level: int) -> Any:
        if type(node) is parsetree.Query:
            return "skip"
        if type(node) is primitives.WindowFunc:
            found.append(node.location)
            return True
        return None

    walk_levels(tree, visit)
    return found[0] if found else None


def contains_windowfuncs(tree: Any) -> bool:
    """Whether a window function of this level occurs (contain_windowfuncs)."""
    return locate_windowfunc(tree) is not None


def expression_returns_set(tree: Any) -> bool:
    """Whether a set-returning function or operator occurs (expression_returns_set)."""

    def visit(node: Any, level: int) -> Any:
        kind = type(node)
        if kind is primitives.FuncExpr:
            return True if node.funcretset else None
        if kind is primitives.OpExpr:
            return True if node.opretset else None
        if kind in (
            parsetree.Query,
            primitives.Aggref,
            primitives.GroupingFunc,
            primitives.WindowFunc,
            primitives.SubLink,
            primitives.SubPlan,
        ):
            return "skip"
        return None

    return walk_levels(tree, visit)


def increment_sublevels_up(tree: Any, delta: int, minimum: int = 0) -> Any:
    """A copy in which references at least ``minimum`` levels up go ``delta`` further (IncrementVarSublevelsUp)."""

    def change(node: Any, level: int) -> Any:
        kind = type(node)
        floor = minimum + level
        if kind is primitives.Var:
            if node.varlevelsup >= floor:
                copy = _shallow(node)
                copy.varlevelsup += delta
                return copy
            return node
        if kind in (primitives.Aggref, primitives.GroupingFunc):
            if node.agglevelsup >= floor:
                copy = _shallow(node)
                copy.agglevelsup += delta
                for name, field, _ in node.FIELDS:
                    if field in ("node", "list"):
                        setattr(copy, name, mutate_levels(getattr(node, name), change, level))
                return copy
            return None
        if kind is primitives.CurrentOfExpr and floor == 0:
            return node
        if kind is parsetree.RangeTblEntry and node.rtekind == enums.RTE_CTE and node.ctelevelsup >= floor:
            copy = _shallow(node)
            copy.ctelevelsup += delta
            return copy
        if kind is primitives.ReturningExpr and node.retlevelsup >= floor:
            copy = _shallow(node)
            copy.retlevelsup += delta
            copy.retexpr = mutate_levels(node.retexpr, change, level)
            return copy
        return None

    if type(tree) is parsetree.Query:
        return mutate_query(tree, change)
    return mutate_levels(tree, change)


def _shallow(node: Any) -> Any:
    copy = _new(type(node))
    for name, _, _ in node.FIELDS:
        setattr(copy, name, getattr(node, name))
    return copy


def strip_implicit_coercions(node: Any) -> Any:
    """The expression below casts nobody wrote (strip_implicit_coercions)."""
    while True:
        kind = type(node)
        if kind is primitives.FuncExpr and node.funcformat == enums.COERCE_IMPLICIT_CAST:
            node = node.args[0]
        elif (
            (kind is primitives.RelabelType and node.relabelformat == enums.COERCE_IMPLICIT_CAST)
            or (kind is primitives.CoerceViaIO and node.coerceformat == enums.COERCE_IMPLICIT_CAST)
            or (kind is primitives.ArrayCoerceExpr and node.coerceformat == enums.COERCE_IMPLICIT_CAST)
            or (kind is primitives.ConvertRowtypeExpr and node.convertformat == enums.COERCE_IMPLICIT_CAST)
            or (kind is primitives.CoerceToDomain and node.coercionformat == enums.COERCE_IMPLICIT_CAST)
        ):
            node = node.arg
        else:
            return node


def function_of(node: Any) -> int:
    """The function that evaluates an operator-like node; looks up ``opfuncid`` when it is not set yet."""
    if node.opfuncid == 0:
        row = lookup(OPEROID, node.opno)
        return 0 if row is None else int(row.oprcode)
    return int(node.opfuncid)


def _volatility_of(function: int) -> str:
    row = lookup(PROCOID, function)
    return "v" if row is None else str(row.provolatile)


def contains_volatile(tree: Any, accept: str = "is") -> bool:
    """Whether a function outside the accepted volatility classes may be called (contain_volatile_functions,
    contain_mutable_functions with ``accept="i"``)."""

    def check(function: int) -> bool:
        return function != 0 and _volatility_of(function) not in accept

    def visit(node: Any, level: int) -> Any:
        kind = type(node)
        if kind is primitives.FuncExpr:
            return True if check(node.funcid) else None
        if kind in (primitives.OpExpr, primitives.DistinctExpr, primitives.NullIfExpr, primitives.ScalarArrayOpExpr):
            return True if check(function_of(node)) else None
        if kind is primitives.Aggref:
            return True if check(node.aggfnoid) else None
        if kind is primitives.WindowFunc:
            return True if check(node.winfnoid) else None
        if kind is primitives.NextValueExpr:
            return True
        if kind is primitives.SQLValueFunction:
            return True if "s" not in accept else None
        if kind is primitives.RowCompareExpr:
            return True if any(check(_operator_function(opno)) for opno in node.opnos) else None
        if kind is primitives.CoerceViaIO:
            return True if any(check(function) for function in _io_functions(node)) else None
        return None

    return walk_levels(tree, visit)


def _operator_function(opno: int) -> int:
    row = lookup(OPEROID, opno)
    return 0 if row is None else int(row.oprcode)


def _io_functions(node: Any) -> tuple[int, int]:
    source, target = lookup(TYPEOID, expr_type(node.arg)), lookup(TYPEOID, node.resulttype)
    return (source.typoutput if source else 0), (target.typinput if target else 0)


def string_list(names: list[Any]) -> list[str]:
    """The Python strings of a list of String nodes."""
    return [name.sval for name in names]


def string_nodes(names: list[str]) -> list[literals.String]:
    """A list of String nodes."""
    return [literals.String(sval=name) for name in names]
