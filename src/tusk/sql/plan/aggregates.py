"""Settling aggregates: their transition types, and equal calls computed once (optimizer/prep/prepagg.c)."""

from __future__ import annotations

from typing import Any

from tusk.catalog import cache as c
from tusk.catalog.cache import lookup
from tusk.sql.nodes import Aggref
from tusk.sql.nodes.nodefuncs import expr_type, walk_levels
from tusk.sql.plan.exprs import is_volatile
from tusk.sql.plan.structures import fingerprint

_ANYELEMENT, _ANYARRAY = {2283, 2776, 3500, 5077, 5079}, {2277, 5078}


def settle_aggregates(plan: Any) -> None:
    """Number the aggregates of an Agg node."""
    aggs: list[Aggref] = []

    def visit(node: Any, level: int) -> Any:
        if type(node) is Aggref and node.agglevelsup == level:
            aggs.append(node)
            return "skip"
        return None

    walk_levels([[entry.expr for entry in plan.targetlist], plan.qual], visit)
    by_call: dict[Any, int] = {}
    by_transition: dict[Any, int] = {}
    for agg in aggs:
        row = lookup(c.AGGFNOID, agg.aggfnoid)
        agg.aggargtypes = agg.aggargtypes or [expr_type(entry.expr) for entry in agg.args if not entry.resjunk]
        agg.aggtranstype = _transition_type(agg, int(row.aggtranstype))
        key = fingerprint(_without_numbers(agg))
        shared = not is_volatile(agg)
        call_key = key if shared else id(agg)
        agg.aggno = by_call.setdefault(call_key, len(by_call))
        transition = (
            (fingerprint([agg.args, agg.aggfilter, agg.aggorder, agg.aggdistinct, agg.aggdirectargs]), agg.inputcollid,
             int(row.aggtransfn), row.agginitval, agg.aggtranstype, row.aggfinalmodify if shared else id(agg))
            if shared and row.aggfinalmodify == "r" and not agg.aggorder and not agg.aggdistinct
            else ("own", agg.aggno)
        )  # fmt: skip
        agg.aggtransno = by_transition.setdefault(transition, len(by_transition))


def _without_numbers(agg: Aggref) -> list[Any]:
    return [
        agg.aggfnoid, agg.aggtype, agg.inputcollid, agg.aggdirectargs, agg.args, agg.aggorder, agg.aggdistinct,
        agg.aggfilter, agg.aggstar, agg.aggvariadic,
    ]  # fmt: skip


def _transition_type(agg: Aggref, declared: int) -> int:
    """The real transition type of a polymorphic aggregate."""
    if declared in _ANYARRAY or declared in _ANYELEMENT:
        for type_oid in agg.aggargtypes:
            row = lookup(c.TYPEOID, type_oid)
            is_array = row is not None and row.typcategory == "A"
            if declared in _ANYARRAY:
                return int(type_oid) if is_array else int(row.typarray)
            return int(type_oid)
    return declared
