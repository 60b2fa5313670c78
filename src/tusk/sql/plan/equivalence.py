"""Classes of expressions that are equal in every row of the result (optimizer/path/equivclass.c).

Conditions ``a = b`` and ``b = c`` put a, b and c in one class. From it follow ``a = c``, which opens other join orders,
and, if a constant is among them, a comparison of each with the constant, which lets indexes be used at once.

Only what no outer join can null takes part, so each class holds wherever its members are computed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tusk.catalog import cache as c
from tusk.catalog.cache import lookup, lookup_list
from tusk.sql.nodes import OpExpr, enums
from tusk.sql.nodes.nodefuncs import contains_volatile, expr_type
from tusk.sql.plan.exprs import contains_subplan, pull_vars
from tusk.sql.plan.structures import Root, fingerprint, members

_BTREE_AM = 403
_MOST_MEMBERS = 10
Pending = list[tuple[Any, int, int]]


@dataclass(slots=True, eq=False)
class Member:
    """A condition that belongs to a class; ``equivalence`` is the class's number, 0 where each condition counts."""

    expr: Any
    derived: bool
    equivalence: int


@dataclass(slots=True, eq=False)
class _Class:
    families: tuple[int, ...]
    collation: int
    exprs: dict[Any, Any] = field(default_factory=dict)         # fingerprint -> expression
    relids: dict[Any, int] = field(default_factory=dict)        # fingerprint -> relations, 0 for a constant
    scopes: dict[Any, int] = field(default_factory=dict)
    sources: list[tuple[Any, int, Any, Any]] = field(default_factory=list)  # (condition, scope, left, right)


def merge_families(opno: int) -> tuple[int, ...]:
    """The b-tree families in which an operator is equality."""
    return tuple(
        row.amopfamily for row in lookup_list(c.AMOPOPID, opno) if row.amopmethod == _BTREE_AM and row.amopstrategy == 3
    )


def find_equivalences(root: Root, pending: Pending) -> Pending:
    """The conditions of a query level, with those that follow from them."""
    classes: list[_Class] = []
    rest: Pending = []
    for qual, outer_rtindex, scope in pending:
        if outer_rtindex or not _enter(classes, qual, scope):
            rest.append((qual, outer_rtindex, scope))
    constants: dict[Any, tuple[_Class, Any]] = {}
    for number, group in enumerate(classes, 1):
        rest.extend(_conditions(group, number, constants))
    if constants:
        rest.extend(_through_outer_joins(root, rest, constants))
    return rest


def _side(expr: Any) -> int | None:
    """The relations of a possible member, None where it cannot be one."""
    relids = 0
    for var in pull_vars(expr):
        if var.varnullingrels:
            return None
        relids |= 1 << var.varno
    return relids


def _enter(classes: list[_Class], qual: Any, scope: int) -> bool:
    if type(qual) is not OpExpr or len(qual.args) != 2:
        return False
    families = merge_families(qual.opno)
    if not families or contains_volatile(qual) or contains_subplan(qual):
        return False
    left, right = qual.args
    left_relids, right_relids = _side(left), _side(right)
    if left_relids is None or right_relids is None or not left_relids | right_relids:
        return False
    left_key, right_key = fingerprint(left), fingerprint(right)
    if left_key == right_key:
        return False
    found = [
        group
        for group in classes
        if group.families == families
        and group.collation == qual.inputcollid
        and (left_key in group.exprs and left_relids or right_key in group.exprs and right_relids)
    ]
    if found:
        group = found[0]
        for other in found[1:]:
            group.exprs |= other.exprs
            group.relids |= other.relids
            group.scopes |= other.scopes
            group.sources += other.sources
            classes.remove(other)
    else:
        group = _Class(families, qual.inputcollid)
        classes.append(group)
    for key, expr, relids in ((left_key, left, left_relids), (right_key, right, right_relids)):
        group.exprs.setdefault(key, expr)
        group.relids[key] = relids
        group.scopes[key] = group.scopes.get(key, 0) | scope
    group.sources.append((qual, scope, left_key, right_key))
    return True


def _conditions(group: _Class, number: int, constants: dict[Any, tuple[_Class, Any]]) -> Pending:
    """The conditions of a class: what was written, and what follows."""
    fixed = [key for key, relids in group.relids.items() if not relids]
    moving = [key for key, relids in group.relids.items() if relids]
    if len(moving) + len(fixed) == 2 or len(moving) > _MOST_MEMBERS:
        for key in moving:
            if fixed:
                constants[key] = (group, group.exprs[fixed[0]])
        return [(qual, 0, scope) for qual, scope, _, _ in group.sources]
    if fixed:
        return _with_constant(group, fixed, moving, constants)
    single = all(not relids & (relids - 1) for relids in group.relids.values())
    written: set[Any] = set()
    found: Pending = []
    for qual, scope, left, right in group.sources:
        written.add(frozenset((left, right)))
        found.append((Member(qual, False, number if single else 0), 0, scope))
    for i, left in enumerate(moving):
        for right in moving[i + 1 :]:
            if frozenset((left, right)) in written:
                continue
            if group.relids[left] & group.relids[right] and group.relids[left] != group.relids[right]:
                continue
            made = equality(group.families, group.collation, group.exprs[left], group.exprs[right])
            if made is not None:
                found.append((Member(made, True, number if single else 0), 0, 0))
    return found


def _with_constant(
    group: _Class, fixed: list[Any], moving: list[Any], constants: dict[Any, tuple[_Class, Any]]
) -> Pending:
    """Each member is compared with the constant; the conditions between members are then superfluous."""
    constant = fixed[0]
    found: Pending = []
    settled: set[Any] = set()
    for qual, scope, left, right in group.sources:
        if group.relids[left] and group.relids[right]:
            continue
        found.append((qual, 0, scope))
        if constant in (left, right):
            settled.add(left if right == constant else right)
    for key in moving:
        if key in settled:
            continue
        made = equality(group.families, group.collation, group.exprs[key], group.exprs[constant])
        if made is not None:
            found.append((Member(made, True, 0), 0, 0))
            settled.add(key)
    for qual, scope, left, right in group.sources:
        if group.relids[left] and group.relids[right] and not (left in settled and right in settled):
            found.append((qual, 0, scope))
    for key in settled:
        constants[key] = (group, group.exprs[constant])
    return found


def equality(families: tuple[int, ...], collation: int, left: Any, right: Any) -> OpExpr | None:
    """``left = right`` in one of the families, or None where there is no such operator."""
    left_type, right_type = expr_type(left), expr_type(right)
    for family in families:
        row = lookup(c.AMOPSTRATEGY, family, left_type, right_type, 3)
        if row is None:
            continue
        operator = lookup(c.OPEROID, row.amopopr)
        return OpExpr(
            opno=row.amopopr, opfuncid=int(operator.oprcode), opresulttype=16, inputcollid=collation,
            args=[left, right], location=-1,
        )  # fmt: skip
    return None


def _through_outer_joins(root: Root, pending: Pending, constants: dict[Any, tuple[_Class, Any]]) -> Pending:
    """Where the outer side of ``ON a = b`` is a constant, so is b in all rows that can match
    (reconsider_outer_join_clauses)."""
    found: Pending = []
    for qual, marker, scope in pending:
        if not marker or type(qual) is not OpExpr or len(qual.args) != 2 or contains_volatile(qual):
            continue
        info = next(info for info in root.outer_joins if info.marker == marker)
        families = merge_families(qual.opno)
        if info.jointype != enums.JOIN_LEFT or not families:
            continue
        for own, other in (qual.args, qual.args[::-1]):
            known = constants.get(fingerprint(own))
            relids, inner = _side(own), _side(other)
            if known is None or not relids or relids & ~info.syn_left or not inner or inner & ~info.syn_right:
                continue
            group, constant = known
            if group.families != families or group.collation != qual.inputcollid or len(members(inner)) != 1:
                continue
            made = equality(families, qual.inputcollid, other, constant)
            if made is not None:
                found.append((Member(made, True, 0), marker, scope))
    return found
