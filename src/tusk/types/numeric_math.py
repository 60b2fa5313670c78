"""numeric: square root, exponential, logarithms and powers, rounded to the scale PostgreSQL gives them."""

import math
from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal

from tusk.errors import SqlError, errcode
from tusk.types.numeric import MAX_DISPLAY_SCALE, MAX_RESULT_SCALE, MIN_SIG_DIGITS, divide_to, multiply
from tusk.types.numeric_format import (
    EXACT,
    INFINITY,
    NAN,
    NEGATIVE_INFINITY,
    ZERO,
    check_limits,
    coefficient_of,
    make,
    overflow,
    rescale,
    scale_of,
    to_digits,
)
from tusk.types.registry import function

_LOG10_E = 0.434294481903252
_LN_10 = 2.302585092994046
_MAX_WEIGHT_DIGITS = (0x7FFF + 1) * 4


def _context(digits: int) -> Context:
    return Context(prec=max(digits, 20), rounding=ROUND_HALF_EVEN, Emin=MIN_EMIN, Emax=MAX_EMAX)


def _bounded(scale: int, *values: Decimal) -> int:
    return min(max(scale, 0, *(scale_of(value) for value in values)), MAX_DISPLAY_SCALE)


def _weight(value: Decimal) -> int:
    return value.adjusted() // 4 if value else 0


def square_root(value: Decimal, scale: int) -> Decimal:
    """Square root of a finite value that is not negative, rounded to ``scale`` digits."""
    own = scale_of(value)
    # One more digit decides the rounding: a root is never exactly between two results.
    digits = max(scale + 1, (own + 1) // 2)
    root = math.isqrt(coefficient_of(value, 2 * digits))
    return rescale(make(root, digits), scale)


@function("numeric_sqrt")
def _sqrt(value: Decimal) -> Decimal:
    if value.is_nan() or value == INFINITY:
        return value
    if value < 0:
        raise SqlError(
            errcode.INVALID_ARGUMENT_FOR_POWER_FUNCTION, "cannot take square root of a negative number"
        )
    return square_root(value, _bounded(MIN_SIG_DIGITS - (_weight(value) * 2 + 1), value))


def _exponential(value: Decimal, scale: int) -> Decimal:
    digits = int(float(value) * _LOG10_E) + scale + 12
    return rescale(_context(digits).exp(value), scale)


@function("numeric_exp")
def _exp(value: Decimal) -> Decimal:
    if not value.is_finite():
        return ZERO if value == NEGATIVE_INFINITY else value
    estimate = float(value)
    if abs(estimate) >= MAX_RESULT_SCALE * 3:
        if estimate > 0:
            raise overflow()
        return make(0, MAX_DISPLAY_SCALE)
    scale = _bounded(MIN_SIG_DIGITS - int(estimate * _LOG10_E), value)
    return check_limits(_exponential(value, scale))


def _ln_weight(value: Decimal) -> int:
    """Decimal weight of ln(value), estimated as PostgreSQL does."""
    if Decimal("0.9") <= value <= Decimal("1.1"):
        difference = EXACT.subtract(value, Decimal(1))
        if not difference:
            return 0
        digits, weight = to_digits(difference)
        return weight * 4 + int(math.log10(digits[0]))
    digits, weight = to_digits(value)
    leading, shift = digits[0], weight * 4
    if len(digits) > 1:
        leading, shift = leading * 10000 + digits[1], shift - 4
    estimate = math.log(leading) + shift * _LN_10
    return int(math.log10(abs(estimate)))


def _check_logarithm(value: Decimal) -> None:
    if not value.is_nan() and value <= 0:
        what = "zero" if value == 0 else "a negative number"
        raise SqlError(errcode.INVALID_ARGUMENT_FOR_LOG, f"cannot take logarithm of {what}")


def _logarithm(value: Decimal, digits: int) -> Decimal:
    return _context(digits).ln(value)


@function("numeric_ln")
def _ln(value: Decimal) -> Decimal:
    if value.is_nan():
        return value
    _check_logarithm(value)
    if value.is_infinite():
        return value
    weight = _ln_weight(value)
    scale = _bounded(MIN_SIG_DIGITS - weight, value)
    return rescale(_logarithm(value, scale + max(weight, 0) + 12), scale)


@function("numeric_log")
def _log(base: Decimal, value: Decimal) -> Decimal:
    if base.is_nan() or value.is_nan():
        return NAN
    _check_logarithm(base)
    _check_logarithm(value)
    if base.is_infinite():
        return NAN if value.is_infinite() else ZERO
    if value.is_infinite():
        return INFINITY
    base_weight, value_weight = _ln_weight(base), _ln_weight(value)
    scale = _bounded(MIN_SIG_DIGITS - (value_weight - base_weight), base, value)
    digits = scale + abs(value_weight) + abs(base_weight) + 30
    denominator = _logarithm(base, digits)
    if not denominator:
        raise SqlError(errcode.DIVISION_BY_ZERO, "division by zero")
    return check_limits(rescale(_context(digits).divide(_logarithm(value, digits), denominator), scale))


def _power_error(message: str) -> SqlError:
    return SqlError(errcode.INVALID_ARGUMENT_FOR_POWER_FUNCTION, message)


def _is_integral(value: Decimal) -> bool:
    return value == value.to_integral_value(context=EXACT)


def _special_power(base: Decimal, exponent: Decimal) -> Decimal:
    """Power when NaN or an infinity is involved, by the rules of POSIX pow()."""
    if base.is_nan():
        return Decimal(1) if exponent == 0 else NAN
    if exponent.is_nan():
        return Decimal(1) if base == 1 else NAN
    if base == 0 and exponent < 0:
        raise _power_error("zero raised to a negative power is undefined")
    if base < 0 and exponent.is_finite() and not _is_integral(exponent):
        raise _power_error("a negative number raised to a non-integer power yields a complex result")
    if base == 1:
        return Decimal(1)
    if exponent == 0:
        return Decimal(1)
    if base == 0:
        return ZERO
    if exponent.is_infinite():
        size = base.copy_abs()
        if size == 1:
            return Decimal(1)
        return INFINITY if (size > 1) == (exponent > 0) else ZERO
    if base == INFINITY:
        return INFINITY if exponent > 0 else ZERO
    if exponent < 0:
        return ZERO
    return NEGATIVE_INFINITY if int(exponent) % 2 else INFINITY


@function("numeric_power")
def _power(base: Decimal, exponent: Decimal) -> Decimal:
    if not (base.is_finite() and exponent.is_finite()):
        return _special_power(base, exponent)
    if base == 0 and exponent < 0:
        raise _power_error("zero raised to a negative power is undefined")
    integral = _is_integral(exponent)
    if base < 0 and not integral:
        raise _power_error("a negative number raised to a non-integer power yields a complex result")
    if integral and abs(exponent) < 1 << 31:
        return _integer_power(base, int(exponent), scale_of(exponent))
    if base == 0:
        return make(0, MIN_SIG_DIGITS)
    sign = -1 if base < 0 and int(exponent) % 2 else 1
    size = base.copy_abs()
    if size == 1:
        estimate = 0.0
    else:
        estimate = float(_context(20).multiply(_logarithm(size, 20), exponent))
    if abs(estimate) > MAX_RESULT_SCALE * 3.01:
        if estimate > 0:
            raise overflow()
        return make(0, MAX_DISPLAY_SCALE)
    scale = _bounded(MIN_SIG_DIGITS - int(estimate * _LOG10_E), base, exponent)
    digits = scale + int(abs(estimate) * _LOG10_E) + 30 + max(exponent.adjusted(), 0)
    result = _exponential_of(size, exponent, digits)
    return check_limits(rescale(-result if sign < 0 else result, scale))


def _exponential_of(base: Decimal, exponent: Decimal, digits: int) -> Decimal:
    context = _context(digits)
    return context.exp(context.multiply(context.ln(base), exponent))


def _integer_power(base: Decimal, exponent: int, exponent_scale: int) -> Decimal:
    if base:
        digits, weight = to_digits(base)
        leading, place = float(digits[0]), weight * 4
        for digit in digits[1:4]:
            leading, place = leading * 10000 + digit, place - 4
        weight_estimate = exponent * (math.log10(leading) + place)
    else:
        weight_estimate = 0.0
    if weight_estimate > _MAX_WEIGHT_DIGITS:
        raise overflow()
    if weight_estimate + 1 < -MAX_DISPLAY_SCALE:
        return make(0, MAX_DISPLAY_SCALE)
    scale = MIN_SIG_DIGITS - int(weight_estimate)
    scale = min(max(scale, scale_of(base), exponent_scale, 0), MAX_DISPLAY_SCALE)
    if exponent == 0:
        return rescale(Decimal(1), scale)
    if exponent == 2:
        return check_limits(rescale(multiply(base, base), scale))
    if exponent == -1:
        return divide_to(Decimal(1), base, scale)
    digits_needed = int(abs(weight_estimate)) + scale + 20 + len(str(abs(exponent)))
    return check_limits(rescale(_context(digits_needed).power(base, exponent), scale))
