"""float4 and float8: shortest output, input, arithmetic with PostgreSQL's range errors, mathematical functions."""

import importlib
import math
import struct
from collections.abc import Callable
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.types.codec import Buffer, Codec, register_codec, short_message
from tusk.types.registry import CallContext, TypeInfo, division_by_zero, function, invalid_text, out_of_range, setting

FLOAT4OID, FLOAT8OID = 700, 701
SQL_NAMES = {4: "real", 8: "double precision"}
_SPACE = " \t\n\v\f\r"
_SPECIAL = {"nan": math.nan, "inf": math.inf, "infinity": math.inf}
_FLOAT4 = struct.Struct("<f")


def round_float4(value: float) -> float:
    """The nearest float4; infinite beyond its range."""
    try:
        rounded: float = _FLOAT4.unpack(_FLOAT4.pack(value))[0]
        return rounded
    except OverflowError:
        return math.copysign(math.inf, value)


def overflow() -> SqlError:
    """22003 as float arithmetic reports it."""
    return SqlError(errcode.NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow")


def underflow() -> SqlError:
    """22003: a result too small to be told from zero."""
    return SqlError(errcode.NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: underflow")


def parse_float(text: str, size: int, type_name: str | None = None) -> float:
    """A floating-point number as strtod reads it, with NaN and infinities."""
    name = type_name or SQL_NAMES[size]
    body = text.strip(_SPACE)
    unsigned = body[1:] if body[:1] in ("-", "+") else body
    special = _SPECIAL.get(unsigned.lower())
    if special is not None:
        return -special if body[0] == "-" else special
    try:
        if not body.isascii() or "_" in body or unsigned[:1].isalpha() or unsigned[:1] in ("-", "+", ""):
            raise ValueError
        value = float.fromhex(body) if unsigned[:2].lower() == "0x" else float(body)
    except (ValueError, OverflowError) as error:
        raise invalid_text(name, text) from error
    rounded = value if size == 8 else round_float4(value)
    if math.isinf(rounded) or (rounded == 0 and any(c in "123456789" for c in unsigned.lower().split("e")[0])):
        raise SqlError(errcode.NUMERIC_VALUE_OUT_OF_RANGE, f'"{body}" is out of range for type {name}')
    return rounded


def _arrange(digits: str, exponent: int, negative: bool, limit: int) -> str:
    """Digits d.ddd times 10**exponent, positional when -4 <= exponent < limit."""
    sign = "-" if negative else ""
    if exponent < -4 or exponent >= limit:
        fraction = "." + digits[1:] if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    if len(digits) <= exponent + 1:
        return sign + digits + "0" * (exponent + 1 - len(digits))
    return f"{sign}{digits[: exponent + 1]}.{digits[exponent + 1 :]}"


def _special_text(value: float) -> str:
    if value != value:
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def float8_text(value: float) -> str:
    """Shortest text that reads back the same, or fewer digits if ``extra_float_digits`` says so."""
    if value - value != 0:
        return _special_text(value)
    extra = setting("extra_float_digits", 1)
    if extra <= 0:
        return format_g(value, max(15 + extra, 1))
    text = repr(value)
    # Python switches to exponents at 16 digits, PostgreSQL at 15; below both agree once the ".0" is gone.
    if "e" not in text and len(text) <= 15:
        return text[:-2] if text.endswith(".0") else text
    mantissa, _, exponent = text.partition("e")
    return _normalise(mantissa, int(exponent or 0), 15)


def float4_text(value: float) -> str:
    """As `float8_text`, for single precision."""
    if value - value != 0:
        return _special_text(value)
    extra = setting("extra_float_digits", 1)
    if extra <= 0:
        return format_g(value, max(6 + extra, 1))
    for precision in (5, 6, 7, 8):
        text = f"{value:.{precision}e}"
        if round_float4(float(text)) == value:
            break
    mantissa, _, exponent = text.partition("e")
    return _normalise(mantissa, int(exponent), 6)


def _normalise(mantissa: str, exponent: int, limit: int) -> str:
    negative = mantissa.startswith("-")
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = whole + fraction
    exponent += len(whole) - 1
    stripped = digits.lstrip("0")
    if not stripped:
        return "-0" if negative else "0"
    exponent -= len(digits) - len(stripped)
    return _arrange(stripped.rstrip("0"), exponent, negative, limit)


def format_g(value: float, digits: int) -> str:
    """C's %.*g."""
    return f"{value:.{digits}g}"


class FloatCodec(Codec):
    """IEEE 754 single or double."""

    __slots__ = ("_disk", "_size", "_wire")

    def __init__(self, info: TypeInfo) -> None:
        super().__init__(info)
        self._size = info.typlen
        letter = "f" if info.typlen == 4 else "d"
        self._disk = struct.Struct("<" + letter)
        self._wire = struct.Struct(">" + letter)

    def from_disk(self, data: Buffer) -> float:
        value: float = self._disk.unpack(data)[0]
        return value

    def to_disk(self, value: Any) -> bytes:
        return self._disk.pack(value)

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> float:
        return parse_float(text, self._size)

    def output(self, value: Any) -> str:
        return float8_text(value) if self._size == 8 else float4_text(value)

    def receive(self, data: Buffer, typmod: int = -1) -> float:
        if len(data) != self._size:
            raise short_message()
        value: float = self._wire.unpack(data)[0]
        return value

    def send(self, value: Any) -> bytes:
        return self._wire.pack(value)


register_codec(FloatCodec, FLOAT4OID, FLOAT8OID)


# Comparisons: NaN equals itself and is greater than everything else.


def float_cmp(left: float, right: float) -> int:
    """Three-way comparison in btree order."""
    if left != left:
        return 0 if right != right else 1
    if right != right:
        return -1
    return (left > right) - (left < right)


_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "eq": lambda a, b: a == b or (a != a and b != b),
    "ne": lambda a, b: a != b and not (a != a and b != b),
    "lt": lambda a, b: float_cmp(a, b) < 0,
    "le": lambda a, b: float_cmp(a, b) <= 0,
    "gt": lambda a, b: float_cmp(a, b) > 0,
    "ge": lambda a, b: float_cmp(a, b) >= 0,
}


def _finite(*values: float) -> bool:
    return all(value - value == 0 for value in values)


def _check(result: float, zero_is_valid: bool, *arguments: float) -> float:
    if math.isinf(result) and not any(math.isinf(value) for value in arguments):
        raise overflow()
    if result == 0 and not zero_is_valid:
        raise underflow()
    return result


def _make_add(size: int) -> Callable[[float, float], float]:
    def add(left: float, right: float) -> float:
        result = left + right
        return _check(result if size == 8 else round_float4(result), True, left, right)

    return add


def _make_sub(size: int) -> Callable[[float, float], float]:
    def subtract(left: float, right: float) -> float:
        result = left - right
        return _check(result if size == 8 else round_float4(result), True, left, right)

    return subtract


def _make_mul(size: int) -> Callable[[float, float], float]:
    def multiply(left: float, right: float) -> float:
        result = left * right
        result = result if size == 8 else round_float4(result)
        return _check(result, left == 0 or right == 0, left, right)

    return multiply


def _make_div(size: int) -> Callable[[float, float], float]:
    def divide(left: float, right: float) -> float:
        if right == 0 and left == left:
            raise division_by_zero()
        if right == 0:
            return math.nan
        result = left / right
        result = result if size == 8 else round_float4(result)
        if math.isinf(result) and not math.isinf(left):
            raise overflow()
        if result == 0 and left != 0 and not math.isinf(right):
            raise underflow()
        return result

    return divide


def _larger(left: float, right: float) -> float:
    return left if float_cmp(left, right) > 0 else right


def _smaller(left: float, right: float) -> float:
    return left if float_cmp(left, right) < 0 else right


def _register_operators() -> None:
    for name, size in (("float4", 4), ("float8", 8), ("float48", 8), ("float84", 8)):
        function(name + "pl")(_make_add(size))
        function(name + "mi")(_make_sub(size))
        function(name + "mul")(_make_mul(size))
        function(name + "div")(_make_div(size))
        for suffix, comparison in _COMPARISONS.items():
            function(name + suffix)(comparison)
        function("bt" + name + "cmp")(float_cmp)
    for name in ("float4", "float8"):
        function(name + "abs")(abs)
        function(name + "um")(lambda value: -value)
        function(name + "up")(lambda value: value)
        function(name + "larger")(_larger)
        function(name + "smaller")(_smaller)


_register_operators()


def _to_int(size: int, name: str) -> Callable[[float], int]:
    bound = 1 << (size * 8 - 1)

    def convert(value: float) -> int:
        if value - value == 0:
            rounded = round(value)
            if -bound <= rounded < bound:
                return rounded
        raise out_of_range(name)

    return convert


for _size, _name in ((2, "smallint"), (4, "integer"), (8, "bigint")):
    function(f"dtoi{_size}", f"ftoi{_size}")(_to_int(_size, _name))

function("i2tod", "i4tod", "i8tod")(float)
function("i2tof", "i4tof", "i8tof")(lambda value: round_float4(float(value)))
function("ftod")(lambda value: value)


@function("dtof")
def _narrow(value: float) -> float:
    result = round_float4(value)
    if math.isinf(result) and not math.isinf(value):
        raise overflow()
    if result == 0 and value != 0:
        raise underflow()
    return result


def _rounding(operation: Callable[[float], float]) -> Callable[[float], float]:
    def apply(value: float) -> float:
        if not _finite(value) or value == 0:
            return value
        return math.copysign(float(operation(value)), value)

    return apply


function("dround")(_rounding(round))
function("dceil")(_rounding(math.ceil))
function("dfloor")(_rounding(math.floor))
function("dtrunc")(_rounding(math.trunc))


@function("dsign")
def _sign(value: float) -> float:
    return 1.0 if value > 0 else -1.0 if value < 0 else 0.0


def out_of_input_range() -> SqlError:
    """22003 for an argument outside a function's domain."""
    return SqlError(errcode.NUMERIC_VALUE_OUT_OF_RANGE, "input is out of range")


@function("dsqrt")
def _sqrt(value: float) -> float:
    if value < 0:
        raise SqlError(
            errcode.INVALID_ARGUMENT_FOR_POWER_FUNCTION, "cannot take square root of a negative number"
        )
    return math.sqrt(value)


@function("dcbrt")
def _cbrt(value: float) -> float:
    return math.cbrt(value)


@function("dpow")
def _power(base: float, exponent: float) -> float:
    if base != base or exponent != exponent:
        if base == 1 or exponent == 0:
            return 1.0
        return math.nan
    if base == 0 and exponent < 0:
        raise SqlError(
            errcode.INVALID_ARGUMENT_FOR_POWER_FUNCTION, "zero raised to a negative power is undefined"
        )
    if base < 0 and not math.isinf(exponent) and math.floor(exponent) != exponent and not math.isinf(base):
        raise SqlError(
            errcode.INVALID_ARGUMENT_FOR_POWER_FUNCTION,
            "a negative number raised to a non-integer power yields a complex result",
        )
    if math.isinf(base) and base < 0 and not math.isinf(exponent) and math.floor(exponent) != exponent:
        return 0.0 if exponent < 0 else math.inf
    try:
        result = math.pow(base, exponent)
    except OverflowError as error:
        raise overflow() from error
    if result == 0 and base != 0 and not math.isinf(base) and not math.isinf(exponent):
        raise underflow()
    return result


@function("dexp")
def _exp(value: float) -> float:
    try:
        result = math.exp(value)
    except OverflowError as error:
        raise overflow() from error
    if result == 0 and not math.isinf(value):
        raise underflow()
    return result


def _logarithm(operation: Callable[[float], float]) -> Callable[[float], float]:
    def apply(value: float) -> float:
        if value == 0:
            raise SqlError(errcode.INVALID_ARGUMENT_FOR_LOG, "cannot take logarithm of zero")
        if value < 0:
            raise SqlError(errcode.INVALID_ARGUMENT_FOR_LOG, "cannot take logarithm of a negative number")
        return operation(value)

    return apply


function("dlog1")(_logarithm(math.log))
function("dlog10")(_logarithm(math.log10))


def _domain(operation: Callable[[float], float]) -> Callable[[float], float]:
    def apply(value: float) -> float:
        try:
            return operation(value)
        except ValueError as error:
            raise out_of_input_range() from error

    return apply


for _prosrc, _operation in {
    "dsin": math.sin, "dcos": math.cos, "dtan": math.tan, "dasin": math.asin, "dacos": math.acos,
    "dacosh": math.acosh,
}.items():  # fmt: skip
    function(_prosrc)(_domain(_operation))

function("datan")(math.atan)
function("datan2")(math.atan2)
function("dtanh")(math.tanh)
function("dasinh")(math.asinh)
function("derf")(math.erf)
function("derfc")(math.erfc)
function("dpi")(lambda: math.pi)


def _infinite_on_overflow(operation: Callable[[float], float], odd: bool) -> Callable[[float], float]:
    def apply(value: float) -> float:
        try:
            return operation(value)
        except OverflowError:
            return math.copysign(math.inf, value) if odd else math.inf

    return apply


function("dsinh")(_infinite_on_overflow(math.sinh, True))
function("dcosh")(_infinite_on_overflow(math.cosh, False))


@function("datanh")
def _atanh(value: float) -> float:
    if value < -1 or value > 1:
        raise out_of_input_range()
    return math.copysign(math.inf, value) if abs(value) == 1 else math.atanh(value)


@function("dcot")
def _cot(value: float) -> float:
    if math.isinf(value):
        raise out_of_input_range()
    tangent = math.tan(value)
    return 1.0 / tangent if tangent else math.copysign(math.inf, tangent)


@function("dgamma")
def _gamma(value: float) -> float:
    if value != value:
        return value
    if value == -math.inf:
        raise overflow()
    if value == math.inf:
        return value
    if value == 0 or (value < 0 and value == math.floor(value)):
        raise overflow()
    result = _libm("tgamma")(value)
    if math.isinf(result):
        raise overflow()
    if result == 0:
        raise underflow()
    return result


def _libm(name: str) -> Callable[[float], float]:
    """A function of the C library: Python's own gamma functions differ from it in the last digit."""
    ctypes = importlib.import_module("ctypes")
    found = getattr(ctypes.CDLL(None), name)
    found.restype = ctypes.c_double
    found.argtypes = [ctypes.c_double]
    call: Callable[[float], float] = found
    return call


@function("dlgamma")
def _lgamma(value: float) -> float:
    result = _libm("lgamma")(value)
    if math.isinf(result) and not math.isinf(value) and not (value <= 0 and value == math.floor(value)):
        raise overflow()
    return result


function("radians")(lambda value: _make_mul(8)(value, math.pi / 180))
function("degrees")(lambda value: _make_div(8)(value, math.pi / 180))

_SIN_30, _ONE_MINUS_COS_60 = math.sin(math.radians(30)), 1.0 - math.cos(math.radians(60))
_ASIN_HALF, _ACOS_HALF, _ATAN_ONE = math.asin(0.5), math.acos(0.5), math.atan(1.0)


def _sin_small(degrees: float) -> float:
    # Scaled so that the quadrant's landmarks are exact: sin 30 is 0.5.
    return (math.sin(math.radians(degrees)) / _SIN_30) / 2.0


def _cos_small(degrees: float) -> float:
    return 1.0 - ((1.0 - math.cos(math.radians(degrees))) / _ONE_MINUS_COS_60) / 2.0


def _sin_quadrant(degrees: float) -> float:
    return _sin_small(degrees) if degrees <= 30 else _cos_small(90 - degrees)


def _cos_quadrant(degrees: float) -> float:
    return _cos_small(degrees) if degrees <= 60 else _sin_small(90 - degrees)


def _reduced(value: float) -> float:
    if math.isinf(value):
        raise out_of_input_range()
    return math.fmod(value, 360.0)


@function("dsind")
def _sind(value: float) -> float:
    if value != value:
        return value
    angle, sign = _reduced(value), 1.0
    if angle < 0:
        angle, sign = -angle, -1.0
    if angle > 180:
        angle, sign = 360 - angle, -sign
    if angle > 90:
        angle = 180 - angle
    return sign * _sin_quadrant(angle)


@function("dcosd")
def _cosd(value: float) -> float:
    if value != value:
        return value
    angle, sign = abs(_reduced(value)), 1.0
    if angle > 180:
        angle = 360 - angle
    if angle > 90:
        angle, sign = 180 - angle, -1.0
    return sign * _cos_quadrant(angle)


_TAN_45 = _sin_quadrant(45) / _cos_quadrant(45)
_COT_45 = _cos_quadrant(45) / _sin_quadrant(45)


def _tangent(value: float, cotangent: bool) -> float:
    if value != value:
        return value
    angle, sign = _reduced(value), 1.0
    if angle < 0:
        angle, sign = -angle, -1.0
    if angle > 180:
        angle, sign = 360 - angle, -sign
    if angle > 90:
        angle, sign = 180 - angle, -sign
    upper, lower = (_cos_quadrant(angle), _sin_quadrant(angle)) if cotangent else (
        _sin_quadrant(angle), _cos_quadrant(angle))  # fmt: skip
    quotient = math.inf if lower == 0 else upper / lower
    result = sign * (quotient / (_COT_45 if cotangent else _TAN_45))
    return result if result else 0.0


function("dtand")(lambda value: _tangent(value, False))
function("dcotd")(lambda value: _tangent(value, True))


def _asin_degrees(value: float) -> float:
    if value <= 0.5:
        return math.asin(value) / _ASIN_HALF * 30.0
    return 90.0 - math.acos(value) / _ACOS_HALF * 60.0


@function("dasind")
def _asind(value: float) -> float:
    if abs(value) > 1:
        raise out_of_input_range()
    return _asin_degrees(value) if value >= 0 else -_asin_degrees(-value)


@function("dacosd")
def _acosd(value: float) -> float:
    if abs(value) > 1:
        raise out_of_input_range()
    if value < 0:
        return 90.0 + _asin_degrees(-value)
    if value <= 0.5:
        return 90.0 - math.asin(value) / _ASIN_HALF * 30.0
    return math.acos(value) / _ACOS_HALF * 60.0


function("datand")(lambda value: math.atan(value) / _ATAN_ONE * 45.0)
function("datan2d")(lambda y, x: math.atan2(y, x) / _ATAN_ONE * 45.0)


@function("width_bucket_float8")
def _width_bucket(operand: float, low: float, high: float, count: int) -> int:
    if count <= 0:
        raise _bucket_error("count must be greater than zero")
    if operand != operand or low != low or high != high:
        raise _bucket_error("operand, lower bound, and upper bound cannot be NaN")
    if math.isinf(low) or math.isinf(high):
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
    span = high - low
    if math.isinf(span):
        share = (operand / 2 - low / 2) / (high / 2 - low / 2)
    else:
        share = (operand - low) / span
    return min(int(count * share), count - 1) + 1


def _bucket_error(message: str) -> SqlError:
    return SqlError(errcode.INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION, message)


def _in_range(value: float, base: float, offset: float, sub: bool, less: bool) -> bool:
    if offset != offset or offset < 0:
        raise SqlError(
            errcode.INVALID_PRECEDING_OR_FOLLOWING_SIZE, "invalid preceding or following size in window function"
        )
    if value != value:
        return True if base != base else not less
    if base != base:
        return less
    if math.isinf(base) and math.isinf(offset) and (base > 0 if sub else base < 0):
        return True
    limit = base - offset if sub else base + offset
    return value <= limit if less else value >= limit


function("in_range_float4_float8", "in_range_float8_float8")(_in_range)
