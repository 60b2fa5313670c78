"""Sort orders: what an ORDER BY asks for, what an index gives, and whether one serves the other
(optimizer/path/pathkeys.c)."""

from __future__ import annotations

from typing import Any

from tusk.catalog import cache as c
from tusk.catalog.cache import lookup, lookup_list
from tusk.sql.analyze.lookup import binary_coercible
from tusk.sql.nodes import Var
from tusk.sql.nodes.nodefuncs import expr_collation, expr_type
from tusk.sql.plan.structures import IndexInfo, PathKey, Rel, Root, fingerprint

_BTREE_AM = 403


def ordering_of(opno: int) -> tuple[int, int, bool]:
    """(family, operand type, descending) of an ordering operator."""
    for row in lookup_list(c.AMOPOPID, opno):
        if row.amopmethod == _BTREE_AM and row.amopstrategy in (1, 5):
            return row.amopfamily, row.amoplefttype, row.amopstrategy == 5
    raise AssertionError(f"operator {opno} is not a valid ordering operator")


def pathkeys_for_clauses(root: Root, clauses: list[Any], target: list[Any]) -> list[PathKey]:
    """The order that SortGroupClauses ask for; repeated and constant columns are left out."""
    by_ref = {entry.ressortgroupref: entry.expr for entry in target if entry.ressortgroupref}
    keys: list[PathKey] = []
    for clause in clauses:
        if not clause.sortop:
            continue
        expr = by_ref[clause.tleSortGroupRef]
        family, _, descending = ordering_of(clause.sortop)
        key = PathKey(canonical(root, expr), expr, family, descending, clause.nulls_first, expr_collation(expr))
        if not any(key.key == other.key for other in keys):
            keys.append(key)
    return keys


def canonical(root: Root, expr: Any) -> Any:
    """The fingerprint that stands for an expression and all that are equal to it."""
    key = fingerprint(expr)
    while key in root.equal_keys:
        key = root.equal_keys[key]
    return key


def index_pathkeys(root: Root, rel: Rel, index: IndexInfo, *, backward: bool = False) -> list[PathKey]:
    """The order in which a scan of the index returns rows."""
    keys: list[PathKey] = []
    for column in range(index.nkeys):
        if index.keys[column]:
            expr: Any = next((var for var in rel.target if var.varattno == index.keys[column]), None)
            if expr is None:
                expr = Var(varno=rel.rtindex, varattno=index.keys[column], vartype=index.opcintypes[column],
                           varcollid=index.collations[column], location=-1)  # fmt: skip
        else:
            expr = index.column_expr(column)
        descending, nulls_first = index.descending[column], index.nulls_first[column]
        if backward:
            descending, nulls_first = not descending, not nulls_first
        keys.append(
            PathKey(canonical(root, expr), expr, index.opfamilies[column], descending, nulls_first,
                    index.collations[column])  # fmt: skip
        )
    return keys


def useful_prefix(root: Root, rel: Rel, keys: list[PathKey]) -> list[PathKey]:
    """The part of an order that somebody may want: the query's own order, or a merge join's."""
    wanted = root.rels and getattr(root, "parse", None) is not None and _query_keys(root)
    kept: list[PathKey] = []
    for key, want in zip(keys, wanted or [], strict=False):
        if not key.same(want):
            break
        kept.append(key)
    return keys if kept else []


def _query_keys(root: Root) -> list[PathKey]:
    cached = root.equal_keys.get("\0query")
    if cached is None:
        parse = root.parse
        clauses = parse.groupClause if not parse.groupingSets else []
        clauses = clauses or parse.windowClause and [] or parse.distinctClause or parse.sortClause
        if not parse.groupClause and parse.sortClause and not parse.windowClause:
            clauses = parse.sortClause
        cached = root.equal_keys["\0query"] = pathkeys_for_clauses(root, clauses, root.target)
    return cached


def contained_in(wanted: list[PathKey], given: list[PathKey]) -> bool:
    """Whether rows in the order ``given`` are in the order ``wanted``."""
    if len(wanted) > len(given):
        return False
    return all(a.same(b) for a, b in zip(wanted, given, strict=False))


def ordering_operator(opfamily: int, type_oid: int, descending: bool) -> int:
    """The < or > operator of a family for a type, through its declared input type where the type has none."""
    return _member(opfamily, type_oid, 5 if descending else 1)


def equality_operator(opfamily: int, type_oid: int) -> int:
    """The = operator of a family for a type."""
    return _member(opfamily, type_oid, 3)


def _member(opfamily: int, type_oid: int, strategy: int) -> int:
    row = lookup(c.AMOPSTRATEGY, opfamily, type_oid, type_oid, strategy)
    if row is not None:
        return int(row.amopopr)
    for candidate in lookup_list(c.AMOPSTRATEGY, opfamily):
        left = candidate.amoplefttype
        if candidate.amopstrategy == strategy and left == candidate.amoprighttype and binary_coercible(type_oid, left):
            return int(candidate.amopopr)
    raise AssertionError(f"no operator of strategy {strategy} in family {opfamily} for type {type_oid}")


def sort_operator(key: PathKey) -> int:
    """The operator that a Sort node names for a key."""
    return ordering_operator(key.opfamily, expr_type(key.expr), key.descending)
