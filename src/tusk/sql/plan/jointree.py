"""From the FROM clause to relations and clauses: what must be joined with what, and where each condition may be
evaluated (optimizer/plan/initsplan.c)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tusk.catalog import cache as c
from tusk.catalog.cache import lookup
from tusk.sql.nodes import (
    FromExpr,
    JoinExpr,
    OpExpr,
    RangeTblRef,
    Var,
    enums,
)
from tusk.sql.nodes.nodefuncs import contains_volatile, walk_levels
from tusk.sql.plan.equivalence import Member, find_equivalences, merge_families
from tusk.sql.plan.exprs import and_list, pull_relids, pull_vars
from tusk.sql.plan.relation_info import load_relation, relation_width
from tusk.sql.plan.structures import Clause, OuterJoin, Rel, Root


@dataclass(slots=True)
class JoinList:
    """Items to be joined in any order that the outer joins allow; an item is a base relation or a list again."""

    items: list[Any]
    relids: int


def add_base_rels(root: Root, node: Any) -> None:
    """Make a Rel for each scanned range table entry below a jointree node."""
    if type(node) is RangeTblRef:
        build_base_rel(root, node.rtindex)
    elif type(node) is FromExpr:
        for item in node.fromlist:
            add_base_rels(root, item)
    else:
        add_base_rels(root, node.larg)
        add_base_rels(root, node.rarg)


def build_base_rel(root: Root, rtindex: int) -> Rel:
    """The Rel of a range table entry."""
    rel = Rel(
        relids=1 << rtindex, rtindex=rtindex, rte=root.rte(rtindex), consider_startup=root.tuple_fraction > 0
    )
    root.rels[rtindex] = rel
    root.all_baserels |= rel.relids
    if rel.rte.rtekind == enums.RTE_RELATION:
        load_relation(root, rel)
    return rel


def deconstruct(root: Root) -> JoinList:
    """Distribute all conditions of the jointree and learn the outer joins."""
    pending: list[tuple[Any, int, int]] = []
    joinlist = _deconstruct(root, root.parse.jointree, pending)
    root.all_relids = joinlist.relids
    for qual, outer_rtindex, scope in find_equivalences(root, pending):
        distribute(root, qual, is_pushed_down=not outer_rtindex, outer_join=outer_rtindex, scope=scope)
    return joinlist


def _deconstruct(root: Root, node: Any, pending: list[tuple[Any, int, int]]) -> JoinList:
    if type(node) is RangeTblRef:
        return JoinList([node.rtindex], 1 << node.rtindex)
    if type(node) is FromExpr:
        parts = [_deconstruct(root, item, pending) for item in node.fromlist]
        joined = _combine(parts, limit=8)
        pending.extend((qual, 0, joined.relids) for qual in and_list(node.quals))
        return joined
    left = _deconstruct(root, node.larg, pending)
    right = _deconstruct(root, node.rarg, pending)
    if node.jointype == enums.JOIN_INNER:
        joined = _combine([left, right], limit=8)
        pending.extend((qual, 0, joined.relids) for qual in and_list(node.quals))
        return joined
    relids = left.relids | right.relids | (1 << node.rtindex if node.rtindex else 0)
    _note_outer_join(root, node, left.relids, right.relids, pending)
    if node.jointype == enums.JOIN_FULL:
        return JoinList([JoinList([left, right], relids)], relids)
    joined = _combine([left, right], limit=8)
    joined.relids = relids
    return joined


def _combine(parts: list[JoinList], *, limit: int) -> JoinList:
    """Flatten lists into one while it stays small enough to search (join_collapse_limit)."""
    items: list[Any] = []
    relids = 0
    for part in parts:
        relids |= part.relids
        if len(items) + len(part.items) <= limit:
            items.extend(part.items)
        else:
            items.append(part if len(part.items) > 1 else part.items[0])
    return JoinList(items, relids)


def _note_outer_join(
    root: Root, node: JoinExpr, left: int, right: int, pending: list[tuple[Any, int, int]]
) -> None:
    """Record an outer or semi join and what must be there before it (make_outerjoininfo).

    The whole right side is always joined first. On the left, what the condition mentions is enough, but a join below
    that may null a mentioned column has to be done before.
    """
    quals = and_list(node.quals)
    mentioned = 0
    for qual in quals:
        mentioned |= pull_relids(qual)
    min_left = left if node.jointype == enums.JOIN_FULL else mentioned & left
    for other in root.outer_joins:
        everything = other.syn_left | other.syn_right | _bit(other.rtindex)
        if not everything & left or node.jointype == enums.JOIN_FULL:
            continue
        if other.jointype == enums.JOIN_FULL or mentioned & (other.syn_right | _bit(other.rtindex)):
            min_left |= everything
    info = OuterJoin(
        jointype=node.jointype, min_left=min_left or left, min_right=right, syn_left=left, syn_right=right,
        rtindex=node.rtindex, marker=node.rtindex or -len(root.outer_joins) - 1,
    )  # fmt: skip
    if node.jointype == enums.JOIN_SEMI:
        info.semi_operators = _semi_operators(quals, right)
    root.outer_joins.append(info)
    pending.extend((qual, info.marker, left | right) for qual in quals)


def _bit(rtindex: int) -> int:
    return 1 << rtindex if rtindex else 0


def _semi_operators(quals: list[Any], right: int) -> list[tuple[int, Any, Any]]:
    """The equalities of a semi join as (operator, left, right), [] where it has other conditions."""
    found = []
    for qual in quals:
        if type(qual) is not OpExpr or len(qual.args) != 2 or contains_volatile(qual):
            return []
        first, second = (pull_relids(arg) for arg in qual.args)
        operator = lookup(c.OPEROID, qual.opno)
        if not (operator.oprcanhash or operator.oprcanmerge):
            return []
        if second and not second & ~right and not first & right:
            found.append((qual.opno, qual.args[0], qual.args[1]))
        elif first and not first & ~right and not second & right and operator.oprcom:
            found.append((int(operator.oprcom), qual.args[1], qual.args[0]))
        else:
            return []
    return found


def distribute(
    root: Root, qual: Any, *, is_pushed_down: bool = True, outer_join: int = 0, scope: int = 0, derived: bool = False,
    equivalence: int = 0,
) -> None:  # fmt: skip
    """Put a condition where it belongs: on a base relation, among the join clauses, or above everything."""
    if type(qual) is Member:
        qual, derived, equivalence = qual.expr, qual.derived, qual.equivalence
    relids = pull_relids(qual)
    clause = make_clause(qual, relids, is_pushed_down=is_pushed_down, outer_join=outer_join)
    clause.derived = derived
    clause.equivalence = equivalence
    if outer_join:
        info = _outer_join_of(root, outer_join)
        if info.jointype == enums.JOIN_FULL:
            clause.required = info.syn_left | info.syn_right
        elif not relids & info.syn_left and relids:
            # Only the nullable side: may be tested on its own rows before the join.
            clause.is_pushed_down = True
            clause.outer_join = 0
        elif info.jointype == enums.JOIN_SEMI and not relids & info.syn_right and relids:
            clause.is_pushed_down = True
            clause.outer_join = 0
        else:
            clause.required = relids | info.min_left | info.min_right
    if not relids and not outer_join:
        if scope in (0, root.all_relids) and not contains_volatile(qual):
            clause.is_constant = True
            root.constant_quals.append(qual)
            return
        clause.required = scope or root.all_relids
    elif not relids:
        info = _outer_join_of(root, outer_join)
        clause.required = info.min_left | info.min_right
    required = members_of_base(root, clause.required)
    if len(required) == 1 and clause.required == 1 << required[0]:
        root.rels[required[0]].restrictions.append(clause)
        return
    _mark_needed(root, qual, clause.required)
    for rtindex in required:
        root.rels[rtindex].joins.append(clause)


def _outer_join_of(root: Root, marker: int) -> OuterJoin:
    return next(info for info in root.outer_joins if info.marker == marker)


def members_of_base(root: Root, relids: int) -> list[int]:
    """The base relations in a set."""
    return [rtindex for rtindex in root.rels if relids >> rtindex & 1]


def _mark_needed(root: Root, expr: Any, where: int) -> None:
    for var in pull_vars(expr):
        rel = root.rels.get(var.varno)
        if rel is not None:
            need_var(rel, var, where)


def need_var(rel: Rel, var: Var, where: int) -> None:
    """Note that a column is needed at a join level (bit 0: in the output)."""
    before = rel.needed.get(var.varattno)
    if before is None:
        rel.target.append(
            Var(
                varno=var.varno, varattno=var.varattno, vartype=var.vartype, vartypmod=var.vartypmod,
                varcollid=var.varcollid, varreturningtype=var.varreturningtype, varnosyn=var.varno,
                varattnosyn=var.varattno, location=-1,
            )  # fmt: skip
        )
        before = 0
    rel.needed[var.varattno] = before | where


def make_clause(qual: Any, relids: int, *, is_pushed_down: bool, outer_join: int) -> Clause:
    """A Clause with the facts about its operator."""
    clause = Clause(expr=qual, required=relids, is_pushed_down=is_pushed_down, outer_join=outer_join)
    if type(qual) is OpExpr and len(qual.args) == 2 and not contains_volatile(qual):
        left, right = pull_relids(qual.args[0]), pull_relids(qual.args[1])
        if left and right and not left & right:
            clause.left, clause.right = left, right
            clause.can_join = True
            operator = lookup(c.OPEROID, qual.opno)
            if operator.oprcanmerge:
                clause.merge_families = merge_families(qual.opno)
            if operator.oprcanhash:
                clause.hash_operator = qual.opno
    return clause


def note_lateral_references(root: Root) -> None:
    """Mark the columns that LATERAL subqueries, functions and VALUES take from their neighbours as needed where those
    are evaluated (find_lateral_references)."""
    for rel in root.rels.values():
        rte = rel.rte
        if not rte.lateral:
            continue
        if rte.rtekind == enums.RTE_SUBQUERY:
            found: list[Var] = []

            def visit(node: Any, depth: int, found: list[Var] = found) -> None:
                if type(node) is Var and node.varlevelsup == depth:
                    found.append(node)

            walk_levels(rte.subquery, visit)
        else:
            found = pull_vars([rte.functions, rte.values_lists])
        for var in found:
            source = root.rels.get(var.varno)
            if source is None or source is rel:
                continue
            own = Var(
                varno=var.varno, varattno=var.varattno, vartype=var.vartype, vartypmod=var.vartypmod,
                varcollid=var.varcollid, varnosyn=var.varno, varattnosyn=var.varattno, location=-1,
            )  # fmt: skip
            need_var(source, own, rel.relids)
            rel.lateral |= source.relids


def finish_base_rels(root: Root) -> None:
    """Once it is known which columns are needed: the widths."""
    for rel in root.rels.values():
        rel.width = relation_width(rel)
