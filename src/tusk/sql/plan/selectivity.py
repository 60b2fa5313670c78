"""How many rows pass a condition: PostgreSQL's estimators over pg_statistic (utils/adt/selfuncs.c)."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from typing import Any

from tusk.catalog import cache as c
from tusk.catalog.cache import lookup
from tusk.sql.nodes import (
    BooleanTest,
    BoolExpr,
    Const,
    NullTest,
    OpExpr,
    Param,
    ScalarArrayOpExpr,
    Var,
    enums,
)
from tusk.sql.nodes.nodefuncs import expr_type
from tusk.sql.plan.exprs import pull_relids, pull_vars, strip_relabel
from tusk.sql.plan.fold import estimate_expression
from tusk.sql.plan.structures import Clause, OuterJoin, Rel, Root
from tusk.types.codec import codec_for

DEFAULT_EQ_SEL = 0.005
DEFAULT_INEQ_SEL = 0.3333333333333333
DEFAULT_MATCH_SEL = 0.005
DEFAULT_RANGE_INEQ_SEL = 0.005
DEFAULT_NUM_DISTINCT = 200
DEFAULT_UNK_SEL = 0.005
_MCV, _HISTOGRAM, _CORRELATION = 1, 2, 3
_ANYARRAY = 2277


@dataclass(slots=True)
class ColumnStats:
    """What is known of one column."""

    rows: float
    null_fraction: float = 0.0
    distinct: float = 0.0           # as in pg_statistic: negative is a share of the rows, 0 unknown
    mcv_values: list[Any] = field(default_factory=list)
    mcv_freqs: list[float] = field(default_factory=list)
    histogram: list[Any] = field(default_factory=list)
    correlation: float = 0.0
    is_unique: bool = False
    known: bool = False

    def ndistinct(self) -> float:
        """Number of different values."""
        if self.is_unique:
            return max(1.0, self.rows)
        if self.distinct > 0:
            return self.distinct
        if self.distinct < 0:
            return max(1.0, -self.distinct * self.rows)
        return self.rows if self.rows < DEFAULT_NUM_DISTINCT else DEFAULT_NUM_DISTINCT


def clamp(value: float) -> float:
    """A probability."""
    return 0.0 if value < 0 else 1.0 if value > 1 else value


def column_stats(root: Root, expr: Any) -> ColumnStats | None:
    """Statistics of the column an expression is, None where it is none of this level."""
    node = strip_relabel(expr)
    if type(node) is not Var or node.varlevelsup:
        return None
    rel = root.rels.get(node.varno)
    if rel is None:
        return None
    found = rel.statistics.get(node.varattno)
    if found is None:
        found = rel.statistics[node.varattno] = _load(rel, node)
    return found


def _load(rel: Rel, var: Var) -> ColumnStats:
    stats = ColumnStats(rows=max(1.0, rel.tuples or rel.rows))
    if rel.rte is None or rel.rte.rtekind != enums.RTE_RELATION:
        return stats
    if var.vartype == 16:
        stats.distinct = 2
    stats.is_unique = var.varattno == -1 or any(
        index.unique and index.nkeys == 1 and index.keys[0] == var.varattno and not index.predicate
        for index in rel.indexes
    )
    row = lookup(c.STATRELATTINH, rel.rte.relid, var.varattno, False) if var.varattno > 0 else None
    if row is None:
        return stats
    stats.known = True
    stats.null_fraction = float(row.stanullfrac)
    stats.distinct = float(row.stadistinct)
    for slot in range(1, 6):
        kind = getattr(row, f"stakind{slot}")
        values = getattr(row, f"stavalues{slot}")
        numbers = getattr(row, f"stanumbers{slot}")
        if kind == _MCV:
            stats.mcv_values, stats.mcv_freqs = list(_elements(values)), list(_elements(numbers))
        elif kind == _HISTOGRAM:
            stats.histogram = list(_elements(values))
        elif kind == _CORRELATION:
            stats.correlation = float(_elements(numbers)[0])
    return stats


def _elements(array: Any) -> Any:
    """Elements of an array column of pg_statistic; values come as the bytes of an anyarray."""
    if isinstance(array, bytes):
        array = codec_for(_ANYARRAY).from_disk(array)
    return getattr(array, "elements", array) if array is not None else ()


def clauses_selectivity(root: Root, clauses: list[Clause], outer: OuterJoin | None = None) -> float:
    """The share of rows that pass all clauses; a pair of bounds on one column counts as a range."""
    total = 1.0
    ranges: dict[Any, dict[str, float]] = {}
    for clause in clauses:
        value = clause_selectivity(root, clause, outer)
        bound = _range_bound(clause.expr)
        if bound is not None:
            column, side = bound
            ranges.setdefault(column, {}).setdefault(side, value)
            continue
        total *= value
    for sides in ranges.values():
        if len(sides) == 2:
            both = sides["low"] + sides["high"] - 1.0
            total *= both if both > 0 else DEFAULT_RANGE_INEQ_SEL
        else:
            total *= next(iter(sides.values()))
    return clamp(total)


def _range_bound(expr: Any) -> tuple[Any, str] | None:
    """(column, which side) for ``column < constant`` and the like."""
    if type(expr) is not OpExpr or len(expr.args) != 2:
        return None
    name = _estimator(expr.opno)
    if name not in ("scalarltsel", "scalarlesel", "scalargtsel", "scalargesel"):
        return None
    left, right = strip_relabel(expr.args[0]), strip_relabel(expr.args[1])
    less = name in ("scalarltsel", "scalarlesel")
    if type(left) is Var and not pull_relids(right):
        return (left.varno, left.varattno), "high" if less else "low"
    if type(right) is Var and not pull_relids(left):
        return (right.varno, right.varattno), "low" if less else "high"
    return None


def clause_selectivity(root: Root, clause: Clause, outer: OuterJoin | None = None) -> float:
    """The share of rows that pass one clause; remembered unless it depends on the join."""
    if clause.selectivity >= 0 and outer is None:
        return clause.selectivity
    value = clamp(expression_selectivity(root, clause.expr, outer))
    if outer is None:
        clause.selectivity = value
    return value


def expression_selectivity(root: Root, expr: Any, outer: OuterJoin | None = None) -> float:
    """The share of rows for which a Boolean expression is true."""
    kind = type(expr)
    if kind is Const:
        return 0.0 if expr.constisnull or not expr.constvalue else 1.0
    if kind is BoolExpr:
        return _bool_selectivity(root, expr, outer)
    if kind is NullTest:
        stats = column_stats(root, expr.arg)
        share = stats.null_fraction if stats is not None and stats.known else DEFAULT_UNK_SEL
        return share if expr.nulltesttype == enums.IS_NULL else 1.0 - share
    if kind is BooleanTest:
        return 0.5
    if kind is Var:
        stats = column_stats(root, expr)
        if stats is not None and stats.mcv_values:
            return sum(f for v, f in zip(stats.mcv_values, stats.mcv_freqs, strict=False) if v)
        return 0.5
    if kind is OpExpr:
        return _operator_selectivity(root, expr, outer)
    if kind is ScalarArrayOpExpr:
        return _array_selectivity(root, expr)
    if kind.__name__ == "DistinctExpr":
        return 1.0 - _operator_selectivity(root, expr, outer)
    if kind.__name__ == "FuncExpr":
        return 0.3333333
    if kind is Param:
        return 0.5
    return 0.5


def _bool_selectivity(root: Root, expr: BoolExpr, outer: OuterJoin | None) -> float:
    if expr.boolop == enums.NOT_EXPR:
        return 1.0 - expression_selectivity(root, expr.args[0], outer)
    if expr.boolop == enums.AND_EXPR:
        parts = [Clause(expr=arg, required=0) for arg in expr.args]
        return clauses_selectivity(root, parts, outer)
    total = 0.0
    for arg in expr.args:
        one = expression_selectivity(root, arg, outer)
        total = total + one - total * one
    return total


def _estimator(opno: int) -> str:
    operator = lookup(c.OPEROID, opno)
    if operator is None or not operator.oprrest:
        return ""
    row = lookup(c.PROCOID, int(operator.oprrest))
    return "" if row is None else str(row.proname)


def _operator_selectivity(root: Root, expr: Any, outer: OuterJoin | None) -> float:
    if len(expr.args) != 2:
        return 0.5
    left, right = expr.args
    if pull_relids(left) and pull_relids(right) and _single_rel(left) != _single_rel(right):
        return _join_selectivity(root, expr, outer)
    name = _estimator(expr.opno)
    flipped = False
    column, other = left, right
    if not pull_relids(left) and pull_relids(right):
        column, other, flipped = right, left, True
    stats = column_stats(root, column)
    constant = estimate_expression(root, other)
    match name:
        case "eqsel":
            return _equal(stats, constant)
        case "neqsel":
            nulls = stats.null_fraction if stats is not None else 0.0
            return clamp(1.0 - _equal(stats, constant) - nulls)
        case "scalarltsel" | "scalarlesel" | "scalargtsel" | "scalargesel":
            less = (name in ("scalarltsel", "scalarlesel")) != flipped
            return _inequality(stats, constant, less=less, inclusive="e" in name[7:9])
        case "likesel" | "iclikesel" | "regexeqsel" | "icregexeqsel" | "prefixsel":
            return _pattern(stats, constant, name)
        case "nlikesel" | "icnlikesel" | "regexnesel" | "icregexnesel":
            return 1.0 - _pattern(stats, constant, name)
        case "contsel" | "matchingsel" | "arraycontsel":
            return 0.001 if name == "contsel" else 0.01
    return 0.5 if not name else DEFAULT_INEQ_SEL


def _single_rel(expr: Any) -> int:
    return pull_relids(expr)


def _equal(stats: ColumnStats | None, constant: Any) -> float:
    if type(constant) is Const and constant.constisnull:
        return 0.0
    if stats is None:
        return DEFAULT_EQ_SEL
    if stats.is_unique:
        return 1.0 / max(1.0, stats.rows)
    if not stats.known:
        return 1.0 / stats.ndistinct() if stats.distinct or stats.rows else DEFAULT_EQ_SEL
    if type(constant) is Const:
        for value, freq in zip(stats.mcv_values, stats.mcv_freqs, strict=False):
            if value == constant.constvalue:
                return freq
        rest = 1.0 - sum(stats.mcv_freqs) - stats.null_fraction
        others = stats.ndistinct() - len(stats.mcv_freqs)
        share = rest / others if others > 1 else rest
        if stats.mcv_freqs:
            share = min(share, stats.mcv_freqs[-1])
        return clamp(share)
    share = (1.0 - stats.null_fraction) / max(1.0, stats.ndistinct())
    if stats.mcv_freqs:
        share = min(share, stats.mcv_freqs[0])
    return clamp(share)


def _inequality(stats: ColumnStats | None, constant: Any, *, less: bool, inclusive: bool) -> float:
    if type(constant) is not Const:
        return DEFAULT_INEQ_SEL
    if constant.constisnull:
        return 0.0
    if stats is None or not stats.known:
        return DEFAULT_INEQ_SEL
    bound = constant.constvalue
    try:
        from_mcv = sum(
            freq
            for value, freq in zip(stats.mcv_values, stats.mcv_freqs, strict=False)
            if (value < bound if less else value > bound) or (inclusive and value == bound)
        )
        below = _histogram_fraction(stats.histogram, bound)
    except TypeError:
        return DEFAULT_INEQ_SEL
    rest = 1.0 - sum(stats.mcv_freqs) - stats.null_fraction
    if below is None:
        return clamp(from_mcv + rest * 0.5 if not stats.histogram and stats.mcv_freqs else DEFAULT_INEQ_SEL)
    share = below if less else 1.0 - below
    return clamp(from_mcv + share * rest)


def _histogram_fraction(histogram: list[Any], bound: Any) -> float | None:
    """The share of the histogram's population below a value."""
    if len(histogram) < 2:
        return None
    place = bisect.bisect_left(histogram, bound)
    if place <= 0:
        return 0.0
    if place >= len(histogram):
        return 1.0
    low, high = histogram[place - 1], histogram[place]
    inside = 0.5
    if isinstance(low, (int, float)) and isinstance(bound, (int, float)) and high != low:
        inside = (bound - low) / (high - low)
    return (place - 1 + inside) / (len(histogram) - 1)


def _pattern(stats: ColumnStats | None, constant: Any, name: str) -> float:
    if type(constant) is not Const or not isinstance(constant.constvalue, str):
        return DEFAULT_MATCH_SEL
    pattern = constant.constvalue
    if "regex" in name:
        exact = pattern.startswith("^") and pattern.endswith("$") and pattern.strip("^$()").replace("_", "").isalnum()
        if exact:
            return _equal(stats, Const(consttype=25, constvalue=pattern.strip("^$()")))
    elif "%" not in pattern and "_" not in pattern:
        return _equal(stats, constant)
    fixed = len(pattern.split("%")[0].split("_")[0])
    return clamp(max(DEFAULT_MATCH_SEL, 0.2 ** min(fixed, 4)) if fixed else DEFAULT_MATCH_SEL * 20)


def _array_selectivity(root: Root, expr: Any) -> float:
    constant = estimate_expression(root, expr.args[1])
    stats = column_stats(root, expr.args[0])
    name = _estimator(expr.opno)
    if type(constant) is Const and not constant.constisnull:
        elements = list(_elements(constant.constvalue))
    elif type(constant).__name__ == "ArrayExpr":
        elements = [None] * len(constant.elements)
    else:
        elements = [None] * 10
    total = 0.0 if expr.useOr else 1.0
    for element in elements:
        one_constant = Const(consttype=expr_type(expr.args[0]), constvalue=element) if element is not None else None
        if name in ("eqsel", "neqsel"):
            one = _equal(stats, one_constant)
            one = one if name == "eqsel" else 1.0 - one
        else:
            one = DEFAULT_INEQ_SEL
        total = (total + one if name == "eqsel" else total + one - total * one) if expr.useOr else total * one
    return clamp(total)


def _join_selectivity(root: Root, expr: Any, outer: OuterJoin | None) -> float:
    """eqjoinsel: matches of most common values, or one over the larger number of values."""
    operator = lookup(c.OPEROID, expr.opno)
    row = lookup(c.PROCOID, int(operator.oprjoin)) if operator is not None and operator.oprjoin else None
    name = "" if row is None else str(row.proname)
    if name not in ("eqjoinsel", "neqjoinsel"):
        return DEFAULT_INEQ_SEL if name.startswith("scalar") else DEFAULT_MATCH_SEL if name else 0.5
    left = column_stats(root, expr.args[0]) or ColumnStats(rows=DEFAULT_NUM_DISTINCT)
    right = column_stats(root, expr.args[1]) or ColumnStats(rows=DEFAULT_NUM_DISTINCT)
    if outer is not None and outer.jointype in (enums.JOIN_SEMI, enums.JOIN_ANTI):
        inner = right if pull_relids(expr.args[1]) & outer.syn_right else left
        probing = left if inner is right else right
        share = 1.0 if inner.ndistinct() >= probing.ndistinct() else inner.ndistinct() / probing.ndistinct()
        return clamp(share * (1.0 - probing.null_fraction))
    share = _match_mcvs(left, right)
    return share if name == "eqjoinsel" else 1.0 - share


def _match_mcvs(left: ColumnStats, right: ColumnStats) -> float:
    distinct_left, distinct_right = left.ndistinct(), right.ndistinct()
    notnull = (1.0 - left.null_fraction) * (1.0 - right.null_fraction)
    if not left.mcv_values or not right.mcv_values:
        return clamp(notnull / max(distinct_left, distinct_right, 1.0))
    try:
        freqs = dict(zip(right.mcv_values, right.mcv_freqs, strict=False))
    except TypeError:
        return clamp(notnull / max(distinct_left, distinct_right, 1.0))
    matched = matched_left = matched_right = 0.0
    nmatches = 0
    for value, freq in zip(left.mcv_values, left.mcv_freqs, strict=False):
        if value in freqs:
            matched += freq * freqs[value]
            matched_left += freq
            matched_right += freqs[value]
            nmatches += 1
    unmatched_left = sum(left.mcv_freqs) - matched_left
    unmatched_right = sum(right.mcv_freqs) - matched_right
    other_left = clamp(1.0 - left.null_fraction - sum(left.mcv_freqs))
    other_right = clamp(1.0 - right.null_fraction - sum(right.mcv_freqs))

    def total(
        own_other: float, own_unmatched: float, distinct: float, nmcv: int, other: float, unmatched: float
    ) -> float:
        value = matched
        if distinct > nmcv:
            value += own_unmatched * other / (distinct - nmcv)
        if distinct > nmatches:
            value += own_other * (other + unmatched) / (distinct - nmatches)
        return value

    first = total(other_left, unmatched_left, distinct_right, len(right.mcv_values), other_right, unmatched_right)
    second = total(other_right, unmatched_right, distinct_left, len(left.mcv_values), other_left, unmatched_left)
    return clamp(min(first, second))


def group_count(root: Root, exprs: list[Any], rows: float) -> float:
    """How many groups the expressions make of that many rows (estimate_num_groups)."""
    total = 1.0
    seen: set[Any] = set()
    for expr in exprs:
        if expr_type(expr) == 16:
            total *= 2
            continue
        variables = _grouping_vars(expr)
        for var in variables:
            key = (var.varno, var.varattno)
            if key in seen:
                continue
            seen.add(key)
            stats = column_stats(root, var)
            count = stats.ndistinct() if stats is not None else DEFAULT_NUM_DISTINCT
            total *= count
    return max(1.0, min(total, rows))


def _grouping_vars(expr: Any) -> list[Var]:
    node = strip_relabel(expr)
    return [node] if type(node) is Var else pull_vars(node)
