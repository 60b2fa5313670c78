"""Outer joins that change nothing: no column of the nullable side is used, and no row can match twice
(optimizer/plan/analyzejoins.c)."""

from __future__ import annotations

from tusk.sql.nodes import enums
from tusk.sql.plan.joins import rel_unique_for
from tusk.sql.plan.jointree import JoinList
from tusk.sql.plan.structures import Clause, OuterJoin, Root


def remove_useless_joins(root: Root, joinlist: JoinList) -> None:
    """Take such joins out of the list and out of everything that mentions them."""
    for info in list(root.outer_joins):
        if _is_useless(root, info):
            _remove(root, info, joinlist)


def _is_useless(root: Root, info: OuterJoin) -> bool:
    if info.jointype != enums.JOIN_LEFT or not info.rtindex or info.min_right & (info.min_right - 1):
        return False
    rel = root.rels.get(info.min_right.bit_length() - 1)
    if rel is None or rel.rte.rtekind not in (enums.RTE_RELATION, enums.RTE_SUBQUERY) or rel.lateral:
        return False
    inputs = info.min_left | info.min_right
    if any(where & ~inputs for where in rel.needed.values()):
        return False
    equal: list[Clause] = []
    for clause in rel.joins:
        if clause.outer_join != info.rtindex:
            return False
        if not clause.can_join or not clause.merge_families:
            continue
        mine, other = (clause.left, clause.right) if clause.left == rel.relids else (clause.right, clause.left)
        if mine == rel.relids and not other & ~info.min_left:
            equal.append(clause)
    return rel_unique_for(root, rel, equal)


def _remove(root: Root, info: OuterJoin, joinlist: JoinList) -> None:
    gone = info.min_right | 1 << info.rtindex
    del root.rels[info.min_right.bit_length() - 1]
    root.all_baserels &= ~gone
    root.all_relids &= ~gone
    root.outer_joins.remove(info)
    for other in root.outer_joins:
        other.min_left &= ~gone
        other.min_right &= ~gone
        other.syn_left &= ~gone
        other.syn_right &= ~gone
    for rel in root.rels.values():
        rel.joins = [clause for clause in rel.joins if clause.outer_join != info.rtindex]
        for clause in rel.joins:
            clause.required &= ~gone
        for attno, where in list(rel.needed.items()):
            left = where & ~gone
            if left & ~rel.relids:
                rel.needed[attno] = left
            else:
                del rel.needed[attno]
                rel.target = [var for var in rel.target if var.varattno != attno]
    _forget(joinlist, info.min_right.bit_length() - 1, gone)


def _forget(joinlist: JoinList, rtindex: int, gone: int) -> None:
    joinlist.relids &= ~gone
    joinlist.items = [item for item in joinlist.items if item != rtindex]
    for item in joinlist.items:
        if isinstance(item, JoinList):
            _forget(item, rtindex, gone)
    joinlist.items = [item for item in joinlist.items if not isinstance(item, JoinList) or item.items]
