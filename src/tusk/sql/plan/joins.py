"""The join search: every legal order by dynamic programming, each pair by nested loop, hash and merge
(optimizer/path/joinrels.c, joinpath.c)."""

from __future__ import annotations

import math
from typing import Any

from tusk.catalog import cache as c
from tusk.catalog.cache import lookup
from tusk.config import settings
from tusk.errors import SqlError, errcode
from tusk.sql.nodes import JoinType, OpExpr, SortGroupClause, TargetEntry, Var, enums
from tusk.sql.nodes.nodefuncs import expr_collation, expr_type
from tusk.sql.plan import cost
from tusk.sql.plan.equivalence import merge_families
from tusk.sql.plan.exprs import pull_relids, strip_relabel
from tusk.sql.plan.jointree import JoinList
from tusk.sql.plan.pathkeys import canonical, contained_in, equality_operator
from tusk.sql.plan.scans import add_path, worth_adding
from tusk.sql.plan.selectivity import clauses_selectivity, column_stats, group_count
from tusk.sql.plan.structures import Clause, OuterJoin, Path, PathKey, Rel, Root, fingerprint


def join_all(root: Root, joinlist: JoinList) -> Rel:
    """The relation of all items joined (make_rel_from_joinlist)."""
    rels = [join_all(root, item) if isinstance(item, JoinList) else root.rels[item] for item in joinlist.items]
    if len(rels) == 1:
        return rels[0]
    return _search(root, rels)


def _search(root: Root, rels: list[Rel]) -> Rel:
    levels: list[list[Rel]] = [[], list(rels)]
    everything = 0
    for rel in rels:
        everything |= rel.relids
    for size in range(2, len(rels) + 1):
        found: dict[int, Rel] = {}
        for left in levels[size - 1]:
            partners = [other for other in rels if not other.relids & left.relids]
            connected = [other for other in partners if _connected(root, left, other)]
            for other in connected or ([] if _has_clause_elsewhere(root, left, partners) else partners):
                _try_pair(root, left, other, found)
        for left_size in range(2, size // 2 + 1):
            for left in levels[left_size]:
                for right in levels[size - left_size]:
                    if not left.relids & right.relids and _connected(root, left, right):
                        _try_pair(root, left, right, found)
        if not found:
            for left_size in range(1, size // 2 + 1):
                for left in levels[left_size]:
                    for other in levels[size - left_size]:
                        if not other.relids & left.relids:
                            _try_pair(root, left, other, found)
        levels.append(list(found.values()))
    for rel in levels[len(rels)]:
        if not everything & ~rel.relids:
            return rel
    raise AssertionError("no join order was found")


def _connected(root: Root, left: Rel, right: Rel) -> bool:
    if _relevant(root, left, right) or _must_join_now(root, left, right):
        return True
    return bool(left.lateral & right.relids or right.lateral & left.relids)


def _relevant(root: Root, left: Rel, right: Rel) -> bool:
    both = left.relids | right.relids
    return any(
        clause.required & left.relids and clause.required & right.relids
        and (not clause.required & ~_with_outer(root, both) or clause.can_join)
        for clause in left.joins
    )  # fmt: skip


def _must_join_now(root: Root, left: Rel, right: Rel) -> bool:
    """An outer join without a condition between its sides still has to happen."""
    for info in root.outer_joins:
        for first, second in ((left, right), (right, left)):
            if not info.min_left & ~first.relids and not info.min_right & ~second.relids:
                return True
    return False


def _has_clause_elsewhere(root: Root, left: Rel, partners: list[Rel]) -> bool:
    return any(clause.required & other.relids for clause in left.joins for other in partners)


def _with_outer(root: Root, relids: int) -> int:
    """The set with the outer joins that are complete in it."""
    for info in root.outer_joins:
        if info.rtindex and not (info.min_left | info.min_right) & ~relids:
            relids |= 1 << info.rtindex
    return relids


def _legal(root: Root, left: Rel, right: Rel) -> tuple[bool, OuterJoin | None, bool]:
    """(legal, the outer join this pair makes, sides must be swapped) (join_is_legal)."""
    both = left.relids | right.relids
    match: OuterJoin | None = None
    swapped = False
    for info in root.outer_joins:
        if not info.min_right & both or not both & ~info.min_right:
            continue
        needed = info.min_left | info.min_right
        if not needed & ~left.relids or not needed & ~right.relids:
            continue
        forward = not info.min_left & ~left.relids and not info.min_right & ~right.relids
        backward = not info.min_left & ~right.relids and not info.min_right & ~left.relids
        if forward or backward:
            if match is not None:
                return False, None, False
            match, swapped = info, not forward
        elif not (info.min_right & left.relids and info.min_right & right.relids):
            # Something from outside may not enter the right side before the join is done.
            return False, None, False
    if left.lateral & right.relids and right.lateral & left.relids:
        return False, None, False
    if match is not None:
        outer, inner = (right, left) if swapped else (left, right)
        # What is handed on to the other side must come from the side that is read first.
        if outer.lateral & inner.relids:
            return False, None, False
        if inner.lateral & outer.relids and match.jointype == enums.JOIN_FULL:
            return False, None, False
    return True, match, swapped


def _try_pair(root: Root, first: Rel, second: Rel, found: dict[int, Rel]) -> None:
    pair = (min(first.relids, second.relids), max(first.relids, second.relids))
    if pair in root.tried_pairs:
        rel = root.tried_pairs[pair]
        if rel is not None:
            found[rel.relids] = rel
        return
    root.tried_pairs[pair] = None
    legal, info, swapped = _legal(root, first, second)
    if not legal:
        return
    left, right = (second, first) if swapped else (first, second)
    jointype = info.jointype if info is not None else enums.JOIN_INNER
    relids = left.relids | right.relids
    if info is not None and info.rtindex:
        relids |= 1 << info.rtindex
    relids = _with_outer(root, relids)
    rel = root.join_rels.get(relids)
    clauses = join_clauses(root, left, right, relids)
    if rel is None:
        rel = _build_join_rel(root, left, right, relids, jointype, clauses, info)
        root.join_rels[relids] = rel
    found[relids] = rel
    root.tried_pairs[pair] = rel
    add_join_paths(root, rel, left, right, jointype, clauses, info)
    if jointype == enums.JOIN_INNER:
        add_join_paths(root, rel, right, left, jointype, clauses, info)
    elif jointype in (enums.JOIN_LEFT, enums.JOIN_FULL, enums.JOIN_ANTI, enums.JOIN_SEMI):
        other = {
            enums.JOIN_LEFT: enums.JOIN_RIGHT,
            enums.JOIN_FULL: enums.JOIN_FULL,
            enums.JOIN_ANTI: enums.JOIN_RIGHT_ANTI,
            enums.JOIN_SEMI: enums.JOIN_RIGHT_SEMI,
        }[jointype]
        add_join_paths(root, rel, right, left, other, clauses, info)
    if jointype == enums.JOIN_SEMI and info is not None:
        single = distinct_rel(root, right, info, clauses)
        if single is not None:
            add_join_paths(root, rel, left, single, enums.JOIN_INNER, clauses, info)
            add_join_paths(root, rel, single, left, enums.JOIN_INNER, clauses, info)


def distinct_rel(root: Root, right: Rel, info: OuterJoin, clauses: list[Clause]) -> Rel | None:
    """The right side of a semi join with each set of compared values once, so that an inner join does; None where the
    conditions are not all equalities or the values cannot be hashed (create_unique_path)."""
    if not info.semi_operators or right.relids != info.syn_right or right.lateral:
        return None
    known = root.distinct_rels.get(right.relids)
    if known is not None:
        return known
    cheapest = right.cheapest()
    equal = [clause for clause in clauses if clause.can_join and clause.merge_families]
    if right.rtindex and len(equal) == len(clauses) and rel_unique_for(root, right, equal):
        root.distinct_rels[right.relids] = right
        return right
    target: list[TargetEntry] = []
    grouping: list[SortGroupClause] = []
    for opno, _, expr in info.semi_operators:
        families = merge_families(opno)
        operator = equality_operator(families[0], expr_type(expr)) if families else opno
        if type(expr) is not Var or not lookup(c.OPEROID, operator).oprcanhash:
            return None
        number = len(target) + 1
        target.append(TargetEntry(expr=expr, resno=number, ressortgroupref=number))
        grouping.append(SortGroupClause(tleSortGroupRef=number, eqop=operator, hashable=True))
    rows = group_count(root, [entry.expr for entry in target], cheapest.rows)
    compared = {fingerprint(entry.expr) for entry in target}
    # What rechecks of changed rows need of the row that stands for its equals.
    target += [
        TargetEntry(expr=var, resno=number)
        for number, var in enumerate((v for v in right.target if fingerprint(v) not in compared), len(target) + 1)
    ]
    single = Rel(
        relids=right.relids, rows=rows, width=right.width, rtindex=0, consider_startup=right.consider_startup,
        target=list(right.target), joins=right.joins,
    )  # fmt: skip
    startup, total = cost.aggregate("hashed", cheapest.startup, cheapest.total, cheapest.rows, rows, len(grouping), 0.0)
    project = Path(
        "Project", single, cheapest.rows, cheapest.startup, cheapest.total, [], 0, [cheapest], {}, target,
        cheapest.disabled,
    )  # fmt: skip
    disabled = cheapest.disabled + (0 if settings.enable_hashagg else cost.DISABLED)
    single.paths = [
        Path(
            "Agg", single, rows, startup, total, [], 0, [project],
            {"strategy": enums.AGG_HASHED, "clauses": grouping, "having": [], "groups": rows}, target, disabled,
        )  # fmt: skip
    ]
    root.distinct_rels[right.relids] = single
    return single


def join_clauses(root: Root, left: Rel, right: Rel, relids: int) -> list[Clause]:
    """The conditions that become testable exactly at this join."""
    found: list[Clause] = []
    seen: set[int] = set()
    for clause in (*left.joins, *right.joins):
        if id(clause) in seen:
            continue
        seen.add(id(clause))
        if clause.required & ~relids or not clause.required & ~left.relids or not clause.required & ~right.relids:
            continue
        found.append(clause)
    return _one_per_class(root, found)


def _one_per_class(root: Root, clauses: list[Clause]) -> list[Clause]:
    """Of the clauses that say the same, since each side's members of the class are equal already, only one: as it was
    written where there is one."""
    best: dict[int, Clause] = {}
    for clause in clauses:
        known = best.get(clause.equivalence) if clause.equivalence > 0 else None
        if clause.equivalence > 0 and (known is None or known.derived and not clause.derived):
            best[clause.equivalence] = clause
    return [clause for clause in clauses if clause.equivalence <= 0 or best[clause.equivalence] is clause]


def _build_join_rel(
    root: Root, left: Rel, right: Rel, relids: int, jointype: JoinType, clauses: list[Clause], info: OuterJoin | None
) -> Rel:
    rel = Rel(relids=relids, consider_startup=root.tuple_fraction > 0)
    for side in (left, right):
        if side is right and jointype in (enums.JOIN_SEMI, enums.JOIN_ANTI):
            continue
        for var in side.target:
            base = root.rels[var.varno]
            if base.needed.get(var.varattno, 0) & ~relids:
                rel.target.append(var)
    rel.width = sum(side.width for side in (left, right))
    rel.lateral = (left.lateral | right.lateral) & ~relids
    seen: set[int] = set()
    for clause in (*left.joins, *right.joins):
        if id(clause) not in seen and clause.required & ~relids:
            seen.add(id(clause))
            rel.joins.append(clause)
    rel.rows = join_rows(root, left, right, jointype, clauses, info)
    return rel


def join_rows(
    root: Root, left: Rel, right: Rel, jointype: JoinType, clauses: list[Clause], info: OuterJoin | None
) -> float:
    """Estimated rows of a join (calc_joinrel_size_estimate)."""
    own = [clause for clause in clauses if clause.outer_join]
    pushed = [clause for clause in clauses if not clause.outer_join]
    if jointype == enums.JOIN_INNER:
        return max(1.0, round(left.rows * right.rows * clauses_selectivity(root, clauses)))
    outer = info if jointype in (enums.JOIN_SEMI, enums.JOIN_ANTI) else None
    share = clauses_selectivity(root, own, outer)
    after = clauses_selectivity(root, pushed)
    match jointype:
        case enums.JOIN_LEFT:
            rows = max(left.rows * right.rows * share, left.rows)
        case enums.JOIN_FULL:
            rows = max(left.rows * right.rows * share, left.rows, right.rows)
        case enums.JOIN_SEMI:
            rows = left.rows * share
        case _:
            rows = left.rows * (1.0 - share)
    return max(1.0, round(rows * after))


# Paths


def add_join_paths(
    root: Root, rel: Rel, outer: Rel, inner: Rel, jointype: JoinType, clauses: list[Clause], info: OuterJoin | None
) -> None:
    """All ways to join with ``outer`` on the left."""
    if inner.lateral & ~outer.relids & rel.relids and jointype != enums.JOIN_INNER:
        return
    if outer.lateral & inner.relids:
        return
    if jointype not in (enums.JOIN_RIGHT, enums.JOIN_FULL, enums.JOIN_RIGHT_ANTI, enums.JOIN_RIGHT_SEMI):
        _nested_loops(root, rel, outer, inner, jointype, clauses)
    hashable = [clause for clause in clauses if _usable(clause, jointype) and _hashable(clause, outer, inner)]
    if hashable:
        _hash_join(root, rel, outer, inner, jointype, clauses, hashable)
    mergeable = [clause for clause in clauses if _usable(clause, jointype) and _mergeable(clause, outer, inner)]
    if jointype == enums.JOIN_FULL and not hashable and not mergeable and any(
        clause.outer_join and pull_relids(clause.expr) for clause in clauses
    ):
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED,
            "FULL JOIN is only supported with merge-joinable or hash-joinable join conditions",
        )
    if jointype != enums.JOIN_RIGHT_SEMI and (mergeable or (jointype == enums.JOIN_FULL and not hashable)):
        _merge_join(root, rel, outer, inner, jointype, clauses, mergeable)


def _usable(clause: Clause, jointype: JoinType) -> bool:
    """An outer join may use only its own conditions to find matches."""
    return jointype == enums.JOIN_INNER or bool(clause.outer_join)


def _sides_fit(clause: Clause, outer: Rel, inner: Rel) -> bool:
    return (not clause.left & ~outer.relids and not clause.right & ~inner.relids) or (
        not clause.left & ~inner.relids and not clause.right & ~outer.relids
    )


def _hashable(clause: Clause, outer: Rel, inner: Rel) -> bool:
    return bool(clause.hash_operator) and clause.can_join and _sides_fit(clause, outer, inner)


def _mergeable(clause: Clause, outer: Rel, inner: Rel) -> bool:
    return bool(clause.merge_families) and clause.can_join and _sides_fit(clause, outer, inner)


def _split(clauses: list[Clause], jointype: JoinType) -> tuple[list[Any], list[Any]]:
    """(join conditions, conditions tested on the joined row)."""
    if jointype == enums.JOIN_INNER:
        return [clause.expr for clause in clauses], []
    return (
        [clause.expr for clause in clauses if clause.outer_join],
        [clause.expr for clause in clauses if not clause.outer_join],
    )


def _nested_loops(
    root: Root, rel: Rel, outer: Rel, inner: Rel, jointype: JoinType, clauses: list[Clause]
) -> None:
    outer_paths = {id(path): path for path in (outer.cheapest(), *_ordered(outer))}
    if rel.consider_startup:
        quickest = outer.cheapest_startup()
        outer_paths[id(quickest)] = quickest
    disabled = 0 if settings.enable_nestloop else cost.DISABLED
    step = _Loop(root, rel, outer, inner, jointype, clauses, disabled)
    for left in outer_paths.values():
        if left.outer_rels & inner.relids:
            continue
        for right in _inner_candidates(inner):
            if right.outer_rels and not right.outer_rels & outer.relids:
                continue
            required = (left.outer_rels | right.outer_rels) & ~outer.relids & ~inner.relids
            if required & rel.relids or required and not _may_wait(root, rel, outer, right, required):
                continue
            step.add(left, right, required)


def _inner_candidates(inner: Rel) -> list[Path]:
    """What a nested loop may read again and again: the cheapest path, as it is and kept, and the cheapest for each set
    of parameters."""
    best: dict[int, Path] = {}
    for path in inner.paths:
        known = best.get(path.outer_rels)
        if known is None or (path.disabled, path.total) < (known.disabled, known.total):
            best[path.outer_rels] = path
    found = list(best.values())
    cheapest = best.get(0)
    if cheapest is not None and cheapest.kind not in ("Material", "CteScan", "WorkTableScan", "Result"):
        found.append(_material(cheapest))
    return found


def _may_wait(root: Root, rel: Rel, outer: Rel, right: Path, required: int) -> bool:
    """Whether a join that needs values from further out is worth a path: where an outer join keeps the supplier from
    being joined first, for LATERAL, and in star queries."""
    sources = rel.lateral
    for info in root.outer_joins:
        if not rel.relids & ~info.min_right and not rel.relids & info.min_left:
            sources |= root.all_baserels & ~info.min_right
        if info.jointype == enums.JOIN_FULL and not rel.relids & ~info.min_left and not rel.relids & info.min_right:
            sources |= root.all_baserels & ~info.min_left
    if required & sources:
        return True
    return bool(right.outer_rels & outer.relids and right.outer_rels & ~outer.relids)


def _ordered(rel: Rel) -> list[Path]:
    return [path for path in rel.paths if path.pathkeys and not path.outer_rels]


def _material(path: Path) -> Path:
    disabled = path.disabled + (0 if settings.enable_material else cost.DISABLED)
    total = cost.materialize(path.total, path.rows, path.rel.width)
    return Path("Material", path.rel, path.rows, path.startup, total, path.pathkeys, 0, [path], disabled=disabled)


class _Loop:
    """Nested loops between two relations: what they have in common."""

    def __init__(
        self, root: Root, rel: Rel, outer: Rel, inner: Rel, jointype: JoinType, clauses: list[Clause], disabled: int
    ) -> None:
        self.root, self.rel, self.outer, self.inner = root, rel, outer, inner
        self.jointype, self.clauses, self.disabled = jointype, clauses, disabled
        self.unique = inner_unique(root, outer, inner, jointype, clauses)
        self._share = -1.0

    def share(self) -> float:
        """The share of all pairs that match."""
        if self._share < 0:
            self._share = clauses_selectivity(self.root, self.clauses)
        return self._share

    def add(self, left: Path, right: Path, required: int) -> None:
        """Keep the nested loop of two paths if it is worth it."""
        rel, jointype = self.rel, self.jointype
        left_over = self.clauses
        if right.outer_rels:
            enforced = {id(item.clause) for item in right.info.get("clauses", ())}
            if right.kind == "BitmapHeapScan":
                enforced = {id(clause) for clause in right.info["used"]}
            classes: set[int] = set()
            if not required:
                classes = {item.clause.equivalence for item in right.info.get("clauses", ())} - {0}
            left_over = [
                clause for clause in left_over if id(clause) not in enforced and clause.equivalence not in classes
            ]
        again = cost.rescan(right.total, right.kind, right.rows)
        loops = max(1.0, left.rows)
        startup = left.startup + right.startup
        single = self.unique or jointype in (enums.JOIN_SEMI, enums.JOIN_ANTI)
        pairs = loops * max(1.0, right.rows)
        if single:
            if jointype == enums.JOIN_ANTI:
                matched = max(0.0, 1.0 - rel.rows / loops)
            else:
                matched = min(1.0, rel.rows / loops)
            # A match ends the scan; how soon depends on how many there are (compute_semi_anti_join_factors).
            matches = 1.0
            if not self.unique and not right.outer_rels and matched > 0:
                matches = max(1.0, self.share() * right.rows / matched)
            elif not self.unique:
                matches = max(1.0, right.rows)
            part = 2.0 / (matches + 1.0)
            # Where an index finds the matches, finding none costs next to nothing.
            without = again / max(1.0, right.rows) if right.outer_rels else again
            run = left.total - left.startup + (right.total - right.startup)
            run += (again * matched * part + without * (1.0 - matched)) * (loops - 1)
            pairs = loops * matched * max(1.0, right.rows * part)
            if not right.outer_rels:
                pairs += loops * (1.0 - matched) * max(1.0, right.rows)
        else:
            run = left.total - left.startup + (right.total - right.startup) + again * (loops - 1)
        qual_startup, qual_row = clauses_cost(left_over)
        startup += qual_startup
        total = startup + run + (settings.cpu_tuple_cost + qual_row) * pairs
        disabled = left.disabled + right.disabled + self.disabled
        if not worth_adding(rel, disabled, startup, total, left.pathkeys, required):
            return
        rows = rel.rows
        if required:
            rows = max(1.0, min(rel.rows, loops * right.rows))
        joinqual, otherqual = _split(left_over, jointype)
        add_path(
            rel,
            Path(
                "NestLoop", rel, rows, startup, total, left.pathkeys, required, [left, right],
                {"jointype": jointype, "joinqual": joinqual, "otherqual": otherqual, "unique": self.unique},
                disabled=disabled,
            ),
        )  # fmt: skip


def clauses_cost(clauses: list[Clause]) -> tuple[float, float]:
    """(start-up, per row) cost of testing clauses; each one's is remembered."""
    startup = per_row = 0.0
    for clause in clauses:
        if clause.cost is None:
            clause.cost = cost.eval_cost(clause.expr)
        startup += clause.cost[0]
        per_row += clause.cost[1]
    return startup, per_row


def inner_unique(root: Root, outer: Rel, inner: Rel, jointype: JoinType, clauses: list[Clause]) -> bool:
    """Whether no outer row can match more than one inner row (innerrel_is_unique)."""
    if jointype in (enums.JOIN_FULL, enums.JOIN_RIGHT, enums.JOIN_RIGHT_ANTI, enums.JOIN_RIGHT_SEMI):
        return False
    if not inner.rtindex:
        return False
    equal = [
        clause for clause in clauses if _usable(clause, jointype) and _mergeable(clause, outer, inner)
    ]
    return rel_unique_for(root, inner, equal)


def rel_unique_for(root: Root, inner: Rel, equal: list[Clause]) -> bool:
    """Whether equality clauses on a base relation leave at most one row for each set of values."""
    known = [clause.expr.args[0] if clause.left & inner.relids else clause.expr.args[1] for clause in equal]
    prints = [fingerprint(strip_relabel(expr)) for expr in known]
    families = {key: clause.merge_families for key, clause in zip(prints, equal, strict=True)}
    collations = {key: clause.expr.inputcollid for key, clause in zip(prints, equal, strict=True)}
    for clause in inner.restrictions:
        if type(clause.expr) is OpExpr and len(clause.expr.args) == 2:
            own, other = clause.expr.args
            if not pull_relids(other) and merge_families(clause.expr.opno):
                key = fingerprint(strip_relabel(own))
                families.setdefault(key, merge_families(clause.expr.opno))
                collations.setdefault(key, clause.expr.inputcollid)
    if not equal:
        return False
    for index in inner.indexes:
        if not index.unique or not index.immediate or index.predicate and not index.predicate_ok:
            continue
        for column in range(index.nkeys):
            expr = index.column_expr(column)
            if expr is None:
                key = ("Var", inner.rtindex, index.keys[column], 0, 0)
            else:
                key = fingerprint(strip_relabel(expr))
            if index.opfamilies[column] not in families.get(key, ()):
                break
            if index.collations[column] and index.collations[column] != collations[key]:
                break
        else:
            return True
    return _subquery_unique(inner, families)


def _subquery_unique(inner: Rel, families: dict[Any, Any]) -> bool:
    """A subquery's DISTINCT, GROUP BY or set operation makes its columns unique (query_is_distinct_for)."""
    if inner.rte is None or inner.rte.rtekind != enums.RTE_SUBQUERY or inner.rte.subquery is None:
        return False
    query = inner.rte.subquery
    if query.hasTargetSRFs or query.groupingSets or query.setOperations is not None:
        return False
    given = {
        entry.ressortgroupref: families[key]
        for entry in query.targetList
        if (key := ("Var", inner.rtindex, entry.resno, 0, 0)) in families and entry.ressortgroupref
    }
    clauses = query.distinctClause if query.distinctClause and not query.hasDistinctOn else query.groupClause
    if clauses:
        return all(
            set(given.get(clause.tleSortGroupRef, ())) & set(merge_families(clause.eqop)) for clause in clauses
        )
    return bool(query.hasAggs or query.havingQual)


def _hash_join(
    root: Root, rel: Rel, outer: Rel, inner: Rel, jointype: JoinType, clauses: list[Clause], hashable: list[Clause]
) -> None:
    lefts = {id(path): path for path in (outer.cheapest(),)}
    if rel.consider_startup:
        lefts[id(outer.cheapest_startup())] = outer.cheapest_startup()
    right = inner.cheapest()
    if right.outer_rels or inner.lateral & outer.relids:
        return
    disabled = 0 if settings.enable_hashjoin else cost.DISABLED
    unique = inner_unique(root, outer, inner, jointype, clauses)
    operator = settings.cpu_operator_cost
    nkeys = len(hashable)
    distinct = _hash_key_distinct(root, hashable, inner)
    fraction = cost.hash_buckets_fraction(distinct, right.rows)
    for left in lefts.values():
        if left.outer_rels & inner.relids:
            continue
        startup = left.startup + right.total + (operator * nkeys + settings.cpu_tuple_cost) * right.rows
        run = left.total - left.startup + operator * nkeys * left.rows
        inner_bytes = right.rows * (inner.width + 24)
        batches = max(1.0, inner_bytes / (settings.work_mem * 1024.0 * settings.hash_mem_multiplier))
        if batches > 1:
            outer_pages = math.ceil(left.rows * (outer.width + 24) / 8192)
            inner_pages = math.ceil(inner_bytes / 8192)
            startup += settings.seq_page_cost * inner_pages
            run += settings.seq_page_cost * (inner_pages + 2 * outer_pages)
        left_over = [clause for clause in clauses if clause not in hashable]
        joinqual, otherqual = _split(left_over, jointype)
        qual_startup, qual_row = clauses_cost(left_over)
        run += operator * nkeys * left.rows * max(1.0, right.rows * fraction) * 0.5
        total = startup + qual_startup + run + (settings.cpu_tuple_cost + qual_row) * max(rel.rows, 1.0)
        if not worth_adding(
            rel, left.disabled + right.disabled + disabled, startup + qual_startup, total, [], left.outer_rels
        ):
            continue
        add_path(
            rel,
            Path(
                "HashJoin", rel, rel.rows, startup + qual_startup, total, [], left.outer_rels, [left, right],
                {
                    "jointype": jointype, "joinqual": joinqual, "otherqual": otherqual,
                    "hashclauses": [_outer_left(clause, outer) for clause in hashable], "unique": unique,
                },
                disabled=left.disabled + right.disabled + disabled,
            ),
        )  # fmt: skip


def _outer_left(clause: Clause, outer: Rel) -> tuple[Any, bool]:
    """(clause expression, whether its operands must be swapped so that the outer side is left)."""
    return clause.expr, bool(clause.left & ~outer.relids)


def _hash_key_distinct(root: Root, hashable: list[Clause], inner: Rel) -> float:
    total = 1.0
    for clause in hashable:
        side = clause.expr.args[0] if not clause.left & ~inner.relids else clause.expr.args[1]
        stats = column_stats(root, side)
        total *= stats.ndistinct() if stats is not None else 200.0
    return max(1.0, min(total, inner.rows))


def _merge_join(
    root: Root, rel: Rel, outer: Rel, inner: Rel, jointype: JoinType, clauses: list[Clause], mergeable: list[Clause]
) -> None:
    if inner.lateral & outer.relids:
        return
    disabled = 0 if settings.enable_mergejoin else cost.DISABLED
    outer_keys, inner_keys, used = _merge_keys(root, outer, mergeable)
    left, right = _in_order(outer, outer_keys), _in_order(inner, inner_keys)
    if left.outer_rels or right.outer_rels:
        return
    left_over = [clause for clause in clauses if clause not in used]
    joinqual, otherqual = _split(left_over, jointype)
    qual_startup, qual_row = clauses_cost(left_over)
    operator = settings.cpu_operator_cost
    startup = left.startup + right.startup + qual_startup
    run = left.total - left.startup + right.total - right.startup
    run += operator * max(1, len(used)) * (left.rows + right.rows)
    total = startup + run + (settings.cpu_tuple_cost + qual_row) * rel.rows
    add_path(
        rel,
        Path(
            "MergeJoin", rel, rel.rows, startup, total, left.pathkeys if jointype != enums.JOIN_FULL and
            jointype != enums.JOIN_RIGHT and jointype != enums.JOIN_RIGHT_ANTI else [], 0, [left, right],
            {
                "jointype": jointype, "joinqual": joinqual, "otherqual": otherqual, "keys": outer_keys,
                "mergeclauses": [_outer_left(clause, outer) for clause in used],
                "unique": inner_unique(root, outer, inner, jointype, clauses),
            },
            disabled=left.disabled + right.disabled + disabled,
        ),
    )  # fmt: skip


def _merge_keys(root: Root, outer: Rel, mergeable: list[Clause]) -> tuple[list[PathKey], list[PathKey], list[Clause]]:
    """Ascending orders of both sides for the mergeable clauses, one each; a clause on a repeated key is left out."""
    outer_keys: list[PathKey] = []
    inner_keys: list[PathKey] = []
    used: list[Clause] = []
    for clause in mergeable:
        left, right = clause.expr.args
        if clause.left & ~outer.relids:
            left, right = right, left
        family = clause.merge_families[0]
        first = PathKey(canonical(root, left), left, family, False, False, expr_collation(left))
        second = PathKey(canonical(root, right), right, family, False, False, expr_collation(right))
        if any(first.key == key.key for key in outer_keys) or any(second.key == key.key for key in inner_keys):
            continue
        outer_keys.append(first)
        inner_keys.append(second)
        used.append(clause)
    return outer_keys, inner_keys, used


def _in_order(rel: Rel, keys: list[PathKey]) -> Path:
    """The cheapest path in an order, sorting where need be."""
    cheapest = rel.cheapest()
    best = sort_path(cheapest, keys, -1.0) if keys else cheapest
    for path in rel.paths:
        if not path.outer_rels and contained_in(keys, path.pathkeys) and (path.disabled, path.total) < (
            best.disabled, best.total,
        ):  # fmt: skip
            best = path
    return best


def sort_path(path: Path, keys: list[PathKey], limit: float) -> Path:
    """The path with a Sort on top, unless it is in that order already."""
    if contained_in(keys, path.pathkeys):
        return path
    disabled = path.disabled + (0 if settings.enable_sort else cost.DISABLED)
    startup, total = cost.sort(path.total, path.rows, path.width or path.rel.width, limit)
    return Path(
        "Sort", path.rel, path.rows, startup, total, keys, path.outer_rels, [path], {"keys": keys}, path.target,
        disabled, path.width,
    )  # fmt: skip
