"""From an Aggref node to the state that computes it: native where there is one, else the functions of pg_aggregate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tusk.catalog.cache import AGGFNOID, OPEROID, PROCOID, lookup
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.sql.execute import _agg_states, _keys, hooks, support
from tusk.sql.nodes import enums
from tusk.types._kernel_datum import type_of
from tusk.types.codec import codec_for
from tusk.types.registry import AggregateInfo, CallContext, SortKey, lookup_function

INTERNALOID = 2281
SUMS = {
    "int2_sum": 0, "int4_sum": 0, "int8_avg_accum": 1, "int4_avg_accum": 2, "int2_avg_accum": 2,
}  # fmt: skip
NUMERIC_FINALS = {"numeric_poly_sum": 1, "numeric_poly_avg": 2, "int8_avg": 2}


def call_of(funcid: int, argument_types: tuple[int, ...], result_type: int, collation: int, info: Any) -> Any:
    """(callable over Python values, is strict) of a support function."""
    row = lookup(PROCOID, funcid)
    if row.prolang not in (12, 13):
        return hooks.procedure(row, argument_types, result_type, collation, None), row.proisstrict
    definition = lookup_function(row.prosrc)
    if not definition.context:
        return definition.call, row.proisstrict
    context = CallContext(collation=collation, argument_types=argument_types, result_type=result_type, aggregate=info)
    call = definition.call
    return (lambda *args: call(context, *args)), row.proisstrict


def prosrc_of(funcid: int) -> str:
    """Name of a support function's definition, '' for none."""
    if not funcid:
        return ""
    row = lookup(PROCOID, funcid)
    return str(row.prosrc) if row.prolang == 12 else ""


def native_state(node: Any, row: Any, types: list[Any], collation: int) -> Callable[[], Any] | None:
    """A maker of native states, or None."""
    transition, final = prosrc_of(row.aggtransfn), prosrc_of(row.aggfinalfn)
    result = type_of(node.aggtype)
    if row.aggkind != "n":
        return None
    if transition == "int8inc" and not types:
        return lambda: _agg_states.CountState(result, True)
    if transition == "int8inc_any" and len(types) == 1:
        return lambda: _agg_states.CountState(result, False)
    if transition in SUMS and len(types) == 1:
        how = NUMERIC_FINALS.get(final, SUMS[transition])
        if transition == "int8_avg_accum" or not final or final in NUMERIC_FINALS:
            return lambda: _agg_states.IntSumState(result, how)
    if transition in ("float8pl", "float4pl") and not final:
        return lambda: _agg_states.FloatSumState(result, int(transition[5]), 0)
    if transition in ("float8_accum", "float4_accum") and final == "float8_avg":
        return lambda: _agg_states.FloatSumState(result, int(transition[5]), 2)
    if transition == "numeric_avg_accum" and final in ("numeric_sum", "numeric_avg"):
        return lambda: _agg_states.NumericSumState(result, final == "numeric_avg")
    if transition in ("booland_statefunc", "boolor_statefunc"):
        return lambda: _agg_states.BoolState(result, transition == "booland_statefunc")
    if row.aggsortop and len(types) == 1 and not final and transition.endswith(("larger", "smaller")):
        keys = _keys.sort_keys([0], [row.aggsortop], [collation], [False], types)
        is_max = transition.endswith("larger")
        return lambda: _agg_states.ExtremeState(result, keys, is_max, types[0])
    return None


def initial_value(row: Any, transition_type: int) -> Any:
    """agginitval as a value of the transition type."""
    if row.agginitval is None:
        return None
    return codec_for(transition_type).input(row.agginitval)


def state_maker(node: Any, types: list[Any]) -> Callable[[], Any]:
    """A function that makes the states of one grouping set; types are the DatumTypes of the aggregated arguments."""
    if node.aggsplit != enums.AGGSPLIT_SIMPLE:
        raise feature_not_supported("partial aggregation")
    row = lookup(AGGFNOID, node.aggfnoid)
    if row is None:
        raise SqlError(errcode.INTERNAL_ERROR, f"cache lookup failed for aggregate {node.aggfnoid}")
    native = None if node.aggvariadic else native_state(node, row, types, node.inputcollid)
    if native is not None:
        return native
    transition_type = node.aggtranstype or row.aggtranstype
    argument_types = tuple(t.oid for t in types)
    info = None
    if row.aggkind != "n":
        info = AggregateInfo(tuple(sort_key(clause, node, types) for clause in node.aggorder), argument_types,
                             row.aggkind == "h")  # fmt: skip
    transition, strict = call_of(
        row.aggtransfn, (transition_type, *argument_types), transition_type, node.inputcollid, info
    )
    final, final_strict = None, False
    extra = 0
    if row.aggfinalfn:
        finals = (transition_type, *node.aggargtypes) if row.aggfinalextra else (transition_type,)
        final, final_strict = call_of(row.aggfinalfn, finals, node.aggtype, node.inputcollid, info)
        if row.aggfinalextra:
            extra = sum(not entry.resjunk for entry in node.args) if row.aggkind == "n" else len(types)
    initial = initial_value(row, transition_type)
    result = type_of(node.aggtype)
    return lambda: _agg_states.PythonState(
        result, transition, final, initial, strict, list(types), extra, final_strict
    )


def sort_key(clause: Any, node: Any, types: list[Any]) -> SortKey:
    """One WITHIN GROUP (ORDER BY) column."""
    for entry, type_ in zip(list(node.args), types, strict=True):
        if entry.ressortgroupref == clause.tleSortGroupRef:
            compare = support.comparison(type_.oid, support.expression_type(entry.expr)[2])
            return SortKey(compare, is_descending(clause.sortop), clause.nulls_first, type_.oid)
    raise SqlError(errcode.INTERNAL_ERROR, "ORDER BY item not found in aggregate arguments")


def is_descending(sort_operator: int) -> bool:
    """Whether a sort operator is a ">" of its family."""
    return any(strategy == 5 for _, strategy, _, _ in _keys.btree_members(sort_operator))


def equality_operator(clause: Any) -> int:
    """The "=" that belongs to a SortGroupClause."""
    return int(clause.eqop) if clause.eqop else int(lookup(OPEROID, clause.sortop).oprcode)
