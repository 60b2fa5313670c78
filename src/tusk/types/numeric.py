"""numeric: comparison, arithmetic, rounding, casts, series. Results carry PostgreSQL's scales.

Division chooses enough fractional digits for 16 significant ones, in steps of the four digits that one base-10000
digit holds (see the rules of `division_scale`). Everything is exact or rounded half away from zero once.
"""

import math
from collections.abc import Callable, Iterator
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Decimal

from tusk.errors import SqlError, errcode
from tusk.types.floats import parse_float, round_float4
from tusk.types.integers import SQL_NAMES
from tusk.types.numeric_format import (
    EXACT,
    INFINITY,
    MAX_SCALE,
    NAN,
    NEGATIVE_INFINITY,
    ZERO,
    check_limits,
    coefficient_of,
    make,
    numeric_text,
    overflow,
    rescale,
    scale_of,
)
from tusk.types.registry import division_by_zero, function, out_of_range

MIN_SIG_DIGITS = 16
MAX_DISPLAY_SCALE = 1000
MAX_RESULT_SCALE = 2000


def numeric_compare(left: Decimal, right: Decimal) -> int:
    """Three-way comparison in btree order: NaN equals itself and is greater than everything."""
    if left.is_nan():
        return 0 if right.is_nan() else 1
    if right.is_nan():
        return -1
    return (left > right) - (left < right)


function("numeric_cmp")(numeric_compare)
for _name, _test in (
    ("eq", lambda a, b: numeric_compare(a, b) == 0),
    ("ne", lambda a, b: numeric_compare(a, b) != 0),
    ("lt", lambda a, b: numeric_compare(a, b) < 0),
    ("le", lambda a, b: numeric_compare(a, b) <= 0),
    ("gt", lambda a, b: numeric_compare(a, b) > 0),
    ("ge", lambda a, b: numeric_compare(a, b) >= 0),
):
    function("numeric_" + _name)(_test)


@function("numeric_larger")
def _larger(left: Decimal, right: Decimal) -> Decimal:
    return left if numeric_compare(left, right) > 0 else right


@function("numeric_smaller")
def _smaller(left: Decimal, right: Decimal) -> Decimal:
    return left if numeric_compare(left, right) < 0 else right


def _unsigned_zero(value: Decimal) -> Decimal:
    return value if value else value.copy_abs()


@function("numeric_add")
def add(left: Decimal, right: Decimal) -> Decimal:
    """Sum, with the larger scale."""
    if left.is_finite() and right.is_finite():
        return check_limits(_unsigned_zero(EXACT.add(left, right)))
    if left.is_nan() or right.is_nan() or (left.is_infinite() and right.is_infinite() and left != right):
        return NAN
    return left if left.is_infinite() else right


@function("numeric_sub")
def subtract(left: Decimal, right: Decimal) -> Decimal:
    """Difference, with the larger scale."""
    return add(left, negate(right))


@function("numeric_uminus")
def negate(value: Decimal) -> Decimal:
    """The other sign; zero has none."""
    return value.copy_negate() if value else value


@function("numeric_mul")
def multiply(left: Decimal, right: Decimal) -> Decimal:
    """Product, with the sum of the scales."""
    if left.is_finite() and right.is_finite():
        product = _unsigned_zero(EXACT.multiply(left, right))
        if scale_of(product) > MAX_SCALE:
            product = rescale(product, MAX_SCALE)
        return check_limits(product)
    if left.is_nan() or right.is_nan() or not left or not right:
        return NAN
    return INFINITY if (left > 0) == (right > 0) else NEGATIVE_INFINITY


def _weight_and_first(value: Decimal) -> tuple[int, int]:
    """Weight of the first base-10000 digit, and that digit; 0 and 0 for zero."""
    if not value:
        return 0, 0
    adjusted = value.adjusted()
    weight = adjusted // 4
    leading = value.as_tuple().digits[: adjusted - weight * 4 + 1]
    first = 0
    for digit in leading:
        first = first * 10 + digit
    return weight, first * 10 ** (adjusted - weight * 4 + 1 - len(leading))


def division_scale(left: Decimal, right: Decimal) -> int:
    """How many fractional digits a quotient gets."""
    weight_1, first_1 = _weight_and_first(left)
    weight_2, first_2 = _weight_and_first(right)
    weight = weight_1 - weight_2
    if first_1 <= first_2:
        weight -= 1
    scale = MIN_SIG_DIGITS - weight * 4
    return min(max(scale, scale_of(left), scale_of(right), 0), MAX_DISPLAY_SCALE)


def divide_to(left: Decimal, right: Decimal, scale: int) -> Decimal:
    """Quotient of finite values rounded to ``scale`` digits."""
    common = max(scale_of(left), scale_of(right))
    numerator, denominator = coefficient_of(left, common), coefficient_of(right, common)
    negative = (numerator < 0) != (denominator < 0)
    numerator, denominator = abs(numerator) * 10**scale, abs(denominator)
    quotient, remainder = divmod(numerator, denominator)
    if remainder * 2 >= denominator:
        quotient += 1
    return make(-quotient if negative else quotient, scale)


@function("numeric_div")
def divide(left: Decimal, right: Decimal) -> Decimal:
    """Quotient; 22012 for zero."""
    if left.is_finite() and right.is_finite():
        if not right:
            raise division_by_zero()
        return check_limits(divide_to(left, right, division_scale(left, right)))
    if left.is_nan() or right.is_nan():
        return NAN
    if left.is_infinite():
        if right.is_infinite():
            return NAN
        if not right:
            raise division_by_zero()
        return left if right > 0 else negate(left)
    return ZERO


@function("numeric_div_trunc")
def _divide_truncated(left: Decimal, right: Decimal) -> Decimal:
    if left.is_finite() and right.is_finite():
        if not right:
            raise division_by_zero()
        common = max(scale_of(left), scale_of(right))
        numerator, denominator = coefficient_of(left, common), coefficient_of(right, common)
        quotient = abs(numerator) // abs(denominator)
        return Decimal(-quotient if (numerator < 0) != (denominator < 0) else quotient)
    return divide(left, right)


@function("numeric_mod")
def _modulo(left: Decimal, right: Decimal) -> Decimal:
    if left.is_nan() or right.is_nan():
        return NAN
    if left.is_infinite():
        if not right:
            raise division_by_zero()
        return NAN
    if right.is_infinite():
        return left
    if not right:
        raise division_by_zero()
    common = max(scale_of(left), scale_of(right))
    numerator, denominator = coefficient_of(left, common), coefficient_of(right, common)
    remainder = abs(numerator) % abs(denominator)
    return make(-remainder if numerator < 0 else remainder, common)


function("numeric_abs")(lambda value: value.copy_abs())
function("numeric_uplus")(lambda value: value)


@function("numeric_sign")
def _sign(value: Decimal) -> Decimal:
    if value.is_nan():
        return NAN
    return Decimal((value > 0) - (value < 0))


@function("numeric_inc")
def _increment(value: Decimal) -> Decimal:
    return add(value, Decimal(1))


@function("numeric_round")
def numeric_round(value: Decimal, digits: int) -> Decimal:
    """Round half away from zero, also left of the point."""
    return _rounded(value, digits, ROUND_HALF_UP)


@function("numeric_trunc")
def _trunc(value: Decimal, digits: int) -> Decimal:
    return _rounded(value, digits, ROUND_DOWN)


def _rounded(value: Decimal, digits: int, rounding: str) -> Decimal:
    if not value.is_finite():
        return value
    digits = max(min(digits, MAX_SCALE), -131072 - 1)
    result = value.quantize(Decimal((0, (1,), -digits)), rounding, EXACT)
    if digits < 0:
        result = result.quantize(Decimal(1), ROUND_HALF_UP, EXACT) if result else ZERO
    return check_limits(_unsigned_zero(result))


@function("numeric_ceil")
def _ceil(value: Decimal) -> Decimal:
    return _unsigned_zero(value.quantize(Decimal(1), ROUND_CEILING, EXACT)) if value.is_finite() else value


@function("numeric_floor")
def _floor(value: Decimal) -> Decimal:
    return _unsigned_zero(value.quantize(Decimal(1), ROUND_FLOOR, EXACT)) if value.is_finite() else value


@function("numeric_scale")
def _scale(value: Decimal) -> int | None:
    return scale_of(value) if value.is_finite() else None


def _min_scale(value: Decimal) -> int:
    if not value:
        return 0
    text = numeric_text(value)
    return len(text.rstrip("0")) - text.index(".") - 1 if "." in text else 0


@function("numeric_min_scale")
def _numeric_min_scale(value: Decimal) -> int | None:
    return _min_scale(value) if value.is_finite() else None


@function("numeric_trim_scale")
def _trim_scale(value: Decimal) -> Decimal:
    return rescale(value, _min_scale(value)) if value.is_finite() else value


def _common_integers(left: Decimal, right: Decimal) -> tuple[int, int, int]:
    common = max(scale_of(left), scale_of(right))
    return coefficient_of(left, common), coefficient_of(right, common), common


@function("numeric_gcd")
def _gcd(left: Decimal, right: Decimal) -> Decimal:
    if not (left.is_finite() and right.is_finite()):
        return NAN
    a, b, scale = _common_integers(left, right)
    return make(math.gcd(a, b), scale)


@function("numeric_lcm")
def _lcm(left: Decimal, right: Decimal) -> Decimal:
    if not (left.is_finite() and right.is_finite()):
        return NAN
    a, b, scale = _common_integers(left, right)
    return check_limits(make(math.lcm(a, b), scale))


@function("numeric_fac")
def _factorial(number: int) -> Decimal:
    if number < 0:
        raise SqlError(errcode.NUMERIC_VALUE_OUT_OF_RANGE, "factorial of a negative number is undefined")
    if number > 32177:
        raise overflow()
    return Decimal(math.factorial(number))


def _bucket_error(message: str) -> SqlError:
    return SqlError(errcode.INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION, message)


@function("width_bucket_numeric")
def _width_bucket(operand: Decimal, low: Decimal, high: Decimal, count: int) -> int:
    if count <= 0:
        raise _bucket_error("count must be greater than zero")
    if operand.is_nan() or low.is_nan() or high.is_nan():
        raise _bucket_error("operand, lower bound, and upper bound cannot be NaN")
    if low.is_infinite() or high.is_infinite():
        raise _bucket_error("lower and upper bounds must be finite")
    if low == high:
        raise _bucket_error("lower bound cannot equal upper bound")
    ascending = low < high
    if operand < low if ascending else operand > low:
        return 0
    if operand >= high if ascending else operand <= high:
        if count + 1 > 0x7FFFFFFF:
            raise out_of_range("integer")
        return count + 1
    offset, span = EXACT.subtract(operand, low), EXACT.subtract(high, low)
    offset_n, span_n, _ = _common_integers(offset, span)
    return abs(offset_n) * count // abs(span_n) + 1


# Casts.


function("int2_numeric", "int4_numeric", "int8_numeric")(Decimal)


def _to_int(size: int) -> Callable[[Decimal], int]:
    name = SQL_NAMES[size]
    bound = 1 << (size * 8 - 1)

    def convert(value: Decimal) -> int:
        if not value.is_finite():
            what = "NaN" if value.is_nan() else "infinity"
            raise SqlError(errcode.FEATURE_NOT_SUPPORTED, f"cannot convert {what} to {name}")
        if value and value.adjusted() > 20:
            raise out_of_range(name)
        number = int(value.quantize(Decimal(1), ROUND_HALF_UP, EXACT))
        if -bound <= number < bound:
            return number
        raise out_of_range(name)

    return convert


numeric_to_int4 = _to_int(4)
for _size in (2, 4, 8):
    function(f"numeric_int{_size}")(_to_int(_size))


@function("numeric_float8")
def numeric_to_float(value: Decimal) -> float:
    """Nearest double; 22003 beyond its range."""
    return parse_float(numeric_text(value), 8) if value.is_finite() else float(value)


@function("numeric_float4")
def _numeric_float4(value: Decimal) -> float:
    return parse_float(numeric_text(value), 4) if value.is_finite() else float(value)


def _from_float(value: float, digits: int) -> Decimal:
    if value != value:
        return NAN
    if math.isinf(value):
        return INFINITY if value > 0 else NEGATIVE_INFINITY
    return check_limits(_unsigned_zero(Decimal(f"{value:.{digits}g}")))


@function("float8_numeric")
def float_to_numeric(value: float) -> Decimal:
    """The value to 15 significant digits."""
    return _from_float(value, 15)


@function("float4_numeric")
def _float4_numeric(value: float) -> Decimal:
    return _from_float(round_float4(value), 6)


# Series and window frames.


def _series_error(what: str) -> SqlError:
    return SqlError(errcode.INVALID_PARAMETER_VALUE, what)


def _series(start: Decimal, stop: Decimal, step: Decimal) -> Iterator[Decimal]:
    for value, name in ((start, "start value"), (stop, "stop value"), (step, "step size")):
        if not value.is_finite():
            what = "NaN" if value.is_nan() else "infinity"
            raise _series_error(f"{name} cannot be {what}")
    if not step:
        raise _series_error("step size cannot equal zero")
    current = start
    while current <= stop if step > 0 else current >= stop:
        yield current
        current = add(current, step)


function("generate_series_numeric", set_returning=True)(lambda start, stop: _series(start, stop, Decimal(1)))
function("generate_series_step_numeric", set_returning=True)(_series)


@function("in_range_numeric_numeric")
def _in_range(value: Decimal, base: Decimal, offset: Decimal, sub: bool, less: bool) -> bool:
    if offset.is_nan() or offset < 0:
        raise SqlError(
            errcode.INVALID_PRECEDING_OR_FOLLOWING_SIZE, "invalid preceding or following size in window function"
        )
    if value.is_nan():
        return True if base.is_nan() else not less
    if base.is_nan():
        return less
    if offset.is_infinite():
        if base.is_infinite() and (base > 0) == sub:
            return True
        limit = NEGATIVE_INFINITY if sub else INFINITY
    else:
        limit = subtract(base, offset) if sub else add(base, offset)
    return value <= limit if less else value >= limit
