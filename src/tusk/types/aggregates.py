"""Transition and final functions of the numeric aggregates, and of those that collect values.

States are Python objects (the SQL type internal): sums of integers and numerics are exact whatever the order.
"""

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.types.floats import overflow as float_overflow
from tusk.types.integers import check_range
from tusk.types.numeric import divide, divide_to, division_scale
from tusk.types.numeric_format import EXACT, INFINITY, NAN, NEGATIVE_INFINITY, check_limits, scale_of
from tusk.types.numeric_math import square_root
from tusk.types.registry import CallContext, function
from tusk.types.values import Array

INT8OID, FLOAT8OID = 20, 701


class NumericSum:
    """Count, sum and sum of squares of finite values; NaN and infinities are counted apart."""

    __slots__ = ("count", "nans", "negative", "positive", "scales", "squares", "total")

    def __init__(self) -> None:
        self.count = self.nans = self.positive = self.negative = 0
        self.total = self.squares = Decimal(0)
        self.scales: dict[int, int] = {}

    def add(self, value: Decimal, sign: int, squares: bool) -> None:
        """Put a value in (sign 1) or take it out (-1)."""
        if not value.is_finite():
            if value.is_nan():
                self.nans += sign
            elif value > 0:
                self.positive += sign
            else:
                self.negative += sign
            return
        self.count += sign
        scale = -value.as_tuple().exponent  # type: ignore[operator]  # finite
        self.scales[scale] = self.scales.get(scale, 0) + sign
        self.total = EXACT.add(self.total, value) if sign > 0 else EXACT.subtract(self.total, value)
        if squares:
            square = EXACT.multiply(value, value)
            self.squares = EXACT.add(self.squares, square) if sign > 0 else EXACT.subtract(self.squares, square)

    @property
    def all_count(self) -> int:
        """How many values are in, of all kinds."""
        return self.count + self.nans + self.positive + self.negative

    def special(self) -> Decimal | None:
        """The sum, if NaN or infinities decide it."""
        if self.nans or (self.positive and self.negative):
            return NAN
        if self.positive:
            return INFINITY
        return NEGATIVE_INFINITY if self.negative else None

    def sum(self) -> Decimal:
        """The sum with the largest scale that is (still) in."""
        total = self.total
        scale = max((s for s, n in self.scales.items() if n > 0), default=0)
        if scale_of(total) != scale:
            total = total.quantize(Decimal((0, (1,), -scale)), context=EXACT)
        return check_limits(total if total else total.copy_abs())

    def combine(self, other: "NumericSum") -> None:
        """Add everything that is in another state."""
        for name in ("count", "nans", "positive", "negative"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.total = EXACT.add(self.total, other.total)
        self.squares = EXACT.add(self.squares, other.squares)
        for scale, count in other.scales.items():
            self.scales[scale] = self.scales.get(scale, 0) + count


class IntegerSum:
    """Count, sum and sum of squares of integers."""

    __slots__ = ("count", "squares", "total")

    def __init__(self) -> None:
        self.count = self.total = self.squares = 0


def _numeric_accumulator(sign: int, squares: bool) -> Callable[[NumericSum | None, Decimal | None], NumericSum]:
    def accumulate(state: NumericSum | None, value: Decimal | None) -> NumericSum:
        state = state or NumericSum()
        if value is not None:
            state.add(value, sign, squares)
        return state

    return accumulate


function("numeric_avg_accum")(_numeric_accumulator(1, False))
function("numeric_accum")(_numeric_accumulator(1, True))
function("numeric_accum_inv")(_numeric_accumulator(-1, True))


def _integer_accumulator(sign: int, squares: bool) -> Callable[[IntegerSum | None, int | None], IntegerSum]:
    def accumulate(state: IntegerSum | None, value: int | None) -> IntegerSum:
        state = state or IntegerSum()
        if value is not None:
            state.count += sign
            state.total += sign * value
            if squares:
                state.squares += sign * value * value
        return state

    return accumulate


# int8_accum's state is shared with numeric_accum's final functions in PostgreSQL; both kinds work there here too.
function("int2_accum", "int4_accum")(_integer_accumulator(1, True))
function("int2_accum_inv", "int4_accum_inv")(_integer_accumulator(-1, True))
function("int8_avg_accum")(_integer_accumulator(1, False))
function("int8_avg_accum_inv")(_integer_accumulator(-1, False))
function("int8_accum")(_integer_accumulator(1, True))
function("int8_accum_inv")(_integer_accumulator(-1, True))


@function("numeric_combine", "numeric_avg_combine", "numeric_poly_combine", "int8_avg_combine")
def _combine(left: Any, right: Any) -> Any:
    if left is None or right is None:
        return left if right is None else right
    if isinstance(left, NumericSum):
        left.combine(right)
    else:
        left.count += right.count
        left.total += right.total
        left.squares += right.squares
    return left


@function("numeric_serialize", "numeric_avg_serialize", "numeric_poly_serialize", "int8_avg_serialize")
def _serialize(state: Any) -> bytes:
    # Read back by the same program only: workers and leader run one version.
    if isinstance(state, IntegerSum):
        return f"i {state.count} {state.total} {state.squares}".encode()
    scales = ",".join(f"{scale}:{count}" for scale, count in state.scales.items())
    numbers = (state.count, state.nans, state.positive, state.negative, state.total, state.squares)
    return f"n {' '.join(map(str, numbers))} {scales}".encode()


@function("numeric_deserialize", "numeric_avg_deserialize", "numeric_poly_deserialize", "int8_avg_deserialize")
def _deserialize(data: bytes, internal: Any) -> Any:
    kind, *words = data.decode().split(" ")
    if kind == "i":
        integers = IntegerSum()
        integers.count, integers.total, integers.squares = map(int, words)
        return integers
    state = NumericSum()
    state.count, state.nans, state.positive, state.negative = map(int, words[:4])
    state.total, state.squares = Decimal(words[4]), Decimal(words[5])
    pairs = (pair.split(":") for pair in words[6].split(",") if pair)
    state.scales = {int(scale): int(count) for scale, count in pairs}
    return state


@function("numeric_sum", "numeric_poly_sum")
def _sum(state: Any) -> Decimal | None:
    if isinstance(state, IntegerSum):
        return Decimal(state.total) if state.count else None
    if state is None or state.all_count == 0:
        return None
    special: Decimal | None = state.special()
    return special if special is not None else state.sum()


@function("numeric_avg", "numeric_poly_avg")
def _average(state: Any) -> Decimal | None:
    total = _sum(state)
    if total is None:
        return None
    return divide(total, Decimal(state.count)) if total.is_finite() else total


def _deviation(state: Any, sample: bool, variance: bool) -> Decimal | None:
    if state is None:
        return None
    if isinstance(state, NumericSum):
        count, all_count = state.count, state.all_count
        if all_count == 0 or (sample and all_count <= 1):
            return None
        if all_count != count:
            return NAN
        total, squares = state.sum(), state.squares
    else:
        count = state.count
        if count == 0 or (sample and count <= 1):
            return None
        total, squares = Decimal(state.total), Decimal(state.squares)
    numerator = EXACT.subtract(EXACT.multiply(squares, Decimal(count)), EXACT.multiply(total, total))
    if numerator <= 0:
        return Decimal(0)
    denominator = Decimal(count * (count - 1) if sample else count * count)
    scale = division_scale(numerator, denominator)
    quotient = divide_to(numerator, denominator, scale)
    return quotient if variance else square_root(quotient, scale)


def _register_deviations() -> None:
    for prefix in ("numeric", "numeric_poly"):
        for kind, variance in (("stddev", False), ("var", True)):
            for suffix, sample in (("pop", False), ("samp", True)):
                function(f"{prefix}_{kind}_{suffix}")(lambda s, a=sample, v=variance: _deviation(s, a, v))


_register_deviations()


@function("int2_sum", "int4_sum")
def _int_sum(total: int | None, value: int | None) -> int | None:
    if value is None:
        return total
    return value if total is None else check_range(total + value, 8)


@function("int8_sum")
def _int8_sum(total: Decimal | None, value: int | None) -> Decimal | None:
    if value is None:
        return total
    return Decimal(value) if total is None else EXACT.add(total, Decimal(value))


def _pair_accumulator(sign: int) -> Callable[[Array, int], Array]:
    def accumulate(state: Array, value: int) -> Array:
        count, total = state.elements
        return Array.of(INT8OID, (count + sign, total + sign * value))

    return accumulate


function("int2_avg_accum", "int4_avg_accum")(_pair_accumulator(1))
function("int2_avg_accum_inv", "int4_avg_accum_inv")(_pair_accumulator(-1))


@function("int4_avg_combine")
def _pair_combine(left: Array, right: Array) -> Array:
    return Array.of(INT8OID, (a + b for a, b in zip(left.elements, right.elements, strict=True)))


@function("int8_avg")
def _pair_average(state: Array) -> Decimal | None:
    count, total = state.elements
    return divide(Decimal(total), Decimal(count)) if count else None


@function("int2int4_sum")
def _pair_sum(state: Array) -> int | None:
    count, total = state.elements
    return total if count else None


# Floating point: Youngs and Cramer's updating formulas on {N, Sx, Sxx}, and {N, Sx, Sxx, Sy, Syy, Sxy}.


def _check_sums(results: tuple[float, ...], *inputs: float) -> None:
    if any(math.isinf(r) for r in results) and not any(math.isinf(i) for i in inputs):
        raise float_overflow()


@function("float8_accum", "float4_accum")
def _float_accumulate(state: Array, value: float) -> Array:
    count, total, squares = state.elements
    count += 1.0
    new_total = total + value
    if count > 1.0:
        deviation = value * count - new_total
        squares += deviation * deviation / (count * (count - 1.0))
        if math.isinf(new_total) or math.isinf(squares):
            if not math.isinf(total) and not math.isinf(value):
                raise float_overflow()
            squares = math.nan
    elif not math.isfinite(value):
        squares = math.nan
    return Array.of(FLOAT8OID, (count, new_total, squares))


@function("float8_combine")
def _float_combine(left: Array, right: Array) -> Array:
    n1, sx1, sxx1 = left.elements
    n2, sx2, sxx2 = right.elements
    if n1 == 0:
        return right
    if n2 == 0:
        return left
    difference = sx1 / n1 - sx2 / n2
    squares = sxx1 + sxx2 + n1 * n2 * difference * difference / (n1 + n2)
    _check_sums((sx1 + sx2, squares), sx1, sx2, sxx1, sxx2)
    return Array.of(FLOAT8OID, (n1 + n2, sx1 + sx2, squares))


function("float8_avg")(lambda state: state.elements[1] / state.elements[0] if state.elements[0] else None)
function("float8_var_pop")(lambda state: state.elements[2] / state.elements[0] if state.elements[0] else None)
function("float8_var_samp")(
    lambda state: state.elements[2] / (state.elements[0] - 1) if state.elements[0] > 1 else None
)
function("float8_stddev_pop")(
    lambda state: math.sqrt(state.elements[2] / state.elements[0]) if state.elements[0] else None
)
function("float8_stddev_samp")(
    lambda state: math.sqrt(state.elements[2] / (state.elements[0] - 1)) if state.elements[0] > 1 else None
)


@function("float8_regr_accum")
def _regression_accumulate(state: Array, y: float, x: float) -> Array:
    # PostgreSQL 18 keeps two more numbers: the common value of all x, and of all y, while there is one.
    count, sx, sxx, sy, syy, sxy, *common = state.elements
    count += 1.0
    new_sx, new_sy = sx + x, sy + y
    if count > 1.0:
        dx, dy = x * count - new_sx, y * count - new_sy
        scale = 1.0 / (count * (count - 1.0))
        sxx += dx * dx * scale
        syy += dy * dy * scale
        sxy += dx * dy * scale
        results = (new_sx, sxx, new_sy, syy, sxy)
        if any(math.isinf(result) for result in results):
            _check_sums(results, sx, x, sy, y)
            sxx = math.nan if math.isinf(sxx) else sxx
            syy = math.nan if math.isinf(syy) else syy
            sxy = math.nan if math.isinf(sxy) else sxy
    else:
        if not math.isfinite(x):
            sxx = sxy = math.nan
        if not math.isfinite(y):
            syy = sxy = math.nan
    return Array.of(FLOAT8OID, (count, new_sx, sxx, new_sy, syy, sxy, *common))


@function("float8_regr_combine")
def _regression_combine(left: Array, right: Array) -> Array:
    n1, sx1, sxx1, sy1, syy1, sxy1, *common = left.elements
    n2, sx2, sxx2, sy2, syy2, sxy2, *_ = right.elements
    if n1 == 0:
        return right
    if n2 == 0:
        return left
    n = n1 + n2
    dx, dy = sx1 / n1 - sx2 / n2, sy1 / n1 - sy2 / n2
    sxx = sxx1 + sxx2 + n1 * n2 * dx * dx / n
    syy = syy1 + syy2 + n1 * n2 * dy * dy / n
    sxy = sxy1 + sxy2 + n1 * n2 * dx * dy / n
    return Array.of(FLOAT8OID, (n, sx1 + sx2, sxx, sy1 + sy2, syy, sxy, *common))


def _regression(minimum: int, calculate: Callable[..., float | None]) -> Callable[[Array], float | None]:
    def final(state: Array) -> float | None:
        count = state.elements[0]
        return calculate(*state.elements[:6]) if count >= minimum else None

    return final


def _correlation(n: float, sx: float, sxx: float, sy: float, syy: float, sxy: float) -> float | None:
    if sxx == 0 or syy == 0:
        return None
    return min(1.0, max(-1.0, sxy / math.sqrt(sxx * syy)))


def _r2(n: float, sx: float, sxx: float, sy: float, syy: float, sxy: float) -> float | None:
    if sxx == 0:
        return None
    return 1.0 if syy == 0 else sxy * sxy / (sxx * syy)


for _prosrc, _minimum, _calculate in (
    ("float8_regr_sxx", 1, lambda n, sx, sxx, sy, syy, sxy: sxx),
    ("float8_regr_syy", 1, lambda n, sx, sxx, sy, syy, sxy: syy),
    ("float8_regr_sxy", 1, lambda n, sx, sxx, sy, syy, sxy: sxy),
    ("float8_regr_avgx", 1, lambda n, sx, sxx, sy, syy, sxy: sx / n),
    ("float8_regr_avgy", 1, lambda n, sx, sxx, sy, syy, sxy: sy / n),
    ("float8_covar_pop", 1, lambda n, sx, sxx, sy, syy, sxy: sxy / n),
    ("float8_covar_samp", 2, lambda n, sx, sxx, sy, syy, sxy: sxy / (n - 1)),
    ("float8_corr", 1, _correlation),
    ("float8_regr_r2", 1, _r2),
    ("float8_regr_slope", 1, lambda n, sx, sxx, sy, syy, sxy: sxy / sxx if sxx else None),
    ("float8_regr_intercept", 1, lambda n, sx, sxx, sy, syy, sxy: (sy - sx * sxy / sxx) / n if sxx else None),
):
    function(_prosrc)(_regression(_minimum, _calculate))


# Collecting values.


class StringState:
    """Pieces of string_agg: the first delimiter is not shown."""

    __slots__ = ("first", "parts")

    def __init__(self, first: Any) -> None:
        self.first = first
        self.parts: list[Any] = []


def _string_transition(state: StringState | None, value: Any, delimiter: Any) -> StringState | None:
    if value is None:
        return state
    if state is None:
        state = StringState(delimiter)
        state.parts.append(value)
        return state
    if delimiter is not None:
        state.parts.append(delimiter)
    state.parts.append(value)
    return state


function("string_agg_transfn", "bytea_string_agg_transfn")(_string_transition)
function("string_agg_finalfn")(lambda state: None if state is None else "".join(state.parts))
function("bytea_string_agg_finalfn")(lambda state: None if state is None else b"".join(state.parts))


@function("string_agg_combine")
def _string_combine(left: StringState | None, right: StringState | None) -> StringState | None:
    if left is None or right is None:
        return left if right is None else right
    if right.first is not None:
        left.parts.append(right.first)
    left.parts.extend(right.parts)
    return left


@function("string_agg_serialize")
def _string_serialize(state: StringState) -> bytes:
    first = b"" if state.first is None else (state.first.encode() if isinstance(state.first, str) else state.first)
    pieces = [part.encode() if isinstance(part, str) else part for part in state.parts]
    kind = b"s" if isinstance(state.parts[0], str) else b"b"
    flag = b"\0" if state.first is None else b"\1"
    return kind + flag + len(first).to_bytes(4, "big") + first + b"".join(pieces)


@function("string_agg_deserialize")
def _string_deserialize(data: bytes, internal: Any) -> StringState:
    is_text, has_first = data[:1] == b"s", data[1] != 0
    size = int.from_bytes(data[2:6], "big")
    first: Any = data[6 : 6 + size]
    rest: Any = data[6 + size :]
    if is_text:
        first, rest = first.decode(), rest.decode()
    state = StringState(first if has_first else None)
    state.parts.append(rest)
    return state


@function("array_agg_transfn", context=True)
def _array_transition(ctx: CallContext, state: list[Any] | None, value: Any) -> list[Any]:
    if state is None:
        state = [ctx.argument_types[1]]
    state.append(value)
    return state


@function("array_agg_finalfn")
def _array_final(state: list[Any] | None, value: Any = None) -> Array | None:
    return None if state is None else Array.of(state[0], state[1:])


@function("array_agg_combine")
def _array_combine(left: list[Any] | None, right: list[Any] | None) -> list[Any] | None:
    if left is None or right is None:
        return left if right is None else right
    left.extend(right[1:])
    return left


@function("array_agg_array_transfn")
def _nested_transition(state: list[Array] | None, value: Array | None) -> list[Array]:
    if value is None:
        raise SqlError(errcode.NULL_VALUE_NOT_ALLOWED, "cannot accumulate null arrays")
    state = state or []
    if state:
        if state[0].dims != value.dims:
            raise SqlError(
                errcode.ARRAY_SUBSCRIPT_ERROR, "cannot accumulate arrays of different dimensionality"
            )
    elif not value.dims:
        raise SqlError(errcode.ARRAY_SUBSCRIPT_ERROR, "cannot accumulate empty arrays")
    state.append(value)
    return state


@function("array_agg_array_finalfn")
def _nested_final(state: list[Array] | None, value: Any = None) -> Array | None:
    if state is None:
        return None
    first = state[0]
    elements = tuple(element for array in state for element in array.elements)
    return Array(first.element_type, (len(state), *first.dims), (1, *first.lower_bounds), elements)


@function("array_agg_array_combine")
def _nested_combine(left: list[Array] | None, right: list[Array] | None) -> list[Array] | None:
    if left is None or right is None:
        return left if right is None else right
    return left + right


@function("any_value_transfn")
def _any_value(state: Any, value: Any) -> Any:
    return state
