"""Ordered-set and hypothetical-set aggregates: percentiles, mode, rank and its kin.

The state collects the rows; the final functions sort them by `CallContext.aggregate`'s sort keys, which the executor
makes from the WITHIN GROUP clause.
"""

from collections.abc import Callable, Sequence
from functools import cmp_to_key
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.types.intervals import interval_add, interval_multiply, interval_subtract
from tusk.types.registry import AggregateInfo, CallContext, SortKey, function
from tusk.types.values import Array

FLOAT8OID, INTERVALOID = 701, 1186


@function("ordered_set_transition")
def _collect(state: list[Any] | None, value: Any) -> list[Any]:
    state = [] if state is None else state
    if value is not None:
        state.append(value)
    return state


@function("ordered_set_transition_multi")
def _collect_rows(state: list[Any] | None, *values: Any) -> list[Any]:
    state = [] if state is None else state
    state.append(values)
    return state


def _info(ctx: CallContext) -> AggregateInfo:
    if ctx.aggregate is None:
        raise SqlError(errcode.INTERNAL_ERROR, "ordered-set aggregate called in non-aggregate context")
    return ctx.aggregate


def compare_by(keys: Sequence[SortKey], left: Sequence[Any], right: Sequence[Any]) -> int:
    """Three-way comparison of rows by ORDER BY columns."""
    for key, a, b in zip(keys, left, right, strict=False):
        if a is None or b is None:
            if (a is None) == (b is None):
                continue
            return -1 if (a is None) == key.nulls_first else 1
        order = key.compare(a, b)
        if order:
            return -order if key.descending else order
    return 0


def _sorted(ctx: CallContext, state: list[Any]) -> list[Any]:
    key = _info(ctx).sort_keys[0]
    return sorted(state, key=cmp_to_key(lambda a, b: compare_by((key,), (a,), (b,))))


def _check_fraction(fraction: float) -> None:
    if not 0 <= fraction <= 1:
        raise SqlError(
            errcode.NUMERIC_VALUE_OUT_OF_RANGE, f"percentile value {fraction:g} is not between 0 and 1"
        )


def _discrete(rows: list[Any], fraction: float) -> Any:
    _check_fraction(fraction)
    position = -int(-(fraction * len(rows)) // 1)
    return rows[max(position, 1) - 1]


def _continuous(rows: list[Any], fraction: float, interpolate: Callable[[Any, Any, float], Any]) -> Any:
    _check_fraction(fraction)
    place = fraction * (len(rows) - 1)
    first = int(place)
    second = first if place == first else first + 1
    if first == second:
        return rows[first]
    return interpolate(rows[first], rows[second], place - first)


def _between_floats(low: float, high: float, share: float) -> float:
    return low + share * (high - low)


def _between_intervals(low: Any, high: Any, share: float) -> Any:
    return interval_add(interval_multiply(interval_subtract(high, low), share), low)


def _register(name: str, find: Callable[[list[Any], float], Any]) -> None:
    def final(ctx: CallContext, state: list[Any] | None, fraction: float | None, *rest: Any) -> Any:
        if not state or fraction is None:
            if fraction is not None:
                _check_fraction(fraction)
            return None
        return find(_sorted(ctx, state), fraction)

    def final_multi(ctx: CallContext, state: list[Any] | None, fractions: Array | None, *rest: Any) -> Array | None:
        if not state or fractions is None:
            return None
        rows = _sorted(ctx, state)
        found = tuple(None if f is None else find(rows, f) for f in fractions.elements)
        return Array(_info(ctx).input_types[-1], fractions.dims, fractions.lower_bounds, found)

    function(name + "_final", context=True)(final)
    function(name + "_multi_final", context=True)(final_multi)


_register("percentile_disc", _discrete)
_register("percentile_cont_float8", lambda rows, fraction: _continuous(rows, fraction, _between_floats))
_register("percentile_cont_interval", lambda rows, fraction: _continuous(rows, fraction, _between_intervals))


@function("mode_final", context=True)
def _mode(ctx: CallContext, state: list[Any] | None, *rest: Any) -> Any:
    if not state:
        return None
    key = _info(ctx).sort_keys[0]
    best, best_count = None, 0
    current, count = None, 0
    for value in _sorted(ctx, state):
        if count and key.compare(current, value) == 0:
            count += 1
        else:
            current, count = value, 1
        if count > best_count:
            best, best_count = current, count
    return best


def _hypothetical(ctx: CallContext, state: list[Any] | None, arguments: Sequence[Any]) -> tuple[int, int, int]:
    """Rows before the hypothetical one, its peers among them included, and how many distinct ones are before."""
    keys = _info(ctx).sort_keys
    target = tuple(arguments[: len(keys)])
    before = peers = 0
    distinct: list[Any] = []
    for row in state or []:
        order = compare_by(keys, row, target)
        if order < 0:
            before += 1
            distinct.append(row)
        elif order == 0:
            peers += 1

    def compare(a: Any, b: Any) -> int:
        return compare_by(keys, a, b)

    distinct.sort(key=cmp_to_key(compare))
    groups = sum(1 for i, row in enumerate(distinct) if i == 0 or compare_by(keys, distinct[i - 1], row) != 0)
    return before, peers, groups


@function("hypothetical_rank_final", context=True)
def _rank(ctx: CallContext, state: list[Any] | None, *arguments: Any) -> int:
    return _hypothetical(ctx, state, arguments)[0] + 1


@function("hypothetical_dense_rank_final", context=True)
def _dense_rank(ctx: CallContext, state: list[Any] | None, *arguments: Any) -> int:
    return _hypothetical(ctx, state, arguments)[2] + 1


@function("hypothetical_percent_rank_final", context=True)
def _percent_rank(ctx: CallContext, state: list[Any] | None, *arguments: Any) -> float:
    count = len(state or [])
    return _hypothetical(ctx, state, arguments)[0] / count if count else 0.0


@function("hypothetical_cume_dist_final", context=True)
def _cume_dist(ctx: CallContext, state: list[Any] | None, *arguments: Any) -> float:
    before, peers, _ = _hypothetical(ctx, state, arguments)
    return (before + peers + 1) / (len(state or []) + 1)
